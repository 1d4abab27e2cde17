/* surface_sql_call_test.c - finding a function call in SQL text, and not finding one where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "surface/sql_call.h"

static void finds_calls(void **state) {
  (void)state;
  static const char *const texts[] = {
      "SELECT os_x()",
      "select OS_X ( 1 )",
      "SELECT \"os_x\"(1)",
      "SELECT `Os_X`(1)",
      "SELECT [os_x] (1)",
      "SELECT os_x/* why */(1)",
      "SELECT os_x -- why\n (1)",
      "INSERT INTO t SELECT 'os_y', os_x('a''b')",
      "SELECT 0x1f+os_x()",
      "SELECT a.b,os_x(",
      "WITH q AS(SELECT os_x(1)) SELECT 1",
      "SELECT ?1,os_x(:a)",
      "SELECT 'it''s',os_x()",
      "/* open * / */SELECT os_x()",
      "SELECT x'00'||os_x()",
      "SELECT \"a\"\"b\",os_x()",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (!os_sql_calls(texts[i], "os_x")) fail_msg("missed in: %s", texts[i]);
}

static void finds_nothing_else(void **state) {
  (void)state;
  static const char *const texts[] = {
      "",
      "SELECT os_x",
      "SELECT os_xy()",
      "SELECT aos_x()",
      "SELECT 'os_x(1)'",
      "SELECT 'a''os_x(1)'",
      "SELECT 1 -- os_x()",
      "SELECT 1 /* os_x() */",
      "SELECT 1 /* os_x()",
      "SELECT :os_x(1)",
      "SELECT $os_x(1)",
      "SELECT @os_x(1)",
      "SELECT 1os_x(2)",
      "INSERT INTO os_x VALUES(1)",
      "SELECT \"os_x(1)\"",
      "SELECT \"a\"\"os_x\"(1)",
      "SELECT [os_x",
      "SELECT os_x, (1)",
      "SELECT \xc3\xa9os_x(1)",
      "SELECT os_x$(1)",
      "'",
      "/*",
      "\"",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (os_sql_calls(texts[i], "os_x")) fail_msg("found in: %s", texts[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_calls),
      cmocka_unit_test(finds_nothing_else),
  };
  return cmocka_run_group_tests_name("surface/sql_call", tests, NULL, NULL);
}
