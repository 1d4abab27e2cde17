/* writer.c - documents into the target by many bulk requests at a time; see live_int.h. A document that is
** refused ends the copy: a copy that lacks one is none.
*/
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "operations/live/live_int.h"

enum { SMALL_BATCH = 10000 /* documents */, WORKERS = 4 };
static const double GRACE = 2;

struct os_live_writer {
  struct os_live *live;
  struct os_pipeline *pipeline;
  struct os_buf action;
  uint64_t put, settled;
};

int os_live_writer_open(struct os_live_writer **out, struct os_live *live, struct os_error *error) {
  const struct os_live_request *request = live->request;
  struct os_job *job = live->job;
  struct os_live_writer *writer = *out = os_calloc(1, sizeof *writer);
  if (!writer) return os_fail_nomem(error);
  writer->live = live;
  os_buf_init(&writer->action, 0);
  struct os_pipeline_options options = {.endpoint = live->cluster->endpoint,
                                        .net = live->cluster->net,
                                        .log = job->session->log,
                                        .index = request->target,
                                        .query = "pipeline=_none",
                                        .op = OS_OP_INDEX,
                                        .batch_size = SMALL_BATCH,
                                        .batch_bytes = request->batch_bytes,
                                        .max_workers =
                                            request->max_workers > 0 ? request->max_workers : WORKERS,
                                        .readers = 1,
                                        .max_docs_rate = job->max_docs_rate,
                                        .max_bytes_rate = job->max_bytes_rate};
  int rc = os_pipeline_start(&writer->pipeline, &options, NULL, NULL, error);
  if (rc) {
    os_live_writer_close(writer);
    *out = NULL;
  }
  return rc;
}

void os_live_writer_close(struct os_live_writer *writer) {
  if (!writer) return;
  struct os_session *session = writer->live->job->session;
  if (writer->pipeline) {
    os_pipeline_finish(writer->pipeline);
    os_pipeline_stop(writer->pipeline);
    if (!os_pipeline_release(writer->pipeline, GRACE)) os_session_abandon_net(session);
  }
  os_buf_free(&writer->action);
  os_free(writer);
}

static int refused(struct os_live_writer *writer, const struct os_refusal *refusal, struct os_error *error) {
  os_fail(error, OS_ERR_REFUSED, "%s refuses document '%s' of %s: %s: %s", writer->live->request->target,
          refusal->doc_id ? refusal->doc_id : "", writer->live->request->source,
          refusal->type ? refusal->type : "", refusal->reason ? refusal->reason : "");
  return os_advise(error, "compare the two mappings: SELECT * FROM os_mapping('%s')",
                   writer->live->request->target);
}

static int take(struct os_live_writer *writer, struct os_batch *batch, struct os_error *error) {
  struct os_job_figures *figures = &writer->live->job->figures;
  int rc = OS_OK;
  figures->bytes_sent += (int64_t)batch->bytes_sent;
  figures->requests += (int64_t)batch->requests;
  figures->retries += (int64_t)batch->retries;
  figures->documents_created += (int64_t)batch->outcomes[OS_CREATED];
  figures->documents_updated += (int64_t)batch->outcomes[OS_UPDATED];
  for (int i = 0; i < OS_OUTCOMES; i++)
    writer->settled += batch->outcomes[i];
  if (batch->fault.code) {
    *error = batch->fault;
    rc = (int)batch->fault.code;
  } else if (batch->refusal_count) {
    rc = refused(writer, &batch->refusals[0], error);
  }
  os_pipeline_return(writer->pipeline, batch);
  return rc;
}

static int turn(struct os_live_writer *writer, int timeout_ms, struct os_error *error) {
  struct os_batch *batch = os_pipeline_next(writer->pipeline, timeout_ms);
  int rc = batch ? take(writer, batch, error) : OS_OK;
  if (!rc) os_pipeline_error(writer->pipeline, error);
  if (!rc && error->code) rc = (int)error->code;
  return rc ? rc : os_live_look(writer->live, error);
}

int os_live_writer_put(struct os_live_writer *writer, const struct os_search_hit *hit,
                       struct os_error *error) {
  struct os_buf *action = &writer->action;
  os_buf_clear(action);
  os_buf_puts(action, "{\"index\":{\"_id\":\"");
  os_buf_append(action, hit->id, hit->id_len);
  if (hit->routing) {
    os_buf_puts(action, "\",\"routing\":\"");
    os_buf_append(action, hit->routing, hit->routing_len);
  }
  os_buf_puts(action, "\"}}\n");
  if (action->failed) return os_fail_nomem(error);
  struct os_push push = {.op = OS_OP_INDEX,
                         .action = action->data,
                         .action_len = action->len,
                         .document = hit->source,
                         .document_len = hit->source_len,
                         .explicit_id = hit->id,
                         .explicit_id_len = hit->id_len};
  int rc;
  while ((rc = os_pipeline_append(writer->pipeline, &push, error)) == OS_ERR_BUSY) {
    os_error_clear(error);
    rc = turn(writer, 50, error);
    if (rc) return rc;
  }
  if (!rc) writer->put++;
  return rc;
}

int os_live_writer_wait(struct os_live_writer *writer, struct os_error *error) {
  int rc;
  while ((rc = os_pipeline_flush(writer->pipeline)) == OS_ERR_BUSY) {
    rc = turn(writer, 50, error);
    if (rc) return rc;
  }
  while (!rc && writer->settled < writer->put)
    rc = turn(writer, 50, error);
  return rc;
}
