/* reindex_int.h - private to this folder: who offers what, in the order of the course of a copy. */
#ifndef OS_OPERATIONS_REINDEX_REINDEX_INT_H
#define OS_OPERATIONS_REINDEX_REINDEX_INT_H
#include "operations/reindex/reindex.h"

struct os_reindex {
  struct os_job *job;
  struct os_cluster *cluster, *from; /* of the target, of the source */
  bool through;                      /* copied through this process */
  const struct os_reindex_request *request;
  struct os_reindex_result *result;
  struct os_reindex_work work;
  json_t *source_index, *target_index; /* GET /name; NULL: may not be read, or is not there */
  bool target_exists;
  char source_uuid[64], target_uuid[64]; /* empty: not known */
  char own_pipeline[256];                /* work.pipeline, where we chose it */
  int64_t source_operations;             /* when it began; -1: not known */
};

/* ---- guards.c: read only. Each row of os_audit is of the step "guards". ---- */
int os_reindex_guards(struct os_reindex *r, struct os_error *error);
/* Those that must hold again when a job goes on, or before it is undone: no alias serves the target. *uuid:
** of the index that stands there, empty when there is none. */
int os_reindex_guard_target(struct os_reindex *r, char uuid[64], struct os_error *error);
/* A check that rights forbid: the row "unknown"; OS_OK when that is allowed. Any other error is the row
** "fail". */
int os_reindex_unverified(struct os_reindex *r, const char *check, struct os_error *error);
/* Fills work.no_ids. */
int os_reindex_guard_ids(struct os_reindex *r, struct os_error *error);
/* Fills source_index and, if the target exists, target_index. */
int os_reindex_read_definitions(struct os_reindex *r, struct os_error *error);
/* Which pipeline runs, and may it change ids? From both definitions. */
int os_reindex_choose_pipeline(struct os_reindex *r, struct os_error *error);

/* ---- disk_guard.c ---- */
int os_reindex_guard_disk(struct os_reindex *r, struct os_error *error);

/* ---- target.c: the target made ready, and undone ---- */
int os_reindex_prepare_target(struct os_reindex *r, struct os_error *error);
/* Goes on from wherever an earlier job was broken off, to the same end. */
int os_reindex_continue_target(struct os_reindex *r, struct os_error *error);
/* Empty it of a copy that cannot be continued. */
int os_reindex_empty_again(struct os_reindex *r, struct os_error *error);
/* The body that the target is made from; new reference. */
int os_reindex_definition(struct os_reindex *r, json_t **definition, struct os_error *error);

/* ---- undo.c ---- */
/* Everything that the steps of this job speak of. `why` gets what became of it as advice; *why stays what
** it is. OS_OK also when documents are lost for good (no backup); an error means that it is to be tried
** again. */
int os_reindex_undo(struct os_reindex *r, struct os_error *why, struct os_error *error);

/* ---- verify.c ---- */
int os_reindex_verify(struct os_reindex *r, struct os_error *error);

/* ---- reindex.c: steps of the ledger; item: the target ---- */
int os_reindex_step_put(struct os_reindex *r, const char *name, const char *state, json_t *data_take,
                        struct os_error *error);
int os_reindex_step_mark(struct os_reindex *r, const char *name, const char *state, struct os_error *error);
/* *data: new reference, or NULL when there is none. */
int os_reindex_step_get(struct os_reindex *r, const char *name, char state[16], json_t **data,
                        struct os_error *error);
#endif
