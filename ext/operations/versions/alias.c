/* alias.c - the alias while the documents are copied (on both versions, writes to the new one), and the
** swap after it (every alias of the old one goes to the new one). Each is one request, judged by reading
** back.
**
** While both carry the alias, a search finds a document in each; and what is changed or deleted by id
** before it was copied is not found in the new one. This is what the method is like, and is documented.
**
*/
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "operations/settle.h"
#include "operations/versions/versions_int.h"

enum { ATTEMPTS = 3, PAUSE_MS = 500 };
static const double GRACE = 0.8;

/* ---- a change ---- */

static int send_once(struct os_version *v, const struct os_version_change *change, bool *done, int *sent,
                     struct os_error *why, struct os_error *error) {
  struct os_settle settle;
  os_settle_late(&settle, v->cluster, GRACE);
  struct os_version quiet = *v;
  quiet.cluster = &settle.cluster;
  os_error_clear(why);
  *done = false;
  *sent = os_cluster_aliases_change(&settle.cluster, change->body, why);
  if (*sent == OS_ERR_INTERRUPTED || *sent == OS_ERR_NOMEM) {
    *error = *why;
    return *sent;
  }
  return change->is_done(&quiet, change->ctx, done, error);
}

int os_version_change_aliases(struct os_version *v, const struct os_version_change *change,
                              struct os_error *error) {
  struct os_error why;
  bool done = false;
  int sent = OS_OK;
  for (int attempt = 1; attempt <= ATTEMPTS; attempt++) {
    int rc = send_once(v, change, &done, &sent, &why, error);
    if (rc || done) return rc;
    if (sent && !os_cluster_unknown(sent)) break;
    for (int slept = 0; slept < PAUSE_MS && !os_session_interrupted(v->job->session); slept += 50)
      os_clock_sleep_ms(50);
  }
  if (sent) {
    *error = why;
    return os_error_prefix(error, "%s", change->what);
  }
  os_fail(error, OS_ERR_CONFLICT, "%s: acknowledged, but it is not so: somebody else changes these aliases",
          change->what);
  return (int)error->code;
}

/* {"actions":[…]} */
static char *body_of(json_t *actions_take) {
  json_t *body = actions_take ? json_pack("{s:o}", "actions", actions_take) : NULL;
  char *text = body ? os_json_text(body) : NULL;
  json_decref(body);
  return text;
}

/* {"add":{index, alias, and the properties}}; appended, false: no memory. */
static bool add(json_t *actions, const char *index, const char *alias, const json_t *properties) {
  json_t *action = json_pack("{s:s, s:s}", "index", index, "alias", alias);
  if (!action || json_object_update((json_t *)action, (json_t *)(uintptr_t)properties)) {
    json_decref(action);
    return false;
  }
  return !json_array_append_new(actions, json_pack("{s:o}", "add", action));
}

static bool take_off(json_t *actions, const char *index, const char *alias, bool must_exist) {
  json_t *action = json_pack("{s:s, s:s}", "index", index, "alias", alias);
  if (action && must_exist && !os_json_put(action, "must_exist", json_true())) {
    json_decref(action);
    return false;
  }
  return action && !json_array_append_new(actions, json_pack("{s:o}", "remove", action));
}

/* ---- on both ---- */

/* A copy of the properties, saying whether writes go there. */
static json_t *with_writes(const json_t *properties, bool writes) {
  json_t *out = properties ? json_copy((json_t *)(uintptr_t)properties) : json_object();
  if (out && os_json_put(out, "is_write_index", json_boolean(writes))) return out;
  json_decref(out);
  return NULL;
}

static int is_on_both(struct os_version *v, void *wanted, bool *done, struct os_error *error) {
  json_t *now = NULL;
  int rc = os_cluster_alias_get(v->cluster, v->alias, &now, error);
  *done = !rc && json_equal(now, wanted);
  json_decref(now);
  return rc;
}

/* How the alias was on the old index before this operation: in the step when it was begun, else as it is
** now. */
static int read_before(struct os_version *v, json_t **before, bool *done, struct os_error *error) {
  char state[16];
  json_t *data = NULL, *now = NULL;
  int rc = os_version_get(v, "alias", state, &data, error);
  *before = NULL;
  *done = !strcmp(state, "done");
  if (!rc && data) {
    *before = json_incref(json_object_get(data, "before"));
  } else if (!rc && !(rc = os_cluster_alias_get(v->cluster, v->alias, &now, error))) {
    const json_t *properties = json_object_get(now, v->old);
    *before = properties ? json_deep_copy(properties) : json_null();
    if (!*before) rc = os_fail_nomem(error);
  }
  json_decref(now);
  json_decref(data);
  return rc;
}

static int put_on_both(struct os_version *v, const json_t *before, struct os_error *error) {
  const json_t *properties = json_is_object(before) ? before : NULL;
  json_t *old = with_writes(properties, false), *next = with_writes(properties, true),
         *actions = json_array();
  json_t *wanted = old && next ? json_pack("{s:O, s:O}", v->old, old, v->next, next) : NULL;
  struct os_version_change change = {
      .what = "putting the alias on both versions", .is_done = is_on_both, .ctx = wanted};
  bool whole =
      wanted && actions && add(actions, v->next, v->alias, next) && add(actions, v->old, v->alias, old);
  if (whole) change.body = body_of(json_incref(actions));
  char *inverse = json_is_object(before) ? os_json_text(before) : os_strdup("no alias");
  int rc =
      change.body && inverse
          ? os_job_audit(v->job, "alias", "alias", "did", true, error,
                         "'%s' on both, writes go to '%s': POST /_aliases %.1000s; before: on '%s' %.500s",
                         v->alias, v->next, change.body, v->old, inverse)
          : os_fail_nomem(error);
  if (!rc)
    rc =
        os_version_put(v, "alias", "begun", json_pack("{s:O}", "before", (json_t *)(uintptr_t)before), error);
  if (!rc) rc = os_version_change_aliases(v, &change, error);
  if (!rc) rc = os_version_mark(v, "alias", "done", error);
  if (!rc)
    rc = os_job_audit(v->job, "alias", "read back", "pass", false, error, "alias '%s' is on '%s' and '%s'",
                      v->alias, v->old, v->next);
  os_free(inverse);
  os_free(change.body);
  json_decref(actions);
  json_decref(wanted);
  json_decref(old);
  json_decref(next);
  return rc;
}

/* ---- back to the old one alone ---- */

static int is_as_before(struct os_version *v, void *before, bool *done, struct os_error *error) {
  json_t *now = NULL;
  int rc = os_cluster_alias_get(v->cluster, v->alias, &now, error);
  const json_t *properties = json_object_get(now, v->old);
  *done = !rc && (json_is_object((json_t *)before) ? json_equal(properties, before) : !properties);
  json_decref(now);
  return rc;
}

/* Begun with the alias on both, and begun anew without: the old index takes the writes again. */
static int put_back(struct os_version *v, json_t *before, struct os_error *error) {
  json_t *actions = json_array();
  struct os_version_change change = {
      .what = "putting the alias back", .is_done = is_as_before, .ctx = before};
  bool whole = actions && (json_is_object(before) ? add(actions, v->old, v->alias, before)
                                                  : take_off(actions, v->old, v->alias,
                                                             os_cluster_must_exist(&v->cluster->caps)));
  if (whole) change.body = body_of(json_incref(actions));
  int rc = change.body ? os_job_audit(v->job, "alias", "alias", "did", true, error,
                                      "'%s' as it was on '%s' before: POST /_aliases %.1500s", v->alias,
                                      v->old, change.body)
                       : os_fail_nomem(error);
  if (!rc) rc = os_version_change_aliases(v, &change, error);
  os_free(change.body);
  json_decref(actions);
  return rc;
}

static int undo_alias(struct os_version *v, struct os_error *error) {
  char state[16];
  json_t *data = NULL;
  bool done = true;
  int rc = os_version_get(v, "alias", state, &data, error);
  json_t *before = json_object_get(data, "before");
  if (!rc && before) rc = is_as_before(v, before, &done, error);
  if (!rc && !done) rc = put_back(v, before, error);
  json_decref(data);
  return rc;
}

int os_version_alias(struct os_version *v, struct os_error *error) {
  if (v->request->live) return undo_alias(v, error); /* everything stays on the old index until the end */
  json_t *before = NULL;
  bool done = false;
  int rc = read_before(v, &before, &done, error);
  if (!rc && !done) rc = put_on_both(v, before, error);
  v->aliased = !rc;
  json_decref(before);
  return rc;
}

/* ---- from the old one to the new one ---- */

static int aliases_of(struct os_version *v, const char *index, json_t **out, struct os_error *error) {
  struct os_resolved resolved = {0};
  int rc = os_cluster_resolve(v->cluster, index, &resolved, error);
  *out = NULL;
  if (!rc && resolved.kind == OS_NAME_INDEX && resolved.aliases)
    *out = json_incref(resolved.aliases);
  else if (!rc)
    rc = os_fail(error, OS_ERR_CONFLICT, "the aliases of '%s' cannot be read any more", index);
  os_resolved_free(&resolved);
  return rc;
}

/* The new one has all that are to go over, and the old one none of them. One that the old one was given
** meanwhile keeps it from being deleted (remove.c). */
static int is_swapped(struct os_version *v, void *wanted, bool *done, struct os_error *error) {
  json_t *old = NULL, *next = NULL, *properties = NULL;
  const char *alias = NULL;
  int rc = aliases_of(v, v->old, &old, error);
  if (!rc) rc = aliases_of(v, v->next, &next, error);
  *done = !rc;
  json_object_foreach((json_t *)wanted, alias, properties) {
    if (json_object_get(old, alias) || !json_equal(json_object_get(next, alias), properties)) *done = false;
  }
  json_decref(old);
  json_decref(next);
  return rc;
}

/* {alias: properties} that the new one shall have: what the old one has, and the alias of the trigger
** with its writes. */
static int plan_swap(struct os_version *v, const json_t *old, json_t **wanted, struct os_error *error) {
  json_t *next = NULL, *plan = json_copy((json_t *)(uintptr_t)old);
  int rc = plan ? aliases_of(v, v->next, &next, error) : os_fail_nomem(error);
  const json_t *own = json_object_get(next, v->alias);
  if (!rc && !os_json_put(plan, v->alias, with_writes(own ? own : json_object_get(old, v->alias), true)))
    rc = os_fail_nomem(error);
  json_decref(next);
  *wanted = rc ? NULL : plan;
  if (rc) json_decref(plan);
  return rc;
}

static json_t *swap_actions(struct os_version *v, const json_t *old, const json_t *wanted) {
  const char *alias = NULL;
  json_t *properties = NULL, *actions = json_array();
  bool whole = actions != NULL, must_exist = os_cluster_must_exist(&v->cluster->caps);
  json_object_foreach((json_t *)(uintptr_t)old, alias, properties) {
    whole = whole && take_off(actions, v->old, alias, must_exist);
  }
  json_object_foreach((json_t *)(uintptr_t)wanted, alias, properties) {
    whole = whole && add(actions, v->next, alias, properties);
  }
  if (whole) return actions;
  json_decref(actions);
  return NULL;
}

static int swap(struct os_version *v, const json_t *old, json_t *wanted, struct os_error *error) {
  struct os_version_change change = {.body = body_of(swap_actions(v, old, wanted)),
                                     .what = "moving the aliases to the next version",
                                     .is_done = is_swapped,
                                     .ctx = wanted};
  char *inverse = os_json_text(old);
  int rc = change.body && inverse
               ? os_job_audit(v->job, "swap", "aliases", "did", true, error,
                              "from '%s' to '%s': POST /_aliases %.1000s; before, '%s' had %.700s", v->old,
                              v->next, change.body, v->old, inverse)
               : os_fail_nomem(error);
  if (!rc)
    rc = os_version_put(v, "swap", "begun",
                        json_pack("{s:O, s:O}", "old", (json_t *)(uintptr_t)old, "next", wanted), error);
  if (!rc) rc = os_version_change_aliases(v, &change, error);
  os_free(inverse);
  os_free(change.body);
  return rc;
}

int os_version_swap(struct os_version *v, struct os_error *error) {
  char state[16];
  json_t *data = NULL, *old = NULL, *wanted = NULL;
  bool done = false;
  int rc = os_version_get(v, "swap", state, &data, error);
  if (!rc) rc = aliases_of(v, v->old, &old, error);
  if (!rc && !json_object_size(old) && !strcmp(state, "begun")) { /* carried out, and the answer was lost */
    wanted = json_incref(json_object_get(data, "next"));
    rc = is_swapped(v, wanted, &done, error);
    if (!rc && !done)
      rc = os_fail(error, OS_ERR_CONFLICT, "somebody else took the aliases off '%s' and not all are on '%s'",
                   v->old, v->next);
  } else if (!rc && strcmp(state, "done") != 0) {
    rc = plan_swap(v, old, &wanted, error);
    if (!rc) rc = swap(v, old, wanted, error);
  }
  if (!rc && strcmp(state, "done") != 0) rc = os_version_mark(v, "swap", "done", error);
  if (!rc && strcmp(state, "done") != 0)
    rc = os_job_audit(v->job, "swap", "read back", "pass", false, error,
                      "%zu aliases are on '%s' and not on '%s'", json_object_size(wanted), v->next, v->old);
  v->swapped = !rc;
  json_decref(wanted);
  json_decref(old);
  json_decref(data);
  return rc;
}
