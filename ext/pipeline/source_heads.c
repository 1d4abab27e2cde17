/* source_heads.c - see source_heads.h. */
#include "pipeline/source_heads.h"
#include "aws/s3/fetch.h"
#include "base/alloc.h"
#include "pipeline/examine.h"

enum {
  HEAD_BYTES_AHEAD = 16 << 20,
  KEPT_OBJECT = OS_S3_FIRST_RANGE, /* objects up to this size are kept, */
  KEPT_OBJECTS = 16 << 20          /* up to so many bytes of them */
};

static uint64_t head_size(const struct os_source *source) {
  return source->size < OS_EXAMINE_HEAD ? source->size : OS_EXAMINE_HEAD;
}

void os_source_look_ahead(struct os_source_list *list, size_t i) {
  if (list->ahead_to < i) list->ahead_to = i;
  size_t most = os_s3_fetch_most();
  for (; list->ahead_to < list->count && list->ahead_to < i + most; list->ahead_to++) {
    struct os_source *source = os_source_at(list, list->ahead_to);
    uint64_t size = head_size(source);
    struct os_error ignored;
    if (!os_source_is_object(source) || source->unseen || !size) continue;
    if (list->ahead_bytes && list->ahead_bytes + size > HEAD_BYTES_AHEAD) return;
    struct os_s3_want want = {.bucket = source->bucket,
                              .key = source->name,
                              .etag = source->etag,
                              .end = size,
                              .first = (size_t)size};
    if (os_s3_fetch_open(&source->ahead, &want, &ignored)) return; /* who looks at it will say why */
    list->ahead_bytes += size;
  }
}

void os_source_looked_at(struct os_source_list *list, size_t i) {
  struct os_source *source = os_source_at(list, i);
  if (!os_source_is_object(source)) return;
  if (i < list->ahead_to) list->ahead_bytes -= head_size(source);
  if (source->size <= KEPT_OBJECT && list->kept_bytes + source->size <= KEPT_OBJECTS) {
    list->kept_bytes += source->preread_len;
    return;
  }
  os_free(source->preread);
  source->preread = NULL;
  source->preread_len = 0;
}
