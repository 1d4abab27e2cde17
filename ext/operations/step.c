/* step.c - see step.h. */
#include "operations/step.h"
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"

int os_step_put(struct os_job *job, const char *item, const char *name, const char *state, json_t *data_take,
                struct os_error *error) {
  char *text = data_take ? os_json_text(data_take) : NULL;
  int rc = text ? os_ledger_step_put(job->ledger, job->number, item, name, state, text, error)
                : os_fail_nomem(error);
  os_free(text);
  json_decref(data_take);
  return rc;
}

int os_step_mark(struct os_job *job, const char *item, const char *name, const char *state,
                 struct os_error *error) {
  return os_ledger_step_put(job->ledger, job->number, item, name, state, NULL, error);
}

int os_step_get(struct os_ledger *ledger, int64_t job, const char *item, const char *name, char state[16],
                json_t **data, struct os_error *error) {
  char *text = NULL;
  if (data) *data = NULL;
  int rc = os_ledger_step_get(ledger, job, item, name, state, data ? &text : NULL, error);
  if (!rc && text && !(*data = os_json_parse(text, strlen(text), 0, "a step of the ledger", error)))
    rc = error ? (int)error->code : OS_ERR_LEDGER;
  os_free(text);
  return rc;
}
