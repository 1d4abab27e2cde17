/* bulk_sink.c - sends batches as `_bulk` requests until every item has its final outcome. Network thread
** only, except for the three functions that post to it.
**
** A batch has at most one request under way. After each answer the settled items leave the batch and what
** remains is sent again: at once when it was simply not part of the request, after a backoff when it was
** turned away for a while. Rules 1 to 3 of the architecture: errors:true is never success; what is not
** known to have failed is sent again only because ids make that harmless; 413 halves and remembers.
*/
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "cluster/cluster.h"
#include "format/inflate.h"
#include "net/retry.h"
#include "pipeline/bulk_verdict.h"
#include "pipeline/pipeline_int.h"

static const double BACKOFF_BASE = 0.25, BACKOFF_CAP = 30;
enum { COMPRESS_FROM = 4096 /* bytes; smaller bodies are not worth gzip */ };

static void pump(struct os_bulk_sink *sink);

/* ---- lists
 * ---------------------------------------------------------------------------------------------------- */

static void list_add(struct os_batch **list, struct os_batch *batch) {
  batch->sink_prev = NULL;
  batch->sink_next = *list;
  if (*list) (*list)->sink_prev = batch;
  *list = batch;
}

static void list_remove(struct os_batch **list, struct os_batch *batch) {
  if (batch->sink_prev)
    batch->sink_prev->sink_next = batch->sink_next;
  else
    *list = batch->sink_next;
  if (batch->sink_next) batch->sink_next->sink_prev = batch->sink_prev;
  batch->sink_next = batch->sink_prev = NULL;
}

static void ready_append(struct os_bulk_sink *sink, struct os_batch *batch) {
  batch->sink_next = NULL;
  if (sink->ready_tail)
    sink->ready_tail->sink_next = batch;
  else
    sink->ready_head = batch;
  sink->ready_tail = batch;
}

static void ready_prepend(struct os_bulk_sink *sink, struct os_batch *batch) {
  batch->sink_next = sink->ready_head;
  sink->ready_head = batch;
  if (!sink->ready_tail) sink->ready_tail = batch;
}

static struct os_batch *ready_take(struct os_bulk_sink *sink) {
  struct os_batch *batch = sink->ready_head;
  if (!batch) return NULL;
  sink->ready_head = batch->sink_next;
  if (!sink->ready_head) sink->ready_tail = NULL;
  batch->sink_next = NULL;
  return batch;
}

/* ---- giving batches back
 * --------------------------------------------------------------------------------------- */

static void settle_batch(struct os_batch *batch, bool finished) {
  struct os_pipeline *pipeline = batch->pipeline;
  batch->finished = finished;
  os_pipeline_settle(batch);
  os_pipeline_unref(pipeline); /* accept took it */
}

/* A fault that is not the records': no request starts any more. */
static void stop_for_fault(struct os_batch *batch) {
  struct os_bulk_sink *sink = &batch->pipeline->sink;
  sink->stopping = true;
  settle_batch(batch, false);
}

static void backoff_over(void *arg) {
  struct os_batch *batch = arg;
  struct os_pipeline *pipeline = batch->pipeline;
  os_pipeline_ref(pipeline);
  list_remove(&pipeline->sink.waiting, batch);
  ready_prepend(&pipeline->sink, batch);
  pump(&pipeline->sink);
  os_pipeline_unref(pipeline);
}

/* Try again later, or give up when nothing has moved for max_retries requests. `why` says what was in the
 * way. */
static void try_later(struct os_batch *batch, bool progressed, double retry_after,
                      const struct os_error *why) {
  struct os_pipeline *pipeline = batch->pipeline;
  struct os_bulk_sink *sink = &pipeline->sink;
  batch->attempt = progressed ? 1 : batch->attempt + 1;
  batch->retries++;
  atomic_fetch_add(&pipeline->figures.retries, 1);
  if (sink->stopping) {
    settle_batch(batch, false);
    return;
  }
  if (batch->attempt > pipeline->options.endpoint->max_retries) {
    batch->fault = *why;
    os_error_prefix(&batch->fault, "gave up after %d attempts", batch->attempt);
    stop_for_fault(batch);
    return;
  }
  double delay = os_retry_delay(batch->attempt, BACKOFF_BASE, BACKOFF_CAP, retry_after, os_random_unit());
  os_log_write(pipeline->options.log, OS_LOG_WARNING, "%zu documents go again in %d ms (attempt %d): %s",
               batch->item_count, (int)(delay * 1000), batch->attempt + 1, why->text);
  list_add(&sink->waiting, batch);
  batch->timer.fn = backoff_over;
  batch->timer.arg = batch;
  os_net_timer_start(pipeline->options.net, &batch->timer, delay);
}

/* The items that were settled are gone from the batch: what now? */
static void go_on(struct os_batch *batch) {
  struct os_bulk_sink *sink = &batch->pipeline->sink;
  if (!batch->item_count)
    settle_batch(batch, true);
  else if (sink->stopping)
    settle_batch(batch, false);
  else
    ready_prepend(sink, batch);
}

/* ---- outcomes of items
 * ----------------------------------------------------------------------------------------- */

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
  json_t *root = json_loadb(action, len, 0, &ignored);
  const char *key;
  json_t *meta;
  char *id = NULL;
  json_object_foreach(root, key, meta) id = os_strdup(json_string_value(json_object_get(meta, "_id")));
  json_decref(root);
  return id;
}

static bool refuse_item(struct os_batch *batch, size_t i, int status, const char *type, const char *reason) {
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
  bool complete = refusal.document && refusal.action && (refusal.raw || item->raw_at == OS_RAW_IN_SOURCE);
  return os_batch_refuse(batch, &refusal) && complete && note_outcome(batch, i, OS_REFUSED);
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

static bool same_action(const struct os_batch *batch, const struct os_item *a, const struct os_item *b) {
  return a->id_hash == b->id_hash && a->action_len == b->action_len &&
         !memcmp(batch->body.data + a->at, batch->body.data + b->at, a->action_len);
}

/* An `index` item that is to go again although a later one for its id got in would undo that one: it is left
 * out. */
static bool drop_superseded(struct os_batch *batch, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const struct os_item *item = &batch->items[i];
    if (batch->marks[i] || !item->id_hash || item->op != OS_OP_INDEX) continue;
    for (size_t k = i + 1; k < n; k++)
      if (batch->answers[k].status < 300 && same_action(batch, item, &batch->items[k])) {
        if (!note_outcome(batch, i, OS_SKIPPED)) return false;
        break;
      }
  }
  return true;
}

struct tally { /* of one answer */
  size_t settled, again;
  bool overload, nomem;
  bool fault;
  struct os_error why; /* of the first item that is to go again, or of the fault */
};

static enum os_outcome outcome_of(enum os_verdict verdict) {
  switch (verdict) {
  case OS_VERDICT_UPDATED: return OS_UPDATED;
  case OS_VERDICT_NOOP: return OS_NOOP;
  case OS_VERDICT_ALREADY: return OS_ALREADY;
  case OS_VERDICT_OLDER: return OS_SKIPPED;
  default: return OS_CREATED;
  }
}

static void judge_item(struct os_batch *batch, size_t i, struct tally *tally) {
  const struct os_bulk_item *answer = &batch->answers[i];
  char type[128] = "", reason[1024] = "";
  if (answer->error) os_bulk_item_error(answer, type, reason);
  enum os_verdict verdict = os_bulk_verdict(answer->status, answer->result, type, reason, &batch->items[i],
                                            batch->pipeline->options.external_version);
  switch (verdict) {
  case OS_VERDICT_REFUSED:
    tally->nomem |= !refuse_item(batch, i, answer->status, type[0] ? type : "refused",
                                 reason[0] ? reason : "no reason given");
    tally->settled++;
    break;
  case OS_VERDICT_LOAD:
  case OS_VERDICT_RETRY:
  case OS_VERDICT_BLOCKED:
    if (verdict == OS_VERDICT_LOAD) tally->overload = true;
    if (verdict == OS_VERDICT_RETRY) batch->items[i].maybe_sent = true; /* the shard may have done it */
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
  default:
    overtake(batch, &batch->items[i]);
    tally->nomem |= !note_outcome(batch, i, outcome_of(verdict));
    tally->settled++;
  }
}

/* The request in hand may have been carried out although no answer says so: from here on a 409 on a create may
 * be our own work. */
static void outcome_unknown(struct os_batch *batch) {
  for (size_t i = 0; i < batch->sending; i++)
    batch->items[i].maybe_sent = true;
}

/* A 200: every item has its own verdict. */
static void take_answer(struct os_batch *batch) {
  struct os_pipeline *pipeline = batch->pipeline;
  struct os_bulk_sink *sink = &pipeline->sink;
  struct tally tally = {0};
  struct os_error lie;
  size_t n = batch->sending;
  bool errors = false;
  int64_t took = 0;
  os_error_clear(&lie);
  if (os_bulk_answer_parse(batch->call.answer.data, batch->call.answer.len, n, batch->answers, &errors, &took,
                           &lie)) {
    os_error_prefix(&lie, "the answer to a bulk request of %zu documents cannot be believed", n);
    outcome_unknown(batch);
    try_later(batch, false, -1, &lie);
    return;
  }
  memset(batch->marks, 0, n);
  for (size_t i = 0; i < n; i++)
    judge_item(batch, i, &tally);
  if (tally.again) tally.nomem |= !drop_superseded(batch, n);
  if (tally.nomem) os_fail_nomem(&tally.why);
  os_batch_compact(batch, batch->marks, n);
  if (tally.fault || tally.nomem) {
    batch->fault = tally.why;
    stop_for_fault(batch);
    return;
  }
  if (tally.overload) {
    if (os_window_overload(&sink->window, os_clock_monotonic(), sink->round))
      os_log_write(pipeline->options.log, OS_LOG_INFO,
                   "the cluster is overloaded: %d requests at a time from here on",
                   os_window_size(&sink->window));
  } else {
    os_window_success(&sink->window);
  }
  batch->item_limit = 0;
  if (tally.again && batch->item_count) {
    try_later(batch, tally.settled > 0, batch->call.retry_after, &tally.why);
    return;
  }
  batch->attempt = 0;
  go_on(batch);
}

/* ---- answers to the whole request
 * --------------------------------------------------------------------------------- */

static void answer_error(const struct os_batch *batch, struct os_error *error) {
  os_error_clear(error);
  os_cluster_answer_error(batch->call.status, batch->call.content_type_answered, batch->call.answer.data,
                          batch->call.answer.len, "_bulk", error);
}

/* One item is refused by an answer that speaks of the whole request. */
static void refuse_single(struct os_batch *batch, const char *type) {
  struct os_error why;
  answer_error(batch, &why);
  memset(batch->marks, 0, 1);
  if (!refuse_item(batch, 0, batch->call.status, type, why.text)) {
    os_fail_nomem(&batch->fault);
    stop_for_fault(batch);
    return;
  }
  os_batch_compact(batch, batch->marks, 1);
  batch->item_limit = 0;
  batch->attempt = 0;
  go_on(batch);
}

/* 413: half as much from now on, here and in every later batch for this endpoint. */
static void too_large(struct os_batch *batch) {
  if (batch->sending == 1) {
    refuse_single(batch, "document_too_large");
    return;
  }
  const struct os_item *last = &batch->items[batch->sending - 1];
  uint64_t half = ((uint64_t)last->at + last->len) / 2;
  atomic_uint_fast64_t *learned = &batch->pipeline->options.endpoint->learned_max_body;
  uint64_t known = atomic_load(learned);
  if (!known || half < known) atomic_store(learned, half);
  batch->byte_limit = half;
  batch->retries++;
  os_log_write(batch->pipeline->options.log, OS_LOG_INFO,
               "413: bulk requests of at most %llu bytes from here on", (unsigned long long)half);
  go_on(batch);
}

/* 400 for the whole request: some record makes it unreadable. Halve until it stands alone. */
static void bisect(struct os_batch *batch) {
  struct os_error why;
  answer_error(batch, &why);
  bool setup = strstr(why.text, "unrecognized parameter") || strstr(why.text, "pipeline with id [");
  if (setup) {
    batch->fault = why;
    stop_for_fault(batch);
  } else if (batch->sending == 1) {
    refuse_single(batch, "bad_request");
  } else {
    batch->item_limit = batch->sending / 2;
    batch->retries++;
    go_on(batch);
  }
}

static void take_status(struct os_batch *batch) {
  struct os_bulk_sink *sink = &batch->pipeline->sink;
  int status = batch->call.status;
  struct os_error why;
  if (status == 413) {
    too_large(batch);
    return;
  }
  if (status == 400) {
    bisect(batch);
    return;
  }
  answer_error(batch, &why);
  bool blocked = status == 403 && strstr(why.text, "cluster_block_exception");
  if (os_retry_status(status) || status == 500 || blocked) {
    if (status == 429 || status == 503) os_window_overload(&sink->window, os_clock_monotonic(), sink->round);
    if (status >= 500) outcome_unknown(batch); /* a proxy may speak for a server that went on */
    try_later(batch, false, batch->call.retry_after, &why);
    return;
  }
  batch->fault = why;
  stop_for_fault(batch);
}

/* No complete answer. Whether the server did the work is not known; ids make it harmless to send again. */
static void take_transport_fault(struct os_batch *batch) {
  const struct os_error *why = &batch->call.error;
  bool passing = why->code == OS_ERR_NETWORK || why->code == OS_ERR_TIMEOUT || why->code == OS_ERR_ANSWER;
  if (why->code == OS_ERR_CANCELLED) {
    settle_batch(batch, false);
  } else if (passing) {
    /* some servers and proxies cut a request that is too large instead of answering 413 */
    if (batch->call.maybe_sent && batch->attempt >= 2 && batch->sending > 1)
      batch->item_limit = batch->sending / 2;
    if (batch->call.maybe_sent) outcome_unknown(batch);
    struct os_error copy = *why;
    try_later(batch, false, -1, &copy);
  } else {
    batch->fault = *why;
    stop_for_fault(batch);
  }
}

static void request_done(struct os_http_call *call) {
  struct os_batch *batch = call->owner;
  struct os_pipeline *pipeline = batch->pipeline;
  struct os_bulk_sink *sink = &pipeline->sink;
  os_pipeline_ref(pipeline);
  list_remove(&sink->flying, batch);
  atomic_store(&pipeline->figures.in_flight, --sink->in_flight);
  batch->bytes_sent += call->bytes_sent;
  batch->requests++;
  sink->round = sink->round > 0 ? sink->round * 0.8 + call->seconds * 0.2 : call->seconds;
  if (call->error.code)
    take_transport_fault(batch);
  else if (call->status >= 200 && call->status < 300)
    take_answer(batch);
  else
    take_status(batch);
  atomic_store(&pipeline->figures.window, os_window_size(&sink->window));
  pump(sink);
  os_pipeline_unref(pipeline);
}

/* ---- sending
 * ------------------------------------------------------------------------------------------------------- */

/* How many of the batch's items go into the next request. */
static size_t choose_items(const struct os_batch *batch) {
  size_t n = batch->item_count;
  uint64_t limit = atomic_load(&batch->pipeline->options.endpoint->learned_max_body);
  if (batch->byte_limit && (!limit || batch->byte_limit < limit)) limit = batch->byte_limit;
  if (batch->item_limit && n > batch->item_limit) n = batch->item_limit;
  while (limit && n > 1 && (uint64_t)batch->items[n - 1].at + batch->items[n - 1].len > limit)
    n = n > 64 && (uint64_t)batch->items[n / 2].at > limit ? n / 2 : n - 1;
  return n;
}

static void start_request(struct os_bulk_sink *sink, struct os_batch *batch) {
  struct os_pipeline *pipeline = sink->pipeline;
  struct os_http_call *call = &batch->call;
  size_t n = choose_items(batch);
  size_t bytes = (size_t)batch->items[n - 1].at + batch->items[n - 1].len;
  batch->sending = n;
  for (size_t i = 0; i < n; i++)
    batch->items[i].attempts++;
  os_http_call_free(call);
  os_http_call_init(call, pipeline->options.endpoint, "POST", sink->path);
  call->content_type = "application/x-ndjson";
  call->body = batch->body.data;
  call->body_len = bytes;
  call->timeout = pipeline->options.timeout;
  if (sink->compress && bytes >= COMPRESS_FROM) {
    os_buf_clear(&batch->gzipped);
    if (!os_gzip(batch->body.data, bytes, &batch->gzipped, NULL)) {
      call->body = batch->gzipped.data;
      call->body_len = batch->gzipped.len;
      call->body_is_gzip = true;
    }
  }
  call->done = request_done;
  call->owner = batch;
  list_add(&sink->flying, batch);
  atomic_store(&pipeline->figures.in_flight, ++sink->in_flight);
  os_net_start(pipeline->options.net, call);
}

static void rate_over(void *arg) {
  struct os_bulk_sink *sink = arg;
  struct os_pipeline *pipeline = sink->pipeline;
  os_pipeline_ref(pipeline);
  pump(sink);
  os_pipeline_unref(pipeline);
}

/* Is the batch in hand within the allowed rate? If not, a timer is set. */
static bool within_rate(struct os_bulk_sink *sink, const struct os_batch *batch) {
  const struct os_pipeline_options *options = &sink->pipeline->options;
  if (options->max_docs_rate <= 0 && options->max_bytes_rate <= 0) return true;
  double now = os_clock_monotonic();
  if (sink->next_start > now) {
    if (!sink->rate_timer.armed) {
      sink->rate_timer.fn = rate_over;
      sink->rate_timer.arg = sink;
      os_net_timer_start(options->net, &sink->rate_timer, sink->next_start - now);
    }
    return false;
  }
  double seconds = 0;
  if (options->max_docs_rate > 0) seconds = (double)batch->item_count / options->max_docs_rate;
  if (options->max_bytes_rate > 0 && (double)batch->body.len / options->max_bytes_rate > seconds)
    seconds = (double)batch->body.len / options->max_bytes_rate;
  sink->next_start = (sink->next_start > now - 1 ? sink->next_start : now) + seconds;
  return true;
}

/* Start what may start. */
static void pump(struct os_bulk_sink *sink) {
  struct os_pipeline *pipeline = sink->pipeline;
  if (atomic_load(&pipeline->stop)) sink->stopping = true;
  if (sink->stopping) {
    struct os_batch *batch;
    if (sink->rate_timer.armed) os_net_timer_stop(pipeline->options.net, &sink->rate_timer);
    while ((batch = ready_take(sink)))
      settle_batch(batch, false);
    while ((batch = sink->waiting)) {
      os_net_timer_stop(pipeline->options.net, &batch->timer);
      list_remove(&sink->waiting, batch);
      settle_batch(batch, false);
    }
    return;
  }
  if (atomic_load(&pipeline->paused)) return;
  while (sink->ready_head && sink->in_flight < os_window_size(&sink->window) &&
         within_rate(sink, sink->ready_head))
    start_request(sink, ready_take(sink));
}

/* ---- posted from other threads
 * --------------------------------------------------------------------------------------- */

static void accepted(void *arg) {
  struct os_batch *batch = arg;
  struct os_pipeline *pipeline = batch->pipeline;
  os_pipeline_ref(pipeline);
  ready_append(&pipeline->sink, batch);
  pump(&pipeline->sink);
  os_pipeline_unref(pipeline);
}

void os_sink_accept(struct os_batch *batch) {
  struct os_pipeline *pipeline = batch->pipeline;
  os_pipeline_ref(pipeline); /* until settle_batch() */
  batch->task.fn = accepted;
  batch->task.arg = batch;
  if (!os_net_post(pipeline->options.net, &batch->task)) settle_batch(batch, false);
}

static void woken(void *arg) {
  struct os_bulk_sink *sink = arg;
  struct os_pipeline *pipeline = sink->pipeline;
  atomic_store(&sink->wake_posted, false);
  pump(sink);
  os_pipeline_unref(pipeline);
}

void os_sink_wake(struct os_bulk_sink *sink) {
  if (atomic_exchange(&sink->wake_posted, true)) return;
  os_pipeline_ref(sink->pipeline);
  sink->wake_task.fn = woken;
  sink->wake_task.arg = sink;
  if (os_net_post(sink->pipeline->options.net, &sink->wake_task)) return;
  atomic_store(&sink->wake_posted, false);
  os_pipeline_unref(sink->pipeline);
}

static void cancelled(void *arg) {
  struct os_bulk_sink *sink = arg;
  struct os_pipeline *pipeline = sink->pipeline;
  sink->stopping = true;
  for (struct os_batch *batch = sink->flying, *next; batch; batch = next) {
    next = batch->sink_next;
    os_net_cancel(pipeline->options.net, &batch->call);
  }
  pump(sink);
  os_pipeline_unref(pipeline);
}

void os_sink_cancel(struct os_bulk_sink *sink) {
  if (atomic_exchange(&sink->cancel_posted, true)) return;
  os_pipeline_ref(sink->pipeline);
  sink->cancel_task.fn = cancelled;
  sink->cancel_task.arg = sink;
  if (!os_net_post(sink->pipeline->options.net, &sink->cancel_task)) os_pipeline_unref(sink->pipeline);
}

int os_sink_init(struct os_bulk_sink *sink, struct os_pipeline *pipeline, struct os_error *error) {
  const struct os_pipeline_options *options = &pipeline->options;
  struct os_buf path;
  sink->pipeline = pipeline;
  os_window_init(&sink->window, options->max_workers);
  atomic_store(&pipeline->figures.window, os_window_size(&sink->window));
  enum os_compress compress = options->endpoint->compress;
  sink->compress = compress == OS_COMPRESS_ALWAYS ||
                   (compress == OS_COMPRESS_AUTO && !os_endpoint_is_loopback(options->endpoint));
  os_buf_init(&path, 0);
  os_buf_putc(&path, '/');
  os_url_encode(&path, options->index, strlen(options->index));
  os_buf_puts(&path, "/_bulk?filter_path=took,errors,items.*.status,items.*.error");
  if (options->op == OS_OP_UPDATE) os_buf_puts(&path, ",items.*.result");
  if (options->query && options->query[0]) {
    os_buf_putc(&path, '&');
    os_buf_puts(&path, options->query);
  }
  sink->path = os_buf_take(&path);
  return sink->path ? OS_OK : os_fail_nomem(error);
}

void os_sink_free(struct os_bulk_sink *sink) {
  os_free(sink->path);
}
