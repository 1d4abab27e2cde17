/* base_error_test.c - composing errors: cut cleanly, cleaned, prefixed, never dependent on memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>
#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"

static void composes(void **state) {
  (void)state;
  struct os_error error;
  char sentence[200], tiny[12];
  os_error_clear(&error);
  assert_int_equal(error.code, OS_OK);
  error.http_status = 404;
  assert_int_equal(os_fail(&error, OS_ERR_IO, "cannot open '%s'", "a.csv"), OS_ERR_IO);
  assert_int_equal(error.http_status, 0);
  assert_int_equal(os_advise(&error, "check %s", "the name"), OS_ERR_IO);
  assert_int_equal(os_error_prefix(&error, "os_bulk_load"), OS_ERR_IO);
  os_error_sentence(&error, sentence, sizeof sentence);
  assert_string_equal(sentence, "os_bulk_load: cannot open 'a.csv'; check the name");
  os_error_sentence(&error, tiny, sizeof tiny);
  assert_string_equal(tiny, "os_bulk_loa");
  os_fail(&error, OS_ERR_NETWORK, "no");
  assert_string_equal(error.advice, "");
  os_fail(&error, OS_ERR_IO, "%s again", error.text); /* an argument inside the error itself */
  assert_string_equal(error.text, "no again");
}

static void without_an_error_to_fill(void **state) {
  (void)state;
  assert_int_equal(os_fail(NULL, OS_ERR_GUARD, "x"), OS_ERR_GUARD);
  assert_int_equal(os_fail_nomem(NULL), OS_ERR_NOMEM);
  assert_int_equal(os_advise(NULL, "x"), OS_ERR_INTERNAL);
  assert_int_equal(os_error_prefix(NULL, "x"), OS_ERR_INTERNAL);
  os_error_clear(NULL);
}

/* Whatever the length, what is left is valid UTF-8. */
static void cuts_between_characters(void **state) {
  (void)state;
  static char euros[3 * 600 + 1];
  struct os_error error;
  for (int i = 0; i < 600; i++)
    memcpy(euros + i * 3, "\xe2\x82\xac", 3);
  for (int lead = 0; lead < 6; lead++) {
    os_fail(&error, OS_ERR_IO, "%.*s%s", lead, "abcdef", euros);
    size_t len = strlen(error.text);
    assert_in_range(len, OS_ERROR_TEXT - 4, OS_ERROR_TEXT - 1);
    assert_int_equal(os_utf8_check(error.text, len), len);
    assert_null(strchr(error.text, '?'));
    os_error_prefix(&error, "%s", "p");
    len = strlen(error.text);
    assert_int_equal(os_utf8_check(error.text, len), len);
    os_advise(&error, "%s", euros);
    assert_int_equal(os_utf8_check(error.advice, strlen(error.advice)), strlen(error.advice));
  }
}

static void foreign_text_is_cleaned(void **state) {
  (void)state;
  struct os_error error;
  os_fail(&error, OS_ERR_ANSWER, "server said %s", "<html>\r\n\xff\x1b[31m");
  assert_string_equal(error.text, "server said <html>  ? [31m");
}

static void names(void **state) {
  (void)state;
  assert_string_equal(os_code_name(OS_OK), "ok");
  assert_string_equal(os_code_name(OS_ERR_NOMEM), "no_memory");
  for (int code = OS_OK; code <= OS_ERR_INTERNAL; code++)
    assert_string_not_equal(os_code_name(code), "unknown");
  assert_string_equal(os_code_name(-1), "unknown");
  assert_string_equal(os_code_name(1000), "unknown");
  assert_string_equal(os_errno_text(ENOENT), "No such file or directory");
  assert_non_null(os_errno_text(123456));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(composes),
      cmocka_unit_test(without_an_error_to_fill),
      cmocka_unit_test(cuts_between_characters),
      cmocka_unit_test(foreign_text_is_cleaned),
      cmocka_unit_test(names),
  };
  return cmocka_run_group_tests_name("base/error", tests, NULL, NULL);
}
