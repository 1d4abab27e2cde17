/* Moving an alias, as far as it needs no cluster: the actions, where the alias is, how many documents,
** which fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "operations/alias/alias_int.h"

static json_t *json(const char *text) {
  struct os_error error;
  json_t *value = os_json_parse(text, strlen(text), 0, "test", &error);
  assert_non_null(value);
  return value;
}

/* ---- actions ---- */

static void test_actions(void **state) {
  (void)state;
  static const struct {
    const char *from, *to, *properties, *want;
    bool must_exist;
  } cases[] = {
      {"o", "n", "{}",
       "{\"actions\":[{\"remove\":{\"index\":\"o\",\"alias\":\"a\",\"must_exist\":true}},"
       "{\"add\":{\"index\":\"n\",\"alias\":\"a\"}}]}",
       true},
      {"o", "n", "{\"filter\":{\"term\":{\"k\":1}},\"is_write_index\":false}",
       "{\"actions\":[{\"remove\":{\"index\":\"o\",\"alias\":\"a\"}},"
       "{\"add\":{\"index\":\"n\",\"alias\":\"a\",\"filter\":{\"term\":{\"k\":1}},\"is_write_index\":false}}]"
       "}",
       false},
      {"o", NULL, "{\"index_routing\":\"1\"}",
       "{\"actions\":[{\"remove\":{\"index\":\"o\",\"alias\":\"a\",\"must_exist\":true}}]}", true},
      {NULL, "n", "{\"index_routing\":\"1\"}",
       "{\"actions\":[{\"add\":{\"index\":\"n\",\"alias\":\"a\",\"index_routing\":\"1\"}}]}", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_t *properties = json(cases[i].properties);
    char *body = os_alias_actions("a", cases[i].from, cases[i].to, properties, cases[i].must_exist);
    assert_string_equal(body, cases[i].want);
    os_free(body);
    json_decref(properties);
  }
}

static void test_names_are_quoted(void **state) {
  (void)state;
  json_t *none = json_object();
  char *body = os_alias_actions("a\"b", "o\\", "ü", none, false);
  json_t *parsed = json(body);
  assert_string_equal(
      os_json_string(json_array_get(json_object_get(parsed, "actions"), 0), "remove/index", ""), "o\\");
  assert_string_equal(os_json_string(json_array_get(json_object_get(parsed, "actions"), 1), "add/alias", ""),
                      "a\"b");
  json_decref(parsed);
  os_free(body);
  json_decref(none);
}

static void test_actions_without_memory(void **state) {
  (void)state;
  json_t *properties = json("{\"filter\":{\"term\":{\"k\":1}}}");
  for (long n = 0;; n++) {
    os_alloc_fail_after(n, 1);
    char *body = os_alias_actions("a", "o", "n", properties, true);
    os_alloc_fail_after(-1, 0);
    if (body) {
      json_decref(json(body)); /* whole */
      os_free(body);
      assert_true(n > 0);
      break;
    }
  }
  json_decref(properties);
}

/* ---- where it is ---- */

static void test_place(void **state) {
  (void)state;
  static const struct {
    const char *now;
    enum os_alias_place place;
    const char *where;
  } cases[] = {
      {"{}", OS_ALIAS_ON_NONE, "no index"},
      {"{\"n\":{\"p\":1}}", OS_ALIAS_MOVED, "'n'"},
      {"{\"n\":{}}", OS_ALIAS_CHANGED, "'n'"},
      {"{\"n\":{\"p\":1,\"q\":2}}", OS_ALIAS_CHANGED, "'n'"},
      {"{\"o\":{\"p\":1}}", OS_ALIAS_UNMOVED, "'o'"},
      {"{\"o\":{}}", OS_ALIAS_UNMOVED, "'o'"},
      {"{\"o\":{},\"n\":{}}", OS_ALIAS_ON_BOTH, "'o' and 'n'"},
      {"{\"x\":{\"p\":1}}", OS_ALIAS_ELSEWHERE, "'x'"},
      {"{\"x\":{},\"o\":{}}", OS_ALIAS_ELSEWHERE, "'x' and 'o'"},
      {"{\"x\":{},\"n\":{}}", OS_ALIAS_AND_OTHERS, "'x' and 'n'"},
      {"{\"x\":{},\"n\":{},\"o\":{}}", OS_ALIAS_AND_OTHERS, "'x', 'n' and 'o'"},
      {"{\"a\":{},\"b\":{},\"c\":{},\"d\":{}}", OS_ALIAS_ELSEWHERE, "'a', 'b', 'c' and 'd'"},
      {"{\"a\":{},\"b\":{},\"c\":{},\"d\":{},\"e\":{}}", OS_ALIAS_ELSEWHERE, "'a', 'b', 'c' and 2 others"},
  };
  json_t *properties = json("{\"p\":1}");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char where[100];
    json_t *now = json(cases[i].now);
    assert_int_equal(os_alias_place(now, "o", "n", properties), cases[i].place);
    os_alias_where(now, where, sizeof where);
    assert_string_equal(where, cases[i].where);
    os_alias_where(now, where, 8); /* too small: cut, never overrun */
    assert_true(strlen(where) < 8);
    json_decref(now);
  }
  json_decref(properties);
}

static void test_must_exist(void **state) {
  (void)state;
  static const struct {
    const char *distribution;
    int major, minor;
    bool knows;
  } cases[] = {{"opensearch", 2, 11, false}, {"opensearch", 2, 12, true},     {"opensearch", 2, 19, true},
               {"opensearch", 3, 0, true},   {"opensearch", 1, 13, false},    {"opensearch", 7, 10, false},
               {"opensearch", 10, 0, true},  {"elasticsearch", 7, 10, false}, {"elasticsearch", 8, 0, false},
               {"unknown", 0, 0, false},     {"serverless", 0, 0, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_capabilities caps = {.major = cases[i].major, .minor = cases[i].minor};
    strcpy(caps.distribution, cases[i].distribution);
    assert_int_equal(os_cluster_must_exist(&caps), cases[i].knows);
  }
}

/* ---- how many documents ---- */

static void test_counts(void **state) {
  (void)state;
  static const struct {
    int64_t source, target;
    double threshold, shrink, growth;
    bool empty, fits;
  } cases[] = {
      {10, 10, 0, -1, -1, false, true},
      {10, 11, 10, -1, -1, false, true},
      {10, 11, 9.99, -1, -1, false, false},
      {10, 9, 10, -1, -1, false, true},
      {10, 9, 9.99, -1, -1, false, false},
      {10, 0, 1e9, -1, -1, false, false},
      {10, 0, 100, -1, -1, true, true},
      {10, 0, 99, -1, -1, true, false},
      {0, 0, 100, -1, -1, false, false},
      {0, 0, 0, -1, -1, true, true},
      {0, 5, 0, 0, 0, false, true},
      {10, 5, 0, 50, -1, false, true},
      {10, 5, 100, 49, -1, false, false},
      {10, 15, 0, -1, 50, false, true},
      {10, 15, 100, -1, 49, false, false},
      {10, 15, 10, 50, -1, false, false},
      {3, 2, 33.34, -1, -1, false, true},
      {3, 2, 33.33, -1, -1, false, false},
      {INT64_MAX, 1, 99, -1, -1, false, false},
      {1, INT64_MAX, 1e9, -1, -1, false, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_error error = {0};
    double percent;
    struct os_alias_switch_request request = {.alias = "a",
                                              .source = "o",
                                              .target = "n",
                                              .threshold = cases[i].threshold,
                                              .max_shrink = cases[i].shrink,
                                              .max_growth = cases[i].growth,
                                              .allow_empty = cases[i].empty};
    int rc = os_alias_judge_counts(&request, cases[i].source, cases[i].target, &percent, &error);
    assert_int_equal(rc, cases[i].fits ? OS_OK : OS_ERR_GUARD);
    assert_int_equal(error.text[0] == '\0', cases[i].fits);
  }
}

static void test_what_a_difference_is_called(void **state) {
  (void)state;
  static const struct {
    int64_t source, target;
    double threshold, shrink;
    const char *text;
  } cases[] = {
      {1000, 1, 0.5, -1,
       "target index 'n' has 1 documents, 99.9 % fewer than source index 'o' with 1000; allowed are 0.5 % "
       "(threshold)"},
      {3, 2, 10, 20,
       "target index 'n' has 2 documents, 33.33 % fewer than source index 'o' with 3; allowed are 20 % "
       "(max_shrink)"},
      {10, 30, 100, -1,
       "target index 'n' has 30 documents, 200 % more than source index 'o' with 10; allowed are 100 % "
       "(threshold)"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_error error;
    double percent;
    struct os_alias_switch_request request = {.source = "o",
                                              .target = "n",
                                              .threshold = cases[i].threshold,
                                              .max_shrink = cases[i].shrink,
                                              .max_growth = -1};
    assert_int_equal(os_alias_judge_counts(&request, cases[i].source, cases[i].target, &percent, &error),
                     OS_ERR_GUARD);
    assert_string_equal(error.text, cases[i].text);
  }
}

/* ---- which fields ---- */

static void test_fields(void **state) {
  (void)state;
  static const struct {
    const char *source, *target, *want;
  } cases[] = {
      {"{}", "{}", ""},
      {"{}", "{\"properties\":{\"a\":{\"type\":\"long\"}}}", ""},
      {"{\"properties\":{\"a\":{\"type\":\"long\"}}}", "{}", "not in the target's mapping: a"},
      {"{\"properties\":{\"a\":{\"type\":\"long\"}}}", "{\"properties\":{\"a\":{\"type\":\"long\"}}}", ""},
      {"{\"properties\":{\"a\":{\"type\":\"long\"}}}", "{\"properties\":{\"a\":{\"type\":\"text\"}}}",
       "of another type in the target: a (text, was long)"},
      {"{\"properties\":{\"o\":{\"properties\":{\"x\":{\"type\":\"long\"}}}}}",
       "{\"properties\":{\"o\":{\"type\":\"nested\",\"properties\":{\"x\":{\"type\":\"long\"}}}}}",
       "of another type in the target: o (nested, was object)"},
      {"{\"properties\":{\"o\":{\"properties\":{\"x\":{\"type\":\"long\"},\"y\":{\"type\":\"long\"}}}}}",
       "{\"properties\":{\"o\":{\"properties\":{\"x\":{\"type\":\"long\"}}}}}",
       "not in the target's mapping: o.y"},
      {"{\"properties\":{\"t\":{\"type\":\"text\",\"fields\":{\"raw\":{\"type\":\"keyword\"}}}}}",
       "{\"properties\":{\"t\":{\"type\":\"text\"}}}", "not in the target's mapping: t.raw"},
      {"{\"properties\":{\"a\":{},\"b\":{},\"c\":{},\"d\":{},\"e\":{},\"f\":{},\"g\":{},\"h\":{\"type\":"
       "\"x\"}}}",
       "{\"properties\":{\"h\":{}}}",
       "not in the target's mapping: a, b, c, d, e and 2 others; of another type in the target: h (object, "
       "was x)"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char out[512];
    json_t *source = json(cases[i].source), *target = json(cases[i].target);
    assert_true(os_alias_compare_fields(source, target, out, sizeof out));
    assert_string_equal(out, cases[i].want);
    json_decref(source);
    json_decref(target);
  }
}

static void test_long_names_are_cut_between_characters(void **state) {
  (void)state;
  char out[40];
  json_t *none = json_object(),
         *source = json("{\"properties\":{\"öööööööööööööööööööö\":{\"type\":\"long\"}}}");
  for (size_t size = 1; size <= sizeof out; size++) {
    assert_true(os_alias_compare_fields(source, none, out, size));
    assert_true(strlen(out) < size);
    json_t *text = json_string(out); /* jansson takes valid UTF-8 alone */
    assert_non_null(text);
    json_decref(text);
  }
  json_decref(none);
  json_decref(source);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_actions),
      cmocka_unit_test(test_names_are_quoted),
      cmocka_unit_test(test_actions_without_memory),
      cmocka_unit_test(test_place),
      cmocka_unit_test(test_must_exist),
      cmocka_unit_test(test_counts),
      cmocka_unit_test(test_what_a_difference_is_called),
      cmocka_unit_test(test_fields),
      cmocka_unit_test(test_long_names_are_cut_between_characters),
  };
  return cmocka_run_group_tests_name("operations/alias", tests, NULL, NULL);
}
