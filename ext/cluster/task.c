/* task.c - work that the cluster does in the background: start it, ask how far it is, judge the end, cancel
 * it. */
#include <string.h>
#include "base/json.h"
#include "cluster/reason.h"
#include "cluster/request.h"

int os_cluster_task_start(struct os_cluster *cluster, const char *method, const char *path, const char *body,
                          char task[128], struct os_error *error) {
  struct os_cluster_call call = {.method = method, .path = path, .body = body};
  json_t *answer = NULL;
  task[0] = '\0';
  int rc = os_cluster_request(cluster, &call, NULL, &answer, error);
  if (rc) return rc;
  const char *id = os_json_string(answer, "task", NULL);
  if (!id || strlen(id) >= 128)
    rc = os_odd_answer("start a task", answer, error);
  else
    os_copy_text(task, 128, id);
  json_decref(answer);
  return rc;
}

static int task_request(struct os_cluster *cluster, const char *method, const char *before, const char *task,
                        const char *after, json_t **answer, struct os_error *error) {
  struct os_buf path;
  os_buf_init(&path, 0);
  os_buf_puts(&path, before);
  os_url_encode(&path, task, strlen(task));
  os_buf_puts(&path, after);
  if (path.failed) {
    os_buf_free(&path);
    return os_fail_nomem(error);
  }
  struct os_cluster_call call = {.method = method, .path = path.data, .idempotent = true};
  int rc = os_cluster_request(cluster, &call, NULL, answer, error);
  os_buf_free(&path);
  return rc;
}

/* ---- while it runs ---- */

static const char *const counters[] = {"total", "updated", "created",          "deleted",
                                       "noops", "batches", "version_conflicts"};
enum { COUNTERS = sizeof counters / sizeof *counters };

/* Adds to the figures in `status` those of the slices that still run. */
static int add_children(const json_t *answer, json_t *status, struct os_error *error) {
  int64_t sums[COUNTERS] = {0};
  const char *node = NULL, *id = NULL;
  json_t *entry = NULL, *task = NULL;
  json_object_foreach(json_object_get(answer, "nodes"), node, entry) {
    json_object_foreach(json_object_get(entry, "tasks"), id, task) {
      const json_t *part = json_object_get(task, "status");
      for (size_t i = 0; json_is_object(part) && i < COUNTERS; i++)
        sums[i] += os_json_int(part, counters[i], 0);
    }
  }
  for (size_t i = 0; i < COUNTERS; i++)
    if (!os_json_put(status, counters[i], json_integer(os_json_int(status, counters[i], 0) + sums[i])))
      return os_fail_nomem(error);
  return OS_OK;
}

/* The parent of a sliced task counts a slice only when that has ended: what the others have done is added. */
static int progress(struct os_cluster *cluster, const char *task, const json_t *answer, json_t **status,
                    struct os_error *error) {
  json_t *own = json_deep_copy(os_json_at(answer, "task/status"));
  if (!own) own = json_object();
  if (!own) return os_fail_nomem(error);
  int rc = OS_OK;
  if (!os_json_int(own, "total", 0) || json_object_get(own, "slices")) {
    struct os_error ignored;
    json_t *children = NULL;
    rc = task_request(cluster, "GET", "/_tasks?detailed=true&parent_task_id=", task, "", &children, &ignored);
    if (rc == OS_OK)
      rc = add_children(children, own, error);
    else if (rc == OS_ERR_INTERRUPTED && error)
      *error = ignored;
    else
      rc = OS_OK; /* figures are only for show */
    json_decref(children);
  }
  if (rc)
    json_decref(own);
  else
    *status = own;
  return rc;
}

/* ---- when it has ended ---- */

static int told_failure(const char *task, const json_t *failures, struct os_error *error) {
  char type[128] = "", reason[768] = "";
  const json_t *first = json_array_get(failures, 0);
  const json_t *cause = json_object_get(first, "cause"); /* of a document; "reason" of a shard */
  if (!cause) cause = json_object_get(first, "reason");
  os_reason_read(cause, type, sizeof type, reason, sizeof reason);
  const char *id = os_json_string(first, "id", NULL);
  os_fail(error, OS_ERR_REFUSED, "task %s: %zu failure%s, the first%s%s%s: %s: %s", task,
          json_array_size(failures), json_array_size(failures) == 1 ? "" : "s", id ? " of document '" : "",
          id ? id : "", id ? "'" : "", type, reason);
  if (error) error->http_status = (int)os_json_int(first, "status", 0);
  return OS_ERR_REFUSED;
}

static bool was_cancelled(const json_t *answer) {
  return os_json_string(answer, "response/canceled", NULL) || os_json_bool(answer, "task/cancelled", false);
}

/* "completed" alone says nothing: a cancelled task and one that lost documents are completed too. */
static int judge(const char *task, const json_t *answer, struct os_error *error) {
  const json_t *fault = json_object_get(answer, "error");
  const json_t *response = json_object_get(answer, "response");
  const json_t *failures = json_object_get(response, "failures");
  char type[128], reason[1024];
  if (was_cancelled(answer))
    return os_fail(error, OS_ERR_CANCELLED, "task %s was cancelled before its end: %s", task,
                   os_json_string(answer, "response/canceled", "no reason given"));
  if (fault) {
    os_reason_read(fault, type, sizeof type, reason, sizeof reason);
    return os_fail(error, OS_ERR_REFUSED, "task %s failed: %s: %s", task, type, reason);
  }
  if (!json_is_object(response)) return os_odd_answer("task", answer, error);
  if (json_array_size(failures)) return told_failure(task, failures, error);
  if (os_json_bool(response, "timed_out", false))
    return os_fail(error, OS_ERR_REFUSED,
                   "task %s: a search inside it ran out of time; not everything was done", task);
  int rc = os_all_shards(response, "task", error);
  if (rc || !json_object_get(response, "total")) return rc; /* a kind of task that counts no documents */
  int64_t total = os_json_int(response, "total", 0), done = 0;
  static const char *const parts[] = {"created", "updated", "deleted", "noops", "version_conflicts"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    done += os_json_int(response, parts[i], 0);
  if (total == done) return OS_OK;
  os_fail(error, OS_ERR_REFUSED, "task %s ended with %lld of %lld documents and gives no reason", task,
          (long long)done, (long long)total);
  return os_advise(error, "run it again; look at the log of the cluster");
}

int os_cluster_task_poll(struct os_cluster *cluster, const char *task, bool *completed, json_t **status,
                         struct os_error *error) {
  json_t *answer = NULL;
  *completed = false;
  if (status) *status = NULL;
  int rc = task_request(cluster, "GET", "/_tasks/", task, "", &answer, error);
  if (rc == OS_ERR_NOT_FOUND) {
    os_error_prefix(error, "the cluster no longer knows task %s", task);
    return os_advise(
        error, "its node may have been restarted: what it did stays, the rest is missing; run it again");
  }
  if (rc) return rc;
  if (!json_object_get(answer, "completed")) {
    rc = os_odd_answer("task", answer, error);
  } else if (!os_json_bool(answer, "completed", false)) {
    if (status) rc = progress(cluster, task, answer, status, error);
  } else {
    *completed = true;
    if (status) *status = json_incref(json_object_get(answer, "response"));
    rc = judge(task, answer, error);
  }
  json_decref(answer);
  return rc;
}

int os_cluster_task_cancel(struct os_cluster *cluster, const char *task, struct os_error *error) {
  json_t *answer = NULL;
  int rc = task_request(cluster, "POST", "/_tasks/", task, "/_cancel", &answer, error);
  const json_t *failures = json_object_get(answer, "node_failures");
  if (rc == OS_OK && json_array_size(failures)) {
    char type[128], reason[768];
    os_reason_read(json_array_get(failures, 0), type, sizeof type, reason, sizeof reason);
    rc = os_fail(error, OS_ERR_REFUSED, "task %s cannot be cancelled: %s: %s", task, type, reason);
  }
  json_decref(answer);
  return rc;
}

/* ---- tasks whose id is not known ---- */

static void find_described(const json_t *answer, const char *described, char task[128]) {
  const char *node = NULL, *id = NULL;
  json_t *entry = NULL, *each = NULL;
  json_object_foreach(json_object_get(answer, "nodes"), node, entry) {
    json_object_foreach(json_object_get(entry, "tasks"), id, each) {
      if (json_object_get(each, "parent_task_id")) continue; /* a slice */
      if (!strstr(os_json_string(each, "description", ""), described)) continue;
      os_copy_text(task, 128, id);
      return;
    }
  }
}

int os_cluster_task_find(struct os_cluster *cluster, const char *actions, const char *described,
                         char task[128], struct os_error *error) {
  json_t *answer = NULL;
  task[0] = '\0';
  int rc = task_request(cluster, "GET", "/_tasks?detailed=true&actions=", actions, "", &answer, error);
  const json_t *failures = json_object_get(answer, "node_failures");
  if (rc == OS_OK && !json_is_object(answer)) rc = os_odd_answer("list tasks", answer, error);
  if (rc == OS_OK && json_array_size(failures))
    rc = os_fail(error, OS_ERR_BUSY, "list tasks: %zu nodes did not answer", json_array_size(failures));
  if (rc == OS_OK) find_described(answer, described, task);
  json_decref(answer);
  return rc;
}
