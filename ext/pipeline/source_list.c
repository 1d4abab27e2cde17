/* source_list.c - see source_list.h. */
#define _GNU_SOURCE /* strerrordesc_np() */
#include "pipeline/source_list.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "aws/s3/address.h"
#include "aws/s3/fetch.h"
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/json.h"
#include "base/text.h"

struct ancestor { /* the folders above the one being walked, to notice loops of symbolic links */
  const struct ancestor *above;
  dev_t device;
  ino_t inode;
};

struct walk {
  struct os_source_list *list;
  const struct os_source_s3 *access;
  struct os_s3 *s3; /* opened by the first s3:// */
  const struct os_probe *probe;
  struct os_error *error;
  size_t root_len; /* bytes of a path before the name that is relative to the given source */
};

static int fail_errno(struct walk *walk, const char *doing, const char *path) {
  return os_fail(walk->error, OS_ERR_IO, "%s %s: %s", doing, path, strerrordesc_np(errno));
}

struct os_source *os_source_list_add(struct os_source_list *list, const char *path, size_t name_at) {
  if (list->count == list->cap) {
    size_t cap = list->cap ? list->cap * 2 : 16;
    struct os_source *bigger = os_realloc(list->sources, cap * sizeof *bigger);
    if (!bigger) return NULL;
    list->sources = bigger;
    list->cap = cap;
  }
  struct os_source *source = &list->sources[list->count];
  memset(source, 0, sizeof *source);
  source->path = os_strdup(path);
  if (!source->path) return NULL;
  source->name = source->path + name_at;
  source->start_line = 1;
  list->count++;
  return source;
}

static int add_source(struct walk *walk, const char *path, size_t name_at, const struct stat *st) {
  struct os_source *source = os_source_list_add(walk->list, path, name_at);
  if (!source) return os_fail_nomem(walk->error);
  source->is_stream = !st || !S_ISREG(st->st_mode);
  if (st) {
    source->device = st->st_dev;
    source->inode = st->st_ino;
  }
  if (!source->is_stream) {
    source->size = (uint64_t)st->st_size;
    source->mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
  }
  return OS_OK;
}

bool os_source_is_data(const char *name) {
  return os_format_by_name(name) != OS_FORMAT_UNKNOWN;
}

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(char **names, size_t count) {
  for (size_t i = 0; i < count; i++)
    os_free(names[i]);
  os_free(names);
}

/* The entries of a folder in byte order, without hidden ones. */
static int read_folder(struct walk *walk, const char *path, char ***out, size_t *count) {
  DIR *folder = opendir(path);
  struct dirent *entry;
  char **names = NULL;
  size_t cap = 0;
  int rc = OS_OK;
  *count = 0;
  if (!folder) return fail_errno(walk, "cannot read folder", path);
  while (errno = 0, (entry = readdir(folder))) {
    if (entry->d_name[0] == '.') continue;
    if (*count == cap) {
      size_t want = cap ? cap * 2 : 64;
      char **bigger = os_realloc(names, want * sizeof *bigger);
      if (!bigger) break;
      names = bigger;
      cap = want;
    }
    names[*count] = os_strdup(entry->d_name);
    if (!names[*count]) break;
    ++*count;
  }
  if (entry)
    rc = os_fail_nomem(walk->error);
  else if (errno)
    rc = fail_errno(walk, "cannot read folder", path);
  closedir(folder);
  if (rc) {
    free_names(names, *count);
    *count = 0;
    return rc;
  }
  if (names) qsort(names, *count, sizeof *names, by_bytes);
  *out = names;
  return OS_OK;
}

static int walk_folder(struct walk *walk, const char *path, const struct stat *st,
                       const struct ancestor *above);

static int walk_entry(struct walk *walk, const char *folder, const char *name, const struct ancestor *above) {
  struct stat st;
  int rc = OS_OK;
  size_t folder_len = strlen(folder);
  char *path = os_mprintf(folder_len && folder[folder_len - 1] == '/' ? "%s%s" : "%s/%s", folder, name);
  if (!path) return os_fail_nomem(walk->error);
  if (stat(path, &st) != 0) {
    /* a dangling link or a file that vanished matters only when it would have been taken */
    if (os_source_is_data(name)) rc = fail_errno(walk, "cannot look at", path);
  } else if (S_ISDIR(st.st_mode)) {
    rc = walk_folder(walk, path, &st, above);
  } else if (S_ISREG(st.st_mode) && os_source_is_data(name)) {
    rc = add_source(walk, path, walk->root_len, &st);
  }
  os_free(path);
  return rc;
}

static int walk_folder(struct walk *walk, const char *path, const struct stat *st,
                       const struct ancestor *above) {
  struct ancestor self = {above, st->st_dev, st->st_ino};
  for (const struct ancestor *a = above; a; a = a->above)
    if (a->device == st->st_dev && a->inode == st->st_ino)
      return OS_OK; /* a loop: it is being walked already */
  char **names = NULL;
  size_t count = 0;
  int rc = read_folder(walk, path, &names, &count);
  if (rc || names == NULL) return rc;
  for (size_t i = 0; i < count && !rc; i++) {
    if (walk->probe && walk->probe->interrupted(walk->probe->ctx))
      rc = os_fail(walk->error, OS_ERR_INTERRUPTED, "interrupted while listing %s", path);
    else
      rc = walk_entry(walk, path, names[i], &self);
  }
  free_names(names, count);
  return rc;
}

/* Where the part of `path` begins that comes after `root` and its slashes. */
static size_t skip_root(const char *path, size_t root) {
  while (path[root] == '/')
    root++;
  return root;
}

static size_t base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash - path) + 1 : 0;
}

static int add_path(struct walk *walk, const char *path, size_t name_at) {
  struct stat st;
  if (stat(path, &st) != 0) return fail_errno(walk, "cannot open", path);
  if (S_ISDIR(st.st_mode)) {
    size_t len = strlen(path);
    walk->root_len = path[len - 1] == '/' ? skip_root(path, len) : len + 1;
    return walk_folder(walk, path, &st, NULL);
  }
  if (access(path, R_OK) != 0) return fail_errno(walk, "cannot read", path);
  return add_source(walk, path, name_at, &st);
}

static int add_glob(struct walk *walk, const char *pattern) {
  glob_t found;
  int rc = OS_OK;
  /* names are relative to the folder in front of the first component with a wildcard */
  size_t fixed = strcspn(pattern, "*?[");
  while (fixed && pattern[fixed - 1] != '/')
    fixed--;
  switch (glob(pattern, GLOB_NOSORT | GLOB_ERR, NULL, &found)) {
  case 0: break;
  case GLOB_NOMATCH: return os_fail(walk->error, OS_ERR_IO, "nothing matches %s", pattern);
  case GLOB_NOSPACE: return os_fail_nomem(walk->error);
  default: return fail_errno(walk, "cannot read a folder of", pattern);
  }
  qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, by_bytes);
  for (size_t i = 0; i < found.gl_pathc && !rc; i++) {
    const char *path = found.gl_pathv[i];
    struct stat st;
    if (stat(path, &st) != 0) {
      rc = fail_errno(walk, "cannot open", path);
    } else if (S_ISDIR(st.st_mode)) {
      walk->root_len = skip_root(path, fixed);
      rc = walk_folder(walk, path, &st, NULL);
    } else {
      rc = add_path(walk, path, fixed);
    }
  }
  globfree(&found);
  return rc;
}

static int add_url(struct walk *walk, const char *url) {
  const struct os_source_s3 *access = walk->access;
  char bucket[OS_S3_BUCKET_NAME];
  const char *key = NULL;
  int rc = os_s3_url_parse(url, bucket, &key, walk->error); /* before keys are looked for */
  if (rc) return rc;
  if (!access) return os_fail(walk->error, OS_ERR_ARGUMENT, "%s: objects of S3 cannot be read here", url);
  if (!walk->s3) {
    struct os_aws *aws = NULL;
    struct os_net *net = NULL;
    rc = access->open(access->ctx, &aws, &net, walk->error);
    if (!rc) rc = os_s3_open(&walk->s3, aws, net, walk->probe, &access->options, walk->error);
  }
  return rc ? rc : os_source_add_objects(walk->list, walk->s3, url, walk->error);
}

static int add_argument(struct walk *walk, const char *path) {
  struct stat st;
  if (!path[0]) return os_fail(walk->error, OS_ERR_ARGUMENT, "the path is empty");
  if (!strcmp(path, "-")) return add_source(walk, path, 0, NULL);
  if (os_s3_is_url(path)) return add_url(walk, path);
  if (os_glob_is_pattern(path) && stat(path, &st) != 0) return add_glob(walk, path);
  return add_path(walk, path, base_name(path));
}

static int add_array(struct walk *walk, const char *argument) {
  json_t *paths = os_json_parse(argument, strlen(argument), 0, "path", walk->error), *path;
  size_t i;
  int rc = paths ? OS_OK : (int)walk->error->code;
  json_array_foreach(paths, i, path) {
    if (rc) break;
    const char *text = json_string_value(path);
    rc = text ? add_argument(walk, text)
              : os_fail(walk->error, OS_ERR_ARGUMENT, "path: element %zu of the array is not a text", i + 1);
  }
  json_decref(paths);
  return rc;
}

static void free_source(struct os_source *source) {
  os_free(source->path);
  os_free(source->etag);
  os_free(source->preread);
  os_s3_bucket_unref(source->bucket);
  os_s3_fetch_close(source->ahead);
  if (source->stream_fd > 0) close(source->stream_fd);
}

/* ---- each file once ------------------------------------------------------------------------- */

static int by_identity(const void *a, const void *b) {
  const struct os_source *x = *(struct os_source *const *)a, *y = *(struct os_source *const *)b;
  int order = 0;
  if (os_source_is_object(x) != os_source_is_object(y)) return os_source_is_object(x) ? 1 : -1;
  if (os_source_is_object(x) && (order = strcmp(x->path, y->path))) return order;
  if (x->device != y->device) return x->device < y->device ? -1 : 1;
  if (x->inode != y->inode) return x->inode < y->inode ? -1 : 1;
  return x < y ? -1 : x > y;
}

static bool is_same(const struct os_source *x, const struct os_source *y) {
  if (os_source_is_object(x) || os_source_is_object(y))
    return os_source_is_object(x) && os_source_is_object(y) && !strcmp(x->path, y->path);
  return x->device == y->device && x->inode == y->inode;
}

/* Drop every source that names the same file as an earlier one. */
static int drop_repetitions(struct os_source_list *list, struct os_error *error) {
  if (list->count < 2) return OS_OK;
  struct os_source **order = os_malloc(list->count * sizeof *order);
  if (!order) return os_fail_nomem(error);
  for (size_t i = 0; i < list->count; i++)
    order[i] = &list->sources[i];
  qsort(order, list->count, sizeof *order, by_identity);
  for (size_t i = 1; i < list->count; i++) {
    if (is_same(order[i - 1], order[i])) order[i]->tag = -1;
  }
  size_t kept = 0;
  for (size_t i = 0; i < list->count; i++) {
    if (list->sources[i].tag == -1)
      free_source(&list->sources[i]);
    else
      list->sources[kept++] = list->sources[i];
  }
  list->count = kept;
  os_free(order);
  return OS_OK;
}

int os_source_list_build(struct os_source_list *list, const char *argument, const struct os_source_s3 *s3,
                         const struct os_probe *probe, struct os_error *error) {
  struct walk walk = {.list = list, .access = s3, .probe = probe, .error = error};
  struct stat st;
  memset(list, 0, sizeof *list);
  const char *first = argument;
  while (os_is_space(*first))
    first++;
  int rc =
      *first == '[' && stat(argument, &st) != 0 ? add_array(&walk, first) : add_argument(&walk, argument);
  os_s3_close(walk.s3);
  if (!rc) rc = drop_repetitions(list, error);
  if (!rc && !list->count) {
    rc = os_fail(error, OS_ERR_ARGUMENT, "%s holds no file to load", argument);
    os_advise(
        error,
        "a folder is searched for .csv .tsv .json .ndjson .jsonl, also with .gz or .zst; name other files "
        "one by one and say what they are with the option format");
  }
  if (rc) os_source_list_free(list);
  return rc;
}

void os_source_list_free(struct os_source_list *list) {
  for (size_t i = 0; i < list->count; i++)
    free_source(&list->sources[i]);
  os_free(list->sources);
  memset(list, 0, sizeof *list);
}
