/* buffer.h - a byte buffer that grows, with a sticky failure and a cap.
**
** Appending never has to be checked one by one: after the first failure (no memory, or the cap would be
** passed) every further append does nothing, and `failed` says so at the end. `data` is kept NUL-
** terminated (the NUL is not counted in len), and at least OS_PAD bytes beyond len may be read. One
** owner at a time; no locking.
*/
#ifndef OS_BASE_BUFFER_H
#define OS_BASE_BUFFER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OS_PAD = 64 }; /* bytes a SIMD scanner may read past the end of its input (content does not matter) */

struct os_buf {
  char *data;
  size_t len;
  size_t cap;  /* allocated, without the pad */
  size_t max;  /* never grow beyond; 0: no cap */
  bool failed; /* sticky */
};

void os_buf_init(struct os_buf *buf, size_t max);
void os_buf_free(struct os_buf *buf);               /* frees and re-initialises, keeping max */
void os_buf_clear(struct os_buf *buf);              /* len = 0, failed = false; keeps the memory */
bool os_buf_grow(struct os_buf *buf, size_t extra); /* os_buf_reserve() where there is no room yet */
/* Room for extra more bytes; false: failed is set. */
static inline bool os_buf_reserve(struct os_buf *buf, size_t extra) {
  if (!buf->failed && buf->cap && extra <= buf->cap - buf->len) return true;
  return os_buf_grow(buf, extra);
}
void os_buf_zero_pad(struct os_buf *buf); /* the OS_PAD bytes behind len: what over-reads them reads zeros */
void os_buf_append(struct os_buf *buf, const void *data, size_t len);
void os_buf_puts(struct os_buf *buf, const char *text);
void os_buf_putc(struct os_buf *buf, char c);
void os_buf_printf(struct os_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void os_buf_put_u64(struct os_buf *buf, uint64_t value);
/* text as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD, so the result is always valid JSON */
void os_buf_put_json(struct os_buf *buf, const char *text, size_t len);
void os_buf_put_double(struct os_buf *buf, double value, int decimals); /* '.' whatever the locale */
char *os_buf_take(struct os_buf *buf); /* gives the NUL-terminated text away (os_free it); NULL if failed */
#endif
