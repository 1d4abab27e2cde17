/* format_csv_collect.h - runs the CSV parser over a text in windows of any size and writes down what it
** hands out. The pad behind each window is filled with bytes that would matter if they were read as
** input.
*/
#ifndef OS_TESTS_FORMAT_CSV_COLLECT_H
#define OS_TESTS_FORMAT_CSV_COLLECT_H
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "format/parser_impl.h"

enum { MARKS = 64 };

struct collected {
  struct os_buf brief; /* documents, and "!type" of rejects, a line each */
  struct os_buf full;  /* all facts */
  struct {
    uint64_t offset, line;
    size_t full_at;
  } mark[MARKS]; /* behind each of the first records */
  size_t marks;
  uint64_t end; /* of the last one */
  char reason[512], type[64];
};

static void meta_text(struct os_buf *buf, const char *name, const struct os_record_meta *meta) {
  if (!meta->text) return;
  os_buf_printf(buf, " %s=", name);
  os_buf_append(buf, meta->text, meta->len);
}

static void mark_end(struct collected *c, uint64_t offset, uint64_t line) {
  if (c->marks < MARKS) {
    c->mark[c->marks].offset = offset;
    c->mark[c->marks].line = line;
    c->mark[c->marks++].full_at = c->full.len;
  }
  c->end = offset;
}

static int collect_record(void *ctx, const struct os_record *r) {
  struct collected *c = ctx;
  assert_true(r->offset >= c->end && r->end > r->offset && r->raw_len <= r->end - r->offset);
  assert_int_equal(strlen(r->doc), r->doc_len); /* NUL-terminated, and no NUL inside */
  assert_null(memchr(r->doc, '\n', r->doc_len));
  json_error_t why;
  json_t *doc = json_loadb(r->doc, r->doc_len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &why);
  if (!doc) print_error("%s: %s\n", why.text, r->doc);
  assert_non_null(doc);
  json_decref(doc);
  os_buf_append(&c->brief, r->doc, r->doc_len);
  meta_text(&c->brief, "id", &r->id);
  meta_text(&c->brief, "routing", &r->routing);
  meta_text(&c->brief, "version", &r->version);
  os_buf_putc(&c->brief, '\n');
  os_buf_printf(&c->full, "%s id=%.*s [%llu,%llu) %llu-%llu raw=%.*s\n", r->doc, (int)r->id.len,
                r->id.text ? r->id.text : "", (unsigned long long)r->offset, (unsigned long long)r->end,
                (unsigned long long)r->line, (unsigned long long)r->end_line, (int)r->raw_len, r->raw);
  mark_end(c, r->end, r->end_line);
  return OS_OK;
}

static int collect_reject(void *ctx, const struct os_reject *r) {
  struct collected *c = ctx;
  assert_true(r->offset >= c->end && r->end > r->offset && r->raw_len <= r->end - r->offset);
  snprintf(c->reason, sizeof c->reason, "%s", r->reason);
  snprintf(c->type, sizeof c->type, "%s", r->type);
  os_buf_printf(&c->brief, "!%s\n", r->type);
  os_buf_printf(&c->full, "!%s %s [%llu,%llu) %llu-%llu raw=%.*s\n", r->type, r->reason,
                (unsigned long long)r->offset, (unsigned long long)r->end, (unsigned long long)r->line,
                (unsigned long long)r->end_line, (int)r->raw_len, r->raw);
  mark_end(c, r->end, r->end_line);
  return OS_OK;
}

static void collected_init(struct collected *c) {
  memset(c, 0, sizeof *c);
  os_buf_init(&c->brief, 0);
  os_buf_init(&c->full, 0);
}

static void collected_free(struct collected *c) {
  os_buf_free(&c->brief);
  os_buf_free(&c->full);
}

/* An own copy of [text, text+len) with a pad of traps behind it. */
static char *window_of(const char *text, size_t len) {
  static const char traps[] = "\"\n,\r\0\xff\\";
  char *copy = malloc(len + OS_PAD);
  assert_non_null(copy);
  if (len) memcpy(copy, text, len);
  for (size_t i = 0; i < OS_PAD; i++)
    copy[len + i] = traps[i % (sizeof traps - 1)];
  return copy;
}

/* Run a parser that is open from offset `at` to the end, in windows that begin with `step` bytes. */
static int run_windows(struct os_parser *parser, const char *text, size_t len, size_t at, size_t step,
                       struct os_error *error) {
  size_t size = step;
  for (;;) {
    size_t now = len - at < size ? len - at : size, used = 0;
    char *window = window_of(text + at, now);
    int code = parser->methods->run(parser, window, now, at + now == len, &used, error);
    free(window);
    if (code) return code;
    assert_true(used <= now);
    if (at + now == len) {
      assert_int_equal(used, now); /* at the end nothing is left over */
      return OS_OK;
    }
    at += used;
    size = used ? step : size + step;
  }
}

static int collect_from(const struct os_parse_options *options, enum os_format format, const char *text,
                        size_t len, uint64_t offset, uint64_t line, size_t step, struct collected *c,
                        struct os_error *error) {
  char *head = window_of(text, len);
  struct os_parser_start start = {.source_name = "dir/file.csv",
                                  .offset = offset,
                                  .line = line,
                                  .head = head,
                                  .head_len = len,
                                  .head_is_all = true};
  struct os_record_sink sink = {collect_record, collect_reject, c};
  struct os_parser *parser = NULL;
  os_error_clear(error);
  int code = os_csv_parser_open(&parser, format, options, &start, &sink, error);
  free(head);
  if (code)
    assert_null(parser);
  else {
    code = run_windows(parser, text, len, (size_t)offset, step, error);
    parser->methods->free(parser);
  }
  return code;
}
#endif
