/* report_function.c - os_report: a page about a job.
**
**     SELECT os_report(12);                         -- os-report-12.html in the working directory
**     SELECT os_report(12, '/srv/reports/load.html');
**
** Rationale for DIRECTONLY: it writes a file. May call: operations/report, ledger/, base/. Owns nothing.
*/
#include "surface/functions.h"
#include "operations/report/report.h"

int os_run_report(struct os_command *command) {
  struct os_ledger *ledger;
  struct os_report report;
  const char *path;
  int64_t job;
  int rc = os_command_int(command, 0, "job", 1, INT64_MAX, &job);
  if (rc == OS_OK) rc = os_command_optional_text(command, 1, "path", &path);
  if (rc == OS_OK) rc = os_command_ledger(command, &ledger);
  if (rc == OS_OK && ledger == NULL) rc = os_command_no_ledger(command, job);
  if (rc == OS_OK) rc = os_report_write(ledger, job, path, &report, &command->error);
  if (rc != OS_OK) return rc;
  return os_command_result(command, "success",
                           json_pack("{s:I, s:s, s:I}", "job", (json_int_t)job, "path", report.path, "bytes",
                                     (json_int_t)report.bytes),
                           "Wrote a report of job %lld (%s, %s) to %s", (long long)job, report.kind,
                           report.status, report.path);
}
