/* tune.h - settings of an index that only help while it is loaded: refresh off, no replicas. Saved in the
** ledger before they are changed, shared by concurrent jobs, restored by the last one and only where they
** are still ours; after a crash the next command on the ledger restores them. Keeper's thread.
*/
#ifndef OS_OPERATIONS_TUNE_H
#define OS_OPERATIONS_TUNE_H
#include "cluster/cluster.h"
#include "operations/job.h"

/* index: concrete, with its UUID. Saves the originals durably, then changes them. */
int os_tune_begin(struct os_job *job, struct os_cluster *cluster, const char *index, const char *uuid,
                  struct os_error *error);
/* Drop this job's hold; the last holder restores (a setting that was absent becomes null; one that
** somebody else changed meanwhile is left as it is and said so in the audit). */
int os_tune_end(struct os_job *job, struct os_cluster *cluster, const char *index, const char *uuid,
                struct os_error *error);
/* Restore what jobs that died have left changed on this cluster. Called at the start of every job command. */
int os_tune_restore_orphans(struct os_job *job, struct os_cluster *cluster, struct os_error *error);
#endif
