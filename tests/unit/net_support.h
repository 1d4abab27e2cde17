/* net_support.h - what the tests of requests share: a network thread, an endpoint whose references they count, a call
** against a scripted server, and the simplest of its scripts.
*/
#ifndef NET_SUPPORT_H
#define NET_SUPPORT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/clock.h"
#include "net/http.h"
#include "scripted_server.h"

static struct os_net *net;
static struct os_endpoint endpoint; /* never freed: the tests look at its count of references */
static char url[64];

static void wait_for(atomic_int *what, int value) {
  double until = os_clock_monotonic() + 20;
  while (atomic_load(what) != value && os_clock_monotonic() < until)
    os_clock_sleep_ms(5);
  assert_int_equal(atomic_load(what), value);
}

static void point_at(const char *scheme, int port) {
  if (endpoint.url)
    wait_for(&endpoint.references, 1); /* the network thread lets go a moment after the answer */
  snprintf(url, sizeof url, "%s://127.0.0.1:%d", scheme, port);
  memset(&endpoint, 0, sizeof endpoint);
  atomic_init(&endpoint.references, 1);
  endpoint.name = "main";
  endpoint.url = url;
  endpoint.auth = OS_AUTH_NONE;
  endpoint.verify_ssl = endpoint.verify_hostname = true;
  endpoint.compress = OS_COMPRESS_AUTO;
  endpoint.timeout = 10;
}

static int make_net(void **state) {
  (void)state;
  static const char *const proxies[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY",  "no_proxy",    "NO_PROXY"};
  for (size_t i = 0; i < sizeof proxies / sizeof *proxies; i++)
    unsetenv(proxies[i]);
  return os_net_new(&net, NULL, NULL);
}

static int free_net(void **state) {
  (void)state;
  os_net_free(net);
  net = NULL;
  return 0;
}

/* One call against a server that runs `script`; the server is stopped, the call is the caller's to free. */
static struct os_error error;
static struct scripted_server server;

static int ask(struct os_http_call *call, const char *method, const char *path, const char *body) {
  os_http_call_init(call, &endpoint, method, path);
  call->body = body;
  call->body_len = body ? strlen(body) : 0;
  os_error_clear(&error);
  int rc = os_http_roundtrip(net, call, NULL, &error);
  assert_int_equal(rc, error.code);
  assert_int_equal(rc, call->error.code);
  if (rc) assert_int_equal(call->status, 0);
  return rc;
}

/* ---- scripts ---- */

static void echo(struct visit *visit) {
  while (visit_read(visit)) {
    char body[MAX_REQUEST + 256];
    snprintf(body, sizeof body, "%s|%s", visit->head, visit->body);
    visit_answer(visit, 200, "", "text/plain; charset=UTF-8", body);
  }
}

static void never_answer(struct visit *visit) {
  while (visit_read(visit))
    continue;
}
#endif
