/* pipeline.h - records flow from sources through batches into an index; the keeper is told what became of
** each.
**
** Threads: reader threads fill batches (feeder.c), the network thread sends them (bulk_sink.c), the
** keeper (the thread that calls the functions below) takes every settled batch, writes it down and gives
** it back. Memory is bounded by the pool of batches, whatever the size of the sources.
**
** Pull: give sources, start, take batches until os_pipeline_next() says the end. Sources may be added meanwhile:
** readers wait until the keeper says that there are more, or no more.
** Push: give none, append items from the keeper's thread, flush, take batches as above.
**
** Stopping: os_pipeline_stop() ends reading and sending; requests under way may finish.
** os_pipeline_release() never waits longer than `grace` seconds; what still runs then is left to end by
** itself (it holds counted references).
*/
#ifndef OS_PIPELINE_PIPELINE_H
#define OS_PIPELINE_PIPELINE_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/log.h"
#include "config/endpoint.h"
#include "net/http.h"
#include "pipeline/batch.h"
#include "pipeline/source_list.h"

struct os_pipeline_options {
  struct os_endpoint *endpoint; /* held by reference */
  struct os_net *net;           /* outlives the pipeline or is abandoned with it */
  struct os_log *log;           /* held by reference */
  const char *index;            /* index, alias or data stream; goes into the URL. Copied */
  const char *query;            /* further URL parameters, encoded: "pipeline=x&refresh=true"; NULL. Copied */
  const struct os_parse_options
      *parse; /* borrowed; outlives the pipeline's readers: see os_pipeline_keep() */
  const struct os_source_list *sources; /* borrowed likewise; NULL: push */
  bool more_sources;                    /* others will follow; see os_pipeline_sources() */
  enum os_op op;                        /* of records with an explicit id */
  bool id_required;                     /* a record without an id is refused (mode upsert) */
  bool server_ids;                      /* exactly_once false: no computed ids, the server chooses */
  bool create_only;                     /* data stream: every action is a create */
  bool external_version;                /* versions come from version_field */
  const char *version_type;             /* external, external_gte; NULL. Copied */
  int retry_on_conflict;                /* of updates; 0: not sent */
  uint64_t batch_size, batch_bytes;
  int max_workers, readers;             /* readers > 1 only when no record carries an explicit id */
  double timeout;                       /* seconds a request; 0: the endpoint's */
  double max_docs_rate, max_bytes_rate; /* per second; 0: none */
  bool dry_run; /* read and parse everything, send nothing: items are counted as skipped */
  /* dry run: sees every well-formed record, on a reader's thread (one reader); anything but OS_OK ends
  ** it. NULL: nobody looks */
  int (*inspect)(void *ctx, uint32_t source, const struct os_record *record);
  void *inspect_ctx;
  bool keep_settled; /* push: tell the outcome of each item */
};

struct os_pipeline_figures {         /* live; any thread */
  atomic_uint_fast64_t bytes_read;   /* from disk, compressed if the source is */
  atomic_uint_fast64_t records_read; /* records and rejects */
  atomic_int in_flight, window;
  atomic_uint_fast64_t retries;
};

struct os_pipeline;

/* Make it and start its readers. `keep` (may be NULL) is called with keep_ctx when the last thread has
** let go of the borrowed options and sources, possibly on another thread: free them there, not before.
** Also called on failure. */
int os_pipeline_start(struct os_pipeline **out, const struct os_pipeline_options *options,
                      void (*keep)(void *ctx), void *keep_ctx, struct os_error *error);
struct os_pipeline_figures *os_pipeline_figures(struct os_pipeline *pipeline);

/* Keeper's thread: sources from `from` on were added to the list, and are complete; more: others will follow. */
void os_pipeline_sources(struct os_pipeline *pipeline, size_t from, bool more);

/* The next batch that the sink is done with, waiting up to timeout_ms; NULL: none yet, or
 * os_pipeline_ended(). */
struct os_batch *os_pipeline_next(struct os_pipeline *pipeline, int timeout_ms);
bool os_pipeline_reading(struct os_pipeline *pipeline); /* pull: not all is read yet */
bool os_pipeline_ended(struct os_pipeline *pipeline);   /* all read (or stopped), all batches given back */
void os_pipeline_return(struct os_pipeline *pipeline, struct os_batch *batch);

void os_pipeline_pause(struct os_pipeline *pipeline, bool paused); /* no new requests while paused */
void os_pipeline_stop(struct os_pipeline *pipeline);
/* Why a reader gave up altogether (no memory); code 0 when none did. */
void os_pipeline_error(struct os_pipeline *pipeline, struct os_error *out);
/* Stop, wait up to `grace` seconds for requests under way, then cancel them and let go. False: the
** network thread did not come back from a cancelled request in time and should be abandoned. */
bool os_pipeline_release(struct os_pipeline *pipeline, double grace);

/* Push side, keeper's thread. `action` (with its line break) and `document` (one line, with or without)
** as they are to be sent; explicit_id: its JSON text for ordering, or NULL. OS_ERR_BUSY: no batch is
** free; take one with os_pipeline_next(), return it, and append again. */
struct os_push {
  enum os_op op;
  const char *action, *document;
  size_t action_len, document_len;
  const char *explicit_id;
  size_t explicit_id_len;
  bool maybe_sent;
  bool conditional; /* the action carries if_seq_no */
  uint64_t tag;     /* comes back in os_batch.settled and in os_refusal.offset */
};
int os_pipeline_append(struct os_pipeline *pipeline, const struct os_push *push, struct os_error *error);
int os_pipeline_flush(struct os_pipeline *pipeline);   /* send what is there; does not wait */
void os_pipeline_finish(struct os_pipeline *pipeline); /* nothing more will be appended */
#endif
