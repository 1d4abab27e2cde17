/* live.c - the phases of a live copy in their order; see live.h. */
#include "operations/live/live_int.h"
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "operations/settle.h"

enum {
  LITTLE = 2000,   /* documents of a pass after which the block is short */
  MOST_PASSES = 20 /* each begins with what was written during the one before */
};

static const double UNBLOCK_SECONDS = 10;

/* ---- the block ----------------------------------------------------------------------------------- */

static int block(struct os_live *live, struct os_error *error) {
  const char *source = live->request->source;
  bool blocked = false;
  int rc = os_cluster_writes_blocked(live->copy.from, source, &blocked, error);
  if (!rc && blocked) /* by somebody else: it stays theirs */
    return os_job_audit(live->copy.job, "live", "block", "pass", false, error, "%s takes no writes already",
                        source);
  if (!rc)
    rc = os_ledger_step_put(live->copy.job->ledger, live->copy.job->number, source, "block", "begun", NULL,
                            error);
  if (!rc)
    rc = os_job_audit(live->copy.job, "live", "block", "did", true, error,
                      "PUT /%s/_block/write; undone by PUT /%s/_settings {\"index.blocks.write\":null}",
                      source, source);
  live->block_ends = os_clock_monotonic() + live->request->max_block;
  live->copy.urgent = true; /* nobody may wait behind a block */
  return rc ? rc : os_cluster_block_writes(live->copy.from, source, live->request->max_block, error);
}

int os_live_release(struct os_job *job, struct os_cluster *cluster, const char *source,
                    struct os_error *error) {
  char state[16];
  int rc = os_ledger_step_get(job->ledger, job->number, source, "block", state, NULL, error);
  if (rc || strcmp(state, "begun")) return rc;
  rc = os_cluster_allow_writes(cluster, source, error);
  if (rc == OS_ERR_NOT_FOUND) {
    os_error_clear(error);
    rc = OS_OK;
  }
  if (!rc) rc = os_ledger_step_put(job->ledger, job->number, source, "block", "undone", NULL, error);
  if (!rc) rc = os_job_audit(job, "live", "unblock", "did", true, error, "%s takes writes again", source);
  if (rc)
    os_advise(error, "%s still refuses writes: PUT /%s/_settings {\"index.blocks.write\":null} ends that",
              source, source);
  return rc;
}

/* ---- phases -------------------------------------------------------------------------------------- */

static int report_pass(struct os_live *live, int64_t copied, double seconds, struct os_error *error) {
  char text[32];
  snprintf(text, sizeof text, "%lld.%03lld", (long long)seconds, (long long)(seconds * 1000) % 1000);
  return os_job_audit(live->copy.job, "live", "pass", "did", false, error, "pass %d: %lld documents in %s s",
                      live->result->passes, (long long)copied, text);
}

static int one_pass(struct os_live *live, struct os_copy_writer *writer, int64_t *copied,
                    struct os_error *error) {
  double began = os_clock_monotonic();
  live->result->passes++;
  int rc = os_copy_look(&live->copy, error);
  if (!rc) rc = os_copy_pass(&live->copy, writer, copied, error);
  return rc ? rc : report_pass(live, *copied, os_clock_monotonic() - began, error);
}

/* Each pass is shorter than the one before, unless writers are as fast as we are. */
static int catch_up(struct os_live *live, struct os_copy_writer *writer, struct os_error *error) {
  int64_t copied = 0;
  for (int i = 0; i < MOST_PASSES; i++) {
    int rc = one_pass(live, writer, &copied, error);
    if (rc || copied <= LITTLE) return rc;
  }
  os_fail(error, OS_ERR_BUSY,
          "after %d passes, the last with %lld documents, %s still changes faster than it is copied",
          live->result->passes, (long long)copied, live->request->source);
  return os_advise(error, "let its writers pause for a while, then do the same again: it goes on from here");
}

static int verify(struct os_live *live, int64_t operations, struct os_error *error) {
  const struct os_live_request *request = live->request;
  int64_t source = 0, target = 0, now = 0;
  int rc = os_copy_look(&live->copy, error);
  if (!rc) rc = os_cluster_count_all(live->copy.from, request->source, &source, error);
  if (!rc) rc = os_cluster_count_all(live->copy.from, request->target, &target, error);
  if (!rc) rc = os_cluster_operations(live->copy.from, request->source, &now, error);
  if (rc) return rc;
  live->result->documents = target;
  if (source == target && now == operations)
    return os_job_audit(live->copy.job, "live", "equal", "pass", false, error,
                        "%lld documents in both, no operation on %s since the block (%lld)",
                        (long long)target, request->source, (long long)now);
  if (now != operations)
    os_fail(error, OS_ERR_CONFLICT, "%s took %lld operations behind its write block", request->source,
            (long long)(now - operations));
  else
    os_fail(error, OS_ERR_CONFLICT, "%s has %lld documents and its copy %s %lld", request->source,
            (long long)source, request->target, (long long)target);
  os_advise(error, "does somebody else write to %s?", request->target);
  return os_job_guard_failed(live->copy.job, "live", "equal", error);
}

/* Nothing can be missing in the copy, so it has too many or is equal. */
static int take_out_deleted(struct os_live *live, struct os_error *error) {
  const struct os_live_request *request = live->request;
  int64_t source = 0, target = 0;
  int rc = os_cluster_count_all(live->copy.from, request->source, &source, error);
  if (!rc) rc = os_cluster_count_all(live->copy.from, request->target, &target, error);
  if (rc || source == target) return rc;
  rc = os_live_reconcile(live, &live->result->deleted, error);
  return rc ? rc
            : os_job_audit(live->copy.job, "live", "deletes", "did", false, error,
                           "%lld documents deleted from %s: they were deleted from %s meanwhile",
                           (long long)live->result->deleted, request->target, request->source);
}

static int behind_the_block(struct os_live *live, struct os_copy_writer *writer, struct os_error *error) {
  int64_t copied = 0, operations = 0;
  int rc = block(live, error);
  if (!rc) rc = os_cluster_operations(live->copy.from, live->request->source, &operations, error);
  if (!rc) rc = one_pass(live, writer, &copied, error);
  if (!rc) rc = take_out_deleted(live, error);
  if (!rc) rc = verify(live, operations, error);
  return rc;
}

static int copy(struct os_live *live, struct os_error *error) {
  struct os_copy_writer *writer = NULL;
  int rc = os_copy_writer_open(&writer, &live->copy, error);
  if (!rc) rc = catch_up(live, writer, error);
  double began = os_clock_monotonic();
  if (!rc) rc = behind_the_block(live, writer, error);
  live->result->blocked = os_clock_monotonic() - began;
  os_copy_writer_close(writer);
  return rc;
}

/* For copy.look: how long the block lasts. */
static int blocked_too_long(struct os_copy *copy, struct os_error *error) {
  const struct os_live *live = (const struct os_live *)copy;
  if (live->block_ends <= 0 || os_clock_monotonic() <= live->block_ends) return OS_OK;
  os_fail(error, OS_ERR_TIMEOUT, "%s has refused writes for %.0f seconds, and the copy is not yet equal",
          copy->source, live->request->max_block);
  return os_advise(error, "it takes writes again; try at a quieter time, or raise max_block");
}

int os_live_copy(struct os_job *job, struct os_cluster *cluster, const struct os_live_request *request,
                 struct os_live_result *result, struct os_error *error) {
  struct os_live live = {.copy = {.job = job,
                                  .from = cluster,
                                  .to = cluster,
                                  .source = request->source,
                                  .target = request->target,
                                  .item = request->source,
                                  .step = "live",
                                  .parameters = "pipeline=_none",
                                  .batch_bytes = request->batch_bytes,
                                  .max_workers = request->max_workers,
                                  .look = blocked_too_long},
                         .request = request,
                         .result = result};
  memset(result, 0, sizeof *result);
  int rc = os_live_release(job, cluster, request->source, error); /* of a job that died behind the block */
  if (!rc) rc = os_copy_begin(&live.copy, false, error);
  if (!rc) rc = copy(&live, error);
  result->copied = live.copy.figures.read - live.copy.earlier;
  os_copy_end(&live.copy);
  if (!rc) return OS_OK;
  struct os_error trouble;
  struct os_settle settle;
  os_error_clear(&trouble);
  os_settle_all(&settle, cluster, UNBLOCK_SECONDS); /* whatever ended it, also an interruption */
  if (os_live_release(job, &settle.cluster, request->source, &trouble))
    os_advise(error, "%s", trouble.advice);
  return rc;
}
