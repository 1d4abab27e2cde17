/* audit.c - every guard that was asked and every change that was made, in the order it happened. */
#include "ledger/ledger_int.h"
#include "base/clock.h"

int os_ledger_audit(struct os_ledger *ledger, int64_t job, const char *step, const char *check_name,
                    const char *verdict, const char *detail, bool durable, struct os_error *error) {
  char now[OS_TIME_TEXT];
  struct os_write write;
  int rc = os_write_enter(ledger, durable, &write, error);
  if (rc != OS_OK) return rc;
  os_clock_now(now);
  rc = os_ledger_run(
      ledger, "INSERT INTO audit(job, at, step, check_name, verdict, detail) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
      "recording a check", error, "ittttt", job, now, step, check_name, verdict, detail);
  return os_write_leave(ledger, &write, rc, error);
}

int os_ledger_audit_has(struct os_ledger *ledger, int64_t job, const char *check_name, bool *has,
                        struct os_error *error) {
  static const char doing[] = "reading a check";
  int64_t found = 0;
  int rc = os_ledger_ask(
      ledger, "SELECT 1 FROM audit WHERE job = ?1 AND check_name = ?2 AND verdict IN ('pass', 'did') LIMIT 1",
      doing, &found, error, "it", job, check_name);
  *has = found != 0;
  return rc;
}

/* The job that `sql` finds (?1 a number, ?2 the index), 0 when there is none. */
static int find_job(struct os_ledger *ledger, const char *sql, int64_t after, const char *index_name,
                    int64_t *job, struct os_error *error) {
  static const char doing[] = "looking for broken clean-ups";
  return os_ledger_ask(ledger, sql, doing, job, error, "it", after, index_name);
}

/* Jobs of the index that did not end well and do not run. */
#define ENDED_BADLY                                                                                          \
  "SELECT job FROM job j WHERE job > ?1 AND index_name = ?2 AND status NOT IN ('success', 'partial')"        \
  " AND os_job_shown(j.status, j.job, j.locked, j.host, j.updated_at) <> 'running'"

int os_ledger_cleanup_broken(struct os_ledger *ledger, const char *index_name, int64_t after, int64_t *job,
                             struct os_error *error) {
  static const char sql[] =
      ENDED_BADLY " AND EXISTS (SELECT 1 FROM audit a WHERE a.job = j.job AND a.check_name = 'trial')"
                  " AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.job = j.job AND a.check_name = 'leftovers')"
                  " ORDER BY job LIMIT 1";
  return find_job(ledger, sql, after, index_name, job, error);
}

int os_ledger_emptying_broken(struct os_ledger *ledger, const char *index_name, int64_t *job,
                              struct os_error *error) {
  static const char sql[] =
      ENDED_BADLY " AND EXISTS (SELECT 1 FROM audit a WHERE a.job = j.job AND a.step = 'cleanup'"
                  "             AND a.check_name = 'delete')"
                  " AND NOT EXISTS (SELECT 1 FROM audit a JOIN job k ON k.job = a.job WHERE a.job >= j.job"
                  "                 AND k.index_name = j.index_name AND a.step = 'cleanup'"
                  "                 AND a.check_name = 'empty' AND a.verdict = 'pass')"
                  " ORDER BY job DESC LIMIT 1";
  return find_job(ledger, sql, 0, index_name, job, error);
}
