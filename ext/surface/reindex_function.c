/* reindex_function.c - os_reindex(source, target [, options]): arguments in, one operation, JSON out.
**
** May call: operations/reindex, base/. Owns nothing.
*/
#include "surface/functions.h"

#include <string.h>
#include "base/json.h"
#include "operations/reindex/reindex.h"

static const char *const mode_words[] = {"auto", "resume", "fresh", "undo", NULL};
static const char *const slice_words[] = {"auto", NULL};
static const char *const op_words[] = {"index", "create", NULL};
static const char *const conflict_words[] = {"abort", "proceed", NULL};

static const struct os_option reindex_options[] = {
    {"source_connection", OS_OPT_TEXT, 1, 255, NULL, NULL},
    {"create", OS_OPT_BOOL | OS_OPT_OBJECT, 0, 0, NULL, "false"},
    {"query", OS_OPT_OBJECT, 0, 0, NULL, NULL},
    {"script", OS_OPT_TEXT | OS_OPT_OBJECT, 0, 0, NULL, NULL},
    {"pipeline", OS_OPT_TEXT, 1, 255, NULL, NULL},
    {"op_type", OS_OPT_WORD, 0, 0, op_words, "\"index\""},
    {"conflicts", OS_OPT_WORD, 0, 0, conflict_words, "\"abort\""},
    {"slices", OS_OPT_INT | OS_OPT_WORD, 1, 1024, slice_words, "\"auto\""},
    {"requests_per_second", OS_OPT_REAL | OS_OPT_NULL, 0.001, 1e9, NULL, NULL},
    {"backup", OS_OPT_BOOL, 0, 0, NULL, NULL},
    {"recreate_threshold", OS_OPT_INT, 0, 9e15, NULL, NULL},
    {"mode", OS_OPT_WORD, 0, 0, mode_words, "\"auto\""},
    {"allow_empty", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"allow_unverified", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"poll_interval", OS_OPT_SECONDS, 0.05, 3600, NULL, "2"},
    {NULL, 0, 0, 0, NULL, NULL},
};
const struct os_option_schema os_schema_reindex = {OS_COMMON_CONNECTION | OS_COMMON_DRY_RUN |
                                                       OS_COMMON_TIMEOUT | OS_COMMON_CORRELATION_ID |
                                                       OS_COMMON_PROGRESS,
                                                   reindex_options};

static enum os_reindex_mode mode_of(const struct os_options *options) {
  const char *word = os_options_text(options, "mode", "auto");
  int i = 0;
  while (mode_words[i] && strcmp(mode_words[i], word) != 0)
    i++;
  return (enum os_reindex_mode)i;
}

/* "create": false is as good as nothing; 1 is how json_object() writes true. */
static const json_t *create_of(const struct os_options *options) {
  const json_t *create = os_options_json(options, "create");
  if (json_is_object(create)) return create;
  return os_options_bool(options, "create", false) ? create : NULL;
}

static int fill(struct os_command *command, struct os_reindex_request *request, json_t **script) {
  const struct os_options *options = &command->options;
  int rc = os_command_text(command, 0, "source", &request->source);
  if (rc == OS_OK) rc = os_command_text(command, 1, "target", &request->target);
  if (rc == OS_OK) rc = os_command_check_index_name(request->target, &command->error);
  if (rc != OS_OK) return rc;
  const json_t *given = os_options_json(options, "script");
  if (json_is_string(given)) {
    *script = json_pack("{s:O, s:s}", "source", (json_t *)(uintptr_t)given, "lang", "painless");
    if (!*script) return os_fail_nomem(&command->error);
  } else if (json_is_object(given)) {
    *script = json_incref((json_t *)(uintptr_t)given);
  }
  request->script = *script;
  request->create = create_of(options);
  request->query = os_options_json(options, "query");
  request->pipeline = os_options_text(options, "pipeline", NULL);
  request->create_only = !strcmp(os_options_text(options, "op_type", "index"), "create");
  request->proceed = !strcmp(os_options_text(options, "conflicts", "abort"), "proceed");
  request->slices =
      json_is_integer(os_options_json(options, "slices")) ? (int)os_options_int(options, "slices", 1) : 0;
  request->requests_per_second = os_options_real(options, "requests_per_second", 0);
  request->poll_interval = os_options_real(options, "poll_interval", 0);
  request->recreate_threshold =
      os_options_int(options, "recreate_threshold",
                     os_settings_int(command->session->settings, OS_SET_INDEX_RECREATE_THRESHOLD));
  request->backup = !os_options_given(options, "backup")       ? OS_REINDEX_BACKUP_AUTO
                    : os_options_bool(options, "backup", true) ? OS_REINDEX_BACKUP_YES
                                                               : OS_REINDEX_BACKUP_NO;
  request->mode = mode_of(options);
  request->allow_empty = os_options_bool(options, "allow_empty", false);
  request->allow_unverified = os_options_bool(options, "allow_unverified", false);
  request->dry_run = os_command_dry_run(command);
  request->batch_bytes = os_settings_bytes(command->session->settings, OS_SET_BATCH_BYTES);
  request->max_workers = (int)os_settings_int(command->session->settings, OS_SET_MAX_WORKERS);
  return OS_OK;
}

/* The cluster of the source, when it is named. */
static int open_source(struct os_command *command, struct os_reindex_request *request,
                       struct os_cluster *source) {
  const char *connection = os_options_text(&command->options, "source_connection", NULL);
  if (!connection) return OS_OK;
  request->from = source;
  return os_session_cluster(command->session, connection, source, &command->error);
}

static json_t *count_or_null(int64_t count) {
  return count < 0 ? json_null() : json_integer((json_int_t)count);
}

static int give(struct os_command *command, const struct os_reindex_request *request,
                const struct os_reindex_result *result) {
  const struct os_reindex_figures *f = &result->figures;
  const char *source = request->source, *target = request->target;
  long long documents = (long long)result->source_documents;
  if (request->mode == OS_REINDEX_UNDO)
    return os_command_result(command, "success", json_pack("{s:s, s:s}", "source", source, "target", target),
                             request->dry_run ? "What was begun to copy to %s would be undone."
                             : result->complete
                                 ? "The copy to %s was complete; only its backup was left and is removed."
                                 : "What was begun to copy to %s is undone.",
                             target);
  json_t *response = json_pack(
      "{s:s, s:s, s:b, s:b, s:b, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "source", source,
      "target", target, "created_target", (int)result->made, "resumed", (int)result->resumed,
      "through_process", (int)result->through, "source_documents", count_or_null(result->source_documents),
      "total", (json_int_t)f->total, "created", (json_int_t)f->created, "updated", (json_int_t)f->updated,
      "deleted", (json_int_t)f->deleted, "noops", (json_int_t)f->noops, "version_conflicts",
      (json_int_t)f->version_conflicts, "target_before", count_or_null(result->target_before),
      "target_documents", request->dry_run ? json_null() : count_or_null(result->target_documents),
      "source_writes", request->dry_run ? json_null() : count_or_null(result->source_writes));
  if (request->dry_run && documents < 0)
    return os_command_result(command, "success", response,
                             "%s would be copied to %s; what it holds may not be counted.", source, target);
  if (request->dry_run)
    return os_command_result(command, "success", response, "%lld document%s of %s would be copied to %s.",
                             documents, documents == 1 ? "" : "s", source, target);
  long long copied = (long long)result->target_documents;
  if (result->source_writes > 0)
    return os_command_result(
        command, "success", response,
        "Copied %s to %s, which holds %lld documents. %s took %lld writes meanwhile: what they "
        "changed may be missing.",
        source, target, copied, source, (long long)result->source_writes);
  return os_command_result(command, "success", response, "Copied %s to %s, which %sholds %lld document%s.",
                           source, target, result->made ? "is new and " : "", copied, copied == 1 ? "" : "s");
}

int os_run_reindex(struct os_command *command) {
  struct os_cluster cluster, source = {0};
  struct os_reindex_result result = {0};
  struct os_reindex_request request = {0};
  json_t *script = NULL;
  int rc = fill(command, &request, &script);
  if (rc == OS_OK) rc = os_command_cluster(command, &cluster);
  if (rc == OS_OK) {
    rc = open_source(command, &request, &source);
    if (rc == OS_OK) rc = os_command_job_begin(command, "reindex", request.target);
    if (rc == OS_OK) {
      command->job.progress = os_command_progress(command);
      rc = os_reindex_run(&command->job, &cluster, &request, &result, &command->error);
    }
    if (rc == OS_OK) rc = give(command, &request, &result);
    os_session_cluster_release(&source);
    os_session_cluster_release(&cluster);
  }
  json_decref(script);
  return rc;
}
