/* load.c - os_bulk_load as its numbered steps; see load.h. */
#include "operations/load/load.h"
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "operations/cleanup/cleanup.h"
#include "operations/load/fields.h"
#include "operations/load/letters.h"
#include "operations/tune.h"

/* ---- what the readers share with us --------------------------------------------------------- */

static const char **text_array(const json_t *array) {
  size_t count = json_array_size(array);
  const char **texts = os_calloc(count + 1, sizeof *texts);
  for (size_t i = 0; texts && i < count; i++)
    texts[i] = json_string_value(json_array_get(array, i));
  return texts;
}

void os_load_shared_unref(struct os_load_shared *shared) {
  if (!shared || atomic_fetch_sub(&shared->references, 1) != 1) return;
  os_source_list_free(&shared->list);
  os_free(shared->columns);
  os_free(shared->null_values);
  json_decref(shared->mapping);
  json_decref(shared->options);
  os_free(shared);
}

static int make_shared(struct os_load *load, struct os_error *error) {
  const struct os_load_request *request = load->request;
  struct os_load_shared *shared = os_calloc(1, sizeof *shared);
  if (!shared) return os_fail_nomem(error);
  atomic_init(&shared->references, 1);
  load->shared = shared;
  shared->options = json_incref(request->options);
  shared->parse = request->parse;
  if (request->columns) {
    shared->columns = text_array(request->columns);
    shared->parse.columns = shared->columns;
    shared->parse.column_count = json_array_size(request->columns);
  }
  if (request->null_values) {
    shared->null_values = text_array(request->null_values);
    shared->parse.null_values = shared->null_values;
    shared->parse.null_value_count = json_array_size(request->null_values);
  }
  bool complete = (shared->columns || !request->columns) && (shared->null_values || !request->null_values);
  return complete ? OS_OK : os_fail_nomem(error);
}

void os_load_forget_columns(struct os_load_file *file) {
  json_decref(file->columns);
  json_decref(file->types);
  file->columns = file->types = NULL;
}

void os_load_free(struct os_load *load) {
  os_load_end_list(load);
  for (size_t i = 0; i < load->file_cap; i++) {
    struct os_load_file *file = &load->files[i];
    if (file->why_made) os_free((char *)file->why);
    os_free(file->replaced);
    os_load_forget_columns(file);
  }
  os_free(load->files);
  load->files = NULL;
  os_load_shared_unref(load->shared);
  load->shared = NULL;
  os_resolved_free(&load->target.resolved);
  json_decref(load->response);
  load->response = NULL;
}

/* ---- what it came to ------------------------------------------------------------------------ */

static int respond(struct os_load *load, double seconds, struct os_error *error) {
  const struct os_job_figures *f = load->figures;
  size_t skipped = load->shared->list.count - load->to_load;
  int64_t indexed = f->documents_created + f->documents_updated + f->documents_noop + f->documents_already;
  char count[32], rate[32];
  if (f->documents_failed && !indexed && !f->documents_skipped && !load->request->dry_run) {
    os_fail(error, OS_ERR_REFUSED, "%s%lld %s of %s%s %s refused and none is in %s",
            f->documents_failed == 1 ? "the " : "all ", (long long)f->documents_failed,
            f->documents_failed == 1 ? "record" : "records", os_load_source(load, 0)->path,
            load->shared->list.count > 1 ? " and the other files" : "",
            f->documents_failed == 1 ? "was" : "were", load->request->index);
    os_advise(error,
              "SELECT line, error_type, error_reason FROM dlq_failures WHERE job=%lld LIMIT 5 shows why",
              (long long)load->job->number);
    return (int)error->code;
  }
  double rounded = (double)(int64_t)(seconds * 1000 + 0.5) / 1000;
  load->partial = f->documents_failed + load->unfit > 0;
  os_format_count((uint64_t)indexed, count, sizeof count);
  os_format_count(seconds > 0 ? (uint64_t)((double)f->documents_read / seconds) : 0, rate, sizeof rate);
  load->response = json_pack(
      "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:b}", "index",
      load->request->index, "mode", os_mode_name(load->mode), "mode_reason", load->mode_why, "files",
      (json_int_t)f->files, "files_skipped", (json_int_t)skipped, "documents_read",
      (json_int_t)f->documents_read, "created", (json_int_t)f->documents_created, "updated",
      (json_int_t)f->documents_updated, "noop", (json_int_t)f->documents_noop, "already",
      (json_int_t)f->documents_already, "failed", (json_int_t)f->documents_failed, "skipped",
      (json_int_t)f->documents_skipped, "bytes_read", (json_int_t)f->bytes_read, "bytes_sent",
      (json_int_t)f->bytes_sent, "requests", (json_int_t)f->requests, "retries", (json_int_t)f->retries,
      "seconds", rounded, "verified",
      (int)(load->request->validate != OS_VALIDATE_NONE && !load->unverified[0] && !load->request->dry_run));
  if (!load->response) return os_fail_nomem(error);
  if (f->count_before >= 0) os_json_put(load->response, "count_before", json_integer(f->count_before));
  if (f->count_after >= 0) os_json_put(load->response, "count_after", json_integer(f->count_after));
  if (load->unverified[0]) os_json_put(load->response, "unverified", json_string(load->unverified));
  if (load->target.write_alias || load->target.data_stream)
    os_json_put(load->response, "note",
                json_sprintf("documents went to %s; computed ids hold within one backing index: after a "
                             "rollover the same content would be loaded again",
                             load->target.concrete));
  char refused[300] = "", skipped_text[64] = "", letters[120];
  os_load_report_letters(load, load->response, letters, sizeof letters);
  if (f->documents_failed)
    snprintf(refused, sizeof refused, "; %lld refused, kept in dlq_failures WHERE job=%lld%s",
             (long long)f->documents_failed, (long long)load->job->number, letters);
  if (skipped) snprintf(skipped_text, sizeof skipped_text, ", %zu skipped", skipped);
  if (load->request->dry_run)
    snprintf(load->message, sizeof load->message,
             "Nothing was sent: %lld of %lld records in %lld %s would go to %s, %lld would be refused",
             (long long)(f->documents_read - f->documents_failed - load->unfit), (long long)f->documents_read,
             (long long)f->files, f->files == 1 ? "file" : "files", load->request->index,
             (long long)(f->documents_failed + load->unfit));
  else
    snprintf(load->message, sizeof load->message, "Loaded %s documents from %lld %s%s into %s (%s/s)%s",
             count, (long long)f->files, f->files == 1 ? "file" : "files", skipped_text, load->request->index,
             rate, refused);
  return OS_OK;
}

/* ---- the procedure -------------------------------------------------------------------------- */

static const double UNDO_SECONDS = 0.5; /* an interrupted command must still end within a second */

static bool undo_is_late(void *deadline) {
  return os_clock_monotonic() > *(const double *)deadline;
}

void os_load_undo(struct os_load *load) {
  struct os_error trouble;
  struct os_cluster cluster = *load->cluster;
  double deadline = os_clock_monotonic() + UNDO_SECONDS;
  if (!load->tuned) return;
  load->tuned = false;
  os_error_clear(&trouble);
  /* the load was perhaps interrupted, and its network thread given up: this has a time limit of its own */
  cluster.probe = (struct os_probe){undo_is_late, &deadline};
  int rc = os_session_net(load->session, &cluster.net, &trouble);
  if (!rc) rc = os_tune_end(load->job, &cluster, load->target.concrete, load->target.uuid, &trouble);
  if (rc) os_log_write(load->session->log, OS_LOG_WARNING, "%s; %s", trouble.text, trouble.advice);
}

int os_load_begin(struct os_load *load, const struct os_load_request *request, struct os_job *job,
                  struct os_cluster *cluster, struct os_error *error) {
  memset(load, 0, sizeof *load);
  load->request = request;
  load->job = job;
  load->session = job->session;
  load->ledger = job->ledger;
  load->cluster = cluster;
  load->figures = &job->figures;
  load->figures->count_before = load->figures->count_after = -1;
  return make_shared(load, error);
}

int os_load_run(struct os_load *load, const struct os_load_request *request, struct os_job *job,
                struct os_cluster *cluster, struct os_error *error) {
  double started = os_clock_monotonic();
  int rc = os_load_begin(load, request, job, cluster, error);
  if (!rc && !request->dry_run) rc = os_tune_restore_orphans(job, cluster, error);
  if (!rc && !request->dry_run) rc = os_cleanup_recover(job, cluster, request->index, error);
  if (!rc) rc = os_load_step_guards(load, error);
  if (!rc) rc = os_load_step_plan(load, error);
  if (!rc) rc = os_load_step_mode(load, error);
  if (!rc) rc = os_load_check_fields(load, error);
  if (!rc) rc = os_load_check_queue(load, error);
  if (!rc) rc = os_load_step_prepare(load, error);
  if (!rc) rc = os_load_step_run(load, error);
  if (!rc && !request->dry_run) rc = os_load_step_finish(load, error);
  if (rc != OS_ERR_INTERRUPTED && rc != OS_ERR_CANCELLED) os_load_send_letters(load);
  if (!rc) rc = respond(load, os_clock_monotonic() - started, error);
  if (rc) os_load_undo(load);
  return rc;
}
