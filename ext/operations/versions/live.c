/* live.c - method live: the next version is filled while writers go on with the old one, and proved equal
** behind a short write block (operations/live); the aliases go over before the block could matter to
** anybody who uses them.
**
** The two methods do not mix: under "server" writes go to the new index from the beginning, under "live"
** to the old one until the end.
*/
#include <string.h>
#include "base/json.h"
#include "operations/live/live.h"
#include "operations/settle.h"
#include "operations/versions/versions_int.h"

static const double UNBLOCK_SECONDS = 10;

int os_version_check_method(struct os_version *v, struct os_error *error) {
  char other[16];
  bool live = v->request->live;
  int rc = os_version_get(v, live ? "alias" : "live", other, NULL, error);
  if (rc || !*other || !strcmp(other, "undone")) return rc;
  os_fail(error, OS_ERR_CONFLICT, "'%s' was begun with method '%s'", v->old, live ? "server" : "live");
  os_advise(error, "go on with {\"method\":\"%s\"}; to begin anew, delete '%s' first",
            live ? "server" : "live", v->next);
  return os_job_guard_failed(v->job, "guards", "method", error);
}

static int record(struct os_version *v, const struct os_live_result *result, struct os_error *error) {
  int64_t operations = 0;
  int rc = os_cluster_operations(v->cluster, v->old, &operations, error);
  /* what os_version_guard_writers() compares with before the old index is deleted */
  if (!rc)
    rc = os_version_put(v, "baseline", "done", json_pack("{s:I}", "operations", (json_int_t)operations),
                        error);
  if (!rc)
    rc = os_version_put(v, "copy", "done",
                        json_pack("{s:I, s:I, s:i, s:f}", "copied", (json_int_t)result->copied, "deleted",
                                  (json_int_t)result->deleted, "passes", result->passes, "blocked",
                                  result->blocked),
                        error);
  return rc;
}

int os_version_copy_live(struct os_version *v, struct os_error *error) {
  struct os_live_request request = {.source = v->old,
                                    .target = v->next,
                                    .max_block = v->request->max_block,
                                    .batch_bytes = v->request->batch_bytes,
                                    .max_workers = v->request->max_workers};
  struct os_live_result result;
  int rc = os_live_copy(v->job, v->cluster, &request, &result, error);
  if (rc) return rc;
  v->copied = true;
  v->copied_documents = result.copied;
  v->documents = result.documents;
  return record(v, &result, error);
}

void os_version_unblock(struct os_version *v, struct os_error *error) {
  struct os_settle settle;
  struct os_error trouble;
  if (!v->request->live || v->swapped) return;
  os_error_clear(&trouble);
  os_settle_all(&settle, v->cluster, UNBLOCK_SECONDS);
  if (os_live_release(v->job, &settle.cluster, v->old, &trouble)) os_advise(error, "%s", trouble.advice);
}
