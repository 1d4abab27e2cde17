/* inflate.h - decompression of gzip (isa-l, any number of members) and zstd (any number of frames),
** streaming, and gzip of request bodies. Pure: bytes in, bytes out.
*/
#ifndef OS_FORMAT_INFLATE_H
#define OS_FORMAT_INFLATE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buffer.h"
#include "base/error.h"

enum os_compression { OS_PLAIN, OS_GZIP, OS_ZSTD };
const char *os_compression_name(enum os_compression compression);
/* By magic bytes alone; whether the name promises something else is the caller's question. */
enum os_compression os_compression_detect(const char *head, size_t len);

struct os_inflate;
int os_inflate_open(struct os_inflate **out, enum os_compression compression, struct os_error *error);
/* Move bytes from in to out. Sets *in_used and *out_made; call again with the rest until in is empty and
** out was not filled. at_end: no further input follows. *ended: the last member or frame was complete and
** nothing follows. Errors (OS_ERR_FORMAT): damaged data; data that ends inside a member ("ends early: …
** bytes in"); trailing bytes that are neither a member nor zero padding. */
int os_inflate_run(struct os_inflate *inflate, const char *in, size_t in_len, bool at_end, size_t *in_used,
                   char *out, size_t out_cap, size_t *out_made, bool *ended, struct os_error *error);
void os_inflate_free(struct os_inflate *inflate);

/* The whole of `data` as one gzip member appended to out (isa-l level 1). */
int os_gzip(const char *data, size_t len, struct os_buf *out, struct os_error *error);
#endif
