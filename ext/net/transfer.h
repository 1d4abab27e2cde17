/* transfer.h - inside net/ only: one libcurl easy handle and what belongs to the request it carries.
**
** Network thread only. The loop (loop.c) keeps finished transfers in a pool, because an easy handle
** brings its buffers along; os_transfer_prepare() makes one ready for a call, os_transfer_finish() reads
** the outcome into the call and lets go of it.
*/
#ifndef OS_NET_TRANSFER_H
#define OS_NET_TRANSFER_H
#include <curl/curl.h>
#include "config/signer.h"
#include "net/http.h"

struct os_http_transfer {
  CURL *easy;
  struct curl_slist *headers;            /* of the request in hand */
  struct os_http_call *call;             /* borrowed while it runs */
  size_t body_at;                        /* bytes of the body that libcurl has taken */
  size_t max_answer;                     /* cap in force */
  char mark[32];                         /* X-Opaque-Id of the request in hand */
  bool foreign_answer;                   /* it came back with another mark */
  bool no_memory;                        /* the answer could not be kept */
  double started;                        /* os_clock_monotonic() */
  struct os_http_transfer *next, **link; /* in the list of running ones, or (next) in the pool */
  char detail[CURL_ERROR_SIZE];          /* libcurl's own words */
};

struct os_http_transfer *os_transfer_new(void); /* NULL: no memory */
void os_transfer_free(struct os_http_transfer *transfer);
/* Set every option for `call` and take a reference to its endpoint. Unless READY nothing is held; FAILED:
** call->error is set. WAIT: its signer has no keys yet. */
enum os_sign_state os_transfer_prepare(struct os_http_transfer *transfer, struct os_http_call *call);
/* The easy handle is out of the multi handle. Fills the call's answer side; cancelled: whatever the code. */
void os_transfer_finish(struct os_http_transfer *transfer, CURLcode code, bool cancelled);

/* headers.c: the headers of the request, the signature's last. */
enum os_sign_state os_transfer_set_headers(struct os_http_transfer *transfer, const char *url);
/* headers.c: CURLOPT_HEADERFUNCTION; ctx is the transfer. */
size_t os_transfer_take_header(char *line, size_t size, size_t count, void *ctx);

/* fault.c: say in call->error what went wrong and what to check. `sent`: see os_http_call.maybe_sent. */
void os_transfer_fault(const struct os_http_transfer *transfer, CURLcode code, bool sent);
#endif
