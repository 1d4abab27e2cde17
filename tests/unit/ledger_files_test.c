/* Files of loads, and what a later load finds of them. */
#include "ledger_support.h"
#include "base/clock.h"

static struct os_ledger *ledger;

static int setup(void **state) {
  if (folder_setup(state) != 0) return -1;
  ledger = open_ledger("l.db");
  return 0;
}

static int teardown(void **state) {
  os_ledger_free(ledger);
  return folder_teardown(state);
}

/* A load of /data into products (UUID u1) with one file. It still runs afterwards. */
static int64_t begin_load(const char *name, const char *fingerprint, const char *arguments,
                          int64_t *file_id) {
  int64_t job = begin_job(ledger, "bulk_load", arguments), id;
  assert_ok(os_ledger_job_target(ledger, job, "products", "u1", "/data", &test_error));
  struct os_job_file file = {.job = job,
                             .file = "/data/a.csv",
                             .name = name,
                             .fingerprint = fingerprint,
                             .size = 1000,
                             .mtime = "2026-01-01T00:00:00Z",
                             .format = "csv"};
  assert_ok(os_ledger_file_add(ledger, &file, &id, &test_error));
  if (file_id != NULL) *file_id = id;
  return job;
}

static void set_file(int64_t id, const char *status, int64_t offset) {
  struct os_job_file row = {
      .status = status, .byte_offset = offset, .line = offset / 10, .documents = offset / 10, .failed = 2};
  assert_ok(os_ledger_file_progress(ledger, id, &row, &test_error));
}

static int64_t load(const char *name, const char *fingerprint, const char *status, int64_t offset,
                    const char *job_status) {
  int64_t id, job = begin_load(name, fingerprint, NULL, &id);
  set_file(id, status, offset);
  assert_ok(os_ledger_job_finish(ledger, job, job_status, NULL, NULL, NULL, &test_error));
  return job;
}

static struct os_file_past past(const char *uuid, const char *name) {
  struct os_file_past found;
  assert_ok(os_ledger_file_past(ledger, "products", uuid, name, &found, &test_error));
  return found;
}

static int64_t loads(const char *fingerprint) {
  int64_t times = -1;
  assert_ok(os_ledger_content_loads(ledger, "products", "u1", fingerprint, &times, &test_error));
  return times;
}

static int64_t unfinished(const char *uuid, const char *path) {
  int64_t job = -1;
  assert_ok(os_ledger_unfinished(ledger, "products", uuid, path, &job, &test_error));
  return job;
}

static void test_nothing_yet(void **state) {
  (void)state;
  assert_false(past("", "a.csv").found);
  assert_int_equal(loads("1:x"), 0);
  assert_int_equal(unfinished("", "/data"), 0);
}

static void test_past_of_a_file(void **state) {
  (void)state;
  int64_t first = load("a.csv", "1000:aa", "running", 500, "interrupted");
  struct os_file_past found = past("u1", "a.csv");
  assert_true(found.found);
  assert_int_equal(found.job, first);
  assert_false(found.job_alive);
  assert_string_equal(found.status, "running");
  assert_string_equal(found.fingerprint, "1000:aa");
  assert_int_equal(found.byte_offset, 500);
  assert_int_equal(found.line, 50);
  assert_int_equal(found.documents, 50);
  assert_int_equal(found.failed, 2);
  assert_int_equal(found.size, 1000);
  assert_true(past("", "a.csv").found);
  assert_false(past("u2", "a.csv").found); /* the index was made anew */
  assert_false(past("u1", "b.csv").found);
  int64_t second = load("a.csv", "1000:aa", "success", 1000, "success");
  assert_int_equal(past("u1", "a.csv").job, second);
  load("a.csv", "1000:aa", "skipped", 0, "success"); /* passed over: says nothing about the content */
  load("a.csv", "1000:aa", "waiting", 0, "failed");  /* never reached */
  assert_int_equal(past("u1", "a.csv").job, second);
}

static struct os_file_past planned(const char *name, const char *fingerprint) {
  struct os_file_past found;
  assert_ok(os_ledger_file_planned(ledger, "products", "u1", name, fingerprint, &found, &test_error));
  return found;
}

/* A file that could not be read has none. */
static void test_past_without_a_fingerprint(void **state) {
  (void)state;
  load("a.csv", NULL, "failed", 0, "failed");
  struct os_file_past found = past("u1", "a.csv");
  assert_true(found.found);
  assert_string_equal(found.status, "failed");
  assert_string_equal(found.fingerprint, "");
}

static void test_planned_by_a_load_that_died(void **state) {
  (void)state;
  assert_false(planned("a.csv", "1000:aa").found);
  load("a.csv", "1000:aa", "success", 1000, "success");
  assert_false(planned("a.csv", "1000:aa").found);
  int64_t died = load("a.csv", "1000:aa", "waiting", 300, "interrupted"), id;
  struct os_file_past found = planned("a.csv", "1000:aa");
  assert_true(found.found && !found.job_alive);
  assert_int_equal(found.job, died);
  assert_string_equal(found.status, "waiting");
  assert_int_equal(found.byte_offset, 300);
  assert_false(planned("a.csv", "1000:bb").found); /* other content: nothing of it was ever sent */
  assert_false(planned("b.csv", "1000:aa").found);
  load("a.csv", "1000:aa", "skipped", 0, "success");
  assert_int_equal(planned("a.csv", "1000:aa").job, died);
  begin_load("a.csv", "1000:aa", NULL, &id); /* our own */
  assert_int_equal(planned("a.csv", "1000:aa").job, died);
  set_file(id, "success", 1000);
  load("a.csv", "1000:aa", "success", 1000, "success"); /* somebody has done it since */
  assert_false(planned("a.csv", "1000:aa").found);
}

static void test_planned_by_a_load_that_lives(void **state) {
  (void)state;
  struct os_ledger *mine = ledger, *other = open_ledger("l.db");
  ledger = other;
  begin_load("a.csv", "1000:aa", NULL, NULL);
  ledger = mine;
  assert_false(planned("a.csv", "1000:aa").found);
  os_ledger_free(other);
  assert_true(planned("a.csv", "1000:aa").found);
}

static void test_own_running_job_is_no_past(void **state) {
  (void)state;
  int64_t first = load("a.csv", "1000:aa", "running", 500, "interrupted"), id;
  begin_load("a.csv", "1000:aa", NULL, &id);
  set_file(id, "running", 700);
  assert_int_equal(past("u1", "a.csv").job, first);
  assert_int_equal(unfinished("u1", "/data"), first);
}

static void test_another_process_loads_it(void **state) {
  (void)state;
  struct os_ledger *mine = ledger, *other = open_ledger("l.db");
  ledger = other;
  int64_t job = begin_load("a.csv", "1000:aa", NULL, NULL);
  ledger = mine;
  struct os_file_past found = past("u1", "a.csv");
  assert_true(found.found && found.job_alive);
  assert_int_equal(found.job, job);
  os_ledger_free(other);
  assert_false(past("u1", "a.csv").found); /* it was still waiting */
}

static void test_rehearsal_does_not_count(void **state) {
  (void)state;
  int64_t id, job = begin_load("a.csv", "1000:aa", "{\"options\":{\"dry_run\":true}}", &id);
  set_file(id, "success", 1000);
  assert_ok(os_ledger_job_finish(ledger, job, "success", NULL, NULL, NULL, &test_error));
  assert_false(past("u1", "a.csv").found);
  assert_int_equal(loads("1000:aa"), 0);
  assert_int_equal(unfinished("u1", "/data"), 0);
}

static void test_content(void **state) {
  (void)state;
  load("a.csv", "1000:aa", "running", 500, "interrupted");
  assert_int_equal(loads("1000:aa"), 0);
  load("a.csv", "1000:aa", "success", 1000, "success");
  load("copy.csv", "1000:aa", "partial", 1000, "partial"); /* under another name, with refusals: to its end */
  assert_int_equal(loads("1000:aa"), 2);
  assert_int_equal(loads("1000:bb"), 0);
}

static void test_unfinished(void **state) {
  (void)state;
  int64_t job = load("a.csv", "1000:aa", "running", 500, "interrupted");
  assert_int_equal(unfinished("u1", "/data"), job);
  assert_int_equal(unfinished("", "/data"), job);
  assert_int_equal(unfinished("u2", "/data"), 0);
  assert_int_equal(unfinished("u1", "/elsewhere"), 0);
  load("a.csv", "1000:aa", "waiting", 0, "failed"); /* stopped by a guard: neither begun nor finished */
  assert_int_equal(unfinished("u1", "/data"), job);
  load("a.csv", "1000:aa", "success", 1000, "success");
  assert_int_equal(unfinished("u1", "/data"), 0);
}

static void test_forgetting(void **state) {
  (void)state;
  load("a.csv", "1000:aa", "success", 1000, "success");
  load("b.csv", "1000:bb", "running", 10, "failed");
  int64_t id, fresh = begin_load("c.csv", "1000:cc", NULL, &id);
  assert_ok(os_ledger_forget_index(ledger, "other", &test_error));
  assert_true(past("u1", "a.csv").found);
  assert_ok(os_ledger_forget_index(ledger, "products", &test_error));
  assert_false(past("u1", "a.csv").found);
  assert_int_equal(loads("1000:aa"), 0);
  assert_int_equal(unfinished("u1", "/data"), 0);
  set_file(id, "success", 1000);
  assert_ok(os_ledger_job_finish(ledger, fresh, "success", NULL, NULL, NULL, &test_error));
  assert_int_equal(past("u1", "c.csv").job, fresh); /* the one that asked counts */
}

static void test_late_knowledge(void **state) {
  (void)state;
  int64_t job = begin_job(ledger, "bulk_load", NULL), id;
  struct os_job_file file = {.job = job, .file = "b.gz", .size = -1};
  assert_ok(os_ledger_file_add(ledger, &file, &id, &test_error));
  assert_string_equal(ask(ledger, "SELECT name||status||(fingerprint IS NULL)||(size IS NULL) FROM job_file"),
                      "b.gzwaiting11");
  struct os_job_file now = {.status = "running",
                            .fingerprint = "7:ff",
                            .format = "csv.gz",
                            .size = 7,
                            .generation = 2,
                            .seconds = 1.5};
  assert_ok(os_ledger_file_progress(ledger, id, &now, &test_error));
  struct os_job_file later = {.status = "failed", .byte_offset = 3, .error = "cut short"};
  assert_ok(os_ledger_file_progress(ledger, id, &later, &test_error));
  assert_string_equal(ask(ledger, "SELECT fingerprint||format||size||generation||status||byte_offset||error"
                                  " FROM job_file"),
                      "7:ffcsv.gz72failed3cut short");
  assert_int_equal(os_ledger_file_progress(ledger, 999, &later, &test_error), OS_ERR_LEDGER);
}

/* A batch's offset and refusals are one transaction: both or neither. */
static void test_acknowledging_a_batch(void **state) {
  (void)state;
  int64_t id, job = begin_load("a.csv", "1000:aa", NULL, &id);
  struct os_failure refused = {.job = job, .index_name = "products", .file = "a.csv", .byte_offset = 42};
  assert_ok(os_ledger_begin(ledger, &test_error));
  set_file(id, "running", 100);
  assert_ok(os_ledger_failure_put(ledger, &refused, &test_error));
  os_ledger_rollback(ledger);
  assert_string_equal(ask(ledger, "SELECT byte_offset||'|'||(SELECT count(*) FROM failure) FROM job_file"),
                      "0|0");
  assert_ok(os_ledger_begin(ledger, &test_error));
  set_file(id, "running", 100);
  assert_ok(os_ledger_failure_put(ledger, &refused, &test_error));
  assert_ok(os_ledger_commit(ledger, &test_error));
  assert_string_equal(ask(ledger, "SELECT byte_offset||'|'||(SELECT count(*) FROM failure) FROM job_file"),
                      "100|1");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_nothing_yet),
      TEST(test_past_of_a_file),
      TEST(test_past_without_a_fingerprint),
      TEST(test_planned_by_a_load_that_died),
      TEST(test_planned_by_a_load_that_lives),
      TEST(test_own_running_job_is_no_past),
      TEST(test_another_process_loads_it),
      TEST(test_rehearsal_does_not_count),
      TEST(test_content),
      TEST(test_unfinished),
      TEST(test_forgetting),
      TEST(test_late_knowledge),
      TEST(test_acknowledging_a_batch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
