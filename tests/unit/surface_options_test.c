/* surface_options_test.c - what options accept, what they refuse, and what they say about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "surface/options.h"

static const char *const modes[] = {"auto", "fresh", NULL};
static const struct os_option own[] = {
    {"mode", OS_OPT_WORD, 0, 0, modes, "\"auto\""},
    {"batch_size", OS_OPT_INT, 1, 1000, NULL, "100"},
    {"batch_bytes", OS_OPT_SIZE, 1024, 1e9, NULL, NULL},
    {"max_failed", OS_OPT_SHARE | OS_OPT_NULL, 0, 0, NULL, "\"10%\""},
    {"id_field", OS_OPT_TEXT | OS_OPT_NULL, 1, 20, NULL, "\"_id\""},
    {"types", OS_OPT_OBJECT, 0, 0, NULL, "{}"},
    {"columns", OS_OPT_ARRAY, 0, 0, NULL, NULL},
    {"delay", OS_OPT_SECONDS, 0, 60, NULL, NULL},
    {"ratio", OS_OPT_REAL, -1, 1, NULL, NULL},
    {"since", OS_OPT_TIME, 0, 0, NULL, NULL},
    {"exactly_once", OS_OPT_BOOL, 0, 0, NULL, "true"},
    {"create", OS_OPT_BOOL | OS_OPT_OBJECT | OS_OPT_NULL, 0, 0, NULL, NULL},
    {NULL, 0, 0, 0, NULL, NULL},
};
static const struct os_option_schema schema = {
    OS_COMMON_CONNECTION | OS_COMMON_PROGRESS | OS_COMMON_ON_PARTIAL | OS_COMMON_TIMEOUT, own};

static int parse(struct os_options *options, const char *text, struct os_error *error) {
  memset(options, 0, sizeof *options);
  os_error_clear(error);
  return os_options_parse(options, &schema, text, text != NULL ? strlen(text) : 0, error);
}

static void gives_defaults(void **state) {
  (void)state;
  struct os_options options;
  struct os_error error;
  int64_t count;
  double share;
  assert_int_equal(parse(&options, NULL, &error), OS_OK);
  assert_string_equal(os_options_text(&options, "mode", "x"), "auto");
  assert_int_equal(os_options_int(&options, "batch_size", 7), 100);
  assert_int_equal(os_options_size(&options, "batch_bytes", 4096), 4096);
  assert_true(os_options_bool(&options, "exactly_once", false));
  assert_false(os_options_given(&options, "mode"));
  assert_null(os_options_json(&options, "create"));
  os_options_share(&options, "max_failed", &count, &share);
  assert_true(count == -1 && share > 0.0999 && share < 0.1001);
  os_options_free(&options);
  assert_null(options.given);
}

static void reads_values(void **state) {
  (void)state;
  struct os_options options;
  struct os_error error;
  int64_t count;
  double share;
  assert_int_equal(parse(&options,
                         "{\"mode\":\"fresh\",\"batch_size\":1000,\"batch_bytes\":\"8MiB\",\"max_failed\":5,"
                         "\"id_field\":null,"
                         "\"delay\":0.5,\"ratio\":-1,\"since\":\"2026-01-31T00:00:00Z\",\"exactly_once\":0,"
                         "\"create\":{\"a\":1},"
                         "\"connection\":\"old\",\"progress\":\"json\",\"timeout\":2,\"columns\":[\"a\"]}",
                         &error),
                   OS_OK);
  assert_string_equal(os_options_text(&options, "mode", "x"), "fresh");
  assert_int_equal(os_options_int(&options, "batch_size", 7), 1000);
  assert_int_equal(os_options_size(&options, "batch_bytes", 1), 8 << 20);
  assert_true(os_options_is_null(&options, "id_field"));
  assert_true(os_options_given(&options, "id_field"));
  assert_null(os_options_text(&options, "id_field", NULL));
  assert_true(os_options_real(&options, "delay", 0) > 0.49);
  assert_true(os_options_real(&options, "ratio", 0) < -0.99);
  assert_true(os_options_real(&options, "timeout", 0) > 1.9);
  assert_true(os_options_time(&options, "since", 0) > 1.7e9);
  assert_false(os_options_bool(&options, "exactly_once", true));
  assert_true(json_is_object(os_options_json(&options, "create")));
  assert_string_equal(os_options_text(&options, "progress", ""), "json");
  assert_string_equal(os_options_text(&options, "connection", ""), "old");
  os_options_share(&options, "max_failed", &count, &share);
  assert_int_equal(count, 5);
  assert_true(share < 0);
  os_options_free(&options);
}

/* The key and what is legal stand in the message; nothing is left allocated. */
static void refuses(void **state) {
  (void)state;
  static const struct {
    const char *text, *says;
  } cases[] = {
      {"{\"mod\":1}", "unknown option 'mod'; did you mean 'mode'? legal options: mode, batch_size, "},
      {"{\"zzzzzzzz\":1}", "unknown option 'zzzzzzzz'; legal options: mode, "},
      {"{\"dry_run\":true}", "unknown option 'dry_run'"},
      {"{\"mode\":\"frehs\"}", "option 'mode' takes one of \"auto\", \"fresh\", not \"frehs\""},
      {"{\"mode\":null}", "option 'mode' takes one of"},
      {"{\"batch_size\":0}", "option 'batch_size' takes a whole number from 1 to 1000, not 0"},
      {"{\"batch_size\":1001}", "from 1 to 1000"},
      {"{\"batch_size\":\"10\"}", "a whole number"},
      {"{\"batch_size\":1.5}", "a whole number"},
      {"{\"batch_size\":true}", "a whole number"},
      {"{\"batch_bytes\":\"8 apples\"}", "option 'batch_bytes' takes a size in bytes or text with a unit"},
      {"{\"batch_bytes\":-1}", "option 'batch_bytes'"},
      {"{\"batch_bytes\":\"2kB\",\"batch_bytes\":1}", "options: line 1"},
      {"{\"max_failed\":\"101%\"}", "a count or a share such as \"10%\", or null"},
      {"{\"max_failed\":\"%\"}", "option 'max_failed'"},
      {"{\"max_failed\":-1}", "option 'max_failed'"},
      {"{\"id_field\":\"\"}",
       "option 'id_field' takes a non-empty text of at most 20 bytes, or null, not \"\""},
      {"{\"id_field\":\"123456789012345678901\"}", "option 'id_field'"},
      {"{\"types\":[]}", "option 'types' takes a JSON object, not []"},
      {"{\"columns\":{}}", "option 'columns' takes a JSON array"},
      {"{\"delay\":-0.1}", "option 'delay' takes a number of seconds from 0 to 60"},
      {"{\"ratio\":2}", "option 'ratio' takes a number from -1 to 1, not 2"},
      {"{\"since\":\"soon\"}", "option 'since' takes a time such as"},
      {"{\"exactly_once\":2}", "option 'exactly_once' takes true or false, not 2"},
      {"{\"progress\":\"xml\"}", "option 'progress' takes true or false, or one of \"json\", not \"xml\""},
      {"{\"timeout\":0}",
       "option 'timeout' takes a number of seconds from 0.001 to 31536000, or null, not 0"},
      {"{\"connection\":5}", "option 'connection'"},
      {"{\"id_field\":\"a\\u0000b\"}", ""},
      {"[]", "options is not a JSON object"},
      {"7", "options is not a JSON object"},
      {"", "options: line 1"},
      {"{", "options: line 1"},
  };
  struct os_options options;
  struct os_error error;
  char sentence[OS_ERROR_TEXT + OS_ERROR_ADVICE + 4];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(parse(&options, cases[i].text, &error), OS_ERR_ARGUMENT);
    os_error_sentence(&error, sentence, sizeof sentence);
    if (strstr(sentence, cases[i].says) == NULL) fail_msg("%s gave: %s", cases[i].text, sentence);
    assert_null(options.given);
    assert_null(options.values);
  }
}

static void long_values_are_not_quoted(void **state) {
  (void)state;
  struct os_options options;
  struct os_error error;
  char text[300];
  snprintf(text, sizeof text, "{\"mode\":\"%0200d\"}", 7);
  assert_int_equal(parse(&options, text, &error), OS_ERR_ARGUMENT);
  assert_null(strstr(error.text, "000000"));
}

static void takes_no_options(void **state) {
  (void)state;
  static const struct os_option_schema none = {0, NULL};
  struct os_options options;
  struct os_error error = {0};
  assert_int_equal(os_options_parse(&options, &none, "{\"a\":1}", 7, &error), OS_ERR_ARGUMENT);
  assert_string_equal(error.advice, "this command takes no options");
}

static void shares(void **state) {
  (void)state;
  int64_t count;
  double share;
  assert_true(os_parse_share("25%", &count, &share));
  assert_true(count == -1 && share > 0.249 && share < 0.251);
  assert_true(os_parse_share("0.5%", &count, &share));
  assert_true(os_parse_share("12", &count, &share));
  assert_true(count == 12 && share < 0);
  assert_false(os_parse_share("", &count, &share));
  assert_false(os_parse_share("%", &count, &share));
  assert_false(os_parse_share("-1%", &count, &share));
  assert_false(os_parse_share("1 %x", &count, &share));
  assert_false(os_parse_share("000000000000000000000000000000001%", &count, &share));
}

#ifdef OS_TEST_ALLOC
static void survives_lack_of_memory(void **state) {
  (void)state;
  struct os_options options;
  struct os_error error;
  for (long n = 0; n < 12; n++) {
    os_alloc_fail_after(n, 0);
    int rc = parse(&options, "{\"batch_sise\":1}", &error);
    os_alloc_fail_after(-1, 0);
    assert_int_not_equal(rc, OS_OK);
    assert_null(options.given);
  }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gives_defaults),
      cmocka_unit_test(reads_values),
      cmocka_unit_test(refuses),
      cmocka_unit_test(long_values_are_not_quoted),
      cmocka_unit_test(takes_no_options),
      cmocka_unit_test(shares),
#ifdef OS_TEST_ALLOC
      cmocka_unit_test(survives_lack_of_memory),
#endif
  };
  return cmocka_run_group_tests_name("surface/options", tests, NULL, NULL);
}
