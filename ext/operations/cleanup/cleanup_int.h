/* cleanup_int.h - the two ways to empty an index, and the backup of one; private to this folder. The guards
** have passed. */
#ifndef OS_OPERATIONS_CLEANUP_INT_H
#define OS_OPERATIONS_CLEANUP_INT_H
#include "operations/cleanup/cleanup.h"

/* Deleted documents, as a share of all that Lucene holds. */
#define OS_CLEANUP_EXPUNGE_FROM 0.1  /* the merge policy touches no segment below (expunge_deletes_allowed) */
#define OS_CLEANUP_RECREATE_FROM 0.4 /* more is worth an index made anew */
static inline double os_cleanup_share(int64_t documents, int64_t deleted) {
  return documents + deleted > 0 ? (double)deleted / (double)(documents + deleted) : 0;
}

/* structure.c: settings, mappings and aliases, as one object (new reference; NULL when the user may not
** read them, which is said in the audit). _same: what stands there now is equal, else OS_ERR_CONFLICT. */
int os_cleanup_structure(struct os_job *job, struct os_cluster *cluster, const char *index, json_t **out,
                         struct os_error *error);
int os_cleanup_structure_same(struct os_job *job, struct os_cluster *cluster, const char *index,
                              const json_t *before, struct os_error *error);
/* Nothing is left: OS_ERR_CONFLICT when somebody writes. Fills documents_after. */
int os_cleanup_check_empty(struct os_job *job, struct os_cluster *cluster,
                           const struct os_cleanup_request *request, struct os_cleanup_result *result,
                           struct os_error *error);

/* What the rules say about deleted documents: nothing below 10 %, else only_expunge_deletes. */
int os_cleanup_expunge(struct os_job *job, struct os_cluster *cluster, const char *index,
                       struct os_error *error);
/* _delete_by_query over everything as a task, polled; then deleted documents are expunged. An
** interruption cancels the task: what is deleted is deleted. */
int os_cleanup_delete(struct os_job *job, struct os_cluster *cluster,
                      const struct os_cleanup_request *request, struct os_cleanup_result *result,
                      struct os_error *error);
/* Write block, clone as backup, delete and create from the index's own definition (tried under a
** temporary name first), compared with `structure` and counted before the backup goes; every failure puts
** back what was there, but for somebody's documents in the new index. */
int os_cleanup_recreate(struct os_job *job, struct os_cluster *cluster,
                        const struct os_cleanup_request *cleanup, const json_t *structure,
                        struct os_cleanup_result *result, struct os_error *error);

/* backup.c */
struct os_cleanup_backup {
  char name[300];
  char uuid[64];     /* of the index it was cloned from */
  char made[64];     /* of the index made in its place; empty: not yet, or not known */
  int64_t documents; /* that it holds; -1: not known */
  bool stands;       /* it was begun, and neither dropped nor brought back */
};
/* `from` is blocked; the clone is not. Lost answers are errors: look whether `to` exists. */
int os_cleanup_clone(struct os_cluster *cluster, const char *from, const char *to, struct os_error *error);
int os_cleanup_backup_put(struct os_job *job, const char *index, const char *state,
                          const struct os_cleanup_backup *backup, struct os_error *error);
/* What job `number` wrote down. */
int os_cleanup_backup_get(struct os_job *job, int64_t number, const char *index,
                          struct os_cleanup_backup *backup, struct os_error *error);
#endif
