/* buffer.c - the growing byte buffer: growth, appending, and the few notations that every writer needs.
**
** Calls alloc, text and simd. A buffer that never held anything points at a shared run of zero bytes,
** so that `data` can be read (and over-read by OS_PAD) from the first moment on without an allocation.
*/
#include "base/buffer.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/simd.h"
#include "base/text.h"
#include "base/utf8.h"

enum { SMALLEST = 64 };

static char
    nothing[OS_PAD + 1]; /* stays zero: a buffer that points here has cap 0, and nobody writes at cap 0 */

static bool owns_memory(const struct os_buf *buf) {
  return buf->data && buf->data != nothing;
}

void os_buf_init(struct os_buf *buf, size_t max) {
  *buf = (struct os_buf){.data = nothing, .max = max};
}

void os_buf_free(struct os_buf *buf) {
  if (owns_memory(buf)) os_free(buf->data);
  os_buf_init(buf, buf->max);
}

void os_buf_clear(struct os_buf *buf) {
  buf->len = 0;
  buf->failed = false;
  if (owns_memory(buf)) buf->data[0] = '\0';
}

/* Twice the present size, at least `need`, at most the cap. */
static size_t next_size(const struct os_buf *buf, size_t need) {
  size_t size = buf->cap < SMALLEST / 2 ? SMALLEST : buf->cap;
  if (buf->cap >= SMALLEST / 2) size = size > SIZE_MAX / 2 ? need : size * 2;
  if (size < need) size = need;
  return buf->max && size > buf->max ? buf->max : size;
}

bool os_buf_grow(struct os_buf *buf, size_t extra) {
  if (buf->failed) return false;
  bool too_large = extra > SIZE_MAX - OS_PAD - 1 - buf->len;
  if (too_large || (buf->max && buf->len + extra > buf->max)) {
    buf->failed = true;
    return false;
  }
  size_t size = next_size(buf, buf->len + extra);
  if (size > SIZE_MAX - OS_PAD - 1) size = buf->len + extra;
  char *data = os_realloc(owns_memory(buf) ? buf->data : NULL, size + OS_PAD + 1);
  if (!data) {
    buf->failed = true;
    return false;
  }
  buf->data = data;
  buf->cap = size;
  data[buf->len] = '\0';
  return true;
}

void os_buf_zero_pad(struct os_buf *buf) {
  if (owns_memory(buf)) memset(buf->data + buf->len, 0, OS_PAD);
}

void os_buf_append(struct os_buf *buf, const void *data, size_t len) {
  if (!len || !os_buf_reserve(buf, len)) return;
  memcpy(buf->data + buf->len, data, len);
  buf->len += len;
  buf->data[buf->len] = '\0';
}

void os_buf_puts(struct os_buf *buf, const char *text) {
  os_buf_append(buf, text, strlen(text));
}

void os_buf_putc(struct os_buf *buf, char c) {
  if (!os_buf_reserve(buf, 1)) return;
  buf->data[buf->len++] = c;
  buf->data[buf->len] = '\0';
}

void os_buf_printf(struct os_buf *buf, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int len = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (len < 0) buf->failed = true;
  if (len <= 0 || !os_buf_reserve(buf, (size_t)len)) return;
  va_start(args, format);
  vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
  va_end(args);
  buf->len += (size_t)len;
}

void os_buf_put_u64(struct os_buf *buf, uint64_t value) {
  char digits[20];
  size_t at = sizeof digits;
  do {
    digits[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value);
  os_buf_append(buf, digits + at, sizeof digits - at);
}

/* One character that JSON wants escaped (RFC 8259 section 7). */
static void put_escape(struct os_buf *buf, unsigned char c) {
  static const char short_of[] = "btn\0fr"; /* 0x08 .. 0x0d; 0x0b has no short form */
  static const char hex[] = "0123456789abcdef";
  char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
  if (c == '"' || c == '\\') {
    text[1] = (char)c;
    os_buf_append(buf, text, 2);
  } else if (c >= 0x08 && c <= 0x0d && short_of[c - 0x08]) {
    text[1] = short_of[c - 0x08];
    os_buf_append(buf, text, 2);
  } else {
    os_buf_append(buf, text, sizeof text);
  }
}

void os_buf_put_json(struct os_buf *buf, const char *text, size_t len) {
  size_t start = 0, i = 0; /* text[start..i) can go as it is */
  os_buf_putc(buf, '"');
  while (i < len) {
    if (len - i >= OS_SIMD_WIDTH) {
      os_simd_vec v = os_simd_load(text + i);
      uint32_t special = os_simd_mask_json_string(v) | os_simd_mask_high(v);
      if (!special) {
        i += OS_SIMD_WIDTH;
        continue;
      }
      i += os_simd_first(special);
    }
    unsigned char c = (unsigned char)text[i];
    size_t width = c < 0x80 ? 1 : os_utf8_sequence(text + i, len - i);
    if (width && c >= 0x20 && c != '"' && c != '\\') {
      i += width;
      continue;
    }
    os_buf_append(buf, text + start, i - start);
    if (!width)
      os_buf_append(buf, "\xef\xbf\xbd", 3);
    else
      put_escape(buf, c);
    start = ++i;
  }
  os_buf_append(buf, text + start, i - start);
  os_buf_putc(buf, '"');
}

void os_buf_put_double(struct os_buf *buf, double value, int decimals) {
  char text[352];
  if (isfinite(value)) os_format_double(value, decimals, text, sizeof text);
  os_buf_puts(buf, isfinite(value) ? text : "null"); /* JSON has no word for infinity */
}

char *os_buf_take(struct os_buf *buf) {
  char *text = NULL;
  if (os_buf_reserve(buf, 0)) {
    text = buf->data;
    os_buf_init(buf, buf->max);
  } else {
    os_buf_free(buf);
  }
  return text;
}
