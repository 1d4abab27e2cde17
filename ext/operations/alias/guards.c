/* guards.c - what an index must be for an alias to point to it: one concrete index, open, unblocked, not
** red.
**
** Every guard is a row of os_audit. What the user's rights forbid to ask is "unknown" and stops, unless
** the caller allowed it.
*/
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "operations/alias/alias_int.h"
#include "operations/health/health.h"

static const char step[] = "guards";

void os_alias_index_free(struct os_alias_index *index) {
  json_decref(index->settings);
  json_decref(index->mappings);
  index->settings = index->mappings = NULL;
}

int os_alias_refuse(struct os_job *job, const char *check, const struct os_error *error) {
  return os_job_guard_failed(job, step, check, error);
}

/* ---- is it one index? ---- */

static int refuse_kind(struct os_job *job, const struct os_alias_index *index, char check[48],
                       const struct os_resolved *resolved, struct os_error *error) {
  if (resolved->kind == OS_NAME_MISSING) {
    os_fail(error, OS_ERR_NOT_FOUND, "%s index '%s' does not exist", index->role, index->name);
  } else {
    const char *first = json_string_value(json_array_get(resolved->indices, 0));
    os_fail(error, OS_ERR_GUARD, "%s '%s' is %s, not an index", index->role, index->name,
            resolved->kind == OS_NAME_ALIAS ? "an alias" : "a data stream");
    if (first && resolved->kind == OS_NAME_ALIAS)
      os_advise(error, "name the index behind it, such as '%s'", first);
  }
  return os_alias_refuse(job, check, error);
}

/* Settings and mappings in one request, and what else it tells: the index may be part of a data stream. */
static int read_definition(struct os_job *job, struct os_cluster *cluster, struct os_alias_index *index,
                           const char *check, struct os_error *error) {
  json_t *got = NULL;
  int rc = os_cluster_index_get(cluster, index->name, &got, error);
  if (rc) return rc;
  const char *stream = os_json_string(got, "data_stream", NULL);
  if (stream) {
    os_fail(error, OS_ERR_GUARD, "%s index '%s' belongs to data stream '%s'", index->role, index->name,
            stream);
    os_advise(error, "a data stream chooses its indices itself; no alias is moved between them");
    rc = os_alias_refuse(job, check, error);
  } else if (os_json_bool(got, "settings/index/verified_before_close", false)) {
    os_fail(error, OS_ERR_GUARD, "%s index '%s' is closed", index->role, index->name);
    os_advise(error, "open it: SELECT os_request('POST', '/%s/_open')", index->name);
    rc = os_alias_refuse(job, check, error);
  } else {
    index->settings = json_incref(json_object_get(json_object_get(got, "settings"), "index"));
    index->mappings = json_incref(json_object_get(got, "mappings"));
  }
  json_decref(got);
  return rc;
}

int os_alias_guard_index(struct os_job *job, struct os_cluster *cluster, bool allow_unverified,
                         struct os_alias_index *index, struct os_error *error) {
  struct os_resolved resolved = {0};
  char check[48];
  snprintf(check, sizeof check, "%s index", index->role);
  int rc = os_cluster_resolve(cluster, index->name, &resolved, error);
  if (rc == OS_ERR_FORBIDDEN) {
    rc = os_job_unverified(job, "guards", check, allow_unverified, error);
  } else if (!rc && resolved.kind != OS_NAME_INDEX) {
    rc = refuse_kind(job, index, check, &resolved, error);
  } else if (!rc) {
    snprintf(index->uuid, sizeof index->uuid, "%s", resolved.uuid);
    rc = read_definition(job, cluster, index, check, error);
    if (rc == OS_ERR_FORBIDDEN)
      rc = os_job_unverified(job, "guards", check, allow_unverified, error);
    else if (!rc)
      rc = os_job_audit(job, step, check, "pass", false, error, "'%s' is one open index, UUID %s",
                        index->name, *index->uuid ? index->uuid : "not known");
  }
  os_resolved_free(&resolved);
  return rc;
}

/* ---- its settings ---- */

/* Each hinders what an index behind an alias is there for; a clone inherits the first (measured).
** index.blocks.metadata is not among them: with it the server does not even tell the aliases. */
static const struct {
  const char *setting, *hinders;
} blocks[] = {{"write", "writing"},
              {"read_only", "writing"},
              {"read_only_allow_delete", "writing"},
              {"read", "searching"}};

/* Settings come nested, {"blocks": {"write": "true"}}. */
static const char *blocked_by(const json_t *settings, const char **hinders) {
  const json_t *given = json_object_get(settings, "blocks");
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
    *hinders = blocks[i].hinders;
    if (os_json_bool(given, blocks[i].setting, false)) return blocks[i].setting;
  }
  return NULL;
}

int os_alias_guard_settings(struct os_job *job, const struct os_alias_index *index, struct os_error *error) {
  const char *hinders = NULL;
  if (!index->settings)
    return os_job_audit(job, step, "settings", "skip", false, error, "settings of '%s' cannot be read",
                        index->name);
  const char *block = blocked_by(index->settings, &hinders);
  const char *refresh = os_json_string(index->settings, "refresh_interval", "");
  if (block) {
    os_fail(error, OS_ERR_GUARD, "%s index '%s' has the block index.blocks.%s, which forbids %s", index->role,
            index->name, block, hinders);
    os_advise(error, "lift it: SELECT os_request('PUT', '/%s/_settings', '{\"index.blocks.%s\":null}')",
              index->name, block);
    return os_alias_refuse(job, "blocks", error);
  }
  int rc = os_job_audit(job, step, "blocks", "pass", false, error, "'%s' has no block", index->name);
  if (rc) return rc;
  if (!strncmp(refresh, "-1", 2)) {
    os_fail(error, OS_ERR_GUARD,
            "%s index '%s' has refresh_interval %s: what is written to it would not be found", index->role,
            index->name, refresh);
    os_advise(error, "set it: SELECT os_request('PUT', '/%s/_settings', '{\"index.refresh_interval\":null}')",
              index->name);
    return os_alias_refuse(job, "refresh", error);
  }
  return os_job_audit(job, step, "refresh", "pass", false, error, "refresh_interval of '%s' is %s",
                      index->name, *refresh ? refresh : "the default");
}

/* ---- its health ---- */

int os_alias_guard_health(struct os_job *job, struct os_cluster *cluster, const char *index,
                          bool allow_unverified, char health[16], struct os_error *error) {
  static const char check[] = "health";
  int rc = os_cluster_health(cluster, index, health, error);
  if (rc == OS_ERR_FORBIDDEN) return os_job_unverified(job, "guards", check, allow_unverified, error);
  if (rc) return os_alias_refuse(job, check, error);
  if (!strcmp(health, "red")) {
    os_health_refuse_red(cluster, "index", index, error);
    return os_alias_refuse(job, check, error);
  }
  return os_job_audit(job, step, check, "pass", false, error, "'%s' is %s%s", index, health,
                      !strcmp(health, "yellow") ? ": all documents are there, but not every replica" : "");
}
