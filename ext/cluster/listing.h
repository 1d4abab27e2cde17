/* listing.h - what a cluster has: indices, aliases, shards, nodes, tasks, fields, health; each as an array
** of flat objects with typed members (integers for bytes and counts, ISO-8601 UTC times, JSON where the
** thing is an object), as the tables of the SQL surface show them.
**
** `pattern` is what stands in the request for names: names and patterns with '*', separated by commas, not
** encoded; NULL: all. It is a wish: the answer may hold more, and a name that is not there is no error but
** no row. Nothing is hidden: closed and hidden indices are listed. `rows` is an array of the caller's that
** is appended to. Keeper's thread; errors as in cluster.h. */
#ifndef OS_CLUSTER_LISTING_H
#define OS_CLUSTER_LISTING_H
#include "cluster/cluster.h"

/* GET _cat/indices: index, health, status (open, close), documents, deleted, size, primaries, replicas,
** created, uuid, primary_size. Documents are Lucene's: those of the last refresh, nested ones included.
** What a closed index does not tell is absent. */
int os_cluster_list_indices(struct os_cluster *cluster, const char *pattern, json_t *rows,
                            struct os_error *error);
/* GET _alias: a row for each alias of each index. by_alias: the pattern is of aliases, else of indices.
** alias, index, filter (object), routing (when both are the same), is_write_index (1, 0), index_routing,
** search_routing, is_hidden; what the alias does not say is absent. */
int os_cluster_list_aliases(struct os_cluster *cluster, const char *pattern, bool by_alias, json_t *rows,
                            struct os_error *error);
/* GET _cat/shards: index, shard, kind (primary, replica), state, documents, size, node,
** unassigned_reason, unassigned_at, unassigned_details, address. The pattern is of indices. */
int os_cluster_list_shards(struct os_cluster *cluster, const char *pattern, json_t *rows,
                           struct os_error *error);
/* GET _nodes/stats and _cat/nodes: node (name), id, address, version, roles (array), is_manager,
** started_at, heap_used, heap_max, disk_total, disk_free, cpu (per cent), load, memory_total, memory_free.
** */
int os_cluster_list_nodes(struct os_cluster *cluster, const char *pattern, json_t *rows,
                          struct os_error *error);
/* GET _tasks: task (id), action, description, running (seconds), cancellable, cancelled, total, created,
** updated, deleted, noops, conflicts, batches, node (name), parent, started_at, status (object). The
** figures of a parent hold those of its slices. */
int os_cluster_list_tasks(struct os_cluster *cluster, json_t *rows, struct os_error *error);
/* The fields of a mapping (os_cluster_mapping), in its order: path (dotted), type, parameters (object),
** multi_field (1, 0). A field with members is followed by them, an object has the type "object". Pure. */
int os_cluster_list_fields(const json_t *mapping, json_t *rows, struct os_error *error);

/* GET _cluster/health: the whole answer (new reference). level: cluster, indices or shards. Waits for
** nothing. */
int os_cluster_health_of(struct os_cluster *cluster, const char *pattern, const char *level, json_t **answer,
                         struct os_error *error);
/* GET _cluster/allocation/explain of one copy of a shard. *answer NULL: it is assigned meanwhile. */
int os_cluster_allocation_explain(struct os_cluster *cluster, const char *index, int64_t shard, bool primary,
                                  json_t **answer, struct os_error *error);
#endif
