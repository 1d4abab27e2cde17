/* structure.c - what an index is besides its documents: settings, mappings, aliases; read before it is
** emptied and held against what stands there afterwards; see cleanup_int.h. */
#include "base/alloc.h"
#include "base/json.h"
#include "operations/cleanup/cleanup_int.h"
#include "operations/index_definition.h"

static const char check[] = "structure";

/* Groups of settings of which none is left say nothing: where a clone's are taken out, for one. */
static void drop_empty(json_t *settings) {
  const char *key = NULL;
  json_t *value = NULL;
  void *next = NULL;
  json_object_foreach_safe(settings, next, key, value) {
    drop_empty(json_is_object(value) ? value : NULL);
    if (json_is_object(value) && json_object_size(value) == 0) json_object_del(settings, key);
  }
}

static int read_structure(struct os_cluster *cluster, const char *index, json_t **out,
                          struct os_error *error) {
  json_t *got = NULL;
  *out = NULL;
  int rc = os_cluster_index_get(cluster, index, &got, error);
  if (rc) return rc;
  json_t *aliases = json_object_get(got, "aliases");
  *out = os_index_definition(got);
  if (!*out || json_object_set_new(*out, "aliases", aliases ? json_incref(aliases) : json_object()))
    rc = os_fail_nomem(error);
  else
    drop_empty(json_object_get(*out, "settings"));
  json_decref(got);
  return rc;
}

int os_cleanup_structure(struct os_job *job, struct os_cluster *cluster, const char *index, json_t **out,
                         struct os_error *error) {
  int rc = read_structure(cluster, index, out, error);
  if (rc == OS_ERR_FORBIDDEN) { /* needed only to make it anew, and that will say so itself */
    const struct os_error why = *error;
    os_error_clear(error);
    return os_job_audit(job, "cleanup", check, "unknown", false, error, "%s", why.text);
  }
  if (rc) return os_job_guard_failed(job, "cleanup", check, error);
  const json_t *fields = os_json_at(*out, "mappings/properties");
  return os_job_audit(job, "cleanup", check, "pass", false, error,
                      "read, to be compared afterwards: %zu settings, %zu fields, %zu aliases",
                      json_object_size(os_json_at(*out, "settings/index")), json_object_size(fields),
                      json_object_size(json_object_get(*out, "aliases")));
}

int os_cleanup_structure_same(struct os_job *job, struct os_cluster *cluster, const char *index,
                              const json_t *before, struct os_error *error) {
  static const char *const parts[] = {"settings", "mappings", "aliases"};
  const char *different = NULL;
  json_t *after = NULL;
  if (!before) return OS_OK; /* that it could not be read was said */
  int rc = read_structure(cluster, index, &after, error);
  for (size_t i = 0; !rc && i < sizeof parts / sizeof *parts && !different; i++)
    if (!json_equal(json_object_get(before, parts[i]), json_object_get(after, parts[i])))
      different = parts[i];
  if (different) {
    char *now = os_json_text(json_object_get(after, different));
    os_fail(error, OS_ERR_CONFLICT, "the %s of %s are not what they were: %.600s", different, index,
            now ? now : "");
    os_free(now);
    rc = os_advise(error, "does an index template add them, or did somebody change them meanwhile?");
  }
  json_decref(after);
  return rc ? rc
            : os_job_audit(job, "cleanup", check, "pass", false, error,
                           "settings, mappings and aliases of %s are what they were", index);
}
