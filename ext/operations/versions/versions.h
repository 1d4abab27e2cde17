/* versions.h - os_reindex_versions: each of many indices is copied into its next version, which takes
** its aliases over; then the old one is deleted.
**
** The job is of the kind "reindex_versions"; a later one with the same trigger goes on where this one
** stopped. Keeper's thread.
*/
#ifndef OS_OPERATIONS_VERSIONS_VERSIONS_H
#define OS_OPERATIONS_VERSIONS_VERSIONS_H
#include "cluster/cluster.h"
#include "operations/job.h"
#include "operations/versions/trigger.h"

struct os_versions_request {
  const struct os_trigger *trigger; /* its endpoint has been looked at: it is the cluster's */
  bool keep_old;                    /* do not delete the old indices */
  bool allow_writes;                /* go on although the old index was written to while it was copied */
  bool allow_unverified;            /* go on where a right is missing to see that, or to count */
  bool dry_run;
  bool live; /* copy while others write to the old indices, each then blocked for at most max_block seconds */
  double max_block;
  uint64_t batch_bytes; /* live, and in a collection of Serverless: of the bulk requests */
  int max_workers;
  int slices;                                /* of each copy; 0: auto */
  double requests_per_second, poll_interval; /* 0: no limit */
};

struct os_versions_result {
  json_t *indices; /* [{index, next, alias, state, documents, …}]; owned by the caller, also after an error */
  size_t done;     /* how many are finished, before or now */
  int64_t continued; /* the job that had begun; 0: none */
};

/* Everything is looked at before anything is touched. Then for each index, one after another: 1 the next
** version is created, its mapping's _meta naming this operation; 2 the alias is on both, writes go to
** the new one; 3 the documents are copied by a task (in a collection of Serverless through
** this process), what is there already is left alone; 4 counted; 5
** every alias leaves the old one for the new; 6 the old one is deleted. Each is a step of the ledger
** (item: the old index), begun before its request and done after it. */
int os_versions_run(struct os_job *job, struct os_cluster *cluster, const struct os_versions_request *request,
                    struct os_versions_result *result, struct os_error *error);
#endif
