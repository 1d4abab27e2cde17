/* rows_table.c - the virtual-table methods that all tables of struct os_rows_table share.
**
** The plan (xBestIndex) only notes which parameters are given, as bits in idxNum; nothing else is pushed
** down. May call: operations/session, base/. Owns: a cursor its array of rows and copies of its arguments.
** */
#include "surface/rows_table.h"

#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/json.h"
#include "base/text.h"

struct rows_vtab {
  sqlite3_vtab base; /* must be first */
  struct os_session *session;
  const struct os_rows_table *table;
  int columns; /* visible ones */
};

struct rows_cursor {
  sqlite3_vtab_cursor base; /* must be first */
  json_t *rows;
  size_t row;
  sqlite3_value *argument[OS_ROWS_PARAMETERS]; /* own copies, for the hidden columns */
};

static int count_names(const char *const *names) {
  int n = 0;
  while (names != NULL && names[n] != NULL)
    n++;
  return n;
}

static char *declaration(const struct os_rows_table *table) {
  struct os_buf sql;
  os_buf_init(&sql, 0);
  os_buf_puts(&sql, "CREATE TABLE x(");
  for (int i = 0; table->columns[i] != NULL; i++)
    os_buf_printf(&sql, "%s\"%s\" %s", i == 0 ? "" : ", ", table->columns[i], table->types[i]);
  for (int i = 0; i < count_names(table->parameters); i++)
    os_buf_printf(&sql, ", \"%s\" HIDDEN", table->parameters[i]);
  os_buf_putc(&sql, ')');
  return os_buf_take(&sql);
}

static int rowsConnect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **out,
                       char **message) {
  const struct os_rows_binding *binding = aux;
  (void)argc, (void)argv, (void)message;
  *out = NULL;
  char *sql = declaration(binding->table);
  struct rows_vtab *vtab = os_calloc(1, sizeof *vtab);
  int rc = sql != NULL && vtab != NULL ? sqlite3_declare_vtab(db, sql) : SQLITE_NOMEM;
  os_free(sql);
  if (rc != SQLITE_OK) {
    os_free(vtab);
    return rc;
  }
  if (binding->table->direct_only) sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
  vtab->session = binding->session;
  vtab->table = binding->table;
  vtab->columns = count_names(binding->table->columns);
  *out = &vtab->base;
  return SQLITE_OK;
}

static int rowsDisconnect(sqlite3_vtab *base) {
  os_free(base);
  return SQLITE_OK;
}

/* A parameter that is given but cannot be used in this order of tables makes the plan impossible; one that
** is not given at all is told about by xFilter, in words. */
static int rowsBestIndex(sqlite3_vtab *base, sqlite3_index_info *info) {
  struct rows_vtab *vtab = (struct rows_vtab *)base;
  int constraint[OS_ROWS_PARAMETERS] = {-1, -1, -1, -1};
  for (int i = 0; i < info->nConstraint; i++) {
    int parameter = info->aConstraint[i].iColumn - vtab->columns;
    if (parameter < 0 || parameter >= OS_ROWS_PARAMETERS ||
        info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ)
      continue;
    if (!info->aConstraint[i].usable) return SQLITE_CONSTRAINT;
    constraint[parameter] = i;
  }
  int next = 1;
  info->idxNum = 0;
  for (int i = 0; i < OS_ROWS_PARAMETERS; i++) {
    if (constraint[i] < 0) continue;
    info->aConstraintUsage[constraint[i]].argvIndex = next++;
    info->aConstraintUsage[constraint[i]].omit = 1;
    info->idxNum |= 1 << i;
  }
  info->estimatedCost = 100;
  info->estimatedRows = 30;
  return SQLITE_OK;
}

static int rowsOpen(sqlite3_vtab *base, sqlite3_vtab_cursor **out) {
  (void)base;
  struct rows_cursor *cursor = os_calloc(1, sizeof *cursor);
  *out = cursor != NULL ? &cursor->base : NULL;
  return cursor != NULL ? SQLITE_OK : SQLITE_NOMEM;
}

static void reset_cursor(struct rows_cursor *cursor) {
  json_decref(cursor->rows);
  cursor->rows = NULL;
  cursor->row = 0;
  for (int i = 0; i < OS_ROWS_PARAMETERS; i++) {
    sqlite3_value_free(cursor->argument[i]);
    cursor->argument[i] = NULL;
  }
}

static int rowsClose(sqlite3_vtab_cursor *base) {
  reset_cursor((struct rows_cursor *)base);
  os_free(base);
  return SQLITE_OK;
}

static int report(struct rows_vtab *vtab, const struct os_error *error) {
  char sentence[OS_ERROR_TEXT + OS_ERROR_ADVICE + 4];
  if (error->code == OS_ERR_NOMEM) return SQLITE_NOMEM;
  os_error_sentence(error, sentence, sizeof sentence);
  sqlite3_free(vtab->base.zErrMsg);
  vtab->base.zErrMsg = sqlite3_mprintf("%s: %s", vtab->table->name, sentence);
  return error->code == OS_ERR_INTERRUPTED ? SQLITE_INTERRUPT : SQLITE_ERROR;
}

static int refuse_missing(const struct os_rows_table *table, int i, struct os_error *error) {
  os_fail(error, OS_ERR_ARGUMENT, "parameter %d (%s) is missing", i + 1, table->parameters[i]);
  os_advise(error, "SELECT * FROM %s('…')", table->name);
  return OS_ERR_ARGUMENT;
}

static int fill(struct rows_vtab *vtab, struct rows_cursor *cursor, struct os_error *error) {
  const struct os_rows_table *table = vtab->table;
  for (int i = 0; i < table->required; i++)
    if (cursor->argument[i] == NULL || sqlite3_value_type(cursor->argument[i]) == SQLITE_NULL)
      return refuse_missing(table, i, error);
  struct os_rows_call call = {.session = vtab->session, .rows = cursor->rows, .error = error};
  memcpy(call.argument, cursor->argument, sizeof call.argument);
  if (!table->is_command) return table->fill(&call);
  int rc = os_session_enter(vtab->session, error);
  if (rc != OS_OK) return rc;
  rc = table->fill(&call);
  if (os_session_stopped(vtab->session) && vtab->session->depth == 1) os_session_abandon_net(vtab->session);
  os_session_leave(vtab->session);
  return rc;
}

static int rowsFilter(sqlite3_vtab_cursor *base, int idx, const char *idx_text, int argc,
                      sqlite3_value **argv) {
  struct rows_cursor *cursor = (struct rows_cursor *)base;
  struct rows_vtab *vtab = (struct rows_vtab *)base->pVtab;
  struct os_error error;
  (void)idx_text;
  os_error_clear(&error);
  reset_cursor(cursor);
  for (int i = 0, given = 0; i < OS_ROWS_PARAMETERS && given < argc; i++) {
    if (!(idx & (1 << i))) continue;
    cursor->argument[i] = sqlite3_value_dup(argv[given++]);
    if (cursor->argument[i] == NULL) return SQLITE_NOMEM;
  }
  cursor->rows = json_array();
  if (cursor->rows == NULL) return SQLITE_NOMEM;
  return fill(vtab, cursor, &error) == OS_OK ? SQLITE_OK : report(vtab, &error);
}

static int rowsNext(sqlite3_vtab_cursor *base) {
  ((struct rows_cursor *)base)->row++;
  return SQLITE_OK;
}

static int rowsEof(sqlite3_vtab_cursor *base) {
  struct rows_cursor *cursor = (struct rows_cursor *)base;
  return cursor->row >= json_array_size(cursor->rows);
}

static void give_json(sqlite3_context *context, const json_t *value) {
  char *text;
  switch (value != NULL ? json_typeof(value) : JSON_NULL) {
  case JSON_NULL: sqlite3_result_null(context); break;
  case JSON_TRUE: sqlite3_result_int(context, 1); break;
  case JSON_FALSE: sqlite3_result_int(context, 0); break;
  case JSON_INTEGER: sqlite3_result_int64(context, json_integer_value(value)); break;
  case JSON_REAL: sqlite3_result_double(context, json_real_value(value)); break;
  case JSON_STRING:
    sqlite3_result_text64(context, json_string_value(value), json_string_length(value), SQLITE_TRANSIENT,
                          SQLITE_UTF8);
    break;
  case JSON_OBJECT:
  case JSON_ARRAY:
    text = os_json_text(value);
    if (text == NULL)
      sqlite3_result_error_nomem(context);
    else
      sqlite3_result_text64(context, text, strlen(text), os_free, SQLITE_UTF8);
    break;
  }
}

static int rowsColumn(sqlite3_vtab_cursor *base, sqlite3_context *context, int i) {
  struct rows_cursor *cursor = (struct rows_cursor *)base;
  struct rows_vtab *vtab = (struct rows_vtab *)base->pVtab;
  if (i < vtab->columns) {
    give_json(context, json_object_get(json_array_get(cursor->rows, cursor->row), vtab->table->columns[i]));
  } else if (i - vtab->columns < OS_ROWS_PARAMETERS && cursor->argument[i - vtab->columns] != NULL) {
    sqlite3_result_value(context, cursor->argument[i - vtab->columns]);
  }
  return SQLITE_OK;
}

static int rowsRowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  *rowid = (sqlite3_int64)((struct rows_cursor *)base)->row + 1;
  return SQLITE_OK;
}

/* argv: old rowid, new rowid, new values (sqlite.org/vtab.html#xupdate). Only UPDATE, and only where it has
** a meaning. */
// NOLINTNEXTLINE(readability-non-const-parameter): the signature is SQLite's
static int rowsUpdate(sqlite3_vtab *base, int argc, sqlite3_value **argv, sqlite3_int64 *rowid) {
  struct rows_vtab *vtab = (struct rows_vtab *)base;
  struct os_error error;
  (void)rowid;
  os_error_clear(&error);
  if (vtab->table->update == NULL) {
    os_fail(&error, OS_ERR_ARGUMENT, "this table is read only");
    return report(vtab, &error);
  }
  if (argc == 1 || sqlite3_value_type(argv[0]) == SQLITE_NULL ||
      sqlite3_value_int64(argv[0]) != sqlite3_value_int64(argv[1])) {
    os_fail(&error, OS_ERR_ARGUMENT, "rows can be changed with UPDATE, not inserted or deleted");
    return report(vtab, &error);
  }
  int rc = vtab->table->update(vtab->session, sqlite3_value_int64(argv[0]) - 1, argv + 2, &error);
  return rc == OS_OK ? SQLITE_OK : report(vtab, &error);
}

int os_rows_text(const struct os_rows_call *call, int i, const char *what, const char **out) {
  sqlite3_value *value = call->argument[i];
  *out = NULL;
  if (value == NULL || sqlite3_value_type(value) == SQLITE_NULL) return OS_OK;
  if (sqlite3_value_type(value) != SQLITE_TEXT)
    return os_fail(call->error, OS_ERR_ARGUMENT, "%s is not text", what);
  const char *text = (const char *)sqlite3_value_text(value);
  if (text == NULL) return os_fail_nomem(call->error);
  size_t len = (size_t)sqlite3_value_bytes(value);
  if (len == 0 || strlen(text) != len || os_utf8_check(text, len) < len)
    return os_fail(call->error, OS_ERR_ARGUMENT, "%s is %s", what,
                   len == 0 ? "empty" : "not valid UTF-8, or has a NUL character inside");
  *out = text;
  return OS_OK;
}

/* No xCreate: the tables exist by themselves (eponymous only), CREATE VIRTUAL TABLE is refused by SQLite. */
const sqlite3_module os_rows_module = {
    .iVersion = 0,
    .xConnect = rowsConnect,
    .xBestIndex = rowsBestIndex,
    .xDisconnect = rowsDisconnect,
    .xOpen = rowsOpen,
    .xClose = rowsClose,
    .xFilter = rowsFilter,
    .xNext = rowsNext,
    .xEof = rowsEof,
    .xColumn = rowsColumn,
    .xRowid = rowsRowid,
    .xUpdate = rowsUpdate,
};
