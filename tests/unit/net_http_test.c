/* net_http_test.c - requests against servers that answer well, badly, slowly or not at all. */
#include "net_support.h"

static void says(const char *words) {
  if (!strstr(error.text, words) && !strstr(error.advice, words))
    fail_msg("'%s' is not in '%s; %s'", words, error.text, error.advice);
}

/* ---- good answers ---- */

static void plain_get(void **state) {
  (void)state;
  struct os_http_call call;
  server_start(&server, echo, NULL);
  point_at("http", server.port);
  assert_int_equal(ask(&call, "GET", "/a/../b?x=%20", NULL), OS_OK);
  assert_int_equal(call.status, 200);
  assert_string_equal(call.content_type_answered, "text/plain; charset=UTF-8");
  assert_true(call.maybe_sent);
  assert_true(call.retry_after < 0);
  assert_true(call.bytes_sent > 50 && call.bytes_received > 100);
  assert_memory_equal(call.answer.data, "GET /a/../b?x=%20 HTTP/1.1\r\n", 28);
  assert_non_null(strstr(call.answer.data, "\r\nUser-Agent: sqlite-opensearch/"));
  assert_non_null(strstr(call.answer.data, "\r\nAccept-Encoding: identity\r\n")); /* auto, on loopback */
  assert_null(strstr(call.answer.data, "Expect"));
  assert_null(strstr(call.answer.data, "Authorization"));
  assert_null(strstr(call.answer.data, "Content-"));
  os_http_call_free(&call);
  server_stop(&server);
  wait_for(&endpoint.references, 1);
}

static void posts_reuse_the_connection(void **state) {
  (void)state;
  struct os_http_call call;
  server_start(&server, echo, NULL);
  point_at("http", server.port);
  endpoint.auth = OS_AUTH_BASIC;
  endpoint.username = "adm:in"; /* a colon cannot be told from the separator by the server: sent as it is */
  endpoint.password = "p\xc3\xa4ss";
  endpoint.compress = OS_COMPRESS_ALWAYS;
  char body[4096];
  memset(body, 'x', sizeof body - 1);
  body[sizeof body - 1] = '\0';
  for (int i = 0; i < 3; i++) {
    assert_int_equal(ask(&call, i == 1 ? "PUT" : "POST", "/_bulk", body), OS_OK);
    assert_non_null(strstr(call.answer.data, "\r\nContent-Length: 4095\r\n"));
    assert_non_null(strstr(call.answer.data, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(call.answer.data, "\r\nAccept-Encoding: gzip, deflate\r\n"));
    assert_non_null(strstr(call.answer.data, "\r\nAuthorization: Basic YWRtOmluOnDDpHNz\r\n"));
    assert_null(strstr(call.answer.data, "Content-Encoding"));
    assert_null(strstr(call.answer.data, "Transfer-Encoding"));
    assert_string_equal(strchr(call.answer.data, '|') + 1, body);
    os_http_call_free(&call);
  }
  assert_int_equal(atomic_load(&server.visits), 1);
  server_stop(&server);
}

static void other_methods(void **state) {
  (void)state;
  struct os_http_call call;
  server_start(&server, echo, NULL);
  point_at("http", server.port);
  assert_int_equal(ask(&call, "HEAD", "/x", NULL), OS_OK);
  assert_int_equal(call.status, 200);
  assert_int_equal(call.answer.len, 0);
  os_http_call_free(&call);
  assert_int_equal(ask(&call, "DELETE", "/x", NULL), OS_OK);
  assert_memory_equal(call.answer.data, "DELETE /x ", 10);
  os_http_call_free(&call);
  assert_int_equal(ask(&call, "POST", "/x/_refresh", NULL), OS_OK);
  assert_non_null(strstr(call.answer.data, "\r\nContent-Length: 0\r\n"));
  os_http_call_free(&call);
  assert_int_equal(ask(&call, "GET", "/x/_search", "{}"), OS_OK);
  assert_memory_equal(call.answer.data, "GET /x/_search ", 15);
  assert_non_null(strstr(call.answer.data, "|{}"));
  os_http_call_free(&call);
  os_http_call_init(&call, &endpoint, "POST", "/_bulk");
  call.body = "zz";
  call.body_len = 2;
  call.body_is_gzip = true;
  call.content_type = "application/x-ndjson";
  assert_int_equal(os_http_roundtrip(net, &call, NULL, &error), OS_OK);
  assert_non_null(strstr(call.answer.data, "\r\nContent-Encoding: gzip\r\n"));
  assert_non_null(strstr(call.answer.data, "\r\nContent-Type: application/x-ndjson\r\n"));
  os_http_call_free(&call);
  server_stop(&server);
}

static const unsigned char zipped[] = {/* gzip of {"ok":true} */
                                       31, 139, 8,  0,  0,   0, 0, 0,   2,  3,   171, 86, 202, 207, 86, 178,
                                       42, 41,  42, 77, 173, 5, 0, 144, 95, 212, 167, 11, 0,   0,   0};

static void answer_gzip(struct visit *visit) {
  while (visit_read(visit)) {
    char head[128];
    bool cut = visit_asks(visit, "GET /damaged");
    snprintf(head, sizeof head,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: "
             "%zu\r\n\r\n",
             sizeof zipped);
    visit_puts(visit, head);
    unsigned char bytes[sizeof zipped];
    memcpy(bytes, zipped, sizeof bytes);
    if (cut) bytes[12] ^= 0xff, bytes[0] = 7;
    visit_write(visit, bytes, sizeof bytes);
  }
}

static void gzip_answers(void **state) {
  (void)state;
  struct os_http_call call;
  server_start(&server, answer_gzip, NULL);
  point_at("http", server.port);
  assert_int_equal(ask(&call, "GET", "/", NULL), OS_OK);
  assert_string_equal(call.answer.data, "{\"ok\":true}");
  os_http_call_free(&call);
  assert_int_equal(ask(&call, "GET", "/damaged", NULL), OS_ERR_ANSWER);
  os_http_call_free(&call);
  server_stop(&server);
}

static void answer_busy(struct visit *visit) {
  while (visit_read(visit))
    visit_answer(visit, 429, "Retry-After: 7\r\n", "application/json", "{}");
}

static void retry_after(void **state) {
  (void)state;
  struct os_http_call call;
  server_start(&server, answer_busy, NULL);
  point_at("http", server.port);
  assert_int_equal(ask(&call, "GET", "/", NULL), OS_OK); /* an answer is an answer */
  assert_int_equal(call.status, 429);
  assert_true(call.retry_after > 6.9 && call.retry_after < 7.1);
  os_http_call_free(&call);
  server_stop(&server);
}

/* ---- faults ---- */

static void nobody_listens(void **state) {
  (void)state;
  struct os_http_call call;
  server_start(&server, echo, NULL);
  int port = server.port;
  server_stop(&server);
  point_at("http", port);
  assert_int_equal(ask(&call, "POST", "/x", "{}"), OS_ERR_NETWORK);
  assert_false(call.maybe_sent);
  says("connection refused");
  says(url);
  says("OPENSEARCH_ENDPOINT");
  os_http_call_free(&call);
  endpoint.name = "old";
  assert_int_equal(ask(&call, "GET", "/x", NULL), OS_ERR_NETWORK);
  assert_false(call.maybe_sent);
  says("os_connect()");
  os_http_call_free(&call);
  endpoint.setting = "AWS_ENDPOINT_URL_S3"; /* a service is no cluster */
  assert_int_equal(ask(&call, "GET", "/x", NULL), OS_ERR_NETWORK);
  says("may this machine reach it");
  says("AWS_ENDPOINT_URL_S3");
  assert_null(strstr(error.advice, "cluster"));
  os_http_call_free(&call);
  endpoint.setting = NULL;
}

static void unknown_host(void **state) {
  (void)state;
  struct os_http_call call;
  point_at("http", 1);
  endpoint.url = "http://no-such-host.invalid:9200"; /* RFC 6761: never resolves */
  assert_int_equal(ask(&call, "GET", "/", NULL), OS_ERR_NETWORK);
  assert_false(call.maybe_sent);
  says("cannot reach http://no-such-host.invalid:9200");
  os_http_call_free(&call);
}

static void close_at_once(struct visit *visit) {
  (void)visit;
}

static void close_after_reading(struct visit *visit) {
  visit_read(visit);
}

static void cut_connections(void **state) {
  (void)state;
  struct os_http_call call;
  server_start(&server, close_at_once, NULL);
  point_at("http", server.port);
  assert_int_equal(ask(&call, "GET", "/", NULL), OS_ERR_NETWORK);
  os_http_call_free(&call);
  server_stop(&server);

  server_start(&server, close_after_reading, NULL);
  point_at("http", server.port);
  assert_int_equal(ask(&call, "POST", "/", "{}"), OS_ERR_NETWORK);
  assert_true(call.maybe_sent);
  says("closed the connection without an answer");
  says("https://");
  os_http_call_free(&call);
  assert_int_equal(ask(&call, "DELETE", "/x", NULL), OS_ERR_NETWORK);
  assert_true(call.maybe_sent);
  os_http_call_free(&call);
  server_stop(&server);
  assert_int_equal(atomic_load(&server.requests), 2);
}

/* The second request of a connection is read, carried out, and the connection dies without an answer. */
static void die_on_second(struct visit *visit) {
  if (!visit_read(visit)) return;
  visit_answer(visit, 200, "", "application/json", "{}");
  visit_read(visit);
}

static void libcurl_repeats_nothing_that_writes(void **state) {
  (void)state;
  static const struct {
    const char *method, *body;
  } writes[] = {{"POST", "{}"}, {"PUT", "{}"}, {"DELETE", "{}"}};
  for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
    struct os_http_call call;
    server_start(&server, die_on_second, NULL);
    point_at("http", server.port);
    assert_int_equal(ask(&call, "GET", "/", NULL), OS_OK);
    os_http_call_free(&call);
    assert_int_equal(ask(&call, writes[i].method, "/x", writes[i].body), OS_ERR_NETWORK);
    assert_true(call.maybe_sent);
    says("lost");
    os_http_call_free(&call);
    assert_int_equal(atomic_load(&server.requests), 2);
    server_stop(&server);
  }
  struct os_http_call call; /* without a body: a connection of its own, so never in that danger */
  server_start(&server, die_on_second, NULL);
  point_at("http", server.port);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(ask(&call, "DELETE", "/x", NULL), OS_OK);
    os_http_call_free(&call);
  }
  assert_int_equal(atomic_load(&server.requests), 3);
  server_stop(&server);
}

static void promise_more(struct visit *visit) {
  visit_read(visit);
  visit_puts(visit,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"took\":");
}

static void answer_cut_short(void **state) {
  (void)state;
  struct os_http_call call;
  server_start(&server, promise_more, NULL);
  point_at("http", server.port);
  assert_int_equal(ask(&call, "POST", "/_bulk", "{}\n"), OS_ERR_NETWORK);
  assert_true(call.maybe_sent);
  says("receiving the answer");
  os_http_call_free(&call);
  server_stop(&server);
}

static void talk_nonsense(struct visit *visit) {
  visit_read(visit);
  visit_puts(visit, "SSH-2.0-OpenSSH_9.2\r\n");
}

static void alert(struct visit *visit) { /* what a TLS server says to plain text */
  visit_read(visit);
  visit_write(visit, "\x15\x03\x01\x00\x02\x02\x46", 7);
}

static void no_http_answer(void **state) {
  (void)state;
  struct os_http_call call;
  void (*const scripts[])(struct visit *) = {talk_nonsense, alert};
  for (size_t i = 0; i < 2; i++) {
    server_start(&server, scripts[i], NULL);
    point_at("http", server.port);
    assert_int_equal(ask(&call, "GET", "/", NULL), OS_ERR_ANSWER);
    says("sent no HTTP answer");
    says("is it https?");
    os_http_call_free(&call);
    server_stop(&server);
  }
}

static void flood(struct visit *visit) {
  while (visit_read(visit)) {
    char block[4096];
    memset(block, 'x', sizeof block);
    visit_puts(visit, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n");
    while (visit_write(visit, block, sizeof block))
      continue;
  }
}

static void giant_answer(void **state) {
  (void)state;
  struct os_http_call call;
  server_start(&server, flood, NULL);
  point_at("http", server.port);
  os_http_call_init(&call, &endpoint, "GET", "/");
  call.max_answer = 100000;
  assert_int_equal(os_http_roundtrip(net, &call, NULL, &error), OS_ERR_ANSWER);
  says("larger than the 100000 bytes");
  assert_true(call.answer_too_large);
  assert_true(call.answer.len <= 100000);
  os_http_call_free(&call);
  server_stop(&server);
}

static void slow_answer(void **state) {
  (void)state;
  struct os_http_call call;
  server_start(&server, never_answer, NULL);
  point_at("http", server.port);
  endpoint.timeout = 0.2;
  assert_int_equal(ask(&call, "POST", "/x", "{}"), OS_ERR_TIMEOUT);
  assert_true(call.maybe_sent);
  assert_true(call.seconds > 0.15 && call.seconds < 5);
  says("waiting for the answer");
  says("REQUEST_TIMEOUT");
  os_http_call_free(&call);
  server_stop(&server);
}

static void requests_that_would_be_read_differently(void **state) {
  (void)state;
  struct os_http_call call;
  point_at("http", 9);
  static const char *const paths[] = {"@evil.example/", "", "/a#b", "/a b", "/a\r\nX: y", "/a\x7f"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    assert_int_equal(ask(&call, "GET", paths[i], NULL), OS_ERR_ARGUMENT);
    assert_false(call.maybe_sent);
    os_http_call_free(&call);
  }
  assert_int_equal(ask(&call, "GET / HTTP/1.1\r\nX:", "/", NULL), OS_ERR_ARGUMENT);
  os_http_call_free(&call);
  endpoint.url = "ftp://127.0.0.1:9";
  assert_int_equal(ask(&call, "GET", "/", NULL), OS_ERR_ARGUMENT);
  says("neither http:// nor https://");
  os_http_call_free(&call);
}

static void refuse_tunnel(struct visit *visit) {
  if (!visit_read(visit)) return;
  bool tunnel = !strncmp(visit->head, "CONNECT ", 8);
  visit_answer(visit, tunnel ? 502 : 200, "", "text/plain", visit->head);
}

static void proxies(void **state) {
  (void)state;
  struct os_http_call call;
  char proxy[64];
  server_start(&server, refuse_tunnel, NULL);
  snprintf(proxy, sizeof proxy, "http://u:secret@127.0.0.1:%d", server.port);
  setenv("http_proxy", proxy, 1);
  setenv("https_proxy", proxy, 1);
  point_at("http", 9);
  endpoint.url = "http://cluster.invalid:9200";
  assert_int_equal(ask(&call, "GET", "/x", NULL), OS_OK);
  assert_memory_equal(call.answer.data, "GET http://cluster.invalid:9200/x HTTP/1.1\r\n", 44);
  os_http_call_free(&call);
  endpoint.url = "https://cluster.invalid:9200";
  static const char *const bodies[] = {NULL, "{}"};
  for (int i = 0; i < 2; i++) {
    assert_int_equal(ask(&call, "POST", "/x", bodies[i]), OS_ERR_NETWORK);
    assert_false(call.maybe_sent);
    says("proxy");
    assert_null(strstr(error.text, "secret"));
    os_http_call_free(&call);
  }
  setenv("https_proxy", "gopher://u:secret@127.0.0.1:9", 1);
  assert_int_not_equal(ask(&call, "POST", "/x", NULL), OS_OK);
  assert_null(strstr(error.text, "secret"));
  os_http_call_free(&call);
  setenv("NO_PROXY", "127.0.0.1", 1);
  point_at("http", server.port);
  assert_int_equal(ask(&call, "GET", "/direct", NULL), OS_OK);
  assert_memory_equal(call.answer.data, "GET /direct HTTP/1.1\r\n", 22);
  os_http_call_free(&call);
  server_stop(&server);
  unsetenv("http_proxy");
  unsetenv("https_proxy");
  unsetenv("NO_PROXY");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_get),
      cmocka_unit_test(posts_reuse_the_connection),
      cmocka_unit_test(other_methods),
      cmocka_unit_test(gzip_answers),
      cmocka_unit_test(retry_after),
      cmocka_unit_test(nobody_listens),
      cmocka_unit_test(unknown_host),
      cmocka_unit_test(cut_connections),
      cmocka_unit_test(libcurl_repeats_nothing_that_writes),
      cmocka_unit_test(answer_cut_short),
      cmocka_unit_test(no_http_answer),
      cmocka_unit_test(giant_answer),
      cmocka_unit_test(slow_answer),
      cmocka_unit_test(requests_that_would_be_read_differently),
      cmocka_unit_test(proxies),
  };
  return cmocka_run_group_tests_name("net_http", tests, make_net, free_net);
}
