/* name.c - names of indices, aliases and data streams: which are one name, and how they become a path. Pure.
 */
#include <string.h>
#include "cluster/request.h"

enum { MAX_NAME = 255 };

static int refuse(const char *name, char c, struct os_error *error) {
  unsigned char byte = (unsigned char)c;
  if (byte <= ' ' || byte == 0x7f)
    os_fail(error, OS_ERR_ARGUMENT, "index name '%s': %s is not allowed in a name", name,
            byte == ' ' ? "a blank" : "a control character");
  else
    os_fail(error, OS_ERR_ARGUMENT, "index name '%s': the character '%c' is not allowed in a name", name, c);
  if (c == '*' || c == '?' || c == ',')
    return os_advise(error, "give one concrete name, not a pattern or a list");
  return error ? (int)error->code : OS_ERR_ARGUMENT;
}

/* The characters are those of the "Create index" page of the OpenSearch docs, and what would change the
** meaning of a request: '%' and '&' are only unusual and get encoded, but a leading '-' excludes, '_'
** names an endpoint (_all), '<' starts date math and ':' another cluster. */
int os_cluster_check_name(const char *name, struct os_error *error) {
  if (!name || !*name) {
    os_fail(error, OS_ERR_ARGUMENT, "the index name is empty");
    return os_advise(error, "name an index, or set OPENSEARCH_INDEX");
  }
  size_t len = strlen(name);
  if (len > MAX_NAME)
    return os_fail(error, OS_ERR_ARGUMENT, "the index name '%.40s…' has %zu bytes; 255 are allowed", name,
                   len);
  if (!strcmp(name, ".") || !strcmp(name, ".."))
    return os_fail(error, OS_ERR_ARGUMENT, "index name '%s': not a name", name);
  for (const char *p = name; *p; p++)
    if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("\\/*?\"<>|,#:", *p)) return refuse(name, *p, error);
  if (*name == '_' || *name == '-' || *name == '+')
    return os_fail(error, OS_ERR_ARGUMENT, "index name '%s': a name must not begin with '%c'", name, *name);
  return OS_OK;
}

int os_name_path(struct os_buf *path, const char *before, const char *name, const char *after,
                 struct os_error *error) {
  os_buf_init(path, 0);
  int rc = os_cluster_check_name(name, error);
  if (rc) return rc;
  os_buf_puts(path, before);
  os_url_encode(path, name, strlen(name));
  os_buf_puts(path, after);
  if (!path->failed) return OS_OK;
  os_buf_free(path);
  return os_fail_nomem(error);
}

char *os_cluster_path(const char *name, const char *after) {
  struct os_buf path;
  os_buf_init(&path, 0);
  os_buf_putc(&path, '/');
  os_url_encode(&path, name, strlen(name));
  os_buf_puts(&path, after);
  return os_buf_take(&path);
}
