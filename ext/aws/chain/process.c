/* process.c - keys that a program prints.
**
** Calls base, words and answer. The command stands in the user's own config file, whose path only the
** environment of the process can change: no SQL, no database and no .env can have a program started. No
** shell is involved.
*/
#define _GNU_SOURCE /* pipe2() */
#include "aws/chain/process.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "aws/chain/fetch.h"
#include "aws/chain/words.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"

enum { MOST_OUTPUT = 64 * 1024, MOST_SAID = 400, STEP_MS = 50 };
static const double TIMEOUT_S = 60;

struct process {
  struct os_source base;
  char **words;
  char *origin;
};

struct run {
  pid_t pid;
  int out, err; /* -1: closed */
  struct os_buf printed, said;
};

int os_process_read(struct os_aws_keys **out, const char *text, size_t len, const char *origin,
                    struct os_error *error) {
  static const struct os_key_names names = {"AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"};
  *out = NULL;
  json_t *root = os_fetch_json(text, len, origin, error);
  if (!root) {
    os_advise(
        error,
        "it should print {\"Version\": 1, \"AccessKeyId\": …, \"SecretAccessKey\": …} and nothing else");
    return OS_ERR_ANSWER;
  }
  int64_t version = os_json_int(root, "Version", 0);
  int code = version == 1 ? os_keys_from_json(out, root, &names, origin, error)
                          : os_fail(error, OS_ERR_ANSWER, "%s gave no answer of Version 1", origin);
  json_decref(root);
  return code;
}

/* ---- running it ---- */

static void close_pair(int pair[2]) {
  for (int i = 0; i < 2; i++)
    if (pair[i] >= 0) close(pair[i]);
}

/* The program gets an empty standard input, and signals as a fresh process has them: this thread blocks
** all. */
static int spawn(const struct process *process, int out, int err, pid_t *pid) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  int failed = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (!failed) failed = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
  if (!failed) failed = posix_spawn_file_actions_adddup2(&files, err, STDERR_FILENO);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  if (!failed) failed = posix_spawnp(pid, process->words[0], &files, &attributes, process->words, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return failed;
}

static int start(const struct process *process, struct run *run, struct os_error *error) {
  int out[2] = {-1, -1}, err[2] = {-1, -1};
  if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)) {
    int number = errno;
    close_pair(out);
    return os_fail(error, OS_ERR_INTERNAL, "%s cannot be started: %s", process->origin,
                   os_errno_text(number));
  }
  int failed = spawn(process, out[1], err[1], &run->pid);
  close(out[1]);
  close(err[1]);
  run->out = out[0];
  run->err = err[0];
  if (!failed) return OS_OK;
  run->pid = -1;
  os_fail(error, OS_ERR_IO, "%s: '%s' cannot be started: %s", process->origin, process->words[0],
          os_errno_text(failed));
  return os_advise(
      error, "correct credential_process in the profile; it is not run by a shell, so give the whole path");
}

/* What there is to read; at its end the descriptor is closed. */
static void take(int *fd, struct os_buf *into, size_t most) {
  char piece[4096];
  ssize_t got = read(*fd, piece, sizeof piece);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got <= 0) {
    close(*fd);
    *fd = -1;
    return;
  }
  size_t len = (size_t)got, room = most > into->len ? most - into->len : 0;
  os_buf_append(into, piece, len < room ? len : room);
  explicit_bzero(piece, sizeof piece);
}

/* Until it has closed its output, or is to be stopped. */
static bool listen(struct run *run, const struct os_fetch *fetch, double until) {
  while (run->out >= 0 || run->err >= 0) {
    struct pollfd fds[2] = {{.fd = run->out, .events = POLLIN}, {.fd = run->err, .events = POLLIN}};
    if (os_fetch_stopped(fetch) || os_clock_monotonic() > until) return false;
    if (poll(fds, 2, STEP_MS) <= 0) continue;
    if (fds[0].revents) take(&run->out, &run->printed, MOST_OUTPUT);
    if (fds[1].revents) take(&run->err, &run->said, MOST_SAID);
  }
  return true;
}

/* Its status, or -1: somebody else in this process has collected it (a host that ignores SIGCHLD, say). */
static bool wait_for_end(struct run *run, const struct os_fetch *fetch, double until, int *status) {
  for (;;) {
    pid_t ended = waitpid(run->pid, status, WNOHANG);
    if (ended == run->pid) return true;
    if (ended < 0 && errno != EINTR) {
      *status = -1;
      return true;
    }
    if (os_fetch_stopped(fetch) || os_clock_monotonic() > until) return false;
    os_clock_sleep_ms(5);
  }
}

static void kill_it(const struct run *run) {
  kill(run->pid, SIGKILL);
  while (waitpid(run->pid, NULL, 0) < 0 && errno == EINTR) {
  }
}

static int fail_status(const struct process *process, struct run *run, int status, struct os_error *error) {
  while (run->said.len && os_is_space(run->said.data[run->said.len - 1]))
    run->said.data[--run->said.len] = '\0';
  const char *said = run->said.len ? run->said.data : "nothing";
  if (WIFEXITED(status))
    os_fail(error, OS_ERR_AUTH, "%s ended with status %d and said: %s", process->origin, WEXITSTATUS(status),
            said);
  else
    os_fail(error, OS_ERR_AUTH, "%s was ended by signal %d and said: %s", process->origin, WTERMSIG(status),
            said);
  return os_advise(error, "run its credential_process in a terminal to see what it lacks");
}

static int fetch_keys(struct os_source *base, struct os_fetch *fetch, struct os_aws_keys **out,
                      struct os_error *error) {
  const struct process *process = (struct process *)(void *)base;
  struct run run = {.pid = -1, .out = -1, .err = -1};
  double until = os_clock_monotonic() + TIMEOUT_S;
  int status = 0;
  *out = NULL;
  os_buf_init(&run.printed, 0);
  os_buf_init(&run.said, 0);
  int code = start(process, &run, error);
  if (!code && !(listen(&run, fetch, until) && wait_for_end(&run, fetch, until, &status))) {
    kill_it(&run);
    code = os_fail(error, OS_ERR_AUTH, "%s did not end within %d s", process->origin, (int)TIMEOUT_S);
    os_advise(error, "run its credential_process in a terminal to see what it waits for");
  } else if (!code && status > 0) {
    code = fail_status(process, &run, status, error);
  } else if (!code) {
    code = os_process_read(out, run.printed.data ? run.printed.data : "", run.printed.len, process->origin,
                           error);
  }
  close_pair((int[2]){run.out, run.err});
  if (run.printed.data) explicit_bzero(run.printed.data, run.printed.len);
  os_buf_free(&run.printed);
  os_buf_free(&run.said);
  return code;
}

static void free_process(struct os_source *base) {
  struct process *process = (struct process *)(void *)base;
  os_words_free(process->words);
  os_free(process->origin);
  os_free(process);
}

int os_process_source(struct os_source **out, const char *command, const char *origin,
                      struct os_error *error) {
  static const struct os_source_class class = {.fetch = fetch_keys, .free = free_process};
  struct process *process = os_calloc(1, sizeof *process);
  *out = NULL;
  if (!process) return os_fail_nomem(error);
  process->base.does = &class;
  process->origin = os_strdup(origin);
  int code = process->origin ? os_words_split(command, &process->words, error) : os_fail_nomem(error);
  if (code == OS_ERR_FORMAT) {
    os_error_prefix(error, "credential_process of %s cannot be read", origin);
    os_advise(error, "write the program and its arguments, with quotes around what has blanks in it");
  }
  if (code)
    free_process(&process->base);
  else
    *out = &process->base;
  return code;
}
