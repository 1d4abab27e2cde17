/* bulk_answer.c - a strict scanner for the JSON of `_bulk` answers (RFC 8259).
**
** Pure; calls base/ and, for the rare item with an error, jansson through reason.c. Every step looks at
** the end of the input before it reads: an answer may be cut anywhere.
*/
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/text.h"
#include "cluster/bulk_answer.h"
#include "cluster/reason.h"

enum { MAX_DEPTH = 64, MAX_TOOK_DIGITS = 15 };

struct scan {
  const char *start, *at, *end;
  const char *wanted; /* set by the first fault: what should stand at `at` */
};

struct slice {
  const char *text;
  size_t len;
};

struct known_item {
  const char *text;
  size_t len; /* 0: none yet */
  struct os_bulk_item item;
};

static bool fault(struct scan *scan, const char *wanted) {
  if (!scan->wanted) scan->wanted = wanted;
  return false;
}

/* ---- JSON ---- */

static inline void skip_space(struct scan *scan) {
  while (scan->at < scan->end &&
         (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
    scan->at++;
}

/* White space and one character; the answers we ask for have no white space. */
static inline bool take(struct scan *scan, char c, const char *wanted) {
  if (scan->at == scan->end || *scan->at != c) {
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != c) return fault(scan, wanted);
  }
  scan->at++;
  return true;
}

static inline bool next_is(struct scan *scan, char c) {
  skip_space(scan);
  return scan->at < scan->end && *scan->at == c;
}

static bool is_hex(char c) {
  return os_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* After a backslash; scan->at is on the character behind it. */
static bool skip_escape(struct scan *scan) {
  if (scan->at == scan->end) return fault(scan, "an escape");
  char c = *scan->at++;
  if (c != 'u') return c && strchr("\"\\/bfnrt", c) ? true : fault(scan, "an escape");
  for (int i = 0; i < 4; i++, scan->at++)
    if (scan->at == scan->end || !is_hex(*scan->at)) return fault(scan, "four hexadecimal digits");
  return true;
}

/* A string; slice (may be NULL) gets what stands between the quotes, escapes as they are. */
static inline bool read_string(struct scan *scan, struct slice *slice) {
  if (!take(scan, '"', "a string")) return false;
  const char *start = scan->at;
  const char *at = scan->at, *end = scan->end;
  for (;;) {
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20)
      at++;
    scan->at = at;
    if (at == end) return fault(scan, "the end of a string");
    if (*at == '"') break;
    if (*at != '\\') return fault(scan, "no control character in a string");
    scan->at++;
    if (!skip_escape(scan)) return false;
    at = scan->at;
  }
  if (slice) *slice = (struct slice){start, (size_t)(at - start)};
  scan->at = at + 1;
  return true;
}

static bool skip_digits(struct scan *scan) {
  const char *start = scan->at;
  while (scan->at < scan->end && os_is_digit(*scan->at))
    scan->at++;
  return scan->at > start ? true : fault(scan, "a digit");
}

static bool skip_number(struct scan *scan) {
  if (*scan->at == '-') scan->at++;
  if (scan->at < scan->end && *scan->at == '0')
    scan->at++;
  else if (!skip_digits(scan))
    return false;
  if (scan->at < scan->end && *scan->at == '.') {
    scan->at++;
    if (!skip_digits(scan)) return false;
  }
  if (scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E')) {
    scan->at++;
    if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-')) scan->at++;
    if (!skip_digits(scan)) return false;
  }
  return true;
}

static bool skip_word(struct scan *scan, const char *word) {
  for (; *word; word++, scan->at++)
    if (scan->at == scan->end || *scan->at != *word) return fault(scan, "true, false or null");
  return true;
}

static bool skip_scalar(struct scan *scan) {
  switch (*scan->at) {
  case '"': return read_string(scan, NULL);
  case 't': return skip_word(scan, "true");
  case 'f': return skip_word(scan, "false");
  case 'n': return skip_word(scan, "null");
  default: return *scan->at == '-' || os_is_digit(*scan->at) ? skip_number(scan) : fault(scan, "a value");
  }
}

/* Any value, however nested, without recursion: `inside` remembers for each level whether it is an object. */
static bool skip_value(struct scan *scan) {
  bool inside[MAX_DEPTH];
  int depth = 0;
  for (;;) {
    skip_space(scan);
    if (scan->at == scan->end) return fault(scan, "a value");
    if (*scan->at == '{' || *scan->at == '[') {
      if (depth == MAX_DEPTH) return fault(scan, "less nesting");
      inside[depth] = *scan->at++ == '{';
      if (!next_is(scan, inside[depth] ? '}' : ']')) {
        if (inside[depth] && !(read_string(scan, NULL) && take(scan, ':', "':'"))) return false;
        depth++;
        continue;
      }
      scan->at++; /* empty */
    } else if (!skip_scalar(scan)) {
      return false;
    }
    for (;;) { /* a value has ended: what follows it? */
      if (!depth) return true;
      if (next_is(scan, ',')) break;
      if (!take(scan, inside[depth - 1] ? '}' : ']', inside[depth - 1] ? "',' or '}'" : "',' or ']'"))
        return false;
      depth--;
    }
    scan->at++; /* the comma */
    if (inside[depth - 1] && !(read_string(scan, NULL) && take(scan, ':', "':'"))) return false;
  }
}

/* Inside an object, at its start (*first) or behind a member: 1 and the name, scan behind the ':'; 0 at
** its end; -1 on a fault. */
static inline int next_member(struct scan *scan, bool *first, struct slice *name) {
  skip_space(scan);
  if (scan->at < scan->end && *scan->at == '}') {
    scan->at++;
    return 0;
  }
  if (!*first && !take(scan, ',', "',' or '}'")) return -1;
  *first = false;
  if (!read_string(scan, name) || !take(scan, ':', "':'")) return -1;
  return 1;
}

static inline bool is(const struct slice *slice, const char *word, size_t len) {
  return slice->len == len && !memcmp(slice->text, word, len);
}
#define IS(slice, word) is(slice, word, sizeof(word) - 1)

/* ---- the answer ---- */

static bool read_integer(struct scan *scan, int64_t *value, const char *wanted) {
  skip_space(scan);
  const char *start = scan->at;
  int64_t number = 0;
  while (scan->at < scan->end && os_is_digit(*scan->at)) {
    if (scan->at - start == MAX_TOOK_DIGITS) return fault(scan, wanted);
    number = number * 10 + (*scan->at++ - '0');
  }
  if (scan->at == start || (*start == '0' && scan->at > start + 1)) return fault(scan, wanted);
  if (scan->at < scan->end && (*scan->at == '.' || *scan->at == 'e' || *scan->at == 'E'))
    return fault(scan, wanted);
  *value = number;
  return true;
}

static bool read_boolean(struct scan *scan, bool *value) {
  skip_space(scan);
  *value = scan->at < scan->end && *scan->at == 't';
  if (scan->at < scan->end && (*scan->at == 't' || *scan->at == 'f'))
    return skip_word(scan, *value ? "true" : "false");
  return fault(scan, "true or false");
}

static bool read_result(struct scan *scan, char *result) {
  struct slice word;
  if (!read_string(scan, &word)) return false;
  *result = (char)(IS(&word, "created")   ? 'c'
                   : IS(&word, "updated") ? 'u'
                   : IS(&word, "noop")    ? 'n'
                   : IS(&word, "deleted") ? 'd'
                                          : 0);
  return true;
}

static bool read_error(struct scan *scan, struct os_bulk_item *item) {
  skip_space(scan);
  const char *start = scan->at;
  if (!skip_value(scan)) return false;
  if (*start == 'n') return true; /* null */
  item->error = start;
  item->error_len = (size_t)(scan->at - start);
  return true;
}

/* {"index": {"status": 201, …}}: one member, whose name is the action. */
static bool read_item(struct scan *scan, struct os_bulk_item *item) {
  struct slice name;
  bool first = true;
  int64_t status = 0;
  int more = 0;
  memset(item, 0, sizeof *item);
  if (!take(scan, '{', "an item") || !read_string(scan, NULL) || !take(scan, ':', "':'") ||
      !take(scan, '{', "the outcome of an action"))
    return false;
  while ((more = next_member(scan, &first, &name)) == 1) {
    bool good = IS(&name, "status")   ? read_integer(scan, &status, "a status")
                : IS(&name, "result") ? read_result(scan, &item->result)
                : IS(&name, "error")  ? read_error(scan, item)
                                      : skip_value(scan);
    if (!good) return false;
  }
  if (more < 0) return false;
  if (status < 100 || status > 599) return fault(scan, "the status of the item before");
  item->status = (int)status;
  return take(scan, '}', "the end of the item");
}

/* An item, which is mostly byte for byte the one before: then comparing is cheaper than reading. `last` is an
** item's text and what it says; a value that ends with its own brace cannot be the beginning of another. */
static bool read_next_item(struct scan *scan, struct known_item *last, struct os_bulk_item *item) {
  const char *start = scan->at;
  if (last->len && (size_t)(scan->end - start) >= last->len && !memcmp(start, last->text, last->len)) {
    *item = last->item;
    scan->at += last->len;
    return true;
  }
  if (!read_item(scan, item)) return false;
  if (!item->error) *last = (struct known_item){start, (size_t)(scan->at - start), *item};
  return true;
}

static bool read_items(struct scan *scan, size_t expected, struct os_bulk_item *items, size_t *count,
                       bool *bad) {
  struct os_bulk_item surplus;
  struct known_item last = {NULL, 0, {0}};
  if (!take(scan, '[', "the array of items")) return false;
  if (next_is(scan, ']')) {
    scan->at++;
    return true;
  }
  for (;;) {
    /* Items that are too many are still counted, so that the message can say both numbers. */
    struct os_bulk_item *item = *count < expected ? &items[*count] : &surplus;
    if (!read_next_item(scan, &last, item)) return false;
    if (item->status >= 300) *bad = true;
    ++*count;
    if (next_is(scan, ']')) break;
    if (!take(scan, ',', "',' or ']'")) return false;
  }
  scan->at++;
  return true;
}

static int unreadable(const struct scan *scan, struct os_error *error) {
  char quoted[OS_ONE_LINE];
  size_t len = (size_t)(scan->end - scan->start);
  if (scan->start == scan->end) {
    os_fail(error, OS_ERR_ANSWER, "the answer to _bulk is empty");
  } else if (scan->at == scan->end) {
    os_fail(error, OS_ERR_ANSWER, "the answer to _bulk ends after %zu bytes where %s should stand", len,
            scan->wanted);
  } else if (scan->start[0] != '{') {
    os_one_line(scan->start, len, quoted);
    os_fail(error, OS_ERR_ANSWER, "the answer to _bulk is not a JSON object but: %s", quoted);
  } else {
    os_one_line(scan->at, (size_t)(scan->end - scan->at), quoted);
    os_fail(error, OS_ERR_ANSWER, "the answer to _bulk has, at byte %zu, something else than %s: %s",
            (size_t)(scan->at - scan->start), scan->wanted, quoted);
  }
  return os_advise(error, "does something between here and the cluster (a proxy) answer or change answers?");
}

int os_bulk_answer_parse(const char *body, size_t len, size_t expected, struct os_bulk_item *items,
                         bool *errors, int64_t *took, struct os_error *error) {
  struct scan scan = {.start = body, .at = body, .end = body + len};
  struct slice name;
  bool first = true, said = false, bad = false, seen = false;
  int64_t milliseconds = -1;
  size_t count = 0;
  int more = 0;
  if (!len) return unreadable(&scan, error);
  if (!take(&scan, '{', "a JSON object")) return unreadable(&scan, error);
  while ((more = next_member(&scan, &first, &name)) == 1) {
    bool good = true;
    if (IS(&name, "items")) {
      good =
          seen ? fault(&scan, "only one array of items") : read_items(&scan, expected, items, &count, &bad);
      seen = true;
    } else if (IS(&name, "errors")) {
      good = read_boolean(&scan, &said);
    } else if (IS(&name, "took")) {
      good = read_integer(&scan, &milliseconds, "milliseconds");
    } else {
      good = skip_value(&scan);
    }
    if (!good) return unreadable(&scan, error);
  }
  if (more < 0) return unreadable(&scan, error);
  skip_space(&scan);
  if (scan.at < scan.end) {
    fault(&scan, "the end");
    return unreadable(&scan, error);
  }
  if (!seen) {
    char quoted[OS_ONE_LINE];
    os_one_line(body, len, quoted);
    return os_fail(error, OS_ERR_ANSWER, "the answer to _bulk has no items: %s", quoted);
  }
  if (count != expected)
    return os_fail(error, OS_ERR_ANSWER, "the answer to _bulk has %zu items for %zu actions", count,
                   expected);
  if (errors) *errors = said || bad;
  if (took) *took = milliseconds;
  return OS_OK;
}

int os_bulk_item_error(const struct os_bulk_item *item, char type[OS_BULK_ERROR_TYPE],
                       char reason[OS_BULK_ERROR_REASON]) {
  if (!item->error) {
    snprintf(type, OS_BULK_ERROR_TYPE, "status_%d", item->status);
    reason[0] = '\0';
    return OS_OK;
  }
  json_t *error = os_json_load(item->error, item->error_len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
  if (!error) {
    os_copy_text(type, OS_BULK_ERROR_TYPE, "unreadable");
    os_copy_bytes(reason, OS_BULK_ERROR_REASON, item->error, item->error_len);
    return OS_ERR_ANSWER;
  }
  os_reason_read(error, type, OS_BULK_ERROR_TYPE, reason, OS_BULK_ERROR_REASON);
  json_decref(error);
  return OS_OK;
}
