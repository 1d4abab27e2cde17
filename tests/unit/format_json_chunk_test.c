/* format_json_chunk_test.c - a JSON file is read the same way wherever the windows happen to end. */
#include "format_json_collect.h"

static const char lines[] =
    "\xef\xbb\xbf "
    "\n{\"_id\":\"a\\u00e9\xc3\xa9\xf0\x9f\x98\x80\",\"b\":[1,-2.50e+3,true,false,null,{\"\":\"\\\\\"}]}\r\n"
    "{\"a\" : 1 , \"_id\" : 12345678901234567890 ,\"c\":{\"x\":[ ]}}   {\"d\":\"\"}\n\n"
    "{\"a\":tru}\n"
    "12\n-0.5e3 true\n\"text\" [1,{\"a\":2}]\nnull{}\n"
    "{\"a\":\"bad \xe9 byte\"}\n{\"s\":\"never closed\n{\"after\":1}\n"
    "{\"open\":1\n{\"after\":2}\n"
    "{\n  \"pretty\" : {\n    \"x\" : [\n      1\n    ]\n  },\n  \"_id\" : null\n}\n"
    "{\n  \"pretty\" : nope,\n  {\"inner\":1},\n  \"y\" : [\n    {\"inner\":2}\n  ]\n}\n"
    "{\"too "
    "long\":"
    "\"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123\"}\n"
    "   }\ngarbage \x01\n\t{\"t\":1}\t \t\n{\"_id\":\"\"}{\"_id\":[ 1 ]}{\"_id\":1,\"_id\":2},\n"
    "{}                                                                                            "
    "\n{\"z\":1";

static const char array[] =
    " \n[ {\"_id\":1,\"a\":[ {} ]},\n{\"b\":\"\xe2\x82\xac\\n\"} ,3, \"x\"\n,[1, 2],null , {\"_id\" : "
    "null}\r\n,\n\n{\"c\":1e5}\n,-1.5,{}"
    "                                                                                \n  ] \n\n";
static const char members[] =
    "{ \"k1\" : {\"_id\":1,\"a\":{}} ,\n\"k\\n2\":{\"b\":\"\xc3\xa9\"}\n,\"k3\":{}, \"k4\" :\n\n{\"c\" : "
    "[1]}\n } \n";
static const char *const others[] = {
    "{\"a\":{\"x\":1}}",
    "{\"a\":{\"x\":1},\"b\":{},\"c\":[{}]}\n",
    "{\"a\":1,\"b\":{}}\n\n{\"c\":{}}\n{\"d\":tru}\n{\"e\":{}}",
    "{\"a\":1}{\"a\":2} 3 ",
    "[{\"a\":1},{\"a\":2}",
    "[{\"a\":1},{\"a\":tru},{}]",
    "[{\"a\":1}]\n{}",
    "[{\"a\":1},]",
    "{\"a\":{},\"b\":{},\"c\" 3}",
    "{\"a\":{},\"b\":{\"x\":1",
    "{\"a\":{\"x\":\"y\nz\"},\"b\":{}}",
    "{\"a\":1}\n x",
    "{\"a\":\xff}",
    "\xef\xbb\xbf[]",
    "\xef\xbb",
    "\xff\xfe{\0",
    "{\"x\":12.5e}",
    "123",
    "[1,23]",
    "[\"\xf0\x9f\x98\x80\",{\"\\ud83d\\ude00\":1}]",
};

static char *reference;
static int runs;

static void compare(struct collect *c) {
  collect(c);
  const char *log = c->log.data ? c->log.data : "";
  if (strcmp(log, reference))
    fail_msg("windows of %zu, %zu gave\n%s\ninstead of\n%s", c->first, c->step, log, reference);
  collect_free(c);
  runs++;
}

static void every_split(enum os_format format, const char *data, size_t len,
                        const struct os_parse_options *options) {
  struct collect c = {.format = format, .data = data, .len = len, .options = *options};
  collect(&c);
  reference = strdup(c.log.data ? c.log.data : "");
  collect_free(&c);
  for (size_t first = 1; first < len; first++) { /* two windows, split at each byte */
    c.first = first;
    c.step = len;
    compare(&c);
  }
  static const size_t steps[] = {1, 2, 3, 5, 16, 17, 61};
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    c.first = c.step = steps[i];
    compare(&c);
  }
  free(reference);
}

static void every_way(const char *data, size_t len) {
  struct os_parse_options options[] = {
      {.id_field = "_id"},
      {.id_field = "_id", .max_record = 90, .source_field = "b", .routing_field = "a"},
      {.id_field = "@key"},
      {.id_field = "_id", .json_root = OS_ROOT_MEMBERS},
      {.id_field = "a", .json_root = OS_ROOT_DOCUMENT, .max_record = 8},
  };
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    every_split(OS_FORMAT_NDJSON, data, len, &options[i]);
    every_split(OS_FORMAT_JSON, data, len, &options[i]);
  }
}

static void test_lines(void **state) {
  (void)state;
  every_way(lines, sizeof lines - 1);
}
static void test_array(void **state) {
  (void)state;
  every_way(array, sizeof array - 1);
}
static void test_members(void **state) {
  (void)state;
  every_way(members, sizeof members - 1);
}
static void test_others(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    every_way(others[i], strlen(others[i]));
}

/* The torture file really holds what it is meant to: otherwise equal results would say little. */
static void test_the_files_bite(void **state) {
  (void)state;
  struct collect c = {.format = OS_FORMAT_NDJSON, .data = lines, .len = sizeof lines - 1};
  c.options.id_field = "_id";
  c.options.max_record = 90;
  collect(&c);
  static const char *const words[] = {"!invalid_json", "!invalid_utf8",  "!not_an_object", "!record_too_long",
                                      "!id_empty",     "!id_not_scalar", "{\"after\":1}",  "{\"after\":2}"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!strstr(c.docs.data, words[i])) fail_msg("no %s in\n%s", words[i], c.docs.data);
  assert_null(strstr(c.docs.data, "{\"inner\""));
  assert_true(c.records >= 9);
  collect_free(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_files_bite), cmocka_unit_test(test_lines),  cmocka_unit_test(test_array),
      cmocka_unit_test(test_members),        cmocka_unit_test(test_others),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
