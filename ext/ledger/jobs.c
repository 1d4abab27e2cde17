/* jobs.c - the rows of jobs: begun, kept up to date, ended; asked to stop by another process; found dead.
**
** A running job's row appears in the same transaction in which its lock byte is taken, and its last status
** is committed before the byte is given back: so a row that says `running` without a locked byte is always a
** dead one. Owns nothing beyond the list in job_lock.c.
*/
#include "ledger/ledger_int.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/json.h"

static const char doing[] = "recording a job";

/* ---- begin --------------------------------------------------------------------------------------------- */

/* Somewhere in the arguments "dry_run" is true, whatever the shape the command gave them. */
static bool asks_dry(const json_t *value, int depth) {
  const char *key;
  json_t *member;
  size_t at;
  if (depth == 0) return false;
  if (json_is_array(value)) {
    json_array_foreach(value, at, member) {
      if (asks_dry(member, depth - 1)) return true;
    }
  }
  json_object_foreach((json_t *)value, key, member) {
    if ((strcmp(key, "dry_run") == 0 && json_is_true(member)) || asks_dry(member, depth - 1)) return true;
  }
  return false;
}

static bool is_dry(const char *arguments) {
  json_t *root = arguments != NULL
                     ? os_json_parse(arguments, strlen(arguments), OS_JSON_BIG_INTEGERS, "arguments", NULL)
                     : NULL;
  bool dry = asks_dry(root, 4);
  json_decref(root);
  return dry;
}

static int insert(struct os_ledger *ledger, const struct os_job_begin *begin, int64_t number, int64_t *job,
                  struct os_error *error) {
  static const char sql[] =
      "INSERT INTO job(job, parent, kind, index_name, arguments, correlation_id, dry, started_at, "
      "updated_at, host,"
      " pid, version, settings) VALUES(nullif(?1, 0), nullif(?2, 0), ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, "
      "?11,"
      " ?12)";
  char now[OS_TIME_TEXT];
  os_clock_now(now);
  int rc = os_ledger_run(ledger, sql, doing, error, "iittttittitt", number, begin->parent, begin->kind,
                         begin->index_name, begin->arguments, begin->correlation_id,
                         (int64_t)is_dry(begin->arguments), now, ledger->host, (int64_t)getpid(), OS_VERSION,
                         begin->settings);
  /* of a statement that failed it would be the number of whatever was inserted last, perhaps that of a job of ours */
  *job = rc == OS_OK ? sqlite3_last_insert_rowid(ledger->db) : 0;
  return rc;
}

/* A byte can be held although the number is new: by a process that still works with a ledger which somebody
** deleted. Then the next number is taken. */
static int insert_locked(struct os_ledger *ledger, const struct os_job_begin *begin, int64_t *job,
                         struct os_error *error) {
  int64_t number = 0;
  for (int tries = 0; tries < 1000; tries++) {
    int rc = insert(ledger, begin, number, job, error);
    if (rc != OS_OK) return rc;
    switch (os_job_lock_take(ledger, *job)) {
    case OS_LOCK_TAKEN:
      return os_ledger_run(ledger, "UPDATE job SET locked = 1 WHERE job = ?1", doing, error, "i", *job);
    case OS_LOCK_NOT_POSSIBLE: return OS_OK;
    case OS_LOCK_NOMEM: return os_fail_nomem(error);
    case OS_LOCK_HELD_ELSEWHERE: break;
    }
    rc = os_ledger_run(ledger, "DELETE FROM job WHERE job = ?1", doing, error, "i", *job);
    if (rc != OS_OK) return rc;
    number = *job + 1;
  }
  os_fail(error, OS_ERR_LEDGER, "no job number is free: other processes hold locks in '%s'",
          ledger->lock_path);
  return os_advise(error, "end the processes that use a ledger which was deleted");
}

int os_ledger_job_begin(struct os_ledger *ledger, const struct os_job_begin *begin, int64_t *job,
                        struct os_error *error) {
  struct os_write write;
  *job = 0;
  int rc = os_write_enter(ledger, true, &write, error);
  if (rc != OS_OK) return rc;
  rc = insert_locked(ledger, begin, job, error);
  rc = os_write_leave(ledger, &write, rc, error);
  if (rc != OS_OK && *job != 0 && os_job_lock_is_ours(ledger, *job)) os_job_lock_release(ledger, *job, false);
  if (rc != OS_OK) *job = 0;
  return rc;
}

int os_ledger_job_target(struct os_ledger *ledger, int64_t job, const char *index_name,
                         const char *index_uuid, const char *path, struct os_error *error) {
  struct os_write write;
  int rc = os_write_enter(ledger, true, &write, error);
  if (rc != OS_OK) return rc;
  rc = os_ledger_run(
      ledger,
      "UPDATE job SET target_name = ?2, target_uuid = coalesce(?3, ''), path = coalesce(?4, ''),"
      " index_name = coalesce(index_name, ?2) WHERE job = ?1",
      doing, error, "ittt", job, index_name, index_uuid, path);
  return os_write_leave(ledger, &write, rc, error);
}

/* ---- progress and end ---------------------------------------------------------------------------------- */

static int no_such_job(int64_t job, struct os_error *error) {
  os_fail(error, OS_ERR_NOT_FOUND, "there is no job %lld in the ledger", (long long)job);
  return os_advise(error, "SELECT job, kind, status FROM os_jobs lists them");
}

/* A job that another host took for dead (a machine asleep for minutes) says here that it is not. */
static int write_figures(struct os_ledger *ledger, int64_t job, const struct os_job_figures *f,
                         struct os_error *error) {
  static const char sql[] =
      "UPDATE job SET updated_at = ?2, files = ?3, files_done = ?4, documents_read = ?5, documents_created = "
      "?6,"
      " documents_updated = ?7, documents_noop = ?8, documents_already = ?9, documents_failed = ?10,"
      " documents_skipped = ?11, bytes_read = ?12, bytes_sent = ?13, requests = ?14, retries = ?15,"
      " count_before = ?16, count_after = ?17, status = 'running', finished_at = NULL, error = NULL WHERE "
      "job = ?1";
  char now[OS_TIME_TEXT];
  os_clock_now(now);
  int rc = os_ledger_run(ledger, sql, doing, error, "itiiiiiiiiiiiiinn", job, now, f->files, f->files_done,
                         f->documents_read, f->documents_created, f->documents_updated, f->documents_noop,
                         f->documents_already, f->documents_failed, f->documents_skipped, f->bytes_read,
                         f->bytes_sent, f->requests, f->retries, f->count_before, f->count_after);
  if (rc == OS_OK && sqlite3_changes(ledger->db) == 0) return no_such_job(job, error);
  return rc;
}

/* While a child runs, its parent waits and lives. */
static int beat_for_parent(struct os_ledger *ledger, int64_t job, struct os_error *error) {
  return os_ledger_run(ledger,
                       "UPDATE job SET updated_at = (SELECT updated_at FROM job WHERE job = ?1)"
                       " WHERE job = (SELECT parent FROM job WHERE job = ?1)",
                       doing, error, "i", job);
}

/* An ended job is never set to running again: only its owner, who still holds it, may write figures. */
int os_ledger_job_progress(struct os_ledger *ledger, int64_t job, const struct os_job_figures *figures,
                           struct os_error *error) {
  struct os_write write;
  if (!os_job_lock_is_ours(ledger, job))
    return os_fail(error, OS_ERR_INTERNAL, "job %lld is not run by this connection", (long long)job);
  int rc = os_write_enter(ledger, false, &write, error);
  if (rc != OS_OK) return rc;
  rc = write_figures(ledger, job, figures, error);
  if (rc == OS_OK) rc = os_sample_take(ledger, job, figures, false, error);
  if (rc == OS_OK) rc = beat_for_parent(ledger, job, error);
  return os_write_leave(ledger, &write, rc, error);
}

static bool is_final(const char *status) {
  static const char *const final[] = {"success", "partial", "failed", "interrupted", "cancelled"};
  for (size_t i = 0; i < sizeof final / sizeof final[0]; i++)
    if (strcmp(status, final[i]) == 0) return true;
  return false;
}

static int write_end(struct os_ledger *ledger, int64_t job, const char *status, const char *error_text,
                     const char *response, struct os_error *error) {
  char now[OS_TIME_TEXT];
  os_clock_now(now);
  int rc =
      os_ledger_run(ledger,
                    "UPDATE job SET status = ?2, error = ?3, response = ?4, control = '', updated_at = ?5,"
                    " finished_at = ?5 WHERE job = ?1",
                    doing, error, "itttt", job, status, error_text, response, now);
  if (rc == OS_OK && sqlite3_changes(ledger->db) == 0) return no_such_job(job, error);
  return rc;
}

/* The byte is given back also when the row could not be written: the next sweep then calls the job
** interrupted, which is all that can be said about it. */
int os_ledger_job_finish(struct os_ledger *ledger, int64_t job, const char *status,
                         const struct os_job_figures *figures, const char *error_text, const char *response,
                         struct os_error *error) {
  struct os_write write;
  if (!is_final(status))
    return os_fail(error, OS_ERR_INTERNAL, "job %lld cannot end with status '%s'", (long long)job, status);
  int rc = os_write_enter(ledger, true, &write, error);
  if (rc == OS_OK) {
    if (figures != NULL) rc = write_figures(ledger, job, figures, error);
    if (rc == OS_OK && figures != NULL) rc = os_sample_take(ledger, job, figures, true, error);
    if (rc == OS_OK) rc = write_end(ledger, job, status, error_text, response, error);
    rc = os_write_leave(ledger, &write, rc, error);
  }
  os_job_lock_release(ledger, job, rc == OS_OK);
  return rc;
}

void os_jobs_interrupt_own(struct os_ledger *ledger) {
  while (ledger->held_count > 0)
    os_ledger_job_finish(ledger, ledger->held[0].job, "interrupted", NULL,
                         "the connection was closed while the job ran", NULL, NULL);
}

/* ---- asked from elsewhere ------------------------------------------------------------------------------ */

int os_ledger_job_control(struct os_ledger *ledger, int64_t job, char out[16], struct os_error *error) {
  out[0] = '\0';
  sqlite3_stmt *stmt =
      os_ledger_bound(ledger, "SELECT control FROM job WHERE job = ?1", "reading a job", error, "i", job);
  if (stmt == NULL) return os_ledger_code(error);
  int rc = OS_OK, step = sqlite3_step(stmt);
  if (step == SQLITE_ROW)
    os_ledger_copy_text(stmt, 0, out, 16);
  else
    rc = step == SQLITE_DONE ? no_such_job(job, error) : os_ledger_fail(ledger, step, "reading a job", error);
  os_ledger_done(stmt);
  return rc;
}

struct job_state {
  char status[16], control[16], finished_at[OS_TIME_TEXT], kind[32];
  enum os_life life;
};

static int read_state(struct os_ledger *ledger, int64_t job, struct job_state *state,
                      struct os_error *error) {
  memset(state, 0, sizeof *state);
  sqlite3_stmt *stmt = os_ledger_bound(
      ledger,
      "SELECT status, control, coalesce(finished_at, ''), locked, host, updated_at, kind FROM job"
      " WHERE job = ?1",
      "reading a job", error, "i", job);
  if (stmt == NULL) return os_ledger_code(error);
  int rc = OS_OK, step = sqlite3_step(stmt);
  if (step == SQLITE_ROW) {
    os_ledger_copy_text(stmt, 0, state->status, sizeof state->status);
    os_ledger_copy_text(stmt, 1, state->control, sizeof state->control);
    os_ledger_copy_text(stmt, 2, state->finished_at, sizeof state->finished_at);
    state->life = strcmp(state->status, "running") != 0
                      ? OS_LIFE_ENDED
                      : os_job_life(ledger, job, sqlite3_column_int(stmt, 3) != 0,
                                    (const char *)sqlite3_column_text(stmt, 4),
                                    (const char *)sqlite3_column_text(stmt, 5));
    os_ledger_copy_text(stmt, 6, state->kind, sizeof state->kind);
  } else {
    rc = step == SQLITE_DONE ? no_such_job(job, error) : os_ledger_fail(ledger, step, "reading a job", error);
  }
  os_ledger_done(stmt);
  return rc;
}

/* What the cluster does by itself, and what is over in a moment, cannot wait. */
static bool can_pause(const char *kind) {
  static const char *const kinds[] = {"bulk_load", "retry_failures", "refresh_data", "reindex_versions"};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strcmp(kind, kinds[i]) == 0) return true;
  return false;
}

static int refuse_pause(int64_t job, const struct job_state *state, struct os_error *error) {
  os_fail(error, OS_ERR_ARGUMENT, "job %lld (%s) cannot pause: the cluster does its work", (long long)job,
          state->kind);
  return os_advise(error,
                   "SELECT os_cancel(%lld) stops it; what it was doing is undone or gone on with later",
                   (long long)job);
}

static int refuse_ask(int64_t job, const char *word, const struct job_state *state, struct os_error *error) {
  const char *verb = word[0] == '\0' ? "continue" : word;
  if (state->life == OS_LIFE_DEAD) {
    os_fail(error, OS_ERR_ARGUMENT, "job %lld cannot be told to %s: its process has died", (long long)job,
            verb);
    return os_advise(error, "run its command again; a load goes on with {\"mode\":\"resume\"}");
  }
  if (state->life == OS_LIFE_ENDED) {
    os_fail(error, OS_ERR_ARGUMENT, "job %lld cannot be told to %s: it has ended (%s%s%s)", (long long)job,
            verb, state->status, state->finished_at[0] != '\0' ? " at " : "", state->finished_at);
    return os_advise(error, "SELECT * FROM os_jobs WHERE status = 'running' lists what runs");
  }
  os_fail(error, OS_ERR_ARGUMENT, "job %lld cannot be told to %s: it is being cancelled", (long long)job,
          verb);
  return os_advise(error, "run its command again once it has ended");
}

/* Whoever waits for a child job listens to the child's row only, so the word goes to the running descendants
** too. */
int os_ledger_job_ask(struct os_ledger *ledger, int64_t job, const char *word, struct os_error *error) {
  static const char sql[] = "WITH RECURSIVE family(job) AS (SELECT ?1 UNION SELECT j.job FROM job j JOIN "
                            "family f ON j.parent = f.job"
                            " WHERE j.parent IS NOT NULL)"
                            " UPDATE job SET control = ?2 WHERE job IN (SELECT job FROM family) AND status = "
                            "'running' AND control <> 'cancel'";
  struct job_state state;
  struct os_write write;
  if (word[0] != '\0' && strcmp(word, "cancel") != 0 && strcmp(word, "pause") != 0)
    return os_fail(error, OS_ERR_INTERNAL, "a job cannot be asked to '%s'", word);
  int rc = os_write_enter(ledger, false, &write, error);
  if (rc != OS_OK) return rc;
  rc = read_state(ledger, job, &state, error);
  bool cancelling = strcmp(state.control, "cancel") == 0 && strcmp(word, "cancel") != 0;
  if (rc == OS_OK && (state.life == OS_LIFE_DEAD || state.life == OS_LIFE_ENDED || cancelling))
    rc = refuse_ask(job, word, &state, error);
  else if (rc == OS_OK && strcmp(word, "pause") == 0 && !can_pause(state.kind))
    rc = refuse_pause(job, &state, error);
  if (rc == OS_OK) rc = os_ledger_run(ledger, sql, doing, error, "it", job, word);
  return os_write_leave(ledger, &write, rc, error);
}

/* ---- alive or dead ------------------------------------------------------------------------------------- */

static bool heartbeat_is_fresh(const char *updated_at) {
  double then;
  return updated_at != NULL && os_clock_parse_iso(updated_at, &then) &&
         os_clock_unix() - then < OS_LEDGER_HEARTBEAT_S;
}

/* The lock tells on the host that holds it; elsewhere, and where files cannot be locked, the heartbeat must
** do. */
enum os_life os_job_life(struct os_ledger *ledger, int64_t job, bool locked, const char *host,
                         const char *updated_at) {
  bool here = host != NULL && strcmp(host, ledger->host) == 0;
  enum os_life life = OS_LIFE_UNKNOWN;
  if ((here && locked) || ledger->lock_path == NULL || os_job_lock_is_ours(ledger, job))
    life = os_job_lock_probe(ledger, job);
  if (life == OS_LIFE_UNKNOWN) life = heartbeat_is_fresh(updated_at) ? OS_LIFE_RUNNING : OS_LIFE_DEAD;
  return life;
}

bool os_ledger_job_alive(struct os_ledger *ledger, int64_t job) {
  struct job_state state;
  return read_state(ledger, job, &state, NULL) == OS_OK && state.life == OS_LIFE_RUNNING;
}

/* os_job_shown(status, job, locked, host, updated_at) */
static void job_shown(sqlite3_context *context, int argc, sqlite3_value **argv) {
  (void)argc;
  const char *status = (const char *)sqlite3_value_text(argv[0]);
  if (status != NULL && strcmp(status, "running") == 0 &&
      os_job_life(sqlite3_user_data(context), sqlite3_value_int64(argv[1]), sqlite3_value_int(argv[2]) != 0,
                  (const char *)sqlite3_value_text(argv[3]),
                  (const char *)sqlite3_value_text(argv[4])) == OS_LIFE_DEAD)
    sqlite3_result_text(context, "interrupted", -1, SQLITE_STATIC);
  else
    sqlite3_result_value(context, argv[0]);
}

int os_jobs_add_function(struct os_ledger *ledger) {
  return sqlite3_create_function_v2(ledger->db, "os_job_shown", 5, SQLITE_UTF8 | SQLITE_DIRECTONLY, ledger,
                                    job_shown, NULL, NULL, NULL);
}

/* In one write transaction: whoever ends a job now either has committed its last status, or waits for us
** with its byte still locked. */
int os_ledger_sweep(struct os_ledger *ledger, struct os_error *error) {
  static const char sql[] =
      "UPDATE job SET status = 'interrupted', control = '', finished_at = updated_at, error ="
      " 'process ' || pid || ' on ' || host || ' ended without finishing the job; run the command again"
      " (a load goes on with {\"mode\":\"resume\"})'"
      " WHERE status = 'running' AND os_job_shown(status, job, locked, host, updated_at) = 'interrupted'";
  struct os_write write;
  int rc = os_write_enter(ledger, false, &write, error);
  if (rc != OS_OK) return rc;
  rc = os_ledger_run(ledger, sql, "looking for dead jobs", error, "");
  return os_write_leave(ledger, &write, rc, error);
}
