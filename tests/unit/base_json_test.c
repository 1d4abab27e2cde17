/* base_json_test.c - strict parsing, ways to members, writing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "base/json.h"

static void refuses(void **state) {
  (void)state;
  static const char *const texts[] = {"",
                                      "{",
                                      "{\"a\":1,\"a\":2}",
                                      "{} x",
                                      "[1,]",
                                      "{\"a\":99999999999999999999}",
                                      "\"\\u0000\"",
                                      "{a:1}",
                                      "\"\xff\"",
                                      "nul"};
  struct os_error error;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    assert_null(os_json_parse(texts[i], strlen(texts[i]), 0, "options", &error));
    assert_int_equal(error.code, OS_ERR_ARGUMENT);
    assert_memory_equal(error.text, "options: line 1 column ", 23);
  }
}

/* The text around a fault may be a password. */
static void does_not_quote(void **state) {
  (void)state;
  struct os_error error;
  const char *text = "{\"password\":\"geheim\" x}";
  assert_null(os_json_parse(text, strlen(text), 0, "options", &error));
  assert_null(strstr(error.text, "geheim"));
  text = "{\"password\":\"geheim";
  assert_null(os_json_parse(text, strlen(text), 0, "options", &error));
  assert_null(strstr(error.text, "geheim"));
}

static void server_answers(void **state) {
  (void)state;
  struct os_error error;
  const char *text = "{\"big\":18446744073709551615,\"small\":3,\"nul\":\"a\\u0000b\"}";
  json_t *root = os_json_parse(text, strlen(text), OS_JSON_BIG_INTEGERS, "answer", &error);
  assert_non_null(root);
  assert_int_equal(os_json_int(root, "small", -1), 3);
  assert_int_equal(os_json_int(root, "big", -1), -1); /* does not fit: the fallback, never a wrong number */
  assert_true(os_json_real(root, "big", 0) == 18446744073709551615.0);
  json_decref(root);
  assert_null(os_json_parse("<html>", 6, OS_JSON_BIG_INTEGERS, "answer", &error));
  assert_int_equal(error.code, OS_ERR_ANSWER);
}

static void members(void **state) {
  (void)state;
  struct os_error error;
  char text[700], name[301];
  memset(name, 'n', 300);
  name[300] = '\0';
  snprintf(text, sizeof text,
           "{\"version\":{\"number\":\"2.19.4\"},\"n\":\"12\",\"r\":\"1.5\",\"t\":true,\"f\":\"false\","
           "\"null\":null,"
           "\"%s\":{\"deep\":7},\"list\":[1]}",
           name);
  json_t *root = os_json_parse(text, strlen(text), 0, "test", &error);
  assert_non_null(root);
  assert_string_equal(os_json_string(root, "version/number", "?"), "2.19.4");
  assert_string_equal(os_json_string(root, "version/other", "?"), "?");
  assert_string_equal(os_json_string(root, "version", "?"), "?");
  assert_int_equal(os_json_int(root, "n", 0), 12);
  assert_int_equal(os_json_int(root, "null", 5), 5);
  assert_true(os_json_real(root, "r", 0) == 1.5);
  assert_true(os_json_bool(root, "t", false));
  assert_false(os_json_bool(root, "f", true));
  assert_true(os_json_bool(root, "n", true));
  assert_null(os_json_at(root, "version/number/x"));
  assert_null(os_json_at(root, "list/0"));
  assert_null(os_json_at(NULL, "a"));
  char path[320];
  snprintf(path, sizeof path, "%.300s/deep", name);
  assert_int_equal(os_json_int(root, path, 0), 7);
  json_decref(root);
}

static void writes(void **state) {
  (void)state;
  static const char *const texts[] = {
      "{\"z\":1,\"a\":[true,false,null,-5,0.1,1e+300,\"\\u001f\\\"\"],\"o\":{},\"l\":[]}", "\"x\"", "3.0",
      "[]"};
  struct os_error error;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    json_t *value = os_json_parse(texts[i], strlen(texts[i]), 0, "test", &error);
    assert_non_null(value);
    char *text = os_json_text(value);
    assert_string_equal(text, texts[i]);
    os_free(text);
    json_decref(value);
  }
  assert_null(os_json_text(NULL));
}

static void puts_members(void **state) {
  (void)state;
  json_t *object = json_object();
  assert_true(os_json_put(object, "a", json_integer(1)));
  assert_false(os_json_put(object, "b", NULL));
  char *text = os_json_text(object);
  assert_string_equal(text, "{\"a\":1}");
  os_free(text);
#ifdef OS_TEST_ALLOC
  os_alloc_fail_after(0, 0);
  text = os_json_text(object);
  os_alloc_fail_after(-1, 0);
  assert_null(text);
#endif
  json_decref(object);
}

static long fails_after = -1; /* allocations, and then one is refused; -1: none */

static void *scarce(size_t size) {
  if (fails_after < 0 || fails_after-- > 0) return malloc(size);
  errno = ENOMEM;
  return NULL;
}

/* Text grows by doubling, and jansson drops the letter for which there was no room. */
static void no_letter_is_lost_with_the_memory(void **state) {
  (void)state;
  char text[400] = "{\"uuid\":\"", wanted[300];
  struct os_error error;
  long n, read = 0;
  for (size_t i = 0; i < sizeof wanted - 1; i++)
    wanted[i] = (char)('a' + i % 26);
  wanted[sizeof wanted - 1] = '\0';
  strcat(text, wanted);
  strcat(text, "\"}");
  for (n = 0; n < 100 && !read; n++) {
    fails_after = n;
    json_t *value = os_json_parse(text, strlen(text), OS_JSON_BIG_INTEGERS, "an answer", &error);
    bool refused = fails_after < 0;
    fails_after = -1;
    if (value)
      assert_string_equal(os_json_string(value, "uuid", ""), wanted);
    else
      assert_int_equal(error.code, OS_ERR_NOMEM);
    read += value && !refused;
    json_decref(value);
  }
  assert_in_range(n, 5, 99);
}

int main(void) {
  json_set_alloc_funcs(scarce, free);

  const struct CMUnitTest tests[] = {
      cmocka_unit_test(refuses),
      cmocka_unit_test(does_not_quote),
      cmocka_unit_test(server_answers),
      cmocka_unit_test(members),
      cmocka_unit_test(writes),
      cmocka_unit_test(puts_members),
      cmocka_unit_test(no_letter_is_lost_with_the_memory),
  };
  return cmocka_run_group_tests_name("base/json", tests, NULL, NULL);
}
