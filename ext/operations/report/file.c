/* file.c - see file.h. Owns nothing between calls; what is left of a failed attempt is
** removed. */
#define _GNU_SOURCE /* mkostemp, memmem */
#include "operations/report/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "operations/report/page.h"

static int cannot(const char *path, int number, struct os_error *error) {
  os_fail(error, OS_ERR_IO, "the report cannot be written to '%.900s': %s", path, os_errno_text(number));
  return os_advise(error, "give the path of a file in a folder that you can write, as the second argument");
}

static int refuse(const char *path, const char *what, struct os_error *error) {
  os_fail(error, OS_ERR_GUARD, "'%.900s' %s, so no report is written there", path, what);
  return os_advise(error, "give the path of a new file, or of an earlier report");
}

/* ---- what is there --------------------------------------------------------------------------------- */

static bool is_report(int fd) {
  char head[OS_REPORT_MARK_WITHIN];
  size_t len = 0;
  ssize_t n;
  while (len < sizeof head && (n = read(fd, head + len, sizeof head - len)) != 0) {
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) len += (size_t)n;
  }
  return len == 0 || memmem(head, len, OS_REPORT_MARK, sizeof OS_REPORT_MARK - 1) != NULL;
}

/* May it be replaced, and what was its mode? */
static int look_at(const char *path, mode_t *mode, struct os_error *error) {
  struct stat st;
  if (stat(path, &st) != 0) return errno == ENOENT ? OS_OK : cannot(path, errno, error);
  if (S_ISDIR(st.st_mode)) return refuse(path, "is a folder", error);
  if (!S_ISREG(st.st_mode)) return refuse(path, "is no ordinary file", error);
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return cannot(path, errno, error);
  bool ours = is_report(fd);
  close(fd);
  *mode = st.st_mode & 0777;
  return ours ? OS_OK : refuse(path, "exists and is no report", error);
}

/* ---- writing --------------------------------------------------------------------------------------- */

static int write_all(int fd, const char *data, size_t len) {
  while (len > 0) {
    ssize_t n = write(fd, data, len);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : EIO;
    data += n;
    len -= (size_t)n;
  }
  return 0;
}

/* The new file's name is begun with a point and stands in the same folder: another may be another file
** system. */
static bool beside(const char *path, char out[PATH_MAX]) {
  const char *slash = strrchr(path, '/');
  int folder = slash != NULL ? (int)(slash - path) + 1 : 0;
  return snprintf(out, PATH_MAX, "%.*s.os-report-XXXXXX", folder, path) < PATH_MAX;
}

static int write_new(const char *path, mode_t mode, const char *page, size_t len) {
  char temporary[PATH_MAX];
  if (!beside(path, temporary)) return ENAMETOOLONG;
  int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
  if (fd < 0) return errno;
  int failed = write_all(fd, page, len);
  if (failed == 0 && mode != 0 && fchmod(fd, mode) != 0) failed = errno;
  if (failed == 0 && fsync(fd) != 0) failed = errno; /* else a power failure could leave an empty file */
  if (close(fd) != 0 && failed == 0) failed = errno;
  if (failed == 0 && rename(temporary, path) != 0) failed = errno;
  if (failed != 0) unlink(temporary);
  return failed;
}

/* A link is followed: what it leads to is replaced, and not the link. */
int os_report_file(const char *path, const char *page, size_t len, char real_path[PATH_MAX],
                   struct os_error *error) {
  char target[PATH_MAX];
  mode_t mode = 0;
  int rc = look_at(path, &mode, error);
  if (rc != OS_OK) return rc;
  if (realpath(path, target) == NULL && snprintf(target, sizeof target, "%s", path) >= (int)sizeof target)
    return cannot(path, ENAMETOOLONG, error);
  int failed = write_new(target, mode, page, len);
  if (failed != 0) return cannot(path, failed, error);
  if (realpath(target, real_path) == NULL) snprintf(real_path, PATH_MAX, "%s", target);
  return OS_OK;
}
