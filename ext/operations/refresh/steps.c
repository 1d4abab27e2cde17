/* steps.c - the steps of a refresh, each a job of its own; see refresh_int.h.
**
** A step is written down as begun before its job begins, and as done, with the job and its figures, when
** that ended well. A step that is begun and not done is simply done again: each looks at the cluster
** first.
*/
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "operations/child_job.h"
#include "operations/cleanup/cleanup.h"
#include "operations/refresh/refresh_int.h"
#include "operations/step.h"

/* A step under way: its job, and when it began. */
struct running {
  struct os_refresh *refresh;
  const char *step;
  struct os_job job;
  double began;
};

static int begin(struct running *run, struct os_refresh *refresh, const char *step, const char *kind,
                 const char *index, json_t *arguments_take, struct os_error *error) {
  *run = (struct running){.refresh = refresh, .step = step, .began = os_clock_monotonic()};
  int rc = os_step_mark(refresh->job, "", step, "begun", error);
  if (rc) {
    json_decref(arguments_take);
    return rc;
  }
  rc = os_child_job_begin(&run->job, refresh->job, kind, index, arguments_take, error);
  if (!rc)
    rc = os_job_audit(refresh->job, step, "job", "did", true, error, "job %lld (%s)",
                      (long long)run->job.number, kind);
  return rc;
}

/* response_take: of the step's job; documents: what it moved or loaded, -1: that says nothing here. */
static int end(struct running *run, int rc, bool partial, json_t *response_take, int64_t documents,
               struct os_error *error) {
  struct os_refresh *refresh = run->refresh;
  int64_t number = run->job.number;
  double seconds = (double)(int64_t)((os_clock_monotonic() - run->began) * 1000 + 0.5) / 1000;
  rc = os_child_job_end(&run->job, refresh->job, rc, partial, response_take, error);
  json_decref(response_take);
  json_t *told = json_pack("{s:s, s:s, s:I, s:f}", "step", run->step, "status",
                           rc        ? "failed"
                           : partial ? "partial"
                                     : "success",
                           "job", (json_int_t)number, "seconds", seconds);
  bool whole = told && (documents < 0 || os_json_put(told, "documents", json_integer(documents)));
  if (!rc && !whole) rc = os_fail_nomem(error);
  if (!rc) rc = os_step_put(refresh->job, "", run->step, "done", json_incref(told), error);
  if (!rc)
    rc = os_job_audit(refresh->job, run->step, "done", "did", false, error, "job %lld: %.3f s",
                      (long long)number, seconds);
  if (told && json_array_append(refresh->result->steps, told) && !rc) rc = os_fail_nomem(error);
  json_decref(told);
  return rc;
}

/* ---- 1 and 2: the copy, and the alias to it ---------------------------------------------------- */

int os_refresh_reindex(struct os_refresh *refresh, struct os_error *error) {
  struct os_refresh_request *r = refresh->request;
  struct running run;
  struct os_reindex_result result = {0};
  r->reindex.source = r->primary;
  r->reindex.target = r->secondary;
  int rc = os_refresh_watch(refresh, "before_reindex", r->primary, error);
  if (rc) return rc;
  rc = begin(&run, refresh, "reindex", "reindex", r->secondary,
             json_pack("{s:s, s:s}", "source", r->primary, "target", r->secondary), error);
  if (!rc) rc = os_reindex_run(&run.job, refresh->cluster, &r->reindex, &result, error);
  json_t *response =
      rc ? NULL
         : json_pack("{s:s, s:s, s:b, s:I, s:I}", "source", r->primary, "target", r->secondary, "created",
                     (int)result.made, "source_documents", (json_int_t)result.source_documents,
                     "target_documents", (json_int_t)result.target_documents);
  return end(&run, rc, false, response, result.target_documents, error);
}

static int move(struct os_refresh *refresh, const char *step, const char *from, const char *to,
                struct os_error *error) {
  struct os_alias_switch_request request = refresh->request->switches;
  struct os_alias_switch_result result = {0};
  struct running run;
  request.alias = refresh->request->alias;
  request.source = from;
  request.target = to;
  request.done_is_success = true; /* the answer of an earlier attempt may have been lost */
  int rc = begin(&run, refresh, step, "switch_alias", to,
                 json_pack("{s:s, s:s, s:s}", "alias", request.alias, "source", from, "target", to), error);
  if (!rc) rc = os_alias_switch_run(&run.job, refresh->cluster, &request, &result, error);
  json_t *response = rc ? NULL
                        : json_pack("{s:s, s:s, s:s, s:I, s:I}", "alias", request.alias, "source", from,
                                    "target", to, "source_documents", (json_int_t)result.source_documents,
                                    "target_documents", (json_int_t)result.target_documents);
  return end(&run, rc, false, response, result.target_documents, error);
}

/* The primary has what the copy lacks: it shall serve again. Keeps the error that led here. */
static int move_back(struct os_refresh *refresh, struct os_error *error) {
  struct os_error trouble;
  os_error_clear(&trouble);
  int rc = move(refresh, "back", refresh->request->secondary, refresh->request->primary, &trouble);
  if (!rc) rc = os_step_mark(refresh->job, "", "to_secondary", "undone", &trouble);
  if (rc) {
    os_advise(error, "and the alias could not be moved back to %s: %s", refresh->request->primary,
              trouble.text);
  } else {
    os_step_mark(refresh->job, "", "reindex", "undone", &trouble); /* it is to be made again */
    os_advise(error,
              "the alias is back on %s; stop the writers and refresh again, or pass {\"allow_writes\":true}",
              refresh->request->primary);
  }
  return (int)error->code;
}

/* What others wrote to the primary since it was copied is not in the copy. Asked before the move and,
** because a write may come between the question and the move, after it. */
int os_refresh_to_secondary(struct os_refresh *refresh, struct os_error *error) {
  struct os_refresh_request *r = refresh->request;
  int rc = os_refresh_check_writers(refresh, "before_reindex", r->primary, error);
  if (!rc) rc = os_refresh_watch(refresh, "before_load", r->secondary, error);
  if (!rc) rc = move(refresh, "to_secondary", r->primary, r->secondary, error);
  if (rc) return rc;
  rc = os_refresh_check_writers(refresh, "before_reindex", r->primary, error);
  return rc ? move_back(refresh, error) : OS_OK;
}

/* ---- 3: the load ------------------------------------------------------------------------------- */

static json_t *load_arguments(const struct os_refresh_request *r) {
  return json_pack("{s:s, s:s, s:O}", "path", r->path, "index", r->primary, "options",
                   r->load_given ? (json_t *)(uintptr_t)r->load_given : json_null());
}

/* Did a load of this refresh stop in the middle? Then the same files can go on where it stopped. */
static int unfinished(struct os_refresh *refresh, int64_t *job, struct os_error *error) {
  const struct os_refresh_request *r = refresh->request;
  struct os_resolved primary = {0};
  *job = 0;
  if (!r->resume || !r->load_resumes) return OS_OK;
  int rc = os_cluster_resolve(refresh->cluster, r->primary, &primary, error);
  if (!rc) rc = os_ledger_unfinished(refresh->job->ledger, r->primary, primary.uuid, r->path, job, error);
  os_resolved_free(&primary);
  return rc;
}

/* What could not be counted does not get the alias. */
static int check_verified(struct os_refresh *refresh, const struct os_load *load, struct os_error *error) {
  if (!load->unverified[0] || refresh->request->allow_unverified) return OS_OK;
  os_fail(error, OS_ERR_GUARD, "the load of %s is not verified: %s", refresh->request->primary,
          load->unverified);
  os_advise(error, "look at %s; call again with {\"resume\":true,\"allow_unverified\":true} if it is right",
            refresh->request->primary);
  return os_job_guard_failed(refresh->job, "load", "verified", error);
}

int os_refresh_load(struct os_refresh *refresh, struct os_error *error) {
  struct os_refresh_request *r = refresh->request;
  struct running run;
  struct os_load load = {0};
  int64_t stopped = 0;
  int rc = unfinished(refresh, &stopped, error);
  if (rc) return rc;
  r->load.mode = stopped ? OS_MODE_RESUME : OS_MODE_FRESH;
  rc = begin(&run, refresh, "load", "bulk_load", r->primary, load_arguments(r), error);
  if (!rc) rc = os_load_run(&load, &r->load, &run.job, refresh->cluster, error);
  if (!rc) rc = check_verified(refresh, &load, error);
  refresh->result->partial = !rc && load.partial;
  const struct os_job_figures *f = &run.job.figures;
  int64_t documents = f->documents_created + f->documents_updated + f->documents_noop + f->documents_already;
  rc = end(&run, rc, load.partial, json_incref(load.response), documents, error);
  os_load_free(&load);
  return rc;
}

/* ---- 4: the alias back ------------------------------------------------------------------------- */

int os_refresh_to_primary(struct os_refresh *refresh, struct os_error *error) {
  struct os_refresh_request *r = refresh->request;
  int rc = os_refresh_check_writers(refresh, "before_load", r->secondary, error);
  return rc ? rc : move(refresh, "to_primary", r->secondary, r->primary, error);
}
