/* page.c - searches that bring documents: one piece of one shard (copy.h), and how large a page may be. */
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "operations/copy/copy_int.h"

static const size_t PAGE_BYTES = 4 << 20; /* aimed at */
/* Above this fewer hits are asked for; an answer stands in memory three times for a moment. One document
** alone may be as large as a request to a cluster (http.max_content_length: 100 MiB). */
static const size_t LARGEST_ANSWER = 16 << 20, LARGEST_DOCUMENT = 128 << 20;

/* A search on one shard alone, sorted by a number that is unique there, cannot lose ties, and needs no
** context on the cluster that a restart could take away. No filter_path where documents come along: the
** server would parse and write them anew, and round numbers that no double can hold. */
static const char plain[] =
    "/_search?preference=_shards:%zu&allow_partial_search_results=false&request_cache=false%s";
static const char ids_alone[] =
    "&filter_path=timed_out,_shards.failed,hits.hits._id,hits.hits._routing,hits.hits._seq_no";

int os_copy_next_size(size_t bytes, int hits) {
  size_t each = bytes / (size_t)(hits > 0 ? hits : 1) + 1, fit = PAGE_BYTES / each;
  return fit < 10 ? 10 : fit > OS_COPY_LARGEST_PAGE ? OS_COPY_LARGEST_PAGE : (int)fit;
}

int os_copy_search(struct os_cluster *cluster, const struct os_copy_search *search, int *size, char **text,
                   struct os_error *error) {
  for (;;) {
    char *body = search->make(search->ctx, *size);
    if (!body) return os_fail_nomem(error);
    struct os_cluster_call call = {.method = "POST",
                                   .path = search->path,
                                   .body = body,
                                   .idempotent = true,
                                   .max_answer = *size > 1 ? LARGEST_ANSWER : LARGEST_DOCUMENT};
    int rc = os_cluster_request_text(cluster, &call, NULL, text, error);
    os_free(body);
    if (rc != OS_ERR_TOO_LARGE || *size <= 1) return rc;
    *size /= 4;
    if (*size < 1) *size = 1;
    os_error_clear(error);
  }
}

static char *make_range(const void *ctx, int size) {
  const struct os_copy_range *range = ctx;
  struct os_buf body;
  os_buf_init(&body, 0);
  os_buf_printf(&body,
                "{\"size\":%d,\"track_total_hits\":false,\"seq_no_primary_term\":true,\"_source\":%s,"
                "\"sort\":[{\"_seq_no\":\"asc\"}],\"query\":",
                size, range->ids_only ? "false" : "true");
  if (range->query) os_buf_puts(&body, "{\"bool\":{\"filter\":[");
  os_buf_printf(&body, "{\"range\":{\"_seq_no\":{\"gt\":%lld,\"lte\":%lld}}}", (long long)range->above,
                (long long)range->upto);
  if (range->query) {
    os_buf_putc(&body, ',');
    os_buf_puts(&body, range->query);
    os_buf_puts(&body, "]}}");
  }
  os_buf_putc(&body, '}');
  return os_buf_take(&body);
}

int os_copy_page(struct os_cluster *cluster, struct os_copy_range *range, char **text,
                 struct os_error *error) {
  char after[256];
  *text = NULL;
  snprintf(after, sizeof after, plain, range->shard, range->ids_only ? ids_alone : "");
  char *path = os_cluster_path(range->index, after);
  if (!path) return os_fail_nomem(error);
  struct os_copy_search search = {path, make_range, range};
  int rc = os_copy_search(cluster, &search, &range->size, text, error);
  os_free(path);
  return rc;
}
