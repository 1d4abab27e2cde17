/* small_file.c - reads a small file whole, and wipes what it read.
**
** Calls base only. Keeper's thread (it looks at HOME).
*/
#include "config/small_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/text.h"

static char *expand_home(const char *path) {
  const char *home = os_has_prefix(path, "~/") ? getenv("HOME") : NULL;
  return home && *home ? os_mprintf("%s%s", home, path + 1) : os_strdup(path);
}

static int fail_read(struct os_error *error, const char *what, const char *path, const char *why) {
  return os_fail(error, OS_ERR_IO, "%s: cannot read '%s': %s", what, path, why);
}

static int fail_errno(struct os_error *error, const char *what, const char *path, int number) {
  int code = fail_read(error, what, path, os_errno_text(number));
  if (number == EMFILE || number == ENFILE)
    os_advise(error, "close some files, or raise the limit (ulimit -n)");
  return code;
}

/* Up to `size` bytes of fd; the number read, or -1. */
static ssize_t read_all(int fd, char *out, size_t size) {
  size_t len = 0;
  while (len < size) {
    ssize_t got = read(fd, out + len, size - len);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    len += (size_t)got;
  }
  return (ssize_t)len;
}

static int read_open_file(int fd, const char *path, size_t limit, const char *what, struct os_small_file *out,
                          struct os_error *error) {
  struct stat info;
  if (fstat(fd, &info)) return fail_errno(error, what, path, errno);
  out->is_folder = S_ISDIR(info.st_mode);
  if (out->is_folder) return OS_OK; /* `python -m venv .env` makes a folder of that name */
  if (!S_ISREG(info.st_mode)) return fail_read(error, what, path, "it is not a regular file");
  if (info.st_size < 0 || (unsigned long long)info.st_size > limit)
    return fail_read(error, what, path, "it is too large to be what it should be");
  size_t size = (size_t)info.st_size;
  out->text = os_malloc(size + 1);
  if (!out->text) return os_fail_nomem(error);
  ssize_t len = read_all(fd, out->text, size);
  out->text[len < 0 ? 0 : len] = '\0';
  out->len = len < 0 ? 0 : (size_t)len;
  out->others_may_read = (info.st_mode & (S_IRGRP | S_IROTH)) != 0;
  return len < 0 ? fail_errno(error, what, path, errno) : OS_OK;
}

int os_small_file_read(const char *path, size_t limit, const char *what, struct os_small_file *out,
                       struct os_error *error) {
  *out = (struct os_small_file){.text = NULL};
  char *name = expand_home(path);
  if (!name) return os_fail_nomem(error);
  int code = OS_OK, fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd >= 0) {
    code = read_open_file(fd, path, limit, what, out, error);
    close(fd);
  } else if (errno != ENOENT && errno != ENOTDIR) {
    code = fail_errno(error, what, path, errno);
  }
  os_free(name);
  if (code) os_small_file_free(out);
  return code;
}

void os_small_file_free(struct os_small_file *file) {
  if (file->text) explicit_bzero(file->text, file->len);
  os_free(file->text);
  *file = (struct os_small_file){.text = NULL};
}
