/* documents.c - documents by their ids: which there are, in order, and their deletion. */
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "cluster/request.h"
#include "net/retry.h"

enum { PAGE = 5000 };

/* {"delete":{"_id":…,"routing":…}} */
static int put_deletion(const json_t *hit, struct os_buf *lines, struct os_error *error) {
  json_t *action = json_pack("{s:{s:O, s:O*}}", "delete", "_id", json_object_get(hit, "_id"), "routing",
                             json_object_get(hit, "_routing"));
  char *text = action ? os_json_text(action) : NULL;
  json_decref(action);
  if (!text) return os_fail_nomem(error);
  os_buf_puts(lines, text);
  os_buf_putc(lines, '\n');
  os_free(text);
  return lines->failed ? os_fail_nomem(error) : OS_OK;
}

static int search_after(struct os_cluster *cluster, const char *name, const char *after, json_t **answer,
                        struct os_error *error) {
  json_t *query =
      json_pack("{s:i, s:b, s:[{s:{s:s, s:s}}], s:{s:{}}, s:[s]}", "size", PAGE, "_source", 0, "sort", "_id",
                "order", "asc", "unmapped_type", "keyword", "query", "match_all", "search_after", after);
  char *body = query ? os_json_text(query) : NULL;
  struct os_name_call call = {
      .method = "POST", .name = name, .after = "/_search?allow_partial_search_results=false", .body = body};
  int rc = body ? os_name_request(cluster, &call, NULL, answer, error) : os_fail_nomem(error);
  json_decref(query);
  os_free(body);
  return rc ? rc : os_all_shards(*answer, "search by _id", error);
}

int os_cluster_deletions_after(struct os_cluster *cluster, const char *name, char **after, const char *prefix,
                               struct os_buf *lines, int64_t *count, struct os_error *error) {
  json_t *answer = NULL, *hit = NULL;
  const char *last = NULL;
  size_t i;
  *count = 0;
  int rc = search_after(cluster, name, *after ? *after : "", &answer, error);
  json_array_foreach(os_json_at(answer, "hits/hits"), i, hit) {
    const char *id = os_json_string(hit, "_id", "");
    if (rc || strncmp(id, prefix, strlen(prefix)) != 0) break;
    rc = put_deletion(hit, lines, error);
    last = id;
    ++*count;
  }
  if (!rc && last) {
    os_free(*after);
    *after = os_strdup(last);
    if (!*after) rc = os_fail_nomem(error);
  }
  json_decref(answer);
  return rc;
}

/* Line `i` of several; NULL: there are not so many. */
static const char *line_at(const char *lines, size_t i, size_t *len) {
  for (; *lines; lines += *len) {
    *len = strcspn(lines, "\n") + 1;
    if (!i--) return lines;
  }
  return NULL;
}

/* What became of each: deleted, not there, busy (its line goes to `again`), or an error. */
static int read_items(const char *name, const char *lines, const json_t *answer, int64_t *deleted,
                      struct os_buf *again, struct os_error *error) {
  const json_t *items = json_object_get(answer, "items");
  const char *rest = lines;
  for (size_t i = 0; i < json_array_size(items); i++) {
    const json_t *item = json_object_get(json_array_get(items, i), "delete");
    int status = (int)os_json_int(item, "status", 0);
    size_t len = 0;
    const char *line = line_at(rest, 0, &len);
    if (!line) return os_odd_answer("deletion by _id", answer, error);
    rest = line + len;
    if (status == 200)
      ++*deleted;
    else if (os_retry_status(status))
      os_buf_append(again, line, len);
    else if (status != 404)
      return os_fail(error, OS_ERR_REFUSED, "document '%s' of %s cannot be deleted: %d %s",
                     os_json_string(item, "_id", ""), name, status, os_json_string(item, "error/reason", ""));
  }
  if (*rest) return os_odd_answer("deletion by _id", answer, error);
  return again->failed ? os_fail_nomem(error) : OS_OK;
}

int os_cluster_delete_documents(struct os_cluster *cluster, const char *name, const char *lines,
                                int64_t *deleted, struct os_error *error) {
  struct os_buf now, again;
  int rc = OS_OK;
  os_buf_init(&now, 0);
  os_buf_init(&again, 0);
  os_buf_puts(&now, lines);
  for (int attempt = 1; !rc && now.len; attempt++) {
    json_t *answer = NULL;
    struct os_name_call call = {.method = "POST", .name = name, .after = "/_bulk", .body = now.data};
    rc = os_name_request(cluster, &call, NULL, &answer, error);
    if (!rc) rc = read_items(name, now.data, answer, deleted, &again, error);
    json_decref(answer);
    struct os_buf done = now;
    now = again;
    again = done;
    os_buf_clear(&again);
    if (rc || !now.len) break;
    if (attempt > cluster->endpoint->max_retries)
      rc = os_fail(error, OS_ERR_BUSY, "%s is too busy to delete documents", name);
    else
      rc = os_cluster_wait(cluster, os_retry_delay(attempt, 0.1, 10, -1, 1), error);
  }
  os_buf_free(&now);
  os_buf_free(&again);
  return rc;
}
