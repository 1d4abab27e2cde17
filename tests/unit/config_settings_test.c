/* config_settings_test.c - names, rules, layers, faults that are remembered, and rates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "config/rate.h"
#include "config/secret.h"
#include "config/settings.h"

static char folder[] = "/tmp/os-settings-test-XXXXXX";
static char env_path[64];

static void clear_environment(void) {
  for (int id = 0; id < OS_SET_COUNT; id++) {
    const struct os_setting_info *info = os_setting_info(id);
    unsetenv(info->name);
    for (int a = 0; a < 2 && info->aliases[a]; a++)
      unsetenv(info->aliases[a]);
  }
}

static int make_folder(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  snprintf(env_path, sizeof env_path, "%s/env", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  unlink(env_path);
  return rmdir(folder);
}

static int fresh(void **state) {
  (void)state;
  clear_environment();
  unlink(env_path);
  setenv("OS_ENV_FILE", "", 1);
  return 0;
}

static void write_env(const char *text) {
  FILE *file = fopen(env_path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
  setenv("OS_ENV_FILE", env_path, 1);
}

static struct os_settings *make(void) {
  struct os_settings *settings;
  struct os_error error;
  assert_int_equal(os_settings_new(&settings, &error), OS_OK);
  return settings;
}

static void defaults_pass_their_own_rules(void **state) {
  (void)state;
  struct os_error error;
  struct os_settings *settings = make();
  for (int id = 0; id < OS_SET_COUNT; id++) {
    const struct os_setting_info *info = os_setting_info(id);
    assert_non_null(info->name);
    assert_true(strlen(info->description) > 10);
    assert_int_equal(os_setting_find(info->name), id);
    assert_string_equal(os_settings_source(settings, id), "default");
    if (!info->default_value) {
      assert_null(os_settings_get(settings, id));
      continue;
    }
    assert_string_equal(os_settings_get(settings, id), info->default_value);
    assert_int_equal(os_settings_set(settings, id, info->default_value, &error), OS_OK);
    assert_string_equal(os_settings_source(settings, id), "session");
  }
  assert_int_equal(os_settings_int(settings, OS_SET_BATCH_SIZE), 10000);
  assert_int_equal(os_settings_bytes(settings, OS_SET_BATCH_BYTES), 8388608);
  assert_true(os_settings_real(settings, OS_SET_REQUEST_TIMEOUT) == 60);
  assert_true(os_settings_bool(settings, OS_SET_VERIFY_SSL));
  assert_false(os_settings_bool(settings, OS_SET_DLQ));
  assert_int_equal(os_settings_check(settings, &error), OS_OK);
  os_settings_free(settings);
  os_settings_free(NULL);
}

static void names_and_aliases(void **state) {
  (void)state;
  assert_int_equal(os_setting_find("OPENSEARCH_URL"), OS_SET_ENDPOINT);
  assert_int_equal(os_setting_find("opensearch_endpoint"), OS_SET_ENDPOINT);
  assert_int_equal(os_setting_find("SQS_DLQ_ARN"), OS_SET_SQS_DLQ_ARN);
  assert_int_equal(os_setting_find("sqs-dlq-arn"), OS_SET_SQS_DLQ_ARN);
  assert_int_equal(os_setting_find("NOPE"), -1);
  assert_true(os_setting_info(OS_SET_PASSWORD)->secret);
}

static void rules(void **state) {
  (void)state;
  static const struct {
    enum os_setting_id id;
    const char *value;
    bool good;
  } cases[] = {
      {OS_SET_ENDPOINT, "https://host:9200", true},
      {OS_SET_ENDPOINT, "HTTP://localhost", true},
      {OS_SET_ENDPOINT, "http://[::1]:9200/prefix/", true},
      {OS_SET_ENDPOINT, "localhost:9200", false},
      {OS_SET_ENDPOINT, "ftp://host", false},
      {OS_SET_ENDPOINT, "https://", false},
      {OS_SET_ENDPOINT, "https:///x", false},
      {OS_SET_ENDPOINT, "https://:9200", false},
      {OS_SET_ENDPOINT, "https://host:0", false},
      {OS_SET_ENDPOINT, "https://host:65536", false},
      {OS_SET_ENDPOINT, "https://host:", false},
      {OS_SET_ENDPOINT, "https://host:92x", false},
      {OS_SET_ENDPOINT, "https://[::1", false},
      {OS_SET_ENDPOINT, "https://[]", false},
      {OS_SET_ENDPOINT, "https://ho]st", false},
      {OS_SET_ENDPOINT, "https://[::1]x", false},
      {OS_SET_ENDPOINT, "https://host/?q", false},
      {OS_SET_ENDPOINT, "https://ho st", false},
      {OS_SET_ENDPOINT, "https://host\n", false},
      {OS_SET_USERNAME, "admin", true},
      {OS_SET_USERNAME, "ad:min", false},
      {OS_SET_USERNAME, "ad\nmin", false},
      {OS_SET_AUTH, "Basic", true},
      {OS_SET_AUTH, "bas", false},
      {OS_SET_AUTH, "basic auto", false},
      {OS_SET_AWS_ROLE_ARN, "arn:aws-cn:iam::123456789012:role/x", true},
      {OS_SET_AWS_ROLE_ARN, "arn:aws:sqs:r:1:q", false},
      {OS_SET_AWS_ROLE_ARN, "role/x", false},
      {OS_SET_SQS_DLQ_ARN, "arn:aws:sqs:eu-west-1:123456789012:q", true},
      {OS_SET_SQS_DLQ_ARN, "arn:aws:sqs", false},
      {OS_SET_SQS_DLQ_ARN, "https://sqs", false},
      {OS_SET_INDEX, "products-v1", true},
      {OS_SET_INDEX, ".hidden", true},
      {OS_SET_INDEX, "_all", false},
      {OS_SET_INDEX, "a*", false},
      {OS_SET_INDEX, "a,b", false},
      {OS_SET_INDEX, "..", false},
      {OS_SET_LOAD_MODE, "resume", true},
      {OS_SET_LOAD_MODE, "replace", false},
      {OS_SET_BATCH_SIZE, "1", true},
      {OS_SET_BATCH_SIZE, "0", false},
      {OS_SET_BATCH_SIZE, "1000001", false},
      {OS_SET_BATCH_SIZE, "10k", false},
      {OS_SET_BATCH_SIZE, "", false},
      {OS_SET_BATCH_BYTES, "10 MB", true},
      {OS_SET_BATCH_BYTES, "1TiB", false},
      {OS_SET_BATCH_BYTES, "10 mice", false},
      {OS_SET_MAX_WORKERS, "257", false},
      {OS_SET_DOCUMENT_COUNT_THRESHOLD, "12.5", true},
      {OS_SET_DOCUMENT_COUNT_THRESHOLD, "-1", false},
      {OS_SET_LOG_LEVEL, "debug", true},
      {OS_SET_LOG_LEVEL, "verbose", false},
      {OS_SET_LOG_FORMAT, "%(message)s", true},
      {OS_SET_LOG_FORMAT, "xml", false},
      {OS_SET_VERIFY_SSL, "off", true},
      {OS_SET_VERIFY_SSL, "maybe", false},
      {OS_SET_HTTP_COMPRESS, "always", true},
      {OS_SET_HTTP_COMPRESS, "gzip", false},
      {OS_SET_REQUEST_TIMEOUT, "0.5", true},
      {OS_SET_REQUEST_TIMEOUT, "0", false},
      {OS_SET_REQUEST_TIMEOUT, "60s", false},
      {OS_SET_MAX_RETRIES, "0", true},
      {OS_SET_MAX_RETRIES, "-1", false},
      {OS_SET_MAX_RATE, "5000/s", true},
      {OS_SET_MAX_RATE, "fast", false},
      {OS_SET_DLQ, "ENABLED", true},
      {OS_SET_DLQ, "perhaps", false},
      {OS_SET_OUTPUT_BUCKET, "s3://my-bucket/pre/fix", true},
      {OS_SET_OUTPUT_BUCKET, "b", false},
      {OS_SET_OUTPUT_BUCKET, "my bucket", false},
  };
  struct os_error error;
  struct os_settings *settings = make();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int code = os_settings_set(settings, cases[i].id, cases[i].value, &error);
    if (code != (cases[i].good ? OS_OK : OS_ERR_ARGUMENT))
      fail_msg("%s = '%s' gave %d", os_setting_info(cases[i].id)->name, cases[i].value, code);
    if (!cases[i].good) assert_non_null(strstr(error.text, os_setting_info(cases[i].id)->name));
  }
  assert_string_equal(os_settings_get(settings, OS_SET_AUTH), "basic"); /* words in small letters */
  assert_string_equal(os_settings_get(settings, OS_SET_DLQ), "enabled");
  assert_true(os_settings_bool(settings, OS_SET_DLQ));
  os_settings_free(settings);
}

static void messages_say_what_is_legal_and_no_secret(void **state) {
  (void)state;
  struct os_error error;
  struct os_settings *settings = make();
  os_settings_set(settings, OS_SET_MAX_WORKERS, "many", &error);
  assert_string_equal(error.text, "MAX_WORKERS: 'many' is not a whole number from 1 to 256");
  os_settings_set(settings, OS_SET_REQUEST_TIMEOUT, "0", &error);
  assert_string_equal(error.text, "REQUEST_TIMEOUT: '0' is not a number from 0.001 to 86400");
  os_settings_set(settings, OS_SET_ENDPOINT, "https://me:hunter2@host", &error);
  assert_null(strstr(error.text, "hunter2"));
  assert_non_null(strstr(error.advice, "OPENSEARCH_PASSWORD"));
  os_settings_set(settings, OS_SET_ENDPOINT, "https://me:hun/ter2@host", &error);
  assert_null(strstr(error.text, "hun"));
  os_settings_set(settings, OS_SET_LOAD_MODE, "x", &error);
  assert_non_null(strstr(error.advice, "fresh"));
  os_settings_free(settings);
}

static void layers(void **state) {
  (void)state;
  struct os_error error;
  write_env("OPENSEARCH_URL=http://"
            "file:1\nMAX_WORKERS=7\nBATCH_SIZE=70\nSQS-DLQ-ARN=arn:aws:sqs:r:1:q\nLOG_FILE=/x\n"
            "OTHER=thing\n");
  setenv("BATCH_SIZE", "80", 1);
  setenv("LOG_FILE", "", 1);
  setenv("LOG_LEVEL", "", 1);
  struct os_settings *settings = make();
  unsigned generation = os_settings_generation(settings);
  assert_string_equal(os_settings_env_file(settings), env_path);
  assert_string_equal(os_settings_get(settings, OS_SET_ENDPOINT), "http://file:1");
  assert_string_equal(os_settings_source(settings, OS_SET_ENDPOINT), ".env");
  assert_int_equal(os_settings_int(settings, OS_SET_MAX_WORKERS), 7);
  assert_int_equal(os_settings_int(settings, OS_SET_BATCH_SIZE), 80);
  assert_string_equal(os_settings_source(settings, OS_SET_BATCH_SIZE), "env");
  assert_string_equal(os_settings_get(settings, OS_SET_SQS_DLQ_ARN), "arn:aws:sqs:r:1:q");
  assert_null(os_settings_get(settings, OS_SET_LOG_FILE)); /* the empty variable hides the file's value */
  assert_string_equal(os_settings_get(settings, OS_SET_LOG_LEVEL), "INFO");
  assert_int_equal(os_settings_set(settings, OS_SET_BATCH_SIZE, "90", &error), OS_OK);
  assert_int_equal(os_settings_int(settings, OS_SET_BATCH_SIZE), 90);
  assert_int_not_equal(os_settings_generation(settings), generation);
  assert_int_equal(os_settings_set(settings, OS_SET_BATCH_SIZE, "x", &error), OS_ERR_ARGUMENT);
  assert_int_equal(os_settings_int(settings, OS_SET_BATCH_SIZE), 90); /* a refused value changes nothing */
  assert_int_equal(os_settings_set(settings, OS_SET_BATCH_SIZE, NULL, &error), OS_OK);
  assert_int_equal(os_settings_int(settings, OS_SET_BATCH_SIZE), 80);
  assert_int_equal(os_settings_set(settings, OS_SET_ENDPOINT, "", &error), OS_OK);
  assert_null(os_settings_get(settings, OS_SET_ENDPOINT));
  unsetenv("BATCH_SIZE");
  write_env("MAX_WORKERS=9\nOPENSEARCH_ENDPOINT=http://a\nOPENSEARCH_URL=http://b\n");
  assert_int_equal(os_settings_reload(settings, &error), OS_OK);
  os_settings_set(settings, OS_SET_ENDPOINT, NULL, &error);
  assert_string_equal(os_settings_get(settings, OS_SET_ENDPOINT),
                      "http://a"); /* its own name before an alias */
  assert_int_equal(os_settings_int(settings, OS_SET_MAX_WORKERS), 9);
  assert_int_equal(os_settings_int(settings, OS_SET_BATCH_SIZE), 10000);
  os_settings_free(settings);
}

static void malformed_values_are_remembered(void **state) {
  (void)state;
  struct os_error error;
  char place[128];
  write_env("\nMAX_WORKERS=lots\n");
  setenv("LOG_LEVEL", "verbose", 1);
  struct os_settings *settings = make();
  assert_string_equal(os_settings_get(settings, OS_SET_LOG_LEVEL), "INFO");
  assert_int_equal(os_settings_int(settings, OS_SET_MAX_WORKERS), 4);
  assert_int_equal(os_settings_check(settings, &error), OS_ERR_ARGUMENT);
  snprintf(place, sizeof place, "%s line 2: MAX_WORKERS: 'lots'", env_path);
  assert_memory_equal(error.text, place, strlen(place));
  assert_int_equal(os_settings_set(settings, OS_SET_MAX_WORKERS, "5", &error),
                   OS_OK); /* mended for the session */
  assert_int_equal(os_settings_check(settings, &error), OS_ERR_ARGUMENT);
  assert_memory_equal(error.text, "environment: LOG_LEVEL: 'verbose'", 33);
  assert_int_equal(os_settings_set(settings, OS_SET_LOG_LEVEL, "INFO", &error), OS_OK);
  assert_int_equal(os_settings_check(settings, &error), OS_OK);
  write_env("MAX_WORKERS=3\nwhat is this hunter2\n");
  assert_int_equal(os_settings_reload(settings, &error), OS_ERR_ARGUMENT);
  assert_non_null(strstr(error.text, "line 2"));
  assert_null(strstr(error.text, "hunter2"));
  setenv("OS_ENV_FILE", "/nonexistent/env", 1);
  assert_int_equal(os_settings_reload(settings, &error), OS_ERR_IO);
  assert_non_null(strstr(error.text, "/nonexistent/env"));
  setenv("OS_ENV_FILE", "/dev/zero", 1);
  assert_int_equal(os_settings_reload(settings, &error), OS_ERR_IO);
  setenv("OS_ENV_FILE", "", 1);
  assert_int_equal(os_settings_reload(settings, &error), OS_OK);
  assert_null(os_settings_env_file(settings));
  os_settings_free(settings);
}

/* Without OS_ENV_FILE it is .env in the working directory; a folder of that name (a Python environment) is
 * none. */
static void working_directory(void **state) {
  (void)state;
  struct os_error error;
  char old[4096], path[80];
  assert_non_null(getcwd(old, sizeof old));
  unsetenv("OS_ENV_FILE");
  assert_int_equal(chdir(folder), 0);
  struct os_settings *settings = make();
  assert_int_equal(os_settings_check(settings, &error), OS_OK);
  snprintf(path, sizeof path, "mkdir %s/.env", folder);
  assert_int_equal(system(path), 0);
  assert_int_equal(os_settings_reload(settings, &error), OS_OK);
  assert_int_equal(rmdir(".env"), 0);
  write_env("MAX_WORKERS=11\n");
  unsetenv("OS_ENV_FILE");
  assert_int_equal(rename(env_path, ".env"), 0);
  assert_int_equal(os_settings_reload(settings, &error), OS_OK);
  assert_int_equal(os_settings_int(settings, OS_SET_MAX_WORKERS), 11);
  assert_int_equal(unlink(".env"), 0);
  assert_int_equal(chdir(old), 0);
  os_settings_free(settings);
}

static void variables(void **state) {
  (void)state;
  struct os_error error;
  char *text;
  write_env("OS_TEST_A=from file\nOS_TEST_A=again\nOS_TEST_B=file\nOS_TEST_EMPTY=\n");
  setenv("OS_TEST_B", "env", 1);
  struct os_settings *settings = make();
  assert_int_equal(os_settings_variable(settings, "OS_TEST_A", &text, &error), OS_OK);
  assert_string_equal(text, "again");
  os_secret_free(text);
  assert_int_equal(os_settings_variable(settings, "OS_TEST_B", &text, &error), OS_OK);
  assert_string_equal(text, "env");
  os_secret_free(text);
  assert_int_equal(os_settings_variable(settings, "OS_TEST_EMPTY", &text, &error), OS_OK);
  assert_null(text);
  assert_int_equal(os_settings_variable(settings, "OS_TEST_NONE", &text, &error), OS_OK);
  assert_null(text);
  unsetenv("OS_TEST_B");
  os_settings_free(settings);
}

static void rates(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int code;
    double docs, bytes;
  } cases[] = {
      {"5000/s", OS_OK, 5000, 0},
      {"0.5/s", OS_OK, 0.5, 0},
      {"250", OS_OK, 250, 0},
      {"10MiB/s", OS_OK, 0, 10485760},
      {"1 MB /s", OS_OK, 0, 1000000},
      {"5k/S", OS_OK, 0, 5120},
      {"100B/s", OS_OK, 0, 100},
      {"none", OS_OK, 0, 0},
      {"", OS_OK, 0, 0},
      {"0", OS_OK, 0, 0},
      {"/s", OS_ERR_ARGUMENT, 0, 0},
      {"-5/s", OS_ERR_ARGUMENT, 0, 0},
      {"5/m", OS_ERR_ARGUMENT, 0, 0},
      {"fast/s", OS_ERR_ARGUMENT, 0, 0},
      {"1e999", OS_ERR_ARGUMENT, 0, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    double docs = -1, bytes = -1;
    assert_int_equal(os_rate_parse(cases[i].text, &docs, &bytes), cases[i].code);
    if (cases[i].code == OS_OK) assert_true(docs == cases[i].docs && bytes == cases[i].bytes);
  }
}

#ifdef OS_TEST_ALLOC
static void each_failing_allocation(void **state) {
  (void)state;
  struct os_error error;
  write_env("MAX_WORKERS=7\nOPENSEARCH_PASSWORD='x'\nOPENSEARCH_URL=http://h\n");
  setenv("BATCH_SIZE", "80", 1);
  for (long n = 0; n < 60; n++) {
    struct os_settings *settings = NULL;
    char *text = NULL;
    os_alloc_fail_after(n, 1);
    int code = os_settings_new(&settings, &error);
    if (!code) code = os_settings_set(settings, OS_SET_LOG_LEVEL, "ERROR", &error);
    if (!code) code = os_settings_reload(settings, &error);
    if (!code) code = os_settings_variable(settings, "OPENSEARCH_PASSWORD", &text, &error);
    bool injected = os_alloc_count() > n;
    os_alloc_fail_after(-1, 0);
    os_secret_free(text);
    os_settings_free(settings);
    assert_int_equal(code, injected ? OS_ERR_NOMEM : OS_OK);
    if (!injected) return;
  }
  fail_msg("settings took more than 60 allocations");
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(defaults_pass_their_own_rules, fresh),
      cmocka_unit_test_setup(names_and_aliases, fresh),
      cmocka_unit_test_setup(rules, fresh),
      cmocka_unit_test_setup(messages_say_what_is_legal_and_no_secret, fresh),
      cmocka_unit_test_setup(layers, fresh),
      cmocka_unit_test_setup(malformed_values_are_remembered, fresh),
      cmocka_unit_test_setup(working_directory, fresh),
      cmocka_unit_test_setup(variables, fresh),
      cmocka_unit_test_setup(rates, fresh),
#ifdef OS_TEST_ALLOC
      cmocka_unit_test_setup(each_failing_allocation, fresh),
#endif
  };
  return cmocka_run_group_tests_name("config/settings", tests, make_folder, remove_folder);
}
