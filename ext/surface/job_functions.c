/* job_functions.c - os_cancel, os_pause, os_continue (ask a job of any process) and os_ledger_prune.
**
** May call: operations/session, ledger/, base/. Owns nothing.
*/
#include "surface/functions.h"

#include "base/clock.h"

static int ask_job(struct os_command *command, const char *word, const char *done) {
  struct os_ledger *ledger;
  int64_t job;
  int rc = os_command_int(command, 0, "job", 1, INT64_MAX, &job);
  if (rc == OS_OK) rc = os_command_ledger(command, &ledger);
  if (rc != OS_OK) return rc;
  if (ledger == NULL) return os_command_no_ledger(command, job);
  rc = os_ledger_job_ask(ledger, job, word, &command->error);
  if (rc != OS_OK) return rc;
  return os_command_result(command, "success", json_pack("{s:I}", "job", (json_int_t)job), "Job %lld %s.",
                           (long long)job, done);
}

int os_run_cancel(struct os_command *command) {
  return ask_job(command, "cancel", "was asked to stop; what it has acknowledged stays recorded");
}

int os_run_pause(struct os_command *command) {
  return ask_job(command, "pause", "was asked to pause; os_continue() lets it go on");
}

int os_run_continue(struct os_command *command) {
  return ask_job(command, "", "was asked to go on");
}

int os_run_ledger_prune(struct os_command *command) {
  const char *before;
  struct os_ledger *ledger;
  double seconds;
  char iso[OS_TIME_TEXT];
  int64_t removed = 0;
  int rc = os_command_text(command, 0, "before", &before);
  if (rc != OS_OK) return rc;
  if (!os_clock_parse_iso(before, &seconds)) {
    os_fail(&command->error, OS_ERR_ARGUMENT, "'%.60s' is no time", before);
    os_advise(&command->error, "write it as '2026-01-31' or '2026-01-31T12:00:00Z' (UTC)");
    return OS_ERR_ARGUMENT;
  }
  os_clock_iso(seconds, iso); /* one form, because the ledger compares texts */
  rc = os_command_ledger(command, &ledger);
  if (rc == OS_OK && ledger != NULL) rc = os_ledger_prune(ledger, iso, &removed, &command->error);
  if (rc != OS_OK) return rc;
  return os_command_result(
      command, "success", json_pack("{s:I, s:s}", "jobs_removed", (json_int_t)removed, "before", iso),
      "Forgot %lld job%s that ended before %s.", (long long)removed, removed == 1 ? "" : "s", iso);
}
