/* ledger_system_test.c - what the system may say to the ledger and seldom does: calls that fail, network file systems,
** clocks that go on while somebody waits. The functions below stand before those of the C library, for our own code
** only: SQLite calls the library's. */
#include "ledger_support.h"
#include <errno.h>
#include <linux/magic.h>
#include <pthread.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include "base/fork.h"

/* ---- the system, as each test wants it ----------------------------------------------------------------- */

static struct {
  const char *host;        /* of gethostname(); NULL: the true one, "-": it fails */
  int fchmod, fchown;      /* errno they fail with; 0: they do not */
  int pwrite, lock, probe; /* a byte written, F_OFD_SETLK, F_OFD_GETLK */
  int mkdir_existing;      /* of a folder that is there */
  long file_system;        /* what statfs() says; 0: the truth */
  bool clock_goes_back;    /* the one of the day */
  double leap;             /* by which the monotonic clock goes on each time somebody looks at it */
  const char *no_stat;     /* a file that stat() does not find, once */
  dev_t device;            /* added to what stat() says */
  const struct passwd *user;
  bool no_user; /* getpwuid_r() finds `user`, or nobody */
} system_is;

static int fails(int number) {
  errno = number;
  return -1;
}

int gethostname(char *name, size_t len) {
  if (system_is.host == NULL) return snprintf(name, len, "test-host") < 0;
  if (strcmp(system_is.host, "-") == 0) return fails(ENAMETOOLONG);
  snprintf(name, len, "%s", system_is.host);
  return 0;
}

int fchmod(int fd, mode_t mode) {
  return system_is.fchmod ? fails(system_is.fchmod) : (int)syscall(SYS_fchmod, fd, mode);
}

int fchown(int fd, uid_t owner, gid_t group) {
  return system_is.fchown ? fails(system_is.fchown) : (int)syscall(SYS_fchown, fd, owner, group);
}

int lchown(const char *path, uid_t owner, gid_t group) {
  if (system_is.fchown) return fails(system_is.fchown);
  return fchownat(AT_FDCWD, path, owner, group, AT_SYMLINK_NOFOLLOW);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) {
  return system_is.pwrite ? fails(system_is.pwrite) : syscall(SYS_pwrite64, fd, bytes, len, at);
}

int fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  int *number = command == F_OFD_SETLK ? &system_is.lock : command == F_OFD_GETLK ? &system_is.probe : NULL;
  if (number == NULL || *number == 0) return (int)syscall(SYS_fcntl, fd, command, argument);
  int error = *number;
  if (error == EACCES) *number = 0; /* once */
  return fails(error);
}

int mkdir(const char *path, mode_t mode) {
  if (system_is.mkdir_existing && access(path, F_OK) == 0) return fails(system_is.mkdir_existing);
  return mkdirat(AT_FDCWD, path, mode);
}

int statfs(const char *path, struct statfs *out) {
  int rc = (int)syscall(SYS_statfs, path, out);
  if (rc == 0 && system_is.file_system) out->f_type = (__typeof__(out->f_type))system_is.file_system;
  return rc;
}

int stat(const char *path, struct stat *out) {
  if (system_is.no_stat != NULL && strcmp(path, system_is.no_stat) == 0) {
    system_is.no_stat = NULL;
    return fails(ENOENT);
  }
  int rc = fstatat(AT_FDCWD, path, out, 0);
  out->st_dev += system_is.device;
  return rc;
}

static double leapt;

int clock_gettime(clockid_t clock, struct timespec *out) {
  int rc = (int)syscall(SYS_clock_gettime, clock, out);
  if (clock == CLOCK_MONOTONIC) out->tv_sec += (time_t)(leapt += system_is.leap);
  if (clock == CLOCK_REALTIME && system_is.clock_goes_back) out->tv_sec -= 10;
  return rc;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left) {
  struct timespec truly = *until;
  if (flags & TIMER_ABSTIME) truly.tv_sec -= (time_t)leapt;
  return syscall(SYS_clock_nanosleep, clock, flags, &truly, left) == 0 ? 0 : errno;
}

int getpwuid_r(uid_t uid, struct passwd *entry, char *space, size_t len, struct passwd **found) {
  (void)uid, (void)space, (void)len;
  *found = NULL;
  if (system_is.no_user) return ENOENT;
  if (system_is.user == NULL) return 0;
  *entry = *system_is.user;
  *found = entry;
  return 0;
}

static int setup(void **state) {
  memset(&system_is, 0, sizeof system_is);
  return folder_setup(state);
}

static int teardown(void **state) {
  memset(&system_is, 0, sizeof system_is);
  return folder_teardown(state);
}

/* ---- hosts and locks ----------------------------------------------------------------------------------- */

/* Two processes of one such host still see each other's locks. */
static void test_host_without_a_name(void **state) {
  (void)state;
  static const char *const names[] = {"-", ""};
  for (int i = 0; i < 2; i++) {
    system_is.host = names[i];
    struct os_ledger *ledger = open_ledger("l.db"), *other = open_ledger("l.db");
    int64_t job = begin_job(ledger, "bulk_load", NULL);
    assert_string_equal(ask(ledger, "SELECT host FROM job ORDER BY job DESC LIMIT 1"), "localhost");
    assert_int_equal(sqlite3_exec(os_ledger_db(ledger),
                                  "UPDATE job SET updated_at = '2001-01-01T00:00:00.000Z'", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_true(os_ledger_job_alive(other, job));
    os_ledger_free(other);
    os_ledger_free(ledger);
  }
}

/* Who can lock a byte, but not ask for it, goes by the heartbeat. */
static void test_locks_that_cannot_be_asked(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db"), *other = open_ledger("l.db");
  int64_t job = begin_job(ledger, "bulk_load", NULL);
  assert_string_equal(ask(ledger, "SELECT locked FROM job"), "1");
  system_is.probe = ENOLCK;
  assert_true(os_ledger_job_alive(other, job));
  assert_int_equal(sqlite3_exec(os_ledger_db(ledger),
                                "UPDATE job SET updated_at = '2001-01-01T00:00:00.000Z'", NULL, NULL, NULL),
                   SQLITE_OK);
  assert_false(os_ledger_job_alive(other, job));
  assert_true(os_ledger_job_alive(ledger, job)); /* who runs it knows */
  system_is.probe = 0;
  assert_true(os_ledger_job_alive(other, job));
  os_ledger_free(other);
  os_ledger_free(ledger);
}

/* fcntl(2) has two numbers for a lock that somebody else holds. */
static void test_byte_held_elsewhere_by_the_other_number(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db");
  system_is.lock = EACCES;
  assert_int_equal(begin_job(ledger, "bulk_load", NULL), 2);
  assert_string_equal(ask(ledger, "SELECT count(*) || '|' || locked FROM job"), "1|1");
  os_ledger_free(ledger);
}

/* Its byte says nothing then, so it must not be locked either: the heartbeat stands for the job. */
static void test_lock_file_on_a_full_disk(void **state) {
  (void)state;
  struct os_ledger *ledger = open_ledger("l.db"), *other = open_ledger("l.db");
  system_is.pwrite = ENOSPC;
  int64_t job = begin_job(ledger, "bulk_load", NULL);
  system_is.pwrite = 0;
  assert_string_equal(ask(ledger, "SELECT locked FROM job"), "0");
  assert_true(os_ledger_job_alive(other, job));
  struct flock byte = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = job, .l_len = 1};
  int fd = open(in_folder("l.db-jobs"), O_RDWR);
  assert_int_equal(fcntl(fd, F_OFD_GETLK, &byte), 0);
  assert_int_equal(byte.l_type, F_UNLCK);
  close(fd);
  assert_ok(os_ledger_job_finish(ledger, job, "success", NULL, NULL, NULL, &test_error));
  assert_false(os_ledger_job_alive(other, job));
  os_ledger_free(other);
  os_ledger_free(ledger);
}

/* ---- rights and owners --------------------------------------------------------------------------------- */

static int open_beside(const char *database) {
  struct os_ledger *ledger = NULL;
  os_error_clear(&test_error);
  int rc = os_ledger_new(&ledger, in_folder(database), false, NULL, &test_error);
  if (rc == OS_OK) rc = os_ledger_open(ledger, true, &test_error);
  os_ledger_free(ledger);
  return rc;
}

/* Each time, not only the first: what was made with the wrong rights is not left for the next one to use. */
static void test_rights_that_cannot_be_set(void **state) {
  (void)state;
  write_file(in_folder("app.db"), "", 0664);
  for (int i = 0; i < 2; i++) {
    system_is.fchmod = EPERM;
    assert_fails(open_beside("app.db"), OS_ERR_LEDGER, "cannot be made: Operation not permitted");
    assert_int_not_equal(access(in_folder("app.db-ledger-jobs"), F_OK), 0);
    assert_int_not_equal(access(in_folder("app.db-ledger"), F_OK), 0);
  }
  system_is.fchmod = 0;
  assert_ok(open_beside("app.db"));
  assert_int_equal(mode_of(in_folder("app.db-ledger")), 0664);
}

/* As root without CAP_CHOWN: better no ledger than one that the owner of the database cannot write. */
static void test_owner_that_cannot_be_set(void **state) {
  (void)state;
  if (geteuid() != 0) skip();
  write_file(in_folder("app.db"), "", 0640);
  for (int i = 0; i < 2; i++) {
    system_is.fchown = EPERM;
    assert_fails(open_beside("app.db"), OS_ERR_LEDGER, "cannot be made: Operation not permitted");
    assert_int_not_equal(access(in_folder("app.db-ledger-jobs"), F_OK), 0);
  }
  system_is.fchown = 0;
  assert_ok(open_beside("app.db"));
  assert_int_equal(remove(in_folder("app.db-ledger")), 0); /* its lock file is there */
  system_is.fchown = EPERM;
  assert_fails(open_beside("app.db"), OS_ERR_LEDGER, "app.db-ledger");
}

/* Whose mode the ledger would take is gone by then: it is for this user alone. */
static void test_database_that_vanishes(void **state) {
  (void)state;
  struct os_ledger *ledger = NULL;
  write_file(in_folder("app.db"), "", 0664);
  assert_ok(os_ledger_new(&ledger, in_folder("app.db"), false, NULL, &test_error));
  assert_int_equal(remove(in_folder("app.db")), 0);
  assert_ok(os_ledger_open(ledger, true, &test_error));
  begin_job(ledger, "bulk_load", NULL);
  assert_int_equal(mode_of(in_folder("app.db-ledger")), 0600);
  assert_int_equal(mode_of(in_folder("app.db-ledger-jobs")), 0600);
  os_ledger_free(ledger);
}

static void nobody_makes_one(void) {
  become_nobody();
  CHILD_CHECK(open_beside("app.db") == OS_OK, 2);
}

/* Who is not root makes it as his own, with the mode of the database all the same. */
static void test_made_by_somebody_else(void **state) {
  (void)state;
  struct stat st;
  if (geteuid() != 0) skip();
  write_file(in_folder("app.db"), "", 0666);
  assert_int_equal(chmod(test_folder, 0777), 0);
  assert_int_equal(in_child(nobody_makes_one), 0);
  assert_int_equal(chmod(test_folder, 0700), 0);
  assert_int_equal(mode_of(in_folder("app.db-ledger")), 0666);
  assert_int_equal(stat(in_folder("app.db-ledger"), &st), 0);
  assert_int_equal(st.st_uid, 65534);
}

/* ---- places -------------------------------------------------------------------------------------------- */

/* WAL would need memory that the machines share (https://www.sqlite.org/wal.html). */
static void test_on_a_network_file_system(void **state) {
  (void)state;
  static const long kinds[] = {NFS_SUPER_MAGIC, SMB2_SUPER_MAGIC, 0x786f4256 /* the last of the list */};
  for (int i = 0; i < 3; i++) {
    char name[16];
    snprintf(name, sizeof name, "l%d.db", i);
    system_is.file_system = kinds[i];
    struct os_ledger *ledger = open_ledger(name);
    int64_t job = begin_job(ledger, "bulk_load", NULL);
    assert_string_equal(ask(ledger, "PRAGMA journal_mode"), "delete");
    assert_ok(os_ledger_job_finish(ledger, job, "success", NULL, NULL, NULL, &test_error));
    os_ledger_free(ledger);
  }
  assert_int_not_equal(access(in_folder("l0.db-wal"), F_OK), 0);
}

static int choose(const char *setting) {
  struct os_ledger *ledger = NULL;
  os_error_clear(&test_error);
  int rc = os_ledger_new(&ledger, NULL, false, setting, &test_error);
  if (rc == OS_OK) snprintf(test_error.text, sizeof test_error.text, "%s", os_ledger_path(ledger));
  os_ledger_free(ledger);
  return rc;
}

/* $HOME that says nothing useful is no better than none; then the system's list of users is asked. */
static void test_homes(void **state) {
  (void)state;
  static const struct passwd nowhere = {.pw_dir = NULL}, relative = {.pw_dir = (char *)"home"};
  struct passwd good = {.pw_dir = test_folder};
  static const struct passwd *const useless[] = {NULL, &nowhere, &relative};
  unsetenv("XDG_STATE_HOME");
  for (int home = 0; home < 2; home++) {
    if (home) setenv("HOME", "relative/home", 1);
    if (!home) unsetenv("HOME");
    for (size_t i = 0; i < 4; i++) {
      system_is.no_user = i == 3;
      system_is.user = i < 3 ? useless[i] : NULL;
      assert_fails(choose(NULL), OS_ERR_LEDGER, "no home folder");
      assert_fails(choose("~/l.db"), OS_ERR_ARGUMENT, "no home folder");
    }
    system_is.no_user = false;
    system_is.user = &good;
    assert_int_equal(choose(NULL), OS_OK);
    assert_string_equal(test_error.text, in_folder(".local/state/sqlite-opensearch/ledger.db"));
    assert_int_equal(choose("~/l.db"), OS_OK);
    assert_string_equal(test_error.text, in_folder("l.db"));
  }
  setenv("HOME", test_folder, 1);
}

static int choose_place(const char *setting, bool beside) {
  struct os_ledger *ledger = NULL;
  os_error_clear(&test_error);
  int rc = os_ledger_new(&ledger, beside ? in_folder("app.db") : NULL, false, setting, &test_error);
  if (rc == OS_OK) rc = os_ledger_open(ledger, true, &test_error);
  os_ledger_free(ledger);
  return rc;
}

/* However the place is found, without memory it is said so. */
static void test_no_memory_for_a_place(void **state) {
  (void)state;
  struct passwd good = {.pw_dir = test_folder};
  static const struct {
    const char *setting;
    bool beside, state, home;
  } places[] = {{":memory:", false, false, false}, {"~/l.db", false, false, true},
                {"~/l.db", false, false, false},   {NULL, true, false, false},
                {NULL, false, true, false},        {NULL, false, false, true},
                {NULL, false, false, false},       {"new.db", true, false, false}};
  char here[256];
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(chdir(test_folder), 0);
  write_file(in_folder("app.db"), "", 0600);
  system_is.user = &good;
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    long n = 0, failed = 0;
    unsetenv("XDG_STATE_HOME");
    unsetenv("HOME");
    if (places[i].state) setenv("XDG_STATE_HOME", in_folder("state"), 1);
    if (places[i].home) setenv("HOME", test_folder, 1);
    for (bool refused = true; refused && n < 1000; n++) {
      os_alloc_fail_after(n, 1);
      int rc = choose_place(places[i].setting, places[i].beside);
      refused = os_alloc_count() > n;
      os_alloc_fail_after(-1, 0);
      if (rc != OS_OK && (rc != OS_ERR_NOMEM || test_error.code != OS_ERR_NOMEM))
        fail_msg("place %zu, allocation %ld: %d %s", i, n, rc, test_error.text);
      failed += rc != OS_OK;
    }
    assert_in_range(n, 2, 999);
    assert_true(failed >= 2);
  }
  assert_int_equal(chdir(here), 0);
  unsetenv("XDG_STATE_HOME");
  setenv("HOME", test_folder, 1);
}

/* Some file systems say so of a folder that is there. */
static void test_state_folder_on_a_medium_for_reading(void **state) {
  (void)state;
  assert_int_equal(mkdir(in_folder("state"), 0700), 0);
  setenv("XDG_STATE_HOME", in_folder("state"), 1);
  system_is.mkdir_existing = EROFS;
  assert_ok(choose_place(NULL, false));
  assert_int_equal(access(in_folder("state/sqlite-opensearch/ledger.db"), F_OK), 0);
  unsetenv("XDG_STATE_HOME");
}

/* ---- the file under our hands -------------------------------------------------------------------------- */

/* A look whether the connection is still the one that was opened. */
static bool is_opened_anew(struct os_ledger *ledger) {
  int rc = sqlite3_exec(os_ledger_db(ledger), "CREATE TEMP TABLE mark(x)", NULL, NULL, NULL);
  assert_ok(os_ledger_open(ledger, true, &test_error));
  return rc == SQLITE_OK && strcmp(ask(ledger, "SELECT count(*) FROM sqlite_temp_schema"), "0") == 0;
}

static void test_opened_anew_when_it_is_another_file(void **state) {
  (void)state;
  struct os_ledger *ledger = NULL;
  assert_ok(os_ledger_new(&ledger, NULL, false, in_folder("l.db"), &test_error));
  system_is.no_stat = os_ledger_path(ledger); /* gone for a moment, just when it had been opened */
  assert_ok(os_ledger_open(ledger, true, &test_error));
  assert_null(system_is.no_stat);
  assert_true(is_opened_anew(ledger));
  assert_false(is_opened_anew(ledger));
  system_is.device = 1; /* a file system was mounted over it */
  assert_int_equal(sqlite3_exec(os_ledger_db(ledger), "DROP TABLE mark", NULL, NULL, NULL), SQLITE_OK);
  assert_true(is_opened_anew(ledger));
  assert_false(is_opened_anew(ledger));
  os_ledger_free(ledger);
}

/* ---- time ---------------------------------------------------------------------------------------------- */

static void test_waits_twenty_seconds(void **state) {
  (void)state;
  sqlite3 *other = NULL;
  struct os_ledger *ledger = open_ledger("l.db");
  assert_int_equal(sqlite3_open(in_folder("l.db"), &other), SQLITE_OK);
  assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
  system_is.leap = 3;
  assert_fails(os_ledger_audit(ledger, 1, "s", "c", "did", "d", false, &test_error), OS_ERR_LEDGER,
               "locked for 20 seconds");
  system_is.leap = 0;
  assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
  assert_ok(os_ledger_audit(ledger, 1, "s", "c", "did", "d", false, &test_error));
  sqlite3_close(other);
  os_ledger_free(ledger);
}

/* Somebody reads the empty file all the time: neither its journal nor what is in it can be changed. */
static void test_waits_for_a_new_file_as_long(void **state) {
  (void)state;
  sqlite3 *other = NULL;
  struct os_ledger *ledger = NULL;
  assert_int_equal(sqlite3_open(in_folder("l.db"), &other), SQLITE_OK);
  assert_int_equal(sqlite3_exec(other, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL),
                   SQLITE_OK);
  assert_ok(os_ledger_new(&ledger, NULL, false, in_folder("l.db"), &test_error));
  system_is.leap = 3;
  assert_fails(os_ledger_open(ledger, true, &test_error), OS_ERR_LEDGER, "locked for 20 seconds");
  assert_null(os_ledger_db(ledger));
  system_is.leap = 0;
  assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
  assert_ok(os_ledger_open(ledger, true, &test_error));
  assert_string_equal(ask(ledger, "PRAGMA journal_mode"), "wal");
  sqlite3_close(other);
  os_ledger_free(ledger);
}

/* ---- a fork that could wait no longer ------------------------------------------------------------------ */

static struct os_ledger *busy; /* in the other thread; NULL: it does something else */
static atomic_int stage;
static pid_t (*volatile plain_fork)(void) = fork; /* see ledger_fork_test.c */

static void *is_in_the_middle(void *unused) {
  if (busy != NULL)
    assert_int_equal(os_ledger_begin(busy, &test_error), OS_OK);
  else
    os_fork_hold();
  atomic_store(&stage, 1);
  while (atomic_load(&stage) == 1)
    usleep(1000);
  if (busy != NULL)
    assert_int_equal(os_ledger_commit(busy, &test_error), OS_OK);
  else
    os_fork_let_go();
  return unused;
}

static int open_in_torn_child(const char *name) {
  pthread_t thread;
  int status = 0;
  atomic_store(&stage, 0);
  assert_int_equal(pthread_create(&thread, NULL, is_in_the_middle, NULL), 0);
  while (atomic_load(&stage) == 0)
    usleep(1000);
  system_is.clock_goes_back = true; /* the 5 s that a fork waits are over at once */
  pid_t child = plain_fork();
  if (child == 0) {
    struct os_ledger *ledger = NULL;
    int rc = os_ledger_new(&ledger, NULL, false, in_folder(name), &test_error);
    if (rc == OS_OK) rc = os_ledger_open(ledger, true, &test_error);
    bool said = strstr(test_error.text, "forked while another thread") && strstr(test_error.advice, "spawn");
    end_child(rc == OS_OK ? 10 : rc == OS_ERR_LEDGER && said ? 20 : 30);
  }
  system_is.clock_goes_back = false;
  atomic_store(&stage, 2);
  pthread_join(thread, NULL);
  assert_int_equal(waitpid(child, &status, 0), child);
  return WEXITSTATUS(status);
}

/* What the child finds of the other thread's transaction is half done: it leaves the ledger alone, and says why. Where
** no ledger was open there is nothing to leave alone. */
static void test_forked_in_the_middle(void **state) {
  (void)state;
#ifdef __SANITIZE_ADDRESS__
  skip(); /* AddressSanitizer's allocator has locks that no fork waits for */
#endif
  os_ledger_watch_forks();
  busy = NULL;
  assert_int_equal(open_in_torn_child("l.db"), 10);
  busy = open_ledger("l.db");
  assert_int_equal(open_in_torn_child("l.db"), 20);
  begin_job(busy, "bulk_load", NULL);
  os_ledger_free(busy);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_host_without_a_name),
      TEST(test_locks_that_cannot_be_asked),
      TEST(test_byte_held_elsewhere_by_the_other_number),
      TEST(test_lock_file_on_a_full_disk),
      TEST(test_rights_that_cannot_be_set),
      TEST(test_owner_that_cannot_be_set),
      TEST(test_database_that_vanishes),
      TEST(test_made_by_somebody_else),
      TEST(test_on_a_network_file_system),
      TEST(test_homes),
      TEST(test_no_memory_for_a_place),
      TEST(test_state_folder_on_a_medium_for_reading),
      TEST(test_opened_anew_when_it_is_another_file),
      TEST(test_waits_twenty_seconds),
      TEST(test_waits_for_a_new_file_as_long),
      TEST(test_forked_in_the_middle),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
