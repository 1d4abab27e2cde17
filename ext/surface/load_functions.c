/* load_functions.c - os_bulk_load, os_cleanup, os_retry_failures: arguments in, one operation each, JSON out.
 */
#include "surface/functions.h"
#include <string.h>
#include "base/json.h"
#include "operations/cleanup/cleanup.h"
#include "operations/load/load.h"
#include "operations/retry/failures.h"
#include "surface/load_request.h"

/* ---- os_bulk_load(path [, index [, options]]) ----------------------------------------------- */

static int give_loaded(struct os_command *command, struct os_load *load) {
  json_t *response = json_incref(load->response);
  return os_command_result(command, load->partial ? "partial" : "success", response, "%s", load->message);
}

int os_run_bulk_load(struct os_command *command) {
  struct os_session *session = command->session;
  const char *path, *index;
  struct os_load_request request;
  struct os_load load = {0};
  struct os_cluster cluster;
  int rc = os_command_text(command, 0, "path", &path);
  if (rc == OS_OK) rc = os_command_optional_text(command, 1, "index", &index);
  if (rc == OS_OK)
    rc = os_load_request_fill(&request, &command->options, session->settings, path, index, &command->error);
  if (rc == OS_OK)
    rc = os_load_request_rate(&command->options, session->settings, &command->job.max_docs_rate,
                              &command->job.max_bytes_rate, &command->error);
  if (rc == OS_OK) rc = os_command_cluster(command, &cluster);
  if (rc != OS_OK) return rc;
  rc = os_command_job_begin(command, "bulk_load", request.index);
  if (rc == OS_OK) {
    command->job.progress = os_command_progress(command);
    rc = os_load_run(&load, &request, &command->job, &cluster, &command->error);
    if (rc == OS_OK) rc = give_loaded(command, &load);
    os_load_free(&load);
  }
  os_session_cluster_release(&cluster);
  return rc;
}

/* ---- os_cleanup(index [, options]) ---------------------------------------------------------- */

static const struct os_option cleanup_options[] = {
    {"backup", OS_OPT_BOOL, 0, 0, NULL, "true"},
    {"recreate_threshold", OS_OPT_INT, 0, 9e15, NULL, NULL},
    {"allow_unverified", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {NULL, 0, 0, 0, NULL, NULL},
};
const struct os_option_schema os_schema_cleanup = {OS_COMMON_CONNECTION | OS_COMMON_DRY_RUN |
                                                       OS_COMMON_TIMEOUT | OS_COMMON_CORRELATION_ID |
                                                       OS_COMMON_PROGRESS,
                                                   cleanup_options};

static json_t *known_count(int64_t count) {
  return count >= 0 ? json_integer(count) : json_null();
}

static int give_cleaned(struct os_command *command, const struct os_cleanup_request *request,
                        const struct os_cleanup_result *result) {
  const bool counted = result->documents_before >= 0;
  json_t *response = json_pack("{s:s, s:o, s:I, s:b, s:s, s:o}", "index", request->index, "documents_before",
                               known_count(result->documents_before), "deleted", (json_int_t)result->deleted,
                               "recreated", (int)result->recreated, "way", result->way, "deleted_before",
                               known_count(result->deleted_before));
  if (response && result->samples) json_object_set(response, "samples", result->samples);
  if (request->dry_run && !counted)
    return os_command_result(command, "success", response,
                             "Index %s would be emptied; what it holds may not be counted.", request->index);
  if (request->dry_run)
    return os_command_result(command, "success", response, "Index %s (%lld documents) would be emptied%s.",
                             request->index, (long long)result->documents_before,
                             !strcmp(result->way, "recreate") ? ", by making it anew" : "");
  return os_command_result(command, "success", response, "Emptied index %s: %lld documents deleted%s.",
                           request->index, (long long)result->deleted,
                           result->recreated ? ", index made anew" : "");
}

int os_run_cleanup(struct os_command *command) {
  const char *index;
  struct os_cluster cluster;
  struct os_cleanup_result result = {0};
  int rc = os_command_text(command, 0, "index", &index);
  if (rc == OS_OK) rc = os_command_check_index_name(index, &command->error);
  if (rc == OS_OK) rc = os_command_cluster(command, &cluster);
  if (rc != OS_OK) return rc;
  struct os_cleanup_request request = {
      .index = index,
      .recreate_threshold =
          os_options_int(&command->options, "recreate_threshold",
                         os_settings_int(command->session->settings, OS_SET_INDEX_RECREATE_THRESHOLD)),
      .backup = os_options_bool(&command->options, "backup", true),
      .dry_run = os_command_dry_run(command),
      .tidy = true,
      .allow_unverified = os_options_bool(&command->options, "allow_unverified", false)};
  rc = os_command_job_begin(command, "cleanup", index);
  if (rc == OS_OK && !request.dry_run)
    rc = os_cleanup_recover(&command->job, &cluster, index, &command->error);
  if (rc == OS_OK) {
    rc = os_cleanup_run(&command->job, &cluster, &request, &result, &command->error);
    command->job.figures.count_before = result.documents_before;
    command->job.figures.count_after = result.documents_after;
  }
  if (rc == OS_OK) rc = give_cleaned(command, &request, &result);
  json_decref(result.samples);
  os_session_cluster_release(&cluster);
  return rc;
}

/* ---- os_retry_failures([job [, options]]) --------------------------------------------------- */

static const struct os_option retry_options[] = {
    {"overwrite", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"batch_size", OS_OPT_INT, 1, 1000000, NULL, NULL},
    {"batch_bytes", OS_OPT_SIZE, 1024, 1073741824, NULL, NULL},
    {"max_workers", OS_OPT_INT, 1, 256, NULL, NULL},
    {NULL, 0, 0, 0, NULL, NULL},
};
const struct os_option_schema os_schema_retry_failures = {OS_COMMON_CONNECTION | OS_COMMON_DRY_RUN |
                                                              OS_COMMON_ON_PARTIAL | OS_COMMON_TIMEOUT |
                                                              OS_COMMON_CORRELATION_ID | OS_COMMON_PROGRESS,
                                                          retry_options};

static int give_retried(struct os_command *command, const struct os_retry_request *request,
                        const struct os_retry_result *result) {
  json_t *response = json_pack("{s:I, s:I, s:I, s:I}", "tried", (json_int_t)result->tried, "resolved",
                               (json_int_t)result->resolved, "superseded", (json_int_t)result->superseded,
                               "refused", (json_int_t)result->refused_again);
  if (request->dry_run)
    return os_command_result(
        command, "success", response,
        "%lld failed records would be sent again, %lld cannot be before they are repaired.",
        (long long)(result->tried - result->refused_again), (long long)result->refused_again);
  return os_command_result(
      command, result->refused_again ? "partial" : "success", response,
      "Sent %lld failed records again: %lld resolved, %lld superseded, %lld refused again.",
      (long long)result->tried, (long long)result->resolved, (long long)result->superseded,
      (long long)result->refused_again);
}

int os_run_retry_failures(struct os_command *command) {
  struct os_settings *settings = command->session->settings;
  const struct os_options *options = &command->options;
  struct os_cluster cluster;
  struct os_retry_result result = {0};
  struct os_retry_request request = {
      .overwrite = os_options_bool(options, "overwrite", false),
      .dry_run = os_command_dry_run(command),
      .batch_size =
          (uint64_t)os_options_int(options, "batch_size", os_settings_int(settings, OS_SET_BATCH_SIZE)),
      .batch_bytes = os_options_size(options, "batch_bytes", os_settings_bytes(settings, OS_SET_BATCH_BYTES)),
      .max_workers =
          (int)os_options_int(options, "max_workers", os_settings_int(settings, OS_SET_MAX_WORKERS)),
      .timeout = os_options_real(options, "timeout", 0)};
  int rc = OS_OK;
  if (command->argc > 0 && sqlite3_value_type(command->argv[0]) != SQLITE_NULL)
    rc = os_command_int(command, 0, "job", 1, INT64_MAX, &request.job);
  if (rc == OS_OK) rc = os_command_cluster(command, &cluster);
  if (rc != OS_OK) return rc;
  rc = os_command_job_begin(command, "retry_failures", NULL);
  if (rc == OS_OK) {
    command->job.progress = os_command_progress(command);
    rc = os_retry_failures_run(&command->job, &cluster, &request, &result, &command->error);
  }
  if (rc == OS_OK) rc = give_retried(command, &request, &result);
  os_session_cluster_release(&cluster);
  return rc;
}
