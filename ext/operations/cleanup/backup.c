/* backup.c - the clone of an index that is made anew: made, kept for a longer operation, brought back,
** dropped.
**
** A backup that outlives the clean-up is a step of the ledger ("backup", item: the index), written before
** the clone is asked for. Bringing it back looks at the cluster first, whatever was done or asked for
** before: so it may be broken off at any point and begun again, by this process or another.
*/
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "net/http.h"
#include "operations/cleanup/cleanup_int.h"
#include "operations/settle.h"
#include "operations/step.h"

static const double CLONE_TIMEOUT = 600, CLONE_WAIT = 120;
enum { ATTEMPTS = 6 /* looks at the cluster, one for each change and some for lost answers */ };

/* ---- requests ---- */

/* A clone has the settings of its source but for the two that say how many copies there are (OpenSearch
** docs, "Clone index"). */
static char *clone_body(const json_t *got) {
  json_t *settings = json_pack("{s:n}", "index.blocks.write");
  const char *replicas = os_json_string(got, "settings/index/number_of_replicas", NULL);
  const char *expand = os_json_string(got, "settings/index/auto_expand_replicas", NULL);
  bool ok = settings != NULL;
  if (ok && replicas) ok = os_json_put(settings, "index.number_of_replicas", json_string(replicas));
  if (ok && expand) ok = os_json_put(settings, "index.auto_expand_replicas", json_string(expand));
  json_t *body = ok ? json_pack("{s:O}", "settings", settings) : NULL;
  char *text = body ? os_json_text(body) : NULL;
  json_decref(body);
  json_decref(settings);
  return text;
}

int os_cleanup_clone(struct os_cluster *cluster, const char *from, const char *to, struct os_error *error) {
  char health[16] = "";
  json_t *got = NULL;
  struct os_buf path;
  os_buf_init(&path, 0);
  int rc = os_cluster_index_get(cluster, from, &got, error);
  if (rc) return rc;
  char *body = clone_body(got);
  os_buf_putc(&path, '/');
  os_url_encode(&path, from, strlen(from));
  os_buf_puts(&path, "/_clone/");
  os_url_encode(&path, to, strlen(to));
  struct os_cluster_call call = {
      .method = "PUT", .path = path.data, .body = body, .timeout = CLONE_TIMEOUT, .what = "clone"};
  rc = !path.failed && body ? os_cluster_request(cluster, &call, NULL, NULL, error) : os_fail_nomem(error);
  if (!rc) rc = os_cluster_health(cluster, to, health, error);
  if (!rc && !strcmp(health, "red")) rc = os_fail(error, OS_ERR_CONFLICT, "the clone %s is red", to);
  os_buf_free(&path);
  os_free(body);
  json_decref(got);
  return rc;
}

/* ---- the step ---- */

int os_cleanup_backup_put(struct os_job *job, const char *index, const char *state,
                          const struct os_cleanup_backup *backup, struct os_error *error) {
  json_t *data = json_pack("{s:s, s:s, s:s, s:I}", "backup", backup->name, "uuid", backup->uuid, "made",
                           backup->made, "documents", (json_int_t)backup->documents);
  return os_step_put(job, index, "backup", state, data, error);
}

int os_cleanup_backup_get(struct os_job *job, int64_t number, const char *index,
                          struct os_cleanup_backup *backup, struct os_error *error) {
  char state[16] = "";
  json_t *data = NULL;
  memset(backup, 0, sizeof *backup);
  int rc = os_step_get(job->ledger, number, index, "backup", state, &data, error);
  backup->stands = data && !strcmp(state, "begun");
  snprintf(backup->name, sizeof backup->name, "%s", os_json_string(data, "backup", ""));
  snprintf(backup->uuid, sizeof backup->uuid, "%s", os_json_string(data, "uuid", ""));
  snprintf(backup->made, sizeof backup->made, "%s", os_json_string(data, "made", ""));
  backup->documents = os_json_int(data, "documents", -1);
  json_decref(data);
  return rc;
}

/* ---- dropping it ---- */

int os_cleanup_drop_backup(struct os_job *job, struct os_cluster *cluster, const char *index,
                           struct os_error *error) {
  struct os_cleanup_backup backup;
  int rc = os_cleanup_backup_get(job, job->number, index, &backup, error);
  if (rc || !backup.stands) return rc;
  rc = os_settle_remove(cluster, backup.name, error);
  if (!rc) rc = os_cleanup_backup_put(job, index, "done", &backup, error);
  if (!rc)
    rc = os_job_audit(job, "cleanup", "backup", "did", false, error, "backup %s is deleted", backup.name);
  return rc;
}

/* ---- bringing it back ---- */

/* What stands under the name of the index now. */
enum place {
  PLACE_EMPTY,    /* nothing */
  PLACE_ORIGINAL, /* the index that was cloned: it was never deleted */
  PLACE_RESTORED, /* a clone of the backup */
  PLACE_OURS,     /* the one made in its place: to be deleted */
  PLACE_FOREIGN,  /* another one */
  PLACE_KEPT      /* whatever stands there stays: there is no backup any more */
};

static int look(struct os_cluster *cluster, const char *index, const struct os_cleanup_backup *backup,
                enum place *place, struct os_error *error) {
  struct os_resolved resolved = {0};
  json_t *got = NULL;
  *place = PLACE_FOREIGN;
  int rc = os_cluster_resolve(cluster, index, &resolved, error);
  if (!rc && resolved.kind == OS_NAME_MISSING) {
    *place = PLACE_EMPTY;
  } else if (!rc && resolved.kind == OS_NAME_INDEX) {
    rc = os_cluster_index_get(cluster, index, &got, error);
    if (!rc && !strcmp(resolved.uuid, backup->uuid)) *place = PLACE_ORIGINAL;
    if (!rc && !strcmp(os_json_string(got, "settings/index/resize/source/name", ""), backup->name))
      *place = PLACE_RESTORED;
    if (!rc && *place == PLACE_FOREIGN && !json_object_size(resolved.aliases)) {
      int64_t documents = 0;
      /* made, and the process died before it could write that down: then it is still empty */
      if (backup->made[0])
        documents = strcmp(resolved.uuid, backup->made) != 0;
      else if (!(rc = os_cluster_refresh(cluster, index, error)))
        rc = os_cluster_count(cluster, index, NULL, &documents, error);
      if (!rc && !documents) *place = PLACE_OURS;
    }
  }
  json_decref(got);
  os_resolved_free(&resolved);
  return rc;
}

static int wait_until_readable(struct os_cluster *cluster, const char *index, struct os_error *error) {
  double until = os_clock_monotonic() + CLONE_WAIT;
  for (;;) {
    char health[16] = "";
    int rc = os_cluster_health(cluster, index, health, error);
    if (rc || strcmp(health, "red") != 0) return rc;
    if (os_clock_monotonic() > until)
      return os_fail(error, OS_ERR_CONFLICT, "%s is red after it was cloned back", index);
    rc = os_cluster_wait(cluster, 0.1, error);
    if (rc) return rc;
  }
}

static int check_restored(struct os_job *job, struct os_cluster *cluster, const char *index,
                          const struct os_cleanup_backup *backup, struct os_error *error) {
  bool exists = false;
  int64_t documents = 0;
  int rc = wait_until_readable(cluster, index, error);
  if (!rc) rc = os_cluster_index_exists(cluster, backup->name, &exists, error);
  if (!rc) rc = os_cluster_count_all(cluster, index, &documents, error);
  if (rc) return rc;
  if (exists && backup->documents >= 0 && documents != backup->documents)
    return os_fail(error, OS_ERR_CONFLICT, "%s was cloned back from %s and holds %lld documents, not %lld",
                   index, backup->name, (long long)documents, (long long)backup->documents);
  return os_job_audit(job, "cleanup", "restored", "pass", false, error, "%s holds its %lld documents again",
                      index, (long long)documents);
}

/* One change towards the end. *finished: nothing is left to do but to drop the backup. */
static int put_back_once(struct os_job *job, struct os_cluster *cluster, const char *index,
                         const struct os_cleanup_backup *backup, bool *finished, struct os_error *error) {
  enum place place = PLACE_FOREIGN;
  int rc = look(cluster, index, backup, &place, error);
  if (rc) return rc;
  if (place == PLACE_EMPTY || place == PLACE_OURS) {
    bool exists = false;
    rc = os_cluster_index_exists(cluster, backup->name, &exists, error);
    if (rc) return rc;
    if (!exists) place = PLACE_KEPT;
  }
  switch (place) {
  case PLACE_KEPT:
    *finished = true;
    return os_job_audit(job, "cleanup", "restore", "skip", false, error,
                        "%s is not there any more: %s stays as it is", backup->name, index);
  case PLACE_EMPTY:
    rc = os_job_audit(job, "cleanup", "restore", "did", true, error, "cloning %s back from %s", index,
                      backup->name);
    if (!rc)
      rc = os_cluster_block_writes(cluster, backup->name, CLONE_TIMEOUT,
                                   error); /* only a blocked index can be cloned */
    return rc ? rc : os_cleanup_clone(cluster, backup->name, index, error);
  case PLACE_ORIGINAL:
    *finished = true;
    rc = os_job_audit(job, "cleanup", "unblock", "did", true, error,
                      "%s was not deleted; its write block is lifted", index);
    return rc ? rc : os_cluster_allow_writes(cluster, index, error);
  case PLACE_RESTORED: *finished = true; return check_restored(job, cluster, index, backup, error);
  case PLACE_OURS:
    rc = os_job_audit(job, "cleanup", "remove", "did", true, error,
                      "deleting %s, to bring its documents back from %s", index, backup->name);
    return rc ? rc : os_settle_remove(cluster, index, error);
  default:
    os_fail(error, OS_ERR_CONFLICT, "somebody made %s anew; its former documents are in %s", index,
            backup->name);
    return os_advise(error, "delete %s, or rename what it is for, then do the same again", index);
  }
}

int os_cleanup_undo(struct os_job *job, struct os_cluster *cluster, const char *index,
                    struct os_error *error) {
  struct os_cleanup_backup backup;
  bool finished = false;
  int rc = os_cleanup_backup_get(job, job->number, index, &backup, error);
  if (rc || !backup.stands) return rc;
  for (int i = 0; i < ATTEMPTS && !finished; i++) {
    os_error_clear(error);
    rc = put_back_once(job, cluster, index, &backup, &finished, error);
    if (rc) finished = false;
    if (rc && !os_cluster_unknown(rc)) break; /* after a lost answer the next look tells what became of it */
  }
  if (!rc) rc = os_settle_remove(cluster, backup.name, error);
  if (!rc) return os_cleanup_backup_put(job, index, "undone", &backup, error);
  if (!error->advice[0])
    os_advise(error, "its former documents are in %s; the same command again brings them back", backup.name);
  return rc;
}
