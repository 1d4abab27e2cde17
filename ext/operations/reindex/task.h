/* task.h - one _reindex on the cluster, from its start to its end, whatever happens in between: the step of
** os_reindex that copies, and all that a versioned re-indexing needs of it.
**
** The task's id is a step of the ledger ("task", of the job that calls and the `item` it names), so that a
** job that adopts the steps (os_ledger_steps_adopt) waits for the task that still runs instead of starting
** another. Keeper's thread.
*/
#ifndef OS_OPERATIONS_REINDEX_TASK_H
#define OS_OPERATIONS_REINDEX_TASK_H
#include "cluster/cluster.h"
#include "operations/job.h"

struct os_reindex_work {
  const char *source, *target; /* concrete */
  const char *target_uuid; /* what the target must still be whenever a task is started; NULL: not looked at */
  const json_t *query, *script; /* as _reindex takes them; NULL: none */
  const char *pipeline;         /* "_none": not even the target's own; NULL: as the target is set */
  bool changes_ids;  /* beside `script`: the target's own pipeline may give other ids, or drop documents */
  bool create_only;  /* op_type create: what is there is not overwritten */
  bool proceed;      /* conflicts proceed: what is there is counted and left */
  int slices;        /* 0: as the server thinks right, none for a small index; 1: none */
  int64_t documents; /* about how many there are to copy; -1: not known */
  double requests_per_second; /* 0: no limit */
  double poll_interval;       /* longest time between two looks; 0: 2 s */
  /* through this process alone */
  bool no_ids; /* the target gives ids of its own */
  uint64_t batch_bytes;
  int max_workers;
};

struct os_reindex_figures {
  int64_t total, created, updated, deleted, noops, version_conflicts;
  int64_t unknown; /* copied through this process: see os_copy_figures */
  bool
      continued; /* a task was lost and another has copied the rest: version_conflicts had been copied before */
};

struct os_reindex_outcome {
  struct os_reindex_figures figures;
  bool running; /* after an error: the task may still run, so nothing it writes to may be undone */
  bool
      lost; /* after an error: the task is gone, and its kind cannot be continued: begin with an empty target */
};

/* Start the task (or find the one that was started), watch it, judge its end by all its figures. While it
** runs: its figures are the job's, os_cancel, Ctrl-C and the command's time limit stop it. A task that the
** cluster has forgotten (its node was restarted) is continued by another that creates only what is missing,
** unless `script` or a pipeline may change ids. On every error the task has been cancelled and is gone, but
** for outcome->running. Audit rows: step "copy". */
int os_reindex_task(struct os_job *job, struct os_cluster *cluster, const struct os_reindex_work *work,
                    const char *item, struct os_reindex_outcome *outcome, struct os_error *error);

/* The same through this process (through.c), from one cluster to another or within one that has no
** _reindex. No script; slices and poll_interval mean nothing. Its step is "through", which holds how far
** it is. Several passes find what changes meanwhile, where the source tells (not Serverless). Nothing of
** it runs after it has returned. */
int os_reindex_through(struct os_job *job, struct os_cluster *from, struct os_cluster *to,
                       const struct os_reindex_work *work, const char *item,
                       struct os_reindex_outcome *outcome, struct os_error *error);

/* Cancel the task that the steps of this job speak of, if there is one, and wait until it is gone; harmless
** when it has ended. Also for a task whose id is not known. OS_OK: nothing of it runs any more. */
int os_reindex_task_stop(struct os_job *job, struct os_cluster *cluster, const char *target, const char *item,
                         struct os_error *error);

/* The target is empty: the next os_reindex_task() or os_reindex_through() of this job and item begins anew,
** whatever ran before. */
int os_reindex_task_reset(struct os_job *job, const char *item, struct os_error *error);

/* The task that writes to `target` right now, whoever started it; empty when there is none. */
int os_reindex_task_find(struct os_cluster *cluster, const char *target, char task[128],
                         struct os_error *error);

/* Is the target still the index of work->target_uuid? */
int os_reindex_check_target(struct os_cluster *cluster, const struct os_reindex_work *work,
                            struct os_error *error);
/* May what is missing be copied by op_type create? Only when a document has the same id on both sides.
** Pure. */
bool os_reindex_keeps_ids(const struct os_reindex_work *work);
/* The body of the request; new reference, NULL: no memory. again: only what is missing. Pure. */
json_t *os_reindex_body(const struct os_reindex_work *work, bool again);
/* "/_reindex?…"; os_free() it. Pure. */
char *os_reindex_path(const struct os_reindex_work *work);
#endif
