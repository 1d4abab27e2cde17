/* options.c - checks the JSON object of options against a command's table, and reads values out of it.
**
** Lives here: the table of shared options, the check of one value against its types and range, and the
** sentences that say what is legal. May call: base/. Owns: nothing beyond the two JSON objects in struct
** os_options. */
#include "surface/options.h"

#include <math.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

static const char *const progress_words[] = {"json", NULL};
static const char *const partial_words[] = {"ok", "error", NULL};

/* Rule 12 of the SQL surface: these mean the same for every command that takes them. The i-th entry is bit i.
 */
static const struct os_option common_options[] = {
    {"connection", OS_OPT_TEXT, 1, 255, NULL, NULL},
    {"progress", OS_OPT_BOOL | OS_OPT_WORD, 0, 0, progress_words, NULL},
    {"dry_run", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"allow_live", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {"on_partial", OS_OPT_WORD, 0, 0, partial_words, "\"ok\""},
    {"timeout", OS_OPT_SECONDS | OS_OPT_NULL, 0.001, 31536000, NULL, NULL},
    {"correlation_id", OS_OPT_TEXT, 1, 255, NULL, NULL},
};

enum { COMMON_COUNT = sizeof common_options / sizeof *common_options, KEY_LIMIT = 96 };

/* ---- the schema as one list --------------------------------------------------------------------- */

/* Collect the keys a command takes, its own first. Returns how many. */
static size_t list_options(const struct os_option_schema *schema, const struct os_option *list[KEY_LIMIT]) {
  size_t n = 0;
  if (schema == NULL) return 0;
  for (const struct os_option *own = schema->own; own != NULL && own->key != NULL && n < KEY_LIMIT; own++)
    list[n++] = own;
  for (unsigned i = 0; i < COMMON_COUNT && n < KEY_LIMIT; i++)
    if (schema->common & (1u << i)) list[n++] = &common_options[i];
  return n;
}

static int refuse_unknown(const char *key, const struct os_option *const *list, size_t count,
                          struct os_error *error) {
  const char *words[KEY_LIMIT];
  struct os_buf legal;
  os_buf_init(&legal, OS_ERROR_ADVICE);
  for (size_t i = 0; i < count; i++) {
    words[i] = list[i]->key;
    os_buf_printf(&legal, "%s%s", i == 0 ? "" : ", ", list[i]->key);
  }
  const char *near = os_text_nearest(key, words, count);
  os_fail(error, OS_ERR_ARGUMENT, "unknown option '%.80s'", key);
  if (count == 0)
    os_advise(error, "this command takes no options");
  else if (near != NULL)
    os_advise(error, "did you mean '%s'? legal options: %s", near, legal.failed ? near : legal.data);
  else
    os_advise(error, "legal options: %s", legal.failed ? words[0] : legal.data);
  os_buf_free(&legal);
  return OS_ERR_ARGUMENT;
}

/* ---- one value ---------------------------------------------------------------------------------- */

static void put_number(struct os_buf *out, double value) {
  if (floor(value) == value && fabs(value) < 1e15) {
    if (value < 0) os_buf_putc(out, '-');
    os_buf_put_u64(out, (uint64_t)fabs(value));
  } else {
    char text[64];
    os_format_double(value, 3, text, sizeof text);
    os_buf_puts(out, text);
  }
}

static void put_range(struct os_buf *out, const struct os_option *option) {
  if (option->min == option->max) return;
  os_buf_puts(out, " from ");
  put_number(out, option->min);
  os_buf_puts(out, " to ");
  put_number(out, option->max);
}

static void put_words(struct os_buf *out, const char *const *words) {
  for (size_t i = 0; words != NULL && words[i] != NULL; i++)
    os_buf_printf(out, "%s\"%s\"", i == 0 ? "" : ", ", words[i]);
}

/* "true, false or one of "json"": what the option takes, for the person who gave something else. */
static void put_legal(struct os_buf *out, const struct os_option *option) {
  static const struct {
    unsigned type;
    const char *text;
    bool ranged;
  } kinds[] = {
      {OS_OPT_BOOL, "true or false", false},
      {OS_OPT_INT, "a whole number", true},
      {OS_OPT_REAL, "a number", true},
      {OS_OPT_SECONDS, "a number of seconds", true},
      {OS_OPT_SIZE, "a size in bytes or text with a unit such as \"8MiB\"", true},
      {OS_OPT_SHARE, "a count or a share such as \"10%\"", false},
      {OS_OPT_TEXT, "a non-empty text", false},
      {OS_OPT_TIME, "a time such as \"2026-01-31T12:00:00Z\"", false},
      {OS_OPT_OBJECT, "a JSON object", false},
      {OS_OPT_ARRAY, "a JSON array", false},
      {OS_OPT_NULL, "null", false},
  };
  bool first = true;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (!(option->types & kinds[i].type)) continue;
    os_buf_puts(out, first ? "" : ", or ");
    os_buf_puts(out, kinds[i].type == OS_OPT_TEXT && option->min < 1 ? "a text" : kinds[i].text);
    if (kinds[i].type == OS_OPT_TEXT && option->max > 0) {
      os_buf_puts(out, " of at most ");
      put_number(out, option->max);
      os_buf_puts(out, " bytes");
    }
    if (kinds[i].ranged) put_range(out, option);
    first = false;
  }
  if (option->types & OS_OPT_WORD) {
    os_buf_puts(out, first ? "one of " : ", or one of ");
    put_words(out, option->words);
  }
}

static bool in_range(const struct os_option *option, double value) {
  return option->min == option->max || (value >= option->min && value <= option->max);
}

static bool is_word(const struct os_option *option, const char *text) {
  for (size_t i = 0; option->words != NULL && option->words[i] != NULL; i++)
    if (strcmp(option->words[i], text) == 0) return true;
  return false;
}

static bool integer_fits(const struct os_option *option, json_int_t value) {
  unsigned types = option->types;
  if ((types & OS_OPT_BOOL) && !(types & OS_OPT_INT) && (value == 0 || value == 1)) return true;
  if ((types & OS_OPT_SHARE) && value >= 0) return true;
  if ((types & OS_OPT_SIZE) && value >= 0 && in_range(option, (double)value)) return true;
  return (types & (OS_OPT_INT | OS_OPT_REAL | OS_OPT_SECONDS)) && in_range(option, (double)value);
}

static bool string_fits(const struct os_option *option, const json_t *value) {
  unsigned types = option->types;
  const char *text = json_string_value(value);
  size_t len = json_string_length(value);
  if (strlen(text) != len) return false; /* a NUL inside: nothing downstream could carry it */
  if ((types & OS_OPT_WORD) && is_word(option, text)) return true;
  uint64_t size;
  if ((types & OS_OPT_SIZE) && os_parse_size(text, &size) && in_range(option, (double)size)) return true;
  int64_t count;
  double number;
  if ((types & OS_OPT_SHARE) && os_parse_share(text, &count, &number)) return true;
  if ((types & OS_OPT_TIME) && os_clock_parse_iso(text, &number)) return true;
  return (types & OS_OPT_TEXT) &&
         (option->max <= 0 || ((double)len >= option->min && (double)len <= option->max));
}

static bool value_fits(const struct os_option *option, const json_t *value) {
  switch (json_typeof(value)) {
  case JSON_TRUE:
  case JSON_FALSE: return (option->types & OS_OPT_BOOL) != 0;
  case JSON_NULL: return (option->types & OS_OPT_NULL) != 0;
  case JSON_OBJECT: return (option->types & OS_OPT_OBJECT) != 0;
  case JSON_ARRAY: return (option->types & OS_OPT_ARRAY) != 0;
  case JSON_INTEGER: return integer_fits(option, json_integer_value(value));
  case JSON_REAL:
    return (option->types & (OS_OPT_REAL | OS_OPT_SECONDS)) && in_range(option, json_real_value(value));
  case JSON_STRING: return string_fits(option, value);
  }
  return false;
}

static int refuse_value(const struct os_option *option, const json_t *value, struct os_error *error) {
  struct os_buf legal;
  os_buf_init(&legal, OS_ERROR_ADVICE);
  put_legal(&legal, option);
  /* The value itself is shown only when it is short: it may be a whole mapping. */
  char *text = os_json_text(value);
  if (legal.failed)
    os_fail(error, OS_ERR_ARGUMENT, "option '%s' has a value it does not take", option->key);
  else if (text != NULL && strlen(text) <= 60)
    os_fail(error, OS_ERR_ARGUMENT, "option '%s' takes %s, not %s", option->key, legal.data, text);
  else
    os_fail(error, OS_ERR_ARGUMENT, "option '%s' takes %s", option->key, legal.data);
  os_free(text);
  os_buf_free(&legal);
  return OS_ERR_ARGUMENT;
}

/* ---- the whole object --------------------------------------------------------------------------- */

static int check_given(const json_t *given, const struct os_option *const *list, size_t count,
                       struct os_error *error) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)given, key, value) {
    const struct os_option *option = NULL;
    for (size_t i = 0; i < count && option == NULL; i++)
      if (strcmp(list[i]->key, key) == 0) option = list[i];
    if (option == NULL) return refuse_unknown(key, list, count, error);
    if (!value_fits(option, value)) return refuse_value(option, value, error);
  }
  return OS_OK;
}

static int add_defaults(json_t *values, const struct os_option *const *list, size_t count,
                        struct os_error *error) {
  for (size_t i = 0; i < count; i++) {
    if (list[i]->fallback == NULL || json_object_get(values, list[i]->key) != NULL) continue;
    json_error_t where;
    json_t *fallback = json_loads(list[i]->fallback, JSON_DECODE_ANY, &where);
    if (fallback == NULL || !os_json_put(values, list[i]->key, fallback)) return os_fail_nomem(error);
  }
  return OS_OK;
}

int os_options_parse(struct os_options *options, const struct os_option_schema *schema, const char *text,
                     size_t len, struct os_error *error) {
  const struct os_option *list[KEY_LIMIT];
  size_t count = list_options(schema, list);
  options->given = options->values = NULL;
  if (text == NULL) {
    options->given = json_object();
    if (options->given == NULL) return os_fail_nomem(error);
  } else {
    options->given = os_json_parse(text, len, 0, "options", error);
    if (options->given == NULL) return error != NULL ? (int)error->code : OS_ERR_ARGUMENT;
  }
  int rc;
  if (!json_is_object(options->given)) {
    os_fail(error, OS_ERR_ARGUMENT, "options is not a JSON object");
    os_advise(error, "write it as '{\"key\": value}' or with json_object('key', value)");
    rc = OS_ERR_ARGUMENT;
    goto done;
  }
  rc = check_given(options->given, list, count, error);
  if (rc != OS_OK) goto done;
  options->values = json_copy(options->given);
  if (options->values == NULL) {
    rc = os_fail_nomem(error);
    goto done;
  }
  rc = add_defaults(options->values, list, count, error);
done:
  if (rc != OS_OK) os_options_free(options);
  return rc;
}

void os_options_free(struct os_options *options) {
  json_decref(options->given);
  json_decref(options->values);
  options->given = options->values = NULL;
}

/* ---- getters ------------------------------------------------------------------------------------ */

static const json_t *value_of(const struct os_options *options, const char *key) {
  const json_t *value = json_object_get(options->values, key);
  return json_is_null(value) ? NULL : value;
}

bool os_options_given(const struct os_options *options, const char *key) {
  return json_object_get(options->given, key) != NULL;
}

bool os_options_is_null(const struct os_options *options, const char *key) {
  return json_is_null(json_object_get(options->given, key));
}

bool os_options_bool(const struct os_options *options, const char *key, bool fallback) {
  const json_t *value = value_of(options, key);
  if (json_is_boolean(value)) return json_is_true(value);
  if (json_is_integer(value)) return json_integer_value(value) != 0;
  return fallback;
}

int64_t os_options_int(const struct os_options *options, const char *key, int64_t fallback) {
  const json_t *value = value_of(options, key);
  return json_is_integer(value) ? (int64_t)json_integer_value(value) : fallback;
}

double os_options_real(const struct os_options *options, const char *key, double fallback) {
  const json_t *value = value_of(options, key);
  return json_is_number(value) ? json_number_value(value) : fallback;
}

uint64_t os_options_size(const struct os_options *options, const char *key, uint64_t fallback) {
  const json_t *value = value_of(options, key);
  uint64_t size;
  if (json_is_integer(value) && json_integer_value(value) >= 0) return (uint64_t)json_integer_value(value);
  if (json_is_string(value) && os_parse_size(json_string_value(value), &size)) return size;
  return fallback;
}

double os_options_time(const struct os_options *options, const char *key, double fallback) {
  const json_t *value = value_of(options, key);
  double seconds;
  if (json_is_string(value) && os_clock_parse_iso(json_string_value(value), &seconds)) return seconds;
  return fallback;
}

const char *os_options_text(const struct os_options *options, const char *key, const char *fallback) {
  const json_t *value = value_of(options, key);
  return json_is_string(value) ? json_string_value(value) : fallback;
}

const json_t *os_options_json(const struct os_options *options, const char *key) {
  return json_object_get(options->values, key);
}

bool os_parse_share(const char *text, int64_t *count, double *share) {
  size_t len = strlen(text);
  int64_t whole;
  double percent;
  char number[32];
  if (os_parse_int(text, &whole) && whole >= 0) {
    *count = whole;
    *share = -1;
    return true;
  }
  if (len < 2 || len > sizeof number || text[len - 1] != '%') return false;
  memcpy(number, text, len - 1);
  number[len - 1] = '\0';
  if (!os_parse_double(number, &percent) || !(percent >= 0 && percent <= 100)) return false;
  *count = -1;
  *share = percent / 100;
  return true;
}

void os_options_share(const struct os_options *options, const char *key, int64_t *count, double *share) {
  const json_t *value = value_of(options, key);
  *count = -1;
  *share = -1;
  if (json_is_integer(value))
    *count = (int64_t)json_integer_value(value);
  else if (json_is_string(value))
    os_parse_share(json_string_value(value), count, share);
}
