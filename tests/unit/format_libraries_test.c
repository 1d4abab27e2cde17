/* format_libraries_test.c - what libzstd and isa-l say when they fail, and more bytes at once than isa-l can count.
** Their functions are defined here, too, and the linker takes these: they pass the call on unless a test wants
** another answer.
*/
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <isa-l/igzip_lib.h>
#include <string.h>
#include <sys/mman.h>
#include <zstd.h>
#include <zstd_errors.h>
#include "format/inflate.h"

static int deflate_answer;         /* 0: the library's own */
static bool no_decoder;            /* ZSTD_createDStream() finds no memory */
static bool no_memory;             /* ZSTD_decompressStream() finds none */
static int calls_before_quiet_end; /* then a frame ends and no byte moves; 0: never */

static void *real(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  assert_non_null(found);
  return found;
}

int isal_deflate(struct isal_zstream *stream) {
  int (*call)(struct isal_zstream *);
  *(void **)&call = real("isal_deflate"); /* the form that POSIX gives for dlsym() */
  return deflate_answer ? deflate_answer : call(stream);
}

ZSTD_DStream *ZSTD_createDStream(void) {
  ZSTD_DStream *(*call)(void);
  *(void **)&call = real("ZSTD_createDStream");
  return no_decoder ? NULL : call();
}

size_t ZSTD_decompressStream(ZSTD_DStream *stream, ZSTD_outBuffer *to, ZSTD_inBuffer *from) {
  size_t (*call)(ZSTD_DStream *, ZSTD_outBuffer *, ZSTD_inBuffer *);
  *(void **)&call = real("ZSTD_decompressStream");
  if (no_memory) return (size_t)-ZSTD_error_memory_allocation; /* zstd_errors.h: a code is its negative */
  if (calls_before_quiet_end && --calls_before_quiet_end == 0) return 0;
  size_t hint = call(stream, to, from);
  return calls_before_quiet_end == 1 ? 1 : hint; /* as if something of the frame were held back */
}

static struct os_error test_error;

static void deflate_fails(void **state) {
  (void)state;
  struct os_buf out;
  os_buf_init(&out, 0);
  deflate_answer = INVALID_FLUSH;
  assert_int_equal(os_gzip("abc", 3, &out, &test_error), OS_ERR_INTERNAL);
  assert_non_null(strstr(test_error.text, "gzip of a request body failed with code -7"));
  deflate_answer = 0;
  assert_int_equal(os_gzip("abc", 3, &out, &test_error), OS_OK);
  os_buf_free(&out);
}

static const char text[] = "a text that both forms can hold";

static size_t zstd_of(char *packed, size_t cap) {
  size_t len = ZSTD_compress(packed, cap, text, sizeof text, 3);
  assert_false(ZSTD_isError(len));
  return len;
}

static void zstd_without_memory(void **state) {
  (void)state;
  struct os_inflate *inflate;
  char packed[200], out[200];
  size_t len = zstd_of(packed, sizeof packed), used, made;
  bool ended;
  no_decoder = true;
  assert_int_equal(os_inflate_open(&inflate, OS_ZSTD, &test_error), OS_ERR_NOMEM);
  assert_null(inflate);
  no_decoder = false;
  assert_int_equal(os_inflate_open(&inflate, OS_ZSTD, &test_error), OS_OK);
  no_memory = true; /* nobody is to take the file for damaged */
  assert_int_equal(
      os_inflate_run(inflate, packed, len, true, &used, out, sizeof out, &made, &ended, &test_error),
      OS_ERR_NOMEM);
  no_memory = false;
  assert_int_equal(
      os_inflate_run(inflate, packed, len, true, &used, out, sizeof out, &made, &ended, &test_error), OS_OK);
  assert_true(ended);
  assert_int_equal(made, sizeof text);
  assert_string_equal(out, text);
  os_inflate_free(inflate);
}

/* A frame may end without a byte that moves; the frames behind it are there all the same. */
static void a_frame_ends_quietly(void **state) {
  (void)state;
  struct os_inflate *inflate;
  char packed[400], out[400];
  size_t len = zstd_of(packed, sizeof packed), used, made;
  bool ended;
  len += zstd_of(packed + len, sizeof packed - len);
  assert_int_equal(os_inflate_open(&inflate, OS_ZSTD, &test_error), OS_OK);
  calls_before_quiet_end = 2;
  assert_int_equal(
      os_inflate_run(inflate, packed, len, true, &used, out, sizeof out, &made, &ended, &test_error), OS_OK);
  assert_int_equal(calls_before_quiet_end, 0);
  assert_true(ended);
  assert_int_equal(used, len);
  assert_int_equal(made, 2 * sizeof text);
  assert_string_equal(out + sizeof text, text);
  os_inflate_free(inflate);
}

/* igzip counts in 32 bits. The room is only reserved: hardly a page of it is touched. */
static void more_than_32_bits_count(void **state) {
  (void)state;
  const size_t large = (size_t)1 << 32; /* cut to 32 bits, nothing would be left of it */
  struct os_inflate *inflate;
  struct os_buf packed;
  size_t used, made;
  bool ended;
  int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  char *room = mmap(NULL, large, PROT_READ | PROT_WRITE, kind, -1, 0);
  if (room == MAP_FAILED) skip();
  os_buf_init(&packed, 0);
  assert_int_equal(os_gzip(text, sizeof text, &packed, &test_error), OS_OK);
  for (int side = 0; side < 2; side++) { /* room for the result, then input */
    char out[sizeof text];
    if (side) memcpy(room, packed.data, packed.len);
    assert_int_equal(os_inflate_open(&inflate, OS_GZIP, &test_error), OS_OK);
    assert_int_equal(
        side ? os_inflate_run(inflate, room, large, false, &used, out, sizeof out, &made, &ended, &test_error)
             : os_inflate_run(inflate, packed.data, packed.len, true, &used, room, large, &made, &ended,
                              &test_error),
        OS_OK);
    assert_int_equal(made, sizeof text);
    assert_string_equal(side ? out : room, text);
    assert_in_range(used, packed.len - 8, packed.len);
    os_inflate_free(inflate);
  }
  munmap(room, large);
  os_buf_free(&packed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(deflate_fails),
      cmocka_unit_test(zstd_without_memory),
      cmocka_unit_test(a_frame_ends_quietly),
      cmocka_unit_test(more_than_32_bits_count),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
