/* ledger_vtab.h - what the tables of the ledger share: a virtual table over a query on the ledger's
** connection, described by its columns. ledger_tables.c holds the descriptions.
**
** Rows are read in pieces and copied: between two of them nothing is open on the ledger, so a statement that
** a user leaves half read never keeps a running load from committing (rollback journal) or the log from
** shrinking (WAL). The tables are live, not a snapshot. Any thread that may use the caller's connection. */
#ifndef OS_SURFACE_LEDGER_VTAB_H
#define OS_SURFACE_LEDGER_VTAB_H
#include <stdbool.h>
#include "ledger/sqlite_api.h"
#include "base/error.h"
#include "ledger/ledger.h"
#include "operations/session.h"

struct os_ledger_column {
  const char *name;
  const char *type; /* as declared, with HIDDEN where "SELECT *" leaves it out */
  const char *sql;  /* what computes it from `from` */
};

struct os_ledger_table {
  const char *name;
  const char *from;
  const char *key; /* unique, ascending with time: the rowid */
  const char *job; /* the other thing worth looking up by, or NULL */
  const struct os_ledger_column *columns;
  int column_count;
  int key_column, job_column; /* of columns; -1: none */
  bool writable;
};

struct os_ledger_vtab {
  sqlite3_vtab base; /* must be first */
  const struct os_ledger_table *table;
  struct os_session *session; /* borrowed: outlives every table of the connection */
};

/* From a module's xConnect: declares the columns. SQLite's code. */
int os_ledger_vtab_connect(sqlite3 *db, void *session, const struct os_ledger_table *table,
                           sqlite3_vtab **out);

/* The remaining methods of a reading module. */
int os_ledger_vtab_disconnect(sqlite3_vtab *base);
int os_ledger_vtab_best_index(sqlite3_vtab *base, sqlite3_index_info *info);
int os_ledger_vtab_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out);
int os_ledger_vtab_close(sqlite3_vtab_cursor *base);
int os_ledger_vtab_filter(sqlite3_vtab_cursor *base, int plan, const char *wanted, int argc,
                          sqlite3_value **argv);
int os_ledger_vtab_next(sqlite3_vtab_cursor *base);
int os_ledger_vtab_eof(sqlite3_vtab_cursor *base);
int os_ledger_vtab_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column);
int os_ledger_vtab_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out);

/* For a module that writes as well. */
int os_ledger_vtab_fail(sqlite3_vtab *base,
                        const struct os_error *error); /* sets the message; SQLite's code */
/* The ledger and its connection; *db is NULL while there is no ledger. */
int os_ledger_vtab_find(sqlite3_vtab *base, struct os_ledger **ledger, sqlite3 **db);
/* One column of one row, copied; *out stays NULL when the row has gone. sqlite3_value_free() it. */
int os_ledger_vtab_cell(sqlite3_vtab *base, sqlite3_int64 key, int column, sqlite3_value **out);
#endif
