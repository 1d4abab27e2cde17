/* copy.c - the documents: copied by a task of the cluster, or through this process where it has none
** (operations/reindex); either leaves alone what is in the new index already, because a writer put it there
** through the alias; and counted afterwards.
**
** Did somebody write to the old index by its own name, or by another alias, while it was copied? Its
** operations are counted before the copy begins and after it ended: a copy shows what was there when it
** looked, so that each of them may be missing.
*/
#include <string.h>
#include "base/json.h"
#include "operations/reindex/task.h"
#include "operations/versions/versions_int.h"
#include "operations/visible.h"

static const char step[] = "verify";

/* A figure that the user's rights forbid: -1, when that is allowed. */
static int unverified(struct os_version *v, int rc, const char *check, int64_t *figure,
                      struct os_error *error) {
  if (rc != OS_ERR_FORBIDDEN) return rc;
  *figure = -1;
  return os_job_unverified(v->job, step, check, v->request->allow_unverified, error);
}

/* least: what a collection is waited for to find. */
static int count(struct os_version *v, const char *index, int64_t least, int64_t *documents,
                 struct os_error *error) {
  int rc = os_cluster_count_between(v->cluster, index, least, INT64_MAX, false, documents, error);
  return unverified(v, rc, "documents", documents, error);
}

static int operations_of(struct os_version *v, const char *index, int64_t *operations,
                         struct os_error *error) {
  *operations = -1;
  if (os_cluster_is_serverless(v->cluster)) return OS_OK; /* the guards have told */
  int rc = os_cluster_operations(v->cluster, index, operations, error);
  return unverified(v, rc, "writers", operations, error);
}

/* Read once, before the first task is started, whichever job starts it. */
static int put_baseline(struct os_version *v, struct os_error *error) {
  char state[16];
  int64_t operations = 0;
  int rc = os_version_get(v, "baseline", state, NULL, error);
  if (rc || !strcmp(state, "done")) return rc;
  rc = operations_of(v, v->old, &operations, error);
  if (!rc)
    rc = os_version_put(v, "baseline", "done", json_pack("{s:I}", "operations", (json_int_t)operations),
                        error);
  return rc;
}

int os_version_copy(struct os_version *v, struct os_error *error) {
  if (v->request->live) return os_version_copy_live(v, error);
  bool through = os_cluster_is_serverless(v->cluster);
  struct os_reindex_outcome outcome = {0};
  int rc = put_baseline(v, error);
  if (!rc) rc = os_job_await_visible(v->job, v->cluster, "copy", v->old, error);
  if (!rc) rc = count(v, v->old, 0, &v->documents, error);
  if (rc) return rc;
  struct os_reindex_work work = {.source = v->old,
                                 .target = v->next,
                                 .target_uuid = v->next_uuid,
                                 .pipeline =
                                     "_none", /* they passed the default pipeline when they were written */
                                 .changes_ids = v->final_pipeline,
                                 .create_only = true,
                                 .proceed = true,
                                 .slices = v->request->slices,
                                 .documents = v->documents,
                                 .requests_per_second = v->request->requests_per_second,
                                 .poll_interval = v->request->poll_interval,
                                 .batch_bytes = v->request->batch_bytes,
                                 .max_workers = v->request->max_workers};
  rc = through ? os_reindex_through(v->job, v->cluster, v->cluster, &work, v->old, &outcome, error)
               : os_reindex_task(v->job, v->cluster, &work, v->old, &outcome, error);
  if (rc) return rc;
  v->copied = true;
  v->copied_documents = outcome.figures.total;
  return os_version_put(v, "copy", "done",
                        json_pack("{s:I, s:I, s:b}", "total", (json_int_t)outcome.figures.total, "created",
                                  (json_int_t)outcome.figures.created, "continued",
                                  (int)outcome.figures.continued),
                        error);
}

/* ---- is everything there? ---- */

int os_version_guard_writers(struct os_version *v, struct os_error *error) {
  static const char check[] = "writers";
  char state[16];
  json_t *data = NULL;
  int64_t now = 0;
  int rc = os_version_get(v, "baseline", state, &data, error);
  int64_t before = os_json_int(data, "operations", -1);
  json_decref(data);
  if (!rc) rc = operations_of(v, v->old, &now, error);
  if (rc || before < 0 || now < 0) return rc;
  if (now == before)
    return os_job_audit(v->job, step, check, "pass", false, error, "nobody wrote to '%s' while it was copied",
                        v->old);
  if (v->request->allow_writes)
    return os_job_audit(v->job, step, check, "unknown", false, error,
                        "'%s' took %lld operations while it was copied; went on because of allow_writes",
                        v->old, (long long)(now - before));
  os_fail(
      error, OS_ERR_GUARD,
      "'%s' took %lld operations while it was copied, by its own name or another alias; '%s' may lack them",
      v->old, (long long)(now - before), v->next);
  os_advise(error,
            "let writers use alias '%s'; {\"method\":\"live\"} copies while they write; "
            "{\"allow_writes\":true} goes on "
            "without what they wrote",
            v->alias);
  return os_job_guard_failed(v->job, step, check, error);
}

struct tally {
  int64_t old, next;       /* documents now */
  int64_t total, created;  /* of the last task */
  int64_t next_operations; /* ever taken by the new index; -1: not known */
  bool continued;          /* an earlier task had created some */
};

/* Did others write into the new index? Then its count says little: what the task read still has to be
** all. */
static bool others_wrote(const struct tally *t) {
  if (t->next_operations < 0) return true;
  return t->continued ? t->next > t->old : t->next_operations > t->created;
}

static int judge(struct os_version *v, struct tally *t, struct os_error *error) {
  static const char check[] = "documents";
  if (v->request->allow_writes && t->old >= 0) t->old = t->total; /* what came later was given up */
  if (t->old >= 0 && t->total != t->old)
    os_fail(error, OS_ERR_CONFLICT, "'%s' has %lld documents, but %lld were read for '%s'", v->old,
            (long long)t->old, (long long)t->total, v->next);
  else if (t->old < 0 || t->next < 0)
    return os_job_audit(v->job, step, check, "unknown", false, error, "not counted; %lld were copied",
                        (long long)t->total);
  else if (t->next == t->old)
    return os_job_audit(v->job, step, check, "pass", false, error, "%lld in both", (long long)t->old);
  else if (others_wrote(t) && (t->next > t->old || !os_cluster_is_serverless(v->cluster)))
    return os_job_audit(
        v->job, step, check, "unknown", false, error,
        "'%s' has %lld documents, '%s' %lld: others write through alias '%s'; %lld were read, %lld "
        "copied",
        v->old, (long long)t->old, v->next, (long long)t->next, v->alias, (long long)t->total,
        (long long)t->created);
  else
    os_fail(error, OS_ERR_CONFLICT, "'%s' has %lld documents, '%s' has %lld%s", v->old, (long long)t->old,
            v->next, (long long)t->next, t->next_operations < 0 ? "" : ", and nobody else wrote there");
  os_advise(error, "look at both; nothing was taken from '%s'", v->old);
  return os_job_guard_failed(v->job, step, check, error);
}

/* A _reindex whose target is deleted makes another one of that name, with whatever mapping it guesses
** (measured). */
static int guard_same(struct os_version *v, struct os_error *error) {
  struct os_resolved resolved = {0};
  int rc = os_cluster_resolve(v->cluster, v->next, &resolved, error);
  if (!rc && strcmp(resolved.uuid, v->next_uuid) != 0) {
    bool gone = resolved.kind == OS_NAME_MISSING;
    os_fail(error, OS_ERR_CONFLICT, "'%s' was deleted while it was filled%s", v->next,
            gone ? "" : ", and what is called so now is another index");
    os_advise(error, "'%s' is whole%s%s%s", v->old, gone ? "" : "; delete '", gone ? "" : v->next,
              gone ? "" : "'");
    rc = os_job_guard_failed(v->job, step, "same index", error);
  }
  os_resolved_free(&resolved);
  return rc;
}

int os_version_verify(struct os_version *v, struct os_error *error) {
  if (v->request->live) return OS_OK; /* the copy ended with the proof */
  char state[16];
  json_t *data = NULL;
  struct tally t = {0};
  int rc = os_version_get(v, "copy", state, &data, error);
  t.total = os_json_int(data, "total", 0);
  t.created = os_json_int(data, "created", 0);
  t.continued = os_json_bool(data, "continued", false);
  json_decref(data);
  if (!rc) rc = guard_same(v, error);
  if (!rc) rc = os_version_guard_writers(v, error);
  if (!rc) rc = count(v, v->old, 0, &t.old, error);
  if (!rc) rc = count(v, v->next, t.old, &t.next, error);
  if (!rc && t.next >= 0) rc = os_job_unseen_end(v->job, v->cluster, v->next, error);
  if (!rc) rc = operations_of(v, v->next, &t.next_operations, error);
  v->documents = t.next;
  return rc ? rc : judge(v, &t, error);
}
