/* merge.h - merging the segments of an index: starting a merge, waiting for it, looking for one that runs.
**
** Keeper's thread; errors as in cluster.h. */
#ifndef OS_CLUSTER_MERGE_H
#define OS_CLUSTER_MERGE_H
#include "cluster/cluster.h"

struct os_merge_call {
  const char *name;
  int max_segments; /* 0: as the server's own policy has it */
  bool
      only_expunge; /* only segments with more deleted documents than the policy allows; not with max_segments */
  double timeout; /* of a request that waits for the end; 0: the endpoint's */
};
/* Can this server run a merge as a task (OpenSearch from 2.7 on)? Pure. */
bool os_cluster_merge_has_task(const struct os_capabilities *caps);
/* POST _forcemerge?wait_for_completion=false: the task's id. */
int os_cluster_merge_start(struct os_cluster *cluster, const struct os_merge_call *call, char task[128],
                           struct os_error *error);
/* POST _forcemerge, waiting for its end. OS_ERR_TIMEOUT (504, too): it goes on in the cluster. */
int os_cluster_merge_wait(struct os_cluster *cluster, const struct os_merge_call *call,
                          struct os_error *error);
/* A merge of this index that runs; task is empty when there is none. */
int os_cluster_merge_find(struct os_cluster *cluster, const char *name, char task[128],
                          struct os_error *error);
#endif
