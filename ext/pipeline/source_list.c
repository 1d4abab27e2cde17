/* source_list.c - see source_list.h. */
#include "pipeline/source_list.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "aws/s3/fetch.h"
#include "base/alloc.h"

/* The place behind the last source; NULL: no memory. */
static struct os_source *next_place(struct os_source_list *list) {
  int part = os_source_part(list->count);
  if (!list->parts[part])
    list->parts[part] = os_malloc(((size_t)OS_SOURCE_FIRST << part) * sizeof **list->parts);
  return list->parts[part] ? os_source_at(list, list->count) : NULL;
}

struct os_source *os_source_list_add(struct os_source_list *list, const char *path, size_t name_at) {
  struct os_source *source = next_place(list);
  if (!source) return NULL;
  memset(source, 0, sizeof *source);
  source->path = os_strdup(path);
  if (!source->path) return NULL;
  source->name = source->path + name_at;
  source->start_line = 1;
  list->count++;
  return source;
}

bool os_source_list_move(struct os_source_list *list, struct os_source *source) {
  struct os_source *place = next_place(list);
  if (!place) return false;
  *place = *source;
  memset(source, 0, sizeof *source);
  list->count++;
  return true;
}

static void free_source(struct os_source *source) {
  os_free(source->path);
  os_free(source->etag);
  os_free(source->preread);
  os_s3_bucket_unref(source->bucket);
  os_s3_fetch_close(source->ahead);
  if (source->stream_fd > 0) close(source->stream_fd);
}

/* ---- each file once ------------------------------------------------------------------------- */

static int by_identity(const void *a, const void *b) {
  const struct os_source *x = *(struct os_source *const *)a, *y = *(struct os_source *const *)b;
  int order = 0;
  if (os_source_is_object(x) != os_source_is_object(y)) return os_source_is_object(x) ? 1 : -1;
  if (os_source_is_object(x) && (order = strcmp(x->path, y->path))) return order;
  if (x->device != y->device) return x->device < y->device ? -1 : 1;
  if (x->inode != y->inode) return x->inode < y->inode ? -1 : 1;
  return x->tag < y->tag ? -1 : x->tag > y->tag;
}

static bool is_same(const struct os_source *x, const struct os_source *y) {
  if (os_source_is_object(x) || os_source_is_object(y))
    return os_source_is_object(x) && os_source_is_object(y) && !strcmp(x->path, y->path);
  return x->device == y->device && x->inode == y->inode;
}

int os_source_list_drop_repetitions(struct os_source_list *list, struct os_error *error) {
  if (list->count < 2) return OS_OK;
  struct os_source **order = os_malloc(list->count * sizeof *order);
  if (!order) return os_fail_nomem(error);
  for (size_t i = 0; i < list->count; i++) {
    order[i] = os_source_at(list, i);
    order[i]->tag = (int64_t)i;
  }
  qsort(order, list->count, sizeof *order, by_identity);
  for (size_t i = 1; i < list->count; i++)
    if (is_same(order[i - 1], order[i])) order[i]->tag = -1;
  os_free(order);
  size_t kept = 0, count = list->count;
  for (size_t i = 0; i < count; i++) {
    struct os_source *source = os_source_at(list, i);
    if (source->tag < 0)
      free_source(source);
    else
      *os_source_at(list, kept++) = *source;
  }
  for (size_t i = 0; i < kept; i++)
    os_source_at(list, i)->tag = 0;
  list->count = kept;
  return OS_OK;
}

void os_source_list_cut(struct os_source_list *list, size_t count) {
  while (list->count > count)
    free_source(os_source_at(list, --list->count));
}

void os_source_list_free(struct os_source_list *list) {
  os_source_list_cut(list, 0);
  for (int i = 0; i < OS_SOURCE_PARTS; i++)
    os_free(list->parts[i]);
  memset(list, 0, sizeof *list);
}
