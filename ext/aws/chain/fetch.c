/* fetch.c - one request of a source of keys, repeated where that helps.
**
** Calls base, config, net. The network thread is made with the first request of a fetch; credentials.c
** ends it.
*/
#include "aws/chain/fetch.h"
#include <string.h>
#include "aws/service.h"
#include "base/alloc.h"
#include "base/clock.h"

enum { LARGEST_ANSWER = 1 << 20, STEP_MS = 50 };
static const double PAUSE_S = 1;

bool os_fetch_stopped(const struct os_fetch *fetch) {
  return fetch->probe.interrupted && fetch->probe.interrupted(fetch->probe.ctx);
}

bool os_fetch_sleep(const struct os_fetch *fetch, double seconds) {
  double until = os_clock_monotonic() + seconds;
  while (!os_fetch_stopped(fetch)) {
    if (os_clock_monotonic() >= until) return true;
    os_clock_sleep_ms(STEP_MS);
  }
  return false;
}

static struct os_endpoint *make_endpoint(const struct os_fetch_request *request) {
  struct os_endpoint *endpoint = os_endpoint_new("main", request->url);
  if (!endpoint) return NULL;
  endpoint->ca_bundle = os_strdup(request->ca_bundle);
  endpoint->setting = request->setting;
  endpoint->signer = os_signer_ref(request->signer);
  endpoint->auth = OS_AUTH_NONE;
  endpoint->verify_ssl = endpoint->verify_hostname =
      true; /* keys travel here, whatever holds for the cluster */
  endpoint->compress = OS_COMPRESS_NEVER;
  endpoint->timeout = request->timeout;
  if (endpoint->ca_bundle || !request->ca_bundle) return endpoint;
  os_endpoint_unref(endpoint);
  return NULL;
}

static void fill_call(const struct os_fetch_request *request, struct os_http_call *call) {
  call->headers = request->headers;
  call->body = request->body;
  call->body_len = request->body ? strlen(request->body) : 0;
  call->content_type = request->content_type;
  call->direct = request->direct;
  call->timeout = request->timeout;
  call->max_answer = LARGEST_ANSWER;
}

static bool is_passing(int code, const struct os_http_call *call) {
  struct os_aws_fault fault;
  if (code) return code == OS_ERR_NETWORK;
  if (call->status < 400) return false;
  os_aws_fault_read(call, &fault);
  return os_aws_fault_passes(call->status, &fault);
}

/* "The outcome is unknown" is not what a missing answer means here, nor to whoever waits for keys to
** begin with. */
static int fail_silence(const struct os_fetch_request *request, struct os_error *error) {
  os_fail(error, OS_ERR_NETWORK, "no answer from %s within %d s", request->url,
          (int)(request->timeout + 0.999));
  os_advise(error, "check %s, the network and firewalls between", request->setting);
  return OS_ERR_NETWORK;
}

int os_fetch_http(struct os_fetch *fetch, const struct os_fetch_request *request, struct os_http_call *call,
                  struct os_error *error) {
  struct os_endpoint *endpoint = make_endpoint(request);
  int code = endpoint ? OS_OK : os_fail_nomem(error);
  os_http_call_init(call, endpoint, request->method, request->path);
  if (!code && !fetch->net) code = os_net_new(&fetch->net, fetch->log, error);
  for (int left = request->tries; !code; left--) {
    fill_call(request, call);
    code = os_http_roundtrip(fetch->net, call, &fetch->probe, error);
    fetch->hung = fetch->hung || code != OS_OK;
    if (code == OS_ERR_TIMEOUT) code = fail_silence(request, error);
    if (left <= 1 || !is_passing(code, call)) break;
    code = os_fetch_sleep(fetch, PAUSE_S) ? OS_OK : os_fail(error, OS_ERR_CANCELLED, "the session ended");
  }
  call->endpoint = NULL;
  os_endpoint_unref(endpoint);
  return code;
}

void os_fetch_done(struct os_http_call *call) {
  if (call->answer.data) explicit_bzero(call->answer.data, call->answer.len);
  os_http_call_free(call);
}
