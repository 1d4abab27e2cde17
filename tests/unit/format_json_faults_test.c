/* format_json_faults_test.c - what is said of a broken JSON text, where reading goes on behind it, and going on inside
** a file whose first bytes are others than they were.
*/
#include "format_json_collect.h"
#include "format/json_impl.h"

#define JSON OS_FORMAT_JSON
#define NDJSON OS_FORMAT_NDJSON

static void ends_with_words(const char *data, size_t len, const char *words) {
  struct collect c = {.format = JSON, .data = data, .len = len};
  collect(&c);
  assert_int_equal(c.code, OS_ERR_FORMAT);
  if (!strstr(c.error.text, words)) fail_msg("%s\n gave\n%s\n instead of\n%s", data, c.error.text, words);
  collect_free(&c);
}

static void test_words(void **state) {
  (void)state;
  static const struct {
    const char *data, *words;
  } cases[] = {
      {"{\"a\":'x'}", "line 1 column 6 (byte 5): found \"'\" where a value should stand"},
      {"{\"a\":{} \"b\":{}}", "line 1 column 9 (byte 8): found '\"' where ',' or '}' should stand"},
      {"{\"a\":\"x\ny\"}", "its closing quote is missing, or it must be written as \\n"},
      {"{\"a\":\"x\ry\"}", "its closing quote is missing, or it must be written as \\r"},
      {"{\"a\":\"\\\x7f\"}", "a backslash that begins no escape"},
      {"{\"a\":\"\\u12g4\"}", "\\u must be followed by four hexadecimal digits"},
      {"{\"a\":\"\\", "the text ends where the closing quote of a string should stand"},
      {"\xff{}", "line 1 column 1 (byte 0): found the byte 0xFF where a value should stand"},
      {"\xfe{}", "found the byte 0xFE where a value should stand"},
      {"\xef{}", "found the byte 0xEF where a value should stand"},
      {"\xef\xbb{}", "found the byte 0xEF where a value should stand"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    ends_with_words(cases[i].data, strlen(cases[i].data), cases[i].words);
  ends_with_words("\0\0\xfe\xff\0\0\0{", 8, "UTF-16 or UTF-32");
  ends_with_words("\0\0\xfe{", 4, "found the byte 0x00 where a value should stand");
  ends_with_words("\0\0{}", 4, "found the byte 0x00 where a value should stand");
  struct os_json_scan scan = {.fault = OS_JSON_NOMEM};
  struct os_json_place place = {1, 2, 3};
  char words[OS_JSON_WORDS];
  os_json_fault_words(&scan, &place, words);
  assert_string_equal(words, "line 1 column 2 (byte 3): out of memory");
}

/* Lines may begin with the comma of the record before, and columns count from there all the same. */
static void test_columns_behind_commas(void **state) {
  (void)state;
  static const struct {
    const char *data, *place;
  } cases[] = {
      {"[{\"a\":1}\n,tru]", "line 2 column 2 (byte 10): "},
      {"[{\"a\":1}\n,3]", "line 2 column 2 (byte 10): "},
      {"[{\"a\":1},\n3]", "line 2 column 1 (byte 10): "},
      {"[{\n\"a\":1\n}\n\n ,  3]", "line 5 column 5 (byte 16): "},
      {"{\"x\":{}\n,\"y\":{}\n\n, \"z\":3}", "line 4 column 7 (byte 23): "},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct collect c = {.format = JSON, .data = cases[i].data, .len = strlen(cases[i].data)};
    if (cases[i].data[0] == '{') c.options.json_root = OS_ROOT_MEMBERS;
    collect(&c);
    if (!strstr(c.log.data, cases[i].place)) fail_msg("%s\n gave\n%s", cases[i].data, c.log.data);
    collect_free(&c);
  }
}

/* A foreign name is cut before a character, and bytes that are no text at all are not shown. */
static void test_shown_names(void **state) {
  (void)state;
  char name[100];
  memset(name, 'x', sizeof name);
  assert_int_equal(os_json_shown_len(name, 60), 60);
  assert_int_equal(os_json_shown_len(name, 61), 60);
  memcpy(name + 58, "\xe2\x82\xac", 3);
  assert_int_equal(os_json_shown_len(name, 100), 58);
  memset(name, '\x80', sizeof name);
  assert_int_equal(os_json_shown_len(name, 100), 0);
}

/* Half a pair counts as the three bytes it is sent as, whatever follows it. */
static void test_half_pairs(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t len;
  } cases[] = {{"\\udc00", 3},        {"\\udc00\\udc00", 6}, {"\\uffff", 3},        {"\\ud83d\\nxxxx", 8},
               {"\\ud83d\\u0041", 4}, {"\\ud83d\\uffff", 6}, {"\\ud83d\\ud83d", 6}, {"\\ud83d\\udfff", 4}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_int_equal(os_json_decoded_len(cases[i].text, strlen(cases[i].text)), cases[i].len);
}

/* Cut off among the blanks behind a name that stood there before: more is wanted, and nothing behind is looked at. */
static void test_cut_behind_known_names(void **state) {
  (void)state;
  static const char known[] = "{\"a\":1,\"b\":2,\"c\":333333333333333}";
  static const char *const cut[] = {"{\"a\":                    ", "{\"a\":1,\"b\":                    "};
  struct os_json_scan *scan = malloc(sizeof *scan);
  os_json_scan_init(scan);
  for (int i = 0; i < 2; i++) {
    char text[128];
    size_t len = strlen(cut[i]);
    memset(text, '1', sizeof text);
    memcpy(text, known, sizeof known);
    assert_true(os_json_scan(scan, text, text + sizeof known - 1));
    memset(text, '1', sizeof text);
    memcpy(text, cut[i], len);
    assert_false(os_json_scan(scan, text, text + len));
    assert_int_equal(scan->fault, OS_JSON_MORE);
    assert_ptr_equal(scan->at, text + len);
    assert_string_equal(scan->expected, "a value");
    text[len + 1] = '}';
    assert_true(os_json_scan(scan, text, text + len + 2));
    assert_int_equal(scan->doc_len, i ? 13 : 7);
    assert_memory_equal(scan->doc, "{\"a\":1,\"b\":1}", i ? 11 : 6);
  }
  os_json_scan_free(scan);
  free(scan);
}

/* ---- going on behind a broken document ---- */

static void test_where_the_next_begins(void **state) {
  (void)state;
  static const struct {
    const char *data, *docs;
  } cases[] = {
      /* the line with the closing bracket of an array is the document's own */
      {"{\"a\":[tru,\n  1\n],\"b\":1}\n{\"c\":1}\n", "!invalid_json\n{\"c\":1}\n"},
      {"{\"a\":[tru,\n  1\n]\n}\n{\"c\":1}\n", "!invalid_json\n{\"c\":1}\n"},
      /* behind a fault on a later line nothing but an object begins a document */
      {"{\"a\":1,\n\"b\":tru,\n\"c\":3,\n\"d\":[\n4]}\n{\"e\":5}\n", "!invalid_json\n{\"e\":5}\n"},
      /* behind one on the first line anything does that is not indented: it may be the next record */
      {"{\"a\":[tru,\n\"b\"\n{\"e\":5}\n", "!invalid_json\n!not_an_object\n{\"e\":5}\n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct collect c = collected(NDJSON, cases[i].data);
    if (strcmp(c.docs.data, cases[i].docs))
      fail_msg("%s\n gave\n%s\n instead of\n%s", cases[i].data, c.docs.data, cases[i].docs);
    collect_free(&c);
  }
}

/* Whoever takes the records may end the reading at one that is refused, too. */
static int no_more(void *ctx, const struct os_reject *reject) {
  *(int *)ctx += 1;
  assert_int_equal(reject->offset, 3);
  assert_int_equal(reject->end, 8);
  assert_int_equal(reject->line, 2);
  return OS_ERR_CANCELLED;
}

static int one_more(void *ctx, const struct os_record *record) {
  (void)record;
  *(int *)ctx += 10;
  return OS_OK;
}

static void test_sink_stops_at_a_reject(void **state) {
  (void)state;
  static const char data[8 + 3 + OS_PAD] = "{}\noops\n{}\n";
  int calls = 0;
  struct os_record_sink sink = {one_more, no_more, &calls};
  struct os_parse_options options = {0};
  struct os_parser_start start = {.source_name = NULL}; /* neither name nor line: "" and 1 */
  struct os_parser *parser;
  struct os_error error;
  size_t used;
  assert_int_equal(os_parser_open(&parser, NDJSON, &options, &start, &sink, &error), OS_OK);
  assert_int_equal(os_parser_run(parser, data, 11, true, &used, &error), OS_ERR_CANCELLED);
  assert_int_equal(calls, 11);
  assert_int_equal(os_parser_records(parser), 2);
  os_parser_free(parser);
}

/* What is kept of a refused record is bounded, also where it stands in an array. */
static void test_long_rejects_are_cut(void **state) {
  (void)state;
  size_t len = OS_REJECT_RAW_MAX + 1000;
  char *data = malloc(len + 1);
  memset(data, ' ', len);
  memcpy(data, "[[1", 3);
  memcpy(data + len - 3, "2]]", 4);
  data[len / 2] = ',';
  struct collect c = collected(JSON, data);
  assert_string_equal(c.docs.data, "!not_an_object\n");
  assert_in_range(c.log.len, OS_REJECT_RAW_MAX, OS_REJECT_RAW_MAX + 300);
  assert_int_equal(c.ends[0], len - 1); /* the whole of it was passed */
  collect_free(&c);
  free(data);
}

/* ---- going on inside a file ---- */

static int resumed(enum os_format format, enum os_json_root root, const char *head, size_t head_len,
                   struct os_error *error) {
  static const char rest[16 + OS_PAD] = "{\"a\":2}\n";
  int calls = 0;
  size_t used;
  struct os_record_sink sink = {one_more, no_more, &calls};
  struct os_parse_options options = {.json_root = root};
  struct os_parser_start start = {
      .source_name = "f", .offset = 8, .line = 2, .head = head, .head_len = head_len, .head_is_all = true};
  struct os_parser *parser;
  os_error_clear(error);
  int code = os_parser_open(&parser, format, &options, &start, &sink, error);
  if (code) {
    assert_null(parser);
    return code;
  }
  assert_int_equal(os_parser_run(parser, rest, 8, true, &used, error), OS_OK);
  assert_int_equal(calls, 10);
  os_parser_free(parser);
  return OS_OK;
}

static void test_resume_by_the_head(void **state) {
  (void)state;
  struct os_error error;
  static const char lines[64 + OS_PAD] = "{\"a\":1}\n{\"a\":2}\n";
  assert_int_equal(resumed(NDJSON, OS_ROOT_AUTO, lines, 16, &error), OS_OK);
  assert_int_equal(resumed(JSON, OS_ROOT_AUTO, lines, 16, &error), OS_OK);
  /* lines are lines, but whether an object holds the documents only a head could tell */
  assert_int_equal(resumed(NDJSON, OS_ROOT_AUTO, NULL, 0, &error), OS_OK);
  assert_int_equal(resumed(NDJSON, OS_ROOT_MEMBERS, NULL, 0, &error), OS_ERR_ARGUMENT);
  assert_non_null(strstr(error.text, "cannot be resumed without its first bytes"));
  assert_int_equal(resumed(JSON, OS_ROOT_AUTO, NULL, 0, &error), OS_ERR_ARGUMENT);
  /* the file became another one */
  static const char wide[16 + OS_PAD] = "\xff\xfe{\0}\0";
  assert_int_equal(resumed(NDJSON, OS_ROOT_AUTO, wide, 6, &error), OS_ERR_FORMAT);
  assert_non_null(strstr(error.text, "UTF-16"));
  assert_int_equal(resumed(JSON, OS_ROOT_MEMBERS, "[{}]" /* and zeros */, 4, &error), OS_ERR_FORMAT);
  assert_non_null(strstr(error.text, "option json_root is 'members'"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_words),
      cmocka_unit_test(test_columns_behind_commas),
      cmocka_unit_test(test_shown_names),
      cmocka_unit_test(test_half_pairs),
      cmocka_unit_test(test_cut_behind_known_names),
      cmocka_unit_test(test_where_the_next_begins),
      cmocka_unit_test(test_sink_stops_at_a_reject),
      cmocka_unit_test(test_long_rejects_are_cut),
      cmocka_unit_test(test_resume_by_the_head),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
