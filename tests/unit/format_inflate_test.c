/* format_inflate_test.c - gzip and zstd: round trips in the smallest steps, several members, and every
** kind of damage. zlib-made members are held as bytes, so that isa-l does not only read what isa-l wrote.
*/
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zstd.h>
#include "base/alloc.h"
#include "format/inflate.h"

#define BYTES(literal) literal, sizeof(literal) - 1

/* "hello, gzip, gzip, gzip\n" by zlib at level 9, with a file name (flag FNAME) */
static const char zlib_member[] =
    "\x1f\x8b\x08\x08\x00\x00\x00\x00\x02\xff\x68\x2e\x74\x78\x74\x00\xcb\x48\xcd\xc9"
    "\xc9\xd7\x51\x48\xaf\xca\x2c\x40\x26\xb9\x00\xd7\x94\xea\xf5\x18\x00\x00\x00";

/* Decompress everything in steps; returns the code, appends to out. */
static int inflate_all(enum os_compression compression, const char *data, size_t len, size_t in_step,
                       size_t out_step, struct os_buf *out, struct os_error *error) {
  struct os_inflate *inflate = NULL;
  int code = os_inflate_open(&inflate, compression, error);
  char *room = malloc(out_step);
  bool ended = false;
  size_t at = 0;
  while (!code && !ended) {
    size_t now = len - at < in_step ? len - at : in_step, used = 0, made = 0;
    bool last = at + now == len;
    char *piece = malloc(now ? now : 1); /* exact: the sanitizer sees a byte too many */
    memcpy(piece, data + at, now);
    code = os_inflate_run(inflate, piece, now, last, &used, room, out_step, &made, &ended, error);
    free(piece);
    assert_true(used <= now && made <= out_step);
    if (!code) assert_true(used || made || ended); /* always progress */
    os_buf_append(out, room, made);
    at += used;
    if (ended) assert_int_equal(at, len);
  }
  free(room);
  os_inflate_free(inflate);
  return code;
}

static void check(enum os_compression compression, const struct os_buf *packed, const struct os_buf *plain) {
  static const size_t steps[][2] = {{1, 1},       {1, 65536},    {65536, 1},
                                    {4093, 1009}, {1000, 65536}, {1 << 24, 1 << 24}};
  size_t first = plain->len > 20000 ? 3 : 0; /* byte by byte takes long */
  for (size_t i = first; i < sizeof steps / sizeof *steps; i++) {
    struct os_buf out;
    struct os_error error;
    os_buf_init(&out, 0);
    int code = inflate_all(compression, packed->data, packed->len, steps[i][0], steps[i][1], &out, &error);
    if (code) print_error("%s\n", error.text);
    assert_int_equal(code, OS_OK);
    assert_int_equal(out.len, plain->len);
    assert_memory_equal(out.data, plain->data, plain->len);
    os_buf_free(&out);
  }
}

static void refuses(enum os_compression compression, const char *data, size_t len, const char *message) {
  static const size_t steps[] = {1, 1 << 20};
  for (size_t i = 0; i < 4; i++) {
    struct os_buf out;
    struct os_error error;
    os_buf_init(&out, 0);
    assert_int_equal(inflate_all(compression, data, len, steps[i & 1], steps[i >> 1], &out, &error),
                     OS_ERR_FORMAT);
    if (!strstr(error.text, message)) print_error("%s\n", error.text);
    assert_non_null(strstr(error.text, message));
    assert_true(error.advice[0] != 0);
    os_buf_free(&out);
  }
}

/* kind 0: text that compresses, 1: noise, 2: runs */
static void fill(struct os_buf *buf, size_t len, int kind) {
  static const char words[] = "the quick brown fox jumps over the lazy dog {\"a\":1,\"b\":\"x\"}\n";
  uint32_t seed = (uint32_t)len * 7 + (uint32_t)kind;
  os_buf_init(buf, 0);
  while (buf->len < len) {
    seed = seed * 1664525u + 1013904223u;
    if (kind == 0)
      os_buf_append(buf, words + (seed >> 24) % 32, 1 + (seed >> 16) % 30);
    else
      os_buf_putc(buf, (char)(kind == 1 ? seed >> 24 : seed >> 30));
  }
  buf->len = len;
}

static void add_gzip(struct os_buf *packed, const struct os_buf *plain) {
  struct os_error error;
  assert_int_equal(os_gzip(plain->data, plain->len, packed, &error), OS_OK);
}

static void add_zstd(struct os_buf *packed, const struct os_buf *plain, bool checksum) {
  ZSTD_CCtx *context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, checksum);
  assert_true(os_buf_reserve(packed, ZSTD_compressBound(plain->len)));
  size_t n = ZSTD_compress2(context, packed->data + packed->len, ZSTD_compressBound(plain->len), plain->data,
                            plain->len);
  assert_false(ZSTD_isError(n));
  packed->len += n;
  ZSTD_freeCCtx(context);
}

static void round_trips(void **state) {
  (void)state;
  static const size_t sizes[] = {0, 1, 2, 100, 4095, 12345, 65536, 70001, 200000, 3000000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    for (int kind = 0; kind < 3; kind++) {
      struct os_buf plain, packed;
      fill(&plain, sizes[i], kind);
      os_buf_init(&packed, 0);
      check(OS_PLAIN, &plain, &plain);
      add_gzip(&packed, &plain);
      check(OS_GZIP, &packed, &plain);
      packed.len = 0;
      add_zstd(&packed, &plain, true);
      check(OS_ZSTD, &packed, &plain);
      os_buf_free(&packed);
      os_buf_free(&plain);
    }
}

/* RFC 1952 section 2.3.1: CRC-32 and length, little-endian, at the very end */
static void trailer(void **state) {
  (void)state;
  struct os_buf plain, packed;
  os_buf_init(&plain, 0);
  os_buf_init(&packed, 0);
  os_buf_puts(&plain, "123456789");
  os_buf_puts(&packed, "kept");
  add_gzip(&packed, &plain);
  assert_memory_equal(packed.data, "kept\x1f\x8b\x08", 7);
  assert_memory_equal(packed.data + packed.len - 8, "\x26\x39\xf4\xcb\x09\x00\x00\x00",
                      8); /* the CRC's check value */
  os_buf_free(&packed);
  os_buf_free(&plain);
}

static void put_le32(struct os_buf *buf, uint32_t value) {
  for (int i = 0; i < 4; i++)
    os_buf_putc(buf, (char)(value >> (8 * i)));
}

/* A member as other programs write it: extra field, name, comment; content stored. */
static void foreign_headers(void **state) {
  (void)state;
  struct os_buf packed, plain;
  os_buf_init(&packed, 0);
  os_buf_init(&plain, 0);
  for (int flags = 0; flags < 32; flags += 4) { /* FEXTRA, FNAME, FCOMMENT */
    os_buf_append(&packed, "\x1f\x8b\x08", 3);
    os_buf_putc(&packed, (char)flags);
    os_buf_append(&packed, "\x01\x02\x03\x04\x00\x03", 6);
    if (flags & 4)
      os_buf_append(&packed,
                    "\x05\x00"
                    "extra",
                    7);
    if (flags & 8) os_buf_append(&packed, "name\x00", 5);
    if (flags & 16) os_buf_append(&packed, "why\x00", 4);
    os_buf_append(&packed, "\x01\x09\x00\xf6\xff", 5);
    os_buf_puts(&packed, "123456789");
    put_le32(&packed, 0xcbf43926u);
    put_le32(&packed, 9);
    os_buf_puts(&plain, "123456789");
  }
  check(OS_GZIP, &packed, &plain);
  os_buf_free(&packed);
  os_buf_free(&plain);
}

static void made_by_zlib(void **state) {
  (void)state;
  struct os_buf packed, plain;
  os_buf_init(&packed, 0);
  os_buf_init(&plain, 0);
  for (int i = 0; i < 2; i++) {
    os_buf_append(&packed, zlib_member, sizeof zlib_member - 1);
    os_buf_puts(&plain, "hello, gzip, gzip, gzip\n");
    check(OS_GZIP, &packed, &plain);
  }
  os_buf_free(&packed);
  os_buf_free(&plain);
}

static void several(void **state) {
  (void)state;
  struct os_buf part, whole, gzip, zstd;
  os_buf_init(&whole, 0);
  os_buf_init(&gzip, 0);
  os_buf_init(&zstd, 0);
  for (int i = 0; i < 5; i++) {
    fill(&part, (size_t)i * 3000, i % 3); /* the first is empty */
    os_buf_append(&whole, part.data, part.len);
    add_gzip(&gzip, &part);
    add_zstd(&zstd, &part, i & 1);
    os_buf_append(&zstd, "\x51\x2a\x4d\x18\x03\x00\x00\x00skp", 11); /* a skippable frame */
    os_buf_free(&part);
  }
  check(OS_GZIP, &gzip, &whole);
  check(OS_ZSTD, &zstd, &whole);
  for (int i = 0; i < 700; i++)
    os_buf_putc(&gzip, 0);
  check(OS_GZIP, &gzip, &whole); /* zero padding */
  os_buf_putc(&gzip, 'x');
  refuses(OS_GZIP, gzip.data, gzip.len, "bytes follow the zero padding");
  os_buf_free(&whole);
  os_buf_free(&gzip);
  os_buf_free(&zstd);
}

static void cut_short(void **state) {
  (void)state;
  struct os_buf plain, gzip, zstd;
  fill(&plain, 3000, 0);
  os_buf_init(&gzip, 0);
  os_buf_init(&zstd, 0);
  add_gzip(&gzip, &plain);
  add_zstd(&zstd, &plain, true);
  for (size_t n = 1; n < gzip.len; n++)
    refuses(OS_GZIP, gzip.data, n, "ends early");
  for (size_t n = 1; n < zstd.len; n++)
    refuses(OS_ZSTD, zstd.data, n, "ends early");
  size_t one = gzip.len;
  add_gzip(&gzip, &plain); /* the second member is cut */
  for (size_t n = one + 1; n < gzip.len; n += 7)
    refuses(OS_GZIP, gzip.data, n, "ends early");
  os_buf_free(&plain);
  os_buf_free(&gzip);
  os_buf_free(&zstd);
}

/* libzstd may know the formats before 0.8, and then ends otherwise when they come in pieces. */
static void former_zstd(void **state) {
  (void)state;
  static const char old[] = "\x27\xb5\x2f\xfd\0\0\0\0";
  struct os_buf plain, zstd;
  refuses(OS_ZSTD, old, sizeof old - 1, "no frame begins here");
  fill(&plain, 300, 0);
  os_buf_init(&zstd, 0);
  add_zstd(&zstd, &plain, true);
  os_buf_append(&zstd, old, sizeof old - 1);
  refuses(OS_ZSTD, zstd.data, zstd.len, "no frame begins here");
  os_buf_free(&plain);
  os_buf_free(&zstd);
}

static void damage(void **state) {
  (void)state;
  struct os_buf plain, gzip, zstd;
  fill(&plain, 3000, 0);
  os_buf_init(&gzip, 0);
  os_buf_init(&zstd, 0);
  add_gzip(&gzip, &plain);
  add_zstd(&zstd, &plain, true);
  /* a flipped bit in the checksum, in the length, in the content */
  for (size_t back = 1; back <= 8; back++) {
    gzip.data[gzip.len - back] ^= 1;
    refuses(OS_GZIP, gzip.data, gzip.len, "its checksum or length is wrong");
    gzip.data[gzip.len - back] ^= 1;
  }
  for (size_t at = 10; at < gzip.len; at++) {
    struct os_buf out;
    struct os_error error;
    os_buf_init(&out, 0);
    gzip.data[at] ^= 0x10;
    int code = inflate_all(OS_GZIP, gzip.data, gzip.len, 64, 64, &out, &error);
    /* some bits do not matter: padding, a match further back of the same text */
    if (!code)
      assert_true(out.len == plain.len && !memcmp(out.data, plain.data, plain.len));
    else
      assert_int_equal(code, OS_ERR_FORMAT);
    gzip.data[at] ^= 0x10;
    os_buf_free(&out);
  }
  zstd.data[zstd.len - 1] ^= 1;
  refuses(OS_ZSTD, zstd.data, zstd.len, "damaged");
  zstd.data[zstd.len - 1] ^= 1;
  os_buf_puts(&zstd, "trailing");
  refuses(OS_ZSTD, zstd.data, zstd.len, "damaged");
  os_buf_puts(&gzip, "trailing");
  refuses(OS_GZIP, gzip.data, gzip.len, "bytes follow that are no further member");
  refuses(OS_GZIP, BYTES("plain text"), "it is not gzip");
  refuses(OS_GZIP, BYTES("\x1f\x8b\x07\x00\x00\x00\x00\x00\x00\x03\x00\x00"), "not compressed with deflate");
  refuses(OS_GZIP, BYTES("\x1f\x00\x08\x00\x00\x00\x00\x00\x00\x03\x00\x00"), "header is malformed");
  refuses(OS_ZSTD, BYTES("plain text"), "damaged");
  os_buf_free(&plain);
  os_buf_free(&gzip);
  os_buf_free(&zstd);
}

static void detection(void **state) {
  (void)state;
  assert_int_equal(os_compression_detect(BYTES("\x1f\x8b\x08\x00")), OS_GZIP);
  assert_int_equal(os_compression_detect(BYTES("\x28\xb5\x2f\xfd")), OS_ZSTD);
  assert_int_equal(os_compression_detect(BYTES("\x5a\x2a\x4d\x18")), OS_ZSTD);
  assert_int_equal(os_compression_detect(BYTES("\x5a\x2a\x4d\x19")), OS_PLAIN);
  assert_int_equal(os_compression_detect(BYTES("Zone,name\n")), OS_PLAIN); /* its first byte alone would do */
  assert_int_equal(os_compression_detect(BYTES("\x1f\x8b")), OS_PLAIN);
  assert_int_equal(os_compression_detect(BYTES("{\"a\":1}")), OS_PLAIN);
  assert_int_equal(os_compression_detect(NULL, 0), OS_PLAIN);
  assert_string_equal(os_compression_name(OS_GZIP), "gzip");
  assert_string_equal(os_compression_name(OS_ZSTD), "zstd");
  assert_string_equal(os_compression_name(OS_PLAIN), "plain");
}

static void empty_input(void **state) {
  (void)state;
  struct os_buf nothing;
  os_buf_init(&nothing, 0);
  check(OS_PLAIN, &nothing, &nothing);
  check(OS_GZIP, &nothing, &nothing);
  check(OS_ZSTD, &nothing, &nothing);
}

static void no_memory(void **state) {
  (void)state;
#ifdef OS_TEST_ALLOC
  struct os_buf plain, packed;
  struct os_error error;
  fill(&plain, 200000, 1);
  for (long n = 0; n < 3; n++) {
    os_buf_init(&packed, 0);
    os_alloc_fail_after(n, 1);
    int code = os_gzip(plain.data, plain.len, &packed, &error);
    os_alloc_fail_after(-1, 0);
    assert_int_equal(code, OS_ERR_NOMEM);
    os_buf_free(&packed);
  }
  for (int form = OS_PLAIN; form <= OS_ZSTD; form++)
    for (long n = 0; n < 2; n++) {
      struct os_inflate *inflate = NULL;
      os_alloc_fail_after(n, 1);
      int code = os_inflate_open(&inflate, (enum os_compression)form, &error);
      os_alloc_fail_after(-1, 0);
      assert_int_equal(code, n == 0 || form == OS_GZIP ? OS_ERR_NOMEM : OS_OK);
      assert_true(!code == !!inflate);
      os_inflate_free(inflate);
    }
  os_buf_free(&plain);
#else
  skip();
#endif
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(round_trips),  cmocka_unit_test(trailer),   cmocka_unit_test(foreign_headers),
      cmocka_unit_test(made_by_zlib), cmocka_unit_test(several),   cmocka_unit_test(cut_short),
      cmocka_unit_test(former_zstd),  cmocka_unit_test(damage),    cmocka_unit_test(detection),
      cmocka_unit_test(empty_input),  cmocka_unit_test(no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
