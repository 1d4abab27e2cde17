/* versions.c - a versioned re-indexing as a whole; see versions.h. The guards of every index come before
** the first change of any; then one index after another goes through its steps. The first failure stops
** everything, and the error says how far that index is.
*/
#include "operations/versions/versions.h"
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "operations/step.h"
#include "operations/versions/versions_int.h"

static const char kind[] = "reindex_versions";

struct whole {
  struct os_job *job;
  struct os_cluster *cluster;
  const struct os_versions_request *request;
  struct os_versions_result *result;
  struct os_version *versions; /* one for each index of the trigger */
  char operation[OS_VERSION_ID];
  int64_t finished_by;
};

void os_version_free(struct os_version *version) {
  json_decref(version->definition);
  version->definition = NULL;
}

int os_version_put(struct os_version *v, const char *step, const char *state, json_t *data_take,
                   struct os_error *error) {
  return os_step_put(v->job, v->old, step, state, data_take, error);
}

int os_version_mark(struct os_version *v, const char *step, const char *state, struct os_error *error) {
  return os_step_mark(v->job, v->old, step, state, error);
}

int os_version_get(struct os_version *v, const char *step, char state[16], json_t **data,
                   struct os_error *error) {
  return os_step_get(v->job->ledger, v->job->number, v->old, step, state, data, error);
}

/* ---- the operation, which may be older than the job ---- */

/* Sixteen digits by which an index made for this operation is known, also in the ledger of another
** machine. */
static void make_id(char out[OS_VERSION_ID]) {
  uint64_t bits = (uint64_t)(os_clock_unix() * 1e6);
  for (int i = 0; i < 4; i++)
    bits = bits * 6364136223846793005u + (uint64_t)(os_random_unit() * 4294967296.0);
  snprintf(out, OS_VERSION_ID, "%016llx", (unsigned long long)bits);
}

static int read_id(struct whole *w, struct os_error *error) {
  char state[16], *text = NULL;
  int rc = os_ledger_step_get(w->job->ledger, w->job->number, "", "id", state, &text, error);
  if (!rc && text) {
    snprintf(w->operation, sizeof w->operation, "%s", text);
  } else if (!rc) {
    make_id(w->operation);
    if (!w->request->dry_run)
      rc = os_ledger_step_put(w->job->ledger, w->job->number, "", "id", "done", w->operation, error);
  }
  os_free(text);
  return rc;
}

/* First of all, so that a job that fails on the way loses nothing of what the one before it had done. A
** rehearsal takes over, too, to tell what is left, but is not itself one to go on from. */
static int find_earlier(struct whole *w, struct os_error *error) {
  const char *key = w->request->trigger->key;
  int64_t earlier = 0;
  char status[16];
  int rc = os_ledger_operation_last(w->job->ledger, kind, key, w->job->number, &earlier, status, error);
  if (rc) return rc;
  if (earlier && !strcmp(status, "running")) {
    os_fail(error, OS_ERR_CONFLICT, "job %lld does this trigger right now", (long long)earlier);
    os_advise(error, "wait for its end, or stop it with os_cancel(%lld)", (long long)earlier);
    return os_job_guard_failed(w->job, "guards", "one at a time", error);
  }
  bool ended = earlier && !strcmp(status, "success");
  if (ended) w->finished_by = earlier;
  if (earlier && !ended) {
    rc = os_ledger_steps_adopt(w->job->ledger, earlier, w->job->number, error);
    w->result->continued = earlier;
    if (!rc)
      rc = os_job_audit(w->job, "plan", "continued", "pass", false, error,
                        "goes on where job %lld stopped (%s)", (long long)earlier, status);
  }
  if (!rc)
    rc = w->request->dry_run
             ? os_ledger_step_put(w->job->ledger, w->job->number, "", "operation", "undone", "rehearsal",
                                  error)
             : os_ledger_step_put(w->job->ledger, w->job->number, "", "operation", "begun", key, error);
  return rc ? rc : read_id(w, error);
}

/* ---- between the steps ---- */

static const char between[] = "between two steps";

static void describe(const struct os_version *v, char *out, size_t size) {
  if (v->finished)
    snprintf(out, size, "'%s' is done", v->old);
  else if (v->swapped)
    snprintf(out, size, "every alias is on '%s', and '%s' still exists", v->next, v->old);
  else if (v->request->live && v->created)
    snprintf(out, size, "'%s' serves and takes writes as before, and '%s' is being filled", v->old, v->next);
  else if (v->copied)
    snprintf(out, size, "'%s' is filled, and alias '%s' is on both, with writes to '%s'", v->next, v->alias,
             v->next);
  else if (v->aliased)
    snprintf(out, size, "'%s' is being filled, and alias '%s' is on both, with writes to '%s'", v->next,
             v->alias, v->next);
  else if (v->created)
    snprintf(out, size, "'%s' exists and is empty", v->next);
  else
    snprintf(out, size, "'%s' is as it was", v->old);
}

/* Where it stopped, and how to go on; what the step itself advises comes first. */
static int stopped(const struct whole *w, const struct os_version *v, const char *step,
                   struct os_error *error) {
  char state[700], advice[OS_ERROR_ADVICE];
  describe(v, state, sizeof state);
  snprintf(advice, sizeof advice, "%.400s", error->advice);
  os_error_prefix(error, "'%s' to '%s' (%zu of %zu), step %s", v->old, v->next, (size_t)(v - w->versions) + 1,
                  w->request->trigger->count, step);
  return os_advise(error, "%s%s%s; the same trigger again goes on from here", advice, *advice ? "; " : "",
                   state);
}

/* ---- one index ---- */

static const struct {
  const char *name;
  int (*run)(struct os_version *version, struct os_error *error);
} steps[] = {{"create", os_version_create}, {"alias", os_version_alias}, {"copy", os_version_copy},
             {"verify", os_version_verify}, {"swap", os_version_swap},   {"delete", os_version_remove}};
enum { STEPS = sizeof steps / sizeof *steps, SWAP = 4 };

/* Once the aliases have gone over there is nothing to copy any more: writes are in the new index alone.
** Where they were only about to, everything is verified again. */
static int first_step(struct os_version *v, int *first, struct os_error *error) {
  char state[16];
  int rc = os_version_get(v, "swap", state, NULL, error);
  *first = !strcmp(state, "done") || (!strcmp(state, "begun") && !v->served) ? SWAP : 0;
  if (*first) v->aliased = v->copied = true;
  return rc;
}

static int run_one(struct whole *w, struct os_version *v, struct os_error *error) {
  int first = 0;
  int rc = first_step(v, &first, error);
  for (int i = first; i < STEPS && !rc; i++) {
    os_log_write(w->job->session->log, OS_LOG_INFO, "%s to %s: %s", v->old, v->next, steps[i].name);
    rc = os_job_listen(w->job, between, error);
    if (!rc) rc = steps[i].run(v, error);
    if (rc) {
      os_version_unblock(v, error);
      stopped(w, v, steps[i].name, error);
      return (int)error->code;
    }
  }
  v->finished = !rc;
  return rc;
}

/* ---- what is told ---- */

static json_t *known(int64_t figure) {
  return figure >= 0 ? json_integer(figure) : json_null();
}

static int report(struct whole *w, const struct os_version *v, const char *state, struct os_error *error) {
  json_t *row =
      json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "index", v->old, "next", v->next, "alias", v->alias,
                "state", state, "documents", known(v->documents), "copied", known(v->copied_documents));
  return row && !json_array_append_new(w->result->indices, row) ? OS_OK : os_fail_nomem(error);
}

/* ---- the whole ---- */

static int guard_all(struct whole *w, struct os_error *error) {
  const struct os_trigger *trigger = w->request->trigger;
  int rc = os_session_cluster_probe(w->job->session, w->cluster, false, error);
  for (size_t i = 0; i < trigger->count && !rc; i++) {
    w->versions[i] = (struct os_version){.job = w->job,
                                         .cluster = w->cluster,
                                         .request = w->request,
                                         .operation = w->operation,
                                         .finished_by = w->finished_by,
                                         .old = trigger->indices[i].name,
                                         .next = trigger->indices[i].next,
                                         .alias = trigger->indices[i].alias,
                                         .documents = -1,
                                         .copied_documents = -1};
    rc = os_version_guard(&w->versions[i], error);
    /* as few at a time as can be: a thousand mappings may be large */
    if (!rc && i > 0) os_version_free(&w->versions[i]);
    if (!rc) rc = os_job_listen(w->job, between, error);
  }
  return rc;
}

/* The cluster may have changed since the guards: an index is looked at again when its turn comes. */
static int guard_again(struct whole *w, size_t i, struct os_error *error) {
  struct os_version *v = &w->versions[i];
  if (v->definition || v->finished) return OS_OK;
  int rc = os_version_guard(v, error);
  return rc ? stopped(w, v, "guards", error) : OS_OK;
}

static int run_all(struct whole *w, struct os_error *error) {
  int rc = OS_OK;
  int64_t created = 0;
  for (size_t i = 0; i < w->request->trigger->count && !rc; i++) {
    struct os_version *v = &w->versions[i];
    bool before = v->finished;
    if (w->request->dry_run) {
      rc = report(w, v, before ? "done" : "planned", error);
      continue;
    }
    rc = guard_again(w, i, error);
    if (!rc && !v->finished) rc = run_one(w, v, error);
    os_version_free(v);
    created += v->copied_documents > 0 ? v->copied_documents : 0;
    if (!rc) rc = report(w, v, before ? "done" : w->request->keep_old ? "kept" : "replaced", error);
    if (!rc) w->result->done++;
  }
  w->job->figures.documents_read = created;
  return rc;
}

int os_versions_run(struct os_job *job, struct os_cluster *cluster, const struct os_versions_request *request,
                    struct os_versions_result *result, struct os_error *error) {
  struct whole w = {.job = job, .cluster = cluster, .request = request, .result = result};
  memset(result, 0, sizeof *result);
  result->indices = json_array();
  w.versions = os_calloc(request->trigger->count, sizeof *w.versions);
  if (!result->indices || !w.versions) {
    os_free(w.versions);
    return os_fail_nomem(error);
  }
  int rc = find_earlier(&w, error);
  if (!rc) rc = guard_all(&w, error);
  if (!rc) rc = run_all(&w, error);
  for (size_t i = 0; w.versions && i < request->trigger->count; i++)
    os_version_free(&w.versions[i]);
  os_free(w.versions);
  return rc;
}
