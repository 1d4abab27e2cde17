/* failures.c - os_retry_failures: the keeper of a retry. For each index it reads the rows, has
** actions built (action.c), pushes them, and writes what became of each row into the ledger as
** batches come back.
**
** Rows go newest first, so that of several records for one id the last one gets in and an earlier one never
** comes over it: an earlier one waits until the outcome of the later one is known. With `overwrite` they go
** in order, each over the one before.
*/
#include "operations/retry/failures.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "operations/progress.h"
#include "operations/retry/action.h"
#include "operations/retry/outcome.h"
#include "operations/retry/rows.h"
#include "operations/tune.h"
#include "operations/visible.h"
#include "pipeline/id_gate.h"
#include "pipeline/pipeline.h"

static const double CONTROL_EVERY = 0.25;          /* seconds between looks at what others ask */
static const double GRACE = 0.4, FAULT_GRACE = 10; /* seconds that requests under way get after a stop */

struct retry {
  struct os_job *job;
  struct os_cluster *cluster;
  const struct os_retry_request *request;
  struct os_retry_result *result;
  struct os_retry_rows rows;
  struct os_retry_builder *builder;
  struct os_pipeline *pipeline; /* of the index in hand */
  const char *index;
  struct os_retry_outcomes outcomes;
  json_t *sent_ids; /* hash of an explicit id (hex) -> the row that was sent for it */
  char first_fault[512];
  struct os_progress_meter meter;
  double next_control;
  bool paused;
  struct os_error stop; /* code != 0: ends early for this */
  double stop_deadline;
};

static int stop_for(struct retry *retry, const struct os_error *why, double grace) {
  if (!retry->stop.code) {
    retry->stop = *why;
    retry->stop_deadline = os_clock_monotonic() + grace;
    if (retry->pipeline) os_pipeline_stop(retry->pipeline);
  }
  return (int)retry->stop.code;
}

/* ---- batches that come back */

/* Write down what became of a batch; of rows without anything under way, too (batch NULL). */
static int acknowledge(struct retry *retry, const struct os_batch *batch, struct os_error *error) {
  struct os_job *job = retry->job;
  int rc = os_ledger_begin(job->ledger, error);
  bool open = !rc;
  if (!rc && batch) {
    job->figures.bytes_sent += (int64_t)batch->bytes_sent;
    job->figures.requests += (int64_t)batch->requests;
    job->figures.retries += (int64_t)batch->retries;
    rc = os_retry_outcomes_take(&retry->outcomes, batch, error);
  }
  if (!rc) rc = os_retry_outcomes_write(&retry->outcomes, error);
  if (!rc) rc = os_ledger_job_progress(job->ledger, job->number, &job->figures, error);
  if (!rc)
    rc = os_ledger_commit(job->ledger, error);
  else if (open)
    os_ledger_rollback(job->ledger);
  return rc;
}

static void take_batch(struct retry *retry, struct os_batch *batch) {
  struct os_error error;
  struct os_error fault = batch->fault;
  os_error_clear(&error);
  int rc = acknowledge(retry, batch, &error);
  os_pipeline_return(retry->pipeline, batch);
  if (rc)
    stop_for(retry, &error, 0); /* what cannot be written down must not be sent */
  else if (fault.code) {
    os_advise(&fault, "set that right, then os_retry_failures goes on with the records that are left");
    stop_for(retry, &fault, FAULT_GRACE);
  }
}

/* ---- reasons to end early */

static void obey(struct retry *retry, struct os_error *error) {
  struct os_job *job = retry->job;
  char asked[16] = "";
  if (os_ledger_job_control(job->ledger, job->number, asked, error)) {
    stop_for(retry, error, 0);
    return;
  }
  if (!strcmp(asked, "cancel")) {
    os_fail(error, OS_ERR_CANCELLED, "cancelled by os_cancel(%lld)", (long long)job->number);
    os_advise(error, "os_retry_failures goes on with the records that are left");
    stop_for(retry, error, GRACE);
    return;
  }
  bool pause = !strcmp(asked, "pause");
  if (pause != retry->paused) {
    retry->paused = pause;
    if (retry->pipeline) os_pipeline_pause(retry->pipeline, pause);
    os_log_write(job->session->log, OS_LOG_INFO, pause ? "paused by os_pause" : "goes on");
  }
}

/* Returns the code for which the retry ends early, or OS_OK. */
static int listen(struct retry *retry) {
  struct os_job *job = retry->job;
  struct os_error error;
  if (retry->stop.code) return (int)retry->stop.code;
  os_error_clear(&error);
  if (os_session_interrupted(job->session)) {
    int64_t settled = retry->result->resolved + retry->result->superseded;
    os_fail(&error, OS_ERR_INTERRUPTED, "interrupted, %lld failed records settled", (long long)settled);
    os_advise(&error, "os_retry_failures goes on with the records that are left");
    return stop_for(retry, &error, GRACE);
  }
  if (retry->pipeline) os_pipeline_error(retry->pipeline, &error);
  if (error.code) return stop_for(retry, &error, GRACE);
  double now = os_clock_monotonic();
  if (now < retry->next_control) return OS_OK;
  retry->next_control = now + CONTROL_EVERY;
  obey(retry, &error);
  if (!retry->stop.code && os_ledger_job_progress(job->ledger, job->number, &job->figures, &error))
    stop_for(retry, &error, 0);
  return (int)retry->stop.code;
}

static void progress_state(const struct retry *retry, struct os_progress_state *state) {
  const struct os_job_figures *figures = &retry->job->figures;
  *state = (struct os_progress_state){.job = retry->job->number,
                                      .index = retry->index ? retry->index : "",
                                      .documents = (uint64_t)figures->documents_read,
                                      .refused = (uint64_t)figures->documents_failed,
                                      .retries = (uint64_t)figures->retries,
                                      .paused = retry->paused};
  if (!retry->pipeline) return;
  state->in_flight = atomic_load(&os_pipeline_figures(retry->pipeline)->in_flight);
  state->window = atomic_load(&os_pipeline_figures(retry->pipeline)->window);
}

/* Wait a little for a batch and take it; look around. */
static int turn(struct retry *retry, int timeout_ms) {
  struct os_progress_state state;
  struct os_batch *batch = os_pipeline_next(retry->pipeline, timeout_ms);
  if (batch) take_batch(retry, batch);
  progress_state(retry, &state);
  os_progress_update(&retry->meter, &state);
  return listen(retry);
}

/* ---- records on their way out */

static int flush(struct retry *retry) {
  int rc;
  while ((rc = os_pipeline_flush(retry->pipeline)) == OS_ERR_BUSY) {
    rc = turn(retry, 50);
    if (rc) return rc;
  }
  return rc;
}

static int wait_for_all(struct retry *retry) {
  int rc = flush(retry);
  while (!rc && retry->outcomes.under_way)
    rc = turn(retry, 50);
  return rc;
}

/* A later record for this id was sent before: what became of it decides about this one. */
static int follow(struct retry *retry, int64_t later, struct os_error *error) {
  char reason[256];
  bool settled = false;
  int rc = wait_for_all(retry);
  if (!rc) rc = os_retry_rows_settled(&retry->rows, later, &settled, error);
  if (rc) return rc;
  struct os_row_state *state = &retry->outcomes.states[retry->outcomes.current];
  if (settled) {
    state->superseded = true;
    retry->job->figures.documents_already++;
    return OS_OK;
  }
  snprintf(reason, sizeof reason,
           "row %lld holds a later record for the same id and was refused again; repair that one first, or "
           "delete it",
           (long long)later);
  retry->job->figures.documents_failed++;
  return os_row_note_refusal(state, 0, "later_record_waits", reason) ? OS_OK : os_fail_nomem(error);
}

/* *later: the row whose record for this id was sent before; 0: none, and this row is noted as the one. */
static int look_up_id(struct retry *retry, const struct os_push *push, int64_t *later,
                      struct os_error *error) {
  char key[24];
  int64_t row = retry->outcomes.states[retry->outcomes.current].id;
  snprintf(key, sizeof key, "%016" PRIx64, os_gate_hash(push->explicit_id, push->explicit_id_len));
  const json_t *known = json_object_get(retry->sent_ids, key);
  *later = known ? json_integer_value(known) : 0;
  if (*later == row) *later = 0; /* another record of the same row */
  if (known) return OS_OK;
  return os_json_put(retry->sent_ids, key, json_integer(row)) ? OS_OK : os_fail_nomem(error);
}

static int send(void *ctx, const struct os_push *given) {
  struct retry *retry = ctx;
  struct os_push push = *given;
  struct os_error error;
  int64_t later = 0;
  int rc = OS_OK;
  if (retry->request->dry_run) return OS_OK;
  os_error_clear(&error);
  if (push.explicit_id && !retry->request->overwrite) {
    rc = look_up_id(retry, &push, &later, &error);
    if (!rc && later) rc = follow(retry, later, &error);
    if (rc && error.code) stop_for(retry, &error, GRACE);
    if (rc || later) return rc;
  }
  push.tag = retry->outcomes.current;
  while ((rc = os_pipeline_append(retry->pipeline, &push, &error)) == OS_ERR_BUSY) {
    rc = turn(retry, 50);
    if (rc) return rc;
  }
  if (rc) {
    if (error.code) stop_for(retry, &error, GRACE);
    return rc;
  }
  retry->outcomes.states[retry->outcomes.current].pending++;
  retry->outcomes.under_way++;
  return OS_OK;
}

static int refuse(void *ctx, const char *type, const char *reason) {
  struct retry *retry = ctx;
  struct os_row_state *state = &retry->outcomes.states[retry->outcomes.current];
  if (!retry->first_fault[0])
    snprintf(retry->first_fault, sizeof retry->first_fault, "row %lld: %s: %.400s", (long long)state->id,
             type, reason);
  retry->job->figures.documents_failed++;
  return os_row_note_refusal(state, 0, type, reason) ? OS_OK : OS_ERR_NOMEM;
}

/* ---- the rows of one index */

static int start(struct retry *retry, struct os_error *error) {
  const struct os_retry_request *request = retry->request;
  struct os_job *job = retry->job;
  struct os_pipeline_options options = {.endpoint = retry->cluster->endpoint,
                                        .net = retry->cluster->net,
                                        .log = job->session->log,
                                        .index = retry->index,
                                        .op = OS_OP_UPDATE, /* some may be: then the answers tell a noop */
                                        .batch_size = request->batch_size,
                                        .batch_bytes = request->batch_bytes,
                                        .max_workers = request->max_workers,
                                        .readers = 1,
                                        .timeout = request->timeout,
                                        .max_docs_rate = job->max_docs_rate,
                                        .max_bytes_rate = job->max_bytes_rate,
                                        .keep_settled = true};
  int rc = os_pipeline_start(&retry->pipeline, &options, NULL, NULL, error);
  if (!rc && retry->paused) os_pipeline_pause(retry->pipeline, true);
  return rc;
}

static int send_row(struct retry *retry, const struct os_failed_row *row, struct os_error *error) {
  const struct os_retry_sink sink = {send, refuse, retry};
  int rc = os_retry_outcomes_open(&retry->outcomes, row->id, error);
  if (!rc) rc = os_retry_build(retry->builder, row, retry->request->overwrite, &sink, error);
  if (rc == OS_ERR_NOMEM) os_fail_nomem(error);
  if (rc) return rc;
  struct os_row_state *state = &retry->outcomes.states[retry->outcomes.current];
  state->built = true;
  retry->result->tried++;
  retry->job->figures.documents_read++;
  if (retry->request->dry_run) {
    retry->result->refused_again += state->refused;
    os_retry_outcomes_clear(&retry->outcomes);
  } else if (!state->pending) {
    rc = acknowledge(retry, NULL, error);
  }
  return rc;
}

static int send_rows(struct retry *retry, struct os_error *error) {
  struct os_failed_row row;
  bool found = true;
  int64_t after = 0;
  int rc = OS_OK;
  while (!rc && found) {
    rc = os_retry_rows_next(&retry->rows, retry->index, after, &row, &found, error);
    if (rc || !found) break;
    after = row.id;
    rc = send_row(retry, &row, error);
    os_failed_row_free(&row);
    if (!rc && retry->pipeline) rc = turn(retry, 0);
    if (!rc && !retry->pipeline) rc = listen(retry);
  }
  return rc;
}

/* Take what still comes back: everything after an ordinary end, for a moment after a stop. */
static void drain(struct retry *retry) {
  if (retry->stop.code) os_pipeline_flush(retry->pipeline); /* what was never sent comes back as it is */
  os_pipeline_finish(retry->pipeline);
  while (!os_pipeline_ended(retry->pipeline)) {
    turn(retry, 50);
    if (retry->stop.code && os_clock_monotonic() > retry->stop_deadline) break;
  }
  struct os_batch *batch;
  while ((batch = os_pipeline_next(retry->pipeline, 0)))
    take_batch(retry, batch);
}

static int retry_index(struct retry *retry, struct os_error *error) {
  const struct os_job_figures *figures = &retry->job->figures;
  int64_t before = figures->documents_created + figures->documents_updated;
  int rc = retry->request->dry_run ? OS_OK : start(retry, error);
  if (rc) return rc;
  rc = send_rows(retry, error);
  if (!rc && retry->pipeline) rc = flush(retry);
  if (rc && !retry->stop.code) {
    if (!error->code && retry->pipeline) os_pipeline_error(retry->pipeline, error);
    if (!error->code) os_fail(error, (enum os_code)rc, "sending failed records again ended early");
    stop_for(retry, error, GRACE);
  }
  if (retry->pipeline) {
    drain(retry);
    if (!os_pipeline_release(retry->pipeline, retry->stop.code ? 0.1 : 1))
      os_session_abandon_net(retry->job->session);
    retry->pipeline = NULL;
  }
  os_retry_outcomes_clear(&retry->outcomes);
  json_object_clear(retry->sent_ids);
  if (retry->stop.code) {
    *error = retry->stop;
    return (int)error->code;
  }
  struct os_error ignored; /* they become visible a little later without it */
  os_error_clear(&ignored);
  if (figures->documents_created + figures->documents_updated > before)
    os_cluster_refresh(retry->cluster, retry->index, &ignored);
  return OS_OK;
}

/* ---- the procedure */

/* A `_bulk` request would make a missing index from nothing, without its mapping. */
static int guard_indices(struct retry *retry, const json_t *indices, struct os_error *error) {
  const char *index;
  json_t *count;
  int rc = OS_OK;
  json_object_foreach((json_t *)indices, index, count) {
    struct os_resolved resolved = {0};
    rc = os_cluster_resolve(retry->cluster, index, &resolved, error);
    bool missing = !rc && resolved.kind == OS_NAME_MISSING;
    if (!rc && !missing && !retry->request->dry_run)
      rc = os_job_unseen_begin(retry->job, retry->cluster,
                               resolved.write_index[0] ? resolved.write_index : index, error);
    os_resolved_free(&resolved);
    if (rc == OS_ERR_FORBIDDEN) {
      rc = os_job_audit(retry->job, "guards", "index", "unknown", false, error,
                        "no right to look whether %s exists", index);
      if (!rc) os_error_clear(error);
    } else if (missing) {
      os_fail(error, OS_ERR_NOT_FOUND, "index %s does not exist; %lld refused %s for it", index,
              (long long)json_integer_value(count),
              json_integer_value(count) == 1 ? "record waits" : "records wait");
      os_advise(error,
                "make it anew (os_create_index), or dismiss them: DELETE FROM dlq_failures WHERE "
                "index_name = '%s'",
                index);
      rc = os_job_guard_failed(retry->job, "guards", "index", error);
    } else if (!rc) {
      rc = os_job_audit(retry->job, "guards", "index", "pass", false, error,
                        "%s exists; %lld records wait for it", index, (long long)json_integer_value(count));
    }
    if (rc) return rc;
  }
  return OS_OK;
}

static int conclude(struct retry *retry, struct os_error *error) {
  const struct os_retry_result *result = retry->result;
  if (retry->request->dry_run)
    return os_job_audit(retry->job, "run", "records", result->refused_again ? "fail" : "pass", false, error,
                        "%lld of %lld records can be sent again%s%s",
                        (long long)(result->tried - result->refused_again), (long long)result->tried,
                        result->refused_again ? "; the first that cannot: " : "", retry->first_fault);
  if (!result->refused_again || result->resolved || result->superseded) return OS_OK;
  os_fail(error, OS_ERR_REFUSED, "all %lld failed records were refused again%s%s", (long long)result->tried,
          retry->first_fault[0] ? "; " : "", retry->first_fault);
  return os_advise(error,
                   "SELECT id, error_type, error_reason FROM dlq_failures WHERE resolved_at IS NULL shows "
                   "why; repair document or raw first");
}

/* Records that another cluster refused are not sent here. */
static int guard_cluster(struct retry *retry, const json_t *indices, struct os_error *error) {
  char endpoint[256];
  int64_t elsewhere = 0;
  int rc = os_retry_rows_elsewhere(&retry->rows, endpoint, &elsewhere, error);
  if (rc || !elsewhere) return rc;
  if (json_object_size(indices))
    return os_job_audit(retry->job, "guard", "cluster", "skip", false, error,
                        "%lld failed records were refused by another cluster (%s) and are left alone",
                        (long long)elsewhere, endpoint);
  os_fail(error, OS_ERR_GUARD, "the %lld failed records were refused by %s, and this connection is %s",
          (long long)elsewhere, endpoint, retry->cluster->endpoint->url);
  os_advise(error, "name the connection that leads there with the option connection");
  return os_job_guard_failed(retry->job, "guard", "cluster", error);
}

int os_retry_failures_run(struct os_job *job, struct os_cluster *cluster,
                          const struct os_retry_request *request, struct os_retry_result *result,
                          struct os_error *error) {
  struct retry retry = {.job = job,
                        .cluster = cluster,
                        .request = request,
                        .result = result,
                        .outcomes = {.job = job, .result = result, .overwrite = request->overwrite}};
  struct os_progress_state state;
  json_t *indices = NULL, *count;
  void *next;
  const char *index;
  *result = (struct os_retry_result){0};
  job->figures.count_before = job->figures.count_after = -1;
  os_progress_begin(&retry.meter, job->progress, job->session->log);
  retry.builder = os_retry_builder_new();
  retry.sent_ids = json_object();
  int rc = retry.builder && retry.sent_ids ? OS_OK : os_fail_nomem(error);
  if (!rc && !request->dry_run) rc = os_tune_restore_orphans(job, cluster, error);
  if (!rc)
    rc = os_retry_rows_begin(&retry.rows, job->ledger, request->job, cluster->endpoint->url,
                             !request->overwrite, error);
  if (!rc) rc = os_retry_rows_indices(&retry.rows, &indices, error);
  if (!rc) rc = guard_cluster(&retry, indices, error);
  if (!rc) rc = guard_indices(&retry, indices, error);
  if (!rc) {
    json_object_foreach_safe(indices, next, index, count) {
      retry.index = index;
      rc = retry_index(&retry, error);
      if (rc) break;
    }
  }
  if (!rc || retry.meter.drawn) {
    progress_state(&retry, &state);
    os_progress_end(&retry.meter, &state);
  }
  if (!rc) rc = conclude(&retry, error);
  json_decref(indices);
  json_decref(retry.sent_ids);
  os_retry_builder_free(retry.builder);
  os_retry_outcomes_free(&retry.outcomes);
  return rc;
}
