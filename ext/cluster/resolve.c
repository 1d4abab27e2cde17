/* resolve.c - what a name stands for: an index, an alias, a data stream, or nothing. */
#include <string.h>
#include "base/json.h"
#include "cluster/reason.h"
#include "cluster/request.h"

void os_resolved_free(struct os_resolved *resolved) {
  json_decref(resolved->aliases);
  json_decref(resolved->indices);
  memset(resolved, 0, sizeof *resolved);
}

static int add_name(json_t *names, const char *name, struct os_error *error) {
  return json_array_append_new(names, json_string(name)) ? os_fail_nomem(error) : OS_OK;
}

/* GET /alias/_alias: {"index": {"aliases": {"alias": {…}, …}}, …}. Writes go to the index that says
** is_write_index; without such a word to the only one (OpenSearch docs, "Index aliases"). */
static int read_alias(const json_t *answer, const char *name, struct os_resolved *out,
                      struct os_error *error) {
  const char *index = NULL;
  json_t *entry = NULL;
  bool denied = false;
  out->kind = OS_NAME_ALIAS;
  out->indices = json_array();
  if (!out->indices) return os_fail_nomem(error);
  json_object_foreach((json_t *)(uintptr_t)answer, index, entry) {
    const json_t *alias = json_object_get(json_object_get(entry, "aliases"), name);
    if (!alias) continue;
    int rc = add_name(out->indices, index, error);
    if (rc) return rc;
    const json_t *writes = json_object_get(alias, "is_write_index");
    if (json_is_true(writes)) os_copy_text(out->write_index, sizeof out->write_index, index);
    if (json_is_false(writes)) denied = true;
  }
  if (!*out->write_index && json_array_size(out->indices) == 1 && !denied)
    os_copy_text(out->write_index, sizeof out->write_index,
                 json_string_value(json_array_get(out->indices, 0)));
  return OS_OK;
}

static const json_t *named(const json_t *list, const char *name) {
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *entry = json_array_get(list, i);
    if (!strcmp(os_json_string(entry, "name", ""), name)) return entry;
  }
  return NULL;
}

/* A string or an array of strings. */
static int take_names(const json_t *given, json_t **out, struct os_error *error) {
  *out = json_array();
  if (!*out) return os_fail_nomem(error);
  if (json_is_string(given)) return add_name(*out, json_string_value(given), error);
  for (size_t i = 0; i < json_array_size(given); i++) {
    const char *name = json_string_value(json_array_get(given, i));
    int rc = name ? add_name(*out, name, error) : OS_OK;
    if (rc) return rc;
  }
  return OS_OK;
}

static void take_write_index(struct os_resolved *out, size_t which) {
  const char *name = json_string_value(json_array_get(out->indices, which));
  os_copy_text(out->write_index, sizeof out->write_index, name);
}

/* GET /_resolve/index/name: {"indices": [{name, aliases}], "aliases": [{name, indices}], "data_streams":
** [{name, backing_indices}]}. It knows no filters and no write index of an alias, so it is only the
** second choice. */
static int read_resolved(const json_t *answer, const char *name, struct os_resolved *out,
                         struct os_error *error) {
  const json_t *index = named(json_object_get(answer, "indices"), name);
  const json_t *alias = named(json_object_get(answer, "aliases"), name);
  const json_t *stream = named(json_object_get(answer, "data_streams"), name);
  int rc = OS_OK;
  if (stream) {
    out->kind = OS_NAME_DATA_STREAM;
    rc = take_names(json_object_get(stream, "backing_indices"), &out->indices, error);
    size_t count = json_array_size(out->indices);
    if (count) take_write_index(out, count - 1); /* the newest */
  } else if (alias) {
    out->kind = OS_NAME_ALIAS;
    rc = take_names(json_object_get(alias, "indices"), &out->indices, error);
    if (json_array_size(out->indices) == 1) take_write_index(out, 0);
  } else if (index) {
    out->kind = OS_NAME_INDEX;
    out->aliases = json_object();
    if (!out->aliases) return os_fail_nomem(error);
    const json_t *aliases = json_object_get(index, "aliases");
    for (size_t i = 0; i < json_array_size(aliases) && !rc; i++)
      if (!os_json_put(out->aliases, json_string_value(json_array_get(aliases, i)), json_object()))
        rc = os_fail_nomem(error);
  }
  return rc;
}

/* *found false: the call is not there or not allowed (then error says why). */
static int ask_resolve(struct os_cluster *cluster, const char *name, struct os_resolved *out, bool *found,
                       struct os_error *error) {
  static const int allowed[] = {400, 404, 405, 0};
  struct os_buf path;
  json_t *answer = NULL;
  int status = 0;
  *found = false;
  int rc = os_name_path(&path, "/_resolve/index/", name, "", error);
  if (rc) return rc;
  struct os_cluster_call call = {.method = "GET", .path = path.data, .idempotent = true, .allowed = allowed};
  rc = os_cluster_request(cluster, &call, &status, &answer, error);
  os_buf_free(&path);
  if (rc == OS_OK && status == 200) {
    rc = read_resolved(answer, name, out, error);
    *found = rc == OS_OK && out->kind != OS_NAME_MISSING;
  }
  json_decref(answer);
  return rc;
}

/* Rights too narrow for GET _alias: does the name exist at all, and what does _resolve say? */
static int resolve_narrowly(struct os_cluster *cluster, const char *name, struct os_resolved *out,
                            struct os_error *error) {
  static const int allowed[] = {404, 0};
  struct os_name_call head = {.method = "HEAD", .name = name, .after = "", .allowed = allowed};
  struct os_error ignored;
  int status = 0;
  bool found = false;
  int rc = ask_resolve(cluster, name, out, &found, &ignored);
  if (rc == OS_OK && found) return OS_OK;
  if (rc == OS_ERR_INTERRUPTED || rc == OS_ERR_NOMEM) {
    if (error) *error = ignored;
    return rc;
  }
  rc = os_name_request(cluster, &head, &status, NULL, &ignored);
  if (rc == OS_OK) { /* what it is stays unknown: most names are indices, and aliases NULL says "not known" */
    out->kind = status == 404 ? OS_NAME_MISSING : OS_NAME_INDEX;
    return OS_OK;
  }
  if (rc == OS_ERR_FORBIDDEN) return error ? (int)error->code : rc; /* the first refusal names the right */
  if (error) *error = ignored;
  return rc;
}

static int read_uuid(struct os_cluster *cluster, const char *name, struct os_resolved *out,
                     struct os_error *error) {
  struct os_name_call call = {
      .method = "GET", .name = name, .after = "/_settings?filter_path=*.settings.index.uuid"};
  struct os_error why;
  json_t *answer = NULL;
  int rc = os_name_request(cluster, &call, NULL, &answer, &why);
  if (rc == OS_ERR_FORBIDDEN || rc == OS_ERR_NOT_FOUND || rc == OS_ERR_ARGUMENT)
    return OS_OK; /* stays empty */
  if (rc) {
    if (error) *error = why;
    return rc;
  }
  const json_t *index = json_object_get(answer, name);
  os_copy_text(out->uuid, sizeof out->uuid, os_json_string(index, "settings/index/uuid", ""));
  /* without its UUID what was loaded into it before would not be found */
  if (!json_is_object(answer)) rc = os_odd_answer("GET _settings", answer, error);
  json_decref(answer);
  return rc;
}

static int read_aliases(struct os_cluster *cluster, const char *name, struct os_resolved *out,
                        struct os_error *error) {
  static const int allowed[] = {404, 0};
  struct os_name_call call = {.method = "GET", .name = name, .after = "/_alias", .allowed = allowed};
  json_t *answer = NULL;
  int status = 0;
  bool found = false;
  int rc = os_name_request(cluster, &call, &status, &answer, error);
  if (rc == OS_ERR_FORBIDDEN) return resolve_narrowly(cluster, name, out, error);
  if (rc) return rc;
  const json_t *own = json_object_get(answer, name);
  if (status == 404) { /* OpenSearch 2 answers so for data streams too */
    rc = ask_resolve(cluster, name, out, &found, error);
    if (rc == OS_ERR_FORBIDDEN) rc = OS_OK;
  } else if (own) {
    out->kind = OS_NAME_INDEX;
    json_t *aliases = json_object_get(own, "aliases");
    out->aliases = json_is_object(aliases) ? json_incref(aliases) : json_object();
    if (!out->aliases) rc = os_fail_nomem(error);
  } else if (json_is_object(answer)) {
    rc = read_alias(answer, name, out, error);
    if (rc == OS_OK && !json_array_size(out->indices)) { /* backing indices of a data stream */
      os_resolved_free(out);
      rc = ask_resolve(cluster, name, out, &found, error);
    }
  } else {
    rc = os_odd_answer("GET _alias", answer, error);
  }
  json_decref(answer);
  return rc;
}

int os_cluster_resolve(struct os_cluster *cluster, const char *name, struct os_resolved *out,
                       struct os_error *error) {
  memset(out, 0, sizeof *out);
  int rc = read_aliases(cluster, name, out, error);
  const char *concrete = out->kind == OS_NAME_INDEX ? name : out->write_index;
  if (rc == OS_OK && out->kind != OS_NAME_MISSING && *concrete) rc = read_uuid(cluster, concrete, out, error);
  if (rc) os_resolved_free(out);
  return rc;
}
