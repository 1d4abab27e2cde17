/* thread.c - see thread.h. Calls nothing of this extension, owns nothing. */
#include "base/thread.h"
#include <signal.h>

int os_thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = pthread_create(thread, NULL, run, arg);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return failed;
}
