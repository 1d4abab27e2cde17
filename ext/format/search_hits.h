/* search_hits.h - the hits of a search answer, each with its document byte for byte: what is copied must
** not pass through a parser that rounds its numbers.
**
** Pure, any thread. Made for answers of _search asked for with _seq_no and _source; members in any order,
** and others, are fine.
*/
#ifndef OS_FORMAT_SEARCH_HITS_H
#define OS_FORMAT_SEARCH_HITS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct os_search_hits;

struct os_search_hit {      /* slices live until the next call */
  const char *id, *routing; /* JSON text between the quotes; routing NULL: none */
  size_t id_len, routing_len;
  const char *source; /* on one line; NULL: not in the answer */
  size_t source_len;
  int64_t seq_no; /* -1: not in the answer */
};

/* Begin with an answer, of which a copy is made. OS_ERR_ANSWER where it is no search answer, where a shard
** failed or the search ran out of time: what is missing then would be lost. */
int os_search_hits_open(struct os_search_hits **out, const char *answer, size_t len, struct os_error *error);
/* *found false: there are no more. */
int os_search_hits_next(struct os_search_hits *hits, struct os_search_hit *hit, bool *found,
                        struct os_error *error);
void os_search_hits_close(struct os_search_hits *hits); /* NULL is harmless */
#endif
