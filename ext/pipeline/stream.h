/* stream.h - the decompressed bytes of one source, read in chunks (never mapped: a file that is cut short
** while it is mapped would kill the host process). One thread.
*/
#ifndef OS_PIPELINE_STREAM_H
#define OS_PIPELINE_STREAM_H
#include <stdatomic.h>
#include <stdbool.h>
#include "base/buffer.h"
#include "pipeline/source.h"

struct os_stream;

/* `stop` ends a wait for a slow pipe (OS_ERR_CANCELLED); bytes_read (may be NULL) counts bytes on disk. */
int os_stream_open(struct os_stream **out, const struct os_source *source, const atomic_bool *stop,
                   atomic_uint_fast64_t *bytes_read, struct os_error *error);
/* Append up to `want` bytes to window (fewer only at the end). *at_end: nothing follows. */
int os_stream_read(struct os_stream *stream, struct os_buf *window, size_t want, bool *at_end,
                   struct os_error *error);
/* Go to a decompressed offset at or behind the present one. */
int os_stream_skip_to(struct os_stream *stream, uint64_t offset, struct os_error *error);
/* After the end: an error when the file is not the one that was planned, or changed while it was read. */
int os_stream_check_unchanged(struct os_stream *stream, struct os_error *error);
void os_stream_close(struct os_stream *stream);
#endif
