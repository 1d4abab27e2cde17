/* rows_filter.h - what a query asks of a name, as a pattern that the cluster's own API takes. Pure.
**
** A pattern never finds less than the query wants; it may find more, because SQLite checks every row again.
** So whatever cannot be said in a pattern (a character that no name has, a sign that the API gives a
** meaning of its own) becomes '*'. */
#ifndef OS_SURFACE_ROWS_FILTER_H
#define OS_SURFACE_ROWS_FILTER_H
#include <stdbool.h>
#include <stddef.h>
#include "base/buffer.h"

enum os_filter_kind {
  OS_FILTER_LOWER = 1, /* names are lower case, as those of indices: LIKE, which ignores case, can be said */
  OS_FILTER_EXACT      /* names have both, as those of aliases and nodes: LIKE 'a%' would need two patterns */
};
enum os_filter_op { OS_FILTER_NONE, OS_FILTER_EQUAL, OS_FILTER_IN, OS_FILTER_LIKE, OS_FILTER_GLOB };

/* Appends the pattern for `text` (any bytes), behind a comma when there is one already. False: the pattern
** would say nothing, or the list becomes too long for a request's path; then everything has to be asked for
** and the list is of no use. */
bool os_filter_add(struct os_buf *list, enum os_filter_kind kind, enum os_filter_op op, const char *text,
                   size_t len);
#endif
