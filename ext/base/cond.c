/* cond.c - see cond.h. Calls nothing of this extension, owns nothing. */
#include "base/cond.h"

int os_cond_init(pthread_cond_t *cond) {
  pthread_condattr_t monotonic;
  int failed = pthread_condattr_init(&monotonic);
  if (failed) return failed;
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  failed = pthread_cond_init(cond, &monotonic);
  pthread_condattr_destroy(&monotonic);
  return failed;
}

struct timespec os_cond_deadline(double seconds) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  long nanoseconds = at.tv_nsec + (long)((seconds - (double)(long)seconds) * 1e9);
  at.tv_sec += (time_t)seconds + nanoseconds / 1000000000;
  at.tv_nsec = nanoseconds % 1000000000;
  return at;
}
