/* Jobs: begun, ended, asked to stop, killed; seen from this process and from others. */
#include "ledger_support.h"
#include <signal.h>

static const char *status_of(struct os_ledger *ledger, int64_t job) {
  char sql[80];
  snprintf(sql, sizeof sql, "SELECT status FROM job WHERE job = %lld", (long long)job);
  return ask(ledger, sql);
}

static void test_life_of_a_job(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  struct os_job_figures figures = {.files = 3,
                                   .files_done = 1,
                                   .documents_read = 100,
                                   .documents_created = 90,
                                   .documents_failed = 10,
                                   .bytes_sent = 12345,
                                   .retries = 2,
                                   .count_before = -1,
                                   .count_after = 90};
  struct os_job_begin begin = {.kind = "bulk_load",
                               .index_name = "products",
                               .arguments = "{\"path\":\"/data\"}",
                               .correlation_id = "run-7",
                               .parent = 0};
  int64_t job = 0;
  assert_ok(os_ledger_job_begin(ledger, &begin, &job, &test_error));
  assert_int_equal(job, 1);
  assert_true(os_ledger_job_alive(ledger, job));
  assert_string_equal(ask(ledger,
                          "SELECT status||'|'||kind||'|'||index_name||'|'||correlation_id||'|'||version"
                          "||'|'||(parent IS NULL)||'|'||locked FROM job"),
                      "running|bulk_load|products|run-7|" OS_VERSION "|1|1");
  assert_ok(os_ledger_job_progress(ledger, job, &figures, &test_error));
  assert_string_equal(ask(ledger,
                          "SELECT files||'|'||files_done||'|'||documents_read||'|'||documents_created||'|'||"
                          "documents_failed||'|'||bytes_sent||'|'||retries||'|'||count_after||'|'||"
                          "(count_before IS NULL) FROM job"),
                      "3|1|100|90|10|12345|2|90|1");
  assert_ok(os_ledger_job_finish(ledger, job, "partial", NULL, NULL, "{\"a\":1}", &test_error));
  assert_string_equal(
      ask(ledger, "SELECT status||'|'||response||'|'||documents_read||'|'||(finished_at >= started_at)"
                  " FROM job"),
      "partial|{\"a\":1}|100|1");
  assert_false(os_ledger_job_alive(ledger, job));
  assert_int_equal(os_ledger_job_progress(ledger, job, &figures, &test_error), OS_ERR_INTERNAL);
  assert_string_equal(status_of(ledger, job), "partial");
  os_ledger_free(ledger);
}

static void test_status_must_be_a_final_one(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "bulk_load", NULL);
  assert_int_equal(os_ledger_job_finish(ledger, job, "running", NULL, NULL, NULL, &test_error),
                   OS_ERR_INTERNAL);
  assert_int_equal(os_ledger_job_finish(ledger, job, "fine", NULL, NULL, NULL, &test_error), OS_ERR_INTERNAL);
  assert_int_equal(os_ledger_job_finish(ledger, 77, "failed", NULL, NULL, NULL, &test_error),
                   OS_ERR_NOT_FOUND);
  assert_ok(os_ledger_job_finish(ledger, job, "failed", NULL, "no such index", NULL, &test_error));
  assert_string_equal(ask(ledger, "SELECT error FROM job"), "no such index");
  os_ledger_free(ledger);
}

static void test_rehearsals_are_marked(void **state) {
  (void)state;
  static const struct {
    const char *arguments;
    const char *dry;
  } cases[] = {
      {NULL, "0"},
      {"{\"dry_run\":true}", "1"},
      {"{\"path\":\"dry_run\",\"options\":{\"dry_run\":true}}", "1"},
      {"[\"p\",\"i\",{\"dry_run\":true}]", "1"},
      {"{\"options\":{\"dry_run\":false}}", "0"},
      {"[\"p\",[1,2],{\"dry_run\":\"true\"}]", "0"},
      {"{\"a\":{\"b\":{\"dry_run\":true}}}", "1"},
      {"{\"a\":{\"b\":{\"c\":{\"d\":{\"dry_run\":true}}}}}", "0"}, /* a document, not an option */
      {"not JSON", "0"},
  };
  struct os_ledger *ledger = open_ledger("l.db");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    begin_job(ledger, "bulk_load", cases[i].arguments);
    assert_string_equal(ask(ledger, "SELECT dry FROM job ORDER BY job DESC LIMIT 1"), cases[i].dry);
  }
  os_ledger_free(ledger);
}

static void test_asking_a_job(void **state) {
  (void)state;
  struct os_ledger *runner = open_ledger("l.db"), *other = open_ledger("l.db");
  char word[16];
  int64_t parent = begin_job(runner, "refresh_data", NULL), child = 0;
  struct os_job_begin begin = {.kind = "bulk_load", .parent = parent};
  assert_ok(os_ledger_job_begin(runner, &begin, &child, &test_error));
  assert_true(os_ledger_job_alive(other, child)); /* another connection of the same process */
  assert_ok(os_ledger_job_control(runner, child, word, &test_error));
  assert_string_equal(word, "");
  assert_ok(os_ledger_job_ask(other, parent, "pause", &test_error));
  assert_ok(os_ledger_job_control(runner, child, word, &test_error));
  assert_string_equal(word, "pause");
  assert_ok(os_ledger_job_ask(other, child, "", &test_error));
  assert_ok(os_ledger_job_control(runner, child, word, &test_error));
  assert_string_equal(word, "");
  assert_ok(os_ledger_job_control(runner, parent, word, &test_error));
  assert_string_equal(word, "pause");
  assert_ok(os_ledger_job_ask(other, parent, "cancel", &test_error));
  assert_ok(os_ledger_job_control(runner, child, word, &test_error));
  assert_string_equal(word, "cancel");
  assert_int_equal(os_ledger_job_ask(other, parent, "", &test_error), OS_ERR_ARGUMENT);
  assert_error_has("is being cancelled");
  assert_ok(os_ledger_job_ask(other, parent, "cancel", &test_error)); /* twice is once */
  assert_ok(os_ledger_job_finish(runner, child, "cancelled", NULL, NULL, NULL, &test_error));
  assert_int_equal(os_ledger_job_ask(other, child, "cancel", &test_error), OS_ERR_ARGUMENT);
  assert_error_has("it has ended (cancelled at 2");
  assert_int_equal(os_ledger_job_ask(other, 99, "cancel", &test_error), OS_ERR_NOT_FOUND);
  assert_error_has("no job 99");
  assert_int_equal(os_ledger_job_control(runner, 99, word, &test_error), OS_ERR_NOT_FOUND);
  assert_int_equal(os_ledger_job_ask(other, parent, "explode", &test_error), OS_ERR_INTERNAL);
  os_ledger_free(other);
  os_ledger_free(runner);
}

/* The cluster does the work of some, and cannot wait. */
static void test_pause_where_there_is_none(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "reindex", NULL);
  char word[16];
  assert_fails(os_ledger_job_ask(ledger, job, "pause", &test_error), OS_ERR_ARGUMENT,
               "(reindex) cannot pause");
  assert_error_has("os_cancel(1)");
  assert_ok(os_ledger_job_control(ledger, job, word, &test_error));
  assert_string_equal(word, "");
  assert_ok(os_ledger_job_ask(ledger, job, "cancel", &test_error));
  os_ledger_free(ledger);
}

/* Its process has said in the lock file that it ended, and its row could not be written: it is not told anything. */
static void test_ended_in_the_lock_file_alone(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db"), *other = open_ledger("l.db");
  int64_t job = begin_job(ledger, "bulk_load", NULL);
  os_ledger_abandon(ledger); /* as if this process had died */
  int fd = open(in_folder("l.db-jobs"), O_RDWR);
  assert_int_equal(pwrite(fd, "\1", 1, job), 1);
  assert_fails(os_ledger_job_ask(other, job, "cancel", &test_error), OS_ERR_ARGUMENT,
               "it has ended (running)");
  assert_false(os_ledger_job_alive(other, job));
  assert_int_equal(ftruncate(fd, 0), 0); /* nothing is said: it has died */
  assert_fails(os_ledger_job_ask(other, job, "cancel", &test_error), OS_ERR_ARGUMENT, "has died");
  close(fd);
  os_ledger_free(other);
  os_ledger_free(ledger);
}

/* Nobody can hold a byte of a file that is not there, nor run a job of a ledger in memory but ourselves. */
static void test_dead_without_a_lock_file(void **state) {
  (void)state;
  static const char died[] =
      "INSERT INTO job(job, kind, status, locked, started_at, updated_at, host, pid, version)"
      " SELECT 77, 'x', 'running', 1, 't', 't', host, 1, 'v' FROM job";
  for (int i = 0; i < 2; i++) {
    struct os_ledger *ledger = NULL, *owner = NULL;
    assert_ok(os_ledger_new(&ledger, NULL, false, i ? ":memory:" : in_folder("l.db"), &test_error));
    assert_ok(os_ledger_open(ledger, true, &test_error));
    owner = i ? ledger : open_ledger("l.db");
    begin_job(owner, "bulk_load", NULL);
    ask(ledger, died);
    unlink(in_folder("l.db-jobs"));
    assert_false(os_ledger_job_alive(ledger, 77));
    assert_ok(os_ledger_sweep(ledger, &test_error));
    assert_string_equal(status_of(ledger, 77), "interrupted");
    if (owner != ledger) os_ledger_free(owner);
    os_ledger_free(ledger);
  }
}

/* What a ledger of somebody else's may say: a job without a host, or whose heartbeat is no time, does not live. */
static void test_shown_from_odd_rows(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  assert_string_equal(ask(ledger, "SELECT os_job_shown('running', 9, 1, NULL, NULL)"), "interrupted");
  assert_string_equal(ask(ledger, "SELECT os_job_shown('running', 9, 0, 'elsewhere', 'soon')"),
                      "interrupted");
  assert_string_equal(ask(ledger, "SELECT os_job_shown('running', 9, 0, NULL, '2999-01-01T00:00:00Z')"),
                      "running");
  assert_string_equal(ask(ledger, "SELECT os_job_shown(NULL, 9, 1, NULL, NULL)"), "NULL");
  assert_string_equal(ask(ledger, "SELECT os_job_shown('failed', 9, 1, NULL, NULL)"), "failed");
  os_ledger_free(ledger);
}

static int no_deletion(void *ctx, int action, const char *a, const char *b, const char *c, const char *d) {
  (void)ctx, (void)a, (void)b, (void)c, (void)d;
  return action == SQLITE_DELETE ? SQLITE_DENY : SQLITE_OK;
}

/* The number is taken, and its row cannot be taken back: nothing of the job is left. */
static void test_number_that_cannot_be_given_back(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  int64_t job = 7;
  int fd = open(in_folder("l.db-jobs"), O_RDWR);
  assert_int_equal(fcntl(fd, F_OFD_SETLK, &all), 0);
  sqlite3_set_authorizer(os_ledger_db(ledger), no_deletion, NULL);
  assert_fails(os_ledger_job_begin(ledger, &(struct os_job_begin){.kind = "x"}, &job, &test_error),
               OS_ERR_LEDGER, "not authorized");
  sqlite3_set_authorizer(os_ledger_db(ledger), NULL, NULL);
  assert_int_equal(job, 0);
  assert_string_equal(ask(ledger, "SELECT count(*) FROM job"), "0");
  close(fd);
  assert_int_equal(begin_job(ledger, "bulk_load", NULL), 1);
  os_ledger_free(ledger);
}

/* Somebody deleted the row of a job that runs. */
static void test_row_that_vanished(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  struct os_job_figures figures = {.count_before = -1, .count_after = -1};
  int64_t job = begin_job(ledger, "bulk_load", NULL), other = begin_job(ledger, "bulk_load", NULL);
  ask(ledger, "DELETE FROM job WHERE job = 1");
  assert_fails(os_ledger_job_progress(ledger, job, &figures, &test_error), OS_ERR_NOT_FOUND, "no job 1");
  assert_fails(os_ledger_job_finish(ledger, job, "success", &figures, NULL, NULL, &test_error),
               OS_ERR_NOT_FOUND, "no job 1");
  assert_string_equal(ask(ledger, "SELECT count(*) FROM job_sample"), "0");
  os_ledger_abandon(ledger);
  /* the end of one that is not held any more is written all the same, without a sample */
  assert_ok(os_ledger_job_finish(ledger, other, "success", &figures, NULL, NULL, &test_error));
  assert_string_equal(ask(ledger, "SELECT status || (SELECT count(*) FROM job_sample) FROM job"), "success0");
  os_ledger_free(ledger);
}

static void test_closing_interrupts(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t first = begin_job(ledger, "bulk_load", NULL), second = begin_job(ledger, "bulk_load", NULL);
  assert_ok(os_ledger_begin(ledger, &test_error)); /* left open: rolled back */
  os_ledger_audit(ledger, first, "s", "c", "did", NULL, false, &test_error);
  os_ledger_free(ledger);
  ledger = open_ledger("l.db");
  assert_string_equal(status_of(ledger, first), "interrupted");
  assert_string_equal(status_of(ledger, second), "interrupted");
  assert_string_equal(ask(ledger, "SELECT count(*) FROM audit"), "0");
  os_ledger_free(ledger);
}

/* The child of a running job cannot begin: its parent goes on as if nothing had been, whatever was written last. */
static void test_beginning_fails_beside_a_running_job(void **state) {
  (void)state;
  struct os_ledger *runner = open_ledger("l.db"), *other = open_ledger("l.db");
  int64_t parent = begin_job(runner, "refresh_data", NULL), child = 7;
  assert_ok(os_ledger_audit(runner, parent, "s", "c", "did", "d", false, &test_error));
  assert_int_equal(sqlite3_last_insert_rowid(os_ledger_db(runner)),
                   parent); /* the audit's, of the same number */
  char large[2001] = "";
  memset(large, 'x', sizeof large - 1);
  struct os_job_begin begin = {.kind = "bulk_load", .parent = parent, .arguments = large};
  sqlite3_limit(os_ledger_db(runner), SQLITE_LIMIT_LENGTH, 1000);
  assert_fails(os_ledger_job_begin(runner, &begin, &child, &test_error), OS_ERR_LEDGER, "too long");
  assert_int_equal(child, 0);
  assert_true(os_ledger_job_alive(other, parent));
  assert_ok(os_ledger_sweep(other, &test_error));
  assert_string_equal(status_of(other, parent), "running");
  struct os_job_figures figures = {.count_before = -1, .count_after = -1};
  assert_ok(os_ledger_job_progress(runner, parent, &figures, &test_error));
  os_ledger_free(other);
  os_ledger_free(runner);
}

/* ---- processes that die -------------------------------------------------------------------------------- */

static int ready_pipe[2];

/* A child that has begun a job and then waits to be killed. */
static pid_t start_runner(void) {
  char byte;
  assert_int_equal(pipe(ready_pipe), 0);
  pid_t child = fork();
  if (child == 0) {
    struct os_ledger *ledger = NULL;
    int64_t job;
    if (os_ledger_new(&ledger, NULL, false, in_folder("l.db"), &test_error) != OS_OK ||
        os_ledger_open(ledger, true, &test_error) != OS_OK ||
        os_ledger_job_begin(ledger, &(struct os_job_begin){.kind = "bulk_load"}, &job, &test_error) != OS_OK)
      end_child(1);
    if (write(ready_pipe[1], "x", 1) != 1) end_child(2);
    for (;;)
      pause();
  }
  assert_int_equal(read(ready_pipe[0], &byte, 1), 1);
  close(ready_pipe[0]);
  close(ready_pipe[1]);
  return child;
}

static void kill_runner(pid_t child) {
  assert_int_equal(kill(child, SIGKILL), 0);
  assert_int_equal(waitpid(child, NULL, 0), child);
}

static void test_killed_process(void **state) {
  (void)state;
  pid_t child = start_runner();
  struct os_ledger *ledger = open_ledger("l.db");
  assert_true(os_ledger_job_alive(ledger, 1));
  assert_ok(os_ledger_sweep(ledger, &test_error));
  assert_string_equal(status_of(ledger, 1), "running");
  assert_string_equal(ask(ledger, "SELECT os_job_shown(status, job, locked, host, updated_at) FROM job"),
                      "running");
  kill_runner(child);
  assert_false(os_ledger_job_alive(ledger, 1));
  assert_string_equal(status_of(ledger, 1), "running"); /* as stored, until somebody sweeps */
  assert_string_equal(ask(ledger, "SELECT os_job_shown(status, job, locked, host, updated_at) FROM job"),
                      "interrupted");
  assert_int_equal(os_ledger_job_ask(ledger, 1, "cancel", &test_error), OS_ERR_ARGUMENT);
  assert_error_has("its process has died");
  assert_ok(os_ledger_sweep(ledger, &test_error));
  assert_string_equal(status_of(ledger, 1), "interrupted");
  assert_string_equal(
      ask(ledger, "SELECT finished_at = updated_at AND error LIKE 'process %resume%' FROM job"), "1");
  os_ledger_free(ledger);
}

/* Another host cannot see our locks: there the heartbeat decides. */
static void test_heartbeat_of_another_host(void **state) {
  (void)state;
  char sql[200], then[OS_TIME_TEXT];
  struct os_ledger *ledger = open_ledger("l.db"), *owner = open_ledger("l.db");
  int64_t job = begin_job(owner, "bulk_load", NULL);
  static const struct {
    double age;
    bool alive;
  } cases[] = {{5, true}, {55, true}, {65, false}, {3600, false}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    os_clock_iso(os_clock_unix() - cases[i].age, then);
    snprintf(sql, sizeof sql, "UPDATE job SET host = 'elsewhere', updated_at = '%s'", then);
    assert_int_equal(sqlite3_exec(os_ledger_db(ledger), sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(os_ledger_job_alive(ledger, job), cases[i].alive);
    assert_true(os_ledger_job_alive(owner, job)); /* who runs it knows */
  }
  assert_ok(os_ledger_sweep(ledger, &test_error));
  assert_string_equal(status_of(ledger, job), "interrupted");
  struct os_job_figures figures = {.count_before = -1, .count_after = -1};
  assert_ok(os_ledger_job_progress(owner, job, &figures, &test_error)); /* it was only asleep */
  assert_string_equal(status_of(ledger, job), "running");
  assert_true(os_ledger_job_alive(ledger, job));
  os_ledger_free(owner);
  os_ledger_free(ledger);
}

/* Inherited descriptors must not keep a dead parent's job alive. */
static void test_forked_child_abandons(void **state) {
  (void)state;
  int tell[2], hear[2];
  char byte;
  assert_int_equal(pipe(tell), 0);
  assert_int_equal(pipe(hear), 0);
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "bulk_load", NULL);
  pid_t child = fork();
  if (child == 0) {
    os_ledger_abandon(ledger);
    if (write(hear[1], "a", 1) != 1 || read(tell[0], &byte, 1) != 1) end_child(1);
    end_child(0);
  }
  assert_int_equal(read(hear[0], &byte, 1), 1);
  struct os_ledger *other = open_ledger("l.db");
  assert_true(os_ledger_job_alive(other, job)); /* the child's closing has not dropped ours */
  os_ledger_abandon(ledger);                    /* as if this process had died */
  assert_false(os_ledger_job_alive(other, job));
  assert_int_equal(write(tell[1], "b", 1), 1);
  assert_int_equal(waitpid(child, NULL, 0), child);
  os_ledger_free(other);
  os_ledger_free(ledger);
}

/* A process that still works with a deleted ledger holds byte 1: the new ledger takes the next number. */
static void test_byte_held_by_a_deleted_ledger(void **state) {
  (void)state;
  pid_t child = start_runner();
  unlink(in_folder("l.db"));
  unlink(in_folder("l.db-wal"));
  unlink(in_folder("l.db-shm"));
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "bulk_load", NULL);
  assert_int_equal(job, 2);
  assert_true(os_ledger_job_alive(ledger, job));
  assert_string_equal(ask(ledger, "SELECT count(*) FROM job"), "1");
  kill_runner(child);
  os_ledger_free(ledger);
}

/* Where bytes cannot be locked the job still runs, and the heartbeat stands for it. */
static void test_without_a_lock_file(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db"), *other = open_ledger("l.db");
  unlink(in_folder("l.db-jobs"));
  assert_int_equal(mkdir(in_folder("l.db-jobs"), 0700), 0);
  int64_t job = begin_job(ledger, "bulk_load", NULL);
  assert_string_equal(ask(ledger, "SELECT locked FROM job"), "0");
  assert_true(os_ledger_job_alive(ledger, job));
  assert_true(os_ledger_job_alive(other, job));
  assert_ok(os_ledger_job_finish(ledger, job, "success", NULL, NULL, NULL, &test_error));
  assert_false(os_ledger_job_alive(other, job));
  os_ledger_free(other);
  os_ledger_free(ledger);
}

/* Checks that a later job asks for; and jobs that broke off while they made an index anew. */
static void test_what_a_job_began(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db"), *other = open_ledger("l.db");
  int64_t jobs[4], broken;
  bool has;
  for (int i = 0; i < 4; i++) {
    struct os_ledger *owner = i == 3 ? other : ledger;
    jobs[i] = begin_job(owner, "cleanup", NULL);
    assert_ok(os_ledger_audit(owner, jobs[i], "cleanup", "trial", "did", "x", true, &test_error));
  }
  assert_ok(os_ledger_audit(ledger, jobs[0], "mode", "insert_only", "fail", "", false, &test_error));
  assert_ok(os_ledger_audit_has(ledger, jobs[0], "insert_only", &has, &test_error));
  assert_false(has);
  assert_ok(os_ledger_audit(ledger, jobs[0], "mode", "insert_only", "pass", "", false, &test_error));
  assert_ok(os_ledger_audit_has(ledger, jobs[0], "insert_only", &has, &test_error));
  assert_true(has);
  assert_ok(os_ledger_audit_has(ledger, jobs[1], "insert_only", &has, &test_error));
  assert_false(has);
  assert_ok(os_ledger_job_finish(ledger, jobs[0], "success", NULL, NULL, NULL, &test_error));
  assert_ok(os_ledger_job_finish(ledger, jobs[1], "failed", NULL, "x", NULL, &test_error));
  assert_ok(os_ledger_job_finish(ledger, jobs[2], "interrupted", NULL, "x", NULL, &test_error));
  static const char name[] = "idx";
  assert_ok(os_ledger_cleanup_broken(ledger, name, 0, &broken, &test_error));
  assert_int_equal(broken, jobs[1]);
  assert_ok(os_ledger_cleanup_broken(ledger, name, broken, &broken, &test_error));
  assert_int_equal(broken, jobs[2]);
  assert_ok(os_ledger_cleanup_broken(ledger, name, broken, &broken, &test_error));
  assert_int_equal(broken, 0); /* the fourth lives */
  os_ledger_free(other);
  assert_ok(os_ledger_cleanup_broken(ledger, name, jobs[2], &broken, &test_error));
  assert_int_equal(broken, jobs[3]);
  assert_ok(os_ledger_audit(ledger, jobs[1], "cleanup", "leftovers", "did", "", true, &test_error));
  assert_ok(os_ledger_cleanup_broken(ledger, name, 0, &broken, &test_error));
  assert_int_equal(broken, jobs[2]);
  assert_ok(os_ledger_cleanup_broken(ledger, "another", 0, &broken, &test_error));
  assert_int_equal(broken, 0);
  os_ledger_free(ledger);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_life_of_a_job),
      TEST(test_status_must_be_a_final_one),
      TEST(test_rehearsals_are_marked),
      TEST(test_asking_a_job),
      TEST(test_pause_where_there_is_none),
      TEST(test_ended_in_the_lock_file_alone),
      TEST(test_dead_without_a_lock_file),
      TEST(test_shown_from_odd_rows),
      TEST(test_number_that_cannot_be_given_back),
      TEST(test_row_that_vanished),
      TEST(test_closing_interrupts),
      TEST(test_beginning_fails_beside_a_running_job),
      TEST(test_killed_process),
      TEST(test_heartbeat_of_another_host),
      TEST(test_forked_child_abandons),
      TEST(test_byte_held_by_a_deleted_ledger),
      TEST(test_without_a_lock_file),
      TEST(test_what_a_job_began),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
