/* listing_nodes.c - nodes and tasks as lists; see listing.h. */
#include <string.h>
#include "base/json.h"
#include "cluster/listing_int.h"
#include "cluster/request.h"

/* ---- nodes -------------------------------------------------------------------------------------- */

static const json_t *entry_of(const json_t *list, const char *id) {
  for (size_t i = 0; i < json_array_size(list); i++)
    if (!strcmp(os_json_string(json_array_get(list, i), "id", ""), id)) return json_array_get(list, i);
  return NULL;
}

/* "*" marks the elected cluster manager; the column's name differs between the versions. */
static bool put_manager(json_t *row, const json_t *entry) {
  const char *mark = os_json_string(entry, "master", os_json_string(entry, "cluster_manager", NULL));
  return !mark || os_json_put(row, "is_manager", json_integer(!strcmp(mark, "*")));
}

static bool put_start(json_t *row, const json_t *stats) {
  const int64_t now = os_json_int(stats, "timestamp", -1);
  const int64_t uptime = os_json_int(stats, "jvm/uptime_in_millis", -1);
  if (now < 0 || uptime < 0) return true;
  json_t *start = json_pack("{s:I}", "at", (json_int_t)(now - uptime));
  const bool made = start && os_list_time(row, "started_at", start, "at");
  json_decref(start);
  return made;
}

static json_t *node_row(const char *id, const json_t *stats, const json_t *entry) {
  json_t *row = json_pack("{s:s}", "id", id);
  const bool made =
      row && os_list_text(row, "node", stats, "name") && os_list_text(row, "address", stats, "ip") &&
      os_list_text(row, "version", entry, "version") && os_list_json(row, "roles", stats, "roles") &&
      put_manager(row, entry) && put_start(row, stats) &&
      os_list_int(row, "heap_used", stats, "jvm/mem/heap_used_in_bytes") &&
      os_list_int(row, "heap_max", stats, "jvm/mem/heap_max_in_bytes") &&
      os_list_int(row, "disk_total", stats, "fs/total/total_in_bytes") &&
      os_list_int(row, "disk_free", stats, "fs/total/available_in_bytes") &&
      os_list_int(row, "cpu", stats, "os/cpu/percent") &&
      os_list_real(row, "load", stats, "os/cpu/load_average/1m") &&
      os_list_int(row, "memory_total", stats, "os/mem/total_in_bytes") &&
      os_list_int(row, "memory_free", stats, "os/mem/free_in_bytes");
  if (made) return row;
  json_decref(row);
  return NULL;
}

int os_cluster_list_nodes(struct os_cluster *cluster, const char *pattern, json_t *rows,
                          struct os_error *error) {
  const char *id = NULL;
  json_t *stats = NULL, *list = NULL, *node = NULL;
  int rc =
      os_list_request(cluster, pattern ? "/_nodes/" : "/_nodes", pattern,
                      "/stats/os,jvm,fs?filter_path=nodes.*.name,nodes.*.ip,nodes.*.roles,nodes.*.timestamp,"
                      "nodes.*.os,nodes.*.jvm.mem,nodes.*.jvm.uptime_in_millis,nodes.*.fs.total",
                      &stats, error);
  if (!rc)
    rc = os_list_request(cluster, "/_cat/nodes", NULL, "?format=json&full_id=true&h=id,version,master", &list,
                         error);
  json_object_foreach(json_object_get(stats, "nodes"), id, node) {
    if (!rc) rc = os_list_add(rows, node_row(id, node, entry_of(list, id)), error);
  }
  json_decref(stats);
  json_decref(list);
  return rc;
}

/* ---- tasks -------------------------------------------------------------------------------------- */

/* Member of the row, and of the task's status. */
static const struct {
  const char *column, *member;
} counters[] = {{"total", "total"},     {"created", "created"}, {"updated", "updated"},
                {"deleted", "deleted"}, {"noops", "noops"},     {"conflicts", "version_conflicts"},
                {"batches", "batches"}};
enum { COUNTERS = sizeof counters / sizeof *counters };

static json_t *task_row(const char *id, const char *node, const json_t *task) {
  const int64_t nanoseconds = os_json_int(task, "running_time_in_nanos", 0);
  json_t *row = json_pack("{s:s, s:s, s:f}", "task", id, "node", node, "running", (double)nanoseconds / 1e9);
  bool made = row && os_list_text(row, "action", task, "action") &&
              os_list_text(row, "description", task, "description") &&
              os_list_flag(row, "cancellable", task, "cancellable") &&
              os_list_flag(row, "cancelled", task, "cancelled") &&
              os_list_time(row, "started_at", task, "start_time_in_millis") &&
              os_list_text(row, "parent", task, "parent_task_id") &&
              os_list_json(row, "status", task, "status");
  for (int i = 0; made && i < COUNTERS; i++)
    made = os_list_int(row, counters[i].column, json_object_get(task, "status"), counters[i].member);
  if (made) return row;
  json_decref(row);
  return NULL;
}

/* The parent of a sliced task counts a slice only when that has ended (measured on OpenSearch 2.19): what
** those do that still run is added. */
static bool add_to_parent(json_t *parent, const json_t *child) {
  for (int i = 0; i < COUNTERS; i++) {
    const int64_t part = os_json_int(child, counters[i].column, -1);
    if (part < 0) continue;
    const int64_t sum = os_json_int(parent, counters[i].column, 0) + part;
    if (!os_json_put(parent, counters[i].column, json_integer(sum))) return false;
  }
  return true;
}

static json_t *find_task(json_t *rows, const char *id) {
  for (size_t i = 0; i < json_array_size(rows); i++)
    if (!strcmp(os_json_string(json_array_get(rows, i), "task", ""), id)) return json_array_get(rows, i);
  return NULL;
}

static int sum_slices(json_t *rows, struct os_error *error) {
  for (size_t i = 0; i < json_array_size(rows); i++) {
    const json_t *child = json_array_get(rows, i);
    const char *id = os_json_string(child, "parent", NULL);
    json_t *parent = id && json_object_get(child, "total") ? find_task(rows, id) : NULL;
    const json_t *status = json_object_get(parent, "status");
    const bool slices = parent &&
                        (json_object_get(status, "slices") || os_json_int(status, "total", 0) == 0) &&
                        !strcmp(os_json_string(parent, "action", ""), os_json_string(child, "action", "?"));
    if (slices && !add_to_parent(parent, child)) return os_fail_nomem(error);
  }
  return OS_OK;
}

int os_cluster_list_tasks(struct os_cluster *cluster, json_t *rows, struct os_error *error) {
  const char *node = NULL, *id = NULL;
  json_t *answer = NULL, *entry = NULL, *task = NULL;
  int rc = os_list_request(cluster, "/_tasks?detailed=true", NULL, "", &answer, error);
  if (rc) return rc;
  if (!json_is_object(json_object_get(answer, "nodes"))) rc = os_odd_answer("GET /_tasks", answer, error);
  json_object_foreach(json_object_get(answer, "nodes"), node, entry) {
    json_object_foreach(json_object_get(entry, "tasks"), id, task) {
      if (!rc) rc = os_list_add(rows, task_row(id, os_json_string(entry, "name", node), task), error);
    }
  }
  if (!rc) rc = sum_slices(rows, error);
  json_decref(answer);
  return rc;
}
