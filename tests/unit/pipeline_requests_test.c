/* pipeline_requests_test.c - the requests of a load: where they go, how large, how fast and in what form they are; and
** what an answer to a whole request, or none at all, means for it.
*/
#include "pipeline_keeper.h"

static struct bulk_model model;

static const char *make_records(const char *name, int count) {
  struct os_buf text;
  os_buf_init(&text, 0);
  for (int i = 0; i < count; i++)
    os_buf_printf(&text, "{\"v\":%d,\"w\":\"%02d\"}\n", 1000 + i, i % 100);
  write_bytes(in_folder(name), text.data, text.len);
  os_buf_free(&text);
  return in_folder(name);
}

/* ---- what a request looks like ---- */

static void the_target(void **state) {
  (void)state;
  static const struct {
    double timeout, endpoint_timeout;
    const char *query, *target;
    enum os_op op;
  } cases[] = {
      {0, 20, NULL, "_bulk?filter_path=took,errors,items.*.status,items.*.error&timeout=10000ms ",
       OS_OP_INDEX},
      {4, 20, "pipeline=p", "errors,items.*.status,items.*.error&timeout=2000ms&pipeline=p ", OS_OP_INDEX},
      {0, 600, "", "items.*.error,items.*.result&timeout=20000ms ", OS_OP_UPDATE},
  };
  const char *path = in_folder("target.ndjson");
  write_text(path, "{\"_id\":\"a\",\"v\":1}\n");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    model_start(&model, 10);
    struct load *load = load_new(&model);
    load->endpoint.timeout = cases[i].endpoint_timeout;
    load->options.timeout = cases[i].timeout;
    load->options.query = cases[i].query;
    load->options.op = cases[i].op;
    load->options.index = "a/b \xc3\xa4";
    load_run(load, path);
    if (!strstr(model.target, cases[i].target)) fail_msg("case %zu: %s", i, model.target);
    assert_memory_equal(model.target, "POST /a%2Fb%20%C3%A4/_bulk?", 27);
    load_free(load);
    model_stop(&model);
  }
}

/* Between machines bodies are compressed, if they are not small; on one machine that would only cost. */
static void which_bodies_are_compressed(void **state) {
  (void)state;
  static const struct {
    enum os_compress compress;
    const char *host;
    int records;
    bool compressed;
  } cases[] = {{OS_COMPRESS_ALWAYS, "127.0.0.1", 300, true}, {OS_COMPRESS_ALWAYS, "127.0.0.1", 20, false},
               {OS_COMPRESS_AUTO, "127.0.0.1", 300, false},  {OS_COMPRESS_AUTO, "0.0.0.0", 300, true},
               {OS_COMPRESS_AUTO, "0.0.0.0", 20, false},     {OS_COMPRESS_NEVER, "0.0.0.0", 300, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *path = make_records("form.ndjson", cases[i].records);
    model_start(&model, 400);
    struct load *load = load_new(&model);
    snprintf(load->url, sizeof load->url, "http://%s:%d", cases[i].host, model.server.port);
    load->endpoint.compress = cases[i].compress;
    load->options.batch_size = 1000;
    load_run(load, path);
    if (model.compressed != cases[i].compressed) fail_msg("case %zu: %d requests", i, model.compressed);
    assert_int_equal(model.count, cases[i].records);
    load_free(load);
    model_stop(&model);
  }
}

/* Of two rates the slower one holds. */
static void both_rates(void **state) {
  (void)state;
  const char *path = make_records("rates.ndjson", 400); /* about 33,000 bytes of bodies */
  for (int bytes = 0; bytes < 2; bytes++) {
    model_start(&model, 400);
    struct load *load = load_new(&model);
    load->options.max_docs_rate = bytes ? 100000 : 1000;
    load->options.max_bytes_rate = bytes ? 80000 : 10000000;
    double began = os_clock_monotonic();
    load_run(load, path);
    double seconds = os_clock_monotonic() - began;
    assert_true(seconds > 0.25 && seconds < 2.5); /* 0.4 s less what the first request may carry at once */
    assert_int_equal(model.count, 400);
    load_free(load);
    model_stop(&model);
  }
}

/* ---- answers to the whole request ---- */

static int status_of_some, from_request, to_request;

static int some_fail(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)m, (void)body, (void)len;
  return number >= from_request && number < to_request ? status_of_some : PLAY;
}

static void faults_that_stop_the_load(void **state) {
  (void)state;
  static const struct {
    int status;
    const char *type, *reason;
    enum os_code code;
  } cases[] = {
      {400, "illegal_argument_exception", "request [/i/_bulk] contains unrecognized parameter: [x]",
       OS_ERR_REFUSED},
      {400, "illegal_argument_exception", "pipeline with id [p] does not exist", OS_ERR_REFUSED},
      {403, "security_exception", "no permissions for [indices:data/write/bulk]", OS_ERR_FORBIDDEN},
      {404, "index_not_found_exception", "no such index [i]", OS_ERR_NOT_FOUND},
  };
  const char *path = make_records("stop.ndjson", 250);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    model_start(&model, 250);
    model.whole = some_fail;
    model.type = cases[i].type;
    model.reason = cases[i].reason;
    status_of_some = cases[i].status, from_request = 1, to_request = 100;
    struct load *load = load_new(&model);
    load->options.max_workers = 1;
    load_run(load, path);
    if (load->fault.code != cases[i].code) fail_msg("case %zu: %s", i, load->fault.text);
    assert_non_null(strstr(load->fault.text, cases[i].reason));
    assert_int_equal(load->fault.http_status, cases[i].status);
    assert_int_equal(load->records, 100); /* the first request's */
    assert_int_equal(load->refusal_count, 0);
    assert_int_equal(model.requests, 2);
    load_free(load);
    model_stop(&model);
  }
}

/* What passes is waited for: none of it is a refusal, none of it is lost. */
static void what_passes(void **state) {
  (void)state;
  static const struct {
    int status;
    const char *type;
    uint64_t unknown; /* documents of which nobody can say whether they were indexed */
  } cases[] = {{403, "cluster_block_exception", 0},
               {429, "rejected_execution_exception", 0},
               {500, "exception", 100},
               {504, "gateway_timeout", 100}};
  const char *path = make_records("pass.ndjson", 250);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    model_start(&model, 250);
    model.whole = some_fail;
    model.type = cases[i].type;
    status_of_some = cases[i].status, from_request = 1, to_request = 2;
    struct load *load = load_new(&model);
    load->options.max_workers = 1;
    load_run(load, path);
    if (load->outcomes[OS_CREATED] != 250) fail_msg("case %zu: %s", i, load->fault.text);
    assert_int_equal(load->retries, 1);
    assert_int_equal(load->unknown, cases[i].unknown);
    all_acknowledged(load);
    load_free(load);
    model_stop(&model);
  }
}

/* ---- no answer ---- */

enum { MOST_BYTES = 1500 };

static int cut_what_is_long(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)m, (void)number, (void)body;
  return len > MOST_BYTES ? CUT_BEFORE : PLAY;
}

/* A proxy that ends the connection in place of a 413: after two requests it is tried with fewer documents. */
static void a_server_that_cuts_what_is_too_large(void **state) {
  (void)state;
  const char *path = make_records("cut.ndjson", 80);
  model_start(&model, 80);
  model.whole = cut_what_is_long;
  struct load *load = load_new(&model);
  load->options.batch_size = 40; /* twice what goes through */
  load->options.max_workers = 1;
  load_run(load, path);
  assert_int_equal(load->outcomes[OS_CREATED], 80);
  assert_true(model.largest_done <= MOST_BYTES);
  assert_true(load->unknown >= 3 * 40);
  all_acknowledged(load);
  load_free(load);
  model_stop(&model);
}

static int cut_what_has_one(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)m, (void)number, (void)len;
  return strstr(body, "\"v\":1007,") ? CUT_BEFORE : PLAY;
}

/* A document alone cannot be cut into smaller pieces: no refusal, for nobody knows whose fault it is. */
static void a_document_that_is_always_cut(void **state) {
  (void)state;
  const char *path = make_records("one.ndjson", 8);
  model_start(&model, 80);
  model.whole = cut_what_has_one;
  struct load *load = load_new(&model);
  load->endpoint.max_retries = 4;
  load->options.batch_size = 1;
  load->options.max_workers = 1;
  load_run(load, path);
  assert_int_equal(load->fault.code, OS_ERR_NETWORK);
  assert_non_null(strstr(load->fault.text, "gave up after 5 attempts"));
  assert_int_equal(load->refusal_count, 0);
  assert_int_equal(load->records, 7);
  load_free(load);
  model_stop(&model);
}

/* Where nobody listens nothing was sent: a later conflict is not our own work. */
static void nobody_listens(void **state) {
  (void)state;
  const char *path = make_records("nobody.ndjson", 8);
  model_start(&model, 8);
  struct load *load = load_new(&model);
  snprintf(load->url, sizeof load->url, "http://127.0.0.1:1");
  load->endpoint.max_retries = 1;
  load_run(load, path);
  assert_int_equal(load->fault.code, OS_ERR_NETWORK);
  assert_int_equal(load->unknown, 0);
  assert_int_equal(load->requests, 2);
  load_free(load);
  model_stop(&model);
}

static void speak_plainly(struct visit *visit) {
  char first;
  if (read(visit->fd, &first, 1) == 1)
    visit_puts(visit, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
}

static void speak_nonsense(struct visit *visit) {
  if (visit_read(visit)) visit_puts(visit, "220 mail.example.org ESMTP\r\n");
}

static void a_server_of_something_else(void **state) {
  (void)state;
  const char *path = make_records("mail.ndjson", 8);
  struct scripted_server mail;
  model_start(&model, 8);
  server_start(&mail, speak_nonsense, NULL);
  struct load *load = load_new(&model);
  snprintf(load->url, sizeof load->url, "http://127.0.0.1:%d", mail.port);
  load->endpoint.max_retries = 1;
  load_run(load, path);
  assert_int_equal(load->fault.code, OS_ERR_ANSWER);
  assert_int_equal(load->requests, 2);
  assert_int_equal(load->unknown, 16); /* who knows what it did with them */
  load_free(load);
  server_stop(&mail);
  model_stop(&model);
}

/* A fault of the connection that does not pass ends the load at once. */
static void a_server_without_tls(void **state) {
  (void)state;
  const char *path = make_records("tls.ndjson", 8);
  struct scripted_server plain;
  model_start(&model, 8);
  server_start(&plain, speak_plainly, NULL);
  struct load *load = load_new(&model);
  snprintf(load->url, sizeof load->url, "https://127.0.0.1:%d", plain.port);
  load->endpoint.verify_ssl = load->endpoint.verify_hostname = true;
  load_run(load, path);
  assert_int_equal(load->fault.code, OS_ERR_TLS);
  assert_int_equal(load->requests, 1);
  assert_int_equal(load->records, 0);
  load_free(load);
  server_stop(&plain);
  model_stop(&model);
}

/* ---- a stop while an answer is on its way ---- */

static int late_status;

static int answer_late(struct bulk_model *m, int number, const char *body, size_t len) {
  (void)number, (void)body, (void)len;
  atomic_fetch_add(&m->hanging, 1);
  return late_status;
}

/* The answer that comes then begins nothing new: what it leaves open goes back as it is. */
static void stopped_before_the_answer(void **state) {
  (void)state;
  static const int statuses[] = {413, 503, 400};
  const char *path = make_records("late.ndjson", 90);
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
    model_start(&model, 100);
    model.whole = answer_late;
    model.jitter_ms = 0;
    late_status = LATE + statuses[i];
    struct load *load = load_new(&model);
    assert_ok(load_plan(load, path, &test_error));
    assert_ok(load_start(load, &test_error));
    double until = os_clock_monotonic() + 10;
    while (!atomic_load(&model.hanging) && os_clock_monotonic() < until)
      os_clock_sleep_ms(2);
    os_pipeline_stop(load->pipeline);
    load_keep(load);
    assert_true(os_pipeline_release(load->pipeline, 1));
    assert_int_equal(model.requests, 1);
    assert_int_equal(load->unfinished, 1);
    assert_int_equal(load->records, 0);
    assert_int_equal(load->refusal_count, 0);
    assert_int_equal(load->fault.code, OS_OK);
    load_free(load);
    model_stop(&model);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_target),
      cmocka_unit_test(which_bodies_are_compressed),
      cmocka_unit_test(both_rates),
      cmocka_unit_test(faults_that_stop_the_load),
      cmocka_unit_test(what_passes),
      cmocka_unit_test(a_server_that_cuts_what_is_too_large),
      cmocka_unit_test(a_document_that_is_always_cut),
      cmocka_unit_test(nobody_listens),
      cmocka_unit_test(a_server_of_something_else),
      cmocka_unit_test(a_server_without_tls),
      cmocka_unit_test(stopped_before_the_answer),
  };
  return cmocka_run_group_tests(tests, net_setup, net_teardown);
}
