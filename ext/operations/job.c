/* job.c - see job.h. */
#include "operations/job.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/text.h"
#include "base/utf8.h"

int os_job_audit(struct os_job *job, const char *step, const char *check, const char *verdict, bool durable,
                 struct os_error *error, const char *format, ...) {
  char detail[OS_ERROR_TEXT + OS_ERROR_ADVICE];
  va_list list;
  va_start(list, format);
  vsnprintf(detail, sizeof detail, format, list);
  va_end(list);
  detail[os_utf8_check(detail, strlen(detail))] = 0; /* a cut may fall inside a character */
  if (!job->checks) job->checks = json_array();
  json_t *entry = json_pack("{s:s, s:s, s:s}", "check", check, "verdict", verdict, "detail", detail);
  if (!job->checks || !entry || json_array_append_new(job->checks, entry)) return os_fail_nomem(error);
  if (!job->number) return OS_OK;
  return os_ledger_audit(job->ledger, job->number, step, check, verdict, detail, durable, error);
}

int os_job_guard_failed(struct os_job *job, const char *step, const char *check,
                        const struct os_error *refusal) {
  char sentence[OS_ERROR_TEXT + OS_ERROR_ADVICE];
  struct os_error ignored; /* the refusal matters more than a ledger that could not take the row */
  os_error_clear(&ignored);
  os_error_sentence(refusal, sentence, sizeof sentence);
  os_job_audit(job, step, check, "fail", false, &ignored, "%s", sentence);
  return (int)refusal->code;
}

int os_job_unverified(struct os_job *job, const char *step, const char *check, bool allowed,
                      struct os_error *error) {
  if (error->code != OS_ERR_FORBIDDEN || strstr(error->text, "cluster_block_exception"))
    return os_job_guard_failed(job, step, check, error);
  return os_job_unknown(job, step, check, allowed, error);
}

int os_job_unknown(struct os_job *job, const char *step, const char *check, bool allowed,
                   struct os_error *error) {
  char sentence[OS_ERROR_TEXT + OS_ERROR_ADVICE], advice[OS_ERROR_ADVICE];
  struct os_error ignored; /* the refusal matters more than a ledger that could not take the row */
  os_error_sentence(error, sentence, sizeof sentence);
  if (allowed) {
    os_error_clear(error);
    return os_job_audit(job, step, check, "unknown", false, error, "%s; went on because of allow_unverified",
                        sentence);
  }
  os_error_clear(&ignored);
  os_job_audit(job, step, check, "unknown", false, &ignored, "%s", sentence);
  snprintf(advice, sizeof advice, "%.700s", error->advice);
  return os_advise(error, "%s%sget that right, or pass {\"allow_unverified\":true}", advice,
                   *advice ? "; " : "");
}

static const double HEARTBEAT = 5; /* seconds; the ledger wants one every 20 */

int os_job_listen(struct os_job *job, const char *doing, struct os_error *error) {
  double beat = 0;
  bool waits = false;
  for (;;) {
    char asked[16];
    if (os_session_interrupted(job->session))
      return os_fail(error, OS_ERR_INTERRUPTED, "interrupted %s", doing);
    int rc = os_ledger_job_control(job->ledger, job->number, asked, error);
    if (!rc && os_clock_monotonic() > beat) {
      rc = os_ledger_job_progress(job->ledger, job->number, &job->figures, error);
      beat = os_clock_monotonic() + HEARTBEAT;
    }
    if (rc) return rc;
    if (!strcmp(asked, "cancel"))
      return os_fail(error, OS_ERR_CANCELLED, "cancelled by os_cancel(%lld) %s", (long long)job->number,
                     doing);
    bool paused = !strcmp(asked, "pause");
    if (paused != waits)
      os_log_write(job->session->log, OS_LOG_INFO, paused ? "paused by os_pause" : "goes on");
    if (!paused) return OS_OK;
    waits = true;
    os_clock_sleep_ms(50);
  }
}

const char *os_job_status(const struct os_session *session, int rc, bool partial) {
  if (rc == OS_OK) return partial ? "partial" : "success";
  if (rc == OS_ERR_INTERRUPTED || os_session_stopped(session)) return "interrupted";
  return rc == OS_ERR_CANCELLED ? "cancelled" : "failed";
}
