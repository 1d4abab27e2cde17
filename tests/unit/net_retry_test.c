/* net_retry_test.c - when to try again, how long to wait, and percent-encoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "net/http.h"
#include "net/retry.h"

static void statuses(void **state) {
  (void)state;
  static const int again[] = {429, 502, 503, 504},
                   never[] = {0, 200, 201, 400, 401, 403, 404, 409, 413, 500, 501};
  for (size_t i = 0; i < sizeof again / sizeof *again; i++)
    assert_true(os_retry_status(again[i]));
  for (size_t i = 0; i < sizeof never / sizeof *never; i++)
    assert_false(os_retry_status(never[i]));
}

static void near(double got, double want) {
  assert_true(got > want - 1e-9 && got < want + 1e-9);
}

static void delays(void **state) {
  (void)state;
  near(os_retry_delay(1, 0.5, 30, -1, 0.5), 0.25);
  near(os_retry_delay(2, 0.5, 30, -1, 0.5), 0.5);
  near(os_retry_delay(4, 0.5, 30, -1, 0.5), 2);
  near(os_retry_delay(7, 0.5, 30, -1, 0.5), 15);            /* 32 is over the cap */
  near(os_retry_delay(2000000000, 0.5, 30, -1, 0.25), 7.5); /* no overflow, no long loop */
  near(os_retry_delay(1, 0.5, 30, -1, 0), 0);
  near(os_retry_delay(1, 0.5, 30, 12, 0.9), 12); /* Retry-After wins */
  near(os_retry_delay(7, 0.5, 30, 12, 0.9), 27); /* unless we wait longer anyway */
  near(os_retry_delay(1, 60, 30, -1, 0.5), 15);
}

static void encoding(void **state) {
  (void)state;
  struct os_buf out;
  os_buf_init(&out, 0);
  os_url_encode(&out, "a-Z_0.9~ /%#?\xc3\xa9\n", 16);
  assert_false(out.failed);
  assert_string_equal(out.data, "a-Z_0.9~%20%2F%25%23%3F%C3%A9%0A");
  os_buf_free(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(statuses), cmocka_unit_test(delays),
                                     cmocka_unit_test(encoding)};
  return cmocka_run_group_tests_name("net_retry", tests, NULL, NULL);
}
