/* format_json_utf8_test.c - texts that are not ASCII in JSON strings: taken whole, waited for when they are cut, and
** refused at the byte where they are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/utf8.h"
#include "format/json_scan.h"

static struct os_json_scan scan;

static const char *const words[] = {"plain words ",
                                    "cr\u00e8me ",
                                    "\u041c\u043e\u0441\u043a\u0432\u0430 ",
                                    "\u6771\u4eac",
                                    "\U0001f680",
                                    "\ud55c\uad6d",
                                    "\u0939\u093f\u0928\u094d\u0926\u0940",
                                    "\uffff",
                                    "\U0010ffff",
                                    "\ud7ff ",
                                    "\u0800"};
static const char *const escapes[] = {"\\n", "\\\"", "\\u00e4"};

/* An array of one string, for its text and the pad that may be read. */
static size_t make_value(char *out, bool with_escapes) {
  size_t len = 2;
  memcpy(out, "[\"", 2);
  for (int i = 0; i < 12; i++) {
    const char *word = words[rand() % (int)(sizeof words / sizeof *words)];
    if (with_escapes && i % 4 == 3) word = escapes[rand() % 3];
    memcpy(out + len, word, strlen(word));
    len += strlen(word);
  }
  memcpy(out + len, "\"]", 2);
  memset(out + len + 2, 0xBF, OS_PAD);
  return len + 2;
}

static bool accepts(const char *value, size_t len) {
  return os_json_scan(&scan, value, value + len) && scan.end == value + len;
}

static void whole_texts(void **state) {
  char value[512];
  (void)state;
  srand(2);
  for (int round = 0; round < 2000; round++) {
    size_t len = make_value(value, round % 2);
    assert_true(accepts(value, len));
    assert_int_equal(scan.doc_len, len);
    assert_memory_equal(scan.doc, value, len);
  }
}

/* The bytes behind the end would even continue the character. */
static void cut_texts_wait_for_more(void **state) {
  char value[512], cut[512];
  (void)state;
  srand(3);
  for (int round = 0; round < 100; round++) {
    size_t len = make_value(value, true);
    for (size_t there = 2; there < len; there++) {
      memcpy(cut, value, there);
      memset(cut + there, 0xBF, OS_PAD);
      assert_false(accepts(cut, there));
      assert_int_equal(scan.fault, OS_JSON_MORE);
    }
  }
}

static void wrong_bytes_are_named(void **state) {
  char value[512];
  size_t refused = 0;
  (void)state;
  srand(4);
  for (int round = 0; round < 300; round++) {
    size_t len = make_value(value, false);
    for (size_t at = 2; at < len - 2; at++) {
      char was = value[at];
      value[at] = (char)(0x80 + rand() % 0x80);
      size_t wrong = 2 + os_utf8_check(value + 2, len - 4);
      if (wrong == len - 2) {
        assert_true(accepts(value, len));
      } else {
        assert_false(accepts(value, len));
        assert_int_equal(scan.fault, OS_JSON_UTF8);
        assert_ptr_equal(scan.at, value + wrong);
        refused++;
      }
      value[at] = was;
    }
  }
  assert_true(refused > 10000);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(whole_texts), cmocka_unit_test(cut_texts_wait_for_more),
                                     cmocka_unit_test(wrong_bytes_are_named)};
  os_json_scan_init(&scan);
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  os_json_scan_free(&scan);
  return failed;
}
