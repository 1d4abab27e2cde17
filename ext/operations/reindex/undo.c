/* undo.c - what a copy did is undone when it fails, or when a later job is told to; see reindex_int.h.
**
** In this order: the task is gone; a target that was created is removed, one that was emptied gets its
** documents back, or is emptied of the half copy where there is no backup. Everything is read from the
** steps of the ledger, so that it does not matter which process began. A step that is undone is never
** looked at again.
*/
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "operations/cleanup/cleanup.h"
#include "operations/reindex/reindex_int.h"
#include "operations/settle.h"

static const double UNDO_TIME = 300; /* seconds, also after Ctrl-C; a second one leaves the rest for later */
static const char step[] = "undo";

static void tell(struct os_error *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Add to what the reader is told. */
static void tell(struct os_error *why, const char *format, ...) {
  char advice[OS_ERROR_ADVICE], more[OS_ERROR_ADVICE];
  va_list list;
  va_start(list, format);
  vsnprintf(more, sizeof more, format, list);
  va_end(list);
  snprintf(advice, sizeof advice, "%s", why->advice);
  os_advise(why, "%s%s%s", advice, advice[0] ? "; " : "", more);
}

/* ---- a target that was created ---- */

static int remove_it(struct os_reindex *r, struct os_error *error) {
  int rc = os_job_audit(r->job, step, "remove", "did", true, error, "DELETE /%s, which was created for this",
                        r->request->target);
  return rc ? rc : os_settle_remove(r->cluster, r->request->target, error);
}

/* Only the index that was made is removed: by its UUID, or, when that was not learnt, while it is as empty
** as it was made. */
static int undo_create(struct os_reindex *r, const json_t *data, struct os_error *why,
                       struct os_error *error) {
  const char *name = r->request->target, *uuid = os_json_string(data, "uuid", NULL);
  struct os_resolved resolved = {0};
  int64_t documents = 0;
  int rc = os_cluster_resolve(r->cluster, name, &resolved, error);
  bool ours = resolved.kind == OS_NAME_INDEX && resolved.aliases && !json_object_size(resolved.aliases);
  if (!rc && resolved.kind != OS_NAME_MISSING && ours && uuid) ours = !strcmp(uuid, resolved.uuid);
  if (!rc && ours && !uuid) {
    rc = os_cluster_count_all(r->cluster, name, &documents, error);
    ours = !documents;
  }
  if (!rc && resolved.kind == OS_NAME_MISSING) {
    tell(why, "the target %s is not there (any more)", name);
  } else if (!rc && ours) {
    rc = remove_it(r, error);
    if (!rc) tell(why, "the target %s, which was created for this, was removed again", name);
  } else if (!rc) {
    rc = os_job_audit(r->job, step, "remove", "skip", false, error,
                      "%s is not the index that was made (UUID %s)", name, uuid ? uuid : "not known");
    tell(why, "%s was replaced, or got an alias, meanwhile and was left as it is", name);
  }
  os_resolved_free(&resolved);
  return rc ? rc : os_reindex_step_mark(r, "create", "undone", error);
}

/* ---- a target that was emptied ---- */

/* There is no backup. What the copy wrote goes: a half copy must not be taken for a whole one. */
static int empty_it(struct os_reindex *r, bool copied, const json_t *data, struct os_error *why,
                    struct os_error *error) {
  const char *name = r->request->target;
  struct os_resolved resolved = {0};
  int64_t before = os_json_int(data, "documents", -1), left = 0;
  int rc = os_cluster_resolve(r->cluster, name, &resolved, error);
  bool ours =
      resolved.kind == OS_NAME_INDEX && (!data || !strcmp(os_json_string(data, "uuid", ""), resolved.uuid));
  os_resolved_free(&resolved);
  if (rc) return rc;
  if (!ours) {
    tell(why, "%s was deleted or replaced meanwhile and was left as it is", name);
    return OS_OK;
  }
  if (!data) { /* emptying it was broken off itself */
    rc = os_cluster_count_all(r->cluster, name, &left, error);
    if (!rc && left == r->result->target_before)
      tell(why, "the target %s holds its %lld documents still", name, (long long)left);
    else if (!rc)
      tell(why, "emptying the target %s was broken off: it holds %lld documents now", name, (long long)left);
    return rc;
  }
  if (copied) rc = os_reindex_empty_again(r, error);
  if (rc) return rc;
  if (before == 0) {
    tell(why, "the target %s is empty, as it was", name);
    return os_job_audit(r->job, step, "emptied", "pass", false, error, "%s is empty, as it was", name);
  }
  char former[64];
  if (before > 0)
    snprintf(former, sizeof former, "its former %lld document%s lost", (long long)before,
             before == 1 ? " is" : "s are");
  else
    snprintf(former, sizeof former, "what it held is lost");
  tell(why, "the target %s is empty now: %s, because there was no backup ({\"backup\":true} makes one)", name,
       former);
  return os_job_audit(r->job, step, "emptied", "did", false, error,
                      "%s is empty: %s, because there was no backup", name, former);
}

static int undo_clean(struct os_reindex *r, bool copied, const json_t *data, bool backup,
                      struct os_error *why, struct os_error *error) {
  int rc = OS_OK;
  if (backup) {
    rc = os_cleanup_undo(r->job, r->cluster, r->request->target, error);
    if (!rc) tell(why, "the target %s holds its former documents again", r->request->target);
  } else {
    if (!data) rc = os_cleanup_recover(r->job, r->cluster, r->request->target, error);
    if (!rc) rc = empty_it(r, copied, data, why, error);
  }
  return rc ? rc : os_reindex_step_mark(r, "clean", "undone", error);
}

/* ---- the whole ---- */

static int undo_target(struct os_reindex *r, struct os_error *why, struct os_error *error) {
  char created[16] = "", cleaned[16] = "", backup[16] = "", task[16] = "", through[16] = "";
  json_t *create_data = NULL, *clean_data = NULL;
  int rc = os_reindex_step_get(r, "create", created, &create_data, error);
  if (!rc) rc = os_reindex_step_get(r, "clean", cleaned, &clean_data, error);
  if (!rc) rc = os_reindex_step_get(r, "backup", backup, NULL, error);
  if (!rc) rc = os_reindex_step_get(r, "task", task, NULL, error);
  if (!rc) rc = os_reindex_step_get(r, "through", through, NULL, error);
  if (!rc && (!strcmp(created, "begun") || !strcmp(created, "done")))
    rc = undo_create(r, create_data, why, error);
  if (!rc && (!strcmp(cleaned, "begun") || !strcmp(cleaned, "done")))
    rc = undo_clean(r, task[0] || through[0], !strcmp(cleaned, "done") ? clean_data : NULL,
                    !strcmp(backup, "begun"), why, error);
  json_decref(create_data);
  json_decref(clean_data);
  return rc;
}

int os_reindex_undo(struct os_reindex *r, struct os_error *why, struct os_error *error) {
  struct os_cluster *cluster = r->cluster;
  struct os_settle settle;
  os_settle_all(&settle, cluster, UNDO_TIME);
  r->cluster = &settle.cluster;
  int rc = os_reindex_task_stop(r->job, r->cluster, r->request->target, r->request->target, error);
  if (!rc) rc = undo_target(r, why, error);
  if (!rc) rc = os_reindex_step_mark(r, "reindex", "undone", error);
  r->cluster = cluster;
  return rc;
}
