/* pipeline_nomem_test.c - every allocation of a whole load fails once, on whatever thread it is: the load
** ends with an error or complete, never with a crash, a leak, or a record that is neither stored nor
** refused.
*/
#include "pipeline_keeper.h"

static struct bulk_model model;

enum { ROWS = 40 };

static const struct refused_item *refuse_some(struct bulk_model *m, const struct model_item *item) {
  static const struct refused_item parsing = {400, "mapper_parsing_exception", "failed to parse"};
  (void)m;
  return memmem(item->document, item->document_len, "bad", 3) ? &parsing : NULL;
}

/* jansson's memory is counted as ours is, but for what the server takes. */
static _Thread_local bool is_server;

static void *take(size_t size) {
  void *memory = is_server ? malloc(size) : os_malloc(size);
  if (!memory) errno = ENOMEM; /* as malloc() does: base/json.c goes by it */
  return memory;
}

static int a_request(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)m, (void)number, (void)body, (void)len;
  is_server = true;
  return PLAY;
}

static bool refused_whole; /* since the last load began */

static int refuse_a_record(struct bulk_model *m, int number, const char *body, size_t len) {
  a_request(m, number, body, len);
  bool refuses = memmem(body, len, "\"a\":\"13\"", 8) != NULL;
  refused_whole |= refuses;
  return refuses ? 400 : PLAY;
}

/* Ids in some rows, refused rows of both kinds, repeated ids; and a second, compressed file. */
static void make_files(void) {
  struct os_buf text, gz;
  make_folder(in_folder("n"));
  os_buf_init(&text, 0);
  os_buf_init(&gz, 0);
  os_buf_puts(&text, "_id,a,b\n");
  for (int i = 0; i < ROWS; i++)
    if (i % 20 == 5)
      os_buf_puts(&text, "too,few\n");
    else if (i % 20 == 9)
      os_buf_printf(&text, "%d,bad,x\n", i);
    else if (i % 4)
      os_buf_printf(&text, "%d,%d,\"quoted\"\n", i % 7, i);
    else
      os_buf_printf(&text, ",%d,y\n", i);
  write_bytes(in_folder("n/1.csv"), text.data, text.len);
  assert_ok(os_gzip(text.data, text.len, &gz, &test_error));
  write_bytes(in_folder("n/2.csv.gz"), gz.data, gz.len);
  os_buf_free(&text);
  os_buf_free(&gz);
}

/* One load of both files. What it ended with. */
static int load_once(struct load *load, struct os_error *error) {
  os_error_clear(error);
  int rc = load_plan(load, in_folder("n"), error);
  if (!rc) rc = load_start(load, error);
  if (rc) return rc;
  load_keep(load);
  os_pipeline_error(load->pipeline, error);
  assert_true(os_pipeline_release(load->pipeline, 1));
  if (!error->code && load->fault.code) *error = load->fault;
  if (!error->code && load->source_error.code) *error = load->source_error;
  return (int)error->code;
}

/* What was acknowledged is stored or refused, whatever the end. */
static void check_books(const struct load *load, long n) {
  uint64_t settled = 0;
  for (int i = 0; i < OS_OUTCOMES; i++)
    settled += load->outcomes[i];
  if (settled < load->records) fail_msg("allocation %ld: more acknowledged than settled", n);
  if (load->outcomes[OS_CREATED] > model.count) fail_msg("allocation %ld: more created than stored", n);
  if (load->refusal_count > load->outcomes[OS_REFUSED]) fail_msg("allocation %ld: refusals not counted", n);
  for (size_t i = 0; i < load->refusal_count; i++)
    if (!load->refusals[i].raw[0] && load->refusals[i].source == 1)
      fail_msg("allocation %ld: a refusal from a compressed file without its bytes", n);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  long n, failed = 0, complete = 0, beyond = 0;
  make_files();
  for (n = 0; n < 5000 && beyond < 2; n++) {
    struct os_error error;
    model_start(&model, 200);
    model.item = refuse_some;
    model.whole = refuse_a_record;
    struct load *load = load_new(&model);
    load->options.batch_size = 15;
    load->options.max_workers = 2;
    load->options.readers = 1;
    load->options.query = "refresh=false";
    os_alloc_fail_after(n, 1);
    int rc = load_once(load, &error);
    beyond += os_alloc_count() <= n;
    os_alloc_fail_after(-1, 0);
    check_books(load, n);
    if (rc) {
      failed++;
      if (!error.text[0]) fail_msg("allocation %ld: an error without words", n);
    } else {
      complete++;
      if (load->records != 2 * ROWS) fail_msg("allocation %ld: %d records", n, (int)load->records);
      assert_int_equal(load->ends, 2);
    }
    bool started = load->pipeline != NULL;
    if (!started && !atomic_load(&load->let_go))
      load_let_go(load); /* it failed before there was a pipeline */
    load_free(load);
    model_stop(&model);
  }
  assert_true(refused_whole);
  assert_in_range(n, 50, 4999);
  assert_true(failed > 40);
  assert_true(complete >= 2);
}

/* ---- items that are pushed ---- */

enum { ITEMS = 65, TEXT = 6000 };

/* The first is refused, the second turned away and later overtaken by the last, which spells its id in another way:
** 64 are settled, a full list, when it is left out. */
static const struct refused_item *refuse_or_turn_away(struct bulk_model *m, const struct model_item *item) {
  static const struct refused_item busy = {429, "rejected_execution_exception", "queue is full"};
  if (memmem(item->document, item->document_len, "later", 5)) return &busy;
  return refuse_some(m, item);
}

static int push_all(struct load *load, struct os_error *error) {
  static char text[TEXT + 1];
  memset(text, 'x', TEXT);
  for (int i = 0; i < ITEMS; i++) {
    char id[16], action[64], document[TEXT + 100];
    int id_len = snprintf(id, sizeof id, i == 1 ? "A" : i == ITEMS - 1 ? "\\u0041" : "%d", i);
    int len = snprintf(action, sizeof action, "{\"index\":{\"_id\":\"%s\"}}\n", id);
    int document_len = snprintf(document, sizeof document, "{\"t\":\"%s\"}",
                                i == 0   ? "bad"
                                : i == 1 ? "later"
                                : i == 2 ? text /* worth compressing */
                                         : "x");
    struct os_push item = {.op = OS_OP_INDEX,
                           .action = action,
                           .action_len = (size_t)len,
                           .document = document,
                           .document_len = (size_t)document_len,
                           .explicit_id = id,
                           .explicit_id_len = (size_t)id_len,
                           .tag = (uint64_t)i};
    int rc = os_pipeline_append(load->pipeline, &item, error);
    if (rc == OS_ERR_NOMEM) rc = os_pipeline_append(load->pipeline, &item, error); /* as if it had not been */
    if (rc) return rc;
  }
  return os_pipeline_flush(load->pipeline);
}

static void pushed_items(void **state) {
  (void)state;
  long n, stopped = 0, beyond = 0;
  for (n = 0; n < 5000 && beyond < 2; n++) {
    struct os_error error;
    model_start(&model, 200);
    model.item = refuse_or_turn_away;
    model.whole = a_request;
    struct load *load = load_new(&model);
    load->options.keep_settled = true;
    load->endpoint.compress = OS_COMPRESS_ALWAYS;
    os_error_clear(&error);
    os_alloc_fail_after(n, 1);
    int rc = load_start(load, &error);
    bool started = !rc;
    if (started) assert_int_equal(push_all(load, &error), OS_OK);
    if (started) os_pipeline_finish(load->pipeline);
    if (started) load_keep(load);
    beyond += os_alloc_count() <= n;
    os_alloc_fail_after(-1, 0);
    if (started) assert_true(os_pipeline_release(load->pipeline, 1));
    if (!started) assert_int_equal(rc, OS_ERR_NOMEM);
    stopped += started && load->fault.code;
    if (load->fault.code && load->fault.code != OS_ERR_NOMEM)
      fail_msg("allocation %ld: %s", n, load->fault.text);
    if (started && !load->fault.code) {
      assert_int_equal(load->settled[0], OS_REFUSED);
      assert_int_equal(load->settled[1], OS_SKIPPED);
      for (int i = 2; i < ITEMS; i++)
        if (load->settled[i] != OS_CREATED &&
            load->settled[i] != OS_UPDATED) /* the server had none, either */
          fail_msg("allocation %ld: item %d: %d", n, i, load->settled[i]);
      assert_int_equal(load->refusal_count, 1);
    }
    load_free(load);
    model_stop(&model);
  }
  assert_in_range(n, 100, 4999);
  assert_true(stopped > 15); /* on the network thread, while an answer was looked at */
}

/* Without a place to note what is to be freed at the end, too. */
static void no_pipeline_at_all(void **state) {
  (void)state;
  struct os_pipeline *pipeline;
  model_start(&model, 10);
  struct load *load = load_new(&model);
  os_alloc_fail_after(0, 1);
  assert_int_equal(os_pipeline_start(&pipeline, &load->options, NULL, NULL, &test_error), OS_ERR_NOMEM);
  os_alloc_fail_after(-1, 0);
  assert_null(pipeline);
  assert_ok(os_pipeline_start(&pipeline, &load->options, NULL, NULL, &test_error));
  os_pipeline_finish(pipeline);
  assert_true(os_pipeline_release(pipeline, 1));
  load_let_go(load);
  load_free(load);
  model_stop(&model);
}

/* ---- */

/* From one moment on there is none at all. */
static void no_memory_any_more(void **state) {
  (void)state;
  for (long n = 0; n < 400; n += 7) {
    struct os_error error;
    model_start(&model, 200);
    model.item = refuse_some;
    struct load *load = load_new(&model);
    load->endpoint.max_retries = 0;
    load->options.batch_size = 15;
    os_alloc_fail_after(n, 0);
    load_once(load, &error);
    os_alloc_fail_after(-1, 0);
    check_books(load, n);
    if (!load->pipeline && !atomic_load(&load->let_go)) load_let_go(load);
    load_free(load);
    model_stop(&model);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(pushed_items),
      cmocka_unit_test(no_pipeline_at_all),
      cmocka_unit_test(no_memory_any_more),
  };
  json_set_alloc_funcs(take, os_free);
  return cmocka_run_group_tests(tests, net_setup, net_teardown);
}
