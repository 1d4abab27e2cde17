/* source_list.h - from a path argument to the list of files to read: a file, a folder with its subfolders,
** a glob, standard input, an object or a prefix of S3, or a JSON array of these. Order: as given; inside
** folders, globs and prefixes by name, byte by byte.
*/
#ifndef OS_PIPELINE_SOURCE_LIST_H
#define OS_PIPELINE_SOURCE_LIST_H
#include <stddef.h>
#include "aws/s3/client.h"
#include "base/error.h"
#include "net/http.h"
#include "pipeline/source.h"

struct os_source_list {
  struct os_source *sources;
  size_t count, cap;
  size_t ahead_to;      /* objects before this one have been asked for their heads */
  uint64_t ahead_bytes; /* of heads that are under way */
  uint64_t kept_bytes;  /* of small objects that are kept from being looked at to being read */
};

/* How objects of S3 are reached. Opened when the first s3:// is met, so that loads of local files need no keys. */
struct os_source_s3 {
  int (*open)(void *ctx, struct os_aws **aws, struct os_net **net, struct os_error *error);
  void *ctx;
  struct os_s3_options options;
};

/* Fills path, name, size, mtime and identity of each source. Every folder below is walked (symbolic links
** are followed, loops are noticed), every file is listed once however often it is named. Errors name the
** path: missing, unreadable, a glob without a match, nothing to load. s3 NULL: s3:// is refused. */
int os_source_list_build(struct os_source_list *list, const char *argument, const struct os_source_s3 *s3,
                         const struct os_probe *probe, struct os_error *error);
void os_source_list_free(struct os_source_list *list);

/* A new source at the end of the list, all zero but its path (a copy) and name (from name_at on). NULL: no memory. */
struct os_source *os_source_list_add(struct os_source_list *list, const char *path, size_t name_at);
/* Is this a file that a folder's or prefix's walk takes? By its ending, before .gz or .zst. */
bool os_source_is_data(const char *name);

/* source_objects.c: the objects that an s3:// URL names. */
int os_source_add_objects(struct os_source_list *list, struct os_s3 *s3, const char *url,
                          struct os_error *error);
/* source_objects.c: before source i is looked at: ask for the heads of the objects that follow. */
void os_source_look_ahead(struct os_source_list *list, size_t i);
/* source_objects.c: source i has been looked at: keep a small object's bytes for the reader, let go of others. */
void os_source_looked_at(struct os_source_list *list, size_t i);
#endif
