/* refresh.c - the four steps of a refresh in their order, from the beginning or from where one stopped; see
** refresh.h.
*/
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "operations/refresh/refresh_int.h"

static const char KIND[] = "refresh_data";

struct step {
  const char *name;
  int (*run)(struct os_refresh *refresh, struct os_error *error);
};
static const struct step steps[] = {
    {"reindex", os_refresh_reindex},
    {"to_secondary", os_refresh_to_secondary},
    {"load", os_refresh_load},
    {"to_primary", os_refresh_to_primary},
};
enum { STEPS = sizeof steps / sizeof *steps };

/* ---- which refresh this is --------------------------------------------------------------------- */

static char *key_of(const struct os_refresh_request *request) {
  json_t *key =
      json_pack("[s, s, s, s]", request->alias, request->primary, request->secondary, request->path);
  char *text = key ? os_json_text(key) : NULL;
  json_decref(key);
  return text;
}

/* resume: the steps of the refresh that stopped become ours. Without it one that stopped is only told of
** where it matters: when the alias does not stand where a refresh begins. */
static int take_over(struct os_refresh *refresh, struct os_error *error) {
  struct os_refresh_request *request = refresh->request;
  struct os_job *job = refresh->job;
  char status[16];
  int64_t last = 0;
  char *key = key_of(request);
  if (!key) return os_fail_nomem(error);
  int rc = os_ledger_operation_last(job->ledger, KIND, key, job->number, &last, status, error);
  bool stopped = last && strcmp(status, "success") && strcmp(status, "partial") && strcmp(status, "running");
  if (request->resume_if_stopped) request->resume = stopped;
  if (!rc && last && !strcmp(status, "running")) {
    os_fail(error, OS_ERR_CONFLICT, "job %lld is refreshing %s right now", (long long)last, request->alias);
    rc = os_advise(error, "wait for it, or stop it: SELECT os_cancel(%lld)", (long long)last);
  } else if (!rc && request->resume && !stopped) {
    os_fail(error, OS_ERR_NOT_FOUND, "there is no refresh of %s with these arguments that stopped half-way",
            request->alias);
    rc = os_advise(error, "leave out the option 'resume'");
  }
  refresh->continued = stopped ? last : 0;
  if (!rc && !request->dry_run) {
    if (request->resume) rc = os_ledger_steps_adopt(job->ledger, last, job->number, error);
    if (!rc && request->resume)
      rc = os_job_audit(job, "begin", "resume", "did", false, error, "going on where job %lld stopped (%s)",
                        (long long)last, status);
  }
  os_free(key);
  return rc;
}

/* From here on a later call can go on with this job. */
static int sign(struct os_refresh *refresh, struct os_error *error) {
  char *key = key_of(refresh->request);
  if (!key) return os_fail_nomem(error);
  int rc =
      os_ledger_step_put(refresh->job->ledger, refresh->job->number, "", "operation", "begun", key, error);
  os_free(key);
  return rc;
}

/* ---- one step after another -------------------------------------------------------------------- */

static int pause_between(struct os_refresh *refresh, struct os_error *error) {
  double until = os_clock_monotonic() + refresh->request->delay;
  int rc = OS_OK;
  do {
    rc = os_job_listen(refresh->job, "between two steps of the refresh", error);
    if (!rc && os_clock_monotonic() < until) os_clock_sleep_ms(50);
  } while (!rc && os_clock_monotonic() < until);
  return rc;
}

static int is_done(struct os_refresh *refresh, const char *name, bool *done, struct os_error *error) {
  char state[16];
  int rc = os_ledger_step_get(refresh->job->ledger, refresh->job->number, "", name, state, NULL, error);
  *done = !rc && !strcmp(state, "done");
  return rc;
}

/* Where the alias stands now is what somebody who is woken up wants to know first. */
static int tell(struct os_refresh *refresh, size_t at, struct os_error *error) {
  const struct os_refresh_request *request = refresh->request;
  char advice[OS_ERROR_ADVICE];
  snprintf(advice, sizeof advice, "%s", error->advice);
  os_error_prefix(error, "step %zu of %d (%s)", at + 1, (int)STEPS, steps[at].name);
  return os_advise(error, "%s%s%s serves %s meanwhile; call again with {\"resume\":true} to go on", advice,
                   advice[0] ? "; " : "", request->alias, at < 2 ? request->primary : request->secondary);
}

static int run_steps(struct os_refresh *refresh, struct os_error *error) {
  int rc = OS_OK;
  bool first = true;
  for (size_t i = 0; i < STEPS && !rc; i++) {
    bool done = false;
    rc = is_done(refresh, steps[i].name, &done, error);
    if (rc || done) continue;
    if (!first) rc = pause_between(refresh, error);
    first = false;
    if (!rc) rc = steps[i].run(refresh, error);
    if (rc) rc = tell(refresh, i, error);
  }
  return rc;
}

int os_refresh_run(struct os_job *job, struct os_cluster *cluster, struct os_refresh_request *request,
                   struct os_refresh_result *result, struct os_error *error) {
  struct os_refresh refresh = {.job = job, .cluster = cluster, .request = request, .result = result};
  double began = os_clock_monotonic();
  memset(result, 0, sizeof *result);
  result->steps = json_array();
  if (!result->steps) return os_fail_nomem(error);
  int rc = take_over(&refresh, error);
  if (!rc) rc = os_refresh_guards(&refresh, error);
  if (!rc && !request->dry_run) rc = sign(&refresh, error);
  if (!rc && !request->dry_run) rc = run_steps(&refresh, error);
  result->seconds = os_clock_monotonic() - began;
  return rc;
}
