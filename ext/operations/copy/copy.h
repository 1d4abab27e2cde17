/* copy.h - documents out of one index into another through this process: pages out of the source, bulk
** requests into the target, on one cluster or on two. What lets a cluster copy by itself is
** operations/reindex/task.h.
**
** A source is read in one of two orders. Shard by shard by _seq_no (shards.c): every write raises it, so
** that a further pass finds what changed since, and no context is needed that a restart could take away.
** By _id out of a point in time (by_id.c), where nobody may ask for shards: OpenSearch Serverless.
**
** Keeper's thread. How far it is stands in the ledger, so that a job that adopts the steps goes on from
** there.
*/
#ifndef OS_OPERATIONS_COPY_COPY_H
#define OS_OPERATIONS_COPY_COPY_H
#include "cluster/cluster.h"
#include "format/search_hits.h"
#include "operations/job.h"
#include "operations/progress.h"

struct os_copy_figures {
  int64_t read, created, updated, already; /* documents; already: what stood there was left alone */
  int64_t unknown; /* sent by this job, without an answer that says what became of them */
};

struct os_copy {
  /* what is copied, given by who begins */
  struct os_job *job;
  struct os_cluster *from, *to;
  const char *source, *target; /* concrete */
  const char *query;           /* JSON text; NULL: everything */
  const char *item, *step;     /* of the ledger: where it is kept how far this is */
  /* how it is written */
  const char *parameters; /* of _bulk, encoded: "pipeline=_none"; NULL */
  bool create_only;       /* what stands in the target is a conflict, which ends the copy */
  bool leave;             /* what stands in the target is left alone, and counted */
  bool no_ids;            /* the target gives ids of its own */
  uint64_t batch_bytes;
  int max_workers;
  double max_docs_rate; /* per second; 0: as the job says */
  /* a further reason to stop, asked often; NULL: none */
  int (*look)(struct os_copy *copy, struct os_error *error);
  bool urgent;       /* os_pause() has to wait */
  int64_t documents; /* expected, for the progress line; 0: not known */
  /* how far it is; zeros at first */
  struct os_copy_figures figures; /* with those of the jobs before */
  int64_t earlier;                /* documents read by the jobs before */
  int64_t *cursors;               /* a shard each: the highest _seq_no that is acknowledged; -1: none */
  size_t shards;
  char *after; /* the last _id that is acknowledged, as JSON text between the quotes; NULL: none */
  bool resumed;
  bool paused;
  double next_look, next_save; /* monotonic */
  struct os_progress_meter meter;
};

/* Read from the ledger how far it is. by_id: as os_copy_by_id() goes, else as os_copy_pass() does. */
int os_copy_begin(struct os_copy *copy, bool by_id, struct os_error *error);
/* The last progress line; frees what os_copy_begin() made. */
void os_copy_end(struct os_copy *copy);
/* How far it is, into the ledger; everything put so far must be acknowledged. */
int os_copy_save(struct os_copy *copy, const char *state, struct os_error *error);
/* Reasons to stop: interrupted, cancelled, copy->look. Waits while the job is paused. */
int os_copy_look(struct os_copy *copy, struct os_error *error);

/* ---- writer.c: documents into the target, many requests at a time ---- */
struct os_copy_writer;
int os_copy_writer_open(struct os_copy_writer **out, struct os_copy *copy, struct os_error *error);
/* A document that the target refuses ends the copy: by this call or a later one. os_audit has the first
** ten. */
int os_copy_writer_put(struct os_copy_writer *writer, const struct os_search_hit *hit,
                       struct os_error *error);
/* Until everything put so far is in the target. */
int os_copy_writer_wait(struct os_copy_writer *writer, struct os_error *error);
void os_copy_writer_close(struct os_copy_writer *writer); /* gives up what is under way; NULL is harmless */

/* ---- ways to read ---- */
/* Everything above each shard's cursor, up to the checkpoint read before. *copied: documents. */
int os_copy_pass(struct os_copy *copy, struct os_copy_writer *writer, int64_t *copied,
                 struct os_error *error);
/* Everything whose _id follows copy->after. */
int os_copy_by_id(struct os_copy *copy, struct os_copy_writer *writer, struct os_error *error);

/* ---- page.c: a piece of one shard, in the order of _seq_no ---- */
struct os_copy_range {
  const char *index;
  const char *query; /* JSON text; NULL: everything */
  size_t shard;
  int64_t above, upto; /* _seq_no */
  int size;            /* hits; lowered where so many are too large for one answer */
  bool ids_only;
};
/* The answer of the search as text; os_free() it. */
int os_copy_page(struct os_cluster *cluster, struct os_copy_range *range, char **text,
                 struct os_error *error);
#endif
