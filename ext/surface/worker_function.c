/* worker_function.c - os_trigger_run(queue [, options]): one message of a queue is fetched and its
** triggers are run.
**
** May call: operations/worker, operations/session, aws/, base/. Owns nothing.
*/
#include "surface/functions.h"
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "operations/worker/worker.h"
#include "surface/versions_request.h"

static const struct os_option worker_options[] = {
    {"wait_seconds", OS_OPT_INT, 0, 20, NULL, "20"},
    {"visibility", OS_OPT_INT, 5, 43200, NULL, "60"},
    {"retry_after", OS_OPT_INT, 0, 43200, NULL, "300"},
    {"timeout", OS_OPT_SECONDS | OS_OPT_NULL, 0.001, 31536000, NULL, "7200"},
    {"reindex", OS_OPT_OBJECT, 0, 0, NULL, "{}"},
    {NULL, 0, 0, 0, NULL, NULL},
};
const struct os_option_schema os_schema_trigger_run = {OS_COMMON_CONNECTION | OS_COMMON_PROGRESS |
                                                           OS_COMMON_ON_PARTIAL | OS_COMMON_CORRELATION_ID,
                                                       worker_options};

static int parse_versions(struct os_command *command, struct os_versions_request *request) {
  struct os_options options = {0};
  char *text = os_json_text(os_options_json(&command->options, "reindex"));
  if (!text) return os_fail_nomem(&command->error);
  int rc = os_options_parse(&options, &os_schema_versions_nested, text, strlen(text), &command->error);
  os_free(text);
  if (rc) return os_error_prefix(&command->error, "option 'reindex'");
  os_versions_request_fill(request, &options, command->session->settings);
  os_options_free(&options);
  return OS_OK;
}

/* ---- what is told ---- */

static int give_nothing(struct os_command *command, const struct os_sqs_queue *queue, int wait) {
  json_t *response = json_pack("{s:s, s:i}", "queue", queue->arn, "messages", 0);
  return os_command_result(command, "success", response, "No message came to queue %s within %d seconds.",
                           queue->name, wait);
}

static int give(struct os_command *command, const struct os_sqs_queue *queue,
                const struct os_worker_result *result, int retry_after) {
  const char *lapsed =
      result->lapsed ? " The message could be seen by others meanwhile and may come again." : "";
  size_t count = json_array_size(result->triggers);
  json_t *response =
      json_pack("{s:s, s:i, s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:o, s:O}", "queue", queue->arn, "messages", 1,
                "message_id", result->message_id, "run", (json_int_t)result->run, "already",
                (json_int_t)result->already, "left", (json_int_t)result->left, "ignored",
                (json_int_t)result->ignored, "removed", result->removed, "lapsed", result->lapsed, "why",
                result->why[0] ? json_string(result->why) : json_null(), "triggers", result->triggers);
  if (!result->removed && result->left)
    return os_command_result(
        command, "partial", response,
        "%zu of %zu triggers of message %s not done; it comes again in %d seconds: %s.%s", result->left,
        count, result->message_id, retry_after, result->why, lapsed);
  if (!result->removed)
    return os_command_result(command, "partial", response, "Message %s was left on queue %s: %s.%s",
                             result->message_id, queue->name, result->why, lapsed);
  if (result->test)
    return os_command_result(command, "success", response, "Removed S3's test message from queue %s.",
                             queue->name);
  if (!count)
    return os_command_result(command, "success", response,
                             "Removed message %s from queue %s, which tells of no new object.",
                             result->message_id, queue->name);
  return os_command_result(command, "success", response, "Ran %zu of %zu triggers of message %s%s.%s",
                           result->run, count, result->message_id,
                           result->already ? "; the others had been run before" : "", lapsed);
}

/* ---- the command ---- */

/* A poll that brings nothing leaves no job behind: there would be thousands a day. */
int os_run_trigger_run(struct os_command *command) {
  const struct os_options *options = &command->options;
  struct os_worker_request request = {.wait = (int)os_options_int(options, "wait_seconds", 20),
                                      .visibility = (int)os_options_int(options, "visibility", 60),
                                      .retry_after = (int)os_options_int(options, "retry_after", 300),
                                      .connection = os_options_text(options, "connection", NULL)};
  struct os_worker_result result = {0};
  struct os_sqs_queue queue = {0};
  json_t *message = NULL;
  const char *arn;
  int rc = os_command_text(command, 0, "queue", &arn);
  if (!rc) rc = parse_versions(command, &request.versions);
  if (!rc) rc = os_session_queue(command->session, arn, &queue, &command->error);
  if (!rc) rc = os_worker_receive(command->session, &queue, &request, &message, &command->error);
  if (!rc && !message) rc = give_nothing(command, &queue, request.wait);
  if (!rc && message) {
    os_session_deadline(command->session, os_options_real(options, "timeout", 0));
    rc = os_command_job_begin(command, "trigger_run", NULL);
    command->job.progress = os_command_progress(command);
    if (!rc) rc = os_worker_run(&command->job, &queue, message, &request, &result, &command->error);
    if (!rc) rc = give(command, &queue, &result, request.retry_after);
  }
  os_worker_result_free(&result);
  json_decref(message);
  os_sqs_close(&queue);
  return rc;
}
