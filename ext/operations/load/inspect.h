/* inspect.h - dry run: every document held against the live mapping, as far as the mapping alone can
** tell. Findings are grouped by field and problem. One thread at a time (the reader's, then the keeper's
** when the run is over).
*/
#ifndef OS_OPERATIONS_LOAD_INSPECT_H
#define OS_OPERATIONS_LOAD_INSPECT_H
#include "operations/load/load.h"

enum { OS_FINDINGS = 100 };

struct os_finding {
  char field[256];
  const char *problem; /* a constant text */
  char value[80];      /* of the first, cut */
  uint32_t source;     /* where the first is */
  uint64_t line, count;
};

struct os_inspection {
  const json_t *mapping; /* {"properties":…}; NULL: nothing can be told */
  struct os_finding findings[OS_FINDINGS];
  size_t count;
  uint64_t documents, unfit; /* unfit: documents the server would refuse */
  uint64_t untold;           /* findings beyond the table */
};

/* The pipeline's inspect callback; ctx is the struct os_inspection. */
int os_load_inspect(void *ctx, uint32_t source, const struct os_record *record);
/* A row of os_audit, and so an entry of checks, for each finding. */
int os_load_inspect_report(struct os_load *load, const struct os_inspection *inspection,
                           struct os_error *error);
#endif
