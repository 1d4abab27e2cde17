/* versions_function.c - os_reindex_versions(trigger [, options]): the trigger is read, its endpoint
** found among the connections, one operation called.
**
** May call: operations/versions, operations/session, aws/s3, config/, base/. Owns nothing.
*/
#include "surface/functions.h"
#include <string.h>
#include "aws/s3/address.h"
#include "aws/s3/small.h"
#include "base/alloc.h"
#include "base/json.h"
#include "base/text.h"
#include "config/small_file.h"
#include "operations/versions/versions.h"

static const char *const methods[] = {"server", "live", NULL};

static const struct os_option versions_options[] = {
    {"method", OS_OPT_WORD, 0, 0, methods, "\"server\""},
    {"keep_old", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"max_block", OS_OPT_SECONDS, 1, 86400, NULL, "60"},
    {"slices", OS_OPT_INT, 0, 1024, NULL, "0"},
    {"requests_per_second", OS_OPT_REAL | OS_OPT_NULL, 0.001, 1e9, NULL, NULL},
    {"poll_interval", OS_OPT_SECONDS, 0.05, 3600, NULL, "30"},
    {"timeout", OS_OPT_SECONDS | OS_OPT_NULL, 0.001, 31536000, NULL, "7200"},
    {"allow_writes", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"allow_unverified", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {NULL, 0, 0, 0, NULL, NULL},
};
const struct os_option_schema os_schema_reindex_versions = {OS_COMMON_CONNECTION | OS_COMMON_DRY_RUN |
                                                                OS_COMMON_CORRELATION_ID | OS_COMMON_PROGRESS,
                                                            versions_options};

/* ---- the trigger ---- */

static int read_file(const char *path, struct os_trigger *trigger, struct os_error *error) {
  struct os_small_file file;
  int rc = os_small_file_read(path, OS_TRIGGER_BYTES, "trigger", &file, error);
  if (rc) return rc;
  if (!file.text) {
    os_fail(error, OS_ERR_IO, "there is no trigger file '%.300s'", path);
    return os_advise(error, "give the path of a file, or the trigger itself, which begins with {");
  }
  rc = os_trigger_parse(file.text, file.len, trigger, error);
  if (rc) os_error_prefix(error, "%.300s", path);
  os_small_file_free(&file);
  return rc;
}

static int read_object(struct os_command *command, const char *url, struct os_trigger *trigger) {
  static const struct os_s3_options signed_requests = {.anonymous = false};
  struct os_session *session = command->session;
  struct os_error *error = &command->error;
  struct os_probe probe = os_session_probe(session);
  struct os_aws *aws = NULL;
  struct os_net *net = NULL;
  struct os_s3 *s3 = NULL;
  struct os_buf text;
  os_buf_init(&text, 0);
  int rc = os_session_aws(session, &aws, error);
  if (!rc) rc = os_session_net(session, &net, error);
  if (!rc) rc = os_s3_open(&s3, aws, net, &probe, &signed_requests, error);
  if (!rc) rc = os_s3_small_read(s3, url, OS_TRIGGER_BYTES, "trigger", &probe, &text, error);
  if (!rc && (rc = os_trigger_parse(text.data ? text.data : "", text.len, trigger, error)))
    os_error_prefix(error, "%.300s", url);
  os_s3_close(s3);
  os_buf_free(&text);
  return rc;
}

static int read_trigger(struct os_command *command, struct os_trigger *trigger) {
  const char *given, *text;
  int rc = os_command_text(command, 0, "trigger", &given);
  if (rc != OS_OK) return rc;
  for (text = given; os_is_space(*text);)
    text++;
  if (*text == '{' || *text == '[' || *text == '"')
    return os_trigger_parse(given, strlen(given), trigger, &command->error);
  if (os_s3_is_url(given)) return read_object(command, given, trigger);
  return read_file(given, trigger, &command->error);
}

/* ---- its cluster: one that is connected, so that no credentials go anywhere else ---- */

static int no_connection(const struct os_trigger *trigger, const char *wanted, struct os_error *error) {
  if (wanted)
    os_fail(error, OS_ERR_GUARD, "the trigger is for %s, which is not the endpoint of connection '%s'",
            trigger->endpoint, wanted);
  else
    os_fail(error, OS_ERR_GUARD, "the trigger is for %s, to which there is no connection", trigger->endpoint);
  return os_advise(
      error, "SELECT os_connect('name', '{\"endpoint\": …}'), or set OPENSEARCH_ENDPOINT; os_connections "
             "lists what there is");
}

static int open_cluster(struct os_command *command, const struct os_trigger *trigger,
                        struct os_cluster *cluster) {
  struct os_connections *connections = command->session->connections;
  const char *wanted = os_options_text(&command->options, "connection", NULL);
  char *name = NULL;
  for (size_t i = 0; i < os_connections_count(connections) && !name; i++) {
    json_t *about = os_connections_describe(connections, i);
    if (!about) return os_fail_nomem(&command->error);
    const char *found = os_json_string(about, "name", "");
    if ((!wanted || !strcmp(wanted, found)) &&
        os_trigger_same_endpoint(trigger->endpoint, os_json_string(about, "endpoint", "")))
      name = os_strdup(found);
    json_decref(about);
  }
  if (!name) return no_connection(trigger, wanted, &command->error);
  int rc = os_session_cluster(command->session, name, cluster, &command->error);
  os_free(name);
  return rc;
}

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

int os_run_reindex_versions(struct os_command *command) {
  const struct os_options *options = &command->options;
  struct os_trigger trigger = {0};
  struct os_versions_result result = {0};
  struct os_cluster cluster;
  struct os_versions_request request = {
      .trigger = &trigger,
      .keep_old = os_options_bool(options, "keep_old", false),
      .allow_writes = os_options_bool(options, "allow_writes", false),
      .allow_unverified = os_options_bool(options, "allow_unverified", false),
      .dry_run = os_command_dry_run(command),
      .live = !strcmp(os_options_text(options, "method", "server"), "live"),
      .max_block = os_options_real(options, "max_block", 60),
      .batch_bytes = os_settings_bytes(command->session->settings, OS_SET_BATCH_BYTES),
      .max_workers = (int)os_settings_int(command->session->settings, OS_SET_MAX_WORKERS),
      .slices = (int)os_options_int(options, "slices", 0),
      .requests_per_second = os_options_real(options, "requests_per_second", 0),
      .poll_interval = os_options_real(options, "poll_interval", 30)};
  os_session_deadline(command->session, os_options_real(options, "timeout", 0));
  int rc = read_trigger(command, &trigger);
  if (rc == OS_OK) rc = open_cluster(command, &trigger, &cluster);
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
