/* replace.c - see replace.h.
**
** Computed ids of one content share their first 16 characters and sort by offset, so they stand next to
** each other when the index is walked in order of `_id` (search_after, documented on the paginate-results
** page).
*/
#include "operations/load/replace.h"
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/json.h"
#include "net/http.h"
#include "pipeline/fingerprint.h"

enum { PAGE = 5000 };

/* Ids after `after` that begin with prefix, as lines of delete actions. *count: how many. */
static int collect(struct os_load *load, const char *prefix, const char *after, struct os_buf *actions,
                   size_t *count, struct os_error *error) {
  char *path = os_cluster_path(load->target.concrete, "/_search?allow_partial_search_results=false");
  char *body = os_mprintf("{\"size\":%d,\"_source\":false,\"sort\":[{\"_id\":{\"order\":\"asc\",\"unmapped_"
                          "type\":\"keyword\"}}],\"query\":{\"match_all\":{}},"
                          "\"search_after\":[\"%s\"]}",
                          PAGE, after);
  json_t *answer = NULL, *hit;
  size_t i;
  *count = 0;
  struct os_cluster_call call = {
      .method = "POST", .path = path, .body = body, .idempotent = true, .what = "search by _id"};
  int rc =
      path && body ? os_cluster_request(load->cluster, &call, NULL, &answer, error) : os_fail_nomem(error);
  if (!rc && os_json_int(answer, "_shards/failed", 1) != 0)
    rc = os_fail(error, OS_ERR_ANSWER, "a search over %s missed a shard", load->target.concrete);
  if (!rc) {
    json_array_foreach(os_json_at(answer, "hits/hits"), i, hit) {
      const char *id = os_json_string(hit, "_id", "");
      if (strncmp(id, prefix, OS_ID_PREFIX)) break;
      os_buf_printf(actions, "{\"delete\":{\"_id\":\"%s\"}}\n", id);
      ++*count;
    }
  }
  if (!rc && actions->failed) rc = os_fail_nomem(error);
  json_decref(answer);
  os_free(path);
  os_free(body);
  return rc;
}

static int delete_page(struct os_load *load, const struct os_buf *actions, size_t count,
                       struct os_error *error) {
  char *path = os_cluster_path(load->target.concrete, "/_bulk?filter_path=errors,items.*.error&refresh=true");
  json_t *answer = NULL;
  struct os_cluster_call call = {.method = "POST",
                                 .path = path,
                                 .body = actions->data,
                                 .body_len = actions->len,
                                 .content_type = "application/x-ndjson",
                                 .idempotent = true,
                                 .what = "delete earlier documents"};
  int rc = path ? os_cluster_request(load->cluster, &call, NULL, &answer, error) : os_fail_nomem(error);
  if (!rc && os_json_bool(answer, "errors", true))
    rc = os_fail(error, OS_ERR_REFUSED, "some of %zu earlier documents could not be deleted", count);
  json_decref(answer);
  os_free(path);
  return rc;
}

int os_load_replace(struct os_load *load, size_t i, struct os_error *error) {
  const struct os_source *source = &load->shared->list.sources[i];
  const struct os_load_file *file = &load->files[i];
  char prefix[OS_ID_PREFIX + 1];
  int64_t deleted = 0;
  size_t count = 0;
  if (file->carries_id || !load->request->exactly_once) {
    os_fail(error, OS_ERR_GUARD,
            "%s: its earlier documents do not have computed ids and cannot be told from others",
            source->path);
    os_advise(error, "load it with mode upsert, and delete what is gone by a query of your own");
    return os_job_guard_failed(load->job, "prepare", "replace", error);
  }
  int rc =
      os_id_prefix_compute(source->name, file->replace_fingerprint, file->replace_generation, prefix, error);
  if (!rc)
    rc = os_job_audit(load->job, "prepare", "replace", "did", true, error,
                      "deleting the documents of the earlier content of %s (ids %s…)", source->path, prefix);
  struct os_buf actions;
  os_buf_init(&actions, 0);
  while (!rc) { /* every page is deleted before the next is read, so each begins at the prefix again */
    os_buf_clear(&actions);
    rc = collect(load, prefix, prefix, &actions, &count, error);
    if (rc || !count) break;
    rc = delete_page(load, &actions, count, error);
    deleted += (int64_t)count;
  }
  os_buf_free(&actions);
  if (deleted) load->deleted_some = true;
  load->deleted += deleted;
  if (rc) return rc;
  return os_job_audit(load->job, "prepare", "replaced", "did", false, error,
                      "%lld earlier documents of %s deleted", (long long)deleted, source->path);
}
