/* tuning.c - settings of an index that loads changed for their own sake and owe back (option tune_index).
**
** The original is saved once, before the first change, under the index's UUID; every job that wants the
** change holds it; the last holder that lives gives it back. A holder that died is none, so a crash leaves
** an orphan that the next command restores.
*/
#include "ledger/ledger_int.h"
#include "base/alloc.h"
#include "base/clock.h"

static const char doing[] = "remembering the settings of an index";

#define LIVING_HOLDER                                                                                        \
  "EXISTS (SELECT 1 FROM tuning_holder h JOIN job j ON j.job = h.job WHERE h.uuid = t.uuid AND"              \
  " os_job_shown(j.status, j.job, j.locked, j.host, j.updated_at) = 'running')"

int os_ledger_tune_hold(struct os_ledger *ledger, const char *endpoint, const char *index_name,
                        const char *uuid, const char *original, const char *ours, int64_t job,
                        struct os_error *error) {
  char now[OS_TIME_TEXT];
  struct os_write write;
  int rc = os_write_enter(ledger, true, &write, error);
  if (rc != OS_OK) return rc;
  os_clock_now(now);
  rc = os_ledger_run(ledger,
                     "INSERT INTO tuning(uuid, endpoint, index_name, original, ours, saved_at)"
                     " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(uuid) DO NOTHING",
                     doing, error, "tttttt", uuid, endpoint, index_name, original, ours, now);
  if (rc == OS_OK)
    rc = os_ledger_run(ledger, "INSERT OR IGNORE INTO tuning_holder(uuid, job) VALUES(?1, ?2)", doing, error,
                       "ti", uuid, job);
  return os_write_leave(ledger, &write, rc, error);
}

static int copy_column(sqlite3_stmt *stmt, int column, char **out) {
  *out = os_strdup((const char *)sqlite3_column_text(stmt, column));
  return *out != NULL ? OS_OK : OS_ERR_NOMEM;
}

static int read_last(struct os_ledger *ledger, const char *uuid, bool *last, char **original, char **ours,
                     struct os_error *error) {
  sqlite3_stmt *stmt =
      os_ledger_bound(ledger, "SELECT original, ours FROM tuning t WHERE uuid = ?1 AND NOT " LIVING_HOLDER,
                      doing, error, "t", uuid);
  if (stmt == NULL) return os_ledger_code(error);
  int rc = OS_OK, step = sqlite3_step(stmt);
  if (step == SQLITE_ROW) {
    if (copy_column(stmt, 0, original) != OS_OK || copy_column(stmt, 1, ours) != OS_OK)
      rc = os_fail_nomem(error);
    *last = rc == OS_OK;
  } else if (step != SQLITE_DONE) {
    rc = os_ledger_fail(ledger, step, doing, error);
  }
  os_ledger_done(stmt);
  return rc;
}

/* Inside one write transaction, so that of two jobs ending at once exactly one is the last. */
int os_ledger_tune_release(struct os_ledger *ledger, const char *uuid, int64_t job, bool *last,
                           char **original, char **ours, struct os_error *error) {
  struct os_write write;
  *last = false;
  *original = *ours = NULL;
  int rc = os_write_enter(ledger, true, &write, error);
  if (rc != OS_OK) return rc;
  rc = os_ledger_run(ledger, "DELETE FROM tuning_holder WHERE uuid = ?1 AND job = ?2", doing, error, "ti",
                     uuid, job);
  if (rc == OS_OK) rc = read_last(ledger, uuid, last, original, ours, error);
  rc = os_write_leave(ledger, &write, rc, error);
  if (rc != OS_OK) {
    os_free(*original);
    os_free(*ours);
    *original = *ours = NULL;
    *last = false;
  }
  return rc;
}

/* A job that took hold meanwhile keeps the row: what it will give back is still the original. */
int os_ledger_tune_restored(struct os_ledger *ledger, const char *uuid, struct os_error *error) {
  struct os_write write;
  int rc = os_write_enter(ledger, true, &write, error);
  if (rc != OS_OK) return rc;
  rc = os_ledger_run(ledger, "DELETE FROM tuning AS t WHERE uuid = ?1 AND NOT " LIVING_HOLDER, doing, error,
                     "t", uuid);
  if (rc == OS_OK)
    rc = os_ledger_run(ledger, "DELETE FROM tuning_holder WHERE uuid NOT IN (SELECT uuid FROM tuning)", doing,
                       error, "");
  return os_write_leave(ledger, &write, rc, error);
}

struct orphan {
  char *index_name, *uuid, *original, *ours;
};

static void free_orphan(struct orphan *orphan) {
  os_free(orphan->index_name);
  os_free(orphan->uuid);
  os_free(orphan->original);
  os_free(orphan->ours);
  *orphan = (struct orphan){0};
}

/* The first orphan after `after`; orphan->uuid stays NULL when there is none. */
static int next_orphan(struct os_ledger *ledger, const char *endpoint, const char *after,
                       struct orphan *orphan, struct os_error *error) {
  sqlite3_stmt *stmt =
      os_ledger_bound(ledger,
                      "SELECT index_name, uuid, original, ours FROM tuning t WHERE endpoint = ?1"
                      " AND uuid > ?2 AND NOT " LIVING_HOLDER " ORDER BY uuid LIMIT 1",
                      doing, error, "tt", endpoint, after);
  if (stmt == NULL) return os_ledger_code(error);
  int rc = OS_OK, step = sqlite3_step(stmt);
  if (step == SQLITE_ROW) {
    if (copy_column(stmt, 0, &orphan->index_name) != OS_OK || copy_column(stmt, 1, &orphan->uuid) != OS_OK ||
        copy_column(stmt, 2, &orphan->original) != OS_OK || copy_column(stmt, 3, &orphan->ours) != OS_OK)
      rc = os_fail_nomem(error);
  } else if (step != SQLITE_DONE) {
    rc = os_ledger_fail(ledger, step, doing, error);
  }
  os_ledger_done(stmt);
  return rc;
}

/* One after another, with nothing of ours open meanwhile: `restore` talks to the cluster and may take its
** time. */
int os_ledger_tune_orphans(struct os_ledger *ledger, const char *endpoint,
                           int (*restore)(void *ctx, const char *index_name, const char *uuid,
                                          const char *original, const char *ours),
                           void *ctx, struct os_error *error) {
  char *after = os_strdup("");
  int rc = after != NULL ? os_ledger_writable(ledger, error) : os_fail_nomem(error);
  while (rc == OS_OK) {
    struct orphan orphan = {0};
    rc = next_orphan(ledger, endpoint, after, &orphan, error);
    if (rc == OS_OK && orphan.uuid == NULL) break;
    if (rc == OS_OK && restore(ctx, orphan.index_name, orphan.uuid, orphan.original, orphan.ours) == OS_OK)
      rc = os_ledger_tune_restored(ledger, orphan.uuid, error);
    if (rc == OS_OK) {
      os_free(after);
      after = orphan.uuid;
      orphan.uuid = NULL;
    }
    free_orphan(&orphan);
  }
  os_free(after);
  return rc;
}
