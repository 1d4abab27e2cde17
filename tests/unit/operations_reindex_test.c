/* operations_reindex_test.c - what a copy asks for, what a target is made from, and how much disk a watermark keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "cluster/disk.h"
#include "operations/index_definition.h"
#include "operations/reindex/task.h"
#include "operations/reindex/watch.h"

static struct os_error error;

static json_t *parse(const char *text) {
  json_t *value = os_json_parse(text, strlen(text), 0, "test", &error);
  assert_non_null(value);
  return value;
}

static void assert_json(json_t *value, const char *expected) {
  json_t *wanted = parse(expected);
  char *text = os_json_text(value);
  if (!json_equal(value, wanted)) assert_string_equal(text, expected);
  os_free(text);
  json_decref(value);
  json_decref(wanted);
}

/* ---- the request ---- */

static void the_body(void **state) {
  (void)state;
  json_t *query = parse("{\"term\":{\"a\":1}}"), *script = parse("{\"source\":\"x\"}");
  struct os_reindex_work work = {.source = "a", .target = "b"};
  assert_json(os_reindex_body(&work, false), "{\"source\":{\"index\":\"a\"},\"dest\":{\"index\":\"b\"}}");
  /* what is missing: nothing that is there is overwritten, and none of it is a failure */
  assert_json(os_reindex_body(&work, true),
              "{\"source\":{\"index\":\"a\"},\"dest\":{\"index\":\"b\",\"op_type\":\"create\"},"
              "\"conflicts\":\"proceed\"}");
  work.query = query;
  work.script = script;
  work.pipeline = "_none";
  work.create_only = true;
  assert_json(os_reindex_body(&work, false), "{\"source\":{\"index\":\"a\",\"query\":{\"term\":{\"a\":1}}},"
                                             "\"dest\":{\"index\":\"b\",\"pipeline\":\"_none\","
                                             "\"op_type\":\"create\"},\"script\":{\"source\":\"x\"}}");
  json_decref(query);
  json_decref(script);
}

static void no_memory_for_the_body(void **state) {
  (void)state;
  struct os_reindex_work work = {.source = "a", .target = "b", .pipeline = "p", .proceed = true};
  os_alloc_fail_after(0, 0);
  char *path = os_reindex_path(&work);
  os_alloc_fail_after(-1, 0);
  assert_null(path);
}

static void slices(void **state) {
  (void)state;
  static const struct {
    int slices;
    int64_t documents;
    double rate;
    const char *path;
  } cases[] = {{0, -1, 0, ""},
               {0, 0, 0, ""},
               {0, 9999, 0, ""},
               {0, 10000, 0, "&slices=auto"},
               {1, 1000000, 0, ""},
               {5, 0, 0, ""} /* 400 */,
               {5, 10, 0, "&slices=5"},
               {5, -1, 0, "&slices=5"},
               {0, 1, 0.5, "&requests_per_second=0.5"},
               {2, 1, 500, "&slices=2&requests_per_second=500.0"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_reindex_work work = {.source = "a",
                                   .target = "b",
                                   .slices = cases[i].slices,
                                   .documents = cases[i].documents,
                                   .requests_per_second = cases[i].rate};
    char expected[128], *path = os_reindex_path(&work);
    snprintf(expected, sizeof expected, "/_reindex?wait_for_completion=false%s", cases[i].path);
    assert_string_equal(path, expected);
    os_free(path);
  }
}

static void figures(void **state) {
  (void)state;
  json_t *status =
      parse("{\"total\":7,\"created\":1,\"updated\":2,\"deleted\":1,\"noops\":1,\"version_conflicts\":2}");
  struct os_reindex_figures f = {.continued = true};
  os_reindex_read_figures(status, &f);
  assert_true(f.total == 7 && f.created == 1 && f.updated == 2 && f.deleted == 1 && f.noops == 1 &&
              f.version_conflicts == 2);
  assert_true(f.continued);
  json_decref(status);
}

/* ---- what a target is made from ---- */

static const char got[] =
    "{\"aliases\":{\"x\":{}},\"settings\":{\"index\":{\"uuid\":\"u\",\"creation_date\":\"1\",\"provided_"
    "name\":\"a\",\"version\":{"
    "\"created\":\"2\"},\"blocks\":{\"write\":\"true\"},\"resize\":{\"source\":{\"name\":\"z\"}},\"number_of_"
    "shards\":\"3\","
    "\"mapping\":{\"total_fields\":{\"limit\":\"5000\"}},\"routing\":{\"allocation\":{\"initial_recovery\":{"
    "\"_id\":\"n\"},"
    "\"require\":{\"zone\":\"a\"}}}}},\"mappings\":{\"properties\":{\"f\":{\"type\":\"keyword\"}}}}";

static void definition(void **state) {
  (void)state;
  json_t *answer = parse(got);
  assert_json(os_index_definition(answer), "{\"settings\":{\"index\":{\"number_of_shards\":\"3\",\"mapping\":"
                                           "{\"total_fields\":{\"limit\":\"5000\"}},"
                                           "\"routing\":{\"allocation\":{\"require\":{\"zone\":\"a\"}}}}},"
                                           "\"mappings\":{\"properties\":{\"f\":{\"type\":"
                                           "\"keyword\"}}}}");
  assert_string_equal(os_json_string(answer, "settings/index/uuid", ""),
                      "u"); /* what was read stays as it is */
  json_decref(answer);
  answer = parse("{}");
  assert_null(os_index_definition(answer));
  json_decref(answer);
}

static void overridden(void **state) {
  (void)state;
  static const struct {
    const char *wanted, *settings;
  } cases[] = {
      {"{\"settings\":{\"number_of_shards\":1}}",
       "{\"number_of_shards\":1,\"mapping\":{\"total_fields\":{\"limit\":\"5000\"}}}"},
      {"{\"settings\":{\"index.number_of_shards\":1}}",
       "{\"number_of_shards\":1,\"mapping\":{\"total_fields\":{\"limit\":\"5000\"}}}"},
      {"{\"settings\":{\"index\":{\"number_of_shards\":1}}}",
       "{\"number_of_shards\":1,\"mapping\":{\"total_fields\":{\"limit\":\"5000\"}}}"},
      {"{\"settings\":{\"number_of_shards\":null}}", "{\"mapping\":{\"total_fields\":{\"limit\":\"5000\"}}}"},
      {"{\"settings\":{\"mapping.total_fields.limit\":9}}",
       "{\"number_of_shards\":\"3\",\"mapping\":{\"total_fields\":{}},"
       "\"mapping.total_fields.limit\":9}"},
      {"{\"settings\":{\"index\":{\"mapping\":{\"total_fields\":{\"limit\":null}}}}}",
       "{\"number_of_shards\":\"3\",\"mapping\":{\"total_fields\":{}}}"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_t *made = parse("{\"settings\":{\"index\":{\"number_of_shards\":\"3\",\"mapping\":{\"total_fields\":"
                         "{\"limit\":\"5000\"}}}},"
                         "\"mappings\":{}}");
    json_t *wanted = parse(cases[i].wanted);
    assert_int_equal(os_index_definition_override(made, wanted, &error), OS_OK);
    assert_json(json_incref((json_t *)(uintptr_t)os_json_at(made, "settings/index")), cases[i].settings);
    json_decref(made);
    json_decref(wanted);
  }
}

static void overridden_wrongly(void **state) {
  (void)state;
  static const char *const wrong[] = {"{\"aliases\":{}}", "{\"settings\":[]}", "{\"mappings\":7}"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    json_t *made = parse("{\"settings\":{\"index\":{}},\"mappings\":{}}"), *wanted = parse(wrong[i]);
    assert_int_equal(os_index_definition_override(made, wanted, &error), OS_ERR_ARGUMENT);
    assert_non_null(strstr(error.advice, "mappings"));
    json_decref(made);
    json_decref(wanted);
  }
}

/* ---- on another cluster ---- */

static void definition_elsewhere(void **state) {
  (void)state;
  static const char text[] =
      "{\"settings\":{\"index\":{\"number_of_shards\":\"3\",\"refresh_interval\":\"7s\",\"default_pipeline\":"
      "\"p\","
      "\"final_pipeline\":\"q\",\"lifecycle\":{\"name\":\"l\"},\"knn\":\"true\",\"mapping\":{\"coerce\":"
      "\"false\"},"
      "\"routing\":{\"allocation\":{\"require\":{\"box\":\"hot\"}},\"rebalance\":\"x\"},"
      "\"analysis\":{\"analyzer\":{}}}},\"mappings\":{\"dynamic\":\"strict\"}}";
  json_t *made = parse(text);
  os_index_definition_elsewhere(made, false);
  assert_json(
      made,
      "{\"settings\":{\"index\":{\"number_of_shards\":\"3\",\"refresh_interval\":\"7s\",\"knn\":\"true\","
      "\"mapping\":{\"coerce\":\"false\"},\"routing\":{\"rebalance\":\"x\"},"
      "\"analysis\":{\"analyzer\":{}}}},\"mappings\":{\"dynamic\":\"strict\"}}");
  made = parse(text);
  os_index_definition_elsewhere(made, true);
  assert_json(made, "{\"settings\":{\"index\":{\"knn\":\"true\",\"mapping\":{\"coerce\":\"false\"},"
                    "\"analysis\":{\"analyzer\":{}}}},\"mappings\":{\"dynamic\":\"strict\"}}");
}

/* A copy that was broken off can be gone on with only when its documents have the same ids on both sides. */
static void ids_are_kept(void **state) {
  (void)state;
  json_t *script = parse("{\"source\":\"x\"}");
  struct os_reindex_work plain = {.source = "a", .target = "b"}, work;
  assert_true(os_reindex_keeps_ids(&plain));
  work = plain, work.pipeline = "_none";
  assert_true(os_reindex_keeps_ids(&work));
  work = plain, work.pipeline = "p";
  assert_false(os_reindex_keeps_ids(&work));
  work = plain, work.script = script;
  assert_false(os_reindex_keeps_ids(&work));
  work = plain, work.changes_ids = true;
  assert_false(os_reindex_keeps_ids(&work));
  work = plain, work.no_ids = true;
  assert_false(os_reindex_keeps_ids(&work));
  json_decref(script);
}

/* ---- room ---- */

static void watermarks(void **state) {
  (void)state;
  static const struct {
    const char *watermark;
    bool understood;
    int64_t reserve;
  } cases[] = {{"85%", true, 150},     {"0.85", true, 150},       {"100%", true, 0},
               {"99.5%", true, 5},     {"500b", true, 1000},      {"1kb", true, 2048},
               {"2mb", true, 4194304}, {"1GB", true, 2147483648}, {"", false, 0},
               {"nonsense", false, 0}, {"120%", false, 0},        {"-1%", false, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t reserve = 0;
    assert_int_equal(os_disk_reserve(cases[i].watermark, 1000, 2, &reserve), cases[i].understood);
    assert_in_range(reserve + 1, cases[i].reserve, cases[i].reserve + 2); /* a share of a double */
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_body),
                                     cmocka_unit_test(no_memory_for_the_body),
                                     cmocka_unit_test(slices),
                                     cmocka_unit_test(figures),
                                     cmocka_unit_test(definition),
                                     cmocka_unit_test(overridden),
                                     cmocka_unit_test(overridden_wrongly),
                                     cmocka_unit_test(definition_elsewhere),
                                     cmocka_unit_test(ids_are_kept),
                                     cmocka_unit_test(watermarks)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
