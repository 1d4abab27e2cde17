/* delete.c - empty an index by deleting its documents; see cleanup_int.h.
**
** Deleting everything may be asked for as often as one likes: when it is not known what became of a request
** or of its task, a task that runs is waited for, and then there is another round. */
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "net/http.h"
#include "operations/cleanup/cleanup_int.h"

static const double POLL_EVERY = 0.25, MERGE_TIMEOUT = 600;
enum { ROUNDS = 4 /* documents that changed while they were deleted are left for another round */ };

static const char delete_call[] =
    "/_delete_by_query?conflicts=proceed&wait_for_completion=false&refresh=true&scroll_size=5000";
static const char delete_action[] = "indices:data/write/delete/byquery";

struct deletion {
  struct os_job *job;
  struct os_cluster *cluster;
  const char *index;
  char task[128];
  int64_t conflicts, deleted;
  bool again; /* another round may mend it, or find what was left */
};

/* The answer was lost, the server stumbled, or the node that ran the task was restarted. */
static bool worth_a_round(int rc, const struct os_error *error) {
  return os_cluster_unknown(rc) || rc == OS_ERR_NOT_FOUND || (rc && error->http_status >= 500);
}

static int wait_for_task(struct deletion *d, struct os_error *error) {
  for (;;) {
    bool completed = false;
    json_t *status = NULL;
    int rc = os_cluster_task_poll(d->cluster, d->task, &completed, &status, error);
    d->conflicts = os_json_int(status, "version_conflicts", 0);
    if (!rc && completed) d->deleted += os_json_int(status, "deleted", 0);
    json_decref(status);
    if (rc == OS_ERR_INTERRUPTED || (!rc && !completed && os_cluster_interrupted(d->cluster))) {
      struct os_error ignored;
      os_error_clear(&ignored);
      os_cluster_task_cancel(d->cluster, d->task, &ignored);
      return os_fail(error, OS_ERR_INTERRUPTED,
                     "interrupted while documents were deleted; the task %s was cancelled", d->task);
    }
    if (rc || completed) return rc;
    struct os_error ignored;
    os_cluster_wait(d->cluster, POLL_EVERY, &ignored); /* an interruption is met at the top */
  }
}

/* A deletion of this index that runs: the one whose answer was lost, most likely. */
static bool find_running(struct deletion *d) {
  struct os_error ignored;
  os_error_clear(&ignored);
  char *described = os_mprintf("delete-by-query [%s]", d->index); /* DeleteByQueryRequest.toString() */
  int rc = described ? os_cluster_task_find(d->cluster, delete_action, described, d->task, &ignored)
                     : OS_ERR_NOMEM;
  os_free(described);
  return rc == OS_OK && d->task[0];
}

static int start_task(struct deletion *d, struct os_error *error) {
  char *path = os_cluster_path(d->index, delete_call);
  if (!path) return os_fail_nomem(error);
  int rc = os_job_audit(d->job, "cleanup", "delete", "did", true, error,
                        "POST /%s/_delete_by_query: deleting every document; inverse: none", d->index);
  if (!rc)
    rc = os_cluster_task_start(d->cluster, "POST", path, "{\"query\":{\"match_all\":{}}}", d->task, error);
  os_free(path);
  return rc;
}

static int delete_round(struct deletion *d, struct os_error *error) {
  const bool running = d->again && find_running(d);
  d->again = running; /* of somebody else's task nobody knows what it leaves */
  int rc = running ? OS_OK : start_task(d, error);
  if (!rc) rc = wait_for_task(d, error);
  if (worth_a_round(rc, error) || (!rc && d->conflicts)) d->again = true;
  return rc;
}

/* The twin for a collection, which has no _delete_by_query: all ids, page by page. */
static int delete_by_id(struct deletion *d, struct os_error *error) {
  struct os_buf lines;
  int64_t count = 1;
  char *after = NULL;
  int rc = os_job_audit(
      d->job, "cleanup", "delete", "did", true, error,
      "POST /%s/_bulk: deleting every document that a search finds by its id; inverse: none", d->index);
  os_buf_init(&lines, 0);
  while (!rc && count) {
    os_buf_clear(&lines);
    rc = os_cluster_deletions_after(d->cluster, d->index, &after, "", &lines, &count, error);
    if (!rc && count) rc = os_cluster_delete_documents(d->cluster, d->index, lines.data, &d->deleted, error);
  }
  os_buf_free(&lines);
  os_free(after);
  d->again = worth_a_round(rc, error);
  return rc;
}

static int empty_round(struct deletion *d, struct os_error *error) {
  return os_cluster_is_serverless(d->cluster) ? delete_by_id(d, error) : delete_round(d, error);
}

/* ---- what is left of deleted documents ---------------------------------------------------------- */

/* *share: deleted ones of what Lucene holds; -1: it cannot be read. */
static int measure(struct deletion *d, double *share, int64_t *deleted, struct os_error *error) {
  struct os_index_stats stats;
  int rc = os_cluster_stats(d->cluster, d->index, &stats, error);
  *share = -1;
  *deleted = 0;
  if (rc == OS_ERR_INTERRUPTED || rc == OS_ERR_NOMEM) return rc;
  os_error_clear(error);
  if (rc) return OS_OK;
  *deleted = stats.deleted;
  *share = os_cleanup_share(stats.docs, stats.deleted);
  return OS_OK;
}

/* What was deleted within the last half minute survives a merge: shards keep it for copies that lag behind
** until their retention leases are synchronized (measured; index.soft_deletes). */
static int tell_expunged(struct deletion *d, bool started_only, struct os_error *error) {
  double share;
  int64_t left;
  if (started_only)
    return os_job_audit(d->job, "cleanup", "expunge", "did", false, error,
                        "only_expunge_deletes: deleted documents are being expunged");
  struct os_error ignored;
  os_error_clear(&ignored);
  os_cluster_refresh(d->cluster, d->index, &ignored);
  int rc = measure(d, &share, &left, error);
  if (rc) return rc;
  if (!left)
    return os_job_audit(d->job, "cleanup", "expunge", "did", false, error,
                        "only_expunge_deletes: deleted documents were expunged");
  return os_job_audit(
      d->job, "cleanup", "expunge", "did", false, error,
      "only_expunge_deletes: %lld deleted documents are kept until the shards need them no more; "
      "the cluster's own merging drops them then",
      (long long)left);
}

static int expunge(struct deletion *d, struct os_error *error) {
  bool started_only = false;
  struct os_error trouble;
  double share;
  int64_t deleted;
  os_error_clear(&trouble);
  int rc = measure(d, &share, &deleted, error);
  if (rc) return rc;
  if (share >= 0 && share < OS_CLEANUP_EXPUNGE_FROM)
    return os_job_audit(d->job, "cleanup", "expunge", "skip", false, error,
                        "%lld deleted documents are less than 10 %% of what the index holds",
                        (long long)deleted);
  rc = os_cluster_force_merge(d->cluster, d->index, true, MERGE_TIMEOUT, &started_only, &trouble);
  if (rc == OS_ERR_INTERRUPTED) {
    *error = trouble;
    return rc;
  }
  /* deleted documents only cost space: not being able to expunge them is said, not failed for */
  if (rc) return os_job_audit(d->job, "cleanup", "expunge", "unknown", false, error, "%s", trouble.text);
  return tell_expunged(d, started_only, error);
}

int os_cleanup_expunge(struct os_job *job, struct os_cluster *cluster, const char *index,
                       struct os_error *error) {
  struct deletion d = {.job = job, .cluster = cluster, .index = index};
  return expunge(&d, error);
}

int os_cleanup_delete(struct os_job *job, struct os_cluster *cluster,
                      const struct os_cleanup_request *request, struct os_cleanup_result *result,
                      struct os_error *error) {
  struct deletion d = {.job = job, .cluster = cluster, .index = request->index};
  int rc = empty_round(&d, error);
  for (int round = 1; round < ROUNDS && d.again && rc != OS_ERR_INTERRUPTED; round++) {
    os_error_clear(error);
    rc = empty_round(&d, error);
  }
  result->deleted = d.deleted;
  if (rc && !error->advice[0])
    os_advise(error, "what is deleted is deleted; the same call again deletes the rest");
  if (rc || request->no_expunge || os_cluster_is_serverless(cluster)) return rc;
  return expunge(&d, error);
}
