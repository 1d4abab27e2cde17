/* address.c - see address.h. */
#include "aws/s3/address.h"
#include <string.h>
#include "base/text.h"
#include "net/http.h"

static const char scheme[] = "s3://";

bool os_s3_is_url(const char *text) {
  return os_has_prefix(text, scheme);
}

/* Letters of old buckets and of other servers' are let through: whoever has the bucket knows best. */
static bool is_bucket_letter(char c) {
  return os_is_alpha(c) || os_is_digit(c) || c == '.' || c == '-' || c == '_';
}

int os_s3_url_parse(const char *url, char bucket[OS_S3_BUCKET_NAME], const char **key,
                    struct os_error *error) {
  const char *name = url + strlen(scheme), *slash = strchr(name, '/');
  size_t len = slash ? (size_t)(slash - name) : strlen(name);
  if (!len) {
    os_fail(error, OS_ERR_ARGUMENT, "'%s' names no bucket", url);
    return os_advise(error, "write s3://bucket/prefix/ or s3://bucket/key");
  }
  if (os_has_prefix(name, "arn:")) {
    os_fail(error, OS_ERR_ARGUMENT, "'%s': an ARN cannot stand in the place of a bucket", url);
    return os_advise(error,
                     "write the alias of the access point instead; the console shows it, and aws s3control "
                     "get-access-point");
  }
  for (size_t i = 0; i < len; i++) {
    if (is_bucket_letter(name[i])) continue;
    os_fail(error, OS_ERR_ARGUMENT, "'%s': '%.*s' is no name of a bucket", url, (int)(len > 80 ? 80 : len),
            name);
    return os_advise(error,
                     "a bucket's name has letters, digits, dots and hyphens; behind it come '/' and the key");
  }
  if (len < 3 || len >= OS_S3_BUCKET_NAME) {
    os_fail(error, OS_ERR_ARGUMENT, "'%.200s': the name of the bucket has %zu characters", url, len);
    return os_advise(error, "a bucket's name has 3 to 63");
  }
  memcpy(bucket, name, len);
  bucket[len] = '\0';
  if (!slash) {
    os_fail(error, OS_ERR_ARGUMENT, "'%s' is a bucket, not a prefix or a key", url);
    return os_advise(error, "s3://%s/ with the slash loads the whole bucket, s3://%s/prefix/ a part of it",
                     bucket, bucket);
  }
  *key = slash + 1;
  if (strlen(*key) <= 1024) return OS_OK;
  return os_fail(error, OS_ERR_ARGUMENT, "the key in 's3://%s/…' has %zu bytes; S3 allows 1024", bucket,
                 strlen(*key));
}

bool os_s3_fits_host(const char *bucket) {
  size_t len = strlen(bucket);
  if (len > 63 || bucket[0] == '-' || bucket[len - 1] == '-') return false;
  for (const char *c = bucket; *c; c++)
    if (!os_is_digit(*c) && *c != '-' && !(*c >= 'a' && *c <= 'z')) return false;
  return true;
}

void os_s3_put_host_url(struct os_buf *out, const char *url, const char *bucket) {
  const char *host = strstr(url, "://");
  host = host ? host + 3 : url;
  os_buf_append(out, url, (size_t)(host - url));
  os_buf_puts(out, bucket);
  os_buf_putc(out, '.');
  os_buf_puts(out, host);
}

void os_s3_put_path(struct os_buf *out, const char *bucket, bool in_host, const char *key) {
  os_buf_putc(out, '/');
  if (!in_host) {
    os_buf_puts(out, bucket);
    if (key) os_buf_putc(out, '/');
  }
  while (key && *key) {
    size_t len = strcspn(key, "/");
    os_url_encode(out, key, len);
    key += len;
    if (*key) os_buf_putc(out, *key++);
  }
}
