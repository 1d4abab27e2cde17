/* steps.c - how far an operation on the cluster came: each step is written down before its request and again
** after it, with what going on or undoing it has to know. A step that is "begun" may have happened: who goes
** on asks the cluster.
*/
#include "ledger/ledger_int.h"
#include "base/alloc.h"
#include "base/clock.h"

static const char doing[] = "recording a step", reading[] = "reading a step";

int os_ledger_step_put(struct os_ledger *ledger, int64_t job, const char *item, const char *name,
                       const char *state, const char *data, struct os_error *error) {
  char now[OS_TIME_TEXT];
  struct os_write write;
  int rc = os_write_enter(ledger, true, &write, error);
  if (rc != OS_OK) return rc;
  os_clock_now(now);
  rc = os_ledger_run(ledger,
                     "INSERT INTO step(job, item, name, state, begun_at, ended_at, data)"
                     " VALUES(?1, ?2, ?3, ?4, ?5, iif(?4 = 'begun', NULL, ?5), ?6)"
                     " ON CONFLICT DO UPDATE SET state = ?4, data = coalesce(?6, data),"
                     " begun_at = iif(?4 = 'begun', ?5, begun_at), ended_at = iif(?4 = 'begun', NULL, ?5)",
                     doing, error,
                     "itttt"
                     "t",
                     job, item, name, state, now, data);
  return os_write_leave(ledger, &write, rc, error);
}

int os_ledger_step_get(struct os_ledger *ledger, int64_t job, const char *item, const char *name,
                       char state[16], char **data, struct os_error *error) {
  state[0] = '\0';
  if (data != NULL) *data = NULL;
  sqlite3_stmt *stmt =
      os_ledger_bound(ledger, "SELECT state, data FROM step WHERE job = ?1 AND item = ?2 AND name = ?3",
                      reading, error, "itt", job, item, name);
  if (stmt == NULL) return os_ledger_code(error);
  int rc = OS_OK, step = sqlite3_step(stmt);
  if (step == SQLITE_ROW) {
    os_ledger_copy_text(stmt, 0, state, 16);
    const char *text = (const char *)sqlite3_column_text(stmt, 1);
    if (data != NULL && text != NULL && (*data = os_strdup(text)) == NULL) rc = os_fail_nomem(error);
  } else if (step != SQLITE_DONE) {
    rc = os_ledger_fail(ledger, step, reading, error);
  }
  os_ledger_done(stmt);
  return rc;
}

/* The first row, if there is one: a job, its status as it is shown, and a third text where it is wanted. */
static int read_job(struct os_ledger *ledger, sqlite3_stmt *stmt, int64_t *job, char status[16],
                    char third[16], struct os_error *error) {
  if (stmt == NULL) return os_ledger_code(error);
  int rc = OS_OK, step = sqlite3_step(stmt);
  if (step == SQLITE_ROW) {
    *job = sqlite3_column_int64(stmt, 0);
    os_ledger_copy_text(stmt, 1, status, 16);
    if (third != NULL) os_ledger_copy_text(stmt, 2, third, 16);
  } else if (step != SQLITE_DONE) {
    rc = os_ledger_fail(ledger, step, reading, error);
  }
  os_ledger_done(stmt);
  return rc;
}

int os_ledger_operation_last(struct os_ledger *ledger, const char *kind, const char *key, int64_t before,
                             int64_t *job, char status[16], struct os_error *error) {
  static const char sql[] =
      "SELECT j.job, os_job_shown(j.status, j.job, j.locked, j.host, j.updated_at) FROM job j"
      " JOIN step s ON s.job = j.job AND s.item = '' AND s.name = 'operation' AND s.data = ?2"
      " WHERE j.kind = ?1 AND j.job < ?3 ORDER BY j.job DESC LIMIT 1";
  *job = 0;
  status[0] = '\0';
  return read_job(ledger, os_ledger_bound(ledger, sql, reading, error, "tti", kind, key, before), job, status,
                  NULL, error);
}

int os_ledger_step_last(struct os_ledger *ledger, const char *kind, const char *item, const char *name,
                        int64_t self, int64_t *job, char status[16], char state[16], struct os_error *error) {
  static const char sql[] =
      "SELECT j.job, os_job_shown(j.status, j.job, j.locked, j.host, j.updated_at), s.state FROM job j"
      " JOIN step s ON s.job = j.job AND s.item = ?2 AND s.name = ?3"
      " WHERE j.kind = ?1 AND j.job <> ?4 ORDER BY j.job DESC LIMIT 1";
  *job = 0;
  status[0] = state[0] = '\0';
  return read_job(ledger, os_ledger_bound(ledger, sql, reading, error, "ttti", kind, item, name, self), job,
                  status, state, error);
}

int os_ledger_steps_adopt(struct os_ledger *ledger, int64_t from, int64_t job, struct os_error *error) {
  struct os_write write;
  int rc = os_write_enter(ledger, true, &write, error);
  if (rc != OS_OK) return rc;
  rc = os_ledger_run(ledger,
                     "INSERT OR REPLACE INTO step(job, item, name, state, begun_at, ended_at, data)"
                     " SELECT ?2, item, name, state, begun_at, ended_at, data FROM step WHERE job = ?1"
                     " AND name <> '" OS_STEP_UNSEEN "'",
                     doing, error, "ii", from, job);
  return os_write_leave(ledger, &write, rc, error);
}

int os_ledger_unseen_at(struct os_ledger *ledger, int64_t job, const char *index_name, double *when,
                        struct os_error *error) {
  static const char sql[] =
      "SELECT max(CAST(strftime('%s', iif(s.job = ?1, 'now', coalesce(j.finished_at, j.updated_at))) AS "
      "INTEGER)) + 1"
      " FROM step s JOIN job j ON j.job = s.job"
      " WHERE s.item = ?2 AND s.name = '" OS_STEP_UNSEEN "' AND s.state = 'begun' AND (s.job = ?1"
      " OR os_job_shown(j.status, j.job, j.locked, j.host, j.updated_at) <> 'running')";
  int64_t seconds = 0;
  int rc = os_ledger_ask(ledger, sql, reading, &seconds, error, "it", job, index_name);
  *when = (double)seconds;
  return rc;
}
