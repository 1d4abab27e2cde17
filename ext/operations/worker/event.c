/* event.c - see event.h. */
#include "operations/worker/event.h"
#include <string.h>
#include "aws/s3/address.h"
#include "aws/s3/listing.h"
#include "base/alloc.h"
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"

static const char what[] = "the message";

void os_event_free(struct os_event *event) {
  for (size_t i = 0; i < event->count; i++) {
    os_free(event->objects[i].url);
    os_free(event->objects[i].etag);
    os_free(event->objects[i].version);
  }
  os_free(event->objects);
  memset(event, 0, sizeof *event);
}

/* ---- one object ---- */

/* Where an event says it: paths of base/json.h. */
struct shape {
  const char *bucket, *key, *etag, *version;
  bool encoded; /* the key */
};
static const struct shape record_shape = {"s3/bucket/name", "s3/object/key", "s3/object/eTag",
                                          "s3/object/versionId", true};
static const struct shape bridge_shape = {"detail/bucket/name", "detail/object/key", "detail/object/etag",
                                          "detail/object/version-id", false};

static char *copy_etag(const char *etag) {
  return etag ? os_s3_plain_etag(etag, strlen(etag)) : NULL;
}

/* What cannot be an object's URL is no event of S3. */
static int check_url(const char *url, struct os_error *error) {
  char bucket[OS_S3_BUCKET_NAME];
  const char *key;
  if (os_utf8_check(url, strlen(url)) != strlen(url))
    return os_fail(error, OS_ERR_FORMAT, "%s names an object whose key is no UTF-8", what);
  int rc = os_s3_url_parse(url, bucket, &key, error);
  if (rc == OS_ERR_ARGUMENT) error->code = OS_ERR_FORMAT;
  return rc ? os_error_prefix(error, "%s", what) : OS_OK;
}

/* The array has room. */
static int add_object(const json_t *event, const struct shape *shape, struct os_event *out,
                      struct os_error *error) {
  const char *bucket = os_json_string(event, shape->bucket, NULL);
  const char *key = os_json_string(event, shape->key, NULL);
  const char *etag = os_json_string(event, shape->etag, NULL);
  const char *version = os_json_string(event, shape->version, NULL);
  if (!bucket || !*bucket || strchr(bucket, '/') || !key || !*key)
    return os_fail(error, OS_ERR_FORMAT, "%s tells of an object without its bucket or key", what);
  struct os_event_object *object = &out->objects[out->count];
  char *plain = os_strdup(key);
  if (plain && shape->encoded) os_s3_decode_key(plain);
  if (plain && os_has_suffix(plain, "/", false)) {
    os_free(plain);
    out->ignored++;
    return OS_OK;
  }
  out->count++;
  object->url = plain ? os_mprintf("s3://%s/%s", bucket, plain) : NULL;
  object->etag = copy_etag(etag);
  object->version = os_strdup(version);
  os_free(plain);
  if (!object->url || (etag && !object->etag) || (version && !object->version)) return os_fail_nomem(error);
  return check_url(object->url, error);
}

/* ---- the two kinds of messages ---- */

static bool is_creation(const char *name) {
  if (os_has_prefix(name, "s3:")) name += strlen("s3:"); /* as servers that resemble S3 write it */
  return os_has_prefix(name, "ObjectCreated:");
}

static int read_records(const json_t *records, struct os_event *out, struct os_error *error) {
  size_t count = json_array_size(records);
  int rc = OS_OK;
  out->objects = os_calloc(count ? count : 1, sizeof *out->objects);
  if (!out->objects) return os_fail_nomem(error);
  for (size_t i = 0; i < count && !rc; i++) {
    const json_t *record = json_array_get(records, i);
    const char *name = os_json_string(record, "eventName", NULL);
    if (!name)
      rc = os_fail(error, OS_ERR_FORMAT, "%s has 'Records' that are no events of S3", what);
    else if (is_creation(name))
      rc = add_object(record, &record_shape, out, error);
    else
      out->ignored++;
  }
  return rc;
}

static int read_bridge(const json_t *root, struct os_event *out, struct os_error *error) {
  if (strcmp(os_json_string(root, "detail-type", ""), "Object Created")) {
    out->ignored++;
    return OS_OK;
  }
  out->objects = os_calloc(1, sizeof *out->objects);
  return out->objects ? add_object(root, &bridge_shape, out, error) : os_fail_nomem(error);
}

static int read_root(const json_t *root, struct os_event *out, struct os_error *error) {
  const json_t *records = json_object_get(root, "Records");
  const char *event = os_json_string(root, "Event", "");
  if (json_is_array(records) && json_array_size(records)) return read_records(records, out, error);
  if (!strcmp(os_json_string(root, "source", ""), "aws.s3")) return read_bridge(root, out, error);
  if (!strcmp(event, "s3:TestEvent")) {
    out->test = true;
    return OS_OK;
  }
  return os_fail(error, OS_ERR_FORMAT, "%s is no event of S3, neither its own nor one of EventBridge", what);
}

/* ---- the whole ---- */

static json_t *parse(const char *text, size_t len, struct os_error *error) {
  json_t *root = os_json_parse(text, len, OS_JSON_BIG_INTEGERS, what, error);
  if (!root && error->code != OS_ERR_NOMEM) error->code = OS_ERR_FORMAT;
  return root;
}

/* A notification of SNS has the message as a text in it ("Parsing message formats", Amazon SNS Developer
** Guide). */
static const json_t *wrapped(const json_t *root) {
  const json_t *message = json_object_get(root, "Message");
  bool is_notification = !strcmp(os_json_string(root, "Type", ""), "Notification");
  return is_notification && json_is_string(message) ? message : NULL;
}

int os_event_parse(const char *text, size_t len, struct os_event *out, struct os_error *error) {
  memset(out, 0, sizeof *out);
  json_t *root = parse(text, len, error);
  if (!root) return (int)error->code;
  const json_t *inner = wrapped(root);
  if (inner) {
    json_t *own = parse(json_string_value(inner), json_string_length(inner), error);
    json_decref(root);
    root = own;
    if (!root) return (int)error->code;
  }
  int rc = read_root(root, out, error);
  json_decref(root);
  return rc;
}
