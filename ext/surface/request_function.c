/* request_function.c - os_request(method, path [, body [, options]]): any request of the REST API, the
** escape hatch.
**
** Gives the answer's body as it came. A status of 400 or more is an error with the server's reason, unless
** the option allow_status lists it. What may change the cluster is a job (its body is not recorded: it may
** hold passwords). May call: operations/session, cluster/, base/. Owns nothing. */
#include "surface/functions.h"

#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/text.h"

enum { ALLOWED_LIMIT = 16 };

static const struct os_option request_options[] = {
    {"allow_status", OS_OPT_ARRAY, 0, 0, NULL, NULL},
    {"content_type", OS_OPT_TEXT, 1, 200, NULL, NULL},
    {NULL, 0, 0, 0, NULL, NULL},
};
const struct os_option_schema os_schema_request = {
    OS_COMMON_CONNECTION | OS_COMMON_TIMEOUT | OS_COMMON_CORRELATION_ID, request_options};

static int read_method(struct os_command *command, const char **out) {
  static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};
  const char *method;
  int rc = os_command_text(command, 0, "method", &method);
  if (rc != OS_OK) return rc;
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
    if (os_strcasecmp(method, methods[i]) == 0) {
      *out = methods[i];
      return OS_OK;
    }
  }
  os_fail(&command->error, OS_ERR_ARGUMENT, "'%.40s' is no method", method);
  os_advise(&command->error, "use GET, HEAD, POST, PUT or DELETE");
  return OS_ERR_ARGUMENT;
}

/* RFC 3986: blanks and control characters have to be encoded; a line break would forge a header. */
static int read_path(struct os_command *command, const char **path) {
  int rc = os_command_text(command, 1, "path", path);
  if (rc != OS_OK) return rc;
  if ((*path)[0] != '/') {
    os_fail(&command->error, OS_ERR_ARGUMENT, "path '%.80s' does not begin with '/'", *path);
    os_advise(&command->error, "the endpoint stands in front of it: '/_cluster/health'");
    return OS_ERR_ARGUMENT;
  }
  for (const char *at = *path; *at != '\0'; at++)
    if ((unsigned char)*at <= ' ' || *at == 0x7f || (unsigned char)*at >= 0x80)
      return os_fail(
          &command->error, OS_ERR_ARGUMENT,
          "path has a blank, a control character or a letter beyond ASCII at byte %zu; write it as %%%02X",
          (size_t)(at - *path) + 1, (unsigned)(unsigned char)*at);
  return OS_OK;
}

/* The last named part of the path, without the query: "_bulk" of "/i/_bulk?x=y". */
static bool path_ends_with(const char *path, const char *const *words) {
  size_t end = strcspn(path, "?");
  while (end > 0 && path[end - 1] == '/')
    end--;
  size_t start = end;
  while (start > 0 && path[start - 1] != '/')
    start--;
  for (; *words != NULL; words++)
    if (strlen(*words) == end - start && memcmp(path + start, *words, end - start) == 0) return true;
  return false;
}

/* POSTs that only read; every other POST, PUT and DELETE is a job. */
static bool is_read(const char *method, const char *path) {
  static const char *const reads[] = {"_search",       "_msearch",   "_count",    "_mget",    "_analyze",
                                      "_field_caps",   "_validate",  "query",     "_explain", "_termvectors",
                                      "template",      "_rank_eval", "_simulate", "_sql",     "_ppl",
                                      "point_in_time", NULL};
  if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) return true;
  return strcmp(method, "POST") == 0 && path_ends_with(path, reads);
}

static int read_allowed(struct os_command *command, int allowed[ALLOWED_LIMIT + 1]) {
  const json_t *list = os_options_json(&command->options, "allow_status");
  size_t n = json_array_size(list);
  if (n > ALLOWED_LIMIT)
    return os_fail(&command->error, OS_ERR_ARGUMENT, "option 'allow_status' lists more than %d numbers",
                   ALLOWED_LIMIT);
  for (size_t i = 0; i < n; i++) {
    const json_t *status = json_array_get(list, i);
    if (!json_is_integer(status) || json_integer_value(status) < 400 || json_integer_value(status) > 599)
      return os_fail(&command->error, OS_ERR_ARGUMENT,
                     "option 'allow_status' takes an array of HTTP statuses from 400 to 599, such as [404]");
    allowed[i] = (int)json_integer_value(status);
  }
  allowed[n] = 0;
  return OS_OK;
}

/* Text that is a whole JSON value gets the subtype of JSON, so that it nests in json_object() and its kin. */
static bool is_json(const char *text, size_t len) {
  struct os_error ignored = {0};
  if (len == 0 || strchr("{[", text[0]) == NULL) return false;
  json_t *value = os_json_parse(text, len, OS_JSON_BIG_INTEGERS, "answer", &ignored);
  json_decref(value);
  return value != NULL;
}

/* An answer to HEAD has no body, so its status is the result. */
static int give_answer(struct os_command *command, const char *method, int status, char *text) {
  if (strcmp(method, "HEAD") == 0) {
    os_free(text);
    text = os_mprintf("{\"status\":%d}", status);
  } else if (text == NULL) {
    text = os_strdup("");
  }
  size_t len = text != NULL ? strlen(text) : 0;
  return os_command_result_text_take(command, text, len, text != NULL && is_json(text, len));
}

int os_run_request(struct os_command *command) {
  static const char *const ndjson[] = {"_bulk", "_msearch", "template", NULL};
  struct os_cluster cluster;
  int allowed[ALLOWED_LIMIT + 1];
  const char *method, *path, *body;
  int rc = read_method(command, &method);
  if (rc == OS_OK) rc = read_path(command, &path);
  if (rc == OS_OK) rc = os_command_optional_text(command, 2, "body", &body);
  if (rc == OS_OK) rc = read_allowed(command, allowed);
  if (rc == OS_OK) rc = os_command_cluster(command, &cluster);
  if (rc != OS_OK) return rc;
  bool read = is_read(method, path);
  command->repeatable = read;
  if (!read) rc = os_command_job_begin(command, "request", NULL);
  if (rc == OS_OK && !read)
    rc = os_command_audit(command, "request", "sent", "did", true, "%s %.1000s", method, path);
  if (rc != OS_OK) goto done;
  const char *type =
      os_options_text(&command->options, "content_type",
                      body != NULL && path_ends_with(path, ndjson) && strstr(path, "_search/template") == NULL
                          ? "application/x-ndjson"
                          : NULL);
  struct os_cluster_call call = {.method = method,
                                 .path = path,
                                 .body = body,
                                 .content_type = type,
                                 .timeout = os_options_real(&command->options, "timeout", 0),
                                 .idempotent = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0,
                                 .allowed = allowed};
  int status = 0;
  char *text = NULL;
  rc = os_cluster_request_text(&cluster, &call, &status, &text, &command->error);
  if (rc == OS_OK) rc = give_answer(command, method, status, text);
done:
  os_session_cluster_release(&cluster);
  return rc;
}
