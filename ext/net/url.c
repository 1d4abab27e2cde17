/* url.c - percent-encoding of what goes into a request path. Pure. */
#include "base/text.h"
#include "net/http.h"

/* RFC 3986 section 2.3: the characters that never need encoding. */
static bool is_unreserved(char c) {
  return os_is_alpha(c) || os_is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

void os_url_encode(struct os_buf *out, const char *text, size_t len) {
  static const char hex[] = "0123456789ABCDEF";
  for (size_t i = 0; i < len; i++) {
    if (is_unreserved(text[i])) {
      os_buf_putc(out, text[i]);
    } else {
      unsigned char byte = (unsigned char)text[i];
      char encoded[3] = {'%', hex[byte >> 4], hex[byte & 15]};
      os_buf_append(out, encoded, sizeof encoded);
    }
  }
}
