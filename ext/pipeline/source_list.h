/* source_list.h - the sources of a load, in the order in which they are read.
**
** The keeper adds sources; readers may look at those that are there meanwhile (pipeline.h says how they are told
** how many there are), because a source stays where it is.
*/
#ifndef OS_PIPELINE_SOURCE_LIST_H
#define OS_PIPELINE_SOURCE_LIST_H
#include <stddef.h>
#include "base/error.h"
#include "pipeline/source.h"

enum { OS_SOURCE_PARTS = 40, OS_SOURCE_FIRST = 64 };

struct os_source_list {
  struct os_source
      *parts[OS_SOURCE_PARTS]; /* part k has room for OS_SOURCE_FIRST << k; NULL: not needed yet */
  size_t count;
  size_t ahead_to;      /* objects before this one have been asked for their heads */
  uint64_t ahead_bytes; /* of heads that are under way */
  uint64_t kept_bytes;  /* of small objects that are kept from being looked at to being read */
};

/* The part in which source i stands: those before part k hold 2^k - 1 times OS_SOURCE_FIRST. */
static inline int os_source_part(size_t i) {
  return 63 - __builtin_clzll((unsigned long long)(i / OS_SOURCE_FIRST + 1));
}

/* Source i; i < count. */
static inline struct os_source *os_source_at(const struct os_source_list *list, size_t i) {
  int part = os_source_part(i);
  return &list->parts[part][i - (((size_t)1 << part) - 1) * OS_SOURCE_FIRST];
}

/* A new source at the end of the list, all zero but its path (a copy) and name (from name_at on). NULL: no memory. */
struct os_source *os_source_list_add(struct os_source_list *list, const char *path, size_t name_at);
/* Take a source over from elsewhere, to the end; *source is zero afterwards. False: no memory, and it is not. */
bool os_source_list_move(struct os_source_list *list, struct os_source *source);
/* Drop every source that names the same file or object as an earlier one. Nobody else may look. */
int os_source_list_drop_repetitions(struct os_source_list *list, struct os_error *error);
/* Drop the sources behind the first `count`. */
void os_source_list_cut(struct os_source_list *list, size_t count);
void os_source_list_free(struct os_source_list *list);
#endif
