/* queue.h - a first-in first-out queue between threads, intrusive, so that posting needs no memory.
**
** Embed a struct os_queue_link as the first member of what travels. A thing stands in at most one
** queue.
*/
#ifndef OS_BASE_QUEUE_H
#define OS_BASE_QUEUE_H
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct os_queue_link {
  struct os_queue_link *next;
};

struct os_queue {
  pthread_mutex_t lock;
  pthread_cond_t filled; /* monotonic clock */
  struct os_queue_link *head, *tail;
  size_t count;
  bool closed;
  bool woken; /* the next pop that finds nothing does not wait */
};

int os_queue_init(struct os_queue *queue);     /* OS_OK or OS_ERR_NOMEM */
void os_queue_destroy(struct os_queue *queue); /* nobody waits any more; links still inside are not freed */
void os_queue_push(struct os_queue *queue, struct os_queue_link *link); /* also into a closed queue */
/* The oldest link; NULL after timeout_ms without one (0: do not wait, < 0: for ever) or when the queue is
** closed and empty. */
struct os_queue_link *os_queue_pop(struct os_queue *queue, int timeout_ms);
void os_queue_wake(struct os_queue *queue);  /* one pop that waits, or the next one, ends without a link */
void os_queue_close(struct os_queue *queue); /* wakes everybody */
size_t os_queue_count(struct os_queue *queue);
#endif
