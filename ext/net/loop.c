/* loop.c - the network thread: one multi handle, tasks posted from other threads, timers, calls.
**
** The thread owns the multi handle, the pool of transfers, the timers and the calls under way, and frees
** them before it ends; others only lock `lock` to post and to stop. Each round: tasks, due timers,
** libcurl, then the done() functions of what ended, always from here, so that a done() may start, cancel
** and free whatever it likes.
*/
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fork.h"
#include "base/thread.h"
#include "net/transfer.h"

enum {
  IDLE_MS = 60000,
  SIGNER_MS = 20 /* between looks at a signer without keys */,
  KEPT_CONNECTIONS = 160 /* objects of S3 come by up to 128 */
};
static const double REAP_SECONDS = 1;

struct os_net {
  pthread_t thread;
  pid_t pid; /* of the process that made it */
  CURLM *multi;
  struct os_log *log;   /* a reference */
  pthread_mutex_t lock; /* guards tasks, last_task, stopping, and the multi handle's life for wake-ups */
  struct os_net_task *tasks, **last_task;
  bool stopping;
  atomic_bool ended;   /* the thread has only to be joined */
  struct os_net *next; /* in the list of abandoned ones */
  /* network thread only */
  struct os_http_transfer *running, *pool;
  struct os_http_call *waiting;                   /* for their signers */
  struct os_http_call *ended_calls, **last_ended; /* done() is due */
  struct os_net_timer *timers;                    /* by due time */
};

/* ---- the process: libcurl's start, forks, abandoned threads ---- */

static pthread_mutex_t process_lock = PTHREAD_MUTEX_INITIALIZER; /* guards those below */
static bool curl_tried;
static CURLcode curl_started = CURLE_FAILED_INIT;
static struct os_net *abandoned;
static int in_use; /* made and neither freed nor abandoned */

static void before_fork(void) {
  pthread_mutex_lock(&process_lock);
}

static void after_fork_in_parent(void) {
  pthread_mutex_unlock(&process_lock);
}

static void after_fork_in_child(void) {
  abandoned = NULL; /* their threads live in the parent */
  in_use = 0;
  pthread_mutex_unlock(&process_lock);
}

/* Never undone: other code of the process may use libcurl too, and the extension stays loaded. */
static CURLcode start_process(void) {
  static const struct os_fork_part part = {before_fork, after_fork_in_parent, after_fork_in_child};
  os_fork_watch(&part);
  os_fork_hold();
  pthread_mutex_lock(&process_lock);
  if (!curl_tried) curl_started = curl_global_init(CURL_GLOBAL_DEFAULT);
  curl_tried = true;
  pthread_mutex_unlock(&process_lock);
  os_fork_let_go();
  return curl_started;
}

/* ---- calls (network thread) ---- */

static void end_call(struct os_net *net, struct os_http_call *call) {
  call->next = NULL;
  *net->last_ended = call;
  net->last_ended = &call->next;
}

static struct os_http_transfer *take_transfer(struct os_net *net) {
  struct os_http_transfer *transfer = net->pool;
  if (!transfer) return os_transfer_new();
  net->pool = transfer->next;
  return transfer;
}

static void give_transfer_back(struct os_net *net, struct os_http_transfer *transfer) {
  transfer->next = net->pool;
  net->pool = transfer;
}

/* A call that waits holds its endpoint itself; a transfer does so otherwise. */
static void put_waiting(struct os_net *net, struct os_http_call *call) {
  os_endpoint_ref(call->endpoint);
  call->waiting = true;
  call->next = net->waiting;
  net->waiting = call;
}

static void take_waiting(struct os_net *net, struct os_http_call *call) {
  struct os_http_call **at = &net->waiting;
  while (*at && *at != call)
    at = &(*at)->next;
  if (*at) *at = call->next;
  call->next = NULL;
  call->waiting = false;
}

static void cancel_before(struct os_net *net, struct os_http_call *call) {
  os_fail(&call->error, OS_ERR_CANCELLED, "the request to %s was cancelled", call->endpoint->url);
  end_call(net, call);
}

static void start_call(struct os_net *net, struct os_http_call *call) {
  struct os_http_transfer *transfer = take_transfer(net);
  if (!transfer) {
    os_fail_nomem(&call->error);
    end_call(net, call);
    return;
  }
  enum os_sign_state state = os_transfer_prepare(transfer, call);
  if (state != OS_SIGN_READY) {
    give_transfer_back(net, transfer);
    if (state == OS_SIGN_WAIT)
      put_waiting(net, call);
    else
      end_call(net, call);
    return;
  }
  if (curl_multi_add_handle(net->multi, transfer->easy) != CURLM_OK) {
    os_transfer_finish(transfer, CURLE_OUT_OF_MEMORY, false);
    give_transfer_back(net, transfer);
    end_call(net, call);
    return;
  }
  call->transfer = transfer;
  transfer->link = &net->running;
  transfer->next = net->running;
  if (transfer->next) transfer->next->link = &transfer->next;
  net->running = transfer;
}

void os_net_start(struct os_net *net, struct os_http_call *call) {
  call->transfer = NULL;
  call->maybe_sent = call->answer_too_large = call->waiting = call->signed_again = false;
  call->status = 0;
  os_error_clear(&call->error);
  if (os_net_stopping(net))
    cancel_before(net, call);
  else
    start_call(net, call);
}

/* Those that wait are asked for again, each once a round. */
static void start_waiting(struct os_net *net) {
  struct os_http_call *list = net->waiting;
  net->waiting = NULL;
  while (list) {
    struct os_http_call *call = list;
    struct os_endpoint *endpoint = call->endpoint;
    list = call->next;
    call->next = NULL;
    call->waiting = false;
    start_call(net, call);
    os_endpoint_unref(endpoint);
  }
}

/* Refused for what its signature says: sign it anew, once. It was not carried out. */
static bool sign_again(struct os_http_call *call, struct os_signer *signer) {
  bool refused = signer && call->error.code == OS_OK && call->status >= 400 && call->status <= 403;
  if (!refused || call->signed_again) return false;
  const char *answer = call->answer.data ? call->answer.data : "";
  call->signed_again = signer->does->refused(signer, call->signed_by, answer, call->answer.len, call->date);
  return call->signed_again;
}

static void finish_call(struct os_net *net, struct os_http_transfer *transfer, CURLcode code,
                        bool cancelled) {
  struct os_http_call *call = transfer->call;
  struct os_endpoint *endpoint = os_endpoint_ref(call->endpoint);
  *transfer->link = transfer->next;
  if (transfer->next) transfer->next->link = transfer->link;
  curl_multi_remove_handle(net->multi, transfer->easy);
  os_transfer_finish(transfer, code, cancelled);
  give_transfer_back(net, transfer);
  call->transfer = NULL;
  if (sign_again(call, endpoint->signer))
    put_waiting(net, call);
  else
    end_call(net, call);
  os_endpoint_unref(endpoint);
}

void os_net_cancel(struct os_net *net, struct os_http_call *call) {
  if (call->transfer) finish_call(net, call->transfer, CURLE_OK, true);
  if (!call->waiting) return;
  struct os_endpoint *endpoint = call->endpoint;
  take_waiting(net, call);
  cancel_before(net, call);
  os_endpoint_unref(endpoint);
}

static void collect_finished(struct os_net *net) {
  struct CURLMsg *message = NULL;
  int left = 0;
  while ((message = curl_multi_info_read(net->multi, &left))) {
    if (message->msg != CURLMSG_DONE) continue;
    CURLcode code = message->data.result; /* removing the handle ends the message's life */
    char *private = NULL;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
    finish_call(net, (struct os_http_transfer *)(void *)private, code, false);
  }
}

static void log_call(struct os_net *net, const struct os_http_call *call) {
  if (!net->log || !os_log_wants(net->log, OS_LOG_DEBUG)) return;
  if (call->error.code != OS_OK)
    os_log_write(net->log, OS_LOG_DEBUG, "%s %s%s: %s", call->method, call->endpoint->url, call->path,
                 call->error.text);
  else
    os_log_write(net->log, OS_LOG_DEBUG, "%s %s%s: %d in %ld ms, %llu bytes sent, %llu received",
                 call->method, call->endpoint->url, call->path, call->status, (long)(call->seconds * 1000),
                 (unsigned long long)call->bytes_sent, (unsigned long long)call->bytes_received);
}

static void run_done(struct os_net *net) {
  while (net->ended_calls) {
    struct os_http_call *call = net->ended_calls;
    net->ended_calls = call->next;
    if (!net->ended_calls) net->last_ended = &net->ended_calls;
    call->next = NULL;
    log_call(net, call);
    call->done(call); /* may free the call */
  }
}

/* ---- tasks and timers ---- */

bool os_net_post(struct os_net *net, struct os_net_task *task) {
  if (!os_net_is_ours(net)) return false;
  task->next = NULL;
  pthread_mutex_lock(&net->lock);
  bool accepted = !net->stopping;
  if (accepted) {
    *net->last_task = task;
    net->last_task = &task->next;
    /* Under the lock: once `stopping` is set the thread may take the multi handle away. */
    curl_multi_wakeup(net->multi);
  }
  pthread_mutex_unlock(&net->lock);
  return accepted;
}

bool os_net_stopping(struct os_net *net) {
  pthread_mutex_lock(&net->lock);
  bool stopping = net->stopping;
  pthread_mutex_unlock(&net->lock);
  return stopping;
}

static void run_tasks(struct os_net *net) {
  for (;;) {
    pthread_mutex_lock(&net->lock);
    struct os_net_task *task = net->tasks;
    if (task) {
      net->tasks = task->next;
      if (!net->tasks) net->last_task = &net->tasks;
    }
    pthread_mutex_unlock(&net->lock);
    if (!task) return;
    task->fn(task->arg); /* may free the task */
  }
}

void os_net_timer_start(struct os_net *net, struct os_net_timer *timer, double seconds) {
  os_net_timer_stop(net, timer);
  timer->due = os_clock_monotonic() + (seconds > 0 ? seconds : 0);
  timer->armed = true;
  struct os_net_timer **at = &net->timers;
  while (*at && (*at)->due <= timer->due)
    at = &(*at)->next;
  timer->next = *at;
  *at = timer;
}

void os_net_timer_stop(struct os_net *net, struct os_net_timer *timer) {
  if (!timer->armed) return;
  struct os_net_timer **at = &net->timers;
  while (*at && *at != timer)
    at = &(*at)->next;
  if (*at) *at = timer->next;
  timer->next = NULL;
  timer->armed = false;
}

/* `now` is fixed for the round, so that a timer armed again with 0 seconds cannot hold it up. */
static void run_timers(struct os_net *net, double now) {
  while (net->timers && net->timers->due <= now) {
    struct os_net_timer *timer = net->timers;
    net->timers = timer->next;
    timer->next = NULL;
    timer->armed = false;
    timer->fn(timer->arg); /* may free the timer */
  }
}

/* Milliseconds until there is something to do without libcurl. */
static int next_wait(const struct os_net *net) {
  int longest = net->waiting ? SIGNER_MS : IDLE_MS;
  if (net->ended_calls) return 0;
  if (!net->timers) return longest;
  double wait = (net->timers->due - os_clock_monotonic()) * 1000;
  if (wait <= 0) return 0;
  return wait >= longest ? longest : (int)wait + 1;
}

/* ---- the thread ---- */

/* Everybody who waits is told: timers run early, what runs is cancelled, and what a done() starts now
** ends at once in os_net_start(). */
static void wind_up(struct os_net *net) {
  do {
    run_tasks(net);
    if (net->timers) {
      struct os_net_timer *timer = net->timers;
      net->timers = timer->next;
      timer->next = NULL;
      timer->armed = false;
      timer->fn(timer->arg);
    }
    while (net->running)
      finish_call(net, net->running, CURLE_OK, true);
    while (net->waiting)
      os_net_cancel(net, net->waiting);
    run_done(net);
  } while (net->timers || net->running || net->ended_calls || net->tasks);
}

static void *network_thread(void *arg) {
  struct os_net *net = arg;
  int running = 0;
  while (!os_net_stopping(net)) {
    run_tasks(net);
    run_timers(net, os_clock_monotonic());
    start_waiting(net);
    os_fork_hold(); /* TLS takes locks inside OpenSSL */
    curl_multi_perform(net->multi, &running);
    os_fork_let_go();
    collect_finished(net);
    run_done(net);
    curl_multi_poll(net->multi, NULL, 0, next_wait(net), NULL);
  }
  wind_up(net);
  while (net->pool) {
    struct os_http_transfer *transfer = net->pool;
    net->pool = transfer->next;
    os_transfer_free(transfer);
  }
  curl_multi_cleanup(net->multi);
  os_log_unref(net->log);
  atomic_store(&net->ended, true);
  return NULL;
}

/* Joins those whose thread has ended. True: none is left. */
static bool reap_ended(void) {
  pthread_mutex_lock(&process_lock);
  struct os_net *list = NULL;
  for (struct os_net **at = &abandoned; *at;) {
    struct os_net *net = *at;
    if (!atomic_load(&net->ended)) {
      at = &net->next;
      continue;
    }
    *at = net->next;
    net->next = list;
    list = net;
  }
  bool none_left = abandoned == NULL;
  pthread_mutex_unlock(&process_lock);
  while (list) {
    struct os_net *net = list;
    list = net->next;
    pthread_join(net->thread, NULL);
    pthread_mutex_destroy(&net->lock);
    os_free(net);
  }
  return none_left;
}

/* The last connection closes: wait for abandoned threads, but not as long as a dead resolver would (half
** a minute). Who hangs then goes on by himself: this code stays loaded (SQLITE_OK_LOAD_PERMANENTLY), and
** the process may end. */
static void reap_all(void) {
  double until = os_clock_monotonic() + REAP_SECONDS;
  while (!reap_ended() && os_clock_monotonic() < until)
    os_clock_sleep_ms(10);
}

int os_net_new(struct os_net **out, struct os_log *log, struct os_error *error) {
  *out = NULL;
  CURLcode started = start_process();
  if (started != CURLE_OK)
    return os_fail(error, OS_ERR_INTERNAL, "libcurl cannot be started: %s", curl_easy_strerror(started));
  reap_ended();
  struct os_net *net = os_calloc(1, sizeof *net);
  if (!net) return os_fail_nomem(error);
  net->pid = getpid();
  net->last_task = &net->tasks;
  net->last_ended = &net->ended_calls;
  net->multi = curl_multi_init();
  if (!net->multi || pthread_mutex_init(&net->lock, NULL)) {
    curl_multi_cleanup(net->multi);
    os_free(net);
    return os_fail_nomem(error);
  }
  /* A process without a free file handle gets a multi handle all the same, one that nothing wakes up: requests
  ** and the end of the connection would then wait for a minute. */
  if (curl_multi_wakeup(net->multi) != CURLM_OK) {
    curl_multi_cleanup(net->multi);
    pthread_mutex_destroy(&net->lock);
    os_free(net);
    os_fail(error, OS_ERR_INTERNAL, "the network thread cannot be started: it got no file handles");
    return os_advise(error, "close some files, or raise the limit (ulimit -n)");
  }
  curl_multi_setopt(net->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
  curl_multi_setopt(net->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
  net->log = log ? os_log_ref(log) : NULL;
  int failed = os_thread_start(&net->thread, network_thread, net);
  if (failed) {
    os_log_unref(net->log);
    curl_multi_cleanup(net->multi);
    pthread_mutex_destroy(&net->lock);
    os_free(net);
    os_fail(error, OS_ERR_INTERNAL, "the network thread cannot be started (error %d of the system)", failed);
    return os_advise(error, "the limit on threads or memory may be reached: see ulimit -u and -v");
  }
  pthread_mutex_lock(&process_lock);
  in_use++;
  pthread_mutex_unlock(&process_lock);
  *out = net;
  return OS_OK;
}

static void stop(struct os_net *net) {
  pthread_mutex_lock(&net->lock);
  net->stopping = true;
  curl_multi_wakeup(net->multi);
  pthread_mutex_unlock(&net->lock);
}

static bool leave(struct os_net *net, bool abandon) {
  pthread_mutex_lock(&process_lock);
  if (abandon) {
    net->next = abandoned;
    abandoned = net;
  }
  bool last = --in_use == 0;
  pthread_mutex_unlock(&process_lock);
  return last;
}

void os_net_free(struct os_net *net) {
  if (!net || !os_net_is_ours(net)) return; /* inherited by fork: its thread and sockets are the parent's */
  stop(net);
  bool last = leave(net, false);
  pthread_join(net->thread, NULL);
  pthread_mutex_destroy(&net->lock);
  os_free(net);
  if (last) reap_all();
}

void os_net_abandon(struct os_net *net) {
  if (!net || !os_net_is_ours(net)) return;
  stop(net);
  leave(net, true);
}

void os_net_reap_all(void) {
  reap_all();
}

bool os_net_is_ours(const struct os_net *net) {
  return net->pid == getpid();
}
