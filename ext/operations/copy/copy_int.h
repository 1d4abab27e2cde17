/* copy_int.h - private to this folder: what both ways to read have in common. */
#ifndef OS_OPERATIONS_COPY_COPY_INT_H
#define OS_OPERATIONS_COPY_COPY_INT_H
#include "operations/copy/copy.h"

enum { OS_COPY_FIRST_PAGE = 500, OS_COPY_LARGEST_PAGE = 10000 /* index.max_result_window */ };

/* ---- page.c ---- */
/* One search; where its answer is too large, with fewer hits. make: the body for `size` hits, os_free()d
** here. */
struct os_copy_search {
  const char *path;
  char *(*make)(const void *ctx, int size);
  const void *ctx;
};
int os_copy_search(struct os_cluster *cluster, const struct os_copy_search *search, int *size, char **text,
                   struct os_error *error);
/* How many hits the next page should have, after one of `bytes` with `hits`. Pure. */
int os_copy_next_size(size_t bytes, int hits);

/* ---- copy.c ---- */
/* One document on its way: refused where it has no _source. */
int os_copy_put(struct os_copy *copy, struct os_copy_writer *writer, const struct os_search_hit *hit,
                struct os_error *error);
/* Every few seconds: time to wait for the writer, and to save. */
bool os_copy_save_is_due(struct os_copy *copy);

/* ---- by_id.c, pure ---- */
/* Of a page: how many hits, and how many stand before those with the last id, of which there may be more. */
int os_copy_measure(const char *text, int *hits, int *before_last, struct os_error *error);
#endif
