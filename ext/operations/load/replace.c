/* replace.c - see replace.h.
**
** Computed ids of one content share their first 16 characters and sort by offset, so they stand next to
** each other when the index is walked in order of `_id` (search_after, documented on the paginate-results
** page).
*/
#include "operations/load/replace.h"
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "pipeline/fingerprint.h"

static int delete_all(struct os_load *load, const char *prefix, int64_t *deleted, struct os_error *error) {
  struct os_buf lines;
  int64_t count = 1;
  char *after = os_strdup(prefix);
  int rc = after ? OS_OK : os_fail_nomem(error);
  os_buf_init(&lines, 0);
  while (!rc && count) {
    os_buf_clear(&lines);
    rc = os_cluster_deletions_after(load->cluster, load->target.concrete, &after, prefix, &lines, &count,
                                    error);
    if (!rc && count)
      rc = os_cluster_delete_documents(load->cluster, load->target.concrete, lines.data, deleted, error);
  }
  os_buf_free(&lines);
  os_free(after);
  return rc;
}

int os_load_replace(struct os_load *load, size_t i, struct os_error *error) {
  const struct os_source *source = os_load_source(load, i);
  const struct os_load_file *file = &load->files[i];
  char prefix[OS_ID_PREFIX + 1];
  int64_t deleted = 0;
  if (file->carries_id || load->server_ids) {
    os_fail(error, OS_ERR_GUARD,
            "%s: its earlier documents do not have computed ids and cannot be told from others",
            source->path);
    os_advise(error, "load it with mode upsert, and delete what is gone by a query of your own");
    return os_job_guard_failed(load->job, "prepare", "replace", error);
  }
  int rc = os_id_prefix_compute(source->name, file->replaced->fingerprint, file->replaced->generation, prefix,
                                error);
  if (!rc)
    rc = os_job_audit(load->job, "prepare", "replace", "did", true, error,
                      "deleting the documents of the earlier content of %s (ids %s…)", source->path, prefix);
  if (!rc) rc = delete_all(load, prefix, &deleted, error);
  if (deleted) load->deleted_some = true;
  load->deleted += deleted;
  if (rc) return rc;
  return os_job_audit(load->job, "prepare", "replaced", "did", false, error,
                      "%lld earlier documents of %s deleted", (long long)deleted, source->path);
}
