/* dry_run.c - see dry_run.h. */
#include "operations/load/dry_run.h"
#include <string.h>
#include "base/json.h"

enum { SHOWN = 20 /* rows for single columns; the rest is a number */ };

/* The mapping of a dotted name, through properties and fields; NULL: not mapped. *open_parent: an object
** above it takes what it does not know (flat_object, enabled:false). */
static const json_t *find_mapping(const json_t *mapping, const char *name, bool *open_parent) {
  const json_t *at = mapping;
  const char *part = name;
  *open_parent = false;
  while (at) {
    const char *type = os_json_string(at, "type", "");
    if (at != mapping && (!strcmp(type, "flat_object") || !os_json_bool(at, "enabled", true))) {
      *open_parent = true;
      return NULL;
    }
    const json_t *properties = json_object_get(at, "properties");
    const json_t *whole = json_object_get(properties, part); /* a name that holds dots itself */
    if (whole) return whole;
    const char *dot = strchr(part, '.');
    if (!dot) return NULL;
    char head[512];
    size_t len = (size_t)(dot - part);
    if (len >= sizeof head) return NULL;
    memcpy(head, part, len);
    head[len] = 0;
    at = json_object_get(properties, head);
    part = dot + 1;
  }
  return NULL;
}

static bool is_one_of(const char *word, const char *const *words) {
  for (; *words; words++)
    if (!strcmp(word, *words)) return true;
  return false;
}

/* NULL, or why values of this type (string, number, boolean, json, date) cannot go into the mapped field. */
static const char *misfit(const json_t *field, const char *type) {
  static const char *const numbers[] = {"long",  "integer",    "short",         "byte",         "double",
                                        "float", "half_float", "unsigned_long", "scaled_float", NULL};
  static const char *const objects[] = {"nested", "object", "flat_object", NULL};
  const char *mapped = os_json_string(field, "type", "object");
  if (is_one_of(mapped, numbers) && !strcmp(type, "boolean"))
    return "holds true and false where the mapping wants numbers";
  if (!strcmp(mapped, "boolean") && !strcmp(type, "number"))
    return "holds numbers where the mapping wants true and false";
  if (is_one_of(mapped, objects) && strcmp(type, "json"))
    return "holds plain values where the mapping wants objects";
  return NULL;
}

static bool is_metadata(const struct os_load *load, const char *column) {
  const struct os_parse_options *parse = &load->shared->parse;
  if (parse->id_field && !strcmp(column, parse->id_field)) return true;
  if (parse->routing_field && !strcmp(column, parse->routing_field) && !strcmp(column, "_routing"))
    return true;
  return parse->version_field && !strcmp(column, parse->version_field) && !strcmp(column, "_version");
}

/* *first: a name that the mapping does not know, borrowed from the files' columns. */
static int check_file(struct os_load *load, size_t i, size_t *unknown, const char **first, size_t *misfits,
                      struct os_error *error) {
  const struct os_load_file *file = &load->files[i];
  const char *path = os_load_source(load, i)->path;
  enum os_unknown_fields policy = load->request->unknown_fields;
  const char *dynamic = os_json_string(load->shared->mapping, "dynamic", "true");
  bool strict = !strncmp(dynamic, "strict", 6);
  json_t *column;
  size_t k;
  int rc = OS_OK;
  json_array_foreach(file->columns, k, column) {
    const char *name = json_string_value(column);
    bool open_parent;
    if (!name || is_metadata(load, name)) continue;
    const json_t *field = find_mapping(load->shared->mapping, name, &open_parent);
    if (!field && !open_parent && (strict || policy != OS_FIELDS_ALLOW)) {
      if (!*first) *first = name;
      if ((*unknown)++ < SHOWN)
        rc = os_job_audit(load->job, "fields", "unknown_field",
                          strict || policy == OS_FIELDS_REFUSE ? "fail" : "unknown", false, error,
                          "%s: the mapping of %s does not know '%s'", path, load->request->index, name);
    }
    const char *type = json_string_value(json_object_get(file->types, name));
    const char *why = field && type ? misfit(field, type) : NULL;
    if (!rc && why && (*misfits)++ < SHOWN)
      rc = os_job_audit(load->job, "fields", "type", "unknown", false, error, "%s: column '%s' %s (%s)", path,
                        name, why, os_json_string(field, "type", "object"));
    if (rc) return rc;
  }
  return OS_OK;
}

int os_load_check_fields(struct os_load *load, struct os_error *error) {
  size_t unknown = 0, misfits = 0;
  const char *first = NULL;
  int rc = OS_OK;
  if (!json_is_object(json_object_get(load->shared->mapping, "properties"))) return OS_OK;
  for (size_t i = 0; i < load->shared->list.count && !rc; i++)
    if (load->files[i].action != OS_FILE_SKIP) rc = check_file(load, i, &unknown, &first, &misfits, error);
  if (rc) return rc;
  if (unknown && load->request->unknown_fields == OS_FIELDS_REFUSE) {
    os_fail(error, OS_ERR_GUARD,
            "the mapping of %s does not know %zu columns of the files; the first is '%s'",
            load->request->index, unknown, first);
    os_advise(error, "SELECT detail FROM os_audit WHERE job=%lld AND check_name='unknown_field' lists them",
              (long long)load->job->number);
    return os_job_guard_failed(load->job, "fields", "unknown_fields", error);
  }
  if (unknown || misfits) return OS_OK;
  return os_job_audit(load->job, "fields", "fields", "pass", false, error, "columns fit the mapping of %s",
                      load->request->index);
}
