/* sequence.c - sequence numbers: how far the primaries of an index have come, shard by shard. Every write raises them,
** and a restart does not lower them.
*/
#include <stdio.h>
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

static int read_shards(const json_t *shards, const char *figure, int64_t *values, size_t count,
                       struct os_error *error) {
  const char *number = NULL;
  json_t *copies = NULL;
  json_object_foreach((json_t *)(uintptr_t)shards, number, copies) {
    int64_t shard = -1;
    const json_t *said = json_object_get(json_object_get(primary_of(copies), "seq_no"), figure);
    if (!os_parse_int(number, &shard) || shard < 0 || (size_t)shard >= count || !json_is_integer(said))
      return os_odd_answer("statistics of shards", shards, error);
    values[shard] = json_integer_value(said);
  }
  return OS_OK;
}

/* GET /name/_stats?level=shards: one figure of "seq_no" of each primary; os_free() *values. */
static int read_figure(struct os_cluster *cluster, const char *name, const char *figure, int64_t **values,
                       size_t *shards, struct os_error *error) {
  char after[192];
  snprintf(after, sizeof after,
           "/_stats/docs?level=shards&filter_path=_shards,indices.*.shards.*.routing.primary,"
           "indices.*.shards.*.seq_no.%s",
           figure);
  struct os_name_call call = {.method = "GET", .name = name, .after = after};
  json_t *answer = NULL;
  *values = NULL;
  *shards = 0;
  if (os_cluster_is_serverless(cluster)) return os_serverless_lacks("sequence numbers to ask for", error);
  int rc = os_name_request(cluster, &call, NULL, &answer, error);
  if (rc == OS_OK) rc = os_all_shards(answer, "statistics", error);
  const json_t *list = json_object_get(json_object_get(json_object_get(answer, "indices"), name), "shards");
  if (rc == OS_OK && !json_object_size(list)) rc = os_odd_answer("statistics", answer, error);
  if (rc == OS_OK) {
    *shards = json_object_size(list);
    *values = os_calloc(*shards, sizeof **values);
    rc = *values ? read_shards(list, figure, *values, *shards, error) : os_fail_nomem(error);
  }
  json_decref(answer);
  if (rc) {
    os_free(*values);
    *values = NULL;
    *shards = 0;
  }
  return rc;
}

/* Every operation up to the global checkpoint is on all copies (Elasticsearch #15485), so a search after a refresh
** that follows sees it. */
int os_cluster_checkpoints(struct os_cluster *cluster, const char *name, int64_t **checkpoints,
                           size_t *shards, struct os_error *error) {
  return read_figure(cluster, name, "global_checkpoint", checkpoints, shards, error);
}

int os_cluster_operations(struct os_cluster *cluster, const char *name, int64_t *operations,
                          struct os_error *error) {
  int64_t *highest = NULL;
  size_t shards = 0;
  *operations = 0;
  int rc = read_figure(cluster, name, "max_seq_no", &highest, &shards, error);
  for (size_t i = 0; i < shards; i++)
    *operations += highest[i] + 1; /* -1 where nothing was ever written */
  os_free(highest);
  return rc;
}
