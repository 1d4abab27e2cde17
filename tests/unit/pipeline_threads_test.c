/* pipeline_threads_test.c - when the system gives no thread, and when a thread does not end: what can be done without
** is, what cannot says so, and nobody waits for ever.
*/
#include "pipeline_keeper.h"
#include <errno.h>
#include <zstd.h>
#include "base/thread.h"
#include "pipeline/read_ahead.h"
#include "pipeline/source_lister.h"
#include "aws/service.h"

static struct bulk_model model;
static atomic_int threads_left = -1; /* that will start; < 0: as many as are wanted */

/* In place of base/thread.c, which is not linked then. */
int os_thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg) {
  if (!atomic_load(&threads_left)) return EAGAIN;
  if (atomic_load(&threads_left) > 0) atomic_fetch_sub(&threads_left, 1);
  return pthread_create(thread, NULL, run, arg);
}

static const char *make_records(const char *name, int count) {
  struct os_buf text;
  os_buf_init(&text, 0);
  for (int i = 0; i < count; i++)
    os_buf_printf(&text, "{\"v\":%d}\n", i);
  write_bytes(in_folder(name), text.data, text.len);
  os_buf_free(&text);
  return in_folder(name);
}

static void no_reader_at_all(void **state) {
  (void)state;
  model_start(&model, 10);
  struct load *load = load_new(&model);
  assert_ok(load_plan(load, make_records("none.ndjson", 5), &test_error));
  atomic_store(&threads_left, 0);
  assert_fails(load_start(load, &test_error), OS_ERR_INTERNAL, "cannot start a reader thread");
  atomic_store(&threads_left, -1);
  assert_null(load->pipeline);
  load_free(load); /* it was let go of, once */
  model_stop(&model);
}

/* Those that are there read everything. */
static void fewer_readers_than_wanted(void **state) {
  (void)state;
  make_folder(in_folder("few"));
  for (int i = 0; i < 6; i++) {
    char name[32];
    snprintf(name, sizeof name, "few/%d.ndjson", i);
    make_records(name, 50);
  }
  for (int given = 1; given <= 2; given++) {
    model_start(&model, 400);
    struct load *load = load_new(&model);
    load->options.readers = 4;
    assert_ok(load_plan(load, in_folder("few"), &test_error));
    atomic_store(&threads_left, given);
    assert_ok(load_start(load, &test_error));
    atomic_store(&threads_left, -1);
    load_keep(load);
    assert_true(os_pipeline_release(load->pipeline, 1));
    assert_int_equal(model.count, 300);
    all_acknowledged(load);
    load_free(load);
    model_stop(&model);
  }
}

/* A long compressed source that gets no thread of its own is read in place. */
static void no_thread_to_read_ahead(void **state) {
  (void)state;
  enum { SIZE = 3 << 20 };
  struct os_source_list list;
  struct os_stream *stream;
  struct os_buf window;
  bool at_end = false;
  char *content = malloc(SIZE), *out = malloc(ZSTD_compressBound(SIZE));
  uint64_t random = 1;
  for (size_t i = 0; i < SIZE; i++) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    content[i] = (char)(random >> 56);
  }
  write_bytes(in_folder("a.csv.zst"), out, ZSTD_compress(out, ZSTD_compressBound(SIZE), content, SIZE, 1));
  assert_ok(os_source_list_build(&list, in_folder("a.csv.zst"), NULL, NULL, NULL, &test_error));
  struct os_source *source = os_source_at(&list, 0);
  source->compression = OS_ZSTD;
  assert_ok(os_stream_open(&stream, source, NULL, NULL, &test_error));
  atomic_store(&threads_left, 0);
  assert_null(os_read_ahead_start(stream, source));
  atomic_store(&threads_left, -1);
  source->is_stream = true; /* of a pipe nobody knows whether it is long */
  assert_null(os_read_ahead_start(stream, source));
  os_buf_init(&window, 0);
  assert_ok(os_stream_read(stream, &window, SIZE + 1, &at_end, &test_error));
  assert_true(at_end);
  assert_int_equal(window.len, SIZE);
  assert_memory_equal(window.data, content, SIZE);
  os_buf_free(&window);
  os_stream_close(stream);
  os_source_list_free(&list);
  free(content);
  free(out);
}

static void no_thread_to_list_objects(void **state) {
  (void)state;
  struct os_settings *settings;
  struct os_aws *aws;
  struct os_s3 *s3;
  struct os_source_lister *lister;
  static const char *const urls[] = {"s3://bucket/a/", "s3://bucket/b/"};
  static const struct os_s3_options options = {.anonymous = true};
  setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
  setenv("AWS_REGION", "us-east-1", 1);
  assert_ok(os_settings_new(&settings, &test_error));
  assert_ok(os_aws_open(&aws, settings, NULL, &test_error));
  assert_ok(os_s3_open(&s3, aws, net, NULL, &options, &test_error));
  atomic_store(&threads_left, 0);
  assert_fails(os_source_lister_start(&lister, s3, urls, 2, &test_error), OS_ERR_INTERNAL,
               "cannot be started");
  atomic_store(&threads_left, -1);
  assert_non_null(strstr(test_error.advice, "ulimit"));
  assert_null(lister);
  os_aws_close(aws);
  os_settings_free(settings);
}

/* ---- a reader that does not come back ---- */

static atomic_bool held;

static int hold(void *ctx, uint32_t source, const struct os_record *record) {
  (void)ctx, (void)source, (void)record;
  while (atomic_load(&held))
    os_clock_sleep_ms(2);
  return OS_OK;
}

/* As with a file on a server that is gone: the release does not wait for it, and what it borrowed is kept until it
** ends by itself. */
static void a_reader_that_hangs(void **state) {
  (void)state;
  model_start(&model, 10);
  struct load *load = load_new(&model);
  load->options.dry_run = true;
  load->options.inspect = hold;
  atomic_store(&held, true);
  assert_ok(load_plan(load, make_records("hold.ndjson", 5), &test_error));
  assert_ok(load_start(load, &test_error));
  os_clock_sleep_ms(50);
  double began = os_clock_monotonic();
  assert_false(os_pipeline_release(load->pipeline, 0.05));
  assert_true(os_clock_monotonic() - began < 0.9);
  assert_int_equal(atomic_load(&load->let_go), 0);
  atomic_store(&held, false);
  load_free(load); /* waits until it was let go of */
  model_stop(&model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_reader_at_all),        cmocka_unit_test(fewer_readers_than_wanted),
      cmocka_unit_test(no_thread_to_read_ahead), cmocka_unit_test(no_thread_to_list_objects),
      cmocka_unit_test(a_reader_that_hangs),
  };
  return cmocka_run_group_tests(tests, net_setup, net_teardown);
}
