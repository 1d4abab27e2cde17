/* source_list.h - from a path argument to the list of files to read: a file, a folder with its
** subfolders, a glob, standard input, or a JSON array of these. Order: as given; inside folders and globs
** by name, byte by byte.
*/
#ifndef OS_PIPELINE_SOURCE_LIST_H
#define OS_PIPELINE_SOURCE_LIST_H
#include <stddef.h>
#include "base/error.h"
#include "net/http.h"
#include "pipeline/source.h"

struct os_source_list {
  struct os_source *sources;
  size_t count, cap;
};

/* Fills path, name, size, mtime and identity of each source. Every folder below is walked (symbolic links are
** followed, loops are noticed), every file is listed once however often it is named. Errors name the
** path: missing, unreadable, a glob without a match, nothing to load. */
int os_source_list_build(struct os_source_list *list, const char *argument, const struct os_probe *probe,
                         struct os_error *error);
void os_source_list_free(struct os_source_list *list);
#endif
