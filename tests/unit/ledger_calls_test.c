/* ledger_calls_test.c - each call of the ledger by itself: while every allocation in turn fails (ours, SQLite's,
** jansson's), while another process keeps the file locked, and before the file is open. Each time the error is the one
** it should be, and the same call works afterwards on the same handle. Leaks are AddressSanitizer's to find. */
#include "ledger_support.h"
#include <jansson.h>
#include "ledger/facts.h"
#include "ledger/ledger_int.h"
#include "ledger/letters.h"

/* ---- allocators that fail on demand -------------------------------------------------------------------- */

enum memory { SQLITES, OURS, JANSSONS, MEMORIES };

static sqlite3_mem_methods usual;
static long sqlite_left = -1, jansson_left = -1;
static bool for_good; /* not one, but all that follow */

static bool refuses(long *left) {
  if (for_good && *left == 0) return true;
  return *left >= 0 && (*left)-- == 0;
}

static void *sqlite_malloc(int size) {
  return refuses(&sqlite_left) ? NULL : usual.xMalloc(size);
}

static void *sqlite_realloc(void *old, int size) {
  return refuses(&sqlite_left) ? NULL : usual.xRealloc(old, size);
}

static void *jansson_malloc(size_t size) {
  return refuses(&jansson_left) ? NULL : malloc(size);
}

static void fail_after(enum memory memory, long n) {
  if (memory == SQLITES) sqlite_left = n;
  if (memory == JANSSONS) jansson_left = n;
  if (memory == OURS) os_alloc_fail_after(n, 1);
}

/* Was one refused since fail_after(n)? All have memory again. */
static bool was_refused(enum memory memory, long n) {
  bool refused = memory == SQLITES    ? sqlite_left < 0
                 : memory == JANSSONS ? jansson_left < 0
                                      : os_alloc_count() > n;
  sqlite_left = jansson_left = -1;
  os_alloc_fail_after(-1, 0);
  return refused;
}

/* ---- what the calls find ------------------------------------------------------------------------------- */

static struct os_ledger *ledger;
static int64_t job = 1, other_job = 2, file_id = 1; /* job: ours, running; other_job: ended */
static sqlite3 *user;                               /* another connection, as the user's, in UTF-16 */
static sqlite3_value *edit;                         /* a text of it */

static const char contents[] =
    "BEGIN; DELETE FROM failure; DELETE FROM tuning; DELETE FROM tuning_holder; DELETE FROM step; DELETE "
    "FROM audit;"
    "DELETE FROM job WHERE job > 2; DELETE FROM job_file WHERE id > 1;"
    "UPDATE job SET control = '', forgotten = 0, target_name = 'i', target_uuid = 'u', path = '/p',"
    " kind = 'bulk_load', parent = NULL;"
    "UPDATE job SET status = 'failed', bytes_sent = 1, locked = 0, finished_at = updated_at WHERE job = 2;"
    "INSERT OR IGNORE INTO job_file(id, job, status, file, name, fingerprint) VALUES(1, 2, 'waiting', "
    "'a.csv',"
    " 'a.csv', '1:a');"
    "INSERT INTO failure(id, job, index_name, file, byte_offset, failed_at, document, raw, context, "
    "error_reason)"
    " VALUES(1, 1, 'i', 'a.csv', 1, 't', '{}', 'r', '{}', 'no'), (2, 2, 'i', 'a.csv', 2, 't', NULL, x'ff', "
    "'{}', '');"
    "INSERT INTO tuning VALUES('uu', 'e', 'i', '{}', '{\"a\":1}', 't');"
    "INSERT INTO step(job, item, name, state, begun_at, data) VALUES(2, '', 'operation', 'begun', 't', 'k');"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9)"
    " INSERT INTO audit(job, at, step, check_name, verdict) SELECT 2, 't', 'cleanup', 'trial', 'did' FROM n; "
    "COMMIT";
static sqlite3_stmt *filling[24]; /* its statements, compiled once */
static size_t fillings;

/* The same contents before each try, without any statement at hand. */
static void fresh(void) {
  while (ledger->held_count > 1)
    assert_ok(os_ledger_job_finish(ledger, ledger->held[1].job, "failed", NULL, NULL, NULL, &test_error));
  for (size_t i = 0; i < fillings; i++)
    if (sqlite3_step(filling[i]) != SQLITE_DONE || sqlite3_reset(filling[i]) != SQLITE_OK)
      fail_msg("%s: %s", sqlite3_sql(filling[i]), sqlite3_errmsg(os_ledger_db(ledger)));
  os_ledger_forget_statements(ledger);
  sqlite3_value_free(edit);
  sqlite3_stmt *stmt = NULL;
  assert_int_equal(sqlite3_prepare_v2(user, "SELECT x FROM t", -1, &stmt, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
  edit = sqlite3_value_dup(sqlite3_column_value(stmt, 0));
  sqlite3_finalize(stmt);
  os_error_clear(&test_error);
}

static int setup(void **state) {
  if (folder_setup(state) != 0) return -1;
  ledger = open_ledger("l.db");
  assert_int_equal(begin_job(ledger, "bulk_load", NULL), job);
  assert_int_equal(begin_job(ledger, "bulk_load", NULL), other_job);
  assert_ok(os_ledger_job_finish(ledger, other_job, "failed", NULL, NULL, NULL, &test_error));
  fillings = 0;
  for (const char *sql = contents; *sql != '\0'; fillings++)
    assert_int_equal(sqlite3_prepare_v2(os_ledger_db(ledger), sql, -1, &filling[fillings], &sql), SQLITE_OK);
  assert_int_equal(sqlite3_open(":memory:", &user), SQLITE_OK);
  assert_int_equal(sqlite3_exec(user, "PRAGMA encoding = 'UTF-16'; CREATE TABLE t(x)", NULL, NULL, NULL),
                   SQLITE_OK);
  assert_int_equal(sqlite3_exec(user, "INSERT INTO t VALUES('{\"a\":[1, true]}')", NULL, NULL, NULL),
                   SQLITE_OK);
  return 0;
}

static int teardown(void **state) {
  sqlite3_value_free(edit);
  edit = NULL;
  sqlite3_close(user);
  while (fillings > 0)
    sqlite3_finalize(filling[--fillings]);
  os_ledger_free(ledger);
  return folder_teardown(state);
}

/* ---- the calls ----------------------------------------------------------------------------------------- */

#define CALL(name, expression)                                                                               \
  static int name(void) {                                                                                    \
    return expression;                                                                                       \
  }

static struct os_error *const told = &test_error;
static int64_t number;
static bool flag;
static char word[16], word2[16];
static struct os_file_past past;
static const struct os_job_figures figures = {.documents_read = 1, .count_before = -1};
static const struct os_job_file file = {.job = 1, .file = "b.csv", .fingerprint = "1:b"};
static const struct os_failure failure = {.job = 1,
                                          .index_name = "i",
                                          .file = "a.csv",
                                          .byte_offset = 7,
                                          .document = "{}",
                                          .document_len = -1,
                                          .raw = "r",
                                          .raw_len = -1};
static const struct os_letter_origin origin = {.job = 1, .file = "a.csv", .source = "q", .timestamp = "t"};
static const struct os_letter_mark marks[] = {{1, 1}, {2, 1}};

CALL(audit, os_ledger_audit(ledger, job, "s", "c", "did", "d", false, told))
CALL(audit_durable, os_ledger_audit(ledger, job, "s", "c", "did", "d", true, told))
CALL(audit_has, os_ledger_audit_has(ledger, job, "c", &flag, told))
CALL(cleanup_broken, os_ledger_cleanup_broken(ledger, "i", 0, &number, told))
CALL(emptying_broken, os_ledger_emptying_broken(ledger, "i", &number, told))
CALL(job_progress, os_ledger_job_progress(ledger, job, &figures, told))
CALL(job_control, os_ledger_job_control(ledger, job, word, told))
CALL(job_pause, os_ledger_job_ask(ledger, job, "pause", told))
CALL(job_target, os_ledger_job_target(ledger, job, "i", "u", "/p", told))
CALL(sweep, os_ledger_sweep(ledger, told))
CALL(prune, os_ledger_prune(ledger, "2000-01-01", &number, told))
CALL(file_add, os_ledger_file_add(ledger, &file, &number, told))
CALL(file_progress, os_ledger_file_progress(ledger, file_id, &file, told))
CALL(forget_index, os_ledger_forget_index(ledger, "i", told))
CALL(file_past, os_ledger_file_past(ledger, "i", "u", "a.csv", &past, told))
CALL(file_planned, os_ledger_file_planned(ledger, "i", "u", "a.csv", "1:a", &past, told))
CALL(content_loads, os_ledger_content_loads(ledger, "i", "u", "1:a", &number, told))
CALL(index_known, os_ledger_index_known(ledger, "i", "u", &flag, told))
CALL(unfinished, os_ledger_unfinished(ledger, "i", "u", "/p", &number, told))
CALL(failure_put, os_ledger_failure_put(ledger, &failure, told))
CALL(failure_accepted, os_ledger_failure_accepted(ledger, job, "i", "a.csv", "1:a", 0, 9, told))
CALL(failure_document, os_ledger_failure_update(ledger, 1, "document", edit, told))
CALL(failure_raw, os_ledger_failure_update(ledger, 1, "raw", edit, told))
CALL(failure_doc_id, os_ledger_failure_update(ledger, 1, "doc_id", edit, told))
CALL(failure_delete, os_ledger_failure_delete(ledger, 1, told))
CALL(failure_resolve, os_ledger_failure_resolve(ledger, 1, job, false, told))
CALL(failure_again, os_ledger_failure_again(ledger, 1, 429, "t", "r", told))
CALL(tune_hold, os_ledger_tune_hold(ledger, "e", "i", "vv", "{}", "{}", job, told))
CALL(tune_restored, os_ledger_tune_restored(ledger, "uu", told))
CALL(step_put, os_ledger_step_put(ledger, job, "", "s", "begun", "{}", told))
CALL(operation_last, os_ledger_operation_last(ledger, "bulk_load", "k", 9, &number, word, told))
CALL(step_last, os_ledger_step_last(ledger, "bulk_load", "", "operation", 9, &number, word, word2, told))
CALL(steps_adopt, os_ledger_steps_adopt(ledger, other_job, job, told))
CALL(unseen_at, os_ledger_unseen_at(ledger, job, "i", &(double){0}, told))
CALL(letters_waiting, os_ledger_letters_waiting(ledger, job, &number, told))
CALL(letters_sent, os_ledger_letters_sent(ledger, marks, 2, told))

static int job_begin(void) {
  static const struct os_job_begin begin = {.kind = "x", .arguments = "{\"options\":{\"dry_run\":false}}"};
  return os_ledger_job_begin(ledger, &begin, &number, told);
}

/* A job that fresh() would have to end. */
static int job_begin_and_finish(void) {
  int64_t begun;
  int rc = os_ledger_job_begin(ledger, &(struct os_job_begin){.kind = "x"}, &begun, told);
  if (rc == OS_OK) rc = os_ledger_job_progress(ledger, begun, &figures, told);
  return rc == OS_OK ? os_ledger_job_finish(ledger, begun, "success", &figures, NULL, NULL, told) : rc;
}

static int step_get(void) {
  char *data = NULL;
  int rc = os_ledger_step_get(ledger, other_job, "", "operation", word, &data, told);
  if (rc == OS_OK) assert_string_equal(data, "k");
  os_free(data);
  return rc;
}

static int tune_release(void) {
  char *original, *ours;
  int rc = os_ledger_tune_release(ledger, "uu", job, &flag, &original, &ours, told);
  assert_int_equal(flag, rc == OS_OK);
  if (rc == OS_OK) assert_string_equal(ours, "{\"a\":1}");
  os_free(original);
  os_free(ours);
  return rc;
}

static int restore(void *ctx, const char *index_name, const char *uuid, const char *original,
                   const char *ours) {
  (void)ctx, (void)index_name, (void)uuid, (void)original, (void)ours;
  return OS_OK;
}
CALL(tune_orphans, os_ledger_tune_orphans(ledger, "e", restore, NULL, told))

static int letters_next(void) {
  struct os_letter_place place;
  int rc = os_ledger_letters_next(ledger, 0, 0, &place, told);
  if (rc == OS_OK) assert_string_equal(place.file, "a.csv");
  os_free(place.file);
  return rc;
}

static bool take_letter(void *ctx, const struct os_letter *letter) {
  (void)letter;
  ++*(int *)ctx;
  return true;
}

static int letters_each(void) {
  struct os_letter_place place = {.first = 1, .job = 2, .file = (char *)"a.csv"};
  int taken = 0, rc = os_ledger_letters_each(ledger, &place, take_letter, &taken, told);
  if (rc == OS_OK) assert_int_equal(taken, 1);
  return rc;
}

/* Of a place that another record has, and cut; one without a place. */
static int letter_keep(void) {
  static const struct os_letter letter = {
      .index_name = "i", .failed_at = "u", .line = 1, .byte_offset = 1, .status = 400, .truncated = "cut"};
  int rc = os_ledger_letter_keep(ledger, &origin, &letter, &flag, told);
  if (rc == OS_OK) assert_true(flag);
  return rc;
}

static int letter_keep_anywhere(void) {
  static const struct os_letter letter = {.index_name = "i",
                                          .failed_at = "u",
                                          .line = -1,
                                          .byte_offset = -1,
                                          .document = "{}",
                                          .document_len = 2,
                                          .raw = "x",
                                          .raw_len = 1};
  return os_ledger_letter_keep(ledger, &origin, &letter, &flag, told);
}

static int job_facts(void) {
  json_t *facts = NULL;
  int rc = os_ledger_job_facts(ledger, other_job, &facts, told);
  assert_int_equal(facts != NULL, rc == OS_OK);
  json_decref(facts);
  return rc;
}

static int transaction(void) {
  int rc = os_ledger_begin(ledger, told);
  if (rc != OS_OK) return rc;
  rc = os_ledger_audit(ledger, job, "s", "c", "did", "d", true, told);
  if (rc == OS_OK) return os_ledger_commit(ledger, told);
  os_ledger_rollback(ledger);
  return rc;
}

static const struct call {
  const char *name;
  int (*run)(void);
  bool writes;
} calls[] = {
#define READS(name)                                                                                          \
  { #name, name, false }
#define WRITES(name)                                                                                         \
  { #name, name, true }
    READS(audit_has),
    READS(cleanup_broken),
    READS(emptying_broken),
    READS(job_control),
    READS(file_past),
    READS(file_planned),
    READS(content_loads),
    READS(index_known),
    READS(unfinished),
    READS(step_get),
    READS(operation_last),
    READS(step_last),
    READS(unseen_at),
    READS(letters_waiting),
    READS(letters_next),
    READS(letters_each),
    READS(job_facts),
    WRITES(audit),
    WRITES(audit_durable),
    WRITES(job_begin),
    WRITES(job_progress),
    WRITES(job_begin_and_finish),
    WRITES(job_pause),
    WRITES(job_target),
    WRITES(sweep),
    WRITES(prune),
    WRITES(file_add),
    WRITES(file_progress),
    WRITES(forget_index),
    WRITES(failure_put),
    WRITES(failure_accepted),
    WRITES(failure_document),
    WRITES(failure_raw),
    WRITES(failure_doc_id),
    WRITES(failure_delete),
    WRITES(failure_resolve),
    WRITES(failure_again),
    WRITES(tune_hold),
    WRITES(tune_restored),
    WRITES(tune_release),
    WRITES(tune_orphans),
    WRITES(step_put),
    WRITES(steps_adopt),
    WRITES(letters_sent),
    WRITES(letter_keep),
    WRITES(letter_keep_anywhere),
    WRITES(transaction),
};
enum { CALLS = sizeof calls / sizeof calls[0] };

/* ---- the tests ----------------------------------------------------------------------------------------- */

/* Without memory a call may still succeed (SQLite does without some of it), or says just that; but jansson, when it
** cannot keep a string of what it reads, takes it for a fault of the text. */
static long each_allocation_fails(const struct call *call, enum memory memory) {
  long n, failed = 0;
  for (n = 0; n < 5000; n += n < 750 ? 1 : 7) { /* the many behind are those of long statements and of rows */
    fresh();
    fail_after(memory, n);
    int rc = call->run();
    bool refused = was_refused(memory, n);
    bool misread = rc == OS_ERR_ANSWER && memory == JANSSONS && test_error.code == OS_ERR_ANSWER;
    if (rc != OS_OK && (rc != OS_ERR_NOMEM || test_error.code != OS_ERR_NOMEM) && !misread)
      fail_msg("%s, allocation %ld of %d: %d, error %d: %s", call->name, n, memory, rc, (int)test_error.code,
               test_error.text);
    if (rc != OS_OK && !refused)
      fail_msg("%s, allocation %ld of %d: failed by itself", call->name, n, memory);
    failed += rc != OS_OK;
    if (rc != OS_OK && (rc = call->run()) != OS_OK)
      fail_msg("%s, again after allocation %ld of %d: %d %s", call->name, n, memory, rc, test_error.text);
    if (!refused) break;
  }
  assert_true(n < 5000);
  return failed;
}

static void test_sqlite_has_no_memory(void **state) {
  (void)state;
  for (size_t i = 0; i < CALLS; i++)
    if (each_allocation_fails(&calls[i], SQLITES) == 0)
      fail_msg("%s takes no memory of SQLite's", calls[i].name);
}

/* Not even what was begun can be compiled an end for. With memory back nothing is left of it. */
static void test_sqlite_has_no_memory_any_more(void **state) {
  (void)state;
  for (size_t i = 0; i < CALLS; i++) {
    for (int n = 0; n < 90; n++) {
      fresh();
      sqlite_left = n;
      for_good = true;
      int rc = calls[i].run();
      for_good = false;
      bool refused = sqlite_left == 0;
      sqlite_left = -1;
      if (rc != OS_OK && (rc != OS_ERR_NOMEM || !refused))
        fail_msg("%s after %d: %d %s", calls[i].name, n, rc, test_error.text);
      if (!sqlite3_get_autocommit(os_ledger_db(ledger)))
        fail_msg("%s after %d: still open", calls[i].name, n);
      if (rc != OS_OK && (rc = calls[i].run()) != OS_OK)
        fail_msg("%s again after %d: %d %s", calls[i].name, n, rc, test_error.text);
    }
  }
}

static void test_we_have_no_memory(void **state) {
  (void)state;
  for (size_t i = 0; i < CALLS; i++)
    each_allocation_fails(&calls[i], OURS);
}

/* A second handle, for a file that is there. */
static int open_another(void) {
  struct os_ledger *another = NULL;
  int rc = os_ledger_new(&another, NULL, false, in_folder("l.db"), told);
  if (rc == OS_OK) rc = os_ledger_open(another, true, told);
  assert_true(rc != OS_OK || os_ledger_db(another) != NULL);
  os_ledger_free(another);
  return rc;
}

static int open_in_memory(void) {
  struct os_ledger *another = NULL;
  int rc = os_ledger_new(&another, NULL, false, ":memory:", told);
  if (rc == OS_OK) rc = os_ledger_open(another, true, told);
  os_ledger_free(another);
  return rc;
}

/* Of a job that cannot be looked at nobody says that it lives. */
static int alive(void) {
  return os_ledger_job_alive(ledger, job) ? OS_OK : os_fail_nomem(told);
}

static void test_opening_without_memory(void **state) {
  (void)state;
  static const struct call file_again = {"open_another", open_another, true},
                           memory = {"open_in_memory", open_in_memory, true}, look = {"alive", alive, false};
  assert_true(each_allocation_fails(&file_again, SQLITES) > 100);
  assert_true(each_allocation_fails(&file_again, OURS) > 3);
  /* ledger_nomem_test.c has the many of SQLite's schema */
  assert_true(each_allocation_fails(&memory, OURS) > 2);
  assert_true(each_allocation_fails(&look, SQLITES) > 10);
}

/* The list of the jobs we hold grows with the ninth: without memory for it there is no ninth, and with it there are
** nine. */
static void test_one_job_more_than_there_is_room_for(void **state) {
  (void)state;
  while (ledger->held_count < 8)
    assert_ok(job_begin());
  assert_string_equal(ask(ledger, "SELECT count(*) FROM job WHERE status = 'running'"), "8");
  fail_after(OURS, 0);
  int rc = job_begin();
  assert_true(was_refused(OURS, 0));
  assert_int_equal(rc, OS_ERR_NOMEM);
  assert_int_equal(number, 0);
  assert_string_equal(ask(ledger, "SELECT count(*) FROM job WHERE status = 'running'"), "8");
  assert_ok(job_begin());
  assert_string_equal(ask(ledger, "SELECT count(*) FROM job WHERE status = 'running'"), "9");
  struct os_ledger *other = open_ledger("l.db");
  assert_ok(os_ledger_sweep(other, &test_error)); /* all have their bytes */
  assert_string_equal(ask(other, "SELECT count(*) FROM job WHERE status = 'running'"), "9");
  os_ledger_free(other);
}

static void test_jansson_has_no_memory(void **state) {
  (void)state;
  json_set_alloc_funcs(jansson_malloc, free);
  long facts = each_allocation_fails(&(struct call){.name = "job_facts", .run = job_facts}, JANSSONS);
  long edits =
      each_allocation_fails(&(struct call){.name = "failure_document", .run = failure_document}, JANSSONS);
  json_set_alloc_funcs(malloc, free);
  assert_true(facts > 50);
  assert_true(edits > 3);
}

/* Every change is refused by the same words, every look works, and so does the change once the other is through. */
static void test_another_process_keeps_the_file(void **state) {
  (void)state;
  sqlite3 *other = NULL;
  assert_int_equal(sqlite3_open(in_folder("l.db"), &other), SQLITE_OK);
  sqlite3_busy_handler(os_ledger_db(ledger), NULL, NULL); /* else each takes 20 s */
  for (size_t i = 0; i < CALLS; i++) {
    fresh();
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    int rc = calls[i].run();
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    if (rc != (calls[i].writes ? OS_ERR_LEDGER : OS_OK))
      fail_msg("%s: %d %s", calls[i].name, rc, test_error.text);
    if (rc != OS_OK) assert_error_has("another process has kept the ledger");
    if ((rc = calls[i].run()) != OS_OK) fail_msg("%s again: %s", calls[i].name, test_error.text);
  }
  sqlite3_close(other);
}

static void test_not_open(void **state) {
  (void)state;
  struct os_ledger *open_one = ledger;
  fresh();
  assert_ok(os_ledger_new(&ledger, NULL, false, in_folder("no-file-yet.db"), &test_error));
  assert_ok(os_ledger_open(ledger, false, &test_error));
  for (size_t i = 0; i < CALLS; i++) {
    os_error_clear(&test_error);
    int rc = calls[i].run();
    if (rc != OS_ERR_INTERNAL || test_error.code != OS_ERR_INTERNAL) fail_msg("%s: %d", calls[i].name, rc);
    assert_error_has(calls[i].run == job_progress ? "not run by this connection"
                                                  : "no-file-yet.db' is not open");
  }
  assert_int_equal(os_ledger_commit(ledger, &test_error), OS_ERR_INTERNAL);
  assert_false(os_ledger_job_alive(ledger, job));
  os_ledger_rollback(ledger);
  assert_int_not_equal(access(in_folder("no-file-yet.db"), F_OK), 0);
  os_ledger_free(ledger);
  ledger = open_one;
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_sqlite_has_no_memory),
      TEST(test_sqlite_has_no_memory_any_more),
      TEST(test_we_have_no_memory),
      TEST(test_jansson_has_no_memory),
      TEST(test_opening_without_memory),
      TEST(test_another_process_keeps_the_file),
      TEST(test_not_open),
      TEST(test_one_job_more_than_there_is_room_for),
  };
  take_sqlite_memory(&usual, sqlite_malloc, sqlite_realloc);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
