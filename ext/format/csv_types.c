/* csv_types.c - see csv_types.h. May call: json_scan, base. Owns nothing. */
#include "format/csv_types.h"
#include <string.h>

static const char *const type_words[] = {"string", "number", "boolean", "json", "json", "date"};

const char *os_csv_type_name(enum os_csv_type type) {
  return type_words[type];
}

bool os_csv_type_from_word(const char *word, enum os_csv_type *out) {
  static const enum os_csv_type types[] = {OS_CSV_STRING, OS_CSV_NUMBER, OS_CSV_BOOLEAN, OS_CSV_JSON,
                                           OS_CSV_DATE};
  for (size_t i = 0; word && i < sizeof types / sizeof *types; i++)
    if (!strcmp(word, type_words[types[i]])) {
      *out = types[i];
      return true;
    }
  return false;
}

/* ---- numbers ---- */

/* Advance over digits; returns how many. */
static inline size_t digits(const char *text, size_t len, size_t *at) {
  size_t from = *at;
  while (*at < len && text[*at] >= '0' && text[*at] <= '9')
    (*at)++;
  return *at - from;
}

/* The integer part of RFC 8259: 0, or digits that do not begin with 0. Returns its length, 0 when malformed.
 */
static inline size_t integer_part(const char *text, size_t len, size_t *at) {
  size_t from = *at, n = digits(text, len, at);
  return n > 1 && text[from] == '0' ? 0 : n;
}

bool os_csv_is_number(const char *text, size_t len) {
  size_t at = len && text[0] == '-';
  if (!integer_part(text, len, &at)) return false;
  if (at < len && text[at] == '.') {
    at++;
    if (!digits(text, len, &at)) return false;
  }
  if (at < len && (text[at] == 'e' || text[at] == 'E')) {
    at++;
    if (at < len && (text[at] == '+' || text[at] == '-')) at++;
    if (!digits(text, len, &at)) return false;
  }
  return at == len;
}

bool os_csv_is_plain_number(const char *text, size_t len) {
  enum { INTEGER_DIGITS = 18, DECIMAL_DIGITS = 15 };
  size_t at = len && text[0] == '-';
  bool negative = at == 1, zero = at < len && text[at] == '0';
  size_t whole = integer_part(text, len, &at), fraction = 0;
  if (!whole) return false;
  if (at == len) return whole <= INTEGER_DIGITS && !(negative && zero);
  if (text[at++] != '.') return false;
  size_t from = at;
  fraction = digits(text, len, &at);
  if (!fraction || at != len) return false;
  if (!zero) return whole + fraction <= DECIMAL_DIGITS;
  while (from < len && text[from] == '0') /* zeros before the first other digit are not significant */
    from++;
  return len - from <= DECIMAL_DIGITS;
}

bool os_csv_is_boolean(const char *text, size_t len) {
  return (len == 4 && !memcmp(text, "true", 4)) || (len == 5 && !memcmp(text, "false", 5));
}

bool os_csv_scan_json(struct os_json_scan *scan, const char *text, size_t len, bool container) {
  const char *end = text + len;
  while (text < end && os_json_blank(*text))
    text++;
  while (end > text && os_json_blank(end[-1]))
    end--;
  scan->fault = OS_JSON_FINE;
  if (text == end || (container && *text != '{' && *text != '[')) return false;
  return os_json_scan(scan, text, end) && scan->end == end && !scan->too_deep;
}

/* ---- the index's mapping ---- */

/* Field types of the OpenSearch "Mappings and field types" pages whose values are plain text or a single
** number or truth value. Every type that is not listed (object, nested, geo_point, flat_object, ranges,
** vectors …) takes an object or an array, and some of those also take text. */
static const struct {
  const char *name;
  enum os_csv_type type;
} mapped[] = {
    {"keyword", OS_CSV_STRING},
    {"text", OS_CSV_STRING},
    {"match_only_text", OS_CSV_STRING},
    {"search_as_you_type", OS_CSV_STRING},
    {"wildcard", OS_CSV_STRING},
    {"constant_keyword", OS_CSV_STRING},
    {"ip", OS_CSV_STRING},
    {"binary", OS_CSV_STRING},
    {"version", OS_CSV_STRING},
    {"semantic", OS_CSV_STRING},
    {"annotated_text", OS_CSV_STRING},
    {"murmur3", OS_CSV_STRING},
    {"icu_collation_keyword", OS_CSV_STRING},
    {"alias", OS_CSV_STRING},
    {"date", OS_CSV_DATE},
    {"date_nanos", OS_CSV_DATE},
    {"boolean", OS_CSV_BOOLEAN},
    {"long", OS_CSV_NUMBER},
    {"integer", OS_CSV_NUMBER},
    {"short", OS_CSV_NUMBER},
    {"byte", OS_CSV_NUMBER},
    {"unsigned_long", OS_CSV_NUMBER},
    {"double", OS_CSV_NUMBER},
    {"float", OS_CSV_NUMBER},
    {"half_float", OS_CSV_NUMBER},
    {"scaled_float", OS_CSV_NUMBER},
    {"token_count", OS_CSV_NUMBER},
    {"rank_feature", OS_CSV_NUMBER},
};

/* The mapping of the field `name`, e.g. of a.b: properties / a / properties / b. NULL: not mapped. */
static const json_t *field_mapping(const json_t *mapping, const char *name) {
  const json_t *field = mapping;
  for (;;) {
    const json_t *properties = json_object_get(field, "properties");
    const json_t *whole = json_object_get(properties, name);
    if (whole) return whole;
    const char *dot = strchr(name, '.');
    if (!dot) return NULL;
    field = json_object_getn(properties, name, (size_t)(dot - name));
    if (!field) return NULL;
    name = dot + 1;
  }
}

void os_csv_guess_force(struct os_csv_guess *guess, enum os_csv_type type) {
  guess->decided = true;
  guess->type = type;
}

void os_csv_guess_begin(struct os_csv_guess *guess, const json_t *mapping, const char *name) {
  *guess = (struct os_csv_guess){.number = true, .boolean = true, .container = true};
  const json_t *field = field_mapping(mapping, name);
  if (!field) return;
  const char *type = json_string_value(json_object_get(field, "type"));
  for (size_t i = 0; type && i < sizeof mapped / sizeof *mapped; i++)
    if (!strcmp(type, mapped[i].name)) {
      os_csv_guess_force(guess, mapped[i].type);
      return;
    }
  guess->container_or_string = true; /* also an object, which carries no "type" */
}

bool os_csv_guess_cell(struct os_csv_guess *guess, struct os_json_scan *scan, const char *text, size_t len) {
  if (guess->decided) return true;
  guess->seen = true;
  if (!guess->container_or_string) {
    guess->number = guess->number && os_csv_is_plain_number(text, len);
    guess->boolean = guess->boolean && os_csv_is_boolean(text, len);
    return true;
  }
  if (!guess->container) return true;
  guess->container = os_csv_scan_json(scan, text, len, true);
  return guess->container || scan->fault != OS_JSON_NOMEM;
}

enum os_csv_type os_csv_guess_end(const struct os_csv_guess *guess) {
  if (guess->decided) return guess->type;
  if (guess->container_or_string) return guess->container ? OS_CSV_CONTAINER : OS_CSV_STRING;
  if (!guess->seen) return OS_CSV_STRING;
  return guess->number ? OS_CSV_NUMBER : guess->boolean ? OS_CSV_BOOLEAN : OS_CSV_STRING;
}
