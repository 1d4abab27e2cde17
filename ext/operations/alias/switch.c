/* switch.c - os_switch_alias as its steps; see alias.h. The guards are in guards.c and counts.c, the
** change in move.c.
*/
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "operations/alias/alias_int.h"

static const char step[] = "guards";

struct alias_switch {
  struct os_job *job;
  struct os_cluster *cluster;
  const struct os_alias_switch_request *request;
  struct os_alias_switch_result *result;
  struct os_alias_index source, target;
  json_t *before; /* {source: properties of the alias} */
};

/* ---- 1 names ---- */

static int check_names(const struct os_alias_switch_request *request, struct os_error *error) {
  const struct {
    const char *role, *name;
  } names[] = {{"alias", request->alias}, {"source", request->source}, {"target", request->target}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (os_cluster_check_name(names[i].name, error)) return os_error_prefix(error, "%s", names[i].role);
  if (!strcmp(request->source, request->target)) {
    os_fail(error, OS_ERR_ARGUMENT, "source and target are the same index, '%s'", request->source);
    return os_advise(error, "name the index that the alias is on, then the one it shall move to");
  }
  if (!strcmp(request->alias, request->source) || !strcmp(request->alias, request->target)) {
    os_fail(error, OS_ERR_ARGUMENT, "'%s' is named as the alias and as an index", request->alias);
    return os_advise(error, "an alias and an index never have one name");
  }
  return OS_OK;
}

static int guard_names(struct alias_switch *s, struct os_error *error) {
  if (check_names(s->request, error)) return os_alias_refuse(s->job, "names", error);
  return os_job_audit(s->job, step, "names", "pass", false, error, "three single names");
}

/* ---- 2 where the alias is ---- */

/* The server knows no alias of that name: what else is it? */
static int refuse_no_alias(struct alias_switch *s, struct os_error *error) {
  struct os_resolved resolved = {0};
  const char *alias = s->request->alias;
  int rc = os_cluster_resolve(s->cluster, alias, &resolved, error);
  if (rc) return os_alias_refuse(s->job, "alias", error);
  if (resolved.kind == OS_NAME_MISSING) {
    os_fail(error, OS_ERR_NOT_FOUND, "there is no alias '%s'", alias);
    os_advise(
        error,
        "create it first: SELECT os_request('POST', '/_aliases', '{\"actions\":[{\"add\":{\"index\":\"%s\","
        "\"alias\":\"%s\"}}]}')",
        s->request->source, alias);
  } else {
    os_fail(error, OS_ERR_GUARD, "'%s' is %s, not an alias", alias,
            resolved.kind == OS_NAME_INDEX   ? "an index"
            : resolved.kind == OS_NAME_ALIAS ? "an alias of a data stream"
                                             : "a data stream");
    if (resolved.kind == OS_NAME_INDEX)
      os_advise(error, "somebody may have written to that name while there was no such alias");
  }
  os_resolved_free(&resolved);
  return os_alias_refuse(s->job, "alias", error);
}

/* The answer that an earlier job with the same names never saw: its request was carried out all the
** same. */
static int find_earlier(struct alias_switch *s, const char *key, struct os_error *error) {
  char status[16], state[16] = "";
  int64_t job = s->job->number;
  do {
    int rc = os_ledger_operation_last(s->job->ledger, "switch_alias", key, job, &job, status, error);
    if (!rc && job) rc = os_ledger_step_get(s->job->ledger, job, "", os_alias_step, state, NULL, error);
    if (rc) return rc;
  } while (job && !*state); /* those that a guard stopped say nothing about the ones before */
  if (job && !strcmp(state, "begun") && strcmp(status, "running") != 0) s->result->earlier = job;
  return OS_OK;
}

static int accept_moved(struct alias_switch *s, const char *key, const json_t *now, struct os_error *error) {
  const struct os_alias_switch_request *request = s->request;
  int rc = find_earlier(s, key, error);
  if (rc) return rc;
  int64_t earlier = s->result->earlier;
  if (earlier) {
    s->result->already = true;
    if (!request->dry_run) {
      char *data = NULL, state[16];
      rc = os_ledger_step_get(s->job->ledger, earlier, "", os_alias_step, state, &data, error);
      if (!rc) rc = os_ledger_step_put(s->job->ledger, earlier, "", os_alias_step, "done", NULL, error);
      if (!rc)
        rc = os_ledger_step_put(s->job->ledger, s->job->number, "", os_alias_step, "done", data, error);
      os_free(data);
    }
    if (rc) return rc;
    return os_job_audit(s->job, step, "alias", "pass", false, error,
                        "alias '%s' is on '%s' already: job %lld moved it and never saw the answer",
                        request->alias, request->target, (long long)earlier);
  }
  if (request->done_is_success) {
    s->result->already = true;
    return os_job_audit(s->job, step, "alias", "pass", false, error, "alias '%s' is on '%s' already",
                        request->alias, request->target);
  }
  char where[300];
  os_alias_where(now, where, sizeof where);
  os_fail(error, OS_ERR_GUARD, "alias '%s' is on %s already", request->alias, where);
  os_advise(error, "there is nothing to do");
  return os_alias_refuse(s->job, "alias", error);
}

static int judge_place(struct alias_switch *s, const char *key, struct os_error *error) {
  const struct os_alias_switch_request *request = s->request;
  char where[800];
  const json_t *now = s->before;
  size_t count = json_object_size(now);
  if (!count) return refuse_no_alias(s, error);
  if (count == 1 && json_object_get(now, request->target)) return accept_moved(s, key, now, error);
  os_alias_where(now, where, sizeof where);
  if (count == 1 && json_object_get(now, request->source)) {
    char *properties = os_json_text(json_object_get(now, request->source));
    int rc = !properties
                 ? os_fail_nomem(error)
                 : os_job_audit(s->job, step, "alias", "pass", false, error,
                                "alias '%s' is on exactly %s: %.1000s", request->alias, where, properties);
    os_free(properties);
    return rc;
  }
  if (count > 1) {
    os_fail(error, OS_ERR_GUARD, "alias '%s' is on several indices: %s", request->alias, where);
    os_advise(error, "only an alias on exactly one index is moved; take the others out of it first");
  } else {
    os_fail(error, OS_ERR_GUARD, "alias '%s' is on %s, not on source '%s'", request->alias, where,
            request->source);
    os_advise(error, "name the index that it is on as source");
  }
  return os_alias_refuse(s->job, "alias", error);
}

static int guard_alias(struct alias_switch *s, struct os_error *error) {
  char *key = os_mprintf("%s/%s: %s > %s", s->cluster->endpoint->url, s->request->alias, s->request->source,
                         s->request->target);
  int rc = key ? os_ledger_step_put(s->job->ledger, s->job->number, "", "operation", "begun", key, error)
               : os_fail_nomem(error);
  if (!rc && (rc = os_cluster_alias_get(s->cluster, s->request->alias, &s->before, error))) {
    /* what it has, filter and all, must be known to be kept: nothing can allow this one */
    if (rc == OS_ERR_FORBIDDEN)
      os_job_audit(s->job, step, "alias", "unknown", false, NULL, "%s", error->text);
    else
      os_alias_refuse(s->job, "alias", error);
  }
  if (!rc) rc = judge_place(s, key, error);
  os_free(key);
  return rc;
}

/* ---- 3 to 5 ---- */

static int compare_fields(struct alias_switch *s, struct os_error *error) {
  static const char check[] = "fields";
  struct os_alias_switch_result *result = s->result;
  if (!s->source.mappings || !s->target.mappings)
    return os_job_audit(s->job, step, check, "skip", false, error, "the mappings cannot be read");
  if (!os_alias_compare_fields(s->source.mappings, s->target.mappings, result->fields, sizeof result->fields))
    return os_fail_nomem(error);
  if (!*result->fields)
    return os_job_audit(s->job, step, check, "pass", false, error,
                        "the target has every field of the source, with the same type");
  os_log_write(s->job->session->log, OS_LOG_WARNING, "alias %s: %s", s->request->alias, result->fields);
  return os_job_audit(s->job, step, check, "pass", false, error, "warning: %s", result->fields);
}

static int guard_indices(struct alias_switch *s, struct os_error *error) {
  const struct os_alias_switch_request *request = s->request;
  bool unverified = request->allow_unverified;
  int rc = os_alias_guard_index(s->job, s->cluster, unverified, &s->source, error);
  if (!rc) rc = os_alias_guard_index(s->job, s->cluster, unverified, &s->target, error);
  if (!rc) rc = os_alias_guard_settings(s->job, &s->target, error);
  if (!rc)
    rc = os_alias_guard_health(s->job, s->cluster, request->target, unverified, s->result->health, error);
  if (!rc) rc = os_alias_guard_counts(s->job, s->cluster, request, s->result, error);
  return rc ? rc : compare_fields(s, error);
}

int os_alias_switch_run(struct os_job *job, struct os_cluster *cluster,
                        const struct os_alias_switch_request *request, struct os_alias_switch_result *result,
                        struct os_error *error) {
  struct alias_switch s = {.job = job,
                           .cluster = cluster,
                           .request = request,
                           .result = result,
                           .source = {.role = "source", .name = request->source},
                           .target = {.role = "target", .name = request->target}};
  memset(result, 0, sizeof *result);
  result->source_documents = result->target_documents = -1;
  int rc = guard_names(&s, error);
  if (!rc) rc = os_session_cluster_probe(job->session, cluster, false, error);
  if (!rc) rc = guard_alias(&s, error);
  if (!rc && !result->already) rc = guard_indices(&s, error);
  if (!rc && !result->already && !request->dry_run) {
    struct os_alias_move move = {.alias = request->alias,
                                 .from = request->source,
                                 .to = request->target,
                                 .from_uuid = s.source.uuid,
                                 .to_uuid = s.target.uuid,
                                 .before = s.before};
    rc = os_alias_move(job, cluster, &move, error);
  }
  json_decref(s.before);
  os_alias_index_free(&s.source);
  os_alias_index_free(&s.target);
  return rc;
}
