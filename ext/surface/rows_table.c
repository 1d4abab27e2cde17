/* rows_table.c - the virtual-table methods that all tables of struct os_rows_table share.
**
** The plan (xBestIndex) notes in idxNum which parameters are given (a bit each) and what is asked of the
** names that filters list (OP_BITS each), and in idxStr which columns are read. May call:
** operations/session, surface/rows_filter, base/. Owns: a cursor its array of rows and copies of its
** arguments. */
#include "surface/rows_table.h"

#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"

struct rows_vtab {
  sqlite3_vtab base; /* must be first */
  struct os_session *session;
  const struct os_rows_table *table;
  int columns; /* visible ones */
  int parameters;
  int synonym_of; /* the column that the synonym, behind the parameters, stands for; -1: there is none */
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

static int column_number(const struct os_rows_table *table, const char *name) {
  for (int i = 0; table->columns[i] != NULL; i++)
    if (strcmp(table->columns[i], name) == 0) return i;
  return -1;
}

/* The column that a number of SQLite's means. */
static int real_column(const struct rows_vtab *vtab, int i) {
  return vtab->synonym_of >= 0 && i == vtab->columns + vtab->parameters ? vtab->synonym_of : i;
}

static char *declaration(const struct os_rows_table *table) {
  struct os_buf sql;
  os_buf_init(&sql, 0);
  os_buf_puts(&sql, "CREATE TABLE x(");
  for (int i = 0; table->columns[i] != NULL; i++)
    os_buf_printf(&sql, "%s\"%s\" %s", i == 0 ? "" : ", ", table->columns[i], table->types[i]);
  for (int i = 0; i < count_names(table->parameters); i++)
    os_buf_printf(&sql, ", \"%s\" HIDDEN", table->parameters[i]);
  if (table->synonym != NULL) os_buf_printf(&sql, ", \"%s\" TEXT HIDDEN", table->synonym);
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
  vtab->parameters = count_names(binding->table->parameters);
  vtab->synonym_of =
      binding->table->synonym != NULL ? column_number(binding->table, binding->table->synonym_of) : -1;
  *out = &vtab->base;
  return SQLITE_OK;
}

static int rowsDisconnect(sqlite3_vtab *base) {
  os_free(base);
  return SQLITE_OK;
}

/* ---- the plan ----------------------------------------------------------------------------------- */

enum { OP_BITS = 3, OP_MASK = (1 << OP_BITS) - 1 };

static int op_shift(int filter) {
  return OS_ROWS_PARAMETERS + filter * OP_BITS;
}

/* The filter that a constraint on this column is for; -1: none. */
static int filter_of(const struct rows_vtab *vtab, int column) {
  const struct os_rows_table *table = vtab->table;
  column = real_column(vtab, column);
  for (int i = 0; table->filters != NULL && table->filters[i].column != NULL; i++)
    if (column_number(table, table->filters[i].column) == column) return i;
  return -1;
}

/* How a constraint can be said in a pattern. Another collation finds more names than are equal. */
static enum os_filter_op filter_op(sqlite3_index_info *info, int i) {
  if (!info->aConstraint[i].usable) return OS_FILTER_NONE;
  switch (info->aConstraint[i].op) {
  case SQLITE_INDEX_CONSTRAINT_LIKE: return OS_FILTER_LIKE;
  case SQLITE_INDEX_CONSTRAINT_GLOB: return OS_FILTER_GLOB;
  case SQLITE_INDEX_CONSTRAINT_EQ:
    if (strcmp(sqlite3_vtab_collation(info, i), "BINARY") != 0) return OS_FILTER_NONE;
    return sqlite3_vtab_in(info, i, -1) ? OS_FILTER_IN : OS_FILTER_EQUAL;
  default: return OS_FILTER_NONE;
  }
}

/* Of several constraints on one name the first kind in the order of the enum is the narrowest. */
static void choose_filters(const struct rows_vtab *vtab, sqlite3_index_info *info, int *next) {
  for (int filter = 0; filter < OS_ROWS_FILTERS; filter++) {
    enum os_filter_op best = OS_FILTER_NONE;
    int chosen = -1;
    for (int i = 0; i < info->nConstraint; i++) {
      if (filter_of(vtab, info->aConstraint[i].iColumn) != filter) continue;
      enum os_filter_op op = filter_op(info, i);
      if (op == OS_FILTER_NONE || (best != OS_FILTER_NONE && best <= op)) continue;
      best = op;
      chosen = i;
    }
    if (chosen < 0) continue;
    if (best == OS_FILTER_IN) sqlite3_vtab_in(info, chosen, 1); /* all values of the list in one request */
    info->aConstraintUsage[chosen].argvIndex = (*next)++;
    info->idxNum |= (int)best << op_shift(filter);
    info->estimatedCost = best <= OS_FILTER_IN ? 50 : 90;
    info->estimatedRows = best <= OS_FILTER_IN ? 2 : 15;
  }
}

/* A parameter that is given but cannot be used in this order of tables makes the plan impossible; one that
** is not given at all is told about by xFilter, in words. */
static int rowsBestIndex(sqlite3_vtab *base, sqlite3_index_info *info) {
  struct rows_vtab *vtab = (struct rows_vtab *)base;
  int constraint[OS_ROWS_PARAMETERS] = {-1, -1, -1, -1};
  for (int i = 0; i < info->nConstraint; i++) {
    int parameter = info->aConstraint[i].iColumn - vtab->columns;
    if (parameter < 0 || parameter >= vtab->parameters ||
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
  choose_filters(vtab, info, &next);
  info->idxStr = sqlite3_mprintf("%llu", info->colUsed);
  info->needToFreeIdxStr = 1;
  return info->idxStr != NULL ? SQLITE_OK : SQLITE_NOMEM;
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

static int fill(struct rows_vtab *vtab, struct rows_cursor *cursor, struct os_rows_call *call) {
  const struct os_rows_table *table = vtab->table;
  for (int i = 0; i < table->required; i++)
    if (cursor->argument[i] == NULL || sqlite3_value_type(cursor->argument[i]) == SQLITE_NULL)
      return refuse_missing(table, i, call->error);
  memcpy(call->argument, cursor->argument, sizeof call->argument);
  if (!table->is_command) return table->fill(call);
  int rc = os_session_enter(vtab->session, call->error);
  if (rc != OS_OK) return rc;
  rc = table->fill(call);
  if (os_session_stopped(vtab->session) && vtab->session->depth == 1) os_session_abandon_net(vtab->session);
  os_session_leave(vtab->session);
  return rc;
}

/* One value into the list; NULL equals nothing and is like nothing. *all: it would not narrow the list. */
static void add_value(struct os_buf *list, enum os_filter_kind kind, enum os_filter_op op,
                      sqlite3_value *value, bool *all, bool *any) {
  if (sqlite3_value_type(value) == SQLITE_NULL) return;
  const char *text = (const char *)sqlite3_value_text(value);
  const size_t len = (size_t)sqlite3_value_bytes(value);
  *any = true;
  if (text == NULL || !os_filter_add(list, kind, op, text, len)) *all = true;
}

/* What is asked of a name, as a list of patterns in `list`. *any false: nothing can fulfil it. */
static void read_filter(const struct os_rows_filter *filter, enum os_filter_op op, sqlite3_value *value,
                        struct os_buf *list, bool *any) {
  bool all = false;
  *any = false;
  if (op == OS_FILTER_IN) {
    sqlite3_value *one = NULL;
    int rc = sqlite3_vtab_in_first(value, &one);
    for (; rc == SQLITE_OK && one != NULL; rc = sqlite3_vtab_in_next(value, &one))
      add_value(list, filter->kind, op, one, &all, any);
    if (rc != SQLITE_OK && rc != SQLITE_DONE) *any = all = true; /* the list was not read to its end */
  } else {
    add_value(list, filter->kind, op, value, &all, any);
  }
  if (all) os_buf_clear(list);
}

static int rowsFilter(sqlite3_vtab_cursor *base, int idx, const char *idx_text, int argc,
                      sqlite3_value **argv) {
  struct rows_cursor *cursor = (struct rows_cursor *)base;
  struct rows_vtab *vtab = (struct rows_vtab *)base->pVtab;
  struct os_buf lists[OS_ROWS_FILTERS];
  struct os_error error;
  int given = 0, rc = SQLITE_OK;
  int64_t used = -1;
  bool possible = true;
  os_error_clear(&error);
  reset_cursor(cursor);
  for (int i = 0; i < OS_ROWS_PARAMETERS && given < argc; i++) {
    if (!(idx & (1 << i))) continue;
    cursor->argument[i] = sqlite3_value_dup(argv[given++]);
    if (cursor->argument[i] == NULL) return SQLITE_NOMEM;
  }
  cursor->rows = json_array();
  if (cursor->rows == NULL) return SQLITE_NOMEM;
  struct os_rows_call call = {
      .session = vtab->session, .rows = cursor->rows, .error = &error, .table = vtab->table};
  if (idx_text != NULL) os_parse_int(idx_text, &used);
  call.used = (sqlite3_uint64)used; /* all columns when it is not known */
  for (int i = 0; i < OS_ROWS_FILTERS; i++) {
    enum os_filter_op op = (enum os_filter_op)(idx >> op_shift(i) & OP_MASK);
    bool any = true;
    os_buf_init(&lists[i], 0);
    if (op != OS_FILTER_NONE && given < argc)
      read_filter(&vtab->table->filters[i], op, argv[given++], &lists[i], &any);
    if (!any) possible = false;
    call.pattern[i] = lists[i].len > 0 ? lists[i].data : NULL;
  }
  if (possible && fill(vtab, cursor, &call) != OS_OK) rc = report(vtab, &error);
  for (int i = 0; i < OS_ROWS_FILTERS; i++)
    os_buf_free(&lists[i]);
  return rc;
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
  i = real_column(vtab, i);
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

bool os_rows_uses(const struct os_rows_call *call, const char *column) {
  int i = column_number(call->table, column);
  return i < 0 || (call->used >> (i < 63 ? i : 63) & 1) != 0;
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

/* No xCreate: the tables exist by themselves (eponymous only), CREATE VIRTUAL TABLE is refused by SQLite.
** */
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
