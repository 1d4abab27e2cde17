/* Every allocation fails once: ours through the seam, SQLite's through its own. Each time there is a clean
** error, and with memory back the same ledger works. Leaks are AddressSanitizer's to find. */
#include "ledger_support.h"
#include "ledger/facts.h"

/* ---- SQLite's allocator, failing on demand ------------------------------------------------------------- */

static sqlite3_mem_methods usual;
static long sqlite_left = -1;

static bool sqlite_refuses(void) {
  if (sqlite_left < 0) return false;
  return sqlite_left-- == 0;
}

static void *failing_malloc(int size) {
  return sqlite_refuses() ? NULL : usual.xMalloc(size);
}

static void *failing_realloc(void *old, int size) {
  return sqlite_refuses() ? NULL : usual.xRealloc(old, size);
}

/* ---- one of everything --------------------------------------------------------------------------------- */

static int no_restore(void *ctx, const char *index_name, const char *uuid, const char *original,
                      const char *ours) {
  (void)ctx, (void)index_name, (void)uuid, (void)original, (void)ours;
  return OS_OK;
}

#define STEP(call)                                                                                           \
  do {                                                                                                       \
    os_error_clear(&test_error);                                                                             \
    if ((rc = (call)) != OS_OK) goto done;                                                                   \
  } while (0)

static int everything(const char *path) {
  struct os_ledger *ledger = NULL;
  int64_t job, file, number;
  struct os_file_past past;
  char word[16], *original = NULL, *ours = NULL;
  json_t *facts = NULL;
  bool last;
  int rc;
  struct os_job_begin begin = {.kind = "bulk_load", .arguments = "{\"options\":{\"dry_run\":false}}"};
  struct os_job_figures figures = {.count_before = -1};
  STEP(os_ledger_new(&ledger, in_folder("app.db"), false, path, &test_error));
  STEP(os_ledger_open(ledger, false, &test_error));
  STEP(os_ledger_open(ledger, true, &test_error));
  STEP(os_ledger_sweep(ledger, &test_error));
  STEP(os_ledger_job_begin(ledger, &begin, &job, &test_error));
  STEP(os_ledger_job_target(ledger, job, "i", "u", "/p", &test_error));
  struct os_job_file row = {.job = job, .file = "a.csv", .fingerprint = "1:a"};
  STEP(os_ledger_file_past(ledger, "i", "u", "a.csv", &past, &test_error));
  STEP(os_ledger_content_loads(ledger, "i", "u", "1:a", &number, &test_error));
  STEP(os_ledger_unfinished(ledger, "i", "u", "/p", &number, &test_error));
  STEP(os_ledger_file_add(ledger, &row, &file, &test_error));
  STEP(os_ledger_tune_hold(ledger, "e", "i", "uu", "{}", "{}", job, &test_error));
  STEP(os_ledger_begin(ledger, &test_error));
  STEP(os_ledger_job_progress(ledger, job, &figures, &test_error));
  STEP(os_ledger_file_progress(ledger, file, &row, &test_error));
  struct os_failure failure = {
      .job = job, .index_name = "i", .file = "a.csv", .byte_offset = 1, .raw = "r", .raw_len = 1};
  STEP(os_ledger_failure_put(ledger, &failure, &test_error));
  STEP(os_ledger_audit(ledger, job, "s", "c", "did", "d", true, &test_error));
  STEP(os_ledger_commit(ledger, &test_error));
  STEP(os_ledger_job_control(ledger, job, word, &test_error));
  STEP(os_ledger_job_ask(ledger, job, "pause", &test_error));
  STEP(os_ledger_tune_release(ledger, "uu", job, &last, &original, &ours, &test_error));
  STEP(os_ledger_tune_orphans(ledger, "e", no_restore, NULL, &test_error));
  STEP(os_ledger_job_facts(ledger, job, &facts, &test_error));
  STEP(os_ledger_job_finish(ledger, job, "success", &figures, NULL, NULL, &test_error));
  STEP(os_ledger_prune(ledger, "2000-01-01", &number, &test_error));
done:
  json_decref(facts);
  os_free(original);
  os_free(ours);
  os_ledger_free(ledger);
  return rc;
}

/* A failing step must have said so; with memory back everything works on what was left behind. */
static void check(int rc, long n) {
  if (rc != OS_OK && (int)test_error.code != rc)
    fail_msg("allocation %ld: returned %d, but the error says %d (%s)", n, rc, (int)test_error.code,
             test_error.text);
  if (rc != OS_OK && rc != OS_ERR_NOMEM && rc != OS_ERR_LEDGER)
    fail_msg("allocation %ld: %d %s", n, rc, test_error.text);
  if (rc != OS_OK && test_error.text[0] == '\0') fail_msg("allocation %ld: an error without words", n);
}

static void test_our_memory(void **state) {
  (void)state;
  long n, failed = 0;
  write_file(in_folder("app.db"), "", 0600);
  for (n = 0; n < 2000; n++) {
    bool injected = false;
    for (int place = 0; place < 2; place++) {
      os_alloc_fail_after(n, 1);
      int rc = everything(place ? NULL : in_folder("l.db"));
      injected = injected || os_alloc_count() > n;
      os_alloc_fail_after(-1, 0);
      check(rc, n);
      failed += rc != OS_OK;
    }
    if (!injected) break;
  }
  assert_in_range(n, 10, 1999);
  assert_true(failed > 8);
  assert_ok(everything(in_folder("l.db")));
}

static void test_sqlite_memory(void **state) {
  (void)state;
  long n, failed = 0, successes = 0;
  write_file(in_folder("app.db"), "", 0600);
  for (n = 0; n < 20000 && successes < 3; n += n < 120 ? 1 : 13) {
    sqlite_left = n;
    int rc = everything(n % 10 ? in_folder("l.db") : ":memory:");
    bool reached = sqlite_left < 0;
    sqlite_left = -1;
    check(rc, n);
    failed += rc != OS_OK;
    successes += !reached;
  }
  assert_in_range(n, 100, 19999);
  assert_true(failed > 50);
  assert_ok(everything(in_folder("l.db")));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)
  const struct CMUnitTest tests[] = {TEST(test_our_memory), TEST(test_sqlite_memory)};
  take_sqlite_memory(&usual, failing_malloc, failing_realloc);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
