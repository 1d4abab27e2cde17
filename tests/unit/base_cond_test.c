/* base_cond_test.c - deadlines on the monotonic clock, and that a wait ends at one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/clock.h"
#include "base/cond.h"

static void deadlines(void **state) {
  static const double seconds[] = {0, 0.001, 0.999999, 1, 1.5, 59.999999999, 3600};
  (void)state;
  for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++)
    for (int round = 0; round < 50; round++) { /* whatever part of a second it is now */
      double before = os_clock_monotonic();
      struct timespec at = os_cond_deadline(seconds[i]);
      double after = os_clock_monotonic(), when = (double)at.tv_sec + (double)at.tv_nsec / 1e9;
      assert_in_range(at.tv_nsec, 0, 999999999);
      assert_true(when >= before + seconds[i] - 1e-6 && when <= after + seconds[i] + 1e-6);
      os_clock_sleep_ms(i == 2 ? 21 : 0);
    }
}

static void a_wait_ends(void **state) {
  pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t never;
  (void)state;
  assert_int_equal(os_cond_init(&never), 0);
  double begin = os_clock_monotonic();
  struct timespec until = os_cond_deadline(0.05);
  pthread_mutex_lock(&lock);
  int rc = 0;
  while (!rc)
    rc = pthread_cond_timedwait(&never, &lock, &until);
  pthread_mutex_unlock(&lock);
  assert_int_equal(rc, ETIMEDOUT);
  assert_true(os_clock_monotonic() - begin >= 0.0499);
  pthread_cond_destroy(&never);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(deadlines), cmocka_unit_test(a_wait_ends)};
  return cmocka_run_group_tests_name("base/cond", tests, NULL, NULL);
}
