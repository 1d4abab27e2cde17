/* fetch.c - see fetch.h.
**
** A ring of ranges: the reader empties the first, the network thread fills all of them. Under `lock`: the
** ring's places, what is next, which ranges are ready. What a range needs while it is under way belongs to
** the network thread. Counted: by the reader, by each range under way, and by the task on its way to the
** network thread; the last one frees it.
*/
#include "aws/s3/fetch.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include "aws/s3/address.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/cond.h"
#include "base/text.h"
#include "net/retry.h"

enum { WAIT_MS = 50, FAULT_ANSWER = 64 << 10 };
static const double retry_base = 0.1, retry_cap = 10; /* seconds */

struct range {
  struct os_s3_fetch *fetch;
  uint64_t from;
  size_t len;
  struct os_buf data; /* what arrived of it */
  size_t taken;       /* by the reader */
  bool ready;         /* under lock: all is there, or error says why not */
  struct os_error error;
  /* network thread */
  struct os_http_call call;
  struct os_net_timer timer;
  bool calling;
  int attempt; /* requests in a row that brought nothing */
  char span[64];
  const char *headers[OS_S3_HEADERS];
};

struct os_s3_fetch {
  atomic_int references;
  struct os_s3_bucket *bucket;
  char *key, *path, *if_match;
  pthread_mutex_t lock;
  pthread_cond_t arrived;
  /* under lock */
  struct range ranges[OS_S3_RANGES];
  size_t first, count; /* of the ring: from the reader's place on */
  uint64_t next, end;  /* next: where the next range begins */
  size_t next_len;
  bool reading, failed, closed, posted;
  struct os_net_task task;
};

/* ---- life ---- */

static void unref(struct os_s3_fetch *fetch) {
  if (atomic_fetch_sub(&fetch->references, 1) != 1) return;
  for (size_t i = 0; i < OS_S3_RANGES; i++)
    os_buf_free(&fetch->ranges[i].data);
  pthread_cond_destroy(&fetch->arrived);
  pthread_mutex_destroy(&fetch->lock);
  os_s3_bucket_unref(fetch->bucket);
  os_free(fetch->key);
  os_free(fetch->path);
  os_free(fetch->if_match);
  os_free(fetch);
}

/* ---- a range under way (network thread) ---- */

static void start_call(struct range *range);

static bool is_closed(struct os_s3_fetch *fetch) {
  pthread_mutex_lock(&fetch->lock);
  bool closed = fetch->closed;
  pthread_mutex_unlock(&fetch->lock);
  return closed;
}

/* The range is ready, or will never be (range->error). */
static void end_range(struct range *range) {
  struct os_s3_fetch *fetch = range->fetch;
  os_http_call_free(&range->call);
  pthread_mutex_lock(&fetch->lock);
  range->ready = true;
  if (range->error.code) fetch->failed = true;
  pthread_cond_signal(&fetch->arrived);
  pthread_mutex_unlock(&fetch->lock);
  unref(fetch);
}

/* "bytes 100-199/500" begins where it was asked to. */
static bool is_asked_for(const struct os_http_call *call, uint64_t from, bool whole) {
  char start[32];
  size_t len = 0;
  if (call->status == 200) return whole; /* Range was passed over, as RFC 9110 section 14.2 allows */
  const char *range = os_http_header(call, "content-range", &len);
  snprintf(start, sizeof start, "bytes %llu-", (unsigned long long)from);
  return call->status == 206 && range && len > strlen(start) && !memcmp(range, start, strlen(start));
}

/* Bytes of the answer count also when it was cut short. False: no memory. */
static bool take_bytes(struct range *range, size_t *arrived) {
  struct os_http_call *call = &range->call;
  uint64_t from = range->from + range->data.len;
  bool whole = range->from == 0 && !range->data.len && range->len == range->fetch->end;
  *arrived = 0;
  if (!is_asked_for(call, from, whole)) return true;
  size_t left = range->len - range->data.len;
  *arrived = call->answer.len < left ? call->answer.len : left;
  if (!range->data.len) {
    struct os_buf empty = range->data;
    range->data = call->answer;
    range->data.len = *arrived;
    call->answer = empty;
  } else {
    os_buf_append(&range->data, call->answer.data, *arrived);
  }
  return !range->data.failed;
}

static void replaced(const struct range *range, struct os_error *error) {
  const struct os_s3_fetch *fetch = range->fetch;
  os_fail(error, OS_ERR_CONFLICT, "s3://%s/%s was replaced while it was read", fetch->bucket->name,
          fetch->key);
  os_advise(error,
            "load it again when nothing writes to it any more; what was read before is the old content");
}

/* Some servers pass If-Match over. */
static bool is_other_content(const struct range *range) {
  const struct os_http_call *call = &range->call;
  const char *planned = strchr(range->fetch->if_match, '"') + 1;
  size_t len = 0, planned_len = strlen(planned) - 1;
  const char *etag = os_http_header(call, "etag", &len);
  if (call->status >= 300 || !etag) return false;
  if (len >= 2 && etag[0] == '"') {
    etag++;
    len -= 2;
  }
  return len != planned_len || memcmp(etag, planned, len) != 0;
}

static bool transport_passes(enum os_code code) {
  return code == OS_ERR_NETWORK || code == OS_ERR_TIMEOUT || code == OS_ERR_ANSWER;
}

static void deleted(const struct range *range, struct os_error *error) {
  const struct os_s3_fetch *fetch = range->fetch;
  os_fail(error, OS_ERR_NOT_FOUND, "s3://%s/%s was deleted before it was read to its end",
          fetch->bucket->name, fetch->key);
}

/* What kept the range from being whole; true: it may pass. *error is filled. */
static bool explain(struct range *range, struct os_error *error) {
  const struct os_s3_fetch *fetch = range->fetch;
  struct os_http_call *call = &range->call;
  os_error_clear(error);
  if (call->error.code) {
    *error = call->error;
    os_error_prefix(error, "reading s3://%s/%s", fetch->bucket->name, fetch->key);
    return transport_passes(call->error.code);
  }
  if (call->status == 206 || call->status == 200) {
    os_fail(error, OS_ERR_ANSWER,
            "s3://%s/%s: %zu of %zu bytes from %llu on came, and they are not what was asked for",
            fetch->bucket->name, fetch->key, range->data.len, range->len, (unsigned long long)range->from);
    os_advise(error, "does the server know the header Range?");
    return call->status == 206;
  }
  struct os_aws_fault fault;
  os_aws_fault_read(call, &fault);
  if (call->status == 412)
    replaced(range, error);
  else if (call->status == 404 && strcmp(fault.code, "NoSuchBucket") != 0)
    deleted(range, error);
  else
    os_s3_fail(call, fetch->bucket, fetch->key, error);
  return os_aws_fault_passes(call->status, &fault);
}

static void try_again(void *arg) {
  struct range *range = arg;
  start_call(range);
}

static void wait_and_try_again(struct range *range, double retry_after, const struct os_error *why) {
  struct os_s3_fetch *fetch = range->fetch;
  double delay = os_retry_delay(range->attempt, retry_base, retry_cap, retry_after, os_random_unit());
  if (fetch->bucket->log)
    os_log_write(fetch->bucket->log, OS_LOG_INFO, "%s; trying again (%d) in %ld ms", why->text,
                 range->attempt, (long)(delay * 1000));
  range->timer = (struct os_net_timer){.fn = try_again, .arg = range};
  os_net_timer_start(fetch->bucket->net, &range->timer, delay);
}

static void call_done(struct os_http_call *call) {
  struct range *range = call->owner;
  size_t arrived = 0;
  range->calling = false;
  if (is_closed(range->fetch) || call->error.code == OS_ERR_CANCELLED) {
    os_fail(&range->error, OS_ERR_CANCELLED, "stopped");
    end_range(range);
    return;
  }
  if (is_other_content(range)) {
    replaced(range, &range->error);
    end_range(range);
    return;
  }
  if (!take_bytes(range, &arrived)) {
    os_fail_nomem(&range->error);
    end_range(range);
    return;
  }
  if (range->data.len == range->len) {
    end_range(range);
    return;
  }
  struct os_error why;
  bool passes = explain(range, &why);
  range->attempt = arrived ? 1 : range->attempt + 1;
  if (!passes || range->attempt > range->fetch->bucket->endpoint->max_retries) {
    range->error = why;
    end_range(range);
    return;
  }
  double retry_after = call->retry_after;
  os_http_call_free(call);
  wait_and_try_again(range, retry_after, &why);
}

/* The rest of the range. */
static void start_call(struct range *range) {
  struct os_s3_fetch *fetch = range->fetch;
  uint64_t from = range->from + range->data.len;
  size_t left = range->len - range->data.len;
  snprintf(range->span, sizeof range->span, "Range: bytes=%llu-%llu", (unsigned long long)from,
           (unsigned long long)(range->from + range->len - 1));
  range->headers[0] = range->span;
  range->headers[1] = fetch->if_match;
  os_s3_put_headers(fetch->bucket, range->headers, 2);
  os_http_call_init(&range->call, fetch->bucket->endpoint, "GET", fetch->path);
  range->call.headers = range->headers;
  range->call.raw_answer = true;
  range->call.keep_headers = true;
  range->call.max_answer = left > FAULT_ANSWER ? left : FAULT_ANSWER;
  range->call.done = call_done;
  range->call.owner = range;
  os_buf_reserve(&range->call.answer, left); /* at once, and no more; without memory the answer will say so */
  range->call.answer.failed = false;
  range->calling = true;
  os_net_start(fetch->bucket->net, &range->call);
}

/* ---- the ring ---- */

/* Under lock: the next range, or NULL when there is no place or nothing more to fetch. */
static struct range *next_range(struct os_s3_fetch *fetch) {
  size_t most = fetch->reading ? OS_S3_RANGES : 1;
  if (fetch->closed || fetch->failed || fetch->count >= most || fetch->next >= fetch->end) return NULL;
  struct range *range = &fetch->ranges[(fetch->first + fetch->count++) % OS_S3_RANGES];
  uint64_t left = fetch->end - fetch->next;
  range->from = fetch->next;
  range->len = left < fetch->next_len ? (size_t)left : fetch->next_len;
  range->taken = 0;
  range->attempt = 0;
  range->ready = false;
  os_error_clear(&range->error);
  fetch->next += range->len;
  fetch->next_len = OS_S3_RANGE;
  atomic_fetch_add(&fetch->references, 1);
  return range;
}

static void cancel_all(struct os_s3_fetch *fetch) {
  for (size_t i = 0; i < OS_S3_RANGES; i++) {
    struct range *range = &fetch->ranges[i];
    if (range->calling) {
      os_net_cancel(fetch->bucket->net, &range->call);
    } else if (range->timer.armed) {
      os_net_timer_stop(fetch->bucket->net, &range->timer);
      os_fail(&range->error, OS_ERR_CANCELLED, "stopped");
      end_range(range);
    }
  }
}

/* Network thread: do what the ring's state asks for. */
static void look(void *arg) {
  struct os_s3_fetch *fetch = arg;
  for (;;) {
    pthread_mutex_lock(&fetch->lock);
    struct range *range = next_range(fetch);
    bool closed = fetch->closed;
    if (!range) fetch->posted = false;
    pthread_mutex_unlock(&fetch->lock);
    if (closed) cancel_all(fetch);
    if (!range) break;
    start_call(range);
  }
  unref(fetch);
}

/* Under lock: let the network thread look. False: it is stopping. */
static bool post(struct os_s3_fetch *fetch) {
  if (fetch->posted) return true;
  atomic_fetch_add(&fetch->references, 1);
  fetch->posted = true;
  if (os_net_post(fetch->bucket->net, &fetch->task)) return true;
  fetch->posted = false;
  atomic_fetch_sub(&fetch->references, 1);
  return false;
}

/* ---- the reader's side ---- */

size_t os_s3_fetch_most(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur / 8 >= OS_S3_MOST_OBJECTS)
    return OS_S3_MOST_OBJECTS;
  return files.rlim_cur < 16 ? 1 : (size_t)files.rlim_cur / 8;
}

static int stopping(struct os_error *error) {
  return os_fail(error, OS_ERR_CANCELLED, "the network thread is stopping");
}

static struct os_s3_fetch *make(const struct os_s3_want *want) {
  struct os_s3_fetch *fetch = os_calloc(1, sizeof *fetch);
  struct os_buf path;
  if (!fetch) return NULL;
  atomic_init(&fetch->references, 1);
  os_cond_init(&fetch->arrived);
  pthread_mutex_init(&fetch->lock, NULL);
  os_buf_init(&path, 0);
  os_s3_put_path(&path, want->bucket->name, want->bucket->in_host, want->key);
  fetch->bucket = os_s3_bucket_ref(want->bucket);
  fetch->key = os_strdup(want->key);
  fetch->path = os_buf_take(&path);
  fetch->if_match = os_mprintf("If-Match: \"%s\"", want->etag);
  fetch->next = want->from;
  fetch->end = want->end;
  fetch->next_len = want->first;
  fetch->task = (struct os_net_task){.fn = look, .arg = fetch};
  for (size_t i = 0; i < OS_S3_RANGES; i++) {
    fetch->ranges[i].fetch = fetch;
    os_buf_init(&fetch->ranges[i].data, 0);
  }
  if (fetch->key && fetch->path && fetch->if_match) return fetch;
  unref(fetch);
  return NULL;
}

int os_s3_fetch_open(struct os_s3_fetch **out, const struct os_s3_want *want, struct os_error *error) {
  struct os_s3_fetch *fetch = *out = make(want);
  if (!fetch) return os_fail_nomem(error);
  pthread_mutex_lock(&fetch->lock);
  bool posted = post(fetch);
  pthread_mutex_unlock(&fetch->lock);
  if (posted) return OS_OK;
  unref(fetch);
  *out = NULL;
  return stopping(error);
}

void os_s3_fetch_limit(struct os_s3_fetch *fetch, uint64_t end) {
  pthread_mutex_lock(&fetch->lock);
  if (end < fetch->end) fetch->end = end > fetch->next ? end : fetch->next;
  pthread_mutex_unlock(&fetch->lock);
}

void os_s3_fetch_close(struct os_s3_fetch *fetch) {
  if (!fetch) return;
  pthread_mutex_lock(&fetch->lock);
  fetch->closed = true;
  post(fetch); /* when it cannot be, the network thread is ending and cancels everything itself */
  pthread_mutex_unlock(&fetch->lock);
  unref(fetch);
}

/* Under lock, which is given up while waiting. */
static void wait_a_little(struct os_s3_fetch *fetch) {
  struct timespec until = os_cond_deadline(WAIT_MS / 1000.0);
  pthread_cond_timedwait(&fetch->arrived, &fetch->lock, &until);
}

static int check_stop(const atomic_bool *stop, const struct os_probe *probe, struct os_error *error) {
  if (stop && atomic_load_explicit(stop, memory_order_relaxed))
    return os_fail(error, OS_ERR_CANCELLED, "stopped");
  if (probe && probe->interrupted && probe->interrupted(probe->ctx))
    return os_fail(error, OS_ERR_INTERRUPTED, "interrupted");
  return OS_OK;
}

/* The range that is to be read, ready; NULL at the end. */
static int await(struct os_s3_fetch *fetch, const atomic_bool *stop, const struct os_probe *probe,
                 struct range **out, struct os_error *error) {
  int rc = OS_OK;
  *out = NULL;
  pthread_mutex_lock(&fetch->lock);
  if (!fetch->reading) {
    fetch->reading = true;
    if (!post(fetch)) rc = stopping(error);
  }
  while (!rc) {
    struct range *range = fetch->count ? &fetch->ranges[fetch->first] : NULL;
    if (range && range->ready) {
      *out = range;
      break;
    }
    if (!range && fetch->next >= fetch->end) break;
    wait_a_little(fetch);
    pthread_mutex_unlock(&fetch->lock); /* the probe may take its time */
    rc = check_stop(stop, probe, error);
    pthread_mutex_lock(&fetch->lock);
  }
  pthread_mutex_unlock(&fetch->lock);
  return rc;
}

/* The reader has all of it: its place is free. */
static int leave(struct os_s3_fetch *fetch, struct range *range, struct os_error *error) {
  os_buf_free(&range->data);
  pthread_mutex_lock(&fetch->lock);
  fetch->first = (fetch->first + 1) % OS_S3_RANGES;
  fetch->count--;
  bool more = fetch->next < fetch->end, posted = !more || post(fetch);
  pthread_mutex_unlock(&fetch->lock);
  return posted ? OS_OK : stopping(error);
}

int os_s3_fetch_read(struct os_s3_fetch *fetch, char *to, size_t want, size_t *got, const atomic_bool *stop,
                     const struct os_probe *probe, struct os_error *error) {
  struct range *range = NULL;
  *got = 0;
  int rc = await(fetch, stop, probe, &range, error);
  if (rc || !range) return rc;
  size_t there = range->data.len - range->taken;
  *got = there < want ? there : want;
  if (*got) memcpy(to, range->data.data + range->taken, *got);
  range->taken += *got;
  if (range->taken < range->len) {
    if (*got) return OS_OK;
    *error = range->error; /* behind the bytes that came before it */
    return (int)error->code;
  }
  return leave(fetch, range, error);
}
