/* The ledger as tables: columns of the contract, look-ups, order, edits, a ledger that changes meanwhile. */
#include "ledger_support.h"
#include "operations/session.h"
#include "surface/ledger_tables.h"

static sqlite3 *db;
static struct os_session *session;

static int setup(void **state) {
  if (folder_setup(state) != 0) return -1;
  setenv("OS_LEDGER", in_folder("l.db"), 1);
  assert_int_equal(sqlite3_open(in_folder("app.db"), &db), SQLITE_OK);
  assert_ok(os_session_new(&session, db, &test_error));
  return os_ledger_tables_register(db, session) != SQLITE_OK;
}

static int teardown(void **state) {
  assert_int_equal(sqlite3_close(db), SQLITE_OK);
  os_session_free(session);
  unsetenv("OS_LEDGER");
  return folder_teardown(state);
}

static struct os_ledger *ledger(void) {
  struct os_ledger *out = NULL;
  assert_ok(os_session_ledger(session, true, &out, &test_error));
  return out;
}

/* Every row of a query, cells joined by '|', rows by ';'. An error gives its message. */
static const char *rows(const char *sql) {
  static char text[4096];
  sqlite3_stmt *stmt = NULL;
  text[0] = '\0';
  size_t len = 0;
  int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  while (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
    for (int i = 0; i < sqlite3_column_count(stmt) && len < sizeof text - 300; i++) {
      const char *cell = (const char *)sqlite3_column_text(stmt, i);
      len += (size_t)snprintf(text + len, 256, "%s%.200s", i ? "|" : len ? ";" : "", cell ? cell : "NULL");
    }
  }
  if (sqlite3_finalize(stmt) != SQLITE_OK || rc != SQLITE_OK)
    snprintf(text, sizeof text, "%s", sqlite3_errmsg(db));
  return text;
}

static void put(int64_t job, int64_t offset, const char *raw) {
  struct os_failure failure = {.job = job,
                               .index_name = "products",
                               .file = "a.csv",
                               .line = offset,
                               .byte_offset = offset,
                               .op = "index",
                               .status = 400,
                               .error_reason = "no",
                               .document = "{\"a\":1}",
                               .document_len = 7,
                               .raw = raw,
                               .raw_len = -1,
                               .context = "{\"c\":1}"};
  assert_ok(os_ledger_failure_put(ledger(), &failure, &test_error));
}

static void test_no_ledger_yet(void **state) {
  (void)state;
  assert_string_equal(rows("SELECT count(*) FROM os_jobs"), "0");
  assert_string_equal(rows("SELECT * FROM os_job_files"), "");
  assert_string_equal(rows("SELECT * FROM os_audit"), "");
  assert_string_equal(rows("UPDATE dlq_failures SET document = '{}'"), "");
  assert_string_equal(rows("DELETE FROM dlq_failures"), "");
  assert_int_not_equal(access(in_folder("l.db"), F_OK), 0);
}

static void test_columns_of_the_contract(void **state) {
  (void)state;
  static const char *const queries[] = {
      "SELECT job, parent, kind, status, index_name, arguments, started_at, updated_at, finished_at, "
      "seconds, files,"
      " files_done, documents_read, documents_created, documents_updated, documents_noop, documents_already,"
      " documents_failed, documents_skipped, bytes_read, bytes_sent, requests, retries, count_before, "
      "count_after,"
      " rate, error, response, host, pid, version FROM os_jobs",
      "SELECT job, file, fingerprint, format, status, byte_offset, documents, failed, seconds, error FROM "
      "os_job_files",
      "SELECT job, at, step, check_name, verdict, detail FROM os_audit",
      "SELECT id, job, index_name, file, line, byte_offset, doc_id, op, status, error_type, error_reason, "
      "document,"
      " raw, attempts, failed_at, resolved_at, resolved_by, superseded FROM dlq_failures",
  };
  static const char *const stars[] = {"os_jobs", "os_job_files", "os_audit", "dlq_failures"};
  for (size_t i = 0; i < 4; i++) {
    char sql[64];
    sqlite3_stmt *named = NULL, *star = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, queries[i], -1, &named, NULL), SQLITE_OK);
    snprintf(sql, sizeof sql, "SELECT * FROM %s", stars[i]);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &star, NULL), SQLITE_OK);
    for (int c = 0; c < sqlite3_column_count(named); c++)
      assert_string_equal(sqlite3_column_name(star, c), sqlite3_column_name(named, c));
    sqlite3_finalize(named);
    sqlite3_finalize(star);
  }
}

static void test_jobs(void **state) {
  (void)state;
  struct os_ledger *l = ledger();
  int64_t done = begin_job(l, "bulk_load", "{\"path\":\"x\"}"), running = begin_job(l, "cleanup", NULL);
  struct os_job_figures figures = {.documents_read = 50, .documents_created = 40, .count_before = -1};
  os_clock_sleep_ms(20);
  assert_ok(os_ledger_job_finish(l, done, "success", &figures, NULL, "{}", &test_error));
  /* a Julian day in a double is good to 40 microseconds: 40 / 0.02 may come out as 2004 */
  assert_string_equal(rows("SELECT job, kind, status, documents_created, count_before, count_after, response,"
                           " seconds >= 0.02 AND seconds < 60, rate BETWEEN 1 AND 2010 FROM os_jobs"),
                      "1|bulk_load|success|40|NULL|0|{}|1|1;2|cleanup|running|0|NULL|NULL|NULL|1|NULL");
  assert_string_equal(rows("SELECT job FROM os_jobs ORDER BY job DESC"), "2;1");
  assert_string_equal(rows("SELECT kind FROM os_jobs WHERE job = 2"), "cleanup");
  assert_string_equal(rows("SELECT kind FROM os_jobs WHERE job = '2'"), "cleanup");
  assert_string_equal(rows("SELECT kind FROM os_jobs WHERE job = 'x' OR rowid = 1"), "bulk_load");
  assert_string_equal(rows("SELECT kind FROM os_jobs WHERE job = NULL"), "");
  assert_string_equal(rows("SELECT job FROM os_jobs WHERE job IN (2, 1, 7) ORDER BY job"), "1;2");
  assert_string_equal(rows("SELECT a.job, b.job FROM os_jobs a JOIN os_jobs b ON b.job = a.job"), "1|1;2|2");
  assert_ok(os_ledger_job_finish(l, running, "failed", NULL, "no", NULL, &test_error));
  assert_string_equal(rows("INSERT INTO os_jobs(job) VALUES(1)"), "table os_jobs may not be modified");
}

static void test_dead_jobs_are_interrupted(void **state) {
  (void)state;
  struct os_ledger *l = ledger();
  struct os_ledger *other = NULL;
  assert_ok(os_ledger_new(&other, NULL, false, in_folder("l.db"), &test_error));
  assert_ok(os_ledger_open(other, true, &test_error));
  int64_t job = begin_job(other, "bulk_load", NULL), id;
  struct os_job_file file = {.job = job, .file = "a.csv", .status = "running"};
  assert_ok(os_ledger_file_add(other, &file, &id, &test_error));
  assert_string_equal(rows("SELECT j.status, f.status FROM os_jobs j JOIN os_job_files f USING(job)"),
                      "running|running");
  os_ledger_abandon(other); /* its descriptor closes, as when the process dies */
  assert_string_equal(rows("SELECT j.status, f.status FROM os_jobs j JOIN os_job_files f USING(job)"),
                      "interrupted|interrupted");
  assert_string_equal(ask(l, "SELECT status FROM job"), "running"); /* a SELECT writes nothing */
  os_ledger_free(other);
}

static void test_views_and_triggers(void **state) {
  (void)state;
  begin_job(ledger(), "bulk_load", NULL);
  put(1, 1, "a");
  assert_string_equal(rows("CREATE VIEW v AS SELECT kind FROM os_jobs"), "");
  assert_string_equal(rows("SELECT * FROM v"), "bulk_load");
  assert_string_equal(rows("CREATE VIEW w AS SELECT id FROM dlq_failures"), "");
  assert_string_equal(rows("SELECT * FROM w"), "unsafe use of virtual table \"dlq_failures\"");
  assert_string_equal(rows("CREATE TEMP VIEW t AS SELECT id FROM dlq_failures"), "");
  assert_string_equal(rows("SELECT * FROM t"), "1");
}

static void test_long_tables_are_read_in_pieces(void **state) {
  (void)state;
  struct os_ledger *l = ledger();
  assert_ok(os_ledger_begin(l, &test_error));
  for (int i = 1; i <= 300; i++)
    assert_ok(os_ledger_audit(l, 1 + i % 2, "s", "c", "did", NULL, false, &test_error));
  assert_ok(os_ledger_commit(l, &test_error));
  assert_string_equal(rows("SELECT count(*), min(id), max(id), sum(id) FROM os_audit"), "300|1|300|45150");
  assert_string_equal(rows("SELECT count(*), sum(id) FROM (SELECT id FROM os_audit ORDER BY id DESC)"),
                      "300|45150");
  assert_string_equal(rows("SELECT id FROM os_audit ORDER BY id DESC LIMIT 3"), "300;299;298");
  assert_string_equal(rows("SELECT count(*) FROM os_audit WHERE job = 2"), "150");
  assert_string_equal(rows("SELECT id FROM os_audit WHERE job = 1 ORDER BY id DESC LIMIT 2 OFFSET 70"),
                      "160;158");
}

/* Values of many megabytes end a piece early, and nothing is lost at the seam. */
static void test_large_values(void **state) {
  (void)state;
  char *raw = malloc(3000001);
  memset(raw, 'r', 3000000);
  raw[3000000] = '\0';
  ledger();
  for (int i = 1; i <= 5; i++)
    put(1, i, raw);
  free(raw);
  assert_string_equal(rows("SELECT id, length(raw) FROM dlq_failures"),
                      "1|3000000;2|3000000;3|3000000;4|3000000;5|3000000");
}

/* While a statement is half read, writers are not kept waiting, and the statement goes on. */
static void test_half_read(void **state) {
  (void)state;
  struct os_ledger *l = ledger();
  sqlite3_stmt *stmt = NULL;
  int64_t job = begin_job(l, "bulk_load", NULL), removed;
  assert_ok(os_ledger_begin(l, &test_error));
  for (int i = 0; i < 200; i++)
    assert_ok(os_ledger_audit(l, job, "s", "c", "did", NULL, false, &test_error));
  assert_ok(os_ledger_commit(l, &test_error));
  assert_int_equal(sqlite3_prepare_v2(db, "SELECT id FROM os_audit", -1, &stmt, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
  struct os_ledger *other = open_ledger("l.db");
  sqlite3_busy_timeout(os_ledger_db(other), 0);
  assert_int_equal(sqlite3_exec(os_ledger_db(other), "PRAGMA journal_mode = DELETE", NULL, NULL, NULL),
                   SQLITE_BUSY);
  assert_int_equal(sqlite3_exec(os_ledger_db(other), "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL),
                   SQLITE_OK);
  assert_ok(os_ledger_audit(other, job, "s", "c", "did", NULL, false, &test_error));
  assert_ok(
      os_ledger_audit(l, job, "s", "c", "did", NULL, false, &test_error)); /* no stale snapshot of ours */
  os_ledger_free(other);
  int count = 1;
  while (sqlite3_step(stmt) == SQLITE_ROW)
    count++;
  assert_int_equal(count, 202);
  assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
  assert_ok(os_ledger_prune(l, "2999-01-01", &removed, &test_error));
}

static void test_repair_and_dismiss(void **state) {
  (void)state;
  ledger();
  put(1, 1, "one");
  put(1, 2, "two");
  put(2, 3, "three");
  assert_string_equal(rows("UPDATE dlq_failures SET document = json_set(document, '$.b', 2) WHERE job = 1"),
                      "");
  assert_string_equal(rows("SELECT id, document, raw, attempts FROM dlq_failures"),
                      "1|{\"a\":1,\"b\":2}|one|1;2|{\"a\":1,\"b\":2}|two|1;3|{\"a\":1}|three|1");
  assert_string_equal(rows("UPDATE dlq_failures SET raw = 'TWO' WHERE id = 2"), "");
  assert_string_equal(rows("SELECT document, raw, line, context FROM dlq_failures WHERE id = 2"),
                      "NULL|TWO|2|{\"c\":1}");
  assert_string_equal(rows("UPDATE dlq_failures SET document = '{\"new\":1}', raw = 'both' WHERE rowid = 2"),
                      "");
  assert_string_equal(rows("SELECT document, raw FROM dlq_failures WHERE id = 2"), "{\"new\":1}|both");
  assert_string_equal(rows("DELETE FROM dlq_failures WHERE job = 1"), "");
  assert_string_equal(rows("SELECT id FROM dlq_failures"), "3");
}

static void test_refused_edits(void **state) {
  (void)state;
  ledger();
  put(1, 1, "one");
  static const struct {
    const char *sql, *word;
  } cases[] = {
      {"UPDATE dlq_failures SET document = 'x'", "refused record 1: document"},
      {"UPDATE dlq_failures SET document = '[]'", "must be a JSON object"},
      {"UPDATE dlq_failures SET job = 2", "'job' cannot be changed"},
      {"UPDATE dlq_failures SET context = NULL", "'context' cannot be changed"},
      {"UPDATE dlq_failures SET id = 9", "id"},
      {"UPDATE dlq_failures SET rowid = 9", "the id of a row cannot be changed"},
      {"UPDATE dlq_failures SET raw = 'ok', document = '1'", "must be a JSON object"},
      {"INSERT INTO dlq_failures(raw) VALUES('x')", "cannot be inserted"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *message = rows(cases[i].sql);
    if (strstr(message, cases[i].word) == NULL) fail_msg("%s: %s", cases[i].sql, message);
  }
  assert_string_equal(rows("SELECT id, job, document, raw FROM dlq_failures"), "1|1|{\"a\":1}|one");
}

static void test_other_forms_of_update(void **state) {
  (void)state;
  ledger();
  put(1, 1, "one");
  put(1, 2, "h\xE9llo"); /* a blob */
  assert_string_equal(rows("CREATE TEMP TABLE fix(id, doc)"), "");
  assert_int_equal(sqlite3_exec(db, "INSERT INTO fix VALUES(2, '{\"fixed\":2}')", NULL, NULL, NULL),
                   SQLITE_OK);
  assert_string_equal(
      rows("UPDATE dlq_failures SET document = fix.doc FROM fix WHERE fix.id = dlq_failures.id"), "");
  assert_string_equal(rows("SELECT id, document, hex(raw), context, file FROM dlq_failures"),
                      "1|{\"a\":1}|6F6E65|{\"c\":1}|a.csv;2|{\"fixed\":2}|68E96C6C6F|{\"c\":1}|a.csv");
  assert_string_equal(
      rows("UPDATE dlq_failures SET document = (SELECT doc FROM fix WHERE fix.id = 2), job = job,"
           " resolved_at = '2026-01-01' WHERE id IN (SELECT id FROM dlq_failures)"),
      "");
  assert_string_equal(rows("SELECT id, document, resolved_at FROM dlq_failures"),
                      "1|{\"fixed\":2}|2026-01-01;2|{\"fixed\":2}|2026-01-01");
  assert_int_equal(
      sqlite3_exec(db, "BEGIN; DELETE FROM dlq_failures WHERE id = 1; ROLLBACK", NULL, NULL, NULL),
      SQLITE_OK);
  assert_string_equal(rows("SELECT id FROM dlq_failures"), "2"); /* row by row: a ROLLBACK does not undo it */
  assert_string_equal(rows("DELETE FROM dlq_failures WHERE job = 1"), "");
  assert_string_equal(rows("SELECT count(*) FROM dlq_failures"), "0");
}

static void test_text_that_is_not_utf8(void **state) {
  (void)state;
  struct os_ledger *l = ledger();
  assert_ok(os_ledger_audit(l, 1, "s", "c\xFFx\xC3", "did", NULL, false, &test_error));
  assert_string_equal(rows("SELECT check_name FROM os_audit"), "c\xEF\xBF\xBDx\xEF\xBF\xBD");
}

static void test_unreadable_ledger(void **state) {
  (void)state;
  write_file(in_folder("l.db"), "this is not a database at all, only some text in a file", 0600);
  assert_non_null(strstr(rows("SELECT * FROM os_jobs"), "is not an SQLite database"));
  assert_non_null(strstr(rows("SELECT * FROM dlq_failures"), "l.db"));
}

static void test_name_clash(void **state) {
  (void)state;
  char out[64];
  assert_int_equal(os_ledger_name_clash(db, out), 0);
  assert_int_equal(sqlite3_exec(db, "CREATE TABLE Dlq_Failures(x)", NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(os_ledger_name_clash(db, out), 1);
  assert_string_equal(out, "main.Dlq_Failures");
  assert_int_equal(sqlite3_exec(db,
                                "DROP TABLE Dlq_Failures; ATTACH ':memory:' AS \"a\"\"b\";"
                                " CREATE VIEW \"a\"\"b\".os_jobs AS SELECT 1",
                                NULL, NULL, NULL),
                   SQLITE_OK);
  assert_int_equal(os_ledger_name_clash(db, out), 1);
  assert_string_equal(out, "a\"b.os_jobs");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_no_ledger_yet),
      TEST(test_columns_of_the_contract),
      TEST(test_jobs),
      TEST(test_dead_jobs_are_interrupted),
      TEST(test_views_and_triggers),
      TEST(test_long_tables_are_read_in_pieces),
      TEST(test_large_values),
      TEST(test_half_read),
      TEST(test_repair_and_dismiss),
      TEST(test_refused_edits),
      TEST(test_other_forms_of_update),
      TEST(test_text_that_is_not_utf8),
      TEST(test_unreadable_ledger),
      TEST(test_name_clash),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
