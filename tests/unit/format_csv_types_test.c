/* format_csv_types_test.c - which type a column gets, and how its cells look in the document. */
#include "format_csv_collect.h"
#include "format/csv_types.h"

static const char *const no_text[] = {""};
static const struct os_parse_options usual = {.header = true,
                                              .nested_columns = true,
                                              .null_values = no_text,
                                              .null_value_count = 1,
                                              .sample_rows = 10000};

static void check(const struct os_parse_options *options, const char *text, const char *expected) {
  struct collected c;
  struct os_error error;
  collected_init(&c);
  assert_int_equal(collect_from(options, OS_FORMAT_CSV, text, strlen(text), 0, 1, strlen(text), &c, &error),
                   OS_OK);
  assert_string_equal(c.brief.data, expected);
  collected_free(&c);
}

static bool number(const char *text) {
  return os_csv_is_number(text, strlen(text));
}

static bool plain(const char *text) {
  return os_csv_is_plain_number(text, strlen(text));
}

static void number_grammar(void **state) {
  (void)state;
  static const char *const good[] = {"0",     "-0",  "7",    "-12",      "0.5",
                                     "10.00", "1e5", "1E+5", "-2.5e-10", "12345678901234567890"};
  static const char *const bad[] = {"",    "-",  "+1", "007", "-01", ".5",       "5.",  "1e",  "1e+",
                                    "0x1", "1 ", " 1", "1,5", "NaN", "Infinity", "1_0", "--1", "1.2.3"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    assert_true(number(good[i]));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_false(number(bad[i]) || plain(bad[i]));
  static const char *const kept[] = {"0",
                                     "5",
                                     "-5",
                                     "999999999999999999",
                                     "-999999999999999999",
                                     "0.1",
                                     "-0.5",
                                     "123456789012.345",
                                     "0.0001234567890123",
                                     "0.00"};
  static const char *const lost[] = {"-0",    "1000000000000000000", "9223372036854775807", "1e5",
                                     "1.5E3", "1234567890123.456",   "0.1234567890123456"};
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
    assert_true(plain(kept[i]));
  for (size_t i = 0; i < sizeof lost / sizeof *lost; i++)
    assert_false(plain(lost[i]));
}

static void from_content(void **state) {
  (void)state;
  check(&usual, "a,b,c,d\n1,true,x,\n2.50,false,1,\n",
        "{\"a\":1,\"b\":true,\"c\":\"x\",\"d\":null}\n{\"a\":2.50,\"b\":false,\"c\":\"1\",\"d\":null}\n");
  check(&usual, "a\n1\n\n\"\"\n2\n",
        "{\"a\":\"1\"}\n{\"a\":\"\"}\n{\"a\":\"2\"}\n"); /* a quoted empty cell is text */
  check(&usual, "a,b\n,1\n3,2\n", "{\"a\":null,\"b\":1}\n{\"a\":3,\"b\":2}\n"); /* nulls do not count */
  check(&usual, "zip\n01234\n98765\n", "{\"zip\":\"01234\"}\n{\"zip\":\"98765\"}\n");
  check(&usual, "n\n1\n12345678901234567890\n", "{\"n\":\"1\"}\n{\"n\":\"12345678901234567890\"}\n");
  check(&usual, "n\n1\n+2\n", "{\"n\":\"1\"}\n{\"n\":\"+2\"}\n");
  check(&usual, "n\n1\n1e5\n", "{\"n\":\"1\"}\n{\"n\":\"1e5\"}\n");
  check(&usual, "b\ntrue\nTRUE\n", "{\"b\":\"true\"}\n{\"b\":\"TRUE\"}\n");
  check(&usual, "b\ntrue\n1\n", "{\"b\":\"true\"}\n{\"b\":\"1\"}\n");
  check(&usual, "n\n\"1\"\n\"2\"\n", "{\"n\":1}\n{\"n\":2}\n");
  check(&usual, "n,x\n1,a\ny\n2,b\n",
        "{\"n\":1,\"x\":\"a\"}\n!csv_too_few_cells\n{\"n\":2,\"x\":\"b\"}\n"); /* nor refused rows */
  check(&usual, "j\n\"{\"\"a\"\":1}\"\n", "{\"j\":\"{\\\"a\\\":1}\"}\n");      /* JSON is never guessed */
}

static void beyond_the_sample(void **state) {
  (void)state;
  struct os_parse_options options = usual;
  options.sample_rows = 2;
  /* the column stays one of numbers; what does not fit goes as text, what does keeps its digits */
  check(&options, "n,b\n1,true\n2,false\nx,maybe\n007,true\n12345678901234567890,\n1e5,true\n",
        "{\"n\":1,\"b\":true}\n{\"n\":2,\"b\":false}\n{\"n\":\"x\",\"b\":\"maybe\"}\n{\"n\":\"007\",\"b\":"
        "true}\n"
        "{\"n\":12345678901234567890,\"b\":null}\n{\"n\":1e5,\"b\":true}\n");
}

static void from_options(void **state) {
  (void)state;
  struct os_parse_options options = usual;
  json_t *types = json_pack("{ssssssssssss}", "s", "string", "n", "number", "b", "boolean", "j", "json", "d",
                            "date", "gone", "string");
  options.types = types;
  check(&options,
        "s,n,b,j,d\n1,2,true,3,2020-01-01\n1,x,no,\"[1, {\"\"a\"\":\n null}]\",5\n1,\" 1\",\"\",{,\n",
        "{\"s\":\"1\",\"n\":2,\"b\":true,\"j\":3,\"d\":\"2020-01-01\"}\n"
        "{\"s\":\"1\",\"n\":\"x\",\"b\":\"no\",\"j\":[1,{\"a\":null}],\"d\":\"5\"}\n"
        "{\"s\":\"1\",\"n\":\" 1\",\"b\":\"\",\"j\":\"{\",\"d\":null}\n");
  check(&options, "j\nabc\n\" true \"\n\"\"\"x\"\"\"\n\"[1] 2\"\n[01]\n",
        "{\"j\":\"abc\"}\n{\"j\":true}\n{\"j\":\"x\"}\n{\"j\":\"[1] 2\"}\n{\"j\":\"[01]\"}\n");
  json_decref(types);
  options.types = types = json_pack("{ss}", "s", "text");
  struct collected c;
  struct os_error error;
  collected_init(&c);
  assert_int_equal(collect_from(&options, OS_FORMAT_CSV, "s\n1\n", 4, 0, 1, 4, &c, &error), OS_ERR_ARGUMENT);
  assert_non_null(strstr(error.text, "column 's'"));
  assert_non_null(strstr(error.advice, "string, number, boolean, json, date"));
  collected_free(&c);
  json_decref(types);
}

static void deep_json(void **state) {
  (void)state;
  struct os_parse_options options = usual;
  json_t *types = json_pack("{ss}", "j", "json");
  options.types = types;
  enum { DEPTH = 70000 };
  char *text = calloc(2 + 2 * DEPTH + 2, 1), *expected = calloc(16 + 2 * DEPTH, 1);
  for (int depth = 1000; depth <= DEPTH; depth += DEPTH - 1000) { /* too deep is text, not a crash */
    memset(text, 0, 2 + 2 * DEPTH + 2);
    strcpy(text, "j\n");
    memset(text + 2, '[', (size_t)depth);
    memset(text + 2 + depth, ']', (size_t)depth);
    snprintf(expected, 16 + 2 * DEPTH, "{\"j\":\"%s\"}\n", text + 2);
    check(&options, text, expected);
  }
  free(text);
  free(expected);
  json_decref(types);
}

static void from_mapping(void **state) {
  (void)state;
  struct os_parse_options options = usual;
  json_error_t why;
  json_t *mapping = json_loads(
      "{\"properties\":{\"k\":{\"type\":\"keyword\"},\"l\":{\"type\":\"long\"},\"b\":{\"type\":\"boolean\"},"
      "\"d\":{\"type\":\"date\"},\"o\":{\"properties\":{\"f\":{\"type\":\"scaled_float\",\"scaling_factor\":"
      "100},"
      "\"t\":{\"type\":\"text\",\"fields\":{\"raw\":{\"type\":\"keyword\"}}}}},\"p\":{\"type\":\"geo_point\"}"
      ","
      "\"q\":{\"type\":\"geo_point\"},\"m\":{\"type\":\"nested\",\"properties\":{}}}}",
      0, &why);
  assert_non_null(mapping);
  options.mapping = mapping;
  check(&options, "k,l,b,d,o.f,o.t,new\n1,2,true,3,4,5,6\n007,007,yes,,x,7,8\n",
        "{\"k\":\"1\",\"l\":2,\"b\":true,\"d\":\"3\",\"o\":{\"f\":4,\"t\":\"5\"},\"new\":6}\n"
        "{\"k\":\"007\",\"l\":\"007\",\"b\":\"yes\",\"d\":null,\"o\":{\"f\":\"x\",\"t\":\"7\"},\"new\":8}\n");
  /* a point as text in one column, as JSON in the other; a scalar is never taken for JSON there */
  check(&options, "p,q,m,o\n\"1,2\",\"[3,4]\",\"[{\"\"a\"\":1}]\",\"{\"\"f\"\":1}\"\n9q8y,,{},{}\n",
        "{\"p\":\"1,2\",\"q\":[3,4],\"m\":[{\"a\":1}],\"o\":{\"f\":1}}\n{\"p\":\"9q8y\",\"q\":null,\"m\":{},"
        "\"o\":{}}\n");
  check(&options, "p\n123\n", "{\"p\":\"123\"}\n");
  options.sample_rows = 1;
  check(&options, "p\n[1]\n123\n", "{\"p\":[1]}\n{\"p\":\"123\"}\n");
  json_t *types = json_pack("{ss}", "l", "string"); /* the option wins over the mapping */
  options.types = types;
  check(&options, "l\n1\n", "{\"l\":\"1\"}\n");
  json_decref(types);
  json_decref(mapping);
}

static void head_facts(void **state) {
  (void)state;
  struct os_parse_options options = usual;
  struct os_head_facts facts;
  struct os_error error;
  options.id_field = "_id";
  json_t *types = json_pack("{ssss}", "d", "date", "j", "json");
  options.types = types;
  const char *text = "_id,n,d,j,s.x\nk,1,2020-01-01,{},y\n";
  char *head = window_of(text, strlen(text));
  assert_int_equal(os_csv_head_examine(OS_FORMAT_CSV, &options, head, strlen(text), true, &facts, &error),
                   OS_OK);
  assert_true(facts.carries_id && !facts.empty && facts.format == OS_FORMAT_CSV);
  char *columns = json_dumps(facts.columns, JSON_COMPACT), *chosen = json_dumps(facts.types, JSON_COMPACT);
  assert_string_equal(columns, "[\"_id\",\"n\",\"d\",\"j\",\"s.x\"]");
  assert_string_equal(
      chosen, "{\"_id\":\"string\",\"n\":\"number\",\"d\":\"date\",\"j\":\"json\",\"s.x\":\"string\"}");
  free(columns);
  free(chosen);
  json_decref(facts.columns);
  json_decref(facts.types);
  free(head);
  json_decref(types);
  options.types = NULL;

  static const struct {
    const char *text;
    bool header, empty;
    size_t columns;
  } cases[] = {{"", true, true, 0},     {"\n\r\n", true, true, 0}, {"a,b\n", true, false, 2},
               {"a,b", true, false, 2}, {"\n", false, true, 1},    {"7", false, false, 1}};
  static const char *const names[] = {"x"};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_parse_options plain_options = usual;
    plain_options.header = cases[i].header;
    plain_options.columns = names;
    plain_options.column_count = cases[i].header ? 0 : 1;
    head = window_of(cases[i].text, strlen(cases[i].text));
    assert_int_equal(
        os_csv_head_examine(OS_FORMAT_CSV, &plain_options, head, strlen(cases[i].text), true, &facts, &error),
        OS_OK);
    assert_int_equal(facts.empty, cases[i].empty);
    assert_false(facts.carries_id);
    assert_int_equal(json_array_size(facts.columns), cases[i].columns);
    json_decref(facts.columns);
    json_decref(facts.types);
    free(head);
  }
  head = window_of("a,b", 3);
  assert_int_equal(os_csv_head_examine(OS_FORMAT_CSV, &usual, head, 3, false, &facts, &error), OS_ERR_FORMAT);
  assert_non_null(strstr(error.text, "does not end within the file's first 3 bytes"));
  free(head);
}

/* Types come from the head's complete rows; its last, cut row does not count. */
static void cut_head(void **state) {
  (void)state;
  struct os_head_facts facts;
  struct os_error error;
  char *head = window_of("n,m\n1,2\n3,4x", 12);
  assert_int_equal(os_csv_head_examine(OS_FORMAT_CSV, &usual, head, 12, false, &facts, &error), OS_OK);
  assert_string_equal(json_string_value(json_object_get(facts.types, "m")), "number");
  json_decref(facts.columns);
  json_decref(facts.types);
  assert_int_equal(os_csv_head_examine(OS_FORMAT_CSV, &usual, head, 12, true, &facts, &error), OS_OK);
  assert_string_equal(json_string_value(json_object_get(facts.types, "m")), "string");
  json_decref(facts.columns);
  json_decref(facts.types);
  free(head);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(number_grammar), cmocka_unit_test(from_content), cmocka_unit_test(beyond_the_sample),
      cmocka_unit_test(from_options),   cmocka_unit_test(deep_json),    cmocka_unit_test(from_mapping),
      cmocka_unit_test(head_facts),     cmocka_unit_test(cut_head),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
