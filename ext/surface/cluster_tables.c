/* cluster_tables.c - os_index, os_aliases, os_mapping, os_shards, os_nodes, os_tasks, os_health: what a
** cluster has and how it is, as rows. Every read asks anew; names in WHERE go into the request.
**
** Reads only, so these may be used in views. May call: operations/session, operations/health, cluster/,
** base/. Owns nothing. */
#include "surface/functions.h"

#include "base/json.h"
#include "cluster/listing.h"
#include "operations/health/health.h"

/* ---- what they share ---------------------------------------------------------------------------- */

static const char *const connection_parameter[] = {"connection", NULL};

typedef int list_function(struct os_rows_call *call, struct os_cluster *cluster);

static int with_cluster(struct os_rows_call *call, int connection_at, list_function *list) {
  const char *connection;
  struct os_cluster cluster;
  int rc = os_rows_text(call, connection_at, "connection", &connection);
  if (rc == OS_OK) rc = os_session_cluster(call->session, connection, &cluster, call->error);
  if (rc != OS_OK) return rc;
  rc = list(call, &cluster);
  os_session_cluster_release(&cluster);
  return rc;
}

/* ---- os_index ----------------------------------------------------------------------------------- */

static const char *const index_columns[] = {"index", "health",       "status",   "documents", "deleted",
                                            "size",  "primaries",    "replicas", "aliases",   "created",
                                            "uuid",  "primary_size", NULL};
static const char *const index_types[] = {"TEXT",    "TEXT",    "TEXT", "INTEGER", "INTEGER", "INTEGER",
                                          "INTEGER", "INTEGER", "TEXT", "TEXT",    "TEXT",    "INTEGER"};
static const struct os_rows_filter index_filters[] = {{"index", OS_FILTER_LOWER}, {NULL, 0}};

/* {index: [alias, …]} of rows of os_cluster_list_aliases(). */
static int gather_aliases(const json_t *rows, json_t *out, struct os_error *error) {
  for (size_t i = 0; i < json_array_size(rows); i++) {
    const json_t *row = json_array_get(rows, i);
    const char *index = os_json_string(row, "index", "");
    json_t *names = json_object_get(out, index);
    if (names == NULL && !os_json_put(out, index, names = json_array())) return os_fail_nomem(error);
    if (json_array_append(names, json_object_get(row, "alias")) != 0) return os_fail_nomem(error);
  }
  return OS_OK;
}

static int add_aliases(struct os_rows_call *call, struct os_cluster *cluster) {
  json_t *rows = json_array(), *by_index = json_object();
  int rc = rows != NULL && by_index != NULL ? OS_OK : os_fail_nomem(call->error);
  if (rc == OS_OK) rc = os_cluster_list_aliases(cluster, call->pattern[0], false, rows, call->error);
  if (rc == OS_OK) rc = gather_aliases(rows, by_index, call->error);
  for (size_t i = 0; rc == OS_OK && i < json_array_size(call->rows); i++) {
    json_t *row = json_array_get(call->rows, i);
    json_t *names = json_incref(json_object_get(by_index, os_json_string(row, "index", "")));
    if (!os_json_put(row, "aliases", names != NULL ? names : json_array())) rc = os_fail_nomem(call->error);
  }
  json_decref(rows);
  json_decref(by_index);
  return rc;
}

static int list_indices(struct os_rows_call *call, struct os_cluster *cluster) {
  int rc = os_cluster_list_indices(cluster, call->pattern[0], call->rows, call->error);
  if (rc == OS_OK && json_array_size(call->rows) > 0 && os_rows_uses(call, "aliases"))
    rc = add_aliases(call, cluster);
  return rc;
}

static int fill_index(struct os_rows_call *call) {
  return with_cluster(call, 0, list_indices);
}

const struct os_rows_table os_table_index = {.name = "os_index",
                                             .columns = index_columns,
                                             .types = index_types,
                                             .parameters = connection_parameter,
                                             .filters = index_filters,
                                             .synonym = "index_name",
                                             .synonym_of = "index",
                                             .is_command = true,
                                             .fill = fill_index};

/* ---- os_aliases --------------------------------------------------------------------------------- */

static const char *const alias_columns[] = {"alias",          "index",          "filter",
                                            "routing",        "is_write_index", "index_routing",
                                            "search_routing", "is_hidden",      NULL};
static const char *const alias_types[] = {"TEXT",    "TEXT", "TEXT", "TEXT",
                                          "INTEGER", "TEXT", "TEXT", "INTEGER"};
static const struct os_rows_filter alias_filters[] = {
    {"alias", OS_FILTER_EXACT}, {"index", OS_FILTER_LOWER}, {NULL, 0}};

static int list_aliases(struct os_rows_call *call, struct os_cluster *cluster) {
  const bool by_alias = call->pattern[0] != NULL;
  return os_cluster_list_aliases(cluster, call->pattern[by_alias ? 0 : 1], by_alias, call->rows, call->error);
}

static int fill_aliases(struct os_rows_call *call) {
  return with_cluster(call, 0, list_aliases);
}

const struct os_rows_table os_table_aliases = {.name = "os_aliases",
                                               .columns = alias_columns,
                                               .types = alias_types,
                                               .parameters = connection_parameter,
                                               .filters = alias_filters,
                                               .synonym = "index_name",
                                               .synonym_of = "index",
                                               .is_command = true,
                                               .fill = fill_aliases};

/* ---- os_mapping --------------------------------------------------------------------------------- */

static const char *const mapping_columns[] = {"path", "type", "parameters", "multi_field", NULL};
static const char *const mapping_types[] = {"TEXT", "TEXT", "TEXT", "INTEGER"};
static const char *const mapping_parameters[] = {"index_name", "connection", NULL};

static int list_mapping(struct os_rows_call *call, struct os_cluster *cluster) {
  const char *index;
  json_t *mapping = NULL;
  int rc = os_rows_text(call, 0, "index_name", &index);
  if (rc == OS_OK) rc = os_cluster_mapping(cluster, index, &mapping, call->error);
  if (rc == OS_OK) rc = os_cluster_list_fields(mapping, call->rows, call->error);
  json_decref(mapping);
  return rc;
}

static int fill_mapping(struct os_rows_call *call) {
  return with_cluster(call, 1, list_mapping);
}

const struct os_rows_table os_table_mapping = {.name = "os_mapping",
                                               .columns = mapping_columns,
                                               .types = mapping_types,
                                               .parameters = mapping_parameters,
                                               .required = 1,
                                               .is_command = true,
                                               .fill = fill_mapping};

/* ---- os_shards ---------------------------------------------------------------------------------- */

static const char *const shard_columns[] = {"index",         "shard",
                                            "kind",          "state",
                                            "documents",     "size",
                                            "node",          "unassigned_reason",
                                            "unassigned_at", "unassigned_details",
                                            "address",       NULL};
static const char *const shard_types[] = {"TEXT", "INTEGER", "TEXT", "TEXT", "INTEGER", "INTEGER",
                                          "TEXT", "TEXT",    "TEXT", "TEXT", "TEXT"};

static int list_shards(struct os_rows_call *call, struct os_cluster *cluster) {
  return os_cluster_list_shards(cluster, call->pattern[0], call->rows, call->error);
}

static int fill_shards(struct os_rows_call *call) {
  return with_cluster(call, 0, list_shards);
}

const struct os_rows_table os_table_shards = {.name = "os_shards",
                                              .columns = shard_columns,
                                              .types = shard_types,
                                              .parameters = connection_parameter,
                                              .filters = index_filters,
                                              .synonym = "index_name",
                                              .synonym_of = "index",
                                              .is_command = true,
                                              .fill = fill_shards};

/* ---- os_nodes ----------------------------------------------------------------------------------- */

static const char *const node_columns[] = {
    "node",     "id",         "address",   "version", "roles", "is_manager",   "started_at",  "heap_used",
    "heap_max", "disk_total", "disk_free", "cpu",     "load",  "memory_total", "memory_free", NULL};
static const char *const node_types[] = {"TEXT",    "TEXT",    "TEXT",    "TEXT",    "TEXT",
                                         "INTEGER", "TEXT",    "INTEGER", "INTEGER", "INTEGER",
                                         "INTEGER", "INTEGER", "REAL",    "INTEGER", "INTEGER"};
static const struct os_rows_filter node_filters[] = {{"node", OS_FILTER_EXACT}, {NULL, 0}};

static int list_nodes(struct os_rows_call *call, struct os_cluster *cluster) {
  return os_cluster_list_nodes(cluster, call->pattern[0], call->rows, call->error);
}

static int fill_nodes(struct os_rows_call *call) {
  return with_cluster(call, 0, list_nodes);
}

const struct os_rows_table os_table_nodes = {.name = "os_nodes",
                                             .columns = node_columns,
                                             .types = node_types,
                                             .parameters = connection_parameter,
                                             .filters = node_filters,
                                             .is_command = true,
                                             .fill = fill_nodes};

/* ---- os_tasks ----------------------------------------------------------------------------------- */

static const char *const task_columns[] = {"task",       "action",  "description", "running", "cancellable",
                                           "total",      "created", "updated",     "deleted", "noops",
                                           "conflicts",  "batches", "cancelled",   "node",    "parent",
                                           "started_at", "status",  NULL};
static const char *const task_types[] = {"TEXT",    "TEXT",    "TEXT",    "REAL",    "INTEGER", "INTEGER",
                                         "INTEGER", "INTEGER", "INTEGER", "INTEGER", "INTEGER", "INTEGER",
                                         "INTEGER", "TEXT",    "TEXT",    "TEXT",    "TEXT"};

static int list_tasks(struct os_rows_call *call, struct os_cluster *cluster) {
  return os_cluster_list_tasks(cluster, call->rows, call->error);
}

static int fill_tasks(struct os_rows_call *call) {
  return with_cluster(call, 0, list_tasks);
}

const struct os_rows_table os_table_tasks = {.name = "os_tasks",
                                             .columns = task_columns,
                                             .types = task_types,
                                             .parameters = connection_parameter,
                                             .is_command = true,
                                             .fill = fill_tasks};

/* ---- os_health ---------------------------------------------------------------------------------- */

static const char *const health_columns[] = {
    "scope",        "name",       "health", "why",        "fix",           "active", "relocating",
    "initializing", "unassigned", "nodes",  "data_nodes", "pending_tasks", NULL};
static const char *const health_types[] = {"TEXT",    "TEXT",    "TEXT",    "TEXT",    "TEXT",    "INTEGER",
                                           "INTEGER", "INTEGER", "INTEGER", "INTEGER", "INTEGER", "INTEGER"};
static const struct os_rows_filter health_filters[] = {{"name", OS_FILTER_LOWER}, {NULL, 0}};

static int list_health(struct os_rows_call *call, struct os_cluster *cluster) {
  const bool reasons = os_rows_uses(call, "why") || os_rows_uses(call, "fix");
  return os_health_rows(cluster, call->pattern[0], reasons, call->rows, call->error);
}

static int fill_health(struct os_rows_call *call) {
  return with_cluster(call, 0, list_health);
}

const struct os_rows_table os_table_health = {.name = "os_health",
                                              .columns = health_columns,
                                              .types = health_types,
                                              .parameters = connection_parameter,
                                              .filters = health_filters,
                                              .is_command = true,
                                              .fill = fill_health};
