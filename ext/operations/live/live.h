/* live.h - copy an index while others write to it, until the copy is equal: nothing lost, nothing brought
** back.
**
**   1 passes   every document above each shard's cursor, up to the checkpoint read before; again, until little is left
**   2 block    writes to the source are refused (with an answer that says so), for at most max_block seconds
**   3 rest     one more pass
**   4 deletes  what the copy has and the source no longer has is deleted
**   5 verify   as many documents in both, and no operation on the source since the block
**
** A pass is first copy, resumption and catching up in one: the cursor of a shard is a _seq_no, which every
** write raises, so what changed since is what lies above it. Equal counts then prove equal documents: each
** document of the source was copied at its last _seq_no, and the copy has no more of them.
**
** The source stays blocked when it went well, for the caller moves its names next; os_live_release() ends
** that. Keeper's thread.
*/
#ifndef OS_OPERATIONS_LIVE_H
#define OS_OPERATIONS_LIVE_H
#include "cluster/cluster.h"
#include "operations/job.h"

struct os_live_request {
  const char *source,
      *target;      /* concrete; the target exists, has the source's mappings, and nobody else writes to it */
  double max_block; /* seconds that the source may refuse writes */
  uint64_t batch_bytes;
  int max_workers;
};

struct os_live_result {
  int64_t copied;    /* documents sent, those that changed meanwhile more than once */
  int64_t deleted;   /* taken out of the target again */
  int64_t documents; /* in both, at the end */
  int passes;
  double blocked; /* seconds */
};

/* The cursors are a step of the ledger ("live", of this job and item `source`), so a job that adopts the
** steps goes on where this one stopped. On an error the source takes writes again. Audit rows: step
** "live". */
int os_live_copy(struct os_job *job, struct os_cluster *cluster, const struct os_live_request *request,
                 struct os_live_result *result, struct os_error *error);
/* Lift the write block, if a step of this job set one on `source`; harmless otherwise. */
int os_live_release(struct os_job *job, struct os_cluster *cluster, const char *source,
                    struct os_error *error);
#endif
