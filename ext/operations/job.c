/* job.c - see job.h. */
#include "operations/job.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/text.h"

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

const char *os_job_status(const struct os_session *session, int rc, bool partial) {
  if (rc == OS_OK) return partial ? "partial" : "success";
  if (rc == OS_ERR_INTERRUPTED || os_session_stopped(session)) return "interrupted";
  return rc == OS_ERR_CANCELLED ? "cancelled" : "failed";
}
