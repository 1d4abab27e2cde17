/* roundtrip.c - calls as values, and one call from the keeper's thread, with waiting or without.
**
** The request that travels is a private copy (struct trip), so that an interrupted keeper can walk away
** and free what it has while libcurl still reads: a resolver that hangs keeps the network thread for half
** a minute. The trip is counted: by the keeper, by the call on its way, and by the task that cancels it;
** the last one frees it.
*/
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include "base/alloc.h"
#include "base/cond.h"
#include "net/http.h"

enum { PROBE_MS = 50 };

struct trip {
  struct os_http_call call;
  struct os_net *net;
  struct os_net_task start, cancel;
  atomic_int references;
  pthread_mutex_t lock;
  pthread_cond_t arrived;
  bool done; /* guarded by lock */
  char *method, *path, *body, *content_type, **headers;
};

void os_http_call_init(struct os_http_call *call, struct os_endpoint *endpoint, const char *method,
                       const char *path) {
  memset(call, 0, sizeof *call);
  call->endpoint = endpoint;
  call->method = method;
  call->path = path;
  call->retry_after = -1;
  call->date = -1;
  os_buf_init(&call->answer, 0);
  os_buf_init(&call->headers_answered, 0);
}

void os_http_call_free(struct os_http_call *call) {
  os_buf_free(&call->answer);
  os_buf_free(&call->headers_answered);
}

static void trip_unref(struct trip *trip) {
  if (atomic_fetch_sub(&trip->references, 1) != 1) return;
  os_http_call_free(&trip->call);
  os_endpoint_unref(trip->call.endpoint);
  pthread_cond_destroy(&trip->arrived);
  pthread_mutex_destroy(&trip->lock);
  os_free(trip->method);
  os_free(trip->path);
  os_free(trip->body);
  os_free(trip->content_type);
  for (char **line = trip->headers; line && *line; line++)
    os_free(*line);
  os_free(trip->headers);
  os_free(trip);
}

/* ---- on the network thread ---- */

static void trip_start(void *arg) {
  struct trip *trip = arg;
  os_net_start(trip->net, &trip->call);
}

static void trip_cancel(void *arg) {
  struct trip *trip = arg;
  os_net_cancel(trip->net, &trip->call);
  trip_unref(trip);
}

static void trip_done(struct os_http_call *call) {
  struct trip *trip = call->owner;
  pthread_mutex_lock(&trip->lock);
  trip->done = true;
  pthread_cond_signal(&trip->arrived);
  pthread_mutex_unlock(&trip->lock);
  trip_unref(trip);
}

/* ---- on the keeper's thread ---- */

/* NULL: no memory. What is there of it is freed with the trip. */
static char **copy_lines(const char *const *lines) {
  size_t count = 0;
  while (lines[count])
    count++;
  char **copy = os_calloc(count + 1, sizeof *copy);
  for (size_t i = 0; copy && i < count; i++)
    if (!(copy[i] = os_strdup(lines[i]))) {
      while (i)
        os_free(copy[--i]);
      os_free(copy);
      return NULL;
    }
  return copy;
}

static struct trip *trip_new(struct os_net *net, const struct os_http_call *call) {
  struct trip *trip = os_calloc(1, sizeof *trip);
  if (!trip) return NULL;
  os_cond_init(&trip->arrived);
  pthread_mutex_init(&trip->lock, NULL);
  atomic_init(&trip->references, 1);
  trip->net = net;
  trip->method = os_strdup(call->method);
  trip->path = os_strdup(call->path);
  trip->body = call->body_len ? os_strndup(call->body, call->body_len) : NULL;
  trip->content_type = os_strdup(call->content_type);
  trip->headers = call->headers ? copy_lines(call->headers) : NULL;
  os_http_call_init(&trip->call, os_endpoint_ref(call->endpoint), trip->method, trip->path);
  if (!trip->method || !trip->path || (call->body_len && !trip->body) ||
      (call->content_type && !trip->content_type) || (call->headers && !trip->headers)) {
    trip_unref(trip);
    return NULL;
  }
  trip->call.body = trip->body;
  trip->call.body_len = call->body_len;
  trip->call.content_type = trip->content_type;
  trip->call.body_is_gzip = call->body_is_gzip;
  trip->call.headers = (const char *const *)trip->headers;
  trip->call.direct = call->direct;
  trip->call.raw_answer = call->raw_answer;
  trip->call.keep_headers = call->keep_headers;
  trip->call.timeout = call->timeout;
  trip->call.max_answer = call->max_answer;
  trip->call.done = trip_done;
  trip->call.owner = trip;
  trip->start = (struct os_net_task){.fn = trip_start, .arg = trip};
  trip->cancel = (struct os_net_task){.fn = trip_cancel, .arg = trip};
  return trip;
}

/* True when the answer is there, false after PROBE_MS. */
static bool wait_a_little(struct trip *trip) {
  struct timespec until = os_cond_deadline(PROBE_MS / 1000.0);
  pthread_mutex_lock(&trip->lock);
  while (!trip->done)
    if (pthread_cond_timedwait(&trip->arrived, &trip->lock, &until)) break;
  bool done = trip->done;
  pthread_mutex_unlock(&trip->lock);
  return done;
}

static bool interrupted(const struct os_probe *probe) {
  return probe && probe->interrupted && probe->interrupted(probe->ctx);
}

static void take_outcome(struct os_http_call *call, struct trip *trip) {
  struct os_buf answer = call->answer, headers = call->headers_answered;
  call->answer = trip->call.answer;
  call->headers_answered = trip->call.headers_answered;
  trip->call.answer = answer;
  trip->call.headers_answered = headers;
  call->status = trip->call.status;
  memcpy(call->content_type_answered, trip->call.content_type_answered, sizeof call->content_type_answered);
  call->retry_after = trip->call.retry_after;
  call->date = trip->call.date;
  call->seconds = trip->call.seconds;
  call->bytes_sent = trip->call.bytes_sent;
  call->bytes_received = trip->call.bytes_received;
  call->maybe_sent = trip->call.maybe_sent;
  call->answer_too_large = trip->call.answer_too_large;
  call->error = trip->call.error;
}

bool os_http_send(struct os_net *net, const struct os_http_call *call) {
  struct trip *trip = trip_new(net, call);
  if (!trip) return false;
  bool posted = os_net_post(net, &trip->start); /* the one reference is that of the call on its way */
  if (!posted) trip_unref(trip);
  return posted;
}

int os_http_roundtrip(struct os_net *net, struct os_http_call *call, const struct os_probe *probe,
                      struct os_error *error) {
  if (interrupted(probe)) return os_fail(error, OS_ERR_INTERRUPTED, "interrupted");
  struct trip *trip = trip_new(net, call);
  if (!trip) return os_fail_nomem(error);
  atomic_fetch_add(&trip->references, 1); /* for the call on its way */
  if (!os_net_post(net, &trip->start)) {
    trip_unref(trip);
    trip_unref(trip);
    return os_fail(error, OS_ERR_CANCELLED, "the network thread is stopping");
  }
  while (!wait_a_little(trip)) {
    if (!interrupted(probe)) continue;
    os_http_call_free(call);
    os_http_call_init(call, call->endpoint, call->method, call->path);
    call->maybe_sent = true;                /* nobody knows */
    atomic_fetch_add(&trip->references, 1); /* for the cancelling task */
    if (!os_net_post(net, &trip->cancel)) trip_unref(trip);
    trip_unref(trip);
    return os_fail(error, OS_ERR_INTERRUPTED, "interrupted");
  }
  take_outcome(call, trip);
  trip_unref(trip);
  if (call->error.code == OS_OK) return OS_OK;
  if (error) *error = call->error;
  return (int)call->error.code;
}
