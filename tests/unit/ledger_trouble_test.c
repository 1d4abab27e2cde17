/* ledger_trouble_test.c - what is said when SQLite, the disk or somebody else spoils the ledger, and that the file and
** the handle are whole afterwards. */
#include "ledger_support.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include "ledger/facts.h"
#include "ledger/ledger_int.h"
#include "ledger/letters.h"

static int begin_in(const char *name) {
  struct os_ledger *ledger = NULL;
  int64_t job;
  int rc = os_ledger_new(&ledger, NULL, false, in_folder(name), &test_error);
  if (rc == OS_OK) rc = os_ledger_open(ledger, true, &test_error);
  if (rc == OS_OK) rc = os_ledger_job_begin(ledger, &(struct os_job_begin){.kind = "x"}, &job, &test_error);
  os_ledger_free(ledger);
  return rc;
}

static void test_words_for_each_code(void **state) {
  static const struct {
    int rc;
    const char *text, *advice;
  } cases[] = {
      {SQLITE_NOMEM, "memory", ""},
      {SQLITE_FULL, "disk is full", "make room"},
      {SQLITE_BUSY, "another process has kept the ledger", "end what keeps a transaction open"},
      {SQLITE_LOCKED_SHAREDCACHE, "another process has kept the ledger", "try again"},
      {SQLITE_READONLY_DIRECTORY, "can be read, but not written", "change the rights"},
      {SQLITE_CANTOPEN, "cannot be opened", "folder must exist"},
      {SQLITE_NOTADB, "not an SQLite database", "move that file away"},
      {SQLITE_CORRUPT_INDEX, "is damaged", ".recover"},
      {SQLITE_TOOBIG, "too long", "1,000,000,000"},
      {SQLITE_IOERR_WRITE, "(SQLite code 778)", "check the disk"},
      {SQLITE_MISUSE, "(SQLite code 21)", ""},
  };
  (void)state;
  struct os_ledger *ledger = NULL;
  assert_ok(os_ledger_new(&ledger, NULL, false, in_folder("l.db"), &test_error));
  size_t count = sizeof cases / sizeof *cases;
  for (size_t n = 0; n < 2 * count; n++) { /* before and after it is open */
    size_t i = n % count;
    if (n == count) assert_ok(os_ledger_open(ledger, true, &test_error));
    os_error_clear(&test_error);
    int rc = os_ledger_fail(ledger, cases[i].rc, "trying it", &test_error);
    assert_int_equal(rc, cases[i].rc == SQLITE_NOMEM ? OS_ERR_NOMEM : OS_ERR_LEDGER);
    assert_int_equal(test_error.code, rc);
    assert_non_null(strstr(test_error.text, cases[i].text));
    assert_non_null(strstr(test_error.advice, cases[i].advice));
    if (rc == OS_ERR_LEDGER) assert_error_has("trying it: ");
  }
  static const int too_many[] = {EMFILE, ENFILE};
  for (int i = 0; i < 2; i++) {
    os_error_clear(&test_error);
    os_ledger_advise_open(too_many[i], &test_error);
    assert_error_has("ulimit -n");
  }
  /* a mistake of ours in the list of types */
  assert_fails(os_ledger_run(ledger, "SELECT ?1", "trying it", &test_error, "x", 1), OS_ERR_LEDGER,
               "(SQLite code 21)");
  os_ledger_free(ledger);
}

/* ---- failures in the middle of a look ------------------------------------------------------------------ */

static int break_off(void *ctx) {
  (void)ctx;
  return 1;
}

static bool take_letter(void *ctx, const struct os_letter *letter) {
  (void)ctx, (void)letter;
  return true;
}

static int look(struct os_ledger *ledger, int64_t job, int number) {
  char word[16], *data = NULL;
  int64_t n;
  bool added;
  struct os_file_past past;
  struct os_letter_place place = {.first = 1, .job = job, .file = ""};
  static const struct os_letter_origin origin = {.job = 1, .file = "", .source = "q", .timestamp = "t"};
  static const struct os_letter letter = {
      .index_name = "i", .failed_at = "t", .line = -1, .byte_offset = -1, .status = 400};
  json_t *facts = NULL;
  int rc;
  switch (number) {
  case 0: return os_ledger_step_get(ledger, job, "", "s", word, &data, &test_error);
  case 1: return os_ledger_operation_last(ledger, "bulk_load", "k", 9, &n, word, &test_error);
  case 2: return os_ledger_content_loads(ledger, "i", "u", "1:a", &n, &test_error);
  case 3: return os_ledger_file_past(ledger, "i", "u", "a.csv", &past, &test_error);
  case 4: return os_ledger_unfinished(ledger, "i", "u", "/p", &n, &test_error);
  case 5: return os_ledger_letters_next(ledger, job, 0, &place, &test_error);
  case 6: return os_ledger_letters_each(ledger, &place, take_letter, NULL, &test_error);
  case 7: return os_ledger_letters_waiting(ledger, job, &n, &test_error);
  case 8: return os_ledger_letter_keep(ledger, &origin, &letter, &added, &test_error);
  case 9: return os_ledger_job_control(ledger, job, word, &test_error);
  case 10:
    rc = os_ledger_job_facts(ledger, job, &facts, &test_error);
    json_decref(facts);
    return rc;
  default: return -1;
  }
}

/* As an interrupt or a disk error would. The same look works afterwards: no statement was left open. */
static void test_each_look_broken_off(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "bulk_load", NULL);
  int looks = 0;
  for (int rc; (rc = look(ledger, job, looks)) != -1; looks++) {
    assert_int_equal(rc, OS_OK);
    sqlite3_progress_handler(os_ledger_db(ledger), 1, break_off, NULL);
    os_error_clear(&test_error);
    rc = look(ledger, job, looks);
    sqlite3_progress_handler(os_ledger_db(ledger), 0, NULL, NULL);
    if (rc != OS_ERR_LEDGER || (int)test_error.code != rc)
      fail_msg("look %d: %d %s", looks, rc, test_error.text);
    assert_error_has("interrupted");
    if ((rc = look(ledger, job, looks)) != OS_OK) fail_msg("look %d again: %s", looks, test_error.text);
  }
  assert_int_equal(looks, 11);
  os_ledger_free(ledger);
}

static void test_values_too_long(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "bulk_load", NULL);
  char detail[2001];
  memset(detail, 'd', 2000);
  detail[2000] = '\0';
  int before = sqlite3_limit(os_ledger_db(ledger), SQLITE_LIMIT_LENGTH, 1000);
  assert_int_equal(os_ledger_audit(ledger, job, "s", "c", "did", detail, false, &test_error), OS_ERR_LEDGER);
  assert_error_has("too long");
  assert_int_equal(
      os_ledger_letter_keep(
          ledger, &(struct os_letter_origin){.job = job, .file = "", .source = "q", .timestamp = "t"},
          &(struct os_letter){
              .index_name = "i", .failed_at = "t", .line = -1, .byte_offset = -1, .error_reason = detail},
          &(bool){false}, &test_error),
      OS_ERR_LEDGER);
  assert_error_has("too long");
  sqlite3_limit(os_ledger_db(ledger), SQLITE_LIMIT_LENGTH, before);
  assert_ok(os_ledger_audit(ledger, job, "s", "c", "did", detail, false, &test_error));
  assert_string_equal(ask(ledger, "SELECT count(*) || ' ' || (SELECT count(*) FROM failure) FROM audit"),
                      "1 0");
  os_ledger_free(ledger);
}

/* SQLite ends a transaction by itself after some failures (https://www.sqlite.org/lang_transaction.html, 3.2). */
static void test_transaction_that_is_gone(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "bulk_load", NULL);
  assert_ok(os_ledger_begin(ledger, &test_error));
  assert_ok(os_ledger_audit(ledger, job, "s", "c", "did", "d", false, &test_error));
  assert_int_equal(sqlite3_exec(os_ledger_db(ledger), "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(os_ledger_commit(ledger, &test_error), OS_ERR_LEDGER);
  assert_error_has("rolled the step back");
  assert_error_has("resume");
  assert_ok(os_ledger_begin(ledger, &test_error));
  assert_ok(os_ledger_audit(ledger, job, "s", "c", "did", "d", false, &test_error));
  assert_ok(os_ledger_commit(ledger, &test_error));
  assert_string_equal(ask(ledger, "SELECT count(*) FROM audit"), "1");
  os_ledger_free(ledger);
}

static void test_damaged_pages(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  begin_job(ledger, "bulk_load", NULL);
  long size = strtol(ask(ledger, "SELECT page_size FROM pragma_page_size"), NULL, 10);
  long pages = strtol(ask(ledger, "PRAGMA page_count"), NULL, 10);
  os_ledger_free(ledger);
  int fd = open(in_folder("l.db"), O_RDWR);
  char *junk = malloc((size_t)size);
  memset(junk, 0x5a, (size_t)size);
  for (long page = 1; page < pages; page++)
    assert_int_equal(pwrite(fd, junk, (size_t)size, page * size), size);
  close(fd);
  free(junk);
  assert_int_equal(begin_in("l.db"), OS_ERR_LEDGER);
  assert_error_has("is damaged");
  assert_error_has(".recover");
}

/* ---- somebody else at the same time -------------------------------------------------------------------- */

static int opened;
static struct os_error thread_error;

static void *open_in_thread(void *unused) {
  struct os_ledger *ledger = NULL;
  opened = os_ledger_new(&ledger, NULL, false, in_folder("l.db"), &thread_error);
  if (opened == OS_OK) opened = os_ledger_open(ledger, true, &thread_error);
  os_ledger_free(ledger);
  return unused;
}

/* The file is empty when it is looked at; before its turn comes, `meanwhile` has been done to it. */
static void open_beside(const char *begin, const char *meanwhile) {
  sqlite3 *other = NULL;
  pthread_t thread;
  assert_int_equal(sqlite3_open(in_folder("l.db"), &other), SQLITE_OK);
  assert_int_equal(sqlite3_exec(other, begin, NULL, NULL, NULL), SQLITE_OK);
  os_error_clear(&thread_error);
  assert_int_equal(pthread_create(&thread, NULL, open_in_thread, NULL), 0);
  usleep(150000);
  assert_int_equal(sqlite3_exec(other, meanwhile, NULL, NULL, NULL), SQLITE_OK);
  pthread_join(thread, NULL);
  sqlite3_close(other);
}

static void test_waits_for_who_reads(void **state) {
  (void)state;
  open_beside("BEGIN; SELECT count(*) FROM sqlite_schema", "COMMIT");
  assert_int_equal(opened, OS_OK);
  struct os_ledger *ledger = open_ledger("l.db");
  assert_string_equal(ask(ledger, "PRAGMA journal_mode"), "wal");
  os_ledger_free(ledger);
}

static void test_made_by_a_newer_version_meanwhile(void **state) {
  (void)state;
  open_beside("BEGIN IMMEDIATE",
              "CREATE TABLE job(job); PRAGMA application_id = 0x4f534c47; PRAGMA user_version = 99; COMMIT");
  assert_int_equal(opened, OS_ERR_LEDGER);
  assert_non_null(strstr(thread_error.text, "newer version"));
}

/* A process that works on with a ledger which somebody deleted holds every number there is. */
static void test_no_number_is_free(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = 7;
  struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  int fd = open(in_folder("l.db-jobs"), O_RDWR);
  assert_int_equal(fcntl(fd, F_OFD_SETLK, &all), 0);
  assert_int_equal(os_ledger_job_begin(ledger, &(struct os_job_begin){.kind = "x"}, &job, &test_error),
                   OS_ERR_LEDGER);
  assert_error_has("no job number is free");
  assert_error_has("l.db-jobs");
  assert_int_equal(job, 0);
  close(fd);
  assert_string_equal(ask(ledger, "SELECT count(*) FROM job"), "0");
  assert_true(begin_job(ledger, "bulk_load", NULL) > 0);
  os_ledger_free(ledger);
}

/* ---- rights and limits: in children -------------------------------------------------------------------- */

static void without_lock_file(void) {
  become_nobody();
  CHILD_CHECK(begin_in("l.db") == OS_ERR_LEDGER, 2);
  CHILD_CHECK(strstr(test_error.text, "its lock file") && strstr(test_error.text, "l.db-jobs"), 3);
  CHILD_CHECK(strstr(test_error.advice, "rights of its folder"), 4);
}

static void test_lock_file_that_cannot_be_made(void **state) {
  (void)state;
  os_ledger_free(open_ledger("l.db"));
  assert_int_equal(remove(in_folder("l.db-jobs")), 0);
  assert_int_equal(chmod(in_folder("l.db"), 0666) | chmod(test_folder, 0555), 0);
  assert_int_equal(in_child(without_lock_file), 0);
  assert_int_equal(chmod(test_folder, 0700), 0);
}

static void looks_at_a_closed_lock_file(void) {
  struct os_ledger *ledger = NULL;
  become_nobody();
  CHILD_CHECK(os_ledger_new(&ledger, NULL, false, in_folder("l.db"), &test_error) == OS_OK, 2);
  CHILD_CHECK(os_job_lock_probe(ledger, 1) == OS_LIFE_UNKNOWN, 3);
  os_ledger_free(ledger);
}

/* Whether a job lives cannot be asked: it is not taken for dead. */
static void test_lock_file_that_cannot_be_read(void **state) {
  (void)state;
  os_ledger_free(open_ledger("l.db"));
  assert_int_equal(chmod(in_folder("l.db-jobs"), 0) | chmod(test_folder, 0755), 0);
  assert_int_equal(in_child(looks_at_a_closed_lock_file), 0);
}

static void with_files_that_cannot_grow(void) {
  struct rlimit none = {0, RLIM_INFINITY};
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &none);
  CHILD_CHECK(begin_in("l.db") == OS_ERR_LEDGER, 2);
  CHILD_CHECK(strstr(test_error.text, "l.db"), 3);
  none.rlim_cur = RLIM_INFINITY;
  setrlimit(RLIMIT_FSIZE, &none);
  CHILD_CHECK(begin_in("l.db") == OS_OK, 4);
}

static void test_file_size_limit(void **state) {
  (void)state;
  os_ledger_free(open_ledger("l.db"));
  assert_int_equal(in_child(with_files_that_cannot_grow), 0);
}

/* ---- places -------------------------------------------------------------------------------------------- */

static int choose(const char *setting, const char **path) {
  static char copy[512];
  struct os_ledger *ledger = NULL;
  os_error_clear(&test_error);
  int rc = os_ledger_new(&ledger, NULL, false, setting, &test_error);
  if (rc == OS_OK) snprintf(copy, sizeof copy, "%s", os_ledger_path(ledger));
  os_ledger_free(ledger);
  *path = rc == OS_OK ? copy : "";
  return rc;
}

static void nobody_without_home(void) {
  const char *path;
  unsetenv("HOME");
  unsetenv("XDG_STATE_HOME");
  become_nobody(); /* whose entry in /etc/passwd names a folder, if one that does not exist */
  CHILD_CHECK(choose(NULL, &path) == OS_OK && strstr(path, "/.local/state/sqlite-opensearch/ledger.db"), 2);
}

static void user_without_entry(void) {
  const char *path;
  unsetenv("HOME");
  unsetenv("XDG_STATE_HOME");
  become(54321);
  CHILD_CHECK(choose(NULL, &path) == OS_ERR_LEDGER, 2);
  CHILD_CHECK(strstr(test_error.text, "no home folder") && strstr(test_error.advice, "OS_LEDGER"), 3);
  CHILD_CHECK(choose("~/l.db", &path) == OS_ERR_ARGUMENT, 4);
  CHILD_CHECK(strstr(test_error.text, "no home folder") && strstr(test_error.advice, "absolute"), 5);
}

static void in_a_folder_that_is_gone(void) {
  const char *path;
  CHILD_CHECK(
      chdir(test_folder) == 0 && mkdir("gone", 0700) == 0 && chdir("gone") == 0 && rmdir("../gone") == 0, 2);
  CHILD_CHECK(choose("l.db", &path) == OS_ERR_LEDGER, 3);
  CHILD_CHECK(
      strstr(test_error.text, "working folder cannot be read") && strstr(test_error.advice, "absolute"), 4);
}

static void test_no_place(void **state) {
  (void)state;
  if (geteuid() != 0) skip();
  assert_int_equal(in_child(nobody_without_home), 0);
  assert_int_equal(in_child(user_without_entry), 0);
  assert_int_equal(in_child(in_a_folder_that_is_gone), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_words_for_each_code),
      TEST(test_each_look_broken_off),
      TEST(test_values_too_long),
      TEST(test_transaction_that_is_gone),
      TEST(test_damaged_pages),
      TEST(test_waits_for_who_reads),
      TEST(test_made_by_a_newer_version_meanwhile),
      TEST(test_no_number_is_free),
      TEST(test_lock_file_that_cannot_be_made),
      TEST(test_lock_file_that_cannot_be_read),
      TEST(test_file_size_limit),
      TEST(test_no_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
