/* listing.h - what S3 says about objects: pages of ListObjectsV2 and the headers of one object (Amazon S3
** API Reference, "ListObjectsV2"). Pure; any thread.
*/
#ifndef OS_AWS_S3_LISTING_H
#define OS_AWS_S3_LISTING_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buffer.h"
#include "base/error.h"

struct os_s3_object {
  char *key;     /* as it is, nothing encoded; owned */
  char *etag;    /* without its quotes; owned */
  char *version; /* os_s3_look() alone; NULL: the bucket keeps none; owned */
  uint64_t size;
  int64_t modified_ns; /* since 1970 */
};
void os_s3_object_free(struct os_s3_object *object);

struct os_s3_page {
  struct os_s3_object *objects;
  size_t count, cap;
  char **prefixes; /* with a delimiter: what lies below, up to it; owned */
  size_t prefix_count, prefix_cap;
  bool truncated; /* there is a next page */
  char *token;    /* for it; owned */
};
int os_s3_page_read(const char *xml, size_t len, struct os_s3_page *page, struct os_error *error);
void os_s3_page_free(struct os_s3_page *page);

struct os_s3_list_query {
  const char *prefix;
  const char *delimiter; /* NULL: none */
  const char *token;     /* of the page before; NULL */
  const char *after;     /* without a token: keys behind this one; NULL */
};
void os_s3_put_list_query(struct os_buf *out, const struct os_s3_list_query *query); /* without '?' */

/* "Wed, 21 Oct 2015 07:28:00 GMT" (RFC 9110 section 5.6.7), seconds since 1970. */
bool os_s3_parse_date(const char *text, size_t len, double *seconds);
/* An ETag without the quotes around it; a new text. */
char *os_s3_plain_etag(const char *text, size_t len);
/* A key of a list or of an event, which were encoded as HTML forms are ('+' is a blank), in place. What
** is no encoding stands for itself. */
void os_s3_decode_key(char *text);
#endif
