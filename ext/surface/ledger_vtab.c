/* ledger_vtab.c - a virtual table over a query on the ledger: planning, reading in pieces, showing values.
**
** Calls the session for the ledger anew for every piece, and keeps no statement in between: a fork, a ledger
** that was deleted, a closing connection find nothing of ours open. Owns the copied rows of its cursors.
*/
#include "surface/ledger_vtab.h"
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/fork.h"
#include "base/text.h"
#include "base/utf8.h"

/* ---- table and cursor ---------------------------------------------------------------------------------- */

enum { CHUNK_ROWS = 64, CHUNK_BYTES = 4 << 20 };
enum { PLAN_KEY = 1, PLAN_JOB = 2, PLAN_DESCENDING = 4 };

struct ledger_cursor {
  sqlite3_vtab_cursor base; /* must be first */
  int plan;                 /* PLAN_… */
  sqlite3_uint64 wanted;    /* columns to read ahead; the others are fetched when asked for */
  sqlite3_value *key, *job; /* copies of the look-up's arguments */
  sqlite3_value **cells;    /* CHUNK_ROWS rows of column_count; NULL: not read ahead */
  sqlite3_int64 keys[CHUNK_ROWS];
  int count, at;
  bool last_chunk;
};

int os_ledger_vtab_fail(sqlite3_vtab *base, const struct os_error *error) {
  char sentence[OS_ERROR_TEXT + OS_ERROR_ADVICE + 4];
  os_error_sentence(error, sentence, sizeof sentence);
  sqlite3_free(base->zErrMsg);
  base->zErrMsg = sqlite3_mprintf("%s", sentence);
  return error->code == OS_ERR_NOMEM || base->zErrMsg == NULL ? SQLITE_NOMEM : SQLITE_ERROR;
}

static int vtab_fail_sqlite(sqlite3_vtab *base, struct os_ledger *ledger, int rc) {
  struct os_error error;
  if (rc == SQLITE_NOMEM) return rc;
  os_fail(&error, OS_ERR_LEDGER, "%s: the ledger '%s' cannot be read: %s",
          ((struct os_ledger_vtab *)base)->table->name, os_ledger_path(ledger),
          sqlite3_errmsg(os_ledger_db(ledger)));
  return os_ledger_vtab_fail(base, &error);
}

/* CREATE TABLE x(job INTEGER, …); os_free() it. */
static char *declaration(const struct os_ledger_table *table) {
  struct os_buf buf;
  os_buf_init(&buf, 0);
  os_buf_puts(&buf, "CREATE TABLE x(");
  for (int i = 0; i < table->column_count; i++)
    os_buf_printf(&buf, "%s%s %s", i ? ", " : "", table->columns[i].name, table->columns[i].type);
  os_buf_putc(&buf, ')');
  char *text = buf.failed ? NULL : os_buf_take(&buf);
  os_buf_free(&buf);
  return text;
}

int os_ledger_vtab_connect(sqlite3 *db, void *session, const struct os_ledger_table *table,
                           sqlite3_vtab **out) {
  char *sql = declaration(table);
  int rc = sql != NULL ? sqlite3_declare_vtab(db, sql) : SQLITE_NOMEM;
  os_free(sql);
  if (rc == SQLITE_OK && table->writable) rc = sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
  if (rc != SQLITE_OK) return rc;
  struct os_ledger_vtab *vtab = os_calloc(1, sizeof *vtab);
  if (vtab == NULL) return SQLITE_NOMEM;
  vtab->table = table;
  vtab->session = session;
  *out = &vtab->base;
  return SQLITE_OK;
}

int os_ledger_vtab_disconnect(sqlite3_vtab *base) {
  os_free(base);
  return SQLITE_OK;
}

int os_ledger_vtab_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out) {
  struct os_ledger_vtab *vtab = (struct os_ledger_vtab *)base;
  struct ledger_cursor *cursor = os_calloc(1, sizeof *cursor);
  if (cursor != NULL)
    cursor->cells = os_calloc((size_t)vtab->table->column_count * CHUNK_ROWS, sizeof *cursor->cells);
  if (cursor == NULL || cursor->cells == NULL) {
    os_free(cursor);
    return SQLITE_NOMEM;
  }
  *out = &cursor->base;
  return SQLITE_OK;
}

static const struct os_ledger_table *table_of(const struct ledger_cursor *cursor) {
  return ((struct os_ledger_vtab *)cursor->base.pVtab)->table;
}

static void drop_rows(struct ledger_cursor *cursor) {
  int cells = table_of(cursor)->column_count * CHUNK_ROWS;
  for (int i = 0; i < cells; i++) {
    sqlite3_value_free(cursor->cells[i]);
    cursor->cells[i] = NULL;
  }
  cursor->count = cursor->at = 0;
}

static void drop_arguments(struct ledger_cursor *cursor) {
  sqlite3_value_free(cursor->key);
  sqlite3_value_free(cursor->job);
  cursor->key = cursor->job = NULL;
}

int os_ledger_vtab_close(sqlite3_vtab_cursor *base) {
  struct ledger_cursor *cursor = (struct ledger_cursor *)base;
  drop_rows(cursor);
  drop_arguments(cursor);
  os_free(cursor->cells);
  os_free(cursor);
  return SQLITE_OK;
}

/* ---- planning ------------------------------------------------------------------------------------------ */

static bool is_key(const struct os_ledger_table *table, int column) {
  return column < 0 || column == table->key_column;
}

/* Equality on the key and on the job is looked up; SQLite checks it again (omit stays 0), so a value of
** another type means what it means in any table. The order by key is ours in both directions. */
int os_ledger_vtab_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
  const struct os_ledger_table *table = ((struct os_ledger_vtab *)base)->table;
  int key = -1, job = -1, arguments = 0;
  for (int i = 0; i < info->nConstraint; i++) {
    const struct sqlite3_index_constraint *constraint = &info->aConstraint[i];
    if (!constraint->usable || constraint->op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
    if (is_key(table, constraint->iColumn))
      key = i;
    else if (constraint->iColumn == table->job_column)
      job = i;
  }
  if (key >= 0) info->aConstraintUsage[key].argvIndex = ++arguments;
  if (job >= 0) info->aConstraintUsage[job].argvIndex = ++arguments;
  bool ordered = info->nOrderBy == 1 && is_key(table, info->aOrderBy[0].iColumn);
  info->orderByConsumed = ordered;
  info->idxNum = (key >= 0 ? PLAN_KEY : 0) | (job >= 0 ? PLAN_JOB : 0) |
                 (ordered && info->aOrderBy[0].desc ? PLAN_DESCENDING : 0);
  info->estimatedRows = key >= 0 ? 1 : job >= 0 ? 100 : 10000;
  info->estimatedCost = (double)info->estimatedRows * 10;
  if (key >= 0) info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE;
  info->idxStr = sqlite3_mprintf("%lld", (sqlite3_int64)info->colUsed);
  info->needToFreeIdxStr = 1;
  return info->idxStr != NULL ? SQLITE_OK : SQLITE_NOMEM;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

int os_ledger_vtab_find(sqlite3_vtab *base, struct os_ledger **ledger, sqlite3 **db) {
  struct os_error error;
  os_error_clear(&error);
  *db = NULL;
  if (os_session_ledger(((struct os_ledger_vtab *)base)->session, false, ledger, &error) != OS_OK)
    return os_ledger_vtab_fail(base, &error);
  *db = *ledger != NULL ? os_ledger_db(*ledger) : NULL;
  return SQLITE_OK;
}

/* The argument comes from another connection, whose encoding may be UTF-16. */
static int bind_argument(sqlite3_stmt *stmt, int at, sqlite3_value *value) {
  switch (sqlite3_value_type(value)) {
  case SQLITE_INTEGER: return sqlite3_bind_int64(stmt, at, sqlite3_value_int64(value));
  case SQLITE_FLOAT: return sqlite3_bind_double(stmt, at, sqlite3_value_double(value));
  case SQLITE_TEXT:
    return sqlite3_bind_text(stmt, at, (const char *)sqlite3_value_text(value), sqlite3_value_bytes(value),
                             SQLITE_TRANSIENT);
  case SQLITE_BLOB:
    return sqlite3_bind_blob(stmt, at, sqlite3_value_blob(value), sqlite3_value_bytes(value),
                             SQLITE_TRANSIENT);
  default: return sqlite3_bind_null(stmt, at);
  }
}

static bool is_wanted(const struct ledger_cursor *cursor, int column) {
  return (cursor->wanted >> (column < 63 ? column : 63)) & 1;
}

/* The statement for the next rows: ?1 key, ?2 job, ?3 the last key seen. os_free() it. */
static char *chunk_sql(const struct ledger_cursor *cursor, bool first) {
  const struct os_ledger_table *table = table_of(cursor);
  bool down = (cursor->plan & PLAN_DESCENDING) != 0;
  struct os_buf buf;
  os_buf_init(&buf, 0);
  os_buf_printf(&buf, "SELECT %s", table->key);
  for (int i = 0; i < table->column_count; i++)
    os_buf_printf(&buf, ", %s", is_wanted(cursor, i) ? table->columns[i].sql : "NULL");
  os_buf_printf(&buf, " FROM %s WHERE true", table->from);
  if (cursor->plan & PLAN_KEY) os_buf_printf(&buf, " AND %s = ?1", table->key);
  if (cursor->plan & PLAN_JOB) os_buf_printf(&buf, " AND %s = ?2", table->job);
  if (!first) os_buf_printf(&buf, " AND %s %s ?3", table->key, down ? "<" : ">");
  os_buf_printf(&buf, " ORDER BY %s %s LIMIT %d", table->key, down ? "DESC" : "ASC", (int)CHUNK_ROWS);
  char *sql = buf.failed ? NULL : os_buf_take(&buf);
  os_buf_free(&buf);
  return sql;
}

static int prepare_chunk(struct ledger_cursor *cursor, sqlite3 *db, bool first, sqlite3_int64 after,
                         sqlite3_stmt **stmt) {
  char *sql = chunk_sql(cursor, first);
  int rc = sql != NULL ? sqlite3_prepare_v2(db, sql, -1, stmt, NULL) : SQLITE_NOMEM;
  os_free(sql);
  if (rc == SQLITE_OK && cursor->key != NULL) rc = bind_argument(*stmt, 1, cursor->key);
  if (rc == SQLITE_OK && cursor->job != NULL) rc = bind_argument(*stmt, 2, cursor->job);
  if (rc == SQLITE_OK && !first) rc = sqlite3_bind_int64(*stmt, 3, after);
  return rc;
}

/* Copies the row the statement stands on; adds the size of its texts to *bytes. */
static int take_row(struct ledger_cursor *cursor, sqlite3_stmt *stmt, sqlite3_int64 *bytes) {
  int columns = table_of(cursor)->column_count;
  cursor->keys[cursor->count] = sqlite3_column_int64(stmt, 0);
  for (int i = 0; i < columns; i++) {
    sqlite3_value **cell = &cursor->cells[cursor->count * columns + i];
    if (!is_wanted(cursor, i)) continue;
    *cell = sqlite3_value_dup(sqlite3_column_value(stmt, i + 1));
    if (*cell == NULL) return SQLITE_NOMEM;
    int type = sqlite3_column_type(stmt, i + 1);
    if (type == SQLITE_TEXT || type == SQLITE_BLOB) *bytes += sqlite3_column_bytes(stmt, i + 1);
  }
  cursor->count++;
  return SQLITE_OK;
}

/* Fewer rows than asked for is the end, unless large values made us stop. */
static int read_chunk(struct ledger_cursor *cursor, bool first) {
  sqlite3_int64 after = first ? 0 : cursor->keys[cursor->count - 1];
  struct os_ledger *ledger = NULL;
  sqlite3_stmt *stmt = NULL;
  sqlite3 *db;
  drop_rows(cursor);
  int rc = os_ledger_vtab_find(cursor->base.pVtab, &ledger, &db);
  cursor->last_chunk = true;
  if (rc != SQLITE_OK || db == NULL) return rc;
  os_fork_hold();
  rc = prepare_chunk(cursor, db, first, after, &stmt);
  sqlite3_int64 bytes = 0;
  int step = SQLITE_DONE;
  while (rc == SQLITE_OK && bytes < CHUNK_BYTES && (step = sqlite3_step(stmt)) == SQLITE_ROW)
    rc = take_row(cursor, stmt, &bytes);
  if (rc == SQLITE_OK && step != SQLITE_ROW && step != SQLITE_DONE) rc = step;
  if (rc != SQLITE_OK) rc = vtab_fail_sqlite(cursor->base.pVtab, ledger, rc);
  cursor->last_chunk = (cursor->plan & PLAN_KEY) != 0 || (step == SQLITE_DONE && cursor->count < CHUNK_ROWS);
  sqlite3_finalize(stmt);
  os_fork_let_go();
  return rc;
}

int os_ledger_vtab_filter(sqlite3_vtab_cursor *base, int plan, const char *wanted, int argc,
                          sqlite3_value **argv) {
  struct ledger_cursor *cursor = (struct ledger_cursor *)base;
  int at = 0;
  int64_t columns;
  drop_arguments(cursor);
  cursor->plan = plan;
  if (wanted == NULL || !os_parse_int(wanted, &columns)) return SQLITE_INTERNAL;
  cursor->wanted = (sqlite3_uint64)columns;
  if ((plan & PLAN_KEY) && at < argc && (cursor->key = sqlite3_value_dup(argv[at++])) == NULL)
    return SQLITE_NOMEM;
  if ((plan & PLAN_JOB) && at < argc && (cursor->job = sqlite3_value_dup(argv[at++])) == NULL)
    return SQLITE_NOMEM;
  return read_chunk(cursor, true);
}

int os_ledger_vtab_next(sqlite3_vtab_cursor *base) {
  struct ledger_cursor *cursor = (struct ledger_cursor *)base;
  cursor->at++;
  if (cursor->at < cursor->count || cursor->last_chunk) return SQLITE_OK;
  return read_chunk(cursor, false);
}

int os_ledger_vtab_eof(sqlite3_vtab_cursor *base) {
  const struct ledger_cursor *cursor = (const struct ledger_cursor *)base;
  return cursor->at >= cursor->count;
}

int os_ledger_vtab_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out) {
  const struct ledger_cursor *cursor = (const struct ledger_cursor *)base;
  *out = cursor->keys[cursor->at];
  return SQLITE_OK;
}

/* File names are bytes, and so may be what a server answers: shown as valid UTF-8, for Python raises on
** other text. */
static void result_text(sqlite3_context *context, const char *text, size_t len) {
  static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
  size_t good = os_utf8_check(text, len);
  if (good == len) {
    sqlite3_result_text64(context, text, len, SQLITE_TRANSIENT, SQLITE_UTF8);
    return;
  }
  struct os_buf buf;
  os_buf_init(&buf, 0);
  for (;;) {
    os_buf_append(&buf, text, good);
    if (good == len) break;
    os_buf_puts(&buf, replacement);
    text += good + 1;
    len -= good + 1;
    good = os_utf8_check(text, len);
  }
  if (buf.failed)
    sqlite3_result_error_nomem(context);
  else
    sqlite3_result_text64(context, buf.data, buf.len, SQLITE_TRANSIENT, SQLITE_UTF8);
  os_buf_free(&buf);
}

static void result_cell(sqlite3_context *context, sqlite3_value *cell) {
  const char *text;
  switch (sqlite3_value_type(cell)) {
  case SQLITE_TEXT:
    text = (const char *)sqlite3_value_text(cell);
    if (text != NULL)
      result_text(context, text, (size_t)sqlite3_value_bytes(cell));
    else
      sqlite3_result_error_nomem(context);
    break;
  case SQLITE_BLOB:
    sqlite3_result_blob(context, sqlite3_value_blob(cell), sqlite3_value_bytes(cell), SQLITE_TRANSIENT);
    break;
  case SQLITE_INTEGER: sqlite3_result_int64(context, sqlite3_value_int64(cell)); break;
  case SQLITE_FLOAT: sqlite3_result_double(context, sqlite3_value_double(cell)); break;
  default: sqlite3_result_null(context); break;
  }
}

int os_ledger_vtab_cell(sqlite3_vtab *base, sqlite3_int64 key, int column, sqlite3_value **out) {
  const struct os_ledger_table *table = ((struct os_ledger_vtab *)base)->table;
  struct os_ledger *ledger = NULL;
  sqlite3_stmt *stmt = NULL;
  sqlite3 *db;
  *out = NULL;
  int rc = os_ledger_vtab_find(base, &ledger, &db);
  if (rc != SQLITE_OK || db == NULL) return rc;
  char *sql =
      os_mprintf("SELECT %s FROM %s WHERE %s = ?1", table->columns[column].sql, table->from, table->key);
  os_fork_hold();
  rc = sql != NULL ? sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;
  os_free(sql);
  if (rc == SQLITE_OK) rc = sqlite3_bind_int64(stmt, 1, key);
  if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
    rc = (*out = sqlite3_value_dup(sqlite3_column_value(stmt, 0))) != NULL ? SQLITE_OK : SQLITE_NOMEM;
  else if (rc == SQLITE_DONE)
    rc = SQLITE_OK;
  if (rc != SQLITE_OK) rc = vtab_fail_sqlite(base, ledger, rc);
  sqlite3_finalize(stmt);
  os_fork_let_go();
  return rc;
}

/* A column that the plan did not announce (UPDATE … FROM reads such) is fetched now. */
int os_ledger_vtab_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
  struct ledger_cursor *cursor = (struct ledger_cursor *)base;
  if (sqlite3_vtab_nochange(context)) return SQLITE_OK;
  sqlite3_value **cell = &cursor->cells[cursor->at * table_of(cursor)->column_count + column];
  if (*cell == NULL) {
    int rc = os_ledger_vtab_cell(base->pVtab, cursor->keys[cursor->at], column, cell);
    if (rc != SQLITE_OK || *cell == NULL) return rc;
  }
  result_cell(context, *cell);
  return SQLITE_OK;
}
