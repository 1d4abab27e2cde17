/* failures.h - os_retry_failures: send refused records again, repaired or not, never over something
** newer. Keeper's thread.
*/
#ifndef OS_OPERATIONS_RETRY_FAILURES_H
#define OS_OPERATIONS_RETRY_FAILURES_H
#include "cluster/cluster.h"
#include "operations/job.h"

struct os_retry_request {
  int64_t job;    /* of the load whose failures are meant; 0: every unresolved one */
  bool overwrite; /* send a record with an explicit id even where what is in the index may be newer */
  bool dry_run;
  uint64_t batch_size, batch_bytes;
  int max_workers;
  double timeout;
};

struct os_retry_result {
  int64_t tried, resolved, superseded, refused_again;
};

/* Reads the unresolved rows of dlq_failures in order, builds actions (from `document` when there is one,
** else by parsing `raw` in the file's dialect, both kept in the row's context), pushes them through the
** pipeline, and writes the outcome of each into its row. A record with a computed id goes as create: 409
** means superseded (something is there). One with an explicit id goes with if_seq_no/if_primary_term of
** what stood there when it was refused (or as create when nothing did): a conflict means superseded. */
int os_retry_failures_run(struct os_job *job, struct os_cluster *cluster,
                          const struct os_retry_request *request, struct os_retry_result *result,
                          struct os_error *error);
#endif
