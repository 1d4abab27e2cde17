/* base_queue_test.c - order, waiting, closing, and many threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <cmocka.h>
#include "base/clock.h"
#include "base/error.h"
#include "base/queue.h"

enum { PRODUCERS = 4, EACH = 5000 };

struct item {
  struct os_queue_link link; /* must be first */
  int producer, number;
};

static void first_in_first_out(void **state) {
  (void)state;
  struct os_queue queue;
  struct item items[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
  assert_int_equal(os_queue_init(&queue), OS_OK);
  for (int round = 0; round < 2; round++) {
    assert_null(os_queue_pop(&queue, 0));
    for (int i = 0; i < 3; i++)
      os_queue_push(&queue, &items[i].link);
    assert_int_equal(os_queue_count(&queue), 3);
    for (int i = 0; i < 3; i++)
      assert_ptr_equal(os_queue_pop(&queue, 0), &items[i].link);
    assert_int_equal(os_queue_count(&queue), 0);
  }
  os_queue_destroy(&queue);
}

static void waits_as_long_as_told(void **state) {
  (void)state;
  struct os_queue queue;
  assert_int_equal(os_queue_init(&queue), OS_OK);
  double start = os_clock_monotonic();
  assert_null(os_queue_pop(&queue, 60));
  double waited = os_clock_monotonic() - start;
  assert_true(waited >= 0.059 && waited < 5);
  os_queue_destroy(&queue);
}

static void *wake(void *arg) {
  os_clock_sleep_ms(30);
  os_queue_wake(arg);
  return NULL;
}

static void who_waits_can_be_woken(void **state) {
  (void)state;
  struct os_queue queue;
  struct item item = {.number = 0};
  pthread_t other;
  assert_int_equal(os_queue_init(&queue), OS_OK);
  double start = os_clock_monotonic();
  assert_int_equal(pthread_create(&other, NULL, wake, &queue), 0);
  assert_null(os_queue_pop(&queue, 5000));
  pthread_join(other, NULL);
  os_queue_wake(&queue); /* before anybody waits */
  assert_null(os_queue_pop(&queue, 5000));
  assert_true(os_clock_monotonic() - start < 4);
  os_queue_wake(&queue);
  os_queue_push(&queue, &item.link);
  assert_ptr_equal(os_queue_pop(&queue, 0), &item.link); /* what is there comes all the same, */
  start = os_clock_monotonic();
  assert_null(os_queue_pop(&queue, 60)); /* and then nobody is woken any more */
  assert_true(os_clock_monotonic() - start >= 0.059);
  os_queue_destroy(&queue);
}

static void a_closed_queue_is_emptied_first(void **state) {
  (void)state;
  struct os_queue queue;
  struct item items[2];
  assert_int_equal(os_queue_init(&queue), OS_OK);
  os_queue_push(&queue, &items[0].link);
  os_queue_close(&queue);
  os_queue_push(&queue, &items[1].link);
  assert_ptr_equal(os_queue_pop(&queue, -1), &items[0].link);
  assert_ptr_equal(os_queue_pop(&queue, -1), &items[1].link);
  assert_null(os_queue_pop(&queue, -1));
  os_queue_destroy(&queue);
}

static struct item produced[PRODUCERS][EACH];
static struct os_queue shared;

static void *produce(void *arg) {
  struct item *items = arg;
  for (int i = 0; i < EACH; i++)
    os_queue_push(&shared, &items[i].link);
  return NULL;
}

static void *consume(void *arg) {
  size_t *count = arg;
  while (os_queue_pop(&shared, -1))
    ++*count;
  return NULL;
}

static void nothing_is_lost_between_threads(void **state) {
  (void)state;
  pthread_t producers[PRODUCERS], consumers[2];
  size_t counts[2] = {0, 0};
  assert_int_equal(os_queue_init(&shared), OS_OK);
  for (int i = 0; i < 2; i++)
    assert_int_equal(pthread_create(&consumers[i], NULL, consume, &counts[i]), 0);
  for (int i = 0; i < PRODUCERS; i++)
    assert_int_equal(pthread_create(&producers[i], NULL, produce, produced[i]), 0);
  for (int i = 0; i < PRODUCERS; i++)
    pthread_join(producers[i], NULL);
  os_queue_close(&shared);
  for (int i = 0; i < 2; i++)
    pthread_join(consumers[i], NULL);
  assert_int_equal(counts[0] + counts[1], PRODUCERS * EACH);
  os_queue_destroy(&shared);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(first_in_first_out),
      cmocka_unit_test(waits_as_long_as_told),
      cmocka_unit_test(who_waits_can_be_woken),
      cmocka_unit_test(a_closed_queue_is_emptied_first),
      cmocka_unit_test(nothing_is_lost_between_threads),
  };
  return cmocka_run_group_tests_name("base/queue", tests, NULL, NULL);
}
