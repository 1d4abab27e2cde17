/* folder.h - what tests with files share: a folder of their own, files in it, and calls that must succeed or fail. */
#ifndef FOLDER_H
#define FOLDER_H
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/error.h"

#define UNUSED __attribute__((unused))

static char test_folder[64];
static struct os_error test_error;

UNUSED static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(path);
}

/* In memory where the machine has a file system for that: some tests make very many files. */
UNUSED static int folder_setup(void **state) {
  (void)state;
  snprintf(test_folder, sizeof test_folder, "%s/os-test-XXXXXX",
           access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp");
  os_error_clear(&test_error);
  return mkdtemp(test_folder) == NULL;
}

UNUSED static int folder_teardown(void **state) {
  (void)state;
  return nftw(test_folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* A path in the test's folder; eight may be in use at once. */
UNUSED static const char *in_folder(const char *name) {
  static char paths[8][256];
  static int next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", test_folder, name);
  return path;
}

UNUSED static void write_bytes(const char *path, const void *content, size_t len) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  assert_true(fd >= 0);
  for (size_t at = 0; at < len;) {
    ssize_t n = write(fd, (const char *)content + at, len - at);
    assert_true(n > 0);
    at += (size_t)n;
  }
  close(fd);
}

UNUSED static void write_text(const char *path, const char *content) {
  write_bytes(path, content, strlen(content));
}

UNUSED static void make_folder(const char *path) {
  assert_int_equal(mkdir(path, 0700), 0);
}

#define assert_ok(call)                                                                                      \
  do {                                                                                                       \
    os_error_clear(&test_error);                                                                             \
    if ((call) != OS_OK) fail_msg("%s: %s; %s", #call, test_error.text, test_error.advice);                  \
  } while (0)
/* The call fails with this code, and the error says so itself and contains the words. */
#define assert_fails(call, failure, words)                                                                   \
  do {                                                                                                       \
    os_error_clear(&test_error);                                                                             \
    int failed_as = (call);                                                                                  \
    if (failed_as != (failure) || (int)test_error.code != (failure))                                         \
      fail_msg("%s: %d, error %d: %s", #call, failed_as, (int)test_error.code, test_error.text);             \
    if (strstr(test_error.text, words) == NULL && strstr(test_error.advice, words) == NULL)                  \
      fail_msg("no '%s' in: %s; %s", words, test_error.text, test_error.advice);                             \
  } while (0)
#endif
