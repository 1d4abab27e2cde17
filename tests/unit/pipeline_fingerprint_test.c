/* pipeline_fingerprint_test.c - which changes of a file's content are noticed, and what computed ids begin
** with.
*/
#include "folder.h"
#include "base/alloc.h"
#include "pipeline/fingerprint.h"
#include "pipeline/bulk_action.h"
#include "pipeline/pipeline.h"

enum { EDGE = 1 << 20, SAMPLE = 1 << 16 };

static struct os_source source_of(const char *path) {
  struct stat st;
  struct os_source source = {.path = (char *)path, .name = path};
  assert_int_equal(stat(path, &st), 0);
  source.size = (uint64_t)st.st_size;
  return source;
}

static void fingerprint(const char *path, char out[OS_FINGERPRINT_TEXT]) {
  struct os_source source = source_of(path);
  assert_ok(os_fingerprint_read(&source, &test_error));
  assert_true(source.has_digest);
  os_fingerprint_text(&source, out);
}

static char *content;

static void make_file(const char *path, size_t size) {
  write_bytes(path, content, size);
}

static void flip(const char *path, size_t at) {
  int fd = open(path, O_RDWR);
  char byte;
  assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
  byte ^= 1;
  assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
  close(fd);
}

static void known_digests(void **state) {
  (void)state;
  char text[OS_FINGERPRINT_TEXT];
  const char *path = in_folder("known.csv");
  write_text(path, "");
  fingerprint(path, text); /* SHA-256 of nothing and of "abc": FIPS 180-4 */
  assert_string_equal(text, "0:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  write_text(path, "abc");
  fingerprint(path, text);
  assert_string_equal(text, "3:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* Up to 3 MiB every byte is looked at: all of the file, or both edges and samples that touch each other. */
static void every_change_of_a_small_file(void **state) {
  (void)state;
  static const size_t sizes[] = {1,
                                 1000,
                                 EDGE - 1,
                                 EDGE,
                                 EDGE + 1,
                                 2 * EDGE - 1,
                                 2 * EDGE,
                                 2 * EDGE + 1,
                                 2 * EDGE + 100,
                                 2 * EDGE + SAMPLE - 1,
                                 2 * EDGE + SAMPLE,
                                 2 * EDGE + SAMPLE + 14,
                                 2 * EDGE + 5 * SAMPLE + 7,
                                 3 * EDGE - 1,
                                 3 * EDGE};
  const char *path = in_folder("edges.bin");
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    char before[OS_FINGERPRINT_TEXT], after[OS_FINGERPRINT_TEXT];
    size_t size = sizes[i];
    const size_t places[] = {0,
                             size / 3,
                             size / 2,
                             size - 1,
                             EDGE - 1,
                             EDGE,
                             EDGE + 1,
                             size - EDGE,
                             size - EDGE - 1,
                             size - EDGE - 8,
                             EDGE + SAMPLE,
                             EDGE + SAMPLE - 1,
                             EDGE + 2 * SAMPLE + 1,
                             size - EDGE - SAMPLE};
    make_file(path, size);
    fingerprint(path, before);
    for (size_t k = 0; k < sizeof places / sizeof *places; k++) {
      if (places[k] >= size) continue;
      flip(path, places[k]);
      fingerprint(path, after);
      if (!strcmp(before, after)) fail_msg("size %zu: byte %zu does not count", size, places[k]);
      flip(path, places[k]);
    }
    fingerprint(path, after);
    assert_string_equal(before, after);
    make_file(path, size + 1);
    fingerprint(path, after);
    assert_string_not_equal(before, after);
  }
}

static void a_large_file_is_sampled(void **state) {
  (void)state;
  char before[OS_FINGERPRINT_TEXT], after[OS_FINGERPRINT_TEXT];
  const char *path = in_folder("large.bin");
  size_t size = 24 * EDGE, middle = size - 2 * EDGE;
  make_file(path, size);
  fingerprint(path, before);
  for (unsigned i = 0; i < 16; i++) { /* the samples lie evenly between the edges */
    size_t at = EDGE + (middle - SAMPLE) * i / 15 + SAMPLE / 2;
    flip(path, at);
    fingerprint(path, after);
    if (!strcmp(before, after)) fail_msg("sample %u at %zu does not count", i, at);
    flip(path, at);
  }
  flip(path, EDGE + SAMPLE + SAMPLE / 2); /* between the first and the second: the price of not reading all */
  fingerprint(path, after);
  assert_string_equal(before, after);
}

static void streams_and_faults(void **state) {
  (void)state;
  char text[OS_FINGERPRINT_TEXT] = "x";
  struct os_source stream = {.path = (char *)"-", .name = "-", .is_stream = true};
  assert_ok(os_fingerprint_read(&stream, &test_error));
  assert_false(stream.has_digest);
  os_fingerprint_text(&stream, text);
  assert_string_equal(text, "");
  struct os_source missing = {.path = (char *)in_folder("missing.csv"), .size = 5};
  assert_fails(os_fingerprint_read(&missing, &test_error), OS_ERR_IO, "missing.csv: No such file");
  struct os_source folder = {.path = test_folder, .size = 5};
  assert_fails(os_fingerprint_read(&folder, &test_error), OS_ERR_IO, "Is a directory");
  folder.size = 30 * EDGE;
  assert_fails(os_fingerprint_read(&folder, &test_error), OS_ERR_IO, "Is a directory");
  folder.size = 2 * EDGE + 5;
  assert_fails(os_fingerprint_read(&folder, &test_error), OS_ERR_IO, "Is a directory");
  write_text(in_folder("short.csv"), "abc");
  struct os_source shrunk = source_of(in_folder("short.csv"));
  shrunk.size = 3 * EDGE; /* as it was planned: the reader will notice, not this */
  assert_ok(os_fingerprint_read(&shrunk, &test_error));
  struct os_source starved = source_of(in_folder("short.csv"));
  os_alloc_fail_after(0, 1);
  int rc = os_fingerprint_read(&starved, &test_error);
  os_alloc_fail_after(-1, 0);
  assert_int_equal(rc, OS_ERR_NOMEM);
}

static void prefixes_of_computed_ids(void **state) {
  (void)state;
  char prefix[OS_ID_PREFIX + 1], other[OS_ID_PREFIX + 1];
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  assert_ok(os_id_prefix_compute("a.csv", "3:ba78", 0, prefix, &test_error));
  /* printf 'a.csv\n3:ba78' | sha256sum | cut -c1-24 | xxd -r -p | base64 | tr +/ -_ */
  assert_string_equal(prefix, "HjSvZvZyfJ36Wmh9");
  assert_int_equal(strlen(prefix), OS_ID_PREFIX);
  bool seen[64] = {false};
  size_t kinds = 0;
  for (int i = 0; i < 200; i++) {
    char name[32];
    snprintf(name, sizeof name, "file-%d.csv", i);
    assert_ok(os_id_prefix_compute(name, "c", i % 3, other, &test_error));
    assert_int_equal(strspn(other, letters), OS_ID_PREFIX);
    for (const char *c = other; *c; c++)
      seen[strchr(letters, *c) - letters] = true;
  }
  for (size_t i = 0; i < 64; i++)
    kinds += seen[i];
  assert_int_equal(kinds, 64); /* every letter occurs */
  static const struct {
    const char *name, *content;
    int64_t generation;
  } others[] = {
      {"b.csv", "3:ba78", 0}, {"a.csv", "3:ba79", 0}, {"a.csv", "3:ba78", 1}, {"a.csv", "3:ba78", 2}};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    assert_ok(
        os_id_prefix_compute(others[i].name, others[i].content, others[i].generation, other, &test_error));
    assert_string_not_equal(prefix, other);
  }
  os_alloc_fail_after(0, 1);
  int rc = os_id_prefix_compute("a", "b", 0, other, &test_error);
  os_alloc_fail_after(-1, 0);
  assert_int_equal(rc, OS_ERR_NOMEM);
}

static void computed_ids_sort_by_place(void **state) {
  (void)state;
  static const struct {
    uint64_t offset;
    const char *id;
  } ids[] = {{0, "abcdefghijklmnop000000000000"},
             {7, "abcdefghijklmnop000000000007"},
             {999999999999, "abcdefghijklmnop999999999999"},
             {1000000000000, "abcdefghijklmnop1000000000000"},
             {UINT64_MAX, "abcdefghijklmnop18446744073709551615"}};
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
    struct os_buf out;
    os_buf_init(&out, 0);
    os_put_computed_id(&out, "abcdefghijklmnop", ids[i].offset);
    assert_string_equal(out.data, ids[i].id);
    os_buf_free(&out);
  }
}

static int setup(void **state) {
  size_t size = 25 * EDGE;
  content = malloc(size);
  unsigned x = 1;
  for (size_t i = 0; i < size; i++) {
    x = x * 1664525u + 1013904223u;
    content[i] = (char)(x >> 24);
  }
  return folder_setup(state);
}

static int teardown(void **state) {
  free(content);
  return folder_teardown(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_digests),
      cmocka_unit_test(every_change_of_a_small_file),
      cmocka_unit_test(a_large_file_is_sampled),
      cmocka_unit_test(streams_and_faults),
      cmocka_unit_test(prefixes_of_computed_ids),
      cmocka_unit_test(computed_ids_sort_by_place),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
