/* fork.c - a ledger that is open when the process forks.
**
** SQLite keeps the locks and the shared memory of a file once for the process, under the file's inode. A child
** that opens the ledger anew while it still has the parent's connection in its memory therefore takes over what
** that connection believed to hold, and holds nothing: the parent then deletes the log under the child's hands,
** and what the child wrote is gone (https://www.sqlite.org/howtocorrupt.html, section 2.6). So the child first
** closes what it inherited. That harms nobody as long as no call and no transaction was under way: descriptors
** close, locks of the parent stay the parent's (fcntl(2): they are not inherited), and with
** SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE the file and its log are not touched.
**
** That nothing is under way is what os_ledger_hold() is for: a fork waits until nobody holds. Owns the list of
** open connections. May be called from any thread. */
#include "ledger/ledger_int.h"
#include <pthread.h>
#include <time.h>
#include "base/alloc.h"

enum { FORK_WAIT_S = 5 };

struct opened {
  struct opened *next;
  sqlite3 *db;
};

static pthread_rwlock_t in_use = PTHREAD_RWLOCK_INITIALIZER;  /* read: holding; write: forking */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER; /* the two lists */
static struct opened *opened, *inherited; /* by this process; by those it was forked from */
static bool torn;                         /* the parent was in the middle of something */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local unsigned depth; /* holds of this thread */
static _Thread_local bool quiet;     /* the fork that this thread makes has waited for the others */

static void before_fork(void) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until); /* the clock that the next line measures by */
  until.tv_sec += FORK_WAIT_S;
  quiet = depth == 0 && pthread_rwlock_timedwrlock(&in_use, &until) == 0;
}

static void after_fork_in_parent(void) {
  if (quiet) pthread_rwlock_unlock(&in_use);
}

/* Nothing is closed here: the child may be about to call exec(), or to have no use for us. */
static void after_fork_in_child(void) {
  in_use = (pthread_rwlock_t)PTHREAD_RWLOCK_INITIALIZER;
  list_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
  depth = 0;
  if (opened == NULL) return;
  torn = torn || !quiet;
  struct opened **end = &inherited;
  while (*end != NULL)
    end = &(*end)->next;
  *end = opened;
  opened = NULL;
}

static void start(void) {
  pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void os_ledger_hold(void) {
  if (depth++ == 0) pthread_rwlock_rdlock(&in_use);
}

void os_ledger_let_go(void) {
  if (--depth == 0) pthread_rwlock_unlock(&in_use);
}

bool os_fork_opened(sqlite3 *db) {
  pthread_once(&once, start);
  struct opened *entry = os_malloc(sizeof *entry);
  if (entry == NULL) return false;
  entry->db = db;
  pthread_mutex_lock(&list_lock);
  entry->next = opened;
  opened = entry;
  pthread_mutex_unlock(&list_lock);
  return true;
}

void os_fork_closed(sqlite3 *db) {
  pthread_mutex_lock(&list_lock);
  struct opened **at = &opened;
  while (*at != NULL && (*at)->db != db)
    at = &(*at)->next;
  struct opened *entry = *at;
  if (entry != NULL) *at = entry->next;
  pthread_mutex_unlock(&list_lock);
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
  if (torn) {
    os_fail(
        error, OS_ERR_LEDGER,
        "the ledger '%s' cannot be used in this process: it was forked while another thread of its parent "
        "was busy with it",
        path);
    return os_advise(error, "start the process anew (exec, or 'spawn' instead of 'fork'), or fork when no "
                            "command runs");
  }
  pthread_mutex_lock(&list_lock);
  struct opened *list = inherited;
  inherited = NULL;
  while (list != NULL) {
    struct opened *entry = list;
    list = entry->next;
    close_quietly(entry->db);
    os_free(entry);
  }
  pthread_mutex_unlock(&list_lock);
  return OS_OK;
}
