/* bulk_verdict.h - what one item of a `_bulk` answer means for the record that was sent. Pure.
**
** The order of the questions matters: a fault of the index, the rights or the pipeline is never a
** record's fault and must not fill dlq_failures with records that are fine. Sources: OpenSearch bulk API
** page; the exception names of OpenSearch's server module.
*/
#ifndef OS_PIPELINE_BULK_VERDICT_H
#define OS_PIPELINE_BULK_VERDICT_H
#include <stdbool.h>
#include "pipeline/batch.h"

enum os_verdict {
  OS_VERDICT_CREATED,
  OS_VERDICT_UPDATED,
  OS_VERDICT_NOOP,
  OS_VERDICT_ALREADY, /* 409 on a create of ours that an earlier request may have carried */
  OS_VERDICT_OLDER,   /* 409 from external versions: what is there is newer */
  OS_VERDICT_REFUSED, /* the record's own fault */
  OS_VERDICT_RETRY,   /* passing trouble */
  OS_VERDICT_LOAD,    /* passing, and a sign of overload: send less */
  OS_VERDICT_BLOCKED, /* a block on the index (flood stage, write block): wait, then stop the job */
  OS_VERDICT_FAULT    /* rights, missing or closed index, missing pipeline: stop the job */
};

static inline bool os_bulk_succeeded(int status) {
  return status >= 200 && status < 300;
}

/* The verdict on an item that succeeded. */
static inline enum os_verdict os_bulk_success(int status, char result) {
  if (result == 'n') return OS_VERDICT_NOOP;
  return status == 201 || result == 'c' ? OS_VERDICT_CREATED : OS_VERDICT_UPDATED;
}

/* type and reason: of the item's error, "" when there is none. external_version: the load sends versions. */
enum os_verdict os_bulk_verdict(int status, char result, const char *type, const char *reason,
                                const struct os_item *item, bool external_version);
#endif
