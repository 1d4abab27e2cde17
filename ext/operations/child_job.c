/* child_job.c - see child_job.h. */
#include "operations/child_job.h"
#include "base/alloc.h"
#include "base/json.h"

int os_child_job_begin(struct os_job *child, const struct os_job *parent, const char *kind,
                       const char *index_name, json_t *arguments_take, struct os_error *error) {
  *child = (struct os_job){.session = parent->session,
                           .ledger = parent->ledger,
                           .progress = parent->progress,
                           .max_docs_rate = parent->max_docs_rate,
                           .max_bytes_rate = parent->max_bytes_rate,
                           .correlation_id = parent->correlation_id};
  char *arguments = arguments_take ? os_json_text(arguments_take) : NULL;
  json_decref(arguments_take);
  if (!arguments) return os_fail_nomem(error);
  struct os_job_begin begin = {.kind = kind,
                               .index_name = index_name,
                               .arguments = arguments,
                               .correlation_id = parent->correlation_id,
                               .parent = parent->number};
  int rc = os_ledger_job_begin(child->ledger, &begin, &child->number, error);
  os_free(arguments);
  if (!rc) os_log_set_job(child->session->log, child->number, child->correlation_id);
  return rc;
}

int os_child_job_end(struct os_job *child, const struct os_job *parent, int rc, bool partial,
                     const json_t *response, struct os_error *error) {
  struct os_error trouble;
  char sentence[OS_ERROR_TEXT + OS_ERROR_ADVICE + 4] = "";
  os_error_clear(&trouble);
  if (!child->number) return rc;
  if (rc) os_error_sentence(error, sentence, sizeof sentence);
  char *text = response ? os_json_text(response) : NULL;
  int end = os_ledger_job_finish(child->ledger, child->number, os_job_status(child->session, rc, partial),
                                 &child->figures, rc ? sentence : NULL, text, &trouble);
  os_free(text);
  json_decref(child->checks);
  child->checks = NULL;
  os_log_set_job(child->session->log, parent->number, parent->correlation_id);
  if (rc || !end) return rc;
  *error = trouble;
  os_error_prefix(error, "the work was done, but the ledger could not record it");
  return end;
}
