/* dlq_functions.c - os_dlq_send, os_dlq_receive: arguments in, one operation each, JSON out. */
#include "surface/functions.h"
#include "aws/sqs_letter.h"
#include "operations/dlq/dlq.h"

/* ---- os_dlq_send([job [, options]]) --------------------------------------------------------- */

static const struct os_option send_options[] = {
    {"queue", OS_OPT_TEXT, 1, 400, NULL, NULL},
    {"sqs_max_bytes", OS_OPT_SIZE, OS_LETTER_BYTES_LEAST, OS_SQS_BODY_MOST, NULL, NULL},
    {NULL, 0, 0, 0, NULL, NULL},
};
const struct os_option_schema os_schema_dlq_send = {
    OS_COMMON_DRY_RUN | OS_COMMON_ON_PARTIAL | OS_COMMON_CORRELATION_ID, send_options};

static const char *messages(int64_t count) {
  return count == 1 ? "message" : "messages";
}

static int give_sent(struct os_command *command, const struct os_sqs_queue *queue,
                     const struct os_dlq_send_result *result) {
  json_t *response =
      json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "queue", queue->arn, "records", (json_int_t)result->records,
                "messages", (json_int_t)result->messages, "truncated", (json_int_t)result->truncated,
                "too_large", (json_int_t)result->too_large, "waiting", (json_int_t)result->waiting);
  if (os_command_dry_run(command))
    return os_command_result(command, "success", response, "%lld failed records would be sent to queue %s.",
                             (long long)result->waiting, queue->name);
  const char *status = result->too_large ? "partial" : "success";
  if (result->too_large)
    return os_command_result(command, status, response,
                             "Sent %lld failed records to queue %s in %lld %s; %lld are too large even "
                             "when they are cut.",
                             (long long)result->records, queue->name, (long long)result->messages,
                             messages(result->messages), (long long)result->too_large);
  return os_command_result(command, status, response, "Sent %lld failed records to queue %s in %lld %s.",
                           (long long)result->records, queue->name, (long long)result->messages,
                           messages(result->messages));
}

int os_run_dlq_send(struct os_command *command) {
  struct os_error *error = &command->error;
  struct os_dlq_send_result result = {0};
  struct os_sqs_queue queue = {0};
  struct os_dlq_send_request request = {
      .max_bytes = (size_t)os_options_size(&command->options, "sqs_max_bytes", OS_LETTER_BYTES)};
  int rc = OS_OK;
  if (command->argc > 0 && sqlite3_value_type(command->argv[0]) != SQLITE_NULL)
    rc = os_command_int(command, 0, "job", 1, INT64_MAX, &request.job);
  if (rc == OS_OK) rc = os_command_job_begin(command, "dlq_send", NULL);
  if (rc == OS_OK)
    rc = os_dlq_open(&command->job, &queue, os_options_text(&command->options, "queue", NULL), error);
  if (rc == OS_OK) rc = os_dlq_count(&command->job, request.job, &result.waiting, error);
  if (rc == OS_OK) rc = os_dlq_guard(&command->job, &queue, OS_OK, false, error);
  if (rc == OS_OK && !os_command_dry_run(command))
    rc = os_dlq_send_run(&command->job, &queue, &request, &result, error);
  if (rc == OS_OK)
    rc = give_sent(command, &queue, &result);
  else if (result.records)
    os_error_prefix(error, "%lld failed records were sent before this", (long long)result.records);
  os_sqs_close(&queue);
  return rc;
}

/* ---- os_dlq_receive([queue [, options]]) ---------------------------------------------------- */

static const struct os_option receive_options[] = {
    {"wait", OS_OPT_INT, 0, 20, NULL, "2"},
    {"visibility", OS_OPT_INT, 30, 43200, NULL, "300"},
    {"max_messages", OS_OPT_INT, 1, 100000, NULL, "1000"},
    {NULL, 0, 0, 0, NULL, NULL},
};
const struct os_option_schema os_schema_dlq_receive = {
    OS_COMMON_DRY_RUN | OS_COMMON_ON_PARTIAL | OS_COMMON_CORRELATION_ID, receive_options};

static int give_received(struct os_command *command, const struct os_sqs_queue *queue,
                         const struct os_dlq_receive_result *result) {
  size_t incomplete = json_array_size(result->incomplete), foreign = json_array_size(result->foreign);
  bool dry = os_command_dry_run(command);
  json_t *response = json_pack(
      "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:O, s:O}", "queue", queue->arn, "messages",
      (json_int_t)result->messages, "sets", (json_int_t)result->sets, "records", (json_int_t)result->records,
      "added", (json_int_t)result->added, "already", (json_int_t)result->already, "truncated",
      (json_int_t)result->truncated, "incomplete", result->incomplete, "foreign", result->foreign);
  const char *status = incomplete || foreign ? "partial" : "success";
  if (!incomplete && !foreign)
    return os_command_result(command, status, response, "%s %lld failed records in %lld %s from queue %s%s.",
                             dry ? "Saw" : "Received", (long long)result->records,
                             (long long)result->messages, messages(result->messages), queue->name,
                             dry               ? "; nothing was taken"
                             : result->already ? "; some were here already"
                                               : "");
  return os_command_result(command, status, response,
                           "%s %lld failed records from queue %s; left there: %zu incomplete sets, %zu other "
                           "messages.",
                           dry ? "Saw" : "Received", (long long)result->records, queue->name, incomplete,
                           foreign);
}

int os_run_dlq_receive(struct os_command *command) {
  const struct os_options *options = &command->options;
  struct os_error *error = &command->error;
  struct os_dlq_receive_result result = {0};
  struct os_sqs_queue queue = {0};
  const char *arn = NULL;
  struct os_dlq_receive_request request = {.wait = (int)os_options_int(options, "wait", 2),
                                           .visibility = (int)os_options_int(options, "visibility", 300),
                                           .max_messages = os_options_int(options, "max_messages", 1000),
                                           .dry_run = os_command_dry_run(command)};
  int rc = os_command_optional_text(command, 0, "queue", &arn);
  if (rc == OS_OK) rc = os_command_job_begin(command, "dlq_receive", NULL);
  if (rc == OS_OK) rc = os_dlq_open(&command->job, &queue, arn, error);
  if (rc == OS_OK) rc = os_dlq_receive_run(&command->job, &queue, &request, &result, error);
  if (rc == OS_OK)
    rc = give_received(command, &queue, &result);
  else if (result.added)
    os_error_prefix(error, "%lld failed records were received before this", (long long)result.added);
  os_dlq_receive_result_free(&result);
  os_sqs_close(&queue);
  return rc;
}
