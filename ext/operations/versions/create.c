/* create.c - the next version: the settings and mappings of the old index, under the new name, with a
** mark in the mapping's _meta by which a later call knows it.
*/
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "operations/settle.h"
#include "operations/versions/versions_int.h"

static const double GRACE =
    0.8; /* seconds that an answer may take after Ctrl-C, so that the outcome is known */

static char *body_of(struct os_version *v) {
  json_t *mappings = json_object_get(v->definition, "mappings");
  json_t *meta = json_object_get(mappings, "_meta");
  if (!meta && json_is_object(mappings) && os_json_put(mappings, "_meta", json_object()))
    meta = json_object_get(mappings, "_meta");
  json_t *mark = json_pack("{s:s, s:I, s:s}", "operation", v->operation, "job", (json_int_t)v->job->number,
                           "from", v->old);
  if (!meta || !mark) {
    json_decref(mark);
    return NULL;
  }
  return os_json_put(meta, "os_reindex_versions", mark) ? os_json_text(v->definition) : NULL;
}

/* What stands under the name now? */
static int look(struct os_version *v, bool *ours, struct os_error *error) {
  struct os_resolved resolved = {0};
  *ours = false;
  int rc = os_cluster_resolve(v->cluster, v->next, &resolved, error);
  snprintf(v->next_uuid, sizeof v->next_uuid, "%s", resolved.uuid);
  if (!rc && resolved.kind == OS_NAME_INDEX) rc = os_version_is_ours(v, ours, error);
  os_resolved_free(&resolved);
  return rc;
}

static int ask(struct os_version *v, const char *body, struct os_error *error) {
  struct os_settle settle;
  struct os_error why, later;
  bool ours = false;
  os_error_clear(&why);
  os_error_clear(&later);
  os_settle_late(&settle, v->cluster, GRACE);
  int rc = os_cluster_index_create(&settle.cluster, v->next, body, &why);
  if (rc == OS_ERR_INTERRUPTED || rc == OS_ERR_NOMEM) {
    *error = why;
    return rc;
  }
  /* refused because it exists: perhaps an earlier request of ours made it after all */
  int seen = look(v, &ours, &later);
  if (!seen && ours && *v->next_uuid) return OS_OK;
  if (rc) {
    *error = why;
    if (!os_cluster_unknown(rc)) {
      os_version_mark(v, "create", "undone", &later);
      os_error_prefix(error, "'%s' cannot be created from '%s'", v->next, v->old);
    }
    return rc;
  }
  if (seen) *error = later;
  return seen ? seen
              : os_fail(error, OS_ERR_CONFLICT, "'%s' was replaced as soon as it was created", v->next);
}

/* What was made is gone: its alias, its copy, and what was counted before that do not hold any more. */
static int begin_anew(struct os_version *v, struct os_error *error) {
  static const char *const steps[] = {"create", "alias", "baseline", "copy", "task", "through", "live"};
  char state[16];
  int rc = os_job_audit(v->job, "create", "lost", "pass", false, error,
                        "'%s' was deleted by somebody; '%s' is whole, so it is begun anew", v->next, v->old);
  for (size_t i = 0; i < sizeof steps / sizeof *steps && !rc; i++) {
    rc = os_version_get(v, steps[i], state, NULL, error);
    if (!rc && *state) rc = os_version_mark(v, steps[i], "undone", error);
  }
  return rc;
}

int os_version_create(struct os_version *v, struct os_error *error) {
  if (v->created) return OS_OK;
  int rc = v->lost ? begin_anew(v, error) : OS_OK;
  if (!rc && !*v->next_uuid) {
    char *body = body_of(v);
    rc = !body ? os_fail_nomem(error)
               : os_job_audit(v->job, "create", "index", "did", true, error,
                              "PUT /%s %.1500s; undone by DELETE /%s", v->next, body, v->next);
    if (!rc)
      rc = os_version_put(v, "create", "begun", json_pack("{s:s, s:s}", "old_uuid", v->old_uuid, "uuid", ""),
                          error);
    if (!rc) rc = ask(v, body, error);
    os_free(body);
  }
  if (!rc)
    rc = os_version_put(v, "create", "done",
                        json_pack("{s:s, s:s}", "old_uuid", v->old_uuid, "uuid", v->next_uuid), error);
  if (!rc)
    rc = os_job_audit(v->job, "create", "created", "pass", false, error, "'%s' is there (UUID %s)", v->next,
                      v->next_uuid);
  v->created = !rc;
  return rc;
}
