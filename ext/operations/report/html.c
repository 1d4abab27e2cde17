/* html.c - see html.h. */
#include "operations/report/html.h"
#include <stdbool.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"

/* ---- text ------------------------------------------------------------------------------------------ */

static unsigned code_point(const unsigned char *at, size_t len) {
  if (len == 1) return at[0];
  if (len == 2) return (unsigned)(at[0] & 0x1f) << 6 | (at[1] & 0x3f);
  if (len == 3) return (unsigned)(at[0] & 0x0f) << 12 | (unsigned)(at[1] & 0x3f) << 6 | (at[2] & 0x3f);
  return (unsigned)(at[0] & 0x07) << 18 | (unsigned)(at[1] & 0x3f) << 12 | (unsigned)(at[2] & 0x3f) << 6 |
         (at[3] & 0x3f);
}

/* C1 controls, and the characters with which text can be made to read as something it is not (Unicode
** Technical Report 36, "bidirectional text spoofing"), or that nobody sees. The two joiners stay: scripts
** need them. */
static bool is_hidden(unsigned c) {
  return (c >= 0x80 && c <= 0x9f) || c == 0x61c || c == 0x200b || c == 0x200e || c == 0x200f ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x2069) || c == 0xfeff;
}

static void put_code(struct os_buf *out, unsigned c) {
  static const char digits[] = "0123456789ABCDEF";
  char name[] = "‹U+0000›";
  char *at = strchr(name, '+') + 1;
  for (int i = 0; i < 4; i++)
    at[i] = digits[c >> (12 - 4 * i) & 15];
  os_buf_puts(out, name);
}

static void put_ascii(struct os_buf *out, char c) {
  switch (c) {
  case '&': os_buf_puts(out, "&amp;"); return;
  case '<': os_buf_puts(out, "&lt;"); return;
  case '>': os_buf_puts(out, "&gt;"); return;
  case '"': os_buf_puts(out, "&quot;"); return;
  case '\'': os_buf_puts(out, "&#39;"); return;
  case '\n':
  case '\t': os_buf_putc(out, c); return;
  default: break;
  }
  if ((unsigned char)c >= ' ' && c != 0x7f)
    os_buf_putc(out, c);
  else
    put_code(out, (unsigned char)c);
}

void os_html_text(struct os_buf *out, const char *text, size_t len) {
  for (size_t at = 0; at < len;) {
    const char *here = text + at;
    size_t size = os_utf8_sequence(here, len - at);
    unsigned c = size != 0 ? code_point((const unsigned char *)here, size) : 0xfffd;
    if (size == 1)
      put_ascii(out, *here);
    else if (size == 0)
      os_buf_puts(out, "\xef\xbf\xbd");
    else if (is_hidden(c))
      put_code(out, c);
    else
      os_buf_append(out, here, size);
    at += size != 0 ? size : 1;
  }
}

void os_html_string(struct os_buf *out, const char *text) {
  if (text != NULL) os_html_text(out, text, strlen(text));
}

void os_html_json(struct os_buf *out, const json_t *value) {
  if (value == NULL || json_is_null(value)) return;
  if (json_is_string(value)) {
    os_html_text(out, json_string_value(value), json_string_length(value));
    return;
  }
  char *text = os_json_text(value);
  if (text == NULL) out->failed = true;
  os_html_string(out, text);
  os_free(text);
}

/* Bytes at the end that begin a character and do not end it. */
static size_t cut_character(const char *text, size_t len) {
  for (size_t back = 1; back <= 3 && back <= len; back++) {
    unsigned char c = (unsigned char)text[len - back];
    if ((c & 0xc0) == 0x80) continue;
    size_t size = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    return size > back ? back : 0;
  }
  return 0;
}

void os_html_excerpt(struct os_buf *out, const char *text, size_t len, int64_t whole) {
  bool cut = whole > (int64_t)len;
  os_html_text(out, text, cut ? len - cut_character(text, len) : len);
  if (!cut) return;
  os_buf_puts(out, "<span class=\"more\"> … (");
  os_html_count(out, whole);
  os_buf_puts(out, " bytes in all)</span>");
}

/* ---- numbers --------------------------------------------------------------------------------------- */

static const double LARGEST = 9e18; /* just below what an int64_t holds */

int64_t os_html_whole(double value) {
  if (!(value > -LARGEST)) return (int64_t)-LARGEST;
  return (int64_t)(value < LARGEST ? value : LARGEST);
}

void os_html_count(struct os_buf *out, int64_t value) {
  char text[32];
  if (value < 0) os_buf_puts(out, "−");
  os_format_count(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, text, sizeof text);
  os_buf_puts(out, text);
}

/* Scaled by thousands so that at most three digits stand before the point; two digits are said at least. */
static int scale(double *value, int most) {
  int steps = 0;
  while (steps < most && *value >= 999.5) {
    *value /= 1000;
    steps++;
  }
  return steps;
}

static void put_scaled(struct os_buf *out, double value, bool scaled) {
  char text[32];
  os_format_double(value, scaled && value < 9.95 ? 1 : 0, text, sizeof text);
  size_t len = strlen(text);
  if (len > 2 && strcmp(text + len - 2, ".0") == 0) text[len - 2] = '\0';
  os_buf_puts(out, text);
}

void os_html_short(struct os_buf *out, double value) {
  static const char *const units[] = {"", "k", "M", "G", "T"};
  int steps = scale(&value, 4);
  char text[32];
  if (steps == 0 && value > 0 && value < 9.95) { /* small rates: 0.5, 2.5 */
    os_format_double(value, value < 0.095 ? 2 : 1, text, sizeof text);
    size_t len = strlen(text);
    if (strcmp(text + len - 2, ".0") == 0) text[len - 2] = '\0';
    os_buf_puts(out, text);
    return;
  }
  put_scaled(out, value, steps > 0);
  os_buf_puts(out, units[steps]);
}

void os_html_bytes(struct os_buf *out, int64_t bytes) {
  static const char *const units[] = {" B", " kB", " MB", " GB", " TB", " PB"};
  double value = (double)bytes;
  int steps = scale(&value, 5);
  put_scaled(out, value, steps > 0);
  os_buf_puts(out, units[steps]);
}

void os_html_duration(struct os_buf *out, double seconds) {
  if (seconds < 0) seconds = 0;
  if (seconds < 59.95) {
    os_buf_put_double(out, seconds, seconds < 9.995 ? 2 : 1);
    os_buf_puts(out, " s");
    return;
  }
  unsigned long long whole = (unsigned long long)os_html_whole(seconds + 0.5);
  if (whole < 3600)
    os_buf_printf(out, "%llu min %llu s", whole / 60, whole % 60);
  else
    os_buf_printf(out, "%llu h %llu min", whole / 3600, whole / 60 % 60);
}

void os_html_clock(struct os_buf *out, double seconds) {
  unsigned long long tenths = (unsigned long long)os_html_whole((seconds > 0 ? seconds : 0) * 10 + 0.5);
  unsigned long long whole = tenths / 10;
  if (whole >= 3600)
    os_buf_printf(out, "%llu:%02llu:%02llu", whole / 3600, whole / 60 % 60, whole % 60);
  else
    os_buf_printf(out, "%llu:%02llu", whole / 60, whole % 60);
  if (whole < 10 && tenths % 10 != 0) os_buf_printf(out, ".%llu", tenths % 10);
}
