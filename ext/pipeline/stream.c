/* stream.c - see stream.h. */
#define _GNU_SOURCE /* strerrordesc_np() */
#include "pipeline/stream.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "aws/s3/fetch.h"
#include "base/alloc.h"
#include "base/text.h"
#include "pipeline/examine.h"

enum { MAGIC = 16, DISK_CHUNK = 1 << 18, SKIP_CHUNK = 1 << 20 };

struct os_stream {
  const struct os_source *source;
  const atomic_bool *stop;
  atomic_uint_fast64_t *bytes_read;
  int fd;                    /* -1: an object */
  struct os_s3_fetch *fetch; /* an object's bytes; NULL: the preread ones are all */
  const struct os_probe *probe;
  bool undecided; /* whether the bytes are compressed will be seen from the first of them */
  bool regular;
  bool disk_end;              /* read() said 0 */
  bool ended;                 /* and everything was handed out */
  size_t preread_at;          /* of source->preread */
  uint64_t offset;            /* decompressed bytes handed out or skipped */
  struct os_inflate *inflate; /* NULL: plain */
  char *in;                   /* DISK_CHUNK bytes of compressed input */
  size_t in_at, in_len;
};

static int fail_errno(struct os_error *error, const char *doing, const struct os_source *source) {
  return os_fail(error, OS_ERR_IO, "%s %s: %s", doing, source->path, strerrordesc_np(errno));
}

static int open_file(struct os_stream *stream, struct os_error *error) {
  const struct os_source *source = stream->source;
  struct stat st;
  if (os_source_is_stdin(source))
    stream->fd = STDIN_FILENO;
  else if (source->stream_fd > 0)
    stream->fd = source->stream_fd;
  else
    stream->fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (stream->fd < 0 || fstat(stream->fd, &st) != 0) return fail_errno(error, "cannot open", source);
  stream->regular = S_ISREG(st.st_mode);
  if (stream->regular) posix_fadvise(stream->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  return OS_OK;
}

static int open_object(struct os_stream *stream, uint64_t from, struct os_error *error) {
  const struct os_source *source = stream->source;
  if (source->preread_len || from >= source->size) return OS_OK;
  struct os_s3_want want = {.bucket = source->bucket,
                            .key = source->name,
                            .etag = source->etag,
                            .from = from,
                            .end = source->size,
                            .first = OS_S3_FIRST_RANGE};
  return os_s3_fetch_open(&stream->fetch, &want, error);
}

static int open_inflate(struct os_stream *stream, enum os_compression compression, struct os_error *error) {
  if (!stream->in) stream->in = os_malloc(DISK_CHUNK + OS_PAD);
  if (!stream->in) return os_fail_nomem(error);
  return compression == OS_PLAIN ? OS_OK : os_inflate_open(&stream->inflate, compression, error);
}

uint64_t os_stream_first_bytes(const struct os_source *source) {
  if (!os_source_is_object(source) || source->preread_len) return 0;
  return source->size < OS_S3_FIRST_RANGE ? source->size : OS_S3_FIRST_RANGE;
}

int os_stream_open(struct os_stream **out, const struct os_source *source, const atomic_bool *stop,
                   atomic_uint_fast64_t *bytes_read, struct os_error *error) {
  struct os_stream *stream = os_calloc(1, sizeof *stream);
  *out = NULL;
  if (!stream) return os_fail_nomem(error);
  stream->source = source;
  stream->stop = stop;
  stream->bytes_read = bytes_read;
  stream->fd = -1;
  stream->undecided = source->unseen;
  int rc = os_source_is_object(source) ? open_object(stream, 0, error) : open_file(stream, error);
  if (!rc && source->compression != OS_PLAIN && !stream->undecided)
    rc = open_inflate(stream, source->compression, error);
  if (rc)
    os_stream_close(stream);
  else
    *out = stream;
  return rc;
}

void os_stream_close(struct os_stream *stream) {
  if (!stream) return;
  if (stream->fd > STDIN_FILENO && stream->fd != stream->source->stream_fd) close(stream->fd);
  os_s3_fetch_close(stream->fetch);
  if (stream->inflate) os_inflate_free(stream->inflate);
  os_free(stream->in);
  os_free(stream);
}

void os_stream_watch(struct os_stream *stream, const struct os_probe *probe) {
  stream->probe = probe;
}

void os_stream_limit(struct os_stream *stream, uint64_t bytes) {
  if (stream->fetch && !stream->inflate && !stream->undecided) os_s3_fetch_limit(stream->fetch, bytes);
}

bool os_stream_inflates(const struct os_stream *stream) {
  return stream->inflate != NULL;
}

static void count_bytes(struct os_stream *stream, size_t n) {
  if (stream->bytes_read) atomic_fetch_add_explicit(stream->bytes_read, n, memory_order_relaxed);
}

static int read_object(struct os_stream *stream, char *to, size_t want, size_t *got, struct os_error *error) {
  *got = 0;
  int rc = OS_OK;
  if (stream->fetch) rc = os_s3_fetch_read(stream->fetch, to, want, got, stream->stop, stream->probe, error);
  if (!rc && !*got) stream->disk_end = true;
  count_bytes(stream, *got);
  return rc;
}

/* read(2), which notices `stop` while a pipe has nothing. *got 0: the end. */
static int read_disk(struct os_stream *stream, char *to, size_t want, size_t *got, struct os_error *error) {
  const struct os_source *source = stream->source;
  if (stream->preread_at < source->preread_len) {
    *got = source->preread_len - stream->preread_at;
    if (*got > want) *got = want;
    memcpy(to, source->preread + stream->preread_at, *got);
    stream->preread_at += *got;
    count_bytes(stream, *got);
    return OS_OK;
  }
  if (os_source_is_object(source)) return read_object(stream, to, want, got, error);
  for (;;) {
    if (stream->stop && atomic_load_explicit(stream->stop, memory_order_relaxed))
      return os_fail(error, OS_ERR_CANCELLED, "stopped");
    if (source->only_preread) {
      stream->disk_end = true;
      *got = 0;
      return OS_OK;
    }
    if (!stream->regular) {
      struct pollfd ready = {.fd = stream->fd, .events = POLLIN};
      int n = poll(&ready, 1, 100);
      if (n == 0 || (n < 0 && errno == EINTR)) continue;
    }
    ssize_t n = read(stream->fd, to, want);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return fail_errno(error, "cannot read", stream->source);
    *got = (size_t)n;
    if (n == 0) stream->disk_end = true;
    count_bytes(stream, (size_t)n);
    return OS_OK;
  }
}

/* The first bytes say what the others are; they stay in `in`. */
static int decide(struct os_stream *stream, struct os_error *error) {
  enum os_compression compression;
  int rc = open_inflate(stream, OS_PLAIN, error);
  while (!rc && stream->in_len < MAGIC && !stream->disk_end) {
    size_t got = 0;
    rc = read_disk(stream, stream->in + stream->in_len, DISK_CHUNK - stream->in_len, &got, error);
    stream->in_len += got;
  }
  if (rc) return rc;
  stream->undecided = false;
  compression = os_compression_detect(stream->in, stream->in_len);
  rc = os_source_check_name(stream->source, compression, error);
  return rc || compression == OS_PLAIN ? rc : open_inflate(stream, compression, error);
}

/* What decide() took. */
static void take_first(struct os_stream *stream, struct os_buf *window, size_t target) {
  size_t there = stream->in_len - stream->in_at, room = target - window->len;
  if (there > room) there = room;
  if (!there) return;
  memcpy(window->data + window->len, stream->in + stream->in_at, there);
  window->len += there;
  stream->in_at += there;
}

static int read_plain(struct os_stream *stream, struct os_buf *window, size_t target,
                      struct os_error *error) {
  take_first(stream, window, target);
  while (window->len < target && !stream->disk_end) {
    size_t got = 0;
    int rc = read_disk(stream, window->data + window->len, target - window->len, &got, error);
    if (rc) return rc;
    window->len += got;
  }
  stream->ended = stream->disk_end && stream->in_at == stream->in_len;
  return OS_OK;
}

static int read_inflated(struct os_stream *stream, struct os_buf *window, size_t target,
                         struct os_error *error) {
  while (window->len < target && !stream->ended) {
    if (stream->in_at == stream->in_len && !stream->disk_end) {
      stream->in_at = stream->in_len = 0;
      int rc = read_disk(stream, stream->in, DISK_CHUNK, &stream->in_len, error);
      if (rc) return rc;
    }
    size_t used = 0, made = 0;
    bool ended = false;
    int rc = os_inflate_run(stream->inflate, stream->in + stream->in_at, stream->in_len - stream->in_at,
                            stream->disk_end, &used, window->data + window->len, target - window->len, &made,
                            &ended, error);
    window->len += made; /* also what was whole before a fault */
    stream->in_at += used;
    if (rc) return rc;
    if (stream->disk_end && stream->in_at == stream->in_len && !made) stream->ended = true;
  }
  return OS_OK;
}

int os_stream_read(struct os_stream *stream, struct os_buf *window, size_t want, bool *at_end,
                   struct os_error *error) {
  size_t before = window->len;
  if (!os_buf_reserve(window, want)) return os_fail_nomem(error);
  int rc = stream->undecided ? decide(stream, error) : OS_OK;
  if (rc) return rc;
  rc = stream->inflate ? read_inflated(stream, window, before + want, error)
                       : read_plain(stream, window, before + want, error);
  os_buf_zero_pad(
      window); /* a checker of memory cannot know that what the parsers read there does not count */
  stream->offset += window->len - before;
  *at_end = stream->ended;
  return rc;
}

/* A plain object: from that byte on, if it was not taken already. */
static int skip_object(struct os_stream *stream, uint64_t offset, struct os_error *error) {
  const struct os_source *source = stream->source;
  os_s3_fetch_close(stream->fetch);
  stream->fetch = NULL;
  stream->in_at = stream->in_len = 0;
  stream->preread_at = offset < source->preread_len ? (size_t)offset : source->preread_len;
  stream->offset = offset;
  stream->ended = stream->disk_end = false;
  return open_object(stream, offset, error);
}

int os_stream_skip_to(struct os_stream *stream, uint64_t offset, struct os_error *error) {
  if (!stream->inflate && !stream->undecided && os_source_is_object(stream->source))
    return skip_object(stream, offset, error);
  if (!stream->inflate && stream->regular) {
    if (lseek(stream->fd, (off_t)offset, SEEK_SET) < 0)
      return fail_errno(error, "cannot go on inside", stream->source);
    stream->offset = offset;
    stream->ended = stream->disk_end = false;
    return OS_OK;
  }
  struct os_buf waste;
  os_buf_init(&waste, 0);
  int rc = OS_OK;
  bool at_end = false;
  while (!rc && stream->offset < offset) {
    uint64_t left = offset - stream->offset;
    os_buf_clear(&waste);
    rc = os_stream_read(stream, &waste, left < SKIP_CHUNK ? (size_t)left : SKIP_CHUNK, &at_end, error);
    if (!rc && at_end && stream->offset < offset)
      rc = os_fail(error, OS_ERR_FORMAT,
                   "%s ends at byte %llu, before the place where the earlier load stopped",
                   stream->source->path, (unsigned long long)stream->offset);
  }
  os_buf_free(&waste);
  return rc;
}

int os_stream_check_unchanged(struct os_stream *stream, struct os_error *error) {
  const struct os_source *source = stream->source;
  struct stat st;
  if (source->is_stream || os_source_is_object(source)) return OS_OK; /* each range asks for its ETag */
  if (fstat(stream->fd, &st) != 0) return fail_errno(error, "cannot look at", source);
  int64_t mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
  if ((uint64_t)st.st_size == source->size && mtime_ns == source->mtime_ns) return OS_OK;
  os_fail(error, OS_ERR_IO, "%s changed while it was read (%llu bytes when the load began, %llu now)",
          source->path, (unsigned long long)source->size, (unsigned long long)st.st_size);
  return os_advise(error, "load it again when nothing writes to it any more");
}
