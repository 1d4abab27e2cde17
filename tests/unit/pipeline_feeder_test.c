/* pipeline_feeder_test.c - what goes into which batch: refusals that fill one, what is kept of a refused record,
** records without ids, sources that are left out, looking without sending; and a stop while no batch is free.
*/
#include "pipeline_keeper.h"

static struct bulk_model model;

static void write_gz(const char *name, const struct os_buf *text) {
  struct os_buf gz;
  os_buf_init(&gz, 0);
  assert_ok(os_gzip(text->data, text->len, &gz, &test_error));
  write_bytes(in_folder(name), gz.data, gz.len);
  os_buf_free(&gz);
}

static void end(struct load *load) {
  load_free(load);
  model_stop(&model);
}

/* ---- what fills a batch ---- */

/* Refusals are kept in memory until they are written down: a file full of them must not make one batch. */
static void refusals_fill_batches(void **state) {
  (void)state;
  static const struct {
    int rows, width;
    uint64_t batch_bytes;
    size_t batches;
  } cases[] = {{2500, 3, 1 << 20, 3}, {200, 1000, 20000, 15}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_buf text;
    os_buf_init(&text, 0);
    os_buf_puts(&text, "a,b\n");
    for (int row = 0; row < cases[i].rows; row++)
      os_buf_printf(&text, "%0*d\n", cases[i].width, row);
    write_bytes(in_folder("few.csv"), text.data, text.len);
    os_buf_free(&text);
    model_start(&model, 10);
    struct load *load = load_new(&model);
    load->options.batch_size = 100000;
    load->options.batch_bytes = cases[i].batch_bytes;
    load_run(load, in_folder("few.csv"));
    assert_int_equal(load->refusal_count, cases[i].rows);
    assert_true(load->batches >= cases[i].batches);
    assert_true(load->batches <= cases[i].batches * 2);
    all_acknowledged(load);
    end(load);
  }
}

/* What is kept beside the body, since it cannot be read again, counts as well; what was learned of a server that takes
** more than a batch holds does not. */
static void raw_bytes_count(void **state) {
  (void)state;
  struct os_buf text;
  os_buf_init(&text, 0);
  os_buf_puts(&text, "a,b\n");
  for (int i = 0; i < 400; i++)
    os_buf_printf(&text, "%d,xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n", i);
  write_gz("raw.csv.gz", &text);
  write_bytes(in_folder("raw.csv"), text.data, text.len);
  os_buf_free(&text);
  size_t largest[2];
  for (int compressed = 0; compressed < 2; compressed++) {
    model_start(&model, 400);
    struct load *load = load_new(&model);
    load->options.batch_size = 1000;
    load->options.batch_bytes = 8000;
    atomic_store(&load->endpoint.learned_max_body, 1 << 20);
    load_run(load, in_folder(compressed ? "raw.csv.gz" : "raw.csv"));
    assert_int_equal(model.count, 400);
    largest[compressed] = model.largest_done;
    end(load);
  }
  assert_in_range(largest[0], 7500, 8000);
  assert_in_range(largest[1], 4000, 6000);
}

/* ---- what is kept of a refused record ---- */

static const struct refused_item *refuse_all(struct bulk_model *m, const struct model_item *item) {
  static const struct refused_item parsing = {400, "mapper_parsing_exception", "no"};
  (void)m, (void)item;
  return &parsing;
}

static void *write_pipe(void *arg) {
  static const char record[] = "{\"_id\":1,\"v\":2}\n";
  int fd = open(arg, O_WRONLY);
  assert_int_equal(write(fd, record, sizeof record - 1), sizeof record - 1);
  close(fd);
  return NULL;
}

/* Whatever the document line is, the record comes with the refusal where it cannot be read again in place. */
static void the_record_itself(void **state) {
  (void)state;
  static const char keyed[] = "{\"a\":{\"v\":2}}\n";
  static const struct {
    const char *name, *id_field, *raw; /* raw "": to be read again from the file */
    size_t raw_len;
    enum os_op op;
  } cases[] = {{"raw.ndjson", "_id", "", 15, OS_OP_INDEX},
               {"raw.ndjson.gz", "_id", "{\"_id\":1,\"v\":2}", 15, OS_OP_INDEX},
               {"pipe.ndjson", "_id", "{\"_id\":1,\"v\":2}", 15, OS_OP_INDEX},
               {"keyed.json", "@key", "{\"v\":2}", 7, OS_OP_INDEX}, /* the document line */
               {"keyed.json", "@key", "", 7, OS_OP_UPDATE},         /* a part of it */
               {"keyed.json.gz", "@key", "{\"v\":2}", 7, OS_OP_UPDATE}};
  struct os_buf text;
  pthread_t writer;
  os_buf_init(&text, 0);
  os_buf_puts(&text, "{\"_id\":1,\"v\":2}\n");
  write_bytes(in_folder("raw.ndjson"), text.data, text.len);
  write_gz("raw.ndjson.gz", &text);
  os_buf_clear(&text);
  os_buf_puts(&text, keyed);
  write_text(in_folder("keyed.json"), keyed);
  write_gz("keyed.json.gz", &text);
  os_buf_free(&text);
  assert_int_equal(mkfifo(in_folder("pipe.ndjson"), 0600), 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *path = in_folder(cases[i].name);
    bool pipe = !strcmp(cases[i].name, "pipe.ndjson");
    model_start(&model, 10);
    model.item = refuse_all;
    struct load *load = load_new(&model);
    load->parse.id_field = cases[i].id_field;
    load->options.op = cases[i].op;
    if (pipe) pthread_create(&writer, NULL, write_pipe, (void *)path);
    if (pipe) os_clock_sleep_ms(30); /* until it waits for a reader */
    load_run(load, path);
    if (pipe) pthread_join(writer, NULL);
    assert_int_equal(load->refusal_count, 1);
    if (strcmp(load->refusals[0].raw, cases[i].raw) || load->refusals[0].raw_len != cases[i].raw_len)
      fail_msg("case %zu: '%s', %zu bytes", i, load->refusals[0].raw, load->refusals[0].raw_len);
    end(load);
  }
}

/* A record that cannot be sent keeps its document if that is all of it: sent again without what was taken out of it,
** it would be another one. */
static void the_document_if_it_is_whole(void **state) {
  (void)state;
  static const struct {
    const char *record, *version_field, *routing_field;
    bool kept;
  } cases[] = {
      {"{\"_version\":\"x\",\"v\":1}\n", "_version", NULL, false},
      {"{\"n\":\"x\",\"v\":1}\n", "n", NULL, true},
      {"{\"n\":\"x\",\"_routing\":\"a\"}\n", "n", "_routing", false},
      {"{\"n\":\"x\",\"r\":\"a\"}\n", "n", "r", true},
      {"{\"_id\":\"x\",\"n\":\"x\"}\n", "n", NULL, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    write_text(in_folder("cut.ndjson"), cases[i].record);
    model_start(&model, 10);
    struct load *load = load_new(&model);
    load->parse.version_field = cases[i].version_field;
    load->parse.routing_field = cases[i].routing_field;
    load->options.external_version = true;
    load_run(load, in_folder("cut.ndjson"));
    assert_int_equal(load->refusal_count, 1);
    assert_string_equal(load->refusals[0].type, "version_invalid");
    if (load->refusals[0].document_len != (cases[i].kept ? strlen(cases[i].record) - 1 : 0))
      fail_msg("case %zu", i);
    assert_int_equal(model.requests, 0);
    end(load);
  }
}

/* ---- actions that pipeline_load_test.c does not have ---- */

static char bodies[1000];

static int remember(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)m, (void)number;
  if (strlen(bodies) + len < sizeof bodies) strncat(bodies, body, len);
  return PLAY;
}

static void further_actions(void **state) {
  (void)state;
  static const struct {
    enum os_op op;
    bool create_only, prefix;
    const char *version_field, *record, *sent;
  } cases[] = {
      /* nothing that computed ids could begin with: the server chooses */
      {OS_OP_INDEX, false, false, NULL, "{\"v\":1}\n", "{\"index\":{}}\n{\"v\":1}\n"},
      /* a data stream takes creates alone, which need no id */
      {OS_OP_UPDATE, true, false, NULL, "{\"v\":1}\n", "{\"create\":{}}\n{\"v\":1}\n"},
      /* versions are sent where they are asked for, and with an id */
      {OS_OP_INDEX, false, false, "n", "{\"_id\":\"a\",\"n\":4}\n",
       "{\"index\":{\"_id\":\"a\"}}\n{\"n\":4}\n"},
      {OS_OP_UPDATE, false, false, NULL, "{\"_id\":\"a\",\"v\":1}\n",
       "{\"update\":{\"_id\":\"a\"}}\n{\"doc\":{\"v\":1},\"doc_as_upsert\":true}\n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    write_text(in_folder("a.ndjson"), cases[i].record);
    model_start(&model, 10);
    model.whole = remember;
    bodies[0] = 0;
    struct load *load = load_new(&model);
    load->options.op = cases[i].op;
    load->options.create_only = cases[i].create_only;
    load->parse.version_field = cases[i].version_field;
    assert_ok(load_plan(load, in_folder("a.ndjson"), &test_error));
    if (!cases[i].prefix) os_source_at(&load->list, 0)->id_prefix[0] = 0;
    assert_ok(load_start(load, &test_error));
    load_keep(load);
    assert_true(os_pipeline_release(load->pipeline, 1));
    assert_string_equal(bodies, cases[i].sent);
    all_acknowledged(load);
    end(load);
  }
}

/* ---- sources ---- */

static void a_source_that_is_left_out(void **state) {
  (void)state;
  make_folder(in_folder("two"));
  write_text(in_folder("two/1.ndjson"), "{\"v\":1}\n");
  write_text(in_folder("two/2.ndjson"), "{\"v\":2}\n{\"v\":3}\n");
  model_start(&model, 10);
  struct load *load = load_new(&model);
  assert_ok(load_plan(load, in_folder("two"), &test_error));
  os_source_at(&load->list, 0)->skip = true;
  assert_ok(load_start(load, &test_error));
  load_keep(load);
  assert_true(os_pipeline_release(load->pipeline, 1));
  assert_int_equal(load->ends, 1);
  assert_int_equal(load->records, 2);
  assert_int_equal(load->segments[0].source, 1);
  end(load);
}

static int looked, ends_at;

static int look(void *ctx, uint32_t source, const struct os_record *record) {
  assert_string_equal((const char *)ctx, "context");
  assert_int_equal(source, 0);
  assert_memory_equal(record->doc, "{\"v\":", 5);
  return ++looked == ends_at ? OS_ERR_GUARD : OS_OK;
}

/* A dry run that shows each record to somebody, who may have seen enough. */
static void somebody_looks(void **state) {
  (void)state;
  write_text(in_folder("look.ndjson"), "{\"v\":1}\n{\"v\":2}\n{\"v\":3}\n");
  for (ends_at = 0; ends_at <= 2; ends_at += 2) {
    model_start(&model, 10);
    looked = 0;
    struct load *load = load_new(&model);
    load->options.dry_run = true;
    load->options.inspect = look;
    load->options.inspect_ctx = (void *)"context";
    load_run(load, in_folder("look.ndjson"));
    assert_int_equal(looked, ends_at ? 2 : 3);
    assert_int_equal(load->outcomes[OS_SKIPPED], ends_at ? 1 : 3); /* not the one that was too much */
    assert_int_equal(load->source_error.code, ends_at ? OS_ERR_GUARD : OS_OK);
    if (ends_at) assert_non_null(strstr(load->source_error.text, "reading ended early"));
    assert_int_equal(load->ends, 1);
    assert_int_equal(model.requests, 0);
    end(load);
  }
}

/* ---- a stop while no batch is free ---- */

static void wait_until_reading_ends(struct load *load) {
  double began = os_clock_monotonic();
  while (os_pipeline_reading(load->pipeline) && os_clock_monotonic() < began + 5)
    os_clock_sleep_ms(2);
  assert_false(os_pipeline_reading(load->pipeline));
  assert_true(os_clock_monotonic() - began < 1);
}

/* The keeper takes nothing, so that the reader waits for a batch: with a good record in its hands, a refused one, a
** rejected one, or at the end of a source. */
static void stopped_while_no_batch_is_free(void **state) {
  (void)state;
  enum { BATCH = 10, POOL = 4 };
  for (int kind = 0; kind < 4; kind++) {
    struct os_buf text;
    os_buf_init(&text, 0);
    os_buf_puts(&text, kind == 2 ? "a,b\n" : kind == 3 ? "[" : "");
    for (int i = 0; i < (kind == 3 ? BATCH * POOL : 200); i++)
      os_buf_printf(&text, kind == 2 ? "%d\n" : kind == 3 ? "{\"v\":%d},\n" : "{\"v\":%d}\n", i);
    const char *path = in_folder(kind == 2 ? "stop.csv" : kind == 3 ? "stop.json" : "stop.ndjson");
    write_bytes(path, text.data, text.len);
    os_buf_free(&text);
    model_start(&model, 300);
    atomic_store(&model.hang, true);
    struct load *load = load_new(&model);
    load->options.batch_size = BATCH;
    load->options.max_workers = 1;
    load->options.id_required = kind == 1;
    assert_ok(load_plan(load, path, &test_error));
    assert_ok(load_start(load, &test_error));
    os_clock_sleep_ms(250);
    assert_true(os_pipeline_reading(load->pipeline));
    os_pipeline_stop(load->pipeline);
    wait_until_reading_ends(load);
    atomic_store(&model.let_go, true);
    load_keep(load);
    assert_true(os_pipeline_release(load->pipeline, 1));
    bool refused = kind == 1 || kind == 2;
    assert_int_equal(load->refusal_count, refused ? BATCH * POOL : 0); /* what was whole is told */
    assert_int_equal(load->records, refused ? BATCH * POOL : 0);
    assert_int_equal(load->unfinished, refused ? 0 : POOL);
    assert_int_equal(load->ends, 0);
    end(load);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(refusals_fill_batches), cmocka_unit_test(raw_bytes_count),
      cmocka_unit_test(the_record_itself),     cmocka_unit_test(the_document_if_it_is_whole),
      cmocka_unit_test(further_actions),       cmocka_unit_test(a_source_that_is_left_out),
      cmocka_unit_test(somebody_looks),        cmocka_unit_test(stopped_while_no_batch_is_free),
  };
  return cmocka_run_group_tests(tests, net_setup, net_teardown);
}
