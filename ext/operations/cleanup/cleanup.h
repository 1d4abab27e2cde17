/* cleanup.h - empty an index and keep it as it was otherwise: os_cleanup, and the first step of a fresh
** load.
**
** Documents are deleted by query and expunged; from `recreate_threshold` documents on the index is made
** anew from its own settings and mappings instead. An index that an alias serves is never touched.
** Keeper's thread.
*/
#ifndef OS_OPERATIONS_CLEANUP_H
#define OS_OPERATIONS_CLEANUP_H
#include "cluster/cluster.h"
#include "operations/job.h"

struct os_cleanup_request {
  const char *index;          /* concrete */
  int64_t recreate_threshold; /* 0: never recreate */
  bool backup;                /* recreate: keep a clone until the new index stands */
  bool keep_backup; /* recreate: the clone outlives this: os_cleanup_undo() or _drop_backup() ends it */
  bool dry_run;
  bool allow_unverified; /* go on where a right to check is missing */
  bool no_expunge;       /* leave deleted documents to the server's own merging */
  bool
      tidy; /* deleted documents count, too: an index full of them is made anew, and an empty one is expunged */
  bool forget_versions; /* make it anew whatever the threshold, if a document was ever deleted from it */
};

struct os_cleanup_result {
  int64_t documents_before; /* -1: the user may not count (allow_unverified) */
  int64_t documents_after;  /* -1: not counted */
  int64_t deleted;
  bool recreated;
  char uuid[64];          /* of the index afterwards */
  int64_t deleted_before; /* deleted documents that Lucene still held; -1: not known */
  const char *way;        /* delete, recreate, expunge, nothing: what was chosen, also by a dry run */
  json_t *samples;        /* of a dry run: a few documents that would go, [{"_id","_source"}]; the caller's */
  char backup[300];       /* the clone that was kept; empty: there is none */
};

/* 1 exists, concrete, no alias, not red; 2 counted, settings, mappings, aliases and UUID read; a dry run
** ends here, with samples; 3 below the threshold: _delete_by_query as a task, polled and interruptible,
** then only_expunge_deletes where more than 10 % are deleted; else: write block, clone as backup, the new
** definition tried under a temporary name, delete, create, verified by UUID, and everything put back when a
** step fails; 4 compared, and counted: 0 documents. Every check and change is a row of os_audit. */
int os_cleanup_run(struct os_job *job, struct os_cluster *cluster, const struct os_cleanup_request *request,
                   struct os_cleanup_result *result, struct os_error *error);
/* Jobs that died, or lost the cluster, while they made `index` anew: what they left is deleted, the write
** block is lifted, and where the index itself is missing its documents are cloned back. Asks the cluster
** only when there is such a job. */
int os_cleanup_recover(struct os_job *job, struct os_cluster *cluster, const char *index,
                       struct os_error *error);

/* The backup that this job (or the one whose steps it adopted) kept for `index`. Undo: whatever was done to
** the index since is deleted, if it still is the index that was made then, and its documents are cloned
** back; lost answers are settled by looking. Harmless when there is no backup. */
int os_cleanup_undo(struct os_job *job, struct os_cluster *cluster, const char *index,
                    struct os_error *error);
int os_cleanup_drop_backup(struct os_job *job, struct os_cluster *cluster, const char *index,
                           struct os_error *error);
#endif
