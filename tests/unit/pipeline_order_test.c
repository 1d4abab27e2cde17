/* pipeline_order_test.c - for one id the last record wins, whatever the parallelism and whatever is turned
** away for a while; operations that must not be repeated are not.
*/
#include "pipeline_keeper.h"

static struct bulk_model model;
static unsigned seed = 99;

static unsigned draw(unsigned below) {
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % below;
}

/* `versions` records of each of `ids` ids in random order; the versions of an id count up. */
static const char *make_versions(const char *name, int ids, int versions) {
  struct os_buf text;
  int *next = calloc((size_t)ids, sizeof *next), *order = malloc(sizeof *order * (size_t)(ids * versions));
  os_buf_init(&text, 0);
  for (int i = 0; i < ids * versions; i++)
    order[i] = i % ids;
  for (int i = ids * versions; i > 1; i--) {
    int k = (int)draw((unsigned)i), swap = order[i - 1];
    order[i - 1] = order[k];
    order[k] = swap;
  }
  for (int i = 0; i < ids * versions; i++)
    os_buf_printf(&text, "{\"_id\":\"k%d\",\"v\":%d}\n", order[i], next[order[i]]++);
  write_bytes(in_folder(name), text.data, text.len);
  os_buf_free(&text);
  free(next);
  free(order);
  return in_folder(name);
}

static bool overloaded; /* the request in hand meets a full queue */

static int begin_request(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)number, (void)body, (void)len;
  overloaded = model_draw(m, 10) == 0;
  return PLAY;
}

static const struct refused_item *turn_away(struct bulk_model *m, const struct model_item *item) {
  static const struct refused_item busy = {429, "rejected_execution_exception", "queue is full"};
  (void)item;
  return overloaded && model_draw(m, 12) == 0 ? &busy : NULL;
}

static void check_last(int ids, int versions, const char *form) {
  assert_int_equal(model.count, ids);
  for (int i = 0; i < ids; i++) {
    char id[16], document[64];
    snprintf(id, sizeof id, "k%d", i);
    snprintf(document, sizeof document, form, versions - 1);
    const struct stored *stored = model_find(&model, id);
    assert_non_null(stored);
    assert_string_equal(stored->document, document);
  }
}

static void the_last_version_wins(void **state) {
  (void)state;
  enum { IDS = 1000, VERSIONS = 50 };
  const char *path = make_versions("versions.ndjson", IDS, VERSIONS);
  model_start(&model, IDS);
  model.whole = begin_request;
  model.item = turn_away;
  model.jitter_ms = 3;
  struct load *load = load_new(&model);
  load->options.max_workers = 8;
  load->options.batch_size = 2000;
  load_run(load, path);
  check_last(IDS, VERSIONS, "{\"v\":%d}");
  assert_int_equal(load->refusal_count, 0);
  assert_int_equal(load->outcomes[OS_CREATED], IDS);
  assert_int_equal(load->outcomes[OS_CREATED] + load->outcomes[OS_UPDATED] + load->outcomes[OS_SKIPPED],
                   IDS * VERSIONS);
  assert_true(load->retries > 0);
  all_acknowledged(load);
  load_free(load);
  model_stop(&model);
}

/* Small batches and few ids: nearly every record has to wait for an earlier one. */
static void small_batches(void **state) {
  (void)state;
  static const int sizes[] = {1, 7};
  for (size_t i = 0; i < 2; i++) {
    const char *path = make_versions("small.ndjson", 20, 8);
    model_start(&model, 20);
    model.jitter_ms = 2;
    struct load *load = load_new(&model);
    load->options.max_workers = 8;
    load->options.batch_size = (uint64_t)sizes[i];
    load_run(load, path);
    check_last(20, 8, "{\"v\":%d}");
    assert_int_equal(load->outcomes[OS_CREATED] + load->outcomes[OS_UPDATED], 160);
    all_acknowledged(load);
    load_free(load);
    model_stop(&model);
  }
}

/* ---- a record that is turned away while a later one for its id, in the same request, gets in ---- */

static const struct refused_item *turn_first_away(struct bulk_model *m, const struct model_item *item) {
  static const struct refused_item busy = {429, "rejected_execution_exception", "queue is full"};
  bool first = memmem(item->document, item->document_len, "\"v\":0", 5) && !m->ctx;
  if (first) m->ctx = m; /* once */
  return first ? &busy : NULL;
}

static void a_repetition_undoes_nothing(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t skipped; /* the one turned away is left out: what came later stands */
    const char *last;
  } cases[] = {{"{\"_id\":\"A\",\"v\":0}\n{\"_id\":\"A\",\"v\":1}\n", 1, "{\"v\":1}"},
               {"{\"_id\":\"A\",\"v\":0}\n{\"_id\":\"\\u0041\",\"v\":1}\n", 1, "{\"v\":1}"},
               {"{\"_id\":\"\\u0041\",\"v\":0}\n{\"_id\":\"A\",\"v\":1}\n", 1, "{\"v\":1}"},
               {"{\"_id\":\"B\",\"v\":0}\n{\"_id\":\"A\",\"v\":1}\n", 0, "{\"v\":1}"},
               {"{\"_id\":\"A\",\"v\":1}\n{\"_id\":\"A\",\"v\":0}\n", 0, "{\"v\":0}"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    write_text(in_folder("pair.ndjson"), cases[i].text);
    model_start(&model, 10);
    model.item = turn_first_away;
    struct load *load = load_new(&model);
    load_run(load, in_folder("pair.ndjson"));
    const struct stored *stored = model_find(&model, "A");
    assert_non_null(stored);
    if (strcmp(stored->document, cases[i].last) || load->outcomes[OS_SKIPPED] != cases[i].skipped)
      fail_msg("case %zu: %s, %llu skipped", i, stored->document,
               (unsigned long long)load->outcomes[OS_SKIPPED]);
    all_acknowledged(load);
    load_free(load);
    model_stop(&model);
  }
}

/* Over several files, with ids written in several ways. */
static void one_id_in_many_spellings(void **state) {
  (void)state;
  static const char *const spellings[] = {"A/b", "\\u0041/b", "A\\/b", "\\u0041\\u002fb", "A\\u002Fb"};
  for (int round = 0; round < 2; round++) {
    model_start(&model, 10);
    model.whole = begin_request;
    model.item = round % 2 ? turn_away : NULL;
    model.jitter_ms = 2;
    char folder[16], name[64];
    snprintf(folder, sizeof folder, "f%d", round);
    make_folder(in_folder(folder));
    for (int file = 0; file < 3; file++) {
      struct os_buf text;
      os_buf_init(&text, 0);
      for (int i = 0; i < 100; i++)
        os_buf_printf(&text, "{\"v\":%d,\"_id\":\"%s\"}\n", file * 100 + i, spellings[draw(5)]);
      snprintf(name, sizeof name, "%s/%d.ndjson", folder, file);
      write_bytes(in_folder(name), text.data, text.len);
      os_buf_free(&text);
    }
    struct load *load = load_new(&model);
    load->options.max_workers = 8;
    load->options.batch_size = round ? 300 : 13;
    load_run(load, in_folder(folder));
    assert_int_equal(model.count, 1);
    assert_non_null(model_find(&model, "A/b"));
    assert_string_equal(model_find(&model, "A/b")->document, "{\"v\":299}");
    all_acknowledged(load);
    load_free(load);
    model_stop(&model);
  }
}

static void partial_updates(void **state) {
  (void)state;
  const char *path = make_versions("update.ndjson", 40, 4);
  model_start(&model, 40);
  model.whole = begin_request;
  model.item = turn_away;
  model.jitter_ms = 1;
  struct load *load = load_new(&model);
  load->options.op = OS_OP_UPDATE;
  load->options.max_workers = 8;
  load->options.batch_size = 100;
  load->options.retry_on_conflict = 3;
  load_run(load, path);
  check_last(40, 4, "{\"doc\":{\"v\":%d},\"doc_as_upsert\":true}");
  for (int i = 0; i < 40;
       i++) { /* each change was applied once, none left out: they may touch different fields */
    char id[16];
    snprintf(id, sizeof id, "k%d", i);
    assert_int_equal(model_find(&model, id)->writes, 4);
  }
  assert_int_equal(load->outcomes[OS_CREATED], 40);
  assert_int_equal(load->outcomes[OS_UPDATED], 40 * 3);
  all_acknowledged(load);
  load_free(load);
  model_stop(&model);
}

/* create: the first record of an id is kept, every later one is a refusal, also when the first was turned
** away.
*/
static void creates_with_repeated_ids(void **state) {
  (void)state;
  const char *path = make_versions("create.ndjson", 60, 3);
  model_start(&model, 60);
  model.whole = begin_request;
  model.item = turn_away;
  model.jitter_ms = 1;
  struct load *load = load_new(&model);
  load->options.op = OS_OP_CREATE;
  load->options.max_workers = 8;
  load->options.batch_size = 50;
  load_run(load, path);
  check_last(60, 1, "{\"v\":%d}");
  assert_int_equal(load->outcomes[OS_CREATED], 60);
  assert_int_equal(load->outcomes[OS_ALREADY], 0);
  assert_int_equal(load->refusal_count, 60 * 2);
  for (size_t i = 0; i < load->refusal_count; i++) {
    assert_int_equal(load->refusals[i].status, 409);
    assert_null(strstr(load->refusals[i].raw, "\"v\":0}"));
  }
  all_acknowledged(load);
  load_free(load);
  model_stop(&model);
}

/* Records without ids beside records with ids in one file: both kinds, computed ids for the former. */
static void ids_in_some_records_only(void **state) {
  (void)state;
  struct os_buf text;
  os_buf_init(&text, 0);
  for (int i = 0; i < 1000; i++)
    if (i % 3)
      os_buf_printf(&text, "{\"_id\":\"k%d\",\"v\":%d}\n", i % 50, i);
    else
      os_buf_printf(&text, "{\"v\":%d}\n", i);
  write_bytes(in_folder("mixed.ndjson"), text.data, text.len);
  os_buf_free(&text);
  for (int required = 0; required < 2; required++) {
    model_start(&model, 1000);
    model.jitter_ms = 1;
    struct load *load = load_new(&model);
    load->options.id_required = required;
    load_run(load, in_folder("mixed.ndjson"));
    assert_int_equal(model.count, 50 + (required ? 0 : 334));
    assert_int_equal(load->refusal_count, required ? 334 : 0);
    if (required) assert_string_equal(load->refusals[0].type, "id_missing");
    assert_string_equal(model_find(&model, "k49")->document, "{\"v\":949}"); /* 999 has no id */
    all_acknowledged(load);
    load_free(load);
    model_stop(&model);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_last_version_wins),
      cmocka_unit_test(small_batches),
      cmocka_unit_test(a_repetition_undoes_nothing),
      cmocka_unit_test(one_id_in_many_spellings),
      cmocka_unit_test(partial_updates),
      cmocka_unit_test(creates_with_repeated_ids),
      cmocka_unit_test(ids_in_some_records_only),
  };
  return cmocka_run_group_tests(tests, net_setup, net_teardown);
}
