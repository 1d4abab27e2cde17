/* format_json_scan_test.c - the JSON splitter: what it accepts, refuses, drops and cuts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "format/json_scan.h"
#include "format/record.h"

static struct os_json_scan *scan;

static int open_scan(void **state) {
  (void)state;
  scan = malloc(sizeof *scan);
  os_json_scan_init(scan);
  return 0;
}
static int close_scan(void **state) {
  (void)state;
  os_json_scan_free(scan);
  free(scan);
  return 0;
}

static char *padded(const char *text, size_t len, char pad) {
  char *copy = malloc(len + OS_PAD);
  memcpy(copy, text, len);
  memset(copy + len, pad, OS_PAD);
  return copy;
}

static char kept[1 << 20]; /* the last document, after its input is gone */

/* Is text[0..len) one JSON value and nothing else? The pad must never matter. */
static bool accepts_bytes(const char *text, size_t len) {
  bool verdict[3];
  static const char pads[] = {'"', '}', '0'};
  for (int i = 0; i < 3; i++) {
    char *copy = padded(text, len, pads[i]);
    verdict[i] = os_json_scan(scan, copy, copy + len) && scan->end == copy + len;
    if (verdict[i]) {
      assert_true(scan->doc_len < sizeof kept);
      memcpy(kept, scan->doc, scan->doc_len);
      kept[scan->doc_len] = '\0';
    }
    free(copy);
  }
  assert_true(verdict[0] == verdict[1] && verdict[1] == verdict[2]);
  return verdict[0];
}
static bool accepts(const char *text) {
  return accepts_bytes(text, strlen(text));
}

static const char *const good[] = {
    "{}",
    "[]",
    "0",
    "-0",
    "12",
    "-1.5",
    "0.10",
    "1e5",
    "1E+5",
    "1e-5",
    "0e0",
    "1.25e+400",
    "true",
    "false",
    "null",
    "\"\"",
    "[1]",
    "[1,2]",
    "[[]]",
    "[{}]",
    "[[],[]]",
    "{\"\":0}",
    "{\"a\":[]}",
    "{\"a\":{}}",
    "{\"a\":1,\"a\":2}",
    "[ 1 , 2 ]",
    "[\t1\n,\r2 ]",
    "{ \"a\" : 1 , \"b\" : [ ] }",
    "[ ]",
    "{ }",
    "[\"a\",null,true,false]",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0000\"",
    "\"\\uD83D\\uDE00\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\uABcd\"",
    "\"\x7f\"",
    "\"\xc3\xa9\"",
    "\"\xe2\x82\xac\"",
    "\"\xf0\x9f\x98\x80\"",
    "\"\xf4\x8f\xbf\xbf\"",
    "\"\xed\x9f\xbf\"",
    "\"\xee\x80\x80\"",
    "\"\xe0\xa0\x80\"",
    "\"\xf0\x90\x80\x80\"",
    "\"\xc2\x80\"",
    "\"\xef\xbb\xbf\"",
    "\"\xe2\x80\xa8\"",
    "12345678901234567890123456789",
    "-0.0e-0",
    "[0]",
    "[-1]",
    "{\"\\u0061\":1}",
    "\"'\"",
    "\"a/b\"",
};
static const char *const bad[] = {
    "",
    "{",
    "[",
    "}",
    "]",
    ",",
    ":",
    "\"",
    "{]",
    "[}",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1,,2]",
    "[,]",
    "[1 2]",
    "[1:2]",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{,}",
    "{,\"a\":1}",
    "{\"a\" 1}",
    "{\"a\"::1}",
    "{\"a\":1 \"b\":2}",
    "{a:1}",
    "{'a':1}",
    "{1:1}",
    "{null:1}",
    "{\"a\":1}}",
    "{\"a\":1]",
    "[1]]",
    "{\"a\":1,,\"b\":2}",
    "{\"a\",\"b\"}",
    "01",
    "-",
    "-01",
    "+1",
    "1.",
    ".1",
    "-.1",
    "1e",
    "1e+",
    "1E",
    "1.e1",
    "0x1",
    "1_0",
    "--1",
    "1-1",
    "00",
    "1e1.5",
    "- 1",
    "0.",
    "1,",
    "NaN",
    "Infinity",
    "-Infinity",
    "tru",
    "True",
    "TRUE",
    "truex",
    "nul",
    "nulll",
    "fals",
    "falsee",
    "undefined",
    "\"\\\"",
    "\"\\x41\"",
    "\"\\a\"",
    "\"\\0\"",
    "\"\\u\"",
    "\"\\u12\"",
    "\"\\u123\"",
    "\"\\u12G4\"",
    "\"\\U0041\"",
    "\"\\ \"",
    "\"\\",
    "\"a",
    "'a'",
    "\"a\nb\"",
    "\"a\tb\"",
    "\"\x01\"",
    "\"\x1f\"",
    "\"a\rb\"",
    "[\"a\nb\"]",
    "\"\x80\"",
    "\"\xbf\"",
    "\"\xc0\x80\"",
    "\"\xc1\xbf\"",
    "\"\xc3\"",
    "\"\xc3(\"",
    "\"\xe0\x80\x80\"",
    "\"\xe0\x9f\xbf\"",
    "\"\xed\xa0\x80\"",
    "\"\xed\xbf\xbf\"",
    "\"\xe2\x82\"",
    "\"\xe2(\x82\"",
    "\"\xf0\x80\x80\x80\"",
    "\"\xf0\x8f\xbf\xbf\"",
    "\"\xf4\x90\x80\x80\"",
    "\"\xf5\x80\x80\x80\"",
    "\"\xf0\x9f\x98\"",
    "\"\xff\"",
    "\"\xfe\"",
    "\"\xe9t\xe9\"",
    "\xc3\xa9",
    "\xef\xbb\xbf{}",
    "[\f1]",
    "[\v1]",
    ("[\xc2\xa0"
     "1]"),
    "[1]x",
    "{}{}",
    "[1] ",
    "/**/1",
    "[1/**/]",
    "//x",
    "#",
    "*",
    "[*]",
    "[a]",
    "[\"a\":1]",
    "{\"a\":1 /*x*/}",
    "[1,\n1\n,1",
    "{\"a\":\"b",
    "{\"a",
    "[[[[",
    "[\"",
    "{\"a\":[}",
    "[{\"a\":1]}",
    "{[]:1}",
    "{\"a\":1,\"b\"}",
};

static void test_grammar(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    if (!accepts(good[i])) fail_msg("refused: %s", good[i]);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (accepts(bad[i])) fail_msg("accepted: %s", bad[i]);
  assert_false(accepts_bytes("[\0]", 3));
  assert_false(accepts_bytes("\"\0\"", 3));
  assert_false(accepts_bytes("{\0}", 3));
  assert_false(accepts_bytes("[1\0,2]", 6));
}

/* Every text also inside an object, behind strings of every length: all alignments of the vectors. */
static void test_every_alignment(void **state) {
  (void)state;
  char text[256], fill[41];
  for (size_t shift = 0; shift <= 40; shift++) {
    memset(fill, 'x', shift);
    fill[shift] = '\0';
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
      int n = snprintf(text, sizeof text, "{\"%s\":%s}", fill, good[i]);
      if (!accepts_bytes(text, (size_t)n)) fail_msg("refused: %s", text);
      n = snprintf(text, sizeof text, "[\"%s\",%s ]", fill, good[i]);
      if (!accepts_bytes(text, (size_t)n)) fail_msg("refused: %s", text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
      if (!strcmp(bad[i], "{}{}") || !strcmp(bad[i], "[1] ") || !strcmp(bad[i], "1,") || !strcmp(bad[i], "]"))
        continue;
      int n = snprintf(text, sizeof text, "{\"%s\":%s}", fill, bad[i]);
      if (accepts_bytes(text, (size_t)n)) fail_msg("accepted: %s", text);
    }
    for (int c = 1; c < 256; c++) { /* one odd byte in a string */
      int n = snprintf(text, sizeof text, "\"%s%caaa\"", fill, c);
      bool verdict = accepts_bytes(text, (size_t)n);
      assert_int_equal(verdict, c >= 0x20 && c < 0x80 && c != '"' && c != '\\');
    }
  }
}

/* A good text cut anywhere needs more (a number may be whole); nothing else is said of it. */
static void test_every_prefix(void **state) {
  (void)state;
  static const char text[] =
      "{\"a\\u00e9\xc3\xa9\":[1,-2.5e+3,true,false,null,{\"b\":\"\\\"\xf0\x9f\x98\x80\"} ] , \"c\": {}}";
  size_t len = sizeof text - 1;
  assert_true(accepts_bytes(text, len));
  for (size_t i = 0; i < len; i++) {
    char *copy = padded(text, i, '}');
    assert_false(os_json_scan(scan, copy, copy + i));
    assert_int_equal(scan->fault, OS_JSON_MORE);
    assert_non_null(scan->expected);
    free(copy);
  }
}

static void test_blanks_are_dropped(void **state) {
  (void)state;
  assert_true(accepts("{ \"a b\" :\r\n[ 1 ,\t2 ] ,\n\"c\" : \"x  y\" }"));
  assert_string_equal(kept, "{\"a b\":[1,2],\"c\":\"x  y\"}");
  assert_int_equal(scan->breaks, 2);
  char *copy = padded("{\"a\":[1,2]}", 11, ' ');
  assert_true(os_json_scan(scan, copy, copy + 11));
  assert_ptr_equal(scan->doc, copy); /* nothing to drop, nothing copied */
  assert_int_equal(scan->doc_len, 11);
  assert_null(scan->last_break);
  free(copy);
}

static void test_numbers_stay(void **state) {
  (void)state;
  static const char text[] = "[12345678901234567890,1e400,0.10,-0.0,1E+0005]";
  assert_true(accepts(text));
  assert_string_equal(kept, text);
}

struct cut_case {
  const char *text, *doc, *value;
  enum os_json_kind kind;
  unsigned times;
};
static void test_cutting(void **state) {
  (void)state;
  static const struct cut_case cases[] = {
      {"{\"_id\":\"x\",\"a\":1}", "{\"a\":1}", "x", OS_JSON_STRING, 1},
      {"{\"a\":1,\"_id\":7}", "{\"a\":1}", "7", OS_JSON_NUMBER, 1},
      {"{\"a\":1,\"_id\":7,\"b\":2}", "{\"a\":1,\"b\":2}", "7", OS_JSON_NUMBER, 1},
      {"{\"_id\":null}", "{}", "null", OS_JSON_NULL, 1},
      {"{ \"_id\" : \"a\\\"b\" , \"c\" : [ 1 ] }", "{\"c\":[1]}", "a\\\"b", OS_JSON_STRING, 1},
      {"{\"c\":1 , \"_id\" : { \"x\" : [ 1 , 2 ] } }", "{\"c\":1}", "{ \"x\" : [ 1 , 2 ] }", OS_JSON_OBJECT,
       1},
      {"{\"_id\":[1, 2 ],\"c\":1}", "{\"c\":1}", "[1, 2 ]", OS_JSON_ARRAY, 1},
      {"{\"_id\":1,\"_id\":2}", "{}", "2", OS_JSON_NUMBER, 2},
      {"{\"_id\":1,\"a\":0,\"_id\":\"\"}", "{\"a\":0}", "", OS_JSON_STRING, 2},
      {"{\"\\u005fid\":\"e\",\"a\":1}", "{\"a\":1}", "e", OS_JSON_STRING, 1},
      {"{\"a\":{\"_id\":1}}", "{\"a\":{\"_id\":1}}", NULL, OS_JSON_NOTHING, 0},
      {"{\"a\":[{\"_id\":1}],\"_ID\":2}", "{\"a\":[{\"_id\":1}],\"_ID\":2}", NULL, OS_JSON_NOTHING, 0},
      {"{\"_idx\":1,\"_i\":2}", "{\"_idx\":1,\"_i\":2}", NULL, OS_JSON_NOTHING, 0},
      {"[{\"_id\":1}]", "[{\"_id\":1}]", NULL, OS_JSON_NOTHING, 0},
      {"{\"a\":1,\n\"_id\"\n:\n\"x\"\n}", "{\"a\":1}", "x", OS_JSON_STRING, 1},
      {"{\"_id\":true, \"b\":\"_id\"}", "{\"b\":\"_id\"}", "true", OS_JSON_TRUE, 1},
  };
  assert_int_equal(os_json_scan_pick(scan, "_id", true), 0);
  assert_int_equal(os_json_scan_pick(scan, "_id", false), 0); /* one pick, still cut */
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t len = strlen(cases[i].text);
    char *copy = padded(cases[i].text, len, ',');
    assert_true(os_json_scan(scan, copy, copy + len));
    assert_int_equal(scan->doc_len, strlen(cases[i].doc));
    assert_memory_equal(scan->doc, cases[i].doc, scan->doc_len);
    assert_int_equal(scan->pick[0].times, cases[i].times);
    assert_int_equal(scan->pick[0].kind, cases[i].kind);
    if (cases[i].value) {
      assert_int_equal(scan->pick[0].len, strlen(cases[i].value));
      assert_memory_equal(scan->pick[0].text, cases[i].value, scan->pick[0].len);
    }
    free(copy);
    for (size_t cut = 0; cut < len; cut++) { /* and it stays restartable */
      copy = padded(cases[i].text, cut, '"');
      assert_false(os_json_scan(scan, copy, copy + cut));
      assert_int_equal(scan->fault, OS_JSON_MORE);
      free(copy);
    }
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) { /* cutting hides no fault */
    char text[256];
    if (!strcmp(bad[i], "{}{}") || !strcmp(bad[i], "[1] ") || !strcmp(bad[i], "1,")) continue;
    snprintf(text, sizeof text, "{\"_id\":%s,\"a\":1}", bad[i]);
    if (accepts(text)) fail_msg("accepted: %s", text);
    snprintf(text, sizeof text, "{\"_id\":1,%s}", bad[i]);
    if (accepts(text)) fail_msg("accepted: %s", text);
    snprintf(text, sizeof text, "{\"a\":1,\"_id\":1%s}", bad[i][0] ? bad[i] : ",");
    if (bad[i][0] != '0' && bad[i][0] != '.' && bad[i][0] != ']' && accepts(text))
      fail_msg("accepted: %s", text);
  }
}

static void test_several_picks(void **state) {
  (void)state;
  static const char text[] = "{\"r\":\"R\",\"_id\":1,\"v\":9,\"s\":{},\"x\":0}";
  assert_int_equal(os_json_scan_pick(scan, "_id", true), 0);
  assert_int_equal(os_json_scan_pick(scan, "r", false), 1);
  assert_int_equal(os_json_scan_pick(scan, "v", false), 2);
  assert_int_equal(os_json_scan_pick(scan, "s", true), 3);
  assert_int_equal(os_json_scan_pick(scan, "t", true), -1);
  assert_true(accepts(text));
  assert_string_equal(kept, "{\"r\":\"R\",\"v\":9,\"x\":0}");
  assert_int_equal(scan->pick[1].kind, OS_JSON_STRING);
  assert_int_equal(scan->pick[2].kind, OS_JSON_NUMBER);
  assert_int_equal(scan->pick[3].kind, OS_JSON_OBJECT);
}

static char *nested(size_t depth, bool object, size_t *len) {
  const char *open = object ? "{\"a\":" : "[";
  size_t unit = strlen(open);
  char *text = malloc(depth * (unit + 1) + 2);
  char *p = text;
  for (size_t i = 0; i < depth; i++, p += unit)
    memcpy(p, open, unit);
  *p++ = '1';
  memset(p, object ? '}' : ']', depth);
  *len = (size_t)(p - text) + depth;
  return text;
}

static void test_depth(void **state) {
  (void)state;
  static const struct {
    size_t depth;
    bool accepted, deep;
  } cases[] = {{1, true, false},
               {64, true, false},
               {65, true, false},
               {999, true, false},
               {1000, true, true},
               {1001, true, true},
               {OS_JSON_NESTING, true, true},
               {OS_JSON_NESTING + 1, false, true},
               {200000, false, true}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (int object = 0; object < 2; object++) {
      size_t len;
      char *text = nested(cases[i].depth, object, &len);
      assert_int_equal(accepts_bytes(text, len), cases[i].accepted);
      assert_int_equal(scan->too_deep, cases[i].deep);
      if (!cases[i].accepted) assert_int_equal(scan->fault, OS_JSON_DEEP);
      if (cases[i].accepted) { /* brackets are still matched far down */
        text[len - 1] = object ? ']' : '}';
        assert_false(accepts_bytes(text, len));
      }
      free(text);
    }
  }
}

static void test_faults_name_their_byte(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum os_json_fault fault;
    int at;
    const char *expected;
  } cases[] = {
      {"{\"a\":1,}", OS_JSON_UNEXPECTED, 7, "a member name in quotes"},
      {"{\"a\" 1}", OS_JSON_UNEXPECTED, 5, "':'"},
      {"{\"a\":}", OS_JSON_UNEXPECTED, 5, "a value"},
      {"[1 2]", OS_JSON_UNEXPECTED, 3, "',' or ']'"},
      {"{\"a\":1 \"b\"", OS_JSON_UNEXPECTED, 7, "',' or '}'"},
      {"{\"a\":\"x\ny\"}", OS_JSON_CONTROL, 7, NULL},
      {"{\"a\":\"x\xffy\"}", OS_JSON_UTF8, 7, NULL},
      {"{\"a\":\"x\\q\"}", OS_JSON_ESCAPE, 7, NULL},
      {"{\"a\":-x}", OS_JSON_UNEXPECTED, 6, "a digit"},
      {"{\"a\":[1", OS_JSON_MORE, 7, "',' or ']'"},
      {"{", OS_JSON_MORE, 1, "a member name in quotes or '}'"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t len = strlen(cases[i].text);
    char *copy = padded(cases[i].text, len, '"');
    assert_false(os_json_scan(scan, copy, copy + len));
    assert_int_equal(scan->fault, cases[i].fault);
    assert_int_equal(scan->at - copy, cases[i].at);
    if (cases[i].expected) assert_string_equal(scan->expected, cases[i].expected);
    free(copy);
  }
}

/* ---- names remembered from the value before ---- */

/* Scan the text with a scan that knows other values and with one that knows none: the same must come out. */
static void assert_as_if_first(const char *text, size_t len) {
  char *copy = padded(text, len, '"');
  struct os_json_scan *first = malloc(sizeof *first);
  os_json_scan_init(first);
  for (int i = 0; i < scan->picks; i++)
    os_json_scan_pick(first, scan->pick[i].name, scan->pick[i].cut);
  bool good_here = os_json_scan(scan, copy, copy + len), good_there = os_json_scan(first, copy, copy + len);
  assert_int_equal(good_here, good_there);
  assert_int_equal(scan->fault, first->fault);
  assert_int_equal(scan->breaks, first->breaks);
  assert_int_equal(scan->too_deep, first->too_deep);
  assert_ptr_equal(scan->last_break, first->last_break);
  if (good_there) {
    assert_ptr_equal(scan->end, first->end);
    assert_int_equal(scan->kind, first->kind);
    assert_int_equal(scan->doc_len, first->doc_len);
    assert_memory_equal(scan->doc, first->doc, first->doc_len);
  } else {
    assert_ptr_equal(scan->at, first->at);
    assert_string_equal(scan->expected, first->expected);
  }
  for (int i = 0; i < scan->picks && good_there; i++) {
    assert_int_equal(scan->pick[i].times, first->pick[i].times);
    assert_int_equal(scan->pick[i].kind, first->pick[i].kind);
    assert_int_equal(scan->pick[i].len, first->pick[i].len);
    assert_ptr_equal(scan->pick[i].text, first->pick[i].text);
  }
  os_json_scan_free(first);
  free(first);
  free(copy);
}

static void learn(const char *text) {
  assert_true(accepts(text));
}

#define MEMBERS                                                                                              \
  "{\"\":0,\"_id\":\"i\",\"a\":1,\"n\xc3\xa9m\":{\"a\":\"x\",\"b\":[1,{\"a\":2}]},"                          \
  "\"twelve chars\":[],\"thirteen char\":true,\"b\":\"y\\n\",\"q\\u0041\":null,\"end\":-1.5e3}"

/* Every byte of a value whose names are known becomes every other byte, and the value is cut everywhere. */
static void test_known_names_hide_no_fault(void **state) {
  (void)state;
  char text[] = MEMBERS;
  size_t len = sizeof text - 1;
  os_json_scan_pick(scan, "_id", true);
  os_json_scan_pick(scan, "b", false);
  for (size_t at = 0; at < len; at++) {
    char was = text[at];
    for (int byte = 0; byte < 256; byte++) {
      text[at] = (char)byte;
      learn(MEMBERS);
      assert_as_if_first(text, len);
    }
    text[at] = was;
    learn(MEMBERS);
    assert_as_if_first(text, at + 1); /* of no bytes at all a scan says nothing but that it wants more */
  }
}

/* Members left out, added, doubled, in another order, with blanks: two after each other, in every pair. */
static void test_names_in_other_orders(void **state) {
  (void)state;
  static const char *const texts[] = {
      MEMBERS,
      "{}",
      "{ }",
      "[{\"a\":1}]",
      "[1,\"b\":2,\"c\":3333333333333333333]",
      "{\"a\":[1,\"b\":2,\"c\":33333333333333]}",
      "{\"a\":1,\"b\":2,\"c\":3,\"d\":{\"a\":1,\"b\":2}}",
      "{\"a\":1,\"c\":3,\"d\":{\"b\":2,\"a\":1}}",
      "{\"a\":1,\"d\":4,\"_id\":7}",
      "{\"_id\":7,\"a\":1,\"b\":2,\"b\":3,\"_id\":8,\"c\":3}",
      "{\"x\":0,\"a\":1,\"b\":2,\"c\":3,\"d\":4}",
      "{\"b\":2,\"a\":1}",
      "{\"a\" :1,\"b\": 2, \"c\":\n3,\"d\":\t4}",
      "{\"a\":\n[ 1 ], \"b\":2}",
      "{\"a\":1,\"b\"",
      "{\"a\":1,\"b\":",
      "{\"a\":1,\"b\":}",
      "{\"a\":1,\"b\":2,}                    ",
      "{\"a\":1,\"\\u0062\":2,\"c\":3}",
      "{\"a\":1 \"b\":2,\"c\":3,\"d\":4444444444444444}",
      "{\"a\":1,\"b\":2,\"c\":nul,\"d\":4444444444444444}",
  };
  static const size_t count = sizeof texts / sizeof *texts;
  for (int picks = 0; picks < 3; picks++) {
    for (size_t i = 0; i < count; i++)
      for (size_t k = 0; k < count; k++) {
        assert_as_if_first(texts[i], strlen(texts[i]));
        assert_as_if_first(texts[k], strlen(texts[k]));
      }
    os_json_scan_pick(scan, picks ? "b" : "_id", !picks); /* a name that is known becomes one to look for */
  }
}

/* More members than are remembered. */
static void test_many_names(void **state) {
  (void)state;
  char text[4096];
  size_t len = 0;
  for (int i = 0; i < 3 * OS_JSON_NAMES; i++)
    len += (size_t)snprintf(text + len, sizeof text - len, "%c\"n%d\":%d", i ? ',' : '{', i, i);
  len += (size_t)snprintf(text + len, sizeof text - len, "}");
  os_json_scan_pick(scan, "n50", true);
  for (int i = 0; i < 3; i++)
    assert_as_if_first(text, len);
  assert_int_equal(scan->pick[0].times, 1);
}

static void test_decoded_length(void **state) {
  (void)state;
  assert_int_equal(os_json_decoded_len("abc", 3), 3);
  assert_int_equal(os_json_decoded_len("\\n\\\"\\\\", 6), 3);
  assert_int_equal(os_json_decoded_len("\\u0041\\u00e9\\u20ac", 18), 6);
  assert_int_equal(os_json_decoded_len("\\ud83d\\ude00", 12), 4);
  assert_int_equal(os_json_decoded_len("\\ud83d", 6), 3);
  assert_int_equal(os_json_decoded_len("\\ud83dxxxxxx", 12), 9);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_grammar, open_scan, close_scan),
      cmocka_unit_test_setup_teardown(test_every_alignment, open_scan, close_scan),
      cmocka_unit_test_setup_teardown(test_every_prefix, open_scan, close_scan),
      cmocka_unit_test_setup_teardown(test_blanks_are_dropped, open_scan, close_scan),
      cmocka_unit_test_setup_teardown(test_numbers_stay, open_scan, close_scan),
      cmocka_unit_test_setup_teardown(test_cutting, open_scan, close_scan),
      cmocka_unit_test_setup_teardown(test_several_picks, open_scan, close_scan),
      cmocka_unit_test_setup_teardown(test_depth, open_scan, close_scan),
      cmocka_unit_test_setup_teardown(test_faults_name_their_byte, open_scan, close_scan),
      cmocka_unit_test_setup_teardown(test_known_names_hide_no_fault, open_scan, close_scan),
      cmocka_unit_test_setup_teardown(test_names_in_other_orders, open_scan, close_scan),
      cmocka_unit_test_setup_teardown(test_many_names, open_scan, close_scan),
      cmocka_unit_test_setup_teardown(test_decoded_length, open_scan, close_scan),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
