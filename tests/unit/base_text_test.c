/* base_text_test.c - numbers, sizes, UTF-8, patterns and likeness of words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <math.h>
#include <locale.h>
#include <cmocka.h>
#include "base/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void integers(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool ok;
    int64_t value;
  } cases[] = {
      {"0", true, 0},
      {"-1", true, -1},
      {"+12", true, 12},
      {"007", true, 7},
      {"9223372036854775807", true, INT64_MAX},
      {"-9223372036854775808", true, INT64_MIN},
      {"9223372036854775808", false, 0},
      {"-9223372036854775809", false, 0},
      {"99999999999999999999", false, 0},
      {"", false, 0},
      {"-", false, 0},
      {"1 ", false, 0},
      {" 1", false, 0},
      {"1.0", false, 0},
      {"0x10", false, 0},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    int64_t value = 4711;
    assert_int_equal(os_parse_int(cases[i].text, &value), cases[i].ok);
    assert_true(value == (cases[i].ok ? cases[i].value : 4711));
  }
}

static void json_longs(void **state) {
  (void)state;
  static const char *const good[] = {"0", "7", "10", "9223372036854775807", "999999999999999999"};
  static const char *const bad[] = {"",
                                    "00",
                                    "07",
                                    "-1",
                                    "1.5",
                                    "1e3",
                                    " 1",
                                    "1 ",
                                    "x",
                                    "9223372036854775808",
                                    "10000000000000000000",
                                    "99999999999999999999"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    assert_true(os_is_json_long(good[i], strlen(good[i])));
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_false(os_is_json_long(bad[i], strlen(bad[i])));
  assert_true(os_is_json_long("12x", 2));
}

static void doubles(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool ok;
    double value;
  } cases[] = {
      {"0", true, 0},      {"1.5", true, 1.5},  {"+2.25", true, 2.25}, {"-1e3", true, -1000},
      {"1E+2", true, 100}, {"1e-400", true, 0}, {"1e999", false, 0},   {"01", false, 0},
      {"1.", false, 0},    {".5", false, 0},    {"1,5", false, 0},     {"nan", false, 0},
      {"inf", false, 0},   {"0x1p3", false, 0}, {"1e", false, 0},      {"+-1", false, 0},
      {"", false, 0},      {"-", false, 0},     {"1 ", false, 0},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    double value = 4711;
    assert_int_equal(os_parse_double(cases[i].text, &value), cases[i].ok);
    assert_true(value == (cases[i].ok ? cases[i].value : 4711));
  }
}

static void sizes(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool ok;
    uint64_t value;
  } cases[] = {
      {"8388608", true, 8388608},
      {"8MiB", true, 8388608},
      {"8 MB", true, 8000000},
      {"512k", true, 524288},
      {"1Ki", true, 1024},
      {"1kib", true, 1024},
      {"1KB", true, 1000},
      {"3 B", true, 3},
      {"1.5GiB", true, 1610612736},
      {"2T", true, 2199023255552},
      {"0", true, 0},
      {"18446744073709551615", false, 0}, /* the last value is not needed by anyone and kept off the edge */
      {"99999999999T", false, 0},
      {"99999999999999999999999", false, 0},
      {"-1", false, 0},
      {"8Mx", false, 0},
      {"8MBi", false, 0},
      {"8P", false, 0},
      {"1.M", false, 0},
      {"M", false, 0},
      {"", false, 0},
      {"8 M B", false, 0},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    uint64_t value = 4711;
    assert_int_equal(os_parse_size(cases[i].text, &value), cases[i].ok);
    assert_true(value == (cases[i].ok ? cases[i].value : 4711));
  }
}

static void booleans(void **state) {
  (void)state;
  static const char *const yes[] = {"true", "1", "YES", "On", "enabled"};
  static const char *const no[] = {"false", "0", "no", "OFF", "Disabled"};
  static const char *const neither[] = {"", "2", "t", "true ", "y"};
  bool value;
  for (size_t i = 0; i < 5; i++) {
    value = false;
    assert_true(os_parse_bool(yes[i], &value) && value);
    assert_true(os_parse_bool(no[i], &value) && !value);
    assert_false(os_parse_bool(neither[i], &value));
  }
}

static void formats(void **state) {
  (void)state;
  static const struct {
    double value;
    int decimals;
    const char *text;
  } fixed[] = {
      {0, 0, "0"},
      {1.25, 1, "1.3"},
      {-0.04, 1, "0.0"},
      {-1.5, 2, "-1.50"},
      {0.999, 2, "1.00"},
      {1e20, 1, "100000000000000000000.0"},
      {12.0625, 3, "12.063"},
      {0.5, 0, "1"},
      {INFINITY, 2, "inf"},
      {-INFINITY, 2, "-inf"},
      {NAN, 2, "nan"},
  };
  static const struct {
    double value;
    const char *text;
  } shortest[] = {
      {0.1, "0.1"},
      {3, "3.0"},
      {-2.5, "-2.5"},
      {1e20, "1e+20"},
      {1.0 / 3, "0.3333333333333333"},
      {NAN, "null"},
      {0, "0.0"},
      {5e-324, "4.94065645841247e-324"},
      {0.1 + 0.2, "0.30000000000000004"},
  };
  char out[400];
  for (size_t i = 0; i < COUNT(fixed); i++) {
    os_format_double(fixed[i].value, fixed[i].decimals, out, sizeof out);
    assert_string_equal(out, fixed[i].text);
  }
  for (size_t i = 0; i < COUNT(shortest); i++) {
    os_format_real(shortest[i].value, out, sizeof out);
    assert_string_equal(out, shortest[i].text);
  }
  os_format_count(0, out, sizeof out);
  assert_string_equal(out, "0");
  os_format_count(1234567, out, sizeof out);
  assert_string_equal(out, "1,234,567");
  os_format_count(UINT64_MAX, out, sizeof out);
  assert_string_equal(out, "18,446,744,073,709,551,615");
  os_format_count(1234567, out, 4); /* cut, but terminated */
  assert_string_equal(out, "1,2");
}

/* A locale with a decimal comma changes nothing; where the machine has none, the C locale is tested once
 * more. */
static void no_locale(void **state) {
  (void)state;
  char out[64];
  double value = 0;
  if (!setlocale(LC_ALL, "de_DE.UTF-8")) print_message("no de_DE.UTF-8 here: tested in the C locale only\n");
  assert_true(os_parse_double("1.5", &value) && value == 1.5);
  os_format_double(1.5, 2, out, sizeof out);
  assert_string_equal(out, "1.50");
  os_format_real(1.5, out, sizeof out);
  assert_string_equal(out, "1.5");
  assert_false(os_is_alpha('\xe4'));
  setlocale(LC_ALL, "C");
}

static void clean(void **state) {
  (void)state;
  char text[] = "a\nb\tc\xff"
                "d\x7f\xc3\xa4\xe2\x82";
  os_text_clean(text);
  assert_string_equal(text, "a b c?d \xc3\xa4??");
}

static void globs(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *name;
    bool matches;
  } cases[] = {
      {"*.csv", "a.csv", true},
      {"*.csv", "a.csv.gz", false},
      {"*.csv", "dir/a.csv", false},
      {"*/*.csv", "dir/a.csv", true},
      {"*/*.csv", "dir/sub/a.csv", false},
      {"a?c", "abc", true},
      {"a?c", "a/c", false},
      {"a?c",
       "a\xc3\xa4"
       "c",
       true},
      {"a??c",
       "a\xc3\xa4"
       "c",
       false},
      {"a?c",
       "a\xff"
       "c",
       true},
      {"[a-c]x", "bx", true},
      {"[!a-c]x", "bx", false},
      {"[^a-c]x", "dx", true},
      {"[!a]b", "/b", false},
      {"[]]", "]", true},
      {"[]-]", "-", true},
      {"[\xc3\xa0-\xc3\xbf]", "\xc3\xa4", true},
      {"[x", "[x", true}, /* never closed: an ordinary character */
      {"*a*b*c", "xxaxxbxxaxc", true},
      {"*a*b*c", "xxbxxaxc", false},
      {"**", "abc", true},
      {"*", "", true},
      {"", "", true},
      {"", "a", false},
      {"a*", "a", true},
      {"*.json*", "x.json.gz", true},
      {"logs-*-2026", "logs-a-2026-b-2026", true},
      {"*x", "a/x", false},
  };
  for (size_t i = 0; i < COUNT(cases); i++)
    assert_int_equal(os_glob_match(cases[i].pattern, cases[i].name), cases[i].matches);
  assert_true(os_glob_is_pattern("a*"));
  assert_true(os_glob_is_pattern("a?"));
  assert_true(os_glob_is_pattern("[ab]"));
  assert_false(os_glob_is_pattern("a[b"));
  assert_false(os_glob_is_pattern("{a,b}"));
}

/* A pattern of many stars must not take exponential time. */
static void glob_is_quick(void **state) {
  (void)state;
  char name[2001];
  memset(name, 'a', 2000);
  name[2000] = '\0';
  assert_false(os_glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*b", name));
}

static void nearest(void **state) {
  (void)state;
  static const char *const words[] = {"batch_size", "batch_bytes", "max_workers", "mode", "id_field"};
  assert_string_equal(os_text_nearest("batchsize", words, 5), "batch_size");
  assert_string_equal(os_text_nearest("max_worker", words, 5), "max_workers");
  assert_string_equal(os_text_nearest("MDOE", words, 5), "mode");
  assert_null(os_text_nearest("colour", words, 5));
  assert_null(os_text_nearest("", words, 5));
  assert_null(os_text_nearest("x", words, 5));
}

static void comparisons(void **state) {
  (void)state;
  assert_true(os_has_suffix("a.CSV", ".csv", true));
  assert_false(os_has_suffix("a.CSV", ".csv", false));
  assert_false(os_has_suffix("v", ".csv", true));
  assert_true(os_has_prefix("s3://b", "s3://"));
  assert_false(os_has_prefix("s3", "s3://"));
  assert_true(os_strcasecmp("Abc", "aBC") == 0);
  assert_true(os_strcasecmp("ab", "abc") < 0);
  assert_true(os_strcasecmp("\xc3\xa4", "a") > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(json_longs), cmocka_unit_test(integers),      cmocka_unit_test(doubles),
      cmocka_unit_test(sizes),      cmocka_unit_test(booleans),      cmocka_unit_test(formats),
      cmocka_unit_test(no_locale),  cmocka_unit_test(clean),         cmocka_unit_test(globs),
      cmocka_unit_test(nearest),    cmocka_unit_test(glob_is_quick), cmocka_unit_test(comparisons),
  };
  return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
