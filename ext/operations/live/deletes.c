/* deletes.c - what was deleted from the source while it was copied, the copy still has: each of its ids is
** looked up in the source, which takes no writes meanwhile; see live_int.h.
*/
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/json.h"
#include "operations/live/live_int.h"

enum { IDS_A_PAGE = 5000 };

/* {"_id":"…","routing":"…"} */
static void put_place(struct os_buf *out, const struct os_search_hit *hit) {
  os_buf_puts(out, "{\"_id\":\"");
  os_buf_append(out, hit->id, hit->id_len);
  if (hit->routing) {
    os_buf_puts(out, "\",\"routing\":\"");
    os_buf_append(out, hit->routing, hit->routing_len);
  }
  os_buf_puts(out, "\"}");
}

/* The ids of one page as the body of an _mget. */
static int ids_of(const char *text, struct os_buf *body, int64_t *last, int *hits, struct os_error *error) {
  struct os_search_hits *list = NULL;
  struct os_search_hit hit;
  bool found = true;
  *hits = 0;
  os_buf_puts(body, "{\"docs\":[");
  int rc = os_search_hits_open(&list, text, strlen(text), error);
  while (!rc && !(rc = os_search_hits_next(list, &hit, &found, error)) && found) {
    if ((*hits)++) os_buf_putc(body, ',');
    put_place(body, &hit);
    *last = hit.seq_no;
  }
  os_buf_puts(body, "]}");
  os_search_hits_close(list);
  return !rc && body->failed ? os_fail_nomem(error) : rc;
}

static int look_up(struct os_live *live, const char *ids, json_t **answer, struct os_error *error) {
  char *path = os_cluster_path(live->request->source, "/_mget?_source=false");
  if (!path) return os_fail_nomem(error);
  struct os_cluster_call call = {.method = "POST", .path = path, .body = ids, .idempotent = true};
  int rc = os_cluster_request(live->copy.from, &call, NULL, answer, error);
  os_free(path);
  return rc;
}

/* Lines for _bulk of those that the source has not; asked: the ids in the order of the answer. */
static int list_missing(const json_t *asked, const json_t *answer, struct os_buf *lines, int64_t *missing,
                        struct os_error *error) {
  const json_t *ids = json_object_get(asked, "docs"), *docs = json_object_get(answer, "docs");
  if (json_array_size(ids) != json_array_size(docs))
    return os_fail(error, OS_ERR_ANSWER, "_mget answered for %zu of %zu ids", json_array_size(docs),
                   json_array_size(ids));
  for (size_t i = 0; i < json_array_size(docs); i++) {
    const json_t *doc = json_array_get(docs, i), *found = json_object_get(doc, "found");
    if (json_is_true(found)) continue;
    if (!json_is_false(found))
      return os_fail(error, OS_ERR_ANSWER, "whether the source has document '%s' cannot be told",
                     os_json_string(doc, "_id", ""));
    json_t *action = json_pack("{s:O}", "delete", json_array_get(ids, i));
    char *text = action ? os_json_text(action) : NULL;
    json_decref(action);
    if (!text) return os_fail_nomem(error);
    os_buf_puts(lines, text);
    os_buf_putc(lines, '\n');
    os_free(text);
    ++*missing;
  }
  return lines->failed ? os_fail_nomem(error) : OS_OK;
}

static int reconcile_page(struct os_live *live, const char *text, int64_t *last, int *hits, int64_t *deleted,
                          struct os_error *error) {
  struct os_buf body, lines;
  json_t *answer = NULL, *asked = NULL;
  int64_t missing = 0;
  os_buf_init(&body, 0);
  os_buf_init(&lines, 0);
  int rc = ids_of(text, &body, last, hits, error);
  if (!rc && *hits) {
    rc = look_up(live, body.data, &answer, error);
    if (!rc && !(asked = os_json_parse(body.data, body.len, 0, "ids", error))) rc = (int)error->code;
    if (!rc) rc = list_missing(asked, answer, &lines, &missing, error);
    if (!rc && missing)
      rc = os_cluster_delete_documents(live->copy.from, live->request->target, lines.data, deleted, error);
  }
  json_decref(asked);
  json_decref(answer);
  os_buf_free(&body);
  os_buf_free(&lines);
  return rc;
}

static int reconcile_shard(struct os_live *live, size_t shard, int64_t upto, int64_t *deleted,
                           struct os_error *error) {
  struct os_copy_range range = {live->request->target, NULL, shard, -1, upto, IDS_A_PAGE, true};
  int rc = OS_OK, hits = 1;
  while (!rc && hits && range.above < upto) {
    char *text = NULL;
    rc = os_copy_look(&live->copy, error);
    if (!rc) rc = os_copy_page(live->copy.from, &range, &text, error);
    if (!rc) rc = reconcile_page(live, text, &range.above, &hits, deleted, error);
    os_free(text);
  }
  return rc;
}

int os_live_reconcile(struct os_live *live, int64_t *deleted, struct os_error *error) {
  int64_t *upto = NULL;
  size_t shards = 0;
  *deleted = 0;
  int rc = os_cluster_checkpoints(live->copy.from, live->request->target, &upto, &shards, error);
  if (!rc) rc = os_cluster_refresh(live->copy.from, live->request->target, error);
  for (size_t i = 0; !rc && i < shards; i++)
    rc = reconcile_shard(live, i, upto[i], deleted, error);
  os_free(upto);
  return rc;
}
