/* pipeline_read_ahead_test.c - a long compressed source inflated by a thread of its own: every byte once and in order,
** however much the reader leaves over; faults behind what was whole; given up at any moment.
*/
#include "folder.h"
#include <zstd.h>
#include "base/alloc.h"
#include "pipeline/read_ahead.h"
#include "pipeline/source_build.h"

enum { SIZE = 7 * OS_READ_CHUNK + 12345 };
static char *content;
static struct os_source_list list;

/* Pieces at random, so that what is stored is long enough. */
static void make_content(void) {
  uint64_t random = 1;
  for (size_t i = 0; i < SIZE; i++) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    content[i] = (char)(random >> 56);
  }
}

static void write_zstd(const char *path, size_t len) {
  size_t cap = ZSTD_compressBound(len);
  char *out = malloc(cap);
  size_t n = ZSTD_compress(out, cap, content, len, 1);
  assert_false(ZSTD_isError(n));
  write_bytes(path, out, n);
  free(out);
}

static void write_gzip(const char *path, size_t len) {
  struct os_buf out;
  os_buf_init(&out, 0);
  assert_ok(os_gzip(content, len, &out, &test_error));
  write_bytes(path, out.data, out.len);
  os_buf_free(&out);
}

static struct os_source *source_of(const char *path, enum os_compression compression) {
  os_source_list_free(&list);
  assert_ok(os_source_list_build(&list, path, NULL, NULL, NULL, &test_error));
  os_source_at(&list, 0)->compression = compression;
  return os_source_at(&list, 0);
}

/* A reader that leaves so many bytes over each time. Returns what the last call said; out: all bytes but those that
** were left over at the end. */
static int read_leaving(const struct os_source *source, size_t leave, struct os_buf *out) {
  struct os_stream *stream;
  struct os_buf window;
  size_t at = 0;
  bool at_end = false;
  int rc = OS_OK;
  os_error_clear(&test_error);
  os_buf_init(&window, 0);
  assert_ok(os_stream_open(&stream, source, NULL, NULL, &test_error));
  struct os_read_ahead *ahead = os_read_ahead_start(stream, source);
  assert_non_null(ahead);
  while (!rc && !at_end) {
    size_t before = window.len - at;
    rc = os_read_ahead_next(ahead, &window, &at, &at_end, &test_error);
    size_t there = window.len - at;
    if (!rc && !at_end) assert_int_equal(there, before + OS_READ_CHUNK); /* fewer only at the end */
    if (!rc) assert_memory_equal(window.data + window.len, "\0\0\0\0", 4);
    size_t used = at_end || rc ? there : there < leave ? 0 : there - leave;
    os_buf_append(out, window.data + at, used);
    at += used;
  }
  os_read_ahead_stop(ahead);
  os_stream_close(stream);
  os_buf_free(&window);
  return rc;
}

static void whatever_is_left_over(void **state) {
  (void)state;
  static const size_t leaves[] = {
      0, 1, 300, 65535, 65536, 65537, 300000, OS_READ_CHUNK, 3 * OS_READ_CHUNK + 1, SIZE};
  write_gzip(in_folder("a.csv.gz"), SIZE);
  write_zstd(in_folder("a.csv.zst"), SIZE);
  for (int kind = 0; kind < 2; kind++)
    for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++) {
      struct os_buf out;
      os_buf_init(&out, 0);
      struct os_source *source =
          source_of(in_folder(kind ? "a.csv.zst" : "a.csv.gz"), kind ? OS_ZSTD : OS_GZIP);
      assert_ok(read_leaving(source, leaves[i], &out));
      assert_int_equal(out.len, SIZE);
      assert_memory_equal(out.data, content, SIZE);
      os_buf_free(&out);
    }
}

/* What is whole is handed out together with the error. */
static void cut_short(void **state) {
  (void)state;
  const char *path = in_folder("cut.csv.zst");
  struct stat st;
  write_zstd(path, SIZE);
  assert_int_equal(stat(path, &st), 0);
  const off_t cuts[] = {st.st_size - 1, st.st_size / 2 + 7, 5 << 18};
  for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
    struct os_buf out;
    os_buf_init(&out, 0);
    assert_int_equal(truncate(path, cuts[i]), 0);
    assert_int_equal(read_leaving(source_of(path, OS_ZSTD), 100, &out), OS_ERR_FORMAT);
    assert_non_null(strstr(test_error.text, "early"));
    assert_in_range(out.len, (size_t)cuts[i] / 2, SIZE);
    assert_memory_equal(out.data, content, out.len);
    os_buf_free(&out);
  }
}

static void given_up_at_any_moment(void **state) {
  (void)state;
  write_zstd(in_folder("b.csv.zst"), SIZE);
  struct os_source *source = source_of(in_folder("b.csv.zst"), OS_ZSTD);
  for (int taken = 0; taken < 7; taken++) {
    struct os_stream *stream;
    struct os_buf window;
    size_t at = 0;
    bool at_end = false;
    os_buf_init(&window, 0);
    assert_ok(os_stream_open(&stream, source, NULL, NULL, &test_error));
    struct os_read_ahead *ahead = os_read_ahead_start(stream, source);
    for (int i = 0; i < taken; i++, at = window.len)
      assert_ok(os_read_ahead_next(ahead, &window, &at, &at_end, &test_error));
    os_read_ahead_stop(ahead);
    os_stream_close(stream);
    os_buf_free(&window);
  }
}

static void a_load_that_stops(void **state) {
  (void)state;
  static const atomic_bool stopped = true;
  struct os_stream *stream;
  struct os_buf window;
  size_t at = 0;
  bool at_end = false;
  write_zstd(in_folder("c.csv.zst"), SIZE);
  struct os_source *source = source_of(in_folder("c.csv.zst"), OS_ZSTD);
  os_buf_init(&window, 0);
  assert_ok(os_stream_open(&stream, source, &stopped, NULL, &test_error));
  struct os_read_ahead *ahead = os_read_ahead_start(stream, source);
  assert_int_equal(os_read_ahead_next(ahead, &window, &at, &at_end, &test_error), OS_ERR_CANCELLED);
  os_read_ahead_stop(ahead);
  os_stream_close(stream);
  os_buf_free(&window);
}

static struct os_read_ahead *started(const char *name, enum os_compression compression,
                                     struct os_stream **stream) {
  struct os_source *source = source_of(in_folder(name), compression);
  assert_ok(os_stream_open(stream, source, NULL, NULL, &test_error));
  return os_read_ahead_start(*stream, source);
}

static void what_is_not_worth_a_thread(void **state) {
  (void)state;
  struct os_stream *stream;
  write_bytes(in_folder("plain.csv"), content, SIZE);
  write_zstd(in_folder("short.csv.zst"), 100000);
  assert_null(started("plain.csv", OS_PLAIN, &stream));
  os_stream_close(stream);
  assert_null(started("short.csv.zst", OS_ZSTD, &stream));
  os_stream_close(stream);
}

/* Without memory for it the source is read in place. */
static void no_memory_for_it(void **state) {
  (void)state;
  write_zstd(in_folder("d.csv.zst"), SIZE);
  struct os_source *source = source_of(in_folder("d.csv.zst"), OS_ZSTD);
  long n;
  for (n = 0; n < 20; n++) {
    struct os_stream *stream;
    assert_ok(os_stream_open(&stream, source, NULL, NULL, &test_error));
    os_alloc_fail_after(n, 1);
    struct os_read_ahead *ahead = os_read_ahead_start(stream, source);
    bool injected = os_alloc_count() > n;
    os_alloc_fail_after(-1, 0);
    if (!injected) assert_non_null(ahead);
    if (injected && n < 3) assert_null(ahead);
    os_read_ahead_stop(ahead);
    os_stream_close(stream);
    if (!injected) break;
  }
  assert_in_range(n, 3, 19);
}

/* Nor for what is left over, when that is long: an error, and the chunk is not lost on the way. */
static void no_memory_for_what_is_left_over(void **state) {
  (void)state;
  struct os_stream *stream;
  struct os_buf window;
  size_t at = 0;
  bool at_end = false;
  os_buf_init(&window, 0);
  write_zstd(in_folder("e.csv.zst"), SIZE);
  struct os_read_ahead *ahead = started("e.csv.zst", OS_ZSTD, &stream);
  assert_ok(os_read_ahead_next(ahead, &window, &at, &at_end, &test_error));
  os_alloc_fail_after(0, 0);
  int rc = os_read_ahead_next(ahead, &window, &at, &at_end, &test_error);
  os_alloc_fail_after(-1, 0);
  assert_int_equal(rc, OS_ERR_NOMEM);
  assert_int_equal(test_error.code, OS_ERR_NOMEM);
  os_read_ahead_stop(ahead);
  os_stream_close(stream);
  os_buf_free(&window);
}

static int setup(void **state) {
  content = malloc(SIZE);
  make_content();
  return folder_setup(state);
}

static int teardown(void **state) {
  os_source_list_free(&list);
  free(content);
  return folder_teardown(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whatever_is_left_over),           cmocka_unit_test(cut_short),
      cmocka_unit_test(given_up_at_any_moment),          cmocka_unit_test(a_load_that_stops),
      cmocka_unit_test(what_is_not_worth_a_thread),      cmocka_unit_test(no_memory_for_it),
      cmocka_unit_test(no_memory_for_what_is_left_over),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
