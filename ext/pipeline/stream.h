/* stream.h - the decompressed bytes of one source, read in chunks (never mapped: a file that is cut short
** while it is mapped would kill the host process). An object's bytes come from the network thread, a few
** ranges ahead (aws/s3/fetch.h). One thread.
*/
#ifndef OS_PIPELINE_STREAM_H
#define OS_PIPELINE_STREAM_H
#include <stdatomic.h>
#include <stdbool.h>
#include "base/buffer.h"
#include "net/http.h"
#include "pipeline/source.h"

struct os_stream;

/* `stop` ends a wait for a slow pipe or for the network (OS_ERR_CANCELLED); bytes_read (may be NULL) counts
** bytes as stored. An object's first bytes are asked for at once. */
int os_stream_open(struct os_stream **out, const struct os_source *source, const atomic_bool *stop,
                   atomic_uint_fast64_t *bytes_read, struct os_error *error);
/* So many bytes come by themselves once it is open: of an object that is not here yet. */
uint64_t os_stream_first_bytes(const struct os_source *source);
/* Keeper's thread: a probe that ends waits for the network, too (OS_ERR_INTERRUPTED). */
void os_stream_watch(struct os_stream *stream, const struct os_probe *probe);
/* No more than about so many bytes from the beginning will be read: none are fetched in vain. */
void os_stream_limit(struct os_stream *stream, uint64_t bytes);
/* Are its bytes compressed? Known once the first of them were read. */
bool os_stream_inflates(const struct os_stream *stream);
/* Append up to `want` bytes to window (fewer only at the end). *at_end: nothing follows. */
int os_stream_read(struct os_stream *stream, struct os_buf *window, size_t want, bool *at_end,
                   struct os_error *error);
/* Go to a decompressed offset at or behind the present one. */
int os_stream_skip_to(struct os_stream *stream, uint64_t offset, struct os_error *error);
/* After the end: an error when the file is not the one that was planned, or changed while it was read. */
int os_stream_check_unchanged(struct os_stream *stream, struct os_error *error);
void os_stream_close(struct os_stream *stream);
#endif
