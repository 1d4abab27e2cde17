/* read_ahead.h - the next bytes of a long compressed source, inflated by a thread of its own while those before
** them are parsed.
**
** The bytes travel in chunks that change owners, so none is copied on the way but the beginning of a record
** that a chunk cut in two. A source that is not compressed or too short to pay for a thread, a pipe, and a process
** that gets no thread are read in place, with os_stream_read().
*/
#ifndef OS_PIPELINE_READ_AHEAD_H
#define OS_PIPELINE_READ_AHEAD_H
#include <stdbool.h>
#include <stddef.h>
#include "base/buffer.h"
#include "base/error.h"
#include "pipeline/stream.h"

enum { OS_READ_CHUNK = 1 << 20 /* bytes read at once */ };

struct os_read_ahead;

/* The stream is the thread's until os_read_ahead_stop(). NULL: read in place. */
struct os_read_ahead *os_read_ahead_start(struct os_stream *stream, const struct os_source *source);
/* Reader's thread: puts the next OS_READ_CHUNK bytes (fewer only at the end) behind those of the window from *at
** on, whose memory may become another; *at is where they begin afterwards. *at_end: nothing follows. With an
** error, too, there may be bytes: what was whole before a fault. Waits as long as the stream does. */
int os_read_ahead_next(struct os_read_ahead *ahead, struct os_buf *window, size_t *at, bool *at_end,
                       struct os_error *error);
/* Waits for a read(2) that is under way. */
void os_read_ahead_stop(struct os_read_ahead *ahead);
#endif
