/* event_fuzz.c - any bytes as a message of a queue: either it says why it is no event of S3, or every object
** it tells of has a URL that can be taken apart.
*/
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "aws/s3/address.h"
#include "base/text.h"
#include "base/utf8.h"
#include "operations/worker/event.h"

static void demand(int truth, const char *what) {
  if (truth) return;
  fprintf(stderr, "broken: %s\n", what);
  abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct os_event event;
  struct os_error error;
  os_error_clear(&error);
  char *text = malloc(len + 1);
  memcpy(text, data, len);
  text[len] = '\0';
  int rc = os_event_parse(text, len, &event, &error);
  demand(!rc || (rc == OS_ERR_FORMAT && error.text[0]), "errors say what");
  for (size_t i = 0; i < event.count && !rc; i++) {
    char bucket[OS_S3_BUCKET_NAME];
    const char *key, *url = event.objects[i].url;
    demand(os_utf8_check(url, strlen(url)) == strlen(url), "UTF-8");
    demand(!os_s3_url_parse(url, bucket, &key, &error), "a URL");
    demand(*key && !os_has_suffix(key, "/", false), "of one object");
  }
  demand(rc || event.count || event.ignored || event.test, "something");
  os_event_free(&event);
  free(text);
  return 0;
}

#include "mutations.h"

__attribute__((unused)) static const struct fuzz_seed seeds[] = {
    FUZZ_SEED(
        "{\"Records\":[{\"eventName\":\"ObjectCreated:Put\",\"s3\":{\"bucket\":{\"name\":\"bkt\"},\"object\":"
        "{"
        "\"key\":\"a+b%20%C3%BC.json\",\"eTag\":\"e\",\"versionId\":\"v\"}}},{\"eventName\":\"ObjectRemoved:"
        "Delete\"}]}"),
    FUZZ_SEED("{\"detail-type\":\"Object Created\",\"source\":\"aws.s3\",\"detail\":{\"bucket\":{\"name\":"
              "\"bkt\"},\"object\":{\"key\":\"k\",\"etag\":\"e\",\"version-id\":\"v\"}}}"),
    FUZZ_SEED("{\"Type\":\"Notification\",\"Message\":\"{\\\"Event\\\":\\\"s3:TestEvent\\\"}\"}"),
};

FUZZ_MAIN(seeds)
