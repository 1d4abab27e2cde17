/* tune.c - see tune.h. What is changed: index.refresh_interval to -1 and index.number_of_replicas to 0
** (the bulk-loading advice of the OpenSearch "Tuning for indexing speed" page).
*/
#include "operations/tune.h"
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"

static const char *const keys[] = {"refresh_interval", "number_of_replicas"};
static const char *const ours_text = "{\"refresh_interval\":\"-1\",\"number_of_replicas\":\"0\"}";
enum { KEYS = sizeof keys / sizeof keys[0] };

/* The two settings as they stand: {"refresh_interval":null,"number_of_replicas":"1"}; null: not set. New
 * reference. */
static int read_settings(struct os_cluster *cluster, const char *index, char uuid[64], json_t **out,
                         struct os_error *error) {
  json_t *definition = NULL;
  *out = NULL;
  int rc = os_cluster_index_get(cluster, index, &definition, error);
  if (rc) return rc;
  const json_t *settings = os_json_at(definition, "settings/index");
  json_t *now = json_object();
  bool complete = now != NULL;
  for (int i = 0; i < KEYS; i++) {
    json_t *value = json_object_get(settings, keys[i]);
    complete &= os_json_put(now, keys[i], value ? json_incref(value) : json_null());
  }
  if (uuid) strncpy(uuid, os_json_string(settings, "uuid", ""), 63)[63] = 0;
  json_decref(definition);
  if (!complete) {
    json_decref(now);
    return os_fail_nomem(error);
  }
  *out = now;
  return OS_OK;
}

static int put_settings(struct os_cluster *cluster, const char *index, const json_t *values,
                        struct os_error *error) {
  json_t *body = json_pack("{s:O}", "index", values);
  char *text = body ? os_json_text(body) : NULL;
  int rc = text ? os_cluster_settings_put(cluster, index, text, error) : os_fail_nomem(error);
  os_free(text);
  json_decref(body);
  return rc;
}

int os_tune_begin(struct os_job *job, struct os_cluster *cluster, const char *index, const char *uuid,
                  struct os_error *error) {
  json_t *original = NULL, *ours = NULL;
  int rc = read_settings(cluster, index, NULL, &original, error);
  char *original_text = rc ? NULL : os_json_text(original);
  if (!rc && !original_text) rc = os_fail_nomem(error);
  if (!rc)
    rc = os_ledger_tune_hold(job->ledger, cluster->endpoint->url, index, uuid, original_text, ours_text,
                             job->number, error);
  if (!rc)
    rc = os_job_audit(job, "tune", "settings", "did", true, error,
                      "%s: refresh off and no replicas while loading; was %s", index, original_text);
  if (!rc) ours = os_json_parse(ours_text, strlen(ours_text), 0, "settings", error);
  if (!rc && !ours) rc = (int)error->code;
  if (!rc) rc = put_settings(cluster, index, ours, error);
  os_free(original_text);
  json_decref(original);
  json_decref(ours);
  return rc;
}

/* What is to be put back: every setting that still is as we set it. New reference; NULL: no memory. */
static json_t *to_restore(const json_t *now, const json_t *original, const json_t *ours) {
  json_t *changes = json_object();
  for (int i = 0; changes && i < KEYS; i++) {
    json_t *was = json_object_get(original, keys[i]);
    if (!json_equal(json_object_get(now, keys[i]), json_object_get(ours, keys[i]))) continue;
    os_json_put(changes, keys[i], was ? json_incref(was) : json_null());
  }
  return changes;
}

/* Put the originals back where they are still ours, and say so. A missing index has nothing to restore. */
static int restore(struct os_job *job, struct os_cluster *cluster, const char *index, const char *uuid,
                   const char *original_text, const char *ours_given, struct os_error *error) {
  json_t *now = NULL, *changes = NULL, *original = NULL, *ours = NULL;
  char present[64] = "";
  int rc = read_settings(cluster, index, present, &now, error);
  bool gone = rc == OS_ERR_NOT_FOUND || (!rc && strcmp(present, uuid));
  if (gone) {
    os_error_clear(error);
    rc = os_job_audit(job, "tune", "restore", "skip", false, error, "%s (UUID %s) does not exist any more",
                      index, uuid);
  } else if (!rc) {
    original = os_json_parse(original_text, strlen(original_text), 0, "saved settings", error);
    ours = original ? os_json_parse(ours_given, strlen(ours_given), 0, "saved settings", error) : NULL;
    changes = ours ? to_restore(now, original, ours) : NULL;
    if (!original || !ours)
      rc = (int)error->code;
    else if (!changes)
      rc = os_fail_nomem(error);
    if (!rc && json_object_size(changes)) rc = put_settings(cluster, index, changes, error);
    if (!rc)
      rc = os_job_audit(
          job, "tune", "restore", json_object_size(changes) == KEYS ? "did" : "skip", false, error,
          json_object_size(changes) == KEYS
              ? "%s: settings are again %s"
              : "%s: somebody changed the settings meanwhile, only what was still ours is again as in %s",
          index, original_text);
  }
  if (!rc) rc = os_ledger_tune_restored(job->ledger, uuid, error);
  json_decref(now);
  json_decref(changes);
  json_decref(original);
  json_decref(ours);
  return rc;
}

static const char *advice = "the next load on this ledger restores them, or set index.refresh_interval and "
                            "index.number_of_replicas yourself";

int os_tune_end(struct os_job *job, struct os_cluster *cluster, const char *index, const char *uuid,
                struct os_error *error) {
  bool last = false;
  char *original = NULL, *ours = NULL;
  int rc = os_ledger_tune_release(job->ledger, uuid, job->number, &last, &original, &ours, error);
  if (!rc && last && original && ours) {
    rc = restore(job, cluster, index, uuid, original, ours, error);
    if (rc) {
      os_error_prefix(error, "the settings of %s could not be restored", index);
      os_advise(error, "%s", advice);
    }
  }
  os_free(original);
  os_free(ours);
  return rc;
}

struct orphan_call {
  struct os_job *job;
  struct os_cluster *cluster;
};

static int restore_orphan(void *ctx, const char *index, const char *uuid, const char *original,
                          const char *ours) {
  struct orphan_call *call = ctx;
  struct os_error trouble;
  os_error_clear(&trouble);
  int rc = restore(call->job, call->cluster, index, uuid, original, ours, &trouble);
  if (rc && rc != OS_ERR_INTERRUPTED)
    os_log_write(call->job->session->log, OS_LOG_WARNING,
                 "the settings of %s, changed by a load that died, could not be restored: %s", index,
                 trouble.text);
  return rc; /* not OS_OK: they stay saved, and the next command tries again */
}

int os_tune_restore_orphans(struct os_job *job, struct os_cluster *cluster, struct os_error *error) {
  struct orphan_call call = {job, cluster};
  return os_ledger_tune_orphans(job->ledger, cluster->endpoint->url, restore_orphan, &call, error);
}
