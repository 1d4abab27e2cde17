/* progress.h - how far a load is, on stderr: one line that is redrawn on a terminal, a line every few
** seconds elsewhere, or a JSON object a second. Pure apart from the write; keeper's thread.
*/
#ifndef OS_OPERATIONS_PROGRESS_H
#define OS_OPERATIONS_PROGRESS_H
#include <stdint.h>
#include "base/log.h"
#include "operations/job.h"

struct os_progress_state { /* what is known at this moment */
  int64_t job;
  const char *index;
  int64_t files, files_done;
  uint64_t bytes_total;     /* on disk, of the files to load; 0: not known (standard input) */
  uint64_t bytes_read;      /* of the acknowledged documents, roughly */
  uint64_t documents;       /* acknowledged */
  uint64_t documents_total; /* to be copied, where bytes are not known; 0: not known either */
  uint64_t refused, retries;
  int in_flight, window;
  bool paused;
};

struct os_progress_meter {
  enum os_progress_kind kind;
  double started, last_drawn;        /* monotonic */
  double documents_rate, bytes_rate; /* per second, since the beginning */
  struct os_log *log;                /* borrowed; may be NULL. Told when a line stands on the terminal */
  bool plain; /* no terminal, or one that cannot redraw: whole lines, one after the other */
  bool drawn; /* a line stands on the terminal */
  bool ended;
};

void os_progress_begin(struct os_progress_meter *meter, enum os_progress_kind kind, struct os_log *log);
/* Draw when it is time: a terminal 5 times a second, plain lines every 5 seconds, JSON once a second. */
void os_progress_update(struct os_progress_meter *meter, const struct os_progress_state *state);
/* The last state; ends the line. */
void os_progress_end(struct os_progress_meter *meter, const struct os_progress_state *state);
/* "files 3/12  1,234,567 docs  45,000 docs/s  20.1 MB/s  62 %  0:31 so far  ETA 0:42  2 refused  1
** retry": the fields that have room in `columns` (0: any number), each whole. At the end "0:42 in all"
** instead of what was to come. Pure. */
void os_progress_text(const struct os_progress_meter *meter, const struct os_progress_state *state,
                      double now, char *out, size_t out_size, int columns);
/* {"job":12,"elapsed":…,"files":…,…} in one line. Pure. */
void os_progress_json(const struct os_progress_meter *meter, const struct os_progress_state *state,
                      double now, char *out, size_t out_size);
#endif
