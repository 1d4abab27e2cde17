/* fork.h - what must not be under way while the host forks.
**
** A child of fork() has one thread. A lock that another thread held at that moment, ours or one inside
** OpenSSL, libcurl or SQLite, stays locked in it for ever (fork(2), pthread_atfork(3)). So work that takes
** such locks, or that leaves something half done, is put between os_fork_hold() and os_fork_let_go(): a fork
** waits until nobody holds, and nobody begins to while it is made. All may be called from any thread.
*/
#ifndef OS_BASE_FORK_H
#define OS_BASE_FORK_H
#include <stdbool.h>

/* Nests. What is held is short (well under a second) and never waits for another thread that may want to
** hold: a fork waits 5 s at most, and then goes on all the same. */
void os_fork_hold(void);
void os_fork_let_go(void);

/* This process was forked while another thread of its parent held all the same. */
bool os_fork_was_torn(void);

/* What a room does around each fork once nobody holds; the last two undo the first. None takes a lock that
** somebody has who waits to hold. */
struct os_fork_part {
  void (*before)(void);
  void (*in_parent)(void);
  void (*in_child)(void);
};

/* Adds a part, once for the process and for good; `part` stays the caller's. */
void os_fork_watch(const struct os_fork_part *part);

#endif
