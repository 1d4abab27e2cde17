/* rows_filter.c - see rows_filter.h. */
#include "surface/rows_filter.h"

#include <string.h>
#include "base/text.h"

/* A request's first line may be 4 kB long (http.max_initial_line_length), and a byte may become three. */
enum { LONGEST_LIST = 1200 };

/* Runs of stars are one star. */
static void put_star(struct os_buf *list, size_t start) {
  if (list->len > start && list->data[list->len - 1] == '*') return;
  os_buf_putc(list, '*');
}

/* The end of "[…]" that begins at text[i]: a ']' right behind '[' or '[^' belongs to the set (SQLite,
** GLOB). */
static size_t end_of_set(const char *text, size_t len, size_t i) {
  i++;
  if (i < len && text[i] == '^') i++;
  if (i < len && text[i] == ']') i++;
  while (i < len && text[i] != ']')
    i++;
  return i;
}

/* Not what no index, alias or node is called ("Create index" of the OpenSearch docs), and what a path gives
** a meaning: a list's comma, another cluster's ':', date math's '<', an exclusion's '-' and _all's '_' in
** front. Nor bytes beyond ASCII, which may be no valid UTF-8. */
static bool is_sayable(char c, bool first) {
  unsigned char byte = (unsigned char)c;
  if (byte <= ' ' || byte >= 0x7f || strchr("\\/*?\"<>|,#:", c) != NULL) return false;
  return !(first && (c == '-' || c == '+' || c == '_'));
}

static void put_literal(struct os_buf *list, size_t start, enum os_filter_kind kind, enum os_filter_op op,
                        char c) {
  const bool upper = os_to_lower(c) != c;
  bool said = is_sayable(c, list->len == start);
  if (op == OS_FILTER_LIKE && kind == OS_FILTER_EXACT && os_is_alpha(c)) said = false;
  if (op != OS_FILTER_LIKE && kind == OS_FILTER_LOWER && upper) said = false;
  if (said)
    os_buf_putc(list, kind == OS_FILTER_LOWER ? os_to_lower(c) : c);
  else
    put_star(list, start);
}

static void put_pattern(struct os_buf *list, enum os_filter_kind kind, enum os_filter_op op, const char *text,
                        size_t len) {
  const size_t start = list->len;
  for (size_t i = 0; i < len; i++) {
    const bool like = op == OS_FILTER_LIKE && (text[i] == '%' || text[i] == '_');
    const bool glob = op == OS_FILTER_GLOB && (text[i] == '*' || text[i] == '?' || text[i] == '[');
    if (like || glob)
      put_star(list, start);
    else
      put_literal(list, start, kind, op, text[i]);
    if (glob && text[i] == '[') i = end_of_set(text, len, i);
  }
}

/* Whole segments of a path that mean another folder (RFC 3986 section 5.2.4). */
static bool is_dots(const char *pattern) {
  return strcmp(pattern, ".") == 0 || strcmp(pattern, "..") == 0;
}

bool os_filter_add(struct os_buf *list, enum os_filter_kind kind, enum os_filter_op op, const char *text,
                   size_t len) {
  if (list->len > 0) os_buf_putc(list, ',');
  const size_t start = list->len;
  if (len > LONGEST_LIST) return false;
  put_pattern(list, kind, op, text, len);
  if (list->failed || list->len > LONGEST_LIST) return false;
  const char *pattern = list->data != NULL ? list->data + start : "";
  return *pattern != '\0' && strcmp(pattern, "*") != 0 && !is_dots(pattern);
}
