/* Refused records that go to a queue and come from one: which wait, what is noted, and what a record that came before
** changes. */
#include "ledger_support.h"
#include "ledger/letters.h"

static struct os_ledger *ledger;

static void change(const char *sql) {
  sqlite3 *db;
  assert_int_equal(sqlite3_open(in_folder("l.db"), &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
}

static int setup(void **state) {
  if (folder_setup(state) != 0) return -1;
  ledger = open_ledger("l.db");
  return 0;
}

static int teardown(void **state) {
  os_ledger_free(ledger);
  return folder_teardown(state);
}

static void refuse(int64_t job, const char *file, int64_t offset, const char *raw, int64_t raw_len) {
  struct os_failure failure = {.job = job,
                               .index_name = "products",
                               .file = file,
                               .line = 3,
                               .byte_offset = offset,
                               .doc_id = "7",
                               .op = "index",
                               .status = 400,
                               .error_type = "mapper_parsing_exception",
                               .error_reason = "no number",
                               .document = "{\"a\":1}",
                               .document_len = 7,
                               .raw = raw,
                               .raw_len = raw_len,
                               .attempts = 1,
                               .context = "{}"};
  assert_ok(os_ledger_failure_put(ledger, &failure, &test_error));
}

/* ---- to the queue ---- */

struct seen {
  char text[512];
  int64_t limit;
  struct os_letter_mark marks[8];
  size_t count;
};

static bool see(void *ctx, const struct os_letter *letter) {
  struct seen *seen = ctx;
  size_t at = strlen(seen->text);
  snprintf(seen->text + at, sizeof seen->text - at, "%lld:%s:%zu:%d ", (long long)letter->id,
           letter->raw ? letter->raw : "-", letter->raw_len, letter->raw_is_text);
  seen->marks[seen->count++] = (struct os_letter_mark){letter->id, letter->attempts};
  return (int64_t)seen->count < seen->limit;
}

static int64_t waiting(int64_t job) {
  int64_t count = -1;
  assert_ok(os_ledger_letters_waiting(ledger, job, &count, &test_error));
  return count;
}

static void next(int64_t job, int64_t after, int64_t first, int64_t its_job, const char *file) {
  struct os_letter_place place;
  assert_ok(os_ledger_letters_next(ledger, job, after, &place, &test_error));
  assert_int_equal(place.first, first);
  if (first) {
    assert_int_equal(place.job, its_job);
    assert_string_equal(place.file, file);
  }
  os_free(place.file);
}

static void test_which_wait(void **state) {
  (void)state;
  refuse(1, "a.csv", 10, "one", 3);
  refuse(1, "b.csv", 10, "two", 3);
  refuse(1, "a.csv", 20, "\xff\0x", 3);
  refuse(2, "a.csv", 30, "four", 4);
  refuse(1, NULL, 5, "", 0);
  assert_int_equal(waiting(0), 5);
  assert_int_equal(waiting(1), 4);
  next(0, 0, 1, 1, "a.csv");
  next(0, 1, 2, 1, "b.csv");
  next(2, 0, 4, 2, "a.csv");
  next(1, 3, 5, 1, "");
  next(2, 4, 0, 0, NULL);

  struct seen seen = {.limit = 8};
  struct os_letter_place place = {.first = 1, .job = 1, .file = (char *)"a.csv"};
  assert_ok(os_ledger_letters_each(ledger, &place, see, &seen, &test_error));
  assert_string_equal(seen.text, "1:one:3:1 3:\xff:3:0 ");
  seen = (struct seen){.limit = 1};
  assert_ok(os_ledger_letters_each(ledger, &place, see, &seen, &test_error));
  assert_string_equal(seen.text, "1:one:3:1 ");
  place = (struct os_letter_place){.first = 5, .job = 1, .file = (char *)""};
  seen = (struct seen){.limit = 8};
  assert_ok(os_ledger_letters_each(ledger, &place, see, &seen, &test_error));
  assert_string_equal(seen.text, "5::0:1 ");

  assert_ok(os_ledger_failure_resolve(ledger, 1, 5, false, &test_error));
  assert_ok(os_ledger_failure_resolve(ledger, 2, 5, true, &test_error));
  assert_int_equal(waiting(1), 2);
  next(1, 0, 3, 1, "a.csv");

  int64_t count;
  assert_int_equal(os_ledger_letters_waiting(ledger, 99, &count, &test_error), OS_ERR_NOT_FOUND);
}

static void test_what_was_sent(void **state) {
  (void)state;
  refuse(1, "a.csv", 10, "one", 3);
  refuse(1, "a.csv", 20, "two", 3);
  struct os_letter_mark marks[] = {{1, 1}, {2, 1}};
  refuse(1, "a.csv", 20, "two", 3); /* again, before it was noted */
  assert_ok(os_ledger_letters_sent(ledger, marks, 2, &test_error));
  assert_string_equal(ask(ledger, "SELECT group_concat(id) FROM failure WHERE sqs_sent_at IS NOT NULL"), "1");
  assert_int_equal(waiting(1), 1);
  refuse(4, "a.csv", 10, "one", 3); /* a later load: it waits again */
  assert_int_equal(waiting(4), 1);
}

/* ---- from the queue ---- */

static struct os_letter letter_of(const char *raw, const char *failed_at) {
  return (struct os_letter){.id = 55,
                            .index_name = "products",
                            .line = 3,
                            .byte_offset = 10,
                            .op = "index",
                            .status = 400,
                            .error_type = "mapper_parsing_exception",
                            .error_reason = "no number",
                            .document = "{\"a\":1}",
                            .document_len = 7,
                            .raw = raw,
                            .raw_len = strlen(raw),
                            .raw_is_text = true,
                            .attempts = 2,
                            .failed_at = failed_at,
                            .context = "{\"x\":1}"};
}

static bool keep(const char *file, const struct os_letter *letter) {
  struct os_letter_origin origin = {
      .job = 9, .file = file, .source = "job 1 on web1", .timestamp = "2026-11-20T12:00:00.000Z"};
  bool added = false;
  assert_ok(os_ledger_letter_keep(ledger, &origin, letter, &added, &test_error));
  return added;
}

static void test_kept_as_it_was(void **state) {
  (void)state;
  struct os_letter letter = letter_of("1,2", "2026-11-20T11:00:00.000Z");
  assert_true(keep("a.csv", &letter));
  assert_string_equal(
      ask(ledger, "SELECT job||'|'||file||'|'||line||'|'||byte_offset||'|'||attempts||'|'||failed_at||'|'"
                  "||sqs_sent_at||'|'||document||'|'||raw||'|'||context||'|'||typeof(doc_id) FROM failure"),
      "9|a.csv|3|10|2|2026-11-20T11:00:00.000Z|2026-11-20T12:00:00.000Z|{\"a\":1}|1,2|{\"x\":1}|"
      "null");
  assert_int_equal(waiting(9), 0); /* it does not go back */
  letter.byte_offset = 11;
  letter.raw = "\xff";
  letter.raw_len = 1;
  letter.raw_is_text = false;
  assert_true(keep("a.csv", &letter));
  assert_string_equal(ask(ledger, "SELECT hex(raw)||typeof(raw) FROM failure WHERE id = 2"), "FFblob");
}

static void test_known_again(void **state) {
  (void)state;
  struct os_letter letter = letter_of("1,2", "2026-11-20T11:00:00.000Z");
  assert_true(keep("a.csv", &letter));
  assert_false(keep("a.csv", &letter));
  change("UPDATE failure SET document = '{\"a\":2}'");
  letter.failed_at = "2026-11-20T11:30:00.000Z"; /* refused again where it came from */
  assert_false(keep("a.csv", &letter));
  assert_string_equal(ask(ledger, "SELECT document FROM failure"), "{\"a\":2}");
  change("UPDATE failure SET resolved_at = '2026-11-20T11:45:00.000Z'");
  assert_false(keep("a.csv", &letter));
  assert_string_equal(ask(ledger, "SELECT count(*)||count(resolved_at) FROM failure"), "11");
  letter.failed_at = "2026-11-20T11:50:00.000Z"; /* after it was resolved here */
  assert_true(keep("a.csv", &letter));
  assert_string_equal(ask(ledger, "SELECT count(*)||count(resolved_at)||document FROM failure"),
                      "10{\"a\":1}");
  /* without a place */
  letter.byte_offset = -1;
  assert_true(keep("a.csv", &letter));
  assert_false(keep("a.csv", &letter));
  assert_true(keep("", &letter) == false);
}

/* Another machine's file of the same name. */
static void test_another_at_this_place(void **state) {
  (void)state;
  refuse(1, "a.csv", 10, "mine", 4);
  struct os_letter letter = letter_of("theirs", "2026-11-20T11:00:00.000Z");
  assert_true(keep("a.csv", &letter));
  assert_false(keep("a.csv", &letter));
  assert_string_equal(ask(ledger, "SELECT group_concat(file||'='||raw) FROM failure"),
                      "a.csv=mine,job 1 on web1: a.csv=theirs");
}

static void test_cut_when_it_was_sent(void **state) {
  (void)state;
  struct os_letter letter = letter_of("1,2", "2026-11-20T11:00:00.000Z");
  letter.truncated = "row 55 has all of it";
  letter.context = NULL;
  assert_true(keep("a.csv", &letter));
  assert_false(keep("a.csv", &letter));
  assert_string_equal(ask(ledger, "SELECT error_reason||(document IS NULL)||(raw IS NULL) FROM failure"),
                      "no number (row 55 has all of it)11");
}

/* What SQLite cannot hold is not kept in part. */
static void test_longer_than_sqlite_takes(void **state) {
  (void)state;
  char large[2001] = "";
  memset(large, 'x', sizeof large - 1);
  struct os_letter_origin origin = {.job = 9, .file = "a.csv", .source = "q", .timestamp = "t"};
  bool added;
  int before = sqlite3_limit(os_ledger_db(ledger), SQLITE_LIMIT_LENGTH, 1000);
  for (int i = 0; i < 3; i++) {
    struct os_letter letter = letter_of(i == 0 ? large : "1,2", "2026-11-20T11:00:00.000Z");
    if (i > 0) letter.byte_offset = -1; /* it is not looked for by its bytes */
    if (i == 1) letter.document = large, letter.document_len = 2000;
    if (i == 2) letter.raw = large, letter.raw_len = 2000;
    assert_fails(os_ledger_letter_keep(ledger, &origin, &letter, &added, &test_error), OS_ERR_LEDGER,
                 "too long");
  }
  sqlite3_limit(os_ledger_db(ledger), SQLITE_LIMIT_LENGTH, before);
  assert_string_equal(ask(ledger, "SELECT count(*) FROM failure"), "0");
}

/* A record that could not be built has no document; of one that the cluster lost there is no raw. */
static void test_without_bytes(void **state) {
  (void)state;
  refuse(1, "a.csv", 10, NULL, 0);
  refuse(1, "a.csv", 20, "", 0);
  change("UPDATE failure SET raw = x'' WHERE id = 2");
  struct seen seen = {.limit = 8};
  struct os_letter_place place = {.first = 1, .job = 1, .file = (char *)"a.csv"};
  assert_ok(os_ledger_letters_each(ledger, &place, see, &seen, &test_error));
  assert_string_equal(seen.text, "1:-:0:1 2::0:0 ");
  struct os_letter letter = letter_of("", "2026-11-20T11:00:00.000Z");
  letter.raw = NULL;
  letter.document = NULL;
  assert_true(keep("b.csv", &letter));
  assert_false(keep("b.csv", &letter));
  assert_string_equal(
      ask(ledger, "SELECT (raw IS NULL)||(document IS NULL) FROM failure WHERE file = 'b.csv'"), "11");
}

static void test_from_version_3(void **state) {
  (void)state;
  refuse(1, "a.csv", 10, "one", 3);
  os_ledger_free(ledger);
  change("ALTER TABLE failure DROP COLUMN sqs_sent_at; PRAGMA user_version = 3");
  ledger = open_ledger("l.db");
  assert_int_equal(waiting(1), 1);
}

/* Each allocation in turn fails: nothing is half there. */
static void test_no_memory(void **state) {
  (void)state;
  refuse(1, "a.csv", 10, "mine", 4);
  struct os_letter letter = letter_of("theirs", "2026-11-20T11:00:00.000Z");
  struct os_letter_origin origin = {
      .job = 9, .file = "a.csv", .source = "job 1 on web1", .timestamp = "2026-11-20T12:00:00.000Z"};
  int rc = OS_ERR_NOMEM;
  for (long n = 0; rc != OS_OK && n < 100; n++) {
    bool added;
    os_alloc_fail_after(n, 1);
    rc = os_ledger_letter_keep(ledger, &origin, &letter, &added, &test_error);
    os_alloc_fail_after(-1, 0);
    assert_true(rc == OS_OK || rc == OS_ERR_NOMEM);
    assert_string_equal(ask(ledger, "SELECT count(*) FROM failure"), rc ? "1" : "2");
  }
  assert_int_equal(rc, OS_OK);
  struct os_letter_place place = {0};
  rc = OS_ERR_NOMEM;
  for (long n = 0; rc != OS_OK && n < 100; n++) {
    os_alloc_fail_after(n, 1);
    rc = os_ledger_letters_next(ledger, 0, 0, &place, &test_error);
    os_alloc_fail_after(-1, 0);
    assert_true(rc == OS_OK || rc == OS_ERR_NOMEM);
    os_free(place.file);
  }
  assert_int_equal(rc, OS_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_which_wait, setup, teardown),
      cmocka_unit_test_setup_teardown(test_what_was_sent, setup, teardown),
      cmocka_unit_test_setup_teardown(test_kept_as_it_was, setup, teardown),
      cmocka_unit_test_setup_teardown(test_known_again, setup, teardown),
      cmocka_unit_test_setup_teardown(test_another_at_this_place, setup, teardown),
      cmocka_unit_test_setup_teardown(test_cut_when_it_was_sent, setup, teardown),
      cmocka_unit_test_setup_teardown(test_longer_than_sqlite_takes, setup, teardown),
      cmocka_unit_test_setup_teardown(test_without_bytes, setup, teardown),
      cmocka_unit_test_setup_teardown(test_from_version_3, setup, teardown),
      cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
