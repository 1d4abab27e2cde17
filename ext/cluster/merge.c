/* merge.c - see merge.h. */
#include "cluster/merge.h"
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "cluster/request.h"

bool os_cluster_merge_has_task(const struct os_capabilities *caps) {
  return !strcmp(caps->distribution, "opensearch") &&
         (caps->major > 2 || (caps->major == 2 && caps->minor >= 7));
}

/* What stands behind the name in the path; NULL: no memory. */
static char *merge_path(const struct os_merge_call *call, bool as_task) {
  char *max = call->max_segments ? os_mprintf("&max_num_segments=%d", call->max_segments) : os_strdup("");
  char *path = max ? os_mprintf("/_forcemerge?%s%s%s", as_task ? "wait_for_completion=false" : "flush=true",
                                call->only_expunge ? "&only_expunge_deletes=true" : "", max)
                   : NULL;
  os_free(max);
  return path;
}

int os_cluster_merge_start(struct os_cluster *cluster, const struct os_merge_call *call, char task[128],
                           struct os_error *error) {
  task[0] = '\0';
  int rc = os_cluster_check_name(call->name, error);
  if (rc) return rc;
  char *after = merge_path(call, true);
  char *path = after ? os_cluster_path(call->name, after) : NULL;
  rc = path ? os_cluster_task_start(cluster, "POST", path, NULL, task, error) : os_fail_nomem(error);
  os_free(after);
  os_free(path);
  return rc;
}

int os_cluster_merge_wait(struct os_cluster *cluster, const struct os_merge_call *call,
                          struct os_error *error) {
  static const int lost_patience[] = {504, 0}; /* a load balancer's; the merge goes on */
  if (os_cluster_is_serverless(cluster))
    return os_serverless_lacks("_forcemerge: it merges by itself", error);
  char *after = merge_path(call, false);
  json_t *answer = NULL;
  int status = 0;
  if (!after) return os_fail_nomem(error);
  struct os_name_call request = {.method = "POST",
                                 .name = call->name,
                                 .after = after,
                                 .timeout = call->timeout,
                                 .once = true,
                                 .allowed = lost_patience};
  int rc = os_name_request(cluster, &request, &status, &answer, error);
  if (rc == OS_OK && status == 504)
    rc = os_fail(error, OS_ERR_TIMEOUT, "the merge of %s was not answered in time", call->name);
  else if (rc == OS_OK)
    rc = os_all_shards(answer, "force merge", error);
  json_decref(answer);
  os_free(after);
  return rc;
}

int os_cluster_merge_find(struct os_cluster *cluster, const char *name, char task[128],
                          struct os_error *error) {
  char *described = os_mprintf("indices [%s]", name); /* ForceMergeRequest.getDescription() */
  task[0] = '\0';
  if (!described) return os_fail_nomem(error);
  int rc = os_cluster_task_find(cluster, "indices:admin/forcemerge", described, task, error);
  os_free(described);
  return rc;
}

int os_cluster_force_merge(struct os_cluster *cluster, const char *name, bool only_expunge, double timeout,
                           bool *started_only, struct os_error *error) {
  const struct os_merge_call call = {.name = name, .only_expunge = only_expunge, .timeout = timeout};
  int rc = os_cluster_merge_wait(cluster, &call, error);
  *started_only = rc == OS_ERR_TIMEOUT;
  if (!*started_only) return rc;
  os_error_clear(error);
  return OS_OK;
}
