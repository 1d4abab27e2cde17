/* format_nomem_test.c - every allocation of a file's reading fails once, ours through the seam and jansson's through
** its own: each time it is told as that, never as a fault of the file and never as a wrong result. Leaks are
** AddressSanitizer's to find.
**
** The sinks here take no memory of their own, so that all that fails is what is tested.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "format/parser.h"
#include "format/search_hits.h"

/* ---- whose memory runs out ---- */

static long jansson_left = -1, jansson_asked; /* -1: never */

static void *jansson_malloc(size_t size) {
  jansson_asked++;
  if (jansson_left >= 0 && jansson_left-- == 0) {
    errno = ENOMEM; /* as malloc() does */
    return NULL;
  }
  return malloc(size);
}

/* Runs the scenario again and again, until no allocation fails any more. It returns what it was told, and asserts by
** itself that a result is whole. Returns how many runs were told of missing memory. */
static long every_failure(int (*scenario)(struct os_error *error)) {
  long told = 0;
  for (int ours = 0; ours < 2; ours++)
    for (long n = 0, beyond = 0; !beyond; n++) {
      struct os_error error;
      os_error_clear(&error);
      jansson_asked = 0;
      jansson_left = ours ? -1 : n;
      os_alloc_fail_after(ours ? n : -1, 1);
      int code = scenario(&error);
      beyond = (ours ? os_alloc_count() : jansson_asked) <= n;
      os_alloc_fail_after(-1, 0);
      jansson_left = -1;
      if (code) {
        assert_int_equal(code, OS_ERR_NOMEM);
        assert_int_equal(error.code, OS_ERR_NOMEM);
        assert_false(beyond);
        told++;
      }
      assert_true(n < 100000);
    }
  return told;
}

/* ---- what came out ---- */

static struct {
  char text[1 << 18];
  size_t len;
} seen;

static void see(const char *text, size_t len) {
  assert_true(seen.len + len + 1 < sizeof seen.text);
  memcpy(seen.text + seen.len, text, len);
  seen.len += len;
  seen.text[seen.len++] = '\n';
  seen.text[seen.len] = '\0';
}

static int see_record(void *ctx, const struct os_record *record) {
  (void)ctx;
  see(record->doc, record->doc_len);
  return OS_OK;
}

static int see_reject(void *ctx, const struct os_reject *reject) {
  (void)ctx;
  char text[80];
  snprintf(text, sizeof text, "%s %zu", reject->type, reject->raw_len);
  see(text, strlen(text));
  return OS_OK;
}

static enum os_format format;
static struct os_parse_options options;
static char file[1 << 18]; /* with more than OS_PAD zeros behind it */
static char expected[1 << 18];

static void set_file(const char *text) {
  memset(file, 0, sizeof file);
  strcpy(file, text);
}

static int read_file(struct os_error *error) {
  const struct os_record_sink sink = {see_record, see_reject, NULL};
  struct os_parser_start start = {
      .source_name = "f", .head = file, .head_len = strlen(file), .head_is_all = true};
  struct os_parser *parser;
  size_t used;
  seen.len = 0;
  seen.text[0] = '\0';
  int code = os_parser_open(&parser, format, &options, &start, &sink, error);
  if (!code) code = os_parser_run(parser, file, strlen(file), true, &used, error);
  os_parser_free(parser);
  if (!code) assert_string_equal(seen.text, expected);
  return code;
}

static json_t *wanted_columns;
static bool wanted_id;

static int examine_file(struct os_error *error) {
  struct os_head_facts facts;
  int code = os_head_examine(format, &options, file, strlen(file), true, &facts, error);
  if (code) {
    assert_null(facts.columns);
    assert_null(facts.types);
    return code;
  }
  assert_true(json_equal(facts.columns, wanted_columns));
  assert_true(facts.carries_id == wanted_id);
  os_head_facts_free(&facts);
  return OS_OK;
}

/* ---- CSV ---- */

enum { COLUMNS = 65, PLAIN = 0, QUOTED, LIBCSV }; /* the last cell is the one that needs room for more */

/* A row that is cut at its delimiters, at its quotes, or by libcsv, because a blank stands behind a quote. */
static char *put_row(char *to, int kind, char letter) {
  for (int i = 0; i < COLUMNS; i++) {
    if (i) *to++ = ',';
    bool quoted = i == 1 && kind;
    to += sprintf(to, quoted ? "\"%c%d\"%s" : "%c%d", letter, i, kind == LIBCSV ? " " : "");
  }
  return to;
}

static void csv_with_many_columns(void **state) {
  (void)state;
  options = (struct os_parse_options){
      .header = true, .nested_columns = true, .trim = true, .id_field = "c0", .source_field = "from"};
  format = OS_FORMAT_CSV;
  wanted_columns = json_array();
  wanted_id = true;
  for (int i = 0; i < COLUMNS; i++)
    json_array_append_new(wanted_columns, json_sprintf("c%d", i));
  for (int header = PLAIN; header <= LIBCSV; header++)
    for (int row = PLAIN; row <= LIBCSV; row++) {
      memset(file, 0, sizeof file);
      char *to = put_row(file, header, 'c');
      *to++ = '\n';
      put_row(to, row, 'v'); /* ended by the file's end */
      to = expected;
      for (int i = 1; i < COLUMNS; i++)
        to += sprintf(to, "%c\"c%d\":\"v%d\"", i > 1 ? ',' : '{', i, i);
      strcpy(to, ",\"from\":\"f\"}\n");
      assert_in_range(every_failure(read_file), 2 * COLUMNS, 10000);
      assert_in_range(every_failure(examine_file), 4 * COLUMNS, 10000);
    }
  json_decref(wanted_columns);
}

static void csv_with_names_given(void **state) {
  (void)state;
  static const char *const names[] = {"a", "b.c"};
  options = (struct os_parse_options){.columns = names, .column_count = 2, .nested_columns = true};
  format = OS_FORMAT_CSV;
  set_file("1,\"x\ny\"\n");
  strcpy(expected, "{\"a\":1,\"b\":{\"c\":\"x\\ny\"}}\n");
  assert_in_range(every_failure(read_file), 10, 1000);
  wanted_columns = json_pack("[ss]", "a", "b.c");
  wanted_id = false;
  assert_in_range(every_failure(examine_file), 10, 1000);
  json_decref(wanted_columns);
}

static void csv_without_columns(void **state) {
  (void)state;
  options = (struct os_parse_options){.header = true};
  format = OS_FORMAT_CSV;
  set_file("\n\n");
  expected[0] = '\0';
  assert_in_range(every_failure(read_file), 3, 100);
  wanted_columns = json_array();
  wanted_id = false;
  assert_in_range(every_failure(examine_file), 3, 100);
  json_decref(wanted_columns);
}

/* JSON in a cell takes memory where it has blanks: when types are told from the mapping, and in the document. */
static void csv_with_json(void **state) {
  (void)state;
  json_t *mapping = json_pack("{s{s{ss}}}", "properties", "j", "type", "geo_point");
  options = (struct os_parse_options){.header = true, .mapping = mapping};
  format = OS_FORMAT_CSV;
  set_file("j\n\"[ 1, 2 ]\"\n\"{\"\"lat\"\" : 1}\"\n");
  strcpy(expected, "{\"j\":[1,2]}\n{\"j\":{\"lat\":1}}\n");
  assert_in_range(every_failure(read_file), 10, 1000);
  json_decref(mapping);
}

static void csv_with_long_rows(void **state) {
  (void)state;
  enum { LONG = 70000 };
  options = (struct os_parse_options){.header = true};
  format = OS_FORMAT_CSV;
  set_file("a,b\n");
  memset(file + 4, 'x', LONG); /* too long to be cut quickly */
  strcpy(file + 4 + LONG, ",\"y\"\n");
  strcpy(expected, "{\"a\":\"");
  memset(expected + 6, 'x', LONG);
  strcpy(expected + 6 + LONG, "\",\"b\":\"y\"}\n");
  assert_in_range(every_failure(read_file), 10, 1000);
  options.max_record = 100; /* its beginning is kept for the reject */
  sprintf(expected, "record_too_long %d\n", LONG + 4);
  assert_in_range(every_failure(read_file), 10, 1000);
}

/* ---- JSON ---- */

#define LONG_TEXT "0123456789012345678901234567890123456789012345678901234567890123456789"

static void json_files(void **state) {
  (void)state;
  static const struct {
    enum os_format format;
    const char *source_field, *text, *docs;
  } cases[] = {
      {OS_FORMAT_NDJSON, "s", "{\"a\":1}\n{}", "{\"a\":1,\"s\":\"f\"}\n{\"s\":\"f\"}\n"},
      {OS_FORMAT_NDJSON, NULL, "{ \"a\":1}\n", "{\"a\":1}\n"},
      {OS_FORMAT_NDJSON, NULL, "{ \"a\":\"" LONG_TEXT "\"}\n", "{\"a\":\"" LONG_TEXT "\"}\n"},
      {OS_FORMAT_NDJSON, NULL, "{\"" LONG_TEXT "\": \"" LONG_TEXT LONG_TEXT "\"}\n",
       "{\"" LONG_TEXT "\":\"" LONG_TEXT LONG_TEXT "\"}\n"},
      {OS_FORMAT_NDJSON, NULL, "{\"_id\":1,\"a\":\"" LONG_TEXT "\"}\n", "{\"a\":\"" LONG_TEXT "\"}\n"},
      {OS_FORMAT_NDJSON, NULL, "{\"a\":tru}\n{}", "invalid_json 9\n{}\n"},
      {OS_FORMAT_JSON, NULL, "[ { \"a\" : [ 1 ] } ]", "{\"a\":[1]}\n"},
      {OS_FORMAT_JSON, NULL, "{ \"a\" : [ 1 ] }", "{\"a\":[1]}\n"},
      {OS_FORMAT_JSON, NULL, "{ \"x\" : { \"a\" : 1 } , \"y\" : { } }", "{\"a\":1}\n{}\n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    options = (struct os_parse_options){.id_field = "_id", .source_field = cases[i].source_field};
    format = cases[i].format;
    set_file(cases[i].text);
    strcpy(expected, cases[i].docs);
    assert_in_range(every_failure(read_file), 3, 100);
  }
}

/* A name whose decoding failed for want of memory is not the name of another member. */
static void json_heads(void **state) {
  (void)state;
  static const char *const texts[] = {
      "[ { \"\\u006b\" : [ 1 ] , \"\\ud800\" : 2 } ]",
      "{ \"x\" : { \"\\u006b\" : [ 1 ] , \"\\ud800\" : 2 } , \"y\" : { \"a\" : 1 } }",
  };
  options = (struct os_parse_options){.id_field = "k"};
  format = OS_FORMAT_JSON;
  wanted_columns = json_pack("[ss]", "k", "\\ud800");
  wanted_id = true;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    set_file(texts[i]);
    assert_in_range(every_failure(examine_file), 8, 100);
  }
  json_decref(wanted_columns);
  wanted_columns = json_array(); /* more members than jansson makes room for at first */
  wanted_id = false;
  char *to = file + sprintf(file, "{");
  for (int i = 0; i < 20; i++) {
    to += sprintf(to, "%s\"m%d\":%d", i ? "," : "", i, i);
    json_array_append_new(wanted_columns, json_sprintf("m%d", i));
  }
  strcpy(to, "}");
  assert_in_range(every_failure(examine_file), 22, 200);
  json_decref(wanted_columns);
}

static int read_hits(struct os_error *error) {
  struct os_search_hits *hits;
  struct os_search_hit hit;
  bool found = true;
  int count = 0, code = os_search_hits_open(&hits, file, strlen(file), error);
  while (!code && !(code = os_search_hits_next(hits, &hit, &found, error)) && found)
    count++;
  os_search_hits_close(hits);
  if (!code) assert_int_equal(count, 2);
  return code;
}

static void hits(void **state) {
  (void)state;
  set_file("{ \"hits\" : { \"hits\" : [ { \"_id\" : \"1\" , \"_source\" : { \"a\" : 1 } } , { \"_id\" : "
           "\"2\" } ] } }");
  assert_in_range(every_failure(read_hits), 5, 100);
}

int main(void) {
  json_set_alloc_funcs(jansson_malloc, free);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(csv_with_many_columns),
      cmocka_unit_test(csv_with_names_given),
      cmocka_unit_test(csv_without_columns),
      cmocka_unit_test(csv_with_json),
      cmocka_unit_test(csv_with_long_rows),
      cmocka_unit_test(json_files),
      cmocka_unit_test(json_heads),
      cmocka_unit_test(hits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
