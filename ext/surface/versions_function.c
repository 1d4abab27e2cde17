/* versions_function.c - os_reindex_versions(trigger [, options]): the trigger is read, its endpoint
** found among the connections, one operation called.
**
** May call: operations/versions, operations/session, config/, base/. Owns nothing.
*/
#include "surface/functions.h"
#include <string.h>
#include "operations/versions/origin.h"
#include "operations/versions/versions.h"
#include "surface/versions_request.h"

static const char *const methods[] = {"server", "live", NULL};

static const struct os_option versions_options[] = {
    {"timeout", OS_OPT_SECONDS | OS_OPT_NULL, 0.001, 31536000, NULL, "7200"},
    {"method", OS_OPT_WORD, 0, 0, methods, "\"server\""},
    {"keep_old", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"max_block", OS_OPT_SECONDS, 1, 86400, NULL, "60"},
    {"slices", OS_OPT_INT, 0, 1024, NULL, "0"},
    {"requests_per_second", OS_OPT_REAL | OS_OPT_NULL, 0.001, 1e9, NULL, NULL},
    {"poll_interval", OS_OPT_SECONDS, 0.05, 3600, NULL, "30"},
    {"allow_writes", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"allow_unverified", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {NULL, 0, 0, 0, NULL, NULL},
};
const struct os_option_schema os_schema_reindex_versions = {OS_COMMON_CONNECTION | OS_COMMON_DRY_RUN |
                                                                OS_COMMON_CORRELATION_ID | OS_COMMON_PROGRESS,
                                                            versions_options};
const struct os_option_schema os_schema_versions_nested = {0, versions_options + 1 /* behind timeout */};

/* ---- the command ---- */

static int give(struct os_command *command, const struct os_versions_result *result, size_t count) {
  json_t *response =
      json_pack("{s:O, s:I, s:o}", "indices", result->indices, "done", (json_int_t)result->done, "continued",
                result->continued ? json_integer(result->continued) : json_null());
  if (os_command_dry_run(command))
    return os_command_result(command, "success", response, "%zu %s would be re-indexed.", count,
                             count == 1 ? "index" : "indices");
  return os_command_result(command, "success", response, "Re-indexed %zu %s.", count,
                           count == 1 ? "index" : "indices");
}

void os_versions_request_fill(struct os_versions_request *request, const struct os_options *options,
                              const struct os_settings *settings) {
  *request =
      (struct os_versions_request){.keep_old = os_options_bool(options, "keep_old", false),
                                   .allow_writes = os_options_bool(options, "allow_writes", false),
                                   .allow_unverified = os_options_bool(options, "allow_unverified", false),
                                   .live = !strcmp(os_options_text(options, "method", "server"), "live"),
                                   .max_block = os_options_real(options, "max_block", 60),
                                   .batch_bytes = os_settings_bytes(settings, OS_SET_BATCH_BYTES),
                                   .max_workers = (int)os_settings_int(settings, OS_SET_MAX_WORKERS),
                                   .slices = (int)os_options_int(options, "slices", 0),
                                   .requests_per_second = os_options_real(options, "requests_per_second", 0),
                                   .poll_interval = os_options_real(options, "poll_interval", 30)};
}

int os_run_reindex_versions(struct os_command *command) {
  const struct os_options *options = &command->options;
  struct os_trigger trigger = {0};
  struct os_versions_result result = {0};
  struct os_cluster cluster;
  struct os_versions_request request;
  const char *given;
  os_versions_request_fill(&request, options, command->session->settings);
  request.trigger = &trigger;
  request.dry_run = os_command_dry_run(command);
  os_session_deadline(command->session, os_options_real(options, "timeout", 0));
  int rc = os_command_text(command, 0, "trigger", &given);
  if (rc == OS_OK) rc = os_trigger_read(command->session, given, &trigger, &command->error);
  if (rc == OS_OK)
    rc = os_trigger_cluster(command->session, &trigger, os_options_text(options, "connection", NULL),
                            &cluster, &command->error);
  if (rc != OS_OK) {
    os_trigger_free(&trigger);
    return rc;
  }
  rc = os_command_job_begin(command, "reindex_versions", trigger.count == 1 ? trigger.indices[0].name : NULL);
  if (rc == OS_OK) {
    command->job.progress = os_command_progress(command);
    rc = os_versions_run(&command->job, &cluster, &request, &result, &command->error);
    if (rc == OS_OK) rc = give(command, &result, trigger.count);
    json_decref(result.indices);
  }
  os_session_cluster_release(&cluster);
  os_trigger_free(&trigger);
  return rc;
}
