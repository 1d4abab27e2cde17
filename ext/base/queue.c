/* queue.c - the queue between threads: one mutex, one condition on the monotonic clock, links of the
** caller's.
**
** Calls nothing of this extension but the error codes. Owns no link.
*/
#include "base/queue.h"
#include <errno.h>
#include <time.h>
#include "base/error.h"

int os_queue_init(struct os_queue *queue) {
  pthread_condattr_t monotonic;
  *queue = (struct os_queue){.head = NULL};
  if (pthread_condattr_init(&monotonic)) return OS_ERR_NOMEM;
  /* so that setting the wall clock neither stretches nor cuts a wait */
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  int failed = pthread_cond_init(&queue->filled, &monotonic);
  pthread_condattr_destroy(&monotonic);
  if (failed) return OS_ERR_NOMEM;
  if (pthread_mutex_init(&queue->lock, NULL)) {
    pthread_cond_destroy(&queue->filled);
    return OS_ERR_NOMEM;
  }
  return OS_OK;
}

void os_queue_destroy(struct os_queue *queue) {
  pthread_cond_destroy(&queue->filled);
  pthread_mutex_destroy(&queue->lock);
}

void os_queue_push(struct os_queue *queue, struct os_queue_link *link) {
  link->next = NULL;
  pthread_mutex_lock(&queue->lock);
  if (queue->tail)
    queue->tail->next = link;
  else
    queue->head = link;
  queue->tail = link;
  queue->count++;
  pthread_cond_signal(&queue->filled);
  pthread_mutex_unlock(&queue->lock);
}

static struct timespec deadline_in(int milliseconds) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  at.tv_sec += milliseconds / 1000;
  at.tv_nsec += (long)(milliseconds % 1000) * 1000000L;
  if (at.tv_nsec >= 1000000000L) {
    at.tv_sec++;
    at.tv_nsec -= 1000000000L;
  }
  return at;
}

/* With the lock held: until there is a link, or the queue is closed, or the time is up. */
static void wait_for_link(struct os_queue *queue, int timeout_ms) {
  struct timespec until = deadline_in(timeout_ms > 0 ? timeout_ms : 0);
  while (!queue->head && !queue->closed && timeout_ms != 0) {
    int failed = timeout_ms < 0 ? pthread_cond_wait(&queue->filled, &queue->lock)
                                : pthread_cond_timedwait(&queue->filled, &queue->lock, &until);
    if (failed) return;
  }
}

struct os_queue_link *os_queue_pop(struct os_queue *queue, int timeout_ms) {
  pthread_mutex_lock(&queue->lock);
  wait_for_link(queue, timeout_ms);
  struct os_queue_link *link = queue->head;
  if (link) {
    queue->head = link->next;
    if (!queue->head) queue->tail = NULL;
    queue->count--;
    link->next = NULL;
  }
  pthread_mutex_unlock(&queue->lock);
  return link;
}

void os_queue_close(struct os_queue *queue) {
  pthread_mutex_lock(&queue->lock);
  queue->closed = true;
  pthread_cond_broadcast(&queue->filled);
  pthread_mutex_unlock(&queue->lock);
}

size_t os_queue_count(struct os_queue *queue) {
  pthread_mutex_lock(&queue->lock);
  size_t count = queue->count;
  pthread_mutex_unlock(&queue->lock);
  return count;
}
