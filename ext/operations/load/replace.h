/* replace.h - resume with on_changed replace: the documents that an earlier content of a file left in
 * the index. */
#ifndef OS_OPERATIONS_LOAD_REPLACE_H
#define OS_OPERATIONS_LOAD_REPLACE_H
#include "operations/load/load.h"

/* Delete every document of source i's earlier content, found by the beginning of its computed ids.
** Documents with ids of their own cannot be told from others: an error that says so. */
int os_load_replace(struct os_load *load, size_t i, struct os_error *error);
#endif
