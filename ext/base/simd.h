/* simd.h - sixteen bytes at a time: the only place where an instruction set is named.
**
** SSE2 on x86-64 (part of that architecture's baseline, so no run-time check is needed); everywhere
** else, or when built with -DOS_SIMD_SCALAR, a twin in plain C with the same results. Both are tested
** by the same test.
**
** os_simd_load() reads exactly OS_SIMD_WIDTH bytes from any address; who scans near the end of a buffer
** relies on its pad (OS_PAD in buffer.h). Comparisons give a vector with 0xff where they hold; join
** vectors with os_simd_or() and turn the result into a bit mask once: bit i stands for byte i, bits
** 16..31 are zero.
*/
#ifndef OS_BASE_SIMD_H
#define OS_BASE_SIMD_H
#include <stdint.h>
#include <string.h>

enum { OS_SIMD_WIDTH = 16 };

#if defined(__SSE2__) && !defined(OS_SIMD_SCALAR)
#include <emmintrin.h>
#define OS_SIMD_NAME "sse2"

typedef __m128i os_simd_vec;

static inline os_simd_vec os_simd_load(const void *bytes) {
  return _mm_loadu_si128((const __m128i *)bytes);
}
static inline void os_simd_store(void *bytes, os_simd_vec v) {
  _mm_storeu_si128((__m128i *)bytes, v);
}
static inline os_simd_vec os_simd_splat(unsigned char byte) {
  return _mm_set1_epi8((char)byte);
}
static inline os_simd_vec os_simd_eq(os_simd_vec a, os_simd_vec b) {
  return _mm_cmpeq_epi8(a, b);
}
/* a <= b, unsigned: SSE2 has no unsigned comparison, but a minimum */
static inline os_simd_vec os_simd_le(os_simd_vec a, os_simd_vec b) {
  return _mm_cmpeq_epi8(_mm_min_epu8(a, b), a);
}
static inline os_simd_vec os_simd_or(os_simd_vec a, os_simd_vec b) {
  return _mm_or_si128(a, b);
}
/* The top bit of each byte; of a loaded vector these are the bytes that are not ASCII. */
static inline uint32_t os_simd_mask(os_simd_vec v) {
  return (uint32_t)_mm_movemask_epi8(v);
}

#else
#define OS_SIMD_NAME "scalar"

typedef struct {
  uint8_t byte[OS_SIMD_WIDTH];
} os_simd_vec;

static inline os_simd_vec os_simd_load(const void *bytes) {
  os_simd_vec v;
  memcpy(v.byte, bytes, OS_SIMD_WIDTH);
  return v;
}
static inline void os_simd_store(void *bytes, os_simd_vec v) {
  memcpy(bytes, v.byte, OS_SIMD_WIDTH);
}
static inline os_simd_vec os_simd_splat(unsigned char byte) {
  os_simd_vec v;
  memset(v.byte, byte, OS_SIMD_WIDTH);
  return v;
}
static inline os_simd_vec os_simd_eq(os_simd_vec a, os_simd_vec b) {
  for (int i = 0; i < OS_SIMD_WIDTH; i++)
    a.byte[i] = (uint8_t)(a.byte[i] == b.byte[i] ? 0xff : 0);
  return a;
}
static inline os_simd_vec os_simd_le(os_simd_vec a, os_simd_vec b) {
  for (int i = 0; i < OS_SIMD_WIDTH; i++)
    a.byte[i] = (uint8_t)(a.byte[i] <= b.byte[i] ? 0xff : 0);
  return a;
}
static inline os_simd_vec os_simd_or(os_simd_vec a, os_simd_vec b) {
  for (int i = 0; i < OS_SIMD_WIDTH; i++)
    a.byte[i] = (uint8_t)(a.byte[i] | b.byte[i]);
  return a;
}
static inline uint32_t os_simd_mask(os_simd_vec v) {
  uint32_t mask = 0;
  for (int i = 0; i < OS_SIMD_WIDTH; i++)
    mask |= (uint32_t)(v.byte[i] >> 7) << i;
  return mask;
}
#endif

/* Ready masks over the sixteen bytes of v. */
static inline uint32_t os_simd_mask_eq(os_simd_vec v, unsigned char byte) {
  return os_simd_mask(os_simd_eq(v, os_simd_splat(byte)));
}
static inline uint32_t os_simd_mask_control(os_simd_vec v) { /* bytes <= 0x1f */
  return os_simd_mask(os_simd_le(v, os_simd_splat(0x1f)));
}
static inline uint32_t os_simd_mask_high(os_simd_vec v) { /* bytes >= 0x80 */
  return os_simd_mask(v);
}
/* What ends the plain part of a JSON string: quote, backslash, control character (RFC 8259 section 7). */
static inline uint32_t os_simd_mask_json_string(os_simd_vec v) {
  os_simd_vec quote = os_simd_eq(v, os_simd_splat('"'));
  os_simd_vec slash = os_simd_eq(v, os_simd_splat('\\'));
  return os_simd_mask(os_simd_or(os_simd_or(quote, slash), os_simd_le(v, os_simd_splat(0x1f))));
}
/* Index of the first byte of a mask that is not zero. */
static inline unsigned os_simd_first(uint32_t mask) {
  return (unsigned)__builtin_ctz(mask);
}
#endif
