/* ledger_support.h - what the ledger's tests share: a ledger in a folder of their own, small look-ups, children. */
#ifndef LEDGER_SUPPORT_H
#define LEDGER_SUPPORT_H
#include "folder.h"
#include <sqlite3.h>
#include <sys/wait.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "child.h"
#include "ledger/ledger.h"

UNUSED static void write_file(const char *path, const char *content, mode_t mode) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, content, strlen(content)), strlen(content));
  assert_int_equal(fchmod(fd, mode), 0);
  close(fd);
}

UNUSED static mode_t mode_of(const char *path) {
  struct stat st;
  assert_int_equal(stat(path, &st), 0);
  return st.st_mode & 07777;
}

#define assert_error_has(word)                                                                               \
  do {                                                                                                       \
    if (strstr(test_error.text, word) == NULL && strstr(test_error.advice, word) == NULL)                    \
      fail_msg("no '%s' in: %s; %s", word, test_error.text, test_error.advice);                              \
  } while (0)

/* The ledger that OS_LEDGER=<folder>/<name> gives, opened. */
UNUSED static struct os_ledger *open_ledger(const char *name) {
  struct os_ledger *ledger = NULL;
  assert_ok(os_ledger_new(&ledger, NULL, false, in_folder(name), &test_error));
  assert_ok(os_ledger_open(ledger, true, &test_error));
  return ledger;
}

UNUSED static int64_t begin_job(struct os_ledger *ledger, const char *kind, const char *arguments) {
  struct os_job_begin begin = {.kind = kind, .index_name = "idx", .arguments = arguments};
  int64_t job = 0;
  assert_ok(os_ledger_job_begin(ledger, &begin, &job, &test_error));
  return job;
}

/* One value of a query on the private connection, as text; four may be in use at once. */
UNUSED static const char *ask(struct os_ledger *ledger, const char *sql) {
  static char answers[4][256];
  static int next;
  char *answer = answers[next++ % 4];
  sqlite3_stmt *stmt = NULL;
  if (sqlite3_prepare_v2(os_ledger_db(ledger), sql, -1, &stmt, NULL) != SQLITE_OK)
    fail_msg("%s: %s", sql, sqlite3_errmsg(os_ledger_db(ledger)));
  if (sqlite3_step(stmt) == SQLITE_ROW) {
    const char *text = (const char *)sqlite3_column_text(stmt, 0);
    snprintf(answer, sizeof answers[0], "%s", text != NULL ? text : "NULL");
  } else {
    snprintf(answer, sizeof answers[0], "(no row)");
  }
  sqlite3_finalize(stmt);
  return answer;
}

/* Runs `work` in a child and returns its exit status, -signal when it was killed. */
UNUSED static int in_child(void (*work)(void)) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    work();
    end_child(0);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}
/* In a child; root may write everything, so the tests about rights run as nobody. */
#define CHILD_CHECK(condition, code)                                                                         \
  do {                                                                                                       \
    if (!(condition)) {                                                                                      \
      fprintf(stderr, "line %d: %s; %s\n", __LINE__, test_error.text, test_error.advice);                    \
      end_child(code);                                                                                       \
    }                                                                                                        \
  } while (0)

/* Before SQLite is used: its memory comes from these, every piece of it. *usual: what it came from. */
static inline void take_sqlite_memory(sqlite3_mem_methods *usual, void *(*give)(int),
                                      void *(*resize)(void *, int)) {
  sqlite3_config(SQLITE_CONFIG_GETMALLOC, usual);
  sqlite3_mem_methods methods = *usual;
  methods.xMalloc = give;
  methods.xRealloc = resize;
  sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
  sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
}
#endif
