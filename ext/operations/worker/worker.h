/* worker.h - one message of a queue of events of S3: the objects it tells of are triggers of versioned
** re-indexing, and each is run once. Keeper's thread.
**
** What has been run is known by the object's URL, its ETag and, where the bucket keeps versions, its
** version: a step of this job (item: the three, name: "trigger"), begun before the trigger runs and done
** after it. The re-indexing itself is a child job of the kind "reindex_versions", so that it goes on
** where an earlier one stopped.
*/
#ifndef OS_OPERATIONS_WORKER_WORKER_H
#define OS_OPERATIONS_WORKER_WORKER_H
#include <jansson.h>
#include "aws/sqs.h"
#include "operations/job.h"
#include "operations/versions/versions.h"

struct os_worker_request {
  int wait;               /* seconds for a message, at most 20 */
  int visibility;         /* seconds for which it is hidden from others; renewed while it is worked on */
  int retry_after;        /* seconds until a message that is left is shown again */
  const char *connection; /* the only one that triggers may be for; NULL: any */
  struct os_versions_request versions;
};
struct os_worker_result {
  const char *message_id;    /* borrowed of the message */
  json_t *triggers;          /* [{object, state: "run", "already", "busy", "failed", job, why}] */
  size_t run, already, left; /* of them */
  size_t ignored;            /* events of other kinds */
  bool test;
  bool removed;                                   /* the message */
  bool lapsed;                                    /* others could see it meanwhile */
  char why[OS_ERROR_TEXT + OS_ERROR_ADVICE + 32]; /* the first reason why it was left; "" */
};

/* *message NULL: none came. */
int os_worker_receive(struct os_session *session, struct os_sqs_queue *queue,
                      const struct os_worker_request *request, json_t **message, struct os_error *error);
/* Run its triggers; remove it when all of them are done, else leave it: the result says why. An error is
** what stops the worker itself: an interruption, the ledger. The result is freed by the caller, also
** after an error. */
int os_worker_run(struct os_job *job, struct os_sqs_queue *queue, const json_t *message,
                  const struct os_worker_request *request, struct os_worker_result *result,
                  struct os_error *error);
void os_worker_result_free(struct os_worker_result *result);
#endif
