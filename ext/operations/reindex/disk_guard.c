/* disk_guard.c - is there room for the copy? Part of the guards; see reindex_int.h. */
#include "base/json.h"
#include "base/text.h"
#include "cluster/disk.h"
#include "operations/reindex/reindex_int.h"

/* A copy is not always as compact as its source, and merging needs room for a while. */
static const double MARGIN = 1.2;
static const double MIB = 1048576.0;

static void megabytes(int64_t bytes, char out[32]) {
  os_format_double((double)bytes / MIB, 1, out, 32);
}

/* How often the target will be stored: its replicas as far as there are nodes for them. */
static int64_t copies(const struct os_reindex *r, const struct os_disk *disk) {
  const json_t *settings = os_json_at(r->target_exists ? r->target_index : r->source_index, "settings/index");
  const json_t *wanted = os_json_at(r->request->create, "settings");
  int64_t replicas = os_json_int(settings, "number_of_replicas", 0);
  if (!r->target_exists && json_is_object(wanted)) {
    replicas = os_json_int(wanted, "number_of_replicas", replicas);
    replicas = os_json_int(wanted, "index/number_of_replicas", replicas);
    const json_t *dotted = json_object_get(wanted, "index.number_of_replicas");
    if (json_is_integer(dotted)) replicas = json_integer_value(dotted);
  }
  return replicas + 1 < disk->nodes ? replicas + 1 : disk->nodes;
}

static int judge(struct os_reindex *r, const struct os_disk *disk, int64_t size, struct os_error *error) {
  char need_text[32], room_text[32];
  const char *watermark =
      r->target_exists ? disk->high : disk->low; /* a new index needs nodes that take shards */
  int64_t reserve = 0, need = (int64_t)((double)size * MARGIN) * copies(r, disk);
  if (disk->watermarks && !os_disk_reserve(watermark, disk->total, disk->nodes, &reserve)) {
    os_fail(error, OS_ERR_FORBIDDEN, "the disk watermark '%s' is not understood", watermark);
    return os_reindex_unverified(r, "disk", error);
  }
  int64_t room = disk->free > reserve ? disk->free - reserve : 0;
  megabytes(need, need_text);
  megabytes(room, room_text);
  if (need <= room)
    return os_job_audit(r->job, "guards", "disk", "pass", false, error,
                        "needs %s MiB (1.2 times the source); %s MiB are free before the watermark (%s)",
                        need_text, room_text, disk->watermarks ? watermark : "switched off");
  os_fail(error, OS_ERR_GUARD,
          "the copy needs %s MiB (1.2 times the source), and only %s MiB are free before the disk "
          "watermark (%s)",
          need_text, room_text, watermark);
  os_advise(error, "free disk space on the data nodes, or give the target fewer replicas");
  return os_reindex_unverified(r, "disk", error);
}

int os_reindex_guard_disk(struct os_reindex *r, struct os_error *error) {
  struct os_index_stats stats;
  struct os_disk disk;
  if (os_cluster_is_serverless(r->cluster) || os_cluster_is_serverless(r->from))
    return os_job_audit(r->job, "guards", "disk", "skip", false, error,
                        "a collection tells neither its size nor its room");
  int rc = os_cluster_stats(r->from, r->request->source, &stats, error);
  if (!rc) rc = os_cluster_disk(r->cluster, &disk, error);
  if (rc) return os_reindex_unverified(r, "disk", error);
  return judge(r, &disk, stats.size_bytes, error);
}
