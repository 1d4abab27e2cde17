/* surface_command_test.c - the frame of a command inside a real SQLite: who may call it, how often it runs,
** what its arguments may be, what comes back, what the ledger keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "surface/command.h"
#include "surface/ledger_tables.h"

/* ---- commands to test with ---------------------------------------------------------------------- */

static int runs;

static int run_number(struct os_command *command) {
  return os_command_result_integer(command, ++runs);
}

static int run_text(struct os_command *command) {
  const char *text;
  int rc = os_command_text(command, 0, "word", &text);
  return rc == OS_OK ? os_command_result_text_take(command, os_strdup(text), strlen(text), false) : rc;
}

static int run_arguments(struct os_command *command) {
  int64_t whole;
  double real;
  const char *object = NULL, *optional = NULL;
  int rc = os_command_int(command, 0, "whole", 1, 10, &whole);
  if (rc == OS_OK) rc = os_command_real(command, 1, "real", 0, 1, &real);
  if (rc == OS_OK) rc = os_command_object_text(command, 2, "object", &object, NULL);
  if (rc == OS_OK) rc = os_command_optional_text(command, 3, "optional", &optional);
  return rc == OS_OK ? os_command_result_integer(command, (object != NULL) + 2 * (optional != NULL)) : rc;
}

static int run_job(struct os_command *command) {
  int rc = os_command_job_begin(command, "test", "some-index");
  if (rc == OS_OK) rc = os_command_audit(command, "guards", "first", "pass", false, "%d of %d", 1, 2);
  if (rc == OS_OK && os_options_bool(&command->options, "fail", false)) {
    os_fail(&command->error, OS_ERR_GUARD, "the second guard said no");
    os_advise(&command->error, "do something else");
    return os_command_guard_failed(command, "guards", "second");
  }
  if (rc == OS_OK)
    rc = os_command_result(command, os_options_text(&command->options, "status", "success"),
                           json_pack("{s:i}", "documents", 7), "Did %s.", "it");
  return rc;
}

static int run_wait(struct os_command *command) {
  for (int i = 0; i < 400; i++) {
    if (os_session_interrupted(command->session))
      return os_fail(&command->error, OS_ERR_INTERRUPTED, "interrupted at step %d", i);
    os_clock_sleep_ms(5);
  }
  return os_command_result_integer(command, 0);
}

static int run_silent_failure(struct os_command *command) {
  (void)command;
  return OS_ERR_NETWORK;
}

static const char *const statuses[] = {"success", "partial", NULL};
static const struct os_option job_options[] = {{"status", OS_OPT_WORD, 0, 0, statuses, NULL},
                                               {"fail", OS_OPT_BOOL, 0, 0, NULL, NULL},
                                               {NULL, 0, 0, 0, NULL, NULL}};
static const struct os_option_schema job_schema = {127, job_options};
static const struct os_option_schema wait_schema = {OS_COMMON_TIMEOUT, NULL};

static const struct os_command_info commands[] = {
    {"t_once", 0, 2, "([a [, b]])", 0, NULL, 0, run_number},
    {"t_again", 0, 1, "([a])", OS_COMMAND_REPEATABLE, NULL, 0, run_number},
    {"t_pure", 0, 0, "()", OS_COMMAND_REPEATABLE | OS_COMMAND_INNOCUOUS, NULL, 0, run_number},
    {"t_text", 1, 1, "(word)", OS_COMMAND_REPEATABLE, NULL, 0, run_text},
    {"t_arguments", 2, 4, "(whole, real [, object [, optional]])", OS_COMMAND_REPEATABLE, NULL, 0,
     run_arguments},
    {"t_job", 1, 2, "(secret [, options])", 0, &job_schema, 1, run_job},
    {"t_wait", 0, 1, "([options])", OS_COMMAND_REPEATABLE | OS_COMMAND_SHORT, &wait_schema, 0, run_wait},
    {"t_silent", 0, 0, "()", OS_COMMAND_REPEATABLE, NULL, 0, run_silent_failure},
};

/* ---- a connection with these commands ----------------------------------------------------------- */

struct box {
  sqlite3 *db;
  struct os_session *session;
  struct os_binding bindings[sizeof commands / sizeof *commands];
};

static int open_box(void **state) {
  struct box *box = calloc(1, sizeof *box);
  struct os_error error;
  setenv("OS_LEDGER", ":memory:", 1);
  setenv("LOG_LEVEL", "OFF", 1);
  setenv("OS_ENV_FILE", "/dev/null", 1);
  assert_int_equal(sqlite3_open(":memory:", &box->db), SQLITE_OK);
  assert_int_equal(os_session_new(&box->session, box->db, &error), OS_OK);
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    int flags =
        SQLITE_UTF8 | (commands[i].flags & OS_COMMAND_INNOCUOUS ? SQLITE_INNOCUOUS : SQLITE_DIRECTONLY);
    box->bindings[i] = (struct os_binding){box->session, &commands[i]};
    sqlite3_create_function_v2(box->db, commands[i].name, -1, flags, &box->bindings[i], os_command_dispatch,
                               NULL, NULL, NULL);
  }
  assert_int_equal(os_ledger_tables_register(box->db, box->session), SQLITE_OK);
  runs = 0;
  *state = box;
  return 0;
}

/* sqlite3_close(), not _v2: a statement that the session left open would show. */
static int close_box(void **state) {
  struct box *box = *state;
  assert_int_equal(sqlite3_close(box->db), SQLITE_OK);
  os_session_free(box->session);
  free(box);
  return 0;
}

static int last_code;

/* The values of all rows, joined: "1|2;3|4"; or the error's text. */
static const char *query(struct box *box, const char *sql) {
  static char out[8192];
  sqlite3_stmt *stmt;
  out[0] = '\0';
  last_code = sqlite3_prepare_v2(box->db, sql, -1, &stmt, NULL);
  while (last_code == SQLITE_OK || last_code == SQLITE_ROW) {
    last_code = sqlite3_step(stmt);
    if (last_code != SQLITE_ROW) break;
    if (out[0] != '\0') strcat(out, ";");
    for (int i = 0; i < sqlite3_column_count(stmt); i++) {
      const char *text = (const char *)sqlite3_column_text(stmt, i);
      snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s", i > 0 ? "|" : "",
               text != NULL ? text : "NULL");
    }
  }
  if (last_code != SQLITE_DONE) snprintf(out, sizeof out, "%s", sqlite3_errmsg(box->db));
  int code = sqlite3_finalize(stmt);
  if (last_code != SQLITE_DONE && code != SQLITE_OK) last_code = code;
  return out;
}

#define SAYS(sql, expected) assert_string_equal(query(box, sql), expected)

/* ---- tests -------------------------------------------------------------------------------------- */

/* Rule 10: SQLite evaluates t_once() twice for the flattened subquery; it must run once. */
static void runs_once_a_statement(void **state) {
  struct box *box = *state;
  SAYS("SELECT r FROM (SELECT t_once('a') AS r) WHERE r > 0", "1");
  assert_int_equal(runs, 1);
  SAYS("SELECT t_once('a')", "2"); /* the next execution is a new one */
  SAYS("SELECT t_once('a'), t_once('a'), t_once('b'), T_ONCE('a')", "3|3|4|3");
  SAYS("SELECT t_once(1), t_once('1'), t_once(1.0), t_once(NULL), t_once(x'31'), t_once('1', NULL)",
       "5|6|7|8|9|10");
  SAYS("SELECT t_once(c) FROM (SELECT 'x' AS c UNION ALL SELECT 'y' UNION ALL SELECT 'x')", "11;12;11");
  SAYS("SELECT t_again('a'), t_again('a')", "13|14");
}

static void runs_again_after_reset(void **state) {
  struct box *box = *state;
  sqlite3_stmt *stmt;
  assert_int_equal(sqlite3_prepare_v2(box->db, "SELECT t_once(?1)", -1, &stmt, NULL), SQLITE_OK);
  for (int i = 1; i <= 3; i++) {
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(stmt, 0), i);
    sqlite3_reset(stmt);
  }
  sqlite3_finalize(stmt);
}

/* Rule 5: SQLite 3.40 would let the CHECK run. */
static void refuses_schemas(void **state) {
  struct box *box = *state;
  query(box, "CREATE TABLE t(x, CHECK(t_again('a') > 0))");
  if (last_code == SQLITE_DONE) { /* newer SQLite refuses the table */
    query(box, "INSERT INTO t VALUES(1)");
    assert_int_equal(last_code, SQLITE_ERROR);
    SAYS("INSERT INTO t VALUES('t_again(') -- t_again(1)",
         "t_again: refused, because no running statement names it: a view, trigger or constraint of a "
         "database called "
         "it; call it in a statement of your own");
  }
  assert_int_equal(runs, 0);
  query(box, "CREATE VIEW v AS SELECT t_again('a')");
  query(box, "SELECT * FROM v");
  assert_int_not_equal(last_code, SQLITE_DONE);
  assert_int_equal(runs, 0);
  query(box, "CREATE VIEW w AS SELECT t_pure()");
  SAYS("SELECT * FROM w", "1");
  query(box, "CREATE TEMP VIEW x AS SELECT t_again('a')");
  query(box, "SELECT * FROM x");
  assert_int_equal(runs, 1);
}

static void arguments(void **state) {
  struct box *box = *state;
  SAYS("SELECT t_text()", "t_text: takes 1 argument, not 0; call t_text(word)");
  SAYS("SELECT t_arguments(1,2,3,4,5)",
       "t_arguments: takes 2 to 4 arguments, not 5; call t_arguments(whole, real [, object [, optional]])");
  SAYS("SELECT t_text('w')", "w");
  SAYS("SELECT t_text(NULL)", "t_text: argument 1 (word) is NULL, not text; call t_text(word)");
  SAYS("SELECT t_text(1)", "t_text: argument 1 (word) is an integer, not text; call t_text(word)");
  SAYS("SELECT t_text(x'61')", "t_text: argument 1 (word) is a blob, not text; call t_text(word)");
  SAYS("SELECT t_text('')", "t_text: argument 1 (word) is empty; call t_text(word)");
  SAYS("SELECT t_text('a' || char(0) || 'b')", "t_text: argument 1 (word) has a NUL character inside");
  SAYS("SELECT t_text(CAST(x'61ff' AS TEXT))", "t_text: argument 1 (word) is not valid UTF-8 at byte 2");
  SAYS("SELECT t_arguments(11, 0.5)", "t_arguments: argument 1 (whole) is 11, not from 1 to 10");
  SAYS("SELECT t_arguments(1, 9e999)", "t_arguments: argument 2 (real) is not from 0 to 1");
  SAYS("SELECT t_arguments(1, 1)", "0");
  SAYS("SELECT t_arguments(1, 1, '{\"a\":123456789012345678901234567890}', 'x')", "3");
  SAYS("SELECT t_arguments(1, 1, NULL, NULL)", "0");
  SAYS("SELECT t_arguments(1, 1, '[]')", "t_arguments: argument 3 (object) is not a JSON object");
  query(box, "SELECT t_arguments(1, 1, '{\"a\":')");
  assert_int_equal(last_code, SQLITE_ERROR);
  SAYS("SELECT t_job('s', NULL)", "t_job: options is NULL, not the text of a JSON object; write it as "
                                  "'{\"key\": value}', or leave the argument out");
  SAYS("SELECT t_silent()", "t_silent: failed (network) without saying why");
}

static void results_and_ledger(void **state) {
  struct box *box = *state;
  SAYS("SELECT t_job('hunter2')",
       "{\"status\":\"success\",\"message\":\"Did it.\",\"job\":1,\"response\":{\"documents\":7}}");
  SAYS("SELECT json_type(json_object('x', t_job('s')), '$.x')", "object"); /* the subtype */
  SAYS("SELECT t_job('s', '{\"dry_run\":true}') ->> '$.checks[0].detail'", "1 of 2");
  SAYS("SELECT t_job('s', '{\"status\":\"partial\"}') ->> '$.status'", "partial");
  SAYS("SELECT t_job('s', '{\"status\":\"partial\",\"on_partial\":\"error\"}')",
       "t_job: only a part was done: Did it.; it is an error because of {\"on_partial\":\"error\"}; see "
       "dlq_failures");
  SAYS("SELECT t_job('s', '{\"fail\":true,\"correlation_id\":\"c7\"}')",
       "t_job: the second guard said no; do something else");
  SAYS("SELECT group_concat(status) FROM (SELECT status FROM os_jobs ORDER BY job)",
       "success,success,success,partial,partial,failed");
  SAYS("SELECT kind, index_name, arguments, response, error FROM os_jobs WHERE job = 1",
       "test|some-index|{\"secret\":\"********\"}|{\"documents\":7}|NULL");
  SAYS("SELECT error, arguments FROM os_jobs WHERE job = 6",
       "the second guard said no; do something else|"
       "{\"secret\":\"********\",\"options\":{\"fail\":true,\"correlation_id\":\"c7\"}}");
  SAYS("SELECT step, check_name, verdict, detail FROM os_audit WHERE job = 6",
       "guards|first|pass|1 of 2;guards|second|fail|the second guard said no; do something else");
}

static int stop_at_once(void *calls) {
  return ++*(int *)calls > 1;
}

/* Rule 7: the application's progress handler stops a command, and the code is SQLite's own. */
static void interruption(void **state) {
  struct box *box = *state;
  int calls = 0;
  sqlite3_progress_handler(box->db, 100, stop_at_once, &calls);
  const char *text = query(box, "SELECT t_wait()");
  assert_non_null(strstr(text, "t_wait: interrupted at step "));
  assert_non_null(strstr(text, "; run it again"));
  assert_int_equal(last_code, SQLITE_INTERRUPT);
  sqlite3_progress_handler(box->db, 0, NULL, NULL);
  SAYS("SELECT t_again()", "1"); /* it is over with that command */
}

static void deadline(void **state) {
  struct box *box = *state;
  double start = os_clock_monotonic();
  const char *text = query(box, "SELECT t_wait('{\"timeout\":0.1}')");
  assert_memory_equal(text, "t_wait: option 'timeout' (0.100 s) ran out: ", 42);
  assert_int_equal(last_code, SQLITE_ERROR);
  assert_true(os_clock_monotonic() - start < 1.5);
}

#ifdef OS_TEST_ALLOC
/* Every allocation fails once: an error each time, never a crash, and what works afterwards works. */
static void lack_of_memory(void **state) {
  struct box *box = *state;
  query(box, "SELECT t_job('s')"); /* the ledger is there */
  int failed = 0;
  for (long n = 0; n < 400; n++) {
    os_alloc_fail_after(n, 1);
    query(box, "SELECT t_job('s', '{\"dry_run\":true}') ->> '$.status'");
    os_alloc_fail_after(-1, 0);
    if (last_code == SQLITE_DONE) break;
    failed++;
  }
  assert_int_equal(last_code, SQLITE_DONE);
  assert_true(failed > 10);
}
#endif

static void index_names(void **state) {
  (void)state;
  static const char *const good[] = {"a", "products-v3", ".hidden", "a.b_c", "\xc3\xa9t\xc3\xa9", "1"};
  static const char *const bad[] = {"",    "*",   "a*",  "a?",  "a,b", "_all", "_x",  "-x",  "+x", "A", "a b",
                                    "a/b", "a\\", "a\"", "<a>", "a|b", "a#b",  "a:b", "a\n", ".",  ".."};
  struct os_error error;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    assert_int_equal(os_command_check_index_name(good[i], &error), OS_OK);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(os_command_check_index_name(bad[i], &error), OS_ERR_ARGUMENT);
  char name[300];
  memset(name, 'a', sizeof name);
  name[255] = '\0';
  assert_int_equal(os_command_check_index_name(name, &error), OS_OK);
  name[255] = 'a';
  name[256] = '\0';
  assert_int_equal(os_command_check_index_name(name, &error), OS_ERR_ARGUMENT);
}

#define BOXED(test) cmocka_unit_test_setup_teardown(test, open_box, close_box)

int main(void) {
  const struct CMUnitTest tests[] = {
      BOXED(runs_once_a_statement),  BOXED(runs_again_after_reset), BOXED(refuses_schemas), BOXED(arguments),
      BOXED(results_and_ledger),     BOXED(interruption),           BOXED(deadline),
#ifdef OS_TEST_ALLOC
      BOXED(lack_of_memory),
#endif
      cmocka_unit_test(index_names),
  };
  return cmocka_run_group_tests_name("surface/command", tests, NULL, NULL);
}
