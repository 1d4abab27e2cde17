/* finish.c - step 6 of a load: does the index hold what the figures say? Then the index is left tidy.
**
** What was read must be created, updated, unchanged, there already, refused or left out; and the index's
** own count must have moved by what was created and deleted. A record whose first answer was lost is
** "already there" although this load created it, so the count may exceed the created by at most those. A
** difference that the index's own counters show to be somebody else's is unknown; one that nothing
** explains is an error.
*/
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "operations/load/load.h"
#include "operations/load/ids.h"
#include "operations/tune.h"
#include "operations/visible.h"

static const double MERGE_TIMEOUT = 300;
static const double MERGE_SHARE = 0.1; /* of deleted documents; Lucene's expunge threshold */

static int audit_figures(struct os_load *load, struct os_error *error) {
  const struct os_job_figures *f = load->figures;
  int64_t sum = f->documents_created + f->documents_updated + f->documents_noop + f->documents_already +
                f->documents_failed + f->documents_skipped;
  if (sum == f->documents_read)
    return os_job_audit(load->job, "finish", "figures", "pass", false, error,
                        "%lld read = %lld created + %lld updated + %lld unchanged + %lld already there + "
                        "%lld refused + %lld left out",
                        (long long)f->documents_read, (long long)f->documents_created,
                        (long long)f->documents_updated, (long long)f->documents_noop,
                        (long long)f->documents_already, (long long)f->documents_failed,
                        (long long)f->documents_skipped);
  os_fail(error, OS_ERR_INTERNAL, "%lld records were read and the outcomes of %lld are known",
          (long long)f->documents_read, (long long)sum);
  return os_job_guard_failed(load->job, "finish", "figures", error);
}

static int unverified(struct os_load *load, struct os_error *error, const char *why) {
  if (why != load->unverified) snprintf(load->unverified, sizeof load->unverified, "%.500s", why);
  return os_job_audit(load->job, "finish", "count", "unknown", false, error, "%s", why);
}

/* The same, when documents may be missing or there twice: whoever reads no more than the log has to hear of it. */
static int doubtful(struct os_load *load, struct os_error *error, const char *why) {
  os_log_write(load->session->log, OS_LOG_WARNING, "%s: %s", load->request->index, why);
  return unverified(load, error, why);
}

/* Did the index's own counters move by more than this load did? *known false: they cannot be read. */
static bool others_wrote(struct os_load *load, bool *known) {
  const struct os_job_figures *f = load->figures;
  struct os_index_stats after;
  struct os_error ignored;
  os_error_clear(&ignored);
  *known = load->target.stats_known &&
           os_cluster_stats(load->cluster, load->target.concrete, &after, &ignored) == OS_OK;
  if (!*known) return false;
  int64_t ours = f->documents_created + f->documents_updated + f->documents_noop + f->documents_already;
  int64_t indexed = after.index_total - load->target.stats_before.index_total;
  int64_t deleted = after.delete_total - load->target.stats_before.delete_total;
  return indexed > ours || deleted > load->deleted;
}

/* An index that was deleted while it was loaded is created again by the next bulk request, with a mapping of
 * its own. */
static int check_same_index(struct os_load *load, struct os_error *error) {
  struct os_load_target *target = &load->target;
  struct os_resolved now = {0};
  if (!target->uuid[0] || target->data_stream || target->write_alias) return OS_OK;
  int rc = os_cluster_resolve(load->cluster, target->concrete, &now, error);
  bool same = rc || !now.uuid[0] || !strcmp(now.uuid, target->uuid);
  os_resolved_free(&now);
  if (rc == OS_ERR_INTERRUPTED) return rc;
  os_error_clear(error);
  if (same) return OS_OK;
  os_fail(error, OS_ERR_CONFLICT, "somebody deleted and re-created index %s while it was loaded",
          target->concrete);
  os_advise(error, "what was loaded before is gone: load again with mode fresh");
  return os_job_guard_failed(load->job, "finish", "same_index", error);
}

static int reconcile(struct os_load *load, struct os_error *error) {
  struct os_job_figures *f = load->figures;
  struct os_load_target *target = &load->target;
  if (target->count_before < 0) return unverified(load, error, load->unverified);
  int64_t left = target->count_before - load->deleted;
  int64_t least = f->documents_created, most = least + f->documents_already;
  /* a lost answer: what the repetition found updated, or older than what is there, may have been created by the
  ** first */
  if (f->retries) most += f->documents_updated + f->documents_skipped;
  /* with the server's ids what went twice is there twice: before it can be seen the count looks right */
  int64_t doubles = load->server_ids ? load->unknown : 0;
  int rc = os_cluster_count_between(load->cluster, target->concrete, left + least + doubles,
                                    left + most + doubles, load->deleted > 0, &f->count_after, error);
  if (rc) {
    if (rc == OS_ERR_INTERRUPTED) return rc;
    char why[OS_ERROR_TEXT];
    snprintf(why, sizeof why, "the documents could not be counted after the load: %.1000s", error->text);
    os_error_clear(error);
    f->count_after = -1;
    return unverified(load, error, why);
  }
  rc = os_job_unseen_end(load->job, load->cluster, target->concrete, error);
  if (rc) return rc;
  int64_t moved = f->count_after - left;
  if (moved >= least && moved <= most)
    return os_job_audit(load->job, "finish", "count", "pass", false, error,
                        "%lld documents before, %lld after: %lld more, as created",
                        (long long)target->count_before, (long long)f->count_after, (long long)moved);
  if (doubles && moved > most) {
    char why[256];
    snprintf(
        why, sizeof why,
        "requests were repeated with ids chosen by the server: as many as %lld records may be there twice",
        (long long)(moved - most));
    return doubtful(load, error, why);
  }
  bool known = false;
  if (others_wrote(load, &known) || !known || target->data_stream || target->write_alias) {
    char why[256];
    snprintf(why, sizeof why, "the count moved by %lld where this load created %lld; %s", (long long)moved,
             (long long)least,
             known ? "others wrote or deleted meanwhile" : "whether others wrote meanwhile cannot be read");
    /* more than expected was written by others; behind an alias the index may have rolled over */
    bool harmless = moved > most || target->data_stream || target->write_alias;
    return harmless ? unverified(load, error, why) : doubtful(load, error, why);
  }
  int64_t expected = left + least;
  os_fail(error, OS_ERR_INTERNAL,
          "index %s holds %lld documents where %lld are expected: %lld before the load, %lld created by it, "
          "%lld deleted",
          target->concrete, (long long)f->count_after, (long long)expected, (long long)target->count_before,
          (long long)least, (long long)load->deleted);
  os_advise(error, "load again with mode resume and {\"validate\":\"ids\"} to find what is missing");
  return os_job_guard_failed(load->job, "finish", "count", error);
}

/* Expunging deleted documents is housekeeping: it never fails a load. */
static int tidy(struct os_load *load, struct os_error *error) {
  const struct os_load_request *request = load->request;
  struct os_index_stats stats;
  struct os_error trouble;
  os_error_clear(&trouble);
  bool wanted =
      request->force_merge == OS_MERGE_YES || (request->force_merge == OS_MERGE_AUTO && load->deleted_some);
  if (request->force_merge == OS_MERGE_AUTO && !wanted && !request->allow_live &&
      os_cluster_stats(load->cluster, load->target.concrete, &stats, &trouble) == OS_OK)
    wanted = (double)stats.deleted > MERGE_SHARE * (double)(stats.docs + stats.deleted);
  if (!wanted)
    return os_job_audit(load->job, "finish", "force_merge", "skip", false, error,
                        "few or no deleted documents");
  if (os_cluster_is_serverless(load->cluster))
    return os_job_audit(load->job, "finish", "force_merge", "skip", false, error,
                        "a collection merges by itself");
  bool started_only = false;
  os_error_clear(&trouble);
  int rc = os_cluster_force_merge(load->cluster, load->target.concrete, true, MERGE_TIMEOUT, &started_only,
                                  &trouble);
  if (rc == OS_ERR_INTERRUPTED) {
    *error = trouble;
    return rc;
  }
  if (rc)
    return os_job_audit(load->job, "finish", "force_merge", "unknown", false, error, "%s", trouble.text);
  return os_job_audit(load->job, "finish", "force_merge", "did", false, error, "%s",
                      started_only ? "deleted documents are being expunged"
                                   : "deleted documents were expunged");
}

int os_load_step_finish(struct os_load *load, struct os_error *error) {
  int rc = OS_OK;
  if (load->tuned) {
    rc = os_tune_end(load->job, load->cluster, load->target.concrete, load->target.uuid, error);
    load->tuned = false;
  }
  if (!rc) rc = audit_figures(load, error);
  if (!rc) rc = check_same_index(load, error);
  if (!rc && load->request->validate == OS_VALIDATE_NONE)
    rc = unverified(load, error, "not counted: validate is none");
  else if (!rc)
    rc = reconcile(load, error);
  if (!rc && load->request->validate == OS_VALIDATE_IDS) rc = os_load_check_ids(load, error);
  if (!rc && load->request->force_merge != OS_MERGE_NO) rc = tidy(load, error);
  return rc;
}
