/* target.c - the target is created, or emptied with a backup; see reindex_int.h.
**
** Steps of the ledger, item the target: "create" (data: uuid, once it is known) or "clean" (uuid
** afterwards, documents that it had); the backup of a clean-up is a step of its own (cleanup/backup.c).
*/
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "operations/cleanup/cleanup.h"
#include "operations/index_definition.h"
#include "operations/reindex/reindex_int.h"
#include "operations/settle.h"
#include "operations/visible.h"

static const char step[] = "target";
static const double ANSWER_GRACE =
    5; /* seconds that an answer may still take after Ctrl-C, so that it is known */

/* ---- created ---- */

int os_reindex_definition(struct os_reindex *r, json_t **definition, struct os_error *error) {
  *definition = os_index_definition(r->source_index);
  if (!*definition) return os_fail_nomem(error);
  if (r->through) os_index_definition_elsewhere(*definition, os_cluster_is_serverless(r->cluster));
  if (!json_is_object(r->request->create)) return OS_OK;
  return os_index_definition_override(*definition, r->request->create, error);
}

/* The index that stands there is the one we asked for: nothing was there before, and it is as empty as it
** was made. */
static int adopt_created(struct os_reindex *r, struct os_error *error) {
  int64_t documents = 0;
  int rc = os_reindex_guard_target(r, r->target_uuid, error);
  if (!rc && !r->target_exists) return OS_OK;
  if (!rc) rc = os_cluster_count_all(r->cluster, r->request->target, &documents, error);
  if (!rc && documents)
    rc = os_fail(error, OS_ERR_CONFLICT, "somebody wrote %lld documents to %s while it was being created",
                 (long long)documents, r->request->target);
  if (rc) return rc;
  r->result->made = true;
  rc = os_reindex_step_put(r, "create", "done", json_pack("{s:s}", "uuid", r->target_uuid), error);
  if (rc) return rc;
  return os_job_audit(r->job, step, "created", "did", false, error, "%s (UUID %s)", r->request->target,
                      r->target_uuid);
}

static int ask_for_index(struct os_reindex *r, const char *body, struct os_error *error) {
  struct os_settle settle;
  os_settle_late(&settle, r->cluster, ANSWER_GRACE);
  int rc = os_cluster_index_create(&settle.cluster, r->request->target, body, error);
  if (rc == OS_ERR_REFUSED && strstr(error->text, "resource_already_exists")) {
    os_fail(error, OS_ERR_CONFLICT, "somebody else created %s just now", r->request->target);
    struct os_error ignored;
    os_error_clear(&ignored);
    os_reindex_step_mark(r, "create", "undone", &ignored); /* it is not ours to remove */
  }
  return rc;
}

static int create(struct os_reindex *r, struct os_error *error) {
  json_t *definition = NULL;
  char *body = NULL;
  int rc = os_reindex_definition(r, &definition, error);
  if (!rc && !(body = os_json_text(definition))) rc = os_fail_nomem(error);
  if (!rc)
    rc = os_job_audit(r->job, step, "create", "did", true, error, "PUT /%s %.1200s; undone by DELETE /%s",
                      r->request->target, body, r->request->target);
  if (!rc) rc = os_reindex_step_mark(r, "create", "begun", error);
  if (!rc) {
    rc = ask_for_index(r, body, error);
    if (!rc || os_cluster_unknown(rc)) {
      struct os_error fault = *error, later;
      os_error_clear(&later);
      int found = adopt_created(r, &later);
      if (!found && !r->target_exists)
        found = fault.code ? (int)fault.code
                           : os_fail(&later, OS_ERR_CONFLICT, "%s was deleted as soon as it was created",
                                     r->request->target);
      if (!rc || !found) *error = later; /* an answer that was lost matters only if the index is not there */
      rc = rc && found ? rc : found;
    }
  }
  os_free(body);
  json_decref(definition);
  return rc;
}

/* ---- emptied ---- */

static int put_cleaned(struct os_reindex *r, const struct os_cleanup_result *cleaned,
                       struct os_error *error) {
  r->result->target_before = cleaned->documents_before;
  snprintf(r->target_uuid, sizeof r->target_uuid, "%s", cleaned->uuid);
  return os_reindex_step_put(
      r, "clean", "done",
      json_pack("{s:s, s:I}", "uuid", cleaned->uuid, "documents", (json_int_t)cleaned->documents_before),
      error);
}

static int clean(struct os_reindex *r, struct os_error *error) {
  const struct os_reindex_request *request = r->request;
  struct os_cleanup_result cleaned = {0};
  struct os_cleanup_request cleanup = {
      .index = request->target,
      .recreate_threshold = request->backup == OS_REINDEX_BACKUP_YES ? 1 : request->recreate_threshold,
      .backup = request->backup != OS_REINDEX_BACKUP_NO,
      .keep_backup = true,
      .allow_unverified = request->allow_unverified};
  int rc = os_cleanup_recover(r->job, r->cluster, request->target, error);
  if (!rc) rc = os_reindex_step_mark(r, "clean", "begun", error);
  if (!rc) rc = os_cleanup_run(r->job, r->cluster, &cleanup, &cleaned, error);
  r->result->target_before = cleaned.documents_before;
  return rc ? rc : put_cleaned(r, &cleaned, error);
}

/* What this job copied, as far as it knows: when all of it can be counted, a search finds all that is to be deleted. */
static int see_copied(struct os_reindex *r, struct os_error *error) {
  const struct os_reindex_figures *f = &r->result->figures;
  int64_t count = 0;
  if (!os_cluster_is_serverless(r->cluster) || !f->created || f->unknown || f->continued) return OS_OK;
  int rc =
      os_cluster_count_between(r->cluster, r->request->target, f->created, INT64_MAX, false, &count, error);
  return rc ? rc : os_job_unseen_end(r->job, r->cluster, r->request->target, error);
}

int os_reindex_empty_again(struct os_reindex *r, struct os_error *error) {
  struct os_cleanup_result cleaned = {0};
  /* by deleting the documents: the index keeps its UUID, by which whoever undoes knows it */
  struct os_cleanup_request cleanup = {
      .index = r->request->target, .no_expunge = true, .allow_unverified = r->request->allow_unverified};
  int rc = see_copied(r, error);
  return rc ? rc : os_cleanup_run(r->job, r->cluster, &cleanup, &cleaned, error);
}

int os_reindex_prepare_target(struct os_reindex *r, struct os_error *error) {
  return r->target_exists ? clean(r, error) : create(r, error);
}

/* ---- gone on with ---- */

static int same_target(struct os_reindex *r, const json_t *data, struct os_error *error) {
  const char *uuid = os_json_string(data, "uuid", "");
  int rc = os_reindex_guard_target(r, r->target_uuid, error);
  if (rc || (r->target_exists && (!*uuid || !strcmp(uuid, r->target_uuid)))) return rc;
  os_fail(error, OS_ERR_CONFLICT, "%s is not the index any more that was being filled: somebody %s it",
          r->request->target, r->target_exists ? "replaced" : "deleted");
  return os_advise(error, "{\"mode\":\"fresh\"} begins anew");
}

int os_reindex_continue_target(struct os_reindex *r, struct os_error *error) {
  char created[16] = "", cleaned[16] = "";
  json_t *create_data = NULL, *clean_data = NULL;
  int rc = os_reindex_step_get(r, "create", created, &create_data, error);
  if (!rc) rc = os_reindex_step_get(r, "clean", cleaned, &clean_data, error);
  if (rc) goto done;
  r->result->made = !strcmp(created, "done");
  r->result->target_before = os_json_int(clean_data, "documents", r->result->made ? 0 : -1);
  if (!strcmp(created, "done")) {
    rc = same_target(r, create_data, error);
  } else if (!strcmp(cleaned, "done")) {
    rc = same_target(r, clean_data, error);
  } else if (!strcmp(created, "begun")) {
    rc = adopt_created(r, error);
    if (!rc && !r->target_exists) rc = create(r, error);
  } else {
    /* emptying it was broken off: what it held before comes back as far as it can, and it is emptied
    ** anew */
    if (!strcmp(cleaned, "begun")) rc = os_cleanup_undo(r->job, r->cluster, r->request->target, error);
    if (!rc) rc = os_cleanup_recover(r->job, r->cluster, r->request->target, error);
    if (!rc) rc = os_reindex_guard_target(r, r->target_uuid, error);
    if (!rc && !r->target_exists && !r->request->create) {
      os_fail(error, OS_ERR_CONFLICT, "the target %s is gone", r->request->target);
      rc = os_advise(error,
                     "create it; where a clean-up had no backup, its definition is in os_audit (definition)");
    }
    if (!rc) rc = os_reindex_prepare_target(r, error);
  }
done:
  json_decref(create_data);
  json_decref(clean_data);
  return rc;
}
