/* statement.c - the ledger's statements and transactions, and the words for what SQLite reports.
**
** Every SQL text of the room is a string constant; its prepared statement is kept under the constant's
** address. Owns the cached statements of one os_ledger. A write begins with BEGIN IMMEDIATE, so that waiting
** for another process happens there, under the busy time-out, and never in the middle
** (https://www.sqlite.org/lang_transaction.html).
*/
#include "ledger/ledger_int.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/fork.h"

/* ---- errors -------------------------------------------------------------------------------------------- */

static int fail_full(const struct os_ledger *ledger, const char *doing, struct os_error *error) {
  os_fail(error, OS_ERR_LEDGER,
          "%s: the disk is full, the ledger '%s' could not be written; nothing of this step was recorded as "
          "acknowledged",
          doing, ledger->path);
  return os_advise(error, "make room and run it again; a load goes on with {\"mode\":\"resume\"}");
}

static int fail_busy(const struct os_ledger *ledger, const char *doing, struct os_error *error) {
  os_fail(error, OS_ERR_LEDGER, "%s: another process has kept the ledger '%s' locked for %d seconds", doing,
          ledger->path, OS_LEDGER_BUSY_MS / 1000);
  return os_advise(
      error, "end what keeps a transaction open on that file (a shell, a database browser), and try again");
}

static int fail_readonly(const struct os_ledger *ledger, const char *doing, struct os_error *error) {
  os_fail(error, OS_ERR_LEDGER, "%s: the ledger '%s' can be read, but not written, by this process", doing,
          ledger->path);
  return os_advise(error, "change the rights of the file and its folder, or name another with OS_LEDGER");
}

int os_ledger_advise_open(int number, struct os_error *error) {
  if (number == EMFILE || number == ENFILE)
    return os_advise(error, "close some files, or raise the limit (ulimit -n)");
  return os_advise(error, "its folder must exist and be writable; OS_LEDGER names another file, or :memory:");
}

static int fail_cantopen(const struct os_ledger *ledger, const char *doing, struct os_error *error) {
  int number = ledger->db != NULL ? sqlite3_system_errno(ledger->db) : 0;
  os_fail(error, OS_ERR_LEDGER, "%s: the ledger '%s' cannot be opened%s%s", doing, ledger->path,
          number != 0 ? ": " : "", number != 0 ? os_errno_text(number) : "");
  return os_ledger_advise_open(number, error);
}

int os_ledger_fail(struct os_ledger *ledger, int rc, const char *doing, struct os_error *error) {
  switch (rc & 0xff) {
  case SQLITE_NOMEM: return os_fail_nomem(error);
  case SQLITE_FULL: return fail_full(ledger, doing, error);
  case SQLITE_BUSY:
  case SQLITE_LOCKED: return fail_busy(ledger, doing, error);
  case SQLITE_READONLY: return fail_readonly(ledger, doing, error);
  case SQLITE_CANTOPEN: return fail_cantopen(ledger, doing, error);
  case SQLITE_NOTADB:
    os_fail(error, OS_ERR_LEDGER, "%s: '%s' is not an SQLite database, so it cannot be the ledger", doing,
            ledger->path);
    return os_advise(error, "move that file away, or name another ledger with OS_LEDGER");
  case SQLITE_CORRUPT:
    os_fail(error, OS_ERR_LEDGER, "%s: the ledger '%s' is damaged", doing, ledger->path);
    return os_advise(
        error, "keep a copy, try the sqlite3 shell's .recover on it, or move it away to begin a new one");
  case SQLITE_TOOBIG:
    os_fail(error, OS_ERR_LEDGER, "%s: a value is too long for the ledger '%s'", doing, ledger->path);
    return os_advise(error, "SQLite's limit is 1,000,000,000 bytes");
  default:
    os_fail(error, OS_ERR_LEDGER, "%s: the ledger '%s' failed: %s (SQLite code %d)", doing, ledger->path,
            ledger->db != NULL ? sqlite3_errmsg(ledger->db) : sqlite3_errstr(rc), rc);
    if ((rc & 0xff) == SQLITE_IOERR)
      return os_advise(error, "check the disk, its quota and the file system it is on");
    return OS_ERR_LEDGER;
  }
}

static int fail_not_open(const struct os_ledger *ledger, struct os_error *error) {
  return os_fail(error, OS_ERR_INTERNAL, "the ledger '%s' is not open", ledger->path);
}

int os_ledger_writable(const struct os_ledger *ledger, struct os_error *error) {
  if (ledger->db == NULL) return fail_not_open(ledger, error);
  return ledger->readonly ? fail_readonly(ledger, "writing the history", error) : OS_OK;
}

/* ---- statements ---------------------------------------------------------------------------------------- */

static sqlite3_stmt *cached(const struct os_ledger *ledger, const char *sql) {
  for (size_t i = 0; i < ledger->cache_count; i++)
    if (ledger->cache[i].sql == sql) return ledger->cache[i].stmt;
  return NULL;
}

static bool make_room(struct os_ledger *ledger) {
  if (ledger->cache_count < ledger->cache_cap) return true;
  size_t cap = ledger->cache_cap == 0 ? 32 : ledger->cache_cap * 2;
  struct os_cached_stmt *grown = os_realloc(ledger->cache, cap * sizeof *grown);
  if (grown == NULL) return false;
  ledger->cache = grown;
  ledger->cache_cap = cap;
  return true;
}

sqlite3_stmt *os_ledger_stmt(struct os_ledger *ledger, const char *sql, const char *doing,
                             struct os_error *error) {
  sqlite3_stmt *stmt = cached(ledger, sql);
  if (stmt != NULL) {
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    return stmt;
  }
  if (ledger->db == NULL) {
    fail_not_open(ledger, error);
    return NULL;
  }
  if (!make_room(ledger)) {
    os_fail_nomem(error);
    return NULL;
  }
  int rc = sqlite3_prepare_v3(ledger->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
  if (rc != SQLITE_OK) {
    os_ledger_fail(ledger, rc, doing, error);
    return NULL;
  }
  ledger->cache[ledger->cache_count++] = (struct os_cached_stmt){sql, stmt};
  return stmt;
}

void os_ledger_forget_statements(struct os_ledger *ledger) {
  for (size_t i = 0; i < ledger->cache_count; i++)
    sqlite3_finalize(ledger->cache[i].stmt);
  ledger->cache_count = 0;
}

static int bind_null_or(sqlite3_stmt *stmt, int at, int64_t value) {
  return value < 0 ? sqlite3_bind_null(stmt, at) : sqlite3_bind_int64(stmt, at, value);
}

/* The texts belong to the caller and outlive the step, so they are bound without a copy. */
static int bind_all(sqlite3_stmt *stmt, const char *types, va_list values) {
  int rc = SQLITE_OK;
  for (int at = 1; types[at - 1] != '\0' && rc == SQLITE_OK; at++) {
    switch (types[at - 1]) {
    case 't': rc = sqlite3_bind_text(stmt, at, va_arg(values, const char *), -1, SQLITE_STATIC); break;
    case 'i': rc = sqlite3_bind_int64(stmt, at, va_arg(values, int64_t)); break;
    case 'n': rc = bind_null_or(stmt, at, va_arg(values, int64_t)); break;
    case 'd': rc = sqlite3_bind_double(stmt, at, va_arg(values, double)); break;
    default: rc = SQLITE_MISUSE; break;
    }
  }
  return rc;
}

static sqlite3_stmt *prepare_bound(struct os_ledger *ledger, const char *sql, const char *doing,
                                   struct os_error *error, const char *types, va_list values) {
  os_fork_hold(); /* until os_ledger_done() */
  sqlite3_stmt *stmt = os_ledger_stmt(ledger, sql, doing, error);
  int rc = stmt != NULL ? bind_all(stmt, types, values) : SQLITE_OK;
  if (stmt != NULL && rc == SQLITE_OK) return stmt;
  if (stmt != NULL) {
    os_ledger_fail(ledger, rc, doing, error);
    sqlite3_clear_bindings(stmt);
  }
  os_fork_let_go();
  return NULL;
}

sqlite3_stmt *os_ledger_bound(struct os_ledger *ledger, const char *sql, const char *doing,
                              struct os_error *error, const char *types, ...) {
  va_list values;
  va_start(values, types);
  sqlite3_stmt *stmt = prepare_bound(ledger, sql, doing, error, types, values);
  va_end(values);
  return stmt;
}

/* The bound texts are the caller's: nothing may point to them afterwards. */
void os_ledger_done(sqlite3_stmt *stmt) {
  if (stmt == NULL) return;
  sqlite3_reset(stmt);
  sqlite3_clear_bindings(stmt);
  os_fork_let_go();
}

void os_ledger_copy_text(sqlite3_stmt *stmt, int column, char *out, size_t size) {
  const char *text = (const char *)sqlite3_column_text(stmt, column);
  snprintf(out, size, "%s", text != NULL ? text : "");
}

int os_ledger_ask(struct os_ledger *ledger, const char *sql, const char *doing, int64_t *number,
                  struct os_error *error, const char *types, ...) {
  *number = 0;
  va_list values;
  va_start(values, types);
  sqlite3_stmt *stmt = prepare_bound(ledger, sql, doing, error, types, values);
  va_end(values);
  if (stmt == NULL) return os_ledger_code(error);
  int rc = OS_OK, step = sqlite3_step(stmt);
  if (step == SQLITE_ROW)
    *number = sqlite3_column_int64(stmt, 0);
  else if (step != SQLITE_DONE)
    rc = os_ledger_fail(ledger, step, doing, error);
  os_ledger_done(stmt);
  return rc;
}

int os_ledger_run(struct os_ledger *ledger, const char *sql, const char *doing, struct os_error *error,
                  const char *types, ...) {
  struct os_error unwanted;
  os_error_clear(&unwanted);
  if (error == NULL) error = &unwanted;
  va_list values;
  va_start(values, types);
  sqlite3_stmt *stmt = prepare_bound(ledger, sql, doing, error, types, values);
  va_end(values);
  if (stmt == NULL) return (int)error->code;
  int rc = sqlite3_step(stmt);
  int code = rc == SQLITE_DONE ? OS_OK : os_ledger_fail(ledger, rc, doing, error);
  os_ledger_done(stmt);
  return code;
}

/* ---- transactions -------------------------------------------------------------------------------------- */

static const char saving[] = "writing the history";

/* Compiled anew each time: this pragma takes effect while it is compiled
** (https://www.sqlite.org/pragma.html). */
static int set_durable(struct os_ledger *ledger, bool durable, struct os_error *error) {
  os_fork_hold();
  int rc = sqlite3_exec(ledger->db, durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
                        NULL, NULL, NULL);
  os_fork_let_go();
  return rc == SQLITE_OK ? OS_OK : os_ledger_fail(ledger, rc, saving, error);
}

static const char end_it[] = "ROLLBACK";

/* What ends it is at hand before it begins: a ROLLBACK that has to be compiled when memory has run out would leave the
** transaction open for good, and this connection with what it saw then. */
int os_ledger_open_transaction(struct os_ledger *ledger, const char *sql, const char *doing,
                               struct os_error *error) {
  os_fork_hold();
  int rc = os_ledger_stmt(ledger, end_it, doing, error) != NULL ? os_ledger_run(ledger, sql, doing, error, "")
                                                                : os_ledger_code(error);
  if (rc != OS_OK) os_fork_let_go();
  return rc;
}

static int begin(struct os_ledger *ledger, struct os_error *error) {
  return os_ledger_open_transaction(ledger, "BEGIN IMMEDIATE", saving, error);
}

/* SQLite may have rolled back by itself (full disk, I/O error): then there is nothing left to do. */
void os_ledger_end_transaction(struct os_ledger *ledger) {
  if (!sqlite3_get_autocommit(ledger->db)) os_ledger_run(ledger, end_it, saving, NULL, "");
}

/* A COMMIT that fails leaves the transaction open: nothing may stay behind in it. */
static int commit(struct os_ledger *ledger, struct os_error *error) {
  if (sqlite3_get_autocommit(ledger->db)) {
    os_fail(error, OS_ERR_LEDGER,
            "%s: SQLite has rolled the step back after an earlier failure of the ledger '%s'", saving,
            ledger->path);
    return os_advise(error, "see the failure before this one; a load goes on with {\"mode\":\"resume\"}");
  }
  int rc = os_ledger_run(ledger, "COMMIT", saving, error, "");
  if (rc != OS_OK) os_ledger_end_transaction(ledger);
  return rc;
}

int os_write_enter(struct os_ledger *ledger, bool durable, struct os_write *write, struct os_error *error) {
  *write = (struct os_write){false, durable};
  int rc = os_ledger_writable(ledger, error);
  if (rc != OS_OK) return rc;
  if (ledger->in_transaction) {
    ledger->flush_at_commit |= durable;
    return OS_OK;
  }
  if (durable) rc = set_durable(ledger, true, error);
  if (rc == OS_OK) rc = begin(ledger, error);
  write->own = rc == OS_OK;
  if (rc != OS_OK && durable) set_durable(ledger, false, NULL);
  return rc;
}

int os_write_leave(struct os_ledger *ledger, struct os_write *write, int rc, struct os_error *error) {
  if (!write->own) return rc;
  if (rc == OS_OK)
    rc = commit(ledger, error);
  else
    os_ledger_end_transaction(ledger);
  os_fork_let_go();
  if (write->durable) set_durable(ledger, false, NULL); /* staying at FULL would only be slower */
  return rc;
}

int os_ledger_begin(struct os_ledger *ledger, struct os_error *error) {
  int rc = os_ledger_writable(ledger, error);
  if (rc != OS_OK) return rc;
  if (ledger->in_transaction)
    return os_fail(error, OS_ERR_INTERNAL, "a transaction on the ledger '%s' is open already", ledger->path);
  rc = begin(ledger, error);
  ledger->in_transaction = rc == OS_OK;
  ledger->flush_at_commit = false;
  return rc;
}

/* The mode of synchronous cannot change inside a transaction, so what was durable in it is carried to the
** disk by one more, empty in meaning: syncing the log syncs everything before it. */
static int flush(struct os_ledger *ledger, struct os_error *error) {
  struct os_write write;
  int rc = os_write_enter(ledger, true, &write, error);
  if (rc != OS_OK) return rc;
  rc = os_ledger_run(ledger, "UPDATE job SET updated_at = updated_at WHERE job = (SELECT max(job) FROM job)",
                     saving, error, "");
  return os_write_leave(ledger, &write, rc, error);
}

int os_ledger_commit(struct os_ledger *ledger, struct os_error *error) {
  int rc = os_ledger_writable(ledger, error);
  if (rc != OS_OK) return rc;
  if (!ledger->in_transaction)
    return os_fail(error, OS_ERR_INTERNAL, "no transaction on the ledger '%s' is open", ledger->path);
  ledger->in_transaction = false;
  rc = commit(ledger, error);
  os_fork_let_go();
  if (rc == OS_OK && ledger->flush_at_commit) rc = flush(ledger, error);
  ledger->flush_at_commit = false;
  return rc;
}

void os_ledger_rollback(struct os_ledger *ledger) {
  if (ledger->db != NULL && ledger->in_transaction) {
    os_ledger_end_transaction(ledger);
    os_fork_let_go();
  }
  ledger->in_transaction = false;
  ledger->flush_at_commit = false;
}
