/* watch.c - see watch.h. */
#include "operations/reindex/watch.h"
#include <string.h>
#include "base/clock.h"
#include "base/json.h"

static const double FIRST_LOOK = 0.1,
                    USUAL_LOOK = 2; /* seconds between two looks; they grow from one to the other */
static const double PATIENCE =
    300; /* how long the cluster may tell nothing: a node's restart takes a minute or two */
static const double RECORD_EVERY = 0.25, HEARTBEAT = 10, CONTROL_EVERY = 0.5;
enum { SLICE_MS = 20, LISTED = 10 /* refusals that become rows of os_audit */ };

void os_reindex_read_figures(const json_t *status, struct os_reindex_figures *figures) {
  figures->total = os_json_int(status, "total", 0);
  figures->created = os_json_int(status, "created", 0);
  figures->updated = os_json_int(status, "updated", 0);
  figures->deleted = os_json_int(status, "deleted", 0);
  figures->noops = os_json_int(status, "noops", 0);
  figures->version_conflicts = os_json_int(status, "version_conflicts", 0);
}

/* ---- the job's row and the line on the terminal ---- */

static int record(struct os_job *job, double *recorded, double every, struct os_error *error) {
  double now = os_clock_monotonic();
  if (!job->number || now - *recorded < every) return OS_OK;
  *recorded = now;
  return os_ledger_job_progress(job->ledger, job->number, &job->figures, error);
}

static void state_of(const struct os_reindex_watch *watch, struct os_progress_state *state) {
  const struct os_job_figures *figures = &watch->job->figures;
  *state = (struct os_progress_state){.job = watch->job->number,
                                      .index = watch->work->target,
                                      .documents = (uint64_t)figures->documents_read,
                                      .documents_total = (uint64_t)watch->figures->total};
}

/* Figures of slices arrive one by one and may seem to go back for a moment: the job's never do. */
static void raise_to(int64_t *figure, int64_t value) {
  if (*figure < value) *figure = value;
}

static void take_figures(struct os_reindex_watch *watch, const json_t *status) {
  struct os_job_figures *mine = &watch->job->figures;
  struct os_reindex_figures *f = watch->figures;
  os_reindex_read_figures(status, f);
  raise_to(&mine->documents_read, f->created + f->updated + f->deleted + f->noops + f->version_conflicts);
  raise_to(&mine->documents_created, f->created);
  raise_to(&mine->documents_updated, f->updated);
  raise_to(&mine->documents_noop, f->noops);
  raise_to(&mine->documents_already, f->version_conflicts);
}

/* ---- waiting ---- */

static int asked_to_stop(struct os_job *job, struct os_cluster *cluster, double *asked,
                         struct os_error *error) {
  char word[16] = "";
  if (os_cluster_interrupted(cluster)) return os_fail(error, OS_ERR_INTERRUPTED, "interrupted");
  double now = os_clock_monotonic();
  if (!job->number || now - *asked < CONTROL_EVERY) return OS_OK;
  *asked = now;
  int rc = os_ledger_job_control(job->ledger, job->number, word, error);
  if (rc || strcmp(word, "cancel") != 0) return rc;
  return os_fail(error, OS_ERR_CANCELLED, "cancelled by os_cancel(%lld)", (long long)job->number);
}

int os_reindex_wait(struct os_job *job, struct os_cluster *cluster, double seconds, struct os_error *error) {
  double now = os_clock_monotonic(), until = now + seconds, asked = 0, recorded = now;
  do {
    int rc = asked_to_stop(job, cluster, &asked, error);
    if (!rc) rc = record(job, &recorded, HEARTBEAT, error);
    if (rc) return rc;
    os_clock_sleep_ms(SLICE_MS);
  } while (os_clock_monotonic() < until);
  return OS_OK;
}

/* ---- the end ---- */

/* {"index","id","cause":{type,reason,caused_by},"status"} of a document, {"shard","reason":{…}} of a
** search. */
static int tell_refusal(struct os_job *job, const json_t *failure, struct os_error *error) {
  const json_t *cause = json_object_get(failure, "cause");
  if (!cause) cause = json_object_get(failure, "reason");
  const char *deeper = os_json_string(cause, "caused_by/reason", NULL);
  return os_job_audit(job, "copy", "refused", "fail", false, error, "document '%s': %s: %s%s%s",
                      os_json_string(failure, "id", "?"), os_json_string(cause, "type", "error"),
                      os_json_string(cause, "reason", "no reason given"), deeper ? ": " : "",
                      deeper ? deeper : "");
}

static int tell_refusals(struct os_job *job, const char *task, const json_t *response,
                         struct os_error *error) {
  const json_t *failures = json_object_get(response, "failures");
  size_t count = json_array_size(failures);
  struct os_error trouble;
  os_error_clear(&trouble);
  int rc = OS_OK;
  for (size_t i = 0; i < count && i < LISTED && !rc; i++)
    rc = tell_refusal(job, json_array_get(failures, i), &trouble);
  if (!rc && count)
    rc = os_job_audit(job, "copy", "refusals", "fail", false, &trouble,
                      "task %s stopped with %zu refused; the first %zu are listed", task, count,
                      count < LISTED ? count : (size_t)LISTED);
  job->figures.documents_failed += (int64_t)count;
  const char *which = count == 1 ? "it" : count <= LISTED ? "them" : "the first ten";
  if (count)
    os_advise(error, "os_audit lists %s (job %lld); the task stops at the first batch that has some", which,
              (long long)job->number);
  return rc;
}

/* The task is completed; rc and *error are the judgement. */
static int ended(struct os_reindex_watch *watch, const char *task, const json_t *response, int rc,
                 struct os_error *error) {
  struct os_progress_state state;
  take_figures(watch, response);
  state_of(watch, &state);
  os_progress_end(&watch->meter, &state);
  if (!rc) return OS_OK;
  tell_refusals(watch->job, task, response, error);
  if (rc == OS_ERR_CANCELLED) { /* not by us: we do not look any more once we have cancelled */
    error->code = OS_ERR_CONFLICT;
    os_error_prefix(error, "somebody else stopped the copy");
  }
  return (int)error->code;
}

/* One look. *again: it runs, look later. */
static int look(struct os_reindex_watch *watch, const char *task, bool *again, enum os_reindex_end *end,
                struct os_error *error) {
  bool completed = false;
  json_t *status = NULL;
  double now = os_clock_monotonic();
  int rc = os_cluster_task_poll(watch->cluster, task, &completed, &status, error);
  *again = false;
  if (completed) {
    *end = OS_REINDEX_ENDED;
    rc = ended(watch, task, status, rc, error);
  } else if (!rc) {
    struct os_progress_state state;
    watch->heard = os_clock_monotonic();
    take_figures(watch, status);
    state_of(watch, &state);
    os_progress_update(&watch->meter, &state);
    *again = true;
  } else if (rc == OS_ERR_INTERRUPTED) {
    *end = OS_REINDEX_STOPPING;
  } else if (rc == OS_ERR_NOT_FOUND) {
    *end = OS_REINDEX_VANISHED;
  } else if (rc == OS_ERR_FORBIDDEN || rc == OS_ERR_AUTH || rc == OS_ERR_NOMEM ||
             now - watch->heard > PATIENCE) {
    *end = OS_REINDEX_UNHEARD;
  } else { /* a node restarts, a balancer has lost it: the task does not mind */
    os_log_write(watch->cluster->log, OS_LOG_WARNING, "task %s: %s; looking again", task, error->text);
    os_error_clear(error);
    rc = OS_OK;
    *again = true;
  }
  json_decref(status);
  return rc;
}

int os_reindex_watch(struct os_reindex_watch *watch, const char *task, enum os_reindex_end *end,
                     struct os_error *error) {
  double most = watch->work->poll_interval > 0 ? watch->work->poll_interval : USUAL_LOOK;
  double pause = FIRST_LOOK < most ? FIRST_LOOK : most;
  bool again = true;
  watch->heard = os_clock_monotonic();
  os_progress_begin(&watch->meter, watch->job->progress, watch->cluster->log);
  for (;;) {
    int rc = look(watch, task, &again, end, error);
    if (!again) return rc;
    if (!rc) rc = record(watch->job, &watch->recorded, RECORD_EVERY, error);
    if (!rc) rc = os_reindex_wait(watch->job, watch->cluster, pause, error);
    if (rc) {
      *end = OS_REINDEX_STOPPING;
      return rc;
    }
    pause = pause * 1.5 < most ? pause * 1.5 : most;
  }
}
