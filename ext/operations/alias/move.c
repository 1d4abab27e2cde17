/* move.c - the one request that moves an alias, and what has become of it.
**
**   1 write down what is about to happen and how it is undone (step "switch", on the disk)
**   2 read once more: the alias is as the guards found it, the index it goes to is the same one
**   3 POST /_aliases, once
**   4 whatever was answered, read where the alias is, and decide by that
** A lost answer is no failure: where the alias has not moved the same request is sent again. With
** must_exist it can then take effect only once, however late the first one arrives; a server without it
** (before OpenSearch 2.12, and Elasticsearch 7.10) would silently add the alias to a second index if
** somebody moved it between 2 and 3, and that is taken back.
*/
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "operations/alias/alias_int.h"
#include "operations/settle.h"
#include "operations/step.h"

const char os_alias_step[] = "switch";

enum { ATTEMPTS = 3, PAUSE_MS = 500, SLICE_MS = 50, WHERE = 800 };

/* Seconds that the request and the reading after it may still take after Ctrl-C: else nobody knows what
** came of it. */
static const double GRACE = 0.8;

/* What was sent and what was found. */
struct course {
  struct os_job *job;
  struct os_cluster *cluster;
  const struct os_alias_move *move;
  const json_t *properties; /* of the alias at `from`; borrowed from move->before */
  bool must_exist;
  int sent;            /* what the request gave */
  struct os_error why; /* and its error */
  enum os_alias_place place;
  char where[WHERE];
};

json_t *os_alias_record(const struct os_cluster *cluster, const struct os_alias_move *move) {
  return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:O}", "alias", move->alias, "from", move->from, "to",
                   move->to, "from_uuid", move->from_uuid, "to_uuid", move->to_uuid, "connection",
                   cluster->endpoint->name, "properties", json_object_get(move->before, move->from));
}

static int write_intent(struct course *c, const char *body, struct os_error *error) {
  const struct os_alias_move *move = c->move;
  int rc = os_step_put(c->job, "", os_alias_step, "begun", os_alias_record(c->cluster, move), error);
  if (rc) return rc;
  return os_job_audit(
      c->job, "switch", "alias", "did", true, error,
      "moving alias '%s' from '%s' to '%s' (to put it back: SELECT os_undo_alias(%lld)): POST "
      "/_aliases %s",
      move->alias, move->from, move->to, (long long)c->job->number, body);
}

/* ---- before ---- */

static int check_index(struct course *c, struct os_error *error) {
  struct os_resolved resolved = {0};
  const struct os_alias_move *move = c->move;
  if (!*move->to_uuid) return OS_OK; /* the user may not read it, and allowed that */
  int rc = os_cluster_resolve(c->cluster, move->to, &resolved, error);
  if (!rc && resolved.kind == OS_NAME_MISSING)
    rc = os_fail(error, OS_ERR_CONFLICT, "index '%s' was deleted while alias '%s' was about to move to it",
                 move->to, move->alias);
  else if (!rc && strcmp(resolved.uuid, move->to_uuid) != 0)
    rc = os_fail(
        error, OS_ERR_CONFLICT,
        "index '%s' became another one (deleted and created again) while alias '%s' was about to move "
        "to it",
        move->to, move->alias);
  os_resolved_free(&resolved);
  return rc;
}

static int check_before(struct course *c, struct os_error *error) {
  json_t *now = NULL;
  int rc = os_cluster_alias_get(c->cluster, c->move->alias, &now, error);
  if (!rc && !json_equal(now, c->move->before)) {
    os_alias_where(now, c->where, sizeof c->where);
    os_fail(error, OS_ERR_CONFLICT, "somebody else changed alias '%s' meanwhile: it is on %s now",
            c->move->alias, c->where);
    rc = os_advise(error, "look at it (os_aliases), then do it again");
  }
  json_decref(now);
  return rc ? rc : check_index(c, error);
}

/* ---- the request, and where the alias is then ---- */

static int read_back(struct course *c, struct os_cluster *cluster, struct os_error *error) {
  json_t *now = NULL;
  int rc = os_cluster_alias_get(cluster, c->move->alias, &now, error);
  if (rc) return rc;
  c->place = os_alias_place(now, c->move->from, c->move->to, c->properties);
  os_alias_where(now, c->where, sizeof c->where);
  json_decref(now);
  return OS_OK;
}

static int cannot_tell(struct course *c, struct os_error *error) {
  char trouble[OS_ERROR_TEXT];
  const struct os_error *why = c->sent && error->code != OS_ERR_INTERRUPTED ? &c->why : error;
  snprintf(trouble, sizeof trouble, "%.700s", why->text);
  os_fail(error, why->code, "whether alias '%s' moved from '%s' to '%s' is not known: %s", c->move->alias,
          c->move->from, c->move->to, trouble);
  return os_advise(error,
                   "when the cluster answers, do it again: it looks where the alias is; os_undo_alias(%lld) "
                   "puts it back",
                   (long long)c->job->number);
}

static int send(struct course *c, const char *body, struct os_error *error) {
  struct os_settle settle;
  os_settle_late(&settle, c->cluster, GRACE);
  os_error_clear(&c->why);
  c->sent = os_cluster_aliases_change(&settle.cluster, body, &c->why);
  if (c->sent == OS_ERR_INTERRUPTED || c->sent == OS_ERR_NOMEM) {
    *error = c->why;
    if (c->sent == OS_ERR_INTERRUPTED) cannot_tell(c, error);
    return c->sent;
  }
  return read_back(c, &settle.cluster, error) ? cannot_tell(c, error) : OS_OK;
}

static int wait_a_moment(struct course *c, struct os_error *error) {
  for (int slept = 0; slept < PAUSE_MS; slept += SLICE_MS) {
    if (os_session_interrupted(c->job->session)) {
      os_fail(error, OS_ERR_INTERRUPTED, "interrupted");
      return cannot_tell(c, error);
    }
    os_clock_sleep_ms(SLICE_MS);
  }
  return OS_OK;
}

/* ---- what is done about it ---- */

static int repair(struct course *c, const char *from, const char *to, const char *what,
                  struct os_error *error) {
  char *body = os_alias_actions(c->move->alias, from, to, c->properties, from && c->must_exist);
  int rc =
      body ? os_job_audit(c->job, "switch", "repair", "did", true, error, "%s: POST /_aliases %s", what, body)
           : os_fail_nomem(error);
  if (!rc) rc = send(c, body, error);
  os_free(body);
  return rc;
}

/* Ours is not in effect: nothing is left to undo. */
static int give_up(struct course *c, struct os_error *error) {
  struct os_error ignored; /* the error that led here matters more */
  os_error_clear(&ignored);
  os_step_mark(c->job, "", os_alias_step, "undone", &ignored);
  return os_job_guard_failed(c->job, "switch", "read back", error);
}

static int somebody_else(struct course *c, bool in_effect, struct os_error *error) {
  os_fail(error, OS_ERR_CONFLICT,
          c->place == OS_ALIAS_CHANGED
              ? "alias '%s' is on %s, but somebody else changed its filter, routing or write flag meanwhile"
              : "somebody else changed alias '%s' meanwhile: it is on %s now",
          c->move->alias, c->where);
  os_advise(error, "look at it (os_aliases) and decide which index it shall be on");
  return in_effect ? os_job_guard_failed(c->job, "switch", "read back", error) : give_up(c, error);
}

static int settle_unmoved(struct course *c, struct os_error *error) {
  if (!c->sent) return somebody_else(c, false, error); /* it was acknowledged, so it was moved back */
  *error = c->why;
  if (os_cluster_unknown(c->sent)) {
    char trouble[OS_ERROR_TEXT];
    snprintf(trouble, sizeof trouble, "%.900s", c->why.text);
    os_fail(error, (enum os_code)c->sent,
            "alias '%s' is still on '%s', but the request to move it may yet be carried out: %s",
            c->move->alias, c->move->from, trouble);
    os_advise(error, "look at the cluster, then do it again");
    return os_job_guard_failed(c->job, "switch", "read back", error);
  }
  os_error_prefix(error, "alias '%s' stays on '%s'", c->move->alias, c->move->from);
  return give_up(c, error);
}

/* Take back what a server without must_exist added beside the index that somebody else had moved the
** alias to. */
static int take_back(struct course *c, struct os_error *error) {
  char others[WHERE];
  int rc = repair(c, c->move->to, NULL,
                  "the alias had been moved by somebody else; taking back what was added", error);
  if (rc) return rc;
  snprintf(others, sizeof others, "%s", c->where);
  return somebody_else(c, c->place == OS_ALIAS_AND_OTHERS, error);
}

static int settle(struct course *c, struct os_error *error) {
  bool refused = c->sent && !os_cluster_unknown(c->sent); /* then nothing of ours happened: all or nothing */
  int rc = OS_OK;
  if (c->place == OS_ALIAS_ON_BOTH && !refused)
    rc = repair(c, c->move->from, NULL, "the alias was on both indices", error);
  else if (c->place == OS_ALIAS_ON_NONE && !refused)
    rc = repair(c, NULL, c->move->to, "the alias was on no index", error);
  else if (c->place == OS_ALIAS_AND_OTHERS && !refused && !c->must_exist)
    return take_back(c, error);
  if (rc) return rc;
  switch (c->place) {
  case OS_ALIAS_MOVED: break;
  case OS_ALIAS_UNMOVED: return settle_unmoved(c, error);
  default: return somebody_else(c, !refused && c->place != OS_ALIAS_ELSEWHERE, error);
  }
  rc = os_step_mark(c->job, "", os_alias_step, "done", error);
  if (rc) return rc;
  return os_job_audit(c->job, "switch", "read back", "pass", false, error,
                      "alias '%s' is on exactly '%s', as it was on '%s'%s%.600s", c->move->alias, c->move->to,
                      c->move->from, c->sent ? "; no answer had told so: " : "", c->sent ? c->why.text : "");
}

int os_alias_move(struct os_job *job, struct os_cluster *cluster, const struct os_alias_move *move,
                  struct os_error *error) {
  struct course c = {.job = job,
                     .cluster = cluster,
                     .move = move,
                     .properties = json_object_get(move->before, move->from),
                     .must_exist = os_cluster_must_exist(&cluster->caps)};
  char *body = os_alias_actions(move->alias, move->from, move->to, c.properties, c.must_exist);
  if (!body) return os_fail_nomem(error);
  int rc = write_intent(&c, body, error);
  if (!rc && (rc = check_before(&c, error))) give_up(&c, error);
  for (int attempt = 1; !rc; attempt++) {
    rc = send(&c, body, error);
    if (rc || c.place != OS_ALIAS_UNMOVED || !os_cluster_unknown(c.sent) || attempt == ATTEMPTS) break;
    rc = wait_a_moment(&c, error);
    if (!rc && read_back(&c, c.cluster, error)) rc = cannot_tell(&c, error);
    if (c.place != OS_ALIAS_UNMOVED)
      break; /* the first request arrived meanwhile, or somebody else was here */
  }
  os_free(body);
  return rc ? rc : settle(&c, error);
}
