/* json_head.c - what can be told of a JSON file from its first bytes: layout, whether the first record
** carries an id, its members' names. Pure; calls json_layout and json_scan. Lenient: what is broken, the
** parser will say in its place.
*/
#include "format/json_impl.h"
#include <errno.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"

struct head {
  struct os_json_scan *scan;
  const char *end;
};

static const char *skip_blanks(const struct head *head, const char *p) {
  while (p < head->end && os_json_blank(*p))
    p++;
  return p;
}

/* Behind the value at p and the blanks that follow; NULL: it is broken or cut off. */
static const char *skip_value(const struct head *head, const char *p) {
  if (p >= head->end || !os_json_scan(head->scan, p, head->end)) return NULL;
  return skip_blanks(head, head->scan->end);
}

/* Behind a member's name, at its value; *name and *len are what stands between the quotes. */
static const char *skip_name(const struct head *head, const char *p, const char **name, size_t *len) {
  if (p >= head->end || *p != '"') return NULL;
  const char *value = skip_value(head, p);
  if (!value || value >= head->end || *value != ':') return NULL;
  *name = p + 1;
  *len = (size_t)(head->scan->end - p) - 2;
  value = skip_blanks(head, value + 1);
  return value < head->end ? value : NULL;
}

/* The first record that is an object; NULL when the head does not show one. */
static const char *first_record(const struct head *head, const char *p, enum os_json_layout layout) {
  bool container = layout == OS_JSON_RECORDS || layout == OS_JSON_MEMBERS;
  const char *name;
  size_t len;
  if (container) p = skip_blanks(head, p + 1);
  while (p && p < head->end) {
    if (layout == OS_JSON_MEMBERS && !(p = skip_name(head, p, &name, &len))) return NULL;
    if (*p == '{') return p;
    p = skip_value(head, p);
    if (container && p && p < head->end && *p == ',') p = skip_blanks(head, p + 1);
  }
  return NULL;
}

static json_t *decoded(const char *name, size_t len) {
  json_t *text =
      os_json_load(name - 1, len + 2, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL); /* with its quotes */
  if (text || errno == ENOMEM) return text;
  return json_stringn_nocheck(name, len); /* a lone surrogate: as it is written */
}

/* Add the members of the record at p to facts->columns. */
static int list_members(const struct head *head, const char *p, const char *id_field,
                        struct os_head_facts *facts, struct os_error *error) {
  const char *name;
  size_t len;
  p = skip_blanks(head, p + 1);
  while ((p = skip_name(head, p, &name, &len))) {
    json_t *text = decoded(name, len);
    if (!text) return os_fail_nomem(error);
    bool null = *p == 'n';
    if (id_field && !null && !strcmp(json_string_value(text), id_field)) facts->carries_id = true;
    if (json_array_append_new(facts->columns, text)) return os_fail_nomem(error);
    p = skip_value(head, p);
    if (!p || p >= head->end || *p != ',') break;
    p = skip_blanks(head, p + 1);
  }
  return OS_OK;
}

static enum os_json_root root_of(enum os_json_layout layout) {
  return layout == OS_JSON_RECORDS   ? OS_ROOT_RECORDS
         : layout == OS_JSON_MEMBERS ? OS_ROOT_MEMBERS
                                     : OS_ROOT_DOCUMENT;
}

/* No record, for certain? Only a head that is the whole file can tell of an array that is empty. */
static bool is_empty(const struct head *head, const char *p, enum os_json_layout layout) {
  if (p >= head->end) return true;
  if (layout != OS_JSON_RECORDS && layout != OS_JSON_MEMBERS) return false;
  p = skip_blanks(head, p + 1);
  return p < head->end && (*p == ']' || *p == '}');
}

/* A layout that the head leaves open is decided as if the file ended there, so nobody has to say whether it does. */
int os_json_head_examine(enum os_format format, const struct os_parse_options *options, const char *head,
                         size_t len, struct os_head_facts *facts, struct os_error *error) {
  enum os_json_layout layout = OS_JSON_UNDECIDED;
  bool keyed = options->id_field && !strcmp(options->id_field, "@key");
  int mark, code;
  if (!len) head = "";
  memset(facts, 0, sizeof *facts);
  struct head view = {.scan = os_malloc(sizeof *view.scan), .end = head + len};
  if (!view.scan) return os_fail_nomem(error);
  os_json_scan_init(view.scan);
  facts->format = format;
  facts->columns = json_array();
  if (!facts->columns) {
    code = os_fail_nomem(error);
    goto done;
  }
  if ((code = os_json_mark(head, len, true, &mark, error))) goto done;
  const char *p = skip_blanks(&view, head + mark);
  if (p < view.end && *p == '\0') {
    code = os_fail(error, OS_ERR_FORMAT, "byte %zu is NUL: this is not a JSON text", (size_t)(p - head));
    goto done;
  }
  code = os_json_layout(view.scan, format, options, p, view.end, true, &layout, error);
  if (code) goto done;
  facts->root = root_of(layout);
  facts->empty = is_empty(&view, p, layout);
  const char *record = first_record(&view, p, layout);
  if (record) code = list_members(&view, record, keyed ? NULL : options->id_field, facts, error);
  if (keyed && record && layout == OS_JSON_MEMBERS) facts->carries_id = true;
  if (!code && view.scan->fault == OS_JSON_NOMEM) code = os_fail_nomem(error); /* not "cut off here" */
done:
  os_json_scan_free(view.scan);
  os_free(view.scan);
  if (code) os_head_facts_free(facts);
  return code;
}
