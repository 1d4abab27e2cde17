/* delete.c - empty an index by deleting its documents; see cleanup_int.h. */
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "net/http.h"
#include "operations/cleanup/cleanup_int.h"

static const double POLL_EVERY = 0.25, MERGE_TIMEOUT = 600;
enum { ROUNDS = 3 /* documents that changed while they were deleted are left for another round */ };

static const char delete_call[] =
    "/_delete_by_query?conflicts=proceed&wait_for_completion=false&refresh=true&scroll_size=5000";

/* Wait for the task; *conflicts: documents it left because they changed meanwhile. What it deleted is
** added to *deleted. */
static int wait_for_task(struct os_cluster *cluster, const char *task, int64_t *conflicts, int64_t *deleted,
                         struct os_error *error) {
  for (;;) {
    bool completed = false;
    json_t *status = NULL;
    int rc = os_cluster_task_poll(cluster, task, &completed, &status, error);
    *conflicts = os_json_int(status, "version_conflicts", 0);
    if (!rc && completed) *deleted += os_json_int(status, "deleted", 0);
    json_decref(status);
    if (rc == OS_ERR_INTERRUPTED || (!rc && !completed && os_cluster_interrupted(cluster))) {
      struct os_error ignored;
      os_error_clear(&ignored);
      os_cluster_task_cancel(cluster, task, &ignored);
      return os_fail(error, OS_ERR_INTERRUPTED,
                     "interrupted while documents were deleted; the task %s was cancelled", task);
    }
    if (rc || completed) return rc;
    for (double until = os_clock_monotonic() + POLL_EVERY;
         os_clock_monotonic() < until && !os_cluster_interrupted(cluster);)
      os_clock_sleep_ms(20);
  }
}

static int delete_round(struct os_job *job, struct os_cluster *cluster, const char *index, int64_t *conflicts,
                        int64_t *deleted, struct os_error *error) {
  char task[128];
  char *path = os_cluster_path(index, delete_call);
  if (!path) return os_fail_nomem(error);
  int rc = os_job_audit(job, "cleanup", "delete", "did", true, error, "deleting every document of %s", index);
  if (!rc) rc = os_cluster_task_start(cluster, "POST", path, "{\"query\":{\"match_all\":{}}}", task, error);
  if (!rc) rc = wait_for_task(cluster, task, conflicts, deleted, error);
  os_free(path);
  return rc;
}

static int expunge(struct os_job *job, struct os_cluster *cluster, const char *index,
                   struct os_error *error) {
  bool started_only = false;
  struct os_error trouble;
  os_error_clear(&trouble);
  int rc = os_cluster_force_merge(cluster, index, true, MERGE_TIMEOUT, &started_only, &trouble);
  if (rc == OS_ERR_INTERRUPTED) {
    *error = trouble;
    return rc;
  }
  /* deleted documents only cost space: not being able to expunge them is said, not failed for */
  if (rc) return os_job_audit(job, "cleanup", "expunge", "unknown", false, error, "%s", trouble.text);
  return os_job_audit(job, "cleanup", "expunge", "did", false, error, "%s",
                      started_only ? "deleted documents are being expunged"
                                   : "deleted documents were expunged");
}

int os_cleanup_delete(struct os_job *job, struct os_cluster *cluster,
                      const struct os_cleanup_request *request, struct os_cleanup_result *result,
                      struct os_error *error) {
  int64_t conflicts = 0;
  int rc = OS_OK;
  for (int round = 0; round < ROUNDS && !rc && (round == 0 || conflicts); round++)
    rc = delete_round(job, cluster, request->index, &conflicts, &result->deleted, error);
  return rc || request->no_expunge ? rc : expunge(job, cluster, request->index, error);
}
