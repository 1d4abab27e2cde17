/* head_fuzz.c - any bytes as the beginning of a file: a format is guessed, and every format's examination ends in
** facts or in an error that says what and what to do; the same bytes give the same twice. Byte 0 of the input chooses
** the options.
*/
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buffer.h"
#include "format/parser.h"

static void demand(int truth, const char *what) {
  if (truth) return;
  fprintf(stderr, "broken: %s\n", what);
  abort();
}

static void examine(enum os_format format, const struct os_parse_options *options, const char *head,
                    size_t len, bool is_all) {
  struct os_head_facts facts = {0}, again = {0};
  struct os_error error, other;
  os_error_clear(&error);
  os_error_clear(&other);
  int code = os_head_examine(format, options, head, len, is_all, &facts, &error);
  demand(!code || ((code == OS_ERR_FORMAT || code == OS_ERR_ARGUMENT) && error.text[0]), "errors say what");
  demand(code == os_head_examine(format, options, head, len, is_all, &again, &other), "the same twice");
  if (!code) {
    demand(facts.carries_id == again.carries_id && facts.empty == again.empty, "the same facts");
    demand(!facts.columns || json_is_array(facts.columns), "columns are a list");
    demand(json_equal(facts.columns, again.columns) || facts.columns == again.columns, "the same columns");
  }
  os_head_facts_free(&facts);
  os_head_facts_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len < 1) return 0;
  struct os_parse_options options = {.id_field = data[0] & 1 ? "_id" : NULL,
                                     .header = data[0] & 2,
                                     .trim = data[0] & 4,
                                     .nested_columns = data[0] & 8,
                                     .no_quote = data[0] & 16,
                                     .sample_rows = 100};
  bool is_all = data[0] & 32;
  len--;
  char *head = malloc(len + OS_PAD);
  memcpy(head, data + 1, len);
  memset(head + len, 'x', OS_PAD);
  enum os_format guess = os_format_by_content(head, len);
  demand(guess == os_format_by_content(head, len) && os_format_name(guess), "a format has a name");
  for (enum os_format format = OS_FORMAT_CSV; format <= OS_FORMAT_NDJSON; format++)
    examine(format, &options, head, len, is_all);
  free(head);
  return 0;
}

#include "mutations.h"

__attribute__((unused)) static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\x2fid,name,a.b,a.c\n1,x,2,2026-01-31\n2,\"y, z\",3.5,\n"),
    FUZZ_SEED("\x23\xef\xbb\xbf"
              "id\tname\r\n1\tx\r\n"),
    FUZZ_SEED("\x21[{\"_id\":\"a\",\"n\":1},\n{\"_id\":\"b\"}]"),
    FUZZ_SEED("\x21{\"k\":{\"n\":1},\"l\":{\"n\":2}}"),
    FUZZ_SEED("\x01{\"_id\":1}\n{\"_id\":2}\n"),
    FUZZ_SEED("\x03\xff\xfe"
              "i\0d\0\n\0"),
};

FUZZ_MAIN(seeds)
