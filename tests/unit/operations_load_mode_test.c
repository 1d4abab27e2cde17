/* operations_load_mode_test.c - which mode `auto` chooses and what each mode may not do, without a ledger. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/alloc.h"
#include "operations/load/load.h"

enum { MOST = 4 };

static struct os_error error;

/* One letter a file: i carries the id, n does not, e is empty, s is a stream without ids. */
static int decide(const char *files, int64_t count_before, struct os_load_request *request,
                  const struct os_load_target *target, struct os_load *load, json_t **checks) {
  struct os_source sources[MOST] = {{0}};
  struct os_load_shared shared = {.list = {.parts = {sources}, .count = strlen(files)}};
  static struct os_load_file decided[MOST];
  static char path[] = "/data/x.csv";
  struct os_job job = {.checks = json_array()};
  memset(decided, 0, sizeof decided);
  for (size_t i = 0; files[i]; i++) {
    decided[i].carries_id = files[i] == 'i';
    decided[i].empty = files[i] == 'e';
    sources[i].is_stream = files[i] == 's';
    sources[i].path = path;
    sources[i].name = path + 6;
    sources[i].start_line = 1;
  }
  request->index = "flights";
  request->path = "/data";
  *load = (struct os_load){
      .request = request, .job = &job, .shared = &shared, .files = decided, .target = *target};
  load->target.count_before = count_before;
  os_error_clear(&error);
  int rc = os_load_step_mode(load, &error);
  for (size_t i = 0; files[i]; i++) {
    assert_true(rc || decided[i].why); /* what is done with a file is always said */
    if (!rc && request->mode == OS_MODE_RESUME) assert_true(sources[i].maybe_sent);
    if (decided[i].why_made) os_free((char *)decided[i].why);
  }
  *checks = job.checks;
  load->shared = NULL;
  return rc;
}

static void audit_says(json_t *checks, const char *verdict, const char *words) {
  json_t *entry = json_array_get(checks, 0);
  assert_int_equal(json_array_size(checks), 1);
  assert_string_equal(json_string_value(json_object_get(entry, "verdict")), verdict);
  const char *detail = json_string_value(json_object_get(entry, "detail"));
  if (!strstr(detail, words)) fail_msg("no '%s' in %s", words, detail);
  json_decref(checks);
}

static void what_auto_chooses(void **state) {
  (void)state;
  static const struct {
    const char *files;
    int64_t count;
    int mode; /* -1: refused */
    const char *words;
  } cases[] = {{"i", 0, OS_MODE_UPSERT, "every file carries _id"},
               {"ii", 7, OS_MODE_UPSERT, "every file carries _id"},
               {"ie", 7, OS_MODE_UPSERT, "every file carries _id"},
               {"i", -1, OS_MODE_UPSERT, "every file carries _id"},
               {"n", 0, OS_MODE_FRESH, "the index is empty"},
               {"nen", 0, OS_MODE_FRESH, "the index is empty"},
               {"s", 0, OS_MODE_FRESH, "the index is empty"},
               {"n", 7, -1, "flights holds 7 documents already"},
               {"ni", 0, -1, "1 of 2 files carry the id field _id"},
               {"inie", 7, -1, "2 of 3 files carry the id field _id"},
               {"n", -1, -1, "cannot be read"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_load_request request = {.mode = OS_MODE_AUTO};
    struct os_load_target target = {.uuid = "u"};
    struct os_load load;
    json_t *checks;
    int rc = decide(cases[i].files, cases[i].count, &request, &target, &load, &checks);
    if (cases[i].mode < 0) {
      assert_int_equal(rc, OS_ERR_GUARD);
      if (!strstr(error.text, cases[i].words)) fail_msg("case %zu: %s", i, error.text);
      assert_true(error.advice[0] != 0); /* what there is to choose from */
      audit_says(checks, "fail", cases[i].words);
    } else {
      if (rc) fail_msg("case %zu: %s", i, error.text);
      assert_int_equal(load.mode, cases[i].mode);
      assert_int_equal(load.to_load, strlen(cases[i].files));
      audit_says(checks, "pass", cases[i].words);
    }
  }
}

static void what_a_mode_may_not_do(void **state) {
  (void)state;
  static const struct {
    const char *files;
    struct os_load_request request;
    struct os_load_target target;
    int64_t count;
    int rc;
    const char *words;
  } cases[] = {
      {"n", {.mode = OS_MODE_FRESH}, {.data_stream = true}, 5, OS_ERR_GUARD, "data stream"},
      {"n", {.mode = OS_MODE_FRESH}, {.write_alias = true}, 5, OS_ERR_GUARD, "rollover alias"},
      {"n", {.mode = OS_MODE_FRESH}, {.uuid = "u"}, -1, OS_ERR_GUARD, "could not be checked"},
      {"n", {.mode = OS_MODE_FRESH, .allow_unverified = true}, {.uuid = "u"}, -1, OS_OK, ""},
      {"n", {.mode = OS_MODE_APPEND}, {.data_stream = true}, 5, OS_OK, ""},
      {"n",
       {.mode = OS_MODE_APPEND, .tune_index = true, .allow_live = true},
       {.uuid = "u"},
       5,
       OS_ERR_ARGUMENT,
       "allow_live"},
      {"n",
       {.mode = OS_MODE_APPEND, .tune_index = true},
       {.uuid = ""},
       5,
       OS_ERR_GUARD,
       "settings of flights"},
      {"n", {.mode = OS_MODE_APPEND, .tune_index = true}, {.uuid = "u"}, 5, OS_OK, ""},
      {"s", {.mode = OS_MODE_RESUME}, {.uuid = "u"}, 5, OS_ERR_GUARD, "cannot be resumed"},
      {"ni", {.mode = OS_MODE_RESUME}, {.uuid = "u"}, 5, OS_OK, ""},
      {"ni", {.mode = OS_MODE_UPSERT}, {.uuid = "u"}, 5, OS_OK, ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_load_request request = cases[i].request;
    struct os_load load;
    json_t *checks;
    int rc = decide(cases[i].files, cases[i].count, &request, &cases[i].target, &load, &checks);
    if (rc != cases[i].rc || !strstr(error.text, cases[i].words))
      fail_msg("case %zu: %d %s", i, rc, error.text);
    if (!rc) assert_int_equal(load.mode, request.mode);
    if (!rc) assert_non_null(strstr(load.mode_why, os_mode_name(request.mode)));
    json_decref(checks);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_auto_chooses),
      cmocka_unit_test(what_a_mode_may_not_do),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
