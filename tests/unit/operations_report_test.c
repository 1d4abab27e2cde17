/* operations_report_test.c - the pure parts of a report: escaping, numbers, scales, charts, the page from
** facts however hostile; and the file that takes the place of nothing but an earlier report.
*/
#include "ledger_support.h"
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"
#include "operations/report/report.h"
#include "operations/report/chart.h"
#include "operations/report/file.h"
#include "operations/report/html.h"
#include "operations/report/page.h"

/* ---- text ------------------------------------------------------------------------------------------ */

static void html_is(const char *text, size_t len, const char *expected) {
  struct os_buf out;
  os_buf_init(&out, 0);
  os_html_text(&out, text, len);
  assert_string_equal(out.data, expected);
  os_buf_free(&out);
}
#define HTML_IS(literal, expected) html_is(literal, sizeof literal - 1, expected)

static void text_is_escaped(void **state) {
  (void)state;
  HTML_IS("", "");
  HTML_IS("a&b<c>\"d'e", "a&amp;b&lt;c&gt;&quot;d&#39;e");
  HTML_IS("line\nnext\ttab", "line\nnext\ttab");
  HTML_IS("\0\x1b[31m\r\x7f", "‹U+0000›‹U+001B›[31m‹U+000D›‹U+007F›");
  HTML_IS("é€😀", "é€😀");
  HTML_IS("\xc2\x85\xe2\x80\xae\xef\xbb\xbf", "‹U+0085›‹U+202E›‹U+FEFF›");
  HTML_IS("a\xe2\x80\x8d", "a\xe2\x80\x8d"); /* a joiner: emoji and scripts need it */
  HTML_IS("\xff\xc3(\xed\xa0\x80\xf0\x9f", "\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                                           "\xef\xbf\xbd\xef\xbf\xbd");
}

static void every_byte_alone_is_safe(void **state) {
  (void)state;
  for (int c = 0; c < 256; c++) {
    struct os_buf out;
    char byte = (char)c;
    os_buf_init(&out, 0);
    os_html_text(&out, &byte, 1);
    assert_true(out.len > 0);
    assert_null(strpbrk(out.data, "<>\"'"));
    assert_int_equal(os_utf8_check(out.data, out.len), out.len);
    os_buf_free(&out);
  }
}

static void excerpts(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t whole;
    const char *expected;
  } cases[] = {{"abc", 3, "abc"},
               {"abc\xc3", 4, "abc\xef\xbf\xbd"}, /* it was so in the file */
               {"abc\xc3", 1000, "abc<span class=\"more\"> … (1,000 bytes in all)</span>"},
               {"ab\xf0\x9f\x98", 9, "ab<span class=\"more\"> … (9 bytes in all)</span>"},
               {"a😀", 9, "a😀<span class=\"more\"> … (9 bytes in all)</span>"},
               {"", 9, "<span class=\"more\"> … (9 bytes in all)</span>"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_buf out;
    os_buf_init(&out, 0);
    os_html_excerpt(&out, cases[i].text, strlen(cases[i].text), cases[i].whole);
    assert_string_equal(out.data, cases[i].expected);
    os_buf_free(&out);
  }
}

/* ---- numbers --------------------------------------------------------------------------------------- */

static void number_is(void (*put)(struct os_buf *out, double value), double value, const char *expected) {
  struct os_buf out;
  os_buf_init(&out, 0);
  put(&out, value);
  assert_string_equal(out.data, expected);
  os_buf_free(&out);
}

static void put_bytes(struct os_buf *out, double value) {
  os_html_bytes(out, (int64_t)value);
}

static void put_count(struct os_buf *out, double value) {
  os_html_count(out, (int64_t)value);
}

static void numbers(void **state) {
  (void)state;
  static const struct {
    void (*put)(struct os_buf *out, double value);
    double value;
    const char *expected;
  } cases[] = {{os_html_short, 0, "0"},
               {os_html_short, 0.05, "0.05"},
               {os_html_short, 0.5, "0.5"},
               {os_html_short, 2, "2"},
               {os_html_short, 2.5, "2.5"},
               {os_html_short, 950, "950"},
               {os_html_short, 999.6, "1k"},
               {os_html_short, 1500, "1.5k"},
               {os_html_short, 12345, "12k"},
               {os_html_short, 999499, "999k"},
               {os_html_short, 999600, "1M"},
               {os_html_short, 5e15, "5000T"},
               {put_bytes, 0, "0 B"},
               {put_bytes, 950, "950 B"},
               {put_bytes, 1500000, "1.5 MB"},
               {put_bytes, 78580525, "79 MB"},
               {put_count, 1234567, "1,234,567"},
               {put_count, -5, "−5"},
               {os_html_duration, -1, "0.00 s"},
               {os_html_duration, 0.42, "0.42 s"},
               {os_html_duration, 12.34, "12.3 s"},
               {os_html_duration, 59.96, "1 min 0 s"},
               {os_html_duration, 125, "2 min 5 s"},
               {os_html_duration, 11220, "3 h 7 min"},
               {os_html_clock, 0, "0:00"},
               {os_html_clock, 7.5, "0:07.5"},
               {os_html_clock, 65.4, "1:05"},
               {os_html_clock, 11220, "3:07:00"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    number_is(cases[i].put, cases[i].value, cases[i].expected);
}

/* ---- scales and charts ----------------------------------------------------------------------------- */

static bool near(double a, double b) {
  double difference = a - b;
  return difference < 1e-9 * (1 + b) && difference > -1e-9 * (1 + b);
}

static void steps(void **state) {
  (void)state;
  static const struct {
    double most;
    int lines;
    double step;
  } cases[] = {{0, 4, 0.5},       {-3, 4, 0.5},      {1, 4, 0.5},       {4, 4, 1},
               {5, 4, 2},         {50, 4, 20},       {99, 4, 50},       {100, 4, 50},
               {28000, 4, 10000}, {0.003, 4, 0.001}, {3.9e12, 4, 1e12}, {80, 4, 20}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (!near(os_chart_step(cases[i].most, cases[i].lines), cases[i].step))
      fail_msg("case %zu: %f", i, os_chart_step(cases[i].most, cases[i].lines));
  for (double most = 1e-6; most < 1e15; most *= 1.37) { /* covered by the lines, and not by half as many */
    double step = os_chart_step(most, 4);
    assert_true(step * 4 >= most && step * 1.5 < most * 1.0001);
  }
  assert_true(near(os_chart_time_step(1, 5), 0.2));
  assert_true(near(os_chart_time_step(38.8, 5), 10));
  assert_true(near(os_chart_time_step(61, 5), 15));
  assert_true(near(os_chart_time_step(7200, 5), 1800));
  assert_true(near(os_chart_time_step(86400 * 10, 5), 86400 * 2));
}

static void cuts(void **state) {
  (void)state;
  static const struct os_chart_point even[] = {{1, 10}, {2, 20}, {4, 40}}, bent[] = {{2, 0}, {2, 0}, {4, 80}},
                                     falling[] = {{1, 10}, {2, 5}, {4, 30}};
  double grown[8];
  os_chart_cut(even, 3, grown, 4);
  for (int i = 0; i < 4; i++)
    assert_true(near(grown[i], 10));
  os_chart_cut(bent, 3, grown, 8); /* nothing while the load was prepared */
  for (int i = 0; i < 8; i++)
    assert_true(near(grown[i], i < 4 ? 0 : 20));
  os_chart_cut(falling, 3, grown, 4);
  for (int i = 0; i < 4; i++)
    assert_true(grown[i] >= 0);
  assert_true(near(grown[0] + grown[1] + grown[2] + grown[3], 30)); /* what is drawn is what was done */
  os_chart_cut(NULL, 0, grown, 2);
  assert_true(near(grown[0], 0) && near(grown[1], 0));
}

static void a_drawing(void **state) {
  (void)state;
  static const double values[] = {0, 10, 28000, 5};
  struct os_chart chart = {
      .id = "c", .title = "T", .says = "S", .tone = "rate", .values = values, .count = 4, .seconds = 40};
  struct os_buf out;
  os_buf_init(&out, 0);
  os_chart_draw(&out, &chart);
  static const char *const parts[] = {"role=\"img\" aria-labelledby=\"c-t c-d\"",
                                      "<title id=\"c-t\">T</title><desc id=\"c-d\">S</desc>",
                                      "d=\"M44 164V164.0H131.0V163.9H218.0V20.3H305.0V164.0H392.0V164Z\"",
                                      ">30k</text>",
                                      ">0:40</text>",
                                      "</svg>"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (strstr(out.data, parts[i]) == NULL) fail_msg("no %s in %s", parts[i], out.data);
  os_buf_free(&out);
}

/* ---- the page -------------------------------------------------------------------------------------- */

#define HOSTILE "</title><script>alert(1)</script>\" onload=\"x\" '\x1b\xff\xe2\x80\xae"

/* Every text of it is hostile. */
static json_t *hostile_facts(void) {
  json_t *bad = json_stringn_nocheck(HOSTILE, sizeof HOSTILE - 1);
  char *arguments = NULL;
  json_t *inner = json_pack("{s:s, s:{s:s, s:n}}", "path", "</td><script>alert(2)</script>", "options", "<b>",
                            "<i>", "max_failed");
  arguments = json_dumps(inner, JSON_COMPACT);
  json_decref(inner);
  json_t *job = json_pack("{s:I, s:O, s:O, s:O, s:O, s:I, s:I, s:I, s:f, s:s, s:s, s:s, s:O, s:s}", "job",
                          7LL, "kind", bad, "status", bad, "index_name", bad, "error", bad, "documents_read",
                          10LL, "documents_created", 8LL, "documents_failed", 2LL, "seconds", 4.0,
                          "arguments", arguments, "response", "{\"<u>\":\"<script>\"}", "settings",
                          "[{\"name\":\"<s>\",\"value\":\"<q>\",\"source\":\"env\"}]", "host", bad,
                          "started_at", "<t>");
  free(arguments);
  json_t *facts = json_pack(
      "{s:o, s:[{s:f, s:I}, {s:f, s:I, s:I, s:I}], s:[{s:O, s:I}], s:[{s:O, s:O, s:O, s:O}], s:[{s:O, s:O, "
      "s:O, s:O, "
      "s:O}], s:[{s:I, s:O, s:I, s:I}], s:[{s:I, s:O, s:O, s:I, s:O, s:O, s:O, s:I, s:O, s:I}], s:I, s:I}",
      "job", job, "samples", "seconds", 1.0, "documents", 4LL, "seconds", 4.0, "documents", 10LL, "failed",
      2LL, "retries", 3LL, "states", "status", bad, "files", 300LL, "files", "file", bad, "status", bad,
      "format", bad, "error", bad, "checks", "at", bad, "step", bad, "check_name", bad, "verdict", bad,
      "detail", bad, "reasons", "status", 400LL, "error_type", bad, "records", 2LL, "resolved", 0LL,
      "examples", "status", 400LL, "error_type", bad, "file", bad, "line", 3LL, "doc_id", bad, "error_reason",
      bad, "raw", bad, "raw_len", 5000LL, "document", bad, "document_len", 10LL, "check_count", 1LL,
      "reason_count", 9LL);
  json_decref(bad);
  assert_non_null(facts);
  return facts;
}

static size_t times(const char *text, const char *part) {
  size_t n = 0;
  for (; (text = strstr(text, part)) != NULL; text++)
    n++;
  return n;
}

static void a_hostile_page(void **state) {
  (void)state;
  json_t *facts = hostile_facts();
  struct os_buf out;
  os_buf_init(&out, 0);
  os_report_page(&out, facts, "2026-11-21T07:00:00.000Z");
  assert_false(out.failed);
  assert_int_equal(os_utf8_check(out.data, out.len), out.len);
  assert_int_equal(strlen(out.data), out.len);
  static const char *const never[] = {"<script", "<b>alert", "<i>",  "<u>",          "<q>",
                                      "<s>",     "<t>",      "\x1b", "\xe2\x80\xae", "onload=\"",
                                      "http://", "https://", "src="};
  for (size_t i = 0; i < sizeof never / sizeof *never; i++)
    if (strstr(out.data, never[i]) != NULL) fail_msg("'%s' is in the page", never[i]);
  assert_int_equal(times(out.data, "<title>"), 1); /* those of drawings have ids */
  assert_true(times(out.data, "&lt;script&gt;alert(1)&lt;/script&gt;") > 15);
  assert_true(times(out.data, "alert(2)") == 1 && times(out.data, "‹U+202E›") > 15);
  static const char *const always[] = {"Retries</figcaption>",
                                       "Refused records</figcaption>",
                                       "Shown are 1 of 300 files",
                                       "Shown are 1 of 9 reasons",
                                       "5,000 bytes in all",
                                       "HTTP 400",
                                       ">null</td>",
                                       "the environment",
                                       "2026-11-21 07:00:00 UTC"};
  for (size_t i = 0; i < sizeof always / sizeof *always; i++)
    if (strstr(out.data, always[i]) == NULL) fail_msg("'%s' is not in the page", always[i]);
  assert_true(strstr(out.data, OS_REPORT_MARK) - out.data <
              OS_REPORT_MARK_WITHIN - (long)sizeof OS_REPORT_MARK);
  static const char *const pairs[] = {"section", "table", "tr",      "td",     "th",     "p",     "div", "dl",
                                      "dt",      "dd",    "svg",     "figure", "pre",    "span",  "h1",  "h2",
                                      "h3",      "small", "details", "main",   "header", "footer"};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    char open[16], open_more[16], close[16];
    snprintf(open, sizeof open, "<%s>", pairs[i]);
    snprintf(open_more, sizeof open_more, "<%s ", pairs[i]);
    snprintf(close, sizeof close, "</%s>", pairs[i]);
    if (times(out.data, open) + times(out.data, open_more) != times(out.data, close))
      fail_msg("%s", pairs[i]);
  }
  os_buf_free(&out);
  json_decref(facts);
}

/* Facts that lack everything still give a page: a job that only just began. */
static void an_empty_page(void **state) {
  (void)state;
  static const char *const states[] = {"running",     "success",   "partial", "failed",
                                       "interrupted", "cancelled", "?"};
  for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
    json_t *facts =
        json_pack("{s:{s:I, s:s, s:s, s:s}, s:[{s:f}]}", "job", "job", 1LL, "kind", "bulk_load", "status",
                  states[i], "updated_at", "2026-11-21T07:00:00.000Z", "samples", "seconds", 0.1);
    struct os_buf out;
    os_buf_init(&out, 0);
    os_report_page(&out, facts, "2026-11-21T07:00:00.000Z");
    assert_false(out.failed);
    assert_non_null(strstr(out.data, states[i]));
    assert_non_null(strstr(out.data, "Too short to be drawn"));
    assert_null(strstr(out.data, "<svg"));
    assert_non_null(strstr(out.data, "</html>"));
    os_buf_free(&out);
    json_decref(facts);
  }
}

/* A ledger may come with somebody else's database: no figure may lead to overflow, or to a loop without end. */
static void absurd_figures(void **state) {
  (void)state;
  static const double times[][2] = {{1, 1e308}, {-1e308, 1e-300}, {5, 5}, {7, 3}, {1e-9, 2e-9}};
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    json_int_t most = INT64_MAX, least = INT64_MIN;
    json_t *facts =
        json_pack("{s:{s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:I}, s:[{s:f, s:I, s:I}, {s:f, s:I, s:I, "
                  "s:I}], s:[{s:I, s:I}, "
                  "{s:I}], s:[{s:I}]}",
                  "job", "job", most, "documents_read", most, "documents_created", most, "documents_updated",
                  most, "documents_failed", least, "seconds", times[i][1], "files", most, "files_done", least,
                  "bytes_read", least, "samples", "seconds", times[i][0], "documents", most, "failed", least,
                  "seconds", times[i][1], "documents", i % 2 ? least : most, "failed", most, "bytes_sent",
                  most, "states", "files", most, "size", least, "files", most, "files", "size", least);
    assert_non_null(facts);
    struct os_buf out;
    os_buf_init(&out, 0);
    os_report_page(&out, facts, "now");
    assert_false(out.failed);
    assert_non_null(strstr(out.data, "</html>"));
    os_buf_free(&out);
    json_decref(facts);
  }
}

/* Whichever allocation fails, the page says that it did; with memory back it is whole. */
static void no_memory(void **state) {
  (void)state;
  json_t *facts = hostile_facts();
  struct os_buf out;
  long n, failed = 0;
  for (n = 0; n < 10000; n++) {
    os_alloc_fail_after(n, 1);
    os_buf_init(&out, 0);
    os_report_page(&out, facts, "2026-11-21T07:00:00.000Z");
    bool injected = os_alloc_count() > n;
    os_alloc_fail_after(-1, 0);
    assert_int_equal(out.failed, injected);
    failed += out.failed;
    os_buf_free(&out);
    if (!injected) break;
  }
  assert_true(failed > 5 && n < 10000);
  json_decref(facts);
}

/* ---- the file -------------------------------------------------------------------------------------- */

#define PAGE "<!DOCTYPE html>\n" OS_REPORT_MARK " 1\">\n"

static int put(const char *name, const char *page) {
  char real_path[PATH_MAX];
  os_error_clear(&test_error);
  int rc = os_report_file(in_folder(name), page, strlen(page), real_path, &test_error);
  if (rc == OS_OK) assert_int_equal(real_path[0], '/');
  return rc;
}

static const char *content(const char *name) {
  static char text[4096];
  FILE *f = fopen(in_folder(name), "r");
  assert_non_null(f);
  text[fread(text, 1, sizeof text - 1, f)] = '\0';
  fclose(f);
  return text;
}

static int entries(void) {
  char command[128];
  int n = -1;
  snprintf(command, sizeof command, "ls -A '%s' | wc -l", test_folder);
  FILE *p = popen(command, "r");
  assert_int_equal(fscanf(p, "%d", &n), 1);
  pclose(p);
  return n;
}

static void a_file(void **state) {
  (void)state;
  assert_ok(put("r.html", PAGE "first"));
  assert_int_equal(mode_of(in_folder("r.html")), 0600);
  assert_int_equal(chmod(in_folder("r.html"), 0644), 0);
  assert_ok(put("r.html", PAGE "second"));
  assert_string_equal(content("r.html"), PAGE "second");
  assert_int_equal(mode_of(in_folder("r.html")), 0644); /* who opened it to others meant it */
  write_file(in_folder("empty"), "", 0600);
  assert_ok(put("empty", PAGE));
  assert_int_equal(symlink("r.html", in_folder("link")), 0);
  assert_ok(put("link", PAGE "through"));
  assert_string_equal(content("r.html"), PAGE "through");
  struct stat st;
  assert_int_equal(lstat(in_folder("link"), &st), 0);
  assert_true(S_ISLNK(st.st_mode));
  assert_int_equal(entries(), 3);
}

static void not_in_the_place_of_something(void **state) {
  (void)state;
  write_file(in_folder("mine.db"), "SQLite format 3", 0600);
  assert_int_equal(put("mine.db", PAGE), OS_ERR_GUARD);
  assert_error_has("is no report");
  assert_string_equal(content("mine.db"), "SQLite format 3");
  assert_int_equal(mkdir(in_folder("folder"), 0700), 0);
  assert_int_equal(put("folder", PAGE), OS_ERR_GUARD);
  assert_error_has("is a folder");
  assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
  assert_int_equal(put("fifo", PAGE), OS_ERR_GUARD);
  assert_error_has("no ordinary file");
  assert_int_equal(put("missing/r.html", PAGE), OS_ERR_IO);
  assert_error_has("missing/r.html");
  assert_error_has("No such file");
  assert_int_equal(put("mine.db/r.html", PAGE), OS_ERR_IO);
  assert_int_equal(entries(), 3); /* nothing of an attempt is left */
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_is_escaped),
      cmocka_unit_test(every_byte_alone_is_safe),
      cmocka_unit_test(excerpts),
      cmocka_unit_test(numbers),
      cmocka_unit_test(steps),
      cmocka_unit_test(cuts),
      cmocka_unit_test(a_drawing),
      cmocka_unit_test(a_hostile_page),
      cmocka_unit_test(an_empty_page),
      cmocka_unit_test(absurd_figures),
      cmocka_unit_test(no_memory),
      TEST(a_file),
      TEST(not_in_the_place_of_something),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
