/* copy.c - what both ways to read share: how far a copy is, reasons to stop; see copy.h.
**
** The step of the ledger holds the cursors (or the last _id) and the figures that belong to them:
** everything below is acknowledged.
*/
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "operations/copy/copy_int.h"
#include "operations/step.h"

static const double SAVE_EVERY = 5, LOOK_EVERY = 0.25;

/* ---- how far it is ---- */

static int take_cursors(struct os_copy *copy, const json_t *saved, struct os_error *error) {
  int64_t *now = NULL;
  int rc = os_cluster_checkpoints(copy->from, copy->source, &now, &copy->shards, error);
  os_free(now);
  if (rc) return rc;
  copy->cursors = os_calloc(copy->shards, sizeof *copy->cursors);
  if (!copy->cursors) return os_fail_nomem(error);
  const json_t *list = json_object_get(saved, "cursors");
  /* else they are of another index with that name */
  copy->resumed = json_array_size(list) == copy->shards;
  for (size_t i = 0; i < copy->shards; i++)
    copy->cursors[i] = copy->resumed ? json_integer_value(json_array_get(list, i)) : -1;
  return OS_OK;
}

static int take_after(struct os_copy *copy, const json_t *saved, struct os_error *error) {
  const char *after = os_json_string(saved, "after", NULL);
  copy->resumed = after != NULL;
  if (after && !(copy->after = os_strdup(after))) return os_fail_nomem(error);
  return OS_OK;
}

static void take_figures(struct os_copy *copy, const json_t *saved) {
  copy->figures = (struct os_copy_figures){.read = os_json_int(saved, "read", 0),
                                           .created = os_json_int(saved, "created", 0),
                                           .updated = os_json_int(saved, "updated", 0),
                                           .already = os_json_int(saved, "already", 0)};
  copy->earlier = copy->figures.read;
}

int os_copy_begin(struct os_copy *copy, bool by_id, struct os_error *error) {
  char state[16];
  json_t *saved = NULL;
  int rc = os_step_get(copy->job->ledger, copy->job->number, copy->item, copy->step, state, &saved, error);
  if (!strcmp(state, "undone")) { /* of a target that is gone: begin anew */
    json_decref(saved);
    saved = NULL;
  }
  if (!rc) rc = by_id ? take_after(copy, saved, error) : take_cursors(copy, saved, error);
  if (!rc && copy->resumed) take_figures(copy, saved);
  json_decref(saved);
  copy->next_save = os_clock_monotonic() + SAVE_EVERY;
  os_progress_begin(&copy->meter, copy->job->progress, copy->job->session->log);
  return rc;
}

int os_copy_save(struct os_copy *copy, const char *state, struct os_error *error) {
  const struct os_copy_figures *f = &copy->figures;
  json_t *data =
      json_pack("{s:I, s:I, s:I, s:I, s:s*}", "read", (json_int_t)f->read, "created", (json_int_t)f->created,
                "updated", (json_int_t)f->updated, "already", (json_int_t)f->already, "after", copy->after);
  json_t *list = copy->cursors ? json_array() : NULL;
  bool whole = data && (list || !copy->cursors);
  for (size_t i = 0; whole && list && i < copy->shards; i++)
    whole = json_array_append_new(list, json_integer(copy->cursors[i])) == 0;
  if (whole && list) whole = os_json_put(data, "cursors", json_incref(list));
  json_decref(list);
  if (!whole) {
    json_decref(data);
    data = NULL;
  }
  return os_step_put(copy->job, copy->item, copy->step, state, data, error);
}

bool os_copy_save_is_due(struct os_copy *copy) {
  double now = os_clock_monotonic();
  bool due = now > copy->next_save;
  if (due) copy->next_save = now + SAVE_EVERY;
  return due;
}

/* ---- reasons to stop ---- */

static void state_of(const struct os_copy *copy, struct os_progress_state *state) {
  *state = (struct os_progress_state){.job = copy->job->number,
                                      .index = copy->target,
                                      .documents = (uint64_t)(copy->figures.read - copy->earlier),
                                      .documents_total = (uint64_t)copy->documents,
                                      .retries = (uint64_t)copy->job->figures.retries,
                                      .paused = copy->paused};
}

void os_copy_end(struct os_copy *copy) {
  struct os_progress_state state;
  state_of(copy, &state);
  os_progress_end(&copy->meter, &state);
  os_free(copy->cursors);
  os_free(copy->after);
  copy->cursors = NULL;
  copy->after = NULL;
}

static int obey(struct os_copy *copy, struct os_error *error) {
  struct os_job *job = copy->job;
  char asked[16] = "";
  int rc = os_ledger_job_control(job->ledger, job->number, asked, error);
  if (!rc && !strcmp(asked, "cancel"))
    rc = os_fail(error, OS_ERR_CANCELLED, "cancelled by os_cancel(%lld)", (long long)job->number);
  copy->paused = !rc && !strcmp(asked, "pause") && !copy->urgent;
  if (!rc) rc = os_ledger_job_progress(job->ledger, job->number, &job->figures, error);
  return rc;
}

int os_copy_look(struct os_copy *copy, struct os_error *error) {
  for (;;) {
    struct os_progress_state state;
    if (os_session_interrupted(copy->job->session))
      return os_fail(error, OS_ERR_INTERRUPTED, "interrupted while %s was copied; %lld documents are done",
                     copy->source, (long long)(copy->figures.read - copy->earlier));
    int rc = copy->look ? copy->look(copy, error) : OS_OK;
    double now = os_clock_monotonic();
    if (!rc && now >= copy->next_look) {
      rc = obey(copy, error);
      copy->next_look = now + LOOK_EVERY;
    }
    state_of(copy, &state);
    os_progress_update(&copy->meter, &state);
    if (rc || !copy->paused) return rc;
    os_clock_sleep_ms(50);
  }
}

/* ---- one document ---- */

int os_copy_put(struct os_copy *copy, struct os_copy_writer *writer, const struct os_search_hit *hit,
                struct os_error *error) {
  if (!hit->source) {
    os_fail(error, OS_ERR_REFUSED, "document '%.*s' of %s has no _source, so it cannot be copied",
            (int)hit->id_len, hit->id, copy->source);
    return os_advise(error, "an index whose mapping switches _source off cannot be copied by anybody");
  }
  int rc = os_copy_writer_put(writer, hit, error);
  if (rc) return rc;
  copy->figures.read++;
  copy->job->figures.documents_read++;
  return OS_OK;
}
