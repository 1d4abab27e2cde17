/* action.c - see action.h. Two ways lead to an action: the one that was sent, taken apart and
** put together again (what the server refused), and the parser (what the parser refused, or a repaired
** `raw`). Documents stay bytes all the way, so that numbers keep every digit.
**
** May call: pipeline (computed ids, hash of an id), format (scanner, parsers), base. */
#include "operations/retry/action.h"
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/text.h"
#include "format/parser.h"
#include "operations/retry/action_int.h"
#include "pipeline/bulk_action.h"
#include "pipeline/id_gate.h"

struct os_retry_builder *os_retry_builder_new(void) {
  struct os_retry_builder *builder = os_calloc(1, sizeof *builder);
  if (!builder) return NULL;
  os_json_scan_init(&builder->plain);
  os_json_scan_init(&builder->update);
  os_json_scan_init(&builder->action);
  os_json_scan_init(&builder->ops);
  os_json_scan_pick(&builder->update, "doc", false);
  os_json_scan_pick(&builder->update, "doc_as_upsert", true);
  os_json_scan_pick(&builder->action, "_id", true);
  os_json_scan_pick(&builder->action, "retry_on_conflict", true);
  os_json_scan_pick(&builder->action, "version", false);
  for (int op = 0; op < OS_RETRY_OPS; op++)
    os_json_scan_pick(&builder->ops, os_op_name((enum os_op)op), false);
  os_buf_init(&builder->input, 0);
  os_buf_init(&builder->document, 0);
  os_buf_init(&builder->line, 0);
  os_buf_init(&builder->id, 0);
  os_buf_init(&builder->out, 0);
  return builder;
}

void os_retry_builder_free(struct os_retry_builder *builder) {
  if (!builder) return;
  os_json_scan_free(&builder->plain);
  os_json_scan_free(&builder->update);
  os_json_scan_free(&builder->action);
  os_json_scan_free(&builder->ops);
  os_buf_free(&builder->input);
  os_buf_free(&builder->document);
  os_buf_free(&builder->line);
  os_buf_free(&builder->id);
  os_buf_free(&builder->out);
  os_free(builder->columns);
  os_free(builder->null_values);
  os_free(builder);
}

/* ---- from the action that was refused */

static enum os_op op_of_load(const struct os_retry_work *work) {
  const char *word = os_json_string(work->context, "op", work->row->op ? work->row->op : "index");
  if (os_json_bool(work->context, "create_only", false)) return OS_OP_CREATE;
  for (int op = 0; op < OS_RETRY_OPS; op++)
    if (!strcmp(word, os_op_name((enum os_op)op))) return (enum os_op)op;
  return OS_OP_INDEX;
}

/* Take the action line apart: {"op":{…}}. False: it is none, or there is no memory (then *rc). Its bytes
** stay in `line`, which the caller holds. */
static bool read_action(struct os_retry_work *work, const struct os_buf *line, struct os_retry_item *item,
                        int *rc) {
  struct os_json_scan *ops = &work->builder->ops, *scan = &work->builder->action;
  const char *meta = NULL;
  size_t meta_len = 0;
  *rc = OS_OK;
  if (!line->len || line->data[0] != '{' || !os_json_scan(ops, line->data, line->data + line->len)) goto no;
  for (int op = 0; op < OS_RETRY_OPS; op++) {
    const struct os_json_pick *pick = &ops->pick[op];
    if (pick->kind != OS_JSON_OBJECT) continue;
    item->op = (enum os_op)op;
    meta = pick->text;
    meta_len = pick->len;
  }
  if (!meta || !os_json_scan(scan, meta, meta + meta_len)) goto no;
  const struct os_json_pick *id = &scan->pick[OS_RETRY_ID], *conflicts = &scan->pick[OS_RETRY_CONFLICTS];
  if (id->kind == OS_JSON_STRING) {
    item->id = id->text;
    item->id_len = id->len;
  }
  if (conflicts->kind == OS_JSON_NUMBER && conflicts->len == 1)
    item->retry_on_conflict = conflicts->text[0] - '0';
  else
    item->retry_on_conflict = os_json_int(work->context, "retry_on_conflict", 0);
  item->versioned = scan->pick[OS_RETRY_VERSION].times > 0;
  item->members = scan->doc + 1; /* without its braces */
  item->members_len = scan->doc_len - 2;
  item->explicit_id = item->id && os_json_bool(work->context, "explicit", false);
  return true;
no:
  if (ops->fault == OS_JSON_NOMEM || scan->fault == OS_JSON_NOMEM) *rc = os_fail_nomem(work->error);
  return false;
}

/* doc_id as content of a JSON string. */
static const char *quoted(struct os_buf *buf, const char *text, size_t *len) {
  os_buf_clear(buf);
  os_buf_put_json(buf, text, strlen(text));
  if (buf->failed) return NULL;
  *len = buf->len - 2;
  return buf->data + 1;
}

static bool take_new_id(struct os_retry_work *work, struct os_retry_item *item) {
  item->id = quoted(&work->builder->id, work->new_id, &item->id_len);
  item->explicit_id = true;
  return item->id != NULL;
}

static int send_again(struct os_retry_work *work, struct os_retry_item *item) {
  struct os_retry_builder *builder = work->builder;
  int rc = OS_OK;
  if (!os_retry_minify(work, &rc)) return rc;
  item->wrapped = item->op == OS_OP_UPDATE;
  if (work->new_id) {
    if (!item->explicit_id) item->op = op_of_load(work);
    if (!take_new_id(work, item)) return os_fail_nomem(work->error);
  }
  item->document = builder->document.data;
  item->document_len = builder->document.len;
  return os_retry_send(work, item);
}

/* ---- through the parser */

/* Members of the action from what the parser found. */
static bool put_members(struct os_retry_work *work, const struct os_record *record,
                        struct os_retry_item *item) {
  struct os_buf *out = &work->builder->input; /* free while the parser's records come from `document` */
  const char *version_type = os_json_string(work->context, "version_type", "external");
  os_buf_clear(out);
  if (record->routing.text) {
    os_buf_puts(out, "\"routing\":\"");
    os_buf_append(out, record->routing.text, record->routing.len);
    os_buf_putc(out, '"');
  }
  if (item->versioned) {
    os_buf_puts(out, out->len ? ",\"version\":" : "\"version\":");
    os_buf_append(out, record->version.text, record->version.len);
    os_buf_puts(out, ",\"version_type\":");
    os_buf_put_json(out, version_type, strlen(version_type));
  }
  item->members = out->data;
  item->members_len = out->len;
  return !out->failed;
}

/* The id the record would have had in its file: its prefix and offset. Further records of a repaired `raw`
** get a number behind it, because what follows in the file has the next offsets. False: there is none. */
static bool compute_id(struct os_retry_work *work, struct os_retry_item *item) {
  const char *prefix = os_json_string(work->context, "id_prefix", "");
  struct os_buf *id = &work->builder->id;
  if (strlen(prefix) != OS_ID_PREFIX || work->row->byte_offset < 0) return false;
  os_buf_clear(id);
  os_put_computed_id(id, prefix, (uint64_t)work->row->byte_offset);
  if (work->handed_out) os_buf_printf(id, "-%llu", (unsigned long long)work->handed_out);
  item->id = id->data;
  item->id_len = id->len;
  return true;
}

static const char no_id[] =
    "the record has no id, and this load adds or changes documents by their id; give it "
    "one, in the record or as doc_id",
                  no_key[] =
                      "the record's id was its member name in the file, which the record alone does not "
                      "tell; UPDATE dlq_failures SET doc_id = …";

static int take_record(void *ctx, const struct os_record *record) {
  struct os_retry_work *work = ctx;
  const char *id_field = os_json_string(work->context, "id_field", NULL);
  struct os_retry_item item = {.op = op_of_load(work),
                               .id = record->id.text,
                               .id_len = record->id.len,
                               .explicit_id = record->id.text != NULL,
                               .document = record->doc,
                               .document_len = record->doc_len,
                               .retry_on_conflict = os_json_int(work->context, "retry_on_conflict", 0)};
  bool keyed = id_field && !strcmp(id_field, "@key");
  if (work->new_id && !work->handed_out && !take_new_id(work, &item)) return os_fail_nomem(work->error);
  if (!item.id && keyed) return os_retry_refuse(work, "id_missing", no_key);
  item.versioned = item.id && record->version.text && os_json_at(work->context, "version_type") != NULL;
  if (item.versioned && !os_is_json_long(record->version.text, record->version.len))
    return os_retry_refuse(
        work, "version_invalid",
        "the version is not a whole number from 0 to 9223372036854775807, without zeros in front");
  if (!item.id) {
    if (os_json_bool(work->context, "id_required", false) || item.op == OS_OP_UPDATE)
      return os_retry_refuse(work, "id_missing", no_id);
    bool computed = compute_id(work, &item);
    if (item.op != OS_OP_CREATE) item.op = computed ? OS_OP_CREATE : OS_OP_INDEX;
    if (work->builder->id.failed) return os_fail_nomem(work->error);
  }
  if (!put_members(work, record, &item)) return os_fail_nomem(work->error);
  return os_retry_send(work, &item);
}

static int take_reject(void *ctx, const struct os_reject *reject) {
  struct os_retry_work *work = ctx;
  return os_retry_refuse(work, reject->type, reject->reason);
}

/* An array of texts in the context as the parser wants it. False: no memory. */
static bool text_array(const struct os_retry_work *work, const char *key, const char ***array,
                       size_t *count) {
  const json_t *texts = json_object_get(work->context, key);
  size_t n = json_array_size(texts);
  *array = os_calloc(n + 1, sizeof **array);
  *count = 0;
  for (size_t i = 0; *array && i < n; i++) {
    const char *text = json_string_value(json_array_get(texts, i));
    if (text) (*array)[(*count)++] = text;
  }
  return *array != NULL;
}

static bool fill_options(struct os_retry_work *work, struct os_parse_options *options) {
  struct os_retry_builder *builder = work->builder;
  const json_t *context = work->context;
  *options = (struct os_parse_options){
      .json_root = OS_ROOT_DOCUMENT,
      .id_field = os_json_string(context, "id_field", NULL),
      .routing_field = os_json_string(context, "routing_field", NULL),
      .version_field = os_json_string(context, "version_field", NULL),
      .source_field = os_json_string(context, "source_field", NULL),
      .delimiter = os_json_string(context, "delimiter", "")[0],
      .quote = os_json_string(context, "quote", "")[0],
      .no_quote = os_json_bool(context, "no_quote", false),
      .trim = os_json_bool(context, "trim", false),
      .nested_columns = os_json_bool(context, "nested_columns", true),
      .types = json_is_object(json_object_get(context, "types")) ? json_object_get(context, "types") : NULL};
  bool ok = text_array(work, "columns", &builder->columns, &options->column_count) &&
            text_array(work, "null_values", &builder->null_values, &options->null_value_count);
  options->columns = builder->columns;
  options->null_values = builder->null_values;
  return ok;
}

/* Parse the bytes as one record, or more, of the row's file, from the place where it stood. */
static int parse(struct os_retry_work *work, enum os_format format, const char *bytes, size_t len) {
  struct os_retry_builder *builder = work->builder;
  const struct os_failed_row *row = work->row;
  struct os_parse_options options;
  struct os_parser *parser = NULL;
  const struct os_record_sink sink = {take_record, take_reject, work};
  struct os_error why;
  size_t used = 0;
  int rc;
  os_error_clear(&why);
  os_buf_clear(&builder->document); /* what is parsed needs readable bytes behind it */
  os_buf_append(&builder->document, bytes, len);
  if (!fill_options(work, &options) || builder->document.failed) {
    rc = os_fail_nomem(work->error);
    goto done;
  }
  struct os_parser_start start = {.source_name = os_json_string(work->context, "name", ""),
                                  .offset = row->byte_offset > 0 ? (uint64_t)row->byte_offset : 0,
                                  .line = row->line > 0 ? (uint64_t)row->line : 1,
                                  .head = builder->document.data,
                                  .head_len = builder->document.len,
                                  .head_is_all = true};
  rc = len ? os_parser_open(&parser, format, &options, &start, &sink, &why) : OS_OK;
  if (!rc && len)
    rc = os_parser_run(parser, builder->document.data, builder->document.len, true, &used, &why);
  if (rc == OS_ERR_NOMEM) os_fail_nomem(work->error);
  bool unreadable = rc && why.code && rc != OS_ERR_NOMEM;
  if (unreadable) /* the parser's own words; what the sink returned comes without */
    rc = os_retry_refuse(work, "invalid_record", why.text);
  else if (!rc && !work->handed_out)
    rc = os_retry_refuse(
        work, "no_record",
        "there is no record in it; set document or raw, or dismiss the row: DELETE FROM dlq_failures");
done:
  if (parser) os_parser_free(parser);
  os_free(builder->columns);
  os_free(builder->null_values);
  builder->columns = builder->null_values = NULL;
  return rc;
}

static int parse_raw(struct os_retry_work *work) {
  enum os_format format;
  const char *word = os_json_string(work->context, "format", "");
  bool known = os_format_from_word(word, &format);
  bool csv = known && (format == OS_FORMAT_CSV || format == OS_FORMAT_TSV);
  if (!work->row->raw || !known || (csv && !json_array_size(json_object_get(work->context, "columns"))))
    return os_retry_refuse(work, "nothing_to_send",
                           "the row has no document, and its raw cannot be read without its file; "
                           "UPDATE dlq_failures SET document = …");
  if (!csv) format = OS_FORMAT_NDJSON; /* alone, a record is a line, whatever it stood in */
  return parse(work, format, work->row->raw, work->row->raw_len);
}

/* ---- a row
** ---------------------------------------------------------------------------------------------------------
*/

/* What the refused action tells also when the record goes through the parser: whose id the standing is. */
static void compare_ids(struct os_retry_work *work, const struct os_retry_item *old, const char *quoted_id,
                        size_t len) {
  uint64_t hash = quoted_id ? os_gate_hash(quoted_id, len) : 0;
  if (old->explicit_id) work->old_hash = os_gate_hash(old->id, old->id_len);
  bool same = old->id && hash == os_gate_hash(old->id, old->id_len);
  if (hash && !same) work->new_id = work->row->doc_id;
}

static int build(struct os_retry_work *work, struct os_buf *line) {
  const struct os_failed_row *row = work->row;
  const char *text = os_json_string(work->context, "action", NULL), *id_text = NULL;
  struct os_retry_item item = {.op = OS_OP_INDEX};
  size_t id_len = 0;
  int rc = OS_OK;
  bool sent = false;
  if (text) os_buf_append(line, text, strlen(text));
  if (line->failed) return os_fail_nomem(work->error);
  if (text) sent = read_action(work, line, &item, &rc);
  if (rc) return rc;
  if (row->doc_id && row->doc_id[0]) {
    id_text = quoted(&work->builder->id, row->doc_id, &id_len);
    if (!id_text) return os_fail_nomem(work->error);
  }
  compare_ids(work, &item, id_text, id_len);
  if (row->document && sent) return send_again(work, &item);
  const char *id_field = os_json_string(work->context, "id_field", NULL);
  if (sent && item.explicit_id && id_field && !strcmp(id_field, "@key")) work->new_id = row->doc_id;
  return row->document ? parse(work, OS_FORMAT_NDJSON, row->document, row->document_len) : parse_raw(work);
}

int os_retry_build(struct os_retry_builder *builder, const struct os_failed_row *row, bool overwrite,
                   const struct os_retry_sink *sink, struct os_error *error) {
  struct os_retry_work work = {
      .builder = builder, .row = row, .sink = sink, .overwrite = overwrite, .error = error};
  struct os_error damaged;
  struct os_buf line;
  os_error_clear(&damaged);
  os_buf_init(&line, 0);
  work.context = row->context ? os_json_parse(row->context, strlen(row->context), OS_JSON_BIG_INTEGERS,
                                              "context", &damaged)
                              : json_object();
  int rc = damaged.code == OS_ERR_NOMEM || (!work.context && !damaged.code) ? os_fail_nomem(error) : OS_OK;
  if (!rc && !json_is_object(work.context))
    rc = os_retry_refuse(
        &work, "context_damaged",
        "how the record was read and sent cannot be told any more; load it again from its file");
  else if (!rc)
    rc = build(&work, &line);
  os_buf_free(&line);
  json_decref(work.context);
  return rc;
}
