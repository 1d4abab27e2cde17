/* visible.h - what was written into a collection is found by a search only after a while, and a collection cannot be
** refreshed: who counts or deletes too early passes over what was written last. Keeper's thread.
*/
#ifndef OS_OPERATIONS_VISIBLE_H
#define OS_OPERATIONS_VISIBLE_H
#include "operations/job.h"

/* Wait until what earlier loads of this ledger wrote into the index can be found, as far as they ended without having
** counted it: failed, stopped, killed, or told not to. Elsewhere than in a collection this does nothing. uuid may be
** "". A row of os_audit when it waits; OS_ERR_INTERRUPTED. */
int os_job_await_visible(struct os_job *job, struct os_cluster *cluster, const char *step, const char *index,
                         const char *uuid, struct os_error *error);
#endif
