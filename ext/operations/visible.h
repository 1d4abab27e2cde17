/* visible.h - what was written into a collection, or deleted from it, is seen by a search only after a while, and a
** collection cannot be refreshed: who counts, copies or deletes too early passes over what came last. So every job
** notes in the ledger where it writes, until it has seen it. Elsewhere than in a collection these do nothing. Keeper's
** thread.
*/
#ifndef OS_OPERATIONS_VISIBLE_H
#define OS_OPERATIONS_VISIBLE_H
#include "operations/job.h"

/* Before this job's first request that changes the index (concrete). */
int os_job_unseen_begin(struct os_job *job, struct os_cluster *cluster, const char *index,
                        struct os_error *error);
/* All it changed has been seen. */
int os_job_unseen_end(struct os_job *job, struct os_cluster *cluster, const char *index,
                      struct os_error *error);
/* Wait until what this job and earlier ones of this ledger changed can be seen, as far as none of them has: they
** failed, were stopped or killed, or did not count. A row of os_audit when it waits; OS_ERR_INTERRUPTED. */
int os_job_await_visible(struct os_job *job, struct os_cluster *cluster, const char *step, const char *index,
                         struct os_error *error);
#endif
