/* settle.h - requests that are made to their end although the command was interrupted: those whose outcome
** must be known, and those that put back what was there.
**
** A cluster of this kind hears no more of the first Ctrl-C (or os_cancel, or the time limit): a further
** Ctrl-C, or `seconds`, ends its requests. Keeper's thread; the struct must stay where it is while the
** cluster is used.
*/
#ifndef OS_OPERATIONS_SETTLE_H
#define OS_OPERATIONS_SETTLE_H
#include "cluster/cluster.h"

struct os_settle {
  struct os_cluster cluster; /* a copy of the caller's but for its probe; nothing to release */
  struct os_probe before;    /* the caller's */
  double seconds, until;     /* until: monotonic; 0: not yet running out */
  unsigned sigints;          /* seen by the process when the time began to run */
};

/* Interruptions come through, but `seconds` late: for one request that is normally answered at once. */
void os_settle_late(struct os_settle *settle, const struct os_cluster *cluster, double seconds);
/* None comes through; everything together may take `seconds` from now. */
void os_settle_all(struct os_settle *settle, const struct os_cluster *cluster, double seconds);

/* Delete an index until it is gone: a second request settles what became of one whose answer was lost. */
int os_settle_remove(struct os_cluster *cluster, const char *name, struct os_error *error);
#endif
