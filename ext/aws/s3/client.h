/* client.h - objects of S3 from the keeper's thread: where a bucket is, what is in it.
**
** A client belongs to one command. What it finds out about a bucket (address, region) is in a counted
** struct that readers keep as long as they like.
*/
#ifndef OS_AWS_S3_CLIENT_H
#define OS_AWS_S3_CLIENT_H
#include <stdatomic.h>
#include <stdbool.h>
#include "aws/s3/listing.h"
#include "aws/service.h"
#include "base/error.h"
#include "base/log.h"
#include "config/endpoint.h"
#include "net/http.h"

struct os_s3_bucket { /* counted; once a request to it went well nothing changes any more */
  atomic_int references;
  char *name;
  struct os_endpoint *endpoint; /* a reference */
  struct os_net *net;           /* outlives whoever uses it */
  struct os_log *log;           /* a reference, or NULL */
  char region[32];
  bool in_host;       /* the bucket stands in the endpoint's host name */
  bool request_payer; /* the requester pays */
};
struct os_s3_bucket *os_s3_bucket_ref(struct os_s3_bucket *bucket);
void os_s3_bucket_unref(struct os_s3_bucket *bucket);

struct os_s3_options {
  bool anonymous;     /* requests are not signed: public buckets */
  bool request_payer; /* header x-amz-request-payer */
};
struct os_s3;
/* All borrowed. */
int os_s3_open(struct os_s3 **out, struct os_aws *aws, struct os_net *net, const struct os_probe *probe,
               const struct os_s3_options *options, struct os_error *error);
void os_s3_close(struct os_s3 *s3);
/* From now on another probe ends a wait. After it, requests to buckets that were reached may come from another thread,
** one at a time. */
void os_s3_watch(struct os_s3 *s3, const struct os_probe *probe);

/* Is there an object of this key? *found; then *object is filled (free it) and *out a reference of the bucket. */
int os_s3_look(struct os_s3 *s3, const char *bucket_name, const char *key, bool *found,
               struct os_s3_object *object, struct os_s3_bucket **out, struct os_error *error);

/* Every object whose key begins with prefix, in order of keys (UTF-8), page by page; with a delimiter also
** what lies below. `page` may take texts out of what it is shown; anything but OS_OK ends the list. The
** bucket is borrowed. */
typedef int os_s3_take_page(void *ctx, struct os_s3_bucket *bucket, struct os_s3_page *page,
                            struct os_error *error);
int os_s3_list(struct os_s3 *s3, const char *bucket_name, const char *prefix, const char *delimiter,
               os_s3_take_page *take, void *ctx, struct os_error *error);

/* The headers of each request for objects in a bucket: `lines`, ending with NULL, of which count stand there. */
enum { OS_S3_HEADERS = 4 };
void os_s3_put_headers(const struct os_s3_bucket *bucket, const char *lines[OS_S3_HEADERS], size_t count);
/* The error for an answer that is no success, where S3's own faults can be explained better than in general. */
int os_s3_fail(const struct os_http_call *call, const struct os_s3_bucket *bucket, const char *key,
               struct os_error *error);
#endif
