/* s3_list_fuzz.c - any bytes as a page of a list of S3, as an s3:// URL, and as the date of an object: what is
** taken is whole, an error leaves nothing behind, and a path that is made of a key has nothing in it that a request
** may not have.
*/
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "aws/s3/address.h"
#include "aws/s3/listing.h"

static void demand(int truth, const char *what) {
  if (truth) return;
  fprintf(stderr, "broken: %s\n", what);
  abort();
}

static void make_path(const char *key) {
  struct os_buf path;
  os_buf_init(&path, 0);
  os_s3_put_path(&path, "bucket", false, key);
  demand(!path.failed && strncmp(path.data, "/bucket/", 8) == 0, "a path begins with the bucket");
  for (size_t i = 0; i < path.len; i++)
    demand(path.data[i] > ' ' && path.data[i] < 0x7f && !strchr("?#+\"\\", path.data[i]),
           "a path is encoded");
  os_buf_free(&path);
}

static void read_page(const char *text, size_t len) {
  struct os_s3_page page;
  struct os_error error;
  os_error_clear(&error);
  int code = os_s3_page_read(text, len, &page, &error);
  demand(!code || code == OS_ERR_ANSWER, "the error is one of the answer");
  demand(!code || (!page.count && !page.objects && !page.token), "an error leaves nothing");
  for (size_t i = 0; i < page.count; i++) {
    demand(page.objects[i].key && page.objects[i].etag, "an object has a key and an ETag");
    make_path(page.objects[i].key);
  }
  os_s3_page_free(&page);
}

static void read_url(const char *text) {
  char bucket[OS_S3_BUCKET_NAME];
  const char *key = NULL;
  struct os_error error;
  os_error_clear(&error);
  if (!os_s3_is_url(text)) return;
  if (os_s3_url_parse(text, bucket, &key, &error)) {
    demand(error.code == OS_ERR_ARGUMENT && error.text[0], "a wrong URL is explained");
    return;
  }
  demand(strlen(bucket) >= 3 && strlen(key) <= 1024, "names have the lengths that S3 allows");
  demand(strlen("s3://") + strlen(bucket) + 1 + strlen(key) == strlen(text), "nothing of the URL is lost");
  make_path(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  char *text = malloc(len + 1);
  double seconds;
  memcpy(text, data, len);
  text[len] = '\0';
  read_page(text, len);
  read_url(text);
  os_s3_parse_date(text, len, &seconds);
  free(text);
  return 0;
}

#include "mutations.h"

__attribute__((unused)) static const struct fuzz_seed seeds[] = {
    FUZZ_SEED(
        "<?xml version=\"1.0\"?><ListBucketResult "
        "xmlns=\"x\"><EncodingType>url</EncodingType><IsTruncated>true"
        "</IsTruncated><Contents><Key>a%2Fb+c%zz</Key><LastModified>2026-11-21T10:00:00.000Z</LastModified>"
        "<ETag>&quot;0a&quot;</ETag><Size>12</Size></Contents><CommonPrefixes><Prefix>p/</Prefix></"
        "CommonPrefixes>"
        "<NextContinuationToken>t&amp;</NextContinuationToken></ListBucketResult>"),
    FUZZ_SEED("<!DOCTYPE a [<!ENTITY b \"c\">]><ListBucketResult>&b;</ListBucketResult>"),
    FUZZ_SEED("s3://bucket/a b+c%41//\xc3\xa4"),
    FUZZ_SEED("s3://my.bucket"),
    FUZZ_SEED("Sat, 21 Nov 2026 10:00:00 GMT"),
};

FUZZ_MAIN(seeds)
