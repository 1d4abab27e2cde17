/* visible.c - see visible.h. */
#include "operations/visible.h"

int os_job_await_visible(struct os_job *job, struct os_cluster *cluster, const char *step, const char *index,
                         const char *uuid, struct os_error *error) {
  double written_at = 0;
  if (!os_cluster_is_serverless(cluster) || !job->ledger) return OS_OK;
  int rc = os_ledger_written_at(job->ledger, index, uuid, &written_at, error);
  double seconds = rc ? 0 : os_cluster_visible_in(cluster, written_at);
  if (rc || seconds <= 0) return rc;
  rc = os_job_audit(
      job, step, "visible", "did", false, error,
      "an earlier load into %s ended without having counted what it wrote; waiting %.0f s until a "
      "search of the collection finds it",
      index, seconds);
  return rc ? rc : os_cluster_wait(cluster, seconds, error);
}
