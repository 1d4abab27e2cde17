/* sqs_hold.h - a message kept hidden from others while somebody works on it, however long that takes.
**
** The network thread renews the message's visibility by itself, each time a third of it has passed, so
** the worker's thread may be busy with anything. A renewal that fails is tried again sooner; work goes on
** all the same, and the report at the end says whether others may have seen the message meanwhile. SQS
** hides no message longer than 12 hours in all (ChangeMessageVisibility, Amazon SQS API Reference).
*/
#ifndef OS_AWS_SQS_HOLD_H
#define OS_AWS_SQS_HOLD_H
#include "aws/sqs.h"

struct os_sqs_hold;

struct os_sqs_held {
  int renewed, failed;   /* renewals */
  bool lapsed;           /* it could be seen by others for a while */
  struct os_error error; /* of the last one that failed */
};

/* The message was hidden just now for `seconds`. Keeper's thread, as is the next. */
int os_sqs_hold_begin(struct os_sqs_hold **out, const struct os_sqs_queue *queue, const char *receipt,
                      int seconds, struct os_error *error);
/* No renewal is sent afterwards, but where the network thread hangs: then this waits no longer than two
** seconds. NULL is harmless. */
void os_sqs_hold_end(struct os_sqs_hold *hold, struct os_sqs_held *report);
#endif
