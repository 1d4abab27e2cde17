/* match.c - shell patterns and the likeness of words (the second half of text.h).
**
** Calls text only. Pure; any thread.
*/
#include <string.h>
#include "base/text.h"
#include "base/utf8.h"

/* The character at text and its width; a byte that is not UTF-8 stands for itself, outside of Unicode. */
static uint32_t character(const char *text, size_t *width) {
  const unsigned char *p = (const unsigned char *)text;
  *width = os_utf8_sequence(text, strnlen(text, 4));
  switch (*width) {
  case 1: return p[0];
  case 2: return (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3fu);
  case 3: return (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3fu);
  case 4:
    return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 | (uint32_t)(p[2] & 0x3f) << 6 |
           (p[3] & 0x3fu);
  default: *width = 1; return 0x110000u + p[0];
  }
}

/* Where the set that begins at '[' ends (its ']'), or NULL: then '[' is an ordinary character. A ']'
** right after '[', '[!' or '[^' belongs to the set (POSIX.1-2017 XCU 2.13.1). */
static const char *set_end(const char *open) {
  const char *p = open + 1;
  if (*p == '!' || *p == '^') p++;
  return *p ? strchr(p + 1, ']') : NULL;
}

static bool in_set(const char *open, const char *end, uint32_t wanted) {
  const char *p = open + 1;
  bool negated = *p == '!' || *p == '^', found = false;
  p += negated;
  while (p < end) {
    size_t width;
    uint32_t low = character(p, &width), high = low;
    p += width;
    if (*p == '-' && p + 1 < end) {
      high = character(p + 1, &width);
      p += 1 + width;
    }
    found = found || (low <= wanted && wanted <= high);
  }
  return found != negated;
}

/* Does the one pattern element at *pattern (not a '*') match the character at *name? Moves both behind it. */
static bool match_one(const char **pattern, const char **name) {
  size_t name_width, pattern_width;
  uint32_t wanted = character(*name, &name_width), element = character(*pattern, &pattern_width);
  const char *end = element == '[' ? set_end(*pattern) : NULL;
  bool matches;
  if (end) {
    matches = wanted != '/' && in_set(*pattern, end, wanted);
    *pattern = end + 1;
  } else {
    matches = element == '?' ? wanted != '/' : element == wanted;
    *pattern += pattern_width;
  }
  *name += name_width;
  return matches;
}

bool os_glob_match(const char *pattern, const char *name) {
  const char *retry_pattern = NULL, *retry_name = NULL; /* behind the last '*', and where it may end next */
  for (;;) {
    if (*pattern == '*') {
      retry_pattern = ++pattern;
      retry_name = name;
      continue;
    }
    if (!*pattern && !*name) return true;
    const char *p = pattern, *n = name;
    if (*pattern && *name && match_one(&p, &n)) {
      pattern = p;
      name = n;
      continue;
    }
    /* only the last '*' needs another try: a longer match of an earlier one reaches no further */
    if (!retry_pattern || !*retry_name || *retry_name == '/') return false;
    size_t width;
    character(retry_name, &width);
    retry_name += width;
    name = retry_name;
    pattern = retry_pattern;
  }
}

bool os_glob_is_pattern(const char *text) {
  for (; *text; text++)
    if (*text == '*' || *text == '?' || (*text == '[' && set_end(text))) return true;
  return false;
}

size_t os_glob_fixed(const char *pattern) {
  return strcspn(pattern, "*?[");
}

enum { LONGEST_WORD = 64 };

static unsigned least(unsigned a, unsigned b) {
  return a < b ? a : b;
}

/* Edit distance without regard to ASCII case; two neighbours that changed places count once. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len) {
  unsigned rows[3][LONGEST_WORD + 1];
  unsigned *before = rows[0], *last = rows[1], *now = rows[2];
  for (unsigned j = 0; j <= b_len; j++)
    last[j] = j;
  memset(before, 0, sizeof rows[0]);
  for (size_t i = 1; i <= a_len; i++) {
    now[0] = (unsigned)i;
    for (size_t j = 1; j <= b_len; j++) {
      char x = os_to_lower(a[i - 1]), y = os_to_lower(b[j - 1]);
      now[j] = least(least(last[j] + 1, now[j - 1] + 1), last[j - 1] + (x != y));
      bool swapped = i > 1 && j > 1 && x == os_to_lower(b[j - 2]) && y == os_to_lower(a[i - 2]);
      if (swapped) now[j] = least(now[j], before[j - 2] + 1);
    }
    unsigned *spare = before;
    before = last;
    last = now;
    now = spare;
  }
  return last[b_len];
}

const char *os_text_nearest(const char *word, const char *const *words, size_t count) {
  const char *nearest = NULL;
  size_t len = strlen(word);
  if (!len || len > LONGEST_WORD) return NULL;
  unsigned best = (unsigned)(len / 3) + 2; /* more than a third changed is no likeness */
  for (size_t i = 0; i < count; i++) {
    size_t other = words[i] ? strlen(words[i]) : 0;
    if (!other || other > LONGEST_WORD) continue;
    unsigned d = distance(word, len, words[i], other);
    if (d < best && d < (len > other ? len : other)) {
      best = d;
      nearest = words[i];
    }
  }
  return nearest;
}
