/* source_walk.c - the local files that a path names, as sources (see source_build.h): a file, all that lies in
** a folder, what a pattern matches.
*/
#define _GNU_SOURCE /* strerrordesc_np() */
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/text.h"
#include "pipeline/source_build.h"

struct ancestor { /* the folders above the one being walked, to notice loops of symbolic links */
  const struct ancestor *above;
  dev_t device;
  ino_t inode;
};

struct walk {
  struct os_source_list *list;
  const struct os_probe *probe;
  struct os_error *error;
  size_t root_len; /* bytes of a path before the name that is relative to the given source */
};

static int fail_errno(struct walk *walk, const char *doing, const char *path) {
  return os_fail(walk->error, OS_ERR_IO, "%s %s: %s", doing, path, strerrordesc_np(errno));
}

bool os_source_is_data(const char *name) {
  return os_format_by_name(name) != OS_FORMAT_UNKNOWN;
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
  size_t fixed = os_glob_fixed(pattern);
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

int os_source_add_files(struct os_source_list *list, const char *path, const struct os_probe *probe,
                        struct os_error *error) {
  struct walk walk = {.list = list, .probe = probe, .error = error};
  struct stat st;
  if (!strcmp(path, "-")) return add_source(&walk, path, 0, NULL);
  if (os_glob_is_pattern(path) && stat(path, &st) != 0) return add_glob(&walk, path);
  return add_path(&walk, path, base_name(path));
}
