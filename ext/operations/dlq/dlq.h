/* dlq.h - refused records to a queue of SQS and from one: os_dlq_send, os_dlq_receive, and what a load does of it.
** Keeper's thread.
**
** What went is noted after the queue has it: a process that is killed in between sends the same records again, and who
** receives them recognises them.
*/
#ifndef OS_OPERATIONS_DLQ_DLQ_H
#define OS_OPERATIONS_DLQ_DLQ_H
#include <jansson.h>
#include "aws/sqs.h"
#include "operations/job.h"

/* The queue `arn` (NULL: of the setting SQS-DLQ-ARN). os_sqs_close() it in any case. */
int os_dlq_open(struct os_job *job, struct os_sqs_queue *queue, const char *arn, struct os_error *error);
/* Ask whether the queue is there, as a row of os_audit. opened: what os_dlq_open() said. Not being allowed to ask is
** "unknown", not an error; nor is an outage, when the queue is needed `later`. */
int os_dlq_guard(struct os_job *job, struct os_sqs_queue *queue, int opened, bool later,
                 struct os_error *error);

/* ---- send.c ---- */

struct os_dlq_send_request {
  int64_t job;      /* whose records; 0: every one that waits */
  size_t max_bytes; /* of a message */
};
struct os_dlq_send_result {
  int64_t records, messages, truncated;
  int64_t too_large; /* records whose names alone are too long for a message */
  int64_t waiting;   /* not sent, those among them */
};
/* How many records of this job (0: of all) wait to be sent. */
int os_dlq_count(struct os_job *job, int64_t of, int64_t *waiting, struct os_error *error);
/* On an error the result says what had been sent before it. */
int os_dlq_send_run(struct os_job *job, struct os_sqs_queue *queue, const struct os_dlq_send_request *request,
                    struct os_dlq_send_result *result, struct os_error *error);

/* ---- receive.c ---- */

struct os_dlq_receive_request {
  int wait;       /* seconds for the first message, at most 20 */
  int visibility; /* seconds for which messages are hidden from others */
  int64_t max_messages;
  bool dry_run; /* look, keep and remove nothing */
};
struct os_dlq_receive_result {
  int64_t messages, sets, records, added, already, truncated;
  json_t *incomplete; /* [{file_key, source, timestamp, parts, total_parts}] */
  json_t *foreign;    /* [{message_id, why}] */
};
/* The result is freed by the caller, also after an error. */
int os_dlq_receive_run(struct os_job *job, struct os_sqs_queue *queue,
                       const struct os_dlq_receive_request *request, struct os_dlq_receive_result *result,
                       struct os_error *error);
void os_dlq_receive_result_free(struct os_dlq_receive_result *result);
#endif
