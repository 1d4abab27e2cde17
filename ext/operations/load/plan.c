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
#include "operations/load/load.h"
#include "pipeline/examine.h"
#include "pipeline/fingerprint.h"

enum { LOOKED_AT = 2000 /* objects */ };

static int open_aws(void *ctx, struct os_aws **aws, struct os_net **net, struct os_error *error) {
  struct os_session *session = ctx;
  int rc = os_session_net(session, net, error);
  return rc ? rc : os_session_aws(session, aws, error);
}

/* The objects behind the first ones whose names say what they are. */
static void leave_for_later(struct os_load *load) {
  struct os_source_list *list = &load->shared->list;
  enum os_format asked = load->request->format;
  size_t objects = 0;
  for (size_t i = 0; i < list->count; i++) {
    struct os_source *source = &list->sources[i];
    if (!os_source_is_object(source) || objects++ < LOOKED_AT) continue;
    source->format = asked != OS_FORMAT_UNKNOWN ? asked : os_format_by_name(source->name);
    source->unseen = source->format != OS_FORMAT_UNKNOWN;
    load->unseen += source->unseen;
  }
}

static int look_at_unseen(struct os_load *load, size_t i, struct os_error *error) {
  load->files[i].empty = load->shared->list.sources[i].size == 0;
  return os_fingerprint_read(&load->shared->list.sources[i], error);
}

static int examine_file(struct os_load *load, size_t i, struct os_error *error) {
  const struct os_load_request *request = load->request;
  struct os_source *source = &load->shared->list.sources[i];
  struct os_load_file *file = &load->files[i];
  struct os_head_facts facts;
  struct os_probe probe = os_session_probe(load->session);
  os_source_look_ahead(&load->shared->list, i);
  int rc = os_source_examine(source, request->format, &load->shared->parse, &probe, &facts, error);
  if (!rc) rc = os_fingerprint_read(source, error);
  if (!rc) {
    file->empty = facts.empty;
    file->carries_id = facts.carries_id;
    if (load->shared->list.count <=
        1000) { /* shown by plans and checked against the mapping; bounded memory for many files */
      file->columns = json_incref(facts.columns);
      file->types = json_incref(facts.types);
    }
  }
  os_head_facts_free(&facts);
  os_source_looked_at(&load->shared->list, i);
  return rc;
}

static const char *looked_at(const struct os_load *load, char out[64]) {
  if (!load->unseen) return "each";
  snprintf(out, 64, "%zu of them looked at and", load->shared->list.count - load->unseen);
  return out;
}

int os_load_step_plan(struct os_load *load, struct os_error *error) {
  struct os_probe probe = os_session_probe(load->session);
  char count[32], bytes[32], seen[64];
  uint64_t total = 0;
  struct os_source_s3 s3 = {.open = open_aws, .ctx = load->session, .options = load->request->s3};
  int rc = os_source_list_build(&load->shared->list, load->request->path, &s3, &probe, error);
  if (rc) return os_job_guard_failed(load->job, "plan", "sources", error);
  load->files = os_calloc(load->shared->list.count, sizeof *load->files);
  if (!load->files) return os_fail_nomem(error);
  leave_for_later(load);
  for (size_t i = 0; i < load->shared->list.count && !rc; i++) {
    if (i % 64 == 0 && os_session_interrupted(load->session))
      rc = os_fail(error, OS_ERR_INTERRUPTED, "interrupted while looking at the files; nothing was sent");
    else if (load->shared->list.sources[i].unseen)
      rc = look_at_unseen(load, i, error);
    else
      rc = examine_file(load, i, error);
    total += load->shared->list.sources[i].size;
  }
  if (rc == OS_ERR_INTERRUPTED) return rc;
  if (rc) return os_job_guard_failed(load->job, "plan", "sources", error);
  os_format_count(load->shared->list.count, count, sizeof count);
  os_format_count(total, bytes, sizeof bytes);
  return os_job_audit(load->job, "plan", "sources", "pass", false, error,
                      "%s %s, %s bytes, %s readable, headers fit", count,
                      load->shared->list.count == 1 ? "file" : "files", bytes, looked_at(load, seen));
}
