/* merge.c - see merge.h. */
#include "operations/merge/merge.h"
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/json.h"
#include "cluster/listing.h"
#include "operations/health/health.h"

static const double WATCH = 1.0, POLL_EVERY = 0.25; /* seconds */
enum { STARTS = 2, LOST_POLLS = 5 };

static int refuse(struct os_job *job, const char *check, const struct os_error *error) {
  return os_job_guard_failed(job, "guards", check, error);
}

/* What a user may not see is no reason to stop where only room and figures are concerned. */
static int unknown(struct os_job *job, const char *check, struct os_error *error) {
  const struct os_error why = *error;
  os_error_clear(error);
  return os_job_audit(job, "guards", check, "unknown", false, error, "%s", why.text);
}

/* ---- guards ------------------------------------------------------------------------------------- */

static int guard_index(struct os_job *job, struct os_cluster *cluster, const char *index,
                       struct os_error *error) {
  struct os_resolved resolved = {0};
  char health[16] = "";
  int rc = os_cluster_resolve(cluster, index, &resolved, error);
  if (!rc && resolved.kind == OS_NAME_MISSING) {
    rc = os_fail(error, OS_ERR_NOT_FOUND, "there is no index %s", index);
  } else if (!rc && resolved.kind != OS_NAME_INDEX) {
    os_fail(error, OS_ERR_GUARD, "%s is %s, not an index", index,
            resolved.kind == OS_NAME_ALIAS ? "an alias" : "a data stream");
    rc = os_advise(error, "name the index itself");
  }
  os_resolved_free(&resolved);
  if (rc) return refuse(job, "index", error);
  rc = os_cluster_health(cluster, index, health, error);
  if (rc == OS_ERR_FORBIDDEN) return unknown(job, "health", error);
  if (!rc && !strcmp(health, "red")) rc = os_health_refuse_red(cluster, "index", index, error);
  if (rc) return refuse(job, "health", error);
  return os_job_audit(job, "guards", "health", "pass", false, error, "%s", health);
}

/* The sum of the sequence numbers twice: an index that is written to gets large segments by a merge which
** are not merged again before most of their documents are deleted (OpenSearch docs, "Force merge"). */
static int watch_writes(struct os_cluster *cluster, const char *index, int64_t *writes,
                        struct os_error *error) {
  int64_t first = 0, second = 0;
  int rc = os_cluster_operations(cluster, index, &first, error);
  if (!rc) rc = os_cluster_wait(cluster, WATCH, error);
  if (!rc) rc = os_cluster_operations(cluster, index, &second, error);
  *writes = second - first;
  return rc;
}

static int guard_quiet(struct os_job *job, struct os_cluster *cluster, const struct os_merge_request *request,
                       struct os_error *error) {
  static const char check[] = "nobody writes";
  bool blocked = false;
  int64_t writes = 0;
  if (request->allow_writes)
    return os_job_audit(job, "guards", check, "skip", false, error, "allow_writes was given");
  int rc = os_cluster_writes_blocked(cluster, request->index, &blocked, error);
  if (!rc && blocked)
    return os_job_audit(job, "guards", check, "pass", false, error, "%s is blocked for writing",
                        request->index);
  if (!rc) rc = watch_writes(cluster, request->index, &writes, error);
  if (rc == OS_ERR_FORBIDDEN)
    os_advise(error, "get the right indices:monitor/stats, or pass {\"allow_writes\":true}");
  if (rc) return refuse(job, check, error);
  if (writes == 0)
    return os_job_audit(job, "guards", check, "pass", false, error, "no operation within one second");
  os_fail(error, OS_ERR_GUARD, "%s is written to: %lld operation%s within one second", request->index,
          (long long)writes, writes == 1 ? "" : "s");
  os_advise(error, "stop the writers, or pass {\"allow_writes\":true}");
  return refuse(job, check, error);
}

static int64_t free_of(const json_t *nodes, const char *name) {
  for (size_t i = 0; i < json_array_size(nodes); i++)
    if (!strcmp(os_json_string(json_array_get(nodes, i), "node", ""), name))
      return os_json_int(json_array_get(nodes, i), "disk_free", -1);
  return -1;
}

/* The shard whose node has the least left when a copy of it is written; NULL: none has a size. */
static const json_t *tightest(const json_t *shards, const json_t *nodes, int64_t *size, int64_t *room) {
  const json_t *found = NULL;
  for (size_t i = 0; i < json_array_size(shards); i++) {
    const json_t *shard = json_array_get(shards, i);
    const int64_t bytes = os_json_int(shard, "size", -1);
    const int64_t left = free_of(nodes, os_json_string(shard, "node", ""));
    if (bytes < 0 || left < 0 || (found && left - bytes >= *room - *size)) continue;
    found = shard;
    *size = bytes;
    *room = left;
  }
  return found;
}

/* A merge writes a shard anew before it deletes the old segments; a node merges one shard at a time. */
static int guard_room(struct os_job *job, struct os_cluster *cluster, const char *index,
                      struct os_error *error) {
  json_t *shards = json_array(), *nodes = json_array();
  int64_t size = 0, room = 0;
  int rc = shards && nodes ? OS_OK : os_fail_nomem(error);
  if (!rc) rc = os_cluster_list_shards(cluster, index, shards, error);
  if (!rc) rc = os_cluster_list_nodes(cluster, NULL, nodes, error);
  const json_t *shard = rc ? NULL : tightest(shards, nodes, &size, &room);
  if (rc == OS_ERR_FORBIDDEN) {
    rc = unknown(job, "room", error);
  } else if (rc) {
    rc = refuse(job, "room", error);
  } else if (!shard) {
    rc = os_job_audit(job, "guards", "room", "unknown", false, error, "the nodes do not tell their sizes");
  } else if (size <= room) {
    rc =
        os_job_audit(job, "guards", "room", "pass", false, error, "%lld bytes for a shard of %lld on node %s",
                     (long long)room, (long long)size, os_json_string(shard, "node", ""));
  } else {
    os_fail(error, OS_ERR_GUARD, "node %s has %lld bytes left, and a merge of a shard of %s may need %lld",
            os_json_string(shard, "node", ""), (long long)room, index, (long long)size);
    os_advise(error, "free disk space first");
    rc = refuse(job, "room", error);
  }
  json_decref(shards);
  json_decref(nodes);
  return rc;
}

/* ---- the merge ---------------------------------------------------------------------------------- */

/* Until the task ends, or `until`. It cannot be cancelled: whoever stops waiting leaves it running. */
static int follow(struct os_cluster *cluster, double until, struct os_merge_result *result,
                  struct os_error *error) {
  for (int lost = 0;;) {
    int rc = os_cluster_task_poll(cluster, result->task, &result->finished, NULL, error);
    if (!rc && result->finished) return OS_OK;
    if (os_cluster_unknown(rc) && ++lost < LOST_POLLS) rc = OS_OK;
    if (!rc && until > 0 && os_clock_monotonic() > until) return OS_OK;
    if (!rc) rc = os_cluster_wait(cluster, POLL_EVERY, error);
    if (rc == OS_ERR_INTERRUPTED)
      os_advise(error, "the merge cannot be stopped and goes on in the cluster as task %s", result->task);
    if (rc) return rc;
  }
}

static int merge_as_task(struct os_cluster *cluster, const struct os_merge_call *call, double until,
                         struct os_merge_result *result, struct os_error *error) {
  int rc = OS_OK;
  for (int i = 0; i < STARTS && !result->task[0]; i++) {
    struct os_error look = {0};
    rc = os_cluster_merge_start(cluster, call, result->task, error);
    if (!os_cluster_unknown(rc)) break;
    /* it runs, it has ended, or it never began: another one finds nothing left to do in the second case */
    if (os_cluster_merge_find(cluster, call->name, result->task, &look) == OS_OK && result->task[0])
      rc = OS_OK;
  }
  return rc ? rc : follow(cluster, until, result, error);
}

static int merge_waiting(struct os_cluster *cluster, const struct os_merge_call *call,
                         struct os_merge_result *result, struct os_error *error) {
  int rc = OS_OK;
  for (int i = 0; i < STARTS; i++) {
    struct os_error look = {0};
    rc = os_cluster_merge_wait(cluster, call, error);
    result->finished = rc == OS_OK;
    if (rc == OS_ERR_INTERRUPTED)
      os_advise(error, "the merge cannot be stopped; SELECT * FROM os_tasks shows whether it goes on");
    if (!os_cluster_unknown(rc)) return rc;
    if (rc == OS_ERR_TIMEOUT)
      return OS_OK; /* it was begun: a time-out says no more than that it takes long */
    if (os_cluster_merge_find(cluster, call->name, result->task, &look) == OS_OK && result->task[0])
      return OS_OK;
  }
  return rc;
}

static int merge(struct os_job *job, struct os_cluster *cluster, const struct os_merge_request *request,
                 struct os_merge_result *result, struct os_error *error) {
  const struct os_merge_call call = {.name = request->index,
                                     .max_segments = request->max_segments,
                                     .only_expunge = request->only_expunge,
                                     .timeout = request->timeout};
  const double until = request->timeout > 0 ? os_clock_monotonic() + request->timeout : 0;
  char segments[48] = "";
  if (request->max_segments)
    snprintf(segments, sizeof segments, "max_num_segments=%d", request->max_segments);
  int rc = os_job_audit(job, "merge", "forcemerge", "did", true, error,
                        "POST /%s/_forcemerge %s%s; inverse: none, and none is needed: no document changes",
                        request->index, request->only_expunge ? "only_expunge_deletes=true" : "", segments);
  if (rc) return rc;
  return os_cluster_merge_has_task(&cluster->caps) ? merge_as_task(cluster, &call, until, result, error)
                                                   : merge_waiting(cluster, &call, result, error);
}

static int tell_outcome(struct os_job *job, struct os_cluster *cluster,
                        const struct os_merge_request *request, struct os_merge_result *result,
                        struct os_error *error) {
  if (!result->finished)
    return os_job_audit(job, "merge", "outcome", "unknown", false, error, "it goes on in the cluster%s%s",
                        result->task[0] ? " as task " : "", result->task);
  os_error_clear(error);
  /* what was merged stays beside what it became until a refresh */
  int rc = os_cluster_refresh(cluster, request->index, error);
  if (!rc || rc == OS_ERR_FORBIDDEN) rc = os_cluster_stats(cluster, request->index, &result->after, error);
  if (rc == OS_ERR_INTERRUPTED || rc == OS_ERR_NOMEM) return rc;
  if (rc) {
    const struct os_error why = *error;
    os_error_clear(error);
    result->after = result->before;
    return os_job_audit(job, "merge", "outcome", "unknown", false, error, "merged; figures: %s", why.text);
  }
  return os_job_audit(job, "merge", "outcome", "pass", false, error,
                      "segments %lld, then %lld; deleted documents %lld, then %lld; bytes %lld, then %lld",
                      (long long)result->before.segments, (long long)result->after.segments,
                      (long long)result->before.deleted, (long long)result->after.deleted,
                      (long long)result->before.size_bytes, (long long)result->after.size_bytes);
}

static int measure(struct os_job *job, struct os_cluster *cluster, const char *index,
                   struct os_index_stats *out, struct os_error *error) {
  int rc = os_cluster_stats(cluster, index, out, error);
  const long long all = out->docs + out->deleted;
  if (rc == OS_ERR_FORBIDDEN) return unknown(job, "segments", error);
  if (rc) return refuse(job, "segments", error);
  return os_job_audit(job, "guards", "segments", "pass", false, error,
                      "%lld segments, %lld deleted of %lld documents, %lld bytes", (long long)out->segments,
                      (long long)out->deleted, all, (long long)out->size_bytes);
}

int os_merge_run(struct os_job *job, struct os_cluster *cluster, const struct os_merge_request *request,
                 struct os_merge_result *result, struct os_error *error) {
  memset(result, 0, sizeof *result);
  if (os_cluster_is_serverless(cluster)) {
    os_fail(error, OS_ERR_GUARD,
            "a collection of OpenSearch Serverless merges by itself: it has no _forcemerge");
    return refuse(job, "index", error);
  }
  int rc = guard_index(job, cluster, request->index, error);
  if (!rc) rc = measure(job, cluster, request->index, &result->before, error);
  if (!rc) rc = guard_quiet(job, cluster, request, error);
  if (!rc) rc = guard_room(job, cluster, request->index, error);
  if (rc || request->dry_run) return rc;
  rc = merge(job, cluster, request, result, error);
  return rc ? rc : tell_outcome(job, cluster, request, result, error);
}
