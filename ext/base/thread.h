/* thread.h - threads of ours in a process of somebody else's. */
#ifndef OS_BASE_THREAD_H
#define OS_BASE_THREAD_H
#include <pthread.h>

/* Start a thread that blocks every signal: those are the host's business, and a handler of its own must never run on a
** thread of ours. 0, or what pthread_create(3) says. */
int os_thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg);
#endif
