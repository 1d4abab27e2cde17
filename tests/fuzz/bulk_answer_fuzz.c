/* bulk_answer_fuzz.c - any bytes as the answer to a `_bulk` request: what is accepted says, item for item, what
** jansson reads in the same bytes, and nothing points outside of them. Byte 0 of the input: the number of actions.
*/
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cluster/bulk_answer.h"

enum { ITEMS = 256 };

static void demand(int truth, const char *what) {
  if (truth) return;
  fprintf(stderr, "broken: %s\n", what);
  abort();
}

/* The outcome inside {"index": {…}}; NULL: not such an object. */
static json_t *outcome_of(json_t *item) {
  return json_object_size(item) == 1 ? json_object_iter_value(json_object_iter(item)) : NULL;
}

static void compare(json_t *root, const struct os_bulk_item *items, size_t count) {
  json_t *list = json_object_get(root, "items");
  demand(json_is_array(list) && json_array_size(list) == count, "as many items");
  for (size_t i = 0; i < count; i++) {
    json_t *outcome = outcome_of(json_array_get(list, i));
    demand(json_is_object(outcome), "an item is an object with one member");
    demand(json_integer_value(json_object_get(outcome, "status")) == items[i].status, "the same status");
    json_t *error = json_object_get(outcome, "error");
    if (error && !json_is_null(error)) demand(items[i].error != NULL, "an error is seen");
  }
}

static void look_at_errors(const struct os_bulk_item *items, size_t count, const char *body, size_t len) {
  char type[OS_BULK_ERROR_TYPE], reason[OS_BULK_ERROR_REASON];
  for (size_t i = 0; i < count; i++) {
    if (items[i].error)
      demand(items[i].error >= body && items[i].error_len <= (size_t)(body + len - items[i].error), "bounds");
    os_bulk_item_error(&items[i], type, reason);
    demand(strlen(type) < sizeof type && strlen(reason) < sizeof reason, "texts end");
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static struct os_bulk_item items[ITEMS];
  if (len < 1) return 0;
  size_t expected = data[0];
  char *body = malloc(len); /* exactly as long as the answer: AddressSanitizer watches its end */
  memcpy(body, data + 1, --len);
  struct os_error error;
  bool errors = false;
  int64_t took = 0;
  os_error_clear(&error);
  int code = os_bulk_answer_parse(body, len, expected, items, &errors, &took, &error);
  demand(!code || (code == OS_ERR_ANSWER && error.text[0]), "errors say what");
  if (!code) {
    json_t *root = json_loadb(body, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    if (root)
      compare(root, items, expected); /* jansson refuses some numbers and characters that we need not read */
    json_decref(root);
    look_at_errors(items, expected, body, len);
  }
  free(body);
  return 0;
}

#include "mutations.h"

__attribute__((unused)) static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\x02{\"took\":3,\"errors\":false,\"items\":[{\"index\":{\"status\":201}},{\"index\":{"
              "\"status\":201}}]}"),
    FUZZ_SEED(
        "\x01{\"took\":3,\"errors\":true,\"items\":[{\"create\":{\"_id\":\"a\",\"status\":400,\"error\":{"
        "\"type\":\"mapper_"
        "parsing_exception\",\"reason\":\"failed\",\"caused_by\":{\"type\":\"x\",\"reason\":\"y\"}}}}]}"),
    FUZZ_SEED("\x03{\"items\":[{\"update\":{\"result\":\"noop\",\"status\":200}},{\"delete\":{\"status\":404,"
              "\"result\":"
              "\"not_found\"}},{\"index\":{\"status\":429,\"error\":\"\\u00e4\"}}],\"took\":1}"),
    FUZZ_SEED("\x00{\"errors\":false,\"items\":[]}"),
    FUZZ_SEED("\x01<html>502 Bad Gateway</html>"),
};

FUZZ_MAIN(seeds)
