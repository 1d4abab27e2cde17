/* ledger_tables.c - the ledger shown as virtual tables: a description of each, and what UPDATE and DELETE
** do.
**
**     SELECT job, status, documents_read, rate FROM os_jobs ORDER BY job DESC LIMIT 5;
**     SELECT check_name, verdict, detail FROM os_audit WHERE job = 12;
**     UPDATE dlq_failures SET document = json_set(document, '$.price', 9.5) WHERE id = 3;
**     DELETE FROM dlq_failures WHERE job = 12;
**
** Rationale for DIRECTONLY on dlq_failures: it can be written, and a view or trigger of somebody else's
** database file must not be able to change or dismiss refused records. The other tables only read; views
** over them work.
*/
#include "surface/ledger_tables.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "base/text.h"
#include "base/utf8.h"
#include "surface/ledger_vtab.h"

/* ---- what each table shows ----------------------------------------------------------------------------- */

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])
#define SHOWN(job)                                                                                           \
  "os_job_shown(" job ".status, " job ".job, " job ".locked, " job ".host, " job ".updated_at)"
#define DAYS_TO(end) "(julianday(" end ") - julianday(j.started_at))"
#define DONE                                                                                                 \
  "(j.documents_created + j.documents_updated + j.documents_noop + j.documents_already + "                   \
  "j.documents_failed)"

/* seconds: of a running job until now; rate: of what the cluster has answered for (a rehearsal: of what was
** read) */
static const struct os_ledger_column jobs_columns[] = {
    {"job", "INTEGER", "j.job"},
    {"parent", "INTEGER", "j.parent"},
    {"kind", "TEXT", "j.kind"},
    {"status", "TEXT", SHOWN("j")},
    {"index_name", "TEXT", "j.index_name"},
    {"arguments", "TEXT", "j.arguments"},
    {"started_at", "TEXT", "j.started_at"},
    {"updated_at", "TEXT", "j.updated_at"},
    {"finished_at", "TEXT", "j.finished_at"},
    {"seconds", "REAL",
     "round(86400.0 * " DAYS_TO(
         "coalesce(j.finished_at, iif(" SHOWN("j") " = 'running', 'now', j.updated_at))") ", 3)"},
    {"files", "INTEGER", "j.files"},
    {"files_done", "INTEGER", "j.files_done"},
    {"documents_read", "INTEGER", "j.documents_read"},
    {"documents_created", "INTEGER", "j.documents_created"},
    {"documents_updated", "INTEGER", "j.documents_updated"},
    {"documents_noop", "INTEGER", "j.documents_noop"},
    {"documents_already", "INTEGER", "j.documents_already"},
    {"documents_failed", "INTEGER", "j.documents_failed"},
    {"documents_skipped", "INTEGER", "j.documents_skipped"},
    {"bytes_read", "INTEGER", "j.bytes_read"},
    {"bytes_sent", "INTEGER", "j.bytes_sent"},
    {"requests", "INTEGER", "j.requests"},
    {"retries", "INTEGER", "j.retries"},
    {"count_before", "INTEGER", "j.count_before"},
    {"count_after", "INTEGER", "j.count_after"},
    {"rate", "REAL",
     "round(iif(" DONE " > 0, " DONE
     ", j.documents_read) / nullif(86400.0 * " DAYS_TO("coalesce(j.finished_at, j.updated_at)") ", 0), 1)"},
    {"error", "TEXT", "j.error"},
    {"response", "TEXT", "j.response"},
    {"host", "TEXT", "j.host"},
    {"pid", "INTEGER", "j.pid"},
    {"version", "TEXT", "j.version"},
    {"correlation_id", "TEXT", "j.correlation_id"},
    {"control", "TEXT", "j.control"},
    {"path", "TEXT", "j.path"},
};

/* A file that a dead or interrupted job was reading is not being read any more. */
static const struct os_ledger_column job_files_columns[] = {
    {"job", "INTEGER", "f.job"},
    {"file", "TEXT", "f.file"},
    {"fingerprint", "TEXT", "f.fingerprint"},
    {"format", "TEXT", "f.format"},
    {"status", "TEXT", "iif(f.status = 'running' AND " SHOWN("j") " <> 'running', 'interrupted', f.status)"},
    {"byte_offset", "INTEGER", "f.byte_offset"},
    {"documents", "INTEGER", "f.documents"},
    {"failed", "INTEGER", "f.failed"},
    {"seconds", "REAL", "f.seconds"},
    {"error", "TEXT", "f.error"},
    {"name", "TEXT", "f.name"},
    {"size", "INTEGER", "f.size"},
    {"mtime", "TEXT", "f.mtime"},
    {"line", "INTEGER", "f.line"},
    {"generation", "INTEGER", "f.generation"},
    {"id", "INTEGER HIDDEN", "f.id"},
};

static const struct os_ledger_column audit_columns[] = {
    {"job", "INTEGER", "a.job"},      {"at", "TEXT", "a.at"},
    {"step", "TEXT", "a.step"},       {"check_name", "TEXT", "a.check_name"},
    {"verdict", "TEXT", "a.verdict"}, {"detail", "TEXT", "a.detail"},
    {"id", "INTEGER HIDDEN", "a.id"},
};

static const struct os_ledger_column failures_columns[] = {
    {"id", "INTEGER", "d.id"},
    {"job", "INTEGER", "d.job"},
    {"index_name", "TEXT", "d.index_name"},
    {"file", "TEXT", "d.file"},
    {"line", "INTEGER", "d.line"},
    {"byte_offset", "INTEGER", "d.byte_offset"},
    {"doc_id", "TEXT", "d.doc_id"},
    {"op", "TEXT", "d.op"},
    {"status", "INTEGER", "d.status"},
    {"error_type", "TEXT", "d.error_type"},
    {"error_reason", "TEXT", "d.error_reason"},
    {"document", "TEXT", "d.document"},
    {"raw", "", "d.raw"},
    {"attempts", "INTEGER", "d.attempts"},
    {"failed_at", "TEXT", "d.failed_at"},
    {"resolved_at", "TEXT", "d.resolved_at"},
    {"resolved_by", "INTEGER", "d.resolved_by"},
    {"superseded", "INTEGER", "d.superseded"},
    {"sqs_sent_at", "TEXT", "d.sqs_sent_at"},
    {"context", "TEXT HIDDEN", "d.context"},
};

static const struct os_ledger_table jobs_table = {"os_jobs",           "job j", "j.job", NULL, jobs_columns,
                                                  COUNT(jobs_columns), 0,       -1,      false};
static const struct os_ledger_table job_files_table = {"os_job_files",
                                                       "job_file f LEFT JOIN job j ON j.job = f.job",
                                                       "f.id",
                                                       "f.job",
                                                       job_files_columns,
                                                       COUNT(job_files_columns),
                                                       COUNT(job_files_columns) - 1,
                                                       0,
                                                       false};
static const struct os_ledger_table audit_table = {
    "os_audit", "audit a", "a.id", "a.job", audit_columns, COUNT(audit_columns), COUNT(audit_columns) - 1,
    0,          false};
static const struct os_ledger_table failures_table = {
    "dlq_failures", "failure d", "d.id", "d.job", failures_columns, COUNT(failures_columns), 0, 1, true};

/* ---- writing dlq_failures ------------------------------------------------------------------------------ */

static int refuse(sqlite3_vtab *base, const char *text, const char *advice) {
  struct os_error error;
  os_fail(&error, OS_ERR_ARGUMENT, "dlq_failures: %s", text);
  os_advise(&error, "%s", advice);
  return os_ledger_vtab_fail(base, &error);
}

static bool same_bytes(sqlite3_value *a, sqlite3_value *b, bool text) {
  const void *left = text ? (const void *)sqlite3_value_text(a) : sqlite3_value_blob(a);
  const void *right = text ? (const void *)sqlite3_value_text(b) : sqlite3_value_blob(b);
  int len = sqlite3_value_bytes(a);
  return len == sqlite3_value_bytes(b) &&
         (len == 0 || (left && right && memcmp(left, right, (size_t)len) == 0));
}

/* Was this column given its old value? Some forms of UPDATE hand over every column. Text that is not UTF-8
** was shown mended, so it cannot be compared, and cannot have been meant. */
static bool is_unchanged(sqlite3_value *given, sqlite3_value *old) {
  int type = sqlite3_value_type(old);
  const char *text = type == SQLITE_TEXT ? (const char *)sqlite3_value_text(old) : NULL;
  size_t len = text != NULL ? (size_t)sqlite3_value_bytes(old) : 0;
  if (text != NULL && os_utf8_check(text, len) != len) return true;
  if (type != sqlite3_value_type(given)) return false;
  switch (type) {
  case SQLITE_INTEGER: return sqlite3_value_int64(given) == sqlite3_value_int64(old);
  case SQLITE_TEXT: return same_bytes(given, old, true);
  case SQLITE_BLOB: return same_bytes(given, old, false);
  default: return type == SQLITE_NULL;
  }
}

/* `raw` only, or all others: a new raw voids the document, so one that is given beside it must come after. */
static int update_columns(sqlite3_vtab *base, struct os_ledger *ledger, sqlite3_int64 id,
                          sqlite3_value **values, bool raw) {
  const struct os_ledger_table *table = ((struct os_ledger_vtab *)base)->table;
  struct os_error error;
  int rc = SQLITE_OK;
  for (int i = 0; i < table->column_count && rc == SQLITE_OK; i++) {
    sqlite3_value *old = NULL;
    const char *name = table->columns[i].name;
    if (sqlite3_value_nochange(values[i]) || (strcmp(name, "raw") == 0) != raw) continue;
    rc = os_ledger_vtab_cell(base, id, i, &old);
    bool changed = rc == SQLITE_OK && (old == NULL || !is_unchanged(values[i], old));
    sqlite3_value_free(old);
    os_error_clear(&error);
    if (changed && os_ledger_failure_update(ledger, id, name, values[i], &error) != OS_OK)
      rc = os_ledger_vtab_fail(base, &error);
  }
  return rc;
}

static int update_row(sqlite3_vtab *base, struct os_ledger *ledger, sqlite3_int64 id,
                      sqlite3_value **values) {
  struct os_error error;
  os_error_clear(&error);
  if (os_ledger_begin(ledger, &error) != OS_OK) return os_ledger_vtab_fail(base, &error);
  int rc = update_columns(base, ledger, id, values, true);
  if (rc == SQLITE_OK) rc = update_columns(base, ledger, id, values, false);
  if (rc != SQLITE_OK)
    os_ledger_rollback(ledger);
  else if (os_ledger_commit(ledger, &error) != OS_OK)
    rc = os_ledger_vtab_fail(base, &error);
  return rc;
}

static int delete_row(sqlite3_vtab *base, struct os_ledger *ledger, sqlite3_int64 id) {
  struct os_error error;
  os_error_clear(&error);
  int rc = os_ledger_failure_delete(ledger, id, &error);
  if (rc == OS_OK || rc == OS_ERR_NOT_FOUND) /* somebody else was faster: it is gone, as wanted */
    return SQLITE_OK;
  return os_ledger_vtab_fail(base, &error);
}

/* argv: the old rowid, the new rowid, then the columns (https://www.sqlite.org/vtab.html#xupdate). */
static int ledgerUpdate(sqlite3_vtab *base, int argc, sqlite3_value **argv, sqlite3_int64 *rowid) {
  (void)rowid;
  struct os_ledger *ledger = NULL;
  sqlite3 *db;
  if (argc > 1 && sqlite3_value_type(argv[0]) == SQLITE_NULL)
    return refuse(
        base, "rows come from loads and cannot be inserted",
        "os_bulk_load() and os_retry_failures() keep what was refused; UPDATE repairs, DELETE dismisses");
  sqlite3_int64 id = sqlite3_value_int64(argv[0]);
  if (argc > 1 && sqlite3_value_int64(argv[1]) != id)
    return refuse(base, "the id of a row cannot be changed", "document and raw repair a record");
  int rc = os_ledger_vtab_find(base, &ledger, &db);
  if (rc != SQLITE_OK) return rc;
  if (db == NULL) return refuse(base, "the ledger has gone", "look at the table again");
  return argc == 1 ? delete_row(base, ledger, id) : update_row(base, ledger, id, argv + 2);
}

/* ---- modules ------------------------------------------------------------------------------------------- */

/* NOLINTBEGIN(bugprone-macro-parentheses): names and initialisers, not expressions */
#define CONNECT(method, table)                                                                               \
  static int method(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **out,           \
                    char **message) {                                                                        \
    (void)argc, (void)argv, (void)message;                                                                   \
    return os_ledger_vtab_connect(db, aux, &table, out);                                                     \
  }
CONNECT(jobsConnect, jobs_table)
CONNECT(jobFilesConnect, job_files_table)
CONNECT(auditConnect, audit_table)
CONNECT(failuresConnect, failures_table)

/* Without xCreate a module is eponymous only: CREATE VIRTUAL TABLE is refused. */
#define MODULE(connect, update)                                                                              \
  {                                                                                                          \
    .iVersion = 0, .xConnect = connect, .xBestIndex = os_ledger_vtab_best_index,                             \
    .xDisconnect = os_ledger_vtab_disconnect, .xOpen = os_ledger_vtab_open, .xClose = os_ledger_vtab_close,  \
    .xFilter = os_ledger_vtab_filter, .xNext = os_ledger_vtab_next, .xEof = os_ledger_vtab_eof,              \
    .xColumn = os_ledger_vtab_column, .xRowid = os_ledger_vtab_rowid, .xUpdate = update                      \
  }

const sqlite3_module os_jobs_module = MODULE(jobsConnect, NULL);
const sqlite3_module os_job_files_module = MODULE(jobFilesConnect, NULL);
const sqlite3_module os_audit_module = MODULE(auditConnect, NULL);
const sqlite3_module os_dlq_failures_module = MODULE(failuresConnect, ledgerUpdate);
/* NOLINTEND(bugprone-macro-parentheses) */

static const struct {
  const char *name;
  const sqlite3_module *module;
} modules[] = {
    {"os_jobs", &os_jobs_module},
    {"os_job_files", &os_job_files_module},
    {"os_audit", &os_audit_module},
    {"dlq_failures", &os_dlq_failures_module},
};

int os_ledger_tables_register(sqlite3 *db, struct os_session *session) {
  int rc = SQLITE_OK;
  for (int i = 0; i < COUNT(modules) && rc == SQLITE_OK; i++)
    rc = sqlite3_create_module_v2(db, modules[i].name, modules[i].module, session, NULL);
  return rc;
}

/* ---- hidden by the user's own -------------------------------------------------------------------------- */

/* Looks into one schema; *found is 1 and `out` filled when it has a table or view of one of our names. */
static int look_for_clash(sqlite3 *db, const char *schema, char out[64], int *found) {
  sqlite3_stmt *stmt = NULL;
  char *sql = sqlite3_mprintf(
      "SELECT name FROM \"%w\".sqlite_schema WHERE type IN ('table', 'view') AND lower(name) IN"
      " ('os_jobs', 'os_job_files', 'os_audit', 'dlq_failures') ORDER BY name",
      schema);
  int rc = sql != NULL ? sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;
  sqlite3_free(sql);
  if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    snprintf(out, 64, "%s.%s", schema, (const char *)sqlite3_column_text(stmt, 0));
    *found = 1;
  }
  sqlite3_finalize(stmt);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int os_ledger_name_clash(sqlite3 *db, char out[64]) {
  sqlite3_stmt *stmt = NULL;
  int found = 0;
  out[0] = '\0';
  int rc = sqlite3_prepare_v2(db, "PRAGMA database_list", -1, &stmt, NULL);
  while (rc == SQLITE_OK && !found && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    const char *schema = (const char *)sqlite3_column_text(stmt, 1);
    rc = schema != NULL ? look_for_clash(db, schema, out, &found) : SQLITE_NOMEM;
  }
  sqlite3_finalize(stmt);
  return found ? 1 : rc == SQLITE_OK || rc == SQLITE_DONE ? 0 : -1;
}
