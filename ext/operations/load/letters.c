/* letters.c - see letters.h. Calls operations/dlq/. */
#include "operations/load/letters.h"
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "config/settings.h"
#include "operations/dlq/dlq.h"

enum { GATHERED = 5000 /* refused records: a few megabytes, a second or two of sending */ };

static bool is_enabled(const struct os_load *load) {
  return os_settings_bool(load->session->settings, OS_SET_DLQ);
}

int os_load_check_queue(struct os_load *load, struct os_error *error) {
  struct os_sqs_queue queue = {0};
  if (!is_enabled(load)) return OS_OK;
  int rc = os_dlq_open(load->job, &queue, NULL, error);
  rc = os_dlq_guard(load->job, &queue, rc, true, error);
  if (rc) os_error_prefix(error, "DLQ is enabled");
  os_sqs_close(&queue);
  return rc;
}

/* The load's own error, if it has one, is not touched. */
static int send_all(struct os_load *load, struct os_dlq_send_result *result, struct os_error *error) {
  struct os_sqs_queue queue = {0};
  struct os_dlq_send_request request = {.job = load->job->number, .max_bytes = load->request->sqs_max_bytes};
  struct os_error ignored;
  int rc = os_dlq_open(load->job, &queue, NULL, error);
  if (!rc && os_sqs_check(&queue, &ignored) == OS_ERR_INTERRUPTED)
    rc = os_fail(error, OS_ERR_INTERRUPTED, "interrupted");
  if (!rc) rc = os_dlq_send_run(load->job, &queue, &request, result, error);
  os_sqs_close(&queue);
  return rc;
}

void os_load_send_letters(struct os_load *load) {
  struct os_load_letters *letters = &load->letters;
  struct os_dlq_send_result result = {0};
  struct os_error trouble, ignored;
  if (!is_enabled(load) || load->request->dry_run || !load->figures->documents_failed) return;
  os_error_clear(&trouble);
  os_error_clear(&ignored);
  letters->tried = true;
  letters->refused = load->figures->documents_failed;
  int rc = send_all(load, &result, &trouble);
  letters->records += result.records;
  letters->messages += result.messages;
  letters->truncated += result.truncated;
  if (!rc && !result.too_large) {
    letters->why[0] = '\0';
    os_job_audit(load->job, "finish", "queue", "did", false, &ignored,
                 "%lld refused records sent in %lld messages", (long long)letters->records,
                 (long long)letters->messages);
    return;
  }
  if (rc)
    os_error_sentence(&trouble, letters->why, sizeof letters->why);
  else
    snprintf(letters->why, sizeof letters->why, "%lld records are too large for a message",
             (long long)result.too_large);
  os_log_write(load->session->log, OS_LOG_WARNING, "refused records wait to be sent to the queue: %s",
               letters->why);
  os_job_audit(load->job, "finish", "queue", "unknown", false, &ignored,
               "%lld refused records sent, others wait for os_dlq_send(%lld): %.1500s",
               (long long)letters->records, (long long)load->job->number, letters->why);
}

void os_load_gather_letters(struct os_load *load) {
  const struct os_load_letters *letters = &load->letters;
  if (letters->why[0] || load->figures->documents_failed - letters->refused < GATHERED) return;
  os_load_send_letters(load);
}

void os_load_report_letters(const struct os_load *load, json_t *response, char *text, size_t size) {
  const struct os_load_letters *letters = &load->letters;
  text[0] = '\0';
  if (!letters->tried) return;
  json_t *queue = json_pack("{s:I, s:I, s:I}", "records", (json_int_t)letters->records, "messages",
                            (json_int_t)letters->messages, "truncated", (json_int_t)letters->truncated);
  if (queue && letters->why[0]) os_json_put(queue, "unsent_because", json_string(letters->why));
  if (queue) os_json_put(response, "queue", queue);
  if (letters->why[0])
    snprintf(text, size, ", not all of them sent to the queue: os_dlq_send(%lld) sends them",
             (long long)load->job->number);
  else
    snprintf(text, size, ", sent to the queue");
}
