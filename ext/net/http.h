/* http.h - HTTP on libcurl: one network thread with one multi handle, requests posted to it from any
** thread.
**
** Knows nothing of OpenSearch. A request is described by a struct os_http_call, which belongs to the
** caller until it is started, to the network thread until `done` runs there, and to the caller again from
** then on. The thread blocks all signals. os_net_abandon() never joins: a resolver that hangs keeps the
** thread, which then ends by itself and is joined by os_net_reap_all() when the process's last connection
** closes. After fork() the child must not use an inherited os_net (os_net_is_ours() tells) and leaves it
** unclosed.
*/
#ifndef OS_NET_HTTP_H
#define OS_NET_HTTP_H
#include <stdbool.h>
#include <stdint.h>
#include "base/buffer.h"
#include "base/error.h"
#include "base/log.h"
#include "config/endpoint.h"

struct os_net;

struct os_http_call {
  /* request; all borrowed until done */
  struct os_endpoint *endpoint; /* held by reference while the call runs */
  const char *method;           /* GET, HEAD, POST, PUT, DELETE */
  const char *path; /* "/index/_bulk?x=y", already encoded; appended to endpoint->url. A blank, '#' or
                       control character in it is OS_ERR_ARGUMENT */
  const char *body; /* NULL: none */
  size_t body_len;
  const char *content_type; /* NULL: application/json */
  bool body_is_gzip;        /* body is compressed already: send Content-Encoding: gzip */
  const char *const
      *headers;      /* further ones, "Name: value", ending with NULL; signed where requests are signed */
  bool direct;       /* not through a proxy, whatever the environment says */
  bool raw_answer;   /* the body as it was stored: Content-Encoding is left undone */
  bool keep_headers; /* fill headers_answered */
  double timeout;    /* seconds for the whole request; 0: the endpoint's */
  size_t max_answer; /* bytes of answer accepted; 0: 64 MiB. More is OS_ERR_ANSWER */
  /* answer */
  int status;           /* 0: none */
  struct os_buf answer; /* initialised by os_http_call_init(), freed by os_http_call_free() */
  char content_type_answered[96];
  struct os_buf headers_answered; /* with keep_headers: "name: value\n" each, names in small letters; the last
                                     answer's, where a proxy gave one before */
  double retry_after;             /* seconds from Retry-After, or -1 */
  double date;                    /* the server's clock (header Date), seconds since 1970, or -1 */
  double seconds;                 /* whole duration */
  uint64_t bytes_sent, bytes_received;
  bool answer_too_large; /* the error is that there came more than max_answer bytes */
  bool maybe_sent;       /* the server may have seen the whole request (so its outcome is unknown on error).
                            libcurl never repeats such a request by itself: see transfer.c */
  struct os_error error; /* transport faults only; code OS_OK when there is a complete HTTP answer */
  /* completion, called on the network thread; may start, change and free the call */
  void (*done)(struct os_http_call *call);
  void *owner; /* for done() */
  /* private to net/ */
  struct os_http_transfer *transfer;
  struct os_http_call *next;
  bool waiting;      /* for its signer, or to be signed anew */
  bool signed_again; /* the signer got its second chance */
  unsigned signed_by;
};

void os_http_call_init(struct os_http_call *call, struct os_endpoint *endpoint, const char *method,
                       const char *path);
void os_http_call_free(struct os_http_call *call); /* not while it runs */
/* A header of the answer (keep_headers): its value and length, or NULL. name in small letters. */
const char *os_http_header(const struct os_http_call *call, const char *name, size_t *len);

/* Start the network thread. The log is held by reference. */
int os_net_new(struct os_net **out, struct os_log *log, struct os_error *error);
/* Stop: calls under way are cancelled (done runs with OS_ERR_CANCELLED), the thread is joined. Nobody who
** waits is forgotten: tasks posted before still run, and timers still armed run early, once; a call that
** is started meanwhile ends as OS_ERR_CANCELLED (os_net_stopping() tells). The last free joins abandoned
** ones too. */
void os_net_free(struct os_net *net);
/* Give up without waiting: as os_net_free(), but joined later. done() still runs for every call. */
void os_net_abandon(struct os_net *net);
/* Join abandoned threads, waiting up to a second for them; one that hangs longer is left to end by itself. */
void os_net_reap_all(void);
bool os_net_is_ours(const struct os_net *net); /* made by this process, not inherited by fork */

/* Any thread: run fn(arg) on the network thread, in order of posting. `task` is storage that the caller
** keeps alive until fn has run. False when the thread is stopping (fn will not run). */
struct os_net_task {
  struct os_net_task *next;
  void (*fn)(void *arg);
  void *arg;
};
bool os_net_post(struct os_net *net, struct os_net_task *task);
bool os_net_stopping(struct os_net *net); /* any thread: freed or abandoned */
/* Network thread only: start a call; done() is always called later, never from within. */
void os_net_start(struct os_net *net, struct os_http_call *call);
/* Network thread only: run fn(arg) after `seconds`; storage as above; cancelled by os_net_timer_stop(). */
struct os_net_timer {
  struct os_net_timer *next;
  double due;
  void (*fn)(void *arg);
  void *arg;
  bool armed;
};
void os_net_timer_start(struct os_net *net, struct os_net_timer *timer, double seconds);
void os_net_timer_stop(struct os_net *net, struct os_net_timer *timer);
/* Network thread only: cancel a call that runs; done() runs with OS_ERR_CANCELLED, later, never from
** within. Nothing happens when the call has ended already. */
void os_net_cancel(struct os_net *net, struct os_http_call *call);

/* Is the command being interrupted? Called about every 50 ms while waiting; keeper's thread. */
struct os_probe {
  bool (*interrupted)(void *ctx);
  void *ctx;
};

/* Keeper's thread: do one call and wait for it. Returns OS_OK when an HTTP answer arrived (whatever its
** status; see call->status), else the transport error; OS_ERR_INTERRUPTED within 100 ms of an
** interruption, in which case the call was handed to the network thread for good: *call is re-initialised
** and may be freed. */
int os_http_roundtrip(struct os_net *net, struct os_http_call *call, const struct os_probe *probe,
                      struct os_error *error);

/* Any thread: do a call for which nobody waits. A copy of it travels; its answer is dropped. False: no memory, or the
** network thread is stopping. */
bool os_http_send(struct os_net *net, const struct os_http_call *call);

/* Percent-encode one path segment or query value (RFC 3986 unreserved stay; '/' is encoded). */
void os_url_encode(struct os_buf *out, const char *text, size_t len);
#endif
