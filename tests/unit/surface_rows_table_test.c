/* surface_rows_table_test.c - tables whose rows are made at once: plans, parameters, updates, and
** os_settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "surface/functions.h"

static int fill_echo(struct os_rows_call *call) {
  const char *text;
  int rc = os_rows_text(call, 0, "what", &text);
  for (int i = 0; i < 3 && rc == OS_OK; i++)
    if (json_array_append_new(call->rows, json_pack("{s:i, s:s, s:b, s:[i], s:n}", "n", i, "text", text,
                                                    "flag", i == 1, "list", i, "nothing")) != 0)
      rc = os_fail_nomem(call->error);
  return rc;
}

static const char *const columns[] = {"n", "text", "flag", "list", "nothing", NULL};
static const char *const types[] = {"INTEGER", "TEXT", "INTEGER", "TEXT", "TEXT"};
static const char *const parameters[] = {"what", "where_", NULL};
static const struct os_rows_table echo = {.name = "echo",
                                          .columns = columns,
                                          .types = types,
                                          .parameters = parameters,
                                          .required = 1,
                                          .fill = fill_echo};

/* A row for each name, the patterns it was asked with, and whether the last column was wanted. */
static bool wanted;

static int fill_names(struct os_rows_call *call) {
  static const char *const names[] = {"alpha", "beta", "Gamma", "x,y"};
  int rc = OS_OK;
  wanted = os_rows_uses(call, "costly");
  for (size_t i = 0; i < sizeof names / sizeof *names && rc == OS_OK; i++)
    if (json_array_append_new(call->rows, json_pack("{s:s, s:s, s:s, s:b}", "index", names[i], "asked",
                                                    call->pattern[0] != NULL ? call->pattern[0] : "-", "also",
                                                    call->pattern[1] != NULL ? call->pattern[1] : "-",
                                                    "costly", (int)wanted)) != 0)
      rc = os_fail_nomem(call->error);
  return rc;
}

static const char *const name_columns[] = {"index", "asked", "also", "costly", NULL};
static const char *const name_types[] = {"TEXT", "TEXT", "TEXT", "INTEGER"};
static const char *const name_parameters[] = {"connection", NULL};
static const struct os_rows_filter name_filters[] = {
    {"index", OS_FILTER_LOWER}, {"also", OS_FILTER_EXACT}, {NULL, 0}};
static const struct os_rows_table names_table = {.name = "names",
                                                 .columns = name_columns,
                                                 .types = name_types,
                                                 .parameters = name_parameters,
                                                 .filters = name_filters,
                                                 .synonym = "index_name",
                                                 .synonym_of = "index",
                                                 .fill = fill_names};

static sqlite3 *db;
static struct os_session *session;
static struct os_rows_binding bindings[4];

static int set_up(void **state) {
  (void)state;
  static const struct os_rows_table *const tables[] = {&echo, &os_table_settings, &os_table_connections,
                                                       &names_table};
  struct os_error error;
  setenv("OS_ENV_FILE", "/dev/null", 1);
  assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
  assert_int_equal(os_session_new(&session, db, &error), OS_OK);
  for (int i = 0; i < 4; i++) {
    bindings[i] = (struct os_rows_binding){session, tables[i]};
    assert_int_equal(sqlite3_create_module_v2(db, tables[i]->name, &os_rows_module, &bindings[i], NULL),
                     SQLITE_OK);
  }
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  assert_int_equal(sqlite3_close(db), SQLITE_OK);
  os_session_free(session);
  return 0;
}

/* The values of all rows, joined: "1|2;3|4"; or the error's text. */
static const char *query(const char *sql) {
  static char out[8192];
  sqlite3_stmt *stmt;
  out[0] = '\0';
  int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    if (out[0] != '\0') strcat(out, ";");
    for (int i = 0; i < sqlite3_column_count(stmt); i++) {
      const char *text = (const char *)sqlite3_column_text(stmt, i);
      snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s", i > 0 ? "|" : "",
               text != NULL ? text : "NULL");
    }
    rc = SQLITE_OK;
  }
  if (rc != SQLITE_DONE) snprintf(out, sizeof out, "%s", sqlite3_errmsg(db));
  sqlite3_finalize(stmt);
  return out;
}

#define SAYS(sql, expected) assert_string_equal(query(sql), expected)

static void rows_and_parameters(void **state) {
  (void)state;
  SAYS("SELECT * FROM echo('a')", "0|a|0|[0]|NULL;1|a|1|[1]|NULL;2|a|0|[2]|NULL");
  SAYS("SELECT n, what, where_, rowid FROM echo WHERE what = 'b' AND where_ = 'c' AND n = 1", "1|b|c|2");
  SAYS("SELECT text, n FROM (VALUES('x'), ('y')) AS v, echo(v.column1) WHERE n = 2", "x|2;y|2");
  SAYS("SELECT text FROM echo WHERE what IN ('p', 'q') AND n = 0 ORDER BY text", "p;q");
  SAYS("SELECT a.n, b.n FROM echo('a') AS a, echo('b') AS b WHERE a.n = b.n", "0|0;1|1;2|2");
  SAYS("SELECT * FROM echo", "echo: parameter 1 (what) is missing; SELECT * FROM echo('…')");
  SAYS("SELECT * FROM echo(NULL)", "echo: parameter 1 (what) is missing; SELECT * FROM echo('…')");
  SAYS("SELECT * FROM echo(5)", "echo: what is not text");
  SAYS("SELECT * FROM echo('')", "echo: what is empty");
  SAYS("SELECT * FROM echo(CAST(x'ff' AS TEXT))",
       "echo: what is not valid UTF-8, or has a NUL character inside");
  SAYS("DELETE FROM echo WHERE what = 'a'", "echo: this table is read only");
  SAYS("CREATE VIRTUAL TABLE e USING echo", "no such module: echo"); /* eponymous only */
}

/* What is asked of a name goes to the one who makes the rows, and SQLite compares again. */
static void filters(void **state) {
  (void)state;
  SAYS("SELECT index_name, asked FROM names WHERE \"index\" = 'beta'", "beta|beta");
  SAYS("SELECT index_name, asked FROM names WHERE index_name = 'beta'", "beta|beta");
  SAYS("SELECT * FROM names WHERE index_name = 'beta'", "beta|beta|-|1");
  SAYS("SELECT asked FROM names WHERE index_name = 'x,y'", "x*y");
  SAYS("SELECT index_name, asked FROM names WHERE index_name LIKE 'AL%'", "alpha|al*");
  SAYS("SELECT index_name, asked FROM names WHERE index_name LIKE '%A' ORDER BY 1",
       "Gamma|*a;alpha|*a;beta|*a");
  SAYS("SELECT index_name, asked FROM names WHERE index_name GLOB 'a*'", "alpha|a*");
  SAYS("SELECT index_name, asked FROM names WHERE index_name IN ('beta', 'alpha', NULL, 'z') ORDER BY 1",
       "alpha|alpha,beta,z;beta|alpha,beta,z");
  SAYS("SELECT index_name, asked FROM names WHERE index_name IN ('beta', '')", "beta|-");
  SAYS("SELECT asked FROM names WHERE index_name = NULL OR index_name LIKE NULL OR index_name IN (NULL)", "");
  SAYS("SELECT index_name, asked FROM names WHERE index_name = 'GAMMA' COLLATE NOCASE", "Gamma|-");
  SAYS("SELECT index_name, asked FROM names WHERE index_name LIKE 'a!%' ESCAPE '!'", "");
  SAYS("SELECT asked FROM names WHERE index_name LIKE 'b%' AND index_name = 'beta'",
       "beta"); /* the narrower */
  SAYS("SELECT asked, also FROM names WHERE index_name = 'beta' AND also = 'zz'", "beta|zz");
  SAYS("SELECT asked, also FROM names('c') WHERE index_name = 'beta' AND also GLOB 'z*'", "beta|z*");
  SAYS("SELECT n.asked FROM (VALUES('beta'), ('alpha')) AS v, names AS n WHERE n.index_name = v.column1",
       "beta;alpha");
  SAYS("SELECT count(*) FROM names AS a, names AS b USING(index_name)", "4");
  query("SELECT index_name, asked FROM names");
  assert_false(wanted);
  query("SELECT index_name FROM names WHERE costly");
  assert_true(wanted);
}

static void settings(void **state) {
  (void)state;
  SAYS("SELECT count(*) > 20 AND count(*) = count(DISTINCT name) FROM os_settings", "1");
  SAYS("SELECT value, default_value, source FROM os_settings WHERE name = 'MAX_WORKERS'", "4|4|default");
  SAYS("UPDATE os_settings SET value = 9 WHERE name = 'MAX_WORKERS'", "");
  SAYS("SELECT value, source FROM os_settings WHERE name = 'MAX_WORKERS'", "9|session");
  SAYS("UPDATE os_settings SET value = NULL WHERE name = 'MAX_WORKERS'", "");
  SAYS("SELECT value, source FROM os_settings WHERE name = 'MAX_WORKERS'", "4|default");
  assert_non_null(
      strstr(query("UPDATE os_settings SET value = 'many' WHERE name = 'MAX_WORKERS'"), "MAX_WORKERS"));
  SAYS("UPDATE os_settings SET source = 'env' WHERE name = 'MAX_WORKERS'",
       "os_settings: only the column 'value' can be changed (setting MAX_WORKERS)");
  SAYS("DELETE FROM os_settings", "os_settings: rows can be changed with UPDATE, not inserted or deleted");
  SAYS("INSERT INTO os_settings(name) VALUES('A')",
       "os_settings: rows can be changed with UPDATE, not inserted or deleted");
  query("CREATE VIEW v AS SELECT * FROM os_settings");
  SAYS("SELECT * FROM v", "unsafe use of virtual table \"os_settings\"");
}

/* Secrets are shown masked, and writing the mask back does not make it the password. */
static void secrets(void **state) {
  (void)state;
  SAYS("UPDATE os_settings SET value = 'hunter2' WHERE name = 'OPENSEARCH_PASSWORD'", "");
  SAYS("SELECT value FROM os_settings WHERE name = 'OPENSEARCH_PASSWORD'", "********");
  SAYS("UPDATE os_settings SET value = value", "");
  assert_string_equal(os_settings_get(session->settings, OS_SET_PASSWORD), "hunter2");
  assert_null(strstr(query("SELECT * FROM os_connections"), "hunter2"));
  query("CREATE VIEW w AS SELECT name FROM os_connections");
  SAYS("SELECT * FROM w", "main");
}

#ifdef OS_TEST_ALLOC
static void lack_of_memory(void **state) {
  (void)state;
  const char *text = "";
  int failed = 0;
  for (long n = 0; n < 500; n++) {
    os_alloc_fail_after(n, 1);
    text = query("SELECT count(*), max(list) FROM os_settings, echo('a') WHERE name = 'MAX_WORKERS'");
    os_alloc_fail_after(-1, 0);
    if (strcmp(text, "3|[2]") == 0) break;
    assert_string_equal(text, "out of memory");
    failed++;
  }
  assert_string_equal(text, "3|[2]");
  assert_true(failed > 3);
}
#endif

#define BOXED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      BOXED(rows_and_parameters), BOXED(filters), BOXED(settings), BOXED(secrets),
#ifdef OS_TEST_ALLOC
      BOXED(lack_of_memory),
#endif
  };
  return cmocka_run_group_tests_name("surface/rows_table", tests, NULL, NULL);
}
