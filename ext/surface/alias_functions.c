/* alias_functions.c - os_switch_alias, os_undo_alias: arguments in, one operation each, JSON out.
**
** May call: operations/alias, operations/session, base/. Owns nothing.
*/
#include "surface/functions.h"
#include "base/alloc.h"
#include "operations/alias/alias.h"

enum {
  ALIAS_COMMON = OS_COMMON_CONNECTION | OS_COMMON_DRY_RUN | OS_COMMON_TIMEOUT | OS_COMMON_CORRELATION_ID
};

/* ---- os_switch_alias(alias, source, target [, options]) ----------------------------------------- */

static const struct os_option switch_options[] = {
    {"threshold", OS_OPT_REAL, 0, 1e9, NULL, NULL},
    {"max_shrink", OS_OPT_REAL | OS_OPT_NULL, 0, 100, NULL, NULL},
    {"max_growth", OS_OPT_REAL | OS_OPT_NULL, 0, 1e9, NULL, NULL},
    {"allow_empty", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"allow_unverified", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {NULL, 0, 0, 0, NULL, NULL},
};
const struct os_option_schema os_schema_switch_alias = {ALIAS_COMMON, switch_options};

static json_t *known(int64_t documents) {
  return documents >= 0 ? json_integer(documents) : json_null();
}

static int give_switched(struct os_command *command, const struct os_alias_switch_request *request,
                         const struct os_alias_switch_result *result) {
  json_t *response =
      json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:s?, s:s?}", "alias", request->alias, "source",
                request->source, "target", request->target, "already", result->already, "source_documents",
                known(result->source_documents), "target_documents", known(result->target_documents),
                "health", result->health[0] != '\0' ? result->health : NULL, "warning",
                result->fields[0] != '\0' ? result->fields : NULL);
  if (result->already)
    return os_command_result(command, "success", response, "Alias '%s' is on '%s' already.", request->alias,
                             request->target);
  return os_command_result(command, "success", response,
                           request->dry_run ? "Alias '%s' would move from '%s' to '%s'%s%s."
                                            : "Alias '%s' moved from '%s' to '%s'%s%s.",
                           request->alias, request->source, request->target,
                           result->fields[0] != '\0' ? "; warning: " : "", result->fields);
}

int os_run_switch_alias(struct os_command *command) {
  const struct os_options *options = &command->options;
  struct os_cluster cluster;
  struct os_alias_switch_result result;
  struct os_alias_switch_request request = {
      .threshold =
          os_options_real(options, "threshold",
                          os_settings_real(command->session->settings, OS_SET_DOCUMENT_COUNT_THRESHOLD)),
      .max_shrink = os_options_real(options, "max_shrink", -1),
      .max_growth = os_options_real(options, "max_growth", -1),
      .allow_empty = os_options_bool(options, "allow_empty", false),
      .allow_unverified = os_options_bool(options, "allow_unverified", false),
      .dry_run = os_command_dry_run(command)};
  int rc = os_command_text(command, 0, "alias", &request.alias);
  if (rc == OS_OK) rc = os_command_text(command, 1, "source", &request.source);
  if (rc == OS_OK) rc = os_command_text(command, 2, "target", &request.target);
  if (rc == OS_OK) rc = os_command_cluster(command, &cluster);
  if (rc != OS_OK) return rc;
  rc = os_command_job_begin(command, "switch_alias", request.target);
  if (rc == OS_OK) rc = os_alias_switch_run(&command->job, &cluster, &request, &result, &command->error);
  if (rc == OS_OK) rc = give_switched(command, &request, &result);
  os_session_cluster_release(&cluster);
  return rc;
}

/* ---- os_undo_alias(job [, options]) ------------------------------------------------------------- */

static const struct os_option undo_options[] = {
    {"allow_unverified", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {NULL, 0, 0, 0, NULL, NULL},
};
const struct os_option_schema os_schema_undo_alias = {ALIAS_COMMON, undo_options};

static int give_undone(struct os_command *command, const struct os_alias_undo_request *request,
                       const struct os_alias_undo_result *result) {
  json_t *response =
      json_pack("{s:s, s:s, s:s, s:I, s:b}", "alias", result->alias, "source", result->from, "target",
                result->to, "undone", (json_int_t)request->moved_by, "already", result->already);
  if (result->already)
    return os_command_result(command, "success", response,
                             "Alias '%s' is on '%s', as before job %lld: there is nothing to undo.",
                             result->alias, result->to, (long long)request->moved_by);
  return os_command_result(command, "success", response,
                           request->dry_run ? "Alias '%s' would move back from '%s' to '%s'."
                                            : "Alias '%s' moved back from '%s' to '%s'.",
                           result->alias, result->from, result->to);
}

/* The cluster is that of the job, unless another connection to it is named. */
static int open_cluster(struct os_command *command, int64_t moved_by, struct os_cluster *cluster) {
  struct os_ledger *ledger;
  char *connection = NULL;
  int rc = os_command_ledger(command, &ledger);
  if (rc == OS_OK && ledger == NULL) return os_command_no_ledger(command, moved_by);
  if (rc == OS_OK) rc = os_alias_moved_on(ledger, moved_by, &connection, &command->error);
  if (rc == OS_OK)
    rc = os_session_cluster(command->session, os_options_text(&command->options, "connection", connection),
                            cluster, &command->error);
  os_free(connection);
  return rc;
}

int os_run_undo_alias(struct os_command *command) {
  struct os_cluster cluster;
  struct os_alias_undo_result result;
  struct os_alias_undo_request request = {.allow_unverified =
                                              os_options_bool(&command->options, "allow_unverified", false),
                                          .dry_run = os_command_dry_run(command)};
  int rc = os_command_int(command, 0, "job", 1, INT64_MAX, &request.moved_by);
  if (rc == OS_OK) rc = open_cluster(command, request.moved_by, &cluster);
  if (rc != OS_OK) return rc;
  rc = os_command_job_begin(command, "undo_alias", NULL);
  if (rc == OS_OK) rc = os_alias_undo_run(&command->job, &cluster, &request, &result, &command->error);
  if (rc == OS_OK) rc = give_undone(command, &request, &result);
  os_session_cluster_release(&cluster);
  return rc;
}
