/* base_log_test.c - notations, levels, the file, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>
#include "base/alloc.h"
#include "base/log.h"

static char folder[] = "/tmp/os-log-test-XXXXXX";
static char path[64];
static char content[8192];

static int make_folder(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  snprintf(path, sizeof path, "%s/log", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  unlink(path);
  return rmdir(folder);
}

static const char *read_log(void) {
  FILE *file = fopen(path, "r");
  content[0] = '\0';
  if (file) {
    content[fread(content, 1, sizeof content - 1, file)] = '\0';
    fclose(file);
  }
  return content;
}

static struct os_log *open_log(const char *level, const char *format) {
  struct os_error error;
  unlink(path);
  struct os_log *log = os_log_new();
  assert_non_null(log);
  assert_int_equal(os_log_configure(log, level, format, path, &error), OS_OK);
  return log;
}

static void text_lines(void **state) {
  (void)state;
  struct os_log *log = open_log("INFO", "text");
  struct stat info;
  assert_int_not_equal(stat(path, &info), 0); /* made by the first line only */
  os_log_write(log, OS_LOG_DEBUG, "not wanted");
  os_log_write(log, OS_LOG_INFO, "%s\nsecond line", "first");
  os_log_set_job(log, 12, NULL);
  os_log_write(log, OS_LOG_WARNING, "message");
  os_log_set_job(log, 12, "abc");
  os_log_write(log, OS_LOG_ERROR, "message");
  const char *text = read_log();
  assert_int_equal(text[10], 'T');
  assert_int_equal(text[23], 'Z');
  assert_memory_equal(text + 24, " INFO first second line\n", 24);
  assert_non_null(strstr(text, "Z WARNING job=12 message\n"));
  assert_non_null(strstr(text, "Z ERROR job=12 correlation_id=abc message\n"));
  assert_null(strstr(text, "not wanted"));
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  os_log_unref(log);
}

static void json_lines(void **state) {
  (void)state;
  struct os_log *log = open_log("DEBUG", "json");
  os_log_set_job(log, 7, "a\"b");
  os_log_write(log, OS_LOG_DEBUG, "it's \"quoted\"\n\xff");
  os_log_set_job(log, 0, NULL);
  os_log_write(log, OS_LOG_INFO, "%2000d", 1);
  char *first = (char *)read_log(), *second = strchr(first, '\n') + 1;
  json_t *line = json_loads(first, JSON_DISABLE_EOF_CHECK, NULL);
  assert_string_equal(json_string_value(json_object_get(line, "level")), "DEBUG");
  assert_int_equal(json_integer_value(json_object_get(line, "job")), 7);
  assert_string_equal(json_string_value(json_object_get(line, "correlation_id")), "a\"b");
  assert_string_equal(json_string_value(json_object_get(line, "message")), "it's \"quoted\"\n\xef\xbf\xbd");
  assert_int_equal(json_string_length(json_object_get(line, "time")), 24);
  json_decref(line);
  line = json_loads(second, 0, NULL);
  assert_true(json_is_null(json_object_get(line, "job")));
  assert_true(json_is_null(json_object_get(line, "correlation_id")));
  assert_int_equal(json_string_length(json_object_get(line, "message")), 2000);
  json_decref(line);
  os_log_unref(log);
}

static void template_lines(void **state) {
  (void)state;
  struct os_log *log =
      open_log("WARNING", "100%% %(name)s|%(levelname)-8s|%(job)4d|%(correlation_id)s|%(message)s.");
  os_log_set_job(log, 42, "id");
  os_log_write(log, OS_LOG_ERROR, "done %d", 1);
  assert_string_equal(read_log(), "100% sqlite-opensearch|ERROR   |  42|id|done 1.\n");
  os_log_unref(log);
}

static void template_without_job(void **state) {
  (void)state;
  struct os_log *log = open_log("INFO", "%%(job)s %(levelname)s: %(message)s");
  os_log_write(log, OS_LOG_INFO, "before");
  assert_string_equal(read_log(), "%(job)s INFO: before\n");
  os_log_set_job(log, 42, "id");
  os_log_write(log, OS_LOG_INFO, "done");
  assert_non_null(strstr(read_log(), "%(job)s INFO: job=42 correlation_id=id done\n"));
  os_log_unref(log);
  log = open_log("INFO", "%(message)s [%(job)s]");
  os_log_set_job(log, 42, "id");
  os_log_write(log, OS_LOG_INFO, "done");
  assert_non_null(strstr(read_log(), "correlation_id=id done [42]\n"));
  os_log_unref(log);
}

static void levels(void **state) {
  (void)state;
  struct os_error error;
  struct os_log *log = os_log_new();
  assert_true(os_log_wants(log, OS_LOG_INFO));
  assert_false(os_log_wants(log, OS_LOG_DEBUG));
  assert_int_equal(os_log_configure(log, "critical", "", "", &error), OS_OK);
  assert_false(os_log_wants(log, OS_LOG_ERROR));
  assert_int_equal(os_log_configure(log, "OFF", NULL, NULL, &error), OS_OK);
  assert_false(os_log_wants(log, OS_LOG_ERROR));
  assert_int_equal(os_log_configure(log, "loud", NULL, NULL, &error), OS_ERR_ARGUMENT);
  assert_non_null(strstr(error.text, "LOG_LEVEL 'loud'"));
  assert_false(os_log_wants(NULL, OS_LOG_ERROR));
  os_log_write(NULL, OS_LOG_ERROR, "nowhere");
  os_log_set_job(NULL, 1, NULL);
  os_log_unref(os_log_ref(NULL));
  os_log_unref(log);
}

static void refused_formats(void **state) {
  (void)state;
  static const char *const bad[] = {"jsno",           "%(message)",  "%(nope)s %(message)s",
                                    "%s %(message)s", "%(message)f", "%"};
  struct os_error error;
  struct os_log *log = os_log_new();
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_int_equal(os_log_configure(log, "INFO", bad[i], NULL, &error), OS_ERR_ARGUMENT);
    assert_non_null(strstr(error.text, "LOG_FORMAT"));
  }
  assert_int_equal(os_log_format_check("%(asctime)s - %(name)s - %(levelname)s - %(message)s", &error),
                   OS_OK);
  os_log_unref(log);
}

static void refused_files(void **state) {
  (void)state;
  static const char *const bad[] = {"/nonexistent-folder/x.log", "/tmp", "/tmp/nonexistent-folder/"};
  struct os_error error;
  struct os_log *log = open_log("INFO", "text");
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_int_equal(os_log_configure(log, "INFO", "text", bad[i], &error), OS_ERR_IO);
    assert_non_null(strstr(error.text, bad[i]));
  }
  os_log_write(log, OS_LOG_INFO, "still here"); /* a refused change changes nothing */
  assert_non_null(strstr(read_log(), "still here"));
  os_log_unref(log);
}

static void references(void **state) {
  (void)state;
  struct os_log *log = open_log("INFO", "text"), *second = os_log_ref(log);
  os_log_unref(log);
  os_log_write(second, OS_LOG_INFO, "kept by the second");
  assert_non_null(strstr(read_log(), "kept by the second"));
  os_log_unref(second);
}

#ifdef OS_TEST_ALLOC
static void each_failing_allocation(void **state) {
  (void)state;
  struct os_error error;
  for (long n = 0; n < 20; n++) {
    os_alloc_fail_after(n, 0);
    struct os_log *log = os_log_new();
    int code = log ? os_log_configure(log, "INFO", "json", path, &error) : OS_ERR_NOMEM;
    os_log_write(log, OS_LOG_INFO, "%2000d", 1);
    bool injected = os_alloc_count() > n;
    os_alloc_fail_after(-1, 0);
    os_log_unref(log);
    if (!injected) {
      assert_int_equal(code, OS_OK);
      return;
    }
    assert_true(code == OS_ERR_NOMEM || code == OS_OK);
  }
  fail_msg("a line took more than 20 allocations");
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_lines),
      cmocka_unit_test(json_lines),
      cmocka_unit_test(template_lines),
      cmocka_unit_test(template_without_job),
      cmocka_unit_test(levels),
      cmocka_unit_test(refused_files),
      cmocka_unit_test(refused_formats),
      cmocka_unit_test(references),
#ifdef OS_TEST_ALLOC
      cmocka_unit_test(each_failing_allocation),
#endif
  };
  return cmocka_run_group_tests_name("base/log", tests, make_folder, remove_folder);
}
