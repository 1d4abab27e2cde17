/* ledger.c - the life of the ledger: made, opened, its schema laid down or brought up to date, closed.
**
** Owns struct os_ledger and its private connection. Nothing is made before a command asks (create); tables
** look with create=false and find no rows where there is no file. The connection takes nothing from a file
** on trust: no triggers, no views, defensive mode, for the ledger may come with somebody else's database.
*/
#include "ledger/ledger_int.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fork.h"
#include "ledger_schema.h" /* made from sql/ by scripts/embed-sql */

enum {
  APPLICATION_ID = 0x4f534c47, /* "OSLG", as the schema sets it */
  VERSION = sizeof os_ledger_schema / sizeof os_ledger_schema[0] - 1
};

static const char opening[] = "opening the ledger";

/* ---- making the struct --------------------------------------------------------------------------------- */

static void free_struct(struct os_ledger *ledger) {
  os_free(ledger->path);
  os_free(ledger->lock_path);
  os_free(ledger->like);
  os_free(ledger->cache);
  os_free(ledger->held);
  os_free(ledger);
}

int os_ledger_new(struct os_ledger **out, const char *main_path, bool main_readonly, const char *setting,
                  struct os_error *error) {
  *out = NULL;
  struct os_ledger *ledger = os_calloc(1, sizeof *ledger);
  if (ledger == NULL) return os_fail_nomem(error);
  ledger->lock_fd = -1;
  ledger->pid = getpid();
  if (gethostname(ledger->host, sizeof ledger->host - 1) != 0 || ledger->host[0] == '\0')
    snprintf(ledger->host, sizeof ledger->host, "localhost");
  int rc = os_location_choose(ledger, main_path, main_readonly, setting, error);
  if (rc != OS_OK) {
    free_struct(ledger);
    return rc;
  }
  *out = ledger;
  return OS_OK;
}

const char *os_ledger_path(const struct os_ledger *ledger) {
  return ledger->path;
}

sqlite3 *os_ledger_db(struct os_ledger *ledger) {
  return ledger->db;
}

static bool in_memory(const struct os_ledger *ledger) {
  return ledger->lock_path == NULL;
}

static void close_database(struct os_ledger *ledger) {
  os_fork_hold();
  os_ledger_forget_statements(ledger);
  os_fork_closed(ledger->db);
  sqlite3_close_v2(ledger->db);
  ledger->db = NULL;
  os_fork_let_go();
}

/* In a forked child the inherited connection is not ours to end jobs with: fork.c closes it. */
void os_ledger_free(struct os_ledger *ledger) {
  if (ledger == NULL) return;
  if (ledger->pid == getpid() && ledger->db != NULL) {
    os_ledger_rollback(ledger);
    os_jobs_interrupt_own(ledger);
    close_database(ledger);
  }
  os_job_lock_close(ledger);
  free_struct(ledger);
}

void os_ledger_abandon(struct os_ledger *ledger) {
  if (ledger != NULL) os_job_lock_close(ledger);
}

/* ---- what is in the file ------------------------------------------------------------------------------- */

enum content { CONTENT_NOTHING, CONTENT_LEDGER, CONTENT_OLDER, CONTENT_NEWER, CONTENT_FOREIGN };

static int read_number(struct os_ledger *ledger, const char *sql, int64_t *out) {
  sqlite3_stmt *stmt = NULL;
  int rc = sqlite3_prepare_v2(ledger->db, sql, -1, &stmt, NULL);
  if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    *out = sqlite3_column_int64(stmt, 0);
    rc = SQLITE_OK;
  } else if (rc == SQLITE_DONE) {
    rc = SQLITE_CORRUPT;
  }
  sqlite3_finalize(stmt);
  return rc;
}

/* Returns SQLite's code. *version is what the file says. */
static int look_inside(struct os_ledger *ledger, enum content *out, int64_t *version) {
  int64_t id = 0, tables = 0;
  *version = 0;
  int rc = read_number(ledger, "SELECT count(*) FROM sqlite_schema", &tables);
  if (rc == SQLITE_OK) rc = read_number(ledger, "PRAGMA application_id", &id);
  if (rc == SQLITE_OK) rc = read_number(ledger, "PRAGMA user_version", version);
  if (rc != SQLITE_OK) return rc;
  if (id == 0 && tables == 0)
    *out = CONTENT_NOTHING;
  else if (id != APPLICATION_ID)
    *out = CONTENT_FOREIGN;
  else
    *out = *version > VERSION ? CONTENT_NEWER : *version < VERSION ? CONTENT_OLDER : CONTENT_LEDGER;
  return SQLITE_OK;
}

static int fail_content(const struct os_ledger *ledger, enum content content, int64_t version,
                        struct os_error *error) {
  if (content == CONTENT_FOREIGN) {
    os_fail(error, OS_ERR_LEDGER, "'%s' is an SQLite database, but not a ledger of this extension",
            ledger->path);
    return os_advise(error, "name another file with OS_LEDGER, or move that one away");
  }
  if (content == CONTENT_NEWER) {
    os_fail(error, OS_ERR_LEDGER,
            "the ledger '%s' was made by a newer version of this extension (ledger version %lld, this one "
            "knows %d)",
            ledger->path, (long long)version, (int)VERSION);
    return os_advise(error, "upgrade the extension, or name another ledger with OS_LEDGER");
  }
  os_fail(error, OS_ERR_LEDGER,
          "the ledger '%s' was made by an older version of this extension (ledger version %lld)",
          ledger->path, (long long)version);
  return os_advise(error,
                   "run any command: it brings the ledger up to date; the file must be writable for that");
}

/* ---- opening ------------------------------------------------------------------------------------------- */

/* SQLite's own handler sleeps for up to 100 ms between two tries, so beside several busy writers who polls last
** hardly ever gets a turn; here all poll alike, a few milliseconds apart and out of step. */
static int wait_for_the_lock(void *context, int tries) {
  struct os_ledger *ledger = context;
  if (tries == 0) ledger->waiting_since = os_clock_monotonic();
  if (os_clock_monotonic() - ledger->waiting_since > OS_LEDGER_BUSY_MS / 1000.0) return 0;
  os_clock_sleep_ms(1 + (unsigned)(tries + getpid()) % 5);
  return 1;
}

static int open_file(struct os_ledger *ledger, const char *name, int flags) {
  /* one keeper at a time uses this connection, under the mutex of the caller's own: no second mutex */
  int rc = sqlite3_open_v2(name, &ledger->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
  if (rc == SQLITE_OK && !os_fork_opened(ledger->db)) rc = SQLITE_NOMEM;
  if (rc != SQLITE_OK) return rc;
  sqlite3_extended_result_codes(ledger->db, 1);
  sqlite3_busy_handler(ledger->db, wait_for_the_lock, ledger);
  sqlite3_db_config(ledger->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config(ledger->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  sqlite3_db_config(ledger->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
  sqlite3_db_config(ledger->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
  return SQLITE_OK;
}

/* On a medium that cannot be written WAL has no shared memory to read with. As long as there is no log
** beside the file it is complete by itself, and can be read as immutable
** (https://www.sqlite.org/wal.html#readonly). */
static int open_immutable(struct os_ledger *ledger, int rc_before) {
  char *wal = os_mprintf("%s-wal", ledger->path);
  char *uri = os_location_uri(ledger->path, "?immutable=1");
  int rc = wal == NULL || uri == NULL ? SQLITE_NOMEM : access(wal, F_OK) == 0 ? rc_before : SQLITE_OK;
  if (rc == SQLITE_OK) {
    close_database(ledger);
    rc = open_file(ledger, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
  }
  os_free(wal);
  os_free(uri);
  return rc;
}

static int open_existing(struct os_ledger *ledger, enum content *content, int64_t *version) {
  int rc = open_file(ledger, ledger->path, SQLITE_OPEN_READWRITE);
  if (rc == SQLITE_OK) rc = look_inside(ledger, content, version);
  int kind = rc & 0xff;
  if ((kind == SQLITE_CANTOPEN || kind == SQLITE_READONLY) && access(ledger->path, R_OK) == 0) {
    rc = open_immutable(ledger, rc);
    if (rc == SQLITE_OK) rc = look_inside(ledger, content, version);
  }
  return rc;
}

/* SQLite gives a new file, and later its -wal and -shm, the mode of the file that `modeof` names
** (https://www.sqlite.org/uri.html): the lock file, which was made with the right one. */
static int open_or_make(struct os_ledger *ledger, enum content *content, int64_t *version) {
  int rc = SQLITE_NOMEM;
  char *like = os_location_uri(ledger->lock_path, "");
  char *query = like != NULL ? os_mprintf("?modeof=%s", like + strlen("file:")) : NULL;
  char *uri = query != NULL ? os_location_uri(ledger->path, query) : NULL;
  bool is_new = access(ledger->path, F_OK) != 0;
  if (uri != NULL) rc = open_file(ledger, uri, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI);
  struct stat owner;
  if (rc == SQLITE_OK && is_new && geteuid() == 0 && ledger->like != NULL &&
      stat(ledger->like, &owner) == 0 && lchown(ledger->path, owner.st_uid, owner.st_gid) != 0)
    rc = SQLITE_IOERR; /* root made it for somebody who then could not write it */
  if (rc == SQLITE_OK) rc = look_inside(ledger, content, version);
  os_free(like);
  os_free(query);
  os_free(uri);
  return rc;
}

/* ---- laying down and upgrading ------------------------------------------------------------------------- */

/* Changing to WAL needs the file alone for a moment, and SQLite does not wait for that by itself. When it
** cannot be had (some file systems), the rollback journal serves as well, only slower. */
static void set_journal(struct os_ledger *ledger) {
  const char *sql =
      os_location_is_network(ledger->path) ? "PRAGMA journal_mode = DELETE" : "PRAGMA journal_mode = WAL";
  double until = os_clock_monotonic() + OS_LEDGER_BUSY_MS / 1000.0;
  while ((sqlite3_exec(ledger->db, sql, NULL, NULL, NULL) & 0xff) == SQLITE_BUSY &&
         os_clock_monotonic() < until)
    os_clock_sleep_ms(10);
}

/* Runs the schema files this ledger has not seen. Looks again once the write lock is held: another process
** may have been faster. */
static int lay_down(struct os_ledger *ledger, struct os_error *error) {
  enum content content = CONTENT_NOTHING;
  int64_t version = 0;
  int rc = sqlite3_exec(ledger->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
  if (rc == SQLITE_OK) rc = look_inside(ledger, &content, &version);
  bool wanted = content == CONTENT_NOTHING || content == CONTENT_OLDER;
  if (rc == SQLITE_OK && !wanted && content != CONTENT_LEDGER) {
    sqlite3_exec(ledger->db, "ROLLBACK", NULL, NULL, NULL);
    return fail_content(ledger, content, version, error);
  }
  for (int64_t step = content == CONTENT_NOTHING ? 0 : version; rc == SQLITE_OK && wanted && step < VERSION;
       step++)
    rc = sqlite3_exec(ledger->db, os_ledger_schema[step], NULL, NULL, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_exec(ledger->db, "COMMIT", NULL, NULL, NULL);
  if (rc == SQLITE_OK) return OS_OK;
  os_ledger_fail(ledger, rc, "preparing the ledger", error);
  if (!sqlite3_get_autocommit(ledger->db)) sqlite3_exec(ledger->db, "ROLLBACK", NULL, NULL, NULL);
  return os_ledger_code(error);
}

static void remember_file(struct os_ledger *ledger) {
  struct stat st;
  bool found = !in_memory(ledger) && stat(ledger->path, &st) == 0;
  ledger->dev = found ? st.st_dev : 0;
  ledger->ino = found ? st.st_ino : 0;
}

/* Somebody deleted or replaced the file: what would be written now would be in no file at all. Not while
** jobs of ours run or a transaction is open: those end in the file they began in. */
static bool is_stale(const struct os_ledger *ledger) {
  struct stat st;
  if (in_memory(ledger) || ledger->held_count > 0 || ledger->in_transaction) return false;
  return stat(ledger->path, &st) != 0 || st.st_dev != ledger->dev || st.st_ino != ledger->ino;
}

/* The connection is open and `content` is known: what remains before it can be used. */
static int make_ready(struct os_ledger *ledger, bool create, enum content content, int64_t version,
                      struct os_error *error) {
  if (content == CONTENT_FOREIGN || content == CONTENT_NEWER)
    return fail_content(ledger, content, version, error);
  ledger->readonly = sqlite3_db_readonly(ledger->db, "main") != 0;
  if (create && ledger->readonly) return os_ledger_writable(ledger, error);
  int rc = OS_OK;
  if (create && content != CONTENT_LEDGER) {
    set_journal(ledger);
    rc = lay_down(ledger, error);
  } else if (content == CONTENT_OLDER) {
    rc = fail_content(ledger, content, version, error);
  }
  if (rc == OS_OK) rc = os_jobs_add_function(ledger) == SQLITE_OK ? OS_OK : os_fail_nomem(error);
  int code =
      rc == OS_OK ? sqlite3_exec(ledger->db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL) : SQLITE_OK;
  return code == SQLITE_OK ? rc : os_ledger_fail(ledger, code, opening, error);
}

/* Between os_fork_hold() and _let_go(). */
static int open_now(struct os_ledger *ledger, bool create, struct os_error *error) {
  enum content content = CONTENT_NOTHING;
  int64_t version = 0;
  int rc, code;
  if (!in_memory(ledger) && (rc = os_fork_close_inherited(ledger->path, error)) != OS_OK) return rc;
  if (in_memory(ledger)) {
    code = open_file(ledger, ledger->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  } else if (create) {
    if ((rc = os_location_make_folder(ledger, error)) != OS_OK ||
        (rc = os_job_lock_make_file(ledger, error)) != OS_OK)
      return rc;
    code = open_or_make(ledger, &content, &version);
  } else {
    code = open_existing(ledger, &content, &version);
  }
  rc = code == SQLITE_OK ? OS_OK : os_ledger_fail(ledger, code, opening, error);
  bool nothing = !create && content == CONTENT_NOTHING;
  if (rc == OS_OK && !nothing) rc = make_ready(ledger, create, content, version, error);
  if (rc != OS_OK || nothing)
    close_database(ledger);
  else
    remember_file(ledger);
  return rc;
}

int os_ledger_open(struct os_ledger *ledger, bool create, struct os_error *error) {
  if (ledger->db != NULL && is_stale(ledger)) {
    close_database(ledger);
    os_job_lock_close(ledger);
  }
  if (ledger->db != NULL && create && ledger->readonly)
    close_database(ledger); /* its rights may have been changed since */
  if (ledger->db != NULL) return OS_OK;
  if (!create && (in_memory(ledger) || access(ledger->path, F_OK) != 0)) return OS_OK;
  os_fork_hold();
  int rc = open_now(ledger, create, error);
  os_fork_let_go();
  return rc;
}
