/* reader.c - a reader thread: takes sources one by one, reads, parses, and lets its feeder fill batches.
** Objects of S3 are taken a few at a time: each costs a round trip, which passes while those before are
** parsed.
**
** What is wrong with one source ends that source only; the place and the reason travel with its last batch.
*/
#include <string.h>
#include "aws/s3/fetch.h"
#include "base/alloc.h"
#include "base/cond.h"
#include "pipeline/examine.h"
#include "pipeline/pipeline_int.h"
#include "pipeline/read_ahead.h"
#include "pipeline/stream.h"

enum {
  AHEAD = OS_S3_MOST_OBJECTS, /* whose first bytes are on their way */
  AHEAD_BYTES = 8 << 20       /* and so many bytes of them */
};

static const double WAIT_SECONDS = 0.05;

struct taken { /* a source that this reader will read */
  uint32_t number;
  struct os_stream *stream; /* opened already, or NULL */
  uint64_t asked;           /* bytes on their way */
};

struct taken_list {
  struct taken items[AHEAD];
  size_t first, count, most;
  uint64_t asked; /* bytes of all of them */
  bool all;       /* there are no more sources to take */
};

/* The next bytes behind those of the window from *at on. `used`: the parser could do something with these. */
static int read_on(struct os_stream *stream, struct os_read_ahead *ahead, struct os_buf *window, size_t *at,
                   bool used, bool *at_end, struct os_error *error) {
  size_t rest = window->len - *at;
  size_t want =
      used || rest < OS_READ_CHUNK ? OS_READ_CHUNK : rest; /* a record longer than the window: double it */
  if (ahead) {
    int rc;
    do
      rc = os_read_ahead_next(ahead, window, at, at_end, error);
    while (!rc && !*at_end && window->len - *at < rest + want);
    return rc;
  }
  if (*at && rest) memmove(window->data, window->data + *at, rest);
  window->len = rest;
  *at = 0;
  return os_stream_read(stream, window, want, at_end, error);
}

/* Parse what is in the window and keep reading behind it until the source ends. */
static int parse_stream(struct os_parser *parser, struct os_stream *stream, struct os_read_ahead *ahead,
                        struct os_buf *window, bool at_end, struct os_error *error) {
  size_t at = 0;
  for (;;) {
    size_t used = 0;
    int rc = os_parser_run(parser, window->data + at, window->len - at, at_end, &used, error);
    if (rc || at_end) return rc;
    at += used;
    rc = read_on(stream, ahead, window, &at, used > 0, &at_end, error);
    if (rc) {
      /* what arrived whole before the fault still counts */
      struct os_error ignored;
      os_parser_run(parser, window->data + at, window->len - at, false, &used, &ignored);
      return rc;
    }
  }
}

/* stream: opened already, or NULL; taken over. */
static int read_source(struct os_feeder *feeder, uint32_t number, struct os_stream *stream,
                       struct os_buf *window, struct os_error *error) {
  struct os_pipeline *pipeline = feeder->pipeline;
  const struct os_source *source = os_source_at(pipeline->options.sources, number);
  const struct os_record_sink sink = {os_feeder_record, os_feeder_reject, feeder};
  struct os_parser *parser = NULL;
  bool at_end = false;
  int rc = OS_OK;
  os_buf_clear(window);
  if (!stream) rc = os_stream_open(&stream, source, &pipeline->stop, &pipeline->figures.bytes_read, error);
  if (rc) goto done;
  rc = os_stream_check_unchanged(stream, error);
  if (rc) goto done;
  size_t head = source->size && source->size < OS_EXAMINE_HEAD && source->compression == OS_PLAIN
                    ? (size_t)source->size + 1
                    : OS_EXAMINE_HEAD;
  struct os_error damaged = {0};
  int damage = os_stream_read(stream, window, head, &at_end, &damaged);
  if (damage && !window->len) {
    *error = damaged;
    rc = damage;
    goto done;
  }
  struct os_parser_start start = {.source_name = os_source_file_name(source),
                                  .offset = source->start_offset,
                                  .line = source->start_line,
                                  .head = window->data,
                                  .head_len = window->len,
                                  .head_is_all = at_end};
  enum os_format format = source->format;
  if (format == OS_FORMAT_UNKNOWN) format = os_format_by_content(window->data, window->len);
  rc = os_parser_open(&parser, format, pipeline->options.parse, &start, &sink, error);
  if (rc) goto done;
  if (source->start_offset && source->start_offset <= window->len) {
    size_t rest = window->len - (size_t)source->start_offset;
    memmove(window->data, window->data + source->start_offset, rest);
    window->len = rest;
  } else if (source->start_offset) {
    os_buf_clear(window);
    if (!damage) damage = os_stream_skip_to(stream, source->start_offset, &damaged);
    if (!damage) damage = os_stream_read(stream, window, OS_READ_CHUNK, &at_end, &damaged);
  }
  if (damage) { /* damaged so soon: hand out what is whole, then say so */
    size_t used;
    os_parser_run(parser, window->data, window->len, false, &used, error);
    *error = damaged;
    rc = damage;
    goto done;
  }
  struct os_read_ahead *ahead = at_end ? NULL : os_read_ahead_start(stream, source);
  rc = parse_stream(parser, stream, ahead, window, at_end, error);
  os_read_ahead_stop(ahead);
  int changed = rc == OS_ERR_CANCELLED ? OS_OK : os_stream_check_unchanged(stream, rc ? NULL : error);
  if (!rc) rc = changed;
done:
  if (parser) os_parser_free(parser);
  os_stream_close(stream);
  return rc;
}

/* Read a source to its end and say so in its last batch. Anything but OS_OK: the reader must end. */
static int read_one(struct os_feeder *feeder, const struct taken *taken, struct os_buf *window) {
  struct os_error error;
  os_error_clear(&error);
  os_feeder_begin_source(feeder, taken->number);
  int rc = read_source(feeder, taken->number, taken->stream, window, &error);
  if (rc == OS_ERR_CANCELLED) return rc;
  if (rc == OS_ERR_NOMEM) {
    os_fail_nomem(&error);
    os_pipeline_fail(feeder->pipeline, &error);
    return rc;
  }
  struct os_error *why = NULL;
  if (rc) {
    why = os_malloc(sizeof *why);
    if (!why) return OS_ERR_NOMEM;
    if (!error.code) os_fail(&error, (enum os_code)rc, "%s: reading ended early", os_code_name(rc));
    *why = error;
  }
  return os_feeder_end_source(feeder, why);
}

/* ---- which sources -------------------------------------------------------------------------- */

/* Under lock: the source that is to be taken next; NULL: there is none, or not yet. */
static const struct os_source *waiting_source(const struct os_pipeline *pipeline) {
  bool there = pipeline->next_source < pipeline->source_count;
  return there ? os_source_at(pipeline->options.sources, pipeline->next_source) : NULL;
}

/* Files are taken one by one, so that readers share them evenly. */
static bool has_room(const struct taken_list *list, const struct os_source *source) {
  if (!list->count) return true;
  if (list->count >= list->most || !os_source_is_object(source)) return false;
  return list->asked + os_stream_first_bytes(source) <= AHEAD_BYTES;
}

/* NULL: there is none, or not yet (list->all tells), or no room for it. */
static const struct os_source *claim_source(struct os_pipeline *pipeline, struct taken_list *list,
                                            uint32_t *number) {
  pthread_mutex_lock(&pipeline->lock);
  const struct os_source *source = waiting_source(pipeline);
  list->all = !source && !pipeline->more_sources;
  if (source && !has_room(list, source)) source = NULL;
  if (source) *number = (uint32_t)pipeline->next_source++;
  pthread_mutex_unlock(&pipeline->lock);
  return source;
}

/* An object is opened, so that its first bytes come. */
static void take_source(struct os_pipeline *pipeline, struct taken_list *list, const struct os_source *source,
                        uint32_t number) {
  struct os_error ignored;
  if (source->skip) return;
  struct taken *taken = &list->items[(list->first + list->count++) % AHEAD];
  *taken = (struct taken){.number = number, .asked = os_stream_first_bytes(source)};
  list->asked += taken->asked;
  if (os_source_is_object(source) &&
      os_stream_open(&taken->stream, source, &pipeline->stop, &pipeline->figures.bytes_read, &ignored))
    taken->stream = NULL; /* when it is read it will be said why */
}

/* False: there is none, or not yet. */
static bool next_source(struct os_pipeline *pipeline, struct taken_list *list, struct taken *out) {
  const struct os_source *source;
  uint32_t number;
  while ((source = claim_source(pipeline, list, &number)))
    take_source(pipeline, list, source, number);
  if (!list->count) return false;
  *out = list->items[list->first];
  list->first = (list->first + 1) % AHEAD;
  list->count--;
  list->asked -= out->asked;
  return true;
}

/* For another source, or the word that there is none; not for long. */
static void wait_for_source(struct os_pipeline *pipeline) {
  struct timespec until = os_cond_deadline(WAIT_SECONDS);
  pthread_mutex_lock(&pipeline->lock);
  if (!waiting_source(pipeline) && pipeline->more_sources)
    pthread_cond_timedwait(&pipeline->added, &pipeline->lock, &until);
  pthread_mutex_unlock(&pipeline->lock);
}

static void leave_sources(struct taken_list *list) {
  for (; list->count; list->count--) {
    os_stream_close(list->items[list->first].stream);
    list->first = (list->first + 1) % AHEAD;
  }
}

/* Of those that may be under way at once; the first is taken in any case. */
static size_t share_of_objects(const struct os_pipeline *pipeline) {
  int readers = pipeline->options.readers;
  return os_s3_fetch_most() / (size_t)(readers > 1 ? readers : 1);
}

void *os_reader_main(void *arg) {
  struct os_pipeline *pipeline = arg;
  struct os_feeder feeder;
  struct os_buf window;
  struct os_error nomem;
  struct taken_list list = {.most = share_of_objects(pipeline)};
  struct taken taken;
  os_buf_init(&window, 0);
  bool gated = pipeline->options.readers <= 1;
  int rc = os_feeder_init(&feeder, pipeline, gated);
  while (!rc && !atomic_load(&pipeline->stop)) {
    if (next_source(pipeline, &list, &taken)) {
      rc = read_one(&feeder, &taken, &window);
    } else if (list.all) {
      break;
    } else {
      rc = os_feeder_flush(&feeder, false); /* what is read does not wait for what is not listed yet */
      wait_for_source(pipeline);
    }
  }
  leave_sources(&list);
  if (!rc) rc = os_feeder_flush(&feeder, true);
  if (rc == OS_ERR_NOMEM) {
    os_error_clear(&nomem);
    os_fail_nomem(&nomem);
    os_pipeline_fail(pipeline, &nomem);
  }
  os_feeder_free(&feeder);
  os_buf_free(&window);
  pthread_mutex_lock(&pipeline->lock);
  atomic_fetch_sub(&pipeline->readers_running, 1);
  os_queue_wake(&pipeline->settled); /* the keeper may have taken the last batch already */
  pthread_cond_broadcast(&pipeline->exited);
  pthread_mutex_unlock(&pipeline->lock);
  os_pipeline_unref(pipeline);
  return NULL;
}
