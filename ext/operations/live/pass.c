/* pass.c - one pass over the shards of the source, and the cursors that say how far it came; see
** live_int.h. */
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "operations/live/live_int.h"
#include "operations/step.h"

enum { FIRST_PAGE = 500, LARGEST_PAGE = 10000 /* index.max_result_window */ };
static const size_t PAGE_BYTES = 4 << 20;
static const double SAVE_EVERY = 5;

/* ---- cursors ------------------------------------------------------------------------------------ */

int os_live_cursors_load(struct os_live *live, struct os_error *error) {
  char state[16];
  json_t *saved = NULL;
  int rc =
      os_step_get(live->job->ledger, live->job->number, live->request->source, "live", state, &saved, error);
  const json_t *list = json_object_get(saved, "cursors");
  /* else they are of another index with that name, or of a target that is gone: begin anew */
  bool fits = strcmp(state, "undone") && json_array_size(list) == live->shards;
  for (size_t i = 0; i < live->shards; i++)
    live->cursors[i] = fits ? json_integer_value(json_array_get(list, i)) : -1;
  json_decref(saved);
  return rc;
}

/* Everything below the cursors is acknowledged. */
static int save_cursors(struct os_live *live, struct os_error *error) {
  json_t *list = json_array();
  bool whole = list != NULL;
  for (size_t i = 0; whole && i < live->shards; i++)
    whole = json_array_append_new(list, json_integer(live->cursors[i])) == 0;
  json_t *data = whole ? json_pack("{s:O}", "cursors", list) : NULL;
  json_decref(list);
  return os_step_put(live->job, live->request->source, "live", "begun", data, error);
}

/* ---- a shard ------------------------------------------------------------------------------------ */

/* Copy the hits of one answer; *last: the highest _seq_no. */
static int copy_page(struct os_live *live, struct os_live_writer *writer, const char *text, int64_t *last,
                     int *hits, struct os_error *error) {
  struct os_search_hits *list = NULL;
  struct os_search_hit hit;
  bool found = true;
  *hits = 0;
  int rc = os_search_hits_open(&list, text, strlen(text), error);
  while (!rc) {
    rc = os_search_hits_next(list, &hit, &found, error);
    if (rc || !found) break;
    if (hit.seq_no <= *last) {
      rc = os_fail(error, OS_ERR_ANSWER, "a search of %s sorted by _seq_no came in another order",
                   live->request->source);
    } else if (!hit.source) {
      os_fail(error, OS_ERR_REFUSED, "document '%.*s' of %s has no _source, so it cannot be copied",
              (int)hit.id_len, hit.id, live->request->source);
      rc = os_advise(error, "an index whose mapping switches _source off cannot be copied by anybody");
    } else {
      rc = os_live_writer_put(writer, &hit, error);
    }
    if (rc) break;
    *last = hit.seq_no;
    live->result->copied++;
    live->job->figures.documents_read++;
    (*hits)++;
  }
  os_search_hits_close(list);
  return rc;
}

static int next_size(size_t bytes, int hits) {
  size_t each = bytes / (size_t)(hits > 0 ? hits : 1) + 1, fit = PAGE_BYTES / each;
  return fit < 10 ? 10 : fit > LARGEST_PAGE ? LARGEST_PAGE : (int)fit;
}

static int copy_shard(struct os_live *live, struct os_live_writer *writer, size_t shard, int64_t upto,
                      struct os_error *error) {
  struct os_live_range range = {live->request->source, shard, live->cursors[shard], upto, FIRST_PAGE, false};
  double save_at = os_clock_monotonic() + SAVE_EVERY;
  int rc = OS_OK, hits = 1;
  while (!rc && hits &&
         range.above < upto) { /* an empty answer alone is the end: a short one may be a fault */
    char *text = NULL;
    rc = os_live_look(live, error);
    if (!rc) rc = os_live_page(live, &range, &text, error);
    if (!rc) rc = copy_page(live, writer, text, &range.above, &hits, error);
    if (!rc) range.size = next_size(strlen(text), hits);
    os_free(text);
    if (!rc && os_clock_monotonic() > save_at) {
      rc = os_live_writer_wait(writer, error);
      live->cursors[shard] = range.above;
      if (!rc) rc = save_cursors(live, error);
      save_at = os_clock_monotonic() + SAVE_EVERY;
    }
  }
  if (!rc) rc = os_live_writer_wait(writer, error);
  if (!rc && upto > live->cursors[shard])
    live->cursors[shard] = upto; /* what is not there was deleted or changed again */
  return rc;
}

int os_live_pass(struct os_live *live, struct os_live_writer *writer, int64_t *copied,
                 struct os_error *error) {
  int64_t *upto = NULL, before = live->result->copied;
  size_t shards = 0;
  int rc = os_cluster_checkpoints(live->cluster, live->request->source, &upto, &shards, error);
  if (!rc && shards != live->shards)
    rc = os_fail(error, OS_ERR_CONFLICT, "%s has %zu shards where it had %zu", live->request->source, shards,
                 live->shards);
  if (!rc) rc = os_cluster_refresh(live->cluster, live->request->source, error);
  for (size_t i = 0; !rc && i < shards; i++)
    rc = copy_shard(live, writer, i, upto[i], error);
  if (!rc) rc = save_cursors(live, error);
  os_free(upto);
  *copied = live->result->copied - before;
  return rc;
}
