/* recreate.c - empty an index by making it anew; see cleanup_int.h.
**
**   1 read settings and mappings, filter what an index cannot be created with
**   2 create them under a temporary name (does the definition still work here?), delete that
**   3 block writes, clone as backup (hard links on one node: cheap)
**   4 delete, create, check that the new UUID is ours
**   5 compare settings, mappings and aliases with what they were, and count
**   6 delete the backup
** A failure from 3 on lifts the block or clones the backup back under the old name. Where that fails, too,
** or the process dies, the next command does it: names carry the job's number, and the ledger knows what it
** began.
*/
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/json.h"
#include "net/http.h"
#include "operations/cleanup/cleanup_int.h"
#include "operations/index_definition.h"
#include "operations/settle.h"

static const double TRIAL_TIME = 30, BLOCK_TIME = 600,
                    PUT_BACK_TIME = 300; /* seconds; a further Ctrl-C leaves the rest to the next command */

struct recreation {
  struct os_job *job;
  struct os_cluster *cluster;
  const char *index;
  char trial[300], backup[300];
  json_t *definition; /* what the new index is created from */
  char *body;
  bool blocked, cloned, deleted; /* an answer that was lost counts as done */
  bool keep;                     /* the backup outlives this: a step of the ledger */
  int64_t documents;
};

static int intend(struct recreation *r, const char *step, struct os_error *error, const char *what,
                  const char *name) {
  return os_job_audit(r->job, "cleanup", step, "did", true, error, "%s %s", what, name);
}

static int read_definition(struct recreation *r, struct os_error *error) {
  json_t *got = NULL;
  int rc = os_cluster_index_get(r->cluster, r->index, &got, error);
  if (!rc) {
    r->definition = os_index_definition(got);
    r->body = r->definition ? os_json_text(r->definition) : NULL;
    if (!r->body) rc = os_fail_nomem(error);
  }
  json_decref(got);
  if (!rc)
    rc = os_job_audit(r->job, "cleanup", "definition", "did", true, error, "kept for %s: %.1500s", r->index,
                      r->body);
  return rc;
}

/* Both requests are made to their end: after Ctrl-C, too, no trial is left behind. */
static int try_definition(struct recreation *r, struct os_error *error) {
  struct os_settle settle;
  struct os_error ignored;
  os_error_clear(&ignored);
  int rc = intend(r, "trial", error, "creating and deleting", r->trial);
  if (rc) return rc;
  rc = os_cluster_index_create(r->cluster, r->trial, r->body, error);
  os_settle_all(&settle, r->cluster, TRIAL_TIME);
  if (rc == OS_ERR_INTERRUPTED) os_cluster_drain(&settle.cluster, &ignored); /* it may still be on its way */
  int removed = os_settle_remove(&settle.cluster, r->trial, rc ? &ignored : error);
  if (!rc) rc = removed; /* after an error only its answer was lost, perhaps */
  if (rc) os_error_prefix(error, "the index cannot be made anew from its own settings and mappings");
  return rc;
}

static int note_backup(struct recreation *r, const char *state, const char *uuid, const char *made,
                       struct os_error *error) {
  struct os_cleanup_backup backup = {.documents = r->documents};
  snprintf(backup.name, sizeof backup.name, "%s", r->backup);
  snprintf(backup.uuid, sizeof backup.uuid, "%s", uuid);
  snprintf(backup.made, sizeof backup.made, "%s", made);
  return os_cleanup_backup_put(r->job, r->index, state, &backup, error);
}

static int make_backup(struct recreation *r, const char *uuid, struct os_error *error) {
  int rc = intend(r, "block", error, "blocking writes to", r->index);
  if (!rc) rc = os_cluster_block_writes(r->cluster, r->index, BLOCK_TIME, error);
  r->blocked = true; /* also after a lost answer */
  if (!rc && r->keep) rc = note_backup(r, "begun", uuid, "", error);
  if (!rc) rc = intend(r, "backup", error, "cloning as", r->backup);
  if (rc) return rc;
  r->cloned = true;
  return os_cleanup_clone(r->cluster, r->index, r->backup, error);
}

static int replace_index(struct recreation *r, struct os_cleanup_result *result, struct os_error *error) {
  struct os_resolved before = {0}, after = {0};
  int rc = os_cluster_resolve(r->cluster, r->index, &before, error);
  /* rule 9: delete only what still is what we looked at */
  if (!rc && (strcmp(before.uuid, result->uuid) || json_object_size(before.aliases)))
    rc = os_fail(error, OS_ERR_CONFLICT,
                 "%s became another index or got an alias meanwhile; nothing was deleted", r->index);
  if (!rc) rc = intend(r, "delete", error, "deleting and creating", r->index);
  if (!rc) rc = os_cluster_index_delete(r->cluster, r->index, error);
  r->deleted = !rc; /* if only the answer was lost, put_back() sees that it is gone */
  if (!rc) rc = os_cluster_index_create(r->cluster, r->index, r->body, error);
  if (rc == OS_ERR_REFUSED && strstr(error->text, "resource_already_exists")) {
    os_fail(error, OS_ERR_CONFLICT, "somebody wrote to %s while it did not exist and so created it",
            r->index);
    os_advise(error, "stop the writers, then do it again");
  }
  if (!rc) rc = os_cluster_resolve(r->cluster, r->index, &after, error);
  if (!rc) {
    r->deleted = false; /* it stands again */
    if (r->keep && r->cloned) rc = note_backup(r, "begun", result->uuid, after.uuid, error);
    snprintf(result->uuid, sizeof result->uuid, "%s", after.uuid);
    if (!rc)
      rc = os_job_audit(r->job, "cleanup", "created", "did", false, error, "%s is new (UUID %s)", r->index,
                        after.uuid);
  }
  os_resolved_free(&before);
  os_resolved_free(&after);
  return rc;
}

/* Put back what was there. Keeps the error that led here, and says when the restoration failed, too; gives
** that one's code. */
static int put_back(struct recreation *r, struct os_error *error) {
  struct os_error trouble, ignored;
  bool exists = true;
  os_error_clear(&trouble);
  os_error_clear(&ignored);
  os_cluster_drain(r->cluster, &ignored); /* what was asked for last may still be on its way */
  int rc = os_cluster_index_exists(r->cluster, r->index, &exists, &ignored);
  if (!rc && !exists) r->deleted = true;
  rc = OS_OK;
  if (r->deleted && r->cloned) {
    if (exists) rc = os_cluster_index_delete(r->cluster, r->index, &trouble);
    if (!rc) rc = os_cluster_block_writes(r->cluster, r->backup, BLOCK_TIME, &trouble);
    if (!rc) rc = os_cleanup_clone(r->cluster, r->backup, r->index, &trouble);
    os_job_audit(r->job, "cleanup", "restore", rc ? "fail" : "did", true, &ignored, "%s from %s", r->index,
                 r->backup);
    if (rc) {
      os_advise(error, "the documents are in %s; the next command on this index clones it back: %s",
                r->backup, trouble.text);
      return rc;
    }
  } else if (r->blocked && !r->deleted) {
    rc = os_cluster_allow_writes(r->cluster, r->index, &trouble);
    os_job_audit(r->job, "cleanup", "unblock", rc ? "fail" : "did", true, &ignored, "%s", r->index);
    if (rc)
      os_advise(error,
                "the write block on %s is still there; the next command on it lifts it, or PUT _settings "
                "{\"index.blocks.write\":null}",
                r->index);
  }
  if (r->cloned && !rc) os_settle_remove(r->cluster, r->backup, &ignored);
  if (r->keep && !rc) note_backup(r, "undone", "", "", &ignored);
  return rc;
}

static void name_copies(struct recreation *r, int64_t job) {
  snprintf(r->trial, sizeof r->trial, "%.200s-os-trial-%lld", r->index, (long long)job);
  snprintf(r->backup, sizeof r->backup, "%.200s-os-backup-%lld", r->index, (long long)job);
}

/* ---- what a process left behind that died, or was cut off from the cluster, meanwhile ------- */

/* A backup that a broken job kept for what it was to do with the emptied index: only that command may go on
** with it. */
static int refuse_kept(struct recreation *r, int64_t broken, struct os_error *error) {
  struct os_cleanup_backup kept;
  int rc = os_cleanup_backup_get(r->job, broken, r->index, &kept, error);
  if (rc || !kept.stands) return rc;
  os_fail(error, OS_ERR_CONFLICT, "it was to be filled anew, and its former documents are in %s", kept.name);
  return os_advise(error, "call os_reindex with the same source and target again, which goes on, or with "
                          "{\"mode\":\"undo\"}, which brings them back");
}

static int recover_one(struct recreation *r, int64_t broken, struct os_error *error) {
  bool trial = false, backup = false, index = false, began = false;
  name_copies(r, broken);
  int rc = os_cluster_drain(r->cluster, error);
  if (!rc) rc = os_cluster_index_exists(r->cluster, r->trial, &trial, error);
  if (!rc && trial) rc = os_cluster_index_delete(r->cluster, r->trial, error);
  if (!rc) rc = os_cluster_index_exists(r->cluster, r->backup, &backup, error);
  if (!rc) rc = os_cluster_index_exists(r->cluster, r->index, &index, error);
  if (!rc) rc = os_ledger_audit_has(r->job->ledger, broken, "block", &began, error);
  /* the one that was blocked? The one made in its place never is */
  if (!rc && index && began) rc = os_cluster_writes_blocked(r->cluster, r->index, &r->blocked, error);
  if (!rc && backup && index && !r->blocked) rc = refuse_kept(r, broken, error);
  if (rc) return rc;
  r->deleted = !index;
  r->cloned = backup;
  if ((r->cloned || r->blocked) && put_back(r, error))
    return os_fail(error, OS_ERR_CONFLICT, "%s is not as it was", r->index);
  rc = os_ledger_audit(r->job->ledger, broken, "cleanup", "leftovers", "did", r->index, true, error);
  if (rc || !(trial || backup || r->blocked)) return rc;
  /* not named as the mark of the dead job: this one may die over the same index, too */
  return os_job_audit(r->job, "cleanup", "recovered", "did", false, error, "job %lld died over %s:%s%s%s",
                      (long long)broken, r->index, trial ? " trial deleted;" : "",
                      r->blocked ? " write block lifted;" : "",
                      !backup  ? ""
                      : !index ? " documents cloned back from its backup"
                               : " backup deleted");
}

int os_cleanup_recover(struct os_job *job, struct os_cluster *cluster, const char *index,
                       struct os_error *error) {
  int64_t broken = 0;
  for (;;) {
    struct recreation r = {.job = job, .cluster = cluster, .index = index};
    int rc = os_ledger_cleanup_broken(job->ledger, index, broken, &broken, error);
    if (rc || !broken) return rc;
    rc = recover_one(&r, broken, error);
    if (rc) {
      char advice[OS_ERROR_ADVICE];
      snprintf(advice, sizeof advice, "%s", error->advice);
      os_error_prefix(error, "job %lld died while it made index %s anew, and that cannot be undone yet",
                      (long long)broken, index);
      if (!advice[0])
        os_advise(error, "do the same again when the cluster answers; the documents may be in %s", r.backup);
      return rc;
    }
  }
}

/* The new index is held against the old one while that can still be brought back. What somebody wrote into
** it is not taken away again: then the emptying stands, and the error says so. */
static int verify(struct recreation *r, const struct os_cleanup_request *cleanup, const json_t *structure,
                  struct os_cleanup_result *result, bool *emptied, struct os_error *error) {
  int rc = os_cleanup_structure_same(r->job, r->cluster, r->index, structure, error);
  if (!rc) {
    rc = os_cleanup_check_empty(r->job, r->cluster, cleanup, result, error);
    *emptied = !rc || rc == OS_ERR_CONFLICT;
  }
  if (rc && !*emptied) r->deleted = true; /* to be put back */
  return rc;
}

static int drop_backup(struct recreation *r, struct os_error *error) {
  int rc = os_job_audit(r->job, "cleanup", "backup", "did", true, error, "deleting the backup %s", r->backup);
  if (!rc) rc = os_settle_remove(r->cluster, r->backup, error);
  if (rc) os_error_prefix(error, "%s is emptied, but its backup %s is still there", r->index, r->backup);
  return rc;
}

int os_cleanup_recreate(struct os_job *job, struct os_cluster *cluster,
                        const struct os_cleanup_request *cleanup, const json_t *structure,
                        struct os_cleanup_result *result, struct os_error *error) {
  struct recreation r = {.job = job,
                         .cluster = cluster,
                         .index = cleanup->index,
                         .keep = cleanup->keep_backup && cleanup->backup,
                         .documents = result->documents_before};
  bool emptied = false;
  name_copies(&r, job->number);
  int rc = read_definition(&r, error);
  if (!rc) rc = try_definition(&r, error);
  if (!rc && cleanup->backup) rc = make_backup(&r, result->uuid, error);
  if (!rc) rc = replace_index(&r, result, error);
  if (!rc) rc = verify(&r, cleanup, structure, result, &emptied, error);
  struct os_error why = *error;
  if (rc && !emptied) {
    struct os_settle settle; /* what was there comes back although the command was interrupted */
    os_settle_all(&settle, cluster, PUT_BACK_TIME);
    r.cluster = &settle.cluster;
    put_back(&r, &why);
  } else if (r.keep) {
    snprintf(result->backup, sizeof result->backup, "%s", r.backup);
  } else if (r.cloned) {
    int dropped = drop_backup(&r, error);
    if (!rc) {
      rc = dropped;
      why = *error;
    }
  }
  *error = why;
  json_decref(r.definition);
  os_free(r.body);
  return rc;
}
