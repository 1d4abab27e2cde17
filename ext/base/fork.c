/* fork.c - holding off a fork, and the rooms' parts in it.
**
** Owns the process's only fork handlers, set when the library is loaded: before any thread of ours runs. The
** lock below stays locked from before a fork until after it, on both sides.
*/
#include "base/fork.h"
#include <pthread.h>
#include <stdint.h>
#include <time.h>

enum { WAIT_S = 5, PARTS = 4 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* all below */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned users; /* threads that hold */
static unsigned forks; /* under way: nobody begins to hold */
static bool torn;
static const struct os_fork_part *parts[PARTS];
static unsigned part_count;
static pthread_key_t depth_key;

/* Holds of this thread. Not a thread-local variable: the dynamic linker allocates one at its first use, and ends the
** process when there is no memory. */
static unsigned depth(void) {
  return (unsigned)(uintptr_t)pthread_getspecific(depth_key);
}
static void set_depth(unsigned holds) {
  /* can fail only beyond 31 keys of a process; then holds within a hold are counted one by one */
  pthread_setspecific(depth_key, (void *)(uintptr_t)holds);
}

static void before_fork(void) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until); /* the clock of pthread_cond_timedwait() */
  until.tv_sec += WAIT_S;
  pthread_mutex_lock(&lock);
  forks++;
  while (users > (depth() > 0) && pthread_cond_timedwait(&changed, &lock, &until) == 0) {
  }
  for (unsigned i = 0; i < part_count; i++)
    parts[i]->before();
}

static void after_fork_in_parent(void) {
  for (unsigned i = part_count; i-- > 0;)
    parts[i]->in_parent();
  forks--;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

static void after_fork_in_child(void) {
  for (unsigned i = part_count; i-- > 0;)
    parts[i]->in_child();
  torn = torn || users > 0;
  users = depth() > 0;
  forks = 0;
  changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER; /* those who waited on it are not here */
  pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void start(void) {
  pthread_key_create(&depth_key, NULL);
  pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void os_fork_hold(void) {
  unsigned holds = depth();
  set_depth(holds + 1);
  if (holds > 0) return;
  pthread_mutex_lock(&lock);
  while (forks > 0)
    pthread_cond_wait(&changed, &lock);
  users++;
  pthread_mutex_unlock(&lock);
}

void os_fork_let_go(void) {
  unsigned holds = depth();
  if (holds > 0) set_depth(holds - 1);
  if (holds > 1) return;
  pthread_mutex_lock(&lock);
  users--;
  if (forks > 0) pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

bool os_fork_was_torn(void) {
  pthread_mutex_lock(&lock);
  bool was = torn;
  pthread_mutex_unlock(&lock);
  return was;
}

void os_fork_watch(const struct os_fork_part *part) {
  pthread_mutex_lock(&lock);
  bool known = false;
  for (unsigned i = 0; i < part_count; i++)
    known = known || parts[i] == part;
  if (!known && part_count < PARTS) parts[part_count++] = part;
  pthread_mutex_unlock(&lock);
}
