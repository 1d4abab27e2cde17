/* prune.c - forgetting old jobs (os_ledger_prune).
**
** What goes: the job, its files, its samples, its audit, its steps and its resolved refusals. What stays
** whatever its age: a job that runs, one that owes an index its settings, and a refused record that nobody
** has sent again or dismissed.
*/
#include "ledger/ledger_int.h"
#include "base/clock.h"

static const char doing[] = "pruning the ledger";

#define OLD_JOBS                                                                                             \
  "SELECT job FROM job WHERE status <> 'running' AND coalesce(finished_at, updated_at) < ?1 AND NOT EXISTS"  \
  " (SELECT 1 FROM tuning_holder h WHERE h.job = job.job)"

static int delete_old(struct os_ledger *ledger, const char *before, int64_t *jobs_removed,
                      struct os_error *error) {
  static const char *const steps[] = {
      "DELETE FROM job_file WHERE job IN (" OLD_JOBS ")",
      "DELETE FROM job_sample WHERE job IN (" OLD_JOBS ")",
      "DELETE FROM audit WHERE job IN (" OLD_JOBS ")",
      "DELETE FROM step WHERE job IN (" OLD_JOBS ")",
      /* also those that waited when their job was forgotten, and were dealt with since */
      "DELETE FROM failure WHERE resolved_at IS NOT NULL AND (job IN (" OLD_JOBS ") OR (resolved_at < ?1 AND"
      " NOT EXISTS (SELECT 1 FROM job j WHERE j.job = failure.job)))",
      "DELETE FROM job WHERE job IN (" OLD_JOBS ")",
  };
  int rc = OS_OK;
  for (size_t i = 0; i < sizeof steps / sizeof steps[0] && rc == OS_OK; i++)
    rc = os_ledger_run(ledger, steps[i], doing, error, "t", before);
  *jobs_removed = rc == OS_OK ? sqlite3_changes(ledger->db) : 0;
  return rc;
}

int os_ledger_prune(struct os_ledger *ledger, const char *before_iso, int64_t *jobs_removed,
                    struct os_error *error) {
  double seconds;
  char before[OS_TIME_TEXT];
  *jobs_removed = 0;
  if (before_iso == NULL || !os_clock_parse_iso(before_iso, &seconds)) {
    os_fail(error, OS_ERR_ARGUMENT, "'%s' is not a time in ISO-8601 (UTC)",
            before_iso != NULL ? before_iso : "NULL");
    return os_advise(error, "give a date or a time, for example '2026-01-31' or '2026-01-31T12:00:00Z'");
  }
  os_clock_iso(seconds, before); /* the form the ledger stores: comparing texts compares times */
  int rc = os_ledger_sweep(ledger, error);
  if (rc != OS_OK) return rc;
  struct os_write write;
  rc = os_write_enter(ledger, true, &write, error);
  if (rc != OS_OK) return rc;
  rc = delete_old(ledger, before, jobs_removed, error);
  return os_write_leave(ledger, &write, rc, error);
}
