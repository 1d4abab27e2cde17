/* verify.c - is everything there? See reindex_int.h. The task has ended well by its own figures; these are
** counts. */
#include <string.h>
#include "base/json.h"
#include "operations/reindex/reindex_int.h"
#include "operations/visible.h"

static const char step[] = "verify";

/* How many documents the target must hold. A document that a script deleted counts as deleted whether it
** was there or not (measured), so that there are bounds rather than one number. What a bulk request had
** created whose answer was lost is "updated" when it is sent again, or "there before". */
static void bounds(const struct os_reindex *r, int64_t *least, int64_t *most) {
  const struct os_reindex_figures *f = &r->result->figures;
  int64_t before = f->continued ? f->version_conflicts : 0;
  *most = before + f->created;
  *least = *most - f->deleted;
  if (r->through) *most = f->created + f->updated + f->version_conflicts;
  if (*least < 0) *least = 0;
}

static int verify_target(struct os_reindex *r, struct os_error *error) {
  const char *name = r->request->target;
  char uuid[64];
  int64_t least, most, count = 0;
  int rc = os_reindex_guard_target(r, uuid, error);
  if (!rc && (!r->target_exists || strcmp(uuid, r->target_uuid) != 0)) {
    os_fail(error, OS_ERR_CONFLICT, "somebody deleted the target %s while it was being filled", name);
    if (r->target_exists)
      os_advise(error,
                "an index of this name (UUID %s) has been made since, perhaps by the copy itself: delete it",
                uuid);
    return os_job_guard_failed(r->job, step, "target", error);
  }
  bounds(r, &least, &most);
  /* without ids what went twice is there twice: before it can be seen the count looks right */
  int64_t doubles = r->work.no_ids ? r->result->figures.unknown : 0;
  if (!rc)
    rc = os_cluster_count_between(r->cluster, name, least + doubles, most + doubles, true, &count, error);
  if (rc) return os_reindex_unverified(r, "count of target", error);
  rc = os_job_unseen_end(r->job, r->cluster, name, error);
  if (rc) return rc;
  r->result->target_documents = r->job->figures.count_after = count;
  if (count >= least && count <= most)
    return os_job_audit(r->job, step, "count of target", "pass", false, error, "%s holds %lld documents",
                        name, (long long)count);
  bool twice = doubles && count > most;
  os_fail(error, OS_ERR_CONFLICT, "%s holds %lld documents, but %lld were copied: %s", name, (long long)count,
          (long long)most,
          twice ? "a bulk request whose answer was lost has put its documents there twice"
                : "somebody else writes to it");
  os_advise(error, twice ? "do it again" : "stop who writes there, then do it again");
  return os_job_guard_failed(r->job, step, "count of target", error);
}

/* The task has copied the source as it was at one moment; who wrote there since is not in the copy. */
static int verify_source(struct os_reindex *r, struct os_error *error) {
  const char *name = r->request->source;
  long long total = (long long)r->result->figures.total, counted = (long long)r->result->source_documents;
  int64_t now = -1;
  struct os_error ignored;
  os_error_clear(&ignored);
  if (r->source_operations >= 0 && os_cluster_operations(r->from, name, &now, &ignored)) now = -1;
  if (ignored.code == OS_ERR_INTERRUPTED) {
    *error = ignored;
    return OS_ERR_INTERRUPTED;
  }
  int64_t writes = r->result->source_writes =
      now < 0 || r->source_operations < 0 ? -1 : now - r->source_operations;
  if (counted < 0)
    return os_job_audit(r->job, step, "count of source", "unknown", false, error,
                        "%lld documents were read from %s", total, name);
  if (writes > 0)
    return os_job_audit(r->job, step, "count of source", "unknown", false, error,
                        "%s took %lld writes meanwhile (%lld documents before, %lld copied): what they "
                        "changed may be missing",
                        name, (long long)writes, counted, total);
  if (total == counted)
    return os_job_audit(r->job, step, "count of source", writes ? "unknown" : "pass", false, error,
                        "all %lld documents of %s were read%s", total, name,
                        writes ? "; whether somebody wrote meanwhile cannot be seen"
                               : ", and nobody wrote meanwhile");
  if (writes < 0)
    return os_job_audit(r->job, step, "count of source", "unknown", false, error,
                        "%lld documents of %s were read, %lld were counted before; whether somebody wrote "
                        "meanwhile cannot be seen",
                        total, name, counted);
  os_fail(error, OS_ERR_CONFLICT, "%lld of %lld documents of %s were read, and nobody wrote there meanwhile",
          total, counted, name);
  os_advise(error, "do it again; look at the log of the cluster");
  return os_job_guard_failed(r->job, step, "count of source", error);
}

int os_reindex_verify(struct os_reindex *r, struct os_error *error) {
  int rc = verify_target(r, error);
  return rc ? rc : verify_source(r, error);
}
