/* format_csv_parts_test.c - the parts of the CSV parser that its files do not show one by one: the second look at a
** row, escapes, dialects that are refused, heads that are cut, and rows that are found faulty behind odd line breaks.
*/
#include "format_csv_collect.h"
#include "format/csv_columns.h"

static const char *const no_text[] = {""};
static const struct os_parse_options usual = {
    .header = true, .nested_columns = true, .null_values = no_text, .null_value_count = 1};

/* Records, "!type" and the reason of each reject; or "=error". */
static const char *read_csv(const struct os_parse_options *options, enum os_format format, const char *text) {
  static struct collected c;
  static struct os_error error;
  collected_free(&c);
  collected_init(&c);
  size_t len = strlen(text);
  if (collect_from(options, format, text, len, 0, 1, len + 1, &c, &error) != OS_OK) {
    os_buf_clear(&c.brief);
    os_buf_printf(&c.brief, "=%s", error.text);
  } else if (c.type[0]) {
    os_buf_puts(&c.brief, c.reason);
  }
  const char *result = c.brief.data;
  return result;
}

static void has(const char *text, const char *part) {
  if (!strstr(text, part)) fail_msg("%s: not in %s", part, text);
}

/* ---- the second look ---- */

/* The walk stays inside the row, whatever stands there: "begin-end", quoted ones with a q. */
static void walk_is(const struct os_csv_dialect *dialect, const char *raw, const char *expected) {
  struct os_csv_row row = {.raw = raw, .raw_len = strlen(raw)};
  struct os_csv_walk walk = {0};
  char found[200] = "";
  size_t len = 0, cells = 0;
  while (os_csv_walk_next(dialect, &row, &walk)) {
    assert_int_equal(walk.cell, ++cells);
    assert_in_range(walk.end, walk.begin, row.raw_len);
    len += (size_t)snprintf(found + len, sizeof found - len, " %zu-%zu%s", walk.begin, walk.end,
                            walk.quoted ? "q" : "");
  }
  assert_string_equal(found, expected);
}

static void walks(void **state) {
  (void)state;
  struct os_csv_dialect comma = {.delimiter = ',', .quote = '"'};
  walk_is(&comma, "", " 0-0");
  walk_is(&comma, "a,,b", " 0-1 2-2 3-4");
  walk_is(&comma, "a,", " 0-1 2-2");
  walk_is(&comma, "\"a,\"\"b\",c", " 0-7q 8-9");
  walk_is(&comma, "a, \"b,c\"", " 0-1 2-5 6-8"); /* no quoted cell begins with a blank */
  walk_is(&comma, "a,\"b,c", " 0-1 2-6q");       /* not closed: to the end of the row */
  walk_is(&comma, "a,\"", " 0-1 2-3q");
  walk_is(&comma, "a,\"b\"\"", " 0-1 2-6q");
  struct os_csv_dialect trim = {.delimiter = '\t', .quote = '"', .trim = true};
  walk_is(&trim, " \"a\tb\" \t c\t ", " 0-7q 8-10 11-12"); /* a delimiter is no blank */
  walk_is(&trim, "\t\"x\"", " 0-0 1-4q");
  struct os_csv_dialect none = {.delimiter = ',', .quote = '"', .no_quote = true};
  walk_is(&none, "\"a,b\"", " 0-2 3-5");
}

/* Which of several equal texts is null hangs on quotes, which only a second look tells. */
static void nulls_by_a_second_look(void **state) {
  (void)state;
  static const char *const words[] = {"NULL"};
  struct os_parse_options options = usual;
  options.null_values = words;
  assert_string_equal(read_csv(&options, OS_FORMAT_CSV, "a,b,c\n\"x,\"\"y\",\"NULL\",NULL\n"),
                      "{\"a\":\"x,\\\"y\",\"b\":\"NULL\",\"c\":null}\n");
  options.trim = true;
  assert_string_equal(read_csv(&options, OS_FORMAT_TSV, "a\tb\tc\n \"x\ty\" \t \"NULL\"\tNULL \n"),
                      "{\"a\":\"x\\ty\",\"b\":\"NULL\",\"c\":null}\n");
}

/* A byte is told by the line it stands in, and a CR is the end of one where no LF follows. */
static void bytes_behind_breaks(void **state) {
  (void)state;
  has(read_csv(&usual, OS_FORMAT_CSV, "a,b\n1,\"x\ry\rcaf\xE9\"\n"), "line 4, byte 4, column 2 (b): 0xE9");
  has(read_csv(&usual, OS_FORMAT_CSV, "a,b\n1,\"x\r\ny\r\ncaf\xE9\"\n"),
      "line 4, byte 4, column 2 (b): 0xE9");
  has(read_csv(&usual, OS_FORMAT_CSV, "a,b\n\xE9,2,3\n"), "line 2, byte 1, column 1 (a): 0xE9");
  has(read_csv(&usual, OS_FORMAT_CSV, "a,b\n1,2,\xE9\n"), "column 3 (behind the last one): 0xE9");
  struct os_parse_options none = usual;
  none.no_quote = true;
  has(read_csv(&none, OS_FORMAT_CSV, "a,b\n\"1,\xE9\"\n"), "line 2, byte 4, column 2 (b): 0xE9");
}

/* ---- text ---- */

static void escapes(void **state) {
  (void)state;
  char every[0x80 + OS_PAD] = "";
  struct os_buf out;
  os_buf_init(&out, 0);
  os_csv_put_escaped(&out, "", 0); /* a buffer that never held anything stays readable */
  assert_string_equal(out.data, "");
  for (int i = 0; i < 0x80; i++)
    every[i] = (char)i;
  os_buf_putc(&out, '"');
  os_csv_put_escaped(&out, every, 0x80);
  os_buf_putc(&out, '"');
  json_t *back = json_loadb(out.data, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
  assert_int_equal(json_string_length(back), 0x80);
  assert_memory_equal(json_string_value(back), every, 0x80);
  json_decref(back);
  os_buf_free(&out);
}

/* A row that is longer than what is cut quickly is read all the same, quotes or not. */
static void long_rows(void **state) {
  (void)state;
  enum { LONG = 70000 };
  char *text = calloc(1, LONG + 100), *expected = calloc(1, LONG + 100);
  for (int quoted = 0; quoted < 2; quoted++) {
    strcpy(text, "a,b\n");
    memset(text + 4, 'x', LONG);
    strcpy(text + 4 + LONG, quoted ? ",\"y,z\"\n1,2\n" : ",yz\n1,2\n");
    strcpy(expected, "{\"a\":\"");
    memset(expected + 6, 'x', LONG);
    strcpy(expected + 6 + LONG, quoted ? "\",\"b\":\"y,z\"}\n" : "\",\"b\":\"yz\"}\n");
    strcat(expected, "{\"a\":\"1\",\"b\":\"2\"}\n");
    assert_string_equal(read_csv(&usual, OS_FORMAT_CSV, text), expected);
  }
  free(text);
  free(expected);
}

static void json_cells_without_json(void **state) {
  (void)state;
  struct os_parse_options options = usual;
  json_t *types = json_pack("{ss}", "j", "json");
  options.types = types;
  assert_string_equal(read_csv(&options, OS_FORMAT_CSV, "j,k\n  ,1\n\" \n\",2\n"),
                      "{\"j\":\"  \",\"k\":1}\n{\"j\":\" \\n\",\"k\":2}\n");
  json_decref(types);
  options.types = types = json_pack("{si}", "j", 5);
  has(read_csv(&options, OS_FORMAT_CSV, "j\n1\n"), "=types: the type of column 'j' is not known");
  json_decref(types);
}

/* ---- dialects, names, heads ---- */

static void what_is_refused(void **state) {
  (void)state;
  static const char *const blank[] = {"a", " "};
  struct os_parse_options options = usual;
  options.quote = '\n';
  has(read_csv(&options, OS_FORMAT_CSV, "a\n1\n"), "=a line break can be neither delimiter nor quote");
  options.no_quote = true; /* then it is never asked for */
  assert_string_equal(read_csv(&options, OS_FORMAT_CSV, "a\n1\n"), "{\"a\":1}\n");
  options = usual;
  options.columns = blank;
  options.column_count = 2;
  has(read_csv(&options, OS_FORMAT_CSV, "1,2\n"), "=the header's column 2 has no name");
}

static int examine(const struct os_parse_options *options, const char *text, bool all,
                   struct os_head_facts *facts, struct os_error *error) {
  char *head = window_of(text, strlen(text));
  int code = os_head_examine(OS_FORMAT_CSV, options, head, strlen(text), all, facts, error);
  free(head);
  return code;
}

/* What is cut off may still come: a head of blank lines is no empty file unless it is all of it. */
static void heads(void **state) {
  (void)state;
  static const char *const names[] = {"a", "b"};
  struct os_parse_options options = usual;
  struct os_head_facts facts;
  struct os_error error;
  options.header = false;
  options.columns = names;
  options.column_count = 2;
  for (int all = 0; all < 2; all++) {
    assert_int_equal(examine(&options, "\n\n\n", all, &facts, &error), OS_OK);
    assert_true(facts.empty == all);
    assert_int_equal(json_array_size(facts.columns), 2);
    os_head_facts_free(&facts);
  }
  options = usual;
  options.source_field = "from"; /* which file it is does not matter to the names */
  assert_int_equal(examine(&options, "a,b\n1,2\n", true, &facts, &error), OS_OK);
  assert_int_equal(json_array_size(facts.columns), 2);
  os_head_facts_free(&facts);
  options.source_field = "b";
  assert_int_equal(examine(&options, "a,b\n1,2\n", true, &facts, &error), OS_ERR_FORMAT);
}

/* Without a head, a header that cannot be used is found in the first window. */
static void header_in_a_window(void **state) {
  (void)state;
  struct os_parser_start start = {.source_name = NULL}; /* neither name nor line: "" and 1 */
  struct os_parse_options options = usual;
  struct os_parser *parser;
  struct os_error error;
  struct collected c;
  size_t used;
  options.source_field = "from";
  static const char *const texts[] = {"a,a\n1,2\n", "a,b\n1,2\n"};
  for (int good = 0; good < 2; good++) {
    collected_init(&c);
    struct os_record_sink sink = {collect_record, collect_reject, &c};
    assert_int_equal(os_parser_open(&parser, OS_FORMAT_CSV, &options, &start, &sink, &error), OS_OK);
    char *window = window_of(texts[good], 8);
    assert_int_equal(os_parser_run(parser, window, 8, true, &used, &error), good ? OS_OK : OS_ERR_FORMAT);
    if (!good) has(error.text, "columns 1 and 2 are both named 'a'");
    assert_int_equal(used, good ? 8 : 0);
    assert_string_equal(c.full.data, good ? "{\"a\":1,\"b\":2,\"from\":\"\"} id= [4,8) 2-3 raw=1,2\n" : "");
    free(window);
    os_parser_free(parser);
    collected_free(&c);
  }
}

static int teardown(void **state) {
  (void)state;
  read_csv(&usual, OS_FORMAT_CSV, ""); /* frees what it kept */
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(walks),
      cmocka_unit_test(nulls_by_a_second_look),
      cmocka_unit_test(bytes_behind_breaks),
      cmocka_unit_test(escapes),
      cmocka_unit_test(long_rows),
      cmocka_unit_test(json_cells_without_json),
      cmocka_unit_test(what_is_refused),
      cmocka_unit_test(heads),
      cmocka_unit_test(header_in_a_window),
  };
  return cmocka_run_group_tests(tests, NULL, teardown);
}
