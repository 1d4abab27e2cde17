/* source_build.c - see source_build.h. */
#include "pipeline/source_build.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "aws/s3/address.h"
#include "base/alloc.h"
#include "base/json.h"
#include "base/text.h"

struct build {
  struct os_source_list *list;
  const struct os_source_s3 *access;
  struct os_s3 *s3; /* opened by the first s3:// */
  const struct os_probe *probe;
  struct os_error *error;
  json_t *array; /* what the paths point into; NULL: the argument is the only path */
  const char **paths;
  size_t count;
};

/* ---- which paths the argument names ---- */

static int read_array(struct build *build, const char *argument) {
  json_t *path;
  size_t i;
  build->array = os_json_parse(argument, strlen(argument), 0, "path", build->error);
  if (!build->array) return (int)build->error->code;
  build->paths = os_calloc(json_array_size(build->array) + 1, sizeof *build->paths);
  if (!build->paths) return os_fail_nomem(build->error);
  json_array_foreach(build->array, i, path) {
    build->paths[i] = json_string_value(path);
    if (!build->paths[i])
      return os_fail(build->error, OS_ERR_ARGUMENT, "path: element %zu of the array is not a text", i + 1);
    build->count++;
  }
  return OS_OK;
}

static int read_argument(struct build *build, const char *argument) {
  struct stat st;
  const char *first = argument;
  while (os_is_space(*first))
    first++;
  if (*first == '[' && stat(argument, &st) != 0) return read_array(build, first);
  build->paths = os_calloc(1, sizeof *build->paths);
  if (!build->paths) return os_fail_nomem(build->error);
  build->paths[build->count++] = argument;
  return OS_OK;
}

/* ---- one path ---- */

static int add_url(struct build *build, const char *url, const struct os_source_pages *pages) {
  const struct os_source_s3 *access = build->access;
  char bucket[OS_S3_BUCKET_NAME];
  const char *key = NULL;
  int rc = os_s3_url_parse(url, bucket, &key, build->error); /* before keys are looked for */
  if (rc) return rc;
  if (!access) return os_fail(build->error, OS_ERR_ARGUMENT, "%s: objects of S3 cannot be read here", url);
  if (!build->s3) {
    struct os_aws *aws = NULL;
    struct os_net *net = NULL;
    rc = access->open(access->ctx, &aws, &net, build->error);
    if (!rc) rc = os_s3_open(&build->s3, aws, net, build->probe, &access->options, build->error);
  }
  return rc ? rc : os_source_add_objects(build->list, build->s3, url, pages, build->error);
}

/* "arn:aws:s3:::bucket/key", as policies have it; partitions differ. NULL: it is none. */
static const char *behind_arn(const char *path) {
  static const char service[] = ":s3:::";
  const char *partition = os_has_prefix(path, "arn:aws") ? path + strlen("arn:aws") : NULL;
  const char *end = partition ? strchr(partition, ':') : NULL;
  return end && os_has_prefix(end, service) ? end + strlen(service) : NULL;
}

static int add_path(struct build *build, const char *path) {
  const char *behind = behind_arn(path);
  if (!path[0]) return os_fail(build->error, OS_ERR_ARGUMENT, "the path is empty");
  if (behind) {
    os_fail(build->error, OS_ERR_ARGUMENT, "'%.300s' is an ARN, not a path or a URL", path);
    return os_advise(build->error, "write s3://%.300s", behind);
  }
  if (os_s3_is_url(path)) return add_url(build, path, NULL);
  return os_source_add_files(build->list, path, build->probe, build->error);
}

/* ---- what may be listed later ---- */

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* May two of the URLs name the same object: is one, up to its wildcards, how another begins? Sorted, they stand side by
** side. */
static bool have_overlap(char **begins, size_t count) {
  qsort(begins, count, sizeof *begins, by_text);
  for (size_t i = 1; i < count; i++)
    if (!strncmp(begins[i - 1], begins[i], strlen(begins[i - 1]))) return true;
  return false;
}

/* *first: of the URLs at the end that may be listed while others are loaded; all paths: none may. */
static int find_rest(const struct build *build, size_t *first) {
  char **begins = os_calloc(build->count + 1, sizeof *begins);
  size_t count = 0;
  bool complete = begins != NULL;
  for (size_t i = 0; i < build->count && complete; i++) {
    const char *path = build->paths[i];
    if (!os_s3_is_url(path)) continue;
    begins[count] = os_strndup(path, os_glob_fixed(path));
    complete = begins[count++] != NULL;
  }
  *first = build->count;
  if (complete && !have_overlap(begins, count))
    while (*first && os_s3_is_url(build->paths[*first - 1]))
      --*first;
  for (size_t i = 0; begins && i < count; i++)
    os_free(begins[i]);
  os_free(begins);
  return complete ? OS_OK : os_fail_nomem(build->error);
}

struct first_page {
  size_t before; /* sources */
  bool more;     /* there is another page */
};

static int end_first_page(void *ctx, struct os_source_list *list, struct os_error *error) {
  struct first_page *page = ctx;
  (void)error;
  page->more = list->count > page->before;
  return page->more ? OS_ERR_CANCELLED : OS_OK;
}

/* The URLs from `first` on. Those before the first that has more than a page are in the list afterwards; it and
** those behind it are left to a lister when each of them is known to name something. */
static int add_rest(struct build *build, size_t first, struct os_source_lister **rest) {
  size_t later = build->count, kept = 0;
  int rc = OS_OK;
  for (size_t i = first; i < build->count && !rc; i++) {
    struct first_page page = {.before = build->list->count};
    const struct os_source_pages pages = {end_first_page, &page};
    rc = add_url(build, build->paths[i], &pages);
    if (page.more && rc == OS_ERR_CANCELLED) rc = OS_OK;
    if (page.more && later == build->count) {
      later = i;
      kept = page.before;
    }
  }
  if (rc || later == build->count) return rc;
  os_source_list_cut(build->list, kept);
  struct os_s3 *s3 = build->s3;
  build->s3 = NULL;
  return os_source_lister_start(rest, s3, build->paths + later, build->count - later, build->error);
}

int os_source_list_build(struct os_source_list *list, const char *argument, const struct os_source_s3 *s3,
                         const struct os_probe *probe, struct os_source_lister **rest,
                         struct os_error *error) {
  struct build build = {.list = list, .access = s3, .probe = probe, .error = error};
  memset(list, 0, sizeof *list);
  if (rest) *rest = NULL;
  int rc = read_argument(&build, argument);
  size_t at_once = build.count;
  if (!rc && rest) rc = find_rest(&build, &at_once);
  for (size_t i = 0; i < at_once && !rc; i++)
    rc = add_path(&build, build.paths[i]);
  if (!rc) rc = os_source_list_drop_repetitions(list, error);
  if (!rc && rest) rc = add_rest(&build, at_once, rest);
  os_s3_close(build.s3);
  os_free(build.paths);
  json_decref(build.array);
  if (!rc && !list->count && !(rest && *rest)) {
    rc = os_fail(error, OS_ERR_ARGUMENT, "%s holds no file to load", argument);
    os_advise(
        error,
        "a folder is searched for .csv .tsv .json .ndjson .jsonl, also with .gz or .zst; name other files "
        "one by one and say what they are with the option format");
  }
  if (rc) os_source_list_free(list);
  return rc;
}
