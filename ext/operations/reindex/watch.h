/* watch.h - a running _reindex: how far it is, how it ended; private to this folder. */
#ifndef OS_OPERATIONS_REINDEX_WATCH_H
#define OS_OPERATIONS_REINDEX_WATCH_H
#include "operations/progress.h"
#include "operations/reindex/task.h"

struct os_reindex_watch {
  struct os_job *job;
  struct os_cluster *cluster;
  const struct os_reindex_work *work;
  struct os_reindex_figures *figures; /* as last seen */
  struct os_progress_meter meter;
  double heard;    /* monotonic: when the cluster last told about the task */
  double recorded; /* when the job's row was last written */
};

enum os_reindex_end {
  OS_REINDEX_ENDED,    /* it ended, well or not: rc tells */
  OS_REINDEX_STOPPING, /* it runs, and is to be cancelled: Ctrl-C, os_cancel, time limit, the ledger failed */
  OS_REINDEX_VANISHED, /* the cluster no longer knows it */
  OS_REINDEX_UNHEARD   /* it may run, but the cluster does not tell */
};

/* Until one of these. OS_OK only for a task that did all of its work; the first refusals are rows of
** os_audit. */
int os_reindex_watch(struct os_reindex_watch *watch, const char *task, enum os_reindex_end *end,
                     struct os_error *error);
/* What `status` of a task says. Pure. */
void os_reindex_read_figures(const json_t *status, struct os_reindex_figures *figures);
/* Wait `seconds`, with the job's heartbeat; OS_ERR_INTERRUPTED or OS_ERR_CANCELLED when that is asked
** for. */
int os_reindex_wait(struct os_job *job, struct os_cluster *cluster, double seconds, struct os_error *error);
#endif
