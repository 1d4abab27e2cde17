/* live_int.h - a live copy under way; private to this folder. */
#ifndef OS_OPERATIONS_LIVE_LIVE_INT_H
#define OS_OPERATIONS_LIVE_LIVE_INT_H
#include "operations/copy/copy.h"
#include "operations/live/live.h"

struct os_live {
  struct os_copy copy; /* must be first: it is what copy.look is given */
  const struct os_live_request *request;
  struct os_live_result *result;
  double block_ends; /* monotonic; 0: not blocked */
};

/* ---- deletes.c ---- */
/* Take out of the target what the source, which nobody writes to, has not. */
int os_live_reconcile(struct os_live *live, int64_t *deleted, struct os_error *error);
#endif
