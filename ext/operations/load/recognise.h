/* recognise.h - 409 on a create: is what stands there this very record?
**
** A proxy or a load balancer may deliver a request twice and give back the second answer. Then every
** record is refused as "exists already" although it was this load that created it. A computed id names
** content and place, so a document under it that equals ours is ours.
**
** An explicit id says less: of several records with it only the first is created. When one of them is
** sent again (an answer was lost, a load goes on), a 409 comes from itself or from that first one, and
** only the document tells which.
*/
#ifndef OS_OPERATIONS_LOAD_RECOGNISE_H
#define OS_OPERATIONS_LOAD_RECOGNISE_H
#include "operations/load/load.h"

/* Turn refusals of the batch whose document stands in the index, member for member, into "already there".
** What stands there is another's, or may not be asked for and was never sent before, stays a refusal.
** When the cluster does not answer nothing is known: an error, the batch as it was, and it must not count
** as acknowledged. Waits for the cluster: not inside a ledger transaction. */
int os_load_recognise(struct os_load *load, struct os_batch *batch, struct os_error *error);
#endif
