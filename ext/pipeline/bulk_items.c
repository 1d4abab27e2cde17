/* bulk_items.c - what the items of one answer come to: outcomes counted, refusals kept with everything
** needed to send the record again, the order of records with one id kept where some go again. Touches the
** batch alone.
*/
#include <jansson.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "pipeline/bulk_int.h"
#include "pipeline/bulk_verdict.h"

static bool note_outcome(struct os_batch *batch, size_t i, enum os_outcome outcome) {
  batch->marks[i] = 1;
  batch->outcomes[outcome]++;
  if (!batch->pipeline->options.keep_settled) return true;
  if (batch->settled_count == batch->settled_cap) {
    size_t cap = batch->settled_cap ? batch->settled_cap * 2 : 64;
    struct os_settled *settled = os_realloc(batch->settled, cap * sizeof *settled);
    if (!settled) return false;
    batch->settled = settled;
    batch->settled_cap = cap;
  }
  batch->settled[batch->settled_count++] = (struct os_settled){batch->items[i].offset, outcome};
  return true;
}

/* The document line of an item, without its line break. */
static const char *document_of(const struct os_batch *batch, const struct os_item *item, size_t *len) {
  *len = item->len - item->action_len - 1;
  return batch->body.data + item->at + item->action_len;
}

/* The `_id` of an action line, as text; NULL when it has none. */
static char *id_of_action(const char *action, size_t len) {
  json_error_t ignored;
  json_t *root = os_json_load(action, len, JSON_DECODE_INT_AS_REAL, &ignored); /* a version may be large */
  const char *key;
  json_t *meta;
  char *id = NULL;
  json_object_foreach(root, key, meta) id = os_strdup(json_string_value(json_object_get(meta, "_id")));
  json_decref(root);
  return id;
}

bool os_items_refuse(struct os_batch *batch, size_t i, int status, const char *type, const char *reason) {
  const struct os_item *item = &batch->items[i];
  size_t len;
  const char *document = document_of(batch, item, &len);
  const char *action = batch->body.data + item->at;
  struct os_refusal refusal = {.source = item->source,
                               .offset = item->offset,
                               .line = item->line,
                               .status = status,
                               .op = (enum os_op)item->op,
                               .explicit_id = item->id_hash != 0,
                               .maybe_sent = item->maybe_sent,
                               .id_hash = item->id_hash,
                               .attempts = item->attempts,
                               .type = os_strdup(type),
                               .reason = os_strdup(reason),
                               .doc_id = id_of_action(action, item->action_len),
                               .document = os_strndup(document, len),
                               .document_len = len,
                               .action = os_strndup(action, item->action_len),
                               .raw_len = item->raw_len};
  if (item->raw_at == OS_RAW_IS_DOCUMENT) {
    refusal.raw = os_strndup(document, len);
    refusal.raw_len = len;
  } else if (item->raw_at != OS_RAW_IN_SOURCE) {
    refusal.raw = os_strndup(batch->raw.data + item->raw_at, item->raw_len);
  }
  bool has_id = item->computed || item->id_hash;
  bool complete = refusal.document && refusal.action && (refusal.raw || item->raw_at == OS_RAW_IN_SOURCE) &&
                  (refusal.doc_id || !has_id);
  if (!complete) {
    os_refusal_clear(&refusal);
    return false;
  }
  return os_batch_refuse(batch, &refusal) && note_outcome(batch, i, OS_REFUSED);
}

static bool is_before(const struct os_refusal *refusal, const struct os_item *item) {
  if (refusal->source != item->source) return refusal->source < item->source;
  return refusal->offset < item->offset;
}

/* An item got in: records with its id that were refused before it must not come back over it. */
static void overtake(struct os_batch *batch, const struct os_item *item) {
  for (size_t i = 0; item->id_hash && i < batch->refusal_count; i++) {
    struct os_refusal *refusal = &batch->refusals[i];
    if (refusal->id_hash == item->id_hash && is_before(refusal, item)) refusal->overtaken = true;
  }
}

enum sameness { DIFFERENT, SAME, UNKNOWN /* no memory to find out */ };

/* Do both write the same document? Ids and routing may be spelled with other escapes. */
static enum sameness compare_actions(const struct os_batch *batch, const struct os_item *a,
                                     const struct os_item *b) {
  if (a->id_hash != b->id_hash) return DIFFERENT;
  const char *text_a = batch->body.data + a->at, *text_b = batch->body.data + b->at;
  if (a->action_len == b->action_len && !memcmp(text_a, text_b, a->action_len)) return SAME;
  struct os_error error = {.code = OS_OK};
  json_t *one = os_json_parse(text_a, a->action_len, 0, "action", &error);
  json_t *other = one ? os_json_parse(text_b, b->action_len, 0, "action", &error) : NULL;
  enum sameness same = json_equal(one, other) ? SAME : error.code == OS_ERR_NOMEM ? UNKNOWN : DIFFERENT;
  json_decref(one);
  json_decref(other);
  return same;
}

/* An `index` item that is to go again although a later one for its id got in would undo that one: it is left
 * out. */
bool os_items_drop_superseded(struct os_batch *batch, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const struct os_item *item = &batch->items[i];
    if (batch->marks[i] || !item->id_hash || item->op != OS_OP_INDEX) continue;
    for (size_t k = i + 1; k < n; k++) {
      if (batch->answers[k].status >= 300) continue;
      enum sameness same = compare_actions(batch, item, &batch->items[k]);
      if (same == DIFFERENT) continue;
      if (same == UNKNOWN || !note_outcome(batch, i, OS_SKIPPED)) return false;
      break;
    }
  }
  return true;
}

static enum os_outcome outcome_of(enum os_verdict verdict) {
  switch (verdict) {
  case OS_VERDICT_UPDATED: return OS_UPDATED;
  case OS_VERDICT_NOOP: return OS_NOOP;
  case OS_VERDICT_ALREADY: return OS_ALREADY;
  case OS_VERDICT_OLDER: return OS_SKIPPED;
  default: return OS_CREATED;
  }
}

static void accept_item(struct os_batch *batch, size_t i, enum os_verdict verdict, struct os_tally *tally) {
  overtake(batch, &batch->items[i]);
  tally->nomem |= !note_outcome(batch, i, outcome_of(verdict));
  tally->settled++;
}

static void judge_error(struct os_batch *batch, size_t i, struct os_tally *tally) {
  const struct os_bulk_item *answer = &batch->answers[i];
  char type[OS_BULK_ERROR_TYPE], reason[OS_BULK_ERROR_REASON];
  type[0] = reason[0] = '\0';
  if (answer->error) os_bulk_item_error(answer, type, reason);
  enum os_verdict verdict = os_bulk_verdict(answer->status, answer->result, type, reason, &batch->items[i],
                                            batch->pipeline->options.external_version);
  /* An explicit id may be a neighbour's in the same files: the keeper looks at what stands there. */
  if (verdict == OS_VERDICT_ALREADY && batch->items[i].id_hash && !batch->pipeline->options.keep_settled)
    verdict = OS_VERDICT_REFUSED;
  switch (verdict) {
  case OS_VERDICT_REFUSED:
    tally->nomem |= !os_items_refuse(batch, i, answer->status, type[0] ? type : "refused",
                                     reason[0] ? reason : "no reason given");
    tally->settled++;
    break;
  case OS_VERDICT_LOAD:
  case OS_VERDICT_RETRY:
  case OS_VERDICT_BLOCKED:
    if (verdict == OS_VERDICT_LOAD) tally->overload = true;
    if (verdict == OS_VERDICT_RETRY) { /* the shard may have done it */
      batch->items[i].maybe_sent = true;
      batch->unknown++;
    }
    if (!tally->again++) os_fail(&tally->why, OS_ERR_BUSY, "%d %s: %s", answer->status, type, reason);
    if (verdict == OS_VERDICT_BLOCKED)
      os_advise(&tally->why,
                "lift the block on the index (for the flood stage: free disk space), then load again with "
                "mode resume");
    break;
  case OS_VERDICT_FAULT:
    if (!tally->fault) {
      tally->fault = true;
      enum os_code code = answer->status == 404   ? OS_ERR_NOT_FOUND
                          : answer->status == 403 ? OS_ERR_FORBIDDEN
                                                  : OS_ERR_REFUSED;
      os_fail(&tally->why, code, "%d %s: %s", answer->status, type, reason);
      tally->why.http_status = answer->status;
    }
    break;
  default: accept_item(batch, i, verdict, tally);
  }
}

void os_items_judge(struct os_batch *batch, size_t i, struct os_tally *tally) {
  const struct os_bulk_item *answer = &batch->answers[i];
  if (answer->error || !os_bulk_succeeded(answer->status))
    judge_error(batch, i, tally);
  else
    accept_item(batch, i, os_bulk_success(answer->status, answer->result), tally);
}
