/* allocation.c - the health of many indices at once, and why a shard is not assigned; see listing.h. */
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "cluster/listing_int.h"
#include "cluster/request.h"

int os_cluster_health_of(struct os_cluster *cluster, const char *pattern, const char *level, json_t **answer,
                         struct os_error *error) {
  static const int timed_out[] = {408, 0}; /* a name that is not there is waited for */
  struct os_buf path;
  os_buf_init(&path, 0);
  os_buf_puts(&path, pattern ? "/_cluster/health/" : "/_cluster/health");
  if (pattern) os_url_encode(&path, pattern, strlen(pattern));
  os_buf_printf(&path, "?level=%s&timeout=50ms&expand_wildcards=all", level);
  *answer = NULL;
  if (path.failed) {
    os_buf_free(&path);
    return os_fail_nomem(error);
  }
  struct os_cluster_call call = {
      .method = "GET", .path = path.data, .idempotent = true, .allowed = timed_out};
  int rc = os_cluster_request(cluster, &call, NULL, answer, error);
  os_buf_free(&path);
  if (rc || os_json_string(*answer, "status", NULL)) return rc;
  rc = os_odd_answer("GET /_cluster/health", *answer, error);
  json_decref(*answer);
  *answer = NULL;
  return rc;
}

int os_cluster_allocation_explain(struct os_cluster *cluster, const char *index, int64_t shard, bool primary,
                                  json_t **answer, struct os_error *error) {
  static const int assigned[] = {400, 404, 0}; /* 400: no such shard, or none that is not assigned */
  json_t *question =
      json_pack("{s:s, s:I, s:b}", "index", index, "shard", (json_int_t)shard, "primary", (int)primary);
  char *body = os_json_text(question);
  int status = 0;
  *answer = NULL;
  json_decref(question);
  if (!body) return os_fail_nomem(error);
  /* a question in the body of a POST: some proxies drop that of a GET */
  struct os_cluster_call call = {.method = "POST",
                                 .path = "/_cluster/allocation/explain",
                                 .body = body,
                                 .idempotent = true,
                                 .allowed = assigned};
  int rc = os_cluster_request(cluster, &call, &status, answer, error);
  os_free(body);
  if (rc || status < 400) return rc;
  json_decref(*answer);
  *answer = NULL;
  return OS_OK;
}
