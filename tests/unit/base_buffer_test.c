/* base_buffer_test.c - the buffer, and the allocation seam under it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "base/buffer.h"

static void empty_is_readable(void **state) {
  (void)state;
  struct os_buf buf;
  unsigned sum = 0;
  os_buf_init(&buf, 0);
  assert_string_equal(buf.data, "");
  for (int i = 0; i < OS_PAD; i++)
    sum += (unsigned char)buf.data[i];
  assert_int_equal(sum, 0);
  char *text = os_buf_take(&buf);
  assert_string_equal(text, "");
  os_free(text);
  os_buf_free(&buf);
}

static void appends(void **state) {
  (void)state;
  struct os_buf buf;
  os_buf_init(&buf, 0);
  os_buf_puts(&buf, "a");
  os_buf_putc(&buf, '\0');
  os_buf_append(&buf, "bc", 2);
  os_buf_append(&buf, NULL, 0);
  os_buf_printf(&buf, "-%d-%s", 42, "x");
  os_buf_put_u64(&buf, 0);
  os_buf_put_u64(&buf, UINT64_MAX);
  assert_int_equal(buf.len, 9 + 21);
  assert_memory_equal(buf.data, "a\0bc-42-x018446744073709551615", buf.len + 1);
  for (int i = 0; i < 10000; i++)
    os_buf_printf(&buf, "%d,", i);
  assert_false(buf.failed);
  assert_string_equal(buf.data + buf.len - 10, "9998,9999,");
  os_buf_clear(&buf);
  assert_string_equal(buf.data, "");
  assert_true(buf.cap > 40000);
  os_buf_free(&buf);
}

static void the_cap_holds_and_sticks(void **state) {
  (void)state;
  struct os_buf buf;
  os_buf_init(&buf, 10);
  os_buf_puts(&buf, "0123456789");
  assert_false(buf.failed);
  os_buf_putc(&buf, 'x');
  assert_true(buf.failed);
  os_buf_clear(&buf);
  os_buf_puts(&buf, "01234");
  os_buf_puts(&buf, "56789x"); /* would pass the cap: nothing of it is taken */
  os_buf_puts(&buf, "5");
  assert_true(buf.failed);
  assert_string_equal(buf.data, "01234");
  assert_null(os_buf_take(&buf));
  assert_false(buf.failed);
  assert_int_equal(buf.max, 10);
  assert_false(os_buf_reserve(&buf, SIZE_MAX));
  os_buf_free(&buf);
}

static void json_is_always_valid(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t len;
    const char *json;
  } cases[] = {
      {"", 0, "\"\""},
      {"plain text that is longer than a vector", 39, "\"plain text that is longer than a vector\""},
      {"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
      {"\b\f\n\r\t\v\x01\x1f", 8, "\"\\b\\f\\n\\r\\t\\u000b\\u0001\\u001f\""},
      {"\0x\x7f", 3, "\"\\u0000x\x7f\""},
      {"gr\xc3\xbc\xc3\x9f"
       "e \xf0\x9f\x98\x80",
       12,
       "\"gr\xc3\xbc\xc3\x9f"
       "e \xf0\x9f\x98\x80\""},
      {"\xff"
       "a\xc3",
       3,
       "\"\xef\xbf\xbd"
       "a\xef\xbf\xbd\""},
      {"0123456789abcdef\xff", 17, "\"0123456789abcdef\xef\xbf\xbd\""},
      {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
  };
  struct os_buf buf;
  os_buf_init(&buf, 0);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    os_buf_clear(&buf);
    os_buf_put_json(&buf, cases[i].text, cases[i].len);
    assert_string_equal(buf.data, cases[i].json);
  }
  os_buf_clear(&buf);
  os_buf_put_double(&buf, 1234.5, 2);
  os_buf_putc(&buf, ' ');
  os_buf_put_double(&buf, INFINITY, 2);
  os_buf_putc(&buf, ' ');
  os_buf_put_double(&buf, -1.7976931348623157e308, 0);
  assert_memory_equal(buf.data, "1234.50 null -179769313486231570", 32);
  os_buf_free(&buf);
}

#ifdef OS_TEST_ALLOC
static void each_failing_allocation(void **state) {
  (void)state;
  for (long n = 0; n < 40; n++) {
    struct os_buf buf;
    os_buf_init(&buf, 0);
    os_alloc_fail_after(n, 1);
    for (int i = 0; i < 2000; i++)
      os_buf_printf(&buf, "%d,", i);
    bool injected = os_alloc_count() > n;
    os_alloc_fail_after(-1, 0);
    assert_int_equal(buf.failed, injected);
    assert_int_equal(strlen(buf.data), buf.len);
    os_buf_free(&buf);
    if (!injected) return;
  }
  fail_msg("a buffer of some kilobytes took more than 40 allocations");
}

static void seam_fails_once_or_for_good(void **state) {
  (void)state;
  os_alloc_fail_after(1, 1);
  char *first = os_strdup("a"), *second = os_mprintf("%d", 2), *third = os_strndup("abc", 2);
  assert_int_equal(os_alloc_count(), 3);
  os_alloc_fail_after(0, 0);
  void *fourth = os_malloc(1), *fifth = os_calloc(1, 1);
  os_alloc_fail_after(-1, 0);
  assert_string_equal(first, "a");
  assert_null(second);
  assert_string_equal(third, "ab");
  assert_null(fourth);
  assert_null(fifth);
  os_free(first);
  os_free(third);
}
#endif

static void allocation_edges(void **state) {
  (void)state;
  volatile size_t huge = SIZE_MAX; /* volatile: the compiler would warn about the size it sees */
  assert_null(os_calloc(huge, 2));
  assert_null(os_strndup("", huge));
  assert_null(os_strdup(NULL));
  os_free(NULL);
  void *nothing = os_malloc(0);
  assert_non_null(nothing);
  nothing = os_realloc(nothing, 0);
  assert_non_null(nothing);
  os_free(nothing);
  char *text = os_mprintf("%s-%d", "a", 1);
  assert_string_equal(text, "a-1");
  os_free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(empty_is_readable),        cmocka_unit_test(appends),
      cmocka_unit_test(the_cap_holds_and_sticks), cmocka_unit_test(json_is_always_valid),
      cmocka_unit_test(allocation_edges),
#ifdef OS_TEST_ALLOC
      cmocka_unit_test(each_failing_allocation),  cmocka_unit_test(seam_fails_once_or_for_good),
#endif
  };
  return cmocka_run_group_tests_name("base/buffer", tests, NULL, NULL);
}
