/* by_id.c - a source that cannot be asked for its shards is read in the order of _id, out of a point in
** time: what changes meanwhile is not seen. See copy.h.
**
** The same _id may stand there under several routings, and search_after cannot tell them apart: of a full
** page those with its last id are read again with the next one.
*/
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/json.h"
#include "operations/copy/copy_int.h"
#include "operations/settle.h"

enum {
  LOST = 5,  /* points in time that were gone before a page came of them, one after another */
  GROWN = 10 /* pages that had to be larger, one after another */
};
static const double CLOSE_TIME = 3; /* seconds; one that stays open ends by itself after KEEP_ALIVE */
#define KEEP_ALIVE "5m"

struct walk {
  struct os_copy *copy;
  char *pit; /* id of the point in time; NULL: none is open */
  int size;  /* hits of the next page */
  int lost, grown;
};

/* ---- the point in time ---- */

static int open_pit(struct walk *walk, struct os_error *error) {
  struct os_copy *copy = walk->copy;
  json_t *answer = NULL;
  char *path = os_cluster_path(copy->source, "/_search/point_in_time?keep_alive=" KEEP_ALIVE);
  if (!path) return os_fail_nomem(error);
  struct os_cluster_call call = {.method = "POST", .path = path, .idempotent = true};
  int rc = os_cluster_request(copy->from, &call, NULL, &answer, error);
  const char *id = os_json_string(answer, "pit_id", NULL);
  if (!rc && !id)
    rc = os_fail(error, OS_ERR_ANSWER, "%s gave no point in time of %s", copy->from->endpoint->url,
                 copy->source);
  if (!rc && !(walk->pit = os_strdup(id))) rc = os_fail_nomem(error);
  json_decref(answer);
  os_free(path);
  return rc;
}

/* Whether it worked matters to nobody. */
static void close_pit(struct walk *walk) {
  struct os_settle settle;
  struct os_error ignored;
  if (!walk->pit) return;
  os_error_clear(&ignored);
  char *body = os_mprintf("{\"pit_id\":[\"%s\"]}", walk->pit);
  struct os_cluster_call call = {.method = "DELETE", .path = "/_search/point_in_time", .body = body};
  os_settle_all(&settle, walk->copy->from, CLOSE_TIME);
  if (body) os_cluster_request(&settle.cluster, &call, NULL, NULL, &ignored);
  os_free(body);
  os_free(walk->pit);
  walk->pit = NULL;
}

/* ---- a page ---- */

static char *make_page(const void *ctx, int size) {
  const struct walk *walk = ctx;
  const struct os_copy *copy = walk->copy;
  struct os_buf body;
  os_buf_init(&body, 0);
  os_buf_printf(&body,
                "{\"size\":%d,\"track_total_hits\":false,\"_source\":true,"
                "\"sort\":[{\"_id\":{\"order\":\"asc\",\"unmapped_type\":\"keyword\"}}],"
                "\"pit\":{\"id\":\"%s\",\"keep_alive\":\"" KEEP_ALIVE "\"},\"query\":",
                size, walk->pit);
  os_buf_puts(&body, copy->query ? copy->query : "{\"match_all\":{}}");
  if (copy->after) {
    os_buf_puts(&body, ",\"search_after\":[\"");
    os_buf_puts(&body, copy->after);
    os_buf_puts(&body, "\"]");
  }
  os_buf_putc(&body, '}');
  return os_buf_take(&body);
}

/* *text NULL: the point in time is gone (404 search_context_missing_exception); the next one goes on. */
static int read_page(struct walk *walk, char **text, struct os_error *error) {
  struct os_copy_search search = {"/_search?allow_partial_search_results=false", make_page, walk};
  *text = NULL;
  int rc = walk->pit ? OS_OK : open_pit(walk, error);
  if (rc) return rc;
  rc = os_copy_search(walk->copy->from, &search, &walk->size, text, error);
  if (rc == OS_ERR_NOT_FOUND && ++walk->lost < LOST) {
    os_log_write(walk->copy->job->session->log, OS_LOG_WARNING,
                 "a point in time of %s is gone; reading on from another one", walk->copy->source);
    os_error_clear(error);
    os_free(walk->pit);
    walk->pit = NULL;
    return OS_OK;
  }
  if (!rc) walk->lost = 0;
  return rc;
}

int os_copy_measure(const char *text, int *hits, int *before_last, struct os_error *error) {
  struct os_search_hits *list = NULL;
  struct os_search_hit hit;
  struct os_buf last;
  bool found = true;
  *hits = *before_last = 0;
  os_buf_init(&last, 0);
  int rc = os_search_hits_open(&list, text, strlen(text), error);
  while (!rc && !(rc = os_search_hits_next(list, &hit, &found, error)) && found) {
    if (!*hits || hit.id_len != last.len || memcmp(hit.id, last.data, last.len) != 0) {
      *before_last = *hits;
      os_buf_clear(&last);
      os_buf_append(&last, hit.id, hit.id_len);
    }
    if (last.failed) rc = os_fail_nomem(error);
    ++*hits;
  }
  os_search_hits_close(list);
  os_buf_free(&last);
  return rc;
}

/* The first `count` hits; copy->after becomes the last one's id. */
static int copy_hits(struct os_copy *copy, struct os_copy_writer *writer, const char *text, int count,
                     char **last, struct os_error *error) {
  struct os_search_hits *list = NULL;
  struct os_search_hit hit = {0};
  bool found = true;
  int rc = os_search_hits_open(&list, text, strlen(text), error);
  for (int i = 0; i < count && !rc; i++) {
    rc = os_search_hits_next(list, &hit, &found, error);
    if (!rc) rc = os_copy_put(copy, writer, &hit, error);
    if (!rc && i == count - 1 && !(*last = os_strndup(hit.id, hit.id_len))) rc = os_fail_nomem(error);
  }
  os_search_hits_close(list);
  return rc;
}

/* Nothing but one id on a full page. *complete: these are all that bear it. */
static int is_complete(struct os_copy *copy, const char *text, int hits, bool *complete,
                       struct os_error *error) {
  struct os_search_hits *list = NULL;
  struct os_search_hit hit = {0};
  bool found = false;
  int64_t count = 0;
  int rc = os_search_hits_open(&list, text, strlen(text), error);
  if (!rc) rc = os_search_hits_next(list, &hit, &found, error);
  char *query = rc ? NULL : os_mprintf("{\"ids\":{\"values\":[\"%.*s\"]}}", (int)hit.id_len, hit.id);
  if (!rc && !query) rc = os_fail_nomem(error);
  if (!rc) rc = os_cluster_count(copy->from, copy->source, query, &count, error);
  *complete = !rc && count <= hits;
  os_free(query);
  os_search_hits_close(list);
  return rc;
}

/* *end: nothing follows. */
static int copy_page(struct walk *walk, struct os_copy_writer *writer, const char *text, bool *end,
                     struct os_error *error) {
  struct os_copy *copy = walk->copy;
  int hits = 0, whole = 0;
  char *last = NULL;
  int rc = os_copy_measure(text, &hits, &whole, error);
  if (rc) return rc;
  *end = !hits; /* an empty answer alone is the end: a short one may be a fault */
  bool complete = hits < walk->size;
  if (hits && !whole && !complete) rc = is_complete(copy, text, hits, &complete, error);
  if (rc) return rc;
  if (complete) whole = hits;
  if (hits && !whole) { /* a larger page has room for all that bear this id */
    if (walk->size >= OS_COPY_LARGEST_PAGE || ++walk->grown > GROWN)
      return os_fail(error, OS_ERR_REFUSED, "%s has more documents of one _id than can be read at once",
                     copy->source);
    walk->size = walk->size * 4 < OS_COPY_LARGEST_PAGE ? walk->size * 4 : OS_COPY_LARGEST_PAGE;
    return OS_OK;
  }
  rc = copy_hits(copy, writer, text, whole, &last, error);
  if (rc || !last) {
    os_free(last);
    return rc;
  }
  walk->size = os_copy_next_size(strlen(text), hits);
  walk->grown = 0;
  os_free(copy->after);
  copy->after = last;
  return OS_OK;
}

int os_copy_by_id(struct os_copy *copy, struct os_copy_writer *writer, struct os_error *error) {
  struct walk walk = {.copy = copy, .size = OS_COPY_FIRST_PAGE};
  bool end = false;
  int rc = OS_OK;
  while (!rc && !end) {
    char *text = NULL;
    rc = os_copy_look(copy, error);
    if (!rc) rc = read_page(&walk, &text, error);
    if (!rc && text) rc = copy_page(&walk, writer, text, &end, error);
    os_free(text);
    if (rc || !os_copy_save_is_due(copy)) continue;
    rc = os_copy_writer_wait(writer, error);
    if (!rc) rc = os_copy_save(copy, "begun", error);
  }
  if (!rc) rc = os_copy_writer_wait(writer, error);
  close_pit(&walk);
  return rc;
}
