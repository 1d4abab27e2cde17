/* operations_progress_test.c - what a load shows of itself: the line, the JSON object, and that both are
** whole.
*/
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <locale.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/clock.h"
#include "operations/progress.h"

static const struct os_progress_state half = {.job = 12,
                                              .index = "flights",
                                              .files = 12,
                                              .files_done = 3,
                                              .bytes_total = 100000000,
                                              .bytes_read = 62500000,
                                              .documents = 1234567,
                                              .refused = 2,
                                              .retries = 1,
                                              .in_flight = 3,
                                              .window = 4};

static void text_is(const struct os_progress_meter *meter, const struct os_progress_state *state, double now,
                    const char *expected) {
  char line[512];
  os_progress_text(meter, state, now, line, sizeof line, 200);
  assert_string_equal(line, expected);
}

static void the_line(void **state) {
  (void)state;
  struct os_progress_meter meter = {.documents_rate = 45000.9, .bytes_rate = 20140000, .started = 1000};
  struct os_progress_state s = half;
  text_is(&meter, &s, 1042,
          "files 3/12  1,234,567 docs  45,000 docs/s  20.1 MB/s  62.5 of 100.0 MB  "
          "[##################............]  62 %  0:42 so far  ETA 0:02  2 refused  1 retry");
  s.refused = s.retries = 0;
  s.paused = true;
  meter.bytes_rate = 5000;
  text_is(&meter, &s, 1042,
          "files 3/12  1,234,567 docs  45,000 docs/s  0.0 MB/s  62.5 of 100.0 MB  "
          "[##################............]  62 %  0:42 so far  ETA 2:05:00  paused");
  s.paused = false;
  s.bytes_total = 0; /* standard input */
  text_is(&meter, &s, 4600, "files 3/12  1,234,567 docs  45,000 docs/s  0.0 MB/s  1:00:00 so far");
  s.bytes_total = 1000; /* more was read than there should be: a file grows */
  text_is(&meter, &s, 1000,
          "files 3/12  1,234,567 docs  45,000 docs/s  0.0 MB/s  62.5 of 0.0 MB  "
          "[##############################]  "
          "100 %  0:00 so far");
  s = (struct os_progress_state){.documents = 1, .refused = 1, .retries = 2}; /* os_retry_failures */
  text_is(&meter, &s, 1001.2, "1 doc  45,000 docs/s  0:01 so far  1 refused  2 retries");
  s = (struct os_progress_state){.documents = 45000, .documents_total = 180000}; /* os_reindex */
  text_is(&meter, &s, 1001.2,
          "45,000 docs  45,000 docs/s  [#######.......................]  25 %  0:01 so far  ETA 0:03");
}

static void the_last_line_sums_up(void **state) {
  (void)state;
  struct os_progress_meter meter = {
      .documents_rate = 45000.9, .bytes_rate = 20140000, .started = 1000, .ended = true};
  struct os_progress_state s = half;
  s.paused = true;
  text_is(&meter, &s, 1042,
          "files 3/12  1,234,567 docs  45,000 docs/s  20.1 MB/s  62 %  0:42 in all  2 refused  1 retry");
  s.bytes_read = s.bytes_total;
  s.files_done = 12;
  text_is(&meter, &s, 1042,
          "files 12/12  1,234,567 docs  45,000 docs/s  20.1 MB/s  0:42 in all  2 refused  1 retry");
}

/* Fewer columns, fewer fields, but each of them whole, and the important ones to the last. */
static void the_line_fits_the_terminal(void **state) {
  (void)state;
  struct os_progress_meter meter = {.documents_rate = 1, .bytes_rate = 1e6};
  char whole[512], line[512], small[10];
  os_progress_text(&meter, &half, 0, whole, sizeof whole, 200);
  for (int columns = 1; columns < 200; columns++) {
    os_progress_text(&meter, &half, 0, line, sizeof line, columns);
    assert_true(strlen(line) <= (size_t)columns);
    for (char *rest = line, *field; (field = strstr(rest, "  ")) || *rest; rest = field + 2) {
      if (field) *field = 0;
      if (!strstr(whole, rest)) fail_msg("'%s' is no field of '%s'", rest, whole);
      if (!field) break;
    }
    os_progress_text(&meter, &half, 0, line, sizeof line, columns);
    if (columns >= 14) assert_non_null(strstr(line, "1,234,567 docs"));
    if (columns >= 60) assert_non_null(strstr(line, "2 refused"));
  }
  assert_string_equal(line, whole);
  os_progress_text(&meter, &half, 0, line, sizeof line, 79);
  assert_string_equal(line, "files 3/12  1,234,567 docs  1 docs/s  62 %  0:00 so far  ETA 0:38  2 refused");
  os_progress_text(&meter, &half, 0, small, sizeof small, 80);
  assert_true(strlen(small) < sizeof small);
}

static json_t *object_of(const char *text) {
  json_error_t error;
  json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);
  if (!object) fail_msg("%s in: %s", error.text, text);
  assert_null(strchr(text, '\n'));
  return object;
}

static double number(const json_t *object, const char *name) {
  const json_t *value = json_object_get(object, name);
  if (!json_is_number(value)) fail_msg("no number %s", name);
  return json_number_value(value);
}

static void the_object(void **state) {
  (void)state;
  struct os_progress_meter meter = {.documents_rate = 45000.5, .bytes_rate = 12500000, .started = 1000};
  char text[1024];
  os_progress_json(&meter, &half, 1002.5, text, sizeof text);
  json_t *object = object_of(text);
  assert_string_equal(json_string_value(json_object_get(object, "index")), "flights");
  static const struct {
    const char *name;
    double value;
  } members[] = {{"job", 12},
                 {"elapsed", 2.5},
                 {"files", 12},
                 {"files_done", 3},
                 {"documents", 1234567},
                 {"bytes_read", 62500000},
                 {"bytes_total", 100000000},
                 {"documents_per_second", 45000.5},
                 {"bytes_per_second", 12500000},
                 {"done", 0.625},
                 {"eta", 3},
                 {"refused", 2},
                 {"retries", 1},
                 {"in_flight", 3},
                 {"window", 4}};
  for (size_t i = 0; i < sizeof members / sizeof *members; i++)
    if (number(object, members[i].name) != members[i].value) fail_msg("%s in %s", members[i].name, text);
  assert_true(json_is_false(json_object_get(object, "paused")));
  json_decref(object);
  struct os_progress_state unknown = {.index = "odd\"\xff\n", .paused = true};
  meter.bytes_rate = 0;
  os_progress_json(&meter, &unknown, 1000, text, sizeof text);
  object = object_of(text);
  assert_null(json_object_get(object, "bytes_total"));
  assert_null(json_object_get(object, "done"));
  assert_null(json_object_get(object, "eta"));
  assert_true(json_is_true(json_object_get(object, "paused")));
  json_decref(object);
  unknown.index = NULL;
  os_progress_json(&meter, &unknown, 1000, text, sizeof text);
  json_decref(object_of(text));
}

static void the_locale_does_not_matter(void **state) {
  (void)state;
  static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"};
  struct os_progress_meter meter = {.documents_rate = 1.5, .bytes_rate = 1500000};
  const char *set = NULL;
  for (size_t i = 0; i < 3 && !set; i++)
    set = setlocale(LC_ALL, names[i]);
  if (!set) skip();
  char text[1024];
  os_progress_json(&meter, &half, 1, text, sizeof text);
  json_decref(object_of(text));
  os_progress_text(&meter, &half, 1, text, sizeof text, 0);
  setlocale(LC_ALL, "C");
  assert_non_null(strstr(text, "1.5 MB/s"));
}

/* ---- what goes to stderr ---- */

static size_t shown(enum os_progress_kind kind, const struct os_progress_state *s, int updates, char *out,
                    size_t cap) {
  int pipe_ends[2], saved = dup(STDERR_FILENO);
  struct os_progress_meter meter;
  assert_int_equal(pipe2(pipe_ends, O_NONBLOCK), 0);
  dup2(pipe_ends[1], STDERR_FILENO);
  os_progress_begin(&meter, kind, NULL);
  for (int i = 0; i < updates; i++) {
    os_progress_update(&meter, s);
    os_clock_sleep_ms(1);
  }
  os_progress_end(&meter, s);
  dup2(saved, STDERR_FILENO);
  close(saved);
  close(pipe_ends[1]);
  ssize_t n = read(pipe_ends[0], out, cap - 1);
  close(pipe_ends[0]);
  out[n > 0 ? n : 0] = 0;
  return n > 0 ? (size_t)n : 0;
}

static void what_is_written(void **state) {
  (void)state;
  static char out[65536];
  assert_int_equal(shown(OS_PROGRESS_SILENT, &half, 50, out, sizeof out), 0);
  shown(OS_PROGRESS_JSON_LINES, &half, 50, out, sizeof out); /* within a second: the last line only */
  assert_int_equal(out[strlen(out) - 1], '\n');
  out[strlen(out) - 1] = 0;
  json_decref(object_of(out));
  shown(OS_PROGRESS_LINE, &half, 300, out, sizeof out); /* no terminal: whole lines, here the last alone */
  assert_null(strpbrk(out, "\r\033"));
  assert_int_equal(strchr(out, '\n') - out, strlen(out) - 1);
  assert_non_null(strstr(out, "1,234,567 docs"));
}

/* On a terminal of that width: what was written to it. */
static void on_terminal(const char *term, unsigned short columns, struct os_log *log, char *out, size_t cap) {
  int master, slave, saved = dup(STDERR_FILENO);
  struct winsize size = {.ws_row = 24, .ws_col = columns};
  struct os_progress_meter meter;
  assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
  setenv("TERM", term, 1);
  dup2(slave, STDERR_FILENO);
  os_progress_begin(&meter, OS_PROGRESS_LINE, log);
  for (int i = 0; i < 300; i++) {
    os_progress_update(&meter, &half);
    if (log && i == 299) os_log_write(log, OS_LOG_WARNING, "in between");
    os_clock_sleep_ms(1);
  }
  os_progress_end(&meter, &half);
  if (log) os_log_write(log, OS_LOG_WARNING, "afterwards");
  dup2(saved, STDERR_FILENO);
  close(saved);
  size_t len = 0;
  struct pollfd ready = {.fd = master, .events = POLLIN};
  while (len < cap - 1 && poll(&ready, 1, 0) == 1) {
    ssize_t n = read(master, out + len, cap - 1 - len);
    if (n <= 0) break;
    len += (size_t)n;
  }
  out[len] = 0;
  close(slave);
  close(master);
}

static void a_terminal(void **state) {
  (void)state;
  static char out[65536];
  static const unsigned short widths[] = {10, 80, 200};
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
    double began = os_clock_monotonic();
    on_terminal("xterm", widths[i], NULL, out, sizeof out); /* redrawn five times a second */
    int most = 3 + (int)(5 * (os_clock_monotonic() - began));
    int drawn = 0;
    for (const char *at = out; (at = strstr(at, "\r\033[K")); drawn++) {
      at += 4;
      assert_true(strcspn(at, "\r\n") < widths[i]);
    }
    assert_in_range(drawn, 2, most);
    assert_int_equal(strchr(out, '\n') - out, strlen(out) - 1); /* one line, ended once */
  }
  assert_non_null(strstr(out, "[#####"));
  on_terminal("dumb", 80, NULL, out, sizeof out);
  assert_null(strchr(out, '\033'));
}

/* A line of the log takes the place of the line that stands there, which is drawn again below it. */
static void the_log_in_between(void **state) {
  (void)state;
  static char out[65536];
  struct os_log *log = os_log_new();
  on_terminal("xterm", 80, log, out, sizeof out);
  const char *between = strstr(out, "in between"), *line = between;
  assert_non_null(between);
  while (line > out && *line != '\r')
    line--;
  assert_memory_equal(line, "\r\033[K2", 5); /* the log's time follows at once */
  assert_memory_equal(strchr(between, '\n'), "\n\r\033[K", 5);
  const char *after = strstr(out, "afterwards");
  assert_non_null(after);
  while (after > out && *after != '\n')
    after--;
  assert_int_equal(after[1], '2'); /* nothing is erased when no line stands */
  os_log_unref(log);
}

/* The longest index name and the largest figures still make a whole object. */
static void a_long_object_is_not_cut(void **state) {
  (void)state;
  char name[256], out[4096];
  memset(name, 'i', 255);
  name[255] = 0;
  struct os_progress_state s = {.job = INT64_MAX,
                                .index = name,
                                .files = INT64_MAX,
                                .files_done = INT64_MAX,
                                .bytes_total = INT64_MAX,
                                .bytes_read = 1u << 31,
                                .documents = 1u << 31,
                                .refused = INT64_MAX,
                                .retries = INT64_MAX,
                                .in_flight = 1000,
                                .window = 1000};
  size_t len = shown(OS_PROGRESS_JSON_LINES, &s, 1, out, sizeof out);
  assert_true(len > 500);
  assert_int_equal(out[len - 1], '\n');
  out[len - 1] = 0;
  json_t *object = object_of(out);
  assert_string_equal(json_string_value(json_object_get(object, "index")), name);
  json_decref(object);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_line),
      cmocka_unit_test(the_last_line_sums_up),
      cmocka_unit_test(the_line_fits_the_terminal),
      cmocka_unit_test(the_object),
      cmocka_unit_test(the_locale_does_not_matter),
      cmocka_unit_test(what_is_written),
      cmocka_unit_test(a_terminal),
      cmocka_unit_test(the_log_in_between),
      cmocka_unit_test(a_long_object_is_not_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
