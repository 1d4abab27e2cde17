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
#include "pipeline/bulk_int.h"

static const double BACKOFF_BASE = 0.25, BACKOFF_CAP = 30;
enum {
  COMPRESS_FROM = 4096,   /* bytes; smaller bodies are not worth gzip */
  LONGEST_WAIT_MS = 20000 /* for a missing primary, before the item is answered 503 and goes again */
};

static void pump(struct os_bulk_sink *sink);

/* ---- lists ---------------------------------------------------------------------------------- */

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

/* ---- giving batches back -------------------------------------------------------------------- */

void os_sink_settle(struct os_batch *batch, bool finished) {
  struct os_pipeline *pipeline = batch->pipeline;
  batch->finished = finished;
  os_pipeline_settle(batch);
  os_pipeline_unref(pipeline); /* accept took it */
}

/* A fault that is not the records': no request starts any more. */
void os_sink_stop_for_fault(struct os_batch *batch) {
  struct os_bulk_sink *sink = &batch->pipeline->sink;
  sink->stopping = true;
  os_sink_settle(batch, false);
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
void os_sink_try_later(struct os_batch *batch, bool progressed, double retry_after,
                       const struct os_error *why) {
  struct os_pipeline *pipeline = batch->pipeline;
  struct os_bulk_sink *sink = &pipeline->sink;
  batch->attempt = progressed ? 1 : batch->attempt + 1;
  batch->retries++;
  atomic_fetch_add(&pipeline->figures.retries, 1);
  if (sink->stopping) {
    os_sink_settle(batch, false);
    return;
  }
  if (batch->attempt > pipeline->options.endpoint->max_retries) {
    batch->fault = *why;
    os_error_prefix(&batch->fault, "gave up after %d attempts", batch->attempt);
    os_sink_stop_for_fault(batch);
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
void os_sink_go_on(struct os_batch *batch) {
  struct os_bulk_sink *sink = &batch->pipeline->sink;
  if (!batch->item_count)
    os_sink_settle(batch, true);
  else if (sink->stopping)
    os_sink_settle(batch, false);
  else
    ready_prepend(sink, batch);
}

/* ---- sending -------------------------------------------------------------------------------- */

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

static void request_done(struct os_http_call *call) {
  struct os_batch *batch = call->owner;
  struct os_pipeline *pipeline = batch->pipeline;
  struct os_bulk_sink *sink = &pipeline->sink;
  os_pipeline_ref(pipeline); /* giving the batch back may let go of the last reference */
  list_remove(&sink->flying, batch);
  atomic_store(&pipeline->figures.in_flight, --sink->in_flight);
  os_reply_take(call);
  pump(sink);
  os_pipeline_unref(pipeline);
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
      os_sink_settle(batch, false);
    while ((batch = sink->waiting)) {
      os_net_timer_stop(pipeline->options.net, &batch->timer);
      list_remove(&sink->waiting, batch);
      os_sink_settle(batch, false);
    }
    return;
  }
  if (atomic_load(&pipeline->paused)) return;
  struct os_batch *next;
  while ((next = sink->ready_head) && sink->in_flight < os_window_size(&sink->window) &&
         within_rate(sink, next)) {
    ready_take(sink);
    start_request(sink, next);
  }
}

/* ---- posted from other threads -------------------------------------------------------------- */

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
  os_pipeline_ref(pipeline); /* until os_sink_settle() */
  batch->task.fn = accepted;
  batch->task.arg = batch;
  if (!os_net_post(pipeline->options.net, &batch->task)) os_sink_settle(batch, false);
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
  /* the server waits for a missing primary by itself, a minute by default: less than we wait for the
  ** server, so that its answer says what was wrong */
  double patience = options->timeout > 0 ? options->timeout : options->endpoint->timeout;
  os_buf_printf(&path, "&timeout=%dms",
                (int)(patience * 500 < LONGEST_WAIT_MS ? patience * 500 : LONGEST_WAIT_MS));
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
