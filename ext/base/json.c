/* json.c - jansson for small JSON: strict parsing with a place in the message, short ways to members,
** and a writer of our own.
**
** Calls alloc, buffer, error, text, and jansson, whose memory is its own.
*/
#include "base/json.h"
#include <errno.h>
#include <math.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/text.h"

/* jansson quotes the text around the fault; that may be a password, so only the place is told. */
static void drop_quotation(char *text) {
  char *near = strstr(text, " near '");
  if (near) *near = '\0';
}

/* jansson calls a string for which there was no memory an invalid token. */
static bool is_syntax_fault(const json_error_t *fault) {
  return fault->text[0] && json_error_code(fault) != json_error_out_of_memory && errno != ENOMEM;
}

json_t *os_json_load(const char *text, size_t len, size_t flags, json_error_t *fault) {
  errno = 0;
  json_t *value = json_loadb(text, len, flags, fault);
  if (!value || errno != ENOMEM) return value;
  json_decref(value);
  return NULL;
}

json_t *os_json_parse(const char *text, size_t len, int flags, const char *what, struct os_error *error) {
  bool from_server = (flags & OS_JSON_BIG_INTEGERS) != 0;
  size_t strict = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | (from_server ? JSON_ALLOW_NUL : 0);
  json_error_t fault = {.line = -1};
  json_t *value = os_json_load(len ? text : "", len, strict, &fault);
  if (!value && from_server && json_error_code(&fault) == json_error_numeric_overflow)
    value = os_json_load(text, len, strict | JSON_DECODE_INT_AS_REAL, &fault);
  if (value) return value;
  if (!is_syntax_fault(&fault)) {
    os_fail_nomem(error);
    return NULL;
  }
  drop_quotation(fault.text);
  os_fail(error, from_server ? OS_ERR_ANSWER : OS_ERR_ARGUMENT, "%s: line %d column %d: %s", what, fault.line,
          fault.column, fault.text);
  return NULL;
}

/* The member whose name is name[0..len); jansson wants it terminated, so a name of usual length is copied. */
static const json_t *member(const json_t *object, const char *name, size_t len) {
  char copy[256];
  if (len < sizeof copy) {
    memcpy(copy, name, len);
    copy[len] = '\0';
    return json_object_get(object, copy);
  }
  for (void *at = json_object_iter((json_t *)object); at; at = json_object_iter_next((json_t *)object, at)) {
    const char *key = json_object_iter_key(at);
    if (strlen(key) == len && memcmp(key, name, len) == 0) return json_object_iter_value(at);
  }
  return NULL;
}

const json_t *os_json_at(const json_t *root, const char *path) {
  const json_t *at = root;
  while (at) {
    size_t len = strcspn(path, "/");
    at = json_is_object(at) ? member(at, path, len) : NULL;
    if (!path[len]) break;
    path += len + 1;
  }
  return at;
}

const char *os_json_string(const json_t *root, const char *path, const char *fallback) {
  const json_t *value = os_json_at(root, path);
  return json_is_string(value) ? json_string_value(value) : fallback;
}

int64_t os_json_int(const json_t *root, const char *path, int64_t fallback) {
  const json_t *value = os_json_at(root, path);
  int64_t number;
  if (json_is_integer(value)) return json_integer_value(value);
  if (json_is_string(value) && os_parse_int(json_string_value(value), &number)) return number;
  if (json_is_real(value)) { /* an integer that was read as real because a larger one stood beside it */
    double real = json_real_value(value);
    if (real >= -9223372036854775808.0 && real < 9223372036854775808.0 && real >= floor(real) &&
        real <= floor(real))
      return (int64_t)real;
  }
  return fallback;
}

double os_json_real(const json_t *root, const char *path, double fallback) {
  const json_t *value = os_json_at(root, path);
  double number;
  if (json_is_number(value)) return json_number_value(value);
  if (json_is_string(value) && os_parse_double(json_string_value(value), &number)) return number;
  return fallback;
}

bool os_json_bool(const json_t *root, const char *path, bool fallback) {
  const json_t *value = os_json_at(root, path);
  if (json_is_boolean(value)) return json_is_true(value);
  const char *word = json_is_string(value) ? json_string_value(value) : "";
  return strcmp(word, "true") == 0 ? true : strcmp(word, "false") == 0 ? false : fallback;
}

/* Writing is not jansson's, because it prints 0.1 as 0.10000000000000001. Depth is that of the tree, which a
** parser bounded or the program built. */
static void put_value(struct os_buf *out, const json_t *value);

static void put_object(struct os_buf *out, const json_t *object) {
  const char *comma = "";
  os_buf_putc(out, '{');
  for (void *at = json_object_iter((json_t *)object); at; at = json_object_iter_next((json_t *)object, at)) {
    const char *key = json_object_iter_key(at);
    os_buf_puts(out, comma);
    os_buf_put_json(out, key, strlen(key));
    os_buf_putc(out, ':');
    put_value(out, json_object_iter_value(at));
    comma = ",";
  }
  os_buf_putc(out, '}');
}

static void put_array(struct os_buf *out, const json_t *array) {
  os_buf_putc(out, '[');
  for (size_t i = 0; i < json_array_size(array); i++) {
    if (i) os_buf_putc(out, ',');
    put_value(out, json_array_get(array, i));
  }
  os_buf_putc(out, ']');
}

static void put_value(struct os_buf *out, const json_t *value) {
  char number[32];
  switch (json_typeof(value)) {
  case JSON_OBJECT: put_object(out, value); break;
  case JSON_ARRAY: put_array(out, value); break;
  case JSON_STRING: os_buf_put_json(out, json_string_value(value), json_string_length(value)); break;
  case JSON_INTEGER: os_buf_printf(out, "%lld", (long long)json_integer_value(value)); break;
  case JSON_REAL:
    os_format_real(json_real_value(value), number, sizeof number);
    os_buf_puts(out, number);
    break;
  case JSON_TRUE: os_buf_puts(out, "true"); break;
  case JSON_FALSE: os_buf_puts(out, "false"); break;
  case JSON_NULL: os_buf_puts(out, "null"); break;
  }
}

char *os_json_text(const json_t *value) {
  if (!value) return NULL;
  struct os_buf out;
  os_buf_init(&out, 0);
  put_value(&out, value);
  return os_buf_take(&out);
}

bool os_json_put(json_t *object, const char *key, json_t *value) {
  return json_object_set_new(object, key, value) == 0;
}
