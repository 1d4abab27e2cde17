/* read_ahead.c - see read_ahead.h. Two queues between the thread and its reader: chunks to be filled and filled
** ones, which keep their order. The thread ends with the source, at a fault, or when the reader stops it.
*/
#include "pipeline/read_ahead.h"
#include <stdatomic.h>
#include <string.h>
#include "base/alloc.h"
#include "base/queue.h"
#include "base/thread.h"

enum {
  CHUNKS = 2,        /* beside the one that is being parsed */
  ROOM = 1 << 16,    /* before them: for what the chunk before left over */
  WORTH_IT = 1 << 20 /* stored bytes of a source that is read by a thread of its own */
};

struct chunk {
  struct os_queue_link link; /* must be first */
  struct os_buf bytes;       /* ROOM bytes without meaning, then those of the source */
  bool at_end;
  int code; /* and the error, after the bytes */
  struct os_error error;
};

struct os_read_ahead {
  struct os_stream *stream;
  struct os_queue empty, full;
  struct chunk chunks[CHUNKS];
  atomic_bool quit;
  pthread_t thread;
};

static void *run(void *arg) {
  struct os_read_ahead *ahead = arg;
  bool more = true;
  while (more) {
    struct chunk *chunk = (struct chunk *)os_queue_pop(&ahead->empty, -1);
    if (!chunk || atomic_load(&ahead->quit)) break;
    chunk->bytes.len = ROOM;
    os_error_clear(&chunk->error);
    chunk->code = os_stream_read(ahead->stream, &chunk->bytes, OS_READ_CHUNK, &chunk->at_end, &chunk->error);
    more = !chunk->code && !chunk->at_end;
    os_queue_push(&ahead->full, &chunk->link);
  }
  return NULL;
}

/* Plain files are read ahead by the system, plain objects by their fetch: a thread between would cost more than
** it gives. */
static bool worth_it(const struct os_stream *stream, const struct os_source *source) {
  return os_stream_inflates(stream) && !source->is_stream && source->size >= WORTH_IT;
}

static void let_go(struct os_read_ahead *ahead) {
  for (int i = 0; i < CHUNKS; i++)
    os_buf_free(&ahead->chunks[i].bytes);
  os_free(ahead);
}

/* The memory is the reader's, so that it can be used again for the next source. */
static bool make_chunks(struct os_read_ahead *ahead) {
  bool made = true;
  for (int i = 0; i < CHUNKS; i++) {
    os_buf_init(&ahead->chunks[i].bytes, 0);
    made = made && os_buf_reserve(&ahead->chunks[i].bytes, ROOM + OS_READ_CHUNK);
  }
  return made;
}

static bool start_thread(struct os_read_ahead *ahead) {
  if (os_queue_init(&ahead->empty)) return false;
  if (!os_queue_init(&ahead->full)) {
    for (int i = 0; i < CHUNKS; i++)
      os_queue_push(&ahead->empty, &ahead->chunks[i].link);
    if (!os_thread_start(&ahead->thread, run, ahead)) return true;
    os_queue_destroy(&ahead->full);
  }
  os_queue_destroy(&ahead->empty);
  return false;
}

struct os_read_ahead *os_read_ahead_start(struct os_stream *stream, const struct os_source *source) {
  if (!worth_it(stream, source)) return NULL;
  struct os_read_ahead *ahead = os_calloc(1, sizeof *ahead);
  if (!ahead) return NULL;
  ahead->stream = stream;
  if (make_chunks(ahead) && start_thread(ahead)) return ahead;
  let_go(ahead);
  return NULL;
}

/* More is left over than there is room for: a record that is longer than that. */
static int append(struct os_buf *window, size_t *at, const struct os_buf *bytes, struct os_error *error) {
  size_t rest = window->len - *at;
  memmove(window->data, window->data + *at, rest);
  window->len = rest;
  *at = 0;
  os_buf_append(window, bytes->data + ROOM, bytes->len - ROOM);
  if (window->failed) return os_fail_nomem(error);
  os_buf_zero_pad(window);
  return OS_OK;
}

static void exchange(struct os_buf *window, size_t *at, struct os_buf *bytes) {
  size_t rest = window->len - *at;
  struct os_buf filled = *bytes;
  memcpy(filled.data + ROOM - rest, window->data + *at, rest);
  *bytes = *window;
  *window = filled;
  *at = ROOM - rest;
}

int os_read_ahead_next(struct os_read_ahead *ahead, struct os_buf *window, size_t *at, bool *at_end,
                       struct os_error *error) {
  struct chunk *chunk = (struct chunk *)os_queue_pop(&ahead->full, -1);
  int code = chunk->code;
  *at_end = chunk->at_end;
  if (code) *error = chunk->error;
  if (window->len - *at <= ROOM && window->cap >= ROOM + OS_READ_CHUNK) {
    exchange(window, at, &chunk->bytes);
  } else {
    int failed = append(window, at, &chunk->bytes, error);
    if (failed) code = failed;
  }
  os_queue_push(&ahead->empty, &chunk->link);
  return code;
}

void os_read_ahead_stop(struct os_read_ahead *ahead) {
  if (!ahead) return;
  atomic_store(&ahead->quit, true);
  os_queue_close(&ahead->empty);
  pthread_join(ahead->thread, NULL);
  os_queue_destroy(&ahead->full);
  os_queue_destroy(&ahead->empty);
  let_go(ahead);
}
