/* plan.c - step 2 of a load: which files there are, what each is, and what tells its content from
** another.
**
** Every source is opened and its head is looked at before the first byte is sent, so that an unreadable
** file or an unusable header stops the load while nothing has happened yet.
*/
#include <string.h>
#include "base/alloc.h"
#include "base/text.h"
#include "operations/load/load.h"
#include "pipeline/examine.h"
#include "pipeline/fingerprint.h"

static int examine_file(struct os_load *load, size_t i, struct os_error *error) {
  const struct os_load_request *request = load->request;
  struct os_source *source = &load->shared->list.sources[i];
  struct os_load_file *file = &load->files[i];
  struct os_head_facts facts;
  struct os_probe probe = os_session_probe(load->session);
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
  return rc;
}

int os_load_step_plan(struct os_load *load, struct os_error *error) {
  struct os_probe probe = os_session_probe(load->session);
  char count[32], bytes[32];
  uint64_t total = 0;
  int rc = os_source_list_build(&load->shared->list, load->request->path, &probe, error);
  if (rc) return os_job_guard_failed(load->job, "plan", "sources", error);
  load->files = os_calloc(load->shared->list.count, sizeof *load->files);
  if (!load->files) return os_fail_nomem(error);
  for (size_t i = 0; i < load->shared->list.count && !rc; i++) {
    if (i % 64 == 0 && os_session_interrupted(load->session))
      rc = os_fail(error, OS_ERR_INTERRUPTED, "interrupted while looking at the files; nothing was sent");
    else
      rc = examine_file(load, i, error);
    total += load->shared->list.sources[i].size;
  }
  if (rc == OS_ERR_INTERRUPTED) return rc;
  if (rc) return os_job_guard_failed(load->job, "plan", "sources", error);
  os_format_count(load->shared->list.count, count, sizeof count);
  os_format_count(total, bytes, sizeof bytes);
  return os_job_audit(load->job, "plan", "sources", "pass", false, error,
                      "%s %s, %s bytes, each readable, headers fit", count,
                      load->shared->list.count == 1 ? "file" : "files", bytes);
}
