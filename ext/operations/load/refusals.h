/* refusals.h - from a refused record of a batch to its row in dlq_failures. */
#ifndef OS_OPERATIONS_LOAD_REFUSALS_H
#define OS_OPERATIONS_LOAD_REFUSALS_H
#include "operations/load/load.h"

/* What stands in the index under the explicit ids that the server refused in this batch: {id: [seq_no,
** primary_term]}, null for an id that is not there. Asked before the batch is let go, while nothing newer
** of this load can get in, so that os_retry_failures can tell later whether something did. NULL when
** there is nothing to ask or it could not be read. New reference. Called outside a ledger transaction: it
** waits for the cluster. */
json_t *os_load_standing(struct os_load *load, const struct os_batch *batch);
/* Write every refusal of the batch, inside the caller's ledger transaction. */
int os_load_put_refusals(struct os_load *load, struct os_batch *batch, const json_t *standing,
                         struct os_error *error);
/* The batch is settled, its refusals are kept: what earlier jobs had to refuse of these records, and this
** one did not, is resolved. Inside the transaction that acknowledges the batch. */
int os_load_accept(struct os_load *load, const struct os_batch *batch, struct os_error *error);
#endif
