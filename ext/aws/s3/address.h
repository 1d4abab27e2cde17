/* address.h - names of S3: s3:// URLs, buckets, keys, and how both stand in a request. Pure; any thread.
*/
#ifndef OS_AWS_S3_ADDRESS_H
#define OS_AWS_S3_ADDRESS_H
#include <stdbool.h>
#include <stddef.h>
#include "base/buffer.h"
#include "base/error.h"

enum { OS_S3_BUCKET_NAME = 256 };

bool os_s3_is_url(const char *text); /* begins with s3:// */
/* s3://bucket/key into its parts. The key is taken byte for byte, nothing in it is decoded; it may be empty
** (the whole bucket), but not the slash before it. *key points into url. */
int os_s3_url_parse(const char *url, char bucket[OS_S3_BUCKET_NAME], const char **key,
                    struct os_error *error);

/* Does the bucket stand in front of AWS's host name? With dots in it no certificate would fit ("Virtual
** hosting of buckets", Amazon S3 User Guide), and old names have letters that a host name has not. */
bool os_s3_fits_host(const char *bucket);
/* "https://s3.eu-west-1.amazonaws.com" and a bucket: "https://bucket.s3.eu-west-1.amazonaws.com". */
void os_s3_put_host_url(struct os_buf *out, const char *url, const char *bucket);
/* The path of an object, or of the bucket when key is NULL: "/bucket/a%20key", or "/a%20key" where the
** bucket stands in the host name. Every byte but the unreserved ones and '/' is encoded, once: S3 signs
** paths as sent. */
void os_s3_put_path(struct os_buf *out, const char *bucket, bool in_host, const char *key);
#endif
