/* cleanup.c - see cleanup.h. The two ways to empty an index are in delete.c and
** recreate.c; here are the guards that both share, and the choice.
*/
#include "operations/cleanup/cleanup.h"
#include <stdio.h>
#include <string.h>
#include "operations/cleanup/cleanup_int.h"

static int refuse(struct os_job *job, const char *check, const struct os_error *error) {
  return os_job_guard_failed(job, "cleanup", check, error);
}

static int guard_target(struct os_job *job, struct os_cluster *cluster,
                        const struct os_cleanup_request *request, struct os_resolved *resolved,
                        struct os_error *error) {
  int rc = os_cluster_resolve(cluster, request->index, resolved, error);
  if (rc == OS_ERR_FORBIDDEN && request->allow_unverified) {
    os_error_clear(error);
    return os_job_audit(job, "cleanup", "alias", "unknown", false, error,
                        "aliases of %s cannot be read; allow_unverified was given", request->index);
  }
  if (rc) return refuse(job, "index", error);
  if (resolved->kind == OS_NAME_MISSING) {
    os_fail(error, OS_ERR_NOT_FOUND, "there is no index %s", request->index);
    return refuse(job, "index", error);
  }
  if (resolved->kind != OS_NAME_INDEX) {
    os_fail(error, OS_ERR_GUARD, "%s is %s, not an index", request->index,
            resolved->kind == OS_NAME_ALIAS ? "an alias" : "a data stream");
    os_advise(error, "name the index itself");
    return refuse(job, "index", error);
  }
  if (!resolved->aliases && !request->allow_unverified) {
    os_fail(error, OS_ERR_GUARD, "whether an alias serves %s cannot be found out", request->index);
    os_advise(error, "get the right indices:admin/aliases/get, or pass {\"allow_unverified\":true}");
    return refuse(job, "alias", error);
  }
  const char *alias = json_object_iter_key(json_object_iter(resolved->aliases));
  if (!alias)
    return os_job_audit(job, "cleanup", "alias", "pass", false, error, "no alias serves %s", request->index);
  os_fail(error, OS_ERR_GUARD, "alias %s serves %s: emptying it would empty searches", alias, request->index);
  os_advise(error, "move the alias to another index first");
  return refuse(job, "alias", error);
}

static int guard_health(struct os_job *job, struct os_cluster *cluster, const char *index,
                        struct os_error *error) {
  char health[16];
  int rc = os_cluster_health(cluster, index, health, error);
  if (rc == OS_ERR_FORBIDDEN) {
    char text[OS_ERROR_TEXT];
    snprintf(text, sizeof text, "%s", error->text);
    os_error_clear(error);
    return os_job_audit(job, "cleanup", "health", "unknown", false, error, "%s", text);
  }
  if (rc) return refuse(job, "health", error);
  if (!strcmp(health, "red")) {
    os_fail(error, OS_ERR_GUARD, "index %s is red: a primary shard is not assigned", index);
    os_advise(error, "GET /_cluster/allocation/explain says why");
    return refuse(job, "health", error);
  }
  return os_job_audit(job, "cleanup", "health", "pass", false, error, "%s", health);
}

/* *documents: -1 when the user may not count and allow_unverified was given. */
static int count(struct os_job *job, struct os_cluster *cluster, const struct os_cleanup_request *request,
                 int64_t *documents, struct os_error *error) {
  int rc = os_cluster_refresh(cluster, request->index, error);
  if (!rc) rc = os_cluster_count(cluster, request->index, NULL, documents, error);
  if (rc == OS_ERR_FORBIDDEN && request->allow_unverified) {
    char text[OS_ERROR_TEXT];
    snprintf(text, sizeof text, "%s", error->text);
    os_error_clear(error);
    *documents = -1;
    return os_job_audit(job, "cleanup", "count", "unknown", false, error, "%s; allow_unverified was given",
                        text);
  }
  if (rc) return refuse(job, "count", error);
  return os_job_audit(job, "cleanup", "count", "pass", false, error, "%lld documents", (long long)*documents);
}

/* Nothing may be left. Where that cannot be counted, the answer of the deletion itself has to do. */
static int check_empty(struct os_job *job, struct os_cluster *cluster,
                       const struct os_cleanup_request *request, struct os_error *error) {
  int64_t left = 0;
  int rc = os_cluster_refresh(cluster, request->index, error);
  if (!rc) rc = os_cluster_count(cluster, request->index, NULL, &left, error);
  if (rc == OS_ERR_FORBIDDEN && request->allow_unverified) {
    os_error_clear(error);
    return os_job_audit(job, "cleanup", "empty", "unknown", false, error,
                        "what is left cannot be counted; allow_unverified was given");
  }
  if (rc) return rc;
  job->figures.count_after = left;
  if (!left) return os_job_audit(job, "cleanup", "empty", "pass", false, error, "0 documents");
  os_fail(error, OS_ERR_CONFLICT, "%s holds %lld documents after it was emptied: somebody writes to it",
          request->index, (long long)left);
  os_advise(error, "stop the writers, then do it again");
  return refuse(job, "empty", error);
}

/* Deleting a document leaves its version for a minute (index.gc_deletes; OpenSearch docs, "Index settings"),
** and a version of one's own that is not above it is answered as a conflict although nothing is there. */
static bool remembers_versions(struct os_cluster *cluster, const char *index, int64_t documents) {
  struct os_index_stats stats;
  struct os_error ignored;
  os_error_clear(&ignored);
  if (documents != 0) return true;
  return !os_cluster_stats(cluster, index, &stats, &ignored) && stats.delete_total > 0;
}

int os_cleanup_run(struct os_job *job, struct os_cluster *cluster, const struct os_cleanup_request *request,
                   struct os_cleanup_result *result, struct os_error *error) {
  struct os_resolved resolved = {0};
  memset(result, 0, sizeof *result);
  int rc = guard_target(job, cluster, request, &resolved, error);
  snprintf(result->uuid, sizeof result->uuid, "%s", resolved.uuid);
  os_resolved_free(&resolved);
  if (!rc) rc = guard_health(job, cluster, request->index, error);
  if (!rc) rc = count(job, cluster, request, &result->documents_before, error);
  job->figures.count_before = rc ? -1 : result->documents_before;
  if (rc || request->dry_run) return rc;
  bool versions =
      request->forget_versions && remembers_versions(cluster, request->index, result->documents_before);
  if (!result->documents_before && !versions)
    return os_ledger_forget_index(job->ledger, request->index, error);
  result->recreated = versions || (request->recreate_threshold > 0 &&
                                   result->documents_before >= request->recreate_threshold);
  rc = result->recreated ? os_cleanup_recreate(job, cluster, request, result, error)
                         : os_cleanup_delete(job, cluster, request, result, error);
  if (!rc) rc = check_empty(job, cluster, request, error);
  if (rc) return rc;
  if (result->documents_before > 0) result->deleted = result->documents_before;
  return os_ledger_forget_index(job->ledger, request->index, error);
}
