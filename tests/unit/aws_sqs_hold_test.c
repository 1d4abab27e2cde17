/* aws_sqs_hold_test.c - a message kept hidden by the network thread, from a queue that renews, refuses or is silent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "aws/sqs_hold.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "scripted_server.h"

static struct os_net *net;
static struct os_endpoint *endpoint;
static struct os_sqs_queue queue;
static struct os_error error;
static struct scripted_server server;
static atomic_int refuses; /* so many renewals */
static atomic_bool silent;
static char url[64];

static void script(struct visit *visit) {
  while (visit_read(visit)) {
    assert_non_null(strstr(visit->head, "X-Amz-Target: AmazonSQS.ChangeMessageVisibility"));
    assert_string_equal(visit->body, "{\"QueueUrl\":\"http://q/0/n\",\"ReceiptHandle\":\"r\\\"1\","
                                     "\"VisibilityTimeout\":3}");
    if (atomic_load(&silent)) os_clock_sleep_ms(5000);
    if (atomic_load(&refuses) > 0 && atomic_fetch_sub(&refuses, 1) > 0)
      visit_answer(visit, 400, "", "application/x-amz-json-1.0",
                   "{\"__type\":\"com.amazonaws.sqs#InvalidParameterValue\",\"message\":\"too long\"}");
    else
      visit_answer(visit, 200, "", "application/x-amz-json-1.0", "{}");
  }
}

static int set_up(void **state) {
  (void)state;
  atomic_store(&refuses, 0);
  atomic_store(&silent, false);
  server_start(&server, script, NULL);
  snprintf(url, sizeof url, "http://127.0.0.1:%d", server.port);
  endpoint = os_endpoint_new("sqs", url);
  endpoint->timeout = 60;
  assert_int_equal(os_net_new(&net, NULL, &error), OS_OK);
  queue = (struct os_sqs_queue){.net = net,
                                .endpoint = endpoint,
                                .arn = (char *)(uintptr_t) "arn:aws:sqs:r:0:n",
                                .url = (char *)(uintptr_t) "http://q/0/n"};
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  os_net_free(net);
  server_stop(&server);
  os_endpoint_unref(endpoint);
  return 0;
}

static struct os_sqs_held hold_for(unsigned milliseconds) {
  struct os_sqs_hold *hold;
  struct os_sqs_held held;
  assert_int_equal(os_sqs_hold_begin(&hold, &queue, "r\"1", 3, &error), OS_OK);
  os_clock_sleep_ms(milliseconds);
  os_sqs_hold_end(hold, &held);
  return held;
}

static void renewed_in_time(void **state) {
  (void)state;
  struct os_sqs_held held = hold_for(4500);
  assert_in_range(held.renewed, 2, 4);
  assert_int_equal(held.failed, 0);
  assert_false(held.lapsed);
  int requests = atomic_load(&server.requests);
  os_clock_sleep_ms(1500);
  assert_int_equal(atomic_load(&server.requests), requests); /* none comes afterwards */
  held = hold_for(0);
  assert_int_equal(held.renewed + held.failed, 0);
}

static void a_failure_is_made_good(void **state) {
  (void)state;
  atomic_store(&refuses, 2);
  struct os_sqs_held held = hold_for(2700);
  assert_int_equal(held.failed, 2);
  assert_int_equal(held.renewed, 1);
  assert_false(held.lapsed);
}

static void failing_for_too_long_is_told(void **state) {
  (void)state;
  atomic_store(&refuses, 1000);
  struct os_sqs_held held = hold_for(3500);
  assert_int_equal(held.renewed, 0);
  assert_true(held.failed >= 3 && held.lapsed);
  assert_string_equal(held.error.text,
                      "sqs:ChangeMessageVisibility on arn:aws:sqs:r:0:n was answered with 400 "
                      "(InvalidParameterValue): too long");
}

/* Also while a request is under way. */
static void ends_at_once(void **state) {
  (void)state;
  atomic_store(&silent, true);
  struct os_sqs_hold *hold;
  struct os_sqs_held held;
  assert_int_equal(os_sqs_hold_begin(&hold, &queue, "r\"1", 3, &error), OS_OK);
  os_clock_sleep_ms(1300);
  double began = os_clock_monotonic();
  os_sqs_hold_end(hold, &held);
  assert_true(os_clock_monotonic() - began < 1);
  assert_int_equal(held.renewed + held.failed, 0);
  os_sqs_hold_end(NULL, &held);
}

static void without_a_network_thread(void **state) {
  (void)state;
  struct os_sqs_hold *hold, *late;
  struct os_sqs_held held;
  assert_int_equal(os_sqs_hold_begin(&hold, &queue, "r\"1", 3, &error), OS_OK);
  os_net_abandon(net);
  assert_int_equal(os_sqs_hold_begin(&late, &queue, "r\"1", 3, &error), OS_ERR_CANCELLED);
  os_sqs_hold_end(hold, &held);
  assert_false(held.lapsed);
  assert_int_equal(os_net_new(&net, NULL, &error), OS_OK);
}

static void without_memory(void **state) {
  (void)state;
  int rc = OS_ERR_NOMEM;
  for (long n = 0; rc; n++) {
    struct os_sqs_hold *hold;
    struct os_sqs_held held;
    os_alloc_fail_after(n, 1);
    rc = os_sqs_hold_begin(&hold, &queue, "r\"1", 3, &error);
    os_alloc_fail_after(-1, 0);
    assert_true(n < 20 && (rc == OS_OK || rc == OS_ERR_NOMEM));
    os_sqs_hold_end(hold, &held);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(renewed_in_time, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_failure_is_made_good, set_up, tear_down),
      cmocka_unit_test_setup_teardown(failing_for_too_long_is_told, set_up, tear_down),
      cmocka_unit_test_setup_teardown(ends_at_once, set_up, tear_down),
      cmocka_unit_test_setup_teardown(without_a_network_thread, set_up, tear_down),
      cmocka_unit_test_setup_teardown(without_memory, set_up, tear_down),
  };
  return cmocka_run_group_tests_name("aws/sqs_hold", tests, NULL, NULL);
}
