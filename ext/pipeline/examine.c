/* examine.c - see examine.h. */
#define _GNU_SOURCE /* strerrordesc_np() */
#include "pipeline/examine.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include "aws/s3/fetch.h"
#include "base/alloc.h"
#include "base/text.h"
#include "pipeline/stream.h"

enum { MAGIC = 16 };

/* A named pipe that nobody has open for writing gives an end at once; one that is written to gives EAGAIN. */
static int nobody_writes(const struct os_source *source, struct os_error *error) {
  os_fail(error, OS_ERR_IO, "nobody writes to the pipe %s", source->path);
  return os_advise(error, "start the program that writes to it first, then load");
}

/* Take what a stream has to offer, up to OS_EXAMINE_HEAD bytes, and keep it. */
static int read_ahead(struct os_source *source, int fd, const struct os_probe *probe,
                      struct os_error *error) {
  while (source->preread_len < OS_EXAMINE_HEAD) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    poll(&ready, 1, 50);
    if (probe && probe->interrupted(probe->ctx))
      return os_fail(error, OS_ERR_INTERRUPTED, "interrupted while waiting for %s", source->path);
    if (os_source_is_stdin(source) && !ready.revents)
      continue; /* may be a terminal: do not block in read() */
    ssize_t got = read(fd, source->preread + source->preread_len, OS_EXAMINE_HEAD - source->preread_len);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return os_fail(error, OS_ERR_IO, "cannot read %s: %s", source->path, strerrordesc_np(errno));
    if (got == 0 && !source->preread_len && !ready.revents) return nobody_writes(source, error);
    if (got == 0) return OS_OK;
    source->preread_len += (size_t)got;
  }
  return OS_OK;
}

static int preread(struct os_source *source, const struct os_probe *probe, struct os_error *error) {
  source->preread = os_malloc(OS_EXAMINE_HEAD);
  if (!source->preread) return os_fail_nomem(error);
  if (os_source_is_stdin(source)) return read_ahead(source, STDIN_FILENO, probe, error);
  int fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return os_fail(error, OS_ERR_IO, "cannot open %s: %s", source->path, strerrordesc_np(errno));
  source->stream_fd = fd; /* a pipe is opened once: closing it would end its writer */
  return read_ahead(source, fd, probe, error);
}

/* The head of an object; it may be under way already. */
static int fetch_head(struct os_source *source, const struct os_probe *probe, struct os_error *error) {
  size_t size = source->size < OS_EXAMINE_HEAD ? (size_t)source->size : OS_EXAMINE_HEAD;
  struct os_s3_want want = {
      .bucket = source->bucket, .key = source->name, .etag = source->etag, .end = size, .first = size};
  int rc = OS_OK;
  if (!size || source->preread_len) return OS_OK;
  if (!source->preread) source->preread = os_malloc(size);
  if (!source->preread) return os_fail_nomem(error);
  if (!source->ahead) rc = os_s3_fetch_open(&source->ahead, &want, error);
  size_t have = 0, got = 1;
  while (!rc && have < size && got) {
    rc = os_s3_fetch_read(source->ahead, source->preread + have, size - have, &got, NULL, probe, error);
    have += got;
  }
  os_s3_fetch_close(source->ahead);
  source->ahead = NULL;
  if (!rc) source->preread_len = have;
  return rc;
}

static int detect_compression(struct os_source *source, const struct os_probe *probe,
                              struct os_error *error) {
  char magic[MAGIC];
  if (source->is_stream || os_source_is_object(source)) {
    int rc = source->is_stream ? preread(source, probe, error) : fetch_head(source, probe, error);
    if (!rc) source->compression = os_compression_detect(source->preread, source->preread_len);
    return rc;
  }
  int fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return os_fail(error, OS_ERR_IO, "cannot open %s: %s", source->path, strerrordesc_np(errno));
  ssize_t n = read(fd, magic, sizeof magic);
  int saved = errno;
  close(fd);
  if (n < 0) return os_fail(error, OS_ERR_IO, "cannot read %s: %s", source->path, strerrordesc_np(saved));
  source->compression = os_compression_detect(magic, (size_t)n);
  return OS_OK;
}

/* A name that promises compression on bytes that are not: a download that failed, mostly (an error page). */
int os_source_check_name(const struct os_source *source, enum os_compression compression,
                         struct os_error *error) {
  bool gz = os_has_suffix(source->path, ".gz", true), zst = os_has_suffix(source->path, ".zst", true);
  bool has_bytes = source->size > 0 || source->preread_len > 0;
  if (compression != OS_PLAIN || !has_bytes || !(gz || zst)) return OS_OK;
  os_fail(error, OS_ERR_FORMAT, "%s is not compressed, whatever its name says", source->path);
  return os_advise(error, "look at its first lines; if it is what it should be, give it a name without %s",
                   gz ? ".gz" : ".zst");
}

int os_source_head(const struct os_source *source, size_t want, const struct os_probe *probe,
                   struct os_buf *head, bool *is_all, struct os_error *error) {
  struct os_stream *stream = NULL;
  bool at_end = false;
  int rc;
  if (source->is_stream && source->compression == OS_PLAIN) {
    os_buf_append(head, source->preread, source->preread_len < want ? source->preread_len : want);
    *is_all = source->preread_len < OS_EXAMINE_HEAD && source->preread_len <= want;
    return head->failed ? os_fail_nomem(error) : OS_OK;
  }
  rc = os_stream_open(&stream, source, NULL, NULL, error);
  if (!rc) {
    os_stream_watch(stream, probe);
    os_stream_limit(stream, want);
    rc = os_stream_read(stream, head, want, &at_end, error);
  }
  os_stream_close(stream);
  *is_all = at_end;
  return rc;
}

/* What was taken of a compressed pipe, or of an object, is looked at as a file of its own would be, as far
** as it goes; that it may be cut short is what it is. */
static int taken_head(const struct os_source *source, size_t want, struct os_buf *head, bool *is_all,
                      struct os_error *error) {
  struct os_source taken = *source;
  bool whole = os_source_is_object(source) && source->preread_len == source->size;
  struct os_error cut;
  taken.only_preread = true;
  os_error_clear(&cut);
  int rc = os_source_head(&taken, want, NULL, head, is_all, &cut);
  if (!whole) *is_all = false;
  if (!rc || !whole || (rc == OS_ERR_FORMAT && head->len))
    return OS_OK; /* the reader will say where it is damaged */
  *error = cut;
  return rc;
}

int os_source_examine(struct os_source *source, enum os_format format, const struct os_parse_options *options,
                      const struct os_probe *probe, struct os_head_facts *facts, struct os_error *error) {
  struct os_buf head;
  bool is_all = false;
  memset(facts, 0, sizeof *facts);
  os_buf_init(&head, 0);
  int rc = detect_compression(source, probe, error);
  if (!rc) rc = os_source_check_name(source, source->compression, error);
  if (rc) goto done;
  size_t want = OS_EXAMINE_HEAD;
  if (source->compression == OS_PLAIN && !source->is_stream && source->size < want)
    want = (size_t)source->size + 1;
  if (os_source_is_object(source) || (source->is_stream && source->compression != OS_PLAIN)) {
    rc = taken_head(source, want, &head, &is_all, error);
  } else {
    struct os_error damage;
    os_error_clear(&damage);
    rc = os_source_head(source, want, NULL, &head, &is_all, &damage);
    if (rc == OS_ERR_FORMAT && head.len) rc = OS_OK; /* damaged further on: the reader will say where */
    if (rc) *error = damage;
  }
  if (rc) goto done;
  if (!os_buf_reserve(&head, OS_PAD)) {
    rc = os_fail_nomem(error);
    goto done;
  }
  source->format = format != OS_FORMAT_UNKNOWN ? format : os_format_by_name(source->name);
  if (source->format == OS_FORMAT_UNKNOWN) source->format = os_format_by_content(head.data, head.len);
  rc = os_head_examine(source->format, options, head.data, head.len, is_all, facts, error);
done:
  if (os_source_is_object(source) && source->preread_len < source->size) {
    os_free(source->preread); /* the reader begins anew */
    source->preread = NULL;
    source->preread_len = 0;
  }
  if (rc && rc != OS_ERR_INTERRUPTED && !strstr(error->text, source->path))
    os_error_prefix(error, "%s", source->path);
  os_buf_free(&head);
  return rc;
}
