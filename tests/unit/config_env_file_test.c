/* config_env_file_test.c - the grammar of .env, and that a message never repeats a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "config/env_file.h"

static int note(void *ctx, const char *name, const char *value, int line, struct os_error *error) {
  (void)error;
  os_buf_printf(ctx, "%d:%s=<%s>;", line, name, value);
  return OS_OK;
}

static void reads(void **state) {
  (void)state;
  static const struct {
    const char *text, *seen;
  } cases[] = {
      {"", ""},
      {"\n\n# only words\n   # more\n", ""},
      {"A=1", "1:A=<1>;"},
      {"\xef\xbb\xbf"
       "A=1\r\nB=2\r\n",
       "1:A=<1>;2:B=<2>;"},
      {"export A=1\nexport\tB = 2 \n", "1:A=<1>;2:B=<2>;"},
      {"export=5\n", "1:export=<5>;"},
      {"A=\nB=   \nC=# nothing\n", "1:A=<>;2:B=<>;3:C=<>;"},
      {"A=two words # and a comment\nB=x#y\n", "1:A=<two words>;2:B=<x#y>;"},
      {"A='x # y' # c\nB=\"a\\tb\\\"c\\\\d\\$e\\q\"\n", "1:A=<x # y>;2:B=<a\tb\"c\\d$e\\q>;"},
      {"A='no \\n here'\n", "1:A=<no \\n here>;"},
      {"A=$HOME`x`${Y}\nB=\"$HOME\"\n", "1:A=<$HOME`x`${Y}>;2:B=<$HOME>;"},
      {"A=it's\nB=a\"b\n", "1:A=<it's>;2:B=<a\"b>;"},
      {"KEY='one\ntwo'\nB=3\n", "1:KEY=<one\ntwo>;3:B=<3>;"},
      {"SQS-DLQ-ARN=arn:x\na.b=1\n_x=2", "1:SQS-DLQ-ARN=<arn:x>;2:a.b=<1>;3:_x=<2>;"},
      {"A=1\nA=2\n", "1:A=<1>;2:A=<2>;"},
      {"A==b=c\n", "1:A=<=b=c>;"},
      {"A=\"\"\n", "1:A=<>;"},
  };
  struct os_error error;
  struct os_buf seen;
  os_buf_init(&seen, 0);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    os_buf_clear(&seen);
    assert_int_equal(os_env_parse(cases[i].text, strlen(cases[i].text), ".env", note, &seen, &error), OS_OK);
    assert_string_equal(seen.data, cases[i].seen);
  }
  os_buf_free(&seen);
}

static void refuses(void **state) {
  (void)state;
  static const struct {
    const char *text, *place;
  } cases[] = {
      {"A=1\nhunter2\n", ".env: line 2: "},   {"hunter2 = \n=hunter2\n", ".env: line 2: "},
      {"A='hunter2\n\n\n", ".env: line 1: "}, {"\nA=\"hunter2\" hunter2\n", ".env: line 2: "},
      {"1A=hunter2", ".env: line 1: "},       {"export hunter2 hunter2", ".env: line 1: "},
      {"A B=hunter2", ".env: line 1: "},      {"K='a\nb'\nhunter2", ".env: line 3: "},
  };
  struct os_error error;
  struct os_buf seen;
  os_buf_init(&seen, 0);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_int_equal(os_env_parse(cases[i].text, strlen(cases[i].text), ".env", note, &seen, &error),
                     OS_ERR_ARGUMENT);
    assert_memory_equal(error.text, cases[i].place, strlen(cases[i].place));
    assert_null(strstr(error.text, "hunter2"));
    assert_true(error.advice[0]);
  }
  assert_int_equal(os_env_parse("A=\0b", 4, ".env", note, &seen, &error), OS_ERR_ARGUMENT);
  os_buf_free(&seen);
}

/* Any text, however broken, is read or refused without touching a byte outside of it. */
static void every_cut_of_a_file(void **state) {
  (void)state;
  static const char whole[] = "export A='x'\r\n# c\nB=\"a\\n\\\"b\" # d\nC = bare # e\n-bad\n";
  struct os_error error;
  struct os_buf seen;
  os_buf_init(&seen, 0);
  for (size_t len = 0; len < sizeof whole; len++) {
    char *cut = os_malloc(len); /* exactly, so that a sanitizer sees a read past the end */
    memcpy(cut, whole, len);
    int code = os_env_parse(cut, len, ".env", note, &seen, &error);
    assert_true(code == OS_OK || code == OS_ERR_ARGUMENT);
    os_free(cut);
  }
  os_buf_free(&seen);
}

static int stop(void *ctx, const char *name, const char *value, int line, struct os_error *error) {
  (void)ctx;
  (void)value;
  (void)line;
  return os_fail(error, OS_ERR_INTERNAL, "stopped at %s", name);
}

static void stops_and_runs_out_of_memory(void **state) {
  (void)state;
  struct os_error error;
  assert_int_equal(os_env_parse("A=1\nB=2\n", 8, ".env", stop, NULL, &error), OS_ERR_INTERNAL);
  assert_string_equal(error.text, "stopped at A");
#ifdef OS_TEST_ALLOC
  for (long n = 0; n < 2; n++) {
    struct os_buf seen;
    os_buf_init(&seen, 0);
    os_alloc_fail_after(n, 1);
    int code = os_env_parse("A=1\nB=2\n", 8, ".env", note, &seen, &error);
    os_alloc_fail_after(-1, 0);
    assert_int_equal(code, OS_ERR_NOMEM);
    os_buf_free(&seen);
  }
#endif
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads),
      cmocka_unit_test(refuses),
      cmocka_unit_test(every_cut_of_a_file),
      cmocka_unit_test(stops_and_runs_out_of_memory),
  };
  return cmocka_run_group_tests_name("config/env_file", tests, NULL, NULL);
}
