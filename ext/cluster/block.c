/* block.c - an index that refuses writes for a while. */
#include "base/alloc.h"
#include "base/json.h"
#include "cluster/request.h"

int os_cluster_writes_blocked(struct os_cluster *cluster, const char *name, bool *blocked,
                              struct os_error *error) {
  json_t *got = NULL;
  int rc = os_cluster_index_get(cluster, name, &got, error);
  const json_t *blocks = os_json_at(got, "settings/index/blocks");
  *blocked = os_json_bool(blocks, "write", false) || os_json_bool(blocks, "read_only", false);
  json_decref(got);
  return rc;
}

static int not_every_shard(const char *name, const json_t *indices, struct os_error *error) {
  char *said = os_json_text(indices);
  os_fail(error, OS_ERR_CONFLICT, "not every shard of %s took the write block: %.600s", name,
          said ? said : "");
  os_free(said);
  return os_advise(error, "the rights it takes are indices:admin/block/add and indices:admin/block/add[s]");
}

/* An index that has the block already is in no list of the answer, which then says "shards_acknowledged": false. */
int os_cluster_block_writes(struct os_cluster *cluster, const char *name, double timeout,
                            struct os_error *error) {
  struct os_name_call call = {.method = "PUT", .name = name, .after = "/_block/write", .timeout = timeout};
  json_t *answer = NULL;
  bool blocked = false;
  int rc = os_name_request(cluster, &call, NULL, &answer, error);
  const json_t *indices = json_object_get(answer, "indices");
  bool acknowledged = os_json_bool(answer, "acknowledged", false);
  bool done = acknowledged && os_json_bool(answer, "shards_acknowledged", false);
  if (!rc && !done && acknowledged && !json_array_size(indices))
    rc = os_cluster_writes_blocked(cluster, name, &blocked, error);
  if (!rc && !done && !blocked) rc = not_every_shard(name, indices, error);
  json_decref(answer);
  return rc;
}

int os_cluster_allow_writes(struct os_cluster *cluster, const char *name, struct os_error *error) {
  return os_cluster_settings_put(cluster, name, "{\"index.blocks.write\":null}", error);
}
