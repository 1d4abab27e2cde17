/* letters.c - see letters.h. */
#include "ledger/letters.h"
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "ledger/ledger_int.h"

static const char reading[] = "reading refused records", marking[] = "noting what was sent",
                  keeping[] = "keeping a refused record";

#define WAITS "resolved_at IS NULL AND superseded = 0 AND sqs_sent_at IS NULL"

/* ---- to the queue -------------------------------------------------------------------------------------- */

int os_ledger_letters_waiting(struct os_ledger *ledger, int64_t job, int64_t *count, struct os_error *error) {
  static const char sql[] = "SELECT (SELECT count(*) FROM failure WHERE (?1 = 0 OR job = ?1) AND " WAITS "),"
                            " ?1 = 0 OR EXISTS (SELECT 1 FROM job WHERE job = ?1)"
                            " OR EXISTS (SELECT 1 FROM failure WHERE job = ?1)";
  *count = 0;
  sqlite3_stmt *stmt = os_ledger_bound(ledger, sql, reading, error, "i", job);
  if (stmt == NULL) return os_ledger_code(error);
  int code = sqlite3_step(stmt);
  bool known = code == SQLITE_ROW && sqlite3_column_int(stmt, 1);
  if (known) *count = sqlite3_column_int64(stmt, 0);
  int rc = code == SQLITE_ROW ? OS_OK : os_ledger_fail(ledger, code, reading, error);
  os_ledger_done(stmt);
  if (rc != OS_OK || known) return rc;
  os_fail(error, OS_ERR_NOT_FOUND, "there is no job %lld", (long long)job);
  return os_advise(error,
                   "SELECT DISTINCT job FROM dlq_failures WHERE sqs_sent_at IS NULL lists the loads with "
                   "failed records that were not sent");
}

/* Two statements, because only one that names the job can use the index of jobs. */
int os_ledger_letters_next(struct os_ledger *ledger, int64_t job, int64_t after,
                           struct os_letter_place *place, struct os_error *error) {
  static const char
      of_any[] = "SELECT id, job, coalesce(file, '') FROM failure WHERE id > ?2 AND ?1 = 0 AND " WAITS
                 " ORDER BY id LIMIT 1",
      of_job[] = "SELECT id, job, coalesce(file, '') FROM failure WHERE id > ?2 AND job = ?1 AND " WAITS
                 " ORDER BY id LIMIT 1";
  memset(place, 0, sizeof *place);
  sqlite3_stmt *stmt = os_ledger_bound(ledger, job ? of_job : of_any, reading, error, "ii", job, after);
  if (stmt == NULL) return os_ledger_code(error);
  int rc = OS_OK, code = sqlite3_step(stmt);
  if (code == SQLITE_ROW) {
    place->first = sqlite3_column_int64(stmt, 0);
    place->job = sqlite3_column_int64(stmt, 1);
    place->file = os_strdup((const char *)sqlite3_column_text(stmt, 2));
    if (place->file == NULL) rc = os_fail_nomem(error);
  } else if (code != SQLITE_DONE) {
    rc = os_ledger_fail(ledger, code, reading, error);
  }
  os_ledger_done(stmt);
  return rc;
}

static const char *text_at(sqlite3_stmt *stmt, int column) {
  return (const char *)sqlite3_column_text(stmt, column);
}

static int64_t number_at(sqlite3_stmt *stmt, int column) {
  return sqlite3_column_type(stmt, column) == SQLITE_NULL ? -1 : sqlite3_column_int64(stmt, column);
}

static void read_row(sqlite3_stmt *stmt, struct os_letter *letter) {
  *letter = (struct os_letter){.id = sqlite3_column_int64(stmt, 0),
                               .index_name = text_at(stmt, 1),
                               .line = number_at(stmt, 2),
                               .byte_offset = number_at(stmt, 3),
                               .doc_id = text_at(stmt, 4),
                               .op = text_at(stmt, 5),
                               .status = sqlite3_column_int64(stmt, 6),
                               .error_type = text_at(stmt, 7),
                               .error_reason = text_at(stmt, 8),
                               .attempts = sqlite3_column_int64(stmt, 9),
                               .failed_at = text_at(stmt, 10),
                               .context = text_at(stmt, 11),
                               .document = text_at(stmt, 12),
                               .raw_is_text = sqlite3_column_type(stmt, 13) != SQLITE_BLOB};
  if (letter->document != NULL) letter->document_len = (size_t)sqlite3_column_bytes(stmt, 12);
  if (sqlite3_column_type(stmt, 13) == SQLITE_NULL) return;
  letter->raw = letter->raw_is_text ? text_at(stmt, 13) : sqlite3_column_blob(stmt, 13);
  letter->raw_len = (size_t)sqlite3_column_bytes(stmt, 13);
  if (letter->raw == NULL) letter->raw = ""; /* an empty blob */
}

int os_ledger_letters_each(struct os_ledger *ledger, const struct os_letter_place *place,
                           bool (*take)(void *ctx, const struct os_letter *letter), void *ctx,
                           struct os_error *error) {
  static const char sql[] =
      "SELECT id, index_name, line, byte_offset, doc_id, op, status, error_type, error_reason, attempts,"
      " failed_at, context, document, raw FROM failure"
      " WHERE id >= ?1 AND job = ?2 AND coalesce(file, '') = ?3 AND " WAITS " ORDER BY id";
  sqlite3_stmt *stmt =
      os_ledger_bound(ledger, sql, reading, error, "iit", place->first, place->job, place->file);
  if (stmt == NULL) return os_ledger_code(error);
  struct os_letter letter;
  int code;
  bool more = true;
  while (more && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
    read_row(stmt, &letter);
    more = take(ctx, &letter);
  }
  int rc = !more || code == SQLITE_DONE ? OS_OK : os_ledger_fail(ledger, code, reading, error);
  os_ledger_done(stmt);
  return rc;
}

int os_ledger_letters_sent(struct os_ledger *ledger, const struct os_letter_mark *marks, size_t count,
                           struct os_error *error) {
  char now[OS_TIME_TEXT];
  struct os_write write;
  int rc = os_write_enter(ledger, false, &write, error);
  if (rc != OS_OK) return rc;
  os_clock_now(now);
  for (size_t i = 0; i < count && rc == OS_OK; i++)
    rc = os_ledger_run(ledger, "UPDATE failure SET sqs_sent_at = ?3 WHERE id = ?1 AND attempts = ?2", marking,
                       error, "iit", marks[i].id, marks[i].attempts, now);
  return os_write_leave(ledger, &write, rc, error);
}

/* ---- from the queue ------------------------------------------------------------------------------------ */

enum standing { NOTHING_THERE, THE_SAME, GONE_WRONG_AGAIN, ANOTHER };

/* What has this place? The same failure is known by its time; a record by its bytes, for it may have been repaired or
** refused again since. */
static int look_there(struct os_ledger *ledger, const char *file, const struct os_letter *letter,
                      enum standing *standing, struct os_error *error) {
  static const char sql[] =
      "SELECT failed_at = ?4, raw IS NOT NULL AND raw = ?5, resolved_at < ?4 FROM failure"
      " WHERE index_name = ?1 AND file = ?2 AND byte_offset = ?3";
  *standing = NOTHING_THERE;
  sqlite3_stmt *stmt = os_ledger_bound(ledger, sql, keeping, error, "ttnt", letter->index_name, file,
                                       letter->byte_offset, letter->failed_at);
  if (stmt == NULL) return os_ledger_code(error);
  int code = letter->truncated
                 ? sqlite3_bind_null(stmt, 5)
                 : os_ledger_bind_bytes(stmt, 5, letter->raw, letter->raw ? (int64_t)letter->raw_len : 0);
  if (code == SQLITE_OK) code = sqlite3_step(stmt);
  if (code == SQLITE_ROW) {
    if (sqlite3_column_int(stmt, 0))
      *standing = THE_SAME;
    else if (!sqlite3_column_int(stmt, 1))
      *standing = ANOTHER;
    else
      *standing = sqlite3_column_int(stmt, 2) ? GONE_WRONG_AGAIN : THE_SAME;
  }
  int rc = code == SQLITE_ROW || code == SQLITE_DONE ? OS_OK : os_ledger_fail(ledger, code, keeping, error);
  os_ledger_done(stmt);
  return rc;
}

/* A record without a place can only be recognised by all of it. */
static int look_for_equal(struct os_ledger *ledger, const struct os_letter *letter, enum standing *standing,
                          struct os_error *error) {
  static const char sql[] =
      "SELECT 1 FROM failure WHERE index_name = ?1 AND failed_at = ?2 AND byte_offset IS ?3"
      " AND line IS ?4 AND doc_id IS ?5 AND error_type IS ?6 LIMIT 1";
  *standing = NOTHING_THERE;
  sqlite3_stmt *stmt =
      os_ledger_bound(ledger, sql, keeping, error, "ttnntt", letter->index_name, letter->failed_at,
                      letter->byte_offset, letter->line, letter->doc_id, letter->error_type);
  if (stmt == NULL) return os_ledger_code(error);
  int code = sqlite3_step(stmt);
  if (code == SQLITE_ROW) *standing = THE_SAME;
  int rc = code == SQLITE_ROW || code == SQLITE_DONE ? OS_OK : os_ledger_fail(ledger, code, keeping, error);
  os_ledger_done(stmt);
  return rc;
}

static int insert(struct os_ledger *ledger, const struct os_letter_origin *origin, const char *file,
                  const struct os_letter *letter, struct os_error *error) {
  static const char sql[] =
      "INSERT INTO failure(job, index_name, file, line, byte_offset, doc_id, op, status, error_type,"
      " attempts, context, failed_at, sqs_sent_at, error_reason, document, raw)"
      " VALUES(?1, ?2, nullif(?3, ''), ?4, ?5, ?6, ?7, ?8, ?9, max(?10, 1), ?11, ?12, ?13, ?14, ?15, ?16)"
      " ON CONFLICT(index_name, file, byte_offset) WHERE file IS NOT NULL AND byte_offset IS NOT NULL DO "
      "UPDATE SET"
      " job = excluded.job, line = excluded.line, doc_id = excluded.doc_id, op = excluded.op,"
      " status = excluded.status, error_type = excluded.error_type, error_reason = excluded.error_reason,"
      " attempts = excluded.attempts, context = excluded.context, failed_at = excluded.failed_at,"
      " sqs_sent_at = excluded.sqs_sent_at, document = excluded.document, raw = excluded.raw,"
      " resolved_at = NULL, resolved_by = NULL, superseded = 0";
  char *reason = letter->truncated ? os_mprintf("%s (%s)", letter->error_reason ? letter->error_reason : "",
                                                letter->truncated)
                                   : NULL;
  if (letter->truncated && reason == NULL) return os_fail_nomem(error);
  sqlite3_stmt *stmt = os_ledger_bound(
      ledger, sql, keeping, error, "ittnnttititttt", origin->job, letter->index_name, file, letter->line,
      letter->byte_offset, letter->doc_id, letter->op, letter->status, letter->error_type, letter->attempts,
      letter->context, letter->failed_at, origin->timestamp, reason ? reason : letter->error_reason);
  if (stmt == NULL) {
    os_free(reason);
    return os_ledger_code(error);
  }
  int code = SQLITE_OK; /* what is not bound is null */
  if (!letter->truncated && letter->document)
    code = sqlite3_bind_text64(stmt, 15, letter->document, letter->document_len, SQLITE_STATIC, SQLITE_UTF8);
  if (code == SQLITE_OK && !letter->truncated && letter->raw)
    code = os_ledger_bind_bytes(stmt, 16, letter->raw, (int64_t)letter->raw_len);
  if (code == SQLITE_OK) code = sqlite3_step(stmt);
  int rc = code == SQLITE_DONE ? OS_OK : os_ledger_fail(ledger, code, keeping, error);
  os_ledger_done(stmt);
  os_free(reason);
  return rc;
}

static int keep(struct os_ledger *ledger, const struct os_letter_origin *origin,
                const struct os_letter *letter, bool *added, struct os_error *error) {
  enum standing standing;
  bool has_place = origin->file[0] && letter->byte_offset >= 0;
  char *elsewhere = NULL;
  int rc = has_place ? look_there(ledger, origin->file, letter, &standing, error)
                     : look_for_equal(ledger, letter, &standing, error);
  if (rc == OS_OK && standing == ANOTHER) {
    elsewhere = os_mprintf("%s: %s", origin->source, origin->file);
    rc = elsewhere ? look_there(ledger, elsewhere, letter, &standing, error) : os_fail_nomem(error);
  }
  *added = rc == OS_OK && standing != THE_SAME;
  if (*added) rc = insert(ledger, origin, elsewhere ? elsewhere : origin->file, letter, error);
  os_free(elsewhere);
  return rc;
}

int os_ledger_letter_keep(struct os_ledger *ledger, const struct os_letter_origin *origin,
                          const struct os_letter *letter, bool *added, struct os_error *error) {
  struct os_write write;
  *added = false;
  int rc = os_write_enter(ledger, true, &write, error);
  if (rc != OS_OK) return rc;
  rc = keep(ledger, origin, letter, added, error);
  return os_write_leave(ledger, &write, rc, error);
}
