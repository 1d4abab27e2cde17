/* What is kept of a job over time: at most OS_SAMPLES rows, evenly, whatever its length; and how older
** ledgers come by the table. */
#include "ledger_support.h"
#include "ledger/ledger_int.h"
#include "ledger_schema.h"

static void test_distance(void **state) {
  (void)state;
  assert_int_equal(os_sample_step(0), 1);
  assert_int_equal(os_sample_step(OS_SAMPLES - 1), 1);
  assert_int_equal(os_sample_step(OS_SAMPLES), 2);
  assert_int_equal(os_sample_step(2 * OS_SAMPLES - 1), 2);
  assert_int_equal(os_sample_step(2 * OS_SAMPLES), 4);
  for (int64_t tick = 1; tick < INT64_C(1) << 40; tick = tick * 5 / 3 + 1) {
    int64_t step = os_sample_step(tick);
    assert_true(tick / step < OS_SAMPLES);
    assert_true(step == 1 || tick / step >= OS_SAMPLES / 2);
  }
}

/* As if `seconds` had gone by since the job began. */
static void at(struct os_ledger *ledger, int64_t job, double seconds) {
  os_job_lock_held(ledger, job)->began = os_clock_monotonic() - seconds;
}

static void progress(struct os_ledger *ledger, int64_t job, double seconds, int64_t documents) {
  struct os_job_figures figures = {
      .documents_read = documents, .documents_failed = 1, .bytes_read = documents * 10, .count_before = -1};
  at(ledger, job, seconds);
  assert_ok(os_ledger_job_progress(ledger, job, &figures, &test_error));
}

static void test_bounded_and_even(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "bulk_load", NULL), other = begin_job(ledger, "bulk_load", NULL);
  progress(ledger, other, 0.3, 5);
  for (int i = 0; i < 10000; i++) {
    progress(ledger, job, 0.1 * i + 0.05, i);
    if (i == 500) assert_string_equal(ask(ledger, "SELECT count(*) FROM job_sample WHERE job = 1"), "201");
    if (i == 3000)
      assert_in_range(atoi(ask(ledger, "SELECT count(*) FROM job_sample WHERE job = 1")), 120, 240);
  }
  assert_in_range(atoi(ask(ledger, "SELECT count(*) FROM job_sample WHERE job = 1")), 120, 240);
  /* every kept one is the first of its part, and tells what was true then */
  assert_string_equal(ask(ledger,
                          "SELECT count(*) FROM job_sample WHERE job = 1 AND abs(seconds * 10 - documents)"
                          " > 1.5"),
                      "0");
  assert_string_equal(ask(ledger,
                          "SELECT count(DISTINCT d) FROM (SELECT tick - lag(tick) OVER (ORDER BY tick) d FROM"
                          " job_sample WHERE job = 1) WHERE d IS NOT NULL"),
                      "1");
  assert_string_equal(ask(ledger, "SELECT count(*) FROM job_sample WHERE job = 2"), "1");
  os_ledger_free(ledger);
}

static void test_the_end_is_kept(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "bulk_load", NULL), silent = begin_job(ledger, "create_index", NULL);
  struct os_job_figures figures = {.documents_read = 777, .count_before = -1};
  progress(ledger, job, 1.0, 500);
  progress(ledger, job, 1.1, 600); /* the same quarter of a second */
  assert_string_equal(ask(ledger, "SELECT group_concat(documents) FROM job_sample"), "500");
  at(ledger, job, 1.2);
  assert_ok(os_ledger_job_finish(ledger, job, "success", &figures, NULL, NULL, &test_error));
  assert_string_equal(ask(ledger, "SELECT group_concat(documents) FROM job_sample"), "777");
  assert_ok(os_ledger_job_finish(ledger, silent, "success", &figures, NULL, NULL, &test_error));
  assert_string_equal(ask(ledger, "SELECT count(*) FROM job_sample WHERE job = 2"), "0");
  os_ledger_free(ledger);
}

static void test_pruned_with_its_job(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "bulk_load", NULL), removed;
  progress(ledger, job, 1, 1);
  assert_ok(os_ledger_prune(ledger, "2999-01-01", &removed, &test_error));
  assert_string_equal(ask(ledger, "SELECT count(*) FROM job_sample"), "1"); /* it runs */
  assert_ok(os_ledger_job_finish(ledger, job, "success", NULL, NULL, NULL, &test_error));
  assert_ok(os_ledger_prune(ledger, "2999-01-01", &removed, &test_error));
  assert_int_equal(removed, 1);
  assert_string_equal(ask(ledger, "SELECT count(*) FROM job_sample"), "0");
  os_ledger_free(ledger);
}

/* A ledger as the first version left it, with a job in it. */
static void make_first_version(void) {
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open(in_folder("l.db"), &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, os_ledger_schema[0], NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(
      sqlite3_exec(db,
                   "INSERT INTO job(kind, status, started_at, updated_at, finished_at, host, pid, version)"
                   " VALUES('bulk_load', 'success', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z',"
                   " '2026-01-01T00:00:00Z', 'h', 1, '0')",
                   NULL, NULL, NULL),
      SQLITE_OK);
  sqlite3_close(db);
}

static void test_older_ledger_is_upgraded(void **state) {
  (void)state;
  struct os_ledger *ledger = NULL;
  make_first_version();
  assert_ok(os_ledger_new(&ledger, NULL, false, in_folder("l.db"), &test_error));
  assert_int_equal(os_ledger_open(ledger, false, &test_error),
                   OS_ERR_LEDGER); /* who only reads changes nothing */
  assert_error_has("older version");
  os_ledger_free(ledger);
  ledger = open_ledger("l.db");
  enum { NEWEST = sizeof os_ledger_schema / sizeof os_ledger_schema[0] - 1 };
  assert_int_equal(atoi(ask(ledger, "PRAGMA user_version")), NEWEST);
  assert_string_equal(ask(ledger, "SELECT kind FROM job WHERE job = 1 AND settings IS NULL"), "bulk_load");
  int64_t job = begin_job(ledger, "bulk_load", NULL);
  assert_int_equal(job, 2);
  progress(ledger, job, 1, 1);
  assert_string_equal(ask(ledger, "SELECT count(*) FROM job_sample"), "1");
  assert_string_equal(ask(ledger, "PRAGMA integrity_check"), "ok");
  os_ledger_free(ledger);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_distance), TEST(test_bounded_and_even),         TEST(test_the_end_is_kept),
      TEST(test_pruned_with_its_job),  TEST(test_older_ledger_is_upgraded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
