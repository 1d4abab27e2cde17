/* gzip.c - request bodies as gzip: os_gzip() of inflate.h. May call: base, isa-l. Owns nothing between calls.
** isa-l's level 1 is four times as fast as zlib's at nearly its ratio.
*/
#include <isa-l/igzip_lib.h>
#include "base/alloc.h"
#include "format/inflate.h"

struct work { /* too large for a thread's stack */
  struct isal_zstream stream;
  uint8_t level[ISAL_DEF_LVL1_DEFAULT];
};

/* igzip counts bytes in 32 bits, so a body is fed and taken in pieces of at most this. */
enum { PIECE_IN = 1 << 30, PIECE_OUT = 1 << 16 };

static int deflate_all(struct isal_zstream *stream, const char *data, size_t len, struct os_buf *out,
                       struct os_error *error) {
  do {
    if (!stream->avail_in && len) {
      size_t n = len < PIECE_IN ? len : PIECE_IN;
      stream->next_in = (uint8_t *)(uintptr_t)data; /* igzip's interface is not const; it only reads */
      stream->avail_in = (uint32_t)n;
      data += n;
      len -= n;
    }
    stream->end_of_stream = !len;
    if (!os_buf_reserve(out, PIECE_OUT)) return os_fail_nomem(error);
    stream->next_out = (uint8_t *)out->data + out->len;
    stream->avail_out = PIECE_OUT;
    int code = isal_deflate(stream);
    if (code != COMP_OK)
      return os_fail(error, OS_ERR_INTERNAL, "gzip of a request body failed with code %d", code);
    out->len += PIECE_OUT - stream->avail_out;
  } while (stream->internal_state.state != ZSTATE_END);
  return OS_OK;
}

int os_gzip(const char *data, size_t len, struct os_buf *out, struct os_error *error) {
  struct work *work = os_malloc(sizeof *work);
  if (!work) return os_fail_nomem(error);
  isal_deflate_init(&work->stream);
  work->stream.next_in = NULL; /* isal_deflate_init() leaves the buffers as they are */
  work->stream.avail_in = 0;
  work->stream.level = 1;
  work->stream.level_buf = work->level;
  work->stream.level_buf_size = sizeof work->level;
  work->stream.gzip_flag = IGZIP_GZIP;
  int code = deflate_all(&work->stream, data, len, out, error);
  if (!code) out->data[out->len] = '\0';
  os_free(work);
  return code;
}
