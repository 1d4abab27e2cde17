/* alias.c - calls about aliases: where one stands and how, and the one request that changes any number
** of them. */
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "cluster/reason.h"
#include "cluster/request.h"

/* OpenSearch knows must_exist from 2.12 on (its release notes). Told to answer as 7.10.2 for the sake of
** old clients (compatibility.override_main_response_version), it may be of any age; other distributions
** are not relied on. */
bool os_cluster_must_exist(const struct os_capabilities *caps) {
  if (strcmp(caps->distribution, "opensearch") != 0) return false;
  return caps->major > 2 ? caps->major != 7 : caps->major == 2 && caps->minor >= 12;
}

/* {"index": {"aliases": {"name": {…}}}, …}; *out gets {"index": {…}, …}. */
static int collect(json_t *answer, const char *alias, json_t **out, struct os_error *error) {
  const char *index = NULL;
  json_t *entry = NULL, *found = json_object();
  if (!found) return os_fail_nomem(error);
  json_object_foreach(answer, index, entry) {
    json_t *properties = json_object_get(json_object_get(entry, "aliases"), alias);
    if (!json_is_object(properties)) continue;
    if (json_object_set(found, index, properties)) {
      json_decref(found);
      return os_fail_nomem(error);
    }
  }
  *out = found;
  return OS_OK;
}

/* A filter goes back to the server as it came, so a number that does not fit is refused and not rounded. */
static int parse_exactly(const char *text, const char *alias, json_t **answer, struct os_error *error) {
  *answer = os_json_parse(text, strlen(text), 0, "GET _alias", error);
  if (json_is_object(*answer)) return OS_OK;
  if (*answer) {
    int rc = os_odd_answer("GET _alias", *answer, error);
    json_decref(*answer);
    *answer = NULL;
    return rc;
  }
  if (error && error->code == OS_ERR_NOMEM) return OS_ERR_NOMEM;
  os_error_prefix(error, "alias '%s' cannot be read exactly", alias);
  if (error) error->code = OS_ERR_ANSWER;
  return OS_ERR_ANSWER;
}

int os_cluster_alias_get(struct os_cluster *cluster, const char *alias, json_t **out,
                         struct os_error *error) {
  static const int allowed[] = {404, 0};
  struct os_buf path;
  json_t *answer = NULL;
  char *text = NULL;
  int status = 0;
  *out = NULL;
  /* GET /name/_alias/name, the name also in the place of an index: asked without one, about all there
  ** are, those who may only see their own indices would be refused (security plugin, measured on 2.19) */
  int rc = os_name_path(&path, "/", alias, "/_alias/", error);
  if (rc) return rc;
  os_url_encode(&path, alias, strlen(alias));
  if (path.failed) {
    os_buf_free(&path);
    return os_fail_nomem(error);
  }
  struct os_cluster_call call = {.method = "GET", .path = path.data, .idempotent = true, .allowed = allowed};
  rc = os_cluster_request_text(cluster, &call, &status, &text, error);
  os_buf_free(&path);
  if (rc) return rc;
  if (status == 404) { /* the body tells in words that there is none; a proxy's page is no JSON */
    json_t *missing = os_json_parse(text, strlen(text), OS_JSON_BIG_INTEGERS, "GET _alias", error);
    rc = json_object_get(missing, "error") ? OS_OK : os_odd_answer("GET _alias", missing, error);
    json_decref(missing);
    if (!rc && !(*out = json_object())) rc = os_fail_nomem(error);
  } else {
    rc = parse_exactly(text, alias, &answer, error);
    if (!rc) rc = collect(answer, alias, out, error);
    json_decref(answer);
  }
  os_free(text);
  return rc;
}

int os_cluster_aliases_change(struct os_cluster *cluster, const char *body, struct os_error *error) {
  struct os_cluster_call call = {.method = "POST", .path = "/_aliases", .body = body};
  json_t *answer = NULL;
  int rc = os_cluster_request(cluster, &call, NULL, &answer, error);
  if (rc == OS_OK) rc = os_acknowledged(answer, "change aliases", error);
  json_decref(answer);
  return rc;
}
