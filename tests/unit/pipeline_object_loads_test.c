/* pipeline_object_loads_test.c - the content of objects: heads that are asked for ahead, what is kept of them, loads of
** small, large, compressed and damaged ones, going on inside them, objects that are replaced, and leaving early.
*/
#include "objects_model.h"
#include "pipeline_keeper.h"
#include <sys/resource.h>
#include "pipeline/source_heads.h"
#include "pipeline/stream.h"

enum { SMALL = 40, LINE = 24, LARGE_LINES = OS_EXAMINE_HEAD / LINE + 9000 };

static struct bulk_model model;
static struct object table[SMALL + 20];
static char keys[SMALL][32], texts[SMALL][64];
static struct os_buf large, packed, letters;

static void put(size_t at, const char *key, const char *content, size_t len) {
  table[at] = (struct object){"bkt", key, content, len, NULL};
}

static int make_table(void) {
  size_t at = 0;
  for (int i = 0; i < SMALL; i++) {
    snprintf(keys[i], sizeof keys[i], "small/%02d.ndjson", i);
    snprintf(texts[i], sizeof texts[i], "{\"v\":%d}\n{\"v\":%d}\n", 100 + i, 200 + i);
    put(at++, keys[i], texts[i], strlen(texts[i]));
  }
  os_buf_init(&large, 0);
  os_buf_init(&packed, 0);
  os_buf_init(&letters, 0);
  for (int i = 0; i < LARGE_LINES; i++)
    os_buf_printf(&large, "{\"v\":%d,\"w\":\"xxx\"}\n", 1000000 + i);
  for (size_t i = 0; i < 600000; i++) /* what does not shrink: of several ranges */
    os_buf_printf(&letters, "{\"v\":\"%08x\"}\n", (unsigned)(i * 2654435761u));
  if (os_gzip(large.data, large.len, &packed, NULL)) return 1;
  put(at++, "large/1.ndjson", large.data, large.len);
  put(at++, "large/2.ndjson.gz", packed.data, packed.len);
  put(at++, "odd/cut.ndjson.gz", packed.data, packed.len - 9);
  put(at++, "odd/empty.csv", "", 0);
  put(at++, "odd/page.csv.gz", "<html>404</html>\n", 17);
  put(at++, "odd/shorter.gz", packed.data, 12);
  put(at++, "odd/tiny.ndjson", "{\"v\":1}", 7);
  for (int i = 0; i < 6; i++)
    put(at++,
        i == 0   ? "wide/0.ndjson"
        : i == 1 ? "wide/1.ndjson"
        : i == 2 ? "wide/2.ndjson"
        : i == 3 ? "wide/3.ndjson"
        : i == 4 ? "wide/4.ndjson"
                 : "wide/5.ndjson",
        letters.data, letters.len);
  return 0;
}

/* ---- helpers ---- */

static void build(struct os_source_list *list, const char *url) {
  assert_ok(os_source_list_build(list, url, &objects_access, NULL, NULL, &test_error));
}

static int examine(struct load *load, size_t i, const struct os_probe *probe) {
  struct os_head_facts facts;
  struct os_source *source = os_source_at(&load->list, i);
  os_source_look_ahead(&load->list, i);
  int rc = os_source_examine(source, OS_FORMAT_UNKNOWN, &load->parse, probe, &facts, &test_error);
  os_head_facts_free(&facts);
  os_source_looked_at(&load->list, i);
  if (!rc) rc = os_id_prefix_compute(source->path, "c", 0, source->id_prefix, &test_error);
  return rc;
}

/* As an operation plans it. unseen: by their names alone; the reader looks. */
static struct load *planned(const char *url, bool unseen) {
  model_start(&model, 40000);
  struct load *load = load_new(&model);
  load->options.sources = &load->list;
  load->options.batch_size = 5000;
  build(&load->list, url);
  for (size_t i = 0; i < load->list.count; i++) {
    struct os_source *source = os_source_at(&load->list, i);
    if (unseen) {
      source->unseen = true;
      source->format = os_format_by_name(source->name);
      assert_ok(os_id_prefix_compute(source->path, "c", 0, source->id_prefix, &test_error));
    } else {
      assert_ok(examine(load, i, NULL));
    }
  }
  return load;
}

static void run(struct load *load) {
  assert_ok(load_start(load, &test_error));
  load_keep(load);
  assert_true(os_pipeline_release(load->pipeline, 1));
}

static void end(struct load *load) {
  load_free(load);
  model_stop(&model);
}

/* ---- heads ---- */

static void small_ones_are_kept(void **state) {
  (void)state;
  for (int readers = 1; readers <= 3; readers += 2)
    for (int unseen = 0; unseen < 2; unseen++) {
      atomic_store(&objects.ranges, 0);
      struct load *load = planned("s3://bkt/small/", unseen);
      load->options.readers = readers;
      assert_int_equal(load->list.count, SMALL);
      assert_int_equal(atomic_load(&objects.ranges), unseen ? 0 : SMALL);
      assert_int_equal(load->list.ahead_bytes, 0);
      run(load);
      assert_int_equal(atomic_load(&objects.ranges), SMALL); /* each once, whoever asked */
      assert_int_equal(model.count, 2 * SMALL);
      all_acknowledged(load);
      end(load);
    }
}

static void no_more_heads_than_there_is_room_for(void **state) {
  (void)state;
  struct os_source_list list;
  build(&list, "s3://bkt/wide/");
  assert_int_equal(list.count, 6);
  os_source_at(&list, 1)->unseen = true; /* nobody will look at it */
  os_source_look_ahead(&list, 0);
  assert_int_equal(list.ahead_to, 5);
  assert_int_equal(list.ahead_bytes, 4 * OS_EXAMINE_HEAD);
  assert_null(os_source_at(&list, 1)->ahead);
  os_source_looked_at(&list, 0);
  assert_int_equal(list.ahead_bytes, 3 * OS_EXAMINE_HEAD);
  os_source_look_ahead(&list, 0);
  assert_int_equal(list.ahead_to, 6);
  os_source_list_free(&list);
  build(&list, "s3://bkt/small/");
  os_source_look_ahead(&list, 30); /* those before were decided on without a look */
  assert_null(os_source_at(&list, 29)->ahead);
  assert_non_null(os_source_at(&list, 30)->ahead);
  os_source_list_free(&list);
  build(&list, "s3://bkt/small/");
  os_source_looked_at(&list, 0); /* without having been asked for */
  assert_int_equal(list.ahead_bytes, 0);
  list.kept_bytes = 16 << 20;
  os_source_at(&list, 1)->preread = os_strdup("x");
  os_source_at(&list, 1)->preread_len = 1;
  os_source_looked_at(&list, 1); /* enough are kept */
  assert_null(os_source_at(&list, 1)->preread);
  assert_int_equal(os_source_at(&list, 1)->preread_len, 0);
  os_alloc_fail_after(0, 0);
  os_source_look_ahead(&list, 2);
  os_alloc_fail_after(-1, 0);
  assert_int_equal(list.ahead_to, 2); /* who looks at it will ask again */
  os_source_list_free(&list);
}

/* A process that may open few files has fewer under way; files between them are not asked for. */
static void few_files_may_be_open(void **state) {
  (void)state;
  struct rlimit before, few;
  char argument[400];
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  few = (struct rlimit){200, before.rlim_max};
  write_text(in_folder("f.ndjson"), "{\"v\":1}\n");
  snprintf(argument, sizeof argument, "[\"%s\",\"s3://bkt/small/\"]", in_folder("f.ndjson"));
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
  struct os_source_list list;
  build(&list, argument);
  os_source_look_ahead(&list, 0);
  assert_int_equal(list.ahead_to, 25);
  assert_null(os_source_at(&list, 0)->ahead);
  assert_non_null(os_source_at(&list, 24)->ahead);
  os_source_looked_at(&list, 0);
  assert_int_equal(list.kept_bytes, 0);
  os_source_list_free(&list);
  struct load *load = planned("s3://bkt/small/", true);
  run(load);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_int_equal(model.count, 2 * SMALL);
  all_acknowledged(load);
  end(load);
}

/* ---- content ---- */

static void large_ones(void **state) {
  (void)state;
  for (int unseen = 0; unseen < 2; unseen++)
    for (int kind = 0; kind < 2; kind++) {
      struct load *load = planned(kind ? "s3://bkt/large/2.ndjson.gz" : "s3://bkt/large/1.ndjson", unseen);
      struct os_source *source = os_source_at(&load->list, 0);
      uint64_t begin = (uint64_t)(LARGE_LINES - 12000) * LINE;
      source->start_offset = begin;
      source->start_line = LARGE_LINES - 12000 + 1;
      assert_null(source->preread); /* too large to be kept */
      run(load);
      assert_int_equal(load->source_error.code, OS_OK);
      assert_int_equal(model.count, 12000);
      assert_int_equal(load->outcomes[OS_CREATED], 12000);
      end(load);
    }
}

/* Going on inside an object: what was taken of it already is not asked for again. */
static void going_on_inside(void **state) {
  (void)state;
  struct os_source_list list;
  static const uint64_t places[] = {0, 1, 100, 5000000, 7200000};
  build(&list, "s3://bkt/wide/0.ndjson");
  struct os_source *source = os_source_at(&list, 0);
  for (size_t i = 0; i < sizeof places / sizeof *places; i++)
    for (int read_before = 0; read_before < 2; read_before++) {
      struct os_stream *stream;
      struct os_buf out;
      bool at_end = false;
      os_buf_init(&out, 0);
      assert_ok(os_stream_open(&stream, source, NULL, NULL, &test_error));
      if (read_before) assert_ok(os_stream_read(stream, &out, 50, &at_end, &test_error));
      os_buf_clear(&out);
      assert_ok(os_stream_skip_to(stream, places[i], &test_error));
      while (!at_end)
        assert_ok(os_stream_read(stream, &out, 1 << 20, &at_end, &test_error));
      assert_int_equal(out.len, letters.len - places[i]);
      assert_memory_equal(out.data, letters.data + places[i], out.len);
      assert_ok(os_stream_check_unchanged(stream, &test_error));
      os_stream_close(stream);
      os_buf_free(&out);
    }
  os_source_list_free(&list);
}

/* What is compressed or not is seen from the first bytes, in small steps, too. */
static void seen_by_the_reader(void **state) {
  (void)state;
  struct os_source_list list;
  static const char *const urls[] = {"s3://bkt/large/1.ndjson", "s3://bkt/large/2.ndjson.gz"};
  for (int i = 0; i < 4; i++) {
    struct os_stream *stream;
    struct os_buf out;
    bool at_end;
    os_buf_init(&out, 0);
    build(&list, urls[i / 2]);
    os_source_at(&list, 0)->unseen = true;
    assert_ok(os_stream_open(&stream, os_source_at(&list, 0), NULL, NULL, &test_error));
    os_stream_limit(stream, 1000); /* of its content, which may be longer than what is stored */
    size_t from = i % 2 ? 400000 : 0;
    if (from) assert_ok(os_stream_skip_to(stream, from, &test_error));
    for (int step = 0; step < 3; step++)
      assert_ok(os_stream_read(stream, &out, 10, &at_end, &test_error));
    assert_int_equal(out.len, 30);
    assert_memory_equal(out.data, large.data + from, 30);
    os_stream_limit(stream, 1000);
    os_stream_close(stream);
    os_buf_free(&out);
    os_source_list_free(&list);
  }
}

static bool tell_interrupted;

static bool interrupted(void *ctx) {
  (void)ctx;
  return tell_interrupted;
}
static const struct os_probe probe = {interrupted, NULL};

/* For a preview, no more is fetched than is shown. */
static void a_look_at_the_beginning(void **state) {
  (void)state;
  struct os_source_list list;
  struct os_buf head;
  bool is_all = true;
  build(&list, "s3://bkt/wide/0.ndjson");
  os_buf_init(&head, 0);
  atomic_store(&objects.ranges, 0);
  assert_ok(os_source_head(os_source_at(&list, 0), 300000, &probe, &head, &is_all, &test_error));
  assert_int_equal(head.len, 300000);
  assert_memory_equal(head.data, letters.data, 300000);
  assert_false(is_all);
  assert_in_range(atomic_load(&objects.ranges), 1, 2);
  os_buf_clear(&head);
  atomic_store(&objects.held, true);
  tell_interrupted = true;
  assert_fails(os_source_head(os_source_at(&list, 0), 300000, &probe, &head, &is_all, &test_error),
               OS_ERR_INTERRUPTED, "");
  tell_interrupted = false;
  atomic_store(&objects.held, false);
  os_buf_free(&head);
  os_source_list_free(&list);
}

static void odd_ones(void **state) {
  (void)state;
  struct load *load = planned("s3://bkt/odd/empty.csv", false);
  run(load);
  assert_int_equal(load->ends, 1);
  assert_int_equal(load->records, 0);
  end(load);
  load = planned("s3://bkt/odd/tiny.ndjson", true); /* shorter than what tells compressions apart */
  run(load);
  assert_int_equal(model.count, 1);
  all_acknowledged(load);
  end(load);
  load = planned("s3://bkt/odd/cut.ndjson.gz", false); /* the reader says where */
  os_source_at(&load->list, 0)->start_offset = (uint64_t)(LARGE_LINES - 5000) * LINE;
  run(load);
  assert_int_equal(load->source_error.code, OS_ERR_FORMAT);
  assert_int_equal(model.count, 5000);
  end(load);
  model_start(&model, 10);
  load = load_new(&model);
  build(&load->list,
        "[\"s3://bkt/odd/page.csv.gz\",\"s3://bkt/odd/shorter.gz\",\"s3://bkt/odd/tiny.ndjson\"]");
  assert_fails(examine(load, 0, NULL), OS_ERR_FORMAT, "page.csv.gz is not compressed");
  assert_fails(examine(load, 1, NULL), OS_ERR_FORMAT, "shorter.gz"); /* nothing whole in it */
  assert_int_equal(os_source_at(&load->list, 2)->preread_len, 0);
  os_error_clear(&test_error);
  assert_ok(examine(load, 2, NULL));
  assert_ok(examine(load, 2, NULL)); /* once more: it is there */
  load_let_go(load);
  end(load);
  load = planned("s3://bkt/odd/page.csv.gz", true);
  run(load);
  assert_int_equal(load->source_error.code, OS_ERR_FORMAT);
  assert_non_null(strstr(load->source_error.text, "is not compressed"));
  end(load);
}

/* ---- what goes wrong ---- */

static void replaced_since_it_was_listed(void **state) {
  (void)state;
  struct load *load = planned("s3://bkt/large/1.ndjson", true);
  atomic_store(&objects.replaced, true);
  run(load);
  assert_int_equal(load->ends, 1);
  assert_non_null(strstr(load->source_error.text, "large/1.ndjson"));
  assert_true(load->source_error.code != OS_OK);
  assert_int_equal(load->records, 0);
  load_free(load);
  load = load_new(&model);
  build(&load->list, "s3://bkt/small/00.ndjson");
  assert_int_not_equal(examine(load, 0, NULL), OS_OK);
  assert_non_null(strstr(test_error.text, "small/00.ndjson"));
  assert_null(os_source_at(&load->list, 0)->preread);
  atomic_store(&objects.replaced, false);
  atomic_store(&objects.held, true);
  tell_interrupted = true;
  assert_int_equal(examine(load, 0, &probe), OS_ERR_INTERRUPTED);
  tell_interrupted = false;
  atomic_store(&objects.held, false);
  load_let_go(load);
  end(load);
}

/* With objects on their way, those that are taken already among them. */
static void left_early(void **state) {
  (void)state;
  struct load *load = planned("s3://bkt/small/", true);
  atomic_store(&objects.held, true);
  assert_ok(load_start(load, &test_error));
  os_clock_sleep_ms(100);
  double began = os_clock_monotonic();
  assert_true(os_pipeline_release(load->pipeline, 0.5));
  assert_true(os_clock_monotonic() - began < 0.9);
  atomic_store(&objects.held, false);
  end(load);
}

static void what_tells_the_content(void **state) {
  (void)state;
  struct os_source_list list;
  char text[OS_FINGERPRINT_TEXT], etag[200];
  build(&list, "s3://bkt/odd/tiny.ndjson");
  struct os_source *source = os_source_at(&list, 0);
  assert_ok(os_fingerprint_read(source, &test_error));
  os_fingerprint_text(source, text);
  assert_string_equal(text, "etag:tag");
  memset(etag, 'e', sizeof etag - 1);
  etag[sizeof etag - 1] = '\0';
  char *before = source->etag;
  source->etag = etag;
  assert_ok(os_fingerprint_read(source, &test_error));
  os_fingerprint_text(source, text);
  /* printf 'e%.0s' $(seq 199) | sha256sum */
  assert_int_equal(strlen(text), 5 + 64);
  assert_memory_equal(text, "etag:", 5);
  assert_string_equal(text + 5, "f44a697b617b91f2be1785c5375153158620769f71ed74e05a34c39c4832dc88");
  source->etag = before;
  os_source_list_free(&list);
}

static void no_memory(void **state) {
  (void)state;
  long n, beyond = 0, worked = 0;
  for (n = 0; n < 3000 && beyond < 2; n++) {
    objects_stop(); /* it has places for 64 connections */
    assert_int_equal(objects_start(table, 100), 0);
    model_start(&model, 100);
    struct load *load = load_new(&model);
    load->options.sources = &load->list;
    build(&load->list,
          "[\"s3://bkt/odd/tiny.ndjson\",\"s3://bkt/small/00.ndjson\",\"s3://bkt/small/01.ndjson\"]");
    os_source_at(&load->list, 2)->unseen = true; /* its reader looks */
    os_source_at(&load->list, 2)->format = OS_FORMAT_NDJSON;
    os_error_clear(&test_error);
    os_alloc_fail_after(n, 1);
    int rc = examine(load, 0, NULL);
    if (!rc) rc = examine(load, 1, NULL);
    bool started = !rc && !(rc = load_start(load, &test_error));
    if (started) load_keep(load);
    beyond += os_alloc_count() <= n;
    os_alloc_fail_after(-1, 0);
    struct os_error error = test_error;
    if (started) {
      os_pipeline_error(load->pipeline, &error);
      assert_true(os_pipeline_release(load->pipeline, 1));
      if (!error.code) error = load->fault.code ? load->fault : load->source_error;
    } else if (!atomic_load(&load->let_go)) {
      load_let_go(load);
    }
    if (!error.code) { /* or what could not be had was not needed */
      assert_int_equal(load->records, 5);
      worked++;
    }
    end(load);
  }
  assert_in_range(n, 50, 2999);
  assert_in_range(worked, 2, n - 10);
}

static int set_up(void **state) {
  return make_table() || net_setup(state) || objects_start(table, 100);
}

static int tear_down(void **state) {
  objects_stop();
  os_buf_free(&large);
  os_buf_free(&packed);
  os_buf_free(&letters);
  return net_teardown(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(small_ones_are_kept),
      cmocka_unit_test(no_more_heads_than_there_is_room_for),
      cmocka_unit_test(few_files_may_be_open),
      cmocka_unit_test(large_ones),
      cmocka_unit_test(going_on_inside),
      cmocka_unit_test(seen_by_the_reader),
      cmocka_unit_test(a_look_at_the_beginning),
      cmocka_unit_test(odd_ones),
      cmocka_unit_test(replaced_since_it_was_listed),
      cmocka_unit_test(left_early),
      cmocka_unit_test(what_tells_the_content),
      cmocka_unit_test(no_memory),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
