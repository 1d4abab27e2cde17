/* env_file.c - parses .env text. Calls base only; pure. Values are wiped, because some are secrets. */
#include "config/env_file.h"
#include <string.h>
#include "base/buffer.h"
#include "base/text.h"

struct scan {
  const char *at, *end;
  int line;
  const char *file;
  struct os_buf name, value;
  struct os_error *error;
};

static int malformed(const struct scan *scan, int line, const char *what) {
  os_fail(scan->error, OS_ERR_ARGUMENT, "%s: line %d: %s", scan->file, line, what);
  return os_advise(scan->error,
                   "write NAME=VALUE; a value with quotes, '#' or blanks at its ends stands in '…'");
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct scan *scan) {
  while (scan->at < scan->end && is_blank(*scan->at))
    scan->at++;
}

static bool at_line_end(const struct scan *scan) {
  return scan->at >= scan->end || *scan->at == '\n';
}

static void skip_line(struct scan *scan) {
  while (!at_line_end(scan))
    scan->at++;
}

static bool starts_name(char c) {
  return os_is_alpha(c) || c == '_';
}

static bool goes_on_name(char c) {
  return starts_name(c) || os_is_digit(c) || c == '-' || c == '.';
}

static void take_name(struct scan *scan) {
  const char *start = scan->at;
  if (scan->at < scan->end && starts_name(*scan->at))
    while (scan->at < scan->end && goes_on_name(*scan->at))
      scan->at++;
  os_buf_clear(&scan->name);
  os_buf_append(&scan->name, start, (size_t)(scan->at - start));
}

/* NAME, or `export NAME`; a variable may be called export as well. */
static int take_key(struct scan *scan) {
  take_name(scan);
  skip_blanks(scan);
  bool more = scan->at < scan->end && starts_name(*scan->at);
  if (more && strcmp(scan->name.data, "export") == 0) {
    take_name(scan);
    skip_blanks(scan);
  }
  if (scan->name.failed) return os_fail_nomem(scan->error);
  if (!scan->name.len) return malformed(scan, scan->line, "this does not begin with the name of a variable");
  if (scan->at >= scan->end || *scan->at != '=')
    return malformed(scan, scan->line, "there is no '=' behind the name");
  scan->at++;
  skip_blanks(scan);
  return OS_OK;
}

static void take_bare(struct scan *scan) {
  const char *start = scan->at, *end = start;
  for (; !at_line_end(scan); scan->at++) {
    bool comment = *scan->at == '#' && (scan->at == start || is_blank(scan->at[-1]));
    if (comment) break;
    if (!is_blank(*scan->at)) end = scan->at + 1;
  }
  skip_line(scan);
  os_buf_append(&scan->value, start, (size_t)(end - start));
}

/* The character that a backslash and c stand for inside double quotes; 0 when they stand for themselves. */
static char escaped(char c) {
  static const char codes[] = "nrt\"\\$", meanings[] = "\n\r\t\"\\$";
  const char *at = c ? strchr(codes, c) : NULL;
  return at ? meanings[at - codes] : '\0';
}

static int take_quoted(struct scan *scan) {
  char quote = *scan->at++;
  int began = scan->line;
  for (; scan->at < scan->end && *scan->at != quote; scan->at++) {
    char c = *scan->at;
    if (quote == '"' && c == '\\' && scan->at + 1 < scan->end && escaped(scan->at[1]))
      c = escaped(*++scan->at);
    else if (c == '\n')
      scan->line++;
    os_buf_putc(&scan->value, c);
  }
  if (scan->at >= scan->end) return malformed(scan, began, "the quote that begins here is never closed");
  scan->at++;
  skip_blanks(scan);
  if (!at_line_end(scan) && *scan->at != '#')
    return malformed(scan, scan->line, "there is text behind the closing quote");
  skip_line(scan);
  return OS_OK;
}

static int take_value(struct scan *scan) {
  os_buf_clear(&scan->value);
  if (!at_line_end(scan) && (*scan->at == '"' || *scan->at == '\'')) return take_quoted(scan);
  take_bare(scan);
  return OS_OK;
}

static int take_assignment(struct scan *scan, os_env_assign assign, void *ctx) {
  int line = scan->line, code = take_key(scan);
  if (!code) code = take_value(scan);
  if (!code && scan->value.failed) code = os_fail_nomem(scan->error);
  return code ? code : assign(ctx, scan->name.data, scan->value.data, line, scan->error);
}

int os_env_parse(const char *text, size_t len, const char *file, os_env_assign assign, void *ctx,
                 struct os_error *error) {
  struct scan scan = {.at = text, .end = text + len, .line = 1, .file = file, .error = error};
  int code = OS_OK;
  os_buf_init(&scan.name, 0);
  os_buf_init(&scan.value, 0);
  if (len && memchr(text, '\0', len)) {
    code = os_fail(error, OS_ERR_ARGUMENT, "%s: holds a NUL byte; this is not a .env file", file);
    goto done;
  }
  /* room for any value at once: a buffer that grew would leave unwiped copies behind */
  if (!os_buf_reserve(&scan.value, len)) {
    code = os_fail_nomem(error);
    goto done;
  }
  if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) scan.at += 3;
  while (!code && scan.at < scan.end) {
    skip_blanks(&scan);
    if (at_line_end(&scan) || *scan.at == '#')
      skip_line(&scan);
    else
      code = take_assignment(&scan, assign, ctx);
    if (!code && scan.at < scan.end) { /* the line's end */
      scan.at++;
      scan.line++;
    }
  }
done:
  if (scan.value.cap) explicit_bzero(scan.value.data, scan.value.cap);
  os_buf_free(&scan.value);
  os_buf_free(&scan.name);
  return code;
}
