/* feeder.c - turns records into bulk actions and fills batches with them: ids computed or taken, both
** caps kept, and for one explicit id the order of its records.
**
** Ordering ("the last record wins"): the gate knows which batch carries an id. A record whose id is in a
** batch that is on its way is parked: put into a second batch that is sent only after the ones it depends
** on are settled. Within one batch the server applies items of one id in order (bulk API page), so for
** `index` they may share it; `update` and `create` may not, because a repetition of the first after the
** second would change the result.
**
** Single-threaded: a reader thread's, or the keeper's when it pushes.
*/
#include <string.h>
#include "base/alloc.h"
#include "base/text.h"
#include "pipeline/bulk_action.h"
#include "pipeline/pipeline_int.h"

enum {
  REFUSALS_A_BATCH = 1000,
  AHEAD = 16,        /* ids whose place in the gate is fetched beforehand */
  TOLD_AT_ONCE = 256 /* records read */
};

int os_feeder_init(struct os_feeder *feeder, struct os_pipeline *pipeline, bool gated) {
  memset(feeder, 0, sizeof *feeder);
  feeder->pipeline = pipeline;
  feeder->gated = gated;
  os_gate_init(&feeder->gate);
  os_buf_init(&feeder->action, 0);
  return OS_OK;
}

/* A batch that never went to the sink goes back as it came. */
static void give_back(struct os_feeder *feeder, struct os_batch *batch) {
  if (!batch) return;
  os_batch_reset(batch);
  os_queue_push(&feeder->pipeline->pool, &batch->link);
}

void os_feeder_free(struct os_feeder *feeder) {
  struct os_pipeline *pipeline = feeder->pipeline;
  while (feeder->spare) {
    struct os_batch *next = feeder->spare->next_outstanding;
    give_back(feeder, feeder->spare);
    feeder->spare = next;
  }
  if (feeder->current) atomic_fetch_sub(&pipeline->travelling, 1);
  if (feeder->parked) atomic_fetch_sub(&pipeline->travelling, 1);
  give_back(feeder, feeder->current);
  give_back(feeder, feeder->parked);
  os_gate_free(&feeder->gate);
  os_buf_free(&feeder->action);
  feeder->current = feeder->parked = NULL;
}

/* ---- batches: taking, sealing, seeing them back --------------------------------------------- */

/* The keeper is done with a batch: its ids are free, and so is it. */
static void seen_back(struct os_feeder *feeder, struct os_batch *batch) {
  struct os_batch **at = &feeder->outstanding;
  while (*at && *at != batch)
    at = &(*at)->next_outstanding;
  if (*at) *at = batch->next_outstanding;
  for (size_t i = 0; i < batch->hash_count; i++) {
    if (i + AHEAD < batch->hash_count) os_gate_prefetch(&feeder->gate, batch->hashes[i + AHEAD]);
    os_gate_release(&feeder->gate, batch->hashes[i], batch);
  }
  os_batch_reset(batch);
  batch->next_outstanding = feeder->spare;
  feeder->spare = batch;
}

/* Take note of every batch that came back; wait up to timeout_ms for the first. */
static void reap(struct os_feeder *feeder, int timeout_ms) {
  struct os_queue_link *link;
  while ((link = os_queue_pop(&feeder->pipeline->pool, timeout_ms))) {
    seen_back(feeder, (struct os_batch *)link);
    timeout_ms = 0;
    if (!feeder->gated) break; /* other readers want some too */
  }
}

/* An empty batch. OS_ERR_BUSY: a pusher must first take and return one; OS_ERR_CANCELLED: stopped. */
static int acquire(struct os_feeder *feeder, struct os_batch **out) {
  struct os_pipeline *pipeline = feeder->pipeline;
  if (feeder->gated) reap(feeder, 0); /* what came back last goes first: it is in the caches */
  while (!feeder->spare) {
    if (atomic_load(&pipeline->stop)) return OS_ERR_CANCELLED;
    reap(feeder, pipeline->pushing ? 0 : 100);
    if (!feeder->spare && pipeline->pushing) return OS_ERR_BUSY;
  }
  struct os_batch *batch = feeder->spare;
  feeder->spare = batch->next_outstanding;
  batch->next_outstanding = NULL;
  batch->sequence = atomic_fetch_add(&pipeline->next_sequence, 1) + 1;
  atomic_fetch_add(&pipeline->travelling, 1);
  feeder->share = os_batch_share(feeder);
  *out = batch;
  return OS_OK;
}

static void seal(struct os_feeder *feeder, struct os_batch **slot) {
  struct os_batch *batch = *slot;
  *slot = NULL;
  if (feeder->gated) {
    batch->next_outstanding = feeder->outstanding;
    feeder->outstanding = batch;
  }
  if (batch->item_count) {
    os_sink_accept(batch);
  } else { /* rejects, holes, ends of sources: nothing to send */
    batch->finished = true;
    os_pipeline_settle(batch);
  }
}

static bool depends_on_outstanding(const struct os_feeder *feeder, const struct os_batch *parked) {
  for (const struct os_batch *batch = feeder->outstanding; batch; batch = batch->next_outstanding)
    if (batch->sequence <= parked->waits_for) return true;
  return false;
}

static void seal_current(struct os_feeder *feeder) {
  if (feeder->current) seal(feeder, &feeder->current);
  if (!feeder->parked) return;
  reap(feeder, 0);
  if (!depends_on_outstanding(feeder, feeder->parked)) seal(feeder, &feeder->parked);
}

/* Send the parked batch, waiting until what it depends on is settled. */
static int send_parked(struct os_feeder *feeder) {
  seal_current(feeder);
  while (feeder->parked) {
    if (atomic_load(&feeder->pipeline->stop)) return OS_ERR_CANCELLED;
    if (!depends_on_outstanding(feeder, feeder->parked)) {
      seal(feeder, &feeder->parked);
      break;
    }
    if (feeder->pipeline->pushing) return OS_ERR_BUSY; /* nobody else brings batches back */
    reap(feeder, 100);
  }
  return OS_OK;
}

/* ---- choosing the batch for a record -------------------------------------------------------- */

static bool fits(const struct os_feeder *feeder, const struct os_batch *batch, size_t need) {
  const struct os_pipeline_options *options = &feeder->pipeline->options;
  uint64_t cap = options->batch_bytes;
  uint64_t learned = atomic_load_explicit(&options->endpoint->learned_max_body, memory_order_relaxed);
  if (learned && learned < cap) cap = learned;
  if (feeder->share < cap) cap = feeder->share;
  if (batch->records >= options->batch_size) return false;
  if (batch->refusal_count >= REFUSALS_A_BATCH || batch->refusal_bytes > options->batch_bytes) return false;
  if (!batch->item_count) return true;
  /* raw is kept beside the body where it cannot be read again: together they stay within the cap */
  return batch->body.len + need <= cap && batch->body.len + need + batch->raw.len <= options->batch_bytes;
}

/* current, with room for `need` bytes */
static int current_batch(struct os_feeder *feeder, size_t need, struct os_batch **out) {
  if (feeder->current && !fits(feeder, feeder->current, need)) seal_current(feeder);
  if (!feeder->current) {
    int rc = acquire(feeder, &feeder->current);
    if (rc) return rc;
  }
  *out = feeder->current;
  return OS_OK;
}

/* The batch that keeps the order of records with this id. */
static int ordered_batch(struct os_feeder *feeder, uint64_t hash, enum os_op op, size_t need,
                         struct os_batch **out) {
  for (;;) {
    int rc = OS_OK;
    struct os_batch *holder = os_gate_find(&feeder->gate, hash);
    if (!holder) return current_batch(feeder, need, out);
    if (holder == feeder->current || holder == feeder->parked) {
      if (op == OS_OP_INDEX && fits(feeder, holder, need)) {
        *out = holder;
        return OS_OK;
      }
      if (holder == feeder->current)
        seal(feeder, &feeder->current); /* from here on it is on its way */
      else
        rc = send_parked(feeder);
      if (rc) return rc;
      continue;
    }
    reap(feeder, 0);
    if (os_gate_find(&feeder->gate, hash) != holder) continue;
    if (feeder->parked && !fits(feeder, feeder->parked, need)) {
      rc = send_parked(feeder);
    } else if (!feeder->parked) {
      rc = acquire(feeder, &feeder->parked);
    } else {
      if (holder->sequence > feeder->parked->waits_for) feeder->parked->waits_for = holder->sequence;
      *out = feeder->parked;
      return OS_OK;
    }
    if (rc) return rc;
  }
}

/* ---- records and rejects -------------------------------------------------------------------- */

/* The figure that others see is told now and then: a locked addition waits until all that was written before it is
** in the cache, a record's worth of misses each time. */
static void tell_records(struct os_feeder *feeder) {
  atomic_fetch_add_explicit(&feeder->pipeline->figures.records_read, feeder->uncounted, memory_order_relaxed);
  feeder->uncounted = 0;
}

static inline void count_record(struct os_feeder *feeder) {
  if (++feeder->uncounted == TOLD_AT_ONCE) tell_records(feeder);
}

/* Where the record's exact bytes can be had again, should it be refused. */
static bool keep_raw(const struct os_source *source, struct os_batch *batch, const struct os_record *record,
                     struct os_item *item) {
  item->raw_len = (uint32_t)record->raw_len;
  if (record->raw == record->doc && record->raw_len == record->doc_len && item->op != OS_OP_UPDATE) {
    item->raw_at = OS_RAW_IS_DOCUMENT;
    return true;
  }
  if (source->compression == OS_PLAIN && !source->is_stream && !os_source_is_object(source)) {
    item->raw_at = OS_RAW_IN_SOURCE;
    return true;
  }
  item->raw_at = (uint32_t)batch->raw.len;
  os_buf_append(&batch->raw, record->raw, record->raw_len);
  return !batch->raw.failed;
}

/* The lines of an item stand at the end of body: make it one of the batch's. Without memory they are taken
 * back, and the batch is as before. */
static int close_item(struct os_feeder *feeder, struct os_batch *batch, struct os_item *item) {
  bool ordered = feeder->gated && item->id_hash;
  item->len = (uint32_t)batch->body.len - item->at;
  /* noted first: a note without its entry in the gate is harmless, an entry that is never released is not */
  if (!batch->body.failed && (!ordered || os_batch_note_id(batch, item->id_hash)) &&
      os_batch_add_item(batch, item)) {
    if (!ordered || os_gate_put(&feeder->gate, item->id_hash, batch)) return OS_OK;
    batch->item_count--;
  }
  batch->body.len = item->at;
  batch->body.failed = false;
  return OS_ERR_NOMEM;
}

static int append_item(struct os_feeder *feeder, struct os_batch *batch, struct os_item *item,
                       const char *doc, size_t doc_len) {
  const struct os_buf *action = &feeder->action;
  item->at = (uint32_t)batch->body.len;
  item->action_len = (uint32_t)action->len;
  os_put_lines(&batch->body, action, (enum os_op)item->op, doc, doc_len);
  return close_item(feeder, batch, item);
}

/* Was a member taken out of the document that the bulk action carries instead? */
static bool is_cut(const struct os_pipeline_options *options, const struct os_record *record) {
  const struct os_parse_options *parse = options->parse;
  if (record->id.text) return true;
  if (record->routing.text && !strcmp(parse->routing_field, "_routing")) return true;
  return record->version.text && !strcmp(parse->version_field, "_version");
}

/* A record that is well formed but cannot be sent as it is. Its document is kept when it is all of the
** record: sent again without the id that was cut from it, it would become another document. */
static int refuse_record(struct os_feeder *feeder, const struct os_record *record, uint64_t from,
                         const char *type, const char *reason) {
  struct os_batch *batch;
  int rc = current_batch(feeder, 0, &batch);
  if (rc) return rc;
  bool whole = !is_cut(&feeder->pipeline->options, record);
  struct os_refusal refusal = {.source = feeder->source,
                               .offset = record->offset,
                               .line = record->line,
                               .op = feeder->pipeline->options.op,
                               .type = os_strdup(type),
                               .reason = os_strdup(reason),
                               .document = whole ? os_strndup(record->doc, record->doc_len) : NULL,
                               .document_len = whole ? record->doc_len : 0,
                               .raw = os_strndup(record->raw, record->raw_len),
                               .raw_len = record->raw_len};
  if (!refusal.raw || (whole && !refusal.document)) {
    os_refusal_clear(&refusal);
    return OS_ERR_NOMEM; /* NULL would say: to be read again from the file */
  }
  batch->outcomes[OS_REFUSED]++;
  if (!os_batch_refuse(batch, &refusal)) return OS_ERR_NOMEM;
  return os_batch_cover(batch, feeder->source, from, record->end, record->end_line) ? OS_OK : OS_ERR_NOMEM;
}

/* NULL, or why this record cannot be sent. */
static const char *unfit(const struct os_pipeline_options *options, const struct os_record *record,
                         const char **type) {
  bool needs_id = options->id_required || (options->op == OS_OP_UPDATE && !options->create_only);
  if (!record->id.text && needs_id) {
    *type = "id_missing";
    return "the record has no id, and this load adds or changes documents by their id; give it one, or load "
           "with "
           "mode append";
  }
  if (options->external_version && record->version.text &&
      !os_is_json_long(record->version.text, record->version.len)) {
    *type = "version_invalid";
    return "the version is not a whole number from 0 to 9223372036854775807, without zeros in front";
  }
  return NULL;
}

int os_feeder_record(void *ctx, const struct os_record *record) {
  struct os_feeder *feeder = ctx;
  struct os_pipeline *pipeline = feeder->pipeline;
  const struct os_pipeline_options *options = &pipeline->options;
  const struct os_source *source = os_source_at(options->sources, feeder->source);
  if (atomic_load_explicit(&pipeline->stop, memory_order_relaxed)) return OS_ERR_CANCELLED;
  uint64_t from = feeder->covered;
  feeder->covered = record->end;
  feeder->covered_line = record->end_line;
  count_record(feeder);

  const char *type, *reason = unfit(options, record, &type);
  if (reason) return refuse_record(feeder, record, from, type, reason);

  bool computed = !record->id.text && !options->server_ids && source->id_prefix[0];
  enum os_op op = record->id.text ? options->op : computed ? OS_OP_CREATE : OS_OP_INDEX;
  if (options->create_only) op = OS_OP_CREATE;
  struct os_item item = {.source = feeder->source,
                         .offset = record->offset,
                         .line = record->line,
                         .op = (uint8_t)op,
                         .computed = computed,
                         .maybe_sent = source->maybe_sent,
                         .id_hash = record->id.text ? os_gate_hash(record->id.text, record->id.len) : 0};
  if (item.id_hash) os_gate_prefetch(&feeder->gate, item.id_hash);
  os_buf_clear(&feeder->action);
  os_put_action(&feeder->action, options, op, computed ? source->id_prefix : NULL, record);
  if (feeder->action.failed) return OS_ERR_NOMEM;
  size_t need = os_lines_size(&feeder->action, op, record->doc_len);
  struct os_batch *batch;
  int rc = feeder->gated && item.id_hash && !options->dry_run
               ? ordered_batch(feeder, item.id_hash, op, need, &batch)
               : current_batch(feeder, need, &batch);
  if (rc) return rc;
  if (options->dry_run) {
    if (options->inspect && (rc = options->inspect(options->inspect_ctx, feeder->source, record))) return rc;
    batch->outcomes[OS_SKIPPED]++;
  } else {
    if (!keep_raw(source, batch, record, &item)) return OS_ERR_NOMEM;
    rc = append_item(feeder, batch, &item, record->doc, record->doc_len);
    if (rc) return rc;
  }
  return os_batch_cover(batch, feeder->source, from, record->end, record->end_line) ? OS_OK : OS_ERR_NOMEM;
}

int os_feeder_reject(void *ctx, const struct os_reject *reject) {
  struct os_feeder *feeder = ctx;
  struct os_batch *batch;
  if (atomic_load_explicit(&feeder->pipeline->stop, memory_order_relaxed)) return OS_ERR_CANCELLED;
  int rc = current_batch(feeder, 0, &batch);
  if (rc) return rc;
  uint64_t from = feeder->covered;
  feeder->covered = reject->end;
  feeder->covered_line = reject->end_line;
  count_record(feeder);
  struct os_refusal refusal = {.source = feeder->source,
                               .offset = reject->offset,
                               .line = reject->line,
                               .op = feeder->pipeline->options.op,
                               .type = os_strdup(reject->type),
                               .reason = os_strdup(reject->reason),
                               .raw = os_strndup(reject->raw, reject->raw_len),
                               .raw_len = reject->raw_len};
  if (!refusal.raw) {
    os_refusal_clear(&refusal);
    return OS_ERR_NOMEM; /* NULL would say: to be read again from the file */
  }
  batch->outcomes[OS_REFUSED]++;
  if (!os_batch_refuse(batch, &refusal)) return OS_ERR_NOMEM;
  return os_batch_cover(batch, feeder->source, from, reject->end, reject->end_line) ? OS_OK : OS_ERR_NOMEM;
}

/* ---- sources -------------------------------------------------------------------------------- */

void os_feeder_begin_source(struct os_feeder *feeder, uint32_t source) {
  feeder->source = source;
  const struct os_source *begun = os_source_at(feeder->pipeline->options.sources, source);
  feeder->covered = begun->start_offset;
  feeder->covered_line = begun->start_line;
}

int os_feeder_end_source(struct os_feeder *feeder, struct os_error *error_take) {
  tell_records(feeder);
  atomic_fetch_add(&feeder->pipeline->done_bytes,
                   os_source_at(feeder->pipeline->options.sources, feeder->source)->size);
  struct os_batch *batch;
  int rc = current_batch(feeder, 0, &batch);
  if (rc) {
    os_free(error_take);
    return rc;
  }
  /* closing brackets and trailing blanks belong to nobody: the source ends where its last record does */
  bool ok = os_batch_end_source(batch, feeder->source, feeder->covered, feeder->covered_line, error_take);
  return ok ? OS_OK : OS_ERR_NOMEM;
}

int os_feeder_flush(struct os_feeder *feeder, bool all) {
  seal_current(feeder);
  return all && feeder->parked ? send_parked(feeder) : OS_OK;
}

int os_feeder_push(struct os_feeder *feeder, const struct os_push *push) {
  struct os_item item = {.offset = push->tag,
                         .op = (uint8_t)push->op,
                         .maybe_sent = push->maybe_sent,
                         .conditional = push->conditional,
                         .raw_at = OS_RAW_IS_DOCUMENT,
                         .id_hash =
                             push->explicit_id ? os_gate_hash(push->explicit_id, push->explicit_id_len) : 0};
  size_t need = push->action_len + push->document_len + 1;
  struct os_batch *batch;
  int rc = item.id_hash ? ordered_batch(feeder, item.id_hash, push->op, need, &batch)
                        : current_batch(feeder, need, &batch);
  if (rc) return rc;
  /* the document comes as it is to be sent: an update's is wrapped already */
  size_t len = push->document_len;
  while (len && (push->document[len - 1] == '\n' || push->document[len - 1] == '\r'))
    len--;
  item.at = (uint32_t)batch->body.len;
  item.action_len = (uint32_t)push->action_len;
  os_buf_append(&batch->body, push->action, push->action_len);
  os_buf_append(&batch->body, push->document, len);
  os_buf_putc(&batch->body, '\n');
  rc = close_item(feeder, batch, &item);
  if (!rc) batch->records++;
  return rc;
}
