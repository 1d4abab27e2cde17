/* letters.h - refused records on their way to a queue and from it. Keeper's thread.
*/
#ifndef OS_LEDGER_LETTERS_H
#define OS_LEDGER_LETTERS_H
#include <stdbool.h>
#include <stdint.h>
#include "aws/sqs_letter.h"
#include "ledger/ledger.h"

/* ---- to the queue: rows that are neither resolved nor sent ---- */

/* How many, of `job` (0: any). OS_ERR_NOT_FOUND: there is no such job. */
int os_ledger_letters_waiting(struct os_ledger *ledger, int64_t job, int64_t *count, struct os_error *error);

struct os_letter_place { /* the records of one file that one job refused */
  int64_t first;         /* the first row that waits; 0: none does */
  int64_t job;
  char *file; /* owned; "" for records of no file */
};
/* The place of the first row behind `after` that waits, of `job` (0: any). os_free(place->file). */
int os_ledger_letters_next(struct os_ledger *ledger, int64_t job, int64_t after,
                           struct os_letter_place *place, struct os_error *error);
/* Its rows from `first` on, in order. Texts are borrowed for the call; false: enough. Nothing may be asked of the
** ledger meanwhile. */
int os_ledger_letters_each(struct os_ledger *ledger, const struct os_letter_place *place,
                           bool (*take)(void *ctx, const struct os_letter *letter), void *ctx,
                           struct os_error *error);
/* They are in the queue. A row that was refused anew since it was read (its attempts differ) goes on waiting. */
struct os_letter_mark {
  int64_t id, attempts;
};
int os_ledger_letters_sent(struct os_ledger *ledger, const struct os_letter_mark *marks, size_t count,
                           struct os_error *error);

/* ---- from the queue ---- */

struct os_letter_origin {
  int64_t job; /* that receives */
  const char *file, *source, *timestamp;
};
/* Keep a record that came. *added false: it is here already, however it fared since. What another record of this ledger
** has the same place for is put under "source: file". A record that was cut has neither document nor bytes. On the disk
** once the transaction it is in has been committed. */
int os_ledger_letter_keep(struct os_ledger *ledger, const struct os_letter_origin *origin,
                          const struct os_letter *letter, bool *added, struct os_error *error);
#endif
