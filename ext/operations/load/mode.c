/* mode.c - step 3 of a load: which mode it is, and what is to happen with each file, and why.
**
** `auto` never deletes: it chooses upsert when every file carries ids, fresh when nothing is there to
** delete, and otherwise says what it found and what there is to choose from.
*/
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/text.h"
#include "operations/load/load.h"
#include "pipeline/fingerprint.h"

const char *os_mode_name(enum os_load_mode mode) {
  static const char *const names[] = {"auto", "fresh", "append", "upsert", "resume"};
  return names[mode];
}

static const char insert_only[] = "insert_only"; /* name of a check in os_audit */

static int refuse(struct os_load *load, const struct os_error *error) {
  return os_job_guard_failed(load->job, "mode", "mode", error);
}

/* What was loaded into an index that does not exist any more is gone with it. */
static bool has_history(const struct os_load *load) {
  return load->ledger && !load->target.to_create && !load->no_past;
}

/* ---- auto ----------------------------------------------------------------------------------- */

static void say_unseen(struct os_load *load) {
  size_t len = strlen(load->mode_why);
  if (load->lister)
    snprintf(load->mode_why + len, sizeof load->mode_why - len, " (the first %zu were looked at)",
             load->shared->list.count);
  else if (load->unseen)
    snprintf(load->mode_why + len, sizeof load->mode_why - len, " (%zu of %zu were looked at)",
             load->shared->list.count - load->unseen, load->shared->list.count);
}

static int choose(struct os_load *load, struct os_error *error) {
  size_t with_id = 0, with_rows = 0;
  int64_t unfinished = 0;
  const char *without = "";
  for (size_t i = 0; i < load->shared->list.count; i++) {
    if (load->files[i].empty || os_load_source(load, i)->unseen) continue;
    with_rows++;
    if (load->files[i].carries_id)
      with_id++;
    else if (!without[0])
      without = os_load_source(load, i)->path;
  }
  if (has_history(load)) {
    int rc = os_ledger_unfinished(load->ledger, load->request->index, load->target.uuid, load->request->path,
                                  &unfinished, error);
    if (rc) return rc;
  }
  const char *id_field = load->shared->parse.id_field ? load->shared->parse.id_field : "_id";
  if (unfinished) {
    os_fail(error, OS_ERR_GUARD, "job %lld loaded the same path into %s and did not finish",
            (long long)unfinished, load->request->index);
    os_advise(error, "pass {\"mode\":\"resume\"} to go on where it stopped, or {\"mode\":\"fresh\"} to empty "
                     "the index and "
                     "begin again");
    return refuse(load, error);
  }
  if (!with_rows) {
    load->mode = OS_MODE_UPSERT;
    snprintf(load->mode_why, sizeof load->mode_why, "auto chose upsert: no file holds a record");
  } else if (with_id == with_rows) {
    load->mode = OS_MODE_UPSERT;
    snprintf(load->mode_why, sizeof load->mode_why, "auto chose upsert: every file carries %s", id_field);
  } else if (!with_id && load->target.count_before == 0) {
    load->mode = OS_MODE_FRESH;
    snprintf(load->mode_why, sizeof load->mode_why,
             "auto chose fresh: no file carries %s and the index is empty", id_field);
  } else if (with_id) {
    os_fail(error, OS_ERR_GUARD, "%zu of %zu files carry the id field %s and the others, such as %s, do not",
            with_id, with_rows, id_field, without);
    os_advise(error, "load them apart, or name the mode: append (records without an id get a computed one) "
                     "or upsert (records "
                     "without an id are refused)");
    return refuse(load, error);
  } else if (load->target.count_before < 0) {
    os_fail(error, OS_ERR_GUARD,
            "no file carries the id field %s, and how many documents %s holds cannot be read", id_field,
            load->request->index);
    os_advise(error, "name the mode: append, or resume");
    return refuse(load, error);
  } else {
    os_fail(error, OS_ERR_GUARD, "%s holds %lld documents already and the files carry no %s",
            load->request->index, (long long)load->target.count_before, id_field);
    os_advise(error, "name the mode: append (add to them), resume (go on with an earlier load), fresh "
                     "(delete them first), or "
                     "upsert with an id_field");
    return refuse(load, error);
  }
  say_unseen(load);
  return OS_OK;
}

/* ---- each file ------------------------------------------------------------------------------ */

/* why: a constant. Always OS_OK: it ends a decision */
static int say_why(struct os_load_file *file, enum os_file_action action, const char *why) {
  file->action = action;
  file->why = why;
  file->why_made = false;
  return OS_OK;
}

/* why: taken over */
static int say_made_why(struct os_load_file *file, enum os_file_action action, char *why,
                        struct os_error *error) {
  say_why(file, action, why);
  file->why_made = true;
  return why ? OS_OK : os_fail_nomem(error);
}

static int refuse_file(struct os_load *load, size_t i, struct os_error *error) {
  struct os_error ignored;
  char sentence[OS_ERROR_TEXT + OS_ERROR_ADVICE];
  os_error_sentence(error, sentence, sizeof sentence);
  say_made_why(&load->files[i], OS_FILE_REFUSE, os_strdup(sentence), &ignored);
  return refuse(load, error);
}

static int64_t content_loads(struct os_load *load, const struct os_source *source, int *rc,
                             struct os_error *error) {
  char fingerprint[OS_FINGERPRINT_TEXT];
  int64_t times = 0;
  if (!has_history(load) || !source->has_digest) return 0;
  os_fingerprint_text(source, fingerprint);
  *rc = os_ledger_content_loads(load->ledger, load->request->index, load->target.uuid, fingerprint, &times,
                                error);
  return times;
}

static int decide_append(struct os_load *load, size_t i, struct os_error *error) {
  struct os_source *source = os_load_source(load, i);
  struct os_load_file *file = &load->files[i];
  struct os_file_past past = {0};
  int rc = OS_OK;
  int64_t times = content_loads(load, source, &rc, error);
  if (rc) return rc;
  if (times && !load->request->allow_again) {
    os_fail(error, OS_ERR_GUARD, "%s: this content is in %s already (loaded %lld %s)", source->path,
            load->request->index, (long long)times, times == 1 ? "time" : "times");
    os_advise(error, "mode resume skips it; {\"allow_again\":true} loads it once more");
    return refuse_file(load, i, error);
  }
  file->generation = times;
  if (has_history(load) && source->has_digest && !times) {
    char fingerprint[OS_FINGERPRINT_TEXT];
    os_fingerprint_text(source, fingerprint);
    rc = os_ledger_file_past(load->ledger, load->request->index, load->target.uuid, source->name, &past,
                             error);
    if (rc) return rc;
    bool started = past.found && !strcmp(past.fingerprint, fingerprint) && past.byte_offset > 0;
    if (started && !load->request->allow_again) {
      os_fail(error, OS_ERR_GUARD, "%s: job %lld loaded it up to byte %lld and did not finish", source->path,
              (long long)past.job, (long long)past.byte_offset);
      os_advise(error, "pass {\"mode\":\"resume\"} to go on from there");
      return refuse_file(load, i, error);
    }
  }
  return say_why(file, OS_FILE_LOAD,
                 times ? "loaded once more, because allow_again was given" : "not loaded yet");
}

static int decide_changed(struct os_load *load, size_t i, const struct os_file_past *past,
                          struct os_error *error) {
  struct os_source *source = os_load_source(load, i);
  struct os_load_file *file = &load->files[i];
  switch (load->request->on_changed) {
  case OS_CHANGED_REPLACE:
    file->replaced = os_malloc(sizeof *file->replaced);
    if (!file->replaced) return os_fail_nomem(error);
    file->replaced->generation = past->generation;
    snprintf(file->replaced->fingerprint, sizeof file->replaced->fingerprint, "%s", past->fingerprint);
    return say_made_why(
        file, OS_FILE_REPLACE,
        os_mprintf("changed since job %lld: its earlier documents are deleted, then it is loaded",
                   (long long)past->job),
        error);
  case OS_CHANGED_APPEND:
    return say_made_why(
        file, OS_FILE_LOAD,
        os_mprintf("changed since job %lld: loaded beside its earlier documents", (long long)past->job),
        error);
  default:
    os_fail(error, OS_ERR_GUARD, "%s changed since job %lld loaded it (%lld bytes then, %llu now)",
            source->path, (long long)past->job, (long long)past->size, (unsigned long long)source->size);
    os_advise(error, "pass on_changed: replace (delete its earlier documents, then load it) or append (load "
                     "it beside them)");
    return refuse_file(load, i, error);
  }
}

/* What is to be gone on with. A load that died while this file still waited meant to load it, whatever
** earlier loads of it there are: what that load brought from the files before may have come over theirs. */
static int find_past(struct os_load *load, const char *name, const char *fingerprint,
                     struct os_file_past *past, struct os_error *error) {
  const char *index = load->request->index, *uuid = load->target.uuid;
  if (!has_history(load)) return OS_OK;
  int rc = os_ledger_file_planned(load->ledger, index, uuid, name, fingerprint, past, error);
  if (!rc && !past->found) rc = os_ledger_file_past(load->ledger, index, uuid, name, past, error);
  return rc;
}

static bool is_finished(const struct os_file_past *past) {
  return !strcmp(past->status, "success") || !strcmp(past->status, "partial") ||
         !strcmp(past->status, "skipped");
}

static int decide_resume(struct os_load *load, size_t i, struct os_error *error) {
  struct os_source *source = os_load_source(load, i);
  struct os_load_file *file = &load->files[i];
  struct os_file_past past = {0};
  char fingerprint[OS_FINGERPRINT_TEXT];
  if (source->is_stream) {
    os_fail(error, OS_ERR_GUARD, "%s cannot be resumed: it can be read only once", source->path);
    os_advise(error, "load from a file, or pass another mode");
    return refuse_file(load, i, error);
  }
  source->maybe_sent = true;
  os_fingerprint_text(source, fingerprint);
  int rc = find_past(load, source->name, fingerprint, &past, error);
  if (rc) return rc;
  if (!past.found) {
    int64_t times = content_loads(load, source, &rc, error);
    if (rc) return rc;
    if (times) return say_why(file, OS_FILE_SKIP, "this content was loaded under another name");
    return say_why(file, OS_FILE_LOAD, "not loaded yet");
  }
  if (past.job_alive) {
    os_fail(error, OS_ERR_GUARD, "%s is being loaded into %s by job %lld right now", source->path,
            load->request->index, (long long)past.job);
    os_advise(error, "wait for it, or stop it with os_cancel(%lld)", (long long)past.job);
    return refuse_file(load, i, error);
  }
  if (strcmp(past.fingerprint, fingerprint)) return decide_changed(load, i, &past, error);
  file->generation = past.generation;
  if (is_finished(&past))
    return say_made_why(file, OS_FILE_SKIP, os_mprintf("loaded by job %lld", (long long)past.job), error);
  bool inserts = false;
  rc = os_ledger_audit_has(load->ledger, past.job, insert_only, &inserts, error);
  if (rc) return rc;
  load->insert_only |= inserts;
  if (past.byte_offset <= 0)
    return say_made_why(file, OS_FILE_LOAD, os_mprintf("job %lld had not begun with it", (long long)past.job),
                        error);
  source->start_offset = (uint64_t)past.byte_offset;
  source->start_line = past.line > 0 ? (uint64_t)past.line : 1;
  return say_made_why(file, OS_FILE_CONTINUE,
                      os_mprintf("job %lld stopped behind byte %lld, line %lld", (long long)past.job,
                                 (long long)past.byte_offset, (long long)source->start_line),
                      error);
}

static int decide_file(struct os_load *load, size_t i, struct os_error *error) {
  switch (load->mode) {
  case OS_MODE_APPEND: return decide_append(load, i, error);
  case OS_MODE_RESUME: return decide_resume(load, i, error);
  case OS_MODE_UPSERT: return say_why(&load->files[i], OS_FILE_LOAD, "added or updated by id");
  default: return say_why(&load->files[i], OS_FILE_LOAD, "loaded from its beginning");
  }
}

/* resume after a fresh (or os_cleanup) that broke off while it emptied the index: what is left there
** belongs to nobody. */
static int guard_emptied(struct os_load *load, struct os_error *error) {
  int64_t job = 0;
  if (load->mode != OS_MODE_RESUME || !has_history(load) || load->target.count_before == 0) return OS_OK;
  int rc = os_ledger_emptying_broken(load->ledger, load->target.concrete, &job, error);
  if (rc || !job) return rc;
  os_fail(error, OS_ERR_GUARD, "job %lld was emptying %s when it ended, and %s still holds documents",
          (long long)job, load->target.concrete, load->target.concrete);
  os_advise(error, "load with mode fresh once more; or with append, to keep what is left beside the files");
  return refuse(load, error);
}

/* What the mode may not do with this target. */
static int guard_mode(struct os_load *load, struct os_error *error) {
  const struct os_load_target *target = &load->target;
  const struct os_load_request *request = load->request;
  if (load->mode == OS_MODE_FRESH && (target->data_stream || target->write_alias)) {
    os_fail(error, OS_ERR_GUARD, "%s is written through %s, and fresh would delete what is there",
            request->index, target->data_stream ? "a data stream" : "a rollover alias");
    os_advise(error, "use mode append or resume");
    return refuse(load, error);
  }
  if (load->mode == OS_MODE_FRESH && target->count_before < 0 && !request->allow_unverified) {
    os_fail(error, OS_ERR_GUARD, "fresh empties %s, and what it holds could not be checked: %s",
            request->index, load->unverified);
    os_advise(error, "get the missing right, or pass {\"allow_unverified\":true}");
    return refuse(load, error);
  }
  if (load->mode == OS_MODE_FRESH && load->shared->parse.version_field && !target->to_create &&
      os_cluster_is_serverless(load->cluster)) {
    os_fail(
        error, OS_ERR_GUARD,
        "fresh does not go with version_field in a collection: an index there cannot be made anew, and "
        "remembers "
        "the versions of what was deleted for a while, so that records of the same version would be skipped");
    os_advise(error, "delete %s and load with {\"create\":true}; or use mode upsert", request->index);
    return refuse(load, error);
  }
  if (request->tune_index && request->allow_live) {
    os_fail(error, OS_ERR_ARGUMENT,
            "tune_index switches refresh and replicas off and cannot go with allow_live");
    return refuse(load, error);
  }
  if (request->tune_index && !target->uuid[0] && !target->to_create && !request->dry_run) {
    os_fail(error, OS_ERR_GUARD, "tune_index needs the right to read the settings of %s, and it is missing",
            request->index);
    return refuse(load, error);
  }
  return OS_OK;
}

/* Where earlier loads are known, every file is held against them before the first record is sent: it may be one that
** must not be loaded again, and after a kill `resume` must know what was to come. */
static int list_whole_if_needed(struct os_load *load, struct os_error *error) {
  bool known = false;
  int rc = OS_OK;
  if (!load->lister) return OS_OK;
  if (load->mode != OS_MODE_FRESH && has_history(load))
    rc = os_ledger_index_known(load->ledger, load->request->index, load->target.uuid, &known, error);
  load->no_past = !known;
  return rc || !known ? rc : os_load_list_whole(load, error);
}

int os_load_decide_files(struct os_load *load, size_t from, struct os_error *error) {
  int rc = OS_OK;
  for (size_t i = from; i < load->shared->list.count && !rc; i++) {
    rc = decide_file(load, i, error);
    if (!rc && load->files[i].action != OS_FILE_SKIP) load->to_load++;
  }
  return rc;
}

int os_load_step_mode(struct os_load *load, struct os_error *error) {
  const struct os_load_request *request = load->request;
  int rc = OS_OK;
  load->mode = request->mode;
  if (load->mode == OS_MODE_AUTO)
    rc = choose(load, error);
  else
    snprintf(load->mode_why, sizeof load->mode_why, "mode %s was asked for", os_mode_name(load->mode));
  if (!rc) rc = guard_mode(load, error);
  if (!rc) rc = guard_emptied(load, error);
  if (rc) return rc;
  rc = os_job_audit(load->job, "mode", "mode", "pass", false, error, "%s", load->mode_why);
  if (!rc && load->mode == OS_MODE_FRESH && load->target.count_before > 0)
    rc = os_job_audit(load->job, "mode", "delete", request->dry_run ? "unknown" : "pass", false, error,
                      "fresh deletes the %lld documents of %s first", (long long)load->target.count_before,
                      request->index);
  if (!rc) rc = list_whole_if_needed(load, error);
  load->to_load = 0;
  load->insert_only = load->mode == OS_MODE_APPEND;
  if (!rc) rc = os_load_decide_files(load, 0, error);
  if (!rc && load->insert_only)
    rc = os_job_audit(load->job, "mode", insert_only, "pass", false, error,
                      "documents that are there already are left as they are");
  return rc;
}
