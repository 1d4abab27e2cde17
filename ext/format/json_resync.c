/* json_resync.c - setting a broken document aside, among documents one after another, and finding where the
** next one begins. Calls base/; works on the parser's window and may go on over several of them.
**
** In NDJSON the next line is the next document, and nothing else may be guessed from a broken one. But such
** files also hold documents spread over lines, and an object inside a broken one must never be taken for a
** document of its own. Brackets and indentation tell them apart: while brackets are open, a line that is
** indented deeper than the broken document's first line still belongs to it, so does the line with its
** closing bracket, and after a fault on a later line only a '{' begins anew.
*/
#include "format/json_impl.h"
#include <string.h>

/* Follow the brackets loosely: strings are known by their quotes, and none goes on behind a line break. */
static void follow_brackets(struct os_json_parser *j, const char *p, const char *to) {
  for (; p < to; p++) {
    if (*p == '\n') {
      j->broken_quote = j->broken_escape = false;
    } else if (j->broken_escape) {
      j->broken_escape = false;
    } else if (j->broken_quote) {
      j->broken_escape = *p == '\\';
      j->broken_quote = *p != '"';
    } else {
      j->broken_quote = *p == '"';
      j->broken_open += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
    }
  }
}

static void keep_raw(struct os_json_parser *j, const char *to) {
  follow_brackets(j, j->at, to);
  size_t room = OS_REJECT_RAW_MAX - j->broken_raw.len;
  size_t len = (size_t)(to - j->at);
  os_buf_append(&j->broken_raw, j->at, len < room ? len : room);
  os_json_advance(j, to);
}

static const char *line_of(const char *at,
                           const char *from) { /* the beginning of at's line, not before from */
  while (at > from && at[-1] != '\n')
    at--;
  return at;
}

int os_json_set_aside(struct os_json_parser *j, const char *start, const char *at, const char *type,
                      const char *reason) {
  struct os_reject *broken = &j->broken;
  const char *fault_line = line_of(at, start);
  broken->type = type;
  _Static_assert((size_t)OS_JSON_WORDS <= sizeof broken->reason, "the words fit whole");
  memcpy(broken->reason, reason, strlen(reason) + 1);
  broken->offset = os_json_offset(j, start);
  broken->line = j->base.line;
  os_buf_clear(&j->broken_raw);
  j->broken_quote = j->broken_escape = false;
  j->broken_open = 0;
  j->broken_multi = fault_line != start;
  j->fresh = false;
  if (j->format != OS_FORMAT_NDJSON && j->broken_multi) { /* not a file of lines: trust only what follows */
    keep_raw(j, fault_line);
    j->fresh = true;
    j->fresh_start = os_json_offset(j, j->at);
    j->fresh_line = j->base.line;
    j->fresh_indent = 0;
  }
  j->stage = OS_JSON_RESYNC;
  return OS_OK;
}

static enum os_json_step finish(struct os_json_parser *j, uint64_t end, uint64_t end_line) {
  struct os_reject *broken = &j->broken;
  struct os_buf *raw = &j->broken_raw;
  if (raw->failed) {
    j->code = os_fail_nomem(j->error);
    return OS_JSON_STOP;
  }
  if (raw->len < OS_REJECT_RAW_MAX)
    while (raw->len && os_json_blank(raw->data[raw->len - 1]))
      raw->len--;
  broken->raw = raw->len ? raw->data : "";
  broken->raw_len = raw->len;
  broken->end = end;
  broken->end_line = end_line;
  j->stage = OS_JSON_AT_LINE;
  j->base.records++;
  j->code = j->base.sink.reject(j->base.sink.ctx, broken);
  broken->raw = NULL;
  return j->code ? OS_JSON_STOP : OS_JSON_GO;
}

/* Does the line whose first byte other than a blank is `first` begin a new record? If not, it is passed. */
static bool begins_anew(const struct os_json_parser *j, char first) {
  if (j->broken_open <= 0) return true;
  if (j->fresh_indent > j->indent || first == '}' || first == ']') return false;
  return !j->broken_multi || first == '{';
}

static bool pass_line(struct os_json_parser *j) { /* false: it goes on behind the window */
  const char *stop = memchr(j->at, '\n', (size_t)(j->end - j->at));
  keep_raw(j, stop ? stop + 1 : j->end);
  if (!stop) return false;
  j->fresh = true;
  j->fresh_start = os_json_offset(j, j->at);
  j->fresh_line = j->base.line;
  j->fresh_indent = 0;
  return true;
}

enum os_json_step os_json_resync(struct os_json_parser *j) {
  while (j->at < j->end) {
    if (!j->fresh || *j->at == '\n') { /* a line of the record, or a blank one */
      pass_line(j);
    } else if (os_json_blank(*j->at)) {
      j->fresh_indent++;
      keep_raw(j, j->at + 1);
    } else if (begins_anew(j, *j->at)) {
      return finish(j, j->fresh_start, j->fresh_line);
    } else {
      j->fresh = false;
    }
  }
  if (!j->at_end) return OS_JSON_WAIT;
  return finish(j, os_json_offset(j, j->end), j->base.line);
}
