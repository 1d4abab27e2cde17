/* small.c - see small.h. */
#include "aws/s3/small.h"
#include <string.h>
#include "aws/s3/address.h"
#include "aws/s3/fetch.h"

static int fetch(struct os_s3_bucket *bucket, const struct os_s3_object *object, const struct os_probe *probe,
                 struct os_buf *out, struct os_error *error) {
  size_t left = (size_t)object->size, got = 1;
  struct os_s3_fetch *fetch = NULL;
  struct os_s3_want want = {
      .bucket = bucket, .key = object->key, .etag = object->etag, .end = object->size, .first = left};
  if (!left) return OS_OK;
  if (!os_buf_reserve(out, left)) return os_fail_nomem(error);
  int rc = os_s3_fetch_open(&fetch, &want, error);
  while (!rc && left && got) {
    rc = os_s3_fetch_read(fetch, out->data + out->len, left, &got, NULL, probe, error);
    if (rc) break;
    out->len += got;
    left -= got;
  }
  os_s3_fetch_close(fetch);
  out->data[out->len] = '\0';
  return rc;
}

int os_s3_small_read(struct os_s3 *s3, const char *url, size_t most, const char *what,
                     const struct os_probe *probe, struct os_s3_object *object, struct os_buf *out,
                     struct os_error *error) {
  char name[OS_S3_BUCKET_NAME];
  const char *key = NULL;
  struct os_s3_bucket *bucket = NULL;
  bool found = false;
  memset(object, 0, sizeof *object);
  int rc = os_s3_url_parse(url, name, &key, error);
  if (!rc && !*key) {
    os_fail(error, OS_ERR_ARGUMENT, "'%.300s' names a bucket, where the %s is one object", url, what);
    rc = os_advise(error, "write s3://%s/ and the object's key", name);
  }
  if (!rc) rc = os_s3_look(s3, name, key, &found, object, &bucket, error);
  if (!rc && !found) {
    os_fail(error, OS_ERR_IO, "there is no %s '%.300s'", what, url);
    rc = os_advise(error, "look at bucket and key, letter by letter: aws s3 ls '%.300s'", url);
  }
  if (!rc && object->size > most)
    rc = os_fail(error, OS_ERR_ARGUMENT, "the %s '%.300s' has %llu bytes; at most %zu are read", what, url,
                 (unsigned long long)object->size, most);
  if (!rc) rc = fetch(bucket, object, probe, out, error);
  os_s3_bucket_unref(bucket);
  return rc;
}
