/* run.c - step 5 of a load: the keeper. It takes every settled batch from the pipeline, writes
** refusals, progress and the acknowledged place of each file into the ledger in one transaction, and only
** then lets the batch go.
**
** It also listens: to an interruption, to os_cancel and os_pause from other processes, to the limit of
** refusals, to faults that are not the records'. Whatever ends the load early, what was acknowledged
** stays recorded.
*/
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "operations/load/load.h"
#include "operations/load/inspect.h"
#include "operations/load/letters.h"
#include "operations/load/places.h"
#include "operations/load/recognise.h"
#include "operations/load/refusals.h"
#include "operations/progress.h"
#include "pipeline/pipeline.h"

static const double CONTROL_EVERY = 0.25;          /* seconds between looks at what others ask */
static const double GRACE = 0.3, FAULT_GRACE = 10; /* seconds that requests under way get after a stop */
enum {
  JUDGED_FROM = 10000,   /* records before a share of refusals means something */
  REFRESHED_FROM = 20000 /* records; to make fewer searchable takes the cluster no time worth saving */
};

struct keeper {
  struct os_load *load;
  struct os_pipeline *pipeline;
  struct os_load_places places;
  struct os_progress_meter meter;
  double next_control;
  bool paused;
  struct os_error stop; /* code != 0: the load ends early for this */
  double stop_deadline;
  struct os_inspection *inspection; /* dry run; owned */
  bool refreshed;                   /* asked for, ahead of the end */
  bool left_behind;                 /* threads of the pipeline did not end in time */
};

static void stop_for(struct keeper *keeper, const struct os_error *why, double grace) {
  if (keeper->stop.code) return;
  keeper->stop = *why;
  keeper->stop_deadline = os_clock_monotonic() + grace;
  os_pipeline_stop(keeper->pipeline);
}

/* append only inserts: a document that is there already is not touched. Versions decide for themselves. */
static enum os_op effective_op(const struct os_load *load) {
  bool insert = load->insert_only && load->request->op == OS_OP_INDEX && !load->shared->parse.version_field;
  return insert ? OS_OP_CREATE : load->request->op;
}

/* ---- one settled batch ---------------------------------------------------------------------- */

static void add_figures(struct keeper *keeper, const struct os_batch *batch) {
  struct os_job_figures *figures = keeper->load->figures;
  figures->documents_created += (int64_t)batch->outcomes[OS_CREATED];
  figures->documents_updated += (int64_t)batch->outcomes[OS_UPDATED];
  figures->documents_noop += (int64_t)batch->outcomes[OS_NOOP];
  figures->documents_already += (int64_t)batch->outcomes[OS_ALREADY];
  figures->documents_failed += (int64_t)batch->outcomes[OS_REFUSED];
  figures->documents_skipped += (int64_t)batch->outcomes[OS_SKIPPED];
  figures->bytes_sent += (int64_t)batch->bytes_sent;
  figures->requests += (int64_t)batch->requests;
  figures->retries += (int64_t)batch->retries;
  keeper->load->unknown += (int64_t)batch->unknown;
}

static void live_figures(struct keeper *keeper) {
  struct os_pipeline_figures *live = os_pipeline_figures(keeper->pipeline);
  keeper->load->figures->bytes_read = (int64_t)atomic_load(&live->bytes_read);
}

/* Write down what became of a batch, durably, before it counts as acknowledged. */
static int acknowledge(struct keeper *keeper, struct os_batch *batch, struct os_error *error) {
  struct os_load *load = keeper->load;
  int rc = load->request->dry_run ? OS_OK : os_load_recognise(load, batch, error);
  if (rc) return rc;
  json_t *standing = batch->refusal_count ? os_load_standing(load, batch) : NULL;
  rc = os_ledger_begin(load->ledger, error);
  bool open = !rc;
  if (!rc && !load->request->dry_run) rc = os_load_put_refusals(load, batch, standing, error);
  add_figures(keeper, batch);
  if (!rc && batch->finished && !load->request->dry_run) rc = os_load_accept(load, batch, error);
  if (!rc && batch->finished) rc = os_load_places_settle(&keeper->places, batch, error);
  if (!rc) rc = os_load_places_write(&keeper->places, error);
  live_figures(keeper);
  if (!rc) rc = os_ledger_job_progress(load->ledger, load->job->number, load->figures, error);
  if (!rc)
    rc = os_ledger_commit(load->ledger, error);
  else if (open)
    os_ledger_rollback(load->ledger);
  json_decref(standing);
  return rc;
}

/* ---- reasons to end early ------------------------------------------------------------------- */

static void check_refusals(struct keeper *keeper) {
  const struct os_load_request *request = keeper->load->request;
  const struct os_job_figures *figures = keeper->load->figures;
  int64_t failed = figures->documents_failed, read = figures->documents_read;
  bool too_many = false;
  if (request->dry_run) return;
  if (request->max_failed_count >= 0) too_many = failed > request->max_failed_count;
  if (request->max_failed_share >= 0 && read >= JUDGED_FROM)
    too_many = (double)failed > request->max_failed_share * (double)read;
  bool limited = request->max_failed_count >= 0 || request->max_failed_share >= 0;
  if (limited && read >= JUDGED_FROM && failed == read) too_many = true;
  if (!too_many) return;
  struct os_error why;
  os_error_clear(&why);
  os_fail(&why, OS_ERR_GUARD,
          "%lld of %lld records were refused, more than max_failed allows; the load was stopped",
          (long long)failed, (long long)read);
  os_advise(&why,
            "SELECT error_type, count(*) FROM dlq_failures WHERE job=%lld GROUP BY 1 shows why; mend that, "
            "then load "
            "with mode resume",
            (long long)keeper->load->job->number);
  stop_for(keeper, &why, FAULT_GRACE);
}

static void take_batch(struct keeper *keeper, struct os_batch *batch) {
  struct os_error error;
  os_error_clear(&error);
  struct os_error fault = batch->fault;
  int rc = acknowledge(keeper, batch, &error);
  os_pipeline_return(keeper->pipeline, batch);
  if (rc)
    stop_for(keeper, &error, 0); /* what cannot be written down must not be sent */
  else if (fault.code)
    stop_for(keeper, &fault, FAULT_GRACE);
  else {
    check_refusals(keeper);
    if (!keeper->stop.code) os_load_gather_letters(keeper->load);
  }
}

static void obey(struct keeper *keeper) {
  struct os_load *load = keeper->load;
  char asked[16] = "";
  struct os_error error;
  os_error_clear(&error);
  if (os_ledger_job_control(load->ledger, load->job->number, asked, &error)) {
    stop_for(keeper, &error, 0);
    return;
  }
  if (!strcmp(asked, "cancel")) {
    os_fail(&error, OS_ERR_CANCELLED, "cancelled by os_cancel(%lld)", (long long)load->job->number);
    os_advise(&error, "mode resume goes on where it stopped");
    stop_for(keeper, &error, GRACE);
    return;
  }
  bool pause = !strcmp(asked, "pause");
  if (pause != keeper->paused) {
    keeper->paused = pause;
    os_pipeline_pause(keeper->pipeline, pause);
    os_log_write(load->session->log, OS_LOG_INFO, pause ? "paused by os_pause" : "goes on");
  }
}

static void listen(struct keeper *keeper) {
  struct os_load *load = keeper->load;
  struct os_error error;
  os_error_clear(&error);
  if (keeper->stop.code) return;
  if (os_session_interrupted(load->session)) {
    os_fail(&error, OS_ERR_INTERRUPTED, "interrupted, %lld of %lld files done, %lld documents acknowledged",
            (long long)load->figures->files_done, (long long)load->figures->files,
            (long long)load->figures->documents_read);
    os_advise(&error, "load again with {\"mode\":\"resume\"} to go on where it stopped");
    stop_for(keeper, &error, GRACE);
    return;
  }
  os_pipeline_error(keeper->pipeline, &error);
  if (error.code) {
    stop_for(keeper, &error, GRACE);
    return;
  }
  double now = os_clock_monotonic();
  if (now < keeper->next_control) return;
  keeper->next_control = now + CONTROL_EVERY;
  obey(keeper);
  live_figures(keeper);
  if (!keeper->stop.code && os_ledger_job_progress(load->ledger, load->job->number, load->figures, &error))
    stop_for(keeper, &error, 0);
}

/* ---- more files, and how far all is ---- */

/* Objects that were listed meanwhile. */
static void take_more(struct keeper *keeper) {
  struct os_error error;
  size_t from = keeper->places.count;
  if (!keeper->load->lister || keeper->stop.code) return;
  os_error_clear(&error);
  int rc = os_load_take_more(keeper->load, &error);
  if (!rc) rc = os_load_places_grow(&keeper->places, &error);
  if (rc)
    stop_for(keeper, &error, FAULT_GRACE);
  else if (keeper->places.count > from || !keeper->load->lister)
    os_pipeline_sources(keeper->pipeline, from, keeper->load->lister != NULL);
}

static void progress_state(struct keeper *keeper, struct os_progress_state *state) {
  struct os_load *load = keeper->load;
  struct os_pipeline_figures *live = os_pipeline_figures(keeper->pipeline);
  uint64_t parsed = atomic_load(&live->records_read), done = (uint64_t)load->figures->documents_read;
  /* readers run ahead by what the batches hold: bytes are shown in the proportion of what is acknowledged */
  double share = parsed > done ? (double)done / (double)parsed : 1;
  *state = (struct os_progress_state){
      .job = load->job->number,
      .index = load->request->index,
      .files = load->figures->files,
      .files_done = load->figures->files_done,
      .bytes_total = load->lister ? 0 : keeper->places.bytes_total, /* not known yet */
      .bytes_read = (uint64_t)(share * (double)atomic_load(&live->bytes_read)),
      .documents = done,
      .refused = (uint64_t)load->figures->documents_failed,
      .retries = atomic_load(&live->retries),
      .in_flight = atomic_load(&live->in_flight),
      .window = atomic_load(&live->window),
      .paused = keeper->paused};
}

/* ---- the loop ------------------------------------------------------------------------------- */

/* All is read, and the last requests are on their way. What has arrived can be made searchable beside them, so that the
** refresh before the count, during which nothing else goes on, has less left to do. */
static void refresh_ahead(struct keeper *keeper) {
  struct os_load *load = keeper->load;
  if (keeper->refreshed || keeper->stop.code || os_pipeline_reading(keeper->pipeline)) return;
  keeper->refreshed = true;
  if (load->request->dry_run || load->request->validate == OS_VALIDATE_NONE) return;
  if (load->figures->documents_read >= REFRESHED_FROM)
    os_cluster_refresh_ahead(load->cluster, load->target.concrete);
}

static void keep(struct keeper *keeper) {
  struct os_progress_state state;
  while (!os_pipeline_ended(keeper->pipeline)) {
    struct os_batch *batch = os_pipeline_next(keeper->pipeline, keeper->load->lister ? 10 : 50);
    if (batch) take_batch(keeper, batch);
    take_more(keeper);
    refresh_ahead(keeper);
    listen(keeper);
    if (keeper->stop.code && os_clock_monotonic() > keeper->stop_deadline) break;
    progress_state(keeper, &state);
    os_progress_update(&keeper->meter, &state);
  }
  struct os_batch *batch; /* what came in between the last look and the end */
  while ((batch = os_pipeline_next(keeper->pipeline, 0)))
    take_batch(keeper, batch);
  progress_state(keeper, &state);
  os_progress_end(&keeper->meter, &state);
  live_figures(keeper);
}

static char *query_text(const struct os_load_request *request, struct os_error *error) {
  struct os_buf query;
  os_buf_init(&query, 0);
  if (request->pipeline) {
    os_buf_puts(&query, "&pipeline=");
    os_url_encode(&query, request->pipeline, strlen(request->pipeline));
  }
  if (request->require_alias) os_buf_puts(&query, "&require_alias=true");
  if (request->refresh) os_buf_printf(&query, "&refresh=%s", request->refresh);
  if (query.len)
    memmove(query.data, query.data + 1, query.len); /* without the first '&', with the NUL */
  else
    os_buf_puts(&query, "");
  char *text = os_buf_take(&query);
  if (!text) os_fail_nomem(error);
  return text;
}

static void let_go(void *ctx) {
  struct os_load_shared *shared = ctx;
  os_load_shared_unref(shared);
}

static int start(struct keeper *keeper, struct os_error *error) {
  struct os_load *load = keeper->load;
  const struct os_load_request *request = load->request;
  char *query = query_text(request, error);
  if (!query) return OS_ERR_NOMEM;
  bool no_ids = !load->shared->parse.id_field;
  struct os_pipeline_options options = {.endpoint = load->cluster->endpoint,
                                        .net = load->cluster->net,
                                        .log = load->session->log,
                                        .index = request->index,
                                        .query = query,
                                        .parse = &load->shared->parse,
                                        .sources = &load->shared->list,
                                        .more_sources = load->lister != NULL,
                                        .op = effective_op(load),
                                        .id_required = load->mode == OS_MODE_UPSERT,
                                        .server_ids = load->server_ids,
                                        .create_only = load->target.data_stream,
                                        .external_version = load->shared->parse.version_field != NULL,
                                        .version_type = request->version_type,
                                        .retry_on_conflict = request->retry_on_conflict,
                                        .batch_size = request->batch_size,
                                        .batch_bytes = request->batch_bytes,
                                        .max_workers = request->max_workers,
                                        .readers = no_ids && load->to_load > 1 && !request->dry_run ? 2 : 1,
                                        .timeout = request->timeout,
                                        .max_docs_rate = load->job->max_docs_rate,
                                        .max_bytes_rate = load->job->max_bytes_rate,
                                        .dry_run = request->dry_run,
                                        .inspect = request->dry_run ? os_load_inspect : NULL,
                                        .inspect_ctx = keeper->inspection};
  atomic_fetch_add(&load->shared->references, 1);
  int rc = os_pipeline_start(&keeper->pipeline, &options, let_go, load->shared, error);
  os_free(query);
  return rc;
}

static int keeper_init(struct keeper *keeper, struct os_load *load, struct os_error *error) {
  memset(keeper, 0, sizeof *keeper);
  keeper->load = load;
  os_load_places_begin(&keeper->places, load,
                       load->shared->parse.id_field && effective_op(load) != OS_OP_CREATE);
  if (load->request->dry_run) {
    keeper->inspection = os_calloc(1, sizeof *keeper->inspection);
    if (!keeper->inspection) return os_fail_nomem(error);
    keeper->inspection->mapping = load->shared->mapping;
  }
  return os_load_places_grow(&keeper->places, error);
}

static void keeper_free(struct keeper *keeper) {
  os_load_places_free(&keeper->places);
  if (!keeper->left_behind) os_free(keeper->inspection); /* else a reader may still look; it is small */
}

/* Whatever stopped the load: what was acknowledged is recorded, and the message says how to go on. */
static void advise_resume(struct os_error *error) {
  if (strstr(error->advice, "resume") || strstr(error->text, "resume")) return;
  char before[OS_ERROR_ADVICE];
  memcpy(before, error->advice, sizeof before);
  if (before[0])
    os_advise(error, "%.400s; then load with mode resume to go on where it stopped", before);
  else
    os_advise(error, "what was acknowledged is recorded: load with mode resume to go on where it stopped");
}

int os_load_step_run(struct os_load *load, struct os_error *error) {
  struct keeper keeper;
  int rc = keeper_init(&keeper, load, error);
  if (!rc) rc = start(&keeper, error);
  if (!rc) {
    os_progress_begin(&keeper.meter, load->job->progress, load->session->log);
    keep(&keeper);
    os_pipeline_error(keeper.pipeline, error);
    if (error->code && !keeper.stop.code) keeper.stop = *error;
    os_error_clear(error);
    os_load_end_list(load);
    if (!os_pipeline_release(keeper.pipeline, keeper.stop.code ? 0.05 : 1))
      os_session_abandon_net(load->session);
    if (keeper.stop.code) {
      *error = keeper.stop;
      advise_resume(error);
      rc = (int)error->code;
    } else {
      if (keeper.inspection) rc = os_load_inspect_report(load, keeper.inspection, error);
      if (keeper.inspection) load->unfit = (int64_t)keeper.inspection->unfit;
      if (!rc) rc = os_load_places_report(&keeper.places, error);
    }
  }
  keeper_free(&keeper);
  return rc;
}
