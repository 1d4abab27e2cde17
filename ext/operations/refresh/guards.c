/* guards.c - what must be so before a refresh changes anything; see refresh_int.h. Each is a row of
** os_audit. */
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "operations/refresh/refresh_int.h"

static int refuse(struct os_refresh *refresh, const char *check, struct os_error *error) {
  return os_job_guard_failed(refresh->job, "guard", check, error);
}

static int guard_names(struct os_refresh *refresh, struct os_error *error) {
  const struct os_refresh_request *r = refresh->request;
  int rc = os_cluster_check_name(r->alias, error);
  if (!rc) rc = os_cluster_check_name(r->primary, error);
  if (!rc) rc = os_cluster_check_name(r->secondary, error);
  if (rc) return rc;
  if (!strcmp(r->primary, r->secondary))
    return os_fail(error, OS_ERR_ARGUMENT, "primary and secondary are both %s: two indices are needed",
                   r->primary);
  if (!strcmp(r->alias, r->primary) || !strcmp(r->alias, r->secondary))
    return os_fail(error, OS_ERR_ARGUMENT, "%s is given as the alias and as an index", r->alias);
  return OS_OK;
}

static int done(struct os_refresh *refresh, const char *step, bool *is_done, struct os_error *error) {
  char state[16];
  int rc = os_ledger_step_get(refresh->job->ledger, refresh->job->number, "", step, state, NULL, error);
  *is_done = !strcmp(state, "done");
  return rc;
}

/* "a, b" of an array of names. */
static void list_names(const json_t *names, char *out, size_t size) {
  size_t used = 0;
  out[0] = '\0';
  for (size_t i = 0; i < json_array_size(names) && used < size; i++) {
    int n =
        snprintf(out + used, size - used, "%s%s", i ? ", " : "", json_string_value(json_array_get(names, i)));
    used += n > 0 ? (size_t)n : 0;
  }
}

static int wrong_place(struct os_refresh *refresh, const struct os_resolved *alias, struct os_error *error) {
  const struct os_refresh_request *r = refresh->request;
  char where[512];
  list_names(alias->indices, where, sizeof where);
  if (alias->kind == OS_NAME_MISSING) {
    os_fail(error, OS_ERR_GUARD, "there is no alias %s", r->alias);
    os_advise(error, "create it on %s first: POST /_aliases", r->primary);
  } else if (alias->kind != OS_NAME_ALIAS) {
    os_fail(error, OS_ERR_GUARD, "%s is %s, not an alias", r->alias,
            alias->kind == OS_NAME_INDEX ? "an index" : "a data stream");
    os_advise(error, "a refresh needs an alias in front of the index");
  } else if (json_array_size(alias->indices) == 1 && !strcmp(where, r->secondary) && refresh->continued) {
    os_fail(error, OS_ERR_GUARD, "alias %s is on %s: job %lld stopped half-way through a refresh", r->alias,
            where, (long long)refresh->continued);
    os_advise(error, "call again with {\"resume\":true}");
  } else {
    os_fail(error, OS_ERR_GUARD, "alias %s is on %s, not on %s alone", r->alias, where, r->primary);
    os_advise(error, "name as primary the one index that the alias is on");
  }
  return refuse(refresh, "alias", error);
}

/* A refresh begins with the alias on the primary; when it goes on later, its own steps know. */
static int guard_alias(struct os_refresh *refresh, struct os_error *error) {
  const struct os_refresh_request *r = refresh->request;
  struct os_resolved alias = {0};
  bool moved = false;
  int rc = r->resume && !r->dry_run ? done(refresh, "to_secondary", &moved, error) : OS_OK;
  if (rc || moved) return rc;
  rc = os_cluster_resolve(refresh->cluster, r->alias, &alias, error);
  if (rc == OS_ERR_FORBIDDEN) rc = refuse(refresh, "alias", error);
  if (!rc) {
    const char *only = json_string_value(json_array_get(alias.indices, 0));
    bool at_home =
        alias.kind == OS_NAME_ALIAS && json_array_size(alias.indices) == 1 && !strcmp(only, r->primary);
    /* the switch may have been made, and only its answer lost: that step will look */
    bool away = r->resume && alias.kind == OS_NAME_ALIAS && json_array_size(alias.indices) == 1 &&
                !strcmp(only, r->secondary);
    rc = at_home || away ? os_job_audit(refresh->job, "guard", "alias", "pass", false, error,
                                        "%s is on %s alone", r->alias, only)
                         : wrong_place(refresh, &alias, error);
  }
  os_resolved_free(&alias);
  return rc;
}

/* Step 3 empties the primary, which is refused while any other alias serves it. */
static int guard_other_aliases(struct os_refresh *refresh, struct os_error *error) {
  const struct os_refresh_request *r = refresh->request;
  struct os_resolved primary = {0};
  const char *name = NULL;
  json_t *ignored = NULL;
  int rc = os_cluster_resolve(refresh->cluster, r->primary, &primary, error);
  if (!rc && primary.kind != OS_NAME_INDEX) {
    os_fail(error, OS_ERR_GUARD, "primary %s %s", r->primary,
            primary.kind == OS_NAME_MISSING ? "does not exist" : "is not a concrete index");
    rc = refuse(refresh, "primary", error);
  }
  json_object_foreach(primary.aliases, name, ignored) {
    if (rc || !strcmp(name, r->alias)) continue;
    os_fail(error, OS_ERR_GUARD, "alias %s serves %s, too: it would answer with nothing while that is loaded",
            name, r->primary);
    os_advise(error, "move it first (os_switch_alias), or remove it");
    rc = refuse(refresh, "primary", error);
  }
  if (!rc)
    rc = os_job_audit(refresh->job, "guard", "primary", "pass", false, error, "%s serves no other alias",
                      r->primary);
  os_resolved_free(&primary);
  return rc;
}

/* Are the files there, and can each be read? Nobody wants to learn that after an hour of copying. */
static int guard_files(struct os_refresh *refresh, struct os_error *error) {
  struct os_load load;
  int rc = os_load_begin(&load, &refresh->request->load, refresh->job, refresh->cluster, error);
  if (!rc) rc = os_load_step_plan(&load, error);
  os_load_free(&load);
  return rc;
}

static int guard_reindex(struct os_refresh *refresh, struct os_error *error) {
  struct os_reindex_request copy = refresh->request->reindex;
  struct os_reindex_result result = {0};
  copy.source = refresh->request->primary;
  copy.target = refresh->request->secondary;
  copy.dry_run = true;
  return os_reindex_run(refresh->job, refresh->cluster, &copy, &result, error);
}

int os_refresh_guards(struct os_refresh *refresh, struct os_error *error) {
  bool copied = false, loaded = false;
  int rc = guard_names(refresh, error);
  if (!rc) rc = os_session_cluster_probe(refresh->job->session, refresh->cluster, false, error);
  if (!rc) rc = os_refresh_guard_collection(refresh, error);
  if (!rc && !refresh->request->dry_run) rc = done(refresh, "reindex", &copied, error);
  if (!rc && !refresh->request->dry_run) rc = done(refresh, "load", &loaded, error);
  if (!rc) rc = guard_alias(refresh, error);
  if (!rc && !loaded) rc = guard_other_aliases(refresh, error);
  if (!rc && !loaded) rc = guard_files(refresh, error);
  if (!rc && !copied) rc = guard_reindex(refresh, error);
  return rc;
}
