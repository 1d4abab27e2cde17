/* text.c - text without the locale: classes, comparisons, numbers, sizes, UTF-8. Patterns and likeness
** of words are in match.c.
**
** Calls simd only. Pure; any thread.
*/
#define _GNU_SOURCE /* strtod_l(), locale_t */
#include "base/text.h"
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/utf8.h"

bool os_is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool os_is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool os_is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

char os_to_lower(char c) {
  return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

int os_strcasecmp(const char *a, const char *b) {
  while (*a && os_to_lower(*a) == os_to_lower(*b)) {
    a++;
    b++;
  }
  return (unsigned char)os_to_lower(*a) - (unsigned char)os_to_lower(*b);
}

bool os_has_suffix(const char *text, const char *suffix, bool ignore_case) {
  size_t len = strlen(text), tail = strlen(suffix);
  if (tail > len) return false;
  const char *end = text + len - tail;
  return ignore_case ? os_strcasecmp(end, suffix) == 0 : strcmp(end, suffix) == 0;
}

bool os_has_prefix(const char *text, const char *prefix) {
  return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool os_is_json_long(const char *text, size_t len) {
  static const char largest[] = "9223372036854775807";
  for (size_t i = 0; i < len; i++)
    if (!os_is_digit(text[i])) return false;
  if (!len || (len > 1 && text[0] == '0')) return false;
  if (len != sizeof largest - 1) return len < sizeof largest - 1;
  return memcmp(text, largest, len) <= 0;
}

bool os_parse_int(const char *text, int64_t *out) {
  bool negative = *text == '-';
  uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX, value = 0;
  if (*text == '-' || *text == '+') text++;
  if (!*text) return false;
  for (; *text; text++) {
    uint64_t digit = (uint64_t)(unsigned char)*text - '0';
    if (digit > 9 || value > (limit - digit) / 10) return false;
    value = value * 10 + digit;
  }
  *out = negative ? (int64_t)(0 - value) : (int64_t)value;
  return true;
}

static const char *skip_digits(const char *text) {
  while (os_is_digit(*text))
    text++;
  return text;
}

/* Behind the JSON number (RFC 8259 section 6) that text begins with; NULL when there is none. */
static const char *skip_number(const char *text) {
  text += *text == '-';
  if (!os_is_digit(*text)) return NULL;
  text = *text == '0' ? text + 1 : skip_digits(text);
  if (*text == '.') {
    if (!os_is_digit(text[1])) return NULL;
    text = skip_digits(text + 1);
  }
  if (*text == 'e' || *text == 'E') {
    text += 1 + (text[1] == '+' || text[1] == '-');
    if (!os_is_digit(*text)) return NULL;
    text = skip_digits(text);
  }
  return text;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void) {
  c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* What strtod() says in the C locale, whatever the process has set: its decimal point is always '.'. */
static bool number_of(const char *text, double *out) {
  pthread_once(&c_locale_once, make_c_locale);
  if (!c_locale) return false;
  *out = strtod_l(text, NULL, c_locale);
  return isfinite(*out);
}

bool os_parse_double(const char *text, double *out) {
  double value;
  if (*text == '+' && os_is_digit(text[1])) text++;
  const char *end = skip_number(text);
  if (!end || *end || !number_of(text, &value)) return false;
  *out = value;
  return true;
}

/* The unit behind a number: "", B, K, KB, KiB, Ki ... T. False when it is none of them. */
static bool size_unit(const char *text, double *unit) {
  static const char letters[] = "kmgt";
  *unit = 1;
  if (!*text || os_strcasecmp(text, "b") == 0) return true;
  const char *letter = strchr(letters, os_to_lower(*text));
  if (!letter) return false;
  const char *rest = text + 1;
  double base =
      os_strcasecmp(rest, "b") == 0 ? 1000 : 1024; /* SI says kB is 1000; IEC 80000-13 says KiB is 1024 */
  if (*rest && os_strcasecmp(rest, "b") && os_strcasecmp(rest, "i") && os_strcasecmp(rest, "ib"))
    return false;
  for (const char *l = letters; l <= letter; l++)
    *unit *= base;
  return true;
}

bool os_parse_size(const char *text, uint64_t *out) {
  const char *end = skip_digits(text);
  uint64_t whole = 0;
  double fraction = 0, unit;
  if (end == text) return false;
  for (const char *p = text; p < end; p++) {
    uint64_t digit = (uint64_t)(*p - '0');
    if (whole > (UINT64_MAX - digit) / 10) return false;
    whole = whole * 10 + digit;
  }
  if (*end == '.') {
    if (!os_is_digit(end[1])) return false;
    double part = 0.1;
    for (end++; os_is_digit(*end); end++) {
      fraction += part * (*end - '0');
      part /= 10;
    }
  }
  while (*end == ' ')
    end++;
  if (!size_unit(end, &unit)) return false;
  uint64_t factor = (uint64_t)unit;
  if (whole > UINT64_MAX / factor - 1) return false;
  *out = whole * factor + (uint64_t)(fraction * unit + 0.5);
  return true;
}

bool os_parse_bool(const char *text, bool *out) {
  static const char *const words[][2] = {
      {"false", "true"}, {"0", "1"}, {"no", "yes"}, {"off", "on"}, {"disabled", "enabled"},
  };
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    for (int truth = 0; truth < 2; truth++)
      if (os_strcasecmp(text, words[i][truth]) == 0) {
        *out = truth == 1;
        return true;
      }
  return false;
}

void os_format_double(double value, int decimals, char *out, size_t out_size) {
  if (!isfinite(value)) {
    snprintf(out, out_size, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
    return;
  }
  decimals = decimals < 0 ? 0 : decimals > 15 ? 15 : decimals;
  uint64_t scale = 1;
  for (int i = 0; i < decimals; i++)
    scale *= 10;
  double size = fabs(value), whole = floor(size);
  uint64_t part = (uint64_t)floor((size - whole) * (double)scale + 0.5);
  if (part >= scale) {
    whole += 1;
    part = 0;
  }
  const char *sign = value < 0 && (whole > 0 || part) ? "-" : "";
  /* without decimals printf writes no decimal point, so the locale has no say */
  if (decimals)
    snprintf(out, out_size, "%s%.0f.%0*llu", sign, whole, decimals, (unsigned long long)part);
  else
    snprintf(out, out_size, "%s%.0f", sign, whole);
}

/* printf writes the locale's decimal point, perhaps of several bytes: make it one '.'. */
static void use_point(char *text) {
  char *p = text + (*text == '-');
  p = (char *)skip_digits(p);
  if (!*p || *p == 'e') return;
  char *rest = p;
  while (*rest && !os_is_digit(*rest))
    rest++;
  *p = '.';
  memmove(p + 1, rest, strlen(rest) + 1);
}

void os_format_real(double value, char *out, size_t out_size) {
  char text[64];
  double back;
  if (!isfinite(value)) {
    snprintf(out, out_size, "null");
    return;
  }
  for (int digits = 15; digits <= 17; digits++) { /* 17 always suffice for a double */
    snprintf(text, sizeof text, "%.*g", digits, value);
    use_point(text);
    if (number_of(text, &back) && back >= value && back <= value) break;
  }
  bool looks_whole = !strchr(text, '.') && !strchr(text, 'e');
  snprintf(out, out_size, "%s%s", text, looks_whole ? ".0" : "");
}

void os_format_count(uint64_t value, char *out, size_t out_size) {
  char reversed[32];
  size_t len = 0, digits = 0;
  do {
    if (digits && digits % 3 == 0) reversed[len++] = ',';
    reversed[len++] = (char)('0' + value % 10);
    value /= 10;
    digits++;
  } while (value);
  size_t at = 0;
  while (len && at + 1 < out_size)
    out[at++] = reversed[--len];
  if (out_size) out[at] = '\0';
}

void os_text_clean(char *text) {
  size_t len = strlen(text);
  for (size_t i = 0; i < len;) {
    unsigned char c = (unsigned char)text[i];
    size_t width = os_utf8_sequence(text + i, len - i);
    if (!width)
      text[i] = '?';
    else if (c < 0x20 || c == 0x7f)
      text[i] = ' ';
    i += width ? width : 1;
  }
}
