/* step.h - the steps of an operation with what they hold as JSON; the rows are the ledger's (ledger.h, "steps").
** Keeper's thread.
*/
#ifndef OS_OPERATIONS_STEP_H
#define OS_OPERATIONS_STEP_H
#include <jansson.h>
#include "operations/job.h"

/* Write down a step of this job with its data: a new reference, taken also on failure; NULL is OS_ERR_NOMEM. */
int os_step_put(struct os_job *job, const char *item, const char *name, const char *state, json_t *data_take,
                struct os_error *error);
/* The state alone; what was written before stays. */
int os_step_mark(struct os_job *job, const char *item, const char *name, const char *state,
                 struct os_error *error);
/* A step of any job. state: "" when it was never begun. *data (may be NULL): new reference, NULL: none. */
int os_step_get(struct os_ledger *ledger, int64_t job, const char *item, const char *name, char state[16],
                json_t **data, struct os_error *error);
#endif
