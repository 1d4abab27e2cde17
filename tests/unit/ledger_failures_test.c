/* Refused records: kept once, repaired, sent again, dismissed; and what pruning leaves of everything. */
#include "ledger_support.h"

static struct os_ledger *ledger;
static sqlite3 *user;  /* another connection, as the user's, in UTF-16 */
static sqlite3 *plain; /* one in UTF-8 */

static int setup(void **state) {
  if (folder_setup(state) != 0) return -1;
  ledger = open_ledger("l.db");
  return sqlite3_open(":memory:", &user) != SQLITE_OK || sqlite3_open(":memory:", &plain) != SQLITE_OK ||
         sqlite3_exec(user, "PRAGMA encoding = 'UTF-16'; CREATE TABLE t(x)", NULL, NULL, NULL) != SQLITE_OK;
}

static int teardown(void **state) {
  sqlite3_close(user);
  sqlite3_close(plain);
  os_ledger_free(ledger);
  return folder_teardown(state);
}

static void put(int64_t job, const char *file, int64_t offset, const char *reason) {
  struct os_failure failure = {.job = job,
                               .index_name = "products",
                               .file = file,
                               .line = 3,
                               .byte_offset = offset,
                               .doc_id = "7",
                               .op = "index",
                               .status = 400,
                               .error_type = "mapper_parsing_exception",
                               .error_reason = reason,
                               .document = "{\"a\":1}tail",
                               .document_len = 7,
                               .raw = "1,2",
                               .raw_len = 3,
                               .attempts = 1,
                               .context = "{}"};
  assert_ok(os_ledger_failure_put(ledger, &failure, &test_error));
}

static void test_once_by_place(void **state) {
  (void)state;
  put(1, "a.csv", 10, "first");
  assert_ok(os_ledger_failure_resolve(ledger, 1, 5, false, &test_error));
  assert_string_equal(
      ask(ledger, "SELECT attempts||'|'||resolved_by||'|'||(resolved_at IS NOT NULL) FROM failure"), "2|5|1");
  put(9, "a.csv", 10, "second");
  assert_string_equal(ask(ledger,
                          "SELECT count(*)||'|'||job||'|'||error_reason||'|'||attempts||'|'||document||'|'||"
                          "(resolved_at IS NULL)||superseded FROM failure"),
                      "1|9|second|3|{\"a\":1}|10");
  put(9, "a.csv", 11, "another place");
  put(9, "b.csv", 10, "another file");
  put(9, NULL, 10, "no file");
  put(9, NULL, 10, "no file again");
  put(9, "a.csv", -1, "no place");
  put(9, "a.csv", -1, "no place again");
  assert_string_equal(ask(ledger, "SELECT count(*) FROM failure"), "7");
}

static void list_file(int64_t job, const char *fingerprint) {
  struct os_job_file file = {.job = job, .file = "a.csv", .name = "a.csv", .fingerprint = fingerprint};
  int64_t id;
  assert_ok(os_ledger_file_add(ledger, &file, &id, &test_error));
}

/* A later job got in what earlier ones had to refuse. */
static void test_accepted_later(void **state) {
  (void)state;
  list_file(1, "9:x");
  list_file(2, "9:other");
  put(1, "a.csv", 9, "before");
  put(1, "a.csv", 10, "inside");
  put(3, "a.csv", 15, "by this job");
  put(2, "a.csv", 16, "of other content");
  put(1, "b.csv", 17, "another file");
  put(1, "a.csv", 20, "behind");
  assert_ok(os_ledger_failure_accepted(ledger, 3, "products", "a.csv", "9:x", 10, 20, &test_error));
  assert_string_equal(ask(ledger,
                          "SELECT group_concat(error_reason||resolved_by||superseded) FROM failure WHERE"
                          " resolved_at IS NOT NULL"),
                      "inside30");
  assert_ok(os_ledger_failure_accepted(ledger, 3, "others", "a.csv", "9:x", 0, 99, &test_error));
  assert_ok(os_ledger_failure_accepted(ledger, 4, "products", "a.csv", "9:x", 0, 99, &test_error));
  assert_string_equal(ask(ledger, "SELECT group_concat(resolved_by) FROM failure"), "4,3,4");
}

static void test_raw_bytes(void **state) {
  (void)state;
  static const struct {
    const char *raw;
    int64_t len;
    const char *type;
  } cases[] = {
      {"plain", -1, "text"},       {"h\xC3\xA9", 3, "text"}, {"caf\xE9", 4, "blob"},
      {"nul\0inside", 10, "blob"}, {"", 0, "text"},          {NULL, 0, "null"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct os_failure failure = {.job = 1,
                                 .index_name = "x",
                                 .file = "f",
                                 .byte_offset = 1,
                                 .raw = cases[i].raw,
                                 .raw_len = cases[i].len};
    assert_ok(os_ledger_failure_put(ledger, &failure, &test_error));
    assert_string_equal(ask(ledger, "SELECT typeof(raw) FROM failure"), cases[i].type);
  }
  assert_string_equal(ask(ledger, "SELECT attempts||'|'||(document IS NULL) FROM failure"), "6|1");
}

/* Changes a column of row 1 to the value of an SQL expression, evaluated on that connection. */
static int change_from(sqlite3 *db, const char *column, const char *expression) {
  char sql[256];
  sqlite3_stmt *stmt = NULL;
  snprintf(sql, sizeof sql, "SELECT %s", expression);
  assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
  sqlite3_value *value = sqlite3_value_dup(sqlite3_column_value(stmt, 0));
  int rc = os_ledger_failure_update(ledger, 1, column, value, &test_error);
  sqlite3_value_free(value);
  sqlite3_finalize(stmt);
  return rc;
}

static int change(const char *column, const char *expression) {
  return change_from(user, column, expression);
}

static void test_repairs(void **state) {
  (void)state;
  put(1, "a.csv", 10, "first");
  assert_ok(change("document", "'{\"a\":12345678901234567890, \"b\":\"\xC3\xA9\"}'"));
  assert_string_equal(ask(ledger, "SELECT document FROM failure"),
                      "{\"a\":12345678901234567890, \"b\":\"\xC3\xA9\"}");
  static const struct {
    const char *column, *value, *word;
  } refused[] = {
      {"document", "'{\"a\":'", "document"},
      {"document", "'[1]'", "must be a JSON object"},
      {"document", "'\"text\"'", "document"},
      {"document", "12", "must be JSON text"},
      {"document", "x'7b7d'", "must be JSON text"},
      {"document", "''", "document"},
      {"raw", "NULL", "raw must be text or a blob"},
      {"raw", "5", "raw must be text or a blob"},
      {"doc_id", "''", "1 to 512"},
      {"doc_id", "printf('%0513d', 1)", "1 to 512"},
      {"doc_id", "7", "1 to 512"},
      {"doc_id", "'a' || char(0) || 'b'", "1 to 512"},
      {"resolved_at", "2026", "ISO-8601"},
      {"sqs_sent_at", "x'32303236'", "ISO-8601"},
      {"superseded", "'1'", "0 or 1"},
      {"superseded", "NULL", "0 or 1"},
      {"resolved_at", "'yesterday'", "ISO-8601"},
      {"resolved_by", "'me'", "job number"},
      {"superseded", "2", "0 or 1"},
      {"job", "4", "cannot be changed"},
      {"context", "'x'", "cannot be changed"},
      {"no_such", "1", "cannot be changed"},
  };
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    os_error_clear(&test_error);
    assert_int_equal(change(refused[i].column, refused[i].value) != OS_OK, 1);
    assert_error_has(refused[i].word);
  }
  assert_string_equal(ask(ledger, "SELECT json_extract(document, '$.b')||job||raw||doc_id FROM failure"),
                      "\xC3\xA9"
                      "11,27");
  assert_ok(change("raw", "'9,9'"));
  assert_string_equal(ask(ledger, "SELECT (document IS NULL)||raw FROM failure"), "19,9"); /* parsed again */
  assert_ok(change("raw", "x'ff00'"));
  assert_string_equal(ask(ledger, "SELECT hex(raw) FROM failure"), "FF00");
  assert_ok(change("document", "NULL"));
  assert_ok(change("doc_id", "'short'"));
  assert_ok(change("resolved_at", "'2026-02-03T04:05:06Z'"));
  assert_ok(change("resolved_by", "3"));
  assert_ok(change("superseded", "1"));
  assert_string_equal(ask(ledger, "SELECT doc_id||resolved_at||resolved_by||superseded FROM failure"),
                      "short2026-02-03T04:05:06Z31");
  assert_ok(change("resolved_at", "NULL"));
  assert_ok(change("resolved_by", "NULL"));
  assert_ok(change("superseded", "0"));
  assert_ok(change("doc_id", "NULL"));
  assert_ok(change("raw", "x''"));
  assert_string_equal(
      ask(ledger,
          "SELECT (doc_id IS NULL)||(resolved_at IS NULL)||(resolved_by IS NULL)||superseded||typeof(raw)"
          "||length(raw) FROM failure"),
      "1110text0");
  assert_fails(change_from(plain, "doc_id", "CAST(x'41ff' AS TEXT)"), OS_ERR_ARGUMENT, "1 to 512");
  assert_ok(change_from(plain, "doc_id", "'h\xC3\xA9'"));
  assert_string_equal(ask(ledger, "SELECT doc_id FROM failure"), "h\xC3\xA9");
}

/* A record that SQLite cannot hold is refused as a whole, and what had its place stays. */
static void test_longer_than_sqlite_takes(void **state) {
  (void)state;
  char large[2001] = "";
  memset(large, 'x', sizeof large - 1);
  put(1, "a.csv", 10, "first");
  int before = sqlite3_limit(os_ledger_db(ledger), SQLITE_LIMIT_LENGTH, 1000);
  for (int i = 0; i < 3; i++) {
    struct os_failure failure = {.job = 1,
                                 .index_name = "products",
                                 .file = "a.csv",
                                 .byte_offset = 10,
                                 .error_type = i == 0 ? large : "t",
                                 .document = i == 1 ? large : "{}",
                                 .document_len = -1,
                                 .raw = i == 2 ? large : "r",
                                 .raw_len = -1};
    assert_fails(os_ledger_failure_put(ledger, &failure, &test_error), OS_ERR_LEDGER, "too long");
  }
  assert_fails(change("raw", "printf('%02000d', 1)"), OS_ERR_LEDGER, "too long");
  sqlite3_limit(os_ledger_db(ledger), SQLITE_LIMIT_LENGTH, before);
  assert_string_equal(ask(ledger, "SELECT count(*)||error_reason||document||raw FROM failure"),
                      "1first{\"a\":1}1,2");
  assert_ok(change("raw", "printf('%02000d', 1)"));
}

static void test_sent_again(void **state) {
  (void)state;
  put(1, "a.csv", 10, "first");
  assert_ok(os_ledger_failure_again(ledger, 1, 429, "rejected", "queue full", &test_error));
  assert_string_equal(ask(ledger, "SELECT status||error_type||error_reason||attempts FROM failure"),
                      "429rejectedqueue full2");
  assert_ok(os_ledger_failure_resolve(ledger, 1, 4, true, &test_error));
  assert_string_equal(ask(ledger, "SELECT superseded||resolved_by||attempts FROM failure"), "143");
  assert_ok(os_ledger_failure_delete(ledger, 1, &test_error));
  assert_int_equal(os_ledger_failure_delete(ledger, 1, &test_error), OS_ERR_NOT_FOUND);
  assert_error_has("id 1");
  assert_int_equal(os_ledger_failure_resolve(ledger, 1, 4, true, &test_error), OS_ERR_NOT_FOUND);
  assert_int_equal(change("raw", "'3,4'"), OS_ERR_NOT_FOUND);
  assert_int_equal(os_ledger_failure_again(ledger, 1, 4, NULL, NULL, &test_error), OS_ERR_NOT_FOUND);
}

static void test_prune(void **state) {
  (void)state;
  int64_t removed = -1, file;
  int64_t old = begin_job(ledger, "bulk_load", NULL), running = begin_job(ledger, "bulk_load", NULL);
  struct os_job_file row = {.job = old, .file = "a.csv"};
  assert_ok(os_ledger_file_add(ledger, &row, &file, &test_error));
  assert_ok(os_ledger_audit(ledger, old, "s", "c", "did", NULL, false, &test_error));
  put(old, "a.csv", 1, "open");
  put(old, "a.csv", 2, "resolved");
  assert_ok(os_ledger_failure_resolve(ledger, 2, old, false, &test_error));
  assert_ok(os_ledger_job_finish(ledger, old, "partial", NULL, NULL, NULL, &test_error));
  assert_int_equal(os_ledger_prune(ledger, "last week", &removed, &test_error), OS_ERR_ARGUMENT);
  assert_error_has("'last week'");
  assert_int_equal(os_ledger_prune(ledger, NULL, &removed, &test_error), OS_ERR_ARGUMENT);
  assert_ok(os_ledger_prune(ledger, "2020-01-01", &removed, &test_error));
  assert_int_equal(removed, 0);
  assert_ok(os_ledger_prune(ledger, "2999-01-01T00:00:00Z", &removed, &test_error));
  assert_int_equal(removed, 1);
  assert_string_equal(ask(ledger, "SELECT count(*)||'|'||job FROM job"), "1|2");
  assert_string_equal(ask(ledger, "SELECT (SELECT count(*) FROM job_file)||(SELECT count(*) FROM audit)"),
                      "00");
  assert_string_equal(ask(ledger, "SELECT count(*)||error_reason FROM failure"), "1open");
  assert_true(os_ledger_job_alive(ledger, running));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_once_by_place), TEST(test_accepted_later),           TEST(test_raw_bytes),
      TEST(test_repairs),       TEST(test_longer_than_sqlite_takes), TEST(test_sent_again),
      TEST(test_prune),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
