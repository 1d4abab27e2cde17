/* transfer.c - one request on one libcurl easy handle: options, body, answer.
**
** Network thread only. Calls libcurl and base/; knows nothing of the loop that runs it.
**
** The body is offered through a read callback and cannot be rewound, although it lies in memory: libcurl
** silently repeats a request whose reused connection dies before an answer (Curl_retry_request), also a
** POST that the server may have carried out. With a body that cannot be sent twice it reports the loss
** instead, and the caller, who knows whether repeating is safe, decides. Requests without a body that
** change something get a fresh connection for the same reason: libcurl never repeats on those.
*/
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "net/transfer.h"

#ifndef OS_VERSION
#define OS_VERSION "dev"
#endif

enum {
  DEFAULT_MAX_ANSWER = 64 << 20,
  RECEIVE_BUFFER = 256 << 10,
  UPLOAD_BUFFER = 1 << 20, /* one send() takes what the socket has room for; libcurl's default is 64 KiB */
  CONNECT_SECONDS = 10,
};

struct os_http_transfer *os_transfer_new(void) {
  struct os_http_transfer *transfer = os_calloc(1, sizeof *transfer);
  if (!transfer) return NULL;
  transfer->easy = curl_easy_init();
  if (!transfer->easy) {
    os_free(transfer);
    return NULL;
  }
  return transfer;
}

void os_transfer_free(struct os_http_transfer *transfer) {
  if (!transfer) return;
  curl_slist_free_all(transfer->headers);
  curl_easy_cleanup(transfer->easy);
  os_free(transfer);
}

/* ---- callbacks of libcurl ---- */

static size_t give_body(char *to, size_t size, size_t count, void *arg) {
  struct os_http_transfer *transfer = arg;
  const struct os_http_call *call = transfer->call;
  size_t room = size * count;
  size_t left = call->body_len - transfer->body_at;
  size_t n = left < room ? left : room;
  if (n) memcpy(to, call->body + transfer->body_at, n);
  transfer->body_at += n;
  return n;
}

static int refuse_rewind(void *arg, curl_off_t offset, int origin) {
  (void)arg, (void)offset, (void)origin;
  return CURL_SEEKFUNC_FAIL; /* see the head of this file */
}

static size_t take_answer(char *data, size_t size, size_t count, void *arg) {
  struct os_http_transfer *transfer = arg;
  struct os_buf *answer = &transfer->call->answer;
  size_t len = size * count;
  if (len > transfer->max_answer - answer->len) {
    transfer->call->answer_too_large = true;
    return 0; /* anything but len stops the transfer */
  }
  os_buf_append(answer, data, len);
  if (answer->failed) {
    transfer->no_memory = true;
    return 0;
  }
  return len;
}

/* ---- options ---- */

/* The first failure sticks, so that options read as a list. libcurl fails here for want of memory, or
** because it was built without what is asked for. */
#define SET(option, value)                                                                                   \
  do {                                                                                                       \
    if (code == CURLE_OK) code = curl_easy_setopt(easy, option, value);                                      \
  } while (0)

static const char *environment(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

static CURLcode set_tls(CURL *easy, const struct os_endpoint *endpoint) {
  CURLcode code = CURLE_OK;
  SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2); /* or newer */
  SET(CURLOPT_SSL_VERIFYPEER, endpoint->verify_ssl ? 1L : 0L);
  SET(CURLOPT_SSL_VERIFYHOST, endpoint->verify_ssl && endpoint->verify_hostname ? 2L : 0L);
  const char *bundle = endpoint->ca_bundle && *endpoint->ca_bundle ? endpoint->ca_bundle : NULL;
  if (!bundle) bundle = environment("CURL_CA_BUNDLE");
  if (!bundle) bundle = environment("SSL_CERT_FILE");
  if (bundle) SET(CURLOPT_CAINFO, bundle);
  return code;
}

static CURLcode set_credentials(CURL *easy, const struct os_endpoint *endpoint) {
  CURLcode code = CURLE_OK;
  if (endpoint->auth == OS_AUTH_NONE || endpoint->auth == OS_AUTH_IAM) return code;
  /* One method alone makes libcurl send it at once instead of asking first. */
  SET(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
  if (endpoint->auth == OS_AUTH_NETRC) {
    SET(CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
  } else {
    SET(CURLOPT_USERNAME, endpoint->username ? endpoint->username : "");
    SET(CURLOPT_PASSWORD, endpoint->password ? endpoint->password : "");
  }
  return code;
}

static CURLcode set_connection(CURL *easy, const struct os_http_call *call) {
  CURLcode code = CURLE_OK;
  double seconds = call->timeout > 0 ? call->timeout : call->endpoint->timeout;
  double longest = (double)(LONG_MAX / 2000);
  if (seconds > longest) seconds = longest;
  double connect_seconds = seconds > 0 && seconds < CONNECT_SECONDS ? seconds : CONNECT_SECONDS;
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_TIMEOUT_MS, seconds > 0 ? (long)(seconds * 1000) + 1 : 0L);
  SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(connect_seconds * 1000) + 1);
  SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(CURLOPT_TCP_NODELAY, 1L);
  SET(CURLOPT_TCP_KEEPALIVE, 1L);
  SET(CURLOPT_FOLLOWLOCATION, 0L); /* credentials go nowhere but to the endpoint */
#if LIBCURL_VERSION_NUM >= 0x075500
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
  SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  /* Sizes are wishes: libcurl clamps them, and refuses BUFFERSIZE on a handle that still has its buffer, as
  ** one does whose host name did not resolve. */
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER);
  curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER);
  return code;
}

static CURLcode set_method(CURL *easy, struct os_http_transfer *transfer) {
  CURLcode code = CURLE_OK;
  const struct os_http_call *call = transfer->call;
  bool reads = !strcmp(call->method, "GET") || !strcmp(call->method, "HEAD");
  if (call->body_len) {
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len);
    SET(CURLOPT_READFUNCTION, give_body);
    SET(CURLOPT_READDATA, transfer);
    SET(CURLOPT_SEEKFUNCTION, refuse_rewind);
    SET(CURLOPT_CUSTOMREQUEST, call->method);
  } else if (!strcmp(call->method, "HEAD")) {
    SET(CURLOPT_NOBODY, 1L);
  } else {
    if (!strcmp(call->method, "POST") || !strcmp(call->method, "PUT")) { /* Content-Length: 0 is wanted */
      SET(CURLOPT_POST, 1L);
      SET(CURLOPT_POSTFIELDS, "");
      SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
    }
    SET(CURLOPT_CUSTOMREQUEST, call->method);
  }
  if (!reads && !call->body_len) {
    SET(CURLOPT_FRESH_CONNECT, 1L);
    SET(CURLOPT_FORBID_REUSE, 1L); /* or idle connections would pile up */
  }
  return code;
}

static CURLcode set_url(CURL *easy, const struct os_buf *url) {
  CURLcode code = CURLE_OK;
  if (url->failed) return CURLE_OUT_OF_MEMORY;
  SET(CURLOPT_URL, url->data);
  SET(CURLOPT_PATH_AS_IS, 1L); /* ".." in a name is a name, not a way up */
  return code;
}

/* What libcurl would quietly read differently: a path without '/' would lengthen the host name, '#' would
** cut the rest off, and a blank or line break ends the request line. */
static bool check_request(struct os_http_call *call) {
  for (const char *m = call->method; *m; m++)
    if (*m < 'A' || *m > 'Z') {
      os_fail(&call->error, OS_ERR_ARGUMENT, "'%s' is not an HTTP method", call->method);
      os_advise(&call->error, "use GET, HEAD, POST, PUT or DELETE, in capitals");
      return false;
    }
  if (call->path[0] != '/') {
    os_fail(&call->error, OS_ERR_ARGUMENT, "the path '%s' does not begin with '/'", call->path);
    return false;
  }
  for (const char *p = call->path; *p; p++) {
    unsigned char byte = (unsigned char)*p;
    if (byte > ' ' && byte != 0x7f && byte != '#') continue;
    os_fail(&call->error, OS_ERR_ARGUMENT, "the path of the request has the character 0x%02x at position %ld",
            byte, (long)(p - call->path) + 1);
    os_advise(&call->error, "write it percent-encoded: %%%02X", byte);
    return false;
  }
  return true;
}

static void reset_answer(struct os_http_call *call) {
  os_buf_clear(&call->answer);
  os_buf_clear(&call->headers_answered);
  os_error_clear(&call->error);
  call->status = 0;
  call->date = -1;
  call->content_type_answered[0] = '\0';
  call->retry_after = -1;
  call->seconds = 0;
  call->bytes_sent = call->bytes_received = 0;
  call->maybe_sent = call->answer_too_large = false;
}

static CURLcode set_options(struct os_http_transfer *transfer, const struct os_buf *url) {
  CURL *easy = transfer->easy;
  const struct os_http_call *call = transfer->call;
  CURLcode code = CURLE_OK;
  SET(CURLOPT_PRIVATE, transfer);
  SET(CURLOPT_ERRORBUFFER, transfer->detail);
  SET(CURLOPT_WRITEFUNCTION, take_answer);
  SET(CURLOPT_WRITEDATA, transfer);
  SET(CURLOPT_HEADERFUNCTION, os_transfer_take_header);
  SET(CURLOPT_HEADERDATA, transfer);
  SET(CURLOPT_USERAGENT, "sqlite-opensearch/" OS_VERSION);
  if (call->direct) SET(CURLOPT_PROXY, ""); /* hides what the environment says */
  if (!call->raw_answer) SET(CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
  if (code == CURLE_OK) code = set_url(easy, url);
  if (code == CURLE_OK) code = set_connection(easy, call);
  if (code == CURLE_OK) code = set_tls(easy, call->endpoint);
  if (code == CURLE_OK) code = set_credentials(easy, call->endpoint);
  if (code == CURLE_OK) code = set_method(easy, transfer);
  return code;
}

static void let_go(struct os_http_transfer *transfer) {
  curl_slist_free_all(transfer->headers);
  transfer->headers = NULL;
  curl_easy_reset(transfer->easy); /* credentials do not stay in a pooled handle */
}

enum os_sign_state os_transfer_prepare(struct os_http_transfer *transfer, struct os_http_call *call) {
  struct os_buf url;
  reset_answer(call);
  transfer->call = call;
  transfer->body_at = 0;
  transfer->no_memory = transfer->foreign_answer = false;
  transfer->max_answer = call->max_answer ? call->max_answer : DEFAULT_MAX_ANSWER;
  transfer->started = os_clock_monotonic();
  transfer->detail[0] = '\0';
  if (!check_request(call)) return OS_SIGN_FAILED;

  os_buf_init(&url, 0);
  os_buf_puts(&url, call->endpoint->url);
  os_buf_puts(&url, call->path);
  curl_easy_reset(transfer->easy);
  enum os_sign_state state = OS_SIGN_FAILED;
  CURLcode code = set_options(transfer, &url);
  if (code != CURLE_OK)
    os_transfer_fault(transfer, code, false);
  else
    state = os_transfer_set_headers(transfer, url.data);
  os_buf_free(&url);
  if (state == OS_SIGN_READY)
    os_endpoint_ref(call->endpoint);
  else
    let_go(transfer);
  return state;
}

/* ---- the outcome ---- */

/* May the server have seen the request? With a body: libcurl asks for it only when connection, TLS and
** headers are through. Without: PRETRANSFER is reached on an established (and tunnelled) connection
** alone; REQUEST_SIZE counts what was written. */
static bool was_sent(const struct os_http_transfer *transfer) {
  long header_bytes = 0;
  curl_off_t ready = 0;
  if (transfer->call->body_len) return transfer->body_at > 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &header_bytes);
  curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &ready);
  return header_bytes > 0 && ready > 0;
}

static void read_figures(struct os_http_transfer *transfer) {
  struct os_http_call *call = transfer->call;
  CURL *easy = transfer->easy;
  long status = 0, request_size = 0, header_size = 0;
  curl_off_t up = 0, down = 0, retry_after = 0;
  const char *type = NULL;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &request_size);
  curl_easy_getinfo(easy, CURLINFO_HEADER_SIZE, &header_size);
  curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &up);
  curl_easy_getinfo(easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
  curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after); /* seconds also when the header is a date */
  curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
  call->status = (int)status;
  call->bytes_sent = (uint64_t)request_size + (uint64_t)up;
  call->bytes_received = (uint64_t)header_size + (uint64_t)down;
  call->retry_after = retry_after > 0 ? (double)retry_after : -1;
  call->seconds = os_clock_monotonic() - transfer->started;
  if (type) {
    size_t len = strlen(type), max = sizeof call->content_type_answered - 1;
    if (len > max) len = max;
    memcpy(call->content_type_answered, type, len);
    call->content_type_answered[len] = '\0';
  }
}

void os_transfer_finish(struct os_http_transfer *transfer, CURLcode code, bool cancelled) {
  struct os_http_call *call = transfer->call;
  struct os_endpoint *endpoint = call->endpoint;
  read_figures(transfer);
  bool complete = code == CURLE_OK && !cancelled && call->status >= 200;
  call->maybe_sent = complete || was_sent(transfer);
  if (cancelled) {
    os_fail(&call->error, OS_ERR_CANCELLED, "the request to %s was cancelled", endpoint->url);
  } else if (!complete) {
    os_transfer_fault(transfer, code == CURLE_OK ? CURLE_WEIRD_SERVER_REPLY : code, call->maybe_sent);
  }
  if (!complete) call->status = 0; /* half an answer is none */
  let_go(transfer);
  transfer->call = NULL;
  os_endpoint_unref(endpoint);
}
