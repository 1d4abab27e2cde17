/* rows.h - the failed records that are still to be settled, read from the ledger one at a time: rows
** change while the outcomes of earlier ones are written, so no statement stays open between two calls.
** Keeper's thread.
*/
#ifndef OS_OPERATIONS_RETRY_ROWS_H
#define OS_OPERATIONS_RETRY_ROWS_H
#include <jansson.h>
#include "ledger/ledger.h"
#include "operations/retry/action.h"

struct os_retry_rows {
  struct os_ledger *ledger;
  int64_t job; /* of the load; 0: of every load */
  const char
      *endpoint; /* of the cluster in hand; records that another one refused are left alone. Borrowed */
  bool newest_first;
  int64_t last; /* the highest id there was at the beginning; later ones are not looked at */
};

/* *job must be known to the ledger unless it is 0. */
int os_retry_rows_begin(struct os_retry_rows *rows, struct os_ledger *ledger, int64_t job,
                        const char *endpoint, bool newest_first, struct os_error *error);
/* How many of the rows were refused by other clusters, and the URL of one of those. */
int os_retry_rows_elsewhere(const struct os_retry_rows *rows, char endpoint[256], int64_t *count,
                            struct os_error *error);
/* Names of the indices that the rows belong to, and how many rows each has: {index: count}. New reference. */
int os_retry_rows_indices(const struct os_retry_rows *rows, json_t **out, struct os_error *error);
/* The row behind `after` (0: the first) of one index into *row; *found false: there is none. Free it. */
int os_retry_rows_next(const struct os_retry_rows *rows, const char *index, int64_t after,
                       struct os_failed_row *row, bool *found, struct os_error *error);
/* Was this row settled, or deleted? */
int os_retry_rows_settled(const struct os_retry_rows *rows, int64_t id, bool *settled,
                          struct os_error *error);
void os_failed_row_free(struct os_failed_row *row);
#endif
