/* item.c - one record of a failed row on its way out: whether it goes as it was, only over what stood
** there, or as create; its action line and its document line. See action.h for the rules. Pure. */
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "operations/retry/action_int.h"
#include "pipeline/id_gate.h"

enum { REASON = 1024 };

int os_retry_refuse(struct os_retry_work *work, const char *type, const char *reason) {
  work->handed_out++;
  return work->sink->refuse(work->sink->ctx, type, reason);
}

/* ---- the document */

/* The row's document on one line into builder->document. False: it was refused, and *rc is what the sink
** said; or there is no memory. */
bool os_retry_minify(struct os_retry_work *work, int *rc) {
  struct os_retry_builder *builder = work->builder;
  struct os_json_scan *scan = &builder->plain;
  char reason[REASON];
  os_buf_clear(&builder->input);
  os_buf_append(&builder->input, work->row->document, work->row->document_len);
  os_buf_clear(&builder->document);
  if (builder->input.failed) goto nomem;
  const char *p = builder->input.data ? builder->input.data : "", *end = p + builder->input.len;
  while (p < end && os_json_blank(*p))
    p++;
  if (p == end || os_json_kind_of(*p) != OS_JSON_OBJECT) {
    *rc = os_retry_refuse(work, "not_an_object",
                          "the document is not a JSON object; set it to one: {\"member\": value}");
    return false;
  }
  const char *after = p;
  bool good = os_json_scan(scan, p, end);
  if (good)
    for (after = scan->end; after < end && os_json_blank(*after);)
      after++;
  else if (scan->fault == OS_JSON_NOMEM)
    goto nomem;
  if (!good || after < end) {
    const char *at = good ? after : scan->at ? scan->at : end;
    snprintf(reason, sizeof reason, "the document is not valid JSON: at byte %zu %s%s",
             (size_t)(at - builder->input.data), good ? "something stands behind the object" : scan->expected,
             good ? "" : " should stand");
    *rc = os_retry_refuse(work, "invalid_json", reason);
    return false;
  }
  if (scan->too_deep) {
    snprintf(reason, sizeof reason, "the document is nested %d levels deep or more", OS_JSON_DEPTH_MAX);
    *rc = os_retry_refuse(work, "json_too_deep", reason);
    return false;
  }
  os_buf_append(&builder->document, scan->doc, scan->doc_len);
  if (!builder->document.failed) return true;
nomem:
  *rc = os_fail_nomem(work->error);
  return false;
}

/* ---- how it is sent */

enum manner { AS_IT_WAS, IF_UNCHANGED, AS_CREATE };

static const json_t *standing_of(const struct os_retry_work *work, const struct os_retry_item *item) {
  const json_t *place = json_object_get(work->context, "standing");
  bool same = work->old_hash && work->old_hash == os_gate_hash(item->id, item->id_len);
  bool known = same && json_is_integer(json_array_get(place, 0)) && json_is_integer(json_array_get(place, 1));
  return known ? place : NULL;
}

static enum manner manner_of(const struct os_retry_work *work, const struct os_retry_item *item) {
  if (!item->explicit_id || work->overwrite || item->versioned || item->op == OS_OP_CREATE) return AS_IT_WAS;
  return standing_of(work, item) ? IF_UNCHANGED : AS_CREATE;
}

static void put_member(struct os_buf *out, const char *text, size_t len) {
  if (!len) return;
  if (out->len && out->data[out->len - 1] != '{') os_buf_putc(out, ',');
  os_buf_append(out, text, len);
}

static void put_words(struct os_buf *out, const char *words) {
  put_member(out, words, strlen(words));
}

static void put_action(struct os_retry_work *work, const struct os_retry_item *item, enum manner manner,
                       enum os_op op) {
  struct os_buf *out = &work->builder->line;
  const char *pipeline = os_json_string(work->context, "pipeline", NULL);
  char number[96];
  os_buf_clear(out);
  os_buf_printf(out, "{\"%s\":{", os_op_name(op));
  if (item->id) {
    os_buf_puts(out, "\"_id\":\"");
    os_buf_append(out, item->id, item->id_len);
    os_buf_putc(out, '"');
  }
  put_member(out, item->members, item->members_len);
  if (manner == IF_UNCHANGED) {
    const json_t *place = standing_of(work, item);
    snprintf(number, sizeof number, "\"if_seq_no\":%lld,\"if_primary_term\":%lld",
             (long long)json_integer_value(json_array_get(place, 0)),
             (long long)json_integer_value(json_array_get(place, 1)));
    put_words(out, number);
  } else if (op == OS_OP_UPDATE && item->retry_on_conflict > 0) {
    snprintf(number, sizeof number, "\"retry_on_conflict\":%lld", (long long)item->retry_on_conflict);
    put_words(out, number);
  }
  if (pipeline) {
    put_words(out, "\"pipeline\":");
    os_buf_put_json(out, pipeline, strlen(pipeline));
  }
  if (os_json_bool(work->context, "require_alias", false)) put_words(out, "\"require_alias\":true");
  os_buf_puts(out, "}}\n");
}

/* The document line: an update's wrapped, anything else's plain. False: the sink or memory said no. */
static bool put_document(struct os_retry_work *work, const struct os_retry_item *item, enum manner manner,
                         enum os_op op, struct os_push *push, int *rc) {
  struct os_json_scan *scan = &work->builder->update;
  struct os_buf *out = &work->builder->out;
  push->document = item->document;
  push->document_len = item->document_len;
  if (!item->wrapped) {
    if (op != OS_OP_UPDATE) return true;
    os_buf_clear(out);
    os_buf_puts(out, "{\"doc\":");
    os_buf_append(out, item->document, item->document_len);
    os_buf_puts(out, manner == IF_UNCHANGED ? "}" : ",\"doc_as_upsert\":true}");
    push->document = out->data;
    push->document_len = out->len;
    if (!out->failed) return true;
    *rc = os_fail_nomem(work->error);
    return false;
  }
  if (!os_json_scan(scan, item->document, item->document + item->document_len)) {
    *rc = os_fail_nomem(work->error); /* it was valid a moment ago */
    return false;
  }
  const struct os_json_pick *doc = &scan->pick[OS_RETRY_DOC];
  if (doc->times != 1 || doc->kind != OS_JSON_OBJECT || scan->pick[OS_RETRY_UPSERT].times > 1) {
    *rc = os_retry_refuse(
        work, "invalid_update",
        "the document of an update must be {\"doc\": {…}, \"doc_as_upsert\": true}, as it was sent");
    return false;
  }
  if (op != OS_OP_UPDATE) { /* nothing stood there: the partial document is all of it */
    push->document = doc->text;
    push->document_len = doc->len;
  } else if (manner == IF_UNCHANGED) {
    push->document = scan->doc;
    push->document_len = scan->doc_len;
  }
  return true;
}

int os_retry_send(struct os_retry_work *work, const struct os_retry_item *item) {
  enum manner manner = manner_of(work, item);
  enum os_op op = manner == AS_CREATE ? OS_OP_CREATE : item->op;
  struct os_push push = {.op = op, .conditional = manner == IF_UNCHANGED};
  int rc = OS_OK;
  put_action(work, item, manner, op);
  if (!put_document(work, item, manner, op, &push, &rc)) return rc;
  if (work->builder->line.failed) return os_fail_nomem(work->error);
  push.action = work->builder->line.data;
  push.action_len = work->builder->line.len;
  if (item->explicit_id) {
    push.explicit_id = item->id;
    push.explicit_id_len = item->id_len;
  }
  work->handed_out++;
  return work->sink->send(work->sink->ctx, &push);
}
