/* secret.c - reading, wiping and hiding secrets. Calls base, small_file and settings. Keeper's thread. */
#include "config/secret.h"
#include <string.h>
#include "base/alloc.h"
#include "base/text.h"
#include "config/small_file.h"

enum { LONGEST_SECRET = 64 * 1024, SHORTEST_REDACTED = 3 };

/* A name that a variable can have; anything else may be a secret given by mistake and is not repeated. */
static bool is_variable_name(const char *name) {
  bool good = os_is_alpha(*name) || *name == '_';
  for (; good && *name; name++)
    good = os_is_alpha(*name) || os_is_digit(*name) || *name == '_' || *name == '-' || *name == '.';
  return good;
}

static int from_environment(const char *name, const char *what, const struct os_settings *settings,
                            char **out, struct os_error *error) {
  if (!is_variable_name(name)) {
    os_fail(error, OS_ERR_ARGUMENT, "%s: what follows 'env:' is not the name of an environment variable",
            what);
    return os_advise(error, "write 'env:NAME', where NAME is the variable that holds the secret");
  }
  int code = os_settings_variable(settings, name, out, error);
  if (code || *out) return code;
  os_fail(error, OS_ERR_ARGUMENT, "%s: environment variable '%s' is not set, or empty", what, name);
  return os_advise(error, "set it before starting this program, or write it into .env");
}

/* Cut one line end, as an editor or echo leaves it. */
static size_t without_line_end(const char *text, size_t len) {
  if (len && text[len - 1] == '\n') len--;
  if (len && text[len - 1] == '\r') len--;
  return len;
}

static int from_file(const char *path, const char *what, struct os_log *log, char **out,
                     struct os_error *error) {
  struct os_small_file file;
  int code = os_small_file_read(path, LONGEST_SECRET, what, &file, error);
  if (code) return code;
  size_t len = file.text ? without_line_end(file.text, file.len) : 0;
  if (!file.text) {
    code = os_fail(error, OS_ERR_IO, "%s: there is no file '%s'", what, path);
    os_advise(error, "check the path behind 'file:'");
  } else if (!len || memchr(file.text, '\0', len)) {
    code = os_fail(error, OS_ERR_ARGUMENT, "%s: the file '%s' %s", what, path,
                   len ? "holds a NUL byte" : "is empty");
    os_advise(error, "it should hold the secret and nothing else");
  } else if (!(*out = os_strndup(file.text, len))) {
    code = os_fail_nomem(error);
  } else if (file.others_may_read) {
    os_log_write(log, OS_LOG_WARNING, "%s: the file '%s' can be read by other users; chmod 600 it", what,
                 path);
  }
  os_small_file_free(&file);
  return code;
}

int os_secret_resolve(const char *given, const char *what, const struct os_settings *settings,
                      struct os_log *log, char **out, struct os_error *error) {
  *out = NULL;
  if (os_has_prefix(given, "env:")) return from_environment(given + 4, what, settings, out, error);
  if (os_has_prefix(given, "file:")) return from_file(given + 5, what, log, out, error);
  *out = os_strdup(given);
  return *out ? OS_OK : os_fail_nomem(error);
}

void os_secret_free(char *secret) {
  if (secret) explicit_bzero(secret, strlen(secret));
  os_free(secret);
}

void os_redact(char *text, const char *secret) {
  size_t len = secret ? strlen(secret) : 0;
  if (len < SHORTEST_REDACTED) return;
  size_t mask = len < strlen(OS_SECRET_MASK) ? len : strlen(OS_SECRET_MASK);
  for (char *at = strstr(text, secret); at; at = strstr(at + mask, secret)) {
    memcpy(at, OS_SECRET_MASK, mask);
    memmove(at + mask, at + len, strlen(at + len) + 1);
  }
}
