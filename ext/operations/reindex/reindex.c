/* reindex.c - see reindex.h: the order of things, and what an earlier job left. */
#include "operations/reindex/reindex.h"
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "operations/cleanup/cleanup.h"
#include "operations/reindex/reindex_int.h"
#include "operations/step.h"

enum { BEGINNINGS = 3 /* copies that could not be continued and were begun anew, before it is given up */ };

/* ---- steps ---- */

int os_reindex_step_put(struct os_reindex *r, const char *name, const char *state, json_t *data_take,
                        struct os_error *error) {
  return os_step_put(r->job, r->request->target, name, state, data_take, error);
}

int os_reindex_step_mark(struct os_reindex *r, const char *name, const char *state, struct os_error *error) {
  return os_step_mark(r->job, r->request->target, name, state, error);
}

int os_reindex_step_get(struct os_reindex *r, const char *name, char state[16], json_t **data,
                        struct os_error *error) {
  return os_step_get(r->job->ledger, r->job->number, r->request->target, name, state, data, error);
}

/* ---- what was asked for ---- */

/* By which a cluster is known, also under another address where it has an UUID. */
static const char *name_of(const struct os_cluster *cluster) {
  return cluster->caps.cluster_uuid[0] ? cluster->caps.cluster_uuid : cluster->endpoint->url;
}

/* By this a later call knows that it wants the same; what only says how fast or how carefully is not part
** of it. */
static json_t *asked(const struct os_reindex *r) {
  const struct os_reindex_request *q = r->request;
  return json_pack("{s:s, s:s, s:O?, s:O?, s:O?, s:s?, s:b, s:b, s:s*}", "source", q->source, "target",
                   q->target, "create", (json_t *)(uintptr_t)q->create, "query",
                   (json_t *)(uintptr_t)q->query, "script", (json_t *)(uintptr_t)q->script, "pipeline",
                   q->pipeline, "create_only", (int)q->create_only, "proceed", (int)q->proceed, "from",
                   q->from ? name_of(q->from) : NULL);
}

/* Which target on which cluster: two jobs that share this must not run at once. os_free() it. */
static char *operation_key(const struct os_reindex *r) {
  json_t *key = json_pack("{s:s, s:s}", "cluster", name_of(r->cluster), "target", r->request->target);
  char *text = key ? os_json_text(key) : NULL;
  json_decref(key);
  return text;
}

/* ---- what an earlier job left ---- */

struct earlier {
  int64_t job; /* 0: nothing is left to do */
  bool same;   /* it was asked for the same */
  bool whole;  /* it has copied and counted everything: only its backup is left */
};

static int read_earlier(struct os_reindex *r, int64_t job, struct earlier *earlier, struct os_error *error) {
  char state[16] = "";
  json_t *data = NULL, *now = asked(r);
  int rc = now ? os_step_get(r->job->ledger, job, r->request->target, "reindex", state, &data, error)
               : os_fail_nomem(error);
  if (!rc && !strcmp(state, "begun")) {
    earlier->job = job;
    earlier->same = json_equal(json_object_get(data, "asked"), now);
  }
  json_decref(now);
  json_decref(data);
  if (!rc && earlier->job)
    rc = os_step_get(r->job->ledger, job, r->request->target, "verify", state, NULL, error);
  earlier->whole = earlier->job && !strcmp(state, "done");
  return rc;
}

static int find_earlier(struct os_reindex *r, struct earlier *earlier, struct os_error *error) {
  int64_t job = 0;
  char status[16] = "", *key = operation_key(r);
  int rc = key ? os_ledger_operation_last(r->job->ledger, "reindex", key, r->job->number, &job, status, error)
               : os_fail_nomem(error);
  os_free(key);
  if (rc || !job) return rc;
  if (!strcmp(status, "running")) {
    os_fail(error, OS_ERR_CONFLICT, "job %lld is filling %s right now", (long long)job, r->request->target);
    os_advise(error, "wait for it (os_jobs shows how far it is), or os_cancel(%lld)", (long long)job);
    return os_job_guard_failed(r->job, "guards", "earlier job", error);
  }
  return read_earlier(r, job, earlier, error);
}

static int refuse_mode(struct os_reindex *r, const struct earlier *earlier, struct os_error *error) {
  if (!earlier->job)
    os_fail(error, OS_ERR_ARGUMENT, "no copy to %s was broken off: there is nothing to %s",
            r->request->target, r->request->mode == OS_REINDEX_UNDO ? "undo" : "resume");
  else
    os_fail(error, OS_ERR_ARGUMENT,
            "what job %lld began was asked for otherwise (source, create, query, script, "
            "pipeline, op_type or conflicts)",
            (long long)earlier->job);
  if (earlier->job) os_advise(error, "{\"mode\":\"fresh\"} undoes it and begins anew");
  return os_job_guard_failed(r->job, "guards", "earlier job", error);
}

/* A copy that begins now is not to be taken for one that was broken off after these. */
static int forget_steps(struct os_reindex *r, struct os_error *error) {
  static const char *const names[] = {"create", "clean", "verify"};
  int rc = os_reindex_task_reset(r->job, r->request->target, error);
  for (size_t i = 0; i < sizeof names / sizeof *names && !rc; i++)
    rc = os_reindex_step_mark(r, names[i], "undone", error);
  return rc;
}

/* Its steps become ours, and whatever is left of it is undone. */
static int undo_earlier(struct os_reindex *r, const struct earlier *earlier, struct os_error *error) {
  struct os_error told;
  os_error_clear(&told);
  int rc = os_job_audit(r->job, "resume", "undo", "did", true, error, "undoing what job %lld left",
                        (long long)earlier->job);
  if (!rc) rc = os_reindex_undo(r, &told, error);
  if (rc) return os_error_prefix(error, "what job %lld left cannot be undone yet", (long long)earlier->job);
  rc = forget_steps(r, error);
  return rc ? rc : os_job_audit(r->job, "resume", "undone", "did", false, error, "%s", told.advice);
}

/* It was complete but for the backup of what the target held before: that is no copy broken off. */
static int drop_rest(struct os_reindex *r, const struct earlier *earlier, struct os_error *error) {
  int rc = os_cleanup_drop_backup(r->job, r->cluster, r->request->target, error);
  r->result->complete = true;
  if (!rc) rc = os_reindex_step_mark(r, "reindex", "done", error);
  if (!rc) rc = forget_steps(r, error);
  if (rc) return rc;
  return os_job_audit(r->job, "resume", "earlier job", "did", false, error,
                      "the copy of job %lld was complete: only its backup was left to be removed",
                      (long long)earlier->job);
}

/* *go_on: the steps that we took over are to be continued. */
static int settle_earlier(struct os_reindex *r, bool *go_on, struct os_error *error) {
  enum os_reindex_mode mode = r->request->mode;
  struct earlier earlier = {0};
  *go_on = false;
  int rc = find_earlier(r, &earlier, error);
  if (rc) return rc;
  bool needs = mode == OS_REINDEX_RESUME || mode == OS_REINDEX_UNDO;
  if ((needs && !earlier.job) || (mode == OS_REINDEX_RESUME && !earlier.same))
    return refuse_mode(r, &earlier, error);
  if (!earlier.job) return OS_OK;
  *go_on = mode == OS_REINDEX_RESUME || (mode == OS_REINDEX_AUTO && earlier.same);
  if (r->request->dry_run)
    return os_job_audit(r->job, "resume", "earlier job", "pass", false, error,
                        "job %lld was broken off: it would be %s", (long long)earlier.job,
                        *go_on ? "continued" : "undone");
  rc = os_ledger_steps_adopt(r->job->ledger, earlier.job, r->job->number, error);
  if (!rc && !os_cluster_is_serverless(r->cluster))
    rc = os_cluster_drain(r->cluster, error); /* its last request may still be on its way through */
  if (rc) return rc;
  if (!*go_on && earlier.whole) return drop_rest(r, &earlier, error);
  if (!*go_on) return undo_earlier(r, &earlier, error);
  r->result->resumed = true;
  return os_job_audit(r->job, "resume", "earlier job", "did", false, error, "going on where job %lld stopped",
                      (long long)earlier.job);
}

/* ---- the course ---- */

static int begin(struct os_reindex *r, struct os_error *error) {
  char *key = operation_key(r);
  json_t *now = asked(r);
  int rc = key && now
               ? os_ledger_step_put(r->job->ledger, r->job->number, "", "operation", "begun", key, error)
               : os_fail_nomem(error);
  if (!rc)
    rc = os_reindex_step_put(r, "reindex", "begun",
                             json_pack("{s:O, s:I, s:I}", "asked", now, "documents",
                                       (json_int_t)r->result->source_documents, "operations",
                                       (json_int_t)r->source_operations),
                             error);
  json_decref(now);
  os_free(key);
  return rc;
}

/* What was known of the source when the copy began holds for the whole of it. */
static int recall(struct os_reindex *r, struct os_error *error) {
  char state[16];
  json_t *data = NULL;
  int rc = os_reindex_step_get(r, "reindex", state, &data, error);
  r->result->source_documents = os_json_int(data, "documents", -1);
  r->source_operations = os_json_int(data, "operations", -1);
  json_decref(data);
  if (!rc) rc = os_reindex_guard_target(r, r->target_uuid, error);
  if (!rc) rc = os_reindex_read_definitions(r, error);
  if (!rc) rc = os_reindex_guard_ids(r, error);
  return rc ? rc : os_reindex_choose_pipeline(r, error);
}

/* A task that was lost and cannot be continued is begun anew with an empty target. */
static int copy(struct os_reindex *r, bool *running, struct os_error *error) {
  const char *target = r->request->target;
  struct os_reindex_outcome outcome = {0};
  int rc = OS_OK;
  r->work.target_uuid = r->target_uuid;
  r->work.documents = r->result->source_documents;
  for (int i = 0; i < BEGINNINGS; i++) {
    os_error_clear(error);
    rc = r->through ? os_reindex_through(r->job, r->from, r->cluster, &r->work, target, &outcome, error)
                    : os_reindex_task(r->job, r->cluster, &r->work, target, &outcome, error);
    if (!rc || !outcome.lost) break;
    struct os_error why = *error;
    rc = os_job_audit(r->job, "copy", "anew", "did", false, error, "%s; %s is emptied and filled anew",
                      why.text, target);
    if (!rc) rc = os_reindex_empty_again(r, error);
    if (!rc) rc = os_reindex_task_reset(r->job, target, error);
    if (rc) break;
    *error = why; /* stays when this was the last time */
    rc = (int)why.code;
  }
  *running = outcome.running;
  r->result->figures = outcome.figures;
  return rc;
}

static int go(struct os_reindex *r, bool go_on, bool *running, struct os_error *error) {
  int rc = go_on ? OS_OK : os_reindex_guards(r, error);
  if (rc || r->request->dry_run) return rc;
  if (!go_on) rc = begin(r, error);
  if (!rc) rc = go_on ? os_reindex_continue_target(r, error) : os_reindex_prepare_target(r, error);
  if (!rc) rc = copy(r, running, error);
  if (!rc) rc = os_reindex_verify(r, error);
  if (!rc) rc = os_reindex_step_mark(r, "verify", "done", error);
  return rc;
}

/* From here on nothing is undone any more. */
static int finish(struct os_reindex *r, struct os_error *error) {
  int rc = os_cleanup_drop_backup(r->job, r->cluster, r->request->target, error);
  if (!rc) rc = os_reindex_step_mark(r, "reindex", "done", error);
  if (rc) {
    os_error_prefix(error, "everything is copied, but the backup of the target could not be removed");
    os_advise(error, "the same command again removes it");
  }
  return rc;
}

/* What was begun is undone; *error stays the reason, and tells what became of the target. */
static int fail(struct os_reindex *r, bool running, struct os_error *error) {
  struct os_error why = *error, trouble;
  char state[16] = "";
  os_error_clear(&trouble);
  if (running) { /* its text says that it is waited for by the same command again */
    os_job_audit(r->job, "undo", "undo", "skip", false, &trouble,
                 "the task may still run: nothing is undone yet");
    return (int)why.code;
  }
  int rc = os_reindex_step_get(r, "reindex", state, NULL, &trouble);
  if (!rc && strcmp(state, "begun") != 0) return (int)why.code;
  if (!rc) rc = os_reindex_undo(r, &why, &trouble);
  if (rc)
    os_advise(
        &why,
        "what was done could not be undone (%.400s); {\"mode\":\"undo\"} does it, the same call goes on",
        trouble.text);
  *error = why;
  return (int)why.code;
}

static int run(struct os_reindex *r, struct os_error *error) {
  bool go_on = false, running = false;
  char verified[16] = "";
  int rc = settle_earlier(r, &go_on, error);
  if (rc) return rc;
  if (r->request->mode == OS_REINDEX_UNDO) return OS_OK;
  if (r->request->dry_run) return go(r, false, &running, error);
  if (go_on) rc = os_reindex_step_get(r, "verify", verified, NULL, error);
  if (!rc && go_on) rc = recall(r, error); /* a fault here undoes nothing: it can still be gone on with */
  if (rc) return rc;
  rc = go(r, go_on, &running, error);
  if (rc && !strcmp(verified, "done"))
    return rc; /* it was complete: nothing is undone because of a second look */
  if (rc) return fail(r, running, error);
  return finish(r, error);
}

/* Who copies: the cluster where it can. */
static int choose_way(struct os_reindex *r, struct os_error *error) {
  struct os_session *session = r->job->session;
  int rc = os_session_cluster_probe(session, r->cluster, false, error);
  if (!rc && r->request->from && (rc = os_session_cluster_probe(session, r->from, false, error)))
    os_error_prefix(error, "the cluster of the source");
  r->through = r->result->through = r->request->from || os_cluster_is_serverless(r->cluster);
  if (rc || !r->through || !r->request->script) return rc;
  os_fail(error, OS_ERR_ARGUMENT, "a script runs on a cluster, and %s is copied through this process",
          r->request->source);
  return os_advise(
      error, "let an ingest pipeline of the target's change the documents ('pipeline'), or copy without "
             "'script' first");
}

int os_reindex_run(struct os_job *job, struct os_cluster *cluster, const struct os_reindex_request *request,
                   struct os_reindex_result *result, struct os_error *error) {
  struct os_reindex r = {.job = job,
                         .cluster = cluster,
                         .from = request->from ? request->from : cluster,
                         .request = request,
                         .result = result,
                         .source_operations = -1,
                         .work = {.source = request->source,
                                  .target = request->target,
                                  .query = request->query,
                                  .script = request->script,
                                  .pipeline = request->pipeline,
                                  .create_only = request->create_only,
                                  .proceed = request->proceed,
                                  .slices = request->slices,
                                  .requests_per_second = request->requests_per_second,
                                  .poll_interval = request->poll_interval,
                                  .batch_bytes = request->batch_bytes,
                                  .max_workers = request->max_workers}};
  *result = (struct os_reindex_result){.source_documents = -1, .source_writes = -1, .target_before = -1};
  int rc = choose_way(&r, error);
  if (!rc) rc = run(&r, error);
  json_decref(r.source_index);
  json_decref(r.target_index);
  return rc;
}
