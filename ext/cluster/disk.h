/* disk.h - how much room the data nodes have, and how much of it the cluster keeps for itself.
*/
#ifndef OS_CLUSTER_DISK_H
#define OS_CLUSTER_DISK_H
#include "cluster/cluster.h"

struct os_disk {
  int nodes;           /* that hold data and told about their disk */
  int64_t free, total; /* bytes, all nodes together */
  bool watermarks;     /* the cluster looks at them at all */
  char low[32];        /* no new shard is put on a node that has less left (or is fuller); as it is set */
  char high[32];       /* shards are moved away */
};

/* GET _cat/allocation and _cluster/settings. */
int os_cluster_disk(struct os_cluster *cluster, struct os_disk *disk, struct os_error *error);

/* The bytes of `total` that a watermark keeps free: "85%" and "0.85" are of the whole, "500mb" is what is
** to be left (on each of `nodes`). False: not understood. Pure. */
bool os_disk_reserve(const char *watermark, int64_t total, int nodes, int64_t *reserve);
#endif
