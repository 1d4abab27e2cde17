/* utf8.h - which bytes are UTF-8: RFC 3629 section 4, no overlong forms, no surrogates, nothing past U+10FFFF.
**
** One character at a time (os_utf8_sequence), which says where a text is wrong, and sixteen bytes at a time
** (os_utf8_block), which only says that something is, at a cost that does not depend on what the text is made of.
*/
#ifndef OS_BASE_UTF8_H
#define OS_BASE_UTF8_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/simd.h"

/* Offset of the first byte that is not valid UTF-8, or len. */
size_t os_utf8_check(const char *text, size_t len);

static inline bool os_utf8_continues(unsigned char c) {
  return (c & 0xc0) == 0x80;
}

/* Length (1 to 4) of the valid UTF-8 sequence that text begins with; 0 when there is none. */
static inline size_t os_utf8_sequence(const char *text, size_t len) {
  const unsigned char *p = (const unsigned char *)text;
  if (!len) return 0;
  if (p[0] < 0x80) return 1;
  if (p[0] < 0xc2 || p[0] > 0xf4) return 0;
  if (p[0] < 0xe0) return len >= 2 && os_utf8_continues(p[1]) ? 2 : 0;
  if (p[0] < 0xf0) {
    bool legal = len >= 3 && os_utf8_continues(p[1]) && os_utf8_continues(p[2]);
    return legal && !(p[0] == 0xe0 && p[1] < 0xa0) && !(p[0] == 0xed && p[1] > 0x9f) ? 3 : 0;
  }
  bool legal = len >= 4 && os_utf8_continues(p[1]) && os_utf8_continues(p[2]) && os_utf8_continues(p[3]);
  return legal && !(p[0] == 0xf0 && p[1] < 0x90) && !(p[0] == 0xf4 && p[1] > 0x8f) ? 4 : 0;
}

/* What the bytes before leave to those that follow; all zero at the beginning and behind a whole character. */
struct os_utf8_rest {
  uint32_t due; /* bit i: byte i has to continue a character */
  uint32_t e0, ed, f0,
      f4; /* 1: the last byte was that, and not every byte that continues a character may follow */
};

/* Bytes of v that are at least `least`: bit i stands for byte i. */
static inline uint32_t os_utf8_from(os_simd_vec v, unsigned char least) {
  return os_simd_mask(os_simd_le(os_simd_splat(least), v));
}

/* Bytes of v behind which not every byte may stand that continues a character. */
static inline uint32_t os_utf8_narrow(os_simd_vec v) {
  os_simd_vec three = os_simd_or(os_simd_eq(v, os_simd_splat(0xE0)), os_simd_eq(v, os_simd_splat(0xED)));
  os_simd_vec four = os_simd_or(os_simd_eq(v, os_simd_splat(0xF0)), os_simd_eq(v, os_simd_splat(0xF4)));
  return os_simd_mask(os_simd_or(three, four));
}

/* Is what follows those within their limits? Too low: shorter forms exist. Too high: surrogates, and what is past
** U+10FFFF. */
static inline bool os_utf8_narrow_block(struct os_utf8_rest *rest, os_simd_vec v, unsigned count) {
  const uint32_t within = (UINT32_C(1) << count) - 1, from_a0 = os_utf8_from(v, 0xA0),
                 from_90 = os_utf8_from(v, 0x90);
  const uint32_t e0 = os_simd_mask_eq(v, 0xE0) & within, ed = os_simd_mask_eq(v, 0xED) & within;
  const uint32_t f0 = os_simd_mask_eq(v, 0xF0) & within, f4 = os_simd_mask_eq(v, 0xF4) & within;
  const uint32_t too_low = ((e0 << 1 | rest->e0) & ~from_a0) | ((f0 << 1 | rest->f0) & ~from_90);
  const uint32_t too_high = ((ed << 1 | rest->ed) & from_a0) | ((f4 << 1 | rest->f4) & from_90);
  rest->e0 = e0 >> (count - 1);
  rest->ed = ed >> (count - 1);
  rest->f0 = f0 >> (count - 1);
  rest->f4 = f4 >> (count - 1);
  return !((too_low | too_high) & within);
}

/* The first `count` (1 to 16) bytes of v, behind those that left *rest. False: somewhere in them, or where they follow
** those before, the text is wrong, and *rest means nothing any more. */
static inline bool os_utf8_block(struct os_utf8_rest *rest, os_simd_vec v, unsigned count) {
  const uint32_t within = (UINT32_C(1) << count) - 1;
  const uint32_t leads = os_utf8_from(v, 0xC0), continues = os_simd_mask_high(v) & ~leads;
  const uint32_t due = rest->due | (leads & within) << 1 | (os_utf8_from(v, 0xE0) & within) << 2 |
                       (os_utf8_from(v, 0xF0) & within) << 3;
  const uint32_t never = (leads & ~os_utf8_from(v, 0xC2)) | os_utf8_from(v, 0xF5);
  const bool was_narrow = rest->e0 | rest->ed | rest->f0 | rest->f4;
  rest->due = due >> count;
  if ((((due ^ continues) | never) & within) != 0) return false;
  return !(was_narrow || os_utf8_narrow(v)) || os_utf8_narrow_block(rest, v, count);
}
#endif
