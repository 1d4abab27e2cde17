/* Settings owed back: the last holder that lives gives them back, and after a crash whoever comes next. */
#include "ledger_support.h"
#include <signal.h>

static struct os_ledger *a, *b;

static int setup(void **state) {
  if (folder_setup(state) != 0) return -1;
  a = open_ledger("l.db");
  b = open_ledger("l.db");
  return 0;
}

static int teardown(void **state) {
  os_ledger_free(a);
  os_ledger_free(b);
  return folder_teardown(state);
}

static void hold(struct os_ledger *ledger, const char *uuid, const char *original, int64_t job) {
  assert_ok(
      os_ledger_tune_hold(ledger, "http://h:9200", "idx", uuid, original, "{\"ours\":1}", job, &test_error));
}

static bool release(struct os_ledger *ledger, const char *uuid, int64_t job, const char *expected) {
  bool last = true;
  char *original = NULL, *ours = NULL;
  assert_ok(os_ledger_tune_release(ledger, uuid, job, &last, &original, &ours, &test_error));
  if (last) {
    assert_string_equal(original, expected);
    assert_string_equal(ours, "{\"ours\":1}");
  } else {
    assert_null(original);
    assert_null(ours);
  }
  os_free(original);
  os_free(ours);
  return last;
}

static int restore_calls, restore_answer;
static char restored[64];

static int restore(void *ctx, const char *index_name, const char *uuid, const char *original,
                   const char *ours) {
  assert_ptr_equal(ctx, &restore_calls);
  assert_string_equal(ours, "{\"ours\":1}");
  snprintf(restored, sizeof restored, "%s|%s|%s", index_name, uuid, original);
  restore_calls++;
  return restore_answer;
}

static int orphans(struct os_ledger *ledger, const char *endpoint) {
  restore_calls = 0;
  assert_ok(os_ledger_tune_orphans(ledger, endpoint, restore, &restore_calls, &test_error));
  return restore_calls;
}

static void test_last_holder(void **state) {
  (void)state;
  int64_t first = begin_job(a, "bulk_load", NULL), second = begin_job(b, "bulk_load", NULL);
  hold(a, "u1", "{\"original\":1}", first);
  hold(b, "u1", "{\"already\":\"ours\"}", second); /* what the second one sees is not the original */
  assert_int_equal(orphans(a, "http://h:9200"), 0);
  assert_false(release(a, "u1", first, NULL));
  assert_true(release(b, "u1", second, "{\"original\":1}"));
  assert_ok(os_ledger_tune_restored(b, "u1", &test_error));
  assert_string_equal(ask(a, "SELECT (SELECT count(*) FROM tuning)||(SELECT count(*) FROM tuning_holder)"),
                      "00");
  assert_false(release(b, "u1", second, NULL)); /* nothing is owed any more */
}

static void test_holder_comes_while_restoring(void **state) {
  (void)state;
  int64_t first = begin_job(a, "bulk_load", NULL), second = begin_job(b, "bulk_load", NULL);
  hold(a, "u1", "{\"original\":1}", first);
  assert_true(release(a, "u1", first, "{\"original\":1}"));
  hold(b, "u1", "{\"half\":\"restored\"}", second);
  assert_ok(os_ledger_tune_restored(a, "u1", &test_error));
  assert_true(release(b, "u1", second, "{\"original\":1}"));
}

static void crash(void) {
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "bulk_load", NULL);
  hold(ledger, "u1", "{\"original\":1}", job);
  hold(ledger, "u2", "{\"original\":2}", job);
  raise(SIGKILL);
}

static void test_after_a_crash(void **state) {
  (void)state;
  assert_int_equal(in_child(crash), -SIGKILL);
  assert_int_equal(orphans(a, "http://other:9200"), 0);
  restore_answer = OS_ERR_NETWORK; /* not now: both stay owed */
  assert_int_equal(orphans(a, "http://h:9200"), 2);
  restore_answer = OS_OK;
  int64_t job = begin_job(b, "bulk_load", NULL);
  hold(b, "u2", "{\"x\":1}", job);
  assert_int_equal(orphans(a, "http://h:9200"), 1);
  assert_string_equal(restored, "idx|u1|{\"original\":1}");
  assert_int_equal(orphans(a, "http://h:9200"), 0);
  assert_true(release(b, "u2", job, "{\"original\":2}")); /* the dead holder does not count */
}

static void test_pruning_keeps_what_is_owed(void **state) {
  (void)state;
  int64_t removed, job = begin_job(a, "bulk_load", NULL);
  hold(a, "u1", "{\"original\":1}", job);
  assert_ok(os_ledger_job_finish(a, job, "failed", NULL, NULL, NULL, &test_error));
  assert_ok(os_ledger_prune(a, "2999-01-01", &removed, &test_error));
  assert_int_equal(removed, 0);
  restore_answer = OS_OK;
  assert_int_equal(orphans(b, "http://h:9200"), 1);
  assert_ok(os_ledger_prune(a, "2999-01-01", &removed, &test_error));
  assert_int_equal(removed, 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_last_holder),
      TEST(test_holder_comes_while_restoring),
      TEST(test_after_a_crash),
      TEST(test_pruning_keeps_what_is_owed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
