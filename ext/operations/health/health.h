/* health.h - is the cluster well, are its indices, and if not: why, and what helps. Reads only.
**
** Keeper's thread. */
#ifndef OS_OPERATIONS_HEALTH_H
#define OS_OPERATIONS_HEALTH_H
#include "base/buffer.h"
#include "cluster/cluster.h"

/* One row for the cluster, then one for each index: scope (cluster, index), name, health, why and fix
** (absent when green), active, relocating, initializing, unassigned (shards), nodes, data_nodes,
** pending_tasks (of the cluster). pattern: of indices, as in cluster/listing.h; the cluster's own row is
** left out where it cannot match. reasons: ask for the cause; done only for indices with shards that are
** not assigned, and for the first of them at that: the others' rows say how to ask. */
int os_health_rows(struct os_cluster *cluster, const char *pattern, bool reasons, json_t *rows,
                   struct os_error *error);

/* The refusal of a red index (OS_ERR_GUARD), with the reason and what helps, as far as they can be read. what: "index",
** "the source" … */
int os_health_refuse_red(struct os_cluster *cluster, const char *what, const char *index,
                         struct os_error *error);

/* An answer of _cluster/allocation/explain in words: why the copy is not assigned, and what helps. Pure;
** the buffers may fail. */
void os_health_words(const json_t *explanation, struct os_buf *why, struct os_buf *fix);
#endif
