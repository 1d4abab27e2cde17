/* probe.c - what kind of server answers: OpenSearch, Elasticsearch, Serverless, or something else. */
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/text.h"
#include "cluster/reason.h"
#include "cluster/request.h"

/* "2.19.4" → 2, 19. */
static void read_version(struct os_capabilities *caps) {
  int *parts[] = {&caps->major, &caps->minor};
  const char *p = caps->version;
  for (int i = 0; i < 2; i++) {
    for (; os_is_digit(*p) && *parts[i] < 100000; p++)
      *parts[i] = *parts[i] * 10 + (*p - '0');
    if (*p++ != '.') return;
  }
}

static int read_root(struct os_cluster *cluster, const json_t *root, struct os_capabilities *caps,
                     struct os_error *error) {
  const char *number = os_json_string(root, "version/number", NULL);
  const char *distribution = os_json_string(root, "version/distribution", NULL);
  if (!number) {
    os_odd_answer("GET /", root, error);
    return os_advise(error, "is %s an OpenSearch cluster?", cluster->endpoint->url);
  }
  /* Elasticsearch names no distribution. */
  os_copy_text(caps->distribution, sizeof caps->distribution, distribution ? distribution : "elasticsearch");
  os_copy_text(caps->version, sizeof caps->version, number);
  os_copy_text(caps->cluster_name, sizeof caps->cluster_name, os_json_string(root, "cluster_name", ""));
  os_copy_text(caps->cluster_uuid, sizeof caps->cluster_uuid, os_json_string(root, "cluster_uuid", ""));
  read_version(caps);
  return OS_OK;
}

/* OpenSearch Serverless has no GET / (Amazon OpenSearch Serverless, supported operations); any web server
** may answer 404 there, so an operation that Serverless does have must work too. */
static int confirm_serverless(struct os_cluster *cluster, struct os_capabilities *caps,
                              struct os_error *error) {
  static const int allowed[] = {401, 403, 0};
  bool told = cluster->endpoint->serverless;
  struct os_cluster_call call = {.method = "GET",
                                 .path = "/_cat/indices?format=json",
                                 .idempotent = true,
                                 .allowed = told ? NULL : allowed,
                                 .what = "GET /_cat/indices"};
  json_t *answer = NULL;
  int status = 0;
  struct os_error why;
  os_error_clear(&why);
  int rc = os_cluster_request(cluster, &call, &status, &answer, &why);
  bool confirmed = rc == OS_OK && (json_is_array(answer) || (json_is_object(answer) && status >= 400));
  json_decref(answer);
  if (rc && (told || rc == OS_ERR_INTERRUPTED || rc == OS_ERR_NOMEM)) {
    if (error) *error = why;
    return rc;
  }
  if (!confirmed) {
    os_fail(error, OS_ERR_ANSWER,
            "%s answers, but not as OpenSearch does: 404 on GET / and no list of indices%s%s",
            cluster->endpoint->url, why.code ? ": " : "", why.code ? why.text : "");
    return os_advise(error, "check host, port and path of the endpoint");
  }
  caps->serverless = true;
  os_copy_text(caps->distribution, sizeof caps->distribution, "serverless");
  return OS_OK;
}

int os_cluster_probe(struct os_cluster *cluster, bool again, struct os_error *error) {
  static const int allowed[] = {403, 404, 0};
  struct os_cluster_call call = {.method = "GET", .path = "/", .idempotent = true, .allowed = allowed};
  struct os_capabilities caps;
  json_t *root = NULL;
  int status = 0;
  if (cluster->caps.probed && !again) return OS_OK;
  memset(&caps, 0, sizeof caps);
  int rc = cluster->endpoint->serverless ? OS_OK : os_cluster_request(cluster, &call, &status, &root, error);
  if (rc) return rc;
  if (cluster->endpoint->serverless || status == 404)
    rc = confirm_serverless(cluster, &caps, error);
  else if (status == 403 &&
           json_object_get(root, "error")) /* the cluster itself; a proxy's page is no JSON */
    os_copy_text(caps.distribution, sizeof caps.distribution, "unknown");
  else if (status == 403) {
    char *text = root ? os_json_text(root) : NULL;
    rc = os_cluster_answer_error_for(cluster->endpoint, status, NULL, text ? text : "",
                                     text ? strlen(text) : 0, "GET /", error);
    os_free(text);
  } else
    rc = read_root(cluster, root, &caps, error);
  json_decref(root);
  if (rc) return rc;
  caps.probed = true;
  cluster->caps = caps;
  return OS_OK;
}
