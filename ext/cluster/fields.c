/* fields.c - the fields of a mapping as a flat list; see listing.h. Pure. */
#include <string.h>
#include "base/buffer.h"
#include "base/json.h"
#include "cluster/listing_int.h"

static int list_members(const json_t *properties, const char *prefix, bool multi, json_t *rows,
                        struct os_error *error);

/* What is said about a field beside its type and the fields below it. */
static json_t *parameters_of(const json_t *field) {
  json_t *rest = json_copy((json_t *)(uintptr_t)field);
  json_object_del(rest, "type");
  json_object_del(rest, "properties");
  json_object_del(rest, "fields");
  return rest;
}

static int list_field(const json_t *field, const char *path, bool multi, json_t *rows,
                      struct os_error *error) {
  /* the server says "object" only of an empty one */
  const char *type = os_json_string(field, "type", "object");
  int rc = os_list_add(rows,
                       json_pack("{s:s, s:s, s:o, s:i}", "path", path, "type", type, "parameters",
                                 parameters_of(field), "multi_field", (int)multi),
                       error);
  if (!rc) rc = list_members(json_object_get(field, "fields"), path, true, rows, error);
  return rc ? rc : list_members(json_object_get(field, "properties"), path, false, rows, error);
}

/* Depth: the server's limit for mappings (index.mapping.depth.limit) is 20, the parser's 2048. */
static int list_members(const json_t *properties, const char *prefix, bool multi, json_t *rows,
                        struct os_error *error) {
  const char *name = NULL;
  json_t *field = NULL;
  int rc = OS_OK;
  json_object_foreach((json_t *)(uintptr_t)properties, name, field) {
    struct os_buf path;
    os_buf_init(&path, 0);
    os_buf_printf(&path, "%s%s%s", prefix, *prefix ? "." : "", name);
    rc = path.failed ? os_fail_nomem(error) : list_field(field, path.data, multi, rows, error);
    os_buf_free(&path);
    if (rc) break;
  }
  return rc;
}

int os_cluster_list_fields(const json_t *mapping, json_t *rows, struct os_error *error) {
  return list_members(json_object_get(mapping, "properties"), "", false, rows, error);
}
