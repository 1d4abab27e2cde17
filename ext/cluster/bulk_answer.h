/* bulk_answer.h - read the answer to a `_bulk` request: one small record for each item, by position.
**
** Pure, any thread, made for the hot path: one pass over the bytes, no tree, no allocation. Meant for
** answers asked for with filter_path=took,errors,items.*.status,items.*.result,items.*._id,items.*.error,
** but it accepts full answers, members in any order, and members it does not know. An answer with
** errors:true is never a success, and items are told apart by position, never by id (OpenSearch docs,
** "Bulk API", response).
*/
#ifndef OS_CLUSTER_BULK_ANSWER_H
#define OS_CLUSTER_BULK_ANSWER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct os_bulk_item {
  int status;        /* of this item: 200, 201, 404, 409, 429 … */
  char result;       /* 'c' created, 'u' updated, 'n' noop, 'd' deleted, 0 unknown */
  const char *error; /* slice of the JSON of the item's error inside the answer; NULL: none */
  size_t error_len;
};

/* Fill items[0 … expected-1]. *errors: what the answer says, or true when an item's status is 300 or more
** (a 404 of a delete is such a status and the server does not call it an error). *took: milliseconds, -1
** when not said. Both may be NULL. OS_ERR_ANSWER when the bytes are not a whole and correct answer with
** exactly `expected` items: then nothing in items may be used. The slices live as long as body. */
int os_bulk_answer_parse(const char *body, size_t len, size_t expected, struct os_bulk_item *items,
                         bool *errors, int64_t *took, struct os_error *error);

enum { OS_BULK_ERROR_TYPE = 128, OS_BULK_ERROR_REASON = 1024 };
/* Type and reason of one item's error, the reasons of its causes joined. An item without an error gets
** "status_404" and an empty reason. OS_ERR_ANSWER, with the raw text as reason, when the error cannot be
** read. */
int os_bulk_item_error(const struct os_bulk_item *item, char type[OS_BULK_ERROR_TYPE],
                       char reason[OS_BULK_ERROR_REASON]);
#endif
