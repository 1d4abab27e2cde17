/* operations_copy_test.c - how a page of a copy is judged: how large the next one is, and which of its
** hits may be followed by others with the same id. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "operations/copy/copy_int.h"

static struct os_error error;

static void pages_aim_at_a_size(void **state) {
  (void)state;
  assert_int_equal(os_copy_next_size(4 << 20, 500), 499);                /* as it should be */
  assert_int_equal(os_copy_next_size(50000, 500), OS_COPY_LARGEST_PAGE); /* small documents */
  assert_int_equal(os_copy_next_size(10 << 20, 10), 10); /* large ones: some at a time all the same */
  assert_int_equal(os_copy_next_size(0, 0), OS_COPY_LARGEST_PAGE); /* nothing is known */
  assert_int_equal(os_copy_next_size(SIZE_MAX - 1, 1), 10);
}

static void measure(const char *hits, int count, int before) {
  char *text = os_mprintf("{\"timed_out\":false,\"_shards\":{\"failed\":0},\"hits\":{\"hits\":[%s]}}", hits);
  int found = -1, whole = -1;
  os_error_clear(&error);
  assert_int_equal(os_copy_measure(text, &found, &whole, &error), OS_OK);
  assert_int_equal(found, count);
  assert_int_equal(whole, before);
  os_free(text);
}

#define HIT(id) "{\"_id\":\"" id "\",\"_source\":{}}"

static void the_last_id_of_a_page(void **state) {
  (void)state;
  measure("", 0, 0);
  measure(HIT("a"), 1, 0);
  measure(HIT("a") "," HIT("b"), 2, 1);
  measure(HIT("a") "," HIT("b") "," HIT("b"), 3, 1);
  measure(HIT("a") "," HIT("a") "," HIT("a"), 3, 0);
  measure(HIT("a") "," HIT("a") "," HIT("b") "," HIT("c"), 4, 3);
  measure(HIT("ab") "," HIT("a"), 2, 1);
  measure(HIT("") "," HIT("\\u0061"), 2, 1);
}

static void what_is_no_page(void **state) {
  (void)state;
  static const char *const texts[] = {
      "",
      "{}",
      "{\"timed_out\":true,\"_shards\":{\"failed\":0},\"hits\":{\"hits\":[]}}",
      "{\"timed_out\":false,\"_shards\":{\"failed\":1},\"hits\":{\"hits\":[" HIT("a") "]}}",
      "{\"timed_out\":false,\"_shards\":{\"failed\":0},\"hits\":{\"hits\":[" HIT("a") ",",
      "{\"timed_out\":false,\"_shards\":{\"failed\":0},\"hits\":{\"hits\":[{\"_source\":{}}]}}"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    int hits = 0, whole = 0;
    os_error_clear(&error);
    assert_int_not_equal(os_copy_measure(texts[i], &hits, &whole, &error), OS_OK);
    assert_string_not_equal(error.text, "");
  }
}

static void no_memory(void **state) {
  (void)state;
  static const char text[] =
      "{\"timed_out\":false,\"_shards\":{\"failed\":0},\"hits\":{\"hits\":[" HIT("a") "," HIT("b") "]}}";
  int failures = 0, rc = OS_ERR_NOMEM;
  for (int i = 0; i < 100 && rc == OS_ERR_NOMEM; i++) {
    int hits = 0, whole = 0;
    os_error_clear(&error);
    os_alloc_fail_after(i, 1);
    rc = os_copy_measure(text, &hits, &whole, &error);
    os_alloc_fail_after(-1, 0);
    failures += rc == OS_ERR_NOMEM;
    if (!rc) assert_int_equal(hits, 2);
  }
  assert_int_equal(rc, OS_OK);
  assert_true(failures > 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(pages_aim_at_a_size),
                                     cmocka_unit_test(the_last_id_of_a_page),
                                     cmocka_unit_test(what_is_no_page), cmocka_unit_test(no_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
