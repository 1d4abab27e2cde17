/* index_definition.c - see index_definition.h. */
#include "operations/index_definition.h"
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/text.h"

/* Settings that describe one physical index and are refused in a new one (measured; see the migration tools'
 * lists). */
static const char *const physical[] = {"uuid",   "creation_date", "provided_name", "version",
                                       "resize", "blocks",        "history",       "verified_before_close"};

json_t *os_index_definition(const json_t *got) {
  json_t *settings = json_deep_copy(os_json_at(got, "settings/index"));
  json_t *mappings = json_deep_copy(json_object_get(got, "mappings"));
  for (size_t i = 0; settings && i < sizeof physical / sizeof physical[0]; i++)
    json_object_del(settings, physical[i]);
  json_t *routing = json_object_get(json_object_get(settings, "routing"), "allocation");
  if (routing) json_object_del(routing, "initial_recovery"); /* left by clones and shrinks */
  if (!settings || !mappings) {
    json_decref(settings);
    json_decref(mappings);
    return NULL;
  }
  return json_pack("{s:{s:o}, s:o}", "settings", "index", settings, "mappings", mappings);
}

/* ---- for another cluster ---- */

void os_index_definition_elsewhere(json_t *definition, bool serverless) {
  static const char *const local[] = {"default_pipeline", "final_pipeline", "search", "lifecycle", "plugins"};
  static const char *const taken[] = {"analysis", "similarity", "knn", "mapping", NULL};
  json_t *settings = json_object_get(json_object_get(definition, "settings"), "index"), *value;
  const char *key;
  void *next;
  for (size_t i = 0; i < sizeof local / sizeof *local; i++)
    json_object_del(settings, local[i]);
  json_object_del(json_object_get(settings, "routing"), "allocation");
  if (!serverless) return;
  json_object_foreach_safe(settings, next, key, value) {
    size_t i = 0;
    while (taken[i] && strcmp(taken[i], key) != 0)
      i++;
    if (!taken[i]) json_object_del(settings, key);
  }
}

/* ---- the user's changes ---- */

/* Take "a.b.c" out of nested objects, whether it is written nested, dotted, or half of each. */
static void take_out(json_t *settings, const char *path) {
  json_object_del(settings, path);
  for (const char *dot = strchr(path, '.'); dot; dot = strchr(dot + 1, '.')) {
    char *head = os_strndup(path, (size_t)(dot - path));
    json_t *inner = head ? json_object_get(settings, head) : NULL;
    os_free(head);
    if (json_is_object(inner)) take_out(inner, dot + 1);
  }
}

/* Put every leaf of `wanted` into `settings` under its dotted path. */
static int put_leaves(json_t *settings, const char *before, const json_t *wanted, struct os_error *error) {
  const char *key = NULL;
  json_t *value = NULL;
  json_object_foreach((json_t *)(uintptr_t)wanted, key, value) {
    char *path = os_mprintf("%s%s%s", before, *before ? "." : "", key);
    if (!path) return os_fail_nomem(error);
    const char *name = os_has_prefix(path, "index.") ? path + strlen("index.") : path;
    int rc = OS_OK;
    if (json_is_object(value)) {
      rc = put_leaves(settings, path, value, error);
    } else {
      take_out(settings, name);
      if (!json_is_null(value) && !os_json_put(settings, name, json_incref(value))) rc = os_fail_nomem(error);
    }
    os_free(path);
    if (rc) return rc;
  }
  return OS_OK;
}

int os_index_definition_override(json_t *definition, const json_t *wanted, struct os_error *error) {
  const char *key = NULL;
  json_t *value = NULL;
  json_object_foreach((json_t *)(uintptr_t)wanted, key, value) {
    bool settings = !strcmp(key, "settings");
    if ((!settings && strcmp(key, "mappings") != 0) || !json_is_object(value)) {
      os_fail(error, OS_ERR_ARGUMENT, "'%.80s' cannot be given for the index to be made", key);
      return os_advise(error, "give objects 'settings' and 'mappings'; what is not given is the source's");
    }
    int rc = OS_OK;
    if (settings)
      rc = put_leaves(json_object_get(json_object_get(definition, "settings"), "index"), "", value, error);
    else if (json_object_set(definition, "mappings", value))
      rc = os_fail_nomem(error);
    if (rc) return rc;
  }
  return OS_OK;
}
