/* What a report is told of a job: everything the ledger has, within bounds, any bytes as they are. */
#include "ledger_support.h"
#include "base/json.h"
#include "ledger/facts.h"

static void put_failure(struct os_ledger *ledger, int64_t job, const char *type, int64_t offset,
                        const char *raw, size_t len) {
  struct os_failure failure = {.job = job,
                               .index_name = "i",
                               .file = "a.csv",
                               .line = offset,
                               .byte_offset = offset,
                               .status = 400,
                               .error_type = type,
                               .error_reason = "no",
                               .raw = raw,
                               .raw_len = (int64_t)len};
  assert_ok(os_ledger_failure_put(ledger, &failure, &test_error));
}

static json_t *facts_of(struct os_ledger *ledger, int64_t job) {
  json_t *facts = NULL;
  assert_ok(os_ledger_job_facts(ledger, job, &facts, &test_error));
  return facts;
}

static size_t size_of(const json_t *facts, const char *list) {
  return json_array_size(json_object_get(facts, list));
}

static void test_all_that_is_known(void **state) {
  (void)state;
  static const char bytes[] = "a\xff\0b";
  struct os_ledger *ledger = open_ledger("l.db");
  struct os_job_begin begin = {.kind = "bulk_load", .index_name = "idx", .settings = "[{\"name\":\"N\"}]"};
  struct os_job_figures figures = {
      .documents_read = 7, .documents_failed = 2, .count_before = -1, .count_after = 5};
  struct os_job_file file = {.file = "a.csv", .status = "partial", .documents = 7, .failed = 2, .size = 99};
  int64_t job, id;
  assert_ok(os_ledger_job_begin(ledger, &begin, &job, &test_error));
  file.job = job;
  assert_ok(os_ledger_file_add(ledger, &file, &id, &test_error));
  assert_ok(os_ledger_audit(ledger, job, "guard", "alias", "pass", "none", false, &test_error));
  put_failure(ledger, job, "t", 1, bytes, sizeof bytes - 1);
  assert_ok(os_ledger_job_progress(ledger, job, &figures, &test_error));
  json_t *facts = facts_of(ledger, job);
  assert_string_equal(os_json_string(facts, "job/status", ""), "running");
  assert_int_equal(os_json_int(facts, "job/documents_read", 0), 7);
  assert_string_equal(os_json_string(facts, "job/settings", ""), "[{\"name\":\"N\"}]");
  assert_true(json_is_null(os_json_at(facts, "job/count_before")));
  assert_int_equal(size_of(facts, "samples"), 1);
  assert_int_equal(size_of(facts, "files"), 1);
  assert_int_equal(size_of(facts, "states"), 1);
  assert_int_equal(size_of(facts, "checks"), 1);
  assert_int_equal(os_json_int(facts, "check_count", 0), 1);
  assert_int_equal(os_json_int(facts, "reason_count", 0), 1);
  const json_t *example = json_array_get(json_object_get(facts, "examples"), 0);
  assert_int_equal(json_string_length(json_object_get(example, "raw")), sizeof bytes - 1);
  assert_memory_equal(json_string_value(json_object_get(example, "raw")), bytes, sizeof bytes - 1);
  assert_int_equal(os_json_int(example, "raw_len", 0), sizeof bytes - 1);
  json_decref(facts);
  os_ledger_free(ledger);
}

static void test_bounds(void **state) {
  (void)state;
  static char large[100000];
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "bulk_load", NULL), id;
  memset(large, 'x', sizeof large);
  assert_ok(os_ledger_begin(ledger, &test_error));
  for (int i = 0; i < 1000; i++) {
    char type[16];
    snprintf(type, sizeof type, "t%d", i % 60);
    put_failure(ledger, job, type, i, large, i < 60 ? sizeof large : 1);
    struct os_job_file file = {.job = job, .file = "f", .status = i == 999 ? "failed" : "success"};
    assert_ok(os_ledger_file_add(ledger, &file, &id, &test_error));
    assert_ok(os_ledger_audit(ledger, job, "s", "c", "did", NULL, false, &test_error));
  }
  json_t *facts = facts_of(ledger, job); /* inside a transaction, too */
  assert_ok(os_ledger_commit(ledger, &test_error));
  assert_int_equal(size_of(facts, "files"), OS_FACTS_FILES);
  assert_string_equal(os_json_string(json_array_get(json_object_get(facts, "files"), 0), "status", ""),
                      "failed");
  assert_int_equal(size_of(facts, "checks"), OS_FACTS_CHECKS);
  assert_int_equal(os_json_int(facts, "check_count", 0), 1000);
  assert_int_equal(size_of(facts, "reasons"), OS_FACTS_REASONS);
  assert_int_equal(os_json_int(facts, "reason_count", 0), 60);
  assert_int_equal(size_of(facts, "examples"), 60 * OS_FACTS_EXAMPLES);
  size_t i;
  json_t *example;
  bool cut = false;
  json_array_foreach(json_object_get(facts, "examples"), i, example) {
    size_t len = json_string_length(json_object_get(example, "raw"));
    assert_true(len == 1 || len == OS_FACTS_EXCERPT);
    if (len > 1) assert_int_equal(os_json_int(example, "raw_len", 0), sizeof large);
    cut |= len > 1;
  }
  assert_true(cut);
  json_decref(facts);
  os_ledger_free(ledger);
}

/* What a file may hold although we do not write it: a number that JSON has no word for, an empty blob. */
static void test_values_as_they_may_be(void **state) {
  (void)state;
  static char large[OS_FACTS_TEXT + 100];
  struct os_ledger *ledger = open_ledger("l.db");
  int64_t job = begin_job(ledger, "bulk_load", NULL), id;
  struct os_job_file file = {.job = job, .file = "f", .status = "running"};
  assert_ok(os_ledger_file_add(ledger, &file, &id, &test_error));
  ask(ledger, "UPDATE job_file SET seconds = 9e999");
  memset(large, 'x', sizeof large - 1);
  struct os_failure failure = {.job = job,
                               .index_name = "i",
                               .line = -1,
                               .byte_offset = -1,
                               .error_reason = large,
                               .document = "{\"a\":1}",
                               .document_len = -1,
                               .raw = "",
                               .raw_len = 0};
  assert_ok(os_ledger_failure_put(ledger, &failure, &test_error));
  json_t *facts = facts_of(ledger, job);
  const json_t *its_file = json_array_get(json_object_get(facts, "files"), 0);
  const json_t *example = json_array_get(json_object_get(facts, "examples"), 0);
  assert_true(json_is_null(json_object_get(its_file, "seconds")));
  assert_string_equal(os_json_string(example, "raw", "?"), "");
  assert_string_equal(os_json_string(example, "document", "?"), "{\"a\":1}");
  assert_int_equal(strlen(os_json_string(example, "error_reason", "")), OS_FACTS_TEXT);
  json_decref(facts);
  os_ledger_free(ledger);
}

static void test_no_such_job(void **state) {
  (void)state;
  json_t *facts = NULL;
  struct os_ledger *ledger = open_ledger("l.db");
  assert_int_equal(os_ledger_job_facts(ledger, 5, &facts, &test_error), OS_ERR_NOT_FOUND);
  assert_null(facts);
  assert_error_has("no job 5");
  assert_error_has("os_jobs");
  begin_job(ledger, "x", NULL); /* no transaction was left open */
  os_ledger_free(ledger);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)
  const struct CMUnitTest tests[] = {TEST(test_all_that_is_known), TEST(test_bounds),
                                     TEST(test_values_as_they_may_be), TEST(test_no_such_job)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
