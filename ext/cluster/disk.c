/* disk.c - see disk.h. */
#include "cluster/disk.h"
#include <string.h>
#include "base/json.h"
#include "base/text.h"
#include "cluster/reason.h"
#include "cluster/request.h"

bool os_disk_reserve(const char *watermark, int64_t total, int nodes, int64_t *reserve) {
  char text[32];
  double number = 0;
  uint64_t bytes = 0;
  os_copy_text(text, sizeof text, watermark);
  size_t len = strlen(text);
  if (len && text[len - 1] == '%') {
    text[len - 1] = '\0';
    if (!os_parse_double(text, &number) || number < 0 || number > 100) return false;
    *reserve = (int64_t)((double)total * (100 - number) / 100);
    return true;
  }
  if (os_parse_double(text, &number) && number >= 0 && number <= 1) {
    *reserve = (int64_t)((double)total * (1 - number));
    return true;
  }
  /* here "gb" counts by 1024 (OpenSearch docs, "Common REST parameters"), as a letter alone does for us */
  if (len > 1 && os_to_lower(text[len - 1]) == 'b') text[len - 1] = '\0';
  if (!os_parse_size(text, &bytes) || bytes > (uint64_t)INT64_MAX / 1024) return false;
  *reserve = (int64_t)bytes * nodes;
  return true;
}

static int read_nodes(struct os_cluster *cluster, struct os_disk *disk, struct os_error *error) {
  struct os_cluster_call call = {.method = "GET",
                                 .path = "/_cat/allocation?format=json&bytes=b&h=node,disk.avail,disk.total",
                                 .idempotent = true};
  json_t *answer = NULL;
  int rc = os_cluster_request(cluster, &call, NULL, &answer, error);
  for (size_t i = 0; i < json_array_size(answer); i++) {
    const json_t *node = json_array_get(answer, i);
    int64_t total = os_json_int(node, "disk.total", -1); /* a row for what is not assigned has none */
    if (total <= 0) continue;
    disk->nodes++;
    disk->total += total;
    disk->free += os_json_int(node, "disk.avail", 0);
  }
  if (!rc && !disk->nodes) rc = os_odd_answer("GET _cat/allocation", answer, error);
  json_decref(answer);
  return rc;
}

/* A setting is transient, persistent or a default, in this order. */
static const char *setting(const json_t *answer, const char *name, const char *fallback) {
  static const char *const places[] = {"transient", "persistent", "defaults"};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    const json_t *value = json_object_get(json_object_get(answer, places[i]), name);
    if (json_is_string(value)) return json_string_value(value);
  }
  return fallback;
}

static int read_watermarks(struct os_cluster *cluster, struct os_disk *disk, struct os_error *error) {
  struct os_cluster_call call = {.method = "GET",
                                 .path = "/_cluster/settings?include_defaults=true&flat_settings=true",
                                 .idempotent = true};
  json_t *answer = NULL;
  int rc = os_cluster_request(cluster, &call, NULL, &answer, error);
  if (!rc) {
    disk->watermarks =
        strcmp(setting(answer, "cluster.routing.allocation.disk.threshold_enabled", "true"), "false") != 0;
    os_copy_text(disk->low, sizeof disk->low,
                 setting(answer, "cluster.routing.allocation.disk.watermark.low", "85%"));
    os_copy_text(disk->high, sizeof disk->high,
                 setting(answer, "cluster.routing.allocation.disk.watermark.high", "90%"));
  }
  json_decref(answer);
  return rc;
}

int os_cluster_disk(struct os_cluster *cluster, struct os_disk *disk, struct os_error *error) {
  memset(disk, 0, sizeof *disk);
  int rc = read_nodes(cluster, disk, error);
  return rc ? rc : read_watermarks(cluster, disk, error);
}
