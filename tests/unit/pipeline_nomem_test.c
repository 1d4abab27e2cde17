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

static int refuse_a_record(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)m, (void)number;
  return memmem(body, len, "\"a\":13", 6) ? 400 : PLAY;
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
  assert_in_range(n, 50, 4999);
  assert_true(failed > 40);
  assert_true(complete >= 2);
}

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
      cmocka_unit_test(no_memory_any_more),
  };
  return cmocka_run_group_tests(tests, net_setup, net_teardown);
}
