/* child_job.h - a job inside another: a step of a longer operation, with a row, an audit and figures of its
** own, whose `parent` names the whole. Cancelling the parent cancels it (os_ledger_job_ask). Keeper's thread.
*/
#ifndef OS_OPERATIONS_CHILD_JOB_H
#define OS_OPERATIONS_CHILD_JOB_H
#include "operations/job.h"

/* Begin a job of `kind` with the session, ledger, limits and progress of `parent`; log lines carry its
** number until it ends. arguments: new reference, taken also on failure; NULL is OS_ERR_NOMEM. */
int os_child_job_begin(struct os_job *child, const struct os_job *parent, const char *kind,
                       const char *index_name, json_t *arguments_take, struct os_error *error);
/* End it as `rc` and *error say; partial: success with refused records. response may be NULL. Gives rc,
** or, when the work went well and the ledger could not record that, its error. Audit rows of the child
** stay its own. */
int os_child_job_end(struct os_job *child, const struct os_job *parent, int rc, bool partial,
                     const json_t *response, struct os_error *error);
#endif
