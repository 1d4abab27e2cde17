/* utf8.c - see utf8.h. */
#include "base/utf8.h"

/* So many bytes of text, at least, are valid: to the end of a character before the block in which it is wrong,
** or before what is less than a block. */
static size_t pass_blocks(const char *text, size_t len) {
  struct os_utf8_rest rest = {0};
  size_t passed = 0;
  for (size_t at = 0; len - at >= OS_SIMD_WIDTH; at += OS_SIMD_WIDTH) {
    os_simd_vec v = os_simd_load(text + at);
    if ((rest.due || os_simd_mask_high(v)) && !os_utf8_block(&rest, v, OS_SIMD_WIDTH)) return passed;
    if (!rest.due) passed = at + OS_SIMD_WIDTH;
  }
  return passed;
}

size_t os_utf8_check(const char *text, size_t len) {
  size_t at = pass_blocks(text, len);
  while (at < len) {
    size_t width = os_utf8_sequence(text + at, len - at);
    if (!width) return at;
    at += width;
  }
  return len;
}
