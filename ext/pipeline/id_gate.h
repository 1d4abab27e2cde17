/* id_gate.h - which explicit ids are on their way, and in which batch: the means by which, for one id,
** the last record wins. Single-threaded (the feeder's). Ids are known by 48 bits of their hash: two ids that
** share them merely wait for each other without need.
*/
#ifndef OS_PIPELINE_ID_GATE_H
#define OS_PIPELINE_ID_GATE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct os_batch;

struct os_id_gate {
  /* Open addressing, linear probing: 48 bits of the hash, then the batch's number; 0: free. Numbers instead of
  ** pointers, so that an id takes eight bytes and more of them stay in the caches. */
  uint64_t *entries;
  size_t cap, count;          /* cap is a power of two */
  struct os_batch **batches;  /* number 1 is the first */
  size_t batch_count, newest; /* newest: number of the batch that was put last; 0: none */
};

void os_gate_init(struct os_id_gate *gate);
void os_gate_free(struct os_id_gate *gate);
/* The hash of an id as the server will see it: JSON escapes are decoded, so that "\u0041" is "A". Never 0. */
uint64_t os_gate_hash(const char *json_text, size_t len);
/* Fetch the id's place into the cache: the table is larger than the near ones, and what follows will wait. */
static inline void os_gate_prefetch(const struct os_id_gate *gate, uint64_t hash) {
  if (gate->cap) __builtin_prefetch(&gate->entries[(size_t)hash & (gate->cap - 1)], 1);
}
/* The newest batch that carries the id, or NULL. */
struct os_batch *os_gate_find(const struct os_id_gate *gate, uint64_t hash);
/* The id is now (also) in `batch`, which becomes the newest; at most 65535 batches. False: no memory. */
bool os_gate_put(struct os_id_gate *gate, uint64_t hash, struct os_batch *batch);
/* The batch is settled: ids whose newest batch it is are free again. `hashes` as put, in any order; zeros are
 * skipped. */
void os_gate_release(struct os_id_gate *gate, uint64_t hash, const struct os_batch *batch);
#endif
