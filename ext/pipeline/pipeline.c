/* pipeline.c - start, stop, and the keeper's side of a pipeline; see pipeline.h. */
#include <errno.h>
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/cond.h"
#include "base/thread.h"
#include "pipeline/pipeline_int.h"

enum { SPARE_BATCHES = 3 /* one being filled, one parked, one with the keeper */ };

/* ---- life ------------------------------------------------------------ */

void os_pipeline_ref(struct os_pipeline *pipeline) {
  atomic_fetch_add(&pipeline->references, 1);
}

static void destroy(struct os_pipeline *pipeline) {
  for (size_t i = 0; i < pipeline->batch_count; i++)
    os_batch_free(pipeline->batches[i]);
  os_free(pipeline->batches);
  os_free(pipeline->threads);
  os_sink_free(&pipeline->sink);
  os_queue_destroy(&pipeline->pool);
  os_queue_destroy(&pipeline->settled);
  pthread_mutex_destroy(&pipeline->lock);
  pthread_cond_destroy(&pipeline->exited);
  pthread_cond_destroy(&pipeline->added);
  if (pipeline->options.endpoint) os_endpoint_unref(pipeline->options.endpoint);
  if (pipeline->options.log) os_log_unref(pipeline->options.log);
  os_free(pipeline->index);
  os_free(pipeline->query);
  os_free(pipeline->version_type);
  if (pipeline->keep) pipeline->keep(pipeline->keep_ctx);
  os_free(pipeline);
}

void os_pipeline_unref(struct os_pipeline *pipeline) {
  if (atomic_fetch_sub(&pipeline->references, 1) == 1) destroy(pipeline);
}

static int copy_options(struct os_pipeline *pipeline, const struct os_pipeline_options *options) {
  pipeline->options = *options;
  pipeline->options.endpoint = os_endpoint_ref(options->endpoint);
  pipeline->options.log = options->log ? os_log_ref(options->log) : NULL;
  pipeline->options.index = pipeline->index = os_strdup(options->index);
  pipeline->options.query = pipeline->query = os_strdup(options->query);
  pipeline->options.version_type = pipeline->version_type =
      os_strdup(options->version_type ? options->version_type : "external");
  bool complete = pipeline->index && pipeline->version_type && (pipeline->query || !options->query);
  return complete ? OS_OK : OS_ERR_NOMEM;
}

static int make_pool(struct os_pipeline *pipeline) {
  int readers = pipeline->options.readers < 1 ? 1 : pipeline->options.readers;
  size_t count = (size_t)(pipeline->options.max_workers + SPARE_BATCHES + readers - 1);
  pipeline->batches = os_calloc(count, sizeof *pipeline->batches);
  if (!pipeline->batches) return OS_ERR_NOMEM;
  for (; pipeline->batch_count < count; pipeline->batch_count++) {
    struct os_batch *batch = os_batch_new(pipeline);
    if (!batch) return OS_ERR_NOMEM;
    pipeline->batches[pipeline->batch_count] = batch;
    os_queue_push(&pipeline->pool, &batch->link);
  }
  return OS_OK;
}

static int start_readers(struct os_pipeline *pipeline, struct os_error *error) {
  int readers = pipeline->options.readers < 1 ? 1 : pipeline->options.readers;
  int rc = OS_OK;
  pipeline->threads = os_calloc((size_t)readers, sizeof *pipeline->threads);
  if (!pipeline->threads) return os_fail_nomem(error);
  for (int i = 0; i < readers; i++) {
    os_pipeline_ref(pipeline);
    atomic_fetch_add(&pipeline->readers_running, 1);
    int failed = os_thread_start(&pipeline->threads[i], os_reader_main, pipeline);
    if (!failed) {
      pipeline->thread_count++;
      continue;
    }
    atomic_fetch_sub(&pipeline->readers_running, 1);
    atomic_fetch_sub(&pipeline->references, 1);
    if (!pipeline->thread_count)
      rc = os_fail(error, OS_ERR_INTERNAL, "cannot start a reader thread: %s", strerror(failed));
    break;
  }
  return rc;
}

int os_pipeline_start(struct os_pipeline **out, const struct os_pipeline_options *options,
                      void (*keep)(void *ctx), void *keep_ctx, struct os_error *error) {
  *out = NULL;
  struct os_pipeline *pipeline = os_calloc(1, sizeof *pipeline);
  if (!pipeline) {
    if (keep) keep(keep_ctx);
    return os_fail_nomem(error);
  }
  pipeline->keep = keep;
  pipeline->keep_ctx = keep_ctx;
  atomic_init(&pipeline->references, 1);
  pthread_mutex_init(&pipeline->lock, NULL);
  os_cond_init(&pipeline->exited);
  os_cond_init(&pipeline->added);
  int rc = os_queue_init(&pipeline->pool);
  if (!rc) rc = os_queue_init(&pipeline->settled);
  if (!rc) rc = copy_options(pipeline, options);
  if (!rc) rc = make_pool(pipeline);
  if (rc) os_fail_nomem(error);
  if (!rc) rc = os_sink_init(&pipeline->sink, pipeline, error);
  if (!rc && !options->sources) {
    pipeline->pushing = true;
    rc = os_feeder_init(&pipeline->push, pipeline, true);
  } else if (!rc) {
    os_pipeline_sources(pipeline, 0, options->more_sources);
    rc = start_readers(pipeline, error);
  }
  if (rc) {
    os_pipeline_unref(pipeline);
    return rc;
  }
  *out = pipeline;
  return OS_OK;
}

/* ---- between threads ------------------------------------------------------------------------ */

void os_pipeline_settle(struct os_batch *batch) {
  os_queue_push(&batch->pipeline->settled, &batch->link);
}

void os_pipeline_fail(struct os_pipeline *pipeline, const struct os_error *error) {
  pthread_mutex_lock(&pipeline->lock);
  if (!pipeline->fatal.code) pipeline->fatal = *error;
  pthread_mutex_unlock(&pipeline->lock);
  atomic_store(&pipeline->stop, true);
}

/* ---- the keeper's side ---------------------------------------------------------------------- */

struct os_pipeline_figures *os_pipeline_figures(struct os_pipeline *pipeline) {
  return &pipeline->figures;
}

void os_pipeline_sources(struct os_pipeline *pipeline, size_t from, bool more) {
  os_batch_share_count(pipeline, from, more);
  pthread_mutex_lock(&pipeline->lock);
  pipeline->source_count = pipeline->options.sources->count;
  pipeline->more_sources = more;
  pthread_cond_broadcast(&pipeline->added);
  pthread_mutex_unlock(&pipeline->lock);
}

struct os_batch *os_pipeline_next(struct os_pipeline *pipeline, int timeout_ms) {
  struct os_batch *batch = (struct os_batch *)os_queue_pop(&pipeline->settled, timeout_ms);
  if (batch) atomic_fetch_sub(&pipeline->travelling, 1);
  return batch;
}

bool os_pipeline_reading(struct os_pipeline *pipeline) {
  return atomic_load(&pipeline->readers_running) > 0;
}

bool os_pipeline_ended(struct os_pipeline *pipeline) {
  if (pipeline->pushing ? !pipeline->push_finished : os_pipeline_reading(pipeline)) return false;
  return atomic_load(&pipeline->travelling) == 0;
}

void os_pipeline_return(struct os_pipeline *pipeline, struct os_batch *batch) {
  os_queue_push(&pipeline->pool, &batch->link); /* the feeder empties it: it still has to free the ids */
}

void os_pipeline_pause(struct os_pipeline *pipeline, bool paused) {
  atomic_store(&pipeline->paused, paused);
  os_sink_wake(&pipeline->sink);
}

void os_pipeline_stop(struct os_pipeline *pipeline) {
  atomic_store(&pipeline->stop, true);
  os_sink_wake(&pipeline->sink);
}

void os_pipeline_error(struct os_pipeline *pipeline, struct os_error *out) {
  pthread_mutex_lock(&pipeline->lock);
  *out = pipeline->fatal;
  pthread_mutex_unlock(&pipeline->lock);
}

/* Take and return batches until nothing travels any more or the time is over. */
static bool drain(struct os_pipeline *pipeline, double seconds) {
  double until = os_clock_monotonic() + seconds;
  for (;;) {
    if (os_pipeline_ended(pipeline)) return true;
    struct os_batch *batch = os_pipeline_next(pipeline, 10);
    if (batch) os_pipeline_return(pipeline, batch);
    if (os_clock_monotonic() >= until) return false;
  }
}

/* Join the readers if they end in time; otherwise they are left to end by themselves. */
static void part_from_readers(struct os_pipeline *pipeline, double seconds) {
  struct timespec until = os_cond_deadline(seconds);
  pthread_mutex_lock(&pipeline->lock);
  int timed_out = 0;
  while (atomic_load(&pipeline->readers_running) > 0 && !timed_out)
    timed_out = pthread_cond_timedwait(&pipeline->exited, &pipeline->lock, &until) == ETIMEDOUT;
  bool all_gone = atomic_load(&pipeline->readers_running) == 0;
  pthread_mutex_unlock(&pipeline->lock);
  for (size_t i = 0; i < pipeline->thread_count; i++)
    if (all_gone)
      pthread_join(pipeline->threads[i], NULL);
    else
      pthread_detach(pipeline->threads[i]);
}

bool os_pipeline_release(struct os_pipeline *pipeline, double grace) {
  if (!pipeline) return true;
  os_pipeline_stop(pipeline);
  if (pipeline->pushing) {
    os_feeder_free(&pipeline->push);
    pipeline->push_finished = true;
  }
  bool ended = drain(pipeline, grace);
  if (!ended) {
    os_sink_cancel(&pipeline->sink);
    ended = drain(pipeline, 0.15);
  }
  part_from_readers(pipeline, 0.15);
  os_pipeline_unref(pipeline);
  return ended;
}

/* ---- push */

int os_pipeline_append(struct os_pipeline *pipeline, const struct os_push *push, struct os_error *error) {
  int rc = os_feeder_push(&pipeline->push, push);
  if (rc == OS_ERR_NOMEM) os_fail_nomem(error);
  return rc;
}

int os_pipeline_flush(struct os_pipeline *pipeline) {
  return os_feeder_flush(&pipeline->push, true);
}

void os_pipeline_finish(struct os_pipeline *pipeline) {
  pipeline->push_finished = true;
}
