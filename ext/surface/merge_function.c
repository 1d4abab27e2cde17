/* merge_function.c - os_force_merge(index [, options]): arguments in, one operation, JSON out. */
#include "surface/functions.h"

#include "base/json.h"
#include "operations/merge/merge.h"

static const struct os_option merge_options[] = {
    {"max_num_segments", OS_OPT_INT, 1, 10000, NULL, NULL},
    {"only_expunge_deletes", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"allow_writes", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {NULL, 0, 0, 0, NULL, NULL},
};
const struct os_option_schema os_schema_force_merge = {
    OS_COMMON_CONNECTION | OS_COMMON_DRY_RUN | OS_COMMON_TIMEOUT | OS_COMMON_CORRELATION_ID, merge_options};

static json_t *figures(const struct os_index_stats *segments) {
  return json_pack("{s:I, s:I, s:I, s:I}", "documents", (json_int_t)segments->docs, "deleted",
                   (json_int_t)segments->deleted, "segments", (json_int_t)segments->segments, "size",
                   (json_int_t)segments->size_bytes);
}

static int give_merged(struct os_command *command, const struct os_merge_request *request,
                       const struct os_merge_result *result) {
  json_t *response =
      json_pack("{s:s, s:b, s:s?, s:o, s:o}", "index", request->index, "finished", (int)result->finished,
                "task", result->task[0] != '\0' ? result->task : NULL, "before", figures(&result->before),
                "after", result->finished ? figures(&result->after) : json_null());
  if (request->dry_run)
    return os_command_result(command, "success", response, "Index %s (%lld segments) would be merged.",
                             request->index, (long long)result->before.segments);
  if (!result->finished)
    return os_command_result(
        command, "success", response,
        "The merge of index %s was started and goes on in the cluster: SELECT * FROM os_tasks shows it.",
        request->index);
  return os_command_result(command, "success", response,
                           "Merged index %s: segments %lld, then %lld; deleted documents %lld, then %lld.",
                           request->index, (long long)result->before.segments,
                           (long long)result->after.segments, (long long)result->before.deleted,
                           (long long)result->after.deleted);
}

int os_run_force_merge(struct os_command *command) {
  const struct os_options *options = &command->options;
  struct os_cluster cluster;
  struct os_merge_result result;
  struct os_merge_request request = {.max_segments = (int)os_options_int(options, "max_num_segments", 0),
                                     .only_expunge = os_options_bool(options, "only_expunge_deletes", false),
                                     .allow_writes = os_options_bool(options, "allow_writes", false),
                                     .dry_run = os_command_dry_run(command),
                                     .timeout = os_options_real(options, "timeout", 0)};
  int rc = os_command_text(command, 0, "index", &request.index);
  if (rc == OS_OK) rc = os_command_check_index_name(request.index, &command->error);
  if (rc == OS_OK && request.max_segments > 0 && request.only_expunge) {
    os_fail(&command->error, OS_ERR_ARGUMENT,
            "max_num_segments and only_expunge_deletes cannot be given together");
    return os_advise(&command->error, "merging into fewer segments drops deleted documents anyhow");
  }
  if (rc == OS_OK) rc = os_command_cluster(command, &cluster);
  if (rc != OS_OK) return rc;
  rc = os_command_job_begin(command, "force_merge", request.index);
  if (rc == OS_OK) rc = os_session_cluster_probe(command->session, &cluster, false, &command->error);
  if (rc == OS_OK) rc = os_merge_run(&command->job, &cluster, &request, &result, &command->error);
  if (rc == OS_OK) rc = give_merged(command, &request, &result);
  os_session_cluster_release(&cluster);
  return rc;
}
