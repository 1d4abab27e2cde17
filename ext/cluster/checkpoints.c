/* checkpoints.c - how far the primaries of an index have come, shard by shard. */
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/text.h"
#include "cluster/request.h"

static const json_t *primary_of(const json_t *copies) {
  for (size_t i = 0; i < json_array_size(copies); i++)
    if (os_json_bool(json_array_get(copies, i), "routing/primary", false)) return json_array_get(copies, i);
  return NULL;
}

static int read_shards(const json_t *shards, int64_t *checkpoints, size_t count, struct os_error *error) {
  const char *number = NULL;
  json_t *copies = NULL;
  json_object_foreach((json_t *)(uintptr_t)shards, number, copies) {
    int64_t shard = -1;
    const json_t *said = os_json_at(primary_of(copies), "seq_no/global_checkpoint");
    if (!os_parse_int(number, &shard) || shard < 0 || (size_t)shard >= count || !json_is_integer(said))
      return os_odd_answer("statistics of shards", shards, error);
    checkpoints[shard] = json_integer_value(said);
  }
  return OS_OK;
}

/* Every operation up to the global checkpoint is on all copies (Elasticsearch #15485), so a search after a
** refresh that follows sees it. */
int os_cluster_checkpoints(struct os_cluster *cluster, const char *name, int64_t **checkpoints,
                           size_t *shards, struct os_error *error) {
  struct os_name_call call = {
      .method = "GET",
      .name = name,
      .after = "/_stats/docs?level=shards&filter_path=_shards,indices.*.shards.*.seq_no.global_checkpoint,"
               "indices.*.shards.*.routing.primary"};
  json_t *answer = NULL;
  *checkpoints = NULL;
  *shards = 0;
  int rc = os_name_request(cluster, &call, NULL, &answer, error);
  if (rc == OS_OK) rc = os_all_shards(answer, "statistics", error);
  const json_t *list = json_object_get(json_object_get(json_object_get(answer, "indices"), name), "shards");
  if (rc == OS_OK && !json_object_size(list)) rc = os_odd_answer("statistics of shards", answer, error);
  if (rc == OS_OK) {
    *shards = json_object_size(list);
    *checkpoints = os_calloc(*shards, sizeof **checkpoints);
    rc = *checkpoints ? read_shards(list, *checkpoints, *shards, error) : os_fail_nomem(error);
  }
  json_decref(answer);
  if (rc) {
    os_free(*checkpoints);
    *checkpoints = NULL;
    *shards = 0;
  }
  return rc;
}
