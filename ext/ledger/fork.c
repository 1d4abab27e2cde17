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
** That nothing is under way is what os_ledger_hold() is for: a fork waits until nobody holds, and nobody
** can begin to while it is made. Owns the list of open connections. May be called from any thread. */
#include "ledger/ledger_int.h"
#include <pthread.h>
#include <time.h>
#include "base/alloc.h"

enum { FORK_WAIT_S = 5 };

struct opened {
  struct opened *next;
  sqlite3 *db;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* those below; kept locked across fork() */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned users;                    /* threads that hold */
static unsigned forks;                    /* under way: nobody begins to hold */
static struct opened *opened, *inherited; /* by this process; by those it was forked from */
static bool torn;                         /* the parent was in the middle of something */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local unsigned depth; /* holds of this thread */

static void before_fork(void) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until); /* the clock of pthread_cond_timedwait() */
  until.tv_sec += FORK_WAIT_S;
  pthread_mutex_lock(&lock);
  forks++;
  while (users > (depth > 0) && pthread_cond_timedwait(&changed, &lock, &until) == 0) {
  }
}

static void after_fork_in_parent(void) {
  forks--;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

/* Nothing is closed here: the child may be about to call exec(), or to have no use for us. */
static void after_fork_in_child(void) {
  struct opened **end = &inherited;
  while (*end != NULL)
    end = &(*end)->next;
  *end = opened;
  opened = NULL;
  torn = torn || (users > 0 && inherited != NULL);
  users = depth > 0;
  forks = 0;
  changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER; /* those who waited on it are not here */
  pthread_mutex_unlock(&lock);
}

static void start(void) {
  pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void os_ledger_hold(void) {
  if (depth++ > 0) return;
  pthread_mutex_lock(&lock);
  while (forks > 0)
    pthread_cond_wait(&changed, &lock);
  users++;
  pthread_mutex_unlock(&lock);
}

void os_ledger_let_go(void) {
  if (--depth > 0) return;
  pthread_mutex_lock(&lock);
  users--;
  if (forks > 0) pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

bool os_fork_opened(sqlite3 *db) {
  pthread_once(&once, start);
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
  if (torn) {
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
