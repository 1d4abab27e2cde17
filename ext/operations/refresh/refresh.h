/* refresh.h - os_refresh_data: new data under an alias without a moment in which it answers with nothing,
** or with half of it.
**
**   1 reindex       primary -> secondary          the alias still serves the primary
**   2 to_secondary  the alias moves to the copy
**   3 load          the primary is emptied and loaded
**   4 to_primary    the alias moves back
**
** Between the steps `delay` seconds; each is a job of its own inside the caller's (child_job.h). Where one
** fails, the alias stays on whichever index is whole, and a later call with `resume` goes on at that step.
** Keeper's thread.
*/
#ifndef OS_OPERATIONS_REFRESH_H
#define OS_OPERATIONS_REFRESH_H
#include "cluster/cluster.h"
#include "operations/alias/alias.h"
#include "operations/job.h"
#include "operations/load/load.h"
#include "operations/reindex/reindex.h"

struct os_refresh_request { /* texts are borrowed for the whole call */
  const char *alias, *primary, *secondary, *path;
  struct os_load_request load;             /* of step 3: path, index and options; the mode is chosen here */
  bool load_resumes;                       /* resume: go on inside a load that stopped, instead of anew */
  const json_t *load_given;                /* options of step 3 as the user wrote them; may be NULL */
  struct os_reindex_request reindex;       /* of step 1; source and target are filled in here */
  struct os_alias_switch_request switches; /* the limits of steps 2 and 4; names are filled in here */
  double delay;                            /* seconds between steps */
  bool allow_writes;                       /* go on although others write to the indices meanwhile */
  bool allow_unverified, dry_run;
  bool resume;            /* go on where the last one stopped; an error when none did */
  bool resume_if_stopped; /* the same, or begin */
};

struct os_refresh_result {
  json_t *steps; /* array of {step, status, job, seconds, documents}; owned by the caller */
  bool partial;  /* of step 3: records were refused, within max_failed */
  double seconds;
};

int os_refresh_run(struct os_job *job, struct os_cluster *cluster, struct os_refresh_request *request,
                   struct os_refresh_result *result, struct os_error *error);
#endif
