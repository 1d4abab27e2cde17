/* load_tables.c - os_load_plan(path, index, options) and os_preview(path, options): what a load would do,
** and what it would send, as rows. Nothing is changed and no job is made.
*/
#include "surface/functions.h"
#include <stdio.h>
#include <string.h>
#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "operations/load/load.h"
#include "pipeline/examine.h"
#include "pipeline/fingerprint.h"
#include "surface/load_request.h"

/* Options of a table call: argument i, checked like those of os_bulk_load. */
static int read_options(struct os_rows_call *call, int i, struct os_options *options) {
  const char *text = NULL;
  int rc = os_rows_text(call, i, "options", &text);
  if (rc) return rc;
  return os_options_parse(options, &os_schema_bulk_load, text, text ? strlen(text) : 0, call->error);
}

static int append_row(struct os_rows_call *call, json_t *row) {
  if (!row || json_array_append_new(call->rows, row)) return os_fail_nomem(call->error);
  return OS_OK;
}

/* ---- os_load_plan --------------------------------------------------------------------------- */

static const char *const plan_columns[] = {"file",        "size",       "mtime",  "format",
                                           "fingerprint", "carries_id", "action", "start_offset",
                                           "why",         "columns",    "types",  NULL};
static const char *const plan_types[] = {"TEXT", "INTEGER", "TEXT", "TEXT", "TEXT", "INTEGER",
                                         "TEXT", "INTEGER", "TEXT", "TEXT", "TEXT"};
static const char *const plan_parameters[] = {"path", "index_name", "options", NULL};

static json_t *plan_row(const struct os_load *load, size_t i) {
  static const char *const actions[] = {"load", "continue", "skip", "replace", "refuse"};
  static const char *const endings[] = {"", ".gz", ".zst"};
  const struct os_source *source = os_load_source(load, i);
  const struct os_load_file *file = &load->files[i];
  char fingerprint[OS_FINGERPRINT_TEXT], mtime[OS_TIME_TEXT], format[32];
  os_fingerprint_text(source, fingerprint);
  os_clock_iso((double)source->mtime_ns / 1e9, mtime);
  snprintf(format, sizeof format, "%s%s", os_format_name(source->format), endings[source->compression]);
  json_t *row =
      json_pack("{s:s, s:I, s:s?, s:s, s:s, s:b, s:s, s:I, s:s?}", "file", source->path, "size",
                (json_int_t)source->size, "mtime", source->is_stream ? NULL : mtime, "format", format,
                "fingerprint", fingerprint, "carries_id", (int)file->carries_id, "action",
                actions[file->action], "start_offset", (json_int_t)source->start_offset, "why", file->why);
  if (row && file->columns) json_object_set(row, "columns", file->columns);
  if (row && file->types) json_object_set(row, "types", file->types);
  return row;
}

/* A refusal of the mode is a row of the plan (action refuse), not an error: the plan is there to show it. */
static int plan_rows(struct os_rows_call *call, struct os_load *load, int rc) {
  bool shown = false;
  if (!load->files) return rc;
  for (size_t i = 0; i < load->shared->list.count; i++)
    shown |= load->files[i].why != NULL;
  if (rc == OS_ERR_GUARD) {
    char sentence[OS_ERROR_TEXT + OS_ERROR_ADVICE];
    os_error_sentence(call->error, sentence, sizeof sentence);
    os_error_clear(call->error);
    rc = OS_OK;
    for (size_t i = 0; i < load->shared->list.count && !rc; i++) {
      json_t *row = plan_row(load, i);
      bool decided = shown && load->files[i].why != NULL;
      if (row && !decided) {
        json_object_set_new(row, "action", json_string("refuse"));
        json_object_set_new(row, "why", json_string(sentence));
      }
      rc = append_row(call, row);
    }
    return rc;
  }
  for (size_t i = 0; !rc && i < load->shared->list.count; i++)
    rc = append_row(call, plan_row(load, i));
  return rc;
}

static int fill_plan(struct os_rows_call *call) {
  struct os_session *session = call->session;
  struct os_options options = {0};
  struct os_load_request request;
  struct os_load load = {0};
  struct os_job job = {.session = session};
  struct os_cluster cluster;
  const char *path = NULL, *index = NULL;
  int rc = os_rows_text(call, 0, "path", &path);
  if (!rc) rc = os_rows_text(call, 1, "index_name", &index);
  if (!rc) rc = read_options(call, 2, &options);
  if (!rc) rc = os_load_request_fill(&request, &options, session->settings, path, index, call->error);
  if (!rc) rc = os_session_ledger(session, false, &job.ledger, call->error);
  if (!rc)
    rc = os_session_cluster(session, os_options_text(&options, "connection", NULL), &cluster, call->error);
  if (!rc) {
    request.dry_run = true;
    rc = os_load_begin(&load, &request, &job, &cluster, call->error);
    if (!rc) rc = os_load_step_guards(&load, call->error);
    if (!rc) rc = os_load_step_plan(&load, call->error);
    if (!rc) rc = os_load_step_mode(&load, call->error);
    rc = plan_rows(call, &load, rc);
    os_load_free(&load);
    os_session_cluster_release(&cluster);
  }
  json_decref(job.checks);
  os_options_free(&options);
  return rc;
}

const struct os_rows_table os_table_load_plan = {.name = "os_load_plan",
                                                 .columns = plan_columns,
                                                 .types = plan_types,
                                                 .parameters = plan_parameters,
                                                 .required = 1,
                                                 .direct_only = true,
                                                 .is_command = true,
                                                 .fill = fill_plan};

/* ---- os_preview ----------------------------------------------------------------------------- */

enum { PREVIEW_ROWS = 20 };

static const char *const preview_columns[] = {"file",     "line",    "byte_offset", "doc_id",
                                              "document", "problem", NULL};
static const char *const preview_types[] = {"TEXT", "INTEGER", "INTEGER", "TEXT", "TEXT", "TEXT"};
static const char *const preview_parameters[] = {"path", "options", "index_name", NULL};

struct preview { /* the record sink's context */
  struct os_rows_call *call;
  const char *path;
  const json_t *types;
  int rows;
};

/* Cells that do not fit their column's type are sent as text: name them. New reference or NULL. */
static json_t *misfits(const struct preview *preview, const char *doc, size_t len) {
  struct os_error ignored;
  os_error_clear(&ignored);
  json_t *root = os_json_parse(doc, len, OS_JSON_BIG_INTEGERS, "document", &ignored);
  json_t *type;
  const char *column;
  struct os_buf text;
  os_buf_init(&text, 0);
  json_object_foreach((json_t *)preview->types, column, type) {
    const char *word = json_string_value(type);
    const json_t *value = json_object_get(root, column);
    bool scalar_wanted = word && (!strcmp(word, "number") || !strcmp(word, "boolean"));
    if (!scalar_wanted || !json_is_string(value)) continue;
    os_buf_printf(&text, "%s%s: \"%.80s\" is no %s", text.len ? "; " : "", column, json_string_value(value),
                  word);
  }
  json_t *problem = text.len ? json_string(text.data) : NULL;
  os_buf_free(&text);
  json_decref(root);
  return problem;
}

static int preview_record(void *ctx, const struct os_record *record) {
  struct preview *preview = ctx;
  if (preview->rows++ >= PREVIEW_ROWS) return OS_ERR_CANCELLED;
  json_t *row =
      json_pack("{s:s, s:I, s:I, s:s%}", "file", preview->path, "line", (json_int_t)record->line,
                "byte_offset", (json_int_t)record->offset, "document", record->doc, record->doc_len);
  if (row && record->id.text)
    json_object_set_new(row, "doc_id", json_stringn(record->id.text, record->id.len));
  json_t *problem = row ? misfits(preview, record->doc, record->doc_len) : NULL;
  if (problem) json_object_set_new(row, "problem", problem);
  return append_row(preview->call, row);
}

static int preview_reject(void *ctx, const struct os_reject *reject) {
  struct preview *preview = ctx;
  if (preview->rows++ >= PREVIEW_ROWS) return OS_ERR_CANCELLED;
  return append_row(preview->call,
                    json_pack("{s:s, s:I, s:I, s:s}", "file", preview->path, "line", (json_int_t)reject->line,
                              "byte_offset", (json_int_t)reject->offset, "problem", reject->reason));
}

static int preview_file(struct os_rows_call *call, struct os_load *load, size_t i) {
  const struct os_source *source = os_load_source(load, i);
  struct preview preview = {.call = call, .path = source->path, .types = load->files[i].types};
  const struct os_record_sink sink = {preview_record, preview_reject, &preview};
  struct os_parser *parser = NULL;
  struct os_buf head;
  bool is_all = false;
  size_t used;
  os_buf_init(&head, 0);
  struct os_probe probe = os_session_probe(call->session);
  int rc = os_source_head(source, OS_EXAMINE_HEAD, &probe, &head, &is_all, call->error);
  struct os_parser_start start = {.source_name = os_source_file_name(source),
                                  .line = 1,
                                  .head = head.data,
                                  .head_len = head.len,
                                  .head_is_all = is_all};
  if (!rc && !os_buf_reserve(&head, OS_PAD)) rc = os_fail_nomem(call->error);
  start.head = head.data;
  if (!rc) rc = os_parser_open(&parser, source->format, &load->shared->parse, &start, &sink, call->error);
  if (!rc) rc = os_parser_run(parser, head.data, head.len, is_all, &used, call->error);
  if (rc == OS_ERR_CANCELLED || (rc == OS_ERR_FORMAT && preview.rows)) {
    os_error_clear(call->error);
    rc = OS_OK;
  }
  if (parser) os_parser_free(parser);
  os_buf_free(&head);
  return rc;
}

/* The mapping decides types when an index is named and can be asked; a preview works without a cluster, too.
 */
static void read_mapping(struct os_session *session, struct os_load *load, const char *connection,
                         const char *index) {
  struct os_cluster cluster;
  struct os_error ignored;
  os_error_clear(&ignored);
  if (!index || os_session_cluster(session, connection, &cluster, &ignored)) return;
  if (!os_cluster_mapping(&cluster, index, &load->shared->mapping, &ignored))
    load->shared->parse.mapping = load->shared->mapping;
  os_session_cluster_release(&cluster);
}

static int fill_preview(struct os_rows_call *call) {
  struct os_options options = {0};
  struct os_load_request request;
  struct os_load load = {0};
  struct os_job job = {.session = call->session};
  const char *path = NULL, *index = NULL;
  int rc = os_rows_text(call, 0, "path", &path);
  if (!rc) rc = read_options(call, 1, &options);
  if (!rc) rc = os_rows_text(call, 2, "index_name", &index);
  if (!rc)
    rc = os_load_request_fill(&request, &options, call->session->settings, path, index ? index : "preview",
                              call->error);
  if (!rc) {
    rc = os_load_begin(&load, &request, &job, NULL, call->error);
    if (!rc) read_mapping(call->session, &load, os_options_text(&options, "connection", NULL), index);
    if (!rc) rc = os_load_step_plan(&load, call->error);
    for (size_t i = 0; !rc && i < load.shared->list.count; i++)
      rc = preview_file(call, &load, i);
    os_load_free(&load);
  }
  json_decref(job.checks);
  os_options_free(&options);
  return rc;
}

const struct os_rows_table os_table_preview = {.name = "os_preview",
                                               .columns = preview_columns,
                                               .types = preview_types,
                                               .parameters = preview_parameters,
                                               .required = 1,
                                               .direct_only = true,
                                               .is_command = true,
                                               .fill = fill_preview};
