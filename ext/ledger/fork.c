/* fork.c - a ledger that is open when the process forks.
**
** SQLite keeps the locks and the shared memory of a file once for the process, under the file's inode. A
** child that opens the ledger anew while it still has the parent's connection in its memory therefore
** takes over what that connection believed to hold, and holds nothing: the parent then deletes the log
** under the child's hands, and what the child wrote is gone (https://www.sqlite.org/howtocorrupt.html,
** section 2.6). So the child first closes what it inherited. That harms nobody as long as no call and no
** transaction was under way: descriptors close, locks of the parent stay the parent's (fcntl(2): they are
** not inherited), and with SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE the file and its log are not touched.
**
** That nothing is under way is what os_fork_hold() is for. SQLite's own locks, its allocator's above all, are
** taken as well for the moment of the fork: another thread of the host may be in SQLite, and its child would
** otherwise wait for ever at its first sqlite3_malloc(). Owns the list of open connections. May be called
** from any thread. */
#include "ledger/ledger_int.h"
#include <pthread.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fork.h"

struct opened {
  struct opened *next;
  sqlite3 *db;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* those below; kept locked across fork() */
static struct opened *opened, *inherited;                /* by this process; by those it was forked from */

/* ---- the locks inside SQLite --------------------------------------------------------------------------- */

/* In the order in which SQLite itself takes one while it has another. */
static const int SQLITE_LOCKS[] = {
    SQLITE_MUTEX_STATIC_OPEN, SQLITE_MUTEX_STATIC_PRNG, SQLITE_MUTEX_STATIC_MAIN, SQLITE_MUTEX_STATIC_VFS1,
    SQLITE_MUTEX_STATIC_LRU,  SQLITE_MUTEX_STATIC_PMEM, SQLITE_MUTEX_STATIC_MEM};
enum { SQLITE_LOCK_COUNT = sizeof SQLITE_LOCKS / sizeof SQLITE_LOCKS[0] };
static const double SQLITE_LOCK_SECONDS = 0.2;  /* for all: a second copy of this file may have them */
static sqlite3_mutex *taken[SQLITE_LOCK_COUNT]; /* between before_fork() and what comes after it */

static void take_sqlite_locks(void) {
  double until = os_clock_monotonic() + SQLITE_LOCK_SECONDS;
  for (int i = 0; i < SQLITE_LOCK_COUNT; i++) {
    sqlite3_mutex *mutex = sqlite3_mutex_alloc(SQLITE_LOCKS[i]); /* a static one: nothing is allocated */
    bool have = false;
    while (mutex != NULL && !(have = sqlite3_mutex_try(mutex) == SQLITE_OK) && os_clock_monotonic() < until)
      os_clock_sleep_ms(1);
    taken[i] = have ? mutex : NULL;
  }
}

static void give_sqlite_locks(void) {
  for (int i = SQLITE_LOCK_COUNT; i-- > 0;)
    if (taken[i] != NULL) sqlite3_mutex_leave(taken[i]);
}

/* ---- around a fork ------------------------------------------------------------------------------------- */

static void before_fork(void) {
  pthread_mutex_lock(&lock);
  take_sqlite_locks();
}

static void after_fork_in_parent(void) {
  give_sqlite_locks();
  pthread_mutex_unlock(&lock);
}

/* Nothing is closed here: the child may be about to call exec(), or to have no use for us. */
static void after_fork_in_child(void) {
  struct opened **end = &inherited;
  while (*end != NULL)
    end = &(*end)->next;
  *end = opened;
  opened = NULL;
  give_sqlite_locks();
  pthread_mutex_unlock(&lock);
}

void os_ledger_watch_forks(void) {
  static const struct os_fork_part part = {before_fork, after_fork_in_parent, after_fork_in_child};
  os_fork_watch(&part);
}

/* ---- the open connections ------------------------------------------------------------------------------ */

bool os_fork_opened(sqlite3 *db) {
  os_ledger_watch_forks();
  struct opened *entry = os_malloc(sizeof *entry);
  if (entry == NULL) return false;
  entry->db = db;
  pthread_mutex_lock(&lock);
  entry->next = opened;
  opened = entry;
  pthread_mutex_unlock(&lock);
  return true;
}

void os_fork_closed(sqlite3 *db) {
  pthread_mutex_lock(&lock);
  struct opened **at = &opened;
  while (*at != NULL && (*at)->db != db)
    at = &(*at)->next;
  struct opened *entry = *at;
  if (entry != NULL) *at = entry->next;
  pthread_mutex_unlock(&lock);
  os_free(entry);
}

static void close_quietly(sqlite3 *db) {
  sqlite3_stmt *stmt;
  sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  while ((stmt = sqlite3_next_stmt(db, NULL)) != NULL)
    sqlite3_finalize(stmt);
  sqlite3_close_v2(db);
}

int os_fork_close_inherited(const char *path, struct os_error *error) {
  if (os_fork_was_torn() && inherited != NULL) {
    os_fail(
        error, OS_ERR_LEDGER,
        "the ledger '%s' cannot be used in this process: it was forked while another thread of its parent "
        "was busy with it",
        path);
    return os_advise(error, "start the process anew (exec, or 'spawn' instead of 'fork'), or fork when no "
                            "command runs");
  }
  pthread_mutex_lock(&lock);
  struct opened *list = inherited;
  inherited = NULL;
  pthread_mutex_unlock(&lock);
  while (list != NULL) {
    struct opened *entry = list;
    list = entry->next;
    close_quietly(entry->db);
    os_free(entry);
  }
  return OS_OK;
}
