/* prepare.c - step 4 of a load: everything that must be so before the first record goes out. Each
** change is a durable row of os_audit first (architecture, rule 4).
*/
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "operations/cleanup/cleanup.h"
#include "operations/load/load.h"
#include "operations/load/replace.h"
#include "operations/tune.h"
#include "operations/visible.h"
#include "pipeline/fingerprint.h"

static int create_index(struct os_load *load, struct os_error *error) {
  const struct os_load_request *request = load->request;
  char *body = json_is_object(request->create) ? os_json_text(request->create) : os_strdup("{}");
  if (!body) return os_fail_nomem(error);
  int rc =
      os_job_audit(load->job, "prepare", "create", "did", true, error, "creating index %s", request->index);
  if (!rc) rc = os_cluster_index_create(load->cluster, request->index, body, error);
  os_free(body);
  if (rc == OS_ERR_REFUSED &&
      strstr(error->text, "resource_already_exists")) { /* another load was first: as good */
    os_error_clear(error);
    rc = os_job_audit(load->job, "prepare", "create", "skip", false, error, "%s exists meanwhile",
                      request->index);
  } else if (!rc) {
    load->target.stats_known = true; /* and all of them are 0 */
  }
  if (rc) return os_job_guard_failed(load->job, "prepare", "create", error);
  os_resolved_free(&load->target.resolved);
  rc = os_cluster_resolve(load->cluster, request->index, &load->target.resolved, error);
  if (rc == OS_ERR_FORBIDDEN) {
    os_error_clear(error);
    return OS_OK;
  }
  snprintf(load->target.uuid, sizeof load->target.uuid, "%s", load->target.resolved.uuid);
  return rc;
}

/* The counters of an index that was emptied: what was indexed meanwhile was so by others, and is to be seen. */
static void count_from_here(struct os_load *load, bool recreated) {
  struct os_load_target *target = &load->target;
  int64_t indexed = recreated ? 0 : target->stats_before.index_total;
  struct os_error ignored;
  os_error_clear(&ignored);
  target->stats_known =
      os_cluster_stats(load->cluster, target->concrete, &target->stats_before, &ignored) == OS_OK;
  target->stats_before.index_total = indexed;
}

/* fresh: what was loaded is forgotten, what is there is deleted. */
static int empty_index(struct os_load *load, struct os_error *error) {
  const struct os_load_request *request = load->request;
  struct os_load_target *target = &load->target;
  int rc = os_job_audit(load->job, "prepare", "forget", "did", true, error,
                        "earlier loads of %s no longer count as loaded", request->index);
  if (!rc) rc = os_ledger_forget_index(load->ledger, request->index, error);
  bool versions = load->shared->parse.version_field != NULL;
  if (rc || (target->count_before == 0 && !versions)) return rc;
  struct os_cleanup_request cleanup = {.index = target->concrete,
                                       .recreate_threshold = request->recreate_threshold,
                                       .backup = true,
                                       .allow_unverified = request->allow_unverified,
                                       .no_expunge = request->force_merge == OS_MERGE_NO,
                                       .forget_versions = versions};
  struct os_cleanup_result result = {0};
  rc = os_cleanup_run(load->job, load->cluster, &cleanup, &result, error);
  if (rc) return rc;
  load->deleted_some = result.deleted > 0 && !result.recreated;
  target->count_before = load->figures->count_before = result.documents_before < 0 ? -1 : 0;
  if (result.uuid[0]) snprintf(target->uuid, sizeof target->uuid, "%s", result.uuid);
  if (target->stats_known) count_from_here(load, result.recreated);
  return OS_OK;
}

static int replace_changed(struct os_load *load, struct os_error *error) {
  int rc = OS_OK;
  for (size_t i = 0; i < load->shared->list.count && !rc; i++)
    if (load->files[i].action == OS_FILE_REPLACE) rc = os_load_replace(load, i, error);
  return rc;
}

/* The beginning of every computed id. */
static int compute_prefixes(struct os_load *load, size_t from, struct os_error *error) {
  int rc = OS_OK;
  if (load->server_ids) return OS_OK;
  for (size_t i = from; i < load->shared->list.count && !rc; i++) {
    struct os_source *source = os_load_source(load, i);
    char fingerprint[OS_FINGERPRINT_TEXT];
    os_fingerprint_text(source, fingerprint);
    rc = os_id_prefix_compute(source->name, fingerprint[0] ? fingerprint : load->nonce,
                              load->files[i].generation, source->id_prefix, error);
  }
  return rc;
}

static const char *format_text(const struct os_source *source, char out[32]) {
  static const char *const endings[] = {"", ".gz", ".zst"};
  snprintf(out, 32, "%s%s", os_format_name(source->format), endings[source->compression]);
  return out;
}

static int add_rows(struct os_load *load, size_t from, struct os_error *error) {
  int rc = os_ledger_begin(load->ledger, error);
  for (size_t i = from; i < load->shared->list.count && !rc; i++) {
    struct os_source *source = os_load_source(load, i);
    char fingerprint[OS_FINGERPRINT_TEXT], format[32], mtime[OS_TIME_TEXT];
    os_fingerprint_text(source, fingerprint);
    os_clock_iso((double)source->mtime_ns / 1e9, mtime);
    struct os_job_file row = {.job = load->job->number,
                              .file = source->path,
                              .name = source->name,
                              .fingerprint = fingerprint,
                              .size = (int64_t)source->size,
                              .mtime = source->is_stream ? NULL : mtime,
                              .format = format_text(source, format),
                              .status = load->files[i].action == OS_FILE_SKIP ? "skipped" : "waiting",
                              .byte_offset = (int64_t)source->start_offset,
                              .line = (int64_t)source->start_line,
                              .generation = load->files[i].generation};
    rc = os_ledger_file_add(load->ledger, &row, &source->tag, error);
  }
  if (rc) {
    os_ledger_rollback(load->ledger);
    return rc;
  }
  return os_ledger_commit(load->ledger, error);
}

static int without_ids(struct os_load *load, struct os_error *error) {
  const char *id_field = load->shared->parse.id_field;
  size_t len = strlen(load->mode_why);
  for (size_t i = 0; i < load->shared->list.count; i++) {
    if (!load->files[i].carries_id) continue;
    os_fail(error, OS_ERR_GUARD,
            "this collection takes no ids of its clients, and %s carries the id field %s",
            os_load_source(load, i)->path, id_field ? id_field : "_id");
    os_advise(
        error,
        "load it with {\"id_field\":null}, which leaves %s an ordinary member (_id itself cannot be one), or "
        "into a search collection",
        id_field ? id_field : "_id");
    return os_job_guard_failed(load->job, "prepare", "ids", error);
  }
  snprintf(load->mode_why + len, sizeof load->mode_why - len,
           "; exactly_once is off, since the collection takes no ids of its clients");
  return OS_OK;
}

int os_load_prepare_files(struct os_load *load, size_t from, struct os_error *error) {
  int rc = compute_prefixes(load, from, error);
  load->figures->files = (int64_t)load->to_load;
  return rc ? rc : add_rows(load, from, error);
}

int os_load_step_prepare(struct os_load *load, struct os_error *error) {
  const struct os_load_request *request = load->request;
  snprintf(load->nonce, sizeof load->nonce, "%lld-%lld-%lld", (long long)load->job->number,
           (long long)load->session->pid, (long long)(os_clock_unix() * 1e6));
  int rc = load->no_ids ? without_ids(load, error) : OS_OK;
  if (!rc) rc = compute_prefixes(load, 0, error);
  load->figures->files = (int64_t)load->to_load;
  if (rc || request->dry_run) return rc;
  if (load->target.to_create) rc = create_index(load, error);
  if (!rc && load->mode == OS_MODE_FRESH) rc = empty_index(load, error);
  if (!rc)
    rc = os_ledger_job_target(load->ledger, load->job->number, request->index, load->target.uuid,
                              request->path, error);
  if (!rc) rc = os_job_unseen_begin(load->job, load->cluster, load->target.concrete, error);
  if (!rc) rc = replace_changed(load, error);
  if (!rc) rc = add_rows(load, 0, error);
  if (!rc && request->tune_index && os_cluster_is_serverless(load->cluster))
    rc = os_job_audit(load->job, "prepare", "tune_index", "skip", false, error,
                      "a collection sets refresh and replicas by itself");
  else if (!rc && request->tune_index) {
    rc = os_tune_begin(load->job, load->cluster, load->target.concrete, load->target.uuid, error);
    load->tuned = !rc;
  }
  return rc;
}
