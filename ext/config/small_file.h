/* small_file.h - reads a small file whole (a .env, a secret, a trigger). */
#ifndef OS_CONFIG_SMALL_FILE_H
#define OS_CONFIG_SMALL_FILE_H
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

struct os_small_file {
  char *text; /* NUL-terminated and wiped when freed; NULL: no such file, or it is a folder */
  size_t len;
  bool is_folder;
  bool others_may_read; /* readable by group or others */
};

/* "~/" at the front of path is the HOME folder. Only regular files up to `limit` bytes; a pipe never
** blocks us. `what` begins the message ("OPENSEARCH_PASSWORD"). */
int os_small_file_read(const char *path, size_t limit, const char *what, struct os_small_file *out,
                       struct os_error *error);
void os_small_file_free(struct os_small_file *file);
#endif
