/* json_parser.c - the walk through a JSON or NDJSON file: array of documents, documents one after another,
** one document, object of documents. Finds each record's place and end, and resumes at any record's end.
**
** A step looks at the byte at `at` and either moves on, or waits for more bytes without having moved, so
** that the result is the same wherever the caller's windows happen to end. Calls the other json_*.c files
** and base/.
*/
#include "format/json_impl.h"
#include <string.h>
#include "base/alloc.h"

enum { DEFAULT_MAX_RECORD = 100 * 1024 * 1024 };

enum scanned { SCANNED, SCAN_MORE, SCAN_FAULT, SCAN_TOO_LONG };

void os_json_advance(struct os_json_parser *j, const char *to) {
  const char *p = j->at, *last = NULL;
  if (p == to) return;
  while ((p = memchr(p, '\n', (size_t)(to - p)))) {
    j->base.line++;
    last = p++;
  }
  if (last) j->line_start = os_json_offset(j, last) + 1;
  j->at = to;
}

static bool skip_blanks(struct os_json_parser *j) { /* false: nothing else is left in the window */
  const char *p = j->at;
  if (p < j->end && !os_json_blank(*p)) return true;
  while (p < j->end && os_json_blank(*p))
    p++;
  os_json_advance(j, p);
  return p < j->end;
}

/* ---- errors that end the file ---- */

static struct os_json_place place_of(const struct os_json_parser *j, const char *at) {
  struct os_json_place place = {.line = j->base.line, .byte = os_json_offset(j, at)};
  uint64_t line_start = j->line_start;
  for (const char *p = j->at; p < at; p++) {
    if (*p != '\n') continue;
    place.line++;
    line_start = os_json_offset(j, p) + 1;
  }
  place.column = place.byte - line_start + 1;
  return place;
}

static enum os_json_step stop(struct os_json_parser *j, int code) {
  j->code = code;
  return OS_JSON_STOP;
}

/* The fault that scan describes. */
static enum os_json_step stop_at_fault(struct os_json_parser *j) {
  char words[OS_JSON_WORDS];
  if (j->scan.fault == OS_JSON_NOMEM) return stop(j, os_fail_nomem(j->error));
  struct os_json_place place = place_of(j, j->scan.at);
  os_json_fault_words(&j->scan, &place, words);
  stop(j, os_fail(j->error, OS_ERR_FORMAT, "%s", words));
  if (j->scan.fault == OS_JSON_MORE)
    os_advise(j->error, "the file seems to be cut short: fetch or write it again");
  else if (j->layout == OS_JSON_ONE)
    os_advise(j->error,
              "mend the file; if every line of it is a document, format 'ndjson' sets a broken line aside "
              "and goes on");
  else
    os_advise(j->error,
              "mend the file; behind such a fault nothing in an array or object can be read safely");
  return OS_JSON_STOP;
}

static enum os_json_step stop_expecting(struct os_json_parser *j, const char *at, const char *expected) {
  j->scan.fault = at < j->end ? OS_JSON_UNEXPECTED : OS_JSON_MORE;
  j->scan.at = at;
  j->scan.expected = expected;
  return stop_at_fault(j);
}

static enum os_json_step stop_too_long(struct os_json_parser *j, const char *start) {
  char words[OS_JSON_WORDS];
  struct os_json_place place = place_of(j, start);
  os_json_too_long_words(&place, j->max_record, words);
  stop(j, os_fail(j->error, OS_ERR_FORMAT, "%s", words));
  os_advise(j->error, "write the documents one a line (NDJSON), where a too long one is set aside");
  return OS_JSON_STOP;
}

static enum os_json_step stop_trailing(struct os_json_parser *j, const char *after) {
  struct os_json_place place = place_of(j, j->at);
  char found[32];
  os_json_found_words(*j->at, found);
  stop(j,
       os_fail(j->error, OS_ERR_FORMAT, "line %llu column %llu (byte %llu): found %s after the end of the %s",
               (unsigned long long)place.line, (unsigned long long)place.column,
               (unsigned long long)place.byte, found, after));
  os_advise(j->error, "what stands before it was read; remove the rest, or put it into a file of its own");
  return OS_JSON_STOP;
}

/* ---- one value ---- */

/* A word or a number must not run into what follows ("1x", "nullnull"). */
static bool stands_alone(struct os_json_scan *scan, const char *end) {
  if (scan->kind < OS_JSON_NUMBER || scan->end >= end || os_json_blank(*scan->end)) return true;
  if (memchr(",]}[{\"", *scan->end, 6)) return true;
  scan->fault = OS_JSON_UNEXPECTED;
  scan->at = scan->end;
  scan->expected = "the end of the value";
  return false;
}

static enum scanned scan_value(struct os_json_parser *j, const char *p) {
  const char *end = j->end;
  bool limited = (size_t)(end - p) > j->max_record;
  if (limited) end = p + j->max_record;
  bool good = os_json_scan(&j->scan, p, end);
  bool more = good ? j->scan.kind == OS_JSON_NUMBER && j->scan.end == end : j->scan.fault == OS_JSON_MORE;
  if (more && limited) return SCAN_TOO_LONG;
  if (more && !j->at_end) return SCAN_MORE;
  if (good) good = stands_alone(&j->scan, end);
  return good ? SCANNED : SCAN_FAULT;
}

/* Where the record that ends at p really ends: with the comma (in a container) and the line break that
** belong to it, if they stand within reach. False: more bytes are needed to tell. */
static bool find_end(const struct os_json_parser *j, const char *p, bool container, const char **out,
                     bool *comma) {
  const char *end = j->end, *q = p;
  *comma = false;
  if (!container && q < end && *q == '\n') { /* NDJSON as it usually is */
    *out = q + 1;
    return true;
  }
  if (container) {
    const char *reach = end - q > OS_JSON_GAP ? q + OS_JSON_GAP : end;
    while (q < reach && os_json_blank(*q))
      q++;
    if (q == end && !j->at_end) return false;
    *comma = q < reach && *q == ',';
    q = *comma ? q + 1 : p;
  }
  p = q;
  const char *reach = end - q > OS_JSON_TAIL ? q + OS_JSON_TAIL : end;
  while (q < reach && *q != '\n' && os_json_blank(*q))
    q++;
  if (q == end && !j->at_end) return false;
  *out = q < reach && *q == '\n' ? q + 1 : p;
  return true;
}

/* Hand out the value that scan holds. */
static enum os_json_step deliver(struct os_json_parser *j, struct os_json_value *value, bool container,
                                 bool *comma) {
  const char *end, *after = j->scan.end;
  if (!find_end(j, after, container, &end, comma)) return OS_JSON_WAIT;
  os_json_advance(j, value->start);
  value->line = j->base.line;
  value->end = os_json_offset(j, end);
  value->end_line = value->line + j->scan.breaks;
  for (const char *p = after; p < end; p++)
    value->end_line += *p == '\n';

  int code = os_json_deliver(j, value);
  if (code) return stop(j, code);
  if (j->scan.breaks) j->line_start = os_json_offset(j, j->scan.last_break) + 1;
  if (end > after && end[-1] == '\n') {
    j->line_start = value->end;
  } else if (value->end_line != value->line + j->scan.breaks) { /* the comma stands on a later line */
    const char *line = end;
    while (line[-1] != '\n')
      line--;
    j->line_start = os_json_offset(j, line);
  }
  j->base.line = value->end_line;
  j->at = end;
  return OS_JSON_GO;
}

/* ---- documents one after another ---- */

static enum os_json_step set_aside(struct os_json_parser *j, enum scanned why) {
  char words[OS_JSON_WORDS];
  const char *start = j->at;
  if (why == SCAN_FAULT && j->scan.fault == OS_JSON_NOMEM) return stop(j, os_fail_nomem(j->error));
  if (why == SCAN_TOO_LONG) {
    struct os_json_place place = place_of(j, start);
    os_json_too_long_words(&place, j->max_record, words);
    os_json_set_aside(j, start, start + j->max_record, "record_too_long", words);
    return OS_JSON_GO;
  }
  struct os_json_place place = place_of(j, j->scan.at);
  os_json_fault_words(&j->scan, &place, words);
  os_json_set_aside(j, start, j->scan.at, os_json_fault_type(&j->scan), words);
  return OS_JSON_GO;
}

static enum os_json_step step_line(struct os_json_parser *j) {
  bool comma;
  if (!skip_blanks(j)) return OS_JSON_WAIT;
  if (j->indent_line != j->line_start) {
    j->indent_line = j->line_start;
    j->indent = os_json_offset(j, j->at) - j->line_start;
  }
  enum scanned scanned = scan_value(j, j->at);
  if (scanned == SCAN_MORE) return OS_JSON_WAIT;
  if (scanned != SCANNED) return set_aside(j, scanned);
  struct os_json_value value = {.start = j->at};
  return deliver(j, &value, false, &comma);
}

/* ---- one document ---- */

static enum os_json_step step_document(struct os_json_parser *j) {
  bool comma;
  enum scanned scanned = scan_value(j, j->at); /* step_root() passed the blanks */
  if (scanned == SCAN_MORE) return OS_JSON_WAIT;
  if (scanned == SCAN_TOO_LONG) return stop_too_long(j, j->at);
  if (scanned == SCAN_FAULT) return stop_at_fault(j);
  struct os_json_value value = {.start = j->at};
  enum os_json_step step = deliver(j, &value, false, &comma);
  if (step == OS_JSON_GO) j->stage = OS_JSON_AFTER_ONE;
  return step;
}

static enum os_json_step step_after_one(struct os_json_parser *j) {
  if (!skip_blanks(j)) return OS_JSON_WAIT;
  if (*j->at != '{') return stop_trailing(j, "document");
  j->layout = OS_JSON_LINES;
  j->stage = OS_JSON_AT_LINE;
  return OS_JSON_GO;
}

/* ---- array and object of documents ---- */

static bool pass_blanks(struct os_json_parser *j, const char **p) { /* false: the window ends */
  while (*p < j->end && os_json_blank(**p))
    ++*p;
  return *p < j->end;
}

/* The member's name and colon at *p; afterwards its value is there. */
static enum os_json_step read_key(struct os_json_parser *j, const char **p, struct os_json_value *value) {
  if (**p != '"') return stop_expecting(j, *p, "a member name in quotes or '}'");
  value->key = *p + 1;
  switch (scan_value(j, *p)) {
  case SCAN_MORE: return OS_JSON_WAIT;
  case SCAN_TOO_LONG: return stop_too_long(j, *p);
  case SCAN_FAULT: return stop_at_fault(j);
  case SCANNED: break;
  }
  *p = j->scan.end;
  value->key_len = (size_t)(*p - value->key) - 1;
  if (pass_blanks(j, p)) {
    if (**p != ':') return stop_expecting(j, *p, "':'");
    ++*p;
    if (pass_blanks(j, p)) return OS_JSON_GO;
    return j->at_end ? stop_expecting(j, *p, "a value") : OS_JSON_WAIT;
  }
  return j->at_end ? stop_expecting(j, *p, "':'") : OS_JSON_WAIT;
}

static enum os_json_step step_record(struct os_json_parser *j) {
  struct os_json_value value = {.start = j->at};
  bool comma;
  if (j->layout == OS_JSON_MEMBERS) {
    enum os_json_step step = read_key(j, &value.start, &value);
    if (step != OS_JSON_GO) return step;
  }
  enum scanned scanned = scan_value(j, value.start);
  if (scanned == SCAN_MORE) return OS_JSON_WAIT;
  if (scanned == SCAN_TOO_LONG) return stop_too_long(j, value.start);
  if (scanned == SCAN_FAULT) return stop_at_fault(j);
  enum os_json_step step = deliver(j, &value, true, &comma);
  if (step == OS_JSON_GO) j->stage = comma ? OS_JSON_AT_NEXT : OS_JSON_AFTER;
  return step;
}

static enum os_json_step step_container(struct os_json_parser *j) {
  bool members = j->layout == OS_JSON_MEMBERS;
  bool more = skip_blanks(j);
  if (!more && !j->at_end) return OS_JSON_WAIT;
  bool closes = more && *j->at == (members ? '}' : ']');
  if (closes && j->stage != OS_JSON_AT_NEXT) {
    j->stage = OS_JSON_CLOSED;
    j->at++;
    return OS_JSON_GO;
  }
  bool comma_fits = j->stage == OS_JSON_AFTER || j->stage == OS_JSON_RESUMED;
  if (more && comma_fits && *j->at == ',') {
    j->stage = OS_JSON_AT_NEXT;
    j->at++;
    return OS_JSON_GO;
  }
  if (!more || closes || j->stage == OS_JSON_AFTER) {
    const char *expected = j->stage != OS_JSON_AT_NEXT ? (members ? "',' or '}'" : "',' or ']'")
                           : members                   ? "a member name in quotes, after a comma,"
                                                       : "a record, after a comma,";
    return stop_expecting(j, j->at, expected);
  }
  return step_record(j);
}

/* ---- the beginning ---- */

static enum os_json_stage first_stage(enum os_json_layout layout) {
  switch (layout) {
  case OS_JSON_LINES: return OS_JSON_AT_LINE;
  case OS_JSON_ONE: return OS_JSON_AT_DOCUMENT;
  default: return OS_JSON_AT_OPEN;
  }
}

static enum os_json_step step_mark(struct os_json_parser *j) {
  int bytes;
  int code = os_json_mark(j->at, (size_t)(j->end - j->at), j->at_end, &bytes, j->error);
  if (code) return stop(j, code);
  if (bytes < 0) return OS_JSON_WAIT;
  j->at += bytes;
  j->line_start += (uint64_t)bytes; /* the mark is no column */
  j->stage = OS_JSON_AT_ROOT;
  return OS_JSON_GO;
}

static enum os_json_step step_root(struct os_json_parser *j) {
  if (!skip_blanks(j)) return OS_JSON_WAIT;
  int code =
      os_json_layout(&j->scan, j->format, j->base.options, j->at, j->end, j->at_end, &j->layout, j->error);
  if (code) return stop(j, code);
  if (j->layout == OS_JSON_UNDECIDED) return OS_JSON_WAIT;
  j->stage = first_stage(j->layout);
  return OS_JSON_GO;
}

static enum os_json_step step_closed(struct os_json_parser *j) {
  if (!skip_blanks(j)) return OS_JSON_WAIT;
  return stop_trailing(j, j->layout == OS_JSON_MEMBERS ? "object" : "array");
}

static enum os_json_step step(struct os_json_parser *j) {
  switch (j->stage) {
  case OS_JSON_AT_LINE: return step_line(j);
  case OS_JSON_AT_MARK: return step_mark(j);
  case OS_JSON_AT_ROOT: return step_root(j);
  case OS_JSON_AT_DOCUMENT: return step_document(j);
  case OS_JSON_AFTER_ONE: return step_after_one(j);
  case OS_JSON_AT_OPEN:
    j->at++;
    j->stage = OS_JSON_AT_FIRST;
    return OS_JSON_GO;
  case OS_JSON_AT_FIRST:
  case OS_JSON_AT_NEXT:
  case OS_JSON_AFTER:
  case OS_JSON_RESUMED: return step_container(j);
  case OS_JSON_CLOSED: return step_closed(j);
  case OS_JSON_RESYNC: return os_json_resync(j);
  }
  return OS_JSON_WAIT;
}

/* ---- the parser's methods ---- */

static int json_run(struct os_parser *parser, const char *window, size_t len, bool at_end, size_t *consumed,
                    struct os_error *error) {
  struct os_json_parser *j = (struct os_json_parser *)parser;
  static const char nothing[OS_PAD];
  if (!len) window = nothing;
  j->window = j->at = window;
  j->end = window + len;
  j->at_end = at_end;
  j->error = error;
  j->code = OS_OK;
  while (step(j) == OS_JSON_GO) {
  }
  *consumed = (size_t)(j->at - window);
  parser->offset += *consumed;
  j->window = j->at = j->end = NULL;
  j->error = NULL;
  return j->code;
}

static void json_free(struct os_parser *parser) {
  struct os_json_parser *j = (struct os_json_parser *)parser;
  os_json_scan_free(&j->scan);
  os_buf_free(&j->tail);
  os_buf_free(&j->broken_raw);
  os_parser_base_free(parser);
  os_free(j);
}

static const struct os_parser_methods json_methods = {json_run, json_free};

static void look_for(struct os_json_parser *j, const struct os_parse_options *options) {
  j->id_pick = j->routing_pick = j->version_pick = -1;
  j->key_is_id = options->id_field && !strcmp(options->id_field, "@key");
  if (options->id_field && !j->key_is_id) j->id_pick = os_json_scan_pick(&j->scan, options->id_field, true);
  if (options->routing_field)
    j->routing_pick =
        os_json_scan_pick(&j->scan, options->routing_field, !strcmp(options->routing_field, "_routing"));
  if (options->version_field)
    j->version_pick =
        os_json_scan_pick(&j->scan, options->version_field, !strcmp(options->version_field, "_version"));
  if (options->source_field) os_json_scan_pick(&j->scan, options->source_field, true);
}

/* Going on inside a file: its layout is derived from its head, as it was at the start. */
static int resume(struct os_json_parser *j, const struct os_parser_start *start, struct os_error *error) {
  int mark = 0;
  int code = os_json_mark(start->head, start->head_len, true, &mark, error);
  if (code) return code;
  if (!start->head_len && (j->format == OS_FORMAT_JSON || j->base.options->json_root == OS_ROOT_MEMBERS))
    return os_fail(error, OS_ERR_ARGUMENT, "a JSON file cannot be resumed without its first bytes");
  const char *head = start->head_len ? start->head + mark : "";
  const char *end = start->head_len ? start->head + start->head_len : head;
  code = os_json_layout(&j->scan, j->format, j->base.options, head, end, true, &j->layout, error);
  j->stage = j->layout == OS_JSON_LINES ? OS_JSON_AT_LINE
             : j->layout == OS_JSON_ONE ? OS_JSON_AFTER_ONE
                                        : OS_JSON_RESUMED;
  return code;
}

int os_json_parser_open(struct os_parser **out, enum os_format format, const struct os_parse_options *options,
                        const struct os_parser_start *start, const struct os_record_sink *sink,
                        struct os_error *error) {
  *out = NULL;
  struct os_json_parser *j = os_calloc(1, sizeof *j);
  if (!j) return os_fail_nomem(error);
  os_json_scan_init(&j->scan);
  os_buf_init(&j->tail, 0);
  os_buf_init(&j->broken_raw, 0);
  int code = os_parser_base_init(&j->base, &json_methods, options, start, sink, error);
  if (code) goto failed;
  j->format = format;
  j->max_record = options->max_record ? options->max_record : DEFAULT_MAX_RECORD;
  j->line_start = start->offset;
  j->indent_line = UINT64_MAX;
  look_for(j, options);
  if (options->source_field) code = os_json_tail_make(j, options->source_field, j->base.source_name, error);
  if (!code && start->offset) code = resume(j, start, error);
  if (code) goto failed;
  *out = &j->base;
  return OS_OK;
failed:
  json_free(&j->base);
  return code;
}
