/* source.h - one thing to read: a file, an object of S3, or standard input. Filled by source_list.c,
** source_objects.c and fingerprint.c, completed by the operation (where to start, what its computed ids
** begin with), read by the readers; immutable while they run.
*/
#ifndef OS_PIPELINE_SOURCE_H
#define OS_PIPELINE_SOURCE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "format/inflate.h"
#include "format/parser.h"

enum { OS_ID_PREFIX = 16, OS_FINGERPRINT_TEXT = 96 };

struct os_s3_bucket;
struct os_s3_fetch;

struct os_source {  /* there may be very many: mind the order of the members */
  char *path;       /* as opened, or s3://bucket/key; "-" is standard input. Owned */
  const char *name; /* inside path: relative to the given source; an object's key; "-" for standard input */
  uint64_t size;    /* bytes as stored; 0 for a stream */
  int64_t mtime_ns;
  uint64_t device, inode;      /* identity: each file is read once however often it is named */
  unsigned char digest[32];    /* SHA-256 over the sampled content; see fingerprint.h */
  struct os_s3_bucket *bucket; /* object: a reference; NULL otherwise */
  char *etag;                  /* object: what tells its content. Owned */
  struct os_s3_fetch *ahead;   /* object: its head, under way before it is looked at. Owned */
  char *
      preread; /* stream: bytes taken already to see what it is; read first. Object: its head while it is looked
                 ** at, or all of it when it is small. Owned */
  size_t preread_len;
  int stream_fd; /* a pipe that was opened to be looked at; 0: not opened yet. Owned */
  enum os_format format;
  enum os_compression compression;
  bool has_digest;
  bool unseen;       /* object: what it is was told by its name alone; the reader looks at the content */
  bool is_stream;    /* standard input, a pipe: can be read once, from its beginning */
  bool only_preread; /* nothing but preread is read (examining) */
  /* set by the operation */
  bool maybe_sent;                   /* records here may have been sent before: a 409 means "already there" */
  bool skip;                         /* not read at all */
  char id_prefix[OS_ID_PREFIX + 1];  /* of computed ids; empty: none are computed */
  uint64_t start_offset, start_line; /* record boundary to begin at (decompressed); 0 and 1 */
  int64_t tag;                       /* the operation's own number for it (row of os_job_files) */
};

/* The file's name without its folder: what option source_field adds to each document. */
static inline const char *os_source_file_name(const struct os_source *source) {
  const char *slash = strrchr(source->path, '/');
  return slash && slash[1] ? slash + 1 : source->path;
}

static inline bool os_source_is_object(const struct os_source *source) {
  return source->bucket != NULL;
}

static inline bool os_source_is_stdin(const struct os_source *source) {
  return source->path[0] == '-' && source->path[1] == 0;
}
#endif
