/* answer.c - an HTTP answer with an error status, told as one error: the server's reason and what to do.
 * Pure. */
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/text.h"
#include "cluster/cluster.h"
#include "cluster/reason.h"
#include "cluster/right.h"

enum { TYPE_SIZE = 128, REASON_SIZE = 1024 };

static enum os_code code_of(int status) {
  switch (status) {
  case 401: return OS_ERR_AUTH;
  case 403: return OS_ERR_FORBIDDEN;
  case 404: return OS_ERR_NOT_FOUND;
  case 409: return OS_ERR_CONFLICT;
  case 413: return OS_ERR_TOO_LARGE;
  case 429:
  case 502:
  case 503:
  case 504: return OS_ERR_BUSY;
  default: return OS_ERR_REFUSED;
  }
}

static void advise(int status, const char *type, const char *reason, struct os_error *error) {
  if (status == 401)
    os_advise(error, "check OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD");
  else if (status == 403)
    os_advise_forbidden(type, reason, error);
  else if (status == 407)
    os_advise(error, "a proxy wants a password: check http_proxy and https_proxy");
  else if (status == 429 && !strcmp(type, "cluster_block_exception"))
    os_advise(error, "a disk is nearly full: free space on the nodes");
  else if (status == 413)
    os_advise(error, "send smaller batches (BATCH_BYTES)");
}

/* OpenSearch says {"error": {…} or "…"}, AWS {"message": "…"} or {"Message": "…"}. */
static bool read_reason(const json_t *root, char *type, char *reason) {
  const json_t *error = json_object_get(root, "error");
  type[0] = reason[0] = '\0';
  if (json_is_object(error) || json_is_string(error)) {
    os_reason_read(error, type, TYPE_SIZE, reason, REASON_SIZE);
    if (json_is_string(error)) type[0] = '\0';
    if (!strcmp(reason, "403 Forbidden")) reason[0] = '\0'; /* a collection: what status and type say */
    return true;
  }
  const char *message = os_json_string(root, "message", NULL);
  if (!message) message = os_json_string(root, "Message", NULL);
  if (!message) return false;
  /* behind an empty line AWS shows what it would have signed */
  const char *end = strstr(message, "\n\n");
  os_copy_bytes(reason, REASON_SIZE, message, end ? (size_t)(end - message) : strlen(message));
  return true;
}

static bool is_html(const char *content_type, const char *body, size_t len) {
  static const char html[] =
      "text/html"; /* parameters may follow; case does not count (RFC 9110 section 8.3.1) */
  size_t same = 0;
  while (content_type && html[same] && os_to_lower(content_type[same]) == html[same])
    same++;
  if (!html[same]) return true;
  while (len && os_is_space(*body))
    body++, len--;
  return len && *body == '<';
}

int os_cluster_answer_error(int status, const char *content_type, const char *body, size_t len,
                            const char *what, struct os_error *error) {
  struct os_error scratch;
  char type[TYPE_SIZE] = "", reason[REASON_SIZE] = "", quoted[OS_ONE_LINE];
  enum os_code code = code_of(status);
  if (!error) error = &scratch;
  json_t *root = len ? os_json_load(body, len, JSON_DECODE_INT_AS_REAL, NULL) : NULL;
  if (root && read_reason(root, type, reason)) {
    os_fail(error, code, "%s: %d%s%s%s%s", what, status, *type ? " " : "", type, *reason ? ": " : "", reason);
    advise(status, type, reason, error);
  } else if (!len) {
    os_fail(error, code, "%s: %d with an empty answer", what, status);
    advise(status, "", "", error);
  } else {
    os_one_line(body, len, quoted);
    bool html = is_html(content_type, body, len);
    os_fail(error, code, "%s: %d with %s: %s", what, status,
            html   ? "an HTML page"
            : root ? "JSON"
                   : "text",
            quoted);
    advise(status, "", "", error);
    if (html && status != 401)
      os_advise(error, "the page is not OpenSearch's: does a proxy answer in its place?");
  }
  error->http_status = status;
  json_decref(root);
  return (int)code;
}

int os_cluster_answer_error_for(const struct os_endpoint *endpoint, int status, const char *content_type,
                                const char *body, size_t len, const char *what, struct os_error *error) {
  struct os_error scratch;
  if (!error) error = &scratch;
  os_cluster_answer_error(status, content_type, body, len, what, error);
  bool is_main = !endpoint->name || !strcmp(endpoint->name, "main");
  if (status == 404 && endpoint->serverless && !len)
    os_advise(error, "a collection of OpenSearch Serverless has no such operation");
  if (endpoint->auth == OS_AUTH_IAM) {
    if (status == 401 || status == 403) os_advise_signed(endpoint, what, error);
  } else if (status == 403 && strstr(error->text, "User: anonymous is not authorized")) {
    if (is_main)
      os_advise(error, "this domain takes signed requests: set OPENSEARCH_AUTH=iam");
    else
      os_advise(error, "this domain takes signed requests: give auth iam to os_connect('%s', …)",
                endpoint->name);
  } else if (status == 401 && endpoint->auth == OS_AUTH_NONE) {
    os_fail(error, OS_ERR_AUTH, "%s: the cluster wants a user and a password", what);
    if (is_main)
      os_advise(error, "set OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD");
    else
      os_advise(error, "give username and password to os_connect('%s', …)", endpoint->name);
  } else if (status == 401 && endpoint->auth == OS_AUTH_NETRC) {
    os_fail(error, OS_ERR_AUTH,
            "%s: the cluster refused the user that netrc names for it, or netrc names none", what);
    os_advise(error, "check ~/.netrc");
  } else if (status == 401) {
    os_fail(error, OS_ERR_AUTH, "%s: the cluster refused user \"%s\"", what,
            endpoint->username ? endpoint->username : "");
    if (is_main)
      os_advise(error, "check OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD");
    else
      os_advise(error, "check username and password of os_connect('%s', …)", endpoint->name);
  }
  error->http_status = status;
  os_endpoint_redact(endpoint, error->text);
  os_endpoint_redact(endpoint, error->advice);
  return (int)error->code;
}
