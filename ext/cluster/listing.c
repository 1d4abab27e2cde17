/* listing.c - indices, aliases and shards as lists, and what every list needs; see listing.h. */
#include <string.h>
#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "cluster/listing_int.h"
#include "cluster/request.h"

static int ask(struct os_cluster *cluster, const char *before, const char *pattern, size_t len,
               const char *after, json_t **answer, struct os_error *error) {
  static const int missing[] = {404, 0};
  struct os_buf path;
  int status = 0;
  *answer = NULL;
  os_buf_init(&path, 0);
  os_buf_puts(&path, before);
  if (pattern) os_url_encode(&path, pattern, len);
  os_buf_puts(&path, after);
  if (path.failed) {
    os_buf_free(&path);
    return os_fail_nomem(error);
  }
  struct os_cluster_call call = {
      .method = "GET", .path = path.data, .idempotent = true, .allowed = pattern ? missing : NULL};
  int rc = os_cluster_request(cluster, &call, &status, answer, error);
  os_buf_free(&path);
  if (rc == OS_OK && status == 404) {
    json_decref(*answer);
    *answer = NULL;
  }
  return rc;
}

/* Takes `more`. */
static int merge(json_t **answer, json_t *more, struct os_error *error) {
  bool merged = true;
  if (!*answer) {
    *answer = more;
    return OS_OK;
  }
  if (json_is_array(*answer) && json_is_array(more))
    merged = !json_array_extend(*answer, more);
  else if (json_is_object(*answer) && json_is_object(more))
    merged = !json_object_update_recursive(*answer, more);
  json_decref(more);
  return merged ? OS_OK : os_fail_nomem(error);
}

/* One name that is not there makes the cluster refuse a whole list, and told to overlook it, OpenSearch
** 2.19 waits 30 s for its health: so each name of such a list is asked for by itself. */
static int ask_one_by_one(struct os_cluster *cluster, const char *before, const char *pattern,
                          const char *after, json_t **answer, struct os_error *error) {
  for (const char *name = pattern; *name;) {
    json_t *one = NULL;
    const size_t len = strcspn(name, ",");
    int rc = ask(cluster, before, name, len, after, &one, error);
    if (rc == OS_OK && one) rc = merge(answer, one, error);
    if (rc) return rc;
    name += len + (name[len] == ',');
  }
  return OS_OK;
}

int os_list_request(struct os_cluster *cluster, const char *before, const char *pattern, const char *after,
                    json_t **answer, struct os_error *error) {
  int rc = ask(cluster, before, pattern, pattern ? strlen(pattern) : 0, after, answer, error);
  if (rc || *answer || !pattern || !strchr(pattern, ',')) return rc;
  rc = ask_one_by_one(cluster, before, pattern, after, answer, error);
  if (rc) {
    json_decref(*answer);
    *answer = NULL;
  }
  return rc;
}

int os_list_add(json_t *rows, json_t *row, struct os_error *error) {
  return row && !json_array_append_new(rows, row) ? OS_OK : os_fail_nomem(error);
}

bool os_list_text(json_t *row, const char *name, const json_t *from, const char *path) {
  const char *text = os_json_string(from, path, NULL);
  return !text || os_json_put(row, name, json_string(text));
}

/* The _cat API writes numbers as text. */
bool os_list_int(json_t *row, const char *name, const json_t *from, const char *path) {
  const int64_t number = os_json_int(from, path, INT64_MIN);
  return number == INT64_MIN || os_json_put(row, name, json_integer(number));
}

bool os_list_real(json_t *row, const char *name, const json_t *from, const char *path) {
  const double number = os_json_real(from, path, -1);
  return number < 0 || os_json_put(row, name, json_real(number));
}

bool os_list_time(json_t *row, const char *name, const json_t *from, const char *path) {
  char text[OS_TIME_TEXT];
  const int64_t milliseconds = os_json_int(from, path, INT64_MIN);
  if (milliseconds < 0) return true;
  os_clock_iso((double)milliseconds / 1000, text);
  return os_json_put(row, name, json_string(text));
}

bool os_list_json(json_t *row, const char *name, const json_t *from, const char *path) {
  json_t *value = json_incref((json_t *)(uintptr_t)os_json_at(from, path));
  return !value || os_json_put(row, name, value);
}

bool os_list_flag(json_t *row, const char *name, const json_t *from, const char *path) {
  const json_t *value = os_json_at(from, path);
  return !value || json_is_null(value) ||
         os_json_put(row, name, json_integer(os_json_bool(from, path, false)));
}

/* What the _cat API lists, each entry as a row. */
static int list_cat(struct os_cluster *cluster, const char *path, const char *pattern, const char *columns,
                    json_t *(*row_of)(const json_t *entry), json_t *rows, struct os_error *error) {
  json_t *answer = NULL;
  int rc = os_list_request(cluster, path, pattern, columns, &answer, error);
  if (rc || !answer) return rc;
  if (!json_is_array(answer)) rc = os_odd_answer(path, answer, error);
  for (size_t i = 0; !rc && i < json_array_size(answer); i++)
    rc = os_list_add(rows, row_of(json_array_get(answer, i)), error);
  json_decref(answer);
  return rc;
}

/* ---- indices ------------------------------------------------------------------------------------ */

static json_t *index_row(const json_t *entry) {
  json_t *row = json_object();
  const bool made =
      row && os_list_text(row, "index", entry, "index") && os_list_text(row, "health", entry, "health") &&
      os_list_text(row, "status", entry, "status") && os_list_int(row, "documents", entry, "docs.count") &&
      os_list_int(row, "deleted", entry, "docs.deleted") && os_list_int(row, "size", entry, "store.size") &&
      os_list_int(row, "primaries", entry, "pri") && os_list_int(row, "replicas", entry, "rep") &&
      os_list_time(row, "created", entry, "creation.date") && os_list_text(row, "uuid", entry, "uuid") &&
      os_list_int(row, "primary_size", entry, "pri.store.size");
  if (made) return row;
  json_decref(row);
  return NULL;
}

int os_cluster_list_indices(struct os_cluster *cluster, const char *pattern, json_t *rows,
                            struct os_error *error) {
  static const char columns[] =
      "?format=json&bytes=b&s=index&expand_wildcards=all&h=index,health,status,"
      "docs.count,docs.deleted,store.size,pri,rep,creation.date,uuid,pri.store.size";
  return list_cat(cluster, "/_cat/indices/", pattern, columns, index_row, rows, error);
}

/* ---- aliases ------------------------------------------------------------------------------------ */

static json_t *alias_row(const char *index, const char *alias, const json_t *says) {
  json_t *row = json_pack("{s:s, s:s}", "alias", alias, "index", index);
  bool made = row && os_list_json(row, "filter", says, "filter") &&
              os_list_flag(row, "is_write_index", says, "is_write_index") &&
              os_list_text(row, "index_routing", says, "index_routing") &&
              os_list_text(row, "search_routing", says, "search_routing") &&
              os_list_flag(row, "is_hidden", says, "is_hidden");
  const char *routing = os_json_string(says, "index_routing", "");
  if (made && *routing && !strcmp(routing, os_json_string(says, "search_routing", "")))
    made = os_json_put(row, "routing", json_string(routing));
  if (made) return row;
  json_decref(row);
  return NULL;
}

int os_cluster_list_aliases(struct os_cluster *cluster, const char *pattern, bool by_alias, json_t *rows,
                            struct os_error *error) {
  const char *index = NULL, *alias = NULL;
  json_t *answer = NULL, *entry = NULL, *says = NULL;
  int rc = pattern && !by_alias
               ? os_list_request(cluster, "/", pattern, "/_alias?expand_wildcards=all", &answer, error)
               : os_list_request(cluster, pattern ? "/_alias/" : "/_alias", pattern, "?expand_wildcards=all",
                                 &answer, error);
  if (rc || !answer) return rc;
  if (!json_is_object(answer)) rc = os_odd_answer("GET /_alias", answer, error);
  json_object_foreach(answer, index, entry) {
    json_object_foreach(json_object_get(entry, "aliases"), alias, says) {
      if (!rc) rc = os_list_add(rows, alias_row(index, alias, says), error);
    }
  }
  json_decref(answer);
  return rc;
}

/* ---- shards ------------------------------------------------------------------------------------- */

static json_t *shard_row(const json_t *entry) {
  const char *kind = !strcmp(os_json_string(entry, "prirep", ""), "p") ? "primary" : "replica";
  json_t *row = json_pack("{s:s}", "kind", kind);
  const bool made = row && os_list_text(row, "index", entry, "index") &&
                    os_list_int(row, "shard", entry, "shard") && os_list_text(row, "state", entry, "state") &&
                    os_list_int(row, "documents", entry, "docs") &&
                    os_list_int(row, "size", entry, "store") && os_list_text(row, "node", entry, "node") &&
                    os_list_text(row, "unassigned_reason", entry, "unassigned.reason") &&
                    os_list_text(row, "unassigned_at", entry, "unassigned.at") &&
                    os_list_text(row, "unassigned_details", entry, "unassigned.details") &&
                    os_list_text(row, "address", entry, "ip");
  if (made) return row;
  json_decref(row);
  return NULL;
}

int os_cluster_list_shards(struct os_cluster *cluster, const char *pattern, json_t *rows,
                           struct os_error *error) {
  static const char columns[] =
      "?format=json&bytes=b&s=index,shard,prirep&h=index,shard,prirep,state,docs,store,"
      "node,ip,unassigned.reason,unassigned.at,unassigned.details";
  return list_cat(cluster, "/_cat/shards/", pattern, columns, shard_row, rows, error);
}
