/* plan.c - step 2 of a load: which files there are, what each is, and what tells its content from another.
**
** Every source is opened and its head is looked at before the first byte is sent, so that an unreadable
** file or an unusable header stops the load while nothing has happened yet. Of very many objects of S3 only
** the first are: a request for each would hold the first record up for minutes. The others are what their
** names say until they are read.
*/
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/text.h"
#include "operations/load/fields.h"
#include "operations/load/load.h"
#include "pipeline/examine.h"
#include "pipeline/fingerprint.h"
#include "pipeline/source_heads.h"

enum { LOOKED_AT = 2000 /* objects */ };

static int open_aws(void *ctx, struct os_aws **aws, struct os_net **net, struct os_error *error) {
  struct os_session *session = ctx;
  int rc = os_session_net(session, net, error);
  return rc ? rc : os_session_aws(session, aws, error);
}

/* The objects behind the first ones: their names say what they are, or their content when they are read. */
static void leave_for_later(struct os_load *load, size_t from) {
  enum os_format asked = load->request->format;
  for (size_t i = from; i < load->shared->list.count; i++) {
    struct os_source *source = os_load_source(load, i);
    load->bytes += source->size;
    if (!os_source_is_object(source) || load->objects++ < LOOKED_AT) continue;
    source->format = asked != OS_FORMAT_UNKNOWN ? asked : os_format_by_name(source->name);
    source->unseen = true;
    load->unseen++;
  }
}

static int look_at_unseen(struct os_load *load, size_t i, struct os_error *error) {
  load->files[i].empty = os_load_source(load, i)->size == 0;
  return os_fingerprint_read(os_load_source(load, i), error);
}

/* What a plan shows, and what names the columns that do not fit the mapping. */
static bool is_kept(struct os_load *load, const struct os_load_file *file) {
  if (!load->job->number || load->shared->list.count <= OS_LOAD_FEW_FILES) return true;
  return file->fit != OS_FIT && load->unfit_files[file->fit]++ < OS_LOAD_FEW_FILES;
}

/* The same as those of the file before, mostly. */
static json_t *shared(json_t *facts, json_t *before) {
  return json_incref(json_equal(facts, before) ? before : facts);
}

static void take_facts(struct os_load *load, size_t i, const struct os_head_facts *facts) {
  struct os_load_file *file = &load->files[i], *before = i ? file - 1 : file;
  file->empty = facts->empty;
  file->carries_id = facts->carries_id;
  file->fit = (unsigned char)os_load_fit(load, facts->columns, facts->types);
  if (!is_kept(load, file)) return;
  file->columns = shared(facts->columns, before->columns);
  file->types = shared(facts->types, before->types);
}

static int examine_file(struct os_load *load, size_t i, struct os_error *error) {
  const struct os_load_request *request = load->request;
  struct os_source *source = os_load_source(load, i);
  struct os_head_facts facts;
  struct os_probe probe = os_session_probe(load->session);
  if (i % 64 == 0 && os_session_interrupted(load->session)) return OS_ERR_INTERRUPTED;
  os_source_look_ahead(&load->shared->list, i);
  int rc = os_source_examine(source, request->format, &load->shared->parse, &probe, &facts, error);
  if (!rc) rc = os_fingerprint_read(source, error);
  if (!rc) take_facts(load, i, &facts);
  os_head_facts_free(&facts);
  os_source_looked_at(&load->shared->list, i);
  return rc;
}

static int make_room(struct os_load *load, struct os_error *error) {
  size_t count = load->shared->list.count, cap = load->file_cap ? 2 * load->file_cap : 1;
  if (count <= load->file_cap && load->files) return OS_OK;
  if (cap < count) cap = count; /* all at once, mostly */
  struct os_load_file *bigger = os_realloc(load->files, cap * sizeof *bigger);
  if (!bigger) return os_fail_nomem(error);
  memset(bigger + load->file_cap, 0, (cap - load->file_cap) * sizeof *bigger);
  load->files = bigger;
  load->file_cap = cap;
  return OS_OK;
}

int os_load_plan_files(struct os_load *load, size_t from, struct os_error *error) {
  int rc = make_room(load, error);
  if (!rc) leave_for_later(load, from);
  for (size_t i = from; i < load->shared->list.count && !rc; i++)
    rc = os_load_source(load, i)->unseen ? look_at_unseen(load, i, error) : examine_file(load, i, error);
  return rc;
}

static const char *looked_at(const struct os_load *load, char out[64]) {
  if (!load->unseen) return "each";
  snprintf(out, 64, "%zu of them looked at and", load->shared->list.count - load->unseen);
  return out;
}

int os_load_audit_files(struct os_load *load, struct os_error *error) {
  char count[32], bytes[32], seen[64];
  os_format_count(load->shared->list.count, count, sizeof count);
  os_format_count(load->bytes, bytes, sizeof bytes);
  return os_job_audit(load->job, "plan", "sources", "pass", false, error,
                      "%s %s, %s bytes, %s readable, headers fit%s", count,
                      load->shared->list.count == 1 ? "file" : "files", bytes, looked_at(load, seen),
                      load->lister ? "; the list goes on" : "");
}

/* Objects until the list has so many, or as many as there are. */
static int take_until(struct os_load *load, size_t wanted, const struct os_probe *probe,
                      struct os_error *error) {
  struct os_source_list *list = &load->shared->list;
  bool ended = !load->lister;
  int rc = OS_OK;
  while (!rc && !ended && list->count < wanted)
    rc = os_source_lister_take(load->lister, list, wanted - list->count, probe, &ended, error);
  if (ended) os_load_end_list(load);
  return rc;
}

static int end_plan(struct os_load *load, int rc, struct os_error *error) {
  if (rc == OS_ERR_INTERRUPTED)
    return os_fail(error, OS_ERR_INTERRUPTED, "interrupted while looking at the files; nothing was sent");
  return rc ? os_job_guard_failed(load->job, "plan", "sources", error) : os_load_audit_files(load, error);
}

int os_load_step_plan(struct os_load *load, struct os_error *error) {
  struct os_probe probe = os_session_probe(load->session);
  struct os_source_s3 s3 = {.open = open_aws, .ctx = load->session, .options = load->request->s3};
  int rc = os_source_list_build(&load->shared->list, load->request->path, &s3, &probe,
                                load->request->dry_run ? NULL : &load->lister, error);
  if (!rc) rc = take_until(load, load->shared->list.count + LOOKED_AT, &probe, error);
  if (!rc) rc = os_load_plan_files(load, 0, error);
  return end_plan(load, rc, error);
}

int os_load_list_whole(struct os_load *load, struct os_error *error) {
  struct os_probe probe = os_session_probe(load->session);
  size_t from = load->shared->list.count;
  int rc = take_until(load, SIZE_MAX, &probe, error);
  if (!rc) rc = os_load_plan_files(load, from, error);
  return end_plan(load, rc, error);
}
