/* pipeline_push_test.c - the push side: items appended by the keeper itself, and what is told of each; and
** leaving a pipeline in the middle, pushed or pulled, with requests that hang.
*/
#include "pipeline_keeper.h"

static struct bulk_model model;

static bool overloaded;

static int begin_request(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)number, (void)body, (void)len;
  overloaded = model_draw(m, 8) == 0;
  return PLAY;
}

static const struct refused_item *some_trouble(struct bulk_model *m, const struct model_item *item) {
  static const struct refused_item busy = {429, "rejected_execution_exception", "queue is full"};
  static const struct refused_item parsing = {400, "mapper_parsing_exception", "failed to parse"};
  if (memmem(item->document, item->document_len, "bad", 3)) return &parsing;
  return overloaded && model_draw(m, 10) == 0 ? &busy : NULL;
}

static struct load *start_push(void) {
  struct load *load = load_new(&model);
  load->options.parse = NULL;
  load->options.keep_settled = true;
  assert_ok(load_start(load, &test_error));
  return load;
}

/* Append, taking batches while no free one is there. How often it had to: *busy. */
static void push(struct load *load, const struct os_push *item, int *busy) {
  int rc;
  os_error_clear(&test_error);
  while ((rc = os_pipeline_append(load->pipeline, item, &test_error)) == OS_ERR_BUSY) {
    struct os_batch *batch = os_pipeline_next(load->pipeline, 1000);
    ++*busy;
    if (batch) load_take(load, batch);
  }
  assert_int_equal(rc, OS_OK);
}

static void finish_push(struct load *load) {
  double until = os_clock_monotonic() + 20;
  while (os_pipeline_flush(load->pipeline) == OS_ERR_BUSY && os_clock_monotonic() < until) {
    struct os_batch *batch = os_pipeline_next(load->pipeline, 100);
    if (batch) load_take(load, batch);
  }
  os_pipeline_finish(load->pipeline);
  load_keep(load);
  assert_true(os_pipeline_release(load->pipeline, 1));
}

static void push_text(struct load *load, enum os_op op, int id, const char *document, uint64_t tag,
                      int *busy) {
  char action[64], text[16];
  int id_len = snprintf(text, sizeof text, "p%d", id);
  int len = snprintf(action, sizeof action, "{\"%s\":{\"_id\":\"%s\"}}\n", os_op_name(op), text);
  push(load,
       &(struct os_push){.op = op,
                         .action = action,
                         .action_len = (size_t)len,
                         .document = document,
                         .document_len = strlen(document),
                         .explicit_id = text,
                         .explicit_id_len = (size_t)id_len,
                         .tag = tag},
       busy);
}

static void every_tag_is_told_once(void **state) {
  (void)state;
  enum { ITEMS = 3000 };
  int busy = 0, bad = 0;
  model_start(&model, ITEMS);
  model.whole = begin_request;
  model.item = some_trouble;
  model.jitter_ms = 2;
  struct load *load = start_push();
  for (int i = 0; i < ITEMS; i++) {
    char document[64];
    bad += i % 100 == 50;
    snprintf(document, sizeof document, "{\"v\":%d%s}%s", i, i % 100 == 50 ? ",\"x\":\"bad\"" : "",
             i % 3 == 0   ? "\n"
             : i % 3 == 1 ? "\r\n"
                          : "");
    push_text(load, OS_OP_INDEX, i % 700, document, (uint64_t)i, &busy);
  }
  finish_push(load);
  assert_true(busy > 0); /* the pool is smaller than what was pushed */
  for (int i = 0; i < ITEMS; i++)
    assert_true(load->settled[i] >= 0);
  for (size_t i = 0; i < load->refusal_count; i++)
    assert_int_equal(load->settled[load->refusals[i].offset], OS_REFUSED);
  assert_int_equal(load->refusal_count, bad);
  for (int id = 0; id < 700; id++) { /* the last good one stands */
    char text[16], document[64];
    int last = id + (ITEMS - 1 - id) / 700 * 700;
    while (last % 100 == 50)
      last -= 700;
    snprintf(text, sizeof text, "p%d", id);
    snprintf(document, sizeof document, "{\"v\":%d}", last);
    if (last >= 0) {
      assert_non_null(model_find(&model, text));
      assert_string_equal(model_find(&model, text)->document, document);
    }
  }
  load_free(load);
  model_stop(&model);
}

/* Updates of few ids: an append or a flush has to wait for an earlier one again and again. */
static void pushed_updates_keep_their_order(void **state) {
  (void)state;
  int busy = 0;
  model_start(&model, 10);
  model.jitter_ms = 1;
  struct load *load = start_push();
  for (int i = 0; i < 60; i++) {
    char document[64];
    snprintf(document, sizeof document, "{\"doc\":{\"v\":%d}}", i);
    push_text(load, OS_OP_UPDATE, i % 3, document, (uint64_t)i, &busy);
  }
  finish_push(load);
  for (int id = 0; id < 3; id++) {
    char text[16], document[64];
    snprintf(text, sizeof text, "p%d", id);
    snprintf(document, sizeof document, "{\"doc\":{\"v\":%d}}", 57 + id);
    assert_string_equal(model_find(&model, text)->document, document);
    assert_int_equal(model_find(&model, text)->writes, 20);
  }
  assert_int_equal(load->outcomes[OS_CREATED] + load->outcomes[OS_UPDATED], 60);
  load_free(load);
  model_stop(&model);
}

static void creates_sent_before(void **state) {
  (void)state;
  int busy = 0;
  model_start(&model, 10);
  struct load *load = start_push();
  push_text(load, OS_OP_CREATE, 1, "{}", 0, &busy);
  push_text(load, OS_OP_CREATE, 1, "{}", 1, &busy);
  push(load,
       &(struct os_push){.op = OS_OP_CREATE,
                         .action = "{\"create\":{\"_id\":\"p1\"}}\n",
                         .action_len = 24,
                         .document = "{}",
                         .document_len = 2,
                         .explicit_id = "p1",
                         .explicit_id_len = 2,
                         .maybe_sent = true,
                         .tag = 2},
       &busy);
  finish_push(load);
  assert_int_equal(load->settled[0], OS_CREATED);
  assert_int_equal(load->settled[1], OS_REFUSED);
  assert_int_equal(load->settled[2], OS_ALREADY);
  load_free(load);
  model_stop(&model);
}

/* Items whose id the server chooses have no order to keep; a line without a document is the server's to refuse. */
static void items_without_an_id(void **state) {
  (void)state;
  static const char action[] = "{\"index\":{}}\n";
  static const char *const documents[] = {"{\"v\":1}", "{\"v\":2}\n", "", "\r\n", "{\"v\":3}"};
  int busy = 0;
  model_start(&model, 10);
  struct load *load = start_push();
  for (uint64_t i = 0; i < sizeof documents / sizeof *documents; i++)
    push(load,
         &(struct os_push){.op = OS_OP_INDEX,
                           .action = action,
                           .action_len = sizeof action - 1,
                           .document = documents[i],
                           .document_len = strlen(documents[i]),
                           .tag = i},
         &busy);
  finish_push(load);
  for (int i = 0; i < 5; i++)
    assert_int_equal(load->settled[i], i == 2 || i == 3 ? OS_REFUSED : OS_CREATED);
  for (size_t i = 0; i < load->refusal_count; i++)
    assert_string_equal(load->refusals[i].doc_id, "");
  assert_int_equal(load->refusal_count, 2);
  load_free(load);
  model_stop(&model);
}

/* An append that found no memory must leave nothing behind: the next one goes as if it had not been. */
static void appends_without_memory(void **state) {
  (void)state;
  int failed = 0, busy = 0;
  model_start(&model, 3000);
  struct load *load = start_push();
  for (int i = 0; i < 600; i++) {
    char document[64];
    snprintf(document, sizeof document, "{\"v\":%d,\"t\":\"%.*s\"}", i, i % 40,
             "----------------------------------------");
    os_alloc_fail_after(0, 0);
    char action[64], id[16];
    int id_len = snprintf(id, sizeof id, "p%d", i);
    int len = snprintf(action, sizeof action, "{\"index\":{\"_id\":\"%s\"}}\n", id);
    struct os_push item = {.op = OS_OP_INDEX,
                           .action = action,
                           .action_len = (size_t)len,
                           .document = document,
                           .document_len = strlen(document),
                           .explicit_id = id,
                           .explicit_id_len = (size_t)id_len,
                           .tag = (uint64_t)i};
    int rc = os_pipeline_append(load->pipeline, &item, &test_error);
    os_alloc_fail_after(-1, 0);
    assert_true(rc == OS_OK || rc == OS_ERR_NOMEM || rc == OS_ERR_BUSY);
    failed += rc == OS_ERR_NOMEM;
    if (rc) push(load, &item, &busy);
    if (i % 90 == 89) { /* let everything settle, so that the network thread finds memory */
      os_pipeline_flush(load->pipeline);
      double until = os_clock_monotonic() + 5;
      while (load->records < (uint64_t)i + 1 && os_clock_monotonic() < until) {
        struct os_batch *batch = os_pipeline_next(load->pipeline, 20);
        if (batch) load_take(load, batch);
      }
      assert_int_equal(load->records, i + 1);
    }
  }
  finish_push(load);
  assert_true(failed > 5);
  assert_int_equal(load->outcomes[OS_CREATED], 600);
  assert_int_equal(model.count, 600);
  load_free(load);
  model_stop(&model);
}

/* ---- leaving in the middle ---- */

static void wait_until_it_hangs(void) {
  double until = os_clock_monotonic() + 10;
  while (!atomic_load(&model.hanging) && os_clock_monotonic() < until)
    os_clock_sleep_ms(2);
  assert_true(atomic_load(&model.hanging) > 0);
}

static void stopped_in_the_middle(void **state) {
  (void)state;
  struct os_buf text;
  os_buf_init(&text, 0);
  for (int i = 0; i < 20000; i++)
    os_buf_printf(&text, "{\"_id\":\"%d\",\"v\":%d}\n", i % 15000, i);
  write_bytes(in_folder("stop.ndjson"), text.data, text.len);
  os_buf_free(&text);
  for (int hangs = 0; hangs < 2; hangs++) {
    model_start(&model, 20000);
    struct load *load = load_new(&model);
    assert_ok(load_plan(load, in_folder("stop.ndjson"), &test_error));
    assert_ok(load_start(load, &test_error));
    while (load->batches < 20) {
      struct os_batch *batch = os_pipeline_next(load->pipeline, 50);
      if (batch) load_take(load, batch);
    }
    if (hangs) {
      atomic_store(&model.hang, true);
      wait_until_it_hangs();
    }
    double began = os_clock_monotonic();
    os_pipeline_stop(load->pipeline);
    os_pipeline_release(load->pipeline, hangs ? 0.1 : 0.4);
    assert_true(os_clock_monotonic() - began < 1);
    assert_int_equal(load->refusal_count, 0);
    assert_true(load->records <= model.count + 5000); /* what was acknowledged is in the index … */
    for (size_t i = 0; i < load->segment_count; i++)
      assert_true(load->segments[i].from < load->segments[i].to);
    assert_int_equal(load->ends, 0);
    assert_true(load->outcomes[OS_CREATED] <= model.count);
    atomic_store(&model.let_go, true);
    load_free(load); /* … and the last thread lets go by itself */
    model_stop(&model);
  }
}

static void a_push_is_left_in_the_middle(void **state) {
  (void)state;
  int busy = 0;
  model_start(&model, 1000);
  atomic_store(&model.hang, true);
  struct load *load = start_push();
  for (int i = 0; i < 250; i++)
    push_text(load, OS_OP_INDEX, i % 170, "{}", (uint64_t)i, &busy);
  wait_until_it_hangs();
  double began = os_clock_monotonic();
  os_pipeline_release(load->pipeline, 0.1);
  assert_true(os_clock_monotonic() - began < 1);
  atomic_store(&model.let_go, true);
  load_free(load);
  model_stop(&model);
}

/* In a wait between two attempts, and behind a rate: a stop does not wait for either. */
static int always_503(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)m, (void)number, (void)body, (void)len;
  return 503;
}

static void stopped_while_it_waits(void **state) {
  (void)state;
  for (int rate = 0; rate < 2; rate++) {
    struct os_buf text;
    os_buf_init(&text, 0);
    for (int i = 0; i < 500; i++)
      os_buf_printf(&text, "{\"v\":%d}\n", i);
    write_bytes(in_folder("wait.ndjson"), text.data, text.len);
    os_buf_free(&text);
    model_start(&model, 1000);
    if (!rate) model.whole = always_503;
    struct load *load = load_new(&model);
    load->endpoint.max_retries = 50;
    if (rate) load->options.max_docs_rate = 5;
    assert_ok(load_plan(load, in_folder("wait.ndjson"), &test_error));
    assert_ok(load_start(load, &test_error));
    os_clock_sleep_ms(60);
    double began = os_clock_monotonic();
    assert_true(os_pipeline_release(load->pipeline, 0.5));
    assert_true(os_clock_monotonic() - began < 0.5);
    load_free(load);
    model_stop(&model);
  }
}

static void a_pipeline_that_nobody_feeds(void **state) {
  (void)state;
  model_start(&model, 10);
  struct load *load = start_push();
  assert_false(os_pipeline_ended(load->pipeline));
  os_pipeline_finish(load->pipeline);
  assert_true(os_pipeline_ended(load->pipeline));
  assert_null(os_pipeline_next(load->pipeline, 0));
  assert_true(os_pipeline_release(load->pipeline, 0));
  assert_true(os_pipeline_release(NULL, 0));
  load_free(load);
  model_stop(&model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_tag_is_told_once),       cmocka_unit_test(pushed_updates_keep_their_order),
      cmocka_unit_test(creates_sent_before),          cmocka_unit_test(items_without_an_id),
      cmocka_unit_test(appends_without_memory),       cmocka_unit_test(stopped_in_the_middle),
      cmocka_unit_test(a_push_is_left_in_the_middle), cmocka_unit_test(stopped_while_it_waits),
      cmocka_unit_test(a_pipeline_that_nobody_feeds),
  };
  return cmocka_run_group_tests(tests, net_setup, net_teardown);
}
