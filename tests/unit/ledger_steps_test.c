/* The steps of an operation: begun before, done after, read by whoever goes on, and forgotten with their job. */
#include "ledger_support.h"

static void expect(struct os_ledger *ledger, int64_t job, const char *item, const char *name,
                   const char *state, const char *data) {
  char found[16];
  char *text = NULL;
  assert_ok(os_ledger_step_get(ledger, job, item, name, found, &text, &test_error));
  assert_string_equal(found, state);
  if (data)
    assert_string_equal(text, data);
  else
    assert_null(text);
  os_free(text);
}

static void put(struct os_ledger *ledger, int64_t job, const char *item, const char *name, const char *state,
                const char *data) {
  assert_ok(os_ledger_step_put(ledger, job, item, name, state, data, &test_error));
}

static void test_course_of_a_step(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db"), *other = open_ledger("l.db");
  int64_t job = begin_job(ledger, "reindex", NULL), next = begin_job(ledger, "reindex", NULL);
  expect(ledger, job, "", "create", "", NULL);
  put(ledger, job, "", "create", "begun", "{\"uuid\":1}");
  expect(other, job, "", "create", "begun", "{\"uuid\":1}");
  assert_string_equal(ask(ledger, "SELECT ended_at IS NULL FROM step"), "1");
  put(ledger, job, "", "create", "done", NULL);
  expect(other, job, "", "create", "done", "{\"uuid\":1}");
  assert_string_equal(ask(ledger, "SELECT ended_at >= begun_at FROM step"), "1");
  put(ledger, job, "", "create", "undone", "{}");
  expect(other, job, "", "create", "undone", "{}");
  put(ledger, job, "a", "create", "begun", NULL);
  put(ledger, next, "", "create", "begun", NULL);
  expect(other, job, "", "create", "undone", "{}");
  expect(other, job, "a", "create", "begun", NULL);
  expect(other, job, "b", "create", "", NULL);
  assert_int_not_equal(os_ledger_step_put(ledger, job, "", "x", "perhaps", NULL, &test_error), OS_OK);
  os_ledger_free(ledger);
  os_ledger_free(other);
}

static void test_going_on(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t found = 7, first = begin_job(ledger, "refresh_data", NULL);
  char status[16];
  put(ledger, first, "", "operation", "begun", "[1,2]");
  put(ledger, first, "", "reindex", "done", "{\"job\":9}");
  assert_ok(os_ledger_job_finish(ledger, first, "failed", NULL, "no", NULL, &test_error));
  int64_t second = begin_job(ledger, "refresh_data", NULL), other = begin_job(ledger, "reindex", NULL);
  put(ledger, other, "", "operation", "begun", "[1,2]");
  assert_ok(os_ledger_operation_last(ledger, "refresh_data", "[1,2]", second, &found, status, &test_error));
  assert_int_equal(found, first);
  assert_string_equal(status, "failed");
  assert_ok(os_ledger_steps_adopt(ledger, first, second, &test_error));
  expect(ledger, second, "", "reindex", "done", "{\"job\":9}");
  assert_ok(
      os_ledger_operation_last(ledger, "refresh_data", "[1,2]", INT64_MAX, &found, status, &test_error));
  assert_int_equal(found, second);
  assert_string_equal(status, "running");
  assert_ok(os_ledger_operation_last(ledger, "refresh_data", "[1]", INT64_MAX, &found, status, &test_error));
  assert_int_equal(found, 0);
  assert_string_equal(status, "");
  os_ledger_free(ledger);
}

/* Who wants the state alone gets it. */
static void test_state_alone(void **state) {
  (void)state;
  char word[16] = "?";
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "refresh_data", NULL);
  assert_ok(os_ledger_step_get(ledger, job, "", "copy", word, NULL, &test_error));
  assert_string_equal(word, "");
  put(ledger, job, "", "copy", "begun", "{}");
  assert_ok(os_ledger_step_get(ledger, job, "", "copy", word, NULL, &test_error));
  assert_string_equal(word, "begun");
  os_ledger_free(ledger);
}

static double unseen_at(struct os_ledger *ledger, int64_t job, const char *index) {
  double when = -1;
  assert_ok(os_ledger_unseen_at(ledger, job, index, &when, &test_error));
  return when;
}

static bool is_now(double when) {
  double now = os_clock_unix();
  return when > now - 5 && when < now + 2;
}

/* The time of the last job that ended without having seen what it changed. */
static void test_unseen(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t first = begin_job(ledger, "bulk_load", NULL), second = begin_job(ledger, "bulk_load", NULL);
  assert_true(unseen_at(ledger, second, "a") == 0);
  put(ledger, first, "a", OS_STEP_UNSEEN, "begun", NULL);
  assert_true(is_now(unseen_at(ledger, first, "a"))); /* its own */
  assert_true(unseen_at(ledger, second, "a") == 0);   /* it runs */
  assert_ok(os_ledger_job_finish(ledger, first, "failed", NULL, "no", NULL, &test_error));
  assert_true(is_now(unseen_at(ledger, second, "a")) && unseen_at(ledger, second, "b") == 0);
  ask(ledger, "UPDATE job SET finished_at = '2026-01-01T00:00:00.000Z' WHERE finished_at IS NOT NULL");
  double when = unseen_at(ledger, second, "a");
  assert_true(when >= 1767225600 && when <= 1767225602);
  assert_ok(os_ledger_steps_adopt(ledger, first, second, &test_error)); /* nobody else's */
  assert_true(unseen_at(ledger, second, "a") == when);
  put(ledger, first, "a", OS_STEP_UNSEEN, "done", NULL);
  assert_true(unseen_at(ledger, second, "a") == 0);
  os_ledger_free(ledger);
}

static void check_last(struct os_ledger *ledger, int64_t self, int64_t want, const char *want_status,
                       const char *want_state) {
  char status[16] = "?", state[16] = "?";
  int64_t found = -1;
  assert_ok(os_ledger_step_last(ledger, "trigger_run", "e v s3://b/k", "trigger", self, &found, status, state,
                                &test_error));
  assert_int_equal(found, want);
  assert_string_equal(status, want_status);
  assert_string_equal(state, want_state);
}

static void test_done_once(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db"), *other = open_ledger("l.db");
  check_last(ledger, 1, 0, "", "");
  int64_t first = begin_job(ledger, "trigger_run", NULL), second = begin_job(other, "trigger_run", NULL);
  put(ledger, first, "e v s3://b/other", "trigger", "done", NULL);
  put(ledger, begin_job(ledger, "another_kind", NULL), "e v s3://b/k", "trigger", "done", NULL);
  check_last(ledger, 0, 0, "", "");
  put(ledger, first, "e v s3://b/k", "trigger", "begun", NULL);
  check_last(other, second, first, "running", "begun");
  check_last(ledger, first, 0, "", ""); /* not its own */
  assert_ok(os_ledger_job_finish(ledger, first, "failed", NULL, NULL, NULL, &test_error));
  check_last(other, second, first, "failed", "begun");
  put(other, second, "e v s3://b/k", "trigger", "done", NULL);
  check_last(ledger, first, second, "running", "done");
  os_ledger_free(ledger);
  os_ledger_free(other);
}

static void test_forgotten_with_the_job(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "reindex", NULL), gone = 0;
  put(ledger, job, "", "create", "done", NULL);
  assert_ok(os_ledger_job_finish(ledger, job, "success", NULL, NULL, NULL, &test_error));
  assert_ok(os_ledger_prune(ledger, "2999-01-01", &gone, &test_error));
  assert_int_equal(gone, 1);
  assert_string_equal(ask(ledger, "SELECT count(*) FROM step"), "0");
  os_ledger_free(ledger);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_course_of_a_step, folder_setup, folder_teardown),
      cmocka_unit_test_setup_teardown(test_going_on, folder_setup, folder_teardown),
      cmocka_unit_test_setup_teardown(test_state_alone, folder_setup, folder_teardown),
      cmocka_unit_test_setup_teardown(test_unseen, folder_setup, folder_teardown),
      cmocka_unit_test_setup_teardown(test_done_once, folder_setup, folder_teardown),
      cmocka_unit_test_setup_teardown(test_forgotten_with_the_job, folder_setup, folder_teardown),
  };
  return cmocka_run_group_tests_name("ledger/steps", tests, NULL, NULL);
}
