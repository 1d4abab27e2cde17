/* source_objects.c - the objects that an s3:// URL names, as sources (see source_build.h).
**
** A URL that ends in '/' is a prefix, walked as a folder is. Any other is an object; when there is none of
** that key, a pattern, or what lies below it as if '/' stood behind. A policy for what lies below a prefix
** refuses the prefix itself as an object, and any key that is not there: what is refused is looked for in
** the same way.
*/
#include <string.h>
#include "aws/s3/address.h"
#include "base/alloc.h"
#include "base/text.h"
#include "pipeline/source_build.h"

enum { SHOWN = 5 /* names in a message */ };

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
  const struct os_source_pages *pages; /* NULL: nobody looks between pages */
  size_t prefix_len;
  const char *pattern;            /* NULL: everything with an ending that is known */
  uint64_t seen, taken;           /* objects */
  char *first;                    /* key of the first one that was not taken */
  const struct os_error *refused; /* by S3, when it was asked for the key itself; or NULL */
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
    if (walk->refused && walk->pattern && !strcmp(object->key, walk->pattern)) {
      *error = *walk->refused; /* it is a key, and no pattern */
      rc = (int)error->code;
    } else if (is_wanted(walk, object->key)) {
      rc = add_object(walk->list, bucket, object, error);
      walk->taken++;
    } else if (!walk->first) {
      walk->first = object->key;
      object->key = NULL;
    }
  }
  if (!rc && page->truncated && walk->pages) rc = walk->pages->between(walk->pages->ctx, walk->list, error);
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
  if (walk->seen && walk->pattern) {
    os_fail(error, OS_ERR_IO, "nothing matches s3://%s/%s", bucket, key);
    return os_advise(error, "%llu %s with '%.*s', the first is '%.300s'", (unsigned long long)walk->seen,
                     walk->seen == 1 ? "object begins" : "objects begin", (int)walk->prefix_len, key,
                     walk->first);
  }
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

/* May the key be there, refused? A list by a pattern would have had it. */
static bool stays_refused(const struct walk *walk, int rc) {
  if (!walk->refused) return false;
  return rc == OS_ERR_FORBIDDEN ? !walk->seen : !rc && !walk->seen && !walk->pattern;
}

/* prefix and key are the same but for a pattern, and for a key that may be a prefix. */
static int add_prefix(struct walk *walk, struct os_s3 *s3, const char *bucket, const char *prefix,
                      const char *key, struct os_error *error) {
  walk->prefix_len = strlen(prefix);
  int rc = os_s3_list(s3, bucket, prefix, NULL, take_page, walk, error);
  if (stays_refused(walk, rc)) {
    *error = *walk->refused;
    rc = (int)error->code;
  } else if (!rc && !walk->taken) {
    rc = nothing_there(s3, bucket, key, walk, error);
  }
  os_free(walk->first);
  return rc;
}

static int add_pattern(struct walk *walk, struct os_s3 *s3, const char *bucket, const char *key,
                       struct os_error *error) {
  char *prefix = os_strndup(key, os_glob_fixed(key));
  if (!prefix) return os_fail_nomem(error);
  walk->pattern = key;
  int rc = add_prefix(walk, s3, bucket, prefix, key, error);
  os_free(prefix);
  return rc;
}

/* No object has this key, or nobody may know. */
static int add_below(struct walk *walk, struct os_s3 *s3, const char *bucket, const char *key,
                     struct os_error *error) {
  if (os_glob_is_pattern(key)) return add_pattern(walk, s3, bucket, key, error);
  char *below = os_mprintf("%s/", key);
  int rc = below ? add_prefix(walk, s3, bucket, below, key, error) : os_fail_nomem(error);
  os_free(below);
  return rc;
}

int os_source_add_objects(struct os_source_list *list, struct os_s3 *s3, const char *url,
                          const struct os_source_pages *pages, struct os_error *error) {
  char name[OS_S3_BUCKET_NAME];
  const char *key = NULL;
  struct walk walk = {.list = list, .pages = pages};
  struct os_s3_bucket *bucket = NULL;
  struct os_s3_object object = {0};
  struct os_error refused;
  bool found = false;
  int rc = os_s3_url_parse(url, name, &key, error);
  if (rc) return rc;
  size_t len = strlen(key);
  if (!len || key[len - 1] == '/') return add_prefix(&walk, s3, name, key, key, error);
  rc = os_s3_look(s3, name, key, &found, &object, &bucket, error);
  if (rc == OS_ERR_FORBIDDEN) {
    refused = *error;
    walk.refused = &refused;
    os_error_clear(error);
    rc = OS_OK;
  }
  if (!rc) rc = found ? add_object(list, bucket, &object, error) : add_below(&walk, s3, name, key, error);
  os_s3_object_free(&object);
  os_s3_bucket_unref(bucket);
  return rc;
}
