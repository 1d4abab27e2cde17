/* refresh_function.c - os_refresh_data(alias, primary, secondary, path [, options]).
**
** May call: operations/refresh, operations/load, operations/session, base/. Owns nothing. */
#include "surface/functions.h"
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "operations/refresh/refresh.h"
#include "surface/load_request.h"

static const char *const resume_words[] = {"auto", NULL};
static const struct os_option refresh_options[] = {
    {"load", OS_OPT_OBJECT | OS_OPT_NULL, 0, 0, NULL, NULL},
    {"delay", OS_OPT_SECONDS, 0, 86400, NULL, "5"},
    {"resume", OS_OPT_BOOL | OS_OPT_WORD, 0, 0, resume_words, "false"},
    {"create", OS_OPT_BOOL | OS_OPT_OBJECT | OS_OPT_NULL, 0, 0, NULL, NULL},
    {"slices", OS_OPT_INT, 1, 1024, NULL, NULL},
    {"requests_per_second", OS_OPT_REAL, 0, 1e9, NULL, NULL},
    {"threshold", OS_OPT_REAL, 0, 1e9, NULL, NULL},
    {"max_shrink", OS_OPT_REAL | OS_OPT_NULL, 0, 100, NULL, NULL},
    {"max_growth", OS_OPT_REAL | OS_OPT_NULL, 0, 1e9, NULL, NULL},
    {"allow_empty", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"allow_writes", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"allow_unverified", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {NULL, 0, 0, 0, NULL, NULL},
};
const struct os_option_schema os_schema_refresh_data = {OS_COMMON_CONNECTION | OS_COMMON_PROGRESS |
                                                            OS_COMMON_DRY_RUN | OS_COMMON_ON_PARTIAL |
                                                            OS_COMMON_TIMEOUT | OS_COMMON_CORRELATION_ID,
                                                        refresh_options};

/* The options of the load alone: what is shared stands beside it, and the mode is the refresh's own. */
static int parse_load(struct os_command *command, struct os_options *load,
                      struct os_refresh_request *request) {
  const struct os_option_schema schema = {0, os_schema_bulk_load.own};
  const json_t *given = os_options_json(&command->options, "load");
  char *text = json_is_object(given) ? os_json_text(given) : NULL;
  if (json_is_object(given) && !text) return os_fail_nomem(&command->error);
  int rc = os_options_parse(load, &schema, text, text ? strlen(text) : 0, &command->error);
  os_free(text);
  if (rc) {
    os_error_prefix(&command->error, "option 'load'");
    return rc;
  }
  const char *mode = os_options_text(load, "mode", "resume");
  if (strcmp(mode, "fresh") && strcmp(mode, "resume")) {
    os_fail(&command->error, OS_ERR_ARGUMENT, "option 'load': mode '%s' does not make an index anew", mode);
    return os_advise(&command->error,
                     "leave mode out, or say \"fresh\": a resumed refresh then loads from the beginning");
  }
  request->load_given = given;
  request->load_resumes = !strcmp(mode, "resume");
  rc = os_load_request_fill(&request->load, load, command->session->settings, request->path, request->primary,
                            &command->error);
  if (!rc)
    rc = os_load_request_rate(load, command->session->settings, &command->job.max_docs_rate,
                              &command->job.max_bytes_rate, &command->error);
  return rc;
}

static void fill(const struct os_command *command, struct os_refresh_request *request) {
  const struct os_options *options = &command->options;
  struct os_settings *settings = command->session->settings;
  const json_t *create = os_options_json(options, "create");
  request->delay = os_options_real(options, "delay", 5);
  request->resume_if_stopped = os_options_text(options, "resume", NULL) != NULL;
  request->resume = !request->resume_if_stopped && os_options_bool(options, "resume", false);
  request->allow_writes = os_options_bool(options, "allow_writes", false);
  request->allow_unverified = os_options_bool(options, "allow_unverified", false);
  request->dry_run = os_command_dry_run(command);
  request->reindex = (struct os_reindex_request){
      .create = json_is_true(create) || json_is_object(create) ? create : NULL,
      .slices = (int)os_options_int(options, "slices", 0),
      .requests_per_second = os_options_real(options, "requests_per_second", 0),
      .batch_bytes = os_settings_bytes(settings, OS_SET_BATCH_BYTES),
      .max_workers = (int)os_settings_int(settings, OS_SET_MAX_WORKERS),
      .recreate_threshold = os_settings_int(settings, OS_SET_INDEX_RECREATE_THRESHOLD),
      .allow_empty = os_options_bool(options, "allow_empty", false),
      .allow_unverified = request->allow_unverified};
  request->switches = (struct os_alias_switch_request){
      .threshold =
          os_options_real(options, "threshold", os_settings_real(settings, OS_SET_DOCUMENT_COUNT_THRESHOLD)),
      .max_shrink = os_options_real(options, "max_shrink", -1),
      .max_growth = os_options_real(options, "max_growth", -1),
      .allow_empty = os_options_bool(options, "allow_empty", false),
      .allow_unverified = request->allow_unverified};
}

static int give(struct os_command *command, const struct os_refresh_request *request,
                const struct os_refresh_result *result) {
  double seconds = (double)(int64_t)(result->seconds * 1000 + 0.5) / 1000;
  if (request->dry_run)
    return os_command_result(command, "success", NULL,
                             "%s could be refreshed: %s is copied to %s, then loaded anew.", request->alias,
                             request->primary, request->secondary);
  json_t *response =
      json_pack("{s:s, s:s, s:s, s:O, s:f}", "alias", request->alias, "primary", request->primary,
                "secondary", request->secondary, "steps", result->steps, "seconds", seconds);
  int64_t documents = 0;
  for (size_t i = 0; i < json_array_size(result->steps); i++) {
    const json_t *step = json_array_get(result->steps, i);
    if (!strcmp(os_json_string(step, "step", ""), "load")) documents = os_json_int(step, "documents", 0);
  }
  return os_command_result(command, result->partial ? "partial" : "success", response,
                           "Alias %s serves %s again, with %lld documents loaded anew (%lld s in all).",
                           request->alias, request->primary, (long long)documents,
                           (long long)(seconds + 0.5));
}

int os_run_refresh_data(struct os_command *command) {
  struct os_cluster cluster;
  struct os_options load = {0};
  struct os_refresh_request request = {0};
  struct os_refresh_result result = {0};
  int rc = os_command_text(command, 0, "alias", &request.alias);
  if (!rc) rc = os_command_text(command, 1, "primary", &request.primary);
  if (!rc) rc = os_command_text(command, 2, "secondary", &request.secondary);
  if (!rc) rc = os_command_text(command, 3, "path", &request.path);
  if (!rc) rc = parse_load(command, &load, &request);
  if (!rc) rc = os_command_cluster(command, &cluster);
  if (rc) {
    os_options_free(&load);
    return rc;
  }
  fill(command, &request);
  rc = os_command_job_begin(command, "refresh_data", request.alias);
  if (!rc) {
    command->job.progress = os_command_progress(command);
    rc = os_refresh_run(&command->job, &cluster, &request, &result, &command->error);
  }
  if (!rc) rc = give(command, &request, &result);
  json_decref(result.steps);
  os_session_cluster_release(&cluster);
  os_options_free(&load);
  return rc;
}
