/* format_json_parser_test.c - JSON and NDJSON files: layouts, records, rejects, errors, resume. */
#include "format_json_collect.h"
#include "base/alloc.h"

#define JSON OS_FORMAT_JSON
#define NDJSON OS_FORMAT_NDJSON

static void expect(enum os_format format, enum os_json_root root, const char *data, const char *docs) {
  struct collect c = {.format = format, .data = data, .len = strlen(data)};
  c.options.id_field = "_id";
  c.options.json_root = root;
  collect(&c);
  if (strcmp(c.docs.data ? c.docs.data : "", docs))
    fail_msg("%s\n gave\n%s\n instead of\n%s\n(%s)", data, c.docs.data, docs, c.log.data);
  collect_free(&c);
}

static void test_layouts(void **state) {
  (void)state;
  static const struct {
    enum os_format format;
    enum os_json_root root;
    const char *data, *docs;
  } cases[] = {
      {NDJSON, OS_ROOT_AUTO, "{\"a\":1}\n{\"a\":2}\n", "{\"a\":1}\n{\"a\":2}\n"},
      {NDJSON, OS_ROOT_AUTO, "{\"a\":1}\n{\"a\":2}", "{\"a\":1}\n{\"a\":2}\n"},
      {NDJSON, OS_ROOT_AUTO, "\n\n {\"a\":1} {\"a\":2}{}\r\n\r\n{ }\t\n", "{\"a\":1}\n{\"a\":2}\n{}\n{}\n"},
      {NDJSON, OS_ROOT_AUTO, "{\n \"a\" : 1\n}\n{\n \"a\" : 2\n}", "{\"a\":1}\n{\"a\":2}\n"},
      {NDJSON, OS_ROOT_AUTO, "{\"x\":{},\"y\":{}}\n", "{\"x\":{},\"y\":{}}\n"},
      {NDJSON, OS_ROOT_RECORDS, "{\"a\":1}\n{}", "{\"a\":1}\n{}\n"},
      {NDJSON, OS_ROOT_MEMBERS, "{\"x\":{\"a\":1},\"y\":{}}\n", "{\"a\":1}\n{}\n"},
      {NDJSON, OS_ROOT_AUTO, "[{\"a\":1},{}]\n", "{\"a\":1}\n{}\n"},
      {NDJSON, OS_ROOT_DOCUMENT, "[{\"a\":1},{}]\n{}", "!not_an_object\n{}\n"},
      {JSON, OS_ROOT_AUTO, "[]", ""},
      {JSON, OS_ROOT_AUTO, " [ ] \n", ""},
      {JSON, OS_ROOT_AUTO, "[{\"a\":1}]", "{\"a\":1}\n"},
      {JSON, OS_ROOT_AUTO, "[\n  {\"a\": 1},\n  {\"a\": 2}\n]\n", "{\"a\":1}\n{\"a\":2}\n"},
      {JSON, OS_ROOT_AUTO, "[{\"a\":1}\n,{\"a\":2}\n,{}\n]", "{\"a\":1}\n{\"a\":2}\n{}\n"},
      {JSON, OS_ROOT_AUTO, "[1,\"x\",null,true,[{}],{\"a\":1},-0.5]",
       "!not_an_object\n!not_an_object\n!not_an_object\n!not_an_object\n!not_an_object\n{\"a\":1}\n!not_an_"
       "object\n"},
      {JSON, OS_ROOT_AUTO, "{\"a\":1}", "{\"a\":1}\n"},
      {JSON, OS_ROOT_AUTO, "{}", "{}\n"},
      {JSON, OS_ROOT_AUTO, "{\"x\":{\"a\":1}}", "{\"x\":{\"a\":1}}\n"},
      {JSON, OS_ROOT_AUTO, "{\"x\":{\"a\":1},\"y\":{\"a\":2}}", "{\"a\":1}\n{\"a\":2}\n"},
      {JSON, OS_ROOT_AUTO, "{ \"x\" :\n{ \"a\" : 1 } ,\n\"y\"\n: { } }\n", "{\"a\":1}\n{}\n"},
      {JSON, OS_ROOT_AUTO, "{\"x\":{},\"y\":{},\"z\":1}", "{\"x\":{},\"y\":{},\"z\":1}\n"},
      {JSON, OS_ROOT_AUTO, "{\"z\":1,\"x\":{},\"y\":{}}", "{\"z\":1,\"x\":{},\"y\":{}}\n"},
      {JSON, OS_ROOT_DOCUMENT, "{\"x\":{},\"y\":{}}", "{\"x\":{},\"y\":{}}\n"},
      {JSON, OS_ROOT_MEMBERS, "{\"x\":{},\"y\":3,\"z\":{\"b\":1}}", "{}\n!not_an_object\n{\"b\":1}\n"},
      {JSON, OS_ROOT_MEMBERS, "{}", ""},
      {JSON, OS_ROOT_AUTO, "{\"a\":1}\n{\"a\":2}\n", "{\"a\":1}\n{\"a\":2}\n"},
      {JSON, OS_ROOT_AUTO, "{\"a\":{}}{\"a\":{}}", "{\"a\":{}}\n{\"a\":{}}\n"},
      {JSON, OS_ROOT_AUTO, "3", "!not_an_object\n"},
      {JSON, OS_ROOT_AUTO, "\xef\xbb\xbf[{\"a\":1}]", "{\"a\":1}\n"},
      {NDJSON, OS_ROOT_AUTO, "\xef\xbb\xbf{\"a\":1}\n", "{\"a\":1}\n"},
      {NDJSON, OS_ROOT_AUTO, "", ""},
      {NDJSON, OS_ROOT_AUTO, " \n\t\r\n", ""},
      {JSON, OS_ROOT_AUTO, "", ""},
      {JSON, OS_ROOT_AUTO, "\n \n", ""},
      {JSON, OS_ROOT_AUTO, "\xef\xbb\xbf", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    expect(cases[i].format, cases[i].root, cases[i].data, cases[i].docs);
}

static void test_errors_end_the_file(void **state) {
  (void)state;
  static const struct {
    enum os_json_root root;
    const char *data;
    int records;
    const char *text;
  } cases[] = {
      {OS_ROOT_AUTO, "[{\"a\":1},\n{\"a\":2}", 2,
       "line 2 column 8 (byte 17): the text ends where ',' or ']' should stand"},
      {OS_ROOT_AUTO, "[{\"a\":1},\n{\"a\":", 1,
       "line 2 column 6 (byte 15): the text ends where a value should stand"},
      {OS_ROOT_AUTO, "[", 0, "line 1 column 2 (byte 1): the text ends where ',' or ']' should stand"},
      {OS_ROOT_AUTO, "[{}]\nx", 1, "line 2 column 1 (byte 5): found 'x' after the end of the array"},
      {OS_ROOT_AUTO, "[{}]]", 1, "line 1 column 5 (byte 4): found ']' after the end of the array"},
      {OS_ROOT_AUTO, "[{},]", 1,
       "line 1 column 5 (byte 4): found ']' where a record, after a comma, should stand"},
      {OS_ROOT_AUTO, "[,{}]", 0, "line 1 column 2 (byte 1): found ',' where a value should stand"},
      {OS_ROOT_AUTO, "[{} {}]", 1, "line 1 column 5 (byte 4): found '{' where ',' or ']' should stand"},
      {OS_ROOT_AUTO, "[{\"a\":tru}]", 0, "line 1 column 7 (byte 6): found 't' where a value should stand"},
      {OS_ROOT_AUTO, "[{\"a\":\"\xff\"}]", 0, "line 1 column 8 (byte 7): the byte 0xFF is not valid UTF-8"},
      {OS_ROOT_AUTO, "{\"a\":1}\n]", 1, "line 2 column 1 (byte 8): found ']' after the end of the document"},
      {OS_ROOT_AUTO, "{\"a\":1", 0, "line 1 column 7 (byte 6): the text ends where ',' or '}' should stand"},
      {OS_ROOT_AUTO, "{\"a\":\"x\ny\"}", 0, "line 1 column 8 (byte 7): a line break inside a string"},
      {OS_ROOT_AUTO, "hello", 0, "line 1 column 1 (byte 0): found 'h' where a value should stand"},
      {OS_ROOT_AUTO, "{\"x\":{},\"y\":{}", 2,
       "line 1 column 15 (byte 14): the text ends where ',' or '}' should stand"},
      {OS_ROOT_AUTO, "{\"x\":{},\"y\":{},}", 2,
       "found '}' where a member name in quotes, after a comma, should stand"},
      {OS_ROOT_AUTO, "{\"x\":{},\"y\":{},3", 2,
       "found '3' where a member name in quotes or '}' should stand"},
      {OS_ROOT_AUTO, "{\"x\":{},\"y\":{},\"z\"", 2, "the text ends where ':' should stand"},
      {OS_ROOT_AUTO, "{\"x\":{},\"y\":{},\"z\" 1", 2, "found '1' where ':' should stand"},
      {OS_ROOT_AUTO, "{\"x\":{},\"y\":{},\"z\":", 2, "the text ends where a value should stand"},
      {OS_ROOT_AUTO, "{\"x\":{},\"y\":{},\"z", 2,
       "the text ends where the closing quote of a string should stand"},
      {OS_ROOT_AUTO, "{\"x\":{},\"y\":{}} 1", 2, "found '1' after the end of the object"},
      {OS_ROOT_AUTO, "{\"a\\q\":{}}", 0, "\\q is not an escape that JSON knows"},
      {OS_ROOT_AUTO, "{\"a\":\"\\\x01\"}", 0, "a backslash that begins no escape"},
      {OS_ROOT_MEMBERS, "[{}]", 0, "option json_root is 'members', but the file begins with '['"},
      {OS_ROOT_DOCUMENT, "[{}]", 0, "option json_root is 'document', but the file begins with '['"},
      {OS_ROOT_RECORDS, "{}", 0, "option json_root is 'records', but the file begins with '{'"},
      {OS_ROOT_AUTO, "\xff\xfe[\0]\0", 0, "UTF-16"},
      {OS_ROOT_AUTO, "\xfe\xff", 0, "UTF-16"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct collect c = {.format = JSON, .data = cases[i].data, .len = strlen(cases[i].data)};
    c.options.json_root = cases[i].root;
    collect(&c);
    assert_int_equal(c.code, OS_ERR_FORMAT);
    if (!strstr(c.error.text, cases[i].text))
      fail_msg("%s\n gave\n%s\n instead of\n%s", cases[i].data, c.error.text, cases[i].text);
    assert_true(c.error.advice[0] != '\0');
    assert_int_equal(c.records, cases[i].records);
    assert_int_equal(c.rejects, 0);
    collect_free(&c);
  }
  struct collect c = {.format = JSON, .data = "[\0\0\0", .len = 4}; /* UTF-32 without a mark */
  collect(&c);
  assert_non_null(strstr(c.error.text, "UTF-32"));
  collect_free(&c);
}

static void test_broken_lines(void **state) {
  (void)state;
  static const struct {
    const char *data, *docs, *reason;
  } cases[] = {
      {"{\"a\":1}\n{\"a\":}\n{\"a\":3}\n", "{\"a\":1}\n!invalid_json\n{\"a\":3}\n",
       "line 2 column 6 (byte 13): found '}' where a value should stand"},
      {"{\"a\":\"x\n{\"a\":3}\n", "!invalid_json\n{\"a\":3}\n",
       "line 1 column 8 (byte 7): a line break inside a string"},
      {"{\"a\":1\n{\"a\":3}\n", "!invalid_json\n{\"a\":3}\n",
       "line 2 column 1 (byte 7): found '{' where ',' or '}' should stand"},
      {"{\"a\":[\n{\"a\":3}\n{\"a\":4}", "!invalid_json\n{\"a\":3}\n{\"a\":4}\n",
       "line 3 column 1 (byte 15): found '{' where ',' or ']' should stand"},
      {"{\"a\":[\n{\"a\":3}", "!invalid_json\n{\"a\":3}\n", "the text ends where ',' or ']' should stand"},
      {"garbage\nmore\n{}\n", "!invalid_json\n!invalid_json\n{}\n",
       "line 2 column 1 (byte 8): found 'm' where a value should stand"},
      {"{\"a\":\"\xe9t\xe9\"}\n{}\n", "!invalid_utf8\n{}\n",
       "line 1 column 7 (byte 6): the byte 0xE9 is not valid UTF-8"},
      {"{\"a\":\"\\x\"}\n{}\n", "!invalid_json\n{}\n", "\\x is not an escape that JSON knows"},
      {"{\"a\":\"\\u12\"}\n{}\n", "!invalid_json\n{}\n", "four hexadecimal digits"},
      {"{\"a\":\"\t\"}\n{}\n", "!invalid_json\n{}\n",
       "the control character 0x09 inside a string must be written as \\u0009"},
      {"{\"a\":1},\n{}\n", "{\"a\":1}\n!invalid_json\n{}\n",
       "line 1 column 8 (byte 7): found ',' where a value should stand"},
      {"{}\n3\n\"x\"\n[1,2]\nnull\n{}\n",
       "{}\n!not_an_object\n!not_an_object\n!not_an_object\n!not_an_object\n{}\n",
       "line 5 column 1 (byte 15): null stands where a document, an object, should stand"},
      {"{}\n12ab\n{}\n", "{}\n!invalid_json\n{}\n",
       "line 2 column 3 (byte 5): found 'a' where the end of the value should stand"},
      {"{}\n{\"a\":1", "{}\n!invalid_json\n",
       "line 2 column 7 (byte 9): the text ends where ',' or '}' should stand"},
      {"{}\n1.", "{}\n!invalid_json\n", "the text ends where a digit should stand"},
      {"x", "!invalid_json\n", "found 'x'"},
      {"x\r\n{}\r\n", "!invalid_json\n{}\n", "found 'x'"},
      {"\xc3\xa9\n{}", "!invalid_json\n{}\n", "found the byte 0xC3"},
      /* documents spread over lines: nothing inside a broken one becomes a document */
      {"{\n  \"a\": tru,\n  \"list\": [\n    {\"x\": 1},\n    {\"x\": 2}\n  ]\n}\n{\n  \"a\": 1\n}\n",
       "!invalid_json\n{\"a\":1}\n", "line 2 column 8 (byte 9): found 't' where a value should stand"},
      {"{\"a\": tru, \"list\": [\n    {\"x\": 1}\n  ]\n}\n{\"a\":1}\n", "!invalid_json\n{\"a\":1}\n",
       "line 1 column 7"},
      {"  {\"a\":tru}\n  {\"a\":1}\n", "!invalid_json\n{\"a\":1}\n", "line 1 column 8"},
      {"{\"a\":1} {\"b\":tru}\n{\"a\":2}\n", "{\"a\":1}\n!invalid_json\n{\"a\":2}\n", "line 1 column 14"},
      {"oops\n   {\"a\":1}\n", "!invalid_json\n{\"a\":1}\n", "line 1 column 1"},
      {"{\"a\":\"}{[\\\"\", b}\n   {\"a\":1}\n", "!invalid_json\n{\"a\":1}\n", "line 1 column 15"},
      {"\xef\xbb\xbf{\"a\":tru}\n{}\n", "!invalid_json\n{}\n", "line 1 column 6 (byte 8)"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct collect c = collected(NDJSON, cases[i].data);
    if (strcmp(c.docs.data, cases[i].docs))
      fail_msg("%s\n gave\n%s\n instead of\n%s\n(%s)", cases[i].data, c.docs.data, cases[i].docs, c.log.data);
    if (!strstr(c.last_reason, cases[i].reason))
      fail_msg("%s\n said\n%s\n instead of\n%s", cases[i].data, c.last_reason, cases[i].reason);
    assert_int_equal(c.code, OS_OK);
    collect_free(&c);
  }
}

/* In a .json file with documents one after another, lines are not to be trusted before the fault. */
static void test_broken_document_among_many(void **state) {
  (void)state;
  expect(JSON, OS_ROOT_AUTO, "{\"a\":1}\n{\"a\":[\n{\"b\":1},\n{\"b\":tru}\n]}\n{\"a\":2}\n",
         "{\"a\":1}\n!invalid_json\n!invalid_json\n!invalid_json\n{\"a\":2}\n");
  expect(JSON, OS_ROOT_AUTO, "{\n\"a\":1\n}\n{\n\"a\":1,\n}\n{\n\"a\":2\n}\n",
         "{\"a\":1}\n!invalid_json\n{\"a\":2}\n");
}

static void test_nul_bytes(void **state) {
  (void)state;
  static const char data[] = "{\"a\":1}\n{\0\"a\":2}\n{\"a\":\"\0\"}\n{\"a\":3}\n";
  struct collect c = {.format = NDJSON, .data = data, .len = sizeof data - 1};
  collect(&c);
  assert_string_equal(c.docs.data, "{\"a\":1}\n!invalid_json\n!invalid_json\n{\"a\":3}\n");
  assert_non_null(strstr(c.log.data, "found the byte 0x00 where"));
  collect_free(&c);
}

static void test_exact_ranges(void **state) {
  (void)state;
  struct collect c = collected(NDJSON, "{\"_id\":1}\r\n\n  {\"a\":[1 ,2]} \t{}\n");
  assert_string_equal(c.log.data, "#0-11 1-2 id=1 {}\n#14-26 3-3 {\"a\":[1,2]}\n#28-31 3-4 {}\n");
  collect_free(&c);
  c = collected(JSON, "[\n{\"a\":1},\n 7 , {\"a\":\n2}\n,{}\n]\n");
  assert_string_equal(c.log.data, "#2-11 2-3 {\"a\":1}\n"
                                  "!12-15 3-3 not_an_object line 3 column 2 (byte 12): a number stands where "
                                  "a document, an object, should stand <7>\n"
                                  "#16-26 3-5 {\"a\":2}\n#26-29 5-6 {}\n");
  collect_free(&c);
  c = collected(JSON, "{\"x\":{\"a\":1},\n\"y\":\n{}\n}");
  assert_string_equal(c.log.data, "#5-14 1-2 {\"a\":1}\n#19-22 3-4 {}\n");
  collect_free(&c);
  c = collected(NDJSON, "{\"a\":tru}\n\n{}");
  assert_string_equal(c.log.data, "!0-11 1-3 invalid_json line 1 column 6 (byte 5): found 't' where a value "
                                  "should stand <{\"a\":tru}>\n#11-13 3-3 {}\n");
  collect_free(&c);
}

static void test_ids(void **state) {
  (void)state;
  static const struct {
    const char *data, *log; /* log: what follows the place */
  } cases[] = {
      {"{\"_id\":\"a\\u0041\",\"x\":1}", " id=a\\u0041 {\"x\":1}\n"},
      {"{\"_id\":12345678901234567890}", " id=12345678901234567890 {}\n"},
      {"{\"_id\":-1.50e3}", " id=-1.50e3 {}\n"},
      {"{\"_id\":null,\"x\":1}", " {\"x\":1}\n"},
      {"{\"x\":1}", " {\"x\":1}\n"},
      {"{\"_id\":\"\"}", " id_empty line 1 column 1 (byte 0): the id is an empty text"},
      {"{\"_id\":{}}", " id_not_scalar line 1 column 1 (byte 0): member \"_id\" is an object; it must be a "
                       "string or a number"},
      {"{\"_id\":[1]}", " id_not_scalar line 1 column 1 (byte 0): member \"_id\" is an array"},
      {"{\"_id\":true}", " id_not_scalar line 1 column 1 (byte 0): member \"_id\" is true"},
      {"{\"_id\":false}", " id_not_scalar line 1 column 1 (byte 0): member \"_id\" is false"},
      {"{\"_id\":1,\"_id\":1}", " invalid_json line 1 column 1 (byte 0): member \"_id\" appears twice"},
      {"{\"_index\":\"x\",\"_type\":1}", " {\"_index\":\"x\",\"_type\":1}\n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct collect c = collected(NDJSON, cases[i].data);
    if (!strstr(c.log.data, cases[i].log)) fail_msg("%s\n gave\n%s", cases[i].data, c.log.data);
    assert_int_equal(c.records + c.rejects, 1);
    collect_free(&c);
  }
}

static void test_long_ids(void **state) {
  (void)state;
  static const struct {
    const char *unit;
    int count, len;
    bool good;
  } cases[] = {{"a", 512, 512, true},        {"a", 513, 513, false},
               {"\xc3\xa9", 256, 512, true}, {"\xc3\xa9", 257, 514, false},
               {"\\u0041", 512, 512, true},  {"\\u00e9", 257, 514, false},
               {"\\n", 512, 512, true},      {"\\ud83d\\ude00", 129, 516, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char data[8192] = "{\"_id\":\"";
    for (int k = 0; k < cases[i].count; k++)
      strcat(data, cases[i].unit);
    strcat(data, "\"}");
    struct collect c = collected(NDJSON, data);
    assert_int_equal(c.records, cases[i].good);
    if (!cases[i].good) {
      char say[64];
      snprintf(say, sizeof say, "the id is %d bytes long; OpenSearch takes at most 512", cases[i].len);
      assert_non_null(strstr(c.last_reason, say));
      assert_non_null(strstr(c.log.data, " id_too_long "));
    }
    collect_free(&c);
  }
}

static struct collect with(struct os_parse_options options, enum os_format format, const char *data) {
  struct collect c = {.format = format, .data = data, .len = strlen(data), .options = options};
  collect(&c);
  return c;
}

static void test_routing_version_source(void **state) {
  (void)state;
  struct os_parse_options o = {.id_field = "id", .routing_field = "user", .version_field = "_version"};
  struct collect c = with(o, NDJSON, "{\"id\":1,\"user\":\"u\",\"_version\":7,\"_routing\":3}");
  assert_string_equal(c.log.data, "#0-45 1-1 id=1 routing=u version=7 {\"user\":\"u\",\"_routing\":3}\n");
  collect_free(&c);
  o.routing_field = "_routing";
  c = with(o, NDJSON, "{\"_routing\": 3,\"_version\":null}");
  assert_string_equal(c.log.data, "#0-31 1-1 routing=3 {}\n");
  collect_free(&c);
  c = with(o, NDJSON, "{\"_routing\":[]}\n{\"_version\":true}\n{\"_routing\":1,\"_routing\":2}");
  assert_string_equal(c.docs.data, "!routing_not_scalar\n!version_not_scalar\n!invalid_json\n");
  collect_free(&c);
  o = (struct os_parse_options){.id_field = "user", .routing_field = "user"}; /* one member for both */
  c = with(o, NDJSON, "{\"user\":\"u\",\"a\":1}");
  assert_string_equal(c.log.data, "#0-18 1-1 id=u routing=u {\"a\":1}\n");
  collect_free(&c);
  o = (struct os_parse_options){.id_field = "_id", .source_field = "source"};
  c = with(o, NDJSON, "{}\n{\"_id\":1}\n{\"a\":1}\n{\"source\":\"x\",\"a\": 1}\n{\"a\":{\"source\":1}}");
  assert_string_equal(c.docs.data,
                      "{\"source\":\"a/file \\\"x\\\".json\"}\n{\"source\":\"a/file \\\"x\\\".json\"}\n"
                      "{\"a\":1,\"source\":\"a/file \\\"x\\\".json\"}\n"
                      "{\"a\":1,\"source\":\"a/file \\\"x\\\".json\"}\n"
                      "{\"a\":{\"source\":1},\"source\":\"a/file \\\"x\\\".json\"}\n");
  collect_free(&c);
  o = (struct os_parse_options){0};
  c = with(o, NDJSON, "{\"_id\":1}");
  assert_string_equal(c.docs.data, "{\"_id\":1}\n");
  collect_free(&c);
}

static void test_key_as_id(void **state) {
  (void)state;
  struct os_parse_options o = {.id_field = "@key"};
  struct collect c = with(o, JSON, "{\"k\\u00e9\":{\"_id\":1},\"2\":{},\"\":{},\"3\":4}");
  assert_string_equal(c.docs.data, "{\"k\\u00e9\":{\"_id\":1},\"2\":{},\"\":{},\"3\":4}\n");
  collect_free(&c); /* one member is not an object: a document */
  o.json_root = OS_ROOT_MEMBERS;
  c = with(o, JSON, "{\"k\\u00e9\":{\"_id\":1},\"2\":{},\"\":{},\"3\":4}");
  assert_string_equal(c.docs.data, "{\"_id\":1}\n{}\n!id_empty\n!not_an_object\n");
  assert_non_null(strstr(c.log.data, " id=k\\u00e9 "));
  assert_non_null(strstr(c.log.data, " id=2 "));
  assert_non_null(strstr(c.last_reason, "member \"3\" is a number, not an object"));
  assert_non_null(strstr(c.last_reason, "json_root 'document'"));
  collect_free(&c);
  o.json_root = OS_ROOT_AUTO;
  c = with(o, JSON, "{\"a\":{\"x\":1}}"); /* with "@key" one member will do */
  assert_string_equal(c.log.data, "#5-12 1-1 id=a {\"x\":1}\n");
  collect_free(&c);
  c = with(o, NDJSON, "{\"a\":{\"x\":1}}");
  assert_string_equal(c.docs.data, "{\"a\":{\"x\":1}}\n");
  collect_free(&c);
}

static void test_too_deep(void **state) {
  (void)state;
  char *data = malloc(300000), *p = data;
  for (int depth = 999; depth <= 1001; depth++) {
    p += sprintf(p, "%s", depth == 999 ? "[" : ",\n");
    for (int i = 0; i < depth; i++)
      p += sprintf(p, "{\"a\":");
    *p++ = '1';
    memset(p, '}', (size_t)depth);
    p += depth;
  }
  strcpy(p, "]");
  struct collect c = collected(JSON, data);
  assert_int_equal(c.code, OS_OK);
  assert_int_equal(c.records, 1);
  assert_int_equal(c.rejects, 2);
  assert_non_null(strstr(c.log.data, "json_too_deep line 3 column 1"));
  collect_free(&c);
  memset(data, '[', 100000);
  strcpy(data + 100000, "\n{}\n");
  struct os_parse_options o = {.json_root = OS_ROOT_DOCUMENT};
  c = with(o, NDJSON, data);
  assert_string_equal(c.docs.data, "!json_too_deep\n{}\n");
  collect_free(&c);
  free(data);
}

static void test_max_record(void **state) {
  (void)state;
  struct os_parse_options o = {.max_record = 20};
  struct collect c = with(o, NDJSON, "{\"a\":\"12345678901\"}\n{\"a\":\"1234567890123\"}\n{}\n");
  assert_string_equal(c.docs.data, "{\"a\":\"12345678901\"}\n!record_too_long\n{}\n");
  assert_non_null(strstr(c.last_reason,
                         "line 2 column 1 (byte 20): the record that begins here is longer than 20 bytes"));
  collect_free(&c);
  c = with(o, JSON, "[{},\n{\"a\":\"1234567890123\"}]");
  assert_string_equal(c.docs.data, "{}\n=error\n");
  assert_non_null(
      strstr(c.error.text, "line 2 column 1 (byte 5): the record that begins here is longer than 20 bytes"));
  collect_free(&c);
  c = with(o, JSON, "{\"x\":{},\"y\":{},\n\"a name of more than twenty\":{}}");
  assert_string_equal(c.docs.data, "{}\n{}\n=error\n");
  if (!strstr(c.error.text, "line 2 column 1 (byte 16): the record that begins here is longer"))
    fail_msg("%s", c.error.text);
  collect_free(&c);
}

/* A name is cut for the reader, but not inside a character. */
static void test_long_names(void **state) {
  (void)state;
  struct os_parse_options o = {.json_root = OS_ROOT_MEMBERS};
  char data[200], wanted[100];
  int n = snprintf(data, sizeof data, "{\"a");
  for (int i = 0; i < 40; i++)
    n += snprintf(data + n, sizeof data - (size_t)n, "\xc3\xa4");
  snprintf(data + n, sizeof data - (size_t)n, "\":3}");
  /* 60 bytes would end in the middle of one */
  snprintf(wanted, sizeof wanted, "member \"%.59s\" is a number", data + 2);
  struct collect c = with(o, JSON, data);
  assert_string_equal(c.docs.data, "!not_an_object\n");
  if (!strstr(c.last_reason, wanted)) fail_msg("%s instead of %s", c.last_reason, wanted);
  collect_free(&c);
}

static void test_raw_is_cut(void **state) {
  (void)state;
  size_t len = OS_REJECT_RAW_MAX + 1000;
  char *data = malloc(len + 10);
  memset(data, 'x', len);
  strcpy(data + len, "\n{}");
  struct collect c = {.format = NDJSON, .data = data, .len = len + 3, .first = 1000, .step = 100000};
  collect(&c);
  assert_int_equal(c.rejects, 1);
  assert_int_equal(c.records, 1);
  assert_non_null(strstr(c.log.data, "x>\n#"));
  assert_true(c.log.len < OS_REJECT_RAW_MAX + 300);
  collect_free(&c);
  free(data);
}

/* From the end of any record or reject on, the rest comes out as it did in one go. */
static void test_resume_anywhere(void **state) {
  (void)state;
  static const struct {
    enum os_format format;
    const char *data;
  } files[] = {
      {NDJSON, "\xef\xbb\xbf{\"a\":1}\n\n{\"a\":tru}\n{\"_id\":2} {\"b\":\n3}\n4\n{}"},
      {JSON, "[\n{\"a\":1},\n{\"a\":2}\n, 3 ,{\"_id\":4}\n\n]\n"},
      {JSON, "{\"x\":{\"a\":1},\n\"y\" : {\"_id\":2}\n,\"z\":{}\n}"},
      {JSON, "{\"a\":1}\n{\"a\":2}\n{\"a\":tru}\n{}\n"},
      {JSON, "{\"a\":1}\n"},
      {JSON, "[{},{},{}]"},
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    struct collect whole = collected(files[i].format, files[i].data);
    assert_int_equal(whole.code, OS_OK);
    const char *rest = whole.log.data;
    for (int k = 0; k < whole.records + whole.rejects; k++) {
      rest = strchr(rest, '\n') + 1;
      struct collect c = {.format = files[i].format, .data = files[i].data, .len = strlen(files[i].data)};
      c.options.id_field = "_id";
      c.offset = whole.ends[k];
      c.line = whole.lines[k];
      collect(&c);
      if (strcmp(c.log.data ? c.log.data : "", rest)) {
        /* a column may be unknown where several records stand on a line; everything else must agree */
        assert_string_equal(c.docs.data, strstr(whole.docs.data, c.docs.data));
      }
      assert_int_equal(c.code, OS_OK);
      collect_free(&c);
    }
    collect_free(&whole);
  }
  struct collect before_comma = {.format = JSON, .data = "[{},{\"a\":1}]", .len = 12, .offset = 3};
  collect(&before_comma);
  assert_string_equal(before_comma.docs.data, "{\"a\":1}\n");
  collect_free(&before_comma);
  struct collect c = {.format = JSON, .data = "[{},{}]", .len = 7, .offset = 4, .no_head = true};
  collect(&c);
  assert_int_equal(c.code, OS_ERR_ARGUMENT);
  collect_free(&c);
}

static void test_sink_stops(void **state) {
  (void)state;
  struct collect c = {.format = NDJSON, .data = "{}\n{}\n{}\n", .len = 9, .stop_after = 2};
  collect(&c);
  assert_int_equal(c.code, OS_ERR_INTERRUPTED);
  assert_int_equal(c.records, 2);
  collect_free(&c);
}

/* An object of many objects is recognised without reading all of it; a late exception is a reject. */
static void test_late_exception(void **state) {
  (void)state;
  size_t room = 3 * OS_PAD * 4096, n = 0;
  char *data = malloc(room);
  n += (size_t)sprintf(data, "{");
  for (int i = 0; n < 200000; i++)
    n += (size_t)sprintf(data + n, "\"k%d\":{\"a\":%d},", i, i);
  sprintf(data + n, "\"last\":null}");
  struct collect c = collected(JSON, data);
  assert_int_equal(c.code, OS_OK);
  assert_int_equal(c.rejects, 1);
  assert_true(c.records > 1000);
  assert_non_null(strstr(c.last_reason, "member \"last\" is null, not an object"));
  char *log = strdup(c.log.data);
  collect_free(&c);
  static const size_t steps[] = {1000, 65535, 65536, 65537, 100001};
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    struct collect again = {
        .format = JSON, .data = data, .len = strlen(data), .first = steps[i], .step = steps[i]};
    again.options.id_field = "_id";
    collect(&again);
    assert_string_equal(again.log.data, log);
    collect_free(&again);
  }
  free(log);
  free(data);
}

static void test_no_memory(void **state) {
  (void)state;
  static const char data[] = "{\"_id\":1,\"a\": [ 1, 2 ]}\n{\"a\":tru}\n{\"a\":2}\n";
  struct os_parse_options options = {.id_field = "_id", .source_field = "s"};
  struct os_parser_start start = {.source_name = "f", .line = 1};
  char *window = calloc(1, sizeof data + OS_PAD);
  memcpy(window, data, sizeof data);
  int failures = 0;
  for (long n = 0; n < 50; n++) {
    struct collect c = {.format = NDJSON, .data = data, .len = sizeof data - 1};
    struct os_record_sink sink = {take_record, take_reject, &c};
    struct os_parser *parser = NULL;
    struct os_error error;
    size_t consumed;
    os_error_clear(&error);
    /* the log takes memory by the same way: let it have all it needs first */
    os_buf_init(&c.log, 0);
    os_buf_init(&c.docs, 0);
    os_buf_reserve(&c.log, 4096);
    os_buf_reserve(&c.docs, 4096);
    os_alloc_fail_after(n, 1);
    int code = os_parser_open(&parser, NDJSON, &options, &start, &sink, &error);
    if (!code) code = os_parser_run(parser, window, sizeof data - 1, true, &consumed, &error);
    os_alloc_fail_after(-1, 0);
    if (code) {
      assert_int_equal(code, OS_ERR_NOMEM);
      assert_int_equal(error.code, OS_ERR_NOMEM);
      failures++;
    } else {
      assert_int_equal(c.records, 2);
      assert_int_equal(c.rejects, 1);
    }
    os_parser_free(parser);
    collect_free(&c);
  }
  assert_true(failures >= 4);
  free(window);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_layouts),
      cmocka_unit_test(test_errors_end_the_file),
      cmocka_unit_test(test_broken_lines),
      cmocka_unit_test(test_broken_document_among_many),
      cmocka_unit_test(test_nul_bytes),
      cmocka_unit_test(test_exact_ranges),
      cmocka_unit_test(test_ids),
      cmocka_unit_test(test_long_ids),
      cmocka_unit_test(test_routing_version_source),
      cmocka_unit_test(test_key_as_id),
      cmocka_unit_test(test_too_deep),
      cmocka_unit_test(test_max_record),
      cmocka_unit_test(test_long_names),
      cmocka_unit_test(test_raw_is_cut),
      cmocka_unit_test(test_resume_anywhere),
      cmocka_unit_test(test_sink_stops),
      cmocka_unit_test(test_late_exception),
      cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
