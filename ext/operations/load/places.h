/* places.h - how far each file of a load is: everything before its acknowledged place has an outcome that the ledger
** keeps. Keeper's thread.
**
** Where the last record of an id wins (in_order), a file counts as acknowledged only when those before it are done: a
** later load goes on in an earlier file at the first record without an outcome and sends all behind it again, and what
** is sent again must not come over the records of later files. So these come again, too.
*/
#ifndef OS_OPERATIONS_LOAD_PLACES_H
#define OS_OPERATIONS_LOAD_PLACES_H
#include "operations/load/load.h"

struct os_load_place;

struct os_load_places {
  struct os_load *load;
  struct os_load_place **files; /* beside the sources of the list; NULL: not begun, or ended. Owned */
  size_t count, cap;
  uint32_t *touched; /* files whose rows are to be written; owned */
  size_t touched_count;
  bool in_order;
  size_t first_open;    /* in_order: the first file that is not done */
  double free_since;    /* when the reader could turn to the next file: its time is counted from there */
  uint64_t bytes_total; /* of the files that are read, from where they are begun; packed ones whole */
  size_t failed;        /* files that could not be read to their end */
  struct os_error *first_error; /* of the first of them, first_failed; owned */
  size_t first_failed;
};

/* Zeros at first; free them in any case. */
void os_load_places_begin(struct os_load_places *places, struct os_load *load, bool in_order);
void os_load_places_free(struct os_load_places *places);
/* Know the files that the list has and this does not know yet. */
int os_load_places_grow(struct os_load_places *places, struct os_error *error);
/* A settled batch: its records have outcomes. Takes the errors of its segments. */
int os_load_places_settle(struct os_load_places *places, struct os_batch *batch, struct os_error *error);
/* The rows of the files that moved, inside the ledger's transaction; a dry run has none. Counts files_done. */
int os_load_places_write(struct os_load_places *places, struct os_error *error);
/* Files that could not be read to their end make the load an error, after everything else was loaded. */
int os_load_places_report(const struct os_load_places *places, struct os_error *error);
#endif
