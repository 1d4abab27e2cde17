/* shards.c - one pass over the shards of the source in the order of _seq_no; see copy.h. */
#include <string.h>
#include "base/alloc.h"
#include "operations/copy/copy_int.h"

/* Copy the hits of one answer; *last: the highest _seq_no. */
static int copy_page(struct os_copy *copy, struct os_copy_writer *writer, const char *text, int64_t *last,
                     int *hits, struct os_error *error) {
  struct os_search_hits *list = NULL;
  struct os_search_hit hit;
  bool found = true;
  *hits = 0;
  int rc = os_search_hits_open(&list, text, strlen(text), error);
  while (!rc) {
    rc = os_search_hits_next(list, &hit, &found, error);
    if (rc || !found) break;
    rc = hit.seq_no > *last ? os_copy_put(copy, writer, &hit, error)
                            : os_fail(error, OS_ERR_ANSWER,
                                      "a search of %s sorted by _seq_no came in another order", copy->source);
    if (rc) break;
    *last = hit.seq_no;
    (*hits)++;
  }
  os_search_hits_close(list);
  return rc;
}

static int copy_shard(struct os_copy *copy, struct os_copy_writer *writer, size_t shard, int64_t upto,
                      struct os_error *error) {
  struct os_copy_range range = {copy->source, copy->query,        shard, copy->cursors[shard],
                                upto,         OS_COPY_FIRST_PAGE, false};
  int rc = OS_OK, hits = 1;
  while (!rc && hits &&
         range.above < upto) { /* an empty answer alone is the end: a short one may be a fault */
    char *text = NULL;
    rc = os_copy_look(copy, error);
    if (!rc) rc = os_copy_page(copy->from, &range, &text, error);
    if (!rc) rc = copy_page(copy, writer, text, &range.above, &hits, error);
    if (!rc) range.size = os_copy_next_size(strlen(text), hits);
    os_free(text);
    if (rc || !os_copy_save_is_due(copy)) continue;
    rc = os_copy_writer_wait(writer, error);
    if (rc) break;
    copy->cursors[shard] = range.above;
    rc = os_copy_save(copy, "begun", error);
  }
  if (!rc) rc = os_copy_writer_wait(writer, error);
  if (!rc && upto > copy->cursors[shard])
    copy->cursors[shard] = upto; /* what is not there was deleted or changed again */
  if (!rc && os_copy_save_is_due(copy)) rc = os_copy_save(copy, "begun", error);
  return rc;
}

int os_copy_pass(struct os_copy *copy, struct os_copy_writer *writer, int64_t *copied,
                 struct os_error *error) {
  int64_t *upto = NULL, before = copy->figures.read;
  size_t shards = 0;
  int rc = os_cluster_checkpoints(copy->from, copy->source, &upto, &shards, error);
  if (!rc && shards != copy->shards)
    rc = os_fail(error, OS_ERR_CONFLICT, "%s has %zu shards where it had %zu", copy->source, shards,
                 copy->shards);
  if (!rc) rc = os_cluster_refresh(copy->from, copy->source, error);
  for (size_t i = 0; !rc && i < shards; i++)
    rc = copy_shard(copy, writer, i, upto[i], error);
  if (!rc) rc = os_copy_save(copy, "begun", error);
  os_free(upto);
  *copied = copy->figures.read - before;
  return rc;
}
