/* ack_track.c - see ack_track.h. */
#include "pipeline/ack_track.h"
#include <string.h>
#include "base/alloc.h"

void os_ack_init(struct os_ack_track *track, uint64_t offset, uint64_t line) {
  memset(track, 0, sizeof *track);
  track->offset = offset;
  track->line = line;
}

void os_ack_free(struct os_ack_track *track) {
  os_free(track->runs);
  track->runs = NULL;
  track->count = track->cap = 0;
}

/* Let the prefix swallow the runs that now touch it. */
static void swallow(struct os_ack_track *track) {
  size_t n = 0;
  while (n < track->count && track->runs[n].from <= track->offset) {
    if (track->runs[n].to > track->offset) {
      track->offset = track->runs[n].to;
      track->line = track->runs[n].line;
    }
    n++;
  }
  if (!n) return;
  track->count -= n;
  memmove(track->runs, track->runs + n, track->count * sizeof *track->runs);
}

bool os_ack_add(struct os_ack_track *track, uint64_t from, uint64_t to, uint64_t line) {
  if (to <= track->offset) return true;
  if (from <= track->offset) {
    track->offset = to;
    track->line = line;
    swallow(track);
    return true;
  }
  size_t at = track->count;
  while (at > 0 && track->runs[at - 1].from > from)
    at--;
  if (at > 0 && track->runs[at - 1].to >= from) { /* grows its left neighbour */
    if (to > track->runs[at - 1].to) {
      track->runs[at - 1].to = to;
      track->runs[at - 1].line = line;
    }
    return true;
  }
  if (track->count == track->cap) {
    size_t cap = track->cap ? track->cap * 2 : 8;
    struct os_ack_run *runs = os_realloc(track->runs, cap * sizeof *runs);
    if (!runs) return false;
    track->runs = runs;
    track->cap = cap;
  }
  memmove(track->runs + at + 1, track->runs + at, (track->count - at) * sizeof *track->runs);
  track->runs[at] = (struct os_ack_run){from, to, line};
  track->count++;
  return true;
}

void os_ack_eof(struct os_ack_track *track, uint64_t at) {
  track->eof_seen = true;
  track->eof_at = at;
}

bool os_ack_complete(const struct os_ack_track *track) {
  return track->eof_seen && track->offset >= track->eof_at;
}
