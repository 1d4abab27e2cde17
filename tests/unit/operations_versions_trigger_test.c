/* What a trigger may say, and which names come of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "operations/versions/pattern.h"
#include "operations/versions/trigger.h"

static struct os_error error;

/* ---- patterns and templates ---- */

static void test_expand(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *name, *text, *want; /* want NULL: refused, with `text` of the error in `why` */
    const char *why;
  } cases[] = {
      {"^(.+)_v(\\d+)$", "products_v1", "\\1_v{{next_version}}", "products_v2", NULL},
      {"^(.+)_v(\\d+)$", "products_v9", "\\1_v{{next_version}}", "products_v10", NULL},
      {"^(.+)_v(\\d+)$", "products_v007", "\\1_v{{next_version}}", "products_v008", NULL},
      {"^(.+)_v(\\d+)$", "products_v099", "\\1_v{{next_version}}", "products_v100", NULL},
      {"^(.+)_v(\\d+)$", "p_v99", "{{index_base}}_current", "p_current", NULL},
      {"(.+)_v(\\d+)", "p_v1", "\\g<1>-\\g<2>", "p-1", NULL},
      {"(?P<base>\\w+)-(?<version>\\d+)-(\\d+)", "p-3-7", "{{index_base}}-{{next_version}}-\\3", "p-4-7",
       NULL},
      {"(?P<version>\\d+)-(?P<base>\\w+)", "3-p", "{{next_version}}-{{index_base}}-\\g<base>", "4-p-p", NULL},
      {"(a)(\\d)?(\\d)", "a5", "\\1\\2{{next_version}}", "a6", NULL},
      {"(.)(\\d+)(x?)", "a5x", "\\1{{next_version}}\\3", "a6x", NULL},
      {"(.+)_v(\\d+)", "a_v1", "\\\\\\1{x}", "\\a{x}", NULL},
      {"(.+)_v(\\d+)", "a{{index_base}}\\1_v1", "\\1", "a{{index_base}}\\1", NULL}, /* not read again */
      {"(.+)_v(\\d+)", "ü_v1", "\\1_v{{next_version}}", "ü_v2", NULL},
      {"(.)_v(\\d+)", "ü_v1", "\\1", "ü", NULL}, /* characters, not bytes */
      {"(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(\\d)", "abcdefghij1", "\\10\\11\\1", "j1a", NULL},
      {"(.+)_v(\\d+)", "a_v1_old", "\\1", NULL, "does not match"},
      {"(.+)_v(\\d+)", "xa_v", "\\1", NULL, "does not match"},
      {"v(\\d+)", "a_v1", "\\1", NULL, "does not match"},
      {"(.+)_v(.*)", "a_vb", "{{next_version}}", NULL, "finds no version"},
      {"(.+)_v(\\d+)", "a_v1234567890123456789", "{{next_version}}", NULL, "finds no version"},
      {"(.+)_v(\\d+)", "a_v999999999999999999", "{{next_version}}", "1000000000000000000", NULL},
      {"(?<version>.+)_v(\\d+)", "a_v1", "{{next_version}}", NULL, "finds no version"},
      {"((a+)+)+[bd]", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", "\\1", NULL, "given up"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_pattern *pattern = NULL;
    char *out[1];
    assert_int_equal(os_pattern_new(&pattern, "index_pattern", cases[i].pattern, &error), OS_OK);
    assert_int_equal(os_pattern_check_template(pattern, "t", cases[i].text, &error), OS_OK);
    int rc = os_pattern_expand(pattern, cases[i].name, &cases[i].text, 1, out, &error);
    if (cases[i].want) {
      assert_int_equal(rc, OS_OK);
      assert_string_equal(out[0], cases[i].want);
    } else {
      assert_int_equal(rc, OS_ERR_ARGUMENT);
      assert_null(out[0]);
      if (!strstr(error.text, cases[i].why)) fail_msg("'%s' is not in '%s'", cases[i].why, error.text);
    }
    os_free(out[0]);
    os_pattern_free(pattern);
  }
}

static void test_bad_patterns(void **state) {
  (void)state;
  static const char *const cases[] = {
      "(", "a)", "[", "*", "(?P<a", "(?<1a>x)", "\\", "(?<a>.)(?<a>.)", "a{2,1}", "\xff", "\\C"};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_pattern *pattern = NULL;
    assert_int_equal(os_pattern_new(&pattern, "index_pattern", cases[i], &error), OS_ERR_ARGUMENT);
    assert_null(pattern);
    assert_non_null(strstr(error.text, "is no regular expression"));
  }
}

static void test_bad_templates(void **state) {
  (void)state;
  static const char *const cases[] = {"\\3",         "\\0",
                                      "\\10",        "\\x",
                                      "\\",          "\\g",
                                      "\\g<",        "\\g<>",
                                      "\\g<3>",      "\\g<none>",
                                      "\\g1",        "\\g<-1>",
                                      "{{version}}", "{{next_version",
                                      "{{",          "{{ index_base }}"};
  struct os_pattern *pattern = NULL;
  assert_int_equal(os_pattern_new(&pattern, "index_pattern", "(.+)_v(\\d+)", &error), OS_OK);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    os_error_clear(&error);
    if (os_pattern_check_template(pattern, "alias_name", cases[i], &error) != OS_ERR_ARGUMENT)
      fail_msg("'%s' was taken", cases[i]);
    assert_non_null(strstr(error.text, "alias_name has"));
  }
  os_pattern_free(pattern);
  assert_int_equal(os_pattern_new(&pattern, "index_pattern", "a_v\\d+", &error), OS_OK);
  assert_int_equal(os_pattern_check_template(pattern, "alias_name", "{{index_base}}", &error),
                   OS_ERR_ARGUMENT);
  os_pattern_free(pattern);
}

static void test_patterns_without_memory(void **state) {
  (void)state;
  static const char *const templates[] = {"\\1_v{{next_version}}", "{{index_base}}_current"};
  for (long n = 0;; n++) {
    struct os_pattern *pattern = NULL;
    char *out[2] = {NULL, NULL};
    os_alloc_fail_after(n, 1);
    int rc = os_pattern_new(&pattern, "index_pattern", "^(.+)_v(\\d+)$", &error);
    if (!rc) rc = os_pattern_expand(pattern, "products_v1", templates, 2, out, &error);
    os_alloc_fail_after(-1, 0);
    if (!rc) assert_string_equal(out[1], "products_current");
    os_free(out[0]);
    os_free(out[1]);
    os_pattern_free(pattern);
    if (!rc) break;
    assert_int_equal(rc, OS_ERR_NOMEM);
  }
}

/* ---- triggers ---- */

#define HEAD                                                                                                 \
  "{\"opensearch_endpoint\":\"https://h:9200\",\"index_pattern\":\"^(.+)_v(\\\\d+)$\","                      \
  "\"index_replacement\":\"\\\\1_v{{next_version}}\",\"alias_name\":\"{{index_base}}_current\",\"indices\":"

static int parse(const char *text, struct os_trigger *trigger) {
  os_error_clear(&error);
  return os_trigger_parse(text, strlen(text), trigger, &error);
}

static void test_trigger(void **state) {
  (void)state;
  struct os_trigger trigger, again;
  assert_int_equal(parse(HEAD "[\"products_v1\",\"Users_v9\",\".x_v1\"]}", &trigger), OS_ERR_ARGUMENT);
  assert_non_null(strstr(error.text, "upper-case"));
  os_trigger_free(&trigger);
  assert_int_equal(parse(HEAD "[\"products_v1\",\"users_v9\"]}", &trigger), OS_OK);
  assert_string_equal(trigger.endpoint, "https://h:9200");
  assert_int_equal(trigger.count, 2);
  assert_string_equal(trigger.indices[0].name, "products_v1");
  assert_string_equal(trigger.indices[0].next, "products_v2");
  assert_string_equal(trigger.indices[0].alias, "products_current");
  assert_string_equal(trigger.indices[1].next, "users_v10");
  /* the same, written otherwise */
  assert_int_equal(
      parse("  {\"indices\" : [ \"products_v1\",\n\"users_v9\"], \"alias_name\":\"{{index_base}}_current\","
            "\"index_replacement\":\"\\u005c1_v{{next_version}}\",\"index_pattern\":\"^(.+)_v(\\\\d+)$\","
            "\"opensearch_endpoint\":\"https://H:9200/\"}",
            &again),
      OS_OK);
  assert_string_equal(trigger.key, again.key);
  os_trigger_free(&again);
  assert_int_equal(parse(HEAD "[\"users_v9\",\"products_v1\"]}", &again), OS_OK);
  assert_string_not_equal(trigger.key, again.key);
  os_trigger_free(&again);
  /* on another cluster it is another operation */
  assert_int_equal(
      parse("{\"opensearch_endpoint\":\"https://h:9201\",\"index_pattern\":\"^(.+)_v(\\\\d+)$\","
            "\"index_replacement\":\"\\\\1_v{{next_version}}\",\"alias_name\":\"{{index_base}}_current\","
            "\"indices\":[\"products_v1\",\"users_v9\"]}",
            &again),
      OS_OK);
  assert_string_not_equal(trigger.key, again.key);
  os_trigger_free(&again);
  os_trigger_free(&trigger);
}

static void test_bad_triggers(void **state) {
  (void)state;
  static const struct {
    const char *text, *why;
  } cases[] = {
      {"", "trigger"},
      {"{", "line 1"},
      {"[]", "not a JSON object"},
      {"\"x\"", "not a JSON object"},
      {HEAD "[\"a_v1\"]} x", "line 1"},
      {HEAD "[\"a_v1\"],\"indices\":[]}", "uplicate"},
      {"{}", "lacks 'opensearch_endpoint'"},
      {HEAD "[\"a_v1\"],\"indexes\":1}", "unknown key 'indexes'"},
      {HEAD "[\"a_v1\"],\"password\":\"x\"}", "unknown key 'password'"},
      {HEAD "[]}", "array of 1 to 1000"},
      {HEAD "\"a_v1\"}", "array of 1 to 1000"},
      {HEAD "null}", "array of 1 to 1000"},
      {HEAD "[\"a_v1\",1]}", "entry 2"},
      {HEAD "[\"a*\"]}", "'*'"},
      {HEAD "[\"_all\"]}", "'_'"},
      {HEAD "[\"a_v1,b_v1\"]}", "','"},
      {HEAD "[\"\"]}", "entry 1"},
      {HEAD "[\"a\"]}", "does not match"},
      {HEAD "[\"a_v1\",\"a_v1\"]}", "'a_v1' would be one of 'indices', but is one of 'indices' already"},
      {HEAD "[\"a_v1\",\"a_v2\"]}",
       "'a_v2' would be the next version of 'a_v1', but is one of 'indices' already"},
      {HEAD "[\"a_v1\",\"a_v3\"]}",
       "'a_current' would be the alias of 'a_v3', but is the alias of 'a_v1' already"},
      {"{\"opensearch_endpoint\":1,\"index_pattern\":\"a\",\"index_replacement\":\"a\",\"alias_name\":\"a\","
       "\"indices\":[\"a\"]}",
       "'opensearch_endpoint' is not a text"},
      {"{\"opensearch_endpoint\":\"h:9200\",\"index_pattern\":\"a\",\"index_replacement\":\"a\",\"alias_"
       "name\":\"a\",\"indices\":[\"a\"]}",
       "not a URL"},
      {"{\"opensearch_endpoint\":\"https://"
       "\",\"index_pattern\":\"a\",\"index_replacement\":\"a\",\"alias_name\":\"a\",\"indices\":[\"a\"]}",
       "not a URL"},
      {"{\"opensearch_endpoint\":\"http://"
       "h\",\"index_pattern\":\"(\",\"index_replacement\":\"a\",\"alias_name\":\"a\",\"indices\":[\"a\"]}",
       "no regular expression"},
      {"{\"opensearch_endpoint\":\"http://"
       "h\",\"index_pattern\":\"a\",\"index_replacement\":\"\\\\1\",\"alias_name\":\"a\",\"indices\":[\"a\"]"
       "}",
       "index_replacement has '\\1'"},
      {"{\"opensearch_endpoint\":\"http://"
       "h\",\"index_pattern\":\"a\",\"index_replacement\":\"a\",\"alias_name\":\"c\",\"indices\":[\"a\"]}",
       "'a' would be the next version of 'a', but is one of 'indices' already"},
      {"{\"opensearch_endpoint\":\"http://"
       "h\",\"index_pattern\":\"a\",\"index_replacement\":\"b\",\"alias_name\":\"b\",\"indices\":[\"a\"]}",
       "'b' would be the alias of 'a', but is the next version of 'a' already"},
      {"{\"opensearch_endpoint\":\"http://"
       "h\",\"index_pattern\":\"a\",\"index_replacement\":\"b*\",\"alias_name\":\"c\",\"indices\":[\"a\"]}",
       "the next version of 'a'"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_trigger trigger;
    if (parse(cases[i].text, &trigger) != OS_ERR_ARGUMENT) fail_msg("taken: %s", cases[i].text);
    if (!strstr(error.text, cases[i].why)) fail_msg("'%s' is not in '%s'", cases[i].why, error.text);
    os_trigger_free(&trigger);
  }
}

static void test_a_password_is_not_repeated(void **state) {
  (void)state;
  struct os_trigger trigger;
  assert_int_equal(parse("{\"opensearch_endpoint\":\"https://"
                         "u:geheim@h\",\"index_pattern\":\"a\",\"index_replacement\":\"b\","
                         "\"alias_name\":\"c\",\"indices\":[\"a\"]}",
                         &trigger),
                   OS_ERR_ARGUMENT);
  assert_non_null(strstr(error.text, "user or password"));
  assert_null(strstr(error.text, "geheim"));
  assert_null(strstr(error.advice, "geheim"));
  os_trigger_free(&trigger);
}

static void test_many_indices(void **state) {
  (void)state;
  for (int count = OS_TRIGGER_INDICES; count <= OS_TRIGGER_INDICES + 1; count++) {
    struct os_trigger trigger;
    static char text[64000];
    size_t len = (size_t)sprintf(text, "%s[", HEAD);
    for (int i = 0; i < count; i++)
      len += (size_t)sprintf(text + len, "%s\"i%d_v1\"", i ? "," : "", i);
    sprintf(text + len, "]}");
    assert_int_equal(parse(text, &trigger), count > OS_TRIGGER_INDICES ? OS_ERR_ARGUMENT : OS_OK);
    if (count == OS_TRIGGER_INDICES) assert_string_equal(trigger.indices[999].next, "i999_v2");
    os_trigger_free(&trigger);
  }
}

static void test_trigger_without_memory(void **state) {
  (void)state;
  for (long n = 0;; n++) {
    struct os_trigger trigger;
    os_alloc_fail_after(n, 1);
    int rc = parse(HEAD "[\"a_v1\",\"b_v1\"]}", &trigger);
    os_alloc_fail_after(-1, 0);
    os_trigger_free(&trigger);
    if (!rc) break;
    assert_int_equal(rc, OS_ERR_NOMEM);
  }
}

static void test_same_endpoint(void **state) {
  (void)state;
  static const struct {
    const char *a, *b;
    bool same;
  } cases[] = {
      {"https://h", "https://h", true},       {"https://h/", "https://h", true},
      {"https://h:443", "https://h/", true},  {"HTTPS://Host:443/", "https://host", true},
      {"http://h:80", "http://h", true},      {"http://h:443", "http://h", false},
      {"https://h:80", "https://h", false},   {"http://h", "https://h", false},
      {"https://h:9200", "https://h", false}, {"https://h/a", "https://h/a/", true},
      {"https://h/a", "https://h/A", false},  {"https://h/x:443", "https://h/x", false},
      {"https://h1", "https://h", false},     {"https://h:4430", "https://h:443", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_int_equal(os_trigger_same_endpoint(cases[i].a, cases[i].b), cases[i].same);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_expand),
      cmocka_unit_test(test_bad_patterns),
      cmocka_unit_test(test_bad_templates),
      cmocka_unit_test(test_patterns_without_memory),
      cmocka_unit_test(test_trigger),
      cmocka_unit_test(test_bad_triggers),
      cmocka_unit_test(test_a_password_is_not_repeated),
      cmocka_unit_test(test_many_indices),
      cmocka_unit_test(test_trigger_without_memory),
      cmocka_unit_test(test_same_endpoint),
  };
  return cmocka_run_group_tests_name("operations/versions", tests, NULL, NULL);
}
