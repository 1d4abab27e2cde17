/* token_file.c - reads and replaces cached tokens.
**
** Calls base, config/small_file.h and OpenSSL's digests.
*/
#define _GNU_SOURCE /* mkostemp() */
#include "aws/chain/token_file.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "aws/chain/fetch.h"
#include "base/alloc.h"
#include "config/small_file.h"

enum { LARGEST_FILE = 1 << 20 };

int os_token_file_read(const char *path, json_t **out, struct os_error *error) {
  struct os_small_file file;
  char name[300];
  *out = NULL;
  int code = os_small_file_read(path, LARGEST_FILE, "the login's cache", &file, error);
  if (code || !file.text) return code;
  snprintf(name, sizeof name, "the file '%.250s'", path);
  *out = os_fetch_json(file.text, file.len, name, error);
  os_small_file_free(&file);
  return *out ? OS_OK : OS_ERR_ANSWER;
}

static bool write_all(int fd, const char *text, size_t len) {
  for (size_t at = 0; at < len;) {
    ssize_t put = write(fd, text + at, len - at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    at += (size_t)put;
  }
  return fsync(fd) == 0;
}

static int fail_write(const char *path, int number, struct os_error *error) {
  return os_fail(error, OS_ERR_IO, "cannot write '%s': %s", path, os_errno_text(number));
}

/* Another program that reads the file meanwhile sees the old one or the new one. mkstemp() makes it
** 0600. */
static int replace(const char *path, char *beside, const char *text, struct os_error *error) {
  int fd = mkostemp(beside, O_CLOEXEC);
  if (fd < 0) return fail_write(path, errno, error);
  bool written = write_all(fd, text, strlen(text));
  int number = errno;
  if (close(fd) && written) {
    written = false;
    number = errno;
  }
  if (written && rename(beside, path) == 0) return OS_OK;
  if (written) number = errno;
  unlink(beside);
  return fail_write(path, number, error);
}

int os_token_file_write(const char *path, const json_t *token, struct os_error *error) {
  char *text = os_json_text(token), *beside = os_mprintf("%s.XXXXXX", path);
  int code = text && beside ? replace(path, beside, text, error) : os_fail_nomem(error);
  if (text) explicit_bzero(text, strlen(text));
  os_free(text);
  os_free(beside);
  return code;
}

char *os_token_file_path(const char *folder, const char *digest, const char *name) {
  unsigned char raw[EVP_MAX_MD_SIZE];
  char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
  unsigned len = 0;
  const EVP_MD *kind = EVP_get_digestbyname(digest);
  if (!kind || !EVP_Digest(name, strlen(name), raw, &len, kind, NULL)) return NULL;
  for (unsigned i = 0; i < len; i++)
    snprintf(hex + (size_t)2 * i, 3, "%02x", raw[i]);
  return os_mprintf("%s/%s.json", folder, hex);
}
