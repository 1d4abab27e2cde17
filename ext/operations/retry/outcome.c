/* outcome.c - see outcome.h. */
#include "operations/retry/outcome.h"
#include <string.h>
#include "base/alloc.h"

/* ---- states of rows */

int os_retry_outcomes_open(struct os_retry_outcomes *outcomes, int64_t id, struct os_error *error) {
  size_t at = outcomes->first_free;
  while (at < outcomes->count && outcomes->states[at].id)
    at++;
  if (at == outcomes->cap) {
    size_t cap = outcomes->cap ? outcomes->cap * 2 : 64;
    struct os_row_state *states = os_realloc(outcomes->states, cap * sizeof *states);
    if (!states) return os_fail_nomem(error);
    outcomes->states = states;
    outcomes->cap = cap;
  }
  if (at == outcomes->count) outcomes->count++;
  outcomes->states[at] = (struct os_row_state){.id = id};
  outcomes->current = at;
  outcomes->first_free = at + 1;
  return OS_OK;
}

static void close_state(struct os_row_state *state) {
  os_free(state->type);
  os_free(state->reason);
  memset(state, 0, sizeof *state);
}

bool os_row_note_refusal(struct os_row_state *state, int status, const char *type, const char *reason) {
  if (state->refused) return true;
  state->refused = true;
  state->status = status;
  state->type = os_strdup(type);
  state->reason = os_strdup(reason);
  return state->type && state->reason;
}

/* The row's outcome into the ledger, inside the caller's transaction. A row deleted meanwhile is nobody's
** concern. */
static int settle(struct os_retry_outcomes *outcomes, struct os_row_state *state, struct os_error *error) {
  struct os_ledger *ledger = outcomes->job->ledger;
  struct os_retry_result *result = outcomes->result;
  int rc;
  if (state->refused) {
    rc = os_ledger_failure_again(ledger, state->id, state->status, state->type, state->reason, error);
    result->refused_again++;
  } else {
    rc = os_ledger_failure_resolve(ledger, state->id, outcomes->job->number, !state->in, error);
    if (state->in)
      result->resolved++;
    else
      result->superseded++;
  }
  if (rc == OS_ERR_NOT_FOUND) {
    os_error_clear(error);
    rc = OS_OK;
  }
  close_state(state);
  return rc;
}

/* ---- batches that come back */

/* Something newer is there: another version than the one that stood, or no document any more. */
static bool is_superseded(const struct os_retry_outcomes *outcomes, const struct os_refusal *refusal) {
  if (refusal->status == 409) return !strcmp(refusal->type, "version_conflict_engine_exception");
  return refusal->status == 404 && !outcomes->overwrite &&
         !strcmp(refusal->type, "document_missing_exception");
}

static int take_refusals(struct os_retry_outcomes *outcomes, const struct os_batch *batch,
                         struct os_error *error) {
  struct os_job_figures *figures = &outcomes->job->figures;
  for (size_t i = 0; i < batch->refusal_count; i++) {
    const struct os_refusal *refusal = &batch->refusals[i];
    struct os_row_state *state = &outcomes->states[refusal->offset];
    if (is_superseded(outcomes, refusal)) {
      state->superseded = true;
      figures->documents_already++;
      continue;
    }
    figures->documents_failed++;
    if (!os_row_note_refusal(state, refusal->status, refusal->type, refusal->reason))
      return os_fail_nomem(error);
  }
  return OS_OK;
}

static void take_outcome(struct os_retry_outcomes *outcomes, const struct os_settled *settled) {
  struct os_job_figures *figures = &outcomes->job->figures;
  struct os_row_state *state = &outcomes->states[settled->tag];
  state->pending--;
  outcomes->under_way--;
  switch (settled->outcome) {
  case OS_CREATED: figures->documents_created++; break;
  case OS_UPDATED: figures->documents_updated++; break;
  case OS_NOOP: figures->documents_noop++; break;
  case OS_ALREADY:
  case OS_SKIPPED: figures->documents_already++; break;
  default: return; /* refused: see take_refusals() */
  }
  if (settled->outcome == OS_ALREADY || settled->outcome == OS_SKIPPED)
    state->superseded = true;
  else
    state->in = true;
}

int os_retry_outcomes_write(struct os_retry_outcomes *outcomes, struct os_error *error) {
  int rc = OS_OK;
  for (size_t i = 0; i < outcomes->count && !rc; i++) {
    struct os_row_state *state = &outcomes->states[i];
    if (!state->id || !state->built || state->pending) continue;
    rc = settle(outcomes, state, error);
    if (i < outcomes->first_free) outcomes->first_free = i;
  }
  while (outcomes->count && !outcomes->states[outcomes->count - 1].id)
    outcomes->count--;
  if (outcomes->first_free > outcomes->count) outcomes->first_free = outcomes->count;
  return rc;
}

int os_retry_outcomes_take(struct os_retry_outcomes *outcomes, const struct os_batch *batch,
                           struct os_error *error) {
  int rc = take_refusals(outcomes, batch, error);
  for (size_t i = 0; i < batch->settled_count; i++)
    take_outcome(outcomes, &batch->settled[i]);
  return rc;
}

void os_retry_outcomes_clear(struct os_retry_outcomes *outcomes) {
  for (size_t i = 0; i < outcomes->count; i++)
    close_state(&outcomes->states[i]);
  outcomes->count = outcomes->first_free = outcomes->under_way = 0;
}

void os_retry_outcomes_free(struct os_retry_outcomes *outcomes) {
  os_retry_outcomes_clear(outcomes);
  os_free(outcomes->states);
  outcomes->states = NULL;
  outcomes->cap = 0;
}
