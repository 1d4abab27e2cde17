/* ledger_fork_test.c - processes forked from one that has the ledger open: what parent and child write is all
** there in the end, and the file is whole. */
#include "ledger_support.h"
#include <pthread.h>
#include <stdatomic.h>

static char path[192];
static struct os_ledger *shared; /* the parent's */

static void finish_job(struct os_ledger *ledger, int64_t job) {
  struct os_job_figures none = {0};
  assert_ok(os_ledger_job_finish(ledger, job, "success", &none, NULL, NULL, &test_error));
}

/* For children: cmocka's failures must not go on in there, so any failure is an exit status. */
static struct os_ledger *open_orend_child(int status) {
  struct os_ledger *ledger = NULL;
  if (os_ledger_new(&ledger, NULL, false, path, &test_error) != OS_OK ||
      os_ledger_open(ledger, true, &test_error) != OS_OK) {
    fprintf(stderr, "child: %s; %s\n", test_error.text, test_error.advice);
    end_child(status);
  }
  return ledger;
}

static void one_job_orend_child(struct os_ledger *ledger, int status) {
  struct os_job_begin begin = {.kind = "child", .index_name = "idx", .arguments = "{}"};
  struct os_job_figures none = {0};
  int64_t job = 0;
  if (os_ledger_job_begin(ledger, &begin, &job, &test_error) != OS_OK ||
      os_ledger_job_finish(ledger, job, "success", &none, NULL, NULL, &test_error) != OS_OK) {
    fprintf(stderr, "child: %s; %s\n", test_error.text, test_error.advice);
    end_child(status);
  }
}

static const char *jobs_in_file(void) {
  struct os_ledger *ledger = open_ledger("l.db");
  static char answer[128];
  snprintf(answer, sizeof answer, "%s %s", ask(ledger, "SELECT count(*) FROM job WHERE status = 'success'"),
           ask(ledger, "PRAGMA integrity_check"));
  os_ledger_free(ledger);
  return answer;
}

/* gcc has fork() forget what was counted in the child before it returned; not when it does not see the call. */
static pid_t (*volatile plain_fork)(void) = fork;

/* The parent closes while the child goes on: the child's own lock must keep the log where it is. With a generation
** between them that has no use for the ledger, what was inherited twice is what the grandchild has to close. */
static void parent_closes_first(bool generation_between) {
  int to_child[2], to_parent[2];
  char byte = 0;
  snprintf(path, sizeof path, "%s", in_folder("l.db"));
  assert_int_equal(pipe(to_child) | pipe(to_parent), 0);
  shared = open_ledger("l.db");
  finish_job(shared, begin_job(shared, "parent", "{}"));
  pid_t child = plain_fork();
  assert_true(child >= 0);
  if (child == 0) {
    os_ledger_abandon(shared);
    pid_t grandchild = generation_between ? plain_fork() : 0;
    if (grandchild != 0) {
      int ended = 1;
      if (waitpid(grandchild, &ended, 0) != grandchild) end_child(6);
      end_child(WEXITSTATUS(ended));
    }
    struct os_ledger *ledger = open_orend_child(2);
    one_job_orend_child(ledger, 3);
    if (write(to_parent[1], "x", 1) != 1 || read(to_child[0], &byte, 1) != 1) end_child(4);
    for (int i = 0; i < 3; i++)
      one_job_orend_child(ledger, 5);
    os_ledger_free(ledger);
    end_child(0);
  }
  assert_int_equal(read(to_parent[0], &byte, 1), 1);
  os_ledger_free(shared);
  struct os_ledger *again = open_ledger("l.db");
  finish_job(again, begin_job(again, "parent", "{}"));
  assert_int_equal(write(to_child[1], "x", 1), 1);
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_string_equal(ask(again, "SELECT count(*) FROM job WHERE status = 'success'"), "6");
  os_ledger_free(again);
  assert_string_equal(jobs_in_file(), "6 ok");
  for (int i = 0; i < 2; i++)
    close(to_child[i]), close(to_parent[i]);
}

static void test_parent_closes_first(void **state) {
  (void)state;
  parent_closes_first(false);
}

static void test_grandparent_closes_first(void **state) {
  (void)state;
  parent_closes_first(true);
}

static atomic_bool stop;
static atomic_int written;

static void *write_all_the_time(void *unused) {
  while (!atomic_load(&stop)) {
    int64_t job = begin_job(shared, "parent", "{}");
    assert_ok(os_ledger_begin(shared, &test_error));
    for (int i = 0; i < 20; i++)
      assert_ok(os_ledger_audit(shared, job, "step", "check", "pass", "detail", i % 5 == 0, &test_error));
    assert_ok(os_ledger_commit(shared, &test_error));
    finish_job(shared, job);
    atomic_fetch_add(&written, 1);
    usleep(500); /* who never lets go starves the others on one core */
  }
  return unused;
}

/* A fork waits until the other thread's transaction is through, so the child finds nothing half done. */
static void test_forks_while_another_thread_writes(void **state) {
  enum { CHILDREN = 25 };
  (void)state;
#ifdef __SANITIZE_ADDRESS__
  skip(); /* AddressSanitizer's allocator has locks that no fork waits for */
#endif
  char expected[64];
  pthread_t writer;
  pid_t children[CHILDREN];
  snprintf(path, sizeof path, "%s", in_folder("l.db"));
  shared = open_ledger("l.db");
  assert_int_equal(pthread_create(&writer, NULL, write_all_the_time, NULL), 0);
  for (int i = 0; i < CHILDREN; i++) {
    usleep(3000);
    children[i] = fork();
    assert_true(children[i] >= 0);
    if (children[i] == 0) {
      os_ledger_abandon(shared);
      struct os_ledger *ledger = open_orend_child(2);
      one_job_orend_child(ledger, 3);
      os_ledger_free(ledger);
      end_child(0);
    }
  }
  for (int i = 0; i < CHILDREN; i++) {
    int status = 0;
    assert_int_equal(waitpid(children[i], &status, 0), children[i]);
    assert_int_equal(status, 0);
  }
  atomic_store(&stop, true);
  pthread_join(writer, NULL);
  os_ledger_free(shared);
  snprintf(expected, sizeof expected, "%d ok", atomic_load(&written) + CHILDREN);
  assert_true(atomic_load(&written) > 0);
  assert_string_equal(jobs_in_file(), expected);
}

/* A child that frees what it inherited ends none of its parent's jobs. */
static void test_child_frees_what_it_inherited(void **state) {
  (void)state;
  snprintf(path, sizeof path, "%s", in_folder("l.db"));
  shared = open_ledger("l.db");
  int64_t job = begin_job(shared, "parent", "{}");
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    os_ledger_free(shared);
    struct os_ledger *ledger = open_orend_child(2);
    bool alive = os_ledger_job_alive(ledger, 1);
    os_ledger_free(ledger);
    end_child(alive ? 0 : 3);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_true(os_ledger_job_alive(shared, job));
  assert_string_equal(ask(shared, "SELECT status FROM job"), "running");
  finish_job(shared, job);
  os_ledger_free(shared);
}

static atomic_int has_lock;

static void *keep_a_lock_of_sqlite(void *unused) {
  sqlite3_mutex *mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_LRU);
  sqlite3_mutex_enter(mutex);
  atomic_store(&has_lock, 1);
  while (atomic_load(&has_lock) == 1)
    usleep(1000);
  sqlite3_mutex_leave(mutex);
  return unused;
}

/* Another copy of this library may have SQLite's locks while it waits for ours: a fork does not wait for it for long,
** and gives back what it took. */
static void test_fork_beside_a_lock_of_sqlite(void **state) {
  (void)state;
  pthread_t thread;
  snprintf(path, sizeof path, "%s", in_folder("l.db"));
  shared = open_ledger("l.db");
  finish_job(shared, begin_job(shared, "parent", "{}"));
  assert_int_equal(pthread_create(&thread, NULL, keep_a_lock_of_sqlite, NULL), 0);
  while (atomic_load(&has_lock) == 0)
    usleep(1000);
  double began = os_clock_monotonic();
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) end_child(0);
  double seconds = os_clock_monotonic() - began;
  atomic_store(&has_lock, 2);
  pthread_join(thread, NULL);
  int status = 1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_true(seconds >= 0.1 && seconds < 4);
  finish_job(shared, begin_job(shared, "parent", "{}"));
  os_ledger_free(shared);
  assert_string_equal(jobs_in_file(), "2 ok");
}

/* Of a chain of children each closes what all before it had open. */
static void test_grandchildren(void **state) {
  (void)state;
  snprintf(path, sizeof path, "%s", in_folder("l.db"));
  shared = open_ledger("l.db");
  pid_t child = plain_fork();
  assert_true(child >= 0);
  if (child == 0) {
    os_ledger_abandon(shared);
    struct os_ledger *mine = open_orend_child(2);
    one_job_orend_child(mine, 3);
    pid_t grandchild = plain_fork();
    if (grandchild == 0) {
      os_ledger_abandon(mine);
      struct os_ledger *ledger = open_orend_child(4);
      one_job_orend_child(ledger, 5);
      os_ledger_free(ledger);
      end_child(0);
    }
    int status = 1;
    os_ledger_free(mine);
    if (waitpid(grandchild, &status, 0) != grandchild) end_child(6);
    end_child(WEXITSTATUS(status));
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  os_ledger_free(shared);
  assert_string_equal(jobs_in_file(), "2 ok");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_parent_closes_first, folder_setup, folder_teardown),
      cmocka_unit_test_setup_teardown(test_grandparent_closes_first, folder_setup, folder_teardown),
      cmocka_unit_test_setup_teardown(test_forks_while_another_thread_writes, folder_setup, folder_teardown),
      cmocka_unit_test_setup_teardown(test_child_frees_what_it_inherited, folder_setup, folder_teardown),
      cmocka_unit_test_setup_teardown(test_fork_beside_a_lock_of_sqlite, folder_setup, folder_teardown),
      cmocka_unit_test_setup_teardown(test_grandchildren, folder_setup, folder_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
