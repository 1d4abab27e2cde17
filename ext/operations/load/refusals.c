/* refusals.c - see refusals.h.
**
** A row must be enough to send the record again without the file: the exact bytes, the document that was
** built, and as `context` the dialect with its columns and what makes the action; for what the server refused
** also the action line itself and what stood under its id.
*/
#define _GNU_SOURCE
#include "operations/load/refusals.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/json.h"
#include "net/http.h"
#include "pipeline/examine.h"
#include "pipeline/fingerprint.h"

/* {"_id":…, "routing":…} of a refused action: without its routing a document would be looked for in the wrong
** shard. */
static json_t *place_to_look(const struct os_refusal *refusal) {
  json_t *root = NULL, *meta, *place = NULL;
  const char *op;
  if (refusal->explicit_id && refusal->doc_id && refusal->action && refusal->status)
    root = os_json_load(refusal->action, strlen(refusal->action), JSON_DECODE_INT_AS_REAL, NULL);
  json_object_foreach(root, op, meta) {
    json_t *routing = json_object_get(meta, "routing");
    place = json_pack("{s:s}", "_id", refusal->doc_id);
    if (place && routing) json_object_set(place, "routing", routing);
  }
  json_decref(root);
  return place;
}

json_t *os_load_standing(struct os_load *load, const struct os_batch *batch) {
  json_t *docs = json_array(), *standing = NULL, *answer = NULL, *doc;
  size_t i;
  for (i = 0; docs && i < batch->refusal_count; i++) {
    json_t *place = place_to_look(&batch->refusals[i]);
    if (place) json_array_append_new(docs, place);
  }
  if (!json_array_size(docs) || load->request->dry_run) goto done;
  char *path = os_cluster_path(load->target.concrete, "/_mget?_source=false");
  json_t *request = json_pack("{s:O}", "docs", docs);
  char *body = request ? os_json_text(request) : NULL;
  struct os_cluster_call call = {.method = "POST", .path = path, .body = body, .idempotent = true};
  struct os_error ignored;
  os_error_clear(&ignored);
  if (body && path && os_cluster_request(load->cluster, &call, NULL, &answer, &ignored) == OS_OK)
    standing = json_object();
  json_array_foreach(os_json_at(answer, "docs"), i, doc) {
    const char *id = os_json_string(doc, "_id", NULL);
    if (!id || json_object_get(doc, "error")) continue;
    json_t *place = json_null();
    if (os_json_bool(doc, "found", false))
      place = json_pack("[I, I]", (json_int_t)os_json_int(doc, "_seq_no", -1),
                        (json_int_t)os_json_int(doc, "_primary_term", -1));
    os_json_put(standing, id, place);
  }
  json_decref(request);
  os_free(body);
  os_free(path);
done:
  json_decref(docs);
  json_decref(answer);
  return standing;
}

/* The record's bytes once more from its file; NULL when they cannot be had. */
static char *read_again(const struct os_source *source, uint64_t offset, size_t len) {
  char *raw = os_malloc(len + 1);
  int fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  size_t have = 0;
  while (raw && fd >= 0 && have < len) {
    ssize_t n = pread(fd, raw + have, len - have, (off_t)(offset + have));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    have += (size_t)n;
  }
  if (fd >= 0) close(fd);
  if (have == len && raw) {
    raw[len] = 0;
    return raw;
  }
  os_free(raw);
  return NULL;
}

/* Columns and types are not kept for very many files: then they are read from the file's head once more. */
static void look_at_columns(struct os_load *load, uint32_t number) {
  struct os_load_file *file = &load->files[number];
  struct os_source *source = os_load_source(load, number);
  struct os_head_facts facts;
  struct os_error ignored;
  struct os_buf head;
  bool is_all = false, csv = source->format == OS_FORMAT_CSV || source->format == OS_FORMAT_TSV;
  if (file->columns || !csv || source->is_stream) return;
  os_error_clear(&ignored);
  os_buf_init(&head, 0);
  struct os_probe probe = os_session_probe(load->session);
  if (os_source_head(source, OS_EXAMINE_HEAD, &probe, &head, &is_all, &ignored) == OS_OK &&
      os_head_examine(source->format, &load->shared->parse, head.data, head.len, is_all, &facts, &ignored) ==
          OS_OK) {
    file->columns = json_incref(facts.columns);
    file->types = json_incref(facts.types);
    os_head_facts_free(&facts);
  }
  os_buf_free(&head);
}

/* How the record was read and how its action is made: enough to do both again. */
static json_t *dialect(struct os_load *load, const struct os_refusal *refusal) {
  const struct os_load_request *request = load->request;
  const struct os_source *source = os_load_source(load, refusal->source);
  const struct os_load_file *file = &load->files[refusal->source];
  const struct os_parse_options *parse = &load->shared->parse;
  char delimiter[2] = {parse->delimiter, 0}, quote[2] = {parse->quote, 0};
  look_at_columns(load, refusal->source);
  json_t *context =
      json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:s?, s:s?, s:s?, s:s?, s:s, s:s, s:s}", "format",
                os_format_name(source->format), "delimiter", delimiter, "quote", quote, "no_quote",
                (int)parse->no_quote, "trim", (int)parse->trim, "nested_columns", (int)parse->nested_columns,
                "id_field", parse->id_field, "routing_field", parse->routing_field, "version_field",
                parse->version_field, "source_field", parse->source_field, "name", source->name, "id_prefix",
                source->id_prefix, "op", os_op_name(request->op));
  if (!context) return NULL;
  bool ok = true;
  if (file->columns) ok &= !json_object_set(context, "columns", file->columns);
  if (file->types) ok &= !json_object_set(context, "types", file->types);
  if (request->null_values) ok &= !json_object_set(context, "null_values", (json_t *)request->null_values);
  if (load->mode == OS_MODE_UPSERT) ok &= os_json_put(context, "id_required", json_true());
  if (load->target.data_stream) ok &= os_json_put(context, "create_only", json_true());
  if (request->require_alias) ok &= os_json_put(context, "require_alias", json_true());
  if (request->pipeline) ok &= os_json_put(context, "pipeline", json_string(request->pipeline));
  if (parse->version_field) ok &= os_json_put(context, "version_type", json_string(request->version_type));
  if (request->retry_on_conflict)
    ok &= os_json_put(context, "retry_on_conflict", json_integer(request->retry_on_conflict));
  if (ok) return context;
  json_decref(context);
  return NULL;
}

/* For what the server refused also the action as it was sent, and what stands under its id. */
static json_t *context_of(struct os_load *load, const struct os_refusal *refusal, const json_t *standing) {
  json_t *context = dialect(load, refusal);
  if (!context || !os_json_put(context, "endpoint", json_string(load->cluster->endpoint->url)) ||
      !refusal->action)
    return context;
  bool ok = os_json_put(context, "action", json_string(refusal->action));
  ok &= os_json_put(context, "explicit", json_boolean(refusal->explicit_id));
  if (refusal->explicit_id && standing && refusal->doc_id) {
    json_t *place = json_object_get(standing, refusal->doc_id);
    /* overtaken: whatever stands there is newer, so the record only goes where nothing is */
    if (place) ok &= !json_object_set(context, "standing", refusal->overtaken ? json_null() : place);
  }
  if (ok) return context;
  json_decref(context);
  return NULL;
}

static int put_one(struct os_load *load, struct os_refusal *refusal, const json_t *standing,
                   struct os_error *error) {
  const struct os_source *source = os_load_source(load, refusal->source);
  json_t *context = context_of(load, refusal, standing);
  char *context_text = context ? os_json_text(context) : NULL;
  if (!refusal->raw && refusal->raw_len) refusal->raw = read_again(source, refusal->offset, refusal->raw_len);
  struct os_failure failure = {.job = load->job->number,
                               .index_name = load->request->index,
                               .file = source->path,
                               .line = (int64_t)refusal->line,
                               .byte_offset = (int64_t)refusal->offset,
                               .doc_id = refusal->doc_id,
                               .op = os_op_name(refusal->op),
                               .status = refusal->status,
                               .error_type = refusal->type,
                               .error_reason = refusal->reason,
                               .document = refusal->document,
                               .document_len = (int64_t)refusal->document_len,
                               .raw = refusal->raw,
                               .raw_len = refusal->raw ? (int64_t)refusal->raw_len : 0,
                               .attempts = refusal->attempts ? refusal->attempts : 1,
                               .context = context_text};
  int rc = context_text ? os_ledger_failure_put(load->ledger, &failure, error) : os_fail_nomem(error);
  os_free(context_text);
  json_decref(context);
  return rc;
}

static int by_place(const void *a, const void *b) {
  const struct os_refusal *left = a, *right = b;
  if (left->source != right->source) return left->source < right->source ? -1 : 1;
  return (left->offset > right->offset) - (left->offset < right->offset);
}

/* In the order of their records, the parser's refusals and the server's: of two rows for one id the later
** is the newer one. */
int os_load_put_refusals(struct os_load *load, struct os_batch *batch, const json_t *standing,
                         struct os_error *error) {
  int rc = OS_OK;
  if (batch->refusal_count) qsort(batch->refusals, batch->refusal_count, sizeof *batch->refusals, by_place);
  for (size_t i = 0; i < batch->refusal_count && !rc; i++)
    rc = put_one(load, &batch->refusals[i], standing, error);
  return rc;
}

int os_load_accept(struct os_load *load, const struct os_batch *batch, struct os_error *error) {
  int rc = OS_OK;
  for (size_t i = 0; i < batch->segment_count && !rc; i++) {
    const struct os_segment *segment = &batch->segments[i];
    const struct os_source *source = os_load_source(load, segment->source);
    char fingerprint[OS_FINGERPRINT_TEXT];
    if (!source->has_digest) continue;
    os_fingerprint_text(source, fingerprint);
    rc = os_ledger_failure_accepted(load->ledger, load->job->number, load->request->index, source->path,
                                    fingerprint, (int64_t)segment->from, (int64_t)segment->to, error);
  }
  return rc;
}
