/* surface_rows_filter_test.c - what a query asks of a name, as patterns for a request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "surface/rows_filter.h"

/* The pattern, or "all". */
static const char *pattern(enum os_filter_kind kind, enum os_filter_op op, const char *text) {
  static char out[2048];
  struct os_buf list;
  os_buf_init(&list, 0);
  const bool narrows = os_filter_add(&list, kind, op, text, strlen(text));
  snprintf(out, sizeof out, "%s", narrows ? list.data : "all");
  os_buf_free(&list);
  return out;
}

static void each_pattern(void **state) {
  (void)state;
  static const struct {
    enum os_filter_kind kind;
    enum os_filter_op op;
    const char *text, *expected;
  } cases[] = {
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, "sales-2026", "sales-2026"},
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, ".ds-logs", ".ds-logs"},
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, "a%b'c&d", "a%b'c&d"},
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, "Sales", "*ales"}, /* no index is called so */
      {OS_FILTER_EXACT, OS_FILTER_EQUAL, "Sales", "Sales"},
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, "", "all"},
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, ".", "all"},
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, "..", "all"},
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, "a,b", "a*b"},       /* one name, not two */
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, "a/../b", "a*..*b"}, /* no other path */
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, "-a", "*a"},         /* no exclusion */
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, "+a", "*a"},
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, "_all", "*all"}, /* not all of them */
      {OS_FILTER_EXACT, OS_FILTER_EQUAL, "_local", "*local"},
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, "<a-{now/d}>", "*a-{now*d}*"}, /* no date math */
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, "other:a", "other*a"},         /* no other cluster */
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, "a?b#c\n", "a*b*c*"},
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, "a*", "a*"}, /* finds too much; SQLite compares */
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, "日本x", "*x"},
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, "日本", "all"},
      {OS_FILTER_LOWER, OS_FILTER_EQUAL, "\xff", "all"},
      {OS_FILTER_LOWER, OS_FILTER_LIKE, "Sales%", "sales*"},
      {OS_FILTER_LOWER, OS_FILTER_LIKE, "s_les%%26", "s*les*26"},
      {OS_FILTER_LOWER, OS_FILTER_LIKE, "%", "all"},
      {OS_FILTER_LOWER, OS_FILTER_LIKE, "_a", "*a"},
      {OS_FILTER_LOWER, OS_FILTER_LIKE, "a*", "a*"},
      {OS_FILTER_EXACT, OS_FILTER_LIKE, "Sales%", "all"}, /* also SALES, sales */
      {OS_FILTER_EXACT, OS_FILTER_LIKE, "2026-%", "2026-*"},
      {OS_FILTER_LOWER, OS_FILTER_GLOB, "sales*", "sales*"},
      {OS_FILTER_LOWER, OS_FILTER_GLOB, "a?b[0-9]c", "a*b*c"},
      {OS_FILTER_LOWER, OS_FILTER_GLOB, "a[]x]b[^]y]c", "a*b*c"},
      {OS_FILTER_LOWER, OS_FILTER_GLOB, "a[bc", "a*"},
      {OS_FILTER_LOWER, OS_FILTER_GLOB, "a%", "a%"}, /* not a sign here */
      {OS_FILTER_EXACT, OS_FILTER_GLOB, "Sales*", "Sales*"},
      {OS_FILTER_LOWER, OS_FILTER_GLOB, "**", "all"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *got = pattern(cases[i].kind, cases[i].op, cases[i].text);
    if (strcmp(got, cases[i].expected) != 0)
      fail_msg("'%s': '%s', expected '%s'", cases[i].text, got, cases[i].expected);
  }
}

static void lists(void **state) {
  (void)state;
  struct os_buf list;
  os_buf_init(&list, 0);
  assert_true(os_filter_add(&list, OS_FILTER_LOWER, OS_FILTER_IN, "a", 1));
  assert_true(os_filter_add(&list, OS_FILTER_LOWER, OS_FILTER_IN, "-b", 2)); /* also here no exclusion */
  assert_string_equal(list.data, "a,*b");
  assert_false(os_filter_add(&list, OS_FILTER_LOWER, OS_FILTER_IN, "", 0));
  os_buf_free(&list);
  os_buf_init(&list, 0);
  bool narrows = true;
  int added = 0;
  for (; added < 1000 && narrows; added++)
    narrows = os_filter_add(&list, OS_FILTER_LOWER, OS_FILTER_IN, "abcdefghi", 9);
  assert_in_range(added, 100, 130); /* a longer list would not fit into a request's first line */
  os_buf_free(&list);
  char name[5000];
  memset(name, 'a', sizeof name);
  os_buf_init(&list, 0);
  assert_false(os_filter_add(&list, OS_FILTER_LOWER, OS_FILTER_EQUAL, name, sizeof name));
  os_buf_free(&list);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_pattern), cmocka_unit_test(lists)};
  return cmocka_run_group_tests_name("surface/rows_filter", tests, NULL, NULL);
}
