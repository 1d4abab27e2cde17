/* bulk_int.h - how the three files of the bulk sink share a batch: bulk_sink.c (when is what sent),
** bulk_reply.c (what does an answer mean), bulk_items.c (what comes of each item). Network thread.
** Private to pipeline/.
*/
#ifndef OS_PIPELINE_BULK_INT_H
#define OS_PIPELINE_BULK_INT_H
#include "pipeline/pipeline_int.h"

/* ---- bulk_items.c --------------------------------------------------------------------------- */
struct os_tally { /* of one answer */
  size_t settled, again;
  bool overload, nomem;
  bool fault;
  struct os_error why; /* of the first item that is to go again, or of the fault */
};

/* Take the verdict on item i: its outcome and, when it is settled, batch->marks[i]. */
void os_items_judge(struct os_batch *batch, size_t i, struct os_tally *tally);
/* Item i is refused, whatever its own answer was. False: no memory. */
bool os_items_refuse(struct os_batch *batch, size_t i, int status, const char *type, const char *reason);
/* Among the first n items: leave out what may not go again because a later record with its id got in.
** False: no memory. */
bool os_items_drop_superseded(struct os_batch *batch, size_t n);

/* ---- bulk_reply.c --------------------------------------------------------------------------- */
/* A request is over: decide what happens to its batch, which is in no list of the sink at this moment. */
void os_reply_take(struct os_http_call *call);

/* ---- bulk_sink.c: where a batch goes after an answer ---------------------------------------- */
void os_sink_settle(struct os_batch *batch, bool finished); /* back to the keeper */
/* batch->fault says why: no request starts any more. */
void os_sink_stop_for_fault(struct os_batch *batch);
/* Again after a backoff, or give up when nothing has moved for max_retries requests. retry_after < 0: none
** said. */
void os_sink_try_later(struct os_batch *batch, bool progressed, double retry_after,
                       const struct os_error *why);
/* Settled items are gone: the rest at once, or back to the keeper when nothing is left. */
void os_sink_go_on(struct os_batch *batch);
#endif
