/* batch.h - one bulk request's worth of records on its way from a reader to the sink to the keeper and back.
**
** A batch has one owner at any time: the feeder fills it, the sink (network thread) sends it until every
** item has its final outcome, the keeper writes what became of it to the ledger and returns it to the
** pool. The body holds the items one behind the other, exactly as they are sent; removing settled items
** moves the rest forward.
*/
#ifndef OS_PIPELINE_BATCH_H
#define OS_PIPELINE_BATCH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buffer.h"
#include "base/error.h"
#include "base/queue.h"
#include "cluster/bulk_answer.h"
#include "net/http.h"

enum os_op { OS_OP_INDEX, OS_OP_CREATE, OS_OP_UPDATE };
const char *os_op_name(enum os_op op);

struct os_item {       /* one action and its document in a batch's body */
  uint32_t at;         /* offset of the action line in body */
  uint32_t action_len; /* with its line break */
  uint32_t len;        /* action line and document line together */
  uint32_t raw_at;     /* offset in raw, or one of OS_RAW_… */
  uint32_t raw_len;
  uint32_t source; /* number of the source */
  uint64_t offset; /* of the record in its source (decompressed); or the pusher's tag */
  uint64_t line;
  uint64_t id_hash;  /* of an explicit id; 0: computed or none */
  uint16_t attempts; /* requests that carried it so far */
  uint8_t op;        /* enum os_op */
  bool computed;     /* the id was computed by us */
  bool maybe_sent;   /* an earlier run, or a request whose outcome is unknown, may have done it */
  bool conditional;  /* carries if_seq_no: what conflicts once conflicts for ever */
};

#define OS_RAW_IS_DOCUMENT UINT32_MAX     /* the document line is the record, byte for byte */
#define OS_RAW_IN_SOURCE (UINT32_MAX - 1) /* a plain file: to be read again at offset, raw_len bytes */

/* A run of bytes of one source whose records this batch carries: [from, to), without holes. When the
** whole batch is settled and written down, the run is acknowledged. */
struct os_segment {
  uint32_t source;
  bool eof;                /* the source ends here */
  uint64_t from, to, line; /* line: the one that begins at `to` */
  uint64_t records;        /* records and rejects */
  struct os_error *error;  /* with eof: why the source could not be read on; owned */
};

struct os_refusal { /* a record that will not get into the index as it is */
  uint32_t source;
  uint64_t offset, line;
  int status; /* of the item; 0: refused by the parser */
  enum os_op op;
  bool explicit_id;
  uint64_t id_hash; /* of an explicit id; 0: none */
  bool overtaken;   /* a later record with its id, in the same batch, got in */
  bool maybe_sent;  /* 409 on a create: what stands under its id may be our own work */
  uint16_t attempts;
  char *type, *reason, *doc_id; /* owned; doc_id may be NULL */
  char *document;
  size_t document_len; /* owned; NULL when none was built */
  char *raw;
  size_t raw_len; /* owned; NULL: to be read again from the source (raw_len says how much) */
  char *action;   /* the action line, for sending again; NULL from the parser */
};

enum os_outcome { OS_CREATED, OS_UPDATED, OS_NOOP, OS_ALREADY, OS_REFUSED, OS_SKIPPED, OS_OUTCOMES };

struct os_settled { /* kept only for pushers: what became of the item with this tag */
  uint64_t tag;
  enum os_outcome outcome;
};

struct os_pipeline;

struct os_batch {
  struct os_queue_link link; /* must be first */
  struct os_pipeline *pipeline;
  struct os_buf body, raw;
  struct os_item *items;
  size_t item_count, item_cap;
  struct os_segment *segments;
  size_t segment_count, segment_cap;
  struct os_refusal *refusals;
  size_t refusal_count, refusal_cap;
  struct os_settled *settled;
  size_t settled_count, settled_cap;
  size_t refusal_bytes; /* that the refusals hold */
  uint64_t records;     /* records and rejects that it covers */
  uint64_t *hashes;     /* of explicit ids, for the gate; items leave as they settle, these stay */
  size_t hash_count, hash_cap;
  struct os_batch *next_outstanding; /* feeder's list */
  uint64_t sequence;                 /* in order of filling */
  uint64_t waits_for; /* parked: may be sent when all batches up to this sequence are settled */
  uint64_t outcomes[OS_OUTCOMES];
  uint64_t bytes_sent, requests, retries;
  uint64_t unknown; /* documents that may have been indexed although no answer said so, once for each time */
  bool finished;    /* every item settled; otherwise the sink gave it back because of a stop or a fault */
  struct os_error fault; /* code != 0: a fault that is not the records': the job must stop */
  /* sink only */
  struct os_net_task task;
  struct os_net_timer timer;
  struct os_http_call call;
  struct os_bulk_item *answers; /* item_cap of them */
  struct os_buf gzipped;
  struct os_batch *sink_next, *sink_prev; /* in the sink's lists */
  unsigned char *marks;                   /* item_cap of them: which items the answer in hand settled */
  size_t sending;                         /* items in the request under way: the first `sending` of items */
  size_t item_limit;                      /* bisecting: at most so many items a request; 0: no limit */
  size_t byte_limit;                      /* at most so many bytes a request; 0: no limit */
  int attempt;                            /* consecutive requests that settled nothing */
};

struct os_batch *os_batch_new(struct os_pipeline *pipeline);
void os_batch_free(struct os_batch *batch);
void os_batch_reset(struct os_batch *batch); /* empty again; gives back the memory of an oversized body */

bool os_batch_grow_items(struct os_batch *batch); /* room for one more; false: no memory */
/* Append an item whose action and document lines are in place at the end of body (from `at` on). False: no
 * memory. */
static inline bool os_batch_add_item(struct os_batch *batch, const struct os_item *item) {
  if (batch->item_count == batch->item_cap && !os_batch_grow_items(batch)) return false;
  batch->items[batch->item_count++] = *item;
  __builtin_prefetch(batch->items + batch->item_count, 1); /* the next one's place: it was another core's */
  return true;
}
/* The bytes [from, to) of source belong to this batch: extends the last segment or opens one. False: no
 * memory. */
bool os_batch_cover(struct os_batch *batch, uint32_t source, uint64_t from, uint64_t to, uint64_t line);
bool os_batch_end_source(struct os_batch *batch, uint32_t source, uint64_t at, uint64_t line,
                         struct os_error *error_take);
/* Takes the strings of *refusal, also on failure. False: no memory. */
bool os_batch_refuse(struct os_batch *batch, struct os_refusal *refusal);
void os_refusal_clear(struct os_refusal *refusal);
/* Remove the items marked in `settled` (item_count bytes) among the first n, moving the rest forward in body.
 */
void os_batch_compact(struct os_batch *batch, const unsigned char *settled, size_t n);
/* Remember the hash of an explicit id. False: no memory. */
bool os_batch_note_id(struct os_batch *batch, uint64_t hash);
#endif
