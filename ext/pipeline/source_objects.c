/* source_objects.c - the objects that an s3:// URL names, as sources (see source_list.h).
**
** A URL that ends in '/' is a prefix, walked as a folder is. Any other is an object; when there is none of
** that key, a pattern, or what lies below it as if '/' stood behind. Heads of objects are asked for ahead
** of the look at them, because each takes a round trip.
*/
#include <string.h>
#include "aws/s3/address.h"
#include "aws/s3/fetch.h"
#include "base/alloc.h"
#include "base/text.h"
#include "pipeline/examine.h"
#include "pipeline/source_list.h"

enum {
  HEAD_BYTES_AHEAD = 16 << 20,
  KEPT_OBJECT = OS_S3_FIRST_RANGE, /* objects up to this size are kept, */
  KEPT_OBJECTS = 16 << 20,         /* up to so many bytes of them */
  SHOWN = 5                        /* names in a message */
};

/* ---- one object ---- */

static int add_object(struct os_source_list *list, struct os_s3_bucket *bucket, struct os_s3_object *object,
                      struct os_error *error) {
  char *path = os_mprintf("s3://%s/%s", bucket->name, object->key);
  struct os_source *source =
      path ? os_source_list_add(list, path, strlen("s3://") + strlen(bucket->name) + 1) : NULL;
  os_free(path);
  if (!source) return os_fail_nomem(error);
  source->bucket = os_s3_bucket_ref(bucket);
  source->size = object->size;
  source->mtime_ns = object->modified_ns;
  source->etag = object->etag;
  object->etag = NULL;
  return OS_OK;
}

/* ---- a prefix ---- */

struct walk {
  struct os_source_list *list;
  size_t prefix_len;
  const char *pattern; /* NULL: everything with an ending that is known */
  uint64_t seen;       /* objects */
  char *first;         /* key of the first one that was not taken */
};

/* As in a folder: what begins with a dot, and what lies in such a folder, is hidden. */
static bool is_hidden(const char *name) {
  return name[0] == '.' || strstr(name, "/.");
}

static bool is_wanted(const struct walk *walk, const char *key) {
  size_t len = strlen(key);
  if (!len || key[len - 1] == '/') return false; /* stands for a folder */
  if (walk->pattern)
    return os_glob_match(walk->pattern, key) && (!is_hidden(key) || is_hidden(walk->pattern));
  return !is_hidden(key + walk->prefix_len) && os_source_is_data(key);
}

static int take_page(void *ctx, struct os_s3_bucket *bucket, struct os_s3_page *page,
                     struct os_error *error) {
  struct walk *walk = ctx;
  int rc = OS_OK;
  for (size_t i = 0; i < page->count && !rc; i++) {
    struct os_s3_object *object = &page->objects[i];
    walk->seen++;
    if (is_wanted(walk, object->key)) {
      rc = add_object(walk->list, bucket, object, error);
    } else if (!walk->first) {
      walk->first = object->key;
      object->key = NULL;
    }
  }
  return rc;
}

/* ---- nothing there ---- */

struct near {
  struct os_buf names; /* a few, for a message */
  size_t count;
};

static int take_near(void *ctx, struct os_s3_bucket *bucket, struct os_s3_page *page,
                     struct os_error *error) {
  struct near *near = ctx;
  (void)bucket, (void)error;
  for (size_t i = 0; i < page->prefix_count + page->count && near->count < SHOWN; i++) {
    const char *name = i < page->prefix_count ? page->prefixes[i] : page->objects[i - page->prefix_count].key;
    os_buf_printf(&near->names, "%s'%.200s'", near->count++ ? ", " : "", name);
  }
  return OS_ERR_CANCELLED; /* one page is enough */
}

/* What lies beside it, in the last folder of the prefix that there is. */
static int advise_near(struct os_s3 *s3, const char *bucket, const char *prefix, struct os_error *error) {
  struct near near = {.count = 0};
  struct os_error ignored;
  char *above = os_strdup(prefix);
  if (!above) return os_fail_nomem(error);
  os_buf_init(&near.names, 0);
  do {
    size_t len = strlen(above);
    if (len && above[len - 1] == '/') len--;
    while (len && above[len - 1] != '/')
      len--;
    above[len] = '\0';
    os_error_clear(&ignored);
    os_s3_list(s3, bucket, above, "/", take_near, &near, &ignored);
  } while (!near.count && above[0]);
  if (near.count && !near.names.failed)
    os_advise(error, "s3://%s/%s has %s%s", bucket, above, near.names.data, near.count == SHOWN ? ", …" : "");
  else
    os_advise(error, "the bucket seems to be empty");
  os_buf_free(&near.names);
  os_free(above);
  return (int)error->code;
}

static int nothing_there(struct os_s3 *s3, const char *bucket, const char *key, const struct walk *walk,
                         struct os_error *error) {
  if (walk->seen && walk->pattern)
    return os_fail(error, OS_ERR_IO, "nothing matches s3://%s/%s", bucket, key);
  if (walk->seen) {
    os_fail(error, OS_ERR_ARGUMENT, "s3://%s/%s holds no file to load: %llu %s there, the first is '%.300s'",
            bucket, key, (unsigned long long)walk->seen, walk->seen == 1 ? "object is" : "objects are",
            walk->first);
    return os_advise(
        error, "a prefix is searched for .csv .tsv .json .ndjson .jsonl, also with .gz or .zst; name other "
               "objects one by one and say what they are with the option format");
  }
  os_fail(error, OS_ERR_IO, walk->pattern ? "nothing matches s3://%s/%s" : "there is no object at s3://%s/%s",
          bucket, key);
  return advise_near(s3, bucket, key, error);
}

/* prefix and key are the same but for a pattern, and for a key that may be a prefix. */
static int add_prefix(struct os_source_list *list, struct os_s3 *s3, const char *bucket, const char *prefix,
                      const char *pattern, const char *key, struct os_error *error) {
  struct walk walk = {.list = list, .prefix_len = strlen(prefix), .pattern = pattern};
  size_t before = list->count;
  int rc = os_s3_list(s3, bucket, prefix, NULL, take_page, &walk, error);
  if (!rc && list->count == before) rc = nothing_there(s3, bucket, key, &walk, error);
  os_free(walk.first);
  return rc;
}

static int add_pattern(struct os_source_list *list, struct os_s3 *s3, const char *bucket, const char *key,
                       struct os_error *error) {
  char *prefix = os_strndup(key, strcspn(key, "*?["));
  if (!prefix) return os_fail_nomem(error);
  int rc = add_prefix(list, s3, bucket, prefix, key, key, error);
  os_free(prefix);
  return rc;
}

int os_source_add_objects(struct os_source_list *list, struct os_s3 *s3, const char *url,
                          struct os_error *error) {
  char name[OS_S3_BUCKET_NAME];
  const char *key = NULL;
  struct os_s3_bucket *bucket = NULL;
  struct os_s3_object object = {0};
  bool found = false;
  int rc = os_s3_url_parse(url, name, &key, error);
  if (rc) return rc;
  size_t len = strlen(key);
  if (!len || key[len - 1] == '/') return add_prefix(list, s3, name, key, NULL, key, error);
  rc = os_s3_look(s3, name, key, &found, &object, &bucket, error);
  if (!rc && found) {
    rc = add_object(list, bucket, &object, error);
  } else if (!rc && os_glob_is_pattern(key)) {
    rc = add_pattern(list, s3, name, key, error);
  } else if (!rc) {
    char *below = os_mprintf("%s/", key);
    rc = below ? add_prefix(list, s3, name, below, NULL, key, error) : os_fail_nomem(error);
    os_free(below);
  }
  os_s3_object_free(&object);
  os_s3_bucket_unref(bucket);
  return rc;
}

/* ---- heads ---- */

static uint64_t head_size(const struct os_source *source) {
  return source->size < OS_EXAMINE_HEAD ? source->size : OS_EXAMINE_HEAD;
}

void os_source_look_ahead(struct os_source_list *list, size_t i) {
  if (list->ahead_to < i) list->ahead_to = i;
  size_t most = os_s3_fetch_most();
  for (; list->ahead_to < list->count && list->ahead_to < i + most; list->ahead_to++) {
    struct os_source *source = &list->sources[list->ahead_to];
    uint64_t size = head_size(source);
    struct os_error ignored;
    if (!os_source_is_object(source) || source->unseen || !size) continue;
    if (list->ahead_bytes && list->ahead_bytes + size > HEAD_BYTES_AHEAD) return;
    struct os_s3_want want = {.bucket = source->bucket,
                              .key = source->name,
                              .etag = source->etag,
                              .end = size,
                              .first = (size_t)size};
    if (os_s3_fetch_open(&source->ahead, &want, &ignored)) return; /* who looks at it will say why */
    list->ahead_bytes += size;
  }
}

void os_source_looked_at(struct os_source_list *list, size_t i) {
  struct os_source *source = &list->sources[i];
  if (!os_source_is_object(source)) return;
  if (i < list->ahead_to) list->ahead_bytes -= head_size(source);
  if (source->size <= KEPT_OBJECT && list->kept_bytes + source->size <= KEPT_OBJECTS) {
    list->kept_bytes += source->preread_len;
    return;
  }
  os_free(source->preread);
  source->preread = NULL;
  source->preread_len = 0;
}
