/* queue.c - the queue between threads: one mutex, one condition on the monotonic clock, links of the
** caller's.
**
** Calls nothing of this extension but the error codes. Owns no link.
*/
#include "base/queue.h"
#include <errno.h>
#include "base/cond.h"
#include "base/error.h"

int os_queue_init(struct os_queue *queue) {
  *queue = (struct os_queue){.head = NULL};
  if (os_cond_init(&queue->filled)) return OS_ERR_NOMEM;
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

/* With the lock held: until there is a link, or the queue is closed, or the time is up. */
static void wait_for_link(struct os_queue *queue, int timeout_ms) {
  struct timespec until = os_cond_deadline(timeout_ms > 0 ? timeout_ms / 1000.0 : 0);
  while (!queue->head && !queue->closed && !queue->woken && timeout_ms != 0) {
    int failed = timeout_ms < 0 ? pthread_cond_wait(&queue->filled, &queue->lock)
                                : pthread_cond_timedwait(&queue->filled, &queue->lock, &until);
    if (failed) return;
  }
}

struct os_queue_link *os_queue_pop(struct os_queue *queue, int timeout_ms) {
  pthread_mutex_lock(&queue->lock);
  wait_for_link(queue, timeout_ms);
  queue->woken = false;
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

void os_queue_wake(struct os_queue *queue) {
  pthread_mutex_lock(&queue->lock);
  queue->woken = true;
  pthread_cond_signal(&queue->filled);
  pthread_mutex_unlock(&queue->lock);
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
