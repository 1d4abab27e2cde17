/* rows.c - see rows.h. Statements of its own on the ledger's connection, reading only. */
#include "operations/retry/rows.h"
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/fork.h"
#include "base/json.h"
#include "ledger/sqlite_api.h"

/* A record goes back to the cluster that refused it (rows from before that was noted may go anywhere). */
#define OF_THIS_CLUSTER(parameter)                                                                           \
  " AND coalesce(json_extract(context, '$.endpoint'), " parameter ") = " parameter

static int fail_sqlite(const struct os_retry_rows *rows, int code, struct os_error *error) {
  if (code == SQLITE_NOMEM) return os_fail_nomem(error);
  sqlite3 *db = os_ledger_db(rows->ledger);
  os_fail(error, OS_ERR_LEDGER, "reading refused records from the ledger '%s': %s",
          os_ledger_path(rows->ledger), db ? sqlite3_errmsg(db) : "it is not open");
  return os_advise(error, "nothing of them was changed by this; try again");
}

static int prepare(const struct os_retry_rows *rows, const char *sql, sqlite3_stmt **out,
                   struct os_error *error) {
  sqlite3 *db = os_ledger_db(rows->ledger);
  *out = NULL;
  os_fork_hold(); /* until finish(): no fork in between */
  int code = db ? sqlite3_prepare_v2(db, sql, -1, out, NULL) : SQLITE_MISUSE;
  if (code == SQLITE_OK) return OS_OK;
  int rc = fail_sqlite(rows, code, error);
  os_fork_let_go();
  return rc;
}

static void finish(sqlite3_stmt *stmt) {
  sqlite3_finalize(stmt);
  os_fork_let_go();
}

/* One number; *found false: no row. */
static int read_number(const struct os_retry_rows *rows, const char *sql, int64_t parameter, int64_t *out,
                       bool *found, struct os_error *error) {
  sqlite3_stmt *stmt;
  int rc = prepare(rows, sql, &stmt, error);
  if (rc) return rc;
  sqlite3_bind_int64(stmt, 1, parameter);
  int code = sqlite3_step(stmt);
  *found = code == SQLITE_ROW;
  if (*found) *out = sqlite3_column_int64(stmt, 0);
  if (code != SQLITE_ROW && code != SQLITE_DONE) rc = fail_sqlite(rows, code, error);
  finish(stmt);
  return rc;
}

int os_retry_rows_begin(struct os_retry_rows *rows, struct os_ledger *ledger, int64_t job,
                        const char *endpoint, bool newest_first, struct os_error *error) {
  bool found = true;
  int64_t number;
  *rows = (struct os_retry_rows){
      .ledger = ledger, .job = job, .endpoint = endpoint, .newest_first = newest_first};
  int rc = OS_OK;
  /* a load that os_ledger_prune has forgotten may still have records that wait */
  if (job)
    rc = read_number(
        rows, "SELECT job FROM job WHERE job = ?1 UNION ALL SELECT job FROM failure WHERE job = ?1 LIMIT 1",
        job, &number, &found, error);
  if (!rc && !found) {
    os_fail(error, OS_ERR_NOT_FOUND, "there is no job %lld", (long long)job);
    return os_advise(error,
                     "SELECT DISTINCT job FROM dlq_failures WHERE resolved_at IS NULL lists the loads with "
                     "failed records");
  }
  if (!rc)
    rc = read_number(rows, "SELECT coalesce(max(id), 0) FROM failure WHERE ?1 IS NOT NULL", 0, &rows->last,
                     &found, error);
  return rc;
}

int os_retry_rows_indices(const struct os_retry_rows *rows, json_t **out, struct os_error *error) {
  sqlite3_stmt *stmt;
  int rc = prepare(rows,
                   "SELECT index_name, count(*) FROM failure WHERE resolved_at IS NULL AND id <= ?1"
                   " AND (?2 = 0 OR job = ?2)" OF_THIS_CLUSTER("?3") " GROUP BY 1 ORDER BY 1",
                   &stmt, error);
  *out = NULL;
  if (rc) return rc;
  json_t *indices = json_object();
  bool ok = indices != NULL;
  int code;
  sqlite3_bind_int64(stmt, 1, rows->last);
  sqlite3_bind_int64(stmt, 2, rows->job);
  sqlite3_bind_text(stmt, 3, rows->endpoint, -1, SQLITE_STATIC);
  while ((code = sqlite3_step(stmt)) == SQLITE_ROW && ok) {
    const char *name = (const char *)sqlite3_column_text(stmt, 0);
    ok = name && os_json_put(indices, name, json_integer(sqlite3_column_int64(stmt, 1)));
  }
  if (!ok)
    rc = os_fail_nomem(error);
  else if (code != SQLITE_DONE)
    rc = fail_sqlite(rows, code, error);
  finish(stmt);
  if (rc)
    json_decref(indices);
  else
    *out = indices;
  return rc;
}

/* A copy of a text or blob column with a NUL behind it; NULL stays NULL. False: no memory. */
static bool copy_column(sqlite3_stmt *stmt, int column, char **out, size_t *len) {
  *out = NULL;
  if (len) *len = 0;
  if (sqlite3_column_type(stmt, column) == SQLITE_NULL) return true;
  const char *bytes = sqlite3_column_blob(stmt, column); /* of a text: its UTF-8 */
  size_t n = (size_t)sqlite3_column_bytes(stmt, column);
  if (!bytes && n) return false;
  *out = os_strndup(bytes ? bytes : "", n);
  if (len) *len = n;
  return *out != NULL;
}

static int64_t number_or_unknown(sqlite3_stmt *stmt, int column) {
  return sqlite3_column_type(stmt, column) == SQLITE_NULL ? -1 : sqlite3_column_int64(stmt, column);
}

static bool copy_row(sqlite3_stmt *stmt, struct os_failed_row *row) {
  row->id = sqlite3_column_int64(stmt, 0);
  row->line = number_or_unknown(stmt, 1);
  row->byte_offset = number_or_unknown(stmt, 2);
  return copy_column(stmt, 3, &row->doc_id, NULL) && copy_column(stmt, 4, &row->op, NULL) &&
         copy_column(stmt, 5, &row->document, &row->document_len) &&
         copy_column(stmt, 6, &row->raw, &row->raw_len) && copy_column(stmt, 7, &row->context, NULL);
}

#define ROW_SQL                                                                                              \
  "SELECT id, line, byte_offset, doc_id, op, document, raw, context FROM failure"                            \
  " WHERE resolved_at IS NULL AND index_name = ?1 AND (?2 = 0 OR job = ?2)" OF_THIS_CLUSTER("?5")

int os_retry_rows_elsewhere(const struct os_retry_rows *rows, char endpoint[256], int64_t *count,
                            struct os_error *error) {
  sqlite3_stmt *stmt;
  int rc = prepare(rows,
                   "SELECT json_extract(context, '$.endpoint'), count(*) FROM failure"
                   " WHERE resolved_at IS NULL AND id <= ?1 AND (?2 = 0 OR job = ?2)"
                   " AND json_extract(context, '$.endpoint') <> ?3",
                   &stmt, error);
  *count = 0;
  if (rc) return rc;
  sqlite3_bind_int64(stmt, 1, rows->last);
  sqlite3_bind_int64(stmt, 2, rows->job);
  sqlite3_bind_text(stmt, 3, rows->endpoint, -1, SQLITE_STATIC);
  int code = sqlite3_step(stmt);
  if (code == SQLITE_ROW) {
    const char *url = (const char *)sqlite3_column_text(stmt, 0);
    *count = sqlite3_column_int64(stmt, 1);
    snprintf(endpoint, 256, "%s", url ? url : "");
  } else {
    rc = fail_sqlite(rows, code, error);
  }
  finish(stmt);
  return rc;
}

int os_retry_rows_next(const struct os_retry_rows *rows, const char *index, int64_t after,
                       struct os_failed_row *row, bool *found, struct os_error *error) {
  static const char up[] = ROW_SQL " AND id > ?3 AND id <= ?4 ORDER BY id LIMIT 1",
                    down[] = ROW_SQL " AND id < ?3 AND id <= ?4 ORDER BY id DESC LIMIT 1";
  sqlite3_stmt *stmt;
  memset(row, 0, sizeof *row);
  *found = false;
  int rc = prepare(rows, rows->newest_first ? down : up, &stmt, error);
  if (rc) return rc;
  sqlite3_bind_text(stmt, 1, index, -1, SQLITE_STATIC);
  sqlite3_bind_int64(stmt, 2, rows->job);
  sqlite3_bind_int64(stmt, 3, rows->newest_first && !after ? INT64_MAX : after);
  sqlite3_bind_int64(stmt, 4, rows->last);
  sqlite3_bind_text(stmt, 5, rows->endpoint, -1, SQLITE_STATIC);
  int code = sqlite3_step(stmt);
  if (code == SQLITE_ROW) {
    *found = copy_row(stmt, row);
    if (!*found) rc = os_fail_nomem(error);
  } else if (code != SQLITE_DONE) {
    rc = fail_sqlite(rows, code, error);
  }
  finish(stmt);
  if (rc) os_failed_row_free(row);
  return rc;
}

int os_retry_rows_settled(const struct os_retry_rows *rows, int64_t id, bool *settled,
                          struct os_error *error) {
  int64_t one;
  bool waits = false;
  int rc = read_number(rows, "SELECT 1 FROM failure WHERE id = ?1 AND resolved_at IS NULL", id, &one, &waits,
                       error);
  *settled = !waits;
  return rc;
}

void os_failed_row_free(struct os_failed_row *row) {
  os_free(row->doc_id);
  os_free(row->op);
  os_free(row->document);
  os_free(row->raw);
  os_free(row->context);
  memset(row, 0, sizeof *row);
}
