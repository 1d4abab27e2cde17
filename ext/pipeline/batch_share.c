/* batch_share.c - how many bytes the next batch may have, so that the last requests of a load are not one large one
** that everybody else waits for: a part of what is left, as in guided self-scheduling (Polychronopoulos and Kuck,
** 1987). Far from the end that is more than batch_bytes, and changes nothing.
**
** Any reader's thread. Owns nothing.
*/
#include "pipeline/pipeline_int.h"

enum { SMALLEST = 512 << 10 /* bytes; below it a request costs more than its documents */, ROUNDS = 2 };

void os_batch_share_init(struct os_pipeline *pipeline) {
  const struct os_pipeline_options *options = &pipeline->options;
  pipeline->total_bytes = 0;
  for (size_t i = 0; i < options->source_count; i++)
    if (!options->sources[i].skip) pipeline->total_bytes += options->sources[i].size;
}

/* Of a stream or a compressed file nobody knows how much is to come. */
uint64_t os_batch_share(const struct os_feeder *feeder) {
  struct os_pipeline *pipeline = feeder->pipeline;
  const struct os_pipeline_options *options = &pipeline->options;
  uint64_t most = options->batch_bytes;
  if (pipeline->pushing || most <= SMALLEST) return most;
  const struct os_source *source = &options->sources[feeder->source];
  if (source->is_stream || source->compression != OS_PLAIN) return most;
  uint64_t done = atomic_load_explicit(&pipeline->done_bytes, memory_order_relaxed) + feeder->covered;
  uint64_t rest = pipeline->total_bytes > done ? pipeline->total_bytes - done : 0;
  uint64_t share = rest / (uint64_t)(options->max_workers * ROUNDS);
  return share < SMALLEST ? SMALLEST : share < most ? share : most;
}
