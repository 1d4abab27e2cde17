/* cleanup_int.h - the two ways to empty an index, and the backup of one; private to this folder. The guards have
** passed. */
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

/* backup.c */
struct os_cleanup_backup {
  char name[300];
  char uuid[64];     /* of the index it was cloned from */
  char made[64];     /* of the index made in its place; empty: not yet, or not known */
  int64_t documents; /* that it holds; -1: not known */
  bool stands;       /* it was begun, and neither dropped nor brought back */
};
/* Until it is gone: a second request settles what became of one whose answer was lost. */
int os_cleanup_remove(struct os_cluster *cluster, const char *name, struct os_error *error);
int os_cleanup_block(struct os_cluster *cluster, const char *index, bool on, struct os_error *error);
/* `from` is blocked; the clone is not. Lost answers are errors: look whether `to` exists. */
int os_cleanup_clone(struct os_cluster *cluster, const char *from, const char *to, struct os_error *error);
int os_cleanup_backup_put(struct os_job *job, const char *index, const char *state,
                          const struct os_cleanup_backup *backup, struct os_error *error);
/* What job `number` wrote down. */
int os_cleanup_backup_get(struct os_job *job, int64_t number, const char *index,
                          struct os_cleanup_backup *backup, struct os_error *error);
#endif
