/* Files that are no ledger, files that cannot be written, files that come and go, processes that come at
** once. */
#include "ledger_support.h"
#include <signal.h>

static int try_open(const char *name, bool create) {
  struct os_ledger *ledger = NULL;
  int rc = os_ledger_new(&ledger, NULL, false, in_folder(name), &test_error);
  if (rc == OS_OK) rc = os_ledger_open(ledger, create, &test_error);
  os_ledger_free(ledger);
  return rc;
}

static void run_sql(const char *name, const char *sql) {
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open(in_folder(name), &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_made_by_a_command_only(void **state) {
  (void)state;
  assert_ok(try_open("l.db", false));
  assert_int_not_equal(access(in_folder("l.db"), F_OK), 0);
  assert_ok(try_open("l.db", true));
  assert_ok(try_open("l.db", true));
  assert_ok(try_open("l.db", false));
}

static void test_garbage(void **state) {
  (void)state;
  char noise[4097];
  memset(noise, 'x', sizeof noise - 1);
  noise[sizeof noise - 1] = '\0';
  write_file(in_folder("l.db"), noise, 0600);
  for (int create = 0; create < 2; create++) {
    assert_int_equal(try_open("l.db", create), OS_ERR_LEDGER);
    assert_error_has("is not an SQLite database");
    assert_error_has("l.db");
  }
}

static void test_somebody_elses_database(void **state) {
  (void)state;
  run_sql("l.db", "CREATE TABLE job(x); INSERT INTO job VALUES(1)");
  for (int create = 0; create < 2; create++) {
    assert_int_equal(try_open("l.db", create), OS_ERR_LEDGER);
    assert_error_has("not a ledger");
  }
}

static void test_empty_file_becomes_a_ledger(void **state) {
  (void)state;
  write_file(in_folder("l.db"), "", 0600);
  assert_ok(try_open("l.db", false));
  struct os_ledger *ledger = open_ledger("l.db");
  assert_int_equal(begin_job(ledger, "bulk_load", NULL), 1);
  os_ledger_free(ledger);
}

static void test_newer_is_refused(void **state) {
  (void)state;
  assert_ok(try_open("l.db", true));
  run_sql("l.db", "PRAGMA user_version = 99");
  for (int create = 0; create < 2; create++) {
    assert_int_equal(try_open("l.db", create), OS_ERR_LEDGER);
    assert_error_has("newer version");
    assert_error_has("99");
    assert_error_has("upgrade the extension");
  }
}

/* An upgrade runs the steps that are missing; one that fails leaves the file as it was. */
static void test_upgrade_that_fails_changes_nothing(void **state) {
  (void)state;
  assert_ok(try_open("l.db", true));
  run_sql("l.db", "PRAGMA user_version = 0"); /* the first step meets tables that are there */
  assert_int_equal(try_open("l.db", false), OS_ERR_LEDGER);
  assert_error_has("older version");
  assert_int_equal(try_open("l.db", true), OS_ERR_LEDGER);
  assert_error_has("preparing the ledger");
  run_sql("l.db", "PRAGMA user_version = 4");
  assert_ok(try_open("l.db", true));
}

static void read_only_file(void) {
  struct os_ledger *ledger = NULL;
  int64_t job;
  char word[16];
  become_nobody();
  CHILD_CHECK(os_ledger_new(&ledger, NULL, false, in_folder("l.db"), &test_error) == OS_OK, 2);
  CHILD_CHECK(os_ledger_open(ledger, false, &test_error) == OS_OK && os_ledger_db(ledger) != NULL, 3);
  CHILD_CHECK(os_ledger_job_control(ledger, 1, word, &test_error) == OS_OK, 4);
  CHILD_CHECK(os_ledger_job_begin(ledger, &(struct os_job_begin){.kind = "x"}, &job, &test_error) ==
                  OS_ERR_LEDGER,
              5);
  CHILD_CHECK(strstr(test_error.text, "can be read, but not written") != NULL, 6);
  CHILD_CHECK(os_ledger_open(ledger, true, &test_error) == OS_ERR_LEDGER, 7);
  CHILD_CHECK(strstr(test_error.text, "l.db") != NULL, 8);
  CHILD_CHECK(os_ledger_open(ledger, false, &test_error) == OS_OK && os_ledger_db(ledger) != NULL, 9);
  os_ledger_free(ledger);
}

static void make_one_job(void) {
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "bulk_load", NULL);
  assert_ok(os_ledger_job_finish(ledger, job, "success", NULL, NULL, NULL, &test_error));
  os_ledger_free(ledger);
}

static void test_read_only(void **state) {
  (void)state;
  make_one_job();
  assert_int_equal(chmod(in_folder("l.db"), 0444), 0);
  assert_int_equal(chmod(in_folder("l.db-jobs"), 0444), 0);
  assert_int_equal(chmod(test_folder, 0555), 0); /* as on a medium that cannot be written: no -wal, no -shm */
  assert_int_equal(in_child(read_only_file), 0);
  assert_int_equal(chmod(test_folder, 0700), 0);
}

static void only_the_file(void) {
  become_nobody();
  CHILD_CHECK(try_open("l.db", true) == OS_ERR_LEDGER, 2);
  CHILD_CHECK(strstr(test_error.text, "can be read, but not written") != NULL, 3);
  CHILD_CHECK(strstr(test_error.advice, "change the rights of the file") != NULL, 4);
}

/* The folder and the lock file may be written, the ledger itself not. */
static void test_read_only_file(void **state) {
  (void)state;
  make_one_job();
  run_sql("l.db", "PRAGMA journal_mode = DELETE");
  assert_int_equal(chmod(in_folder("l.db"), 0444) | chmod(in_folder("l.db-jobs"), 0666), 0);
  assert_int_equal(chmod(test_folder, 0777), 0);
  assert_int_equal(in_child(only_the_file), 0);
  assert_int_equal(chmod(test_folder, 0700), 0);
}

static void read_without_memory(void) {
  struct os_ledger *ledger = NULL;
  long n = 0, failed = 0;
  become_nobody();
  CHILD_CHECK(os_ledger_new(&ledger, NULL, false, in_folder("l.db"), &test_error) == OS_OK, 2);
  for (bool refused = true; refused && n < 100; n++) {
    os_alloc_fail_after(n, 1);
    int rc = os_ledger_open(ledger, false, &test_error);
    refused = os_alloc_count() > n;
    os_alloc_fail_after(-1, 0);
    CHILD_CHECK(rc == OS_OK || (rc == OS_ERR_NOMEM && os_ledger_db(ledger) == NULL), 3);
    failed += rc != OS_OK;
  }
  CHILD_CHECK(failed > 2 && os_ledger_db(ledger) != NULL, 4);
  os_ledger_free(ledger);
}

static void read_beside_a_log(void) {
  become_nobody();
  CHILD_CHECK(try_open("l.db", false) == OS_ERR_LEDGER, 2);
  CHILD_CHECK(strstr(test_error.text, "opening the ledger") != NULL, 3);
}

static void read_what_is_closed(void) {
  become_nobody();
  CHILD_CHECK(try_open("l.db", false) == OS_ERR_LEDGER, 2);
  CHILD_CHECK(strstr(test_error.text, "cannot be opened: Permission denied") != NULL, 3);
}

/* As on a medium that cannot be written, once more: with a log left on it the file alone would tell only half. */
static void test_read_only_and_more(void **state) {
  (void)state;
  make_one_job();
  assert_int_equal(chmod(in_folder("l.db"), 0444) | chmod(in_folder("l.db-jobs"), 0444), 0);
  assert_int_equal(chmod(test_folder, 0555), 0);
  assert_int_equal(in_child(read_without_memory), 0);
  assert_int_equal(chmod(test_folder, 0700), 0);
  write_file(in_folder("l.db-wal"), "not empty", 0400);
  assert_int_equal(chmod(test_folder, 0555), 0);
  assert_int_equal(in_child(read_beside_a_log), 0);
  assert_int_equal(chmod(test_folder, 0700), 0);
  unlink(in_folder("l.db-wal"));
  assert_int_equal(chmod(in_folder("l.db"), 0) | chmod(test_folder, 0555), 0);
  assert_int_equal(in_child(read_what_is_closed), 0);
  assert_int_equal(chmod(test_folder, 0700), 0);
}

static void read_only_folder(void) {
  struct os_ledger *ledger = NULL;
  become_nobody();
  setenv("XDG_STATE_HOME", in_folder("closed/state"), 1);
  CHILD_CHECK(os_ledger_new(&ledger, in_folder("app.db"), false, NULL, &test_error) == OS_OK, 2);
  CHILD_CHECK(strstr(os_ledger_path(ledger), "closed/state") != NULL,
              3); /* not beside: the folder is not writable */
  CHILD_CHECK(os_ledger_open(ledger, false, &test_error) == OS_OK && os_ledger_db(ledger) == NULL, 4);
  CHILD_CHECK(os_ledger_open(ledger, true, &test_error) == OS_ERR_LEDGER, 5);
  CHILD_CHECK(strstr(test_error.text, "closed/state") && strstr(test_error.advice, "OS_LEDGER"), 6);
  os_ledger_free(ledger);
}

static void test_read_only_folder(void **state) {
  (void)state;
  write_file(in_folder("app.db"), "", 0644);
  assert_int_equal(mkdir(in_folder("closed"), 0555), 0);
  assert_int_equal(chmod(test_folder, 0555), 0);
  assert_int_equal(in_child(read_only_folder), 0);
  assert_int_equal(chmod(test_folder, 0700), 0);
}

static void test_disk_full(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "bulk_load", NULL);
  char *detail = malloc(1000001);
  memset(detail, 'd', 1000000);
  detail[1000000] = '\0';
  sqlite3_exec(os_ledger_db(ledger), "PRAGMA max_page_count = 60", NULL, NULL, NULL);
  int rc = os_ledger_audit(ledger, job, "s", "c", "did", detail, false, &test_error);
  assert_int_equal(rc, OS_ERR_LEDGER);
  assert_error_has("disk is full");
  assert_error_has("l.db");
  assert_error_has("acknowledged");
  assert_string_equal(ask(ledger, "SELECT count(*) FROM audit"), "0");
  assert_ok(os_ledger_begin(ledger, &test_error)); /* the same inside a transaction: commit reports, too */
  assert_ok(os_ledger_audit(ledger, job, "s", "c", "did", "small", false, &test_error));
  assert_int_not_equal(os_ledger_audit(ledger, job, "s", "c", "did", detail, false, &test_error), OS_OK);
  os_ledger_rollback(ledger);
  assert_string_equal(ask(ledger, "SELECT count(*) FROM audit"), "0");
  sqlite3_exec(os_ledger_db(ledger), "PRAGMA max_page_count = 1000000", NULL, NULL, NULL);
  assert_ok(os_ledger_audit(ledger, job, "s", "c", "did", detail, false, &test_error));
  free(detail);
  os_ledger_free(ledger);
}

static void test_deleted_while_open(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "bulk_load", NULL);
  assert_ok(os_ledger_job_finish(ledger, job, "success", NULL, NULL, NULL, &test_error));
  assert_int_equal(unlink(in_folder("l.db")), 0);
  unlink(in_folder("l.db-wal"));
  unlink(in_folder("l.db-shm"));
  assert_ok(os_ledger_open(ledger, false, &test_error));
  assert_null(os_ledger_db(ledger));
  assert_ok(os_ledger_open(ledger, true, &test_error));
  assert_string_equal(ask(ledger, "SELECT count(*) FROM job"), "0");
  assert_int_equal(begin_job(ledger, "bulk_load", NULL), 1);
  assert_int_equal(access(in_folder("l.db"), F_OK), 0);
  os_ledger_free(ledger);
}

/* Another file has its name now; but a transaction, and a job, ends in the file it began in. */
static void test_replaced_while_open(void **state) {
  (void)state;
  make_one_job();
  write_file(in_folder("other.db"), "", 0600);
  struct os_ledger *ledger = open_ledger("l.db");
  sqlite3 *first = os_ledger_db(ledger);
  assert_ok(os_ledger_open(ledger, false, &test_error));
  assert_ptr_equal(os_ledger_db(ledger), first);
  int64_t job = begin_job(ledger, "bulk_load", NULL);
  assert_ok(os_ledger_begin(ledger, &test_error));
  assert_int_equal(rename(in_folder("other.db"), in_folder("l.db")), 0);
  assert_ok(os_ledger_open(ledger, true, &test_error));
  assert_ptr_equal(os_ledger_db(ledger), first);
  assert_ok(os_ledger_commit(ledger, &test_error));
  assert_ok(os_ledger_open(ledger, true, &test_error));
  assert_string_equal(ask(ledger, "SELECT count(*) FROM job"), "2");
  assert_ok(os_ledger_job_finish(ledger, job, "success", NULL, NULL, NULL, &test_error));
  assert_ok(os_ledger_begin(ledger, &test_error));
  assert_ok(os_ledger_open(ledger, true, &test_error));
  assert_ptr_equal(os_ledger_db(ledger), first);
  assert_ok(os_ledger_commit(ledger, &test_error));
  unlink(in_folder("l.db-wal"));
  unlink(in_folder("l.db-shm"));
  assert_ok(os_ledger_open(ledger, true, &test_error));
  assert_string_equal(ask(ledger, "SELECT count(*) FROM job"), "0");
  os_ledger_free(ledger);
}

static void test_memory(void **state) {
  (void)state;
  struct os_ledger *ledger = NULL;
  assert_ok(os_ledger_new(&ledger, NULL, false, ":memory:", &test_error));
  assert_ok(os_ledger_open(ledger, false, &test_error));
  assert_null(os_ledger_db(ledger));
  assert_ok(os_ledger_open(ledger, true, &test_error));
  int64_t job = begin_job(ledger, "bulk_load", NULL);
  assert_true(os_ledger_job_alive(ledger, job));
  assert_ok(os_ledger_sweep(ledger, &test_error));
  assert_string_equal(ask(ledger, "SELECT status FROM job"), "running");
  assert_ok(os_ledger_job_finish(ledger, job, "success", NULL, NULL, NULL, &test_error));
  assert_ok(os_ledger_open(ledger, true, &test_error)); /* the same: there is no file to look after */
  assert_string_equal(ask(ledger, "SELECT status FROM job"), "success");
  os_ledger_free(ledger);
}

/* ---- a host that forbids something --------------------------------------------------------------------- */

static struct {
  int action, answer;
  const char *word;
} forbidden;

static int forbid(void *ctx, int action, const char *a, const char *b, const char *c, const char *d) {
  (void)ctx, (void)b, (void)c, (void)d;
  bool meant =
      action == forbidden.action && (forbidden.word == NULL || (a && strcmp(a, forbidden.word) == 0));
  return meant ? forbidden.answer : SQLITE_OK;
}

static int on_each_connection(sqlite3 *db, char **error, const struct sqlite3_api_routines *api) {
  (void)error, (void)api;
  return sqlite3_set_authorizer(db, forbid, NULL);
}

/* SQLite may be built without a pragma, or its host may say no (sqlite3_auto_extension). What cannot be looked at or
** made ready is not used, and is not half open. */
static void test_statements_that_are_forbidden(void **state) {
  (void)state;
  static const struct {
    int action, answer;
    const char *word, *says;
    bool old; /* a ledger of an older version is there */
  } cases[] = {
      {SQLITE_SELECT, SQLITE_DENY, NULL, "not authorized", false},
      {SQLITE_PRAGMA, SQLITE_DENY, "application_id", "not authorized", false},
      {SQLITE_PRAGMA, SQLITE_IGNORE, "user_version", "is damaged", false},
      {SQLITE_TRANSACTION, SQLITE_DENY, "BEGIN", "preparing the ledger", false},
      {SQLITE_TRANSACTION, SQLITE_DENY, "COMMIT", "preparing the ledger", true},
      {SQLITE_CREATE_TABLE, SQLITE_DENY, "step", "preparing the ledger", true},
      {SQLITE_PRAGMA, SQLITE_DENY, "synchronous", "not authorized", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct os_ledger *ledger = NULL;
    char name[16];
    snprintf(name, sizeof name, "l%zu.db", i);
    if (cases[i].old) {
      assert_ok(try_open(name, true));
      run_sql(name, "DROP TABLE step; ALTER TABLE failure DROP COLUMN sqs_sent_at; PRAGMA user_version = 2");
    }
    forbidden.action = cases[i].action, forbidden.answer = cases[i].answer, forbidden.word = cases[i].word;
    assert_ok(os_ledger_new(&ledger, NULL, false, in_folder(name), &test_error));
    sqlite3_auto_extension((void (*)(void))on_each_connection);
    int rc = os_ledger_open(ledger, true, &test_error);
    sqlite3_reset_auto_extension();
    if (rc != OS_ERR_LEDGER || os_ledger_db(ledger) != NULL)
      fail_msg("case %zu: %d %s", i, rc, test_error.text);
    assert_error_has(cases[i].says);
    assert_ok(os_ledger_open(ledger, true, &test_error));
    begin_job(ledger, "bulk_load", NULL);
    assert_string_equal(ask(ledger, "SELECT count(*) FROM step"), "0");
    os_ledger_free(ledger);
  }
}

/* What a file brings along is not trusted: a trigger in it does not run. */
static void test_hostile_schema(void **state) {
  (void)state;
  make_one_job();
  run_sql(
      "l.db",
      "CREATE TABLE seen(x); CREATE TRIGGER spy AFTER INSERT ON job BEGIN INSERT INTO seen VALUES(1); END");
  struct os_ledger *ledger = open_ledger("l.db");
  begin_job(ledger, "bulk_load", NULL);
  assert_string_equal(ask(ledger, "SELECT count(*) FROM seen"), "0");
  os_ledger_free(ledger);
}

static void open_and_write(void) {
  struct os_ledger *ledger = NULL;
  int64_t job;
  CHILD_CHECK(os_ledger_new(&ledger, NULL, false, in_folder("l.db"), &test_error) == OS_OK, 2);
  CHILD_CHECK(os_ledger_open(ledger, true, &test_error) == OS_OK, 3);
  CHILD_CHECK(os_ledger_job_begin(ledger, &(struct os_job_begin){.kind = "race"}, &job, &test_error) == OS_OK,
              4);
  for (int i = 0; i < 200; i++)
    CHILD_CHECK(os_ledger_audit(ledger, job, "s", "c", "did", NULL, false, &test_error) == OS_OK, 5);
  CHILD_CHECK(os_ledger_job_finish(ledger, job, "success", NULL, NULL, NULL, &test_error) == OS_OK, 6);
  os_ledger_free(ledger);
}

static void test_processes_at_once(void **state) {
  (void)state;
  enum { CHILDREN = 6 };
  pid_t child[CHILDREN];
  for (int i = 0; i < CHILDREN; i++) {
    if ((child[i] = fork()) == 0) {
      open_and_write();
      end_child(0);
    }
  }
  for (int i = 0; i < CHILDREN; i++) {
    int status = 0;
    waitpid(child[i], &status, 0);
    assert_int_equal(status, 0);
  }
  struct os_ledger *ledger = open_ledger("l.db");
  assert_string_equal(ask(ledger, "SELECT count(*) FROM audit"), "1200");
  assert_string_equal(ask(ledger, "SELECT count(*) FROM job WHERE status = 'success'"), "6");
  assert_string_equal(ask(ledger, "PRAGMA integrity_check"), "ok");
  os_ledger_free(ledger);
}

static void test_durable_writes(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  assert_string_equal(ask(ledger, "PRAGMA synchronous"), "1");
  int64_t job = begin_job(ledger, "switch_alias", NULL);
  assert_ok(os_ledger_audit(ledger, job, "s", "c", "did", "intent", true, &test_error));
  assert_string_equal(ask(ledger, "PRAGMA synchronous"), "1"); /* back to NORMAL */
  assert_ok(os_ledger_begin(ledger, &test_error));
  assert_int_equal(os_ledger_begin(ledger, &test_error), OS_ERR_INTERNAL);
  assert_ok(os_ledger_audit(ledger, job, "s", "c", "did", "inside", true, &test_error));
  assert_ok(os_ledger_commit(ledger, &test_error));
  assert_int_equal(os_ledger_commit(ledger, &test_error), OS_ERR_INTERNAL);
  assert_string_equal(ask(ledger, "SELECT count(*) FROM audit"), "2");
  assert_int_equal(os_ledger_audit(ledger, job, "s", "c", "maybe", NULL, false, &test_error), OS_ERR_LEDGER);
  os_ledger_free(ledger);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_made_by_a_command_only),
      TEST(test_garbage),
      TEST(test_somebody_elses_database),
      TEST(test_empty_file_becomes_a_ledger),
      TEST(test_newer_is_refused),
      TEST(test_upgrade_that_fails_changes_nothing),
      TEST(test_read_only),
      TEST(test_read_only_file),
      TEST(test_read_only_and_more),
      TEST(test_read_only_folder),
      TEST(test_disk_full),
      TEST(test_deleted_while_open),
      TEST(test_replaced_while_open),
      TEST(test_memory),
      TEST(test_statements_that_are_forbidden),
      TEST(test_hostile_schema),
      TEST(test_processes_at_once),
      TEST(test_durable_writes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
