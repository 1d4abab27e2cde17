/* remove.c - the old index is deleted: that very one (UUID), and only while no alias serves it. */
#include <stdio.h>
#include <string.h>
#include "operations/settle.h"
#include "operations/versions/versions_int.h"

static const double GRACE = 0.8;

static int check_free(struct os_version *v, bool *there, struct os_error *error) {
  struct os_resolved resolved = {0};
  int rc = os_cluster_resolve(v->cluster, v->old, &resolved, error);
  *there = resolved.kind != OS_NAME_MISSING;
  if (!rc && *there && (resolved.kind != OS_NAME_INDEX || strcmp(resolved.uuid, v->old_uuid) != 0))
    rc = os_fail(error, OS_ERR_CONFLICT, "'%s' is not the index any more that was copied; it is not deleted",
                 v->old);
  else if (!rc && *there && (!resolved.aliases || json_object_size(resolved.aliases))) {
    const char *alias = json_object_iter_key(json_object_iter(resolved.aliases));
    rc = os_fail(error, OS_ERR_GUARD, "'%s' is not deleted: alias '%s' serves it", v->old,
                 alias ? alias : "?");
    os_advise(error, "somebody gave it that alias just now; take it off, then do this again");
  }
  os_resolved_free(&resolved);
  if (rc || !*there) return rc;
  return os_job_audit(v->job, "delete", "alias", "pass", false, error, "no alias serves '%s' (UUID %s)",
                      v->old, v->old_uuid);
}

static int ask(struct os_version *v, struct os_error *error) {
  struct os_settle settle;
  struct os_error later;
  bool there = true;
  os_error_clear(&later);
  os_settle_late(&settle, v->cluster, GRACE);
  int rc = os_cluster_index_delete(&settle.cluster, v->old, error);
  if (!rc || (!os_cluster_unknown(rc) && rc != OS_ERR_NOT_FOUND)) return rc;
  if (os_cluster_index_exists(&settle.cluster, v->old, &there, &later) || there) return rc;
  os_error_clear(error);
  return OS_OK;
}

int os_version_remove(struct os_version *v, struct os_error *error) {
  bool there = false;
  if (v->request->keep_old)
    return os_job_audit(v->job, "delete", "index", "skip", false, error, "'%s' is kept (keep_old)%s", v->old,
                        v->request->live
                            ? "; it takes no writes: PUT _settings {\"index.blocks.write\":null} ends that"
                            : "");
  int rc = check_free(v, &there, error);
  if (rc) return os_job_guard_failed(v->job, "delete", "index", error);
  if (there) { /* written to since it was verified? Then it has what the new one lacks */
    rc = os_version_guard_writers(v, error);
    if (rc) return rc;
    rc = os_job_audit(v->job, "delete", "index", "did", true, error,
                      "DELETE /%s; there is no way back, its documents are in '%s'", v->old, v->next);
    if (!rc) rc = os_version_mark(v, "delete", "begun", error);
    if (!rc) rc = ask(v, error);
  }
  if (!rc) rc = os_version_mark(v, "delete", "done", error);
  return rc;
}
