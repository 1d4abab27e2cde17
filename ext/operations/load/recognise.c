/* recognise.c - see recognise.h. */
#include "operations/load/recognise.h"
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/json.h"
#include "net/http.h"

enum { PAGE = 500 /* documents asked for at once */, CONFLICT = 409 };

static bool is_candidate(const struct os_refusal *refusal) {
  return refusal->status == CONFLICT && refusal->op == OS_OP_CREATE && refusal->doc_id && refusal->action &&
         refusal->document;
}

/* {"_id":…,"routing":…} from the action line. New reference; NULL when it has none. */
static json_t *place_of(const struct os_refusal *refusal) {
  struct os_error ignored;
  os_error_clear(&ignored);
  json_t *action = os_json_parse(refusal->action, strlen(refusal->action), 0, "action", &ignored);
  const json_t *meta = os_json_at(action, "create");
  const char *routing = os_json_string(meta, "routing", NULL);
  json_t *place = json_pack("{s:s, s:s*}", "_id", refusal->doc_id, "routing", routing);
  json_decref(action);
  return place;
}

/* *answer stays NULL when the user may write and not read: nothing can be compared. */
static int ask(struct os_load *load, json_t *places, json_t **answer, struct os_error *error) {
  char *path = os_cluster_path(load->target.concrete, "/_mget");
  json_t *request = json_pack("{s:O}", "docs", places);
  char *body = request ? os_json_text(request) : NULL;
  struct os_cluster_call call = {
      .method = "POST", .path = path, .body = body, .idempotent = true, .what = "look at ids that are taken"};
  int rc =
      body && path ? os_cluster_request(load->cluster, &call, NULL, answer, error) : os_fail_nomem(error);
  os_free(path);
  os_free(body);
  json_decref(request);
  if (rc == OS_ERR_FORBIDDEN) {
    os_error_clear(error);
    return OS_OK;
  }
  if (!rc && !*answer) rc = os_fail(error, OS_ERR_ANSWER, "_mget was answered with nothing");
  return rc;
}

/* found: what stands there; NULL: it may not be asked. Where nothing can be compared (no right to read, no
** _source, a pipeline that rewrites documents), what may have been sent before is taken for ours. */
static bool is_ours(const struct os_load *load, const struct os_refusal *refusal, const json_t *found) {
  const json_t *source = os_json_bool(found, "found", false) ? json_object_get(found, "_source") : NULL;
  struct os_error ignored;
  os_error_clear(&ignored);
  json_t *ours =
      os_json_parse(refusal->document, refusal->document_len, OS_JSON_BIG_INTEGERS, "document", &ignored);
  bool same = ours && source && json_equal(ours, source);
  json_decref(ours);
  return same || (refusal->maybe_sent && (!source || load->request->pipeline));
}

/* A shard that could not answer says so in its documents. */
static int check_answer(const json_t *answer, size_t asked, struct os_error *error) {
  const json_t *docs = os_json_at(answer, "docs"), *doc;
  size_t i;
  if (!answer) return OS_OK;
  if (json_array_size(docs) != asked)
    return os_fail(error, OS_ERR_ANSWER, "_mget was asked for %zu documents and answered %zu", asked,
                   json_array_size(docs));
  json_array_foreach(docs, i, doc) {
    const char *type = os_json_string(doc, "error/type", NULL);
    if (type && strcmp(type, "security_exception"))
      return os_fail(error, OS_ERR_ANSWER, "_mget: %s: %s", type, os_json_string(doc, "error/reason", ""));
  }
  return OS_OK;
}

/* Candidates from *next on, at most a page: marks[i] = 1 for those that stand in the index. */
static int recognise_page(struct os_load *load, struct os_batch *batch, size_t *next, unsigned char *marks,
                          struct os_error *error) {
  json_t *places = json_array(), *answer = NULL;
  size_t first = *next, asked = 0, seen = 0;
  int rc = places ? OS_OK : os_fail_nomem(error);
  for (; !rc && *next < batch->refusal_count && asked < PAGE; ++*next) {
    if (!is_candidate(&batch->refusals[*next])) continue;
    if (json_array_append_new(places, place_of(&batch->refusals[*next]))) rc = os_fail_nomem(error);
    asked++;
  }
  if (!rc && asked) rc = ask(load, places, &answer, error);
  if (!rc) rc = check_answer(answer, asked, error);
  for (size_t i = first; i < *next && !rc; i++)
    if (is_candidate(&batch->refusals[i]))
      marks[i] = is_ours(load, &batch->refusals[i], json_array_get(os_json_at(answer, "docs"), seen++));
  json_decref(answer);
  json_decref(places);
  return rc;
}

int os_load_recognise(struct os_load *load, struct os_batch *batch, struct os_error *error) {
  size_t candidates = 0, kept = 0;
  int rc = OS_OK;
  for (size_t i = 0; i < batch->refusal_count; i++)
    candidates += is_candidate(&batch->refusals[i]);
  if (!candidates) return OS_OK;
  unsigned char *marks = os_calloc(batch->refusal_count, 1);
  if (!marks) return os_fail_nomem(error);
  for (size_t next = 0; next < batch->refusal_count && !rc;)
    rc = recognise_page(load, batch, &next, marks, error);
  for (size_t i = 0; i < batch->refusal_count && !rc; i++) {
    if (marks[i]) {
      batch->outcomes[OS_REFUSED]--;
      batch->outcomes[OS_ALREADY]++;
      os_refusal_clear(&batch->refusals[i]);
    } else {
      batch->refusals[kept++] = batch->refusals[i];
    }
  }
  if (!rc) batch->refusal_count = kept;
  os_free(marks);
  return rc;
}
