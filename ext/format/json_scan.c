/* json_scan.c - the strict JSON splitter of json_scan.h: the hot path of every JSON load.
**
** One pass over the bytes, no tree, no recursion: nesting is a bit a level. Strings are skimmed sixteen
** bytes at a time for the four things that matter in them (quote, backslash, control character, non-ASCII),
** top-level names are compared with those of the value before, everything else is a jump on one byte.
** Blanks outside strings are dropped, because a `_bulk` body is NDJSON and a line break inside a document
** would end its line. Calls base/ only.
*/
#include "format/json_scan.h"
#include <string.h>
#include "base/simd.h"
#include "base/utf8.h"
#include "format/record.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

struct output {      /* where the document is assembled once something had to go */
  const char *piece; /* first input byte that was not copied yet */
  size_t len;        /* bytes in scratch */
  bool changed;
};

/* ---- names of the value before ---- */

/* Records of one file mostly have the same members in the same order. A name that stands where it stood in the
** value before was validated there, and is no pick: comparing its bytes is all there is to do. */

static const uint32_t NO_NAME = UINT32_C(1) << OS_JSON_NAME_TEXT, COMMA = 1;

_Static_assert((int)OS_JSON_NAME_TEXT == (int)OS_SIMD_WIDTH, "a name is compared in one go");

static void forget_names(struct os_json_scan *scan) {
  memset(scan->names, 0, sizeof scan->names);
  for (int i = 0; i < OS_JSON_NAMES + 2; i++)
    scan->names[i].bits = NO_NAME;
}

/* text: the name from quote to colon; len 0: nothing is to be remembered */
static void remember_name(struct os_json_name *name, const char *text, size_t len) {
  name->bits = NO_NAME;
  if (!len || len >= sizeof name->text) return;
  name->text[0] = ',';
  memcpy(name->text + 1, text, len);
  name->bits = (UINT32_C(1) << (len + 1)) - 1;
  name->len = (uint32_t)len;
}

/* Does it stand at p, where its comma is? `seen`: bits of what is known to be there. */
static inline bool is_name(const struct os_json_name *name, const char *p, uint32_t seen) {
  uint32_t same = os_simd_mask(os_simd_eq(os_simd_load(p), os_simd_load(name->text))) | seen;
  return (same & name->bits) == name->bits;
}

void os_json_scan_init(struct os_json_scan *scan) {
  scan->picks = 0;
  scan->pick_lengths = 0;
  scan->fault = OS_JSON_FINE;
  forget_names(scan);
  os_buf_init(&scan->scratch, 0);
}

void os_json_scan_free(struct os_json_scan *scan) {
  os_buf_free(&scan->scratch);
}

int os_json_scan_pick(struct os_json_scan *scan, const char *name, bool cut) {
  size_t len = strlen(name);
  for (int i = 0; i < scan->picks; i++) {
    if (scan->pick[i].name_len == len && !memcmp(scan->pick[i].name, name, len)) {
      scan->pick[i].cut |= cut;
      return i;
    }
  }
  if (scan->picks == OS_JSON_PICKS) return -1;
  scan->pick[scan->picks] = (struct os_json_pick){.name = name, .name_len = len, .cut = cut};
  scan->pick_lengths |= UINT64_C(1) << (len & 63);
  forget_names(scan); /* one of them may be the new pick */
  return scan->picks++;
}

enum os_json_kind os_json_kind_of(char first) {
  switch (first) {
  case '{': return OS_JSON_OBJECT;
  case '[': return OS_JSON_ARRAY;
  case '"': return OS_JSON_STRING;
  case 't': return OS_JSON_TRUE;
  case 'f': return OS_JSON_FALSE;
  case 'n': return OS_JSON_NULL;
  default: return first == '-' || (first >= '0' && first <= '9') ? OS_JSON_NUMBER : OS_JSON_NOTHING;
  }
}

const char *os_json_kind_name(enum os_json_kind kind) {
  static const char *const names[] = {"nothing",  "an object", "an array", "a string",
                                      "a number", "true",      "false",    "null"};
  return names[kind];
}

static inline bool is_digit(char c) {
  return (unsigned char)(c - '0') < 10;
}

static int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* ---- escapes, decoded only where a name or an id asks for it ---- */

static unsigned unit_at(const char *hex) { /* four digits that the scan has checked */
  unsigned unit = 0;
  for (int i = 0; i < 4; i++)
    unit = unit << 4 | (unsigned)hex_value(hex[i]);
  return unit;
}

/* The character at *text (which moves on) as UTF-8 in out[4]; the text has been validated. Returns its
** length. */
static size_t decode_next(const char **text, const char *end, char out[4]) {
  const char *p = *text;
  if (*p != '\\') {
    out[0] = *p;
    *text = p + 1;
    return 1;
  }
  static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
  if (p[1] != 'u') {
    const char *known = strchr(from, p[1]);
    out[0] = known ? to[known - from] : p[1];
    *text = p + 2;
    return 1;
  }
  unsigned code = unit_at(p + 2);
  p += 6;
  if (code >= 0xD800 && code < 0xDC00 && end - p >= 6 && p[0] == '\\' &&
      p[1] == 'u') { /* RFC 8259 section 7 */
    unsigned low = unit_at(p + 2);
    if (low >= 0xDC00 && low < 0xE000) {
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      p += 6;
    }
  }
  *text = p;
  if (code < 0x80) {
    out[0] = (char)code;
    return 1;
  }
  size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = len - 1; i > 0; i--, code >>= 6)
    out[i] = (char)(0x80 | (code & 0x3F));
  out[0] = (char)((0xF00 >> len & 0xF0) | code);
  return len;
}

size_t os_json_decoded_len(const char *text, size_t len) {
  const char *end = text + len;
  size_t total = 0;
  char out[4];
  while (text < end)
    total += decode_next(&text, end, out);
  return total;
}

static bool decoded_equals(const char *text, size_t len, const char *name, size_t name_len) {
  const char *end = text + len;
  size_t done = 0;
  char out[4];
  while (text < end) {
    size_t n = decode_next(&text, end, out);
    if (name_len - done < n || memcmp(name + done, out, n)) return false;
    done += n;
  }
  return done == name_len;
}

static struct os_json_pick *find_pick(struct os_json_scan *s, const char *key, size_t len) {
  for (int i = 0; i < s->picks; i++) {
    struct os_json_pick *pick = &s->pick[i];
    if (s->escaped ? decoded_equals(key, len, pick->name, pick->name_len)
                   : len == pick->name_len && !memcmp(key, pick->name, len))
      return pick;
  }
  return NULL;
}

/* ---- strings ---- */

static const char *fail_at(struct os_json_scan *s, enum os_json_fault fault, const char *at,
                           const char *expected) {
  s->fault = fault;
  s->at = at;
  s->expected = expected;
  return NULL;
}

static const char IN_STRING[] = "the closing quote of a string";

/* Do the bytes up to the end begin a character that may go on behind it? */
static bool is_cut_short(const char *p, const char *end) {
  unsigned char lead = (unsigned char)*p;
  size_t there = (size_t)(end - p), len = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char whole[4] = {0, (char)(lead == 0xE0 || lead == 0xF0 ? 0xA0 : 0x80), (char)0x80, (char)0x80};
  if (there >= len) return false;
  memcpy(whole, p, there);
  return os_utf8_sequence(whole, len) == len;
}

/* What is valid from p on, to what ends the plain part of a string, or is ASCII again, or has to be looked at one by
** one. */
static const char *pass_utf8(const char *p, const char *end) {
  struct os_utf8_rest rest = {0};
  const char *passed = p;
  while (end - p >= OS_SIMD_WIDTH) {
    os_simd_vec v = os_simd_load(p);
    uint32_t stop = os_simd_mask_json_string(v);
    unsigned count = stop ? os_simd_first(stop) : OS_SIMD_WIDTH;
    if (!count || (!rest.due && !os_simd_mask_high(v))) return passed;
    if (!os_utf8_block(&rest, v, count)) return passed;
    p += count;
    if (!rest.due) passed = p;
    if (stop) return passed;
  }
  return passed;
}

static const char *skip_utf8(struct os_json_scan *s, const char *p, const char *end) {
  size_t len = os_utf8_sequence(p, (size_t)(end - p));
  if (LIKELY(len) && end - p > (ptrdiff_t)len && (unsigned char)p[len] < 0x80)
    return p + len; /* one letter in a word */
  p = pass_utf8(p, end);
  while (p < end && (unsigned char)*p >= 0x80) {
    len = os_utf8_sequence(p, (size_t)(end - p));
    if (!len && is_cut_short(p, end)) return fail_at(s, OS_JSON_MORE, end, IN_STRING);
    if (!len) return fail_at(s, OS_JSON_UTF8, p, "UTF-8");
    p += len;
  }
  return p;
}

static const char *skip_escape(struct os_json_scan *s, const char *p, const char *end) {
  s->escaped = true;
  if (end - p < 2) return fail_at(s, OS_JSON_MORE, end, IN_STRING);
  switch (p[1]) {
  case '"':
  case '\\':
  case '/':
  case 'b':
  case 'f':
  case 'n':
  case 'r':
  case 't': return p + 2;
  case 'u': break;
  default: return fail_at(s, OS_JSON_ESCAPE, p, "an escape sequence");
  }
  for (int i = 2; i < 6; i++) {
    if (end - p <= i) return fail_at(s, OS_JSON_MORE, end, IN_STRING);
    if (hex_value(p[i]) < 0) return fail_at(s, OS_JSON_ESCAPE, p, "an escape sequence");
  }
  return p + 6;
}

/* p stands behind the opening quote. Returns the closing one, or NULL with the fault set. */
__attribute__((always_inline)) static inline const char *skip_string(struct os_json_scan *s, const char *p,
                                                                     const char *end) {
  const os_simd_vec quote = os_simd_splat('"'), slash = os_simd_splat('\\'), control = os_simd_splat(0x1f);
  while (LIKELY(p < end)) {
    os_simd_vec v = os_simd_load(p);
    os_simd_vec special =
        os_simd_or(os_simd_or(os_simd_eq(v, quote), os_simd_eq(v, slash)), os_simd_le(v, control));
    uint32_t mask = os_simd_mask(os_simd_or(special, v)); /* v's own top bits: not ASCII */
    if (!mask) {
      p += OS_SIMD_WIDTH;
      continue;
    }
    p += os_simd_first(mask);
    if (UNLIKELY(p >= end)) break;
    if (LIKELY(*p == '"')) return p;
    if ((unsigned char)*p >= 0x80)
      p = skip_utf8(s, p, end);
    else if (*p == '\\')
      p = skip_escape(s, p, end);
    else
      p = fail_at(s, OS_JSON_CONTROL, p, IN_STRING);
    if (!p) return NULL;
  }
  return fail_at(s, OS_JSON_MORE, end, IN_STRING);
}

/* ---- numbers and words ---- */

static inline const char *skip_digits(struct os_json_scan *s, const char *p, const char *end) {
  if (p >= end) return fail_at(s, OS_JSON_MORE, end, "a digit");
  if (!is_digit(*p)) return fail_at(s, OS_JSON_UNEXPECTED, p, "a digit");
  do
    p++;
  while (p < end && is_digit(*p));
  return p;
}

static inline const char *skip_number(struct os_json_scan *s, const char *p, const char *end) {
  if (*p == '-') p++;
  if (p < end && *p == '0')
    p++; /* no digit may follow a leading zero: whatever comes next is judged by the caller */
  else if (!(p = skip_digits(s, p, end)))
    return NULL;
  if (p < end && *p == '.' && !(p = skip_digits(s, p + 1, end))) return NULL;
  if (p < end && (*p | 0x20) == 'e') {
    p++;
    if (p < end && (*p == '+' || *p == '-')) p++;
    p = skip_digits(s, p, end);
  }
  return p;
}

static inline const char *skip_word(struct os_json_scan *s, const char *p, const char *end, const char *word,
                                    size_t len) {
  size_t there = (size_t)(end - p) < len ? (size_t)(end - p) : len;
  if (LIKELY(there == len && !memcmp(p, word, len))) return p + len; /* len is a constant: no call */
  if (memcmp(p, word, there)) return fail_at(s, OS_JSON_UNEXPECTED, p, "a value");
  return fail_at(s, OS_JSON_MORE, end, "a value");
}

/* ---- output ---- */

static bool copy_long(struct os_json_scan *s, struct output *out, const char *to) {
  size_t len = (size_t)(to - out->piece);
  s->scratch.len = out->len;
  if (!os_buf_reserve(&s->scratch, len + OS_SIMD_WIDTH)) return false;
  memcpy(s->scratch.data + out->len, out->piece, len);
  out->len += len;
  return true;
}

/* Append the input from out->piece to `to`. Most pieces are a few bytes: one unaligned vector moves them. */
static inline bool copy_piece(struct os_json_scan *s, struct output *out, const char *to) {
  size_t len = (size_t)(to - out->piece);
  out->changed = true;
  if (LIKELY(len <= OS_SIMD_WIDTH && out->len + OS_SIMD_WIDTH <= s->scratch.cap)) {
    os_simd_store(s->scratch.data + out->len, os_simd_load(out->piece));
    out->len += len;
    return true;
  }
  return copy_long(s, out, to);
}

/* Drop the blanks at p, if any. Returns the next byte, or NULL with the fault set: `expected` should follow.
 */
static const char *drop_blanks(struct os_json_scan *s, struct output *out, const char *p, const char *end,
                               const char *expected) {
  if (p >= end) return fail_at(s, OS_JSON_MORE, end, expected);
  if (!os_json_blank(*p)) return p;
  if (UNLIKELY(!copy_piece(s, out, p))) return fail_at(s, OS_JSON_NOMEM, p, expected);
  do {
    if (*p == '\n') {
      s->breaks++;
      s->last_break = p;
    }
    p++;
  } while (p < end && os_json_blank(*p));
  out->piece = p;
  return p < end ? p : fail_at(s, OS_JSON_MORE, end, expected);
}

static void note_pick(struct os_json_pick *pick, const char *value, const char *end) {
  pick->times++;
  pick->kind = os_json_kind_of(*value);
  bool string = pick->kind == OS_JSON_STRING;
  pick->text = value + string;
  pick->len = (size_t)(end - value) - 2 * (size_t)string;
}

static inline void set_level(struct os_json_scan *s, size_t level, bool object) {
  uint64_t bit = UINT64_C(1) << (level & 63);
  if (object)
    s->nesting[level >> 6] |= bit;
  else
    s->nesting[level >> 6] &= ~bit;
}

static void reset(struct os_json_scan *s, const char *p) {
  s->fault = OS_JSON_FINE;
  s->too_deep = false;
  s->breaks = 0;
  s->last_break = NULL;
  s->scratch.failed = false;
  s->kind = os_json_kind_of(*p);
  for (int i = 0; i < s->picks; i++) {
    s->pick[i].times = 0;
    s->pick[i].kind = OS_JSON_NOTHING;
    s->pick[i].text = NULL;
    s->pick[i].len = 0;
  }
}

#define BLANKS(expected)                                                                                     \
  do {                                                                                                       \
    if (UNLIKELY(p >= end || (unsigned char)*p <= ' ') && !(p = drop_blanks(s, &out, p, end, expected)))     \
      return false;                                                                                          \
  } while (0)
#define UNEXPECTED(expected) return (void)fail_at(s, OS_JSON_UNEXPECTED, p, expected), false

bool os_json_scan(struct os_json_scan *s, const char *p, const char *end) {
  struct output out = {.piece = p, .len = 0, .changed = false};
  struct os_json_pick *pick = NULL; /* the member being read, while depth is 1 inside it */
  const char *picked = NULL;        /* its value */
  size_t before_cut = 0;            /* scratch length to return to */
  size_t depth = 0;
  bool object = false;

  if (p >= end) return (void)fail_at(s, OS_JSON_MORE, end, "a value"), false;
  reset(s, p);
  /* the next one expected at depth 1; of what is no object none ever is */
  struct os_json_name *name = s->kind == OS_JSON_OBJECT ? s->names : s->names + OS_JSON_NAMES;

value:
  if (*p == '"') { /* the most frequent one, and the switch would be a jump through a table */
    if (!(p = skip_string(s, p + 1, end))) return false;
    p++;
    goto after_value;
  }
  if (is_digit(*p) || *p == '-') {
    if (!(p = skip_number(s, p, end))) return false;
    goto after_value;
  }
  switch (*p) {
  case '{':
  case '[':
    if (UNLIKELY(depth >= OS_JSON_DEPTH_MAX - 1)) {
      s->too_deep = true;
      if (depth >= OS_JSON_NESTING) return (void)fail_at(s, OS_JSON_DEEP, p, "less nesting"), false;
    }
    if (depth) set_level(s, depth - 1, object);
    depth++;
    object = *p++ == '{';
    BLANKS(object ? "a member name in quotes or '}'" : "a value or ']'");
    if (*p == (object ? '}' : ']')) goto close;
    if (!object) goto value;
    if (*p != '"') UNEXPECTED("a member name in quotes or '}'");
    goto name;
  case 't':
    if (!(p = skip_word(s, p, end, "true", 4))) return false;
    break;
  case 'f':
    if (!(p = skip_word(s, p, end, "false", 5))) return false;
    break;
  case 'n':
    if (!(p = skip_word(s, p, end, "null", 4))) return false;
    break;
  default: UNEXPECTED("a value");
  }

after_value:
  if (!depth) goto done;
  if (UNLIKELY(pick != NULL) && depth == 1) {
    note_pick(pick, picked, p);
    if (pick->cut) {
      pick = NULL;
      out.len = before_cut; /* whatever blanks inside the member made us copy */
      out.piece = p;
      BLANKS("',' or '}'");
      if (*p == ',') { /* goes with the member */
        out.piece = ++p;
        BLANKS("a member name in quotes");
        if (*p != '"') UNEXPECTED("a member name in quotes");
        goto name;
      }
      if (*p != '}') UNEXPECTED("',' or '}'");
      if (s->scratch.data[out.len - 1] == ',') out.len--; /* it was the last member */
      goto close;
    }
    pick = NULL;
  }
  if (LIKELY(depth == 1 && end - p > OS_JSON_NAME_TEXT && is_name(name, p, 0))) {
    p += 1 + name++->len;
    if (UNLIKELY((unsigned char)*p <= ' ') && !(p = drop_blanks(s, &out, p, end, "a value"))) return false;
    goto value;
  }
  if (LIKELY(end - p > 1)) { /* the usual cases, without blanks */
    if (LIKELY(*p == ',')) {
      if (!object && (unsigned char)p[1] > ' ') {
        p++;
        goto value;
      }
      if (object && p[1] == '"') {
        p++;
        goto name;
      }
    } else if (*p == (object ? '}' : ']')) {
      goto close;
    }
  }
  BLANKS(object ? "',' or '}'" : "',' or ']'");
  if (*p == ',') {
    p++;
    if (!object) {
      BLANKS("a value");
      goto value;
    }
    BLANKS("a member name in quotes");
    if (*p != '"') UNEXPECTED("a member name in quotes");
    goto name;
  }
  if (*p != (object ? '}' : ']')) UNEXPECTED(object ? "',' or '}'" : "',' or ']'");

close:
  p++;
  if (--depth) object = s->nesting[(depth - 1) >> 6] >> ((depth - 1) & 63) & 1;
  goto after_value;

name:
  if (LIKELY(depth == 1 && end - p > OS_JSON_NAME_TEXT)) { /* a bracket, comma or blank stands before it */
    if (UNLIKELY(!is_name(name, p - 1, COMMA))) {
      if (!is_name(name + 1, p - 1, COMMA)) goto other_name;
      name++; /* a member was left out */
    }
    p += name++->len;
    if (UNLIKELY((unsigned char)*p <= ' ') && !(p = drop_blanks(s, &out, p, end, "a value"))) return false;
    goto value;
  }

other_name : {
  const char *key = p;
  s->escaped = false;
  if (!(p = skip_string(s, p + 1, end))) return false;
  size_t len = (size_t)(p - key - 1);
  p++;
  if (depth == 1 && ((s->pick_lengths >> (len & 63) & 1) || s->escaped) &&
      (pick = find_pick(s, key + 1, len)) && pick->cut) {
    if (!copy_piece(s, &out, key)) return (void)fail_at(s, OS_JSON_NOMEM, key, "memory"), false;
    before_cut = out.len;
    out.piece = key;
  }
  if (LIKELY(p < end && *p == ':')) {
    p++;
    if (depth == 1 && name < s->names + OS_JSON_NAMES) {
      remember_name(name, key, pick ? 0 : (size_t)(p - key));
      name++;
    }
  } else {
    BLANKS("':'");
    if (*p != ':') UNEXPECTED("':'");
    p++;
  }
  BLANKS("a value");
  if (depth == 1) picked = p;
  goto value;
}

done:
  s->end = p;
  s->doc = out.piece;
  s->doc_len = (size_t)(p - out.piece);
  if (out.changed) {
    if (!copy_piece(s, &out, p)) return (void)fail_at(s, OS_JSON_NOMEM, p, "memory"), false;
    s->scratch.len = out.len;
    s->doc = s->scratch.data;
    s->doc_len = out.len;
  }
  return true;
}
