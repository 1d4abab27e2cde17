/* inspect.c - see inspect.h. What a field takes follows the field type pages of the OpenSearch
** documentation; where a parameter makes it lenient (ignore_malformed, coerce) that counts. What only the
** server can tell (date formats of the user's own, geo shapes, analysers) is not judged.
*/
#include "operations/load/inspect.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"

enum { TERM_MAX = 32766 /* bytes of one indexed term (Lucene IndexWriter.MAX_TERM_LENGTH) */ };

struct place { /* of the document in hand */
  struct os_inspection *inspection;
  uint32_t source;
  uint64_t line;
  bool unfit;
};

static void note(struct place *place, const char *field, const char *problem, const json_t *value) {
  struct os_inspection *all = place->inspection;
  size_t i = 0;
  place->unfit = true;
  while (i < all->count && (all->findings[i].problem != problem || strcmp(all->findings[i].field, field)))
    i++;
  if (i == OS_FINDINGS) {
    all->untold++;
    return;
  }
  struct os_finding *finding = &all->findings[i];
  if (i == all->count) {
    char *text = value ? os_json_text(value) : NULL;
    all->count++;
    snprintf(finding->field, sizeof finding->field, "%s", field);
    snprintf(finding->value, sizeof finding->value, "%.79s", text ? text : "");
    finding->value[os_utf8_check(finding->value, strlen(finding->value))] = 0;
    finding->problem = problem;
    finding->source = place->source;
    finding->line = place->line;
    os_free(text);
  }
  finding->count++;
}

/* ---- single values: NULL, or what is wrong -------------------------------------------------- */

static const char *check_number(const json_t *field, const json_t *value) {
  double number;
  if (json_is_number(value)) return NULL;
  if (!json_is_string(value)) return "is no number";
  if (!os_json_bool(field, "coerce", true))
    return "is text where the mapping wants a number and does not coerce";
  return os_parse_double(json_string_value(value), &number) ? NULL : "is no number";
}

static const char *check_whole(const json_t *field, const json_t *value) {
  static const struct {
    const char *type;
    double min, max;
  } ranges[] = {{"byte", -128, 127},
                {"short", -32768, 32767},
                {"integer", -2147483648.0, 2147483647.0},
                {"long", -9223372036854775808.0, 9223372036854775808.0},
                {"unsigned_long", 0, 18446744073709551616.0}};
  const char *wrong = check_number(field, value);
  if (wrong) return wrong;
  double number = 0;
  if (json_is_string(value))
    os_parse_double(json_string_value(value), &number);
  else
    number = json_number_value(value);
  const char *type = os_json_string(field, "type", "");
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
    if (!strcmp(type, ranges[i].type) && (number < ranges[i].min || number > ranges[i].max))
      return "is out of range for its type";
  return NULL;
}

static const char *check_boolean(const json_t *field, const json_t *value) {
  (void)field;
  if (json_is_boolean(value)) return NULL;
  const char *text = json_string_value(value);
  bool known = text && (!strcmp(text, "true") || !strcmp(text, "false") || !text[0]);
  return known ? NULL : "is neither true nor false";
}

static const char *check_date(const json_t *field, const json_t *value) {
  double seconds;
  if (json_object_get(field, "format")) return NULL; /* the server knows its own format */
  if (json_is_number(value)) return NULL;
  if (!json_is_string(value)) return "is no date";
  double number;
  const char *text = json_string_value(value);
  bool good = os_clock_parse_iso(text, &seconds) || os_parse_double(text, &number);
  return good ? NULL : "is no ISO-8601 date";
}

static const char *check_ip(const json_t *field, const json_t *value) {
  unsigned char address[sizeof(struct in6_addr)];
  (void)field;
  const char *text = json_string_value(value);
  bool good = text && (inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1);
  return good ? NULL : "is no IP address";
}

static const char *check_keyword(const json_t *field, const json_t *value) {
  if (json_is_object(value)) return "is an object where the mapping wants a plain value";
  bool limited = json_object_get(field, "ignore_above") || !os_json_bool(field, "index", true);
  if (json_is_string(value) && json_string_length(value) > TERM_MAX && !limited)
    return "is longer than 32766 bytes, the longest term that can be indexed";
  return NULL;
}

static const char *check_text(const json_t *field, const json_t *value) {
  (void)field;
  return json_is_object(value) ? "is an object where the mapping wants text" : NULL;
}

static const struct {
  const char *type;
  const char *(*check)(const json_t *field, const json_t *value);
} checks[] = {{"byte", check_whole},          {"short", check_whole},
              {"integer", check_whole},       {"long", check_whole},
              {"unsigned_long", check_whole}, {"double", check_number},
              {"float", check_number},        {"half_float", check_number},
              {"scaled_float", check_number}, {"boolean", check_boolean},
              {"date", check_date},           {"ip", check_ip},
              {"keyword", check_keyword},     {"text", check_text}};

/* ---- walking a document --------------------------------------------------------------------- */

static void check_object(struct place *place, const json_t *mapping, const json_t *object, const char *path,
                         bool strict);

static void check_value(struct place *place, const json_t *field, const json_t *value, const char *path,
                        bool strict) {
  if (json_is_null(value)) return;
  if (json_is_array(value)) {
    size_t i;
    json_t *element;
    json_array_foreach((json_t *)value, i, element) check_value(place, field, element, path, strict);
    return;
  }
  const char *type = os_json_string(field, "type", json_object_get(field, "properties") ? "object" : "");
  if (!strcmp(type, "object") || !strcmp(type, "nested")) {
    if (!os_json_bool(field, "enabled", true)) return;
    if (json_is_object(value))
      check_object(place, field, value, path, strict);
    else
      note(place, path, "is a plain value where the mapping wants an object", value);
    return;
  }
  if (os_json_bool(field, "ignore_malformed", false)) return;
  for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
    if (strcmp(type, checks[i].type)) continue;
    const char *problem = checks[i].check(field, value);
    if (problem) note(place, path, problem, value);
    return;
  }
}

/* The mapping of a member whose name may hold dots ("a.b" is the member b of a). */
static const json_t *field_of(const json_t *mapping, const char *name) {
  const json_t *properties = json_object_get(mapping, "properties");
  const json_t *field = json_object_get(properties, name);
  const char *dot = strchr(name, '.');
  if (field || !dot) return field;
  char head[256];
  if ((size_t)(dot - name) >= sizeof head) return NULL;
  memcpy(head, name, (size_t)(dot - name));
  head[dot - name] = 0;
  const json_t *parent = json_object_get(properties, head);
  return parent ? field_of(parent, dot + 1) : NULL;
}

static void check_object(struct place *place, const json_t *mapping, const json_t *object, const char *path,
                         bool strict) {
  const char *name;
  json_t *value;
  const char *dynamic = os_json_string(mapping, "dynamic", NULL);
  if (dynamic) strict = !strcmp(dynamic, "strict");
  json_object_foreach((json_t *)object, name, value) {
    char below[256];
    snprintf(below, sizeof below, "%s%s%s", path, path[0] ? "." : "", name);
    const json_t *field = field_of(mapping, name);
    if (field)
      check_value(place, field, value, below, strict);
    else if (strict)
      note(place, below, "is not in the mapping, which is strict", value);
  }
}

int os_load_inspect(void *ctx, uint32_t source, const struct os_record *record) {
  struct os_inspection *inspection = ctx;
  struct place place = {.inspection = inspection, .source = source, .line = record->line};
  struct os_error error;
  inspection->documents++;
  if (!inspection->mapping) return OS_OK;
  os_error_clear(&error);
  json_t *document = os_json_parse(record->doc, record->doc_len, OS_JSON_BIG_INTEGERS, "document", &error);
  if (!document)
    return error.code == OS_ERR_NOMEM ? OS_ERR_NOMEM : OS_OK; /* duplicate members: the server takes them */
  check_object(&place, inspection->mapping, document, "", false);
  if (place.unfit) inspection->unfit++;
  json_decref(document);
  return OS_OK;
}

int os_load_inspect_report(struct os_load *load, const struct os_inspection *inspection,
                           struct os_error *error) {
  int rc = OS_OK;
  for (size_t i = 0; i < inspection->count && !rc; i++) {
    const struct os_finding *finding = &inspection->findings[i];
    rc = os_job_audit(load->job, "inspect", "type", "fail", false, error,
                      "'%s' %s in %llu %s; first in %s line %llu: %s", finding->field, finding->problem,
                      (unsigned long long)finding->count, finding->count == 1 ? "document" : "documents",
                      os_load_source(load, finding->source)->path, (unsigned long long)finding->line,
                      finding->value);
  }
  if (!rc && inspection->untold)
    rc = os_job_audit(load->job, "inspect", "type", "fail", false, error,
                      "%llu further findings in other fields", (unsigned long long)inspection->untold);
  if (!rc && !inspection->count && inspection->mapping)
    rc = os_job_audit(load->job, "inspect", "type", "pass", false, error,
                      "every value fits the mapping, as far as it tells");
  if (!rc && !inspection->mapping)
    rc = os_job_audit(load->job, "inspect", "type", "unknown", false, error,
                      "the mapping is not known: values were not checked");
  return rc;
}
