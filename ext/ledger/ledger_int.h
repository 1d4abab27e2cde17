/* ledger_int.h - private to the ledger room: the struct, and who offers what, in reading order.
**
** One private connection, used by the keeper's thread alone. Statements never stay open between two calls, so
** nothing here holds a snapshot or a lock while the caller waits for a cluster.
*/
#ifndef OS_LEDGER_LEDGER_INT_H
#define OS_LEDGER_LEDGER_INT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "ledger/sqlite_api.h"
#include "ledger/ledger.h"
#include "base/error.h"

enum { OS_LEDGER_BUSY_MS = 20000, OS_LEDGER_HEARTBEAT_S = 60, OS_LEDGER_HOST = 256 };

struct os_cached_stmt {
  const char *sql; /* a string constant: its address is the key */
  sqlite3_stmt *stmt;
};

struct os_held_job {
  int64_t job;
  double began;       /* monotonic */
  int64_t tick, step; /* of the last sample (samples.c); tick -1: none yet */
};

struct os_ledger {
  char *path;      /* absolute, or ":memory:" */
  char *lock_path; /* <path>-jobs; NULL in memory */
  char *like;      /* the database whose mode and owner the ledger takes; NULL: 0600 */
  bool own_folder; /* in the user's state folder: make the folders */
  pid_t pid;       /* the process that made this struct */
  char host[OS_LEDGER_HOST];

  sqlite3 *db; /* NULL: not open, or no file yet */
  bool readonly;
  double waiting_since; /* for another process's lock, monotonic seconds */
  dev_t dev;            /* which file `db` has open: a file deleted and made anew is noticed */
  ino_t ino;
  struct os_cached_stmt *cache;
  size_t cache_count, cache_cap;

  bool in_transaction;  /* os_ledger_begin() */
  bool flush_at_commit; /* something durable was written inside it */

  int lock_fd;              /* of lock_path; -1: not open */
  struct os_held_job *held; /* jobs whose bytes we hold */
  size_t held_count, held_cap;
};

/* ---- location.c: where the file lives and what kind of place that is ----------------------------------- */
int os_location_choose(struct os_ledger *ledger, const char *main_path, bool main_readonly,
                       const char *setting, struct os_error *error);
int os_location_make_folder(const struct os_ledger *ledger,
                            struct os_error *error); /* the state folder, 0700 */
bool os_location_is_network(const char *path); /* a file system on which WAL's shared memory cannot work */
/* "file:" URI of path with `query` (may be ""); os_free() it. NULL: no memory. */
char *os_location_uri(const char *path, const char *query);

/* ---- statement.c: statements, transactions, and what SQLite's codes mean to the reader ----------------- */
/* Turns the connection's last failure into an error: `doing` is what was being written or read. */
int os_ledger_fail(struct os_ledger *ledger, int rc, const char *doing, struct os_error *error);
/* What a call that gave NULL failed with, also where nobody wants to know why. */
static inline int os_ledger_code(const struct os_error *error) {
  return error != NULL ? (int)error->code : OS_ERR_LEDGER;
}
/* What to do when a file of the ledger cannot be opened or made, by errno. */
int os_ledger_advise_open(int number, struct os_error *error);
/* The cached statement of a string constant, reset and unbound. Borrowed. NULL: error is set, also when the ledger is
** not open. */
sqlite3_stmt *os_ledger_stmt(struct os_ledger *ledger, const char *sql, const char *doing,
                             struct os_error *error);
/* Prepares and binds: one letter a parameter: t const char * (NULL: null), i int64_t, n int64_t (negative:
** null), d double. Step and os_ledger_done() it. NULL: error is set. */
sqlite3_stmt *os_ledger_bound(struct os_ledger *ledger, const char *sql, const char *doing,
                              struct os_error *error, const char *types, ...);
void os_ledger_done(sqlite3_stmt *stmt); /* reset; NULL is harmless */
/* A text of the row, cut to `size`; "" for null. */
void os_ledger_copy_text(sqlite3_stmt *stmt, int column, char *out, size_t size);
/* Binds as above, and reads the number in the first column of the first row; 0: there is no row, or it is null. */
int os_ledger_ask(struct os_ledger *ledger, const char *sql, const char *doing, int64_t *number,
                  struct os_error *error, const char *types, ...);
/* Binds as above and runs a statement that has no rows. */
int os_ledger_run(struct os_ledger *ledger, const char *sql, const char *doing, struct os_error *error,
                  const char *types, ...);
/* Opens a transaction by `sql`, a string constant. Whoever ends it (os_ledger_end_transaction() undoes it, if
** SQLite has not) calls os_fork_let_go() afterwards. */
int os_ledger_open_transaction(struct os_ledger *ledger, const char *sql, const char *doing,
                               struct os_error *error);
void os_ledger_end_transaction(struct os_ledger *ledger);
/* Around every write: begins unless os_ledger_begin() did; _leave commits when rc is OS_OK, else rolls back,
** and returns rc or the failure of the commit. durable: on disk when _leave (or os_ledger_commit) returns. */
struct os_write {
  bool own, durable;
};
int os_write_enter(struct os_ledger *ledger, bool durable, struct os_write *write, struct os_error *error);
int os_write_leave(struct os_ledger *ledger, struct os_write *write, int rc, struct os_error *error);
int os_ledger_writable(const struct os_ledger *ledger, struct os_error *error); /* and open */
void os_ledger_forget_statements(struct os_ledger *ledger);

/* ---- failures.c ---- */
/* A record's bytes: text where they can be shown and edited as such, else a blob; len < 0: up to the NUL. SQLite's
** code. */
int os_ledger_bind_bytes(sqlite3_stmt *stmt, int at, const char *bytes, int64_t len);

/* ---- fork.c: what a forked child does with a connection it inherited ---- */
bool os_fork_opened(sqlite3 *db); /* false: no memory */
void os_fork_closed(sqlite3 *db);
/* Before a file is opened: closes what this process inherited, or says why it must not. */
int os_fork_close_inherited(const char *path, struct os_error *error);

/* ---- job_lock.c: one byte a job in <ledger>-jobs ------------------------------------------------------- */
enum os_lock_result { OS_LOCK_TAKEN, OS_LOCK_HELD_ELSEWHERE, OS_LOCK_NOT_POSSIBLE, OS_LOCK_NOMEM };
int os_job_lock_make_file(struct os_ledger *ledger,
                          struct os_error *error); /* with the ledger's mode and owner */
enum os_lock_result os_job_lock_take(struct os_ledger *ledger, int64_t job);
void os_job_lock_release(struct os_ledger *ledger, int64_t job, bool finished);
bool os_job_lock_is_ours(const struct os_ledger *ledger, int64_t job);
struct os_held_job *os_job_lock_held(const struct os_ledger *ledger, int64_t job); /* NULL: not ours */
enum os_life { OS_LIFE_RUNNING, OS_LIFE_ENDED, OS_LIFE_DEAD, OS_LIFE_UNKNOWN };
enum os_life os_job_lock_probe(struct os_ledger *ledger, int64_t job);
void os_job_lock_close(struct os_ledger *ledger);

/* ---- samples.c: how a job went over time --------------------------------------------------------------- */
enum { OS_SAMPLES = 240 /* rows a job at most */, OS_SAMPLES_A_SECOND = 4 };
/* Ticks from one kept sample to the next when the newest is of `tick`: a power of two. Pure. */
int64_t os_sample_step(int64_t tick);
/* Keep these figures if it is time to, and thin out what is kept. last: in any case, in place of the
** newest. Inside a write of the caller's. */
int os_sample_take(struct os_ledger *ledger, int64_t job, const struct os_job_figures *figures, bool last,
                   struct os_error *error);

/* ---- jobs.c -------------------------------------------------------------------------------------------- */
/* From the columns of a row that says `running`: does its process live? (ended: finished since the row was
** read) */
enum os_life os_job_life(struct os_ledger *ledger, int64_t job, bool locked, const char *host,
                         const char *updated_at);
/* Makes the SQL function os_job_shown(status, job, locked, host, updated_at) of the private connection: the
** status to show. */
int os_jobs_add_function(struct os_ledger *ledger);
void os_jobs_interrupt_own(struct os_ledger *ledger); /* when the connection closes */
#endif
