/* error.c - composing an error in place: no allocation, so that "no memory" can be said too.
**
** Calls text only. A struct os_error belongs to whoever made it; one thread at a time.
*/
#define _GNU_SOURCE /* strerrordesc_np() */
#include "base/error.h"
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "base/text.h"
#include "base/utf8.h"

/* Take away a UTF-8 sequence that was cut in the middle at the end of text. */
static void drop_cut_sequence(char *text, size_t len) {
  size_t back = 1;
  while (back < 4 && back < len && ((unsigned char)text[len - back] & 0xc0) == 0x80)
    back++;
  if (back <= len && (unsigned char)text[len - back] >= 0xc0 && !os_utf8_sequence(text + len - back, back))
    text[len - back] = '\0';
}

/* Format into a scratch first: the arguments may point into the error that is being written. */
static void compose(char *out, size_t size, const char *format, va_list args) {
  char scratch[OS_ERROR_TEXT];
  int len = vsnprintf(scratch, size, format, args);
  if (len < 0)
    scratch[0] = '\0';
  else if ((size_t)len >= size)
    drop_cut_sequence(scratch, size - 1);
  os_text_clean(scratch);
  memcpy(out, scratch, strlen(scratch) + 1);
}

void os_error_clear(struct os_error *error) {
  if (!error) return;
  error->code = OS_OK;
  error->http_status = 0;
  error->text[0] = '\0';
  error->advice[0] = '\0';
}

int os_fail(struct os_error *error, enum os_code code, const char *format, ...) {
  if (!error) return code;
  va_list args;
  va_start(args, format);
  compose(error->text, sizeof error->text, format, args);
  va_end(args);
  error->code = code;
  error->http_status = 0;
  error->advice[0] = '\0';
  return code;
}

int os_fail_nomem(struct os_error *error) {
  return os_fail(error, OS_ERR_NOMEM, "out of memory");
}

int os_advise(struct os_error *error, const char *format, ...) {
  if (!error) return OS_ERR_INTERNAL;
  va_list args;
  va_start(args, format);
  compose(error->advice, sizeof error->advice, format, args);
  va_end(args);
  return error->code;
}

int os_error_prefix(struct os_error *error, const char *format, ...) {
  if (!error) return OS_ERR_INTERNAL;
  char prefix[OS_ERROR_TEXT], joined[OS_ERROR_TEXT];
  va_list args;
  va_start(args, format);
  compose(prefix, sizeof prefix, format, args);
  va_end(args);
  size_t len = strlen(prefix);
  memcpy(joined, prefix, len);
  size_t room = sizeof joined - len;
  int written = snprintf(joined + len, room, ": %s", error->text);
  if (written > 0 && (size_t)written >= room) drop_cut_sequence(joined, sizeof joined - 1);
  memcpy(error->text, joined, strlen(joined) + 1);
  return error->code;
}

void os_error_sentence(const struct os_error *error, char *out, unsigned long out_size) {
  if (!out_size) return;
  int len = snprintf(out, out_size, "%s%s%s", error->text, error->advice[0] ? "; " : "", error->advice);
  if (len > 0 && (size_t)len >= out_size) drop_cut_sequence(out, out_size - 1);
}

const char *os_errno_text(int number) {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 32)
  const char *text = strerrordesc_np(number);
  return text ? text : "unknown error";
#else
  static const struct {
    int number;
    const char *text;
  } known[] = {
      {ENOENT, "No such file or directory"},
      {EACCES, "Permission denied"},
      {EPERM, "Operation not permitted"},
      {EISDIR, "Is a directory"},
      {ENOTDIR, "Not a directory"},
      {EEXIST, "File exists"},
      {ELOOP, "Too many levels of symbolic links"},
      {EMFILE, "Too many open files"},
      {ENFILE, "Too many open files in system"},
      {ENOMEM, "Cannot allocate memory"},
      {ENOSPC, "No space left on device"},
      {EDQUOT, "Disk quota exceeded"},
      {EROFS, "Read-only file system"},
      {EIO, "Input/output error"},
      {ENAMETOOLONG, "File name too long"},
      {EPIPE, "Broken pipe"},
  };
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (known[i].number == number) return known[i].text;
  return "system error";
#endif
}

const char *os_code_name(int code) {
  static const char *const names[] = {
      [OS_OK] = "ok",
      [OS_ERR_ARGUMENT] = "argument",
      [OS_ERR_NOMEM] = "no_memory",
      [OS_ERR_IO] = "file",
      [OS_ERR_FORMAT] = "format",
      [OS_ERR_NETWORK] = "network",
      [OS_ERR_TLS] = "tls",
      [OS_ERR_TIMEOUT] = "timeout",
      [OS_ERR_AUTH] = "auth",
      [OS_ERR_FORBIDDEN] = "forbidden",
      [OS_ERR_NOT_FOUND] = "not_found",
      [OS_ERR_CONFLICT] = "conflict",
      [OS_ERR_TOO_LARGE] = "too_large",
      [OS_ERR_BUSY] = "busy",
      [OS_ERR_REFUSED] = "refused",
      [OS_ERR_ANSWER] = "answer",
      [OS_ERR_GUARD] = "guard",
      [OS_ERR_LEDGER] = "ledger",
      [OS_ERR_INTERRUPTED] = "interrupted",
      [OS_ERR_CANCELLED] = "cancelled",
      [OS_ERR_INTERNAL] = "internal",
  };
  bool known = code >= 0 && (size_t)code < sizeof names / sizeof names[0];
  return known ? names[code] : "unknown";
}
