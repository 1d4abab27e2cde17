/* sqs.h - a queue of Amazon SQS: found by its ARN, asked about, written to, read from ("Amazon SQS API
** Reference"; the JSON protocol).
**
** Keeper's thread. Every request may be carried out twice when an answer is lost: a message may then be
** there twice.
*/
#ifndef OS_AWS_SQS_H
#define OS_AWS_SQS_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "aws/service.h"
#include "net/http.h"

enum {
  OS_SQS_BATCH = 10,           /* messages of one request */
  OS_SQS_BATCH_BYTES = 262144, /* all their bodies; newer queues take 1 MiB */
  OS_SQS_BODY_MOST = 1048576   /* the largest that a queue can be told to take */
};

struct os_sqs_queue {
  struct os_net *net;
  struct os_probe probe;
  struct os_endpoint *endpoint;        /* a reference */
  char *arn, *region, *account, *name; /* owned */
  char *url;                           /* owned */
  bool fifo;
  size_t body_most; /* what the queue takes; OS_SQS_BODY_MOST before os_sqs_check() */
};

/* Take the ARN apart and find the queue's URL: built for AWS's own addresses, asked for elsewhere.
** Nothing else is asked yet. os_sqs_close() in any case. */
int os_sqs_open(struct os_sqs_queue *queue, struct os_aws *aws, struct os_net *net,
                const struct os_probe *probe, const char *arn, struct os_error *error);
void os_sqs_close(struct os_sqs_queue *queue);
/* Is it there, and what does it take? OS_ERR_NOT_FOUND: no such queue; OS_ERR_FORBIDDEN: not allowed to
** ask, which says nothing about sending. */
int os_sqs_check(struct os_sqs_queue *queue, struct os_error *error);

struct os_sqs_entry {
  const char *body;
  size_t len;
  bool sent; /* filled in */
};
/* Send at most OS_SQS_BATCH messages, in order; entries that failed for the service's reasons are sent
** again. Only for FIFO queues does `group` matter: it keeps messages in their order, and equal bodies are
** one message. */
int os_sqs_send(struct os_sqs_queue *queue, const char *group, struct os_sqs_entry *entries, size_t count,
                struct os_error *error);

/* At most `most` messages (1 to OS_SQS_BATCH), hidden from others for `visibility` seconds; waits up to
** `wait` seconds (0 to 20) for the first. *out: an array of {MessageId, ReceiptHandle, Body}; new
** reference. */
int os_sqs_receive(struct os_sqs_queue *queue, int most, int wait, int visibility, json_t **out,
                   struct os_error *error);
/* Remove messages, or show them to others again after so many seconds (0 to 43200); any number of
** receipts (texts). */
int os_sqs_delete(struct os_sqs_queue *queue, const json_t *receipts, struct os_error *error);
int os_sqs_release(struct os_sqs_queue *queue, const json_t *receipts, int seconds, struct os_error *error);

/* A request of the JSON protocol: what every action shares. All borrowed until the call is done; any
** thread. */
void os_sqs_call_init(struct os_http_call *call, struct os_endpoint *endpoint, const char *const *headers,
                      const char *body, size_t len);
#endif
