/* reindex.h - copy an index into another one: os_reindex, and the first step of a refresh. On one cluster
** by its own _reindex; where it has none (Serverless), and from another cluster, through this process.
**
** The job must be of the kind "reindex": by this and a step of the ledger a later job finds what was
** broken off and goes on with it. Keeper's thread.
*/
#ifndef OS_OPERATIONS_REINDEX_REINDEX_H
#define OS_OPERATIONS_REINDEX_REINDEX_H
#include "cluster/cluster.h"
#include "operations/job.h"
#include "operations/reindex/task.h"

enum os_reindex_mode {
  OS_REINDEX_AUTO,   /* go on with what was broken off, if it was the same; else undo that and begin */
  OS_REINDEX_RESUME, /* only go on */
  OS_REINDEX_FRESH,  /* undo what was broken off, and begin */
  OS_REINDEX_UNDO    /* only undo */
};
enum os_reindex_backup { OS_REINDEX_BACKUP_AUTO, OS_REINDEX_BACKUP_YES, OS_REINDEX_BACKUP_NO };

struct os_reindex_request {
  const char *source, *target;
  struct os_cluster *from; /* where the source is; NULL: where the target is */
  const json_t
      *create; /* true, or {"settings","mappings"}: make the target when there is none; NULL: do not */
  const json_t *query, *script; /* NULL: none */
  const char *pipeline; /* NULL: as struct os_reindex_work; a pipeline that both indices have is run once */
  bool create_only, proceed;                 /* op_type create; conflicts proceed */
  int slices;                                /* 0: auto; 1: none */
  double requests_per_second, poll_interval; /* 0: none, 2 s */
  uint64_t batch_bytes;                      /* through this process */
  int max_workers;
  int64_t recreate_threshold;    /* as struct os_cleanup_request */
  enum os_reindex_backup backup; /* AUTO: from the threshold on */
  enum os_reindex_mode mode;
  bool allow_empty;      /* a source without documents */
  bool allow_unverified; /* guards that the user's rights forbid */
  bool dry_run;
};

struct os_reindex_result {
  struct os_reindex_figures figures;
  bool made;                /* the target was created */
  bool through;             /* this process, and not the cluster, did the copying */
  bool resumed;             /* an earlier job had begun */
  bool complete;            /* OS_REINDEX_UNDO: there was nothing to undo, only the backup to be removed */
  int64_t source_documents; /* that the query matched before; -1: not known */
  int64_t source_writes;    /* operations the source took meanwhile; -1: not known */
  int64_t target_before;    /* documents that were deleted from the target; -1: not known */
  int64_t target_documents;
};

/* 1 what an earlier job left; 2 guards: names, concrete, no alias serves the target, health, blocks, source
** not empty, room on the disks, nobody else copies there; 3 the target is created, or emptied (with a
** backup); 4 the task; 5 counts; 6 the backup is dropped. On a failure everything is undone, or the error
** says what is not; 3 and 4 are durable steps, so that after a kill -9 the same call goes on. */
int os_reindex_run(struct os_job *job, struct os_cluster *cluster, const struct os_reindex_request *request,
                   struct os_reindex_result *result, struct os_error *error);
#endif
