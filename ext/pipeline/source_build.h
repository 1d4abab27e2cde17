/* source_build.h - from the path of a load to its sources. Keeper's thread. */
#ifndef OS_PIPELINE_SOURCE_BUILD_H
#define OS_PIPELINE_SOURCE_BUILD_H
#include "aws/s3/client.h"
#include "net/http.h"
#include "pipeline/source_lister.h"

/* How objects of S3 are reached. Opened when the first s3:// is met, so that loads of local files need no keys. */
struct os_source_s3 {
  int (*open)(void *ctx, struct os_aws **aws, struct os_net **net, struct os_error *error);
  void *ctx;
  struct os_s3_options options;
};

/* Fills path, name, size, mtime and identity of each source; the list is empty before. Every folder below is walked
** (symbolic links are followed, loops are noticed), every file is listed once however often it is named. Errors name
** the path: missing, unreadable, a glob without a match, nothing to load. s3 NULL: s3:// is refused.
**
** rest not NULL: what S3 has more than a page of, at the end of the argument, is listed while its caller goes on:
** *rest is then a lister (os_source_lister_free() it), of which it is known that it will find something for each URL;
** otherwise NULL. URLs that may name the same object are listed here, so that each object comes once. */
int os_source_list_build(struct os_source_list *list, const char *argument, const struct os_source_s3 *s3,
                         const struct os_probe *probe, struct os_source_lister **rest,
                         struct os_error *error);

/* source_walk.c: the files that one path names; "-" is standard input. */
int os_source_add_files(struct os_source_list *list, const char *path, const struct os_probe *probe,
                        struct os_error *error);
/* Is this a file that a folder's or prefix's walk takes? By its ending, before .gz or .zst. */
bool os_source_is_data(const char *name);

/* source_objects.c: the objects that one s3:// URL names. `between` is called when there is more than a page, behind
** each page but the last; anything but OS_OK ends the list. */
struct os_source_pages {
  int (*between)(void *ctx, struct os_source_list *list, struct os_error *error);
  void *ctx;
};
int os_source_add_objects(struct os_source_list *list, struct os_s3 *s3, const char *url,
                          const struct os_source_pages *pages, struct os_error *error);
#endif
