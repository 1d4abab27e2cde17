/* undo.c - os_undo_alias: the alias goes back to where it was before a job moved it; see alias.h.
**
** What the job did is its step "switch". The move back is one of the same kind, written down in the same
** way, so an undoing that dies can be repeated, and one that was a mistake can be undone.
*/
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "operations/alias/alias_int.h"
#include "operations/step.h"

static const char step[] = "guards";

/* What a job's step says. */
struct moved {
  json_t *data;
  const char *alias, *from, *to, *from_uuid, *to_uuid;
  const json_t *properties;
};

static int no_such_move(int64_t job, struct os_error *error) {
  os_fail(error, OS_ERR_NOT_FOUND, "job %lld moved no alias", (long long)job);
  return os_advise(error, "SELECT job, arguments FROM os_jobs WHERE kind IN ('switch_alias', 'undo_alias')");
}

static int read_moved(struct os_ledger *ledger, int64_t job, struct moved *moved, struct os_error *error) {
  char state[16];
  *moved = (struct moved){.alias = "", .from = "", .to = "", .from_uuid = "", .to_uuid = ""};
  int rc = os_step_get(ledger, job, "", os_alias_step, state, &moved->data, error);
  if (rc) return rc;
  if (!moved->data) return no_such_move(job, error);
  moved->alias = os_json_string(moved->data, "alias", "");
  moved->from = os_json_string(moved->data, "from", "");
  moved->to = os_json_string(moved->data, "to", "");
  moved->from_uuid = os_json_string(moved->data, "from_uuid", "");
  moved->to_uuid = os_json_string(moved->data, "to_uuid", "");
  moved->properties = json_object_get(moved->data, "properties");
  if (*moved->alias && *moved->from && *moved->to && json_is_object(moved->properties)) return OS_OK;
  json_decref(moved->data);
  moved->data = NULL;
  return os_fail(error, OS_ERR_LEDGER, "what job %lld did with its alias cannot be read in the ledger",
                 (long long)job);
}

int os_alias_moved_on(struct os_ledger *ledger, int64_t moved_by, char **connection, struct os_error *error) {
  struct moved moved;
  *connection = NULL;
  int rc = read_moved(ledger, moved_by, &moved, error);
  if (rc) return rc;
  if (os_ledger_job_alive(ledger, moved_by)) {
    rc = os_fail(error, OS_ERR_CONFLICT, "job %lld still runs", (long long)moved_by);
    os_advise(error, "wait for its end, or stop it with os_cancel(%lld)", (long long)moved_by);
  } else {
    *connection = os_strdup(os_json_string(moved.data, "connection", "main"));
    if (!*connection) rc = os_fail_nomem(error);
  }
  json_decref(moved.data);
  return rc;
}

/* The two indices must be those of then: one of the same name, deleted and created again, is another. */
static int guard_index(struct os_job *job, struct os_cluster *cluster,
                       const struct os_alias_undo_request *request, struct os_alias_index *index,
                       const char *uuid, struct os_error *error) {
  int rc = os_alias_guard_index(job, cluster, request->allow_unverified, index, error);
  if (rc || !*uuid || !*index->uuid || !strcmp(uuid, index->uuid)) return rc;
  os_fail(error, OS_ERR_GUARD,
          "index '%s' is another one than job %lld knew: it was deleted and created again", index->name,
          (long long)request->moved_by);
  os_advise(error, "move the alias with os_switch_alias, whose guards look at what the index holds now");
  return os_alias_refuse(job, "same index", error);
}

static int guard_place(struct os_job *job, const struct os_alias_undo_request *request,
                       const struct moved *moved, const json_t *now, bool *already, struct os_error *error) {
  char where[800];
  os_alias_where(now, where, sizeof where);
  enum os_alias_place place = os_alias_place(now, moved->from, moved->to, moved->properties);
  *already = place == OS_ALIAS_UNMOVED && json_equal(json_object_get(now, moved->from), moved->properties);
  if (*already)
    return os_job_audit(job, step, "alias", "pass", false, error,
                        "alias '%s' is on %s, as before job %lld: there is nothing to undo", moved->alias,
                        where, (long long)request->moved_by);
  if (place == OS_ALIAS_MOVED)
    return os_job_audit(job, step, "alias", "pass", false, error,
                        "alias '%s' is on exactly %s, as job %lld left it", moved->alias, where,
                        (long long)request->moved_by);
  if (place == OS_ALIAS_CHANGED || place == OS_ALIAS_UNMOVED)
    os_fail(error, OS_ERR_GUARD,
            "alias '%s' is on %s, but its filter, routing or write flag were changed since job %lld",
            moved->alias, where, (long long)request->moved_by);
  else
    os_fail(error, OS_ERR_GUARD, "alias '%s' was moved again since job %lld: it is on %s now", moved->alias,
            (long long)request->moved_by, where);
  os_advise(error, "job %lld had moved it from '%s' to '%s'; use os_switch_alias",
            (long long)request->moved_by, moved->from, moved->to);
  return os_alias_refuse(job, "alias", error);
}

static int move_back(struct os_job *job, struct os_cluster *cluster,
                     const struct os_alias_undo_request *request, const struct moved *moved,
                     const json_t *now, struct os_error *error) {
  struct os_alias_index back = {.role = "original", .name = moved->from},
                        away = {.role = "present", .name = moved->to};
  char health[16];
  int rc = guard_index(job, cluster, request, &away, moved->to_uuid, error);
  if (!rc) rc = guard_index(job, cluster, request, &back, moved->from_uuid, error);
  if (!rc) rc = os_alias_guard_health(job, cluster, moved->from, request->allow_unverified, health, error);
  if (!rc && !request->dry_run) {
    struct os_alias_move move = {.alias = moved->alias,
                                 .from = moved->to,
                                 .to = moved->from,
                                 .from_uuid = away.uuid,
                                 .to_uuid = back.uuid,
                                 .before = now};
    rc = os_alias_move(job, cluster, &move, error);
  }
  os_alias_index_free(&back);
  os_alias_index_free(&away);
  return rc;
}

int os_alias_undo_run(struct os_job *job, struct os_cluster *cluster,
                      const struct os_alias_undo_request *request, struct os_alias_undo_result *result,
                      struct os_error *error) {
  struct moved moved;
  json_t *now = NULL;
  memset(result, 0, sizeof *result);
  int rc = read_moved(job->ledger, request->moved_by, &moved, error);
  if (rc) return rc;
  snprintf(result->alias, sizeof result->alias, "%s", moved.alias);
  snprintf(result->from, sizeof result->from, "%s", moved.to);
  snprintf(result->to, sizeof result->to, "%s", moved.from);
  rc = os_session_cluster_probe(job->session, cluster, false, error);
  if (!rc) rc = os_cluster_alias_get(cluster, moved.alias, &now, error);
  if (!rc) rc = guard_place(job, request, &moved, now, &result->already, error);
  if (!rc && !result->already) rc = move_back(job, cluster, request, &moved, now, error);
  if (!rc && !request->dry_run)
    rc = os_ledger_step_put(job->ledger, request->moved_by, "", os_alias_step, "undone", NULL, error);
  json_decref(now);
  json_decref(moved.data);
  return rc;
}
