/* writers.c - writes of others while a refresh runs would be lost: what goes to the primary after it was
** copied is emptied with it, what goes to the secondary is left behind when the alias moves back. The
** operations that an index ever took tell (os_cluster_operations); see refresh_int.h.
*/
#include "base/alloc.h"
#include "base/json.h"
#include "operations/refresh/refresh_int.h"
#include "operations/step.h"

static int unverified(struct os_refresh *refresh, struct os_error *error) {
  const struct os_refresh_request *request = refresh->request;
  return os_job_unverified(refresh->job, "guard", "writers",
                           request->allow_unverified || request->allow_writes, error);
}

int os_refresh_watch(struct os_refresh *refresh, const char *name, const char *index,
                     struct os_error *error) {
  int64_t operations = 0;
  if (os_cluster_is_serverless(refresh->cluster)) return OS_OK;
  int rc = os_cluster_operations(refresh->cluster, index, &operations, error);
  if (rc) return unverified(refresh, error);
  return os_step_put(refresh->job, index, name, "done",
                     json_pack("{s:I}", "operations", (json_int_t)operations), error);
}

/* A collection of Serverless tells nobody's writes: the user has to know that there are none. */
int os_refresh_guard_collection(struct os_refresh *refresh, struct os_error *error) {
  const struct os_refresh_request *request = refresh->request;
  static const char what[] = "a collection does not tell whether others write";
  if (!os_cluster_is_serverless(refresh->cluster)) return OS_OK;
  if (request->allow_unverified || request->allow_writes)
    return os_job_audit(refresh->job, "guard", "writers", "unknown", false, error, "%s to %s or %s", what,
                        request->primary, request->secondary);
  os_fail(error, OS_ERR_GUARD, "%s to %s or %s while the refresh runs: it would be lost", what,
          request->primary, request->secondary);
  os_advise(error, "stop who does, and pass {\"allow_unverified\":true}");
  return os_job_guard_failed(refresh->job, "guard", "writers", error);
}

static int remembered(struct os_refresh *refresh, const char *name, const char *index, int64_t *operations,
                      struct os_error *error) {
  char state[16];
  json_t *data = NULL;
  int rc = os_step_get(refresh->job->ledger, refresh->job->number, index, name, state, &data, error);
  *operations = os_json_int(data, "operations", -1);
  json_decref(data);
  return rc;
}

int os_refresh_check_writers(struct os_refresh *refresh, const char *name, const char *index,
                             struct os_error *error) {
  int64_t before = -1, now = 0;
  if (os_cluster_is_serverless(refresh->cluster))
    return os_job_audit(refresh->job, "guard", "writers", "unknown", false, error,
                        "whether others wrote to %s cannot be seen in a collection", index);
  int rc = remembered(refresh, name, index, &before, error);
  if (rc) return rc;
  rc = os_cluster_operations(refresh->cluster, index, &now, error);
  if (rc) return unverified(refresh, error);
  if (before < 0)
    return os_job_audit(refresh->job, "guard", "writers", "unknown", false, error,
                        "the operations on %s at the beginning are not known", index);
  if (before == now)
    return os_job_audit(refresh->job, "guard", "writers", "pass", false, error,
                        "nobody wrote to %s meanwhile (%lld operations)", index, (long long)now);
  if (refresh->request->allow_writes)
    return os_job_audit(refresh->job, "guard", "writers", "unknown", false, error,
                        "others made %lld operations on %s meanwhile; allow_writes was given",
                        (long long)(now - before), index);
  os_fail(error, OS_ERR_GUARD,
          "others wrote to %s while the refresh ran (%lld operations): they would be lost", index,
          (long long)(now - before));
  os_advise(error,
            "stop the writers and refresh again, or pass {\"allow_writes\":true} if those writes may go");
  return os_job_guard_failed(refresh->job, "guard", "writers", error);
}
