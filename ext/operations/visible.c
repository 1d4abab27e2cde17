/* visible.c - see visible.h. */
#include "operations/visible.h"

static int note(struct os_job *job, struct os_cluster *cluster, const char *index, const char *state,
                struct os_error *error) {
  if (!os_cluster_is_serverless(cluster)) return OS_OK;
  return os_ledger_step_put(job->ledger, job->number, index, OS_STEP_UNSEEN, state, NULL, error);
}

int os_job_unseen_begin(struct os_job *job, struct os_cluster *cluster, const char *index,
                        struct os_error *error) {
  return note(job, cluster, index, "begun", error);
}

int os_job_unseen_end(struct os_job *job, struct os_cluster *cluster, const char *index,
                      struct os_error *error) {
  return note(job, cluster, index, "done", error);
}

int os_job_await_visible(struct os_job *job, struct os_cluster *cluster, const char *step, const char *index,
                         struct os_error *error) {
  double changed_at = 0;
  if (!os_cluster_is_serverless(cluster)) return OS_OK;
  int rc = os_ledger_unseen_at(job->ledger, job->number, index, &changed_at, error);
  double seconds = rc ? 0 : os_cluster_visible_in(cluster, changed_at);
  if (rc || seconds <= 0) return rc;
  rc =
      os_job_audit(job, step, "visible", "did", false, error,
                   "what was written to %s last, by this job or by one that ended without having counted it, "
                   "may not be found yet; waiting %.0f s until a search of the collection finds it",
                   index, seconds);
  return rc ? rc : os_cluster_wait(cluster, seconds, error);
}
