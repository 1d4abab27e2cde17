/* task.c - see task.h.
**
** What may have happened is always settled before anything else is done: a start whose answer was lost is
** looked for among the running tasks (their description says "reindex from [source] to [target]"), one that
** the cluster has forgotten is continued, one that is to end is waited for.
*/
#include "operations/reindex/task.h"
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "operations/reindex/watch.h"
#include "operations/settle.h"
#include "operations/step.h"

/* Slicing a small index costs more than it gives, and an empty one that has no mapping for _id cannot be
** sliced at all: 400 "field _id not found" (OpenSearch issue 16549; measured on 2.19). */
enum { WORTH_SLICING = 10000, CONTINUATIONS = 5 };
static const double START_GRACE =
    2; /* seconds that a start may still take after Ctrl-C: else its task is not known */
static const double STOP_TIME = 60;   /* until a cancelled task is gone */
static const double READY_TIME = 120; /* until both indices are there again after a node was restarted */
static const char copy[] = "copy";

struct run {
  struct os_job *job;
  struct os_cluster *cluster;
  const struct os_reindex_work *work;
  const char *item;
  struct os_reindex_outcome *outcome;
  char task[128]; /* the one that runs, or ran last; empty: none whose id is known */
};

/* ---- the request ---- */

json_t *os_reindex_body(const struct os_reindex_work *work, bool again) {
  bool create_only = work->create_only || again, proceed = work->proceed || again;
  json_t *source = json_pack("{s:s}", "index", work->source),
         *dest = json_pack("{s:s}", "index", work->target);
  json_t *body = source && dest ? json_pack("{s:O, s:O}", "source", source, "dest", dest) : NULL;
  bool ok = body != NULL;
  if (ok && work->query) ok = !json_object_set(source, "query", (json_t *)(uintptr_t)work->query);
  if (ok && work->pipeline) ok = os_json_put(dest, "pipeline", json_string(work->pipeline));
  if (ok && create_only) ok = os_json_put(dest, "op_type", json_string("create"));
  if (ok && proceed) ok = os_json_put(body, "conflicts", json_string("proceed"));
  if (ok && work->script) ok = !json_object_set(body, "script", (json_t *)(uintptr_t)work->script);
  json_decref(source);
  json_decref(dest);
  if (ok) return body;
  json_decref(body);
  return NULL;
}

char *os_reindex_path(const struct os_reindex_work *work) {
  struct os_buf path;
  os_buf_init(&path, 0);
  os_buf_puts(&path, "/_reindex?wait_for_completion=false");
  bool small = work->documents >= 0 && work->documents < WORTH_SLICING;
  if (work->slices > 1 && work->documents != 0)
    os_buf_printf(&path, "&slices=%d", work->slices);
  else if (!work->slices && work->documents > 0 && !small)
    os_buf_puts(&path, "&slices=auto");
  if (work->requests_per_second > 0) {
    char rate[32];
    os_format_real(work->requests_per_second, rate, sizeof rate);
    os_buf_printf(&path, "&requests_per_second=%s", rate);
  }
  return os_buf_take(&path);
}

int os_reindex_task_find(struct os_cluster *cluster, const char *target, char task[128],
                         struct os_error *error) {
  char described[300];
  snprintf(described, sizeof described, " to [%.255s]", target);
  return os_cluster_task_find(cluster, "*reindex", described, task, error);
}

/* ---- its step ---- */

static int put_step(struct os_job *job, const char *item, const char *state, const char *task,
                    struct os_error *error) {
  return task ? os_step_put(job, item, "task", state, json_pack("{s:s}", "task", task), error)
              : os_step_mark(job, item, "task", state, error);
}

struct step {
  bool begun;     /* a task may run */
  bool done;      /* it has done everything */
  bool tried;     /* one has run, and was stopped or refused */
  char task[128]; /* its id; empty when that was not learnt */
};

static int get_step(struct os_job *job, const char *item, struct step *step,
                    struct os_reindex_figures *figures, struct os_error *error) {
  char state[16] = "";
  json_t *data = NULL;
  memset(step, 0, sizeof *step);
  int rc = os_step_get(job->ledger, job->number, item, "task", state, &data, error);
  step->begun = !strcmp(state, "begun");
  step->done = !strcmp(state, "done");
  step->tried = !strcmp(state, "undone") && !os_json_bool(data, "reset", false);
  snprintf(step->task, sizeof step->task, "%s", os_json_string(data, "task", ""));
  if (step->done && figures) {
    os_reindex_read_figures(data, figures);
    figures->continued = os_json_bool(data, "continued", false);
  }
  json_decref(data);
  return rc;
}

static int put_done(struct os_job *job, const char *item, const struct os_reindex_figures *f,
                    struct os_error *error) {
  json_t *data = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "total", (json_int_t)f->total, "created",
                           (json_int_t)f->created, "updated", (json_int_t)f->updated, "deleted",
                           (json_int_t)f->deleted, "noops", (json_int_t)f->noops, "version_conflicts",
                           (json_int_t)f->version_conflicts, "continued", (int)f->continued);
  int rc = os_step_put(job, item, "task", "done", data, error);
  if (rc) return rc;
  return os_job_audit(
      job, copy, "task", "pass", false, error,
      "%lld documents read: %lld created, %lld updated, %lld deleted, %lld unchanged, %lld there before",
      (long long)f->total, (long long)f->created, (long long)f->updated, (long long)f->deleted,
      (long long)f->noops, (long long)f->version_conflicts);
}

int os_reindex_task_reset(struct os_job *job, const char *item, struct os_error *error) {
  int rc = os_ledger_step_put(job->ledger, job->number, item, "task", "undone", "{\"reset\":true}", error);
  return rc ? rc : os_step_mark(job, item, "through", "undone", error);
}

/* ---- cancel, and wait until it is gone ---- */

static int gone(struct os_job *job, const char *item, const char *task, struct os_error *error) {
  int rc = put_step(job, item, "undone", NULL, error);
  if (rc || !*task) return rc;
  return os_job_audit(job, copy, "task", "did", false, error, "task %s is gone", task);
}

/* Cancelling answers at once, the task ends when its batches under way have. */
static int cancel_and_wait(struct os_cluster *cluster, const char *task, struct os_error *error) {
  struct os_error ignored;
  double until = os_clock_monotonic() + STOP_TIME;
  os_error_clear(&ignored);
  os_cluster_task_cancel(cluster, task, &ignored); /* what matters is whether it is gone */
  for (;;) {
    bool completed = false;
    int rc = os_cluster_task_poll(cluster, task, &completed, NULL, error);
    if (completed || rc == OS_ERR_NOT_FOUND) {
      os_error_clear(error);
      return OS_OK;
    }
    if (rc == OS_ERR_INTERRUPTED || rc == OS_ERR_FORBIDDEN || rc == OS_ERR_AUTH) return rc;
    if (os_clock_monotonic() > until)
      return rc ? rc : os_fail(error, OS_ERR_BUSY, "task %s was cancelled and still runs", task);
    os_clock_sleep_ms(50);
    os_error_clear(error);
    if (!rc) os_cluster_task_cancel(cluster, task, &ignored);
  }
}

int os_reindex_task_stop(struct os_job *job, struct os_cluster *cluster, const char *target, const char *item,
                         struct os_error *error) {
  struct os_settle settle;
  struct step step;
  int rc = get_step(job, item, &step, NULL, error);
  if (rc || !step.begun) return rc;
  os_settle_all(&settle, cluster, STOP_TIME);
  if (!step.task[0]) rc = os_reindex_task_find(&settle.cluster, target, step.task, error);
  if (!rc && step.task[0])
    rc = os_job_audit(job, copy, "cancel", "did", true, error, "POST /_tasks/%s/_cancel", step.task);
  if (!rc && step.task[0]) rc = cancel_and_wait(&settle.cluster, step.task, error);
  if (!rc) rc = gone(job, item, step.task, error);
  if (rc) {
    os_error_prefix(error, "whether task %s has ended is not known", step.task[0] ? step.task : "(no id)");
    os_advise(error, "the same command again waits for its end and goes on from there");
  }
  return rc;
}

/* Ends the task because of *error, to which is added what could not be done. */
static void stop_now(struct run *run, struct os_error *error) {
  struct os_error trouble;
  os_error_clear(&trouble);
  run->outcome->running =
      os_reindex_task_stop(run->job, run->cluster, run->work->target, run->item, &trouble) != OS_OK;
  if (run->outcome->running) os_advise(error, "%s; %s", trouble.text, trouble.advice);
}

/* Nothing runs, and not everything is copied. A ledger that cannot take this keeps "begun", which is looked
** into. */
static void put_tried(struct run *run) {
  struct os_error ignored;
  os_error_clear(&ignored);
  put_step(run->job, run->item, "undone", NULL, &ignored);
}

/* ---- start ---- */

int os_reindex_check_target(struct os_cluster *cluster, const struct os_reindex_work *work,
                            struct os_error *error) {
  struct os_resolved resolved = {0};
  if (!work->target_uuid || !*work->target_uuid) return OS_OK;
  int rc = os_cluster_resolve(cluster, work->target, &resolved, error);
  if (!rc &&
      (resolved.kind != OS_NAME_INDEX || (resolved.uuid[0] && strcmp(resolved.uuid, work->target_uuid) != 0)))
    rc = os_fail(error, OS_ERR_CONFLICT,
                 "%s is not the index any more that was to be filled (UUID %s): somebody"
                 " deleted or replaced it",
                 work->target, work->target_uuid);
  os_resolved_free(&resolved);
  return rc;
}

/* The answer was lost. Either the task runs, or it has ended already, or it never was. */
static int look_for_it(struct os_cluster *cluster, const char *target, char task[128],
                       struct os_error *error) {
  struct os_settle settle;
  struct os_error trouble;
  os_error_clear(&trouble);
  os_settle_all(&settle, cluster, STOP_TIME);
  int rc = os_reindex_task_find(&settle.cluster, target, task, &trouble);
  if (rc) {
    *error = trouble;
    os_error_prefix(error, "whether the copy was started is not known");
  }
  return rc;
}

/* The request, and what became of it: OS_OK with an id, or without one when it was perhaps carried out but
** nothing runs (any more). */
static int post(struct run *run, const char *path, const char *body, struct os_error *error) {
  struct os_settle settle;
  struct os_error fault;
  os_settle_late(&settle, run->cluster, START_GRACE);
  run->outcome->running = true;
  int rc = os_cluster_task_start(&settle.cluster, "POST", path, body, run->task, error);
  if (os_cluster_unknown(rc) || rc == OS_ERR_INTERRUPTED) {
    fault = *error;
    rc = look_for_it(run->cluster, run->work->target, run->task, error);
    if (rc) return rc;
    run->outcome->running = run->task[0] != '\0';
    if (fault.code == OS_ERR_INTERRUPTED) { /* found or not: it is to end */
      *error = fault;
      return OS_ERR_INTERRUPTED;
    }
    os_error_clear(error);
    return os_job_audit(run->job, copy, "start", "unknown", false, error, "no answer came (%.300s): %s",
                        fault.text, run->task[0] ? "the task runs" : "no such task runs");
  }
  run->outcome->running = !rc;
  return rc;
}

static int start(struct run *run, bool again, struct os_error *error) {
  struct os_job *job = run->job;
  json_t *body = os_reindex_body(run->work, again);
  char *text = body ? os_json_text(body) : NULL, *path = os_reindex_path(run->work);
  int rc = text && path ? os_reindex_check_target(run->cluster, run->work, error) : os_fail_nomem(error);
  if (!rc)
    rc = os_job_audit(job, copy, "start", "did", true, error,
                      "POST %s %.1500s; undone by cancelling the task", path, text);
  if (!rc) rc = os_ledger_step_put(job->ledger, job->number, run->item, "task", "begun", "{}", error);
  if (!rc) {
    rc = post(run, path, text, error);
    if (run->task[0]) { /* also when it is to end: whoever ends it needs the id */
      struct os_error trouble;
      os_error_clear(&trouble);
      int kept = put_step(job, run->item, "begun", run->task, &trouble);
      if (!kept) kept = os_job_audit(job, copy, "started", "did", false, &trouble, "task %s", run->task);
      if (kept && !rc) *error = trouble;
      if (!rc) rc = kept;
    }
  }
  if (rc && run->outcome->running)
    stop_now(run, error);
  else if (rc)
    put_tried(run);
  os_free(path);
  os_free(text);
  json_decref(body);
  return rc;
}

/* ---- a task that is gone ---- */

bool os_reindex_keeps_ids(const struct os_reindex_work *work) {
  return !work->changes_ids && !work->no_ids && !work->script &&
         (!work->pipeline || !strcmp(work->pipeline, "_none"));
}

/* After a restart of its node an index needs a moment before it can be read and written. */
static int wait_until_ready(struct os_job *job, struct os_cluster *cluster,
                            const struct os_reindex_work *work, struct os_error *error) {
  double until = os_clock_monotonic() + READY_TIME;
  for (;;) {
    char source[16] = "", target[16] = "";
    int rc = os_cluster_health(cluster, work->source, source, error);
    if (!rc) rc = os_cluster_health(cluster, work->target, target, error);
    if (rc == OS_ERR_FORBIDDEN || (!rc && strcmp(source, "red") != 0 && strcmp(target, "red") != 0)) {
      os_error_clear(error);
      return OS_OK; /* who may not ask finds out by trying */
    }
    if (rc == OS_ERR_INTERRUPTED || rc == OS_ERR_NOT_FOUND) return rc;
    if (os_clock_monotonic() > until)
      return rc ? rc
                : os_fail(error, OS_ERR_BUSY, "%s is red: the copy cannot go on",
                          strcmp(source, "red") != 0 ? work->target : work->source);
    os_error_clear(error);
    rc = os_reindex_wait(job, cluster, 0.5, error);
    if (rc) return rc;
  }
}

/* Nothing runs any more; how much was copied is not known. */
static int prepare_continuation(struct run *run, int times, struct os_error *error) {
  const char *name = run->task[0] ? run->task : "(no id)";
  bool fit = os_reindex_keeps_ids(run->work);
  os_error_clear(error);
  if (fit && times < CONTINUATIONS) {
    int rc = os_job_audit(
        run->job, copy, "lost", "unknown", false, error,
        "the cluster no longer knows task %s (was its node restarted?); what is missing is copied", name);
    return rc ? rc : wait_until_ready(run->job, run->cluster, run->work, error);
  }
  run->outcome->lost = true;
  os_fail(error, OS_ERR_CONFLICT, "the cluster no longer knows task %s, which was copying to %s", name,
          run->work->target);
  return os_advise(error, fit ? "do its nodes restart again and again? Look at its log"
                              : "its script or pipeline may change ids, so that it cannot be continued");
}

/* ---- the whole ---- */

/* Watch the task that runs. OS_OK and not *done: it has vanished. */
static int watch_it(struct run *run, bool *done, struct os_error *error) {
  enum os_reindex_end end = OS_REINDEX_UNHEARD;
  struct os_reindex_watch watch = {
      .job = run->job, .cluster = run->cluster, .work = run->work, .figures = &run->outcome->figures};
  run->outcome->running = true;
  int rc = os_reindex_watch(&watch, run->task, &end, error);
  if (end == OS_REINDEX_ENDED) {
    run->outcome->running = false;
    *done = !rc;
    if (rc) put_tried(run);
  } else if (end ==
             OS_REINDEX_VANISHED) { /* its step stays "begun": whoever comes after us finds it gone, too */
    os_error_clear(error);
    run->outcome->running = false;
    rc = OS_OK;
  } else if (end == OS_REINDEX_STOPPING) {
    stop_now(run, error);
  } else {
    os_error_prefix(error, "task %s copies, but the cluster does not tell how far it is", run->task);
    os_advise(error, "the same command again waits for its end and goes on from there");
  }
  return rc;
}

/* What an earlier job, or an earlier call, has begun: *again when some of it may be copied already. */
static int take_over(struct run *run, bool *again, bool *done, struct os_error *error) {
  struct step step;
  int rc = get_step(run->job, run->item, &step, &run->outcome->figures, error);
  *done = step.done;
  *again = step.begun || step.tried;
  if (!rc && step.tried && !os_reindex_keeps_ids(run->work)) return prepare_continuation(run, 0, error);
  if (rc || !step.begun) return rc;
  run->outcome->running = true;
  snprintf(run->task, sizeof run->task, "%s", step.task);
  if (!run->task[0]) rc = look_for_it(run->cluster, run->work->target, run->task, error);
  if (rc) return rc;
  if (run->task[0])
    return os_job_audit(run->job, copy, "found", "did", false, error,
                        "task %s, begun by an earlier job, is waited for", run->task);
  run->outcome->running = false;
  return prepare_continuation(run, 0, error);
}

int os_reindex_task(struct os_job *job, struct os_cluster *cluster, const struct os_reindex_work *work,
                    const char *item, struct os_reindex_outcome *outcome, struct os_error *error) {
  struct run run = {.job = job, .cluster = cluster, .work = work, .item = item, .outcome = outcome};
  bool again = false, done = false;
  memset(outcome, 0, sizeof *outcome);
  int rc = take_over(&run, &again, &done, error);
  if (rc || done) return rc;
  for (int times = 1; !rc; times++) {
    if (!run.task[0]) rc = start(&run, again, error);
    if (!rc && run.task[0]) rc = watch_it(&run, &done, error);
    if (rc || done) break;
    rc = prepare_continuation(&run, times, error);
    run.task[0] = '\0';
    again = true;
  }
  if (rc) return rc;
  outcome->figures.continued = again;
  return put_done(job, item, &outcome->figures, error);
}
