/* pipeline_items_test.c - what becomes of a record when the answer speaks of it alone: outcomes, refusals without
** words, blocks and faults, and the order of records with one id where some were refused or turned away.
*/
#include "pipeline_keeper.h"

static struct bulk_model model;

/* A load of records that are all there are. change: before it starts; NULL: as it is. */
static struct load *load_text(const char *name, const char *text, void (*change)(struct load *)) {
  struct load *load = load_new(&model);
  if (text) write_text(in_folder(name), text);
  if (change) change(load);
  load_run(load, in_folder(name));
  return load;
}

static bool holds(const struct model_item *item, const char *text) {
  return memmem(item->document, item->document_len, text, strlen(text)) != NULL;
}

static void end(struct load *load) {
  load_free(load);
  model_stop(&model);
}

/* ---- each alone ---- */

static const struct refused_item *by_number(struct bulk_model *m, const struct model_item *item) {
  static const struct refused_item noop = {200, NULL, "noop"}, silent = {400, NULL, NULL},
                                   wordless = {400, "x_exception", ""};
  (void)m;
  return holds(item, "1") ? &noop : holds(item, "2") ? &silent : holds(item, "3") ? &wordless : NULL;
}

static void updating(struct load *load) {
  load->options.op = OS_OP_UPDATE;
}

static void outcomes(void **state) {
  (void)state;
  model_start(&model, 10);
  model.item = by_number;
  struct load *load = load_text(
      "o.ndjson",
      "{\"_id\":\"a\",\"v\":1}\n{\"_id\":\"b\",\"v\":2}\n{\"_id\":\"c\",\"v\":3}\n{\"_id\":\"d\",\"v\":4}\n",
      updating);
  assert_int_equal(load->outcomes[OS_NOOP], 1);
  assert_int_equal(load->outcomes[OS_CREATED], 1);
  assert_int_equal(load->outcomes[OS_REFUSED], 2);
  assert_string_equal(load->refusals[0].type, "refused"); /* there is always something to be read */
  assert_string_equal(load->refusals[0].reason, "no reason given");
  assert_string_equal(load->refusals[1].type, "x_exception");
  assert_string_equal(load->refusals[1].reason, "no reason given");
  all_acknowledged(load);
  end(load);
}

static const struct refused_item *newer_there(struct bulk_model *m, const struct model_item *item) {
  static const struct refused_item newer = {409, "version_conflict_engine_exception",
                                            "version conflict, current version [7] is higher"};
  (void)m;
  return holds(item, "old") ? &newer : NULL;
}

static void versioned(struct load *load) {
  load->parse.version_field = "_version";
  load->options.external_version = true;
}

static void an_older_version_is_left_out(void **state) {
  (void)state;
  model_start(&model, 10);
  model.item = newer_there;
  struct load *load = load_text(
      "v.ndjson",
      "{\"_id\":\"a\",\"_version\":3,\"v\":\"old\"}\n{\"_id\":\"b\",\"_version\":9,\"v\":\"new\"}\n",
      versioned);
  assert_int_equal(load->outcomes[OS_SKIPPED], 1);
  assert_int_equal(load->outcomes[OS_CREATED], 1);
  assert_int_equal(load->refusal_count, 0);
  all_acknowledged(load);
  end(load);
}

/* A record that the server is to choose an id for can be refused without one. */
static const struct refused_item *refuse_all(struct bulk_model *m, const struct model_item *item) {
  static const struct refused_item parsing = {400, "mapper_parsing_exception", "no"};
  (void)m, (void)item;
  return &parsing;
}

static void ids_of_the_server(struct load *load) {
  load->options.server_ids = true;
}

static void refused_without_an_id(void **state) {
  (void)state;
  model_start(&model, 10);
  model.item = refuse_all;
  struct load *load = load_text("n.ndjson", "{\"v\":1}\n", ids_of_the_server);
  assert_int_equal(load->refusal_count, 1);
  assert_string_equal(load->refusals[0].doc_id, "");
  assert_string_equal(load->refusals[0].raw, "{\"v\":1}");
  all_acknowledged(load);
  end(load);
}

/* A create of an explicit id that an earlier run may have done: what stands there may be a neighbour's of the same
** files, which only the keeper can tell. */
static void an_explicit_id_that_is_there(void **state) {
  (void)state;
  model_start(&model, 10);
  struct load *load = load_text("e.ndjson", "{\"_id\":\"a\",\"v\":1}\n", NULL);
  assert_int_equal(load->outcomes[OS_CREATED], 1);
  load_free(load);
  load = load_new(&model);
  load->options.create_only = true;
  assert_ok(load_plan(load, in_folder("e.ndjson"), &test_error));
  os_source_at(&load->list, 0)->maybe_sent = true;
  assert_ok(load_start(load, &test_error));
  load_keep(load);
  assert_true(os_pipeline_release(load->pipeline, 1));
  assert_int_equal(load->outcomes[OS_ALREADY], 0);
  assert_int_equal(load->refusal_count, 1);
  assert_int_equal(load->refusals[0].status, 409);
  assert_true(load->refusals[0].maybe_sent);
  end(load);
}

/* ---- blocks and faults ---- */

static int blocks_left;

static const struct refused_item *blocked(struct bulk_model *m, const struct model_item *item) {
  static const struct refused_item block = {403, "cluster_block_exception",
                                            "index [i] blocked by: [FORBIDDEN/8/index write (api)];"};
  (void)m, (void)item;
  return blocks_left > 0 && blocks_left-- ? &block : NULL;
}

static void a_block_that_is_lifted(void **state) {
  (void)state;
  model_start(&model, 10);
  model.item = blocked;
  blocks_left = 2; /* both items of the first request */
  struct load *load = load_text("b.ndjson", "{\"v\":1}\n{\"v\":2}\n", NULL);
  assert_int_equal(load->outcomes[OS_CREATED], 2);
  assert_int_equal(load->refusal_count, 0);
  assert_int_equal(load->unknown, 0); /* a block lets nothing in */
  all_acknowledged(load);
  end(load);
}

static void patient_once(struct load *load) {
  load->endpoint.max_retries = 1;
}

static void a_block_that_stays(void **state) {
  (void)state;
  model_start(&model, 10);
  model.item = blocked;
  blocks_left = 1000;
  struct load *load = load_text("b.ndjson", "{\"v\":1}\n{\"v\":2}\n", patient_once);
  assert_int_equal(load->fault.code, OS_ERR_BUSY);
  assert_non_null(strstr(load->fault.text, "cluster_block_exception"));
  assert_non_null(strstr(load->fault.advice, "lift the block"));
  assert_int_equal(load->refusal_count, 0);
  assert_int_equal(load->records, 0);
  end(load);
}

static const struct refused_item *faulty;

static const struct refused_item *answer_faulty(struct bulk_model *m, const struct model_item *item) {
  (void)m, (void)item;
  return faulty;
}

static void faults_of_the_index(void **state) {
  (void)state;
  static const struct {
    struct refused_item item;
    enum os_code code;
  } cases[] = {{{404, "index_not_found_exception", "no such index [i]"}, OS_ERR_NOT_FOUND},
               {{403, "security_exception", "no permissions"}, OS_ERR_FORBIDDEN},
               {{403, "something_new", "not for you"}, OS_ERR_FORBIDDEN},
               {{400, "index_closed_exception", "closed"}, OS_ERR_REFUSED}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    model_start(&model, 10);
    model.item = answer_faulty;
    faulty = &cases[i].item;
    struct load *load = load_text("f.ndjson", "{\"v\":1}\n{\"v\":2}\n", NULL);
    assert_int_equal(load->fault.code, cases[i].code);
    assert_int_equal(load->fault.http_status, cases[i].item.status);
    assert_non_null(strstr(load->fault.text, cases[i].item.reason));
    assert_int_equal(load->refusal_count, 0);
    assert_int_equal(load->requests, 1); /* not tried again */
    end(load);
  }
}

/* ---- order ---- */

static const struct refused_item *turn_away_once(struct bulk_model *m, const struct model_item *item) {
  static const struct refused_item busy = {429, "rejected_execution_exception", "queue is full"};
  static const struct refused_item parsing = {400, "mapper_parsing_exception", "failed to parse"};
  if (holds(item, "bad")) return &parsing;
  if (!holds(item, "later") || m->ctx) return NULL;
  m->ctx = m;
  return &busy;
}

/* A refused record must not come back over one of its id that got in and stands behind it in the files; whether
** it got in at once or at a second try does not count. */
static void what_was_overtaken(void **state) {
  (void)state;
  static const struct {
    const char *first, *second, *stands; /* a second file, or NULL */
    bool overtaken;
  } cases[] = {
      {"{\"_id\":\"A\",\"v\":\"bad\"}\n{\"_id\":\"A\",\"v\":1}\n", NULL, "{\"v\":1}", true},
      {"{\"_id\":\"A\",\"v\":\"bad\"}\n{\"_id\":\"A\",\"v\":\"later\"}\n", NULL, "{\"v\":\"later\"}", true},
      {"{\"_id\":\"A\",\"v\":\"later\"}\n{\"_id\":\"A\",\"v\":\"bad\"}\n", NULL, "{\"v\":\"later\"}", false},
      {"{\"_id\":\"B\",\"v\":\"bad\"}\n{\"_id\":\"A\",\"v\":1}\n", NULL, "{\"v\":1}", false},
      {"{\"_id\":\"A\",\"v\":\"bad\"}\n", "{\"_id\":\"A\",\"v\":1}\n", "{\"v\":1}", true},
      {"{\"_id\":\"Z\",\"v\":0}\n{\"_id\":\"A\",\"v\":\"later\"}\n", "{\"_id\":\"A\",\"v\":\"bad\"}\n",
       "{\"v\":\"later\"}", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char folder[16], name[32];
    snprintf(folder, sizeof folder, "t%zu", i);
    make_folder(in_folder(folder));
    snprintf(name, sizeof name, "%s/1.ndjson", folder);
    write_text(in_folder(name), cases[i].first);
    snprintf(name, sizeof name, "%s/2.ndjson", folder);
    if (cases[i].second) write_text(in_folder(name), cases[i].second);
    model_start(&model, 10);
    model.item = turn_away_once;
    struct load *load = load_text(folder, NULL, NULL);
    assert_int_equal(load->refusal_count, 1);
    if (load->refusals[0].overtaken != cases[i].overtaken) fail_msg("case %zu", i);
    assert_string_equal(model_find(&model, "A")->document, cases[i].stands);
    all_acknowledged(load);
    end(load);
  }
}

static void routed(struct load *load) {
  load->parse.routing_field = "r";
}

/* Of two actions for one id the first is turned away and the second gets in: are they for one document? */
static void one_document_or_two(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t skipped;
  } cases[] = {
      {"{\"_id\":\"A\",\"r\":\"x\",\"v\":\"later\"}\n{\"_id\":\"A\",\"r\":\"y\",\"v\":1}\n",
       0}, /* two shards' */
      {"{\"_id\":\"A\",\"r\":\"x\",\"v\":\"later\"}\n{\"_id\":\"A\",\"r\":\"x\",\"v\":1}\n", 1},
      {"{\"_id\":\"A\",\"r\":\"x\",\"v\":\"later\"}\n{\"_id\":\"A\",\"r\":\"\\u0078\",\"v\":1}\n", 1},
      {"{\"_id\":\"A\\u0042\",\"v\":\"later\"}\n{\"_id\":\"\\u0041B\",\"v\":1}\n", 1}, /* of one length */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    model_start(&model, 10);
    model.item = turn_away_once;
    struct load *load = load_text("d.ndjson", cases[i].text, routed);
    if (load->outcomes[OS_SKIPPED] != cases[i].skipped)
      fail_msg("case %zu: %d left out", i, (int)load->outcomes[OS_SKIPPED]);
    assert_int_equal(load->refusal_count, 0);
    all_acknowledged(load);
    end(load);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(outcomes),
      cmocka_unit_test(an_older_version_is_left_out),
      cmocka_unit_test(refused_without_an_id),
      cmocka_unit_test(an_explicit_id_that_is_there),
      cmocka_unit_test(a_block_that_is_lifted),
      cmocka_unit_test(a_block_that_stays),
      cmocka_unit_test(faults_of_the_index),
      cmocka_unit_test(what_was_overtaken),
      cmocka_unit_test(one_document_or_two),
  };
  return cmocka_run_group_tests(tests, net_setup, net_teardown);
}
