/* sigv4_canonical.c - the canonical form of a request, which client and server each compute for themselves; see
** sigv4.h.
*/
#include "aws/sigv4_canonical.h"
#include <string.h>
#include "base/alloc.h"
#include "base/text.h"
#include "net/http.h"

/* ---- the path ---------------------------------------------------------------------------------- */

/* Room for the segments of a path; each points into it. */
struct segments {
  struct segment {
    const char *text;
    size_t len;
  } * list;
  size_t count;
};

/* RFC 3986, 5.2.4 (remove dot segments), and runs of '/' become one. */
static bool split_path(const char *path, struct segments *out) {
  out->count = 0;
  out->list = os_calloc(strlen(path) + 1, sizeof *out->list);
  if (!out->list) return false;
  while (*path) {
    path += strspn(path, "/");
    size_t len = strcspn(path, "/");
    if (len == 2 && !memcmp(path, "..", 2)) {
      if (out->count) out->count--;
    } else if (len && !(len == 1 && *path == '.')) {
      out->list[out->count++] = (struct segment){path, len};
    }
    path += len;
  }
  return true;
}

static bool ends_with(const char *path, const char *end) {
  size_t len = strlen(path), n = strlen(end);
  return len >= n && !strcmp(path + len - n, end);
}

static int put_normalised(const char *path, struct os_buf *out, struct os_error *error) {
  struct segments segments;
  if (!split_path(path, &segments)) return os_fail_nomem(error);
  for (size_t i = 0; i < segments.count; i++) {
    os_buf_putc(out, '/');
    os_url_encode(out, segments.list[i].text, segments.list[i].len);
  }
  if (!segments.count || ends_with(path, "/") || ends_with(path, "/.") || ends_with(path, "/.."))
    os_buf_putc(out, '/');
  os_free(segments.list);
  return OS_OK;
}

/* ---- the query --------------------------------------------------------------------------------- */

static int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* %XX is what it stands for; a '%' that begins no such thing is itself. */
static void put_clean(const char *text, size_t len, bool plus_is_blank, struct os_buf *out) {
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    if (c == '%' && i + 2 < len && digit_of(text[i + 1]) >= 0 && digit_of(text[i + 2]) >= 0) {
      c = (char)(digit_of(text[i + 1]) * 16 + digit_of(text[i + 2]));
      i += 2;
    } else if (c == '+' && plus_is_blank) {
      c = ' ';
    }
    os_url_encode(out, &c, 1);
  }
}

void os_sigv4_clean_query(const char *query, struct os_buf *out) {
  for (bool first = true; query && *query; first = false) {
    size_t len = strcspn(query, "&"), name = strcspn(query, "=&");
    if (!first) os_buf_putc(out, '&');
    put_clean(query, name, true, out);
    os_buf_putc(out, '=');
    if (name < len) put_clean(query + name + 1, len - name - 1, true, out);
    query += len + (query[len] == '&');
  }
}

struct pair {
  size_t name, value; /* offsets in the buffer of encoded texts, each NUL-terminated */
};

static int compare_pairs(const char *texts, const struct pair *a, const struct pair *b) {
  int order = strcmp(texts + a->name, texts + b->name);
  return order ? order : strcmp(texts + a->value, texts + b->value);
}

/* Few enough for insertion, which needs no comparison with a context. */
static void sort_pairs(const char *texts, struct pair *pairs, size_t count) {
  for (size_t i = 1; i < count; i++) {
    struct pair one = pairs[i];
    size_t at = i;
    for (; at && compare_pairs(texts, &one, &pairs[at - 1]) < 0; at--)
      pairs[at] = pairs[at - 1];
    pairs[at] = one;
  }
}

static size_t read_pairs(const char *query, struct os_buf *texts, struct pair *pairs) {
  size_t count = 0;
  while (*query) {
    size_t len = strcspn(query, "&"), name = strcspn(query, "=&");
    if (len) {
      pairs[count].name = texts->len;
      put_clean(query, name, false, texts);
      os_buf_append(texts, "", 1);
      pairs[count].value = texts->len;
      if (name < len) put_clean(query + name + 1, len - name - 1, false, texts);
      os_buf_append(texts, "", 1);
      count++;
    }
    query += len + (query[len] == '&');
  }
  return count;
}

static int put_query(const char *query, struct os_buf *out, struct os_error *error) {
  if (!query || !*query) return OS_OK;
  struct os_buf texts;
  os_buf_init(&texts, 0);
  struct pair *pairs = os_calloc(strlen(query) + 1, sizeof *pairs);
  size_t count = pairs ? read_pairs(query, &texts, pairs) : 0;
  bool ok = pairs && !texts.failed;
  if (ok) sort_pairs(texts.data ? texts.data : "", pairs, count);
  for (size_t i = 0; ok && i < count; i++)
    os_buf_printf(out, "%s%s=%s", i ? "&" : "", texts.data + pairs[i].name, texts.data + pairs[i].value);
  os_free(pairs);
  os_buf_free(&texts);
  return ok ? OS_OK : os_fail_nomem(error);
}

/* ---- the headers ------------------------------------------------------------------------------- */

/* Their order by name; those of one name stay as they came. os_free() it; NULL: no memory. */
static const struct os_sigv4_header **sorted_headers(const struct os_sigv4_request *request) {
  const struct os_sigv4_header **list = os_calloc(request->header_count + 1, sizeof *list);
  for (size_t i = 0; list && i < request->header_count; i++) {
    const struct os_sigv4_header *one = &request->headers[i];
    size_t at = i;
    for (; at && os_strcasecmp(one->name, list[at - 1]->name) < 0; at--)
      list[at] = list[at - 1];
    list[at] = one;
  }
  return list;
}

static void put_lower(const char *name, struct os_buf *out) {
  for (; *name; name++)
    os_buf_putc(out, *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name);
}

/* Without the blanks around it, runs of them inside as one. */
static void put_trimmed(const char *value, struct os_buf *out) {
  static const char blanks[] = " \t\r\n";
  value += strspn(value, blanks);
  while (*value) {
    size_t len = strcspn(value, blanks);
    os_buf_append(out, value, len);
    value += len;
    value += strspn(value, blanks);
    if (*value) os_buf_putc(out, ' ');
  }
}

static int put_headers(const struct os_sigv4_request *request, struct os_buf *out, struct os_error *error) {
  const struct os_sigv4_header **list = sorted_headers(request);
  if (!list) return os_fail_nomem(error);
  for (size_t i = 0; i < request->header_count; i++) {
    bool again = i && !os_strcasecmp(list[i]->name, list[i - 1]->name);
    bool more = i + 1 < request->header_count && !os_strcasecmp(list[i]->name, list[i + 1]->name);
    if (!again) put_lower(list[i]->name, out);
    os_buf_putc(out, again ? ',' : ':');
    put_trimmed(list[i]->value, out);
    if (!more) os_buf_putc(out, '\n');
  }
  os_free(list);
  return OS_OK;
}

int os_sigv4_signed_headers(const struct os_sigv4_request *request, struct os_buf *out,
                            struct os_error *error) {
  const struct os_sigv4_header **list = sorted_headers(request);
  if (!list) return os_fail_nomem(error);
  for (size_t i = 0; i < request->header_count; i++) {
    if (i && !os_strcasecmp(list[i]->name, list[i - 1]->name)) continue;
    if (i) os_buf_putc(out, ';');
    put_lower(list[i]->name, out);
  }
  os_free(list);
  return OS_OK;
}

/* ---- all of it --------------------------------------------------------------------------------- */

int os_sigv4_canonical(const struct os_sigv4_request *request, struct os_buf *out, struct os_error *error) {
  os_buf_printf(out, "%s\n", request->method);
  int rc = OS_OK;
  if (request->is_s3)
    os_buf_puts(out, request->path);
  else
    rc = put_normalised(request->path, out, error);
  os_buf_putc(out, '\n');
  if (!rc) rc = put_query(request->query, out, error);
  os_buf_putc(out, '\n');
  if (!rc) rc = put_headers(request, out, error);
  os_buf_putc(out, '\n');
  if (!rc) rc = os_sigv4_signed_headers(request, out, error);
  os_buf_printf(out, "\n%s", request->payload_hash);
  return rc || !out->failed ? rc : os_fail_nomem(error);
}
