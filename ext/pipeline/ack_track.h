/* ack_track.h - how far a source has been acknowledged without a hole, although batches settle in any order.
 * Pure. */
#ifndef OS_PIPELINE_ACK_TRACK_H
#define OS_PIPELINE_ACK_TRACK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct os_ack_run {
  uint64_t from, to, line;
};

struct os_ack_track {
  uint64_t offset, line;   /* everything before offset is acknowledged; line begins there */
  struct os_ack_run *runs; /* acknowledged beyond a hole, in order of `from`, apart from each other; owned */
  size_t count, cap;
  bool eof_seen;
  uint64_t eof_at;
};

void os_ack_init(struct os_ack_track *track, uint64_t offset, uint64_t line);
void os_ack_free(struct os_ack_track *track);
/* Acknowledge [from, to). False: no memory. */
bool os_ack_add(struct os_ack_track *track, uint64_t from, uint64_t to, uint64_t line);
void os_ack_eof(struct os_ack_track *track, uint64_t at);
bool os_ack_complete(const struct os_ack_track *track); /* acknowledged up to the end of the source */
#endif
