/* cluster_bulk_answer_test.c - answers to _bulk: right ones in every shape, and every kind of wrong one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/buffer.h"
#include "base/clock.h"
#include "cluster/bulk_answer.h"

static struct os_bulk_item items[64];
static struct os_error error;
static bool errors;
static int64_t took;

/* The bytes stand at the end of a block of their own, so that AddressSanitizer sees a read past them. */
static int parse_bytes(const char *text, size_t len, size_t expected, char **copy) {
  *copy = malloc(len ? len : 1);
  memcpy(*copy, text, len);
  os_error_clear(&error);
  return os_bulk_answer_parse(*copy, len, expected, items, &errors, &took, &error);
}

static int parse(const char *text, size_t expected) {
  char *copy = NULL;
  int rc = parse_bytes(text, strlen(text), expected, &copy);
  free(copy);
  assert_int_equal(rc, error.code);
  return rc;
}

static void refused(const char *text, size_t expected, const char *words) {
  assert_int_equal(parse(text, expected), OS_ERR_ANSWER);
  if (!strstr(error.text, words)) fail_msg("'%s' is not in '%s'", words, error.text);
}

static void filtered_answer(void **state) {
  (void)state;
  const char *text =
      "{\"took\":12,\"errors\":true,\"items\":["
      "{\"index\":{\"_id\":\"a\",\"result\":\"created\",\"status\":201}},"
      "{\"update\":{\"_id\":\"a\",\"result\":\"updated\",\"status\":200}},"
      "{\"update\":{\"_id\":\"a\",\"result\":\"noop\",\"status\":200}},"
      "{\"delete\":{\"_id\":\"a\",\"result\":\"deleted\",\"status\":200}},"
      "{\"delete\":{\"_id\":\"z\",\"result\":\"not_found\",\"status\":404}},"
      "{\"create\":{\"_id\":\"a\",\"status\":409,\"error\":{\"type\":\"version_conflict\",\"reason\":"
      "\"[a]: \\\"there\\\" \\u00e9\"}}}]}";
  assert_int_equal(os_bulk_answer_parse(text, strlen(text), 6, items, &errors, &took, NULL), OS_OK);
  assert_true(errors);
  assert_int_equal(took, 12);
  static const char results[] = "cund";
  for (int i = 0; i < 4; i++)
    assert_int_equal(items[i].result, results[i]);
  for (int i = 0; i < 5; i++)
    assert_null(items[i].error);
  assert_int_equal(items[0].status, 201);
  assert_int_equal(items[4].status, 404);
  assert_int_equal(items[4].result, 0);
  assert_int_equal(items[5].status, 409);
  char type[OS_BULK_ERROR_TYPE], reason[OS_BULK_ERROR_REASON];
  assert_int_equal(os_bulk_item_error(&items[5], type, reason), OS_OK);
  assert_string_equal(type, "version_conflict");
  assert_string_equal(reason, "[a]: \"there\" \xc3\xa9");
  assert_int_equal(os_bulk_item_error(&items[4], type, reason), OS_OK);
  assert_string_equal(type, "status_404");
  assert_string_equal(reason, "");
}

static void full_answer_any_order_and_space(void **state) {
  (void)state;
  assert_int_equal(
      parse(
          "\r\n { \"ingest_took\" : -1.5e+3 , \"items\" : [ { \"index\" : { \"_shards\" : { \"total\" : 2 , "
          "\"x\":[[],{},[1,{\"a\":null}],0] } , \"status\" : 201 , \"error\" : null , \"_index\" : \"p\\/\" "
          ", "
          "\"result\" : \"created\" , \"_primary_term\" : 1 } } ] , \"errors\" : false , \"took\" : 0 } \n\t",
          1),
      OS_OK);
  assert_false(errors);
  assert_int_equal(took, 0);
  assert_int_equal(items[0].status, 201);
  assert_null(items[0].error);
  assert_int_equal(parse("{\"items\":[]}", 0), OS_OK);
  assert_int_equal(took, -1);
  assert_false(errors);
}

/* errors:false is not believed against an item that failed. */
static void lying_flag(void **state) {
  (void)state;
  assert_int_equal(parse("{\"errors\":false,\"items\":[{\"index\":{\"status\":429}}]}", 1), OS_OK);
  assert_true(errors);
  assert_int_equal(parse("{\"items\":[{\"index\":{\"status\":503}}]}", 1), OS_OK);
  assert_true(errors);
}

static void wrong_content(void **state) {
  (void)state;
  refused("", 1, "is empty");
  refused("<html><body>\n  502 Bad Gateway</body></html>", 1, "'<html><body> 502 Bad Gateway</body></html>'");
  refused("null", 1, "not a JSON object");
  refused("[]", 1, "not a JSON object");
  refused("{}", 1, "has no items");
  refused("{\"error\":{\"type\":\"x\"},\"status\":400}", 1, "\"type\":\"x\"");
  refused("{\"took\":1,\"errors\":false}", 0, "has no items");
  refused("{\"items\":{}}", 0, "the array of items");
  refused("{\"items\":[],\"items\":[]}", 0, "only one array");
  refused("{\"items\":[]} x", 0, "the end");
  refused("{\"items\":[]}{", 0, "the end");
  refused("{\"items\":[{\"index\":{\"status\":201}}]}", 2, "1 items for 2 actions");
  refused("{\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":201}}]}", 1,
          "2 items for 1 actions");
  refused("{\"items\":[{\"index\":{}}]}", 1, "status");
  refused("{\"items\":[{\"index\":{\"status\":0}}]}", 1, "status");
  refused("{\"items\":[{\"index\":{\"status\":99999999999999999999}}]}", 1, "status");
  refused("{\"items\":[{\"index\":{\"status\":\"201\"}}]}", 1, "status");
  refused("{\"items\":[{\"index\":{\"status\":201.5}}]}", 1, "status");
  refused("{\"items\":[{\"index\":{\"status\":0201}}]}", 1, "status");
  refused("{\"items\":[{\"index\":{\"status\":201},\"create\":{\"status\":201}}]}", 1, "the end of the item");
  refused("{\"items\":[{}]}", 1, "a string");
  refused("{\"items\":[7]}", 1, "an item");
  refused("{\"items\":[{\"index\":{\"status\":201}},]}", 1, "an item");
  refused("{\"items\":[],}", 0, "a string");
  refused("{\"errors\":1,\"items\":[]}", 0, "true or false");
  refused("{\"errors\":truE,\"items\":[]}", 0, "true, false or null");
  refused("{\"took\":-1,\"items\":[]}", 0, "milliseconds");
  refused("{\"x\":01,\"items\":[]}", 0, "',' or '}'");
  refused("{\"x\":1.,\"items\":[]}", 0, "a digit");
  refused("{\"x\":\"a\nb\",\"items\":[]}", 0, "control character");
  refused("{\"x\":\"\\x\",\"items\":[]}", 0, "an escape");
  refused("{\"x\":\"\\u12g4\",\"items\":[]}", 0, "hexadecimal");
  refused("{\"x\":[1,2},\"items\":[]}", 0, "',' or ']'");
  refused("{\"x\":{\"a\"},\"items\":[]}", 0, "':'");
}

static void deep_nesting(void **state) {
  (void)state;
  struct os_buf text;
  os_buf_init(&text, 0);
  os_buf_puts(&text, "{\"x\":");
  for (int i = 0; i < 100000; i++)
    os_buf_putc(&text, '[');
  os_buf_putc(&text, '\0');
  refused(text.data, 0, "less nesting");
  os_buf_free(&text);
}

static const char sample[] =
    "{\"took\":3,\"errors\":true,\"items\":[{\"index\":{\"_id\":\"\\u0041\",\"status\":201,"
    "\"result\":\"created\"}},{\"create\":{\"status\":400,\"error\":{\"type\":\"mapper\","
    "\"reason\":null,\"caused_by\":{\"reason\":\"x\"},\"l\":[1,-2.5e3,true]}}}]}";

/* Every shorter beginning of a good answer is refused: never a quiet end. */
static void cut_everywhere(void **state) {
  (void)state;
  char *copy = NULL;
  size_t len = sizeof sample - 1;
  assert_int_equal(parse_bytes(sample, len, 2, &copy), OS_OK);
  free(copy);
  for (size_t cut = 0; cut < len; cut++) {
    assert_int_equal(parse_bytes(sample, cut, 2, &copy), OS_ERR_ANSWER);
    free(copy);
    assert_non_null(strstr(error.text, cut ? "ends after" : "is empty"));
  }
}

/* Whatever one byte is changed to: no crash, and what is accepted keeps its promises. */
static void mutated_everywhere(void **state) {
  (void)state;
  char changed[sizeof sample], *copy = NULL;
  char type[OS_BULK_ERROR_TYPE], reason[OS_BULK_ERROR_REASON];
  size_t accepted = 0;
  for (size_t at = 0; at < sizeof sample - 1; at++) {
    for (int byte = 0; byte < 256; byte++) {
      memcpy(changed, sample, sizeof sample);
      changed[at] = (char)byte;
      int rc = parse_bytes(changed, sizeof sample - 1, 2, &copy);
      if (rc == OS_OK) {
        accepted++;
        for (int i = 0; i < 2; i++) {
          assert_in_range(items[i].status, 100, 599);
          int read = os_bulk_item_error(&items[i], type, reason);
          assert_true(read == OS_OK || read == OS_ERR_ANSWER);
        }
      } else {
        assert_int_equal(rc, OS_ERR_ANSWER);
      }
      free(copy);
    }
  }
  assert_true(accepted > sizeof sample); /* at least the unchanged ones, and changes inside strings */
}

static void random_bytes_inserted(void **state) {
  (void)state;
  static const char alphabet[] = "{}[]\",:\\utrue0123456789.eE+- \n\xc3\xa9\0";
  char changed[2 * sizeof sample], *copy = NULL;
  srand(7);
  for (int round = 0; round < 20000; round++) {
    size_t len = sizeof sample - 1;
    memcpy(changed, sample, len);
    for (int n = rand() % 4 + 1; n; n--) {
      size_t at = (size_t)rand() % len;
      if (rand() % 2) {
        memmove(changed + at, changed + at + 1, len - at - 1);
        len--;
      } else {
        memmove(changed + at + 1, changed + at, len - at);
        changed[at] = alphabet[(size_t)rand() % (sizeof alphabet - 1)];
        len++;
      }
    }
    int rc = parse_bytes(changed, len, 2, &copy);
    assert_true(rc == OS_OK || rc == OS_ERR_ANSWER);
    free(copy);
  }
}

static void error_of(const char *json, int rc, const char *type_wanted, const char *reason_wanted) {
  char type[OS_BULK_ERROR_TYPE], reason[OS_BULK_ERROR_REASON];
  struct os_bulk_item item = {.status = 400, .error = json, .error_len = strlen(json)};
  assert_int_equal(os_bulk_item_error(&item, type, reason), rc);
  assert_string_equal(type, type_wanted);
  assert_string_equal(reason, reason_wanted);
}

static void item_errors(void **state) {
  (void)state;
  error_of("{\"type\":\"mapper_parsing_exception\",\"reason\":\"failed to parse field "
           "[n]\",\"caused_by\":{\"type\":"
           "\"number_format_exception\",\"reason\":\"For input string: \\\"abc\\\"\"}}",
           OS_OK, "mapper_parsing_exception", "failed to parse field [n]: For input string: \"abc\"");
  error_of("{\"type\":\"a\",\"reason\":\"b "
           "c\",\"caused_by\":{\"type\":\"x\",\"reason\":\"b\",\"caused_by\":{\"type\":"
           "\"last\",\"reason\":null}}}",
           OS_OK, "a", "b c: last");
  error_of("\"plain words\"", OS_OK, "error", "plain words");
  error_of("{}", OS_OK, "error", "");
  error_of("{\"type\":\xff}", OS_ERR_ANSWER, "unreadable", "{\"type\":\xff}");
  char json[3000], type[OS_BULK_ERROR_TYPE], reason[OS_BULK_ERROR_REASON];
  snprintf(json, sizeof json, "{\"type\":\"t\",\"reason\":\"");
  while (strlen(json) < 2900)
    strcat(json, "\xc3\xa9");
  strcat(json, "\"}");
  struct os_bulk_item item = {.error = json, .error_len = strlen(json)};
  assert_int_equal(os_bulk_item_error(&item, type, reason), OS_OK);
  assert_int_equal(strlen(reason), 1022); /* cut between two characters */
}

static void ten_thousand_items(void **state) {
  (void)state;
  enum { MANY = 10000 };
  struct os_buf text;
  os_buf_init(&text, 0);
  os_buf_puts(&text, "{\"took\":100,\"errors\":false,\"items\":[");
  for (int i = 0; i < MANY; i++)
    os_buf_printf(&text, "%s{\"index\":{\"_id\":\"AbCdEfGhIj%06d\",\"result\":\"created\",\"status\":201}}",
                  i ? "," : "", i);
  os_buf_puts(&text, "]}");
  assert_false(text.failed);
  struct os_bulk_item *many = calloc(MANY, sizeof *many);
  double best = 1;
  for (int round = 0; round < 20; round++) {
    double start = os_clock_monotonic();
    assert_int_equal(os_bulk_answer_parse(text.data, text.len, MANY, many, &errors, &took, &error), OS_OK);
    double seconds = os_clock_monotonic() - start;
    if (seconds < best) best = seconds;
  }
  print_message("%zu bytes, 10,000 items: %ld us\n", text.len, (long)(best * 1e6));
  assert_int_equal(many[MANY - 1].status, 201);
  assert_false(errors);
  free(many);
  os_buf_free(&text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(filtered_answer),    cmocka_unit_test(full_answer_any_order_and_space),
      cmocka_unit_test(lying_flag),         cmocka_unit_test(wrong_content),
      cmocka_unit_test(deep_nesting),       cmocka_unit_test(cut_everywhere),
      cmocka_unit_test(mutated_everywhere), cmocka_unit_test(random_bytes_inserted),
      cmocka_unit_test(item_errors),        cmocka_unit_test(ten_thousand_items),
  };
  return cmocka_run_group_tests_name("cluster_bulk_answer", tests, NULL, NULL);
}
