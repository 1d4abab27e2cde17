/* objects_model.h - a server that plays S3 for tests: a table of objects, lists in pages with prefixes and delimiters,
** ranges with If-Match, and refusals; with what the extension needs to ask it, and a list of sources.
*/
#ifndef OBJECTS_MODEL_H
#define OBJECTS_MODEL_H
#include "folder.h"
#include "aws/service.h"
#include "base/clock.h"
#include "pipeline/source_build.h"
#include "scripted_server.h"

struct object {
  const char *bucket, *key, *content;
  size_t len;
  const char *etag; /* NULL: one that all of these have */
};

static struct objects_model {
  struct scripted_server server;
  const struct object *objects; /* in the order of their keys; the last has no bucket */
  int of_a_page;                /* objects */
  atomic_int ranges;            /* that were asked for */
  atomic_bool held, replaced;   /* ranges wait; what was planned is not there any more */
} objects;

static struct os_net *objects_net;
static struct os_aws *objects_aws;
static struct os_settings *objects_settings;
static struct os_s3 *objects_s3;

static inline void objects_refuse(struct visit *visit, int status, const char *code) {
  char body[200];
  snprintf(body, sizeof body, "<Error><Code>%s</Code></Error>", code);
  visit_answer(visit, status, "", "application/xml", body);
}

/* Undo the encoding of a URL, up to one of the ends. */
static inline void objects_decode(const char *text, const char *ends, char out[300]) {
  size_t len = strcspn(text, ends), at = 0;
  for (size_t i = 0; i < len && at < 299; i++, at++) {
    char hex[3] = {0};
    if (text[i] == '%') memcpy(hex, text + i + 1, 2), i += 2;
    out[at] = hex[0] ? (char)strtol(hex, NULL, 16) : text[i];
  }
  out[at] = '\0';
}

static inline void objects_list(struct visit *visit, const char *bucket) {
  char prefix[300] = "", delimiter[300] = "", body[8192], last[300] = "";
  const char *at = strstr(visit->head, "prefix="), *token = strstr(visit->head, "continuation-token=");
  if (at) objects_decode(at + 7, "& ", prefix);
  if ((at = strstr(visit->head, "delimiter="))) objects_decode(at + 10, "& ", delimiter);
  int skip = token ? atoi(token + 19) : 0, found = 0, given = 0;
  size_t len = 0;
  for (const struct object *object = objects.objects; object->bucket; object++) {
    if (strcmp(object->bucket, bucket) || strncmp(object->key, prefix, strlen(prefix))) continue;
    const char *end = delimiter[0] ? strstr(object->key + strlen(prefix), delimiter) : NULL;
    if (end && last[0] && !strncmp(last, object->key, strlen(last))) continue;
    if (found++ < skip || given == objects.of_a_page) continue;
    given++;
    if (end) snprintf(last, sizeof last, "%.*s", (int)(end + 1 - object->key), object->key);
    if (end)
      len += (size_t)snprintf(body + len, sizeof body - len,
                              "<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>", last);
    else
      len += (size_t)snprintf(body + len, sizeof body - len,
                              "<Contents><Key>%s</Key><LastModified>2026-11-22T00:00:00.000Z</LastModified>"
                              "<ETag>\"%s\"</ETag><Size>%zu</Size></Contents>",
                              object->key, object->etag ? object->etag : "tag", object->len);
  }
  body[len] = '\0';
  char answer[9000];
  bool more = found > skip + given;
  snprintf(answer, sizeof answer,
           "<ListBucketResult><IsTruncated>%s</IsTruncated>%s%d%s%s</ListBucketResult>",
           more ? "true" : "false", more ? "<NextContinuationToken>" : "<MaxKeys>", skip + given,
           more ? "</NextContinuationToken>" : "</MaxKeys>", body);
  if (skip && !strncmp(bucket, "fading", 6))
    objects_refuse(visit, 403, "AccessDenied"); /* behind the first page */
  else
    visit_answer(visit, 200, "", "application/xml", answer);
}

static inline void objects_give(struct visit *visit, const struct object *object) {
  const char *range = strstr(visit->head, "Range: bytes="), *tag = object->etag ? object->etag : "tag";
  char head[400];
  size_t from = 0, to = object->len;
  if (range) {
    char *end;
    from = strtoul(range + 13, &end, 10);
    to = strtoul(end + 1, NULL, 10) + 1;
  }
  if (strstr(visit->head, "If-Match:")) {
    atomic_fetch_add(&objects.ranges, 1);
    while (atomic_load(&objects.held))
      os_clock_sleep_ms(2);
    if (atomic_load(&objects.replaced)) {
      objects_refuse(visit, 412, "PreconditionFailed");
      return;
    }
  }
  if (range && from >= object->len) {
    objects_refuse(visit, 416, "InvalidRange");
    return;
  }
  if (to > object->len) to = object->len;
  snprintf(head, sizeof head,
           "HTTP/1.1 %s\r\nContent-Range: bytes %zu-%zu/%zu\r\nETag: \"%s\"\r\n"
           "Last-Modified: Sun, 22 Nov 2026 00:00:00 GMT\r\nContent-Length: %zu\r\n\r\n",
           range ? "206 Partial Content" : "200 OK", from, to ? to - 1 : 0, object->len, tag, to - from);
  visit_puts(visit, head);
  if (strncmp(visit->head, "HEAD ", 5)) visit_write(visit, object->content + from, to - from);
}

/* Of buckets "closed" and "shut" no object is given to anybody; the latter is not listed, either. */
static inline void objects_serve(struct visit *visit) {
  while (visit_read(visit)) {
    char bucket[300], key[300] = "";
    const char *path = strchr(visit->head, '/') + 1, *slash = path + strcspn(path, "/? ");
    snprintf(bucket, sizeof bucket, "%.*s", (int)(slash - path), path);
    if (*slash == '/') objects_decode(slash + 1, "? ", key);
    bool shut = !strcmp(bucket, "shut"), closed = shut || !strcmp(bucket, "closed");
    const struct object *object = objects.objects;
    while (object->bucket && (strcmp(object->bucket, bucket) || strcmp(object->key, key)))
      object++;
    if (key[0] ? closed : shut)
      objects_refuse(visit, 403, "AccessDenied");
    else if (!key[0])
      objects_list(visit, bucket);
    else if (!object->bucket)
      objects_refuse(visit, 404, "NoSuchKey");
    else
      objects_give(visit, object);
  }
}

static inline int objects_open(void *ctx, struct os_aws **out_aws, struct os_net **out_net,
                               struct os_error *error) {
  (void)ctx, (void)error;
  *out_aws = objects_aws;
  *out_net = objects_net;
  return OS_OK;
}

static const struct os_source_s3 objects_access = {.open = objects_open, .options = {.anonymous = true}};

static inline int objects_start(const struct object *table, int of_a_page) {
  char url[64];
  memset(&objects, 0, sizeof objects);
  objects.objects = table;
  objects.of_a_page = of_a_page;
  server_start(&objects.server, objects_serve, NULL);
  snprintf(url, sizeof url, "http://127.0.0.1:%d", objects.server.port);
  setenv("AWS_ENDPOINT_URL_S3", url, 1);
  setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
  setenv("AWS_REGION", "us-east-1", 1);
  os_error_clear(&test_error);
  int rc = os_settings_new(&objects_settings, &test_error);
  if (!rc) rc = os_aws_open(&objects_aws, objects_settings, NULL, &test_error);
  if (!rc) rc = os_net_new(&objects_net, NULL, &test_error);
  if (!rc) rc = os_s3_open(&objects_s3, objects_aws, objects_net, NULL, &objects_access.options, &test_error);
  return rc;
}

static inline void objects_stop(void) {
  atomic_store(&objects.held, false);
  os_s3_close(objects_s3);
  os_net_free(objects_net);
  os_aws_close(objects_aws);
  os_settings_free(objects_settings);
  server_stop(&objects.server);
}
#endif
