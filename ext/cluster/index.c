/* index.c - calls about one index: make, read, change, delete, refresh, count, measure, merge. */
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "cluster/reason.h"
#include "cluster/request.h"

int os_cluster_index_exists(struct os_cluster *cluster, const char *name, bool *exists,
                            struct os_error *error) {
  static const int allowed[] = {404, 0};
  struct os_name_call call = {.method = "HEAD", .name = name, .after = "", .allowed = allowed};
  int status = 0;
  *exists = false;
  int rc = os_name_request(cluster, &call, &status, NULL, error);
  if (rc == OS_OK) *exists = status != 404;
  return rc;
}

/* A change that is answered with {"acknowledged": true}. */
static int change(struct os_cluster *cluster, const struct os_name_call *call, const char *what,
                  struct os_error *error) {
  json_t *answer = NULL;
  int rc = os_name_request(cluster, call, NULL, &answer, error);
  if (rc == OS_OK) rc = os_acknowledged(answer, what, error);
  json_decref(answer);
  return rc;
}

int os_cluster_index_create(struct os_cluster *cluster, const char *name, const char *body,
                            struct os_error *error) {
  struct os_name_call call = {.method = "PUT", .name = name, .after = "", .body = body, .once = true};
  return change(cluster, &call, "create index", error);
}

int os_cluster_index_delete(struct os_cluster *cluster, const char *name, struct os_error *error) {
  struct os_name_call call = {.method = "DELETE", .name = name, .after = "", .once = true};
  return change(cluster, &call, "delete index", error);
}

int os_cluster_settings_put(struct os_cluster *cluster, const char *name, const char *body,
                            struct os_error *error) {
  struct os_name_call call = {.method = "PUT", .name = name, .after = "/_settings", .body = body};
  return change(cluster, &call, "change settings", error);
}

int os_cluster_index_get(struct os_cluster *cluster, const char *name, json_t **out, struct os_error *error) {
  struct os_name_call call = {.method = "GET", .name = name, .after = ""};
  json_t *answer = NULL;
  *out = NULL;
  int rc = os_name_request(cluster, &call, NULL, &answer, error);
  if (rc) return rc;
  json_t *index = json_object_get(answer, name);
  if (json_is_object(index)) {
    *out = json_incref(index);
  } else if (json_object_size(answer)) {
    rc = os_fail(error, OS_ERR_ARGUMENT, "'%s' is not an index but a name for '%s'%s", name,
                 json_object_iter_key(json_object_iter(answer)),
                 json_object_size(answer) > 1 ? " and others" : "");
    os_advise(error, "name the index itself");
  } else {
    rc = os_odd_answer("GET index", answer, error);
  }
  json_decref(answer);
  return rc;
}

/* The entry of `name`, of the only index there is, or of the one that an alias or data stream writes to. */
static int choose_mapping(struct os_cluster *cluster, const char *name, const json_t *answer,
                          const json_t **entry, struct os_error *error) {
  struct os_resolved resolved;
  *entry = json_object_get(answer, name);
  if (!*entry && json_object_size(answer) == 1)
    *entry = json_object_iter_value(json_object_iter((json_t *)(uintptr_t)answer));
  if (*entry) return OS_OK;
  if (!json_object_size(answer)) return os_odd_answer("GET _mapping", answer, error);
  int rc = os_cluster_resolve(cluster, name, &resolved, error);
  if (rc) return rc;
  *entry = json_object_get(answer, resolved.write_index);
  os_resolved_free(&resolved);
  if (*entry) return OS_OK;
  os_fail(error, OS_ERR_ARGUMENT, "'%s' stands for %zu indices and none of them is its write index", name,
          json_object_size(answer));
  return os_advise(error, "name one index, or set is_write_index on the alias");
}

int os_cluster_mapping(struct os_cluster *cluster, const char *name, json_t **out, struct os_error *error) {
  struct os_name_call call = {.method = "GET", .name = name, .after = "/_mapping"};
  const json_t *entry = NULL;
  json_t *answer = NULL;
  *out = NULL;
  int rc = os_name_request(cluster, &call, NULL, &answer, error);
  if (rc) return rc;
  rc = choose_mapping(cluster, name, answer, &entry, error);
  if (rc == OS_OK) {
    json_t *mappings = json_object_get(entry, "mappings");
    if (json_is_object(mappings))
      *out = json_incref(mappings);
    else
      rc = os_odd_answer("GET _mapping", answer, error);
  }
  json_decref(answer);
  return rc;
}

int os_cluster_refresh(struct os_cluster *cluster, const char *name, struct os_error *error) {
  struct os_name_call call = {.method = "POST", .name = name, .after = "/_refresh"};
  json_t *answer = NULL;
  if (os_cluster_is_serverless(cluster)) return OS_OK; /* by itself, see serverless.c */
  int rc = os_name_request(cluster, &call, NULL, &answer, error);
  if (rc == OS_OK) rc = os_all_shards(answer, "refresh", error);
  json_decref(answer);
  return rc;
}

void os_cluster_refresh_ahead(struct os_cluster *cluster, const char *name) {
  struct os_http_call call;
  char *path = os_cluster_is_serverless(cluster) ? NULL : os_cluster_path(name, "/_refresh");
  if (!path) return;
  os_http_call_init(&call, cluster->endpoint, "POST", path);
  os_http_send(cluster->net, &call);
  os_http_call_free(&call);
  os_free(path);
}

int os_cluster_count(struct os_cluster *cluster, const char *name, const char *query, int64_t *count,
                     struct os_error *error) {
  struct os_name_call call = {.method = "GET", .name = name, .after = "/_count"};
  json_t *answer = NULL;
  char *body = NULL;
  *count = 0;
  if (query) {
    body = os_mprintf("{\"query\":%s}", query);
    if (!body) return os_fail_nomem(error);
    call.method = "POST"; /* a proxy may drop the body of a GET */
    call.body = body;
  }
  int rc = os_name_request(cluster, &call, NULL, &answer, error);
  os_free(body);
  if (rc == OS_OK) rc = os_all_shards(answer, "count", error);
  if (rc == OS_OK && !json_is_integer(json_object_get(answer, "count")))
    rc = os_odd_answer("count", answer, error);
  if (rc == OS_OK) *count = os_json_int(answer, "count", 0);
  json_decref(answer);
  return rc;
}

int os_cluster_count_all(struct os_cluster *cluster, const char *name, int64_t *count,
                         struct os_error *error) {
  int rc = os_cluster_refresh(cluster, name, error);
  return rc ? rc : os_cluster_count(cluster, name, NULL, count, error);
}

int os_cluster_health(struct os_cluster *cluster, const char *name, char out[16], struct os_error *error) {
  /* Without wait_for_… the only thing that is waited for is that the index exists; 408 says that it does not.
   */
  static const int allowed[] = {408, 0};
  struct os_buf path;
  json_t *answer = NULL;
  int status = 0;
  memcpy(out, "green", 6);
  if (os_cluster_is_serverless(cluster)) return OS_OK;
  out[0] = '\0';
  int rc = os_name_path(&path, "/_cluster/health/", name, "?timeout=1s", error);
  if (rc) return rc;
  struct os_cluster_call call = {.method = "GET", .path = path.data, .idempotent = true, .allowed = allowed};
  rc = os_cluster_request(cluster, &call, &status, &answer, error);
  os_buf_free(&path);
  if (rc) return rc;
  const char *health = os_json_string(answer, "status", NULL);
  if (status == 408)
    rc = os_fail(error, OS_ERR_NOT_FOUND, "there is no index '%s' whose health could be told", name);
  else if (!health)
    rc = os_odd_answer("cluster health", answer, error);
  else
    os_copy_text(out, 16, health);
  json_decref(answer);
  return rc;
}

/* wait_for_events=languid: answered when the cluster manager has no task of this or a higher priority left, and changes
** of indices are urgent ones. No right to ask (403), or other changes that keep coming (408): then it is as it is. */
int os_cluster_drain(struct os_cluster *cluster, struct os_error *error) {
  static const int allowed[] = {403, 408, 0};
  struct os_cluster_call call = {
      .method = "GET",
      .path = "/_cluster/health?wait_for_events=languid&timeout=10s&filter_path=timed_out",
      .idempotent = true,
      .allowed = allowed,
      .what = "waiting for changes under way"};
  return os_cluster_request(cluster, &call, NULL, NULL, error);
}

int os_cluster_stats(struct os_cluster *cluster, const char *name, struct os_index_stats *out,
                     struct os_error *error) {
  struct os_name_call call = {
      .method = "GET",
      .name = name,
      .after = "/_stats/docs,indexing,store,segments?filter_path=_shards,_all.primaries.docs,"
               "_all.primaries.store,_all.primaries.segments.count,"
               "_all.primaries.indexing.index_total,_all.primaries.indexing.delete_total"};
  json_t *answer = NULL;
  memset(out, 0, sizeof *out);
  if (os_cluster_is_serverless(cluster))
    return os_serverless_lacks("figures of an index's own (_stats)", error);
  int rc = os_name_request(cluster, &call, NULL, &answer, error);
  if (rc == OS_OK) rc = os_all_shards(answer, "statistics", error);
  const json_t *primaries = os_json_at(answer, "_all/primaries");
  if (rc == OS_OK && !os_json_at(primaries, "docs")) rc = os_odd_answer("statistics", answer, error);
  if (rc == OS_OK) {
    out->docs = os_json_int(primaries, "docs/count", 0);
    out->deleted = os_json_int(primaries, "docs/deleted", 0);
    out->index_total = os_json_int(primaries, "indexing/index_total", 0);
    out->delete_total = os_json_int(primaries, "indexing/delete_total", 0);
    out->size_bytes = os_json_int(primaries, "store/size_in_bytes", 0);
    out->segments = os_json_int(primaries, "segments/count", 0);
  }
  json_decref(answer);
  return rc;
}
