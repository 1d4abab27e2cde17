/* through.c - the twin of a task: the documents are copied through this process; see task.h. For a cluster
** that has no _reindex, and for a source on another one.
*/
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/json.h"
#include "operations/copy/copy.h"
#include "operations/reindex/task.h"
#include "operations/step.h"
#include "operations/visible.h"

/* Passes over a source that others write to; what still changes then is told of as it is after a task. */
enum { PASSES = 5 };
static const char step[] = "through";

/* ---- its step ---- */

struct earlier {
  bool done, tried; /* tried: some may be copied already */
};

static int read_earlier(struct os_job *job, const char *item, struct earlier *earlier,
                        struct os_reindex_figures *f, struct os_error *error) {
  char state[16] = "";
  json_t *data = NULL;
  int rc = os_step_get(job->ledger, job->number, item, step, state, &data, error);
  earlier->done = !strcmp(state, "done");
  earlier->tried = !strcmp(state, "begun");
  if (earlier->done)
    *f = (struct os_reindex_figures){.total = os_json_int(data, "read", 0),
                                     .created = os_json_int(data, "created", 0),
                                     .updated = os_json_int(data, "updated", 0),
                                     .version_conflicts = os_json_int(data, "already", 0),
                                     .continued = os_json_bool(data, "continued", false)};
  json_decref(data);
  return rc;
}

static int put_done(struct os_job *job, const char *item, const struct os_reindex_figures *f,
                    struct os_error *error) {
  int rc = os_step_put(job, item, step, "done",
                       json_pack("{s:I, s:I, s:I, s:I, s:b}", "read", (json_int_t)f->total, "created",
                                 (json_int_t)f->created, "updated", (json_int_t)f->updated, "already",
                                 (json_int_t)f->version_conflicts, "continued", (int)f->continued),
                       error);
  if (rc) return rc;
  return os_job_audit(job, "copy", "through", "pass", false, error,
                      "%lld documents read: %lld created, %lld updated, %lld there before",
                      (long long)f->total, (long long)f->created, (long long)f->updated,
                      (long long)f->version_conflicts);
}

/* ---- the copy ---- */

/* Until a pass finds nothing that the ones before have not. */
static int copy_shards(struct os_copy *copy, struct os_copy_writer *writer, struct os_error *error) {
  int64_t copied = 1;
  int rc = OS_OK;
  for (int i = 0; i < PASSES && copied > 0 && !rc; i++) {
    rc = os_copy_pass(copy, writer, &copied, error);
    copy->create_only = false; /* what a further pass finds was copied before it changed */
  }
  return rc;
}

static int run(struct os_copy *copy, bool by_id, struct os_error *error) {
  struct os_copy_writer *writer = NULL;
  int rc = os_copy_begin(copy, by_id, error);
  if (!rc) rc = os_copy_writer_open(&writer, copy, error);
  if (!rc) rc = by_id ? os_copy_by_id(copy, writer, error) : copy_shards(copy, writer, error);
  os_copy_writer_close(writer);
  return rc;
}

/* "pipeline=…"; NULL in *out: nothing. */
static int make_parameters(const char *pipeline, char **out, struct os_error *error) {
  struct os_buf text;
  *out = NULL;
  if (!pipeline) return OS_OK;
  os_buf_init(&text, 0);
  os_buf_puts(&text, "pipeline=");
  os_url_encode(&text, pipeline, strlen(pipeline));
  *out = os_buf_take(&text);
  return *out ? OS_OK : os_fail_nomem(error);
}

static int begin(struct os_job *job, struct os_cluster *from, struct os_cluster *to,
                 const struct os_reindex_work *work, const char *item, bool again, struct os_error *error) {
  bool by_id = os_cluster_is_serverless(from);
  int rc = os_job_audit(job, "copy", "through", "did", true, error,
                        "this process reads %s %s and writes to %s%s; undone with the target", work->source,
                        by_id ? "in the order of _id" : "shard by shard", work->target,
                        again ? ", where an earlier job stopped" : "");
  if (!rc) rc = os_job_unseen_begin(job, to, work->target, error);
  if (rc || again) return rc;
  return os_ledger_step_put(job->ledger, job->number, item, step, "begun", "{}", error);
}

static int copy_all(struct os_job *job, struct os_cluster *from, struct os_cluster *to,
                    const struct os_reindex_work *work, const char *item, bool again,
                    struct os_reindex_figures *f, struct os_error *error) {
  char *parameters = NULL, *query = work->query ? os_json_text(work->query) : NULL;
  int rc = work->query && !query ? os_fail_nomem(error) : make_parameters(work->pipeline, &parameters, error);
  struct os_copy copy = {.job = job,
                         .from = from,
                         .to = to,
                         .source = work->source,
                         .target = work->target,
                         .query = query,
                         .item = item,
                         .step = step,
                         .parameters = parameters,
                         .create_only = work->create_only,
                         .leave = work->create_only && (work->proceed || again),
                         .no_ids = work->no_ids,
                         .batch_bytes = work->batch_bytes,
                         .max_workers = work->max_workers,
                         .max_docs_rate = work->requests_per_second,
                         .documents = work->documents > 0 ? work->documents : 0};
  if (!rc) {
    rc = run(&copy, os_cluster_is_serverless(from), error);
    *f = (struct os_reindex_figures){.total = copy.figures.read,
                                     .created = copy.figures.created,
                                     .updated = copy.figures.updated,
                                     .version_conflicts = copy.figures.already,
                                     .unknown = copy.figures.unknown,
                                     .continued = again};
    os_copy_end(&copy);
  }
  os_free(parameters);
  os_free(query);
  return rc;
}

int os_reindex_through(struct os_job *job, struct os_cluster *from, struct os_cluster *to,
                       const struct os_reindex_work *work, const char *item,
                       struct os_reindex_outcome *outcome, struct os_error *error) {
  struct earlier earlier = {0};
  memset(outcome, 0, sizeof *outcome);
  int rc = read_earlier(job, item, &earlier, &outcome->figures, error);
  if (rc || earlier.done) return rc;
  if (earlier.tried && !os_reindex_keeps_ids(work)) {
    outcome->lost = true;
    os_fail(error, OS_ERR_CONFLICT, "an earlier copy to %s was broken off", work->target);
    return os_advise(error, "its pipeline or its collection may change ids, so that it cannot be continued");
  }
  rc = os_reindex_check_target(to, work, error);
  if (!rc) rc = begin(job, from, to, work, item, earlier.tried, error);
  if (!rc) rc = copy_all(job, from, to, work, item, earlier.tried, &outcome->figures, error);
  return rc ? rc : put_done(job, item, &outcome->figures, error);
}
