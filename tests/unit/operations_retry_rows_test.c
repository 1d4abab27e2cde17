/* The rows that a retry goes through, and what the outcomes of their records make of them in the ledger. */
#include "ledger_support.h"
#include "operations/retry/outcome.h"
#include "operations/retry/rows.h"

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

static int64_t begin_load(void) {
  struct os_job_begin begin = {.kind = "bulk_load", .index_name = "i", .arguments = "{}"};
  int64_t job = 0;
  assert_ok(os_ledger_job_begin(ledger, &begin, &job, &test_error));
  return job;
}

static void put(int64_t job, const char *index, int64_t offset) {
  struct os_failure failure = {.job = job,
                               .index_name = index,
                               .file = "a.csv",
                               .line = 3,
                               .byte_offset = offset,
                               .op = "index",
                               .error_type = "t",
                               .error_reason = "r",
                               .raw = "1\0\xff",
                               .raw_len = 3,
                               .attempts = 1,
                               .context = "{\"a\":1}"};
  assert_ok(os_ledger_failure_put(ledger, &failure, &test_error));
}

/* Ids of the rows of one index, in the order in which they come. */
static const char *walk(const struct os_retry_rows *rows, const char *index) {
  static char out[128];
  struct os_failed_row row;
  bool found = true;
  int64_t after = 0;
  out[0] = 0;
  for (;;) {
    assert_ok(os_retry_rows_next(rows, index, after, &row, &found, &test_error));
    if (!found) return out;
    after = row.id;
    snprintf(out + strlen(out), sizeof out - strlen(out), "%lld ", (long long)row.id);
    os_failed_row_free(&row);
  }
}

static void test_order(void **state) {
  (void)state;
  struct os_retry_rows rows;
  int64_t first = begin_load(), second = begin_load();
  put(first, "i", 1);
  put(second, "i", 2);
  put(first, "other", 3);
  put(first, "i", 4);
  put(first, "i", 5);
  assert_ok(os_ledger_failure_resolve(ledger, 4, 9, false, &test_error));
  assert_ok(os_retry_rows_begin(&rows, ledger, 0, "http://127.0.0.1:9200", true, &test_error));
  put(first, "i", 6); /* refused after the retry began */
  assert_string_equal(walk(&rows, "i"), "5 2 1 ");
  assert_string_equal(walk(&rows, "other"), "3 ");
  assert_string_equal(walk(&rows, "none"), "");
  rows.newest_first = false;
  assert_string_equal(walk(&rows, "i"), "1 2 5 ");
  rows.job = first;
  assert_string_equal(walk(&rows, "i"), "1 5 ");
}

static void test_indices(void **state) {
  (void)state;
  struct os_retry_rows rows;
  json_t *indices = NULL;
  int64_t first = begin_load(), second = begin_load();
  put(first, "b", 1);
  put(first, "b", 2);
  put(second, "a", 3);
  assert_ok(os_retry_rows_begin(&rows, ledger, 0, "http://127.0.0.1:9200", true, &test_error));
  assert_ok(os_retry_rows_indices(&rows, &indices, &test_error));
  assert_int_equal(json_object_size(indices), 2);
  assert_int_equal(json_integer_value(json_object_get(indices, "b")), 2);
  json_decref(indices);
  assert_ok(os_retry_rows_begin(&rows, ledger, second, "http://127.0.0.1:9200", true, &test_error));
  assert_ok(os_retry_rows_indices(&rows, &indices, &test_error));
  assert_int_equal(json_object_size(indices), 1);
  assert_int_equal(json_integer_value(json_object_get(indices, "a")), 1);
  json_decref(indices);
  assert_int_equal(os_retry_rows_begin(&rows, ledger, 77, "http://127.0.0.1:9200", true, &test_error),
                   OS_ERR_NOT_FOUND);
  assert_non_null(strstr(test_error.text, "77"));
}

static void test_row(void **state) {
  (void)state;
  struct os_retry_rows rows;
  struct os_failed_row row;
  bool found = false, settled = true;
  put(begin_load(), "i", 12);
  assert_ok(os_retry_rows_begin(&rows, ledger, 0, "http://127.0.0.1:9200", true, &test_error));
  assert_ok(os_retry_rows_next(&rows, "i", 0, &row, &found, &test_error));
  assert_true(found);
  assert_int_equal(row.line, 3);
  assert_int_equal(row.byte_offset, 12);
  assert_int_equal(row.raw_len, 3);
  assert_memory_equal(row.raw, "1\0\xff", 4);
  assert_string_equal(row.op, "index");
  assert_string_equal(row.context, "{\"a\":1}");
  assert_null(row.document);
  assert_null(row.doc_id);
  os_failed_row_free(&row);
  assert_ok(os_retry_rows_settled(&rows, 1, &settled, &test_error));
  assert_false(settled);
  assert_ok(os_ledger_failure_delete(ledger, 1, &test_error));
  assert_ok(os_retry_rows_settled(&rows, 1, &settled, &test_error));
  assert_true(settled);
}

/* ---- outcomes */

static struct os_retry_result result;
static struct os_job job;
static struct os_retry_outcomes outcomes;

static void expect(int64_t id, unsigned pending) {
  assert_ok(os_retry_outcomes_open(&outcomes, id, &test_error));
  outcomes.states[outcomes.current].pending = pending;
  outcomes.states[outcomes.current].built = true;
  outcomes.under_way += pending;
}

static void write_down(void) {
  assert_ok(os_ledger_begin(ledger, &test_error));
  assert_ok(os_retry_outcomes_write(&outcomes, &test_error));
  assert_ok(os_ledger_commit(ledger, &test_error));
}

static const char *row_is(int64_t id) {
  char sql[256];
  snprintf(sql, sizeof sql,
           "SELECT (resolved_at IS NOT NULL)||'|'||superseded||'|'||status||'|'||error_type FROM failure "
           "WHERE id = %lld",
           (long long)id);
  return ask(ledger, sql);
}

static void begin_outcomes(bool overwrite) {
  memset(&result, 0, sizeof result);
  job = (struct os_job){.ledger = ledger, .number = 9};
  outcomes = (struct os_retry_outcomes){.job = &job, .result = &result, .overwrite = overwrite};
  for (int i = 1; i <= 6; i++)
    put(1, "i", i);
}

static void test_outcomes(void **state) {
  (void)state;
  begin_outcomes(false);
  for (int id = 1; id <= 5; id++)
    expect(id, id == 4 ? 3 : 1); /* row 4 holds three records */
  expect(6, 1);
  assert_ok(os_ledger_failure_delete(ledger, 6, &test_error));
  struct os_settled first[] = {{0, OS_CREATED}, {1, OS_ALREADY}, {2, OS_REFUSED}, {3, OS_UPDATED},
                               {3, OS_SKIPPED}, {4, OS_REFUSED}, {5, OS_NOOP}};
  struct os_refusal refusals[] = {
      {.offset = 2, .status = 409, .type = "version_conflict_engine_exception", .reason = "there"},
      {.offset = 4, .status = 400, .type = "mapper_parsing_exception", .reason = "bad"}};
  struct os_batch batch = {.settled = first, .settled_count = 7, .refusals = refusals, .refusal_count = 2};
  assert_ok(os_retry_outcomes_take(&outcomes, &batch, &test_error));
  write_down();
  assert_string_equal(row_is(1), "1|0|0|t");
  assert_string_equal(row_is(2), "1|1|0|t");
  assert_string_equal(row_is(3), "1|1|0|t");
  assert_string_equal(row_is(4), "0|0|0|t"); /* its third record is still on its way */
  assert_string_equal(row_is(5), "0|0|400|mapper_parsing_exception");
  assert_int_equal(outcomes.under_way, 1);
  assert_int_equal(outcomes.count, 4);

  expect(5, 1); /* takes a place that is free again */
  assert_int_equal(outcomes.current, 0);
  struct os_settled second[] = {{3, OS_REFUSED}, {0, OS_REFUSED}};
  struct os_refusal more[] = {
      {.offset = 3, .status = 404, .type = "document_missing_exception", .reason = "gone"},
      {.offset = 0, .status = 404, .type = "other_exception", .reason = "bad"}};
  batch = (struct os_batch){.settled = second, .settled_count = 2, .refusals = more, .refusal_count = 2};
  assert_ok(os_retry_outcomes_take(&outcomes, &batch, &test_error));
  write_down();
  assert_string_equal(row_is(4), "1|0|0|t"); /* one of the three got in */
  assert_string_equal(row_is(5), "0|0|404|other_exception");
  assert_int_equal(result.resolved, 3); /* rows 1, 4 and 6, which was deleted meanwhile */
  assert_int_equal(result.superseded, 2);
  assert_int_equal(result.refused_again, 2);
  assert_int_equal(job.figures.documents_created, 1);
  assert_int_equal(job.figures.documents_updated, 1);
  assert_int_equal(job.figures.documents_noop, 1);
  assert_int_equal(job.figures.documents_already, 4);
  assert_int_equal(job.figures.documents_failed, 2);
  assert_int_equal(outcomes.count, 0);
  os_retry_outcomes_free(&outcomes);
}

/* With overwrite nothing depends on what stood there: a missing document is the record's own trouble. */
static void test_overwrite(void **state) {
  (void)state;
  begin_outcomes(true);
  expect(1, 1);
  struct os_settled settled[] = {{0, OS_REFUSED}};
  struct os_refusal refusals[] = {
      {.offset = 0, .status = 404, .type = "document_missing_exception", .reason = "gone"}};
  struct os_batch batch = {.settled = settled, .settled_count = 1, .refusals = refusals, .refusal_count = 1};
  assert_ok(os_retry_outcomes_take(&outcomes, &batch, &test_error));
  write_down();
  assert_string_equal(row_is(1), "0|0|404|document_missing_exception");
  os_retry_outcomes_free(&outcomes);
}

/* Every allocation of ours fails once. */
static void test_no_memory(void **state) {
  (void)state;
  struct os_settled settled[] = {{0, OS_REFUSED}};
  struct os_refusal refusals[] = {{.offset = 0, .status = 400, .type = "x", .reason = "y"}};
  struct os_batch batch = {.settled = settled, .settled_count = 1, .refusals = refusals, .refusal_count = 1};
  put(1, "i", 7);
  for (long n = 0;; n++) {
    struct os_retry_rows rows;
    struct os_failed_row row = {0};
    bool found = false;
    outcomes = (struct os_retry_outcomes){.job = &job, .result = &result};
    job = (struct os_job){.ledger = ledger, .number = 9};
    os_error_clear(&test_error);
    os_alloc_fail_after(n, 1);
    long before = os_alloc_count();
    int rc = os_retry_rows_begin(&rows, ledger, 0, "http://127.0.0.1:9200", true, &test_error);
    if (rc == OS_OK) rc = os_retry_rows_next(&rows, "i", 0, &row, &found, &test_error);
    if (rc == OS_OK) rc = os_retry_outcomes_open(&outcomes, row.id, &test_error);
    if (rc == OS_OK) {
      outcomes.states[0].pending = 1;
      outcomes.states[0].built = true;
      outcomes.under_way = 1;
      rc = os_retry_outcomes_take(&outcomes, &batch, &test_error);
    }
    long made = os_alloc_count() - before;
    os_alloc_fail_after(-1, 0);
    os_failed_row_free(&row);
    os_retry_outcomes_free(&outcomes);
    if (made <= n) {
      assert_ok(rc);
      return;
    }
    assert_int_equal(rc, OS_ERR_NOMEM);
    assert_int_equal(test_error.code, OS_ERR_NOMEM);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_order, setup, teardown),
      cmocka_unit_test_setup_teardown(test_indices, setup, teardown),
      cmocka_unit_test_setup_teardown(test_row, setup, teardown),
      cmocka_unit_test_setup_teardown(test_outcomes, setup, teardown),
      cmocka_unit_test_setup_teardown(test_overwrite, setup, teardown),
      cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
