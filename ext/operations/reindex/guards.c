/* guards.c - what must hold before anything is changed; see reindex_int.h. Reads only. */
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "operations/health/health.h"
#include "operations/reindex/reindex_int.h"
#include "operations/visible.h"

static const char guards[] = "guards";

static int refuse(struct os_reindex *r, const char *check, const struct os_error *error) {
  return os_job_guard_failed(r->job, guards, check, error);
}

int os_reindex_unverified(struct os_reindex *r, const char *check, struct os_error *error) {
  return os_job_unverified(r->job, guards, check, r->request->allow_unverified, error);
}

/* ---- what the names stand for ---- */

static int guard_names(struct os_reindex *r, struct os_error *error) {
  int rc = os_cluster_check_name(r->request->source, error);
  if (rc) return os_error_prefix(error, "source");
  rc = os_cluster_check_name(r->request->target, error);
  if (rc) return os_error_prefix(error, "target");
  if (r->from == r->cluster && !strcmp(r->request->source, r->request->target))
    return os_fail(error, OS_ERR_ARGUMENT, "source and target are both %s", r->request->source);
  return OS_OK;
}

/* An alias or a data stream is refused, with a name to take instead. */
static int refuse_kind(struct os_reindex *r, const char *role, const char *name,
                       const struct os_resolved *resolved, struct os_error *error) {
  const char *first = json_string_value(json_array_get(resolved->indices, 0));
  os_fail(error, OS_ERR_GUARD, "the %s %s is %s, not an index", role, name,
          resolved->kind == OS_NAME_ALIAS ? "an alias" : "a data stream");
  if (first) os_advise(error, "name the index itself, such as %s", first);
  return refuse(r, role, error);
}

static int guard_source(struct os_reindex *r, struct os_error *error) {
  const char *name = r->request->source;
  struct os_resolved resolved = {0};
  int rc = os_cluster_resolve(r->from, name, &resolved, error);
  if (rc) {
    rc = os_reindex_unverified(r, "source", error);
  } else if (resolved.kind == OS_NAME_MISSING) {
    os_fail(error, OS_ERR_NOT_FOUND, "there is no source index %s", name);
    rc = refuse(r, "source", error);
  } else if (resolved.kind != OS_NAME_INDEX) {
    rc = refuse_kind(r, "source", name, &resolved, error);
  } else {
    snprintf(r->source_uuid, sizeof r->source_uuid, "%s", resolved.uuid);
    rc = os_job_audit(r->job, guards, "source", "pass", false, error, "%s is one index (UUID %s)", name,
                      resolved.uuid[0] ? resolved.uuid : "not known");
  }
  os_resolved_free(&resolved);
  return rc;
}

static int guard_no_alias(struct os_reindex *r, const struct os_resolved *resolved, struct os_error *error) {
  const char *name = r->request->target;
  if (!resolved->aliases) {
    os_fail(error, OS_ERR_FORBIDDEN, "whether an alias serves the target %s cannot be found out", name);
    os_advise(error, "get the right indices:admin/aliases/get");
    return os_reindex_unverified(r, "alias", error);
  }
  const char *alias = json_object_iter_key(json_object_iter(resolved->aliases));
  if (!alias) return os_job_audit(r->job, guards, "alias", "pass", false, error, "no alias serves %s", name);
  os_fail(error, OS_ERR_GUARD, "alias %s serves the target %s: searches would see it emptied and half filled",
          alias, name);
  os_advise(error, "copy into an index that nobody searches, then move the alias with os_switch_alias");
  return refuse(r, "alias", error);
}

static int resolve_target(struct os_reindex *r, struct os_resolved *resolved, struct os_error *error) {
  const char *name = r->request->target;
  int rc = os_cluster_resolve(r->cluster, name, resolved, error);
  if (rc) {
    rc = os_reindex_unverified(r, "target", error);
    resolved->kind = OS_NAME_INDEX;
    return rc;
  }
  if (resolved->kind != OS_NAME_INDEX && resolved->kind != OS_NAME_MISSING)
    return refuse_kind(r, "target", name, resolved, error);
  return OS_OK;
}

int os_reindex_guard_target(struct os_reindex *r, char uuid[64], struct os_error *error) {
  struct os_resolved resolved = {0};
  int rc = resolve_target(r, &resolved, error);
  snprintf(uuid, 64, "%s", resolved.uuid);
  if (!rc && resolved.kind == OS_NAME_INDEX) rc = guard_no_alias(r, &resolved, error);
  r->target_exists = resolved.kind == OS_NAME_INDEX;
  os_resolved_free(&resolved);
  return rc;
}

static int guard_target(struct os_reindex *r, struct os_error *error) {
  const char *name = r->request->target;
  int rc = os_reindex_guard_target(r, r->target_uuid, error);
  if (rc) return rc;
  if (r->target_exists)
    return os_job_audit(r->job, guards, "target", "pass", false, error, "%s is one index (UUID %s)%s", name,
                        r->target_uuid[0] ? r->target_uuid : "not known",
                        r->request->create ? "; it is there, so that it need not be created" : "");
  if (r->request->create)
    return os_job_audit(r->job, guards, "target", "pass", false, error, "there is no %s: it is created",
                        name);
  os_fail(error, OS_ERR_NOT_FOUND, "there is no target index %s", name);
  os_advise(error, "create it, or pass {\"create\":true} for one with the source's settings and mappings");
  return refuse(r, "target", error);
}

/* ---- settings and mappings ---- */

int os_reindex_read_definitions(struct os_reindex *r, struct os_error *error) {
  int rc = os_cluster_index_get(r->from, r->request->source, &r->source_index, error);
  if (rc == OS_ERR_FORBIDDEN && r->request->create && !r->target_exists)
    return refuse(r, "definition", error); /* nothing to make the target from */
  if (rc) rc = os_reindex_unverified(r, "definition", error);
  if (rc || !r->target_exists) return rc;
  rc = os_cluster_index_get(r->cluster, r->request->target, &r->target_index, error);
  return rc ? os_reindex_unverified(r, "definition", error) : OS_OK;
}

static int guard_open(struct os_reindex *r, const char *role, const char *name, const json_t *index,
                      struct os_error *error) {
  if (!os_json_bool(index, "settings/index/verified_before_close", false)) return OS_OK;
  os_fail(error, OS_ERR_GUARD, "the %s %s is closed", role, name);
  os_advise(error, "open it: POST /%s/_open", name);
  return refuse(r, role, error);
}

/* What keeps the source from being read, or the target from being written. */
static int guard_blocks(struct os_reindex *r, struct os_error *error) {
  static const char *const blocks[] = {"write", "read_only", "read_only_allow_delete", "metadata"};
  const json_t *source = os_json_at(r->source_index, "settings/index/blocks");
  const json_t *target = os_json_at(r->target_index, "settings/index/blocks");
  if (os_json_bool(source, "read", false)) {
    os_fail(error, OS_ERR_GUARD, "the source %s is blocked for reading (index.blocks.read)",
            r->request->source);
    return refuse(r, "blocks", error);
  }
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
    if (!os_json_bool(target, blocks[i], false)) continue;
    os_fail(error, OS_ERR_GUARD, "the target %s is blocked for writing (index.blocks.%s)", r->request->target,
            blocks[i]);
    os_advise(error, "if it may be overwritten: PUT /%s/_settings {\"index.blocks.%s\":null}",
              r->request->target, blocks[i]);
    return refuse(r, "blocks", error);
  }
  return os_job_audit(r->job, guards, "blocks", r->source_index ? "pass" : "unknown", false, error, "%s",
                      r->source_index ? "nothing is blocked" : "settings may not be read");
}

/* _reindex reads _source; a document without it cannot be copied, and one with a part of it is copied in
** part. */
static int guard_source_kept(struct os_reindex *r, struct os_error *error) {
  const json_t *kept = os_json_at(r->source_index, "mappings/_source");
  if (!os_json_bool(kept, "enabled", true)) {
    os_fail(error, OS_ERR_GUARD,
            "the source %s does not keep its documents (_source is disabled in its mapping)",
            r->request->source);
    os_advise(error, "load the target from where the documents came from");
    return refuse(r, "_source", error);
  }
  if (json_array_size(json_object_get(kept, "excludes")) ||
      json_array_size(json_object_get(kept, "includes")))
    return os_job_audit(r->job, guards, "_source", "pass", false, error,
                        "the source keeps a part of each document only (_source includes or excludes): the "
                        "rest is not copied");
  return OS_OK;
}

static const char *pipeline_of(const json_t *index, const char *which) {
  char path[64];
  snprintf(path, sizeof path, "settings/index/%s", which);
  const char *name = os_json_string(index, path, "");
  return strcmp(name, "_none") != 0 ? name : "";
}

/* What the source holds has been through the source's own pipeline already. A target that is to run another
** one by itself does so, as the server would. */
int os_reindex_choose_pipeline(struct os_reindex *r, struct os_error *error) {
  /* a target that is made on another cluster gets no pipelines of the source's */
  const json_t *target = r->target_exists ? r->target_index : r->through ? NULL : r->source_index;
  const char *theirs = pipeline_of(r->source_index, "default_pipeline"),
             *own = pipeline_of(target, "default_pipeline");
  const char *last = pipeline_of(target, "final_pipeline");
  int rc = OS_OK;
  r->work.changes_ids = *last != '\0';
  if (!r->work.pipeline && *own && !strcmp(own, theirs)) {
    snprintf(r->own_pipeline, sizeof r->own_pipeline, "_none");
    r->work.pipeline = r->own_pipeline;
    rc = os_job_audit(r->job, guards, "pipeline", "skip", false, error,
                      "%s has been through pipeline %s: it is not run again", r->request->source, own);
  } else if (!r->work.pipeline && *own) {
    r->work.changes_ids = true;
    rc = os_job_audit(r->job, guards, "pipeline", "pass", false, error, "%s runs its pipeline %s",
                      r->request->target, own);
  }
  if (!rc && *last)
    rc = os_job_audit(r->job, guards, "pipeline", "pass", false, error, "%s runs its final pipeline %s",
                      r->request->target, last);
  return rc;
}

/* ---- health, documents, other copies ---- */

static int guard_health(struct os_reindex *r, struct os_cluster *cluster, const char *role, const char *name,
                        struct os_error *error) {
  char health[16] = "", check[32];
  snprintf(check, sizeof check, "health of %s", role);
  if (os_cluster_is_serverless(cluster))
    return os_job_audit(r->job, guards, check, "skip", false, error,
                        "the service keeps the health of a collection to itself");
  int rc = os_cluster_health(cluster, name, health, error);
  if (rc) return os_reindex_unverified(r, check, error);
  if (strcmp(health, "red") != 0)
    return os_job_audit(r->job, guards, check, "pass", false, error, "%s is %s%s", name, health,
                        !strcmp(health, "yellow") ? " (not every replica is assigned)" : "");
  char what[32];
  snprintf(what, sizeof what, "the %s", role);
  os_health_refuse_red(cluster, what, name, error);
  return refuse(r, check, error);
}

static int guard_documents(struct os_reindex *r, struct os_error *error) {
  const char *name = r->request->source;
  struct os_error ignored;
  os_error_clear(&ignored);
  r->result->source_documents = -1;
  if (os_cluster_operations(r->from, name, &r->source_operations, &ignored)) r->source_operations = -1;
  int rc = os_job_await_visible(r->job, r->from, guards, name, error);
  if (rc) return rc;
  rc = os_cluster_refresh(r->from, name, error);
  char *query = !rc && r->request->query ? os_json_text(r->request->query) : NULL;
  if (!rc && r->request->query && !query) rc = os_fail_nomem(error);
  if (!rc) rc = os_cluster_count(r->from, name, query, &r->result->source_documents, error);
  os_free(query);
  if (rc) {
    r->result->source_documents = -1;
    return os_reindex_unverified(r, "documents", error);
  }
  long long count = (long long)r->result->source_documents;
  if (count || r->request->allow_empty)
    return os_job_audit(r->job, guards, "documents", count ? "pass" : "skip", false, error,
                        "%s holds %lld documents%s%s", name, count, r->request->query ? " for the query" : "",
                        count ? "" : "; went on because of allow_empty");
  os_fail(error, OS_ERR_GUARD, "the source %s holds no documents%s", name,
          r->request->query ? " that the query matches" : "");
  os_advise(error, "load it first, or pass {\"allow_empty\":true}");
  return refuse(r, "documents", error);
}

/* A collection of time series or vectors gives ids of its own. */
int os_reindex_guard_ids(struct os_reindex *r, struct os_error *error) {
  bool takes = true;
  if (!os_cluster_is_serverless(r->cluster)) return OS_OK;
  int rc = os_cluster_takes_ids(r->cluster, r->request->target, &takes, error);
  if (rc) return os_reindex_unverified(r, "ids", error);
  r->work.no_ids = !takes;
  if (takes)
    return os_job_audit(r->job, guards, "ids", "pass", false, error, "the target's collection takes ids");
  return os_job_audit(
      r->job, guards, "ids", "unknown", false, error,
      "the target's collection gives ids of its own: documents lose theirs, and a copy that is "
      "broken off begins anew");
}

/* Two that write there would each find the other's documents; and who may not look at tasks cannot see this
** one's end. */
static int guard_tasks(struct os_reindex *r, struct os_error *error) {
  char task[128];
  bool completed = false;
  if (os_cluster_is_serverless(r->cluster))
    return os_job_audit(r->job, guards, "tasks", "skip", false, error, "a collection runs no tasks");
  int rc = r->through ? OS_ERR_NOT_FOUND
                      : os_cluster_task_poll(r->cluster, "os-reindex:1", &completed, NULL, error);
  if (rc == OS_ERR_FORBIDDEN) {
    os_error_prefix(error, "a copy runs as a task, and you may not look at tasks");
    return refuse(r, "tasks", error);
  }
  if (rc == OS_ERR_NOT_FOUND) { /* as it should: there is none of this name */
    os_error_clear(error);
    rc = OS_OK;
  }
  if (!rc) rc = os_reindex_task_find(r->cluster, r->request->target, task, error);
  if (rc) return os_reindex_unverified(r, "tasks", error);
  if (!task[0])
    return os_job_audit(r->job, guards, "tasks", "pass", false, error, "no other task copies to %s",
                        r->request->target);
  os_fail(error, OS_ERR_GUARD, "task %s, which this ledger does not know, is copying to %s", task,
          r->request->target);
  os_advise(error, "wait for its end (GET /_tasks/%s), or cancel it", task);
  return refuse(r, "tasks", error);
}

int os_reindex_guards(struct os_reindex *r, struct os_error *error) {
  int rc = guard_names(r, error);
  if (!rc) rc = guard_source(r, error);
  if (!rc) rc = guard_target(r, error);
  if (!rc && r->source_uuid[0] && !strcmp(r->source_uuid, r->target_uuid)) {
    os_fail(error, OS_ERR_GUARD, "source and target are the same index (UUID %s)", r->source_uuid);
    rc = refuse(r, "target", error);
  }
  if (!rc) rc = os_reindex_read_definitions(r, error);
  if (!rc) rc = guard_open(r, "source", r->request->source, r->source_index, error);
  if (!rc) rc = guard_open(r, "target", r->request->target, r->target_index, error);
  if (!rc) rc = guard_blocks(r, error);
  if (!rc) rc = guard_source_kept(r, error);
  if (!rc) rc = guard_health(r, r->from, "source", r->request->source, error);
  if (!rc && r->target_exists) rc = guard_health(r, r->cluster, "target", r->request->target, error);
  if (!rc) rc = guard_documents(r, error);
  if (!rc) rc = os_reindex_guard_disk(r, error);
  if (!rc) rc = guard_tasks(r, error);
  if (!rc) rc = os_reindex_guard_ids(r, error);
  if (!rc) rc = os_reindex_choose_pipeline(r, error);
  return rc;
}
