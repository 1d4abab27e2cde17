/* net_signer_test.c - requests to an endpoint with a signer: waiting for it, its failure, a second signature; further
** headers of a request, and those of the answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "net/http.h"
#include "scripted_server.h"

/* ---- a signer that does as it is told ---- */

static struct told {
  struct os_signer base;
  atomic_int waits; /* answers WAIT so often; negative: for ever */
  atomic_int asked;
  atomic_bool fails, mends;
  atomic_int refusals;
  double date;
  unsigned serial; /* handed out last */
} told;

static enum os_sign_state told_sign(struct os_signer *signer, const struct os_sign_input *input,
                                    struct os_buf *lines, struct os_error *error) {
  struct told *self = (struct told *)(void *)signer;
  int asked = atomic_fetch_add(&self->asked, 1);
  if (atomic_load(&self->fails)) {
    os_fail(error, OS_ERR_AUTH, "no keys were found");
    return OS_SIGN_FAILED;
  }
  int waits = atomic_load(&self->waits);
  if (waits < 0 || asked < waits) return OS_SIGN_WAIT;
  *input->serial = ++self->serial;
  os_buf_printf(lines, "X-Signed: %s %s %zu %u\nX-Second: 2\n", input->method, strstr(input->url, "/at"),
                input->body_len, self->serial);
  return OS_SIGN_READY;
}

static bool told_refused(struct os_signer *signer, unsigned serial, const char *answer, size_t len,
                         double date) {
  struct told *self = (struct told *)(void *)signer;
  assert_int_equal(serial, self->serial);
  assert_memory_equal(answer, "old", len);
  self->date = date;
  atomic_fetch_add(&self->refusals, 1);
  return atomic_load(&self->mends);
}

static void told_free(struct os_signer *signer) {
  (void)signer;
}

static void told_redact(struct os_signer *signer, char *text) {
  (void)signer, (void)text;
}

static const struct os_signer_class told_class = {told_sign, told_refused, told_free, told_redact, NULL};

/* ---- fixture ---- */

static struct os_net *net;
static struct os_endpoint endpoint;
static char url[64];
static struct scripted_server server;
static struct os_error error;

static void wait_for(atomic_int *what, int value) {
  double until = os_clock_monotonic() + 20;
  while (atomic_load(what) != value && os_clock_monotonic() < until)
    os_clock_sleep_ms(5);
  assert_int_equal(atomic_load(what), value);
}

static void serve(void (*script)(struct visit *)) {
  server_start(&server, script, NULL);
  snprintf(url, sizeof url, "http://127.0.0.1:%d", server.port);
  memset(&endpoint, 0, sizeof endpoint);
  memset(&told, 0, sizeof told);
  atomic_init(&endpoint.references, 1);
  atomic_init(&told.base.references, 1);
  told.base.does = &told_class;
  endpoint.name = "main";
  endpoint.url = url;
  endpoint.signer = &told.base;
  endpoint.timeout = 10;
}

static int ask(struct os_http_call *call, const char *method, const char *path,
               const struct os_probe *probe) {
  os_http_call_init(call, &endpoint, method, path);
  os_error_clear(&error);
  return os_http_roundtrip(net, call, probe, &error);
}

static void finish(struct os_http_call *call) {
  os_http_call_free(call);
  server_stop(&server);
  wait_for(&endpoint.references, 1);
}

static int make_net(void **state) {
  (void)state;
  return os_net_new(&net, NULL, NULL);
}

static int free_net(void **state) {
  (void)state;
  os_net_free(net);
  return 0;
}

/* ---- scripts ---- */

static void echo(struct visit *visit) {
  while (visit_read(visit))
    visit_answer(visit, 200, "ETag:   \"a:b\" \r\nX-Empty:\r\n", "text/plain", visit->head);
}

static void refuse_once(struct visit *visit) {
  for (int i = 0; visit_read(visit); i++) {
    if (i == 0)
      visit_answer(visit, 403, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "text/plain", "old");
    else
      visit_answer(visit, 200, "", "text/plain", visit->head);
  }
}

static void refuse_always(struct visit *visit) {
  while (visit_read(visit))
    visit_answer(visit, 403, "", "text/plain", "old");
}

/* ---- tests ---- */

static void signs(void **state) {
  (void)state;
  struct os_http_call call;
  serve(echo);
  assert_int_equal(ask(&call, "GET", "/at?x=1", NULL), OS_OK);
  assert_non_null(strstr(call.answer.data, "\r\nX-Signed: GET /at?x=1 0 1\r\n"));
  assert_non_null(strstr(call.answer.data, "\r\nX-Second: 2\r\n"));
  finish(&call);
}

static void waits_for_keys(void **state) {
  (void)state;
  struct os_http_call call;
  serve(echo);
  atomic_store(&told.waits, 5);
  assert_int_equal(ask(&call, "GET", "/at", NULL), OS_OK);
  assert_int_equal(call.status, 200);
  assert_int_equal(atomic_load(&told.asked), 6);
  finish(&call);
}

static void keys_cannot_be_had(void **state) {
  (void)state;
  struct os_http_call call;
  serve(echo);
  atomic_store(&told.fails, true);
  assert_int_equal(ask(&call, "GET", "/at", NULL), OS_ERR_AUTH);
  assert_string_equal(error.text, "no keys were found");
  assert_false(call.maybe_sent);
  assert_int_equal(atomic_load(&server.visits), 0);
  finish(&call);
}

static bool after_a_while(void *ctx) {
  return os_clock_monotonic() > *(double *)ctx;
}

static void interrupted_while_waiting(void **state) {
  (void)state;
  struct os_http_call call;
  serve(echo);
  atomic_store(&told.waits, -1);
  double until = os_clock_monotonic() + 0.2;
  struct os_probe probe = {after_a_while, &until};
  assert_int_equal(ask(&call, "GET", "/at", &probe), OS_ERR_INTERRUPTED);
  finish(&call);
}

static void ends_while_waiting(void **state) {
  (void)state;
  struct os_http_call call;
  struct os_net *before = net;
  serve(echo);
  atomic_store(&told.waits, -1);
  double until = os_clock_monotonic() + 0.1;
  struct os_probe probe = {after_a_while, &until};
  assert_int_equal(os_net_new(&net, NULL, NULL), OS_OK);
  os_http_call_init(&call, &endpoint, "GET", "/at");
  assert_int_equal(os_http_roundtrip(net, &call, &probe, &error), OS_ERR_INTERRUPTED);
  os_net_free(net); /* nobody holds the endpoint any more */
  net = before;
  finish(&call);
}

static void signed_anew_once(void **state) {
  (void)state;
  struct os_http_call call;
  serve(refuse_once);
  atomic_store(&told.mends, true);
  assert_int_equal(ask(&call, "POST", "/at", NULL), OS_OK);
  assert_int_equal(call.status,
                   403); /* without a body each request has a connection of its own: always the first */
  assert_int_equal(atomic_load(&told.refusals), 1);
  os_http_call_free(&call);
  atomic_store(&told.refusals, 0);
  assert_int_equal(ask(&call, "GET", "/at", NULL), OS_OK);
  assert_int_equal(call.status, 200);
  assert_int_equal(atomic_load(&told.refusals), 1);
  assert_true(told.date > 784111776.5 && told.date < 784111777.5); /* RFC 9110, section 5.6.7 */
  assert_non_null(strstr(call.answer.data, "\r\nX-Signed: GET /at 0 4\r\n"));
  finish(&call);
}

static void not_mended(void **state) {
  (void)state;
  struct os_http_call call;
  serve(refuse_always);
  assert_int_equal(ask(&call, "GET", "/at", NULL), OS_OK);
  assert_int_equal(call.status, 403);
  assert_string_equal(call.answer.data, "old");
  assert_int_equal(atomic_load(&told.asked), 1);
  assert_int_equal(atomic_load(&told.refusals), 1);
  finish(&call);
}

static void headers_there_and_back(void **state) {
  (void)state;
  static const char *const lines[] = {"Range: bytes=0-9", "X-Amz-Meta-A: b", NULL};
  static const char *const bad[] = {"X: 1\r\nY: 2", NULL};
  struct os_http_call call;
  size_t len = 0;
  serve(echo);
  os_http_call_init(&call, &endpoint, "GET", "/at");
  call.headers = lines;
  call.keep_headers = true;
  assert_int_equal(os_http_roundtrip(net, &call, NULL, &error), OS_OK);
  assert_non_null(strstr(call.answer.data, "\r\nRange: bytes=0-9\r\n"));
  assert_non_null(strstr(call.answer.data, "\r\nX-Amz-Meta-A: b\r\n"));
  const char *tag = os_http_header(&call, "etag", &len);
  assert_int_equal(len, 5);
  assert_memory_equal(tag, "\"a:b\"", 5);
  assert_non_null(os_http_header(&call, "x-empty", &len));
  assert_int_equal(len, 0);
  assert_null(os_http_header(&call, "etagg", &len));
  assert_null(os_http_header(&call, "eta", &len));
  os_http_call_free(&call);
  os_http_call_init(&call, &endpoint, "GET", "/at");
  call.headers = bad;
  assert_int_not_equal(os_http_roundtrip(net, &call, NULL, &error), OS_OK);
  finish(&call);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(signs),
      cmocka_unit_test(waits_for_keys),
      cmocka_unit_test(keys_cannot_be_had),
      cmocka_unit_test(interrupted_while_waiting),
      cmocka_unit_test(ends_while_waiting),
      cmocka_unit_test(signed_anew_once),
      cmocka_unit_test(not_mended),
      cmocka_unit_test(headers_there_and_back),
  };
  return cmocka_run_group_tests_name("net/signer", tests, make_net, free_net);
}
