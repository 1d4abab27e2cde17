/* json_record.c - from a scanned JSON value to a record or a reject: the rules about ids, routing, version
** and the source member. Calls json_scan and base/; hands the result to the parser's sink.
*/
#include "format/json_impl.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int os_json_tail_make(struct os_json_parser *j, const char *member, const char *source_name,
                      struct os_error *error) {
  os_buf_put_json(&j->tail, member, strlen(member));
  os_buf_putc(&j->tail, ':');
  os_buf_put_json(&j->tail, source_name, strlen(source_name));
  os_buf_putc(&j->tail, '}');
  return j->tail.failed ? os_fail_nomem(error) : OS_OK;
}

static int refuse(struct os_json_parser *j, const struct os_json_value *value, const char *type,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* `value` as a whole is refused; the sentence follows its place. */
static int refuse(struct os_json_parser *j, const struct os_json_value *value, const char *type,
                  const char *format, ...) {
  struct os_reject reject;
  uint64_t offset = os_json_offset(j, value->start);
  int n = snprintf(reject.reason, sizeof reject.reason,
                   "line %llu column %llu (byte %llu): ", (unsigned long long)value->line,
                   (unsigned long long)(offset >= j->line_start ? offset - j->line_start + 1 : 1),
                   (unsigned long long)offset);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reject.reason + n, sizeof reject.reason - (size_t)n, format, arguments);
  va_end(arguments);
  reject.type = type;
  reject.raw = value->start;
  reject.raw_len = (size_t)(j->scan.end - value->start);
  if (reject.raw_len > OS_REJECT_RAW_MAX) reject.raw_len = OS_REJECT_RAW_MAX;
  reject.offset = offset;
  reject.end = value->end;
  reject.line = value->line;
  reject.end_line = value->end_line;
  j->base.records++;
  return j->base.sink.reject(j->base.sink.ctx, &reject);
}

static int refuse_kind(struct os_json_parser *j, const struct os_json_value *value) {
  const char *kind = os_json_kind_name(j->scan.kind);
  if (value->key)
    return refuse(j, value, "not_an_object",
                  "member \"%.*s\" is %s, not an object. The file is read as an object of documents; with "
                  "json_root 'document' the whole is one document",
                  os_json_shown_len(value->key, value->key_len), value->key, kind);
  return refuse(j, value, "not_an_object", "%s stands where a document, an object, should stand", kind);
}

static int refuse_twice(struct os_json_parser *j, const struct os_json_value *value,
                        const struct os_json_pick *pick) {
  return refuse(j, value, "invalid_json", "member \"%.*s\" appears twice: it must be there once",
                os_json_shown_len(pick->name, pick->name_len), pick->name);
}

static bool is_scalar(const struct os_json_pick *pick) {
  return pick->kind == OS_JSON_STRING || pick->kind == OS_JSON_NUMBER || pick->kind == OS_JSON_NULL;
}

static bool read_found(struct os_json_parser *j, const struct os_json_value *value,
                       const struct os_json_pick *pick, const char *type, struct os_record_meta *out,
                       int *code) {
  if (pick->times > 1)
    *code = refuse_twice(j, value, pick);
  else if (!is_scalar(pick))
    *code = refuse(j, value, type, "member \"%.*s\" is %s; it must be a string or a number",
                   os_json_shown_len(pick->name, pick->name_len), pick->name, os_json_kind_name(pick->kind));
  else {
    if (pick->kind != OS_JSON_NULL) *out = (struct os_record_meta){pick->text, pick->len};
    return true;
  }
  return false;
}

/* Read what a pick found. False: it was refused and *code is the sink's answer. */
static inline bool read_pick(struct os_json_parser *j, const struct os_json_value *value, int index,
                             const char *type, struct os_record_meta *out, int *code) {
  if (index < 0 || !j->scan.pick[index].times) return true;
  return read_found(j, value, &j->scan.pick[index], type, out, code);
}

/* OpenSearch refuses ids of more than 512 bytes and empty ones (`_bulk` and index API documentation). */
static bool id_is_good(struct os_json_parser *j, const struct os_json_value *value,
                       const struct os_record_meta *id, int *code) {
  if (!id->text) return true;
  if (id->len == 0) {
    *code = refuse(j, value, "id_empty",
                   "the id is an empty text; leave it out or make it null for a document "
                   "without an id");
    return false;
  }
  if (id->len <= OS_ID_MAX) return true;
  size_t len = os_json_decoded_len(id->text, id->len);
  if (len <= OS_ID_MAX) return true;
  *code = refuse(j, value, "id_too_long", "the id is %zu bytes long; OpenSearch takes at most %d", len,
                 OS_ID_MAX);
  return false;
}

/* Put the source member before the closing brace. A member of the same name was cut: the source wins. */
static bool add_source(struct os_json_parser *j, struct os_record *record) {
  struct os_buf *scratch = &j->scan.scratch;
  if (record->doc != scratch->data) {
    os_buf_clear(scratch);
    os_buf_append(scratch, record->doc, record->doc_len);
  }
  if (!scratch->failed) {
    scratch->len--;
    if (record->doc_len > 2) os_buf_putc(scratch, ',');
    os_buf_append(scratch, j->tail.data, j->tail.len);
  }
  record->doc = scratch->data;
  record->doc_len = scratch->len;
  return !scratch->failed;
}

int os_json_deliver(struct os_json_parser *j, const struct os_json_value *value) {
  struct os_json_scan *scan = &j->scan;
  int code = OS_OK;
  if (scan->kind != OS_JSON_OBJECT) return refuse_kind(j, value);
  if (scan->too_deep)
    return refuse(j, value, "json_too_deep",
                  "the document is nested %d levels deep or more; at most %d are accepted", OS_JSON_DEPTH_MAX,
                  OS_JSON_DEPTH_MAX - 1);

  struct os_record record = {.doc = scan->doc, .doc_len = scan->doc_len};
  if (!read_pick(j, value, j->id_pick, "id_not_scalar", &record.id, &code) ||
      !read_pick(j, value, j->routing_pick, "routing_not_scalar", &record.routing, &code) ||
      !read_pick(j, value, j->version_pick, "version_not_scalar", &record.version, &code))
    return code;
  if (j->key_is_id && value->key) record.id = (struct os_record_meta){value->key, value->key_len};
  if (!id_is_good(j, value, &record.id, &code)) return code;
  if (j->tail.len && !add_source(j, &record)) return os_fail_nomem(j->error);

  record.raw = value->start;
  record.raw_len = (size_t)(scan->end - value->start);
  record.offset = os_json_offset(j, value->start);
  record.end = value->end;
  record.line = value->line;
  record.end_line = value->end_line;
  j->base.records++;
  return j->base.sink.record(j->base.sink.ctx, &record);
}
