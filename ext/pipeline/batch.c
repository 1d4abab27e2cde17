/* batch.c - see batch.h. Memory of one batch; no threads, no I/O. */
#include "pipeline/batch.h"
#include <string.h>
#include "base/alloc.h"

enum { OVERSIZED = 32 << 20 /* a body that grew beyond this gives its memory back */ };

const char *os_op_name(enum os_op op) {
  static const char *const names[] = {"index", "create", "update"};
  return names[op];
}

struct os_batch *os_batch_new(struct os_pipeline *pipeline) {
  struct os_batch *batch = os_calloc(1, sizeof *batch);
  if (!batch) return NULL;
  batch->pipeline = pipeline;
  os_buf_init(&batch->body, 0);
  os_buf_init(&batch->raw, 0);
  os_buf_init(&batch->gzipped, 0);
  os_http_call_init(&batch->call, NULL, "POST", NULL);
  return batch;
}

void os_refusal_clear(struct os_refusal *refusal) {
  os_free(refusal->type);
  os_free(refusal->reason);
  os_free(refusal->doc_id);
  os_free(refusal->document);
  os_free(refusal->raw);
  os_free(refusal->action);
  memset(refusal, 0, sizeof *refusal);
}

static void clear_lists(struct os_batch *batch) {
  for (size_t i = 0; i < batch->refusal_count; i++)
    os_refusal_clear(&batch->refusals[i]);
  for (size_t i = 0; i < batch->segment_count; i++)
    os_free(batch->segments[i].error);
  batch->refusal_count = batch->segment_count = batch->settled_count = batch->item_count = 0;
  batch->hash_count = batch->refusal_bytes = 0;
  batch->records = 0;
}

void os_batch_free(struct os_batch *batch) {
  if (!batch) return;
  clear_lists(batch);
  os_http_call_free(&batch->call);
  os_buf_free(&batch->body);
  os_buf_free(&batch->raw);
  os_buf_free(&batch->gzipped);
  os_free(batch->items);
  os_free(batch->answers);
  os_free(batch->marks);
  os_free(batch->segments);
  os_free(batch->refusals);
  os_free(batch->settled);
  os_free(batch->hashes);
  os_free(batch);
}

static void empty_buffer(struct os_buf *buf) {
  if (buf->cap > OVERSIZED) os_buf_free(buf);
  os_buf_clear(buf);
}

void os_batch_reset(struct os_batch *batch) {
  clear_lists(batch);
  empty_buffer(&batch->body);
  empty_buffer(&batch->raw);
  empty_buffer(&batch->gzipped);
  batch->sequence = batch->waits_for = 0;
  memset(batch->outcomes, 0, sizeof batch->outcomes);
  batch->bytes_sent = batch->requests = batch->retries = batch->unknown = 0;
  batch->finished = false;
  os_error_clear(&batch->fault);
  batch->sending = batch->item_limit = batch->byte_limit = 0;
  batch->attempt = 0;
}

/* Room for one more in a list that doubles. */
static bool grow(void **list, size_t *cap, size_t count, size_t each) {
  if (*list && count < *cap) return true;
  size_t want = *cap ? *cap * 2 : 8;
  void *bigger = os_realloc(*list, want * each);
  if (!bigger) return false;
  *list = bigger;
  *cap = want;
  return true;
}

bool os_batch_grow_items(struct os_batch *batch) {
  size_t cap = batch->item_cap;
  if (!grow((void **)&batch->items, &cap, batch->item_count, sizeof *batch->items)) return false;
  struct os_bulk_item *answers = os_realloc(batch->answers, cap * sizeof *answers);
  if (!answers) return false;
  batch->answers = answers;
  unsigned char *marks = os_realloc(batch->marks, cap);
  if (!marks) return false;
  batch->marks = marks;
  batch->item_cap = cap;
  return true;
}

bool os_batch_cover(struct os_batch *batch, uint32_t source, uint64_t from, uint64_t to, uint64_t line) {
  struct os_segment *last = batch->segment_count ? &batch->segments[batch->segment_count - 1] : NULL;
  if (last && last->source == source && last->to == from && !last->eof) {
    last->to = to;
    last->line = line;
    last->records++;
    batch->records++;
    return true;
  }
  if (!grow((void **)&batch->segments, &batch->segment_cap, batch->segment_count, sizeof *batch->segments))
    return false;
  batch->segments[batch->segment_count++] =
      (struct os_segment){.source = source, .from = from, .to = to, .line = line, .records = 1};
  batch->records++;
  return true;
}

bool os_batch_end_source(struct os_batch *batch, uint32_t source, uint64_t at, uint64_t line,
                         struct os_error *error_take) {
  struct os_segment *last = batch->segment_count ? &batch->segments[batch->segment_count - 1] : NULL;
  if (!last || last->source != source || last->to != at || last->eof) {
    if (!grow((void **)&batch->segments, &batch->segment_cap, batch->segment_count,
              sizeof *batch->segments)) {
      os_free(error_take);
      return false;
    }
    last = &batch->segments[batch->segment_count++];
    *last = (struct os_segment){.source = source, .from = at, .to = at, .line = line};
  }
  last->eof = true;
  last->error = error_take;
  return true;
}

bool os_batch_refuse(struct os_batch *batch, struct os_refusal *refusal) {
  if (!refusal->type || !refusal->reason ||
      !grow((void **)&batch->refusals, &batch->refusal_cap, batch->refusal_count, sizeof *batch->refusals)) {
    os_refusal_clear(refusal);
    return false;
  }
  batch->refusal_bytes += refusal->document_len + (refusal->raw ? refusal->raw_len : 0) + 512;
  batch->refusals[batch->refusal_count++] = *refusal;
  memset(refusal, 0, sizeof *refusal);
  return true;
}

void os_batch_compact(struct os_batch *batch, const unsigned char *settled, size_t n) {
  size_t kept = 0;
  uint32_t to = 0;
  for (size_t i = 0; i < batch->item_count;) {
    if (i < n && settled[i]) {
      i++;
      continue;
    }
    /* move a whole run of kept items at once; they are neighbours in body */
    size_t first = i;
    uint32_t from = batch->items[i].at;
    while (i < batch->item_count && !(i < n && settled[i]))
      i++;
    uint32_t end = batch->items[i - 1].at + batch->items[i - 1].len;
    uint32_t shift = from - to;
    if (shift) memmove(batch->body.data + to, batch->body.data + from, end - from);
    for (size_t k = first; k < i; k++) {
      batch->items[kept] = batch->items[k];
      batch->items[kept].at -= shift;
      kept++;
    }
    to += end - from;
  }
  batch->item_count = kept;
  batch->body.len = to;
}

bool os_batch_note_id(struct os_batch *batch, uint64_t hash) {
  if (!grow((void **)&batch->hashes, &batch->hash_cap, batch->hash_count, sizeof *batch->hashes))
    return false;
  batch->hashes[batch->hash_count++] = hash;
  return true;
}
