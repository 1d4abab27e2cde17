/* queue.c - which queue, and is it there; see dlq.h. */
#include "operations/dlq/dlq.h"
#include <string.h>
#include "config/settings.h"

int os_dlq_open(struct os_job *job, struct os_sqs_queue *queue, const char *arn, struct os_error *error) {
  struct os_session *session = job->session;
  memset(queue, 0, sizeof *queue);
  if (!arn) arn = os_settings_get(session->settings, OS_SET_SQS_DLQ_ARN);
  if (!arn) {
    os_fail(error, OS_ERR_ARGUMENT, "no queue for refused records is named");
    return os_advise(error,
                     "SELECT os_config('SQS-DLQ-ARN', 'arn:aws:sqs:eu-west-1:123456789012:queue'), or set "
                     "SQS_DLQ_ARN in the environment or in .env");
  }
  return os_session_queue(session, arn, queue, error);
}

static bool is_outage(int rc) {
  return rc == OS_ERR_NETWORK || rc == OS_ERR_TIMEOUT || rc == OS_ERR_BUSY;
}

int os_dlq_guard(struct os_job *job, struct os_sqs_queue *queue, int opened, bool later,
                 struct os_error *error) {
  char sentence[OS_ERROR_TEXT + OS_ERROR_ADVICE];
  int rc = opened ? opened : os_sqs_check(queue, error);
  if (!rc)
    return os_job_audit(job, "guard", "queue", "pass", false, error,
                        "%s is there and takes messages of %zu bytes", queue->arn, queue->body_most);
  if (rc != OS_ERR_FORBIDDEN && !(later && is_outage(rc)))
    return os_job_guard_failed(job, "guard", "queue", error);
  os_error_sentence(error, sentence, sizeof sentence);
  os_error_clear(error);
  os_log_write(job->session->log, OS_LOG_WARNING,
               "whether the queue for refused records is there is not known: %s", sentence);
  return os_job_audit(job, "guard", "queue", "unknown", false, error, "%s", sentence);
}
