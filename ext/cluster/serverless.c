/* serverless.c - what a collection of OpenSearch Serverless does otherwise ("Supported operations and permissions" and
** "Choosing a collection type", Amazon OpenSearch Service Developer Guide): it refreshes and merges by itself, has no
** health, figures or tasks to ask for, and takes ids of its clients in search collections alone.
*/
#include <stdint.h>
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "cluster/request.h"

static const double LOOK_EVERY = 1, ROUNDED_UP = 0.5; /* the ledger's times are whole seconds, and one more */

bool os_cluster_is_serverless(const struct os_cluster *cluster) {
  return cluster->endpoint->serverless || cluster->caps.serverless;
}

int os_serverless_lacks(const char *what, struct os_error *error) {
  return os_fail(error, OS_ERR_NOT_FOUND, "a collection of OpenSearch Serverless has no %s", what);
}

double os_cluster_visible_in(const struct os_cluster *cluster, double written_at) {
  const double delay = cluster->endpoint->serverless_delay;
  double left = written_at + delay - os_clock_unix();
  if (!os_cluster_is_serverless(cluster) || left < ROUNDED_UP) return 0;
  return left < delay ? left : delay;
}

int os_cluster_count_between(struct os_cluster *cluster, const char *name, int64_t least, int64_t most,
                             bool may_fall, int64_t *count, struct os_error *error) {
  double until = os_clock_monotonic() + cluster->endpoint->serverless_delay;
  for (;;) {
    int rc = os_cluster_count_all(cluster, name, count, error);
    if (rc || (*count >= least && (*count <= most || !may_fall))) return rc;
    if (!os_cluster_is_serverless(cluster) || os_clock_monotonic() > until) return OS_OK;
    rc = os_cluster_wait(cluster, LOOK_EVERY, error);
    if (rc) return rc;
  }
}

/* Asked by what can never write: a creation that wants an alias, sent to what is none. Ids are refused before that
** is found out. */
int os_cluster_takes_ids(struct os_cluster *cluster, const char *name, bool *takes, struct os_error *error) {
  static const char body[] = "{\"create\":{\"_id\":\"0\"}}\n{}\n";
  struct os_name_call call = {
      .method = "POST", .name = name, .after = "/_bulk?require_alias=true", .body = body};
  json_t *answer = NULL;
  *takes = true;
  if (!os_cluster_is_serverless(cluster)) return OS_OK;
  int rc = os_name_request(cluster, &call, NULL, &answer, error);
  const json_t *items = json_object_get(answer, "items");
  const char *reason = os_json_string(json_array_get(items, 0), "create/error/reason", "");
  if (strstr(reason, "Document ID is not supported")) *takes = false;
  json_decref(answer);
  return rc;
}
