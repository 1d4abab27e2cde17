/* files.c - the files of loads: what each job read of them, and what earlier loads already brought into an
** index.
**
** A load is found again by its target: the concrete index name, its UUID (an index made anew under the same
** name is another one) and the path argument, as os_ledger_job_target() recorded them. Rehearsals (dry_run),
** loads from before a fresh one, and jobs of this very connection that still run never count.
*/
#include "ledger/ledger_int.h"
#include <stdio.h>
#include <string.h>

static const char recording[] = "recording a file", reading[] = "looking for earlier loads";

/* ---- writing ------------------------------------------------------------------------------------------- */

/* Durable: what is sent for a file has ids that depend on its row (generation), so the row must survive the
** power failure that the documents survive. */
int os_ledger_file_add(struct os_ledger *ledger, const struct os_job_file *file, int64_t *id,
                       struct os_error *error) {
  static const char sql[] = "INSERT INTO job_file(job, file, name, fingerprint, size, mtime, format, status, "
                            "byte_offset, line, documents,"
                            " failed, generation, seconds, error) VALUES(?1, ?2, coalesce(?3, ?2), ?4, ?5, "
                            "?6, ?7, coalesce(?8, 'waiting'),"
                            " ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
  struct os_write write;
  *id = 0;
  int rc = os_write_enter(ledger, true, &write, error);
  if (rc != OS_OK) return rc;
  rc = os_ledger_run(ledger, sql, recording, error,
                     "itttnttt"
                     "iiiii"
                     "dt",
                     file->job, file->file, file->name, file->fingerprint, file->size, file->mtime,
                     file->format, file->status, file->byte_offset, file->line, file->documents, file->failed,
                     file->generation, file->seconds, file->error);
  if (rc == OS_OK) *id = sqlite3_last_insert_rowid(ledger->db);
  return os_write_leave(ledger, &write, rc, error);
}

/* What is not known yet when a file is listed (fingerprint, format, generation) may come with its first
** progress. */
int os_ledger_file_progress(struct os_ledger *ledger, int64_t file_id, const struct os_job_file *state,
                            struct os_error *error) {
  static const char sql[] =
      "UPDATE job_file SET status = coalesce(?2, status), byte_offset = ?3, line = ?4, documents = ?5, "
      "failed = ?6,"
      " seconds = ?7, error = ?8, fingerprint = coalesce(?9, fingerprint), format = coalesce(?10, format),"
      " mtime = coalesce(?11, mtime), size = iif(?12 > 0, ?12, size), generation = iif(?13 > 0, ?13, "
      "generation)"
      " WHERE id = ?1";
  struct os_write write;
  int rc = os_write_enter(ledger, false, &write, error);
  if (rc != OS_OK) return rc;
  rc = os_ledger_run(ledger, sql, recording, error, "itiiiidttttii", file_id, state->status,
                     state->byte_offset, state->line, state->documents, state->failed, state->seconds,
                     state->error, state->fingerprint, state->format, state->mtime, state->size,
                     state->generation);
  if (rc == OS_OK && sqlite3_changes(ledger->db) == 0)
    rc = os_fail(error, OS_ERR_LEDGER,
                 "the row %lld of a file that is being loaded has vanished from the ledger '%s'",
                 (long long)file_id, ledger->path);
  return os_write_leave(ledger, &write, rc, error);
}

int os_ledger_forget_index(struct os_ledger *ledger, const char *index_name, struct os_error *error) {
  struct os_write write;
  int rc = os_write_enter(ledger, true, &write, error);
  if (rc != OS_OK) return rc;
  rc = os_ledger_run(ledger, "UPDATE job SET forgotten = 1 WHERE target_name = ?1 AND NOT forgotten",
                     recording, error, "t", index_name);
  for (size_t i = 0; i < ledger->held_count && rc == OS_OK; i++) /* the job that asks is not an earlier one */
    rc = os_ledger_run(ledger, "UPDATE job SET forgotten = 0 WHERE job = ?1 AND forgotten", recording, error,
                       "i", ledger->held[i].job);
  return os_write_leave(ledger, &write, rc, error);
}

/* ---- looking back -------------------------------------------------------------------------------------- */

static enum os_life life_of_row(struct os_ledger *ledger, sqlite3_stmt *stmt, int64_t job, int first) {
  char status[16];
  os_ledger_copy_text(stmt, first, status, sizeof status);
  if (strcmp(status, "running") != 0) return OS_LIFE_ENDED;
  return os_job_life(ledger, job, sqlite3_column_int(stmt, first + 1) != 0,
                     (const char *)sqlite3_column_text(stmt, first + 2),
                     (const char *)sqlite3_column_text(stmt, first + 3));
}

/* One row of newest_first. False: of a job of this very connection, which is no past. */
static bool read_past(struct os_ledger *ledger, sqlite3_stmt *stmt, struct os_file_past *out) {
  int64_t job = sqlite3_column_int64(stmt, 0);
  if (os_job_lock_is_ours(ledger, job)) return false;
  os_ledger_copy_text(stmt, 1, out->status, sizeof out->status);
  out->found = true;
  out->job = job;
  out->job_alive = life_of_row(ledger, stmt, job, 9) == OS_LIFE_RUNNING;
  os_ledger_copy_text(stmt, 2, out->fingerprint, sizeof out->fingerprint);
  out->byte_offset = sqlite3_column_int64(stmt, 3);
  out->line = sqlite3_column_int64(stmt, 4);
  out->documents = sqlite3_column_int64(stmt, 5);
  out->failed = sqlite3_column_int64(stmt, 6);
  out->generation = sqlite3_column_int64(stmt, 7);
  out->size = sqlite3_column_int64(stmt, 8);
  return true;
}

static bool is_planned(const struct os_file_past *past) {
  return !past->job_alive && strcmp(past->status, "waiting") == 0;
}

/* A file that was only listed is no past, unless the job that listed it is about to come to it. */
static bool take_past(struct os_ledger *ledger, sqlite3_stmt *stmt, struct os_file_past *out) {
  return read_past(ledger, stmt, out) && !is_planned(out);
}

/* The rows of a file, newest first, until `take` takes one; found=false when it takes none. */
static int look_back(struct os_ledger *ledger, const char *index_name, const char *index_uuid,
                     const char *name,
                     bool (*take)(struct os_ledger *ledger, sqlite3_stmt *stmt, struct os_file_past *out),
                     struct os_file_past *out, struct os_error *error) {
  static const char newest_first[] =
      "SELECT j.job, f.status, f.fingerprint, f.byte_offset, f.line, f.documents, f.failed, f.generation, "
      "f.size,"
      " j.status, j.locked, j.host, j.updated_at FROM job_file f CROSS JOIN job j ON j.job = f.job"
      " WHERE f.name = ?1 AND j.target_name = ?2 AND (?3 = '' OR j.target_uuid = ?3) AND NOT j.dry AND NOT "
      "j.forgotten"
      " AND f.status <> 'skipped' ORDER BY f.id DESC";
  memset(out, 0, sizeof *out);
  sqlite3_stmt *stmt =
      os_ledger_bound(ledger, newest_first, reading, error, "ttt", name, index_name, index_uuid);
  if (stmt == NULL) return os_ledger_code(error);
  int step, rc = OS_OK;
  while ((step = sqlite3_step(stmt)) == SQLITE_ROW && !take(ledger, stmt, out)) {
  }
  if (step != SQLITE_ROW) memset(out, 0, sizeof *out);
  if (step != SQLITE_ROW && step != SQLITE_DONE) rc = os_ledger_fail(ledger, step, reading, error);
  os_ledger_done(stmt);
  return rc;
}

int os_ledger_file_past(struct os_ledger *ledger, const char *index_name, const char *index_uuid,
                        const char *name, struct os_file_past *out, struct os_error *error) {
  return look_back(ledger, index_name, index_uuid, name, take_past, out, error);
}

int os_ledger_file_planned(struct os_ledger *ledger, const char *index_name, const char *index_uuid,
                           const char *name, const char *fingerprint, struct os_file_past *out,
                           struct os_error *error) {
  int rc = look_back(ledger, index_name, index_uuid, name, read_past, out, error);
  if (rc == OS_OK && out->found && (!is_planned(out) || strcmp(out->fingerprint, fingerprint) != 0))
    memset(out, 0, sizeof *out);
  return rc;
}

int os_ledger_content_loads(struct os_ledger *ledger, const char *index_name, const char *index_uuid,
                            const char *fingerprint, int64_t *times, struct os_error *error) {
  static const char sql[] =
      "SELECT count(*) FROM job_file f CROSS JOIN job j ON j.job = f.job WHERE f.fingerprint = ?3"
      " AND f.status IN ('success', 'partial') AND j.target_name = ?1 AND (?2 = '' OR j.target_uuid = ?2)"
      " AND NOT j.dry AND NOT j.forgotten";
  return os_ledger_ask(ledger, sql, reading, times, error, "ttt", index_name, index_uuid, fingerprint);
}

int os_ledger_index_known(struct os_ledger *ledger, const char *index_name, const char *index_uuid,
                          bool *known, struct os_error *error) {
  static const char sql[] = "SELECT EXISTS (SELECT 1 FROM job j WHERE target_name = ?1 AND (?2 = '' OR "
                            "target_uuid = ?2) AND NOT dry"
                            " AND NOT forgotten AND EXISTS (SELECT 1 FROM job_file f WHERE f.job = j.job))";
  int64_t number = 0;
  int rc = os_ledger_ask(ledger, sql, reading, &number, error, "tt", index_name, index_uuid);
  *known = number != 0;
  return rc;
}

/* The newest load of that path decides: one that ended well has finished what came before it. A load that a
** guard stopped before the first file is neither. */
int os_ledger_unfinished(struct os_ledger *ledger, const char *index_name, const char *index_uuid,
                         const char *path, int64_t *job, struct os_error *error) {
  static const char sql[] =
      "SELECT job, status IN ('success', 'partial') FROM job j WHERE target_name = ?1 AND path = ?2"
      " AND (?3 = '' OR target_uuid = ?3) AND NOT dry AND NOT forgotten AND (status IN ('success', 'partial')"
      "  OR bytes_sent > 0 OR EXISTS (SELECT 1 FROM job_file f WHERE f.job = j.job AND f.status NOT IN"
      "  ('waiting', 'skipped'))) ORDER BY job DESC";
  *job = 0;
  sqlite3_stmt *stmt = os_ledger_bound(ledger, sql, reading, error, "ttt", index_name, path, index_uuid);
  if (stmt == NULL) return os_ledger_code(error);
  int step, rc = OS_OK;
  while ((step = sqlite3_step(stmt)) == SQLITE_ROW &&
         os_job_lock_is_ours(ledger, sqlite3_column_int64(stmt, 0))) {
  }
  if (step == SQLITE_ROW && !sqlite3_column_int(stmt, 1))
    *job = sqlite3_column_int64(stmt, 0);
  else if (step != SQLITE_ROW && step != SQLITE_DONE)
    rc = os_ledger_fail(ledger, step, reading, error);
  os_ledger_done(stmt);
  return rc;
}
