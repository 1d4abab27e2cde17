/* pipeline_load_test.c - the options of a load as the server sees them: actions, sizes of requests, rates,
** pauses, several readers, dry runs, and going on where an earlier load stopped.
*/
#include "pipeline_keeper.h"

static struct bulk_model model;

static const char *make_records(const char *name, int count, const char *form) {
  struct os_buf text;
  char line[128];
  os_buf_init(&text, 0);
  for (int i = 0; i < count; i++) {
    snprintf(line, sizeof line, form, i, i);
    os_buf_puts(&text, line);
  }
  write_bytes(in_folder(name), text.data, text.len);
  os_buf_free(&text);
  return in_folder(name);
}

/* ---- what is sent ---- */

static char bodies[4096];

static int remember(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)m, (void)number;
  if (strlen(bodies) + len < sizeof bodies) strncat(bodies, body, len);
  return PLAY;
}

static void sends(const char *file, void (*change)(struct load *), const char *expected) {
  model_start(&model, 100);
  model.whole = remember;
  bodies[0] = 0;
  struct load *load = load_new(&model);
  if (change) change(load);
  load_run(load, file);
  assert_string_equal(bodies, expected);
  load_free(load);
  model_stop(&model);
}

static void routed(struct load *load) {
  load->parse.routing_field = "r";
}

static void versioned(struct load *load) {
  load->parse.version_field = "_version";
  load->options.external_version = true;
  load->options.version_type = "external_gte";
}

static void updating(struct load *load) {
  load->options.op = OS_OP_UPDATE;
  load->options.retry_on_conflict = 12;
}

static void to_a_stream(struct load *load) {
  load->options.create_only = true;
}

static void ids_of_the_server(struct load *load) {
  load->options.server_ids = true;
}

static void actions(void **state) {
  (void)state;
  write_text(in_folder("a.ndjson"), "{\"_id\":\"x\\\"y\",\"v\":1}\n{ \"v\" : 2 , \"_id\" : 7 }");
  sends(in_folder("a.ndjson"), NULL,
        "{\"index\":{\"_id\":\"x\\\"y\"}}\n{\"v\":1}\n{\"index\":{\"_id\":\"7\"}}\n{\"v\":2}\n");
  sends(in_folder("a.ndjson"), to_a_stream,
        "{\"create\":{\"_id\":\"x\\\"y\"}}\n{\"v\":1}\n{\"create\":{\"_id\":\"7\"}}\n{\"v\":2}\n");
  sends(
      in_folder("a.ndjson"), updating,
      "{\"update\":{\"_id\":\"x\\\"y\",\"retry_on_conflict\":12}}\n{\"doc\":{\"v\":1},\"doc_as_upsert\":"
      "true}\n"
      "{\"update\":{\"_id\":\"7\",\"retry_on_conflict\":12}}\n{\"doc\":{\"v\":2},\"doc_as_upsert\":true}\n");
  write_text(in_folder("v.ndjson"), "{\"_id\":1,\"_version\":20,\"r\":\"a\"}\n{\"_id\":2,\"r\":\"b\"}\n");
  sends(in_folder("v.ndjson"), versioned,
        "{\"index\":{\"_id\":\"1\",\"version\":20,\"version_type\":\"external_gte\"}}\n{\"r\":\"a\"}\n"
        "{\"index\":{\"_id\":\"2\"}}\n{\"r\":\"b\"}\n");
  sends(in_folder("v.ndjson"), routed,
        "{\"index\":{\"_id\":\"1\",\"routing\":\"a\"}}\n{\"_version\":20,\"r\":\"a\"}\n"
        "{\"index\":{\"_id\":\"2\",\"routing\":\"b\"}}\n{\"r\":\"b\"}\n");
  write_text(in_folder("c.csv"), "v\n1\n2\n");
  char prefix[OS_ID_PREFIX + 1], expected[300];
  assert_ok(os_id_prefix_compute("c.csv", "c", 0, prefix, &test_error));
  snprintf(expected, sizeof expected,
           "{\"create\":{\"_id\":\"%s000000000002\"}}\n{\"v\":1}\n{\"create\":{\"_id\":\"%s000000000004\"}}"
           "\n{\"v\":2}\n",
           prefix, prefix);
  sends(in_folder("c.csv"), NULL, expected);
  sends(in_folder("c.csv"), ids_of_the_server, "{\"index\":{}}\n{\"v\":1}\n{\"index\":{}}\n{\"v\":2}\n");
}

static void records_that_cannot_be_sent(void **state) {
  (void)state;
  write_text(in_folder("bad.csv"), "_id,_version,a\n1,7,x\n2,y,x\n,3,x\n4,4\n5,5,x\n");
  model_start(&model, 100);
  struct load *load = load_new(&model);
  versioned(load);
  load->options.id_required = true;
  load_run(load, in_folder("bad.csv"));
  assert_int_equal(load->outcomes[OS_CREATED], 2);
  assert_int_equal(load->refusal_count, 3);
  static const struct {
    const char *type, *raw;
    uint64_t offset, line;
  } expected[] = {
      {"version_invalid", "2,y,x", 21, 3}, {"id_", ",3,x", 27, 4}, {"csv_too_few_cells", "4,4", 32, 5}};
  for (size_t i = 0; i < 3; i++) {
    const struct kept_refusal *refusal = &load->refusals[i];
    if (strncmp(refusal->type, expected[i].type, strlen(expected[i].type)))
      fail_msg("%zu: %s", i, refusal->type);
    assert_int_equal(refusal->offset, expected[i].offset);
    assert_int_equal(refusal->line, expected[i].line);
    assert_memory_equal(refusal->raw, expected[i].raw, strlen(expected[i].raw));
    assert_int_equal(refusal->status, 0);
  }
  all_acknowledged(load);
  load_free(load);
  model_stop(&model);
}

/* A server's refusal of a record from a compressed file must carry the record: it cannot be read again in
** place.
*/
static const struct refused_item *refuse_all(struct bulk_model *m, const struct model_item *item) {
  static const struct refused_item parsing = {400, "mapper_parsing_exception", "no"};
  (void)m, (void)item;
  return &parsing;
}

static void raw_bytes_of_refused_records(void **state) {
  (void)state;
  static const char text[] = "_id,a\n1,x\n2,\"y\"\n";
  struct os_buf gz;
  os_buf_init(&gz, 0);
  assert_ok(os_gzip(text, sizeof text - 1, &gz, &test_error));
  write_bytes(in_folder("raw.csv.gz"), gz.data, gz.len);
  os_buf_free(&gz);
  write_text(in_folder("raw.csv"), text);
  for (int compressed = 0; compressed < 2; compressed++) {
    model_start(&model, 100);
    model.item = refuse_all;
    struct load *load = load_new(&model);
    load_run(load, in_folder(compressed ? "raw.csv.gz" : "raw.csv"));
    assert_int_equal(load->refusal_count, 2);
    assert_string_equal(load->refusals[1].doc_id, "2");
    assert_int_equal(load->refusals[1].offset, 10);
    assert_in_range(load->refusals[1].raw_len, 5, 6); /* plain: to be read again from the file */
    if (compressed) assert_memory_equal(load->refusals[1].raw, "2,\"y\"", 5);
    load_free(load);
    model_stop(&model);
  }
}

/* ---- sizes, rates, pauses ---- */

static int most_documents;
static size_t most_bytes;

static int measure(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)m, (void)number;
  int lines = 0;
  for (size_t i = 0; i < len; i++)
    lines += body[i] == '\n';
  if (lines / 2 > most_documents) most_documents = lines / 2;
  if (lines > 2 && len > most_bytes) most_bytes = len;
  return PLAY;
}

static void both_caps_hold(void **state) {
  (void)state;
  struct os_buf text;
  os_buf_init(&text, 0);
  for (int i = 0; i < 1000; i++) {
    os_buf_printf(&text, "{\"v\":%d,\"t\":\"", i);
    for (unsigned k = 0; k < (i == 500 ? 9000u : (unsigned)i * 7919u % 300u); k++)
      os_buf_putc(&text, 'x');
    os_buf_puts(&text, "\"}\n");
  }
  write_bytes(in_folder("caps.ndjson"), text.data, text.len);
  os_buf_free(&text);
  model_start(&model, 1000);
  model.whole = measure;
  most_documents = 0, most_bytes = 0;
  struct load *load = load_new(&model);
  load->options.batch_size = 20;
  load->options.batch_bytes = 4000;
  load_run(load, in_folder("caps.ndjson"));
  assert_int_equal(load->outcomes[OS_CREATED], 1000); /* also the one that is larger than a batch: alone */
  assert_int_equal(most_documents, 20);
  assert_in_range(most_bytes, 3000, 4000);
  assert_in_range(model.largest_done, 9000, 9200);
  all_acknowledged(load);
  load_free(load);
  model_stop(&model);
}

static void compressed_bodies(void **state) {
  (void)state;
  const char *path = make_records("gz.ndjson", 2000, "{\"v\":%d,\"w\":\"%d\"}\n");
  model_start(&model, 2000);
  struct load *load = load_new(&model);
  load->endpoint.compress = OS_COMPRESS_ALWAYS;
  load->options.batch_size = 500;
  load_run(load, path);
  assert_int_equal(model.count, 2000);
  assert_true(load->outcomes[OS_CREATED] == 2000);
  load_free(load);
  model_stop(&model);
}

static void rates(void **state) {
  (void)state;
  const char *path = make_records("rate.ndjson", 600, "{\"v\":%d,\"w\":\"%d\"}\n");
  for (int bytes = 0; bytes < 2; bytes++) {
    model_start(&model, 600);
    struct load *load = load_new(&model);
    if (bytes)
      load->options.max_bytes_rate = 120000; /* about 48,000 bytes of bodies */
    else
      load->options.max_docs_rate = 1500;
    double began = os_clock_monotonic();
    load_run(load, path);
    double seconds = os_clock_monotonic() - began;
    assert_true(seconds > 0.25 && seconds < 2.5); /* 0.4 s less what the first request may carry at once */
    assert_int_equal(model.count, 600);
    all_acknowledged(load);
    load_free(load);
    model_stop(&model);
  }
}

static void a_pause(void **state) {
  (void)state;
  const char *path = make_records("pause.ndjson", 3000, "{\"v\":%d,\"w\":\"%d\"}\n");
  model_start(&model, 3000);
  struct load *load = load_new(&model);
  assert_ok(load_plan(load, path, &test_error));
  assert_ok(load_start(load, &test_error));
  struct os_batch *batch;
  while (!(batch = os_pipeline_next(load->pipeline, 100)))
    ;
  load_take(load, batch);
  os_pipeline_pause(load->pipeline, true);
  double until = os_clock_monotonic() + 0.15;
  while (os_clock_monotonic() < until)
    if ((batch = os_pipeline_next(load->pipeline, 20))) load_take(load, batch);
  int requests = atomic_load(&model.server.requests);
  os_clock_sleep_ms(50);
  assert_int_equal(atomic_load(&model.server.requests), requests);
  assert_true(requests < 30);
  os_pipeline_pause(load->pipeline, false);
  load_keep(load);
  assert_true(os_pipeline_release(load->pipeline, 1));
  assert_int_equal(model.count, 3000);
  all_acknowledged(load);
  load_free(load);
  model_stop(&model);
}

static void a_dry_run_sends_nothing(void **state) {
  (void)state;
  struct os_buf text;
  os_buf_init(&text, 0);
  os_buf_puts(&text, "_id,b\n");
  for (int i = 0; i < 500; i++)
    os_buf_puts(&text, i % 100 == 7 ? "5\n" : "5,6\n");
  write_bytes(in_folder("dry.csv"), text.data, text.len);
  os_buf_free(&text);
  model_start(&model, 10);
  struct load *load = load_new(&model);
  load->options.dry_run = true;
  load_run(load, in_folder("dry.csv"));
  assert_int_equal(atomic_load(&model.server.visits), 0);
  assert_int_equal(load->outcomes[OS_SKIPPED], 495);
  assert_int_equal(load->outcomes[OS_REFUSED], 5);
  assert_int_equal(load->refusal_count, 5);
  all_acknowledged(load);
  load_free(load);
  model_stop(&model);
}

/* ---- several sources ---- */

static void several_readers(void **state) {
  (void)state;
  make_folder(in_folder("files"));
  for (int i = 0; i < 12; i++) {
    char name[32];
    snprintf(name, sizeof name, "files/%02d.ndjson", i);
    make_records(name, i == 3 ? 0 : 100 + i * 10, "{\"v\":%d,\"w\":%d}\n");
  }
  write_text(in_folder("files/cut.json"), "[{\"v\":1},{\"v\":2},{\"v\"");
  model_start(&model, 4000);
  model.jitter_ms = 2;
  struct load *load = load_new(&model);
  load->options.readers = 3;
  load->options.batch_size = 33;
  load_run(load, in_folder("files"));
  assert_int_equal(load->ends, 13);
  assert_int_equal(model.count,
                   12 * 100 + 66 * 10 - 130 + 2); /* also what was whole of the file that is cut */
  assert_int_equal(load->source_error.code, OS_ERR_FORMAT);
  assert_int_equal(load->outcomes[OS_CREATED], model.count);
  os_source_at(&load->list, 12)->size = 18; /* it ends where its last whole record does */
  assert_string_equal(os_source_at(&load->list, 12)->name, "cut.json");
  load_free(load);
  model_stop(&model);
}

/* Take what is settled, for so many milliseconds. */
static void keep_for(struct load *load, int ms) {
  for (double until = os_clock_monotonic() + ms / 1e3; os_clock_monotonic() < until;) {
    struct os_batch *batch = os_pipeline_next(load->pipeline, 2);
    if (batch) load_take(load, batch);
    assert_false(os_pipeline_ended(load->pipeline));
  }
}

static void move_sources(struct os_source_list *to, struct os_source_list *from, size_t first, size_t count) {
  for (size_t i = first; i < first + count; i++)
    assert_true(os_source_list_move(to, os_source_at(from, i)));
}

/* Readers wait for the sources that are said to come, and what was read before does not wait for them. */
static void sources_that_come_later(void **state) {
  (void)state;
  enum { FILES = 300, ROWS = 7 }; /* several parts of the list */
  make_folder(in_folder("later"));
  for (int i = 0; i < FILES; i++) {
    char name[32];
    snprintf(name, sizeof name, "later/%03d.ndjson", i);
    make_records(name, ROWS, "{\"v\":%d,\"w\":%d}\n");
  }
  for (int readers = 1; readers <= 3; readers++) {
    model_start(&model, 4000);
    struct load *load = load_new(&model);
    struct os_source_list all;
    assert_ok(load_plan(load, in_folder("later"), &test_error));
    all = load->list;
    memset(&load->list, 0, sizeof load->list);
    load->options.readers = readers;
    load->options.more_sources = true;
    move_sources(&load->list, &all, 0, 10);
    assert_ok(load_start(load, &test_error));
    keep_for(load, 300);
    assert_int_equal(load->records, 10 * ROWS); /* all that is known */
    assert_int_equal(load->ends, 10);
    for (size_t from = 10; from < FILES; from += 29) {
      move_sources(&load->list, &all, from, 29);
      os_pipeline_sources(load->pipeline, from, true);
      keep_for(load, 5);
    }
    keep_for(load, 100);
    os_pipeline_sources(load->pipeline, FILES, false);
    load_keep(load);
    assert_true(os_pipeline_release(load->pipeline, 1));
    assert_int_equal(load->ends, FILES);
    assert_int_equal(model.count, FILES * ROWS);
    assert_int_equal(load->outcomes[OS_CREATED], FILES * ROWS);
    all_acknowledged(load);
    os_source_list_free(&all);
    load_free(load);
    model_stop(&model);
  }
}

/* A load that is stopped does not wait for sources any more. */
static void stopped_before_more_came(void **state) {
  (void)state;
  model_start(&model, 100);
  struct load *load = load_new(&model);
  assert_ok(load_plan(load, make_records("few.ndjson", 20, "{\"v\":%d,\"w\":%d}\n"), &test_error));
  load->options.more_sources = true;
  assert_ok(load_start(load, &test_error));
  keep_for(load, 50);
  double began = os_clock_monotonic();
  assert_true(os_pipeline_release(load->pipeline, 1));
  assert_true(os_clock_monotonic() - began < 0.8);
  assert_int_equal(load->records, 20);
  load_free(load);
  model_stop(&model);
}

static void going_on_inside_a_file(void **state) {
  (void)state;
  const char *path =
      make_records("resume.ndjson", 1000, "{\"v\":1%03d,\"w\":\"%03d\"}\n"); /* 21 bytes each */
  for (int known = 0; known < 2; known++) {
    model_start(&model, 1000);
    struct load *load = load_new(&model);
    load_run(load, path);
    assert_int_equal(model.count, 1000);
    load_free(load);
    load = load_new(&model); /* the tail once more, as after a kill */
    assert_ok(load_plan(load, path, &test_error));
    os_source_at(&load->list, 0)->start_offset = 700 * 21;
    os_source_at(&load->list, 0)->start_line = 701;
    os_source_at(&load->list, 0)->maybe_sent = known;
    assert_ok(load_start(load, &test_error));
    load_keep(load);
    assert_true(os_pipeline_release(load->pipeline, 1));
    assert_int_equal(load->records, 300);
    assert_int_equal(load->outcomes[known ? OS_ALREADY : OS_REFUSED], 300);
    for (size_t i = 0; i < load->refusal_count; i++)
      assert_int_equal(load->refusals[i].offset, (load->refusals[i].line - 1) * 21);
    assert_int_equal(model.count, 1000); /* the same ids again */
    qsort(load->segments, load->segment_count, sizeof *load->segments, by_place);
    assert_int_equal(load->segments[0].from, 700 * 21);
    load_free(load);
    model_stop(&model);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(actions),
      cmocka_unit_test(records_that_cannot_be_sent),
      cmocka_unit_test(raw_bytes_of_refused_records),
      cmocka_unit_test(both_caps_hold),
      cmocka_unit_test(compressed_bodies),
      cmocka_unit_test(rates),
      cmocka_unit_test(a_pause),
      cmocka_unit_test(a_dry_run_sends_nothing),
      cmocka_unit_test(several_readers),
      cmocka_unit_test(sources_that_come_later),
      cmocka_unit_test(stopped_before_more_came),
      cmocka_unit_test(going_on_inside_a_file),
  };
  return cmocka_run_group_tests(tests, net_setup, net_teardown);
}
