/* guards.c - step 1 of a load: is the target one that may be loaded? Every question is a row of
** os_audit.
**
** A question that the user's rights forbid asking is `unknown`, naming the missing right; the mode
** decides later whether that is good enough.
*/
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "operations/health/health.h"
#include "operations/load/load.h"
#include "operations/visible.h"

static int audit(struct os_load *load, const char *check, const char *verdict, struct os_error *error,
                 const char *detail) {
  return os_job_audit(load->job, "guard", check, verdict, false, error, "%s", detail);
}

static int refuse(struct os_load *load, const char *check, const struct os_error *error) {
  return os_job_guard_failed(load->job, "guard", check, error);
}

/* 403: not allowed to ask. The check is `unknown`, *error is cleared. Otherwise the guard fails. */
static int unknown_or_refuse(struct os_load *load, const char *check, struct os_error *error) {
  if (error->code != OS_ERR_FORBIDDEN) return refuse(load, check, error);
  char sentence[OS_ERROR_TEXT];
  snprintf(sentence, sizeof sentence, "%s", error->text);
  os_error_clear(error);
  return audit(load, check, "unknown", error, sentence);
}

static int guard_endpoint(struct os_load *load, struct os_error *error) {
  struct os_cluster *cluster = load->cluster;
  int rc = os_session_cluster_probe(load->session, cluster, false, error);
  if (rc) return unknown_or_refuse(load, "endpoint", error);
  return os_job_audit(load->job, "guard", "endpoint", "pass", false, error, "%s answers: %s %s",
                      cluster->endpoint->url, cluster->caps.distribution, cluster->caps.version);
}

/* Types of columns come from the mapping that the index will be created with. */
static int plan_creation(struct os_load *load, struct os_error *error) {
  load->target.to_create = true;
  load->shared->mapping = json_incref(json_object_get(load->request->create, "mappings"));
  load->shared->parse.mapping = load->shared->mapping;
  return os_job_audit(load->job, "guard", "index", "pass", false, error,
                      "%s does not exist and will be created", load->request->index);
}

static int guard_exists(struct os_load *load, struct os_error *error) {
  struct os_load_target *target = &load->target;
  const struct os_load_request *request = load->request;
  int rc = os_cluster_resolve(load->cluster, request->index, &target->resolved, error);
  target->resolved_known = !rc;
  if (rc) return unknown_or_refuse(load, "index", error);
  if (target->resolved.kind != OS_NAME_MISSING)
    return os_job_audit(load->job, "guard", "index", "pass", false, error, "%s exists", request->index);
  if (json_is_true(request->create) || json_is_object(request->create)) return plan_creation(load, error);
  os_fail(error, OS_ERR_GUARD, "index %s does not exist", request->index);
  os_advise(
      error,
      "create it first (os_create_index), or pass {\"create\":true} or your settings and mappings as create");
  return refuse(load, "index", error);
}

static int guard_not_live(struct os_load *load, struct os_error *error) {
  struct os_load_target *target = &load->target;
  const struct os_load_request *request = load->request;
  const struct os_resolved *resolved = &target->resolved;
  if (!target->resolved_known)
    return audit(load, "alias", "unknown", error, "no right to read aliases: indices:admin/aliases/get");
  target->data_stream = resolved->kind == OS_NAME_DATA_STREAM;
  if (resolved->kind == OS_NAME_ALIAS && !resolved->write_index[0]) {
    os_fail(error, OS_ERR_GUARD, "%s is an alias of several indices and none of them is its write index",
            request->index);
    os_advise(error, "name the index itself, or set is_write_index on one");
    return refuse(load, "alias", error);
  }
  if (resolved->kind == OS_NAME_DATA_STREAM)
    return os_job_audit(
        load->job, "guard", "alias", "pass", false, error,
        "%s is a data stream: documents are created through it; computed ids hold within one backing index",
        request->index);
  const char *alias = json_object_iter_key(json_object_iter(resolved->aliases));
  if (resolved->kind == OS_NAME_ALIAS) {
    /* several indices behind one write index: a rollover alias is meant to be written through */
    target->write_alias = json_array_size(resolved->indices) > 1;
    if (target->write_alias)
      return os_job_audit(load->job, "guard", "alias", "pass", false, error,
                          "%s is a rollover alias: documents go to %s; ids hold within one backing index",
                          request->index, resolved->write_index);
    alias = request->index;
  }
  if (!alias) return audit(load, "alias", "pass", error, "no alias serves it");
  if (request->allow_live)
    return os_job_audit(load->job, "guard", "alias", "pass", false, error,
                        "alias %s serves it; allow_live was given", alias);
  os_fail(error, OS_ERR_GUARD, "alias %s serves %s: what is loaded would be seen by searches at once", alias,
          resolved->kind == OS_NAME_ALIAS ? resolved->write_index : request->index);
  os_advise(error, "load another index and switch the alias to it, or pass {\"allow_live\":true}");
  return refuse(load, "alias", error);
}

/* A closed index is reported red, too. */
static bool is_closed(struct os_load *load) {
  struct os_error why;
  int64_t ignored;
  os_error_clear(&why);
  return os_cluster_count(load->cluster, load->target.concrete, NULL, &ignored, &why) != OS_OK &&
         strstr(why.text, "index_closed_exception");
}

static int guard_health(struct os_load *load, struct os_error *error) {
  char health[16];
  if (os_cluster_is_serverless(load->cluster))
    return audit(load, "health", "skip", error, "the service keeps the health of a collection to itself");
  int rc = os_cluster_health(load->cluster, load->target.concrete, health, error);
  if (rc) return unknown_or_refuse(load, "health", error);
  if (!strcmp(health, "red") && is_closed(load)) {
    os_fail(error, OS_ERR_GUARD, "index %s is closed", load->target.concrete);
    os_advise(error, "open it first: SELECT os_request('POST', '/%s/_open')", load->target.concrete);
    return refuse(load, "health", error);
  }
  if (!strcmp(health, "red")) {
    os_health_refuse_red(load->cluster, "index", load->target.concrete, error);
    return refuse(load, "health", error);
  }
  return os_job_audit(
      load->job, "guard", "health", "pass", false, error, "%s%s", health,
      strcmp(health, "yellow") ? "" : " (a replica is missing; documents are safe on the primary)");
}

static int read_mapping(struct os_load *load, struct os_error *error) {
  int rc = os_cluster_mapping(load->cluster, load->target.concrete, &load->shared->mapping, error);
  if (rc) return unknown_or_refuse(load, "mapping", error);
  load->shared->parse.mapping = load->shared->mapping;
  return audit(load, "mapping", "pass", error, "read; it decides the types of columns it knows");
}

/* Without ids of its own a record that is sent twice is there twice. */
static int guard_ids(struct os_load *load, struct os_error *error) {
  bool takes = true;
  load->server_ids = !load->request->exactly_once;
  if (load->request->dry_run || !os_cluster_is_serverless(load->cluster)) return OS_OK;
  int rc = os_cluster_takes_ids(load->cluster, load->target.concrete, &takes, error);
  if (rc) return unknown_or_refuse(load, "ids", error);
  if (takes) return audit(load, "ids", "pass", error, "the collection takes ids");
  load->server_ids = load->no_ids = true;
  return audit(load, "ids", "unknown", error,
               "the collection takes no ids of its clients: exactly_once is off, and a request whose answer "
               "is lost may "
               "leave its records there twice");
}

/* The index's counters are read before the count, and after it at the end: what others write between the two
** readings may then look like more than was counted, never like less. */
static int count_documents(struct os_load *load, struct os_error *error) {
  struct os_load_target *target = &load->target;
  struct os_error ignored;
  os_error_clear(&ignored);
  target->stats_known =
      os_cluster_stats(load->cluster, target->concrete, &target->stats_before, &ignored) == OS_OK;
  int rc = load->request->dry_run
               ? OS_OK
               : os_job_await_visible(load->job, load->cluster, "guard", target->concrete, error);
  if (rc) return rc;
  if (!load->request->dry_run) rc = os_cluster_refresh(load->cluster, target->concrete, error);
  if (!rc) rc = os_cluster_count(load->cluster, target->concrete, NULL, &target->count_before, error);
  if (rc) {
    target->count_before = -1;
    snprintf(load->unverified, sizeof load->unverified, "%.480s", error->text);
    return unknown_or_refuse(load, "count", error);
  }
  load->figures->count_before = target->count_before;
  return os_job_audit(load->job, "guard", "count", "pass", false, error, "%lld documents before the load",
                      (long long)target->count_before);
}

int os_load_step_guards(struct os_load *load, struct os_error *error) {
  struct os_load_target *target = &load->target;
  target->count_before = -1;
  int rc = guard_endpoint(load, error);
  if (!rc) rc = guard_exists(load, error);
  if (!rc) rc = guard_not_live(load, error);
  if (rc) return rc;
  const char *write_index = target->resolved.write_index;
  snprintf(target->concrete, sizeof target->concrete, "%s",
           write_index[0] ? write_index : load->request->index);
  rc = guard_ids(load, error);
  if (rc) return rc;
  if (target->to_create) {
    target->count_before = load->figures->count_before = 0;
    return OS_OK;
  }
  snprintf(target->uuid, sizeof target->uuid, "%s", target->resolved.uuid);
  rc = guard_health(load, error);
  if (!rc) rc = read_mapping(load, error);
  return rc ? rc : count_documents(load, error);
}
