/* live_int.h - a live copy under way; private to this folder. */
#ifndef OS_OPERATIONS_LIVE_INT_H
#define OS_OPERATIONS_LIVE_INT_H
#include "format/search_hits.h"
#include "operations/live/live.h"
#include "operations/progress.h"
#include "pipeline/pipeline.h"

struct os_live {
  struct os_job *job;
  struct os_cluster *cluster;
  const struct os_live_request *request;
  struct os_live_result *result;
  int64_t *cursors; /* a shard each: the highest _seq_no that is copied and acknowledged; -1: none */
  size_t shards;
  double block_ends; /* monotonic; 0: not blocked */
  double next_look;  /* when to ask again whether to stop */
  bool paused;
  struct os_progress_meter meter;
};

/* ---- watch.c: reasons to stop ---- */
/* Interrupted, cancelled, paused (then it waits), or blocked for too long. */
int os_live_look(struct os_live *live, struct os_error *error);

/* ---- page.c: a piece of one shard, in the order of _seq_no ---- */
struct os_live_range {
  const char *index;
  size_t shard;
  int64_t above, upto; /* _seq_no */
  int size;            /* hits */
  bool ids_only;
};
/* The answer of the search as text; os_free() it. */
int os_live_page(struct os_live *live, const struct os_live_range *range, char **text,
                 struct os_error *error);

/* ---- writer.c: documents into the target, many requests at a time ---- */
struct os_live_writer;
int os_live_writer_open(struct os_live_writer **out, struct os_live *live, struct os_error *error);
int os_live_writer_put(struct os_live_writer *writer, const struct os_search_hit *hit,
                       struct os_error *error);
/* Until everything put so far is in the target. */
int os_live_writer_wait(struct os_live_writer *writer, struct os_error *error);
void os_live_writer_close(struct os_live_writer *writer); /* gives up what is under way */

/* ---- pass.c ---- */
/* Cursors from the ledger, or none. */
int os_live_cursors_load(struct os_live *live, struct os_error *error);
/* Copies (cursor, checkpoint] of every shard. *copied: documents. */
int os_live_pass(struct os_live *live, struct os_live_writer *writer, int64_t *copied,
                 struct os_error *error);

/* ---- deletes.c ---- */
/* Take out of the target what the source, which nobody writes to, has not. */
int os_live_reconcile(struct os_live *live, int64_t *deleted, struct os_error *error);
#endif
