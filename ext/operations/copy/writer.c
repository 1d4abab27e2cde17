/* writer.c - documents into the target by many bulk requests at a time; see copy.h. A document that is
** refused ends the copy: a copy that lacks one is none.
*/
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "operations/copy/copy_int.h"
#include "pipeline/pipeline.h"

enum {
  SMALL_BATCH = 10000 /* documents */,
  WORKERS = 4,
  LISTED = 10 /* refusals that become rows of os_audit */
};
static const double GRACE = 2;

struct os_copy_writer {
  struct os_copy *copy;
  struct os_pipeline *pipeline;
  struct os_buf action;
  uint64_t put, settled;
  int listed;
};

/* A rate is kept batch by batch: one is to be of a second at most. */
static uint64_t batch_size(double rate) {
  return rate > 0 && rate < SMALL_BATCH ? (rate < 1 ? 1 : (uint64_t)rate) : SMALL_BATCH;
}

int os_copy_writer_open(struct os_copy_writer **out, struct os_copy *copy, struct os_error *error) {
  struct os_job *job = copy->job;
  double rate = copy->max_docs_rate > 0 ? copy->max_docs_rate : job->max_docs_rate;
  struct os_copy_writer *writer = *out = os_calloc(1, sizeof *writer);
  if (!writer) return os_fail_nomem(error);
  writer->copy = copy;
  os_buf_init(&writer->action, 0);
  struct os_pipeline_options options = {
      .endpoint = copy->to->endpoint,
      .net = copy->to->net,
      .log = job->session->log,
      .index = copy->target,
      .query = copy->parameters,
      .op = copy->create_only || copy->leave ? OS_OP_CREATE : OS_OP_INDEX,
      .batch_size = batch_size(rate),
      .batch_bytes = copy->batch_bytes,
      .max_workers = copy->max_workers > 0 ? copy->max_workers : WORKERS,
      .readers = 1,
      .keep_settled = copy->create_only || copy->leave, /* else a 409 under an id of one's own is refused */
      .max_docs_rate = rate,
      .max_bytes_rate = job->max_bytes_rate};
  int rc = os_pipeline_start(&writer->pipeline, &options, NULL, NULL, error);
  if (rc) {
    os_copy_writer_close(writer);
    *out = NULL;
  }
  return rc;
}

void os_copy_writer_close(struct os_copy_writer *writer) {
  if (!writer) return;
  struct os_session *session = writer->copy->job->session;
  if (writer->pipeline) {
    os_pipeline_finish(writer->pipeline);
    os_pipeline_stop(writer->pipeline);
    if (!os_pipeline_release(writer->pipeline, GRACE)) os_session_abandon_net(session);
  }
  os_buf_free(&writer->action);
  os_free(writer);
}

/* The error tells of the first one. */
static int refused(struct os_copy_writer *writer, const struct os_batch *batch, struct os_error *error) {
  const struct os_copy *copy = writer->copy;
  struct os_error ledger;
  int rc = OS_OK;
  os_error_clear(&ledger);
  for (size_t i = 0; i < batch->refusal_count && !rc && writer->listed < LISTED; i++, writer->listed++) {
    const struct os_refusal *refusal = &batch->refusals[i];
    rc = os_job_audit(copy->job, "copy", "refused", "fail", false, &ledger, "document '%s': %s: %s",
                      refusal->doc_id ? refusal->doc_id : "", refusal->type ? refusal->type : "",
                      refusal->reason ? refusal->reason : "");
  }
  copy->job->figures.documents_failed += (int64_t)batch->refusal_count;
  const struct os_refusal *first = &batch->refusals[0];
  os_fail(error, OS_ERR_REFUSED, "%s refuses document '%s' of %s: %s: %s", copy->target,
          first->doc_id ? first->doc_id : "", copy->source, first->type ? first->type : "",
          first->reason ? first->reason : "");
  return os_advise(
      error, "os_audit has more of them (job %lld); compare the two mappings: SELECT * FROM os_mapping('%s')",
      (long long)copy->job->number, copy->target);
}

static int take(struct os_copy_writer *writer, struct os_batch *batch, struct os_error *error) {
  struct os_job_figures *job = &writer->copy->job->figures;
  struct os_copy_figures *copied = &writer->copy->figures;
  int rc = OS_OK;
  job->bytes_sent += (int64_t)batch->bytes_sent;
  job->requests += (int64_t)batch->requests;
  job->retries += (int64_t)batch->retries;
  job->documents_created += (int64_t)batch->outcomes[OS_CREATED];
  job->documents_updated += (int64_t)batch->outcomes[OS_UPDATED];
  job->documents_already += (int64_t)batch->outcomes[OS_ALREADY];
  copied->created += (int64_t)batch->outcomes[OS_CREATED];
  copied->updated += (int64_t)batch->outcomes[OS_UPDATED];
  copied->already += (int64_t)batch->outcomes[OS_ALREADY];
  copied->unknown += (int64_t)batch->unknown;
  for (int i = 0; i < OS_OUTCOMES; i++)
    writer->settled += batch->outcomes[i];
  if (batch->fault.code) {
    *error = batch->fault;
    rc = (int)batch->fault.code;
  } else if (batch->refusal_count) {
    rc = refused(writer, batch, error);
  }
  os_pipeline_return(writer->pipeline, batch);
  return rc;
}

static int turn(struct os_copy_writer *writer, int timeout_ms, struct os_error *error) {
  struct os_batch *batch = os_pipeline_next(writer->pipeline, timeout_ms);
  int rc = batch ? take(writer, batch, error) : OS_OK;
  if (!rc) os_pipeline_error(writer->pipeline, error);
  if (!rc && error->code) rc = (int)error->code;
  return rc ? rc : os_copy_look(writer->copy, error);
}

/* {"index":{"_id":"…","routing":"…"}} */
static void put_action(const struct os_copy *copy, const struct os_search_hit *hit, enum os_op op,
                       struct os_buf *action) {
  os_buf_clear(action);
  os_buf_printf(action, "{\"%s\":{", os_op_name(op));
  if (!copy->no_ids) {
    os_buf_puts(action, "\"_id\":\"");
    os_buf_append(action, hit->id, hit->id_len);
    os_buf_putc(action, '"');
  }
  if (hit->routing) {
    os_buf_puts(action, copy->no_ids ? "\"routing\":\"" : ",\"routing\":\"");
    os_buf_append(action, hit->routing, hit->routing_len);
    os_buf_putc(action, '"');
  }
  os_buf_puts(action, "}}\n");
}

int os_copy_writer_put(struct os_copy_writer *writer, const struct os_search_hit *hit,
                       struct os_error *error) {
  const struct os_copy *copy = writer->copy;
  struct os_buf *action = &writer->action;
  enum os_op op = copy->create_only || copy->leave ? OS_OP_CREATE : OS_OP_INDEX;
  put_action(copy, hit, op, action);
  if (action->failed) return os_fail_nomem(error);
  struct os_push push = {.op = op,
                         .action = action->data,
                         .action_len = action->len,
                         .document = hit->source,
                         .document_len = hit->source_len,
                         .explicit_id = copy->no_ids ? NULL : hit->id,
                         .explicit_id_len = copy->no_ids ? 0 : hit->id_len,
                         .maybe_sent = copy->leave};
  int rc;
  while ((rc = os_pipeline_append(writer->pipeline, &push, error)) == OS_ERR_BUSY) {
    os_error_clear(error);
    rc = turn(writer, 50, error);
    if (rc) return rc;
  }
  if (!rc) writer->put++;
  return rc;
}

int os_copy_writer_wait(struct os_copy_writer *writer, struct os_error *error) {
  int rc;
  while ((rc = os_pipeline_flush(writer->pipeline)) == OS_ERR_BUSY) {
    rc = turn(writer, 50, error);
    if (rc) return rc;
  }
  while (!rc && writer->settled < writer->put)
    rc = turn(writer, 50, error);
  return rc;
}
