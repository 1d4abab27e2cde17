/* base_clock_test.c - civil time both ways, durations, jitter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>
#include "base/clock.h"

static void writes_iso(void **state) {
  (void)state;
  static const struct {
    double seconds;
    const char *text;
  } cases[] = {
      {0, "1970-01-01T00:00:00.000Z"},         {1795305599.123, "2026-11-21T23:59:59.123Z"},
      {951782400, "2000-02-29T00:00:00.000Z"}, {-0.5, "1969-12-31T23:59:59.500Z"},
      {0.9996, "1970-01-01T00:00:01.000Z"},    {1e300, "9999-12-31T23:59:59.999Z"},
      {-1e300, "0000-01-01T00:00:00.000Z"},    {NAN, "0000-01-01T00:00:00.000Z"},
  };
  char text[OS_TIME_TEXT];
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    os_clock_iso(cases[i].seconds, text);
    assert_string_equal(text, cases[i].text);
  }
}

static void reads_iso(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool ok;
    double seconds;
  } cases[] = {
      {"1970-01-01", true, 0},
      {"2000-03-01", true, 951868800},
      {"1970-01-01T00:00:01Z", true, 1},
      {"1970-01-01 00:01", true, 60},
      {"1970-01-01T01:00:00.250+01:00", true, 0.25},
      {"1970-01-01T00:00:00-0130", true, 5400},
      {"1969-12-31T23:59:60Z", true, 0},
      {"1900-02-29", false, 0},
      {"2026-13-01", false, 0},
      {"2026-00-01", false, 0},
      {"2026-04-31", false, 0},
      {"2026-1-1", false, 0},
      {"2026-01-01T", false, 0},
      {"2026-01-01T24:00", false, 0},
      {"2026-01-01T10:60", false, 0},
      {"2026-01-01T10:00:61", false, 0},
      {"2026-01-01T10:00:00.", false, 0},
      {"2026-01-01T10:00:00Zx", false, 0},
      {"2026-01-01T10:00:00+1", false, 0},
      {"2026-01-01x", false, 0},
      {"", false, 0},
      {"yesterday", false, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    double seconds = 4711;
    assert_int_equal(os_clock_parse_iso(cases[i].text, &seconds), cases[i].ok);
    assert_true(fabs(seconds - (cases[i].ok ? cases[i].seconds : 4711)) < 1e-9);
  }
}

static void both_ways_agree(void **state) {
  (void)state;
  char text[OS_TIME_TEXT];
  for (double day = -300000; day < 2000000; day += 997.25) {
    double back = 0, seconds = day * 86400;
    os_clock_iso(seconds, text);
    assert_true(os_clock_parse_iso(text, &back));
    assert_true(fabs(back - seconds) < 1e-3);
  }
  double now = os_clock_unix(), back = 0;
  os_clock_now(text);
  assert_true(os_clock_parse_iso(text, &back) && fabs(back - now) < 5);
}

static void sleeps(void **state) {
  (void)state;
  double start = os_clock_monotonic();
  os_clock_sleep_ms(30);
  double slept = os_clock_monotonic() - start;
  assert_true(slept >= 0.0299 && slept < 5);
}

static void jitter_spreads(void **state) {
  (void)state;
  int quarter[4] = {0};
  for (int i = 0; i < 4000; i++) {
    double r = os_random_unit();
    assert_true(r >= 0 && r < 1);
    quarter[(int)(r * 4)]++;
  }
  for (int i = 0; i < 4; i++)
    assert_in_range(quarter[i], 700, 1300);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(writes_iso), cmocka_unit_test(reads_iso),      cmocka_unit_test(both_ways_agree),
      cmocka_unit_test(sleeps),     cmocka_unit_test(jitter_spreads),
  };
  return cmocka_run_group_tests_name("base/clock", tests, NULL, NULL);
}
