/* request.c - one request to a cluster: send, try again where that is safe, check the status, parse.
**
** Keeper's thread. Calls net/; everything typed in this room goes through here.
*/
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "cluster/reason.h"
#include "cluster/request.h"
#include "net/retry.h"

enum { WHAT_SIZE = 160, FIRST_CONTACT_RETRIES = 2, LONGEST_WAIT = 60, SLICE_MS = 50 };
static const double retry_base = 0.25, retry_cap = 10; /* seconds */

static const char *what_of(const struct os_cluster_call *call, char out[WHAT_SIZE]) {
  if (call->what) return call->what;
  size_t method = strlen(call->method);
  if (method > 16) method = 16;
  memcpy(out, call->method, method);
  out[method] = ' ';
  os_copy_text(out + method + 1, WHAT_SIZE - method - 1, call->path);
  return out;
}

static bool is_allowed(int status, const int *allowed) {
  for (; allowed && *allowed; allowed++)
    if (*allowed == status) return true;
  return false;
}

bool os_cluster_unknown(int rc) {
  return rc == OS_ERR_TIMEOUT || rc == OS_ERR_NETWORK || rc == OS_ERR_ANSWER || rc == OS_ERR_BUSY ||
         rc == OS_ERR_TLS;
}

bool os_cluster_interrupted(const struct os_cluster *cluster) {
  return cluster->probe.interrupted && cluster->probe.interrupted(cluster->probe.ctx);
}

int os_cluster_wait(struct os_cluster *cluster, double seconds, struct os_error *error) {
  double until = os_clock_monotonic() + seconds;
  for (;;) {
    if (os_cluster_interrupted(cluster)) return os_fail(error, OS_ERR_INTERRUPTED, "interrupted");
    double left = (until - os_clock_monotonic()) * 1000;
    if (left <= 0) return OS_OK;
    os_clock_sleep_ms(left < SLICE_MS ? (unsigned)left + 1 : SLICE_MS);
  }
}

/* Worth another try? A cluster that was reached before may be restarting, which takes a while; at first
** contact a refused connection more likely is a wrong port, and its user wants to know soon. */
static bool is_worth_retrying(const struct os_cluster *cluster, const struct os_cluster_call *call,
                              const struct os_http_call *http, int rc, int attempt) {
  int limit = cluster->endpoint->max_retries;
  if (!call->idempotent) return false;
  if (rc == OS_OK)
    return os_retry_status(http->status) && !is_allowed(http->status, call->allowed) && attempt <= limit &&
           http->retry_after <= LONGEST_WAIT;
  if (rc != OS_ERR_NETWORK) return false;
  if (!cluster->caps.probed && limit > FIRST_CONTACT_RETRIES) limit = FIRST_CONTACT_RETRIES;
  return attempt <= limit;
}

static void log_retry(struct os_cluster *cluster, const char *what, const struct os_http_call *http,
                      int attempt, double delay) {
  if (!cluster->log) return;
  if (http->error.code != OS_OK)
    os_log_write(cluster->log, OS_LOG_WARNING, "%s: %s; trying again (%d) in %ld ms", what, http->error.text,
                 attempt, (long)(delay * 1000));
  else
    os_log_write(cluster->log, OS_LOG_WARNING, "%s: status %d; trying again (%d) in %ld ms", what,
                 http->status, attempt, (long)(delay * 1000));
}

/* Until an answer that stands or an error. `http` is initialised here, freed by the caller in every case. */
static int send_call(struct os_cluster *cluster, const struct os_cluster_call *call, const char *what,
                     struct os_http_call *http, struct os_error *error) {
  for (int attempt = 1;; attempt++) {
    os_http_call_init(http, cluster->endpoint, call->method, call->path);
    http->body = call->body;
    http->body_len = call->body && !call->body_len ? strlen(call->body) : call->body_len;
    http->content_type = call->content_type;
    http->timeout = call->timeout;
    http->max_answer = call->max_answer;
    int rc = os_http_roundtrip(cluster->net, http, &cluster->probe, error);
    if (!is_worth_retrying(cluster, call, http, rc, attempt)) {
      if (rc == OS_OK || rc == OS_ERR_INTERRUPTED) return rc;
      os_error_prefix(error, "%s", what);
      if (call->max_answer && http->answer_too_large) {
        rc = OS_ERR_TOO_LARGE;
        if (error) error->code = OS_ERR_TOO_LARGE;
      }
      return rc;
    }
    double delay = os_retry_delay(attempt, retry_base, retry_cap, http->retry_after, os_random_unit());
    log_retry(cluster, what, http, attempt, delay);
    os_http_call_free(http);
    os_http_call_init(http, cluster->endpoint, call->method, call->path);
    rc = os_cluster_wait(cluster, delay, error);
    if (rc) return rc;
  }
}

static int check_status(const struct os_cluster *cluster, const struct os_cluster_call *call,
                        const char *what, const struct os_http_call *http, struct os_error *error) {
  if (http->status < 300 || is_allowed(http->status, call->allowed)) return OS_OK;
  if (http->status >= 400)
    return os_cluster_answer_error_for(cluster->endpoint, http->status, http->content_type_answered,
                                       http->answer.data, http->answer.len, what, error);
  os_fail(error, OS_ERR_ANSWER, "%s: the server answered %d and points to another address", what,
          http->status);
  if (error) error->http_status = http->status;
  return os_advise(error,
                   "give the final address of the cluster as its endpoint: redirections are not followed, "
                   "so that credentials go nowhere else");
}

static int parse_answer(const struct os_cluster *cluster, const struct os_http_call *http, const char *what,
                        json_t **answer, struct os_error *error) {
  char quoted[OS_ONE_LINE];
  struct os_error fault;
  os_error_clear(&fault);
  if (!http->answer.len) return OS_OK;
  *answer = os_json_parse(http->answer.data, http->answer.len, OS_JSON_BIG_INTEGERS, what, &fault);
  if (*answer || http->status >= 300) return OS_OK; /* an allowed error status need not bring JSON */
  if (fault.code == OS_ERR_NOMEM) return os_fail_nomem(error);
  os_one_line(http->answer.data, http->answer.len, quoted);
  os_fail(error, OS_ERR_ANSWER, "%s: the answer is not JSON but %s: %s", what,
          *http->content_type_answered ? http->content_type_answered : "of no type", quoted);
  os_advise(error, "is %s an OpenSearch cluster, or does a proxy answer in its place?",
            cluster->endpoint->url);
  if (error) os_endpoint_redact(cluster->endpoint, error->text);
  return OS_ERR_ANSWER;
}

int os_cluster_request(struct os_cluster *cluster, const struct os_cluster_call *call, int *status,
                       json_t **answer, struct os_error *error) {
  char space[WHAT_SIZE];
  const char *what = what_of(call, space);
  struct os_http_call http;
  json_t *root = NULL;
  if (status) *status = 0;
  if (answer) *answer = NULL;
  int rc = send_call(cluster, call, what, &http, error);
  if (rc) goto done;
  if (status) *status = http.status;
  rc = check_status(cluster, call, what, &http, error);
  if (rc) goto done;
  rc = parse_answer(cluster, &http, what, &root, error);
  if (rc) goto done;
  if (answer)
    *answer = root;
  else
    json_decref(root);
done:
  os_http_call_free(&http);
  return rc;
}

int os_cluster_request_text(struct os_cluster *cluster, const struct os_cluster_call *call, int *status,
                            char **text, struct os_error *error) {
  char space[WHAT_SIZE];
  const char *what = what_of(call, space);
  struct os_http_call http;
  if (status) *status = 0;
  if (text) *text = NULL;
  int rc = send_call(cluster, call, what, &http, error);
  if (rc) goto done;
  if (status) *status = http.status;
  rc = check_status(cluster, call, what, &http, error);
  if (rc || !text) goto done;
  *text = os_strndup(http.answer.len ? http.answer.data : "", http.answer.len);
  if (!*text) rc = os_fail_nomem(error);
done:
  os_http_call_free(&http);
  return rc;
}

/* ---- short forms ---- */

int os_name_request(struct os_cluster *cluster, const struct os_name_call *call, int *status, json_t **answer,
                    struct os_error *error) {
  struct os_buf path;
  if (status) *status = 0;
  if (answer) *answer = NULL;
  int rc = os_name_path(&path, "/", call->name, call->after, error);
  if (rc) return rc;
  struct os_cluster_call request = {.method = call->method,
                                    .path = path.data,
                                    .body = call->body,
                                    .timeout = call->timeout,
                                    .idempotent = !call->once,
                                    .allowed = call->allowed};
  rc = os_cluster_request(cluster, &request, status, answer, error);
  os_buf_free(&path);
  return rc;
}

int os_acknowledged(const json_t *answer, const char *what, struct os_error *error) {
  const json_t *said = json_object_get(answer, "acknowledged");
  if (json_is_true(said)) return OS_OK;
  if (!said) return os_odd_answer(what, answer, error);
  os_fail(error, OS_ERR_TIMEOUT, "%s: not every node has acknowledged the change in time", what);
  return os_advise(error, "it may still take effect: look before doing it again");
}

int os_all_shards(const json_t *answer, const char *what, struct os_error *error) {
  int64_t failed = os_json_int(answer, "_shards/failed", 0);
  if (!failed) return OS_OK;
  char type[128] = "", reason[512] = "";
  const json_t *first = json_array_get(os_json_at(answer, "_shards/failures"), 0);
  os_reason_read(json_object_get(first, "reason"), type, sizeof type, reason, sizeof reason);
  os_fail(error, OS_ERR_BUSY, "%s: %lld of %lld shards failed%s%s", what, (long long)failed,
          (long long)os_json_int(answer, "_shards/total", 0), *reason ? ": " : "", reason);
  return os_advise(error, "look at the health of the index; the result would be incomplete");
}

int os_odd_answer(const char *what, const json_t *answer, struct os_error *error) {
  char quoted[OS_ONE_LINE];
  char *text = answer ? os_json_text(answer) : NULL;
  if (text) os_one_line(text, strlen(text), quoted);
  os_fail(error, OS_ERR_ANSWER, "%s: the answer is not what OpenSearch promises: %s", what,
          text ? quoted : "empty");
  os_free(text);
  return OS_ERR_ANSWER;
}
