/* cleanup.c - see cleanup.h. The two ways to empty an index are in delete.c and
** recreate.c; here are the guards that both share, and the choice.
*/
#include "operations/cleanup/cleanup.h"
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "operations/cleanup/cleanup_int.h"
#include "operations/health/health.h"
#include "operations/visible.h"

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
  if (os_cluster_is_serverless(cluster))
    return os_job_audit(job, "cleanup", "health", "skip", false, error,
                        "the service keeps the health of a collection to itself");
  int rc = os_cluster_health(cluster, index, health, error);
  if (rc == OS_ERR_FORBIDDEN) {
    char text[OS_ERROR_TEXT];
    snprintf(text, sizeof text, "%s", error->text);
    os_error_clear(error);
    return os_job_audit(job, "cleanup", "health", "unknown", false, error, "%s", text);
  }
  if (rc) return refuse(job, "health", error);
  if (!strcmp(health, "red")) {
    os_health_refuse_red(cluster, "index", index, error);
    return refuse(job, "health", error);
  }
  return os_job_audit(job, "cleanup", "health", "pass", false, error, "%s", health);
}

/* *documents: -1 when the user may not count and allow_unverified was given. */
static int count(struct os_job *job, struct os_cluster *cluster, const struct os_cleanup_request *request,
                 int64_t *documents, struct os_error *error) {
  int rc = os_job_await_visible(job, cluster, "cleanup", request->index, error);
  if (rc) return rc;
  rc = os_cluster_count_all(cluster, request->index, documents, error);
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

/* Where what is left cannot be counted, the answer of the deletion itself has to do. */
int os_cleanup_check_empty(struct os_job *job, struct os_cluster *cluster,
                           const struct os_cleanup_request *request, struct os_cleanup_result *result,
                           struct os_error *error) {
  int64_t left = 0;
  int rc = os_cluster_count_between(cluster, request->index, 0, 0, true, &left, error);
  if (rc && rc != OS_ERR_INTERRUPTED) { /* a stumble is no verdict */
    os_error_clear(error);
    rc = os_cluster_count_between(cluster, request->index, 0, 0, true, &left, error);
  }
  if (rc == OS_ERR_FORBIDDEN && request->allow_unverified) {
    os_error_clear(error);
    return os_job_audit(job, "cleanup", "empty", "unknown", false, error,
                        "what is left cannot be counted; allow_unverified was given");
  }
  if (rc) return os_error_prefix(error, "%s cannot be seen to be empty", request->index);
  result->documents_after = left;
  rc = os_job_unseen_end(job, cluster, request->index, error);
  if (rc) return rc;
  if (!left) return os_job_audit(job, "cleanup", "empty", "pass", false, error, "0 documents");
  os_fail(error, OS_ERR_CONFLICT, "%s holds %lld documents after it was emptied: somebody writes to it",
          request->index, (long long)left);
  if (os_cluster_is_serverless(cluster))
    os_advise(error,
              "stop the writers, or raise OPENSEARCH_SERVERLESS_DELAY when there are none, then do it again");
  else
    os_advise(error, "stop the writers, then do it again");
  return refuse(job, "empty", error);
}

/* Deleting a document leaves its version for a minute (index.gc_deletes; OpenSearch docs, "Index
** settings"), and a version of one's own that is not above it is answered as a conflict although nothing is
** there. */
static bool remembers_versions(struct os_cluster *cluster, const char *index, int64_t documents) {
  struct os_index_stats stats;
  struct os_error ignored;
  os_error_clear(&ignored);
  if (documents != 0) return true;
  return !os_cluster_stats(cluster, index, &stats, &ignored) && stats.delete_total > 0;
}

/* ---- the choice --------------------------------------------------------------------------------- */

/* Figures of the index that say nothing wrong when they cannot be read: only the documents decide then. */
static int read_deleted(struct os_job *job, struct os_cluster *cluster, const char *index, int64_t *deleted,
                        struct os_error *error) {
  struct os_index_stats stats;
  *deleted = -1;
  int rc = os_cluster_stats(cluster, index, &stats, error);
  if (rc == OS_ERR_INTERRUPTED || rc == OS_ERR_NOMEM) return rc;
  if (rc) {
    const struct os_error why = *error;
    os_error_clear(error);
    return os_job_audit(job, "cleanup", "deleted", "unknown", false, error, "%s", why.text);
  }
  *deleted = stats.deleted;
  return os_job_audit(job, "cleanup", "deleted", "pass", false, error,
                      "%lld deleted documents still take room (%d %% of what the index holds)",
                      (long long)stats.deleted, (int)(os_cleanup_share(stats.docs, stats.deleted) * 100));
}

/* An index is made anew only from the threshold on; where deleted documents count, they count towards it
** when they are more than 40 % of what the index holds. */
static const char *choose(const struct os_cleanup_request *request, const struct os_cleanup_result *result,
                          bool versions) {
  const int64_t documents = result->documents_before, threshold = request->recreate_threshold;
  const int64_t deleted = request->tidy && result->deleted_before > 0 ? result->deleted_before : 0;
  const double share = os_cleanup_share(documents > 0 ? documents : 0, deleted);
  if (versions || (threshold > 0 && documents >= threshold)) return "recreate";
  if (threshold > 0 && share > OS_CLEANUP_RECREATE_FROM && documents + deleted >= threshold)
    return "recreate";
  if (documents) return "delete";
  return share >= OS_CLEANUP_EXPUNGE_FROM ? "expunge" : "nothing";
}

static int tell_choice(struct os_job *job, const struct os_cleanup_request *request,
                       const struct os_cleanup_result *result, struct os_error *error) {
  return os_job_audit(job, "cleanup", "way", "pass", false, error,
                      "%s: %lld documents, %lld deleted ones, recreate_threshold %lld", result->way,
                      (long long)result->documents_before, (long long)result->deleted_before,
                      (long long)request->recreate_threshold);
}

/* ---- the preview -------------------------------------------------------------------------------- */

/* A few of the documents that would go. Who may empty the index but not search it does without. */
static int take_samples(struct os_job *job, struct os_cluster *cluster, const char *index, json_t **samples,
                        struct os_error *error) {
  json_t *answer = NULL;
  char *path = os_cluster_path(index, "/_search?size=5&allow_partial_search_results=false");
  if (!path || !(*samples = json_array())) {
    os_free(path);
    return os_fail_nomem(error);
  }
  struct os_cluster_call call = {.method = "GET", .path = path, .idempotent = true};
  int rc = os_cluster_request(cluster, &call, NULL, &answer, error);
  os_free(path);
  if (rc == OS_ERR_FORBIDDEN) {
    const struct os_error why = *error;
    os_error_clear(error);
    return os_job_audit(job, "cleanup", "samples", "unknown", false, error, "%s", why.text);
  }
  const json_t *hits = os_json_at(answer, "hits/hits");
  for (size_t i = 0; !rc && i < json_array_size(hits); i++) {
    const json_t *hit = json_array_get(hits, i);
    json_t *sample = json_pack("{s:O?, s:O?}", "_id", json_object_get(hit, "_id"), "_source",
                               json_object_get(hit, "_source"));
    if (!sample || json_array_append_new(*samples, sample)) rc = os_fail_nomem(error);
  }
  json_decref(answer);
  return rc;
}

/* ---- the whole ---------------------------------------------------------------------------------- */

static int empty_index(struct os_job *job, struct os_cluster *cluster,
                       const struct os_cleanup_request *request, const json_t *structure,
                       struct os_cleanup_result *result, struct os_error *error) {
  int rc;
  result->recreated = !strcmp(result->way, "recreate");
  if (result->recreated) return os_cleanup_recreate(job, cluster, request, structure, result, error);
  if (!strcmp(result->way, "expunge")) return os_cleanup_expunge(job, cluster, request->index, error);
  rc = os_job_unseen_begin(job, cluster, request->index, error);
  if (!rc) rc = os_cleanup_delete(job, cluster, request, result, error);
  if (!rc) rc = os_cleanup_check_empty(job, cluster, request, result, error);
  if (rc) return rc;
  rc = os_cleanup_structure_same(job, cluster, request->index, structure, error);
  if (!rc || rc == OS_ERR_INTERRUPTED || rc == OS_ERR_NOMEM) return rc;
  /* deleting changes none of it: somebody else did, or it could not be read a second time */
  const struct os_error why = *error;
  os_error_clear(error);
  return os_job_audit(job, "cleanup", "structure", "unknown", false, error, "%s", why.text);
}

static int look_at(struct os_job *job, struct os_cluster *cluster, const struct os_cleanup_request *request,
                   json_t **structure, struct os_cleanup_result *result, struct os_error *error) {
  struct os_resolved resolved = {0};
  int rc = guard_target(job, cluster, request, &resolved, error);
  snprintf(result->uuid, sizeof result->uuid, "%s", resolved.uuid);
  os_resolved_free(&resolved);
  if (!rc) rc = guard_health(job, cluster, request->index, error);
  if (!rc) rc = count(job, cluster, request, &result->documents_before, error);
  if (!rc) rc = os_cleanup_structure(job, cluster, request->index, structure, error);
  if (!rc) rc = read_deleted(job, cluster, request->index, &result->deleted_before, error);
  return rc;
}

int os_cleanup_run(struct os_job *job, struct os_cluster *cluster, const struct os_cleanup_request *request,
                   struct os_cleanup_result *result, struct os_error *error) {
  json_t *structure = NULL;
  *result = (struct os_cleanup_result){.documents_before = -1, .documents_after = -1, .way = "nothing"};
  int rc = look_at(job, cluster, request, &structure, result, error);
  if (rc) goto done;
  result->way = choose(request, result,
                       request->forget_versions &&
                           remembers_versions(cluster, request->index, result->documents_before));
  if (os_cluster_is_serverless(cluster)) /* no blocks and no clones, without which nothing is made anew */
    result->way = result->documents_before ? "delete" : "nothing";
  rc = tell_choice(job, request, result, error);
  if (!rc && request->dry_run) rc = take_samples(job, cluster, request->index, &result->samples, error);
  if (rc || request->dry_run) goto done;
  if (strcmp(result->way, "nothing") != 0) rc = empty_index(job, cluster, request, structure, result, error);
  if (rc) goto done;
  if (result->documents_before > 0) result->deleted = result->documents_before;
  rc = os_ledger_forget_index(job->ledger, request->index, error);
done:
  json_decref(structure);
  return rc;
}
