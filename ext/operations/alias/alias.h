/* alias.h - move an alias from one index to another, guarded, and back: os_switch_alias, os_undo_alias,
** and the same step of a longer operation.
**
** A job moves one alias: who moves several makes a child job for each (child_job.h). The job's step
** "switch" (ledger) holds what undoing has to know. Keeper's thread.
*/
#ifndef OS_OPERATIONS_ALIAS_ALIAS_H
#define OS_OPERATIONS_ALIAS_ALIAS_H
#include "cluster/cluster.h"
#include "operations/job.h"

struct os_alias_switch_request {
  const char *alias, *source, *target;
  double threshold;  /* per cent of the source's documents by which the target may differ */
  double max_shrink; /* per cent; < 0: threshold */
  double max_growth; /* per cent; < 0: threshold */
  bool allow_empty;  /* a target without documents */
  bool allow_unverified;
  bool dry_run;
  bool done_is_success; /* the alias is on the target already: say so in the result instead of refusing */
};

struct os_alias_switch_result {
  bool already;    /* it was there before: done_is_success, or an earlier job that never saw its answer */
  int64_t earlier; /* that job; 0: none */
  int64_t source_documents; /* -1: not known */
  int64_t target_documents;
  char health[16];  /* of the target; empty: not known */
  char fields[512]; /* what the target's mapping lacks or has otherwise, in words; empty: nothing */
};

/* 1 names; 2 the alias is on exactly `source`; 3 both are concrete, open, no data streams; target: no
** block, refresh not switched off, health not red; 4 both refreshed and counted; not empty, within the
** limits; 5 fields compared; 6 one _aliases request (with must_exist, or right after reading again),
** judged by reading back. */
int os_alias_switch_run(struct os_job *job, struct os_cluster *cluster,
                        const struct os_alias_switch_request *request, struct os_alias_switch_result *result,
                        struct os_error *error);

struct os_alias_undo_request {
  int64_t moved_by; /* the job whose move is taken back */
  bool dry_run;
  bool allow_unverified; /* the health of the index that it goes back to cannot be read */
};
struct os_alias_undo_result {
  bool already;                        /* the alias is where it was before that job */
  char alias[256], from[256], to[256]; /* from: where that job had put it */
};
/* The connection that a job moved an alias on, for who has to reach the same cluster: os_free() it.
** Tells also that there is nothing to undo: no such job, it moved no alias, or it still runs. */
int os_alias_moved_on(struct os_ledger *ledger, int64_t moved_by, char **connection, struct os_error *error);
/* Puts the alias back, if it is exactly as that job left it and both indices still are the same (UUID).
** Undone already: OS_OK and `already`. An undoing can be undone in the same way. */
int os_alias_undo_run(struct os_job *job, struct os_cluster *cluster,
                      const struct os_alias_undo_request *request, struct os_alias_undo_result *result,
                      struct os_error *error);
#endif
