/* fetch.h - the bytes of one object, in order, fetched by the network thread in ranges of which a few are
** under way at once, ahead of whoever reads.
**
** Each range asks for the ETag that was planned (If-Match): an object that is replaced midway is an error,
** never a mixture. A range that breaks off goes on behind the bytes that arrived; throttling, faults of the
** server and of the connection are waited out as the endpoint's max_retries allow.
**
** One reader's thread. Closing never waits: what is under way is cancelled and freed by the network thread.
*/
#ifndef OS_AWS_S3_FETCH_H
#define OS_AWS_S3_FETCH_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "aws/s3/client.h"
#include "base/error.h"
#include "net/http.h"

enum {
  OS_S3_RANGE = 4 << 20,         /* bytes a request, and */
  OS_S3_RANGES = 3,              /* so many at once: what one reader holds */
  OS_S3_FIRST_RANGE = 256 << 10, /* the first is smaller: it is fetched before anybody reads */
  OS_S3_MOST_OBJECTS = 128       /* under way at once, at the most */
};

/* How many objects have their first bytes asked for at once, for all readers together: each holds a
** connection, so it is an eighth of the files that the process may have open, up to 128. */
size_t os_s3_fetch_most(void);

struct os_s3_fetch;
struct os_s3_want {
  struct os_s3_bucket *bucket; /* a reference is taken */
  const char *key, *etag;      /* copied */
  uint64_t from, end;          /* bytes of the object; from < end */
  size_t first;                /* bytes of the first range, at least 1 */
};
/* The first range is asked for at once, the others when the first byte is read. */
int os_s3_fetch_open(struct os_s3_fetch **out, const struct os_s3_want *want, struct os_error *error);
/* Up to `want` bytes, at least one; *got 0: the end. Waits; `stop` (OS_ERR_CANCELLED) and probe
** (OS_ERR_INTERRUPTED), both may be NULL, end the wait. */
int os_s3_fetch_read(struct os_s3_fetch *fetch, char *to, size_t want, size_t *got, const atomic_bool *stop,
                     const struct os_probe *probe, struct os_error *error);
/* No range begins at this byte of the object or behind it. */
void os_s3_fetch_limit(struct os_s3_fetch *fetch, uint64_t end);
void os_s3_fetch_close(struct os_s3_fetch *fetch);
#endif
