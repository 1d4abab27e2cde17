/* samples.c - the figures of a running job, kept from time to time, so that a report can show how it
** went.
**
** Four times a second at first. Whenever that would make more than OS_SAMPLES rows, every second one is
** dropped and the distance doubled, so a job of a minute and one of a week both have from 120 to 240 of
** them. Owns nothing: what was kept last stands in the list of held jobs (job_lock.c).
*/
#include "ledger/ledger_int.h"
#include "base/clock.h"

static const char doing[] = "recording how a job goes";

int64_t os_sample_step(int64_t tick) {
  int64_t step = 1;
  while (tick / step >= OS_SAMPLES)
    step *= 2;
  return step;
}

static int write_sample(struct os_ledger *ledger, int64_t job, int64_t tick, double seconds,
                        const struct os_job_figures *f, struct os_error *error) {
  return os_ledger_run(ledger,
                       "INSERT OR REPLACE INTO job_sample(job, tick, seconds, documents, failed, bytes_read,"
                       " bytes_sent, requests, retries) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                       doing, error, "iidiiiiii", job, tick, seconds, f->documents_read, f->documents_failed,
                       f->bytes_read, f->bytes_sent, f->requests, f->retries);
}

/* A job that never told its progress has no course to show: its end alone is in its row. */
int os_sample_take(struct os_ledger *ledger, int64_t job, const struct os_job_figures *figures, bool last,
                   struct os_error *error) {
  struct os_held_job *held = os_job_lock_held(ledger, job);
  if (held == NULL || (last && held->tick < 0)) return OS_OK;
  double seconds = os_clock_monotonic() - held->began;
  int64_t now = (int64_t)(seconds * OS_SAMPLES_A_SECOND), step = os_sample_step(now);
  int64_t tick = now - now % step;
  if (tick == held->tick && !last) return OS_OK;
  int rc = write_sample(ledger, job, tick, seconds, figures, error);
  if (rc == OS_OK && step != held->step)
    rc = os_ledger_run(ledger, "DELETE FROM job_sample WHERE job = ?1 AND tick % ?2 <> 0", doing, error, "ii",
                       job, step);
  if (rc != OS_OK) return rc;
  held->tick = tick;
  held->step = step;
  return OS_OK;
}
