/* bulk_action.c - see bulk_action.h. Runs once a record, so each line is written into memory that is reserved
** in one go.
*/
#include "pipeline/bulk_action.h"
#include <string.h>

enum {
  COMPUTED_DIGITS = 12,
  MOST_DIGITS = 20,
  FIXED_PARTS = 160, /* all names, quotes and numbers of a line */
  CACHE_LINE = 64,
  MOST_AHEAD = 512 /* bytes of a document */
};

static const char update_head[] = "{\"doc\":", update_tail[] = ",\"doc_as_upsert\":true}";

static inline char *put(char *at, const char *text, size_t len) {
  memcpy(at, text, len);
  return at + len;
}
#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static char *put_number(char *at, uint64_t value, int width) {
  for (int i = width - 1; i >= 0; i--) {
    at[i] = (char)('0' + value % 10);
    value /= 10;
  }
  return at + width;
}

/* 16 characters that stand for source and content, then the offset, zero-padded so that ids of one source
** sort in its order (12 digits; more when a source is longer than a terabyte). */
static char *put_id(char *at, const char *prefix, uint64_t offset) {
  int width = COMPUTED_DIGITS;
  for (uint64_t limit = 1000000000000u; offset >= limit && width < MOST_DIGITS; limit *= 10)
    width++;
  return put_number(put(at, prefix, OS_ID_PREFIX), offset, width);
}

void os_put_computed_id(struct os_buf *out, const char *prefix, uint64_t offset) {
  if (!os_buf_reserve(out, OS_ID_PREFIX + MOST_DIGITS)) return;
  out->len = (size_t)(put_id(out->data + out->len, prefix, offset) - out->data);
  out->data[out->len] = '\0';
}

static char *put_operation(char *at, enum os_op op) {
  switch (op) {
  case OS_OP_CREATE: return PUT(at, "{\"create\":{");
  case OS_OP_UPDATE: return PUT(at, "{\"update\":{");
  default: return PUT(at, "{\"index\":{");
  }
}

static char *put_retries(char *at, int times) {
  int width = 1;
  for (int rest = times / 10; rest > 0; rest /= 10)
    width++;
  return put_number(PUT(at, "\"retry_on_conflict\":"), (uint64_t)times, width);
}

/* Every member is followed by a comma; the last one is taken back. */
static char *put_members(char *at, const struct os_pipeline_options *options, enum os_op op,
                         const char *computed_prefix, const struct os_record *record) {
  if (computed_prefix) {
    at = PUT(put_id(PUT(at, "\"_id\":\""), computed_prefix, record->offset), "\",");
  } else if (record->id.text) {
    at = PUT(put(PUT(at, "\"_id\":\""), record->id.text, record->id.len), "\",");
  }
  if (record->routing.text)
    at = PUT(put(PUT(at, "\"routing\":\""), record->routing.text, record->routing.len), "\",");
  if (record->version.text && options->external_version && record->id.text) { /* a version needs an id */
    at = put(PUT(at, "\"version\":"), record->version.text, record->version.len);
    at = put(PUT(at, ",\"version_type\":\""), options->version_type, strlen(options->version_type));
    at = PUT(at, "\",");
  }
  if (op == OS_OP_UPDATE && options->retry_on_conflict > 0)
    at = PUT(put_retries(at, options->retry_on_conflict), ",");
  return at[-1] == ',' ? at - 1 : at;
}

void os_put_action(struct os_buf *out, const struct os_pipeline_options *options, enum os_op op,
                   const char *computed_prefix, const struct os_record *record) {
  size_t most = FIXED_PARTS + OS_ID_PREFIX + MOST_DIGITS + record->id.len + record->routing.len +
                record->version.len + (options->external_version ? strlen(options->version_type) : 0);
  if (!os_buf_reserve(out, most)) return;
  char *at = put_operation(out->data + out->len, op);
  at = PUT(put_members(at, options, op, computed_prefix, record), "}}\n");
  *at = '\0';
  out->len = (size_t)(at - out->data);
}

size_t os_lines_size(const struct os_buf *action, enum os_op op, size_t len) {
  size_t wrapping = op == OS_OP_UPDATE ? sizeof update_head + sizeof update_tail - 2 : 0;
  return action->len + wrapping + len + 1;
}

/* Ask for the cache lines to which a next document of this length will be written, while that is being parsed: batches
** come back from another core. Long copies are foreseen by the processor itself. */
static inline void fetch_ahead(const struct os_buf *out, size_t len) {
  size_t room = out->cap - out->len, most = len < MOST_AHEAD ? len : MOST_AHEAD;
  if (most > room) most = room;
  for (size_t i = 0; i <= most; i += CACHE_LINE)
    __builtin_prefetch(out->data + out->len + i, 1);
}

void os_put_lines(struct os_buf *out, const struct os_buf *action, enum os_op op, const char *document,
                  size_t len) {
  if (!os_buf_reserve(out, os_lines_size(action, op, len))) return;
  char *at = put(out->data + out->len, action->data, action->len);
  if (op == OS_OP_UPDATE) at = PUT(at, update_head);
  at = put(at, document, len);
  if (op == OS_OP_UPDATE) at = PUT(at, update_tail);
  *at++ = '\n';
  *at = '\0';
  out->len = (size_t)(at - out->data);
  fetch_ahead(out, len);
}
