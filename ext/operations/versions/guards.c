/* guards.c - may an index be re-indexed, and how far is it already? Reads only.
**
** A step that is done is believed only where the cluster agrees: what an earlier job made must still be
** there, with the same UUID.
*/
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "operations/health/health.h"
#include "operations/index_definition.h"
#include "operations/versions/versions_int.h"

static const char step[] = "guards";

static int refuse(struct os_version *v, const char *check, const struct os_error *error) {
  return os_job_guard_failed(v->job, step, check, error);
}

/* ---- the old index ---- */

/* Gone: deleted by the job that this one goes on for, or never there. */
static int old_is_missing(struct os_version *v, const char *removal, struct os_error *error) {
  if (*removal) { /* begun or done */
    v->created = v->aliased = v->copied = v->swapped = v->finished = true;
    return OS_OK;
  }
  os_fail(error, OS_ERR_NOT_FOUND, "there is no index '%s'", v->old);
  if (v->finished_by)
    os_advise(error, "job %lld has done this trigger to its end: '%s' is its next version",
              (long long)v->finished_by, v->next);
  return refuse(v, "index", error);
}

static int check_same(struct os_version *v, struct os_error *error) {
  char state[16];
  json_t *data = NULL;
  int rc = os_version_get(v, "create", state, &data, error);
  const char *uuid = os_json_string(data, "old_uuid", "");
  if (!rc && *uuid && strcmp(uuid, v->old_uuid) != 0) {
    os_fail(error, OS_ERR_CONFLICT,
            "index '%s' is another one than when this was begun: it was deleted and created again", v->old);
    os_advise(error, "see to '%s' and '%s' by hand, then begin with another trigger", v->old, v->next);
    rc = refuse(v, "index", error);
  }
  json_decref(data);
  return rc;
}

static int guard_old(struct os_version *v, struct os_error *error) {
  struct os_resolved resolved = {0};
  char removal[16];
  int rc = os_version_get(v, "delete", removal, NULL, error);
  if (!rc) rc = os_cluster_resolve(v->cluster, v->old, &resolved, error);
  if (rc) return refuse(v, "index", error);
  snprintf(v->old_uuid, sizeof v->old_uuid, "%s", resolved.uuid);
  v->served = json_object_size(resolved.aliases) > 0;
  if (resolved.kind == OS_NAME_MISSING) {
    rc = old_is_missing(v, removal, error);
  } else if (resolved.kind != OS_NAME_INDEX) {
    os_fail(error, OS_ERR_GUARD, "'%s' is %s, not an index", v->old,
            resolved.kind == OS_NAME_ALIAS ? "an alias" : "a data stream");
    rc = refuse(v, "index", error);
  } else if (!resolved.aliases || !*resolved.uuid) {
    /* without these it could neither lose its aliases nor be deleted with certainty */
    os_fail(error, OS_ERR_FORBIDDEN, "aliases and UUID of '%s' cannot be read", v->old);
    os_advise(error, "get the rights indices:admin/aliases/get and indices:monitor/settings/get");
    rc = refuse(v, "index", error);
  } else {
    rc = check_same(v, error);
  }
  os_resolved_free(&resolved);
  return rc;
}

static int unfit(struct os_version *v, const char *check, const char *why, const char *advice,
                 struct os_error *error) {
  os_fail(error, OS_ERR_GUARD, "index '%s' %s", v->old, why);
  if (advice) os_advise(error, "%s", advice);
  return refuse(v, check, error);
}

/* Its documents must be readable, and its aliases must be free to change. */
static int guard_content(struct os_version *v, const json_t *got, struct os_error *error) {
  const json_t *blocks = os_json_at(got, "settings/index/blocks");
  if (json_object_get(got, "data_stream"))
    return unfit(v, "index", "belongs to a data stream",
                 "a data stream has versions of its own: roll it over", error);
  if (os_json_bool(got, "settings/index/verified_before_close", false))
    return unfit(v, "index", "is closed", "open it first", error);
  if (!os_json_bool(got, "mappings/_source/enabled", true))
    return unfit(v, "index", "does not keep _source, so it cannot be copied", NULL, error);
  static const char *const hindering[] = {"read", "read_only", "read_only_allow_delete"};
  for (size_t i = 0; i < sizeof hindering / sizeof *hindering; i++)
    if (os_json_bool(blocks, hindering[i], false)) {
      os_fail(error, OS_ERR_GUARD, "index '%s' has the block index.blocks.%s", v->old, hindering[i]);
      os_advise(error, "lift it first");
      return refuse(v, "blocks", error);
    }
  return OS_OK;
}

static int guard_health(struct os_version *v, struct os_error *error) {
  char health[16];
  int rc = os_cluster_health(v->cluster, v->old, health, error);
  if (rc == OS_ERR_FORBIDDEN && v->request->allow_unverified) {
    os_error_clear(error);
    return os_job_audit(v->job, step, "health", "unknown", false, error,
                        "health of '%s' cannot be read; went on because of allow_unverified", v->old);
  }
  if (rc) {
    if (rc == OS_ERR_FORBIDDEN) os_advise(error, "get that right, or pass {\"allow_unverified\":true}");
    return refuse(v, "health", error);
  }
  if (!strcmp(health, "red")) {
    os_health_refuse_red(v->cluster, "index", v->old, error);
    return refuse(v, "health", error);
  }
  return OS_OK;
}

static int read_definition(struct os_version *v, struct os_error *error) {
  json_t *got = NULL;
  int rc = os_cluster_index_get(v->cluster, v->old, &got, error);
  if (rc) return refuse(v, "index", error);
  rc = guard_content(v, got, error);
  if (!rc && !(v->definition = os_index_definition(got))) rc = os_fail_nomem(error);
  if (!rc && os_cluster_is_serverless(v->cluster)) os_index_definition_elsewhere(v->definition, true);
  v->final_pipeline = os_json_string(got, "settings/index/final_pipeline", NULL) != NULL;
  json_decref(got);
  return rc;
}

/* ---- a collection of Serverless ---- */

/* It tells nobody's writes, and the old index is deleted in the end; it takes no blocks; and a copy into
** one that gives ids of its own could not be gone on with. */
static int guard_collection(struct os_version *v, struct os_error *error) {
  const struct os_versions_request *request = v->request;
  bool takes = true;
  if (!os_cluster_is_serverless(v->cluster)) return OS_OK;
  if (request->live)
    return unfit(v, "method", "is in a collection, which has no write block for method live",
                 "leave out 'method'", error);
  int rc = os_cluster_takes_ids(v->cluster, v->old, &takes, error);
  if (rc) return refuse(v, "ids", error);
  if (!takes)
    return unfit(v, "ids", "is in a collection that gives its documents ids of its own",
                 "copy it with os_reindex into an index of another name, then delete it", error);
  if (!request->allow_unverified && !request->allow_writes)
    return unfit(v, "writers",
                 "is in a collection, which does not tell whether somebody writes to it by this name",
                 "stop who does, and pass {\"allow_unverified\":true}", error);
  return os_job_audit(v->job, step, "writers", "unknown", false, error,
                      "a collection does not tell whether somebody writes to '%s' by its own name", v->old);
}

/* ---- the next version ---- */

int os_version_is_ours(struct os_version *v, bool *ours, struct os_error *error) {
  json_t *mappings = NULL;
  *ours = false;
  int rc = os_cluster_mapping(v->cluster, v->next, &mappings, error);
  if (!rc) *ours = !strcmp(os_json_string(mappings, "_meta/os_reindex_versions/operation", ""), v->operation);
  json_decref(mappings);
  return rc;
}

static int next_is_foreign(struct os_version *v, enum os_name_kind kind, struct os_error *error) {
  os_fail(error, OS_ERR_CONFLICT, "the next version of '%s', '%s', exists already%s", v->old, v->next,
          kind == OS_NAME_INDEX   ? " and was not made for this trigger"
          : kind == OS_NAME_ALIAS ? ": it is an alias"
                                  : ": it is a data stream");
  if (v->finished_by)
    os_advise(error, "job %lld has done this trigger to its end", (long long)v->finished_by);
  else
    os_advise(error, "delete it if nobody needs it, or name the newest version in 'indices'");
  return refuse(v, "next version", error);
}

static int guard_next(struct os_version *v, struct os_error *error) {
  struct os_resolved resolved = {0};
  char state[16];
  json_t *data = NULL;
  bool ours = false;
  int rc = os_version_get(v, "create", state, &data, error);
  if (!rc && (rc = os_cluster_resolve(v->cluster, v->next, &resolved, error)))
    refuse(v, "next version", error);
  v->created = !strcmp(state, "done");
  snprintf(v->next_uuid, sizeof v->next_uuid, "%s", resolved.uuid);
  if (!rc && resolved.kind == OS_NAME_INDEX && (rc = os_version_is_ours(v, &ours, error)))
    refuse(v, "next version", error);
  if (!rc && resolved.kind != OS_NAME_MISSING && !ours) {
    rc = next_is_foreign(v, resolved.kind, error);
  } else if (!rc && v->created && strcmp(os_json_string(data, "uuid", ""), v->next_uuid) != 0) {
    v->created = false;
    v->lost = true;
    rc = os_version_get(v, "swap", state, NULL, error);
    if (!rc && *state) {
      os_fail(error, OS_ERR_CONFLICT, "'%s', to which the aliases of '%s' were moving, was deleted", v->next,
              v->old);
      os_advise(error, "see to the aliases of '%s' by hand", v->old);
      rc = refuse(v, "next version", error);
    }
  }
  json_decref(data);
  os_resolved_free(&resolved);
  return rc;
}

/* ---- the alias ---- */

static int guard_alias(struct os_version *v, struct os_error *error) {
  struct os_resolved resolved = {0};
  const char *index = NULL;
  json_t *now = NULL, *properties = NULL;
  int rc = os_cluster_alias_get(v->cluster, v->alias, &now, error);
  if (!rc && !json_object_size(now) && !(rc = os_cluster_resolve(v->cluster, v->alias, &resolved, error)) &&
      resolved.kind != OS_NAME_MISSING)
    rc = os_fail(error, OS_ERR_CONFLICT, "'%s', which shall be the alias of '%s', is %s", v->alias, v->old,
                 resolved.kind == OS_NAME_INDEX ? "an index" : "a data stream");
  json_object_foreach(now, index, properties) {
    if (rc || !strcmp(index, v->old) || (*v->next_uuid && !strcmp(index, v->next))) continue;
    rc = os_fail(error, OS_ERR_GUARD, "alias '%s' is on '%s', which is neither '%s' nor its next version",
                 v->alias, index, v->old);
    os_advise(error,
              "searches through it would find both; take it off that index, or choose another alias_name");
  }
  json_decref(now);
  os_resolved_free(&resolved);
  return rc ? refuse(v, "alias", error) : OS_OK;
}

int os_version_guard(struct os_version *v, struct os_error *error) {
  char state[16];
  int rc = guard_old(v, error);
  if (rc) return rc;
  if (v->finished)
    return os_job_audit(v->job, step, "index", "pass", false, error, "'%s' was done by an earlier job",
                        v->old);
  rc = read_definition(v, error);
  if (!rc) rc = guard_collection(v, error);
  if (!rc) rc = guard_health(v, error);
  if (!rc) rc = guard_next(v, error);
  if (!rc && !v->lost) rc = os_version_check_method(v, error); /* begun anew, it may be by the other */
  if (!rc) rc = guard_alias(v, error);
  if (!rc) rc = os_version_get(v, "swap", state, NULL, error);
  if (rc) return rc;
  v->finished = v->request->keep_old && !strcmp(state, "done");
  return os_job_audit(v->job, step, "index", "pass", false, error,
                      "'%s' (UUID %s) can become '%s'%s, served by alias '%s'", v->old, v->old_uuid, v->next,
                      *v->next_uuid ? ", which this operation has created" : "", v->alias);
}
