/* sigint.c - the chained SIGINT handler.
**
** Owns: the process's chain (one static struct under a mutex). Calls nothing of ours. In the handler itself
** only lock-free atomics and the earlier handler are touched (signal-safety(7)). */
#include "operations/sigint.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static struct {
  pthread_mutex_t lock;
  _Atomic pid_t pid;         /* whose chain this is: a forked child starts its own */
  int users;                 /* commands that run, in all threads */
  bool chained;              /* our handler is the process's, or stands somewhere below it */
  struct sigaction previous; /* valid while chained; also read by the handler */
  unsigned seen_at_start;
} chain = {.lock = PTHREAD_MUTEX_INITIALIZER};

static atomic_uint seen;

static void on_sigint(int number, siginfo_t *info, void *context) {
  atomic_fetch_add(&seen, 1);
  if (chain.previous.sa_flags & SA_SIGINFO) {
    if (chain.previous.sa_sigaction != NULL) chain.previous.sa_sigaction(number, info, context);
  } else if (chain.previous.sa_handler != SIG_DFL && chain.previous.sa_handler != SIG_IGN) {
    chain.previous.sa_handler(number);
  }
}

static bool is_ours(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == on_sigint;
}

static bool is_default(const struct sigaction *action) {
  return !(action->sa_flags & SA_SIGINFO) && action->sa_handler == SIG_DFL;
}

/* A child of fork() may inherit a locked mutex and a count of commands that only run in its parent. */
static void start_over_after_fork(void) {
  pid_t pid = getpid();
  if (chain.pid == pid) return;
  if (chain.pid != 0) {
    pthread_mutex_init(&chain.lock, NULL);
    chain.users = 0;
  }
  chain.pid = pid;
}

static void install(void) {
  struct sigaction current, ours;
  if (sigaction(SIGINT, NULL, &current) != 0) return;
  /* Chained already: somebody put a handler above ours and it is still there. Putting ours above that one
  ** again would make the two call each other for ever. */
  if (is_ours(&current) || chain.chained) {
    chain.chained = chain.chained || is_ours(&current);
    return;
  }
  if (!(current.sa_flags & SA_SIGINFO) && current.sa_handler == SIG_IGN) return;
  memset(&ours, 0, sizeof ours);
  ours.sa_sigaction = on_sigint;
  /* SA_RESTART: the host's own system calls are not disturbed. SA_ONSTACK: runtimes with small stacks (Go)
  ** ask it. */
  ours.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  ours.sa_mask = current.sa_mask;
  chain.previous = current; /* before the handler can run */
  chain.chained = sigaction(SIGINT, &ours, NULL) == 0;
}

/* True when the caller has to raise SIGINT again. */
static bool uninstall(void) {
  struct sigaction current;
  if (!chain.chained || sigaction(SIGINT, NULL, &current) != 0 || !is_ours(&current)) return false;
  sigaction(SIGINT, &chain.previous, NULL);
  chain.chained = false;
  return is_default(&chain.previous) && atomic_load(&seen) != chain.seen_at_start;
}

void os_sigint_enter(void) {
  start_over_after_fork();
  pthread_mutex_lock(&chain.lock);
  if (chain.users++ == 0) {
    chain.seen_at_start = atomic_load(&seen);
    install();
  }
  pthread_mutex_unlock(&chain.lock);
}

void os_sigint_leave(void) {
  bool again = false;
  pthread_mutex_lock(&chain.lock);
  if (chain.users > 0 && --chain.users == 0) again = uninstall();
  pthread_mutex_unlock(&chain.lock);
  if (again) raise(SIGINT);
}

unsigned os_sigint_count(void) {
  return atomic_load(&seen);
}
