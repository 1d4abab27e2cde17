/* bulk_reply.c - what the answer to one `_bulk` request means for its batch: settled items leave, the
** rest goes again at once, later or in smaller pieces, or the load must stop. Rules 1 to 3 of the
** architecture: errors:true is never success; what is not known to have failed is sent again only because
** ids make that harmless; 413 halves and remembers. Network thread.
*/
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "cluster/cluster.h"
#include "net/retry.h"
#include "pipeline/bulk_int.h"

/* The request in hand may have been carried out although no answer says so: from here on a 409 on a
** create may be our own work. */
static void outcome_unknown(struct os_batch *batch) {
  for (size_t i = 0; i < batch->sending; i++)
    batch->items[i].maybe_sent = true;
  batch->unknown += batch->sending;
}

/* A 200: every item has its own verdict. */
static void take_answer(struct os_batch *batch) {
  struct os_pipeline *pipeline = batch->pipeline;
  struct os_bulk_sink *sink = &pipeline->sink;
  struct os_tally tally = {0};
  struct os_error lie;
  size_t n = batch->sending;
  bool errors = false;
  int64_t took = 0;
  os_error_clear(&lie);
  if (os_bulk_answer_parse(batch->call.answer.data, batch->call.answer.len, n, batch->answers, &errors, &took,
                           &lie)) {
    os_error_prefix(&lie, "the answer to a bulk request of %zu documents cannot be believed", n);
    outcome_unknown(batch);
    os_sink_try_later(batch, false, -1, &lie);
    return;
  }
  memset(batch->marks, 0, n);
  for (size_t i = 0; i < n; i++)
    os_items_judge(batch, i, &tally);
  if (tally.again) tally.nomem |= !os_items_drop_superseded(batch, n);
  if (tally.nomem) os_fail_nomem(&tally.why);
  os_batch_compact(batch, batch->marks, n);
  if (tally.fault || tally.nomem) {
    batch->fault = tally.why;
    os_sink_stop_for_fault(batch);
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
    os_sink_try_later(batch, tally.settled > 0, batch->call.retry_after, &tally.why);
    return;
  }
  batch->attempt = 0;
  os_sink_go_on(batch);
}

/* ---- answers to the whole request ----------------------------------------------------------- */

static void answer_error(const struct os_batch *batch, struct os_error *error) {
  const struct os_pipeline *pipeline = batch->pipeline;
  const char *path = pipeline->sink.path;
  char what[300];
  snprintf(what, sizeof what, "POST %.*s", (int)strcspn(path, "?"), path);
  os_error_clear(error);
  os_cluster_answer_error_for(pipeline->options.endpoint, batch->call.status,
                              batch->call.content_type_answered, batch->call.answer.data,
                              batch->call.answer.len, what, error);
}

/* One item is refused by an answer that speaks of the whole request. */
static void refuse_single(struct os_batch *batch, const char *type) {
  struct os_error why;
  answer_error(batch, &why);
  memset(batch->marks, 0, 1);
  if (!os_items_refuse(batch, 0, batch->call.status, type, why.text)) {
    os_fail_nomem(&batch->fault);
    os_sink_stop_for_fault(batch);
    return;
  }
  os_batch_compact(batch, batch->marks, 1);
  batch->item_limit = 0;
  batch->attempt = 0;
  os_sink_go_on(batch);
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
  os_sink_go_on(batch);
}

/* 400 for the whole request: some record makes it unreadable. Halve until it stands alone. */
static void bisect(struct os_batch *batch) {
  struct os_error why;
  answer_error(batch, &why);
  bool setup = strstr(why.text, "unrecognized parameter") || strstr(why.text, "pipeline with id [");
  if (setup) {
    batch->fault = why;
    os_sink_stop_for_fault(batch);
  } else if (batch->sending == 1) {
    refuse_single(batch, "bad_request");
  } else {
    batch->item_limit = batch->sending / 2;
    batch->retries++;
    os_sink_go_on(batch);
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
    os_sink_try_later(batch, false, batch->call.retry_after, &why);
    return;
  }
  batch->fault = why;
  os_sink_stop_for_fault(batch);
}

/* No complete answer. Whether the server did the work is not known; ids make it harmless to send again. */
static void take_transport_fault(struct os_batch *batch) {
  const struct os_error *why = &batch->call.error;
  bool passing = why->code == OS_ERR_NETWORK || why->code == OS_ERR_TIMEOUT || why->code == OS_ERR_ANSWER;
  if (why->code == OS_ERR_CANCELLED) {
    os_sink_settle(batch, false);
  } else if (passing) {
    /* some servers and proxies cut a request that is too large instead of answering 413 */
    if (batch->call.maybe_sent && batch->attempt >= 2 && batch->sending > 1)
      batch->item_limit = batch->sending / 2;
    if (batch->call.maybe_sent) outcome_unknown(batch);
    struct os_error copy = *why;
    os_sink_try_later(batch, false, -1, &copy);
  } else {
    batch->fault = *why;
    os_sink_stop_for_fault(batch);
  }
}

void os_reply_take(struct os_http_call *call) {
  struct os_batch *batch = call->owner;
  struct os_pipeline *pipeline = batch->pipeline;
  struct os_bulk_sink *sink = &pipeline->sink;
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
}
