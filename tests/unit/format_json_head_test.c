/* format_json_head_test.c - what is told of a file from its name and its first bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "format/parser.h"

static void test_names(void **state) {
  (void)state;
  static const struct {
    const char *name;
    enum os_format format;
  } cases[] = {
      {"a.csv", OS_FORMAT_CSV},       {"a.TSV", OS_FORMAT_TSV},         {"x/a.json", OS_FORMAT_JSON},
      {"a.ndjson", OS_FORMAT_NDJSON}, {"a.jsonl", OS_FORMAT_NDJSON},    {"a.csv.gz", OS_FORMAT_CSV},
      {"a.json.zst", OS_FORMAT_JSON}, {"A.JSONL.GZ", OS_FORMAT_NDJSON}, {"a.txt", OS_FORMAT_UNKNOWN},
      {"a.gz", OS_FORMAT_UNKNOWN},    {"csv", OS_FORMAT_UNKNOWN},       {".csv", OS_FORMAT_UNKNOWN},
      {"", OS_FORMAT_UNKNOWN},        {"a.csv.bak", OS_FORMAT_UNKNOWN}, {"a.json.gz.gz", OS_FORMAT_UNKNOWN}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (os_format_by_name(cases[i].name) != cases[i].format) fail_msg("%s", cases[i].name);
  enum os_format format = OS_FORMAT_UNKNOWN;
  assert_true(os_format_from_word("tsv", &format));
  assert_int_equal(format, OS_FORMAT_TSV);
  assert_false(os_format_from_word("xml", &format));
  assert_int_equal(format, OS_FORMAT_TSV);
  assert_string_equal(os_format_name(OS_FORMAT_NDJSON), "ndjson");
  assert_string_equal(os_format_name(OS_FORMAT_UNKNOWN), "unknown");
}

static void test_content(void **state) {
  (void)state;
  static const struct {
    const char *head;
    enum os_format format;
  } cases[] = {{"[{\"a\":1}]", OS_FORMAT_JSON},
               {"\xef\xbb\xbf [", OS_FORMAT_JSON},
               {"\t [1]", OS_FORMAT_JSON},
               {"{\"a\":1}\n{\"a\":2}\n", OS_FORMAT_NDJSON},
               {"\n{\"a\":[{\"x\":\"}\\\"{\"}]} {", OS_FORMAT_NDJSON},
               {"{\"a\":1}\n", OS_FORMAT_JSON},
               {"{\"a\":{\"b\":1},", OS_FORMAT_JSON},
               {"{\"a\":\"{", OS_FORMAT_JSON},
               {"{\"a\":\"\\", OS_FORMAT_JSON},
               {"{\n\"a\":{}\n}", OS_FORMAT_JSON},
               {"a,b,c\n1,2,3", OS_FORMAT_CSV},
               {"a\tb\tc\n", OS_FORMAT_TSV},
               {"\"a,b,c\"\td\n", OS_FORMAT_TSV},
               {"a\n,,,\n", OS_FORMAT_CSV},
               {"a\tb\r,,,\r", OS_FORMAT_TSV}, /* the first line ends with its CR */
               {"a", OS_FORMAT_CSV},
               {"[]", OS_FORMAT_JSON},
               {"\r\n\r\n{\"a\":1}{", OS_FORMAT_NDJSON},
               {"\r\n\r\na\tb\n", OS_FORMAT_TSV},
               {"{\"a\":1}\n[", OS_FORMAT_JSON},
               {"", OS_FORMAT_CSV},
               {"  \n", OS_FORMAT_CSV}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (os_format_by_content(cases[i].head, strlen(cases[i].head)) != cases[i].format)
      fail_msg("%s", cases[i].head);
}

static int examine(enum os_format format, const struct os_parse_options *options, const char *text,
                   size_t len, bool all, struct os_head_facts *facts, struct os_error *error) {
  char *head = malloc(len + OS_PAD);
  memcpy(head, text, len);
  memset(head + len, '"', OS_PAD);
  os_error_clear(error);
  int code = os_head_examine(format, options, head, len, all, facts, error);
  free(head);
  return code;
}

static void test_facts(void **state) {
  (void)state;
  static const struct {
    enum os_format format;
    const char *id_field, *head;
    bool all;
    enum os_json_root root;
    bool carries_id, empty;
    const char *columns;
  } cases[] = {
      {OS_FORMAT_JSON, "_id", "[{\"a\":1,\"_id\":2}]", true, OS_ROOT_RECORDS, true, false, "[\"a\",\"_id\"]"},
      {OS_FORMAT_JSON, "_id", "[3, {\"a\":{\"_id\":2}} ]", true, OS_ROOT_RECORDS, false, false, "[\"a\"]"},
      {OS_FORMAT_JSON, "_id", "[{\"_id\":null}]", true, OS_ROOT_RECORDS, false, false, "[\"_id\"]"},
      {OS_FORMAT_JSON, "_id", " [ ] ", true, OS_ROOT_RECORDS, false, true, "[]"},
      {OS_FORMAT_JSON, "_id", "[", false, OS_ROOT_RECORDS, false, false, "[]"},
      {OS_FORMAT_JSON, "_id", "", true, OS_ROOT_DOCUMENT, false, true, "[]"},
      {OS_FORMAT_NDJSON, "_id", "\n \n", true, OS_ROOT_DOCUMENT, false, true, "[]"},
      {OS_FORMAT_NDJSON, "k", "{\"\\u006b\":1}\n{}", true, OS_ROOT_DOCUMENT, true, false, "[\"k\"]"},
      {OS_FORMAT_NDJSON, "_id", "\xef\xbb\xbf{\"a\":1,\"_id\":\"x", false, OS_ROOT_DOCUMENT, true, false,
       "[\"a\",\"_id\"]"},
      {OS_FORMAT_NDJSON, NULL, "{\"_id\":1}", true, OS_ROOT_DOCUMENT, false, false, "[\"_id\"]"},
      {OS_FORMAT_NDJSON, "_id", "{\"\\ud800\":1}", true, OS_ROOT_DOCUMENT, false, false, "[\"\\\\ud800\"]"},
      {OS_FORMAT_JSON, "_id", "{\"x\":{\"_id\":1},\"y\":{}}", true, OS_ROOT_MEMBERS, true, false,
       "[\"_id\"]"},
      {OS_FORMAT_JSON, "@key", "{\"x\":{\"a\":1}}", true, OS_ROOT_MEMBERS, true, false, "[\"a\"]"},
      {OS_FORMAT_JSON, "@key", "{\"x\":1}", true, OS_ROOT_DOCUMENT, false, false, "[\"x\"]"},
      {OS_FORMAT_JSON, "_id", "{\"x\":{\"_id\":1},\"y\":{", false, OS_ROOT_MEMBERS, true, false, "[\"_id\"]"},
      {OS_FORMAT_JSON, "_id", "{\"x\":{},\"y\":2}", true, OS_ROOT_DOCUMENT, false, false, "[\"x\",\"y\"]"},
      {OS_FORMAT_JSON, "_id", "oops", true, OS_ROOT_DOCUMENT, false, false, "[]"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_parse_options options = {.id_field = cases[i].id_field};
    struct os_head_facts facts;
    struct os_error error;
    assert_int_equal(examine(cases[i].format, &options, cases[i].head, strlen(cases[i].head), cases[i].all,
                             &facts, &error),
                     0);
    assert_int_equal(facts.format, cases[i].format);
    assert_int_equal(facts.root, cases[i].root);
    assert_int_equal(facts.carries_id, cases[i].carries_id);
    assert_int_equal(facts.empty, cases[i].empty);
    assert_null(facts.types);
    char *columns = json_dumps(facts.columns, JSON_COMPACT);
    assert_string_equal(columns, cases[i].columns);
    free(columns);
    os_head_facts_free(&facts);
  }
}

/* What is broken or cut off is not told of: the names up to there are, and the parser says the rest in its place. */
static void test_broken_heads(void **state) {
  (void)state;
  static const struct {
    enum os_json_root root;
    const char *head, *columns;
    bool empty;
  } cases[] = {
      {OS_ROOT_AUTO, "{}", "[]", false},
      {OS_ROOT_AUTO, "{", "[]", false},
      {OS_ROOT_AUTO, "{1", "[]", false},
      {OS_ROOT_AUTO, "[{", "[]", false},
      {OS_ROOT_AUTO, "[{\"a", "[]", false},
      {OS_ROOT_AUTO, "[{\"a\"", "[]", false},
      {OS_ROOT_AUTO, "[{\"a\" 1}]", "[]", false},
      {OS_ROOT_AUTO, "[{\"a\" : ", "[]", false},
      {OS_ROOT_AUTO, "[{\"a\":1", "[\"a\"]", false},
      {OS_ROOT_AUTO, "[{\"a\":1 \"b\":2}]", "[\"a\"]", false},
      {OS_ROOT_AUTO, "[{\"a\":1,", "[\"a\"]", false},
      {OS_ROOT_AUTO, "[{\"a\":1,2", "[\"a\"]", false},
      {OS_ROOT_AUTO, "[3", "[]", false},
      {OS_ROOT_AUTO, "[3,", "[]", false},
      {OS_ROOT_AUTO, "[3,tru", "[]", false},
      {OS_ROOT_AUTO, "[3{\"a\":1}]", "[\"a\"]", false},
      {OS_ROOT_AUTO, "[3]", "[]", false},
      {OS_ROOT_MEMBERS, "{}", "[]", true},
      {OS_ROOT_MEMBERS, "{", "[]", false},
      {OS_ROOT_MEMBERS, "{\"x\"", "[]", false},
      {OS_ROOT_MEMBERS, "{\"x\":3,\"y\":{\"a\":1", "[\"a\"]", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int keyed = 0; keyed < 2; keyed++) {
      struct os_parse_options options = {.json_root = cases[i].root, .id_field = keyed ? "@key" : "_id"};
      struct os_head_facts facts;
      struct os_error error;
      assert_int_equal(
          examine(OS_FORMAT_JSON, &options, cases[i].head, strlen(cases[i].head), false, &facts, &error),
          OS_OK);
      char *columns = json_dumps(facts.columns, JSON_COMPACT);
      if (strcmp(columns, cases[i].columns)) fail_msg("%s: %s", cases[i].head, columns);
      assert_int_equal(facts.empty, cases[i].empty);
      bool by_key = keyed && cases[i].root == OS_ROOT_MEMBERS && json_array_size(facts.columns);
      assert_int_equal(facts.carries_id, by_key);
      free(columns);
      os_head_facts_free(&facts);
    }
}

static void test_unusable_heads(void **state) {
  (void)state;
  static const struct {
    const char *head;
    size_t len;
    const char *text;
  } cases[] = {{"\xff\xfe{\0", 4, "UTF-16"}, {"{\0\"\0", 4, "UTF-16"},      {"\0{\0\"", 4, "UTF-16"},
               {"\0\0\0{", 4, "UTF-32"},     {" \0{}", 4, "byte 1 is NUL"}, {"\0", 1, "byte 0 is NUL"}};
  struct os_parse_options options = {.id_field = "_id"};
  struct os_head_facts facts;
  struct os_error error;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(examine(OS_FORMAT_JSON, &options, cases[i].head, cases[i].len, true, &facts, &error),
                     OS_ERR_FORMAT);
    assert_non_null(strstr(error.text, cases[i].text));
    assert_null(facts.columns);
  }
  struct os_parse_options records = {.json_root = OS_ROOT_RECORDS};
  assert_int_equal(examine(OS_FORMAT_JSON, &records, "{}", 2, true, &facts, &error), OS_ERR_FORMAT);
  assert_non_null(strstr(error.text, "option json_root is 'records'"));
  assert_null(facts.columns);
  assert_int_equal(examine(OS_FORMAT_UNKNOWN, &options, "x", 1, true, &facts, &error), OS_ERR_ARGUMENT);
  assert_non_null(strstr(error.advice, "ndjson"));
  struct os_parser *parser;
  struct os_parser_start start = {.source_name = "f"};
  struct os_record_sink sink = {0};
  assert_int_equal(os_parser_open(&parser, OS_FORMAT_UNKNOWN, &options, &start, &sink, &error),
                   OS_ERR_ARGUMENT);
  assert_null(parser);
  os_parser_free(NULL);
}

static void test_no_memory(void **state) {
  (void)state;
  struct os_parse_options options = {.id_field = "_id"};
  int failures = 0;
  for (long n = 0; n < 10; n++) {
    struct os_head_facts facts;
    struct os_error error;
    os_alloc_fail_after(n, 1);
    int code =
        examine(OS_FORMAT_JSON, &options, "[ { \"a\" : [ 1 ] , \"_id\" : 2 } ]", 31, true, &facts, &error);
    os_alloc_fail_after(-1, 0);
    if (code) {
      assert_int_equal(code, OS_ERR_NOMEM);
      failures++;
    } else {
      assert_true(facts.carries_id);
    }
    os_head_facts_free(&facts);
  }
  assert_true(failures >= 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names),          cmocka_unit_test(test_content),
      cmocka_unit_test(test_facts),          cmocka_unit_test(test_broken_heads),
      cmocka_unit_test(test_unusable_heads), cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
