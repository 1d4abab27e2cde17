/* sqs_hold.c - see sqs_hold.h. Calls service.h and sqs.h for the form of a request and the words for its
** faults.
**
** The struct is counted: by the keeper, by the network thread until it has stopped, and by the task that
** tells it to. What the report says is guarded by the lock; all else belongs to the network thread once
** it has been started.
*/
#include "aws/sqs_hold.h"
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/cond.h"

static const double WAIT_FOR_END = 2;                 /* seconds */
static const double RENEW = 1.0 / 3, AGAIN = 1.0 / 6; /* of the visibility */

struct os_sqs_hold {
  atomic_int references;
  struct os_net *net;
  struct os_endpoint *endpoint; /* a reference */
  char *arn;
  struct os_buf body;
  double seconds;
  struct os_net_task begin, end;
  struct os_net_timer timer;
  struct os_http_call call;
  double asked_at;            /* monotonic: when the renewal under way was sent */
  bool running, ending, over; /* a renewal is under way; told to stop; stopped */
  pthread_mutex_t lock;
  pthread_cond_t stopped;
  bool is_over;
  double until; /* monotonic: hidden so long */
  struct os_sqs_held report;
};

static void unref(struct os_sqs_hold *hold) {
  if (atomic_fetch_sub(&hold->references, 1) != 1) return;
  os_endpoint_unref(hold->endpoint);
  pthread_cond_destroy(&hold->stopped);
  pthread_mutex_destroy(&hold->lock);
  os_buf_free(&hold->body);
  os_free(hold->arn);
  os_free(hold);
}

/* ---- on the network thread ---- */

/* The network thread's reference goes. */
static void stop(struct os_sqs_hold *hold) {
  hold->over = true;
  pthread_mutex_lock(&hold->lock);
  hold->is_over = true;
  pthread_cond_signal(&hold->stopped);
  pthread_mutex_unlock(&hold->lock);
  unref(hold);
}

/* False: it failed. */
static bool judge(struct os_sqs_hold *hold) {
  struct os_http_call *call = &hold->call;
  struct os_error error = call->error;
  if (error.code == OS_OK && call->status >= 300) {
    struct os_aws_fault fault;
    struct os_aws_action what = {.name = "sqs:ChangeMessageVisibility", .resource = hold->arn};
    os_aws_fault_read(call, &fault);
    os_aws_fail(call, &what, &fault, &error);
  }
  bool well = error.code == OS_OK;
  pthread_mutex_lock(&hold->lock);
  if (hold->asked_at > hold->until) hold->report.lapsed = true;
  if (well) {
    hold->until = hold->asked_at + hold->seconds;
    hold->report.renewed++;
  } else {
    hold->report.failed++;
    hold->report.error = error;
  }
  pthread_mutex_unlock(&hold->lock);
  return well;
}

static void answered(struct os_http_call *call) {
  struct os_sqs_hold *hold = call->owner;
  bool ends = hold->ending || os_net_stopping(hold->net);
  hold->running = false;
  bool well = ends || judge(hold);
  os_http_call_free(call);
  if (ends)
    stop(hold);
  else
    os_net_timer_start(hold->net, &hold->timer, hold->seconds * (well ? RENEW : AGAIN));
}

static void renew(void *arg) {
  static const char *const headers[] = {"X-Amz-Target: AmazonSQS.ChangeMessageVisibility", NULL};
  struct os_sqs_hold *hold = arg;
  if (os_net_stopping(hold->net)) { /* timers run early then */
    stop(hold);
    return;
  }
  os_sqs_call_init(&hold->call, hold->endpoint, headers, hold->body.data, hold->body.len);
  hold->call.keep_headers = true;
  /* an answer that takes longer comes too late for another try */
  hold->call.timeout = hold->seconds * RENEW;
  hold->call.done = answered;
  hold->call.owner = hold;
  hold->asked_at = os_clock_monotonic();
  hold->running = true;
  os_net_start(hold->net, &hold->call);
}

static void begin_task(void *arg) {
  struct os_sqs_hold *hold = arg;
  os_net_timer_start(hold->net, &hold->timer, hold->seconds * RENEW);
}

static void end_task(void *arg) {
  struct os_sqs_hold *hold = arg;
  hold->ending = true;
  if (hold->running) {
    os_net_cancel(hold->net, &hold->call); /* answered() stops it */
  } else if (!hold->over) {
    os_net_timer_stop(hold->net, &hold->timer);
    stop(hold);
  }
  unref(hold);
}

/* ---- on the keeper's thread ---- */

int os_sqs_hold_begin(struct os_sqs_hold **out, const struct os_sqs_queue *queue, const char *receipt,
                      int seconds, struct os_error *error) {
  struct os_sqs_hold *hold = os_calloc(1, sizeof *hold);
  *out = NULL;
  if (!hold) return os_fail_nomem(error);
  atomic_init(&hold->references, 1);
  os_cond_init(&hold->stopped);
  pthread_mutex_init(&hold->lock, NULL);
  hold->net = queue->net;
  hold->endpoint = os_endpoint_ref(queue->endpoint);
  hold->arn = os_strdup(queue->arn);
  hold->seconds = seconds;
  hold->until = os_clock_monotonic() + seconds;
  hold->begin = (struct os_net_task){.fn = begin_task, .arg = hold};
  hold->end = (struct os_net_task){.fn = end_task, .arg = hold};
  hold->timer = (struct os_net_timer){.fn = renew, .arg = hold};
  os_buf_init(&hold->body, 0);
  os_buf_puts(&hold->body, "{\"QueueUrl\":");
  os_buf_put_json(&hold->body, queue->url, strlen(queue->url));
  os_buf_puts(&hold->body, ",\"ReceiptHandle\":");
  os_buf_put_json(&hold->body, receipt, strlen(receipt));
  os_buf_printf(&hold->body, ",\"VisibilityTimeout\":%d}", seconds);
  int rc = hold->arn && !hold->body.failed ? OS_OK : os_fail_nomem(error);
  atomic_fetch_add(&hold->references, 1); /* the network thread's */
  if (!rc && !os_net_post(hold->net, &hold->begin))
    rc = os_fail(error, OS_ERR_CANCELLED, "the network thread is stopping");
  if (rc) {
    unref(hold);
    unref(hold);
    return rc;
  }
  *out = hold;
  return OS_OK;
}

void os_sqs_hold_end(struct os_sqs_hold *hold, struct os_sqs_held *report) {
  memset(report, 0, sizeof *report);
  if (!hold) return;
  atomic_fetch_add(&hold->references, 1); /* the task's */
  if (!os_net_post(hold->net, &hold->end)) unref(hold);
  struct timespec until = os_cond_deadline(WAIT_FOR_END);
  pthread_mutex_lock(&hold->lock);
  while (!hold->is_over)
    if (pthread_cond_timedwait(&hold->stopped, &hold->lock, &until)) break;
  if (os_clock_monotonic() > hold->until) hold->report.lapsed = true;
  *report = hold->report;
  pthread_mutex_unlock(&hold->lock);
  unref(hold);
}
