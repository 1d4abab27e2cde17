/* event.h - what a message about objects of S3 says: which were created. Pure; any thread.
**
** S3's own notifications ("Event message structure", Amazon S3 User Guide; keys are encoded as HTML forms
** are), its test message, and events of EventBridge ("EventBridge event message structure", the same;
** keys as they are), each as it is or as the Message of a notification of SNS.
*/
#ifndef OS_OPERATIONS_WORKER_EVENT_H
#define OS_OPERATIONS_WORKER_EVENT_H
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

struct os_event_object {
  char *url;     /* s3://bucket/key, nothing in it encoded; owned, as the others are */
  char *etag;    /* without quotes; NULL: not told */
  char *version; /* NULL: not told */
};
struct os_event {
  bool test; /* S3 tries whether its messages arrive */
  struct os_event_object *objects;
  size_t count;
  size_t ignored; /* events of other kinds, and folders that a console made (keys that end with '/') */
};

/* Fills *out, to be os_event_free()d also after a failure. OS_ERR_FORMAT: it is no such message. */
int os_event_parse(const char *text, size_t len, struct os_event *out, struct os_error *error);
void os_event_free(struct os_event *event);
#endif
