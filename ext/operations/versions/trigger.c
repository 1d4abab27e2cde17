/* trigger.c - see trigger.h. Calls pattern.h, base/, and the check of names of cluster/. */
#include "operations/versions/trigger.h"
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/text.h"
#include "cluster/cluster.h"
#include "operations/versions/pattern.h"

enum { ENDPOINT, PATTERN, REPLACEMENT, ALIAS, INDICES, KEYS };
static const char *const keys[KEYS + 1] = {"opensearch_endpoint", "index_pattern", "index_replacement",
                                           "alias_name",          "indices",       NULL};
enum { LONGEST_TEXT = 2000 };

void os_trigger_free(struct os_trigger *trigger) {
  for (size_t i = 0; i < trigger->count; i++) {
    os_free(trigger->indices[i].name);
    os_free(trigger->indices[i].next);
    os_free(trigger->indices[i].alias);
  }
  os_free(trigger->indices);
  os_free(trigger->endpoint);
  os_free(trigger->key);
  memset(trigger, 0, sizeof *trigger);
}

/* ---- the object ---- */

static int refuse_key(const char *key, struct os_error *error) {
  const char *near = os_text_nearest(key, keys, KEYS);
  os_fail(error, OS_ERR_ARGUMENT, "the trigger has an unknown key '%.80s'", key);
  if (near) return os_advise(error, "did you mean '%s'?", near);
  return os_advise(error,
                   "its keys are opensearch_endpoint, index_pattern, index_replacement, alias_name, indices");
}

static int check_keys(const json_t *root, struct os_error *error) {
  const char *key = NULL;
  json_t *value = NULL;
  json_object_foreach((json_t *)(uintptr_t)root, key, value) {
    bool known = false;
    for (int i = 0; i < KEYS; i++)
      known |= !strcmp(key, keys[i]);
    if (!known) return refuse_key(key, error);
  }
  for (int i = 0; i < KEYS; i++) {
    value = json_object_get(root, keys[i]);
    if (!value) return os_fail(error, OS_ERR_ARGUMENT, "the trigger lacks '%s'", keys[i]);
    if (i == INDICES) continue;
    size_t len = json_is_string(value) ? json_string_length(value) : 0;
    if (!len || len > LONGEST_TEXT)
      return os_fail(error, OS_ERR_ARGUMENT, "the trigger's '%s' is not a text of 1 to %d bytes", keys[i],
                     LONGEST_TEXT);
  }
  return OS_OK;
}

/* A password in it is neither used nor repeated. */
static int check_endpoint(const char *url, struct os_error *error) {
  const char *rest = os_has_prefix(url, "https://")  ? url + strlen("https://")
                     : os_has_prefix(url, "http://") ? url + strlen("http://")
                                                     : NULL;
  if (rest && *rest && !memchr(rest, '@', strcspn(rest, "/?#"))) return OS_OK;
  if (rest && *rest) {
    os_fail(error, OS_ERR_ARGUMENT, "the trigger's 'opensearch_endpoint' has a user or password in it");
    return os_advise(error, "the credentials are those of the connection to that cluster; take them out");
  }
  return os_fail(error, OS_ERR_ARGUMENT,
                 "the trigger's 'opensearch_endpoint' is not a URL that begins with https:// or http://");
}

/* ---- the names ---- */

static int check_made_name(const char *name, const char *what, const char *from, struct os_error *error) {
  int rc = os_cluster_check_name(name, error);
  for (const char *c = name; !rc && *c; c++)
    if (*c >= 'A' && *c <= 'Z')
      rc = os_fail(error, OS_ERR_ARGUMENT, "'%s' has an upper-case letter, which OpenSearch refuses", name);
  return rc ? os_error_prefix(error, "%s of '%s'", what, from) : OS_OK;
}

/* Every name stands for one thing: `seen` has {name: what it is}. */
static int add_name(json_t *seen, const char *name, const char *what, const char *of,
                    struct os_error *error) {
  const char *before = json_string_value(json_object_get(seen, name));
  if (before) {
    os_fail(error, OS_ERR_ARGUMENT, "'%s' would be %s%s%s%s, but is %s already", name, what,
            *of ? " of '" : "", of, *of ? "'" : "", before);
    return os_advise(error, "no name of an index, a next version or an alias may come twice");
  }
  char *words = *of ? os_mprintf("%s of '%s'", what, of) : os_strdup(what);
  bool kept = words && os_json_put(seen, name, json_string(words));
  os_free(words);
  return kept ? OS_OK : os_fail_nomem(error);
}

static int check_index(const struct os_trigger_index *index, json_t *seen, struct os_error *error) {
  int rc = check_made_name(index->next, "the next version", index->name, error);
  if (!rc) rc = check_made_name(index->alias, "the alias", index->name, error);
  if (!rc) rc = add_name(seen, index->next, "the next version", index->name, error);
  return rc ? rc : add_name(seen, index->alias, "the alias", index->name, error);
}

static int read_index(const json_t *value, size_t place, struct os_trigger_index *index, json_t *seen,
                      struct os_error *error) {
  const char *name = json_string_value(value);
  if (!name)
    return os_fail(error, OS_ERR_ARGUMENT, "entry %zu of the trigger's 'indices' is not a text", place + 1);
  if (os_cluster_check_name(name, error)) return os_error_prefix(error, "entry %zu of 'indices'", place + 1);
  if (!(index->name = os_strdup(name))) return os_fail_nomem(error);
  return add_name(seen, name, "one of 'indices'", "", error);
}

static int read_indices(const json_t *list, struct os_trigger *out, json_t *seen, struct os_error *error) {
  size_t count = json_array_size(list);
  if (!json_is_array(list) || !count || count > OS_TRIGGER_INDICES)
    return os_fail(error, OS_ERR_ARGUMENT, "the trigger's 'indices' is not an array of 1 to %d names",
                   OS_TRIGGER_INDICES);
  out->indices = os_calloc(count, sizeof *out->indices);
  if (!out->indices) return os_fail_nomem(error);
  out->count = count;
  int rc = OS_OK;
  for (size_t i = 0; i < count && !rc; i++)
    rc = read_index(json_array_get(list, i), i, &out->indices[i], seen, error);
  return rc;
}

static int fill_in(const json_t *root, struct os_trigger *out, json_t *seen, struct os_error *error) {
  const char *templates[] = {os_json_string(root, keys[REPLACEMENT], ""),
                             os_json_string(root, keys[ALIAS], "")};
  struct os_pattern *pattern = NULL;
  int rc = os_pattern_new(&pattern, keys[PATTERN], os_json_string(root, keys[PATTERN], ""), error);
  if (!rc) rc = os_pattern_check_template(pattern, keys[REPLACEMENT], templates[0], error);
  if (!rc) rc = os_pattern_check_template(pattern, keys[ALIAS], templates[1], error);
  for (size_t i = 0; i < out->count && !rc; i++) {
    char *made[2] = {NULL, NULL};
    rc = os_pattern_expand(pattern, out->indices[i].name, templates, 2, made, error);
    out->indices[i].next = made[0];
    out->indices[i].alias = made[1];
    if (!rc) rc = check_index(&out->indices[i], seen, error);
  }
  os_pattern_free(pattern);
  return rc;
}

/* ---- the server ---- */

/* "https://HOST:443/" → "https://host" (RFC 3986, sections 6.2.2 and 6.2.3). */
static size_t normal_form(const char *url, char *out, size_t size) {
  const char *host = strstr(url, "://");
  size_t path = host ? (size_t)(host - url) + 3 + strcspn(host + 3, "/") : strlen(url), len = 0;
  for (size_t i = 0; url[i] && len + 1 < size; i++)
    out[len++] = i < path ? os_to_lower(url[i]) : url[i];
  while (len && out[len - 1] == '/')
    len--;
  out[len] = '\0';
  if (len > path) return len; /* a path follows: its port is compared as it is written */
  if (os_has_prefix(out, "https://") && os_has_suffix(out, ":443", false)) out[len - 4] = '\0';
  if (os_has_prefix(out, "http://") && os_has_suffix(out, ":80", false)) out[len - 3] = '\0';
  return strlen(out);
}

/* ---- the whole ---- */

/* The same members in one order, without white space; the endpoint in one form. */
static char *key_of(const json_t *root) {
  char endpoint[LONGEST_TEXT + 1];
  json_t *ordered = json_object();
  normal_form(os_json_string(root, keys[ENDPOINT], ""), endpoint, sizeof endpoint);
  bool whole = ordered && os_json_put(ordered, keys[ENDPOINT], json_string(endpoint));
  for (int i = PATTERN; i < KEYS && whole; i++)
    whole = !json_object_set(ordered, keys[i], json_object_get(root, keys[i]));
  char *text = whole ? os_json_text(ordered) : NULL;
  json_decref(ordered);
  return text;
}

int os_trigger_parse(const char *text, size_t len, struct os_trigger *out, struct os_error *error) {
  memset(out, 0, sizeof *out);
  if (len > OS_TRIGGER_BYTES)
    return os_fail(error, OS_ERR_ARGUMENT, "the trigger has %zu bytes; at most %d are read", len,
                   OS_TRIGGER_BYTES);
  json_t *root = os_json_parse(text, len, 0, "trigger", error), *seen = json_object();
  int rc = !root ? (int)error->code : !seen ? os_fail_nomem(error) : OS_OK;
  if (!rc && !json_is_object(root)) rc = os_fail(error, OS_ERR_ARGUMENT, "the trigger is not a JSON object");
  if (!rc) rc = check_keys(root, error);
  const char *endpoint = os_json_string(root, keys[ENDPOINT], "");
  if (!rc) rc = check_endpoint(endpoint, error);
  if (!rc) rc = read_indices(json_object_get(root, keys[INDICES]), out, seen, error);
  if (!rc) rc = fill_in(root, out, seen, error);
  if (!rc && (!(out->endpoint = os_strdup(endpoint)) || !(out->key = key_of(root))))
    rc = os_fail_nomem(error);
  json_decref(root);
  json_decref(seen);
  return rc;
}

bool os_trigger_same_endpoint(const char *a, const char *b) {
  char first[LONGEST_TEXT + 1], second[LONGEST_TEXT + 1];
  if (strlen(a) > LONGEST_TEXT || strlen(b) > LONGEST_TEXT) return false;
  return normal_form(a, first, sizeof first) == normal_form(b, second, sizeof second) &&
         !strcmp(first, second);
}
