/* request.h - inside cluster/ only: the short forms in which the typed calls make their requests. */
#ifndef OS_CLUSTER_REQUEST_H
#define OS_CLUSTER_REQUEST_H
#include "base/buffer.h"
#include "cluster/cluster.h"

/* before + encoded name + after, the name checked. On failure nothing has to be freed. */
int os_name_path(struct os_buf *path, const char *before, const char *name, const char *after,
                 struct os_error *error);

/* One request about one name; `after` is the rest of the path. The answer must be JSON. */
struct os_name_call {
  const char *method, *name, *after, *body;
  double timeout;
  bool once;          /* not to be repeated when it may have been carried out */
  const int *allowed; /* as in struct os_cluster_call */
};
int os_name_request(struct os_cluster *cluster, const struct os_name_call *call, int *status, json_t **answer,
                    struct os_error *error);

/* {"acknowledged": true} or OS_ERR_TIMEOUT: the cluster manager accepted the change but not every node
** had it in time. */
int os_acknowledged(const json_t *answer, const char *what, struct os_error *error);
/* _shards.failed must be 0, else the counts and results of the answer are incomplete. */
int os_all_shards(const json_t *answer, const char *what, struct os_error *error);

/* serverless.c: OS_ERR_NOT_FOUND, "a collection of OpenSearch Serverless has no …". */
int os_serverless_lacks(const char *what, struct os_error *error);

/* An answer of the right status that is not what the API promises. */
int os_odd_answer(const char *what, const json_t *answer, struct os_error *error);
#endif
