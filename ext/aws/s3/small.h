/* small.h - one small object of S3 as a text. Keeper's thread. */
#ifndef OS_AWS_S3_SMALL_H
#define OS_AWS_S3_SMALL_H
#include <stddef.h>
#include "aws/s3/client.h"
#include "base/buffer.h"

/* The bytes of the object that `url` names, appended to out. `what` it is, for messages ("trigger"); more
** than `most` bytes, or no object there, is an error. *object says which it was (os_s3_object_free() it,
** also after an error). */
int os_s3_small_read(struct os_s3 *s3, const char *url, size_t most, const char *what,
                     const struct os_probe *probe, struct os_s3_object *object, struct os_buf *out,
                     struct os_error *error);
#endif
