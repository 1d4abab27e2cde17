/* file.h - the file of a report: written whole or not at all, and never in the place of something
** else.
*/
#ifndef OS_OPERATIONS_REPORT_FILE_H
#define OS_OPERATIONS_REPORT_FILE_H
#include <limits.h>
#include <stddef.h>
#include "base/error.h"

/* Writes `page` to `path` by way of a new file in the same folder that takes its place. What stands there
** is replaced only when it is empty or begins as a report does (OS_REPORT_MARK), and keeps its mode; a
** new file is its owner's alone (0600), for it quotes refused records. real_path: where it is, absolute. */
int os_report_file(const char *path, const char *page, size_t len, char real_path[PATH_MAX],
                   struct os_error *error);
#endif
