/* batch_share.c - how many bytes the next batch may have, so that the last requests of a load are not one large one
** that everybody else waits for: a part of what is left, as in guided self-scheduling (Polychronopoulos and Kuck,
** 1987). Far from the end that is more than batch_bytes, and changes nothing.
**
** Any reader's thread. Owns nothing.
*/
#include "pipeline/pipeline_int.h"

enum { SMALLEST = 512 << 10 /* bytes; below it a request costs more than its documents */, ROUNDS = 2 };

/* Sources from `from` on were added. */
void os_batch_share_count(struct os_pipeline *pipeline, size_t from, bool more) {
  const struct os_source_list *sources = pipeline->options.sources;
  for (size_t i = from; i < sources->count; i++)
    if (!os_source_at(sources, i)->skip) pipeline->listed_bytes += os_source_at(sources, i)->size;
  atomic_store(&pipeline->total_bytes, more ? UINT64_MAX : pipeline->listed_bytes);
}

/* Of a stream or a compressed file nobody knows how much is to come. */
uint64_t os_batch_share(const struct os_feeder *feeder) {
  struct os_pipeline *pipeline = feeder->pipeline;
  const struct os_pipeline_options *options = &pipeline->options;
  uint64_t most = options->batch_bytes;
  if (pipeline->pushing || most <= SMALLEST) return most;
  const struct os_source *source = os_source_at(options->sources, feeder->source);
  if (source->is_stream || source->compression != OS_PLAIN) return most;
  uint64_t done = atomic_load_explicit(&pipeline->done_bytes, memory_order_relaxed) + feeder->covered;
  uint64_t total = atomic_load_explicit(&pipeline->total_bytes, memory_order_relaxed);
  uint64_t rest = total > done ? total - done : 0;
  uint64_t share = rest / (uint64_t)(options->max_workers * ROUNDS);
  return share < SMALLEST ? SMALLEST : share < most ? share : most;
}
