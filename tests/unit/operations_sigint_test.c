/* operations_sigint_test.c - the chained SIGINT handler: counts, calls the earlier one, puts it back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "operations/sigint.h"

static volatile sig_atomic_t theirs;

static void their_handler(int number) {
  theirs += number == SIGINT;
}

static void their_action(int number, siginfo_t *info, void *context) {
  theirs += number == SIGINT && info != NULL && context != NULL;
}

static void (*handler_now(void))(int) {
  struct sigaction now;
  sigaction(SIGINT, NULL, &now);
  return now.sa_handler;
}

static void chains_and_restores(void **state) {
  (void)state;
  signal(SIGINT, their_handler);
  theirs = 0;
  unsigned before = os_sigint_count();
  os_sigint_enter();
  os_sigint_enter(); /* nested */
  raise(SIGINT);
  assert_int_equal(os_sigint_count(), before + 1);
  assert_int_equal(theirs, 1);
  os_sigint_leave();
  assert_ptr_not_equal(handler_now(), their_handler);
  os_sigint_leave();
  assert_ptr_equal(handler_now(), their_handler);
  raise(SIGINT);
  assert_int_equal(os_sigint_count(), before + 1);
  assert_int_equal(theirs, 2);
}

static void chains_siginfo(void **state) {
  (void)state;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = their_action;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGINT, &action, NULL);
  theirs = 0;
  os_sigint_enter();
  raise(SIGINT);
  os_sigint_leave();
  assert_int_equal(theirs, 1);
  assert_ptr_equal(handler_now(), their_action);
}

static void leaves_ignoring_alone(void **state) {
  (void)state;
  signal(SIGINT, SIG_IGN);
  unsigned before = os_sigint_count();
  os_sigint_enter();
  raise(SIGINT);
  assert_ptr_equal(handler_now(), SIG_IGN);
  os_sigint_leave();
  assert_int_equal(os_sigint_count(), before);
}

static void (*below)(int);

static void on_top(int number) {
  theirs++;
  below(number); /* sigaction-style handlers ignore the missing arguments of ours */
}

/* A host that puts its handler above ours while a command runs, calling ours: no endless recursion
** afterwards. */
static void somebody_above(void **state) {
  (void)state;
  signal(SIGINT, their_handler);
  theirs = 0;
  os_sigint_enter();
  below = handler_now();
  signal(SIGINT, on_top);
  os_sigint_leave();
  assert_ptr_equal(handler_now(), on_top); /* not ours to take away */
  unsigned before = os_sigint_count();
  os_sigint_enter();
  raise(SIGINT);
  assert_int_equal(os_sigint_count(), before + 1);
  assert_int_equal(theirs, 2);
  os_sigint_leave();
  signal(SIGINT, below); /* it goes away again */
  os_sigint_enter();
  os_sigint_leave();
}

/* A program without a handler still dies of Ctrl-C, but after the command has ended. */
static void default_is_raised_again(void **state) {
  (void)state;
  int pipe_ends[2], status;
  char byte = 0;
  assert_int_equal(pipe(pipe_ends), 0);
  pid_t child = fork();
  if (child == 0) {
    signal(SIGINT, SIG_DFL);
    os_sigint_enter();
    raise(SIGINT);
    if (write(pipe_ends[1], "x", 1) != 1) _exit(2);
    os_sigint_leave();
    _exit(3);
  }
  close(pipe_ends[1]);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
  close(pipe_ends[0]);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

static void quiet_default_stays_quiet(void **state) {
  (void)state;
  int status;
  pid_t child = fork();
  if (child == 0) {
    signal(SIGINT, SIG_DFL);
    os_sigint_enter();
    os_sigint_leave();
    _exit(handler_now() == SIG_DFL ? 0 : 1);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(default_is_raised_again), cmocka_unit_test(quiet_default_stays_quiet),
      cmocka_unit_test(chains_and_restores),     cmocka_unit_test(chains_siginfo),
      cmocka_unit_test(leaves_ignoring_alone),   cmocka_unit_test(somebody_above),
  };
  return cmocka_run_group_tests_name("operations/sigint", tests, NULL, NULL);
}
