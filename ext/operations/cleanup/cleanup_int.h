/* cleanup_int.h - the two ways to empty an index; private to this folder. The guards have passed. */
#ifndef OS_OPERATIONS_CLEANUP_INT_H
#define OS_OPERATIONS_CLEANUP_INT_H
#include "operations/cleanup/cleanup.h"

/* _delete_by_query over everything as a task, polled; then deleted documents are expunged. An
** interruption cancels the task: what is deleted is deleted. */
int os_cleanup_delete(struct os_job *job, struct os_cluster *cluster,
                      const struct os_cleanup_request *request, struct os_cleanup_result *result,
                      struct os_error *error);
/* Write block, clone as backup, delete and create from the index's own definition (tried under a
** temporary name first); every failure puts back what was there. */
int os_cleanup_recreate(struct os_job *job, struct os_cluster *cluster,
                        const struct os_cleanup_request *cleanup, struct os_cleanup_result *result,
                        struct os_error *error);
#endif
