/* job.h - what an operation needs of the job it runs for: the ledger rows it writes as it goes, and its
** figures.
**
** The surface begins and finishes the job; an operation adds audit rows and figures. Keeper's thread.
*/
#ifndef OS_OPERATIONS_JOB_H
#define OS_OPERATIONS_JOB_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "ledger/ledger.h"
#include "operations/session.h"

enum os_progress_kind { OS_PROGRESS_SILENT, OS_PROGRESS_LINE /* one redrawn line */, OS_PROGRESS_JSON_LINES };

struct os_job {
  struct os_session *session;
  struct os_ledger *ledger;
  int64_t number;
  struct os_job_figures figures;
  json_t *checks; /* array of {check, verdict, detail}; owned by who made the struct; NULL before the first */
  enum os_progress_kind progress;
  double max_docs_rate, max_bytes_rate; /* per second; 0: none */
  const char *correlation_id;           /* of the caller's, borrowed; may be NULL */
};

/* One row of os_audit and one entry of checks. verdict: pass, fail, unknown, skip, did. durable: on the
** disk before it returns, for an intent before a change (architecture, rule 4). */
int os_job_audit(struct os_job *job, const char *step, const char *check, const char *verdict, bool durable,
                 struct os_error *error, const char *format, ...) __attribute__((format(printf, 7, 8)));
/* A guard that said no: the row "fail" with the text of *refusal, whose code is returned. */
int os_job_guard_failed(struct os_job *job, const char *step, const char *check,
                        const struct os_error *refusal);
/* A check that the user's rights forbid: the row "unknown" that names the missing right, and OS_OK when `allowed`
** (allow_unverified), else the error with advice. Anything else is a guard that failed; so is a 403 that speaks of a
** block. */
int os_job_unverified(struct os_job *job, const char *step, const char *check, bool allowed,
                      struct os_error *error);
/* The same for a check that cannot be made for whatever reason. */
int os_job_unknown(struct os_job *job, const char *step, const char *check, bool allowed,
                   struct os_error *error);
/* Between two steps: OS_ERR_INTERRUPTED, or OS_ERR_CANCELLED when os_cancel() asked for it; paused, it waits here
** (with heartbeats) until it is told to go on. doing: "between two steps of the refresh". */
int os_job_listen(struct os_job *job, const char *doing, struct os_error *error);
/* The status to end a job with: success, partial, failed, interrupted or cancelled. */
const char *os_job_status(const struct os_session *session, int rc, bool partial);
#endif
