/* pipeline_int.h - how the files of this room share one pipeline. Reading order: feeder (fills batches),
** reader (feeds from sources), bulk_sink (sends batches), pipeline.c (start, stop, the keeper's side).
*/
#ifndef OS_PIPELINE_PIPELINE_INT_H
#define OS_PIPELINE_PIPELINE_INT_H
#include <pthread.h>
#include "pipeline/id_gate.h"
#include "pipeline/pipeline.h"
#include "pipeline/window.h"

/* ---- feeder.c: one per reader thread, or the keeper's when it pushes; single-threaded ------- */
struct os_feeder {
  struct os_pipeline *pipeline;
  struct os_batch *current; /* being filled; NULL: none */
  struct os_batch
      *parked; /* records held back because an earlier one with their id is on its way; NULL: none */
  struct os_id_gate gate;
  bool gated; /* explicit ids are possible: keep the order of records with one id */
  struct os_batch
      *outstanding;       /* gated: sealed and not yet seen back, linked by next_outstanding, newest first */
  struct os_batch *spare; /* back from the keeper, linked by next_outstanding, ready to be filled */
  struct os_buf action;   /* scratch: action line of the record in hand */
  uint32_t source;        /* number of the source being read */
  uint64_t covered;       /* end of the last record handed in, of the source */
  uint64_t covered_line;  /* the line that begins there */
  uint64_t share;         /* bytes that the batch being filled may have */
  uint64_t uncounted;     /* records and rejects that figures.records_read does not have yet */
};

/* ---- bulk_sink.c: network thread ------------------------------------------------------------ */
struct os_bulk_sink {
  struct os_pipeline *pipeline;
  char *path; /* /index/_bulk?… */
  bool compress;
  struct os_batch *ready_head, *ready_tail; /* waiting for a place in the window */
  struct os_batch *waiting; /* in a backoff (timer armed); doubly linked by sink_next, sink_prev */
  struct os_batch *flying;  /* request under way; likewise */
  int in_flight;
  struct os_window window;
  double round;      /* smoothed seconds of a request */
  double next_start; /* rate: no request before (monotonic); 0: any time */
  struct os_net_timer rate_timer;
  struct os_net_task wake_task, cancel_task;
  atomic_bool wake_posted, cancel_posted;
  bool stopping;
};

struct os_pipeline {
  atomic_int references; /* keeper, each reader thread, and the network thread while it holds any batch */
  struct os_pipeline_options options; /* strings copied */
  char *index, *query, *version_type;
  void (*keep)(void *ctx);
  void *keep_ctx;
  struct os_pipeline_figures figures;
  struct os_queue pool;    /* free batches */
  struct os_queue settled; /* from the sink (and the feeder, for batches without items) to the keeper */
  struct os_batch **batches;
  size_t batch_count;
  atomic_uint_fast64_t next_sequence;
  atomic_bool stop, paused;
  atomic_int readers_running;
  atomic_int travelling;            /* batches that are neither free nor at the keeper */
  uint64_t listed_bytes;            /* keeper: of the sources that are there, on disk */
  atomic_uint_fast64_t total_bytes; /* of all sources; UINT64_MAX while there may be more of them */
  atomic_uint_fast64_t done_bytes;  /* of those that were read to their end */
  pthread_t *threads;
  size_t thread_count;
  pthread_mutex_t lock;
  pthread_cond_t exited; /* a reader */
  /* under lock: how far the readers are in the list of sources */
  size_t next_source, source_count;
  bool more_sources;
  pthread_cond_t added;
  struct os_bulk_sink sink;
  struct os_error fatal; /* under lock: what made a reader give up (no memory) */
  struct os_feeder push; /* the keeper's feeder */
  bool pushing, push_finished;
};

/* ---- batch_share.c ---------------------------------------------------------------------- */
void os_batch_share_count(struct os_pipeline *pipeline, size_t from, bool more);
uint64_t os_batch_share(const struct os_feeder *feeder);

int os_feeder_init(struct os_feeder *feeder, struct os_pipeline *pipeline, bool gated);
void os_feeder_free(struct os_feeder *feeder);
void os_feeder_begin_source(struct os_feeder *feeder, uint32_t source);
/* struct os_record_sink callbacks; ctx is the feeder */
int os_feeder_record(void *ctx, const struct os_record *record);
int os_feeder_reject(void *ctx, const struct os_reject *reject);
/* The source ends after its last record; error_take: why it could not be read on, or NULL. */
int os_feeder_end_source(struct os_feeder *feeder, struct os_error *error_take);
/* Send what is there; with `all`, also what is parked (waiting for what it depends on). */
int os_feeder_flush(struct os_feeder *feeder, bool all);
int os_feeder_push(struct os_feeder *feeder, const struct os_push *push);

void *os_reader_main(void *arg); /* a struct os_pipeline */

int os_sink_init(struct os_bulk_sink *sink, struct os_pipeline *pipeline, struct os_error *error);
void os_sink_free(struct os_bulk_sink *sink);
void os_sink_accept(struct os_batch *batch);    /* any thread: the batch is the sink's from here on */
void os_sink_wake(struct os_bulk_sink *sink);   /* any thread: look again (pause ended, stop) */
void os_sink_cancel(struct os_bulk_sink *sink); /* any thread: cancel the requests under way */

void os_pipeline_ref(struct os_pipeline *pipeline);
void os_pipeline_unref(struct os_pipeline *pipeline);
void os_pipeline_settle(struct os_batch *batch); /* any thread: to the keeper */
void os_pipeline_fail(struct os_pipeline *pipeline,
                      const struct os_error *error); /* any thread: stop for this */
#endif
