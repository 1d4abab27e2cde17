/* facts.c - see facts.h. Every list is bounded by its query, so a job of a million files or refusals
** gives no more than one of some hundreds. Owns nothing.
*/
#include "ledger/facts.h"
#include <math.h>
#include <string.h>
#include "base/fork.h"
#include "ledger/ledger_int.h"

static const char reading[] = "reading what is known of a job";

#define SHOWN "os_job_shown(j.status, j.job, j.locked, j.host, j.updated_at)"

/* ---- the queries: ?1 the job, ?2 how many rows ----------------------------------------------------- */

static const char job_sql[] =
    "SELECT j.job, j.kind, " SHOWN
    " AS status, j.index_name, j.target_name, j.path, j.started_at, j.updated_at,"
    " j.finished_at, round(86400.0 * (julianday(coalesce(j.finished_at, iif(" SHOWN " = 'running', 'now',"
    " j.updated_at))) - julianday(j.started_at)), 3) AS seconds, j.files, j.files_done, j.documents_read,"
    " j.documents_created, j.documents_updated, j.documents_noop, j.documents_already, j.documents_failed,"
    " j.documents_skipped, j.bytes_read, j.bytes_sent, j.requests, j.retries, j.count_before, j.count_after,"
    " j.dry, j.control, j.error, j.arguments, j.settings, j.response, j.host, j.pid, j.version,"
    " j.correlation_id FROM job j WHERE j.job = ?1 LIMIT ?2";
static const char samples_sql[] =
    "SELECT seconds, documents, failed, bytes_read, bytes_sent, requests, retries"
    " FROM job_sample WHERE job = ?1 ORDER BY tick LIMIT ?2";
/* A file that a dead or interrupted job was reading is not being read any more (as in os_job_files). */
#define FILE_STATE "iif(f.status = 'running' AND " SHOWN " <> 'running', 'interrupted', f.status)"
static const char states_sql[] =
    "SELECT " FILE_STATE
    " AS status, count(*) AS files, sum(f.documents) AS documents, sum(f.failed) AS failed,"
    " sum(f.size) AS size FROM job_file f JOIN job j ON j.job = f.job WHERE f.job = ?1 GROUP BY 1"
    " ORDER BY min(f.id) LIMIT ?2";
static const char files_sql[] =
    "SELECT f.file, " FILE_STATE
    " AS status, f.documents, f.failed, f.byte_offset, f.size, f.seconds, f.format,"
    " f.error FROM job_file f JOIN job j ON j.job = f.job WHERE f.job = ?1"
    " ORDER BY f.status IN ('success', 'skipped', 'waiting'), f.id LIMIT ?2";
static const char checks_sql[] =
    "SELECT at, step, check_name, verdict, detail FROM audit WHERE job = ?1 ORDER BY id LIMIT ?2";
static const char reasons_sql[] =
    "SELECT status, error_type, count(*) AS records, sum(resolved_at IS NOT NULL) AS resolved FROM failure"
    " WHERE job = ?1 GROUP BY status, error_type ORDER BY records DESC, min(id) LIMIT ?2";
/* Records are bytes, whatever they were stored as: lengths and cuts count bytes. */
static const char examples_sql[] =
    "SELECT status, error_type, file, line, byte_offset, doc_id, op, attempts, resolved_at, error_reason,"
    " CAST(raw AS BLOB) AS raw, length(CAST(raw AS BLOB)) AS raw_len, CAST(document AS BLOB) AS document,"
    " length(CAST(document AS BLOB)) AS document_len FROM failure WHERE id IN (SELECT id FROM (SELECT id,"
    " row_number() OVER (PARTITION BY status, error_type ORDER BY id) AS nth FROM failure WHERE job = ?1)"
    " WHERE nth <= ?2) ORDER BY file, byte_offset, id LIMIT 1000";
static const char counts_sql[] =
    "SELECT (SELECT count(*) FROM audit WHERE job = ?1) AS check_count, (SELECT count(*) FROM (SELECT 1 FROM"
    " failure WHERE job = ?1 GROUP BY status, error_type)) AS reason_count LIMIT ?2";

/* ---- rows as JSON ---------------------------------------------------------------------------------- */

/* Bytes as they are, valid UTF-8 or not: whoever shows them sees to that. */
static json_t *bytes_of(sqlite3_stmt *stmt, int column, const char *name, const void *bytes) {
  size_t len = (size_t)sqlite3_column_bytes(stmt, column);
  bool record = strcmp(name, "raw") == 0 || strcmp(name, "document") == 0;
  size_t most = record ? OS_FACTS_EXCERPT : OS_FACTS_TEXT;
  return json_stringn_nocheck(bytes != NULL ? bytes : "", len > most ? most : len);
}

static json_t *value_of(sqlite3_stmt *stmt, int column, const char *name) {
  switch (sqlite3_column_type(stmt, column)) {
  case SQLITE_INTEGER: return json_integer(sqlite3_column_int64(stmt, column));
  case SQLITE_FLOAT: {
    double number = sqlite3_column_double(stmt, column);
    return isfinite(number) ? json_real(number) : json_null(); /* JSON has no infinity */
  }
  case SQLITE_TEXT: return bytes_of(stmt, column, name, sqlite3_column_text(stmt, column));
  case SQLITE_BLOB: return bytes_of(stmt, column, name, sqlite3_column_blob(stmt, column));
  default: return json_null();
  }
}

/* NULL: no memory. */
static json_t *row_of(sqlite3_stmt *stmt) {
  json_t *row = json_object();
  for (int i = 0; row != NULL && i < sqlite3_column_count(stmt); i++) {
    const char *name = sqlite3_column_name(stmt, i);
    if (name != NULL && json_object_set_new_nocheck(row, name, value_of(stmt, i, name)) == 0) continue;
    json_decref(row);
    row = NULL;
  }
  return row;
}

/* Adds to facts[key] the rows of the query. */
static int gather(struct os_ledger *ledger, json_t *facts, const char *key, const char *sql, int64_t job,
                  int64_t most, struct os_error *error) {
  json_t *rows = json_array();
  if (rows == NULL || json_object_set_new(facts, key, rows) != 0) return os_fail_nomem(error);
  sqlite3_stmt *stmt = os_ledger_bound(ledger, sql, reading, error, "ii", job, most);
  if (stmt == NULL) return os_ledger_code(error);
  int step, rc = OS_OK;
  while (rc == OS_OK && (step = sqlite3_step(stmt)) != SQLITE_DONE) {
    json_t *row = step == SQLITE_ROW ? row_of(stmt) : NULL;
    if (step != SQLITE_ROW)
      rc = os_ledger_fail(ledger, step, reading, error);
    else if (row == NULL || json_array_append_new(rows, row) != 0)
      rc = os_fail_nomem(error);
  }
  os_ledger_done(stmt);
  return rc;
}

/* The one row of a list takes the list's place, or its members join `facts` (key NULL). */
static int unwrap(json_t *facts, const char *key, const char *into, struct os_error *error) {
  json_t *row = json_incref(json_array_get(json_object_get(facts, key), 0));
  json_object_del(facts, key);
  int failed = into != NULL ? json_object_set(facts, into, row) : json_object_update(facts, row);
  json_decref(row);
  return failed ? os_fail_nomem(error) : OS_OK;
}

static int gather_all(struct os_ledger *ledger, json_t *facts, int64_t job, struct os_error *error) {
  static const struct {
    const char *key, *sql;
    int64_t most;
  } lists[] = {{"samples", samples_sql, OS_SAMPLES + 1},
               {"states", states_sql, 20},
               {"files", files_sql, OS_FACTS_FILES},
               {"checks", checks_sql, OS_FACTS_CHECKS},
               {"reasons", reasons_sql, OS_FACTS_REASONS},
               {"examples", examples_sql, OS_FACTS_EXAMPLES},
               {"counts", counts_sql, 1}};
  int rc = gather(ledger, facts, "rows", job_sql, job, 1, error);
  if (rc == OS_OK && json_array_size(json_object_get(facts, "rows")) == 0) {
    os_fail(error, OS_ERR_NOT_FOUND, "there is no job %lld in the ledger '%s'", (long long)job, ledger->path);
    return os_advise(error, "SELECT job, kind, status FROM os_jobs lists them");
  }
  if (rc == OS_OK) rc = unwrap(facts, "rows", "job", error);
  for (size_t i = 0; i < sizeof lists / sizeof lists[0] && rc == OS_OK; i++)
    rc = gather(ledger, facts, lists[i].key, lists[i].sql, job, lists[i].most, error);
  return rc == OS_OK ? unwrap(facts, "counts", NULL, error) : rc;
}

/* A command inside a command may find a transaction open; then that is the snapshot. */
int os_ledger_job_facts(struct os_ledger *ledger, int64_t job, json_t **out, struct os_error *error) {
  *out = NULL;
  json_t *facts = json_object();
  if (facts == NULL) return os_fail_nomem(error);
  bool ours = !ledger->in_transaction;
  int rc = ours ? os_ledger_open_transaction(ledger, "BEGIN", reading, error) : OS_OK;
  bool opened = ours && rc == OS_OK;
  if (rc == OS_OK) rc = gather_all(ledger, facts, job, error);
  if (opened) {
    os_ledger_end_transaction(ledger);
    os_fork_let_go();
  }
  if (rc == OS_OK)
    *out = facts;
  else
    json_decref(facts);
  return rc;
}
