/* bulk_verdict.c - see bulk_verdict.h. */
#include "pipeline/bulk_verdict.h"
#include <string.h>
#include "base/text.h"
#include "net/retry.h"

enum { UPDATE_CONFLICTS = 5 /* repetitions of an update that others got in between */ };

/* Exceptions that pass by themselves whatever status they come with. */
static const struct {
  const char *type;
  enum os_verdict verdict;
} by_type[] = {
    {"es_rejected_execution_exception", OS_VERDICT_LOAD},
    {"rejected_execution_exception", OS_VERDICT_LOAD},
    {"opensearch_rejected_execution_exception", OS_VERDICT_LOAD},
    {"circuit_breaking_exception", OS_VERDICT_LOAD},
    {"unavailable_shards_exception", OS_VERDICT_RETRY},
    {"no_shard_available_action_exception", OS_VERDICT_RETRY},
    {"process_cluster_event_timeout_exception", OS_VERDICT_RETRY},
    {"primary_shard_closed_exception", OS_VERDICT_RETRY},
    {"node_closed_exception", OS_VERDICT_RETRY},
    {"node_not_connected_exception", OS_VERDICT_RETRY},
    {"node_disconnected_exception", OS_VERDICT_RETRY},
    {"receive_timeout_transport_exception", OS_VERDICT_RETRY},
    {"shard_not_found_exception", OS_VERDICT_RETRY},
    {"engine_closed_exception", OS_VERDICT_RETRY},
    {"translog_exception", OS_VERDICT_RETRY},
    {"i_o_exception", OS_VERDICT_RETRY}, /* the server's disk, never the record's fault */
    {"cluster_block_exception", OS_VERDICT_BLOCKED},
    {"security_exception", OS_VERDICT_FAULT},
    {"index_not_found_exception", OS_VERDICT_FAULT},
    {"index_closed_exception", OS_VERDICT_FAULT},
    {"invalid_index_name_exception", OS_VERDICT_FAULT},
};

/* illegal_argument_exception is mostly the record's fault; these reasons are not. */
static bool is_setup_fault(const char *reason) {
  if (strstr(reason, "pipeline with id [") && strstr(reason, "does not exist")) return true;
  if (strstr(reason, "no write index is defined for alias")) return true;
  if (strstr(reason, "has more than one index associated with it")) return true;
  return strstr(reason, "only write ops with an op_type of create are allowed in data streams") != NULL;
}

enum os_verdict os_bulk_verdict(int status, char result, const char *type, const char *reason,
                                const struct os_item *item, bool external_version) {
  if (os_bulk_succeeded(status)) return os_bulk_success(status, result);
  for (size_t i = 0; i < sizeof by_type / sizeof by_type[0]; i++)
    if (!strcmp(type, by_type[i].type)) return by_type[i].verdict;
  if (status == 409) {
    if (item->op == OS_OP_CREATE) {
      /* a computed id is nobody else's; an explicit one that was only turned away (429) is in use already */
      bool ours = item->maybe_sent || (item->computed && item->attempts > 1);
      return ours ? OS_VERDICT_ALREADY : OS_VERDICT_REFUSED;
    }
    if (item->op == OS_OP_UPDATE)
      return !item->conditional && item->attempts <= UPDATE_CONFLICTS ? OS_VERDICT_RETRY : OS_VERDICT_REFUSED;
    return external_version && item->op == OS_OP_INDEX ? OS_VERDICT_OLDER : OS_VERDICT_REFUSED;
  }
  if (status == 401 || status == 403) return OS_VERDICT_FAULT;
  if (status == 429) return OS_VERDICT_LOAD;
  if (os_retry_status(status)) return OS_VERDICT_RETRY;
  if (!strcmp(type, "illegal_argument_exception") && is_setup_fault(reason)) return OS_VERDICT_FAULT;
  return OS_VERDICT_REFUSED;
}
