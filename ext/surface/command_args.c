/* command_args.c - reads the positional arguments of a command and says clearly what is wrong with them.
**
** May call: base/, SQLite's value functions. Owns nothing: texts are SQLite's until the command returns.
*/
#include "surface/command.h"

#include <string.h>
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"

static const char *type_name(int type) {
  static const char *const names[] = {"NULL", "an integer", "a real number", "text", "a blob", "NULL"};
  return names[type >= SQLITE_INTEGER && type <= SQLITE_NULL ? type : 0];
}

static int type_of(const struct os_command *command, int i) {
  return i < command->argc ? sqlite3_value_type(command->argv[i]) : SQLITE_NULL;
}

static int refuse_type(struct os_command *command, int i, const char *what, const char *wanted) {
  os_fail(&command->error, OS_ERR_ARGUMENT, "argument %d (%s) is %s, not %s", i + 1, what,
          i < command->argc ? type_name(type_of(command, i)) : "missing", wanted);
  os_advise(&command->error, "call %s%s", command->info->name, command->info->usage);
  return OS_ERR_ARGUMENT;
}

static int read_text(struct os_command *command, int i, const char *what, const char **out) {
  *out = NULL;
  if (type_of(command, i) != SQLITE_TEXT) return refuse_type(command, i, what, "text");
  const char *text = (const char *)sqlite3_value_text(command->argv[i]);
  if (text == NULL) return os_fail_nomem(&command->error);
  size_t len = (size_t)sqlite3_value_bytes(command->argv[i]);
  size_t bad = os_utf8_check(text, len);
  if (memchr(text, '\0', len) != NULL)
    return os_fail(&command->error, OS_ERR_ARGUMENT, "argument %d (%s) has a NUL character inside", i + 1,
                   what);
  if (bad < len)
    return os_fail(&command->error, OS_ERR_ARGUMENT, "argument %d (%s) is not valid UTF-8 at byte %zu", i + 1,
                   what, bad + 1);
  *out = text;
  return OS_OK;
}

int os_command_text(struct os_command *command, int i, const char *what, const char **out) {
  int rc = read_text(command, i, what, out);
  if (rc == OS_OK && *out != NULL && (*out)[0] == '\0') {
    rc = os_fail(&command->error, OS_ERR_ARGUMENT, "argument %d (%s) is empty", i + 1, what);
    os_advise(&command->error, "call %s%s", command->info->name, command->info->usage);
  }
  return rc;
}

int os_command_optional_text(struct os_command *command, int i, const char *what, const char **out) {
  *out = NULL;
  if (i >= command->argc || type_of(command, i) == SQLITE_NULL) return OS_OK;
  return os_command_text(command, i, what, out);
}

int os_command_int(struct os_command *command, int i, const char *what, int64_t min, int64_t max,
                   int64_t *out) {
  if (type_of(command, i) != SQLITE_INTEGER) return refuse_type(command, i, what, "a whole number");
  int64_t value = sqlite3_value_int64(command->argv[i]);
  if (value < min || value > max)
    return os_fail(&command->error, OS_ERR_ARGUMENT, "argument %d (%s) is %lld, not from %lld to %lld", i + 1,
                   what, (long long)value, (long long)min, (long long)max);
  *out = value;
  return OS_OK;
}

int os_command_real(struct os_command *command, int i, const char *what, double min, double max,
                    double *out) {
  int type = type_of(command, i);
  if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) return refuse_type(command, i, what, "a number");
  double value = sqlite3_value_double(command->argv[i]);
  if (!(value >= min && value <= max)) {
    char low[32], high[32];
    os_format_double(min, 0, low, sizeof low);
    os_format_double(max, 0, high, sizeof high);
    return os_fail(&command->error, OS_ERR_ARGUMENT, "argument %d (%s) is not from %s to %s", i + 1, what,
                   low, high);
  }
  *out = value;
  return OS_OK;
}

int os_command_object_text(struct os_command *command, int i, const char *what, const char **out,
                           json_t **parsed) {
  int rc = os_command_optional_text(command, i, what, out);
  if (rc != OS_OK || *out == NULL) return rc;
  /* Big integers are legal here: the text goes to the server as it is, only its form is checked. */
  json_t *value = os_json_parse(*out, strlen(*out), OS_JSON_BIG_INTEGERS, what, &command->error);
  if (value == NULL) {
    if (command->error.code != OS_ERR_NOMEM) command->error.code = OS_ERR_ARGUMENT;
    return (int)command->error.code;
  }
  if (!json_is_object(value))
    rc = os_fail(&command->error, OS_ERR_ARGUMENT, "argument %d (%s) is not a JSON object", i + 1, what);
  if (rc == OS_OK && parsed != NULL) *parsed = json_incref(value);
  json_decref(value);
  return rc;
}

/* The rules of OpenSearch's create-index API for names (docs.opensearch.org, "Create index": index naming
** restrictions). The server checks again; checking here keeps a pattern from ever reaching a delete. */
int os_command_check_index_name(const char *name, struct os_error *error) {
  size_t len = strlen(name);
  if (len > 255) return os_fail(error, OS_ERR_ARGUMENT, "index name of %zu bytes, but 255 is the most", len);
  if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "_all") == 0)
    return os_fail(error, OS_ERR_ARGUMENT, "'%s' is no index name", name);
  if (len == 0 || strchr("-_+", name[0]) != NULL)
    return os_fail(error, OS_ERR_ARGUMENT, "index name '%.255s' may not %s", name,
                   len == 0 ? "be empty" : "begin with '-', '_' or '+'");
  for (const char *at = name; *at != '\0'; at++) {
    if (strchr("*?", *at) != NULL) {
      os_fail(error, OS_ERR_ARGUMENT, "'%.255s' is a pattern, not an index name", name);
      return os_advise(error, "name one index");
    }
    if (*at == ',') {
      os_fail(error, OS_ERR_ARGUMENT, "'%.255s' names several indices", name);
      return os_advise(error, "name one index");
    }
    if (strchr("\\/\"<>|#: ", *at) != NULL || (unsigned char)*at < 0x20 || *at == 0x7f)
      return os_fail(error, OS_ERR_ARGUMENT,
                     "index name '%.255s' has a character that OpenSearch refuses (byte %zu)", name,
                     (size_t)(at - name) + 1);
    if (*at >= 'A' && *at <= 'Z')
      return os_fail(error, OS_ERR_ARGUMENT,
                     "index name '%.255s' has an upper-case letter; OpenSearch takes lower case", name);
  }
  return OS_OK;
}
