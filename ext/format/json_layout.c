/* json_layout.c - which layout a JSON file has: an array of documents, one document, documents one after
** another, or an object whose members are the documents. Pure; decides from a file's first bytes. Calls
** json_scan.
**
** The same file must be read the same way whatever the size of the window and wherever a load was resumed,
** so the rule is a function of the bytes: an object is looked at member by member up to OS_JSON_LOOK bytes.
*/
#include "format/json_impl.h"
#include <string.h>

int os_json_mark(const char *head, size_t len, bool at_end, int *bytes, struct os_error *error) {
  const unsigned char *b = (const unsigned char *)head;
  *bytes = -1;
  if (len < 4 && !at_end) return OS_OK;
  *bytes = 0;
  bool wide_mark = len >= 2 && ((b[0] == 0xFF && b[1] == 0xFE) || (b[0] == 0xFE && b[1] == 0xFF));
  bool wide_text = false; /* RFC 4627 section 3: the pattern of NULs tells */
  if (len >= 4) {
    unsigned nuls = (b[0] == 0) * 8u + (b[1] == 0) * 4u + (b[2] == 0) * 2u + (b[3] == 0);
    wide_text =
        nuls == 10 || nuls == 5 || nuls == 14 || nuls == 7 || (nuls == 12 && b[2] == 0xFE && b[3] == 0xFF);
  }
  if (wide_mark || wide_text) {
    os_fail(error, OS_ERR_FORMAT,
            "line 1 column 1 (byte 0): the text is UTF-16 or UTF-32, JSON is read as UTF-8");
    os_advise(error, "convert it first, for example with: iconv -f UTF-16 -t UTF-8");
    return OS_ERR_FORMAT;
  }
  if (len >= 3 && b[0] == 0xEF && b[1] == 0xBB && b[2] == 0xBF) *bytes = 3;
  return OS_OK;
}

static const char *skip_blanks(const char *p, const char *end) {
  while (p < end && os_json_blank(*p))
    p++;
  return p;
}

/* Is the object at `start` a document, or are its members the documents? */
static enum os_json_layout look_inside(struct os_json_scan *scan, const char *start, const char *end,
                                       bool at_end, unsigned least) {
  const char *p = start + 1;
  unsigned begun = 0; /* members seen whose value is an object */
  for (;;) {
    p = skip_blanks(p, end);
    if (p < end && *p == '}') return begun >= least ? OS_JSON_MEMBERS : OS_JSON_ONE;
    if (p < end && begun && *p == ',') p = skip_blanks(p + 1, end);
    if (p >= end) break;
    if (*p != '"') goto broken;
    if (!os_json_scan(scan, p, end)) {
      if (scan->fault == OS_JSON_MORE) break;
      goto broken;
    }
    p = skip_blanks(scan->end, end);
    if (p >= end) break;
    if (*p != ':') goto broken;
    p = skip_blanks(p + 1, end);
    if (p >= end) break;
    if (begun >= least && p - start >= OS_JSON_LOOK) return OS_JSON_MEMBERS;
    if (*p != '{') return OS_JSON_ONE;
    begun++;
    if (!os_json_scan(scan, p, end)) {
      if (scan->fault == OS_JSON_MORE) break;
      goto broken;
    }
    p = scan->end;
  }
  if (!at_end && (begun < least || end - start < OS_JSON_LOOK)) return OS_JSON_UNDECIDED;
broken: /* the walk through the file will say what is wrong */
  return begun >= least ? OS_JSON_MEMBERS : OS_JSON_ONE;
}

static int mismatch(struct os_error *error, const char *option, const char *found, const char *instead) {
  os_fail(error, OS_ERR_FORMAT, "option json_root is '%s', but the file begins with %s", option, found);
  os_advise(error, "pass {\"json_root\":\"%s\"} for this file, or leave json_root out", instead);
  return OS_ERR_FORMAT;
}

int os_json_layout(struct os_json_scan *scan, enum os_format format, const struct os_parse_options *options,
                   const char *p, const char *end, bool at_end, enum os_json_layout *out,
                   struct os_error *error) {
  bool lines = format == OS_FORMAT_NDJSON;
  enum os_json_root root = options->json_root;
  p = skip_blanks(p, end);
  *out = at_end ? (lines ? OS_JSON_LINES : OS_JSON_ONE) : OS_JSON_UNDECIDED;
  if (p >= end) return OS_OK;
  *out = lines ? OS_JSON_LINES : OS_JSON_ONE;
  if (*p == '[') {
    if (root == OS_ROOT_MEMBERS) return mismatch(error, "members", "'[', an array", "records");
    if (root == OS_ROOT_DOCUMENT && !lines) return mismatch(error, "document", "'[', an array", "records");
    if (root != OS_ROOT_DOCUMENT) *out = OS_JSON_RECORDS;
  } else if (*p == '{') {
    if (root == OS_ROOT_RECORDS && !lines) return mismatch(error, "records", "'{', an object", "document");
    if (root == OS_ROOT_MEMBERS)
      *out = OS_JSON_MEMBERS;
    else if (root == OS_ROOT_AUTO && !lines) {
      bool keyed = options->id_field && !strcmp(options->id_field, "@key"); /* then a single member will do */
      *out = look_inside(scan, p, end, at_end, keyed ? 1 : 2);
      if (scan->fault == OS_JSON_NOMEM) return os_fail_nomem(error);
    }
  }
  return OS_OK;
}
