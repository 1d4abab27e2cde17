/* pipeline_stream_test.c - the bytes of one source: plain, compressed, from a pipe, from the middle,
** damaged, changed while they are read; and what a source is said to be from its head.
*/
#include "folder.h"
#include <pthread.h>
#include <zstd.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "pipeline/examine.h"
#include "pipeline/source_build.h"
#include "pipeline/stream.h"

enum { SIZE = 6000000 };
static char *content;
static struct os_source_list list;
static const struct os_parse_options options = {.id_field = "_id", .header = true};

static void write_gzip(const char *path, size_t len) {
  struct os_buf out;
  os_buf_init(&out, 0);
  assert_ok(os_gzip(content, len / 2, &out, &test_error)); /* two members */
  assert_ok(os_gzip(content + len / 2, len - len / 2, &out, &test_error));
  write_bytes(path, out.data, out.len);
  os_buf_free(&out);
}

static void write_zstd(const char *path, size_t len) {
  size_t cap = ZSTD_compressBound(len);
  char *out = malloc(cap);
  size_t n = ZSTD_compress(out, cap, content, len, 1);
  assert_false(ZSTD_isError(n));
  write_bytes(path, out, n);
  free(out);
}

static struct os_source *source_of(const char *path, enum os_compression compression) {
  os_source_list_free(&list);
  assert_ok(os_source_list_build(&list, path, NULL, NULL, NULL, &test_error));
  os_source_at(&list, 0)->compression = compression;
  return os_source_at(&list, 0);
}

/* Read from `offset` to the end in pieces of `want`. */
static int read_all(const struct os_source *source, uint64_t offset, size_t want, struct os_buf *out,
                    const atomic_bool *stop) {
  struct os_stream *stream;
  atomic_uint_fast64_t on_disk = 0;
  bool at_end = false;
  os_error_clear(&test_error);
  os_buf_init(out, 0);
  int rc = os_stream_open(&stream, source, stop, &on_disk, &test_error);
  if (!rc && offset) rc = os_stream_skip_to(stream, offset, &test_error);
  while (!rc && !at_end) {
    size_t before = out->len;
    rc = os_stream_read(stream, out, want, &at_end, &test_error);
    if (!rc && !at_end) assert_int_equal(out->len, before + want); /* fewer only at the end */
    assert_true(out->len <= before + want);
  }
  if (!rc) rc = os_stream_check_unchanged(stream, &test_error);
  if (!rc && !source->is_stream && !offset) assert_int_equal(on_disk, source->size);
  os_stream_close(stream);
  return rc;
}

static void whole_and_from_the_middle(void **state) {
  (void)state;
  static const struct {
    const char *name;
    enum os_compression compression;
  } kinds[] = {{"s.ndjson", OS_PLAIN}, {"s.ndjson.gz", OS_GZIP}, {"s.ndjson.zst", OS_ZSTD}};
  static const uint64_t offsets[] = {0, 1, 65536, SIZE / 2 - 1, SIZE / 2, SIZE / 2 + 1, SIZE - 1, SIZE};
  static const size_t wants[] = {SIZE * 2, SIZE, 1 << 20, 12345, SIZE - 1};
  write_bytes(in_folder("s.ndjson"), content, SIZE);
  write_gzip(in_folder("s.ndjson.gz"), SIZE);
  write_zstd(in_folder("s.ndjson.zst"), SIZE);
  for (size_t k = 0; k < 3; k++) {
    struct os_source *source = source_of(in_folder(kinds[k].name), kinds[k].compression);
    struct os_buf out;
    for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
      if (read_all(source, 0, wants[i], &out, NULL)) fail_msg("%s: %s", kinds[k].name, test_error.text);
      assert_int_equal(out.len, SIZE);
      assert_memory_equal(out.data, content, SIZE);
      os_buf_free(&out);
    }
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
      if (read_all(source, offsets[i], 1 << 20, &out, NULL))
        fail_msg("%s: %s", kinds[k].name, test_error.text);
      assert_int_equal(out.len, SIZE - offsets[i]);
      if (out.len) assert_memory_equal(out.data, content + offsets[i], out.len);
      os_buf_free(&out);
    }
    if (kinds[k].compression != OS_PLAIN) {
      assert_int_equal(read_all(source, SIZE + 1, 1 << 20, &out, NULL), OS_ERR_FORMAT);
      assert_non_null(strstr(test_error.text, "ends at byte 6000000"));
      os_buf_free(&out);
    }
  }
}

static void empty_files(void **state) {
  (void)state;
  struct os_buf out;
  write_text(in_folder("empty.csv"), "");
  assert_int_equal(read_all(source_of(in_folder("empty.csv"), OS_PLAIN), 0, 100, &out, NULL), OS_OK);
  assert_int_equal(out.len, 0);
  os_buf_free(&out);
  write_gzip(in_folder("empty.csv.gz"), 0);
  assert_int_equal(read_all(source_of(in_folder("empty.csv.gz"), OS_GZIP), 0, 100, &out, NULL), OS_OK);
  assert_int_equal(out.len, 0);
  os_buf_free(&out);
}

/* What is whole is handed out, then the error says so: never a quiet end. */
static void cut_short(void **state) {
  (void)state;
  for (int kind = 0; kind < 2; kind++) {
    const char *path = in_folder(kind ? "cut.csv.zst" : "cut.csv.gz");
    struct stat st;
    struct os_buf out;
    if (kind)
      write_zstd(path, SIZE);
    else
      write_gzip(path, SIZE);
    assert_int_equal(stat(path, &st), 0);
    const off_t cuts[] = {st.st_size - 1, st.st_size - 9, st.st_size / 2 + 7, 20, 5};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
      assert_int_equal(truncate(path, cuts[i]), 0);
      int rc = read_all(source_of(path, kind ? OS_ZSTD : OS_GZIP), 0, 1 << 16, &out, NULL);
      if (rc != OS_ERR_FORMAT || !strstr(test_error.text, "early"))
        fail_msg("cut at %ld: %d %s", (long)cuts[i], rc, test_error.text);
      assert_true(out.len <= SIZE);
      if (out.len) assert_memory_equal(out.data, content, out.len);
      if (!kind && i == 1) assert_true(out.len > SIZE / 2);
      os_buf_free(&out);
    }
  }
}

static void changed_while_it_is_read(void **state) {
  (void)state;
  for (int grows = 0; grows < 2; grows++) {
    const char *path = in_folder("moving.csv");
    struct os_stream *stream;
    struct os_buf out;
    bool at_end = false;
    size_t expected = grows ? SIZE + 4 : 1000000;
    write_bytes(path, content, SIZE);
    struct os_source *source = source_of(path, OS_PLAIN);
    os_buf_init(&out, 0);
    assert_ok(os_stream_open(&stream, source, NULL, NULL, &test_error));
    assert_ok(os_stream_check_unchanged(stream, &test_error));
    assert_ok(os_stream_read(stream, &out, 500000, &at_end, &test_error));
    if (grows) {
      int fd = open(path, O_WRONLY | O_APPEND);
      assert_int_equal(write(fd, "more", 4), 4);
      close(fd);
    } else {
      assert_int_equal(truncate(path, 1000000), 0);
    }
    while (!at_end)
      assert_ok(os_stream_read(stream, &out, 500000, &at_end, &test_error));
    assert_int_equal(out.len, expected);
    assert_fails(os_stream_check_unchanged(stream, &test_error), OS_ERR_IO, "changed while it was read");
    assert_non_null(strstr(test_error.text, path));
    assert_non_null(strstr(test_error.text, "6000000 bytes"));
    os_stream_close(stream);
    os_buf_free(&out);
  }
  /* the same size again, but written anew */
  write_bytes(in_folder("again.csv"), content, 100);
  struct os_source *source = source_of(in_folder("again.csv"), OS_PLAIN);
  source->mtime_ns -= 1000;
  struct os_buf out;
  assert_int_equal(read_all(source, 0, 1000, &out, NULL), OS_ERR_IO);
  os_buf_free(&out);
}

static void files_that_cannot_be_opened(void **state) {
  (void)state;
  struct os_stream *stream = NULL;
  struct os_source missing = {.path = (char *)in_folder("missing.csv"), .name = "missing.csv"};
  assert_fails(os_stream_open(&stream, &missing, NULL, NULL, &test_error), OS_ERR_IO, "missing.csv: No such");
  assert_null(stream);
  struct os_source folder = {.path = test_folder, .name = "x"};
  struct os_buf out;
  os_buf_init(&out, 0);
  bool at_end;
  assert_ok(os_stream_open(&stream, &folder, NULL, NULL, &test_error));
  assert_fails(os_stream_read(stream, &out, 10, &at_end, &test_error), OS_ERR_IO, "Is a directory");
  os_stream_close(stream);
  os_buf_free(&out);
  os_stream_close(NULL);
}

/* ---- pipes ---- */

struct writer {
  pthread_t thread;
  int fd;
  size_t len;
  bool wait; /* at the end: keep the pipe open until told */
  atomic_bool done;
};

static void *writer_main(void *arg) {
  struct writer *writer = arg;
  for (size_t at = 0; at < writer->len;) {
    size_t piece = 40000 < writer->len - at ? 40000 : writer->len - at;
    ssize_t n = write(writer->fd, content + at, piece);
    if (n <= 0) break;
    at += (size_t)n;
  }
  while (writer->wait && !atomic_load(&writer->done))
    os_clock_sleep_ms(5);
  close(writer->fd);
  return NULL;
}

static struct os_source *pipe_of(const char *name, struct writer *writer, size_t len, bool wait) {
  const char *path = in_folder(name);
  assert_int_equal(mkfifo(path, 0600), 0);
  struct os_source *source = source_of(path, OS_PLAIN);
  memset(writer, 0, sizeof *writer);
  writer->len = len;
  writer->wait = wait;
  writer->fd = open(path, O_RDWR); /* does not wait for a reader */
  assert_true(writer->fd >= 0);
  pthread_create(&writer->thread, NULL, writer_main, writer);
  return source;
}

static void a_pipe_is_read_to_its_end(void **state) {
  (void)state;
  struct writer writer;
  struct os_head_facts facts;
  struct os_source *source = pipe_of("p.ndjson", &writer, SIZE, false);
  assert_ok(os_source_examine(source, OS_FORMAT_UNKNOWN, &options, NULL, &facts, &test_error));
  assert_int_equal(source->format, OS_FORMAT_NDJSON);
  assert_true(facts.carries_id);
  os_head_facts_free(&facts);
  assert_int_equal(source->preread_len, OS_EXAMINE_HEAD);
  struct os_buf out;
  assert_int_equal(read_all(source, 0, 1 << 20, &out, NULL), OS_OK);
  assert_int_equal(out.len, SIZE);
  assert_memory_equal(out.data, content, SIZE); /* also what was looked at before */
  os_buf_free(&out);
  pthread_join(writer.thread, NULL);
}

static void *stop_soon(void *arg) {
  os_clock_sleep_ms(60);
  atomic_store((atomic_bool *)arg, true);
  return NULL;
}

static void a_slow_pipe_can_be_left(void **state) {
  (void)state;
  struct writer writer;
  struct os_head_facts facts;
  struct os_source *source = pipe_of("slow.ndjson", &writer, OS_EXAMINE_HEAD + 100, true);
  assert_ok(os_source_examine(source, OS_FORMAT_UNKNOWN, &options, NULL, &facts, &test_error));
  os_head_facts_free(&facts);
  atomic_bool stop = false;
  pthread_t stopper;
  struct os_buf out;
  double began = os_clock_monotonic();
  pthread_create(&stopper, NULL, stop_soon, &stop);
  assert_int_equal(read_all(source, 0, 2 << 20, &out, &stop), OS_ERR_CANCELLED);
  assert_true(os_clock_monotonic() - began < 0.6);
  os_buf_free(&out);
  pthread_join(stopper, NULL);
  atomic_store(&writer.done, true);
  pthread_join(writer.thread, NULL);
}

static int looks;

static bool interrupted(void *ctx) {
  (void)ctx;
  return ++looks > 2;
}

static void waiting_for_a_pipe_can_be_interrupted(void **state) {
  (void)state;
  struct writer writer;
  struct os_head_facts facts;
  struct os_probe probe = {interrupted, NULL};
  struct os_source *source = pipe_of("wait.ndjson", &writer, 10, true);
  looks = 0;
  assert_fails(os_source_examine(source, OS_FORMAT_UNKNOWN, &options, &probe, &facts, &test_error),
               OS_ERR_INTERRUPTED, "wait.ndjson");
  os_head_facts_free(&facts);
  atomic_store(&writer.done, true);
  pthread_join(writer.thread, NULL);
}

/* ---- what a source is ---- */

static void examined(void **state) {
  (void)state;
  static const struct {
    const char *name, *text;
    enum os_format format;
    bool carries_id, empty;
  } files[] = {{"e1.csv", "_id,a\n1,2\n", OS_FORMAT_CSV, true, false},
               {"e2.tsv", "a\tb\n1\t2\n", OS_FORMAT_TSV, false, false},
               {"e3.json", "[{\"_id\":1,\"a\":2}]", OS_FORMAT_JSON, true, false},
               {"e4.jsonl", "{\"a\":2}\n", OS_FORMAT_NDJSON, false, false},
               {"e5.dat", "{\"_id\":1,\"a\":2}\n{\"_id\":2}\n", OS_FORMAT_NDJSON, true, false},
               {"e6.dat", "a\tb\n1\t2\n", OS_FORMAT_TSV, false, false},
               {"e7.csv", "", OS_FORMAT_CSV, false, true},
               {"e8.json", "{\"a\":1}\n", OS_FORMAT_JSON, false, false}};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    struct os_head_facts facts;
    write_text(in_folder(files[i].name), files[i].text);
    struct os_source *source = source_of(in_folder(files[i].name), OS_PLAIN);
    assert_ok(os_source_examine(source, OS_FORMAT_UNKNOWN, &options, NULL, &facts, &test_error));
    if (source->format != files[i].format || facts.carries_id != files[i].carries_id ||
        facts.empty != files[i].empty)
      fail_msg("%s: format %d, id %d, empty %d", files[i].name, (int)source->format, facts.carries_id,
               facts.empty);
    os_head_facts_free(&facts);
  }
}

static void examined_compressed(void **state) {
  (void)state;
  struct os_head_facts facts;
  struct os_buf head;
  bool is_all;
  write_gzip(in_folder("c.ndjson.gz"), SIZE);
  struct os_source *source = source_of(in_folder("c.ndjson.gz"), OS_PLAIN);
  assert_ok(os_source_examine(source, OS_FORMAT_UNKNOWN, &options, NULL, &facts, &test_error));
  assert_int_equal(source->compression, OS_GZIP);
  assert_true(facts.carries_id);
  os_head_facts_free(&facts);
  os_buf_init(&head, 0);
  assert_ok(os_source_head(source, 1000, NULL, &head, &is_all, &test_error));
  assert_int_equal(head.len, 1000);
  assert_memory_equal(head.data, content, 1000);
  assert_false(is_all);
  os_buf_free(&head);
  assert_int_equal(truncate(in_folder("c.ndjson.gz"), 30000), 0); /* damaged further on: not known yet */
  source = source_of(in_folder("c.ndjson.gz"), OS_PLAIN);
  assert_ok(os_source_examine(source, OS_FORMAT_UNKNOWN, &options, NULL, &facts, &test_error));
  assert_true(facts.carries_id);
  os_head_facts_free(&facts);
  write_text(in_folder("bad.csv"), "a,,b\n1,2,3\n");
  assert_fails(os_source_examine(source_of(in_folder("bad.csv"), OS_PLAIN), OS_FORMAT_UNKNOWN, &options, NULL,
                                 &facts, &test_error),
               OS_ERR_FORMAT, "bad.csv");
  os_head_facts_free(&facts);
  write_text(in_folder("page.csv.gz"), "<html>404</html>\n");
  assert_fails(os_source_examine(source_of(in_folder("page.csv.gz"), OS_PLAIN), OS_FORMAT_UNKNOWN, &options,
                                 NULL, &facts, &test_error),
               OS_ERR_FORMAT, "page.csv.gz is not compressed");
  os_head_facts_free(&facts);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  static const char *const names[] = {"m.ndjson", "m.ndjson.gz", "m.ndjson.zst"};
  write_bytes(in_folder(names[0]), content, 300000);
  write_gzip(in_folder(names[1]), 300000);
  write_zstd(in_folder(names[2]), 300000);
  for (size_t k = 0; k < 3; k++) {
    long n;
    for (n = 0; n < 300; n++) {
      struct os_head_facts facts;
      struct os_buf out;
      struct os_source *source = source_of(in_folder(names[k]), OS_PLAIN);
      os_buf_init(&out, 0);
      os_error_clear(&test_error);
      os_alloc_fail_after(n, 1);
      int rc = os_source_examine(source, OS_FORMAT_UNKNOWN, &options, NULL, &facts, &test_error);
      os_head_facts_free(&facts);
      if (!rc) {
        rc = read_all(source, 100, 100000, &out, NULL);
        os_buf_free(&out);
      }
      bool injected = os_alloc_count() > n;
      os_alloc_fail_after(-1, 0);
      if (!injected) break;
      if (rc != OS_ERR_NOMEM || (int)test_error.code != rc)
        fail_msg("%s, allocation %ld: %d %s", names[k], n, rc, test_error.text);
    }
    assert_in_range(n, 3, 299);
  }
}

static int setup(void **state) {
  content = malloc(SIZE + 64);
  size_t at = 0;
  for (unsigned i = 0; at < SIZE; i++)
    at += (size_t)snprintf(content + at, SIZE + 64 - at, "{\"_id\":%u,\"v\":%u}\n", i, i * 2654435761u);
  return folder_setup(state);
}

static int teardown(void **state) {
  os_source_list_free(&list);
  free(content);
  return folder_teardown(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole_and_from_the_middle),
      cmocka_unit_test(empty_files),
      cmocka_unit_test(cut_short),
      cmocka_unit_test(changed_while_it_is_read),
      cmocka_unit_test(files_that_cannot_be_opened),
      cmocka_unit_test(a_pipe_is_read_to_its_end),
      cmocka_unit_test(a_slow_pipe_can_be_left),
      cmocka_unit_test(waiting_for_a_pipe_can_be_interrupted),
      cmocka_unit_test(examined),
      cmocka_unit_test(examined_compressed),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
