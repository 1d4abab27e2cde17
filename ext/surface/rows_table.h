/* rows_table.h - virtual tables whose rows are few and made all at once: settings, connections,
** permissions, plans, what a cluster lists.
**
** A table says its columns and parameters and how its rows are made (a JSON array of objects, one member a
** column); the virtual-table methods are the same for all of them. Eponymous: usable without CREATE VIRTUAL
** TABLE. Parameters are hidden columns: SELECT * FROM name('value'), or WHERE parameter = 'value'. What a
** query asks of a name can be handed to the request that makes the rows (filters); SQLite checks it again.
** */
#ifndef OS_SURFACE_ROWS_TABLE_H
#define OS_SURFACE_ROWS_TABLE_H
#include <jansson.h>
#include <stdbool.h>
#include "base/error.h"
#include "ledger/sqlite_api.h"
#include "operations/session.h"
#include "surface/rows_filter.h"

enum { OS_ROWS_PARAMETERS = 4, OS_ROWS_FILTERS = 2 };

struct os_rows_table;

struct os_rows_call {
  struct os_session *session;
  sqlite3_value *argument[OS_ROWS_PARAMETERS]; /* protected; NULL: not given */
  const char *pattern[OS_ROWS_FILTERS];        /* a list of patterns for what filters[i] names; NULL: all */
  json_t *rows;                                /* an empty array; append objects here */
  struct os_error *error;
  const struct os_rows_table *table;
  sqlite3_uint64 used; /* columns the query reads: os_rows_uses() */
};

struct os_rows_filter {
  const char *column; /* NULL ends the list */
  enum os_filter_kind kind;
};

struct os_rows_table {
  const char *name;
  const char *const *columns;           /* ends with NULL; each a member of the row objects */
  const char *const *types;             /* declared types, one a column */
  const char *const *parameters;        /* ends with NULL; may be NULL */
  int required;                         /* how many of the parameters must be given */
  const struct os_rows_filter *filters; /* at most OS_ROWS_FILTERS; NULL: none */
  const char *synonym, *synonym_of; /* another, hidden name of a column whose own is a keyword; may be NULL */
  bool direct_only;                 /* not from a view or trigger of a database (rule 5) */
  bool is_command; /* the rows come over the network: entered as a command is (SIGINT, time-outs) */
  int (*fill)(struct os_rows_call *call);
  /* UPDATE of the row that stood at `row` (from 0); value[i] is the new value of column i. NULL: read only.
   */
  int (*update)(struct os_session *session, sqlite3_int64 row, sqlite3_value **value, struct os_error *error);
};

/* What sqlite3_create_module_v2() gets as its client data. */
struct os_rows_binding {
  struct os_session *session;
  const struct os_rows_table *table;
};
extern const sqlite3_module os_rows_module;

/* Does the query read this column? For what costs a request of its own. */
bool os_rows_uses(const struct os_rows_call *call, const char *column);

/* Text of a parameter: valid UTF-8, no NUL, not empty. Missing or NULL gives NULL. */
int os_rows_text(const struct os_rows_call *call, int i, const char *what, const char **out);
#endif
