/* failures.c - refused records, kept until they are sent again or dismissed (the dead letters).
**
** One row a record: the place it comes from (index, file, byte offset) makes it unique, so a record that is
** refused again takes its old row. Edits come from UPDATE dlq_failures and are checked here, so that every
** door has the check.
*/
#include "ledger/ledger_int.h"
#include <string.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"

static const char keeping[] = "keeping a refused record", editing[] = "changing a refused record";

enum { ID_MAX = 512 }; /* bytes of an _id that OpenSearch takes */

/* ---- keeping ------------------------------------------------------------------------------------------- */

static int bind_len(sqlite3_stmt *stmt, int at, const char *text, int64_t len) {
  if (text == NULL) return sqlite3_bind_null(stmt, at);
  return sqlite3_bind_text64(stmt, at, text, len < 0 ? strlen(text) : (sqlite3_uint64)len, SQLITE_STATIC,
                             SQLITE_UTF8);
}

/* Text when it can be shown and edited as such: SQLite's text ends at a NUL for most programs, and Python
** raises on text that is not UTF-8. */
int os_ledger_bind_bytes(sqlite3_stmt *stmt, int at, const char *bytes, int64_t len) {
  if (bytes == NULL) return sqlite3_bind_null(stmt, at);
  size_t size = len < 0 ? strlen(bytes) : (size_t)len;
  if (os_utf8_check(bytes, size) == size && memchr(bytes, '\0', size) == NULL)
    return sqlite3_bind_text64(stmt, at, bytes, size, SQLITE_STATIC, SQLITE_UTF8);
  return sqlite3_bind_blob64(stmt, at, bytes, size, SQLITE_STATIC);
}

int os_ledger_failure_put(struct os_ledger *ledger, const struct os_failure *failure,
                          struct os_error *error) {
  static const char sql[] =
      "INSERT INTO failure(job, index_name, file, line, byte_offset, doc_id, op, status, error_type, "
      "error_reason,"
      " attempts, context, failed_at, document, raw)"
      " VALUES(?1, coalesce(?2, ''), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, max(?11, 1), ?12, ?13, ?14, ?15)"
      " ON CONFLICT(index_name, file, byte_offset) WHERE file IS NOT NULL AND byte_offset IS NOT NULL DO "
      "UPDATE SET"
      " job = excluded.job, line = excluded.line, doc_id = excluded.doc_id, op = excluded.op,"
      " status = excluded.status, error_type = excluded.error_type, error_reason = excluded.error_reason,"
      " attempts = attempts + excluded.attempts, context = excluded.context, failed_at = excluded.failed_at,"
      " document = excluded.document, raw = excluded.raw, resolved_at = NULL, resolved_by = NULL, superseded "
      "= 0, sqs_sent_at = NULL";
  char now[OS_TIME_TEXT];
  struct os_write write;
  int rc = os_write_enter(ledger, false, &write, error);
  if (rc != OS_OK) return rc;
  os_clock_now(now);
  sqlite3_stmt *stmt = os_ledger_bound(
      ledger, sql, keeping, error, "ittnnttittitt", failure->job, failure->index_name, failure->file,
      failure->line, failure->byte_offset, failure->doc_id, failure->op, failure->status, failure->error_type,
      failure->error_reason, failure->attempts, failure->context, now);
  if (stmt == NULL) return os_write_leave(ledger, &write, os_ledger_code(error), error);
  int code = bind_len(stmt, 14, failure->document, failure->document_len);
  if (code == SQLITE_OK) code = os_ledger_bind_bytes(stmt, 15, failure->raw, failure->raw_len);
  if (code == SQLITE_OK) code = sqlite3_step(stmt);
  if (code != SQLITE_DONE) rc = os_ledger_fail(ledger, code, keeping, error);
  os_ledger_done(stmt);
  return os_write_leave(ledger, &write, rc, error);
}

/* ---- edits by hand ------------------------------------------------------------------------------------- */

static int no_such_failure(int64_t id, struct os_error *error) {
  os_fail(error, OS_ERR_NOT_FOUND, "there is no refused record with id %lld", (long long)id);
  return os_advise(error, "SELECT id, file, line, error_reason FROM dlq_failures lists them");
}

/* NULL: it is no text. There is memory for it: os_ledger_failure_update() has had it converted. */
static const char *text_of(sqlite3_value *value) {
  return sqlite3_value_type(value) == SQLITE_TEXT ? (const char *)sqlite3_value_text(value) : NULL;
}

static int check_document(int64_t id, sqlite3_value *value, struct os_error *error) {
  if (sqlite3_value_type(value) == SQLITE_NULL) return OS_OK;
  const char *text = text_of(value);
  if (text == NULL) {
    os_fail(error, OS_ERR_ARGUMENT, "refused record %lld: the document must be JSON text", (long long)id);
    return os_advise(error, "json_set(document, '$.member', value) changes one member");
  }
  json_t *root =
      os_json_parse(text, (size_t)sqlite3_value_bytes(value), OS_JSON_BIG_INTEGERS, "document", error);
  bool is_object = json_is_object(root);
  bool parsed = root != NULL;
  json_decref(root);
  if (!parsed) return os_error_prefix(error, "refused record %lld", (long long)id);
  if (is_object) return OS_OK;
  os_fail(error, OS_ERR_ARGUMENT, "refused record %lld: the document must be a JSON object", (long long)id);
  return os_advise(error, "OpenSearch indexes objects only: {\"member\": value}");
}

static int check_raw(int64_t id, sqlite3_value *value, struct os_error *error) {
  int type = sqlite3_value_type(value);
  if (type == SQLITE_TEXT || type == SQLITE_BLOB) return OS_OK;
  os_fail(error, OS_ERR_ARGUMENT, "refused record %lld: raw must be text or a blob", (long long)id);
  return os_advise(error, "it is the record as it stands in its file, parsed again by os_retry_failures()");
}

static int check_doc_id(int64_t id, sqlite3_value *value, struct os_error *error) {
  if (sqlite3_value_type(value) == SQLITE_NULL) return OS_OK;
  const char *text = text_of(value);
  size_t bytes = text != NULL ? (size_t)sqlite3_value_bytes(value) : 0;
  if (bytes > 0 && bytes <= ID_MAX && memchr(text, '\0', bytes) == NULL &&
      os_utf8_check(text, bytes) == bytes)
    return OS_OK;
  return os_fail(error, OS_ERR_ARGUMENT, "refused record %lld: doc_id must be text of 1 to %d bytes, or NULL",
                 (long long)id, (int)ID_MAX);
}

static int check_time(int64_t id, sqlite3_value *value, struct os_error *error) {
  double seconds;
  if (sqlite3_value_type(value) == SQLITE_NULL) return OS_OK;
  const char *text = text_of(value);
  if (text != NULL && os_clock_parse_iso(text, &seconds)) return OS_OK;
  os_fail(error, OS_ERR_ARGUMENT,
          "refused record %lld: resolved_at and sqs_sent_at are times in ISO-8601 (UTC), or NULL",
          (long long)id);
  return os_advise(error, "NULL has the record sent again, by os_retry_failures() or os_dlq_send()");
}

static int check_job(int64_t id, sqlite3_value *value, struct os_error *error) {
  int type = sqlite3_value_type(value);
  if (type == SQLITE_NULL || type == SQLITE_INTEGER) return OS_OK;
  return os_fail(error, OS_ERR_ARGUMENT, "refused record %lld: resolved_by must be a job number, or NULL",
                 (long long)id);
}

static int check_flag(int64_t id, sqlite3_value *value, struct os_error *error) {
  sqlite3_int64 flag = sqlite3_value_int64(value);
  if (sqlite3_value_type(value) == SQLITE_INTEGER && (flag == 0 || flag == 1)) return OS_OK;
  return os_fail(error, OS_ERR_ARGUMENT, "refused record %lld: superseded must be 0 or 1", (long long)id);
}

/* A changed `raw` makes the document built from the old one void: it is parsed again. */
static const struct {
  const char *column;
  int (*check)(int64_t id, sqlite3_value *value, struct os_error *error);
  const char *sql;
} editable[] = {
    {"document", check_document, "UPDATE failure SET document = ?2 WHERE id = ?1"},
    {"raw", check_raw, "UPDATE failure SET raw = ?2, document = NULL WHERE id = ?1"},
    {"doc_id", check_doc_id, "UPDATE failure SET doc_id = ?2 WHERE id = ?1"},
    {"resolved_at", check_time, "UPDATE failure SET resolved_at = ?2 WHERE id = ?1"},
    {"resolved_by", check_job, "UPDATE failure SET resolved_by = ?2 WHERE id = ?1"},
    {"superseded", check_flag, "UPDATE failure SET superseded = ?2 WHERE id = ?1"},
    {"sqs_sent_at", check_time, "UPDATE failure SET sqs_sent_at = ?2 WHERE id = ?1"},
};

/* The value comes from another connection: it is handed over as bytes. */
static int bind_foreign(sqlite3_stmt *stmt, int at, sqlite3_value *value) {
  const char *bytes;
  switch (sqlite3_value_type(value)) {
  case SQLITE_TEXT: return os_ledger_bind_bytes(stmt, at, text_of(value), sqlite3_value_bytes(value));
  case SQLITE_BLOB:
    bytes = sqlite3_value_blob(value);
    return os_ledger_bind_bytes(stmt, at, bytes != NULL ? bytes : "", sqlite3_value_bytes(value));
  case SQLITE_INTEGER: return sqlite3_bind_int64(stmt, at, sqlite3_value_int64(value));
  default: return sqlite3_bind_null(stmt, at);
  }
}

/* Between os_write_enter and _leave. */
static int write_edit(struct os_ledger *ledger, const char *sql, int64_t id, sqlite3_value *value,
                      struct os_error *error) {
  sqlite3_stmt *stmt = os_ledger_bound(ledger, sql, editing, error, "i", id);
  if (stmt == NULL) return os_ledger_code(error);
  int code = bind_foreign(stmt, 2, value);
  if (code == SQLITE_OK) code = sqlite3_step(stmt);
  int rc = code == SQLITE_DONE ? OS_OK : os_ledger_fail(ledger, code, editing, error);
  os_ledger_done(stmt);
  if (rc == OS_OK && sqlite3_changes(ledger->db) == 0) rc = no_such_failure(id, error);
  return rc;
}

int os_ledger_failure_update(struct os_ledger *ledger, int64_t id, const char *column, sqlite3_value *value,
                             struct os_error *error) {
  enum { EDITABLE = sizeof editable / sizeof editable[0] };
  size_t at = 0;
  while (at < EDITABLE && strcmp(editable[at].column, column) != 0)
    at++;
  if (at == EDITABLE) {
    os_fail(error, OS_ERR_ARGUMENT, "dlq_failures: the column '%s' cannot be changed", column);
    return os_advise(error,
                     "document and raw repair a record; doc_id, resolved_at, resolved_by, superseded and "
                     "sqs_sent_at can be set as well");
  }
  /* text of another connection may be UTF-16; once it could be converted, it stays so */
  if (sqlite3_value_type(value) == SQLITE_TEXT && sqlite3_value_text(value) == NULL)
    return os_fail_nomem(error);
  int rc = editable[at].check(id, value, error);
  if (rc != OS_OK) return rc;
  struct os_write write;
  rc = os_write_enter(ledger, false, &write, error);
  if (rc != OS_OK) return rc;
  rc = write_edit(ledger, editable[at].sql, id, value, error);
  return os_write_leave(ledger, &write, rc, error);
}

/* ---- sent again, or dismissed -------------------------------------------------------------------------- */

/* After a statement about one row: no row is an error. */
static int leave_one(struct os_ledger *ledger, struct os_write *write, int rc, int64_t id,
                     struct os_error *error) {
  if (rc == OS_OK && sqlite3_changes(ledger->db) == 0) rc = no_such_failure(id, error);
  return os_write_leave(ledger, write, rc, error);
}

int os_ledger_failure_delete(struct os_ledger *ledger, int64_t id, struct os_error *error) {
  struct os_write write;
  int rc = os_write_enter(ledger, false, &write, error);
  if (rc != OS_OK) return rc;
  rc = os_ledger_run(ledger, "DELETE FROM failure WHERE id = ?1", editing, error, "i", id);
  return leave_one(ledger, &write, rc, id, error);
}

int os_ledger_failure_resolve(struct os_ledger *ledger, int64_t id, int64_t resolved_by, bool superseded,
                              struct os_error *error) {
  char now[OS_TIME_TEXT];
  struct os_write write;
  int rc = os_write_enter(ledger, false, &write, error);
  if (rc != OS_OK) return rc;
  os_clock_now(now);
  rc = os_ledger_run(ledger,
                     "UPDATE failure SET resolved_at = ?2, resolved_by = nullif(?3, 0), superseded = ?4,"
                     " attempts = attempts + 1 WHERE id = ?1",
                     editing, error, "itii", id, now, resolved_by, (int64_t)superseded);
  return leave_one(ledger, &write, rc, id, error);
}

int os_ledger_failure_accepted(struct os_ledger *ledger, int64_t job, const char *index_name,
                               const char *file, const char *fingerprint, int64_t from, int64_t to,
                               struct os_error *error) {
  static const char sql[] =
      "UPDATE failure SET resolved_at = ?7, resolved_by = ?1 WHERE index_name = ?2 AND file = ?3"
      " AND byte_offset >= ?5 AND byte_offset < ?6 AND resolved_at IS NULL AND job <> ?1"
      " AND EXISTS (SELECT 1 FROM job_file f WHERE f.job = failure.job AND f.file = failure.file"
      "  AND f.fingerprint = ?4)";
  char now[OS_TIME_TEXT];
  struct os_write write;
  int rc = os_write_enter(ledger, false, &write, error);
  if (rc != OS_OK) return rc;
  os_clock_now(now);
  rc = os_ledger_run(ledger, sql, keeping, error, "itttiit", job, index_name, file, fingerprint, from, to,
                     now);
  return os_write_leave(ledger, &write, rc, error);
}

int os_ledger_failure_again(struct os_ledger *ledger, int64_t id, int64_t status, const char *error_type,
                            const char *error_reason, struct os_error *error) {
  char now[OS_TIME_TEXT];
  struct os_write write;
  int rc = os_write_enter(ledger, false, &write, error);
  if (rc != OS_OK) return rc;
  os_clock_now(now);
  rc = os_ledger_run(
      ledger,
      "UPDATE failure SET status = ?2, error_type = ?3, error_reason = ?4, failed_at = ?5,"
      " resolved_at = NULL, resolved_by = NULL, superseded = 0, attempts = attempts + 1 WHERE id = ?1",
      editing, error, "iittt", id, status, error_type, error_reason, now);
  return leave_one(ledger, &write, rc, id, error);
}
