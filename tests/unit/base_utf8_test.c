/* base_utf8_test.c - sixteen bytes at a time must say what one character at a time says, and that what RFC 3629
** says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/utf8.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void known_cases(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t bad; /* SIZE_MAX: all good */
  } cases[] = {
      {"", SIZE_MAX},
      {"plain", SIZE_MAX},
      {"gr\xc3\xbc\xc3\x9f"
       "e",
       SIZE_MAX},
      {"\xe2\x82\xac \xf0\x9f\x98\x80", SIZE_MAX},
      {"\xf4\x8f\xbf\xbf", SIZE_MAX},
      {"\xf4\x90\x80\x80", 0},            /* past U+10FFFF */
      {"\xc0\xaf", 0},                    /* overlong */
      {"\xe0\x80\x80", 0},                /* overlong */
      {"\xf0\x80\x80\x80", 0},            /* overlong */
      {"\xed\xa0\x80", 0},                /* a surrogate */
      {"ab\x80", 2},                      /* a continuation alone */
      {"abc\xe2\x82", 3},                 /* cut short */
      {"0123456789abcdefghij\xff", 20},   /* behind the first vector */
      {"0123456789abcd\xc3\xa4\xc3", 16}, /* across the edge of a vector */
      {"0123456789abcde\xc3\xa4 0123456789", SIZE_MAX},
      {"\xfe", 0},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    size_t len = strlen(cases[i].text);
    assert_int_equal(os_utf8_check(cases[i].text, len), cases[i].bad == SIZE_MAX ? len : cases[i].bad);
  }
}

/* The number that a sequence of `len` bytes stands for, by the tables of RFC 3629 section 3; -1: it is none. */
static long decoded(const unsigned char *p, size_t len) {
  static const long least[] = {0, 0, 0x80, 0x800, 0x10000};
  static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0}, masks[] = {0, 0x80, 0xE0, 0xF0, 0xF8};
  if ((p[0] & masks[len]) != marks[len]) return -1;
  long number = p[0] & ~masks[len];
  for (size_t i = 1; i < len; i++) {
    if ((p[i] & 0xC0) != 0x80) return -1;
    number = number << 6 | (p[i] & 0x3F);
  }
  return number < least[len] || number > 0x10FFFF || (number >= 0xD800 && number < 0xE000) ? -1 : number;
}

static size_t first_wrong(const char *text, size_t len) {
  size_t at = 0;
  while (at < len) {
    size_t width = 1;
    while (width <= 4 && (width > len - at || decoded((const unsigned char *)text + at, width) < 0))
      width++;
    if (width > 4) return at;
    at += width;
  }
  return len;
}

static void check(const char *text, size_t len) {
  assert_int_equal(os_utf8_check(text, len), first_wrong(text, len));
}

/* Each pair of bytes, and what it may begin, at each place where blocks meet. */
static void every_beginning(void **state) {
  (void)state;
  static const unsigned char third[] = {0x20, 0x7F, 0x80, 0xBF, 0xC2};
  char text[40];
  for (unsigned pair = 0x8000; pair < 0x10000; pair++)
    for (size_t k = 0; k < COUNT(third); k++)
      for (size_t at = 12; at < 17; at++) {
        memset(text, 'x', sizeof text);
        text[at] = (char)(pair >> 8);
        text[at + 1] = (char)(pair & 0xFF);
        text[at + 2] = (char)third[k];
        text[at + 3] = (char)(k % 2 ? 0x80 : 'x');
        check(text, sizeof text);
      }
}

static size_t put_character(char *out) {
  switch (rand() % 5) {
  case 0: *out = (char)('a' + rand() % 26); return 1;
  case 1: out[0] = (char)(0xC2 + rand() % 30); break;
  case 2: out[0] = (char)(0xE1 + rand() % 12); break;
  case 3: memcpy(out, rand() % 2 ? "\xE0\xA4" : "\xED\x9F", 2), out[2] = (char)(0x80 + rand() % 64); return 3;
  default: memcpy(out, rand() % 2 ? "\xF0\x9F" : "\xF4\x8F", 2);
  }
  size_t len = (unsigned char)out[0] < 0xE0 ? 2 : (unsigned char)out[0] < 0xF0 ? 3 : 4;
  for (size_t i = len == 4 ? 2 : 1; i < len; i++)
    out[i] = (char)(0x80 + rand() % 64);
  return len;
}

/* Texts of all kinds of characters, whole, cut at each place, and with each byte another. */
static void texts_of_all_kinds(void **state) {
  (void)state;
  srand(1);
  for (int round = 0; round < 300; round++) {
    char text[128];
    size_t len = 0;
    while (len < 100)
      len += put_character(text + len);
    assert_int_equal(os_utf8_check(text, len), len);
    for (size_t cut = 0; cut <= len; cut++)
      check(text, cut);
    for (size_t at = 0; at < len; at++) {
      char was = text[at];
      text[at] = (char)rand();
      check(text, len);
      text[at] = was;
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(known_cases), cmocka_unit_test(every_beginning),
                                     cmocka_unit_test(texts_of_all_kinds)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
