/* page.c - one piece of one shard; see live_int.h. */
#include "base/alloc.h"
#include "base/buffer.h"
#include "operations/live/live_int.h"

/* A search on one shard alone, sorted by a number that is unique there, cannot lose ties, and needs no
** context on the cluster that a restart could take away. No filter_path where documents come along: the
** server would parse and write them anew, and round numbers that no double can hold. */
static const char plain[] =
    "/_search?preference=_shards:%zu&allow_partial_search_results=false&request_cache=false%s";
static const char ids_alone[] =
    "&filter_path=timed_out,_shards.failed,hits.hits._id,hits.hits._routing,hits.hits._seq_no";

int os_live_page(struct os_live *live, const struct os_live_range *range, char **text,
                 struct os_error *error) {
  char after[256];
  struct os_buf body;
  *text = NULL;
  snprintf(after, sizeof after, plain, range->shard, range->ids_only ? ids_alone : "");
  char *path = os_cluster_path(range->index, after);
  os_buf_init(&body, 0);
  os_buf_printf(
      &body,
      "{\"size\":%d,\"track_total_hits\":false,\"seq_no_primary_term\":true,\"_source\":%s,"
      "\"query\":{\"range\":{\"_seq_no\":{\"gt\":%lld,\"lte\":%lld}}},\"sort\":[{\"_seq_no\":\"asc\"}]}",
      range->size, range->ids_only ? "false" : "true", (long long)range->above, (long long)range->upto);
  int rc = path && !body.failed ? OS_OK : os_fail_nomem(error);
  struct os_cluster_call call = {.method = "POST", .path = path, .body = body.data, .idempotent = true};
  if (!rc) rc = os_cluster_request_text(live->cluster, &call, NULL, text, error);
  os_buf_free(&body);
  os_free(path);
  return rc;
}
