/* pipeline_faults_test.c - loads against a server that fails in every way it may: each record ends exactly
** once in the index or among the refusals, and exactly the bytes of the files are acknowledged.
*/
#include "pipeline_keeper.h"

enum { RECORDS = 1000 };

static struct bulk_model model;

/* {"v":n,…} one a line; with ids when `ids`. */
static const char *make_records(const char *name, int count, bool ids) {
  struct os_buf text;
  os_buf_init(&text, 0);
  for (int i = 0; i < count; i++)
    if (ids)
      os_buf_printf(&text, "{\"_id\":\"id-%d\",\"v\":%d}\n", i, i);
    else
      os_buf_printf(&text, "{\"v\":%d,\"w\":\"%s\"}\n", i, i % 7 ? "x" : "long long long");
  write_bytes(in_folder(name), text.data, text.len);
  os_buf_free(&text);
  return in_folder(name);
}

static bool each_stored_once(void) {
  size_t count = 0;
  for (size_t i = 0; i < model.cap; i++) {
    if (!model.table[i].id) continue;
    if (model.table[i].writes != 1) return false;
    count++;
  }
  return count == model.count;
}

/* ---- whole requests ---- */

static int fate;

static int sometimes(struct bulk_model *m, int number, const char *body, size_t len) {
  static const int kinds[] = {CUT_BEFORE, CUT_AFTER, CUT_INSIDE, ONE_TOO_FEW, A_PAGE, 429, 503, DONE + 504};
  (void)body, (void)len;
  if (number % 6 != 1) return PLAY;
  return fate >= 0 ? fate : kinds[model_draw(m, sizeof kinds / sizeof *kinds)];
}

static void failing_requests(void **state) {
  (void)state;
  static const int fates[] = {CUT_BEFORE, CUT_AFTER, CUT_INSIDE, ONE_TOO_FEW, A_PAGE,     429,
                              500,        502,       503,        DONE + 503,  DONE + 504, -1};
  const char *path = make_records("f.ndjson", RECORDS, false);
  for (size_t i = 0; i < sizeof fates / sizeof *fates; i++) {
    model_start(&model, RECORDS);
    model.whole = sometimes;
    model.jitter_ms = 2;
    fate = fates[i];
    struct load *load = load_new(&model);
    load_run(load, path);
    bool twice = fate == CUT_AFTER || fate == CUT_INSIDE || fate == ONE_TOO_FEW || fate >= DONE;
    if (load->outcomes[OS_CREATED] + load->outcomes[OS_ALREADY] != RECORDS || load->refusal_count)
      fail_msg("fate %d: created %llu, already %llu, refused %zu: %s", fate,
               (unsigned long long)load->outcomes[OS_CREATED], (unsigned long long)load->outcomes[OS_ALREADY],
               load->refusal_count, load->fault.text);
    if (twice) assert_true(load->outcomes[OS_ALREADY] > 0);
    if (!twice && fate >= 0) assert_int_equal(load->outcomes[OS_ALREADY], 0);
    assert_true(load->retries > 0);
    assert_int_equal(model.count, RECORDS);
    assert_true(each_stored_once());
    all_acknowledged(load);
    load_free(load);
    model_stop(&model);
  }
}

static int slow_at_first(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)m, (void)body, (void)len;
  return number < 2 ? LATE + PLAY : PLAY;
}

/* A time-out says nothing about the work: it is done twice, and counts once. */
static void requests_that_time_out(void **state) {
  (void)state;
  const char *path = make_records("t.ndjson", 600, false);
  model_start(&model, 600);
  model.whole = slow_at_first;
  struct load *load = load_new(&model);
  load->options.timeout = LATE_MS / 1000.0 / 3;
  load_run(load, path);
  assert_true(load->retries >= 2);
  assert_int_equal(load->outcomes[OS_ALREADY], 200); /* of two requests */
  assert_int_equal(load->unknown, 200);
  assert_true(each_stored_once());
  assert_int_equal(load->outcomes[OS_CREATED] + load->outcomes[OS_ALREADY], 600);
  all_acknowledged(load);
  load_free(load);
  model_stop(&model);
}

static int always_503(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)m, (void)number, (void)body, (void)len;
  return 503;
}

static int answer_401(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)m, (void)body, (void)len;
  return number < 3 ? PLAY : 401;
}

static int answer_400(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)m, (void)body, (void)len;
  return number < 3 ? PLAY : 400;
}

/* What is acknowledged by then is in the index; nothing becomes a refusal. */
static void faults_that_stop_the_load(void **state) {
  (void)state;
  const char *path = make_records("stop.ndjson", RECORDS, false);
  for (int kind = 0; kind < 3; kind++) {
    model_start(&model, RECORDS);
    model.whole = kind == 2 ? answer_400 : kind ? answer_401 : always_503;
    model.reason = kind == 2 ? "pipeline with id [none] does not exist" : NULL; /* no record's fault */
    struct load *load = load_new(&model);
    load->endpoint.max_retries = 1;
    load_run(load, path);
    assert_int_equal(load->fault.code, kind == 2 ? OS_ERR_REFUSED : kind ? OS_ERR_AUTH : OS_ERR_BUSY);
    if (kind == 2) assert_non_null(strstr(load->fault.text, "pipeline with id [none]"));
    if (!kind) assert_non_null(strstr(load->fault.text, "gave up after 2 attempts"));
    assert_int_equal(load->refusal_count, 0);
    assert_true(load->unfinished > 0);
    assert_int_equal(model.count, kind ? 300 : 0);
    assert_int_equal(load->records, model.count);
    load_free(load);
    model_stop(&model);
  }
}

enum { MOST_BYTES = 3000 };

static int too_large(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)m, (void)number, (void)body;
  return len > MOST_BYTES ? 413 : PLAY;
}

static void bodies_that_are_too_large(void **state) {
  (void)state;
  struct os_buf text;
  os_buf_init(&text, 0);
  uint64_t huge_at = 0;
  for (int i = 0; i < 700; i++) {
    if (i == 333) huge_at = text.len;
    os_buf_printf(&text, "{\"v\":%d", i);
    if (i == 333) {
      os_buf_puts(&text, ",\"huge\":\"");
      for (int k = 0; k < 500; k++)
        os_buf_puts(&text, "0123456789");
      os_buf_putc(&text, '"');
    }
    os_buf_puts(&text, "}\n");
  }
  write_bytes(in_folder("large.ndjson"), text.data, text.len);
  os_buf_free(&text);
  model_start(&model, 700);
  model.whole = too_large;
  struct load *load = load_new(&model);
  load->options.batch_size = 300;
  load_run(load, in_folder("large.ndjson"));
  assert_int_equal(load->outcomes[OS_CREATED], 699);
  assert_int_equal(load->refusal_count, 1);
  assert_int_equal(load->refusals[0].status, 413);
  assert_string_equal(load->refusals[0].type, "document_too_large");
  assert_int_equal(load->refusals[0].offset, huge_at);
  assert_int_equal(load->refusals[0].line, 334);
  assert_int_equal(load->refusals[0].document_len, 5000 + 19);
  assert_in_range(atomic_load(&load->endpoint.learned_max_body), 500, MOST_BYTES);
  assert_true(model.largest_done <= MOST_BYTES);
  assert_true(load->requests < 60);
  all_acknowledged(load);
  load_free(load);
  model_stop(&model);
}

static int guilty_400(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)m, (void)number, (void)len;
  return strstr(body, "\"v\":77,") || strstr(body, "\"v\":78,") || strstr(body, "\"v\":599,") ? 400 : PLAY;
}

static void the_guilty_record_is_found(void **state) {
  (void)state;
  static const uint64_t lines[] = {78, 79, 600};
  const char *path = make_records("guilty.ndjson", 600, false);
  model_start(&model, 600);
  model.whole = guilty_400;
  struct load *load = load_new(&model);
  load->options.batch_size = 200;
  load_run(load, path);
  assert_int_equal(load->outcomes[OS_CREATED], 597);
  assert_int_equal(load->refusal_count, 3);
  for (int i = 0; i < 3; i++) {
    uint64_t line = load->refusals[i].line;
    assert_int_equal(load->refusals[i].status, 400);
    assert_string_equal(load->refusals[i].type, "bad_request");
    assert_true(line == lines[0] || line == lines[1] || line == lines[2]);
  }
  assert_true(load->requests < 90); /* halving, not one by one */
  all_acknowledged(load);
  load_free(load);
  model_stop(&model);
}

/* ---- single items ---- */

static const struct refused_item *refuse_some(struct bulk_model *m, const struct model_item *item) {
  static const struct refused_item parsing = {400, "mapper_parsing_exception", "failed to parse field [v]"};
  static const struct refused_item busy = {429, "rejected_execution_exception", "queue is full"};
  static const struct refused_item shard = {503, "unavailable_shards_exception",
                                            "primary shard is not active"};
  if (item->document_len > 14 && memmem(item->document, item->document_len, "0,\"w\":\"x", 8))
    return &parsing;
  unsigned dice = model_draw(m, 40);
  return dice == 0 ? &busy : dice == 1 ? &shard : NULL;
}

static void single_items(void **state) {
  (void)state;
  const char *path = make_records("items.ndjson", RECORDS, false);
  model_start(&model, RECORDS);
  model.item = refuse_some;
  struct load *load = load_new(&model);
  load->options.batch_size = 400;
  load_run(load, path);
  size_t expected = 0;
  for (int i = 0; i < RECORDS; i++)
    expected += i % 10 == 0 && i % 7 != 0;
  assert_int_equal(load->refusal_count, expected);
  assert_int_equal(load->outcomes[OS_REFUSED], expected);
  assert_int_equal(load->outcomes[OS_CREATED], RECORDS - expected);
  assert_int_equal(model.count, RECORDS - expected);
  bool seen[RECORDS + 1] = {false};
  for (size_t i = 0; i < load->refusal_count; i++) {
    const struct kept_refusal *refusal = &load->refusals[i];
    int v = (int)refusal->line - 1;
    assert_false(seen[v]);
    seen[v] = true;
    char raw[64];
    snprintf(raw, sizeof raw, "{\"v\":%d,\"w\":\"x\"}", v);
    assert_string_equal(refusal->raw, raw);
    assert_int_equal(refusal->status, 400);
    assert_string_equal(refusal->type, "mapper_parsing_exception");
    assert_string_equal(refusal->reason, "failed to parse field [v]");
    assert_int_equal(strlen(refusal->doc_id), OS_ID_PREFIX + 12);
    assert_null(model_find(&model, refusal->doc_id));
  }
  assert_true(load->retries > 0);
  all_acknowledged(load);
  load_free(load);
  model_stop(&model);
}

static const struct refused_item *no_right(struct bulk_model *m, const struct model_item *item) {
  static const struct refused_item security = {403, "security_exception", "no permissions"};
  (void)item;
  return m->count >= 150 ? &security : NULL;
}

static void a_fault_in_an_item_stops_the_load(void **state) {
  (void)state;
  const char *path = make_records("right.ndjson", RECORDS, false);
  model_start(&model, RECORDS);
  model.item = no_right;
  struct load *load = load_new(&model);
  load->options.max_workers = 1;
  load_run(load, path);
  assert_int_equal(load->fault.code, OS_ERR_FORBIDDEN);
  assert_non_null(strstr(load->fault.text, "no permissions"));
  assert_int_equal(load->refusal_count, 0);
  assert_int_equal(load->records, 100);              /* the batch that was whole */
  assert_int_equal(load->outcomes[OS_CREATED], 150); /* what is in the index is counted */
  load_free(load);
  model_stop(&model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(failing_requests),
      cmocka_unit_test(requests_that_time_out),
      cmocka_unit_test(faults_that_stop_the_load),
      cmocka_unit_test(bodies_that_are_too_large),
      cmocka_unit_test(the_guilty_record_is_found),
      cmocka_unit_test(single_items),
      cmocka_unit_test(a_fault_in_an_item_stops_the_load),
  };
  return cmocka_run_group_tests(tests, net_setup, net_teardown);
}
