/* format_json_collect.h - runs the JSON parser over a text in windows of any size and writes down all it
** hands out.
**
** A window is copied to memory of its own with nothing but the promised pad behind it, filled with bytes
** that would mislead a scanner that believed them. What every record and reject must fulfil, whatever the
** text, is checked here: raw is the file's bytes at its offset, lines are counted exactly, ranges do not
** overlap.
*/
#ifndef TESTS_FORMAT_JSON_COLLECT_H
#define TESTS_FORMAT_JSON_COLLECT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buffer.h"
#include "format/parser.h"

struct collect {
  enum os_format format;
  struct os_parse_options options;
  const char *data; /* the whole file */
  size_t len;
  size_t first, step;    /* bytes of the first window; by which it grows. 0: all at once */
  uint64_t offset, line; /* resume; line 0 means 1 */
  bool no_head;
  int stop_after; /* the sink fails at this record; 0: never */
  /* results */
  struct os_buf log;  /* "#offset-end line-end_line id=… doc" a record, "!…" a reject, "=…" the error */
  struct os_buf docs; /* documents and reject types alone, a line each */
  uint64_t last_end;
  uint64_t counted_to, counted; /* bytes looked at for line feeds, and how many there were */
  uint64_t ends[64], lines[64];
  int records, rejects, code;
  struct os_error error;
  char last_reason[512];
};

/* Counted by itself, from the last place asked for, because ranges only go forward. */
static uint64_t line_at(struct collect *c, uint64_t offset) {
  for (; c->counted_to < offset; c->counted_to++)
    c->counted += c->data[c->counted_to] == '\n';
  return 1 + c->counted;
}

static void check_range(struct collect *c, const char *raw, size_t raw_len, uint64_t offset, uint64_t end,
                        uint64_t line, uint64_t end_line) {
  assert_true(offset >= c->last_end);
  assert_true(end >= offset + raw_len && end <= c->len);
  assert_memory_equal(raw, c->data + offset, raw_len);
  assert_int_equal(line, line_at(c, offset));
  assert_int_equal(end_line, line_at(c, end));
  c->last_end = end;
  int n = c->records + c->rejects;
  if (n < 64) {
    c->ends[n] = end;
    c->lines[n] = end_line;
  }
}

static void put_meta(struct collect *c, const char *name, const struct os_record_meta *meta) {
  if (!meta->text) return;
  os_buf_printf(&c->log, " %s=", name);
  os_buf_append(&c->log, meta->text, meta->len);
}

static int take_record(void *ctx, const struct os_record *r) {
  struct collect *c = ctx;
  check_range(c, r->raw, r->raw_len, r->offset, r->end, r->line, r->end_line);
  assert_null(memchr(r->doc, '\n', r->doc_len));
  assert_true(r->doc_len >= 2 && r->doc[0] == '{' && r->doc[r->doc_len - 1] == '}');
  os_buf_printf(&c->log, "#%u-%u %u-%u", (unsigned)r->offset, (unsigned)r->end, (unsigned)r->line,
                (unsigned)r->end_line);
  put_meta(c, "id", &r->id);
  put_meta(c, "routing", &r->routing);
  put_meta(c, "version", &r->version);
  os_buf_putc(&c->log, ' ');
  os_buf_append(&c->log, r->doc, r->doc_len);
  os_buf_putc(&c->log, '\n');
  os_buf_append(&c->docs, r->doc, r->doc_len);
  os_buf_putc(&c->docs, '\n');
  c->records++;
  return c->stop_after && c->records == c->stop_after ? OS_ERR_INTERRUPTED : OS_OK;
}

static int take_reject(void *ctx, const struct os_reject *r) {
  struct collect *c = ctx;
  check_range(c, r->raw, r->raw_len, r->offset, r->end, r->line, r->end_line);
  os_buf_printf(&c->log, "!%u-%u %u-%u %s %s <", (unsigned)r->offset, (unsigned)r->end, (unsigned)r->line,
                (unsigned)r->end_line, r->type, r->reason);
  os_buf_append(&c->log, r->raw, r->raw_len);
  os_buf_puts(&c->log, ">\n");
  os_buf_printf(&c->docs, "!%s\n", r->type);
  snprintf(c->last_reason, sizeof c->last_reason, "%s", r->reason);
  c->rejects++;
  return OS_OK;
}

static int run_window(struct collect *c, struct os_parser *parser, size_t from, size_t to, size_t *consumed) {
  char *window = malloc(to - from + OS_PAD);
  memcpy(window, c->data + from, to - from);
  for (size_t i = 0; i < OS_PAD; i++)
    window[to - from + i] = "\"}]\\,0"[i % 6];
  int code = os_parser_run(parser, window, to - from, to == c->len, consumed, &c->error);
  assert_true(*consumed <= to - from);
  free(window);
  return code;
}

static void collect_free(struct collect *c) {
  os_buf_free(&c->log);
  os_buf_free(&c->docs);
}

static void collect(struct collect *c) {
  struct os_record_sink sink = {take_record, take_reject, c};
  struct os_parser_start start = {
      .source_name = "a/file \"x\".json", .offset = c->offset, .line = c->line ? c->line : 1};
  struct os_parser *parser;
  char *head = malloc(c->len + OS_PAD);
  memcpy(head, c->data, c->len);
  memset(head + c->len, '"', OS_PAD);
  if (!c->no_head) {
    start.head = head;
    start.head_len = c->len;
    start.head_is_all = true;
  }
  os_buf_init(&c->log, 0);
  os_buf_init(&c->docs, 0);
  c->records = c->rejects = 0;
  c->last_end = c->offset;
  c->counted_to = c->counted = 0;
  size_t at = (size_t)c->offset, seen = c->first ? at + c->first : c->len, consumed;
  if (seen > c->len) seen = c->len;
  c->code = os_parser_open(&parser, c->format, &c->options, &start, &sink, &c->error);
  while (c->code == OS_OK) {
    c->code = run_window(c, parser, at, seen, &consumed);
    at += consumed;
    if (c->code || seen == c->len) break;
    seen = c->step && c->len - seen > c->step ? seen + c->step : c->len;
  }
  if (c->code == OS_OK) assert_int_equal(at, c->len);
  if (parser) assert_int_equal(os_parser_records(parser), c->records + c->rejects);
  if (c->code) os_buf_printf(&c->log, "=%d %s", c->code, c->error.text);
  if (c->code) os_buf_puts(&c->docs, "=error\n");
  os_parser_free(parser);
  free(head);
  assert_false(c->log.failed || c->docs.failed);
}

/* The documents (and reject types, and "=error") of `data`, each on a line; free with collect_free(). */
static inline struct collect collected(enum os_format format, const char *data) {
  struct collect c = {.format = format, .data = data, .len = strlen(data)};
  c.options.id_field = "_id";
  collect(&c);
  return c;
}
#endif
