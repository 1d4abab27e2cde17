/* merge.h - merge the segments of an index: os_force_merge. No document is changed, and nothing can be
** undone.
**
** Keeper's thread. */
#ifndef OS_OPERATIONS_MERGE_H
#define OS_OPERATIONS_MERGE_H
#include "cluster/merge.h"
#include "operations/job.h"

struct os_merge_request {
  const char *index; /* concrete */
  int max_segments;  /* 0: as the server's own policy has it */
  bool only_expunge;
  bool allow_writes; /* go on although somebody writes, or that cannot be seen */
  bool dry_run;
  double
      timeout; /* seconds to wait for the end; 0: until it comes, where the server runs it as a task, else as long as
                     a request may take */
};

struct os_merge_result {
  struct os_index_stats before, after; /* after: only when it has ended */
  bool finished;                       /* false: it goes on in the cluster */
  char task[128];                      /* where the server has one */
};

/* 1 one concrete index, not red; 2 nobody writes to it; 3 each node has room for the largest shard it
** holds; 4 the merge, its outcome settled by looking when the answer is lost; 5 measured again. Needs
** cluster->caps. */
int os_merge_run(struct os_job *job, struct os_cluster *cluster, const struct os_merge_request *request,
                 struct os_merge_result *result, struct os_error *error);
#endif
