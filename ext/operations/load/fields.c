/* fields.c - see fields.h. */
#include "operations/load/fields.h"
#include <string.h>
#include "base/json.h"
#include "base/text.h"

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

static bool is_mapped(const struct os_load *load) {
  return json_is_object(json_object_get(load->shared->mapping, "properties"));
}

static bool is_strict(const json_t *mapping) {
  return os_has_prefix(os_json_string(mapping, "dynamic", "true"), "strict");
}

static const char *verdict_on_unknown(const struct os_load *load) {
  return load->request->unknown_fields == OS_FIELDS_REFUSE || is_strict(load->shared->mapping) ? "fail"
                                                                                               : "unknown";
}

static bool is_metadata(const struct os_load *load, const char *column) {
  const struct os_parse_options *parse = &load->shared->parse;
  if (parse->id_field && !strcmp(column, parse->id_field)) return true;
  if (parse->routing_field && !strcmp(column, parse->routing_field) && !strcmp(column, "_routing"))
    return true;
  return parse->version_field && !strcmp(column, parse->version_field) && !strcmp(column, "_version");
}

struct judgement {
  enum os_load_fit fit;
  const char *why, *mapped; /* OS_FIT_NOT: what is wrong, and the type of the field */
};

static struct judgement judge(const struct os_load *load, const char *name, const json_t *types) {
  bool open_parent;
  const json_t *mapping = load->shared->mapping, *field = find_mapping(mapping, name, &open_parent);
  const char *type = json_string_value(json_object_get(types, name)), *why;
  if (is_metadata(load, name) || open_parent) return (struct judgement){.fit = OS_FIT};
  if (!field)
    return (struct judgement){.fit = load->request->unknown_fields != OS_FIELDS_ALLOW || is_strict(mapping)
                                         ? OS_FIT_UNKNOWN
                                         : OS_FIT};
  why = type ? misfit(field, type) : NULL;
  return (struct judgement){why ? OS_FIT_NOT : OS_FIT, why, os_json_string(field, "type", "object")};
}

enum os_load_fit os_load_fit(const struct os_load *load, const json_t *columns, const json_t *types) {
  enum os_load_fit worst = OS_FIT;
  const json_t *column;
  size_t k;
  if (!is_mapped(load)) return OS_FIT;
  json_array_foreach(columns, k, column) {
    enum os_load_fit fit = judge(load, json_string_value(column), types).fit;
    if (fit > worst) worst = fit;
  }
  return worst;
}

struct tally {
  size_t count[OS_FIT_UNKNOWN + 1],
      told[OS_FIT_UNKNOWN + 1]; /* columns of files, by what is wrong with them */
  size_t files, unseen;         /* to be read; not looked at yet */
  const char *first; /* column that the mapping does not know, borrowed from its file; NULL: none is kept */
};

static int tell(const struct os_load *load, size_t i, const char *name, struct judgement judged,
                struct os_error *error) {
  const char *path = os_load_source(load, i)->path;
  if (judged.fit == OS_FIT_NOT)
    return os_job_audit(load->job, "fields", "type", "unknown", false, error, "%s: column '%s' %s (%s)", path,
                        name, judged.why, judged.mapped);
  return os_job_audit(load->job, "fields", "unknown_field", verdict_on_unknown(load), false, error,
                      "%s: the mapping of %s does not know '%s'", path, load->request->index, name);
}

static int check_column(const struct os_load *load, size_t i, const char *name, struct tally *tally,
                        struct os_error *error) {
  struct judgement judged = judge(load, name, load->files[i].types);
  if (judged.fit == OS_FIT) return OS_OK;
  if (judged.fit == OS_FIT_UNKNOWN && !tally->first) tally->first = name;
  tally->count[judged.fit]++;
  if (tally->told[judged.fit] >= SHOWN) return OS_OK;
  tally->told[judged.fit]++;
  return tell(load, i, name, judged, error);
}

static int check_file(const struct os_load *load, size_t i, struct tally *tally, struct os_error *error) {
  const struct os_load_file *file = &load->files[i];
  const json_t *column;
  size_t k;
  int rc = OS_OK;
  tally->files++;
  tally->unseen += os_load_source(load, i)->unseen;
  if (file->fit == OS_FIT) return OS_OK;
  if (!file->columns) tally->count[file->fit]++; /* one at least */
  json_array_foreach(file->columns, k, column) {
    if (!rc) rc = check_column(load, i, json_string_value(column), tally, error);
  }
  return rc;
}

/* Those that have no row of their own. */
static int tell_rest(const struct os_load *load, const struct tally *tally, struct os_error *error) {
  size_t unknown = tally->count[OS_FIT_UNKNOWN] - tally->told[OS_FIT_UNKNOWN];
  size_t misfits = tally->count[OS_FIT_NOT] - tally->told[OS_FIT_NOT];
  int rc = OS_OK;
  if (unknown)
    rc = os_job_audit(load->job, "fields", "unknown_fields", verdict_on_unknown(load), false, error,
                      "%zu more columns of files that the mapping of %s does not know", unknown,
                      load->request->index);
  if (!rc && misfits)
    rc = os_job_audit(load->job, "fields", "types", "unknown", false, error,
                      "%zu more columns of files whose values do not fit the mapping of %s", misfits,
                      load->request->index);
  return rc;
}

static int tell_end(const struct os_load *load, const struct tally *tally, struct os_error *error) {
  const char *index = load->request->index;
  if (tally->unseen || load->lister)
    return os_job_audit(
        load->job, "fields", "fields", "unknown", false, error,
        "columns of the first %zu files were held against the mapping of %s; those behind them are "
        "not looked at before they are loaded",
        tally->files - tally->unseen, index);
  if (tally->count[OS_FIT_UNKNOWN] || tally->count[OS_FIT_NOT]) return OS_OK;
  return os_job_audit(load->job, "fields", "fields", "pass", false, error, "columns fit the mapping of %s",
                      index);
}

static int refuse(struct os_load *load, const struct tally *tally, struct os_error *error) {
  size_t unknown = tally->count[OS_FIT_UNKNOWN];
  os_fail(error, OS_ERR_GUARD, "the mapping of %s does not know %zu column%s of the files; the first is '%s'",
          load->request->index, unknown, unknown == 1 ? "" : "s", tally->first ? tally->first : "not kept");
  os_advise(error, "SELECT detail FROM os_audit WHERE job=%lld AND check_name='unknown_field' lists them",
            (long long)load->job->number);
  return os_job_guard_failed(load->job, "fields", "unknown_fields", error);
}

int os_load_check_fields(struct os_load *load, struct os_error *error) {
  struct tally tally = {0};
  int rc = OS_OK;
  if (!is_mapped(load)) return OS_OK;
  for (size_t i = 0; i < load->shared->list.count && !rc; i++)
    if (load->files[i].action != OS_FILE_SKIP) rc = check_file(load, i, &tally, error);
  if (!rc) rc = tell_rest(load, &tally, error);
  if (rc) return rc;
  if (tally.count[OS_FIT_UNKNOWN] && load->request->unknown_fields == OS_FIELDS_REFUSE)
    return refuse(load, &tally, error);
  return tell_end(load, &tally, error);
}
