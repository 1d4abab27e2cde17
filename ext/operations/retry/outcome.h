/* outcome.h - what becomes of the rows that are sent again: a row may hold several records, which
** come back in different batches; it is settled when the last of them is. Keeper's thread. */
#ifndef OS_OPERATIONS_RETRY_OUTCOME_H
#define OS_OPERATIONS_RETRY_OUTCOME_H
#include "operations/job.h"
#include "operations/retry/failures.h"
#include "pipeline/batch.h"

struct os_row_state { /* a row of which records are on their way; its place in `rows` is their tag */
  int64_t id;         /* 0: the place is free */
  uint32_t pending;
  bool built; /* no further record will be added */
  bool in, superseded, refused;
  int status;
  char *type, *reason; /* of the first record that was refused; owned */
};

struct os_retry_outcomes {
  struct os_job *job;             /* its figures are kept up to date */
  struct os_retry_result *result; /* likewise */
  bool overwrite;
  struct os_row_state *states; /* owned */
  size_t count, cap;
  size_t first_free; /* no free place before this one */
  size_t current;    /* place of the row being built */
  size_t under_way;  /* records pushed whose outcome is not known */
};

/* A place for the row; it becomes the current one. Pointers into states do not survive this. */
int os_retry_outcomes_open(struct os_retry_outcomes *outcomes, int64_t id, struct os_error *error);
/* The row is refused again; the first reason is kept. status 0: before it was sent. False: no memory. */
bool os_row_note_refusal(struct os_row_state *state, int status, const char *type, const char *reason);
/* Note what became of each record of a batch: refused, in, or superseded, which is a conflict with what
** stands in the index, or a document that is gone. */
int os_retry_outcomes_take(struct os_retry_outcomes *outcomes, const struct os_batch *batch,
                           struct os_error *error);
/* Write every row that is complete into the ledger, inside the caller's transaction, and free its place. */
int os_retry_outcomes_write(struct os_retry_outcomes *outcomes, struct os_error *error);
/* Forget all rows; those not written stay as they are in the ledger. */
void os_retry_outcomes_clear(struct os_retry_outcomes *outcomes);
void os_retry_outcomes_free(struct os_retry_outcomes *outcomes);
#endif
