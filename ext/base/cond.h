/* cond.h - conditions that are waited for with a time-out. On the monotonic clock, so that setting the wall
** clock neither stretches nor cuts a wait.
*/
#ifndef OS_BASE_COND_H
#define OS_BASE_COND_H
#include <pthread.h>
#include <time.h>

/* 0, or what pthread_cond_init(3) says. */
int os_cond_init(pthread_cond_t *cond);
/* The moment so many seconds from now, for pthread_cond_timedwait(3) on such a condition. */
struct timespec os_cond_deadline(double seconds);
#endif
