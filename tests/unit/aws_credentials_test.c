/* aws_credentials_test.c - command lines, times and answers that keys are read from; keys in force,
** their renewal and expiry, against a server of this test.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "aws/chain/fetch.h"
#include "aws/chain/process.h"
#include "aws/chain/sts.h"
#include "aws/chain/words.h"
#include "aws/credentials.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "scripted_server.h"

static struct os_error error;

/* ---- words ---- */

static void check_words(const char *line, const char *joined) {
  char **words, seen[200] = "";
  int code = os_words_split(line, &words, &error);
  if (!joined) {
    assert_int_equal(code, OS_ERR_FORMAT);
    assert_null(words);
    return;
  }
  assert_int_equal(code, OS_OK);
  for (int i = 0; words[i]; i++)
    snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "<%s>", words[i]);
  assert_string_equal(seen, joined);
  os_words_free(words);
}

static void command_lines(void **state) {
  (void)state;
  check_words("/bin/x", "</bin/x>");
  check_words("  a\tb\n c ", "<a><b><c>");
  check_words("a \"b c\" 'd e'", "<a><b c><d e>");
  check_words("a\"b\"'c'd", "<abcd>");
  check_words("a '' \"\"", "<a><><>");
  check_words("a\\ b \"c\\\"d\\\\e\\f\" 'g\\h'", "<a b><c\"d\\e\\f><g\\h>");
  check_words("a $HOME `x` ; | > *", "<a><$HOME><`x`><;><|><>><*>");
  check_words("a \"b", NULL);
  check_words("a 'b", NULL);
  check_words("   ", NULL);
  check_words("a b c d", "<a><b><c><d>");
}

/* ---- answers ---- */

static void times(void **state) {
  (void)state;
  double when = 0;
  assert_true(os_aws_time("2026-11-20T21:50:24.049169Z", &when));
  assert_int_equal((int64_t)when, 1795211424);
  assert_true(os_aws_time("2026-11-20T21:50:24UTC", &when));
  assert_int_equal((int64_t)when, 1795211424);
  assert_true(os_aws_time("2026-11-20T22:50:24+01:00", &when));
  assert_int_equal((int64_t)when, 1795211424);
  assert_false(os_aws_time("", &when));
  assert_false(os_aws_time("tomorrow", &when));
  assert_false(os_aws_time("2026-11-20T21:50:24.0000000000000000000000000000000000000Z", &when));
}

static void check_process(const char *text, int code, const char *words) {
  struct os_aws_keys *keys;
  os_error_clear(&error);
  assert_int_equal(os_process_read(&keys, text, strlen(text), "it", &error), code);
  if (words) assert_non_null(strstr(error.text, words));
  assert_null(strstr(error.text, "SECRET"));
  if (!code) assert_non_null(keys);
  os_aws_keys_unref(keys);
}

static void what_a_process_prints(void **state) {
  (void)state;
  check_process("{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\"}", OS_OK, NULL);
  check_process("{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"SessionToken\":\"T\","
                "\"Expiration\":\"2030-01-01T00:00:00Z\",\"AccountId\":\"1\"}\n",
                OS_OK, NULL);
  check_process("{\"Version\":2,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\"}", OS_ERR_ANSWER,
                "Version 1");
  check_process("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\"}", OS_ERR_ANSWER, "Version 1");
  check_process("{\"Version\":1,\"AccessKeyId\":\"A\"}", OS_ERR_ANSWER, "'SecretAccessKey' is missing");
  check_process("{\"Version\":1,\"SecretAccessKey\":\"SECRET\"}", OS_ERR_ANSWER, "'AccessKeyId' is missing");
  check_process(
      "{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\",\"Expiration\":\"soon\"}",
      OS_ERR_ANSWER, "no time");
  check_process("{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\\nX\"}", OS_ERR_ARGUMENT,
                "secret access key");
  check_process("SECRET", OS_ERR_ANSWER, "no JSON object");
  check_process("[\"SECRET\"]", OS_ERR_ANSWER, "no JSON object");
  check_process("", OS_ERR_ANSWER, "no JSON object");
}

static void answers_of_the_token_service(void **state) {
  (void)state;
  static const char good[] =
      "<AssumeRoleResponse "
      "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>"
      "<AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>S/+=</SecretAccessKey><SessionToken>T</SessionToken>"
      "<Expiration>2026-11-20T21:50:24.049169Z</Expiration></Credentials></AssumeRoleResult></"
      "AssumeRoleResponse>";
  struct os_aws_keys *keys;
  assert_int_equal(os_sts_read(&keys, good, strlen(good), 0, "the role", &error), OS_OK);
  assert_string_equal(keys->access_key_id, "ASIA");
  assert_string_equal(keys->secret_access_key, "S/+=");
  assert_string_equal(keys->session_token, "T");
  assert_string_equal(keys->origin, "the role");
  assert_int_equal((int64_t)keys->expires, 1795211424);
  os_aws_keys_unref(keys);
  assert_int_equal(os_sts_read(&keys, good, strlen(good), 3600, "the role", &error), OS_OK);
  assert_int_equal((int64_t)keys->expires, 1795211424 - 3600); /* in the time of this machine */
  os_aws_keys_unref(keys);
  assert_int_equal(os_sts_read(&keys, good, strlen(good) - 30, 0, "the role", &error), OS_ERR_ANSWER);
  assert_int_equal(os_sts_read(&keys, "<html>", 6, 0, "the role", &error), OS_ERR_ANSWER);
  assert_null(keys);
}

/* ---- keys in force ---- */

static struct scripted_server server;
static atomic_int life, status; /* seconds that keys live; what is answered */
static atomic_int serial, asked;
static atomic_bool same; /* the same keys each time */

static void agent(struct visit *visit) {
  char body[400], until[OS_TIME_TEXT];
  while (visit_read(visit)) {
    atomic_fetch_add(&asked, 1);
    if (atomic_load(&status) != 200) {
      visit_answer(visit, atomic_load(&status), "", "application/json", "{\"message\":\"out of order\"}");
      continue;
    }
    os_clock_iso(os_clock_unix() + atomic_load(&life), until);
    int number = atomic_load(&same) ? 1 : atomic_fetch_add(&serial, 1) + 1;
    snprintf(body, sizeof body,
             "{\"AccessKeyId\":\"ASIA%d\",\"SecretAccessKey\":\"S%d\",\"Token\":\"T\",\"Expiration\":\"%s\"}",
             number, number, until);
    visit_answer(visit, 200, "", "application/json", body);
  }
}

static void clear_environment(void) {
  static const char *const names[] = {"AWS_ACCESS_KEY_ID",
                                      "AWS_SECRET_ACCESS_KEY",
                                      "AWS_SESSION_TOKEN",
                                      "AWS_SECURITY_TOKEN",
                                      "AWS_CREDENTIAL_EXPIRATION",
                                      "AWS_PROFILE",
                                      "AWS_DEFAULT_PROFILE",
                                      "AWS_ROLE_ARN",
                                      "AWS_WEB_IDENTITY_TOKEN_FILE",
                                      "AWS_REGION",
                                      "AWS_DEFAULT_REGION",
                                      "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                      "AWS_CONFIG_FILE",
                                      "AWS_SHARED_CREDENTIALS_FILE",
                                      "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                      "AWS_CONTAINER_AUTHORIZATION_TOKEN"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    unsetenv(names[i]);
  setenv("OS_ENV_FILE", "", 1);
  setenv("HOME", "/nonexistent", 1);
  setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
}

static int start_agent(void **state) {
  char url[64];
  (void)state;
  clear_environment();
  atomic_store(&life, 3600);
  atomic_store(&status, 200);
  atomic_store(&serial, 0);
  atomic_store(&asked, 0);
  atomic_store(&same, false);
  server_start(&server, agent, NULL);
  snprintf(url, sizeof url, "http://127.0.0.1:%d/creds", server.port);
  setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
  return 0;
}

static int stop_agent(void **state) {
  (void)state;
  server_stop(&server);
  return 0;
}

static int only_clear(void **state) {
  (void)state;
  clear_environment();
  return 0;
}

static struct os_credentials *find(void) {
  struct os_credentials *credentials = NULL;
  struct os_settings *settings;
  assert_int_equal(os_settings_new(&settings, &error), OS_OK);
  os_error_clear(&error);
  int code = os_credentials_new(&credentials, settings, NULL, NULL, &error);
  assert_true(!code == !!credentials);
  os_settings_free(settings);
  return credentials;
}

/* The id of the keys in force, waited for; "" when there are none. */
static const char *id_of(struct os_credentials *credentials) {
  static char id[64];
  struct os_aws_keys *keys;
  id[0] = '\0';
  if (os_credentials_wait(credentials, NULL, &keys, &error) == OS_OK)
    snprintf(id, sizeof id, "%s", keys->access_key_id);
  os_aws_keys_unref(keys);
  return id;
}

static void keys_are_fetched_once(void **state) {
  (void)state;
  struct os_credentials *credentials = find();
  struct os_aws_keys *keys;
  assert_int_equal(atomic_load(&asked), 0); /* nothing is fetched by looking for the place */
  assert_int_equal(os_credentials_get(credentials, &keys, &error), OS_SIGN_WAIT);
  for (int i = 0; i < 50; i++)
    assert_string_equal(id_of(credentials), "ASIA1");
  assert_int_equal(atomic_load(&asked), 1);
  os_credentials_unref(credentials);
}

static void keys_are_renewed_before_they_end(void **state) {
  (void)state;
  atomic_store(&life, 4);
  struct os_credentials *credentials = find();
  double until = os_clock_monotonic() + 6;
  int waits = 0;
  assert_string_equal(id_of(credentials), "ASIA1");
  while (os_clock_monotonic() < until) { /* somebody who goes on asking never sees keys that have ended */
    struct os_aws_keys *keys;
    enum os_sign_state got = os_credentials_get(credentials, &keys, &error);
    assert_true(got != OS_SIGN_FAILED);
    waits += got == OS_SIGN_WAIT;
    if (keys) assert_true(keys->expires > os_clock_unix());
    os_aws_keys_unref(keys);
    os_clock_sleep_ms(20);
  }
  assert_true(atomic_load(&asked) >= 2 && atomic_load(&asked) <= 4);
  assert_true(waits <= 2); /* renewed in the background */
  os_credentials_unref(credentials);
}

static void old_keys_hold_while_no_new_ones_come(void **state) {
  (void)state;
  atomic_store(&life, 3);
  struct os_credentials *credentials = find();
  assert_string_equal(id_of(credentials), "ASIA1");
  atomic_store(&status, 403);
  double until = os_clock_monotonic() + 2.6;
  while (os_clock_monotonic() < until) {
    assert_string_equal(id_of(credentials), "ASIA1");
    os_clock_sleep_ms(20);
  }
  assert_true(atomic_load(&asked) >= 2);
  os_clock_sleep_ms(600);
  assert_string_equal(id_of(credentials), "");
  assert_non_null(strstr(error.text, "out of order"));
  atomic_store(&status, 200);
  os_clock_sleep_ms(1100);
  assert_string_equal(id_of(credentials), "ASIA2");
  os_credentials_unref(credentials);
}

static void a_failure_is_told_and_tried_again_later(void **state) {
  (void)state;
  atomic_store(&status, 401);
  struct os_credentials *credentials = find();
  for (int i = 0; i < 20; i++) {
    assert_string_equal(id_of(credentials), "");
    assert_int_equal(error.code, OS_ERR_AUTH);
  }
  assert_int_equal(atomic_load(&asked), 1); /* not more than once a second */
  atomic_store(&status, 200);
  os_clock_sleep_ms(1100);
  assert_string_equal(id_of(credentials), "ASIA1");
  os_credentials_unref(credentials);
}

static void keys_that_a_server_calls_expired(void **state) {
  (void)state;
  struct os_credentials *credentials = find();
  struct os_aws_keys *first, *second;
  assert_int_equal(os_credentials_wait(credentials, NULL, &first, &error), OS_OK);
  assert_true(os_credentials_expired(credentials, first));
  assert_int_equal(os_credentials_wait(credentials, NULL, &second, &error), OS_OK);
  assert_string_equal(second->access_key_id, "ASIA2");
  assert_true(os_credentials_expired(credentials, first)); /* others are there: nothing is fetched */
  assert_string_equal(id_of(credentials), "ASIA2");
  assert_int_equal(atomic_load(&asked), 2);
  os_aws_keys_unref(first);
  os_aws_keys_unref(second);
  os_credentials_unref(credentials);
}

static void the_same_expired_keys_again_are_a_failure(void **state) {
  (void)state;
  struct os_aws_keys *first;
  atomic_store(&same, true);
  struct os_credentials *credentials = find();
  assert_int_equal(os_credentials_wait(credentials, NULL, &first, &error), OS_OK);
  assert_true(os_credentials_expired(credentials, first));
  assert_string_equal(id_of(credentials), "");
  assert_non_null(strstr(error.text, "no others there yet"));
  os_aws_keys_unref(first);
  os_credentials_unref(credentials);
}

struct asking {
  struct os_credentials *credentials;
  double until;
  atomic_int failed, got;
};

static void *ask(void *arg) {
  struct asking *asking = arg;
  for (int n = 0; os_clock_monotonic() < asking->until; n++) {
    struct os_aws_keys *keys;
    struct os_error fault;
    enum os_sign_state state = os_credentials_get(asking->credentials, &keys, &fault);
    atomic_fetch_add(&asking->failed, state == OS_SIGN_FAILED);
    atomic_fetch_add(&asking->got, keys && keys->secret_access_key[0] == 'S');
    if (keys && n % 400 == 200) os_credentials_expired(asking->credentials, keys);
    os_aws_keys_unref(keys);
    os_clock_sleep_ms(1);
  }
  os_credentials_unref(asking->credentials);
  return NULL;
}

static void many_ask_at_once(void **state) {
  (void)state;
  enum { THREADS = 4 };
  pthread_t threads[THREADS];
  atomic_store(&life, 3);
  struct asking asking = {.credentials = find(), .until = os_clock_monotonic() + 2};
  for (int i = 0; i < THREADS; i++) {
    os_credentials_ref(asking.credentials);
    assert_int_equal(pthread_create(&threads[i], NULL, ask, &asking), 0);
  }
  os_credentials_unref(asking.credentials); /* the last of the others frees it */
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(atomic_load(&asking.failed), 0);
  assert_true(atomic_load(&asking.got) > 100);
  assert_true(atomic_load(&asked) >= 3);
}

static void keys_that_come_expired(void **state) {
  (void)state;
  atomic_store(&life, -10);
  struct os_credentials *credentials = find();
  assert_string_equal(id_of(credentials), "");
  assert_non_null(strstr(error.text, "had expired when they came"));
  assert_int_equal(atomic_load(&asked), 1);
  os_credentials_unref(credentials);
}

static void keys_in_variables(void **state) {
  (void)state;
  struct os_aws_keys *keys;
  setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
  assert_null(find());
  assert_non_null(strstr(error.text, "AWS_SECRET_ACCESS_KEY is not"));
  setenv("AWS_ACCESS_KEY_ID", "", 1);
  setenv("AWS_SECRET_ACCESS_KEY", "SECRET", 1);
  assert_null(find());
  assert_non_null(strstr(error.text, "AWS_ACCESS_KEY_ID is not"));
  assert_null(strstr(error.text, "SECRET,"));
  setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
  struct os_credentials *credentials = find();
  assert_int_equal(os_credentials_get(credentials, &keys, &error), OS_SIGN_READY);
  assert_string_equal(keys->origin, "the environment");
  assert_null(keys->session_token);
  assert_false(os_credentials_expired(credentials, keys)); /* these never change */
  os_aws_keys_unref(keys);
  os_credentials_unref(credentials);
  setenv("AWS_SESSION_TOKEN", "TOKEN", 1);
  setenv("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z", 1);
  assert_null(find());
  assert_non_null(strstr(error.text, "expired at 2020-01-01"));
  setenv("AWS_CREDENTIAL_EXPIRATION", "soon", 1);
  assert_null(find());
  assert_non_null(strstr(error.text, "is not a time"));
  unsetenv("AWS_CREDENTIAL_EXPIRATION");
  setenv("AWS_SECRET_ACCESS_KEY", "SECRET\n", 1);
  assert_null(find());
  assert_non_null(strstr(error.text, "the secret access key from the environment"));
  assert_null(strstr(error.text, "SECRET"));
}

static void nothing_anywhere(void **state) {
  (void)state;
  struct os_credentials *credentials = find(); /* public buckets need none */
  assert_string_equal(id_of(credentials), "");
  static const char *const places[] = {"environment", "web identity", "profile 'default'", "container",
                                       "switched off by AWS_EC2_METADATA_DISABLED"};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++)
    assert_non_null(strstr(error.text, places[i]));
  assert_null(os_credentials_region(credentials));
  os_credentials_unref(credentials);
}

static void addresses_for_keys(void **state) {
  (void)state;
  static const struct {
    const char *url;
    bool good;
  } cases[] = {{"http://127.0.0.1:1/x", true},        {"http://localhost/x", true},
               {"http://[::1]:80/x", true},           {"http://169.254.170.2/x", true},
               {"http://169.254.170.23:80/v1", true}, {"http://[fd00:ec2::23]/v1", true},
               {"https://anywhere.example/x", true},  {"http://anywhere.example/x", false},
               {"http://169.254.170.20/x", false},    {"http://169.254.169.254/x", false},
               {"ftp://127.0.0.1/x", false},          {"/x", false},
               {"http://127.0.0.1@evil/x", false},    {"http://169.254.170.2.evil/x", false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", cases[i].url, 1);
    struct os_credentials *credentials = find();
    if (!credentials != !cases[i].good) fail_msg("%s: %s", cases[i].url, error.text);
    os_credentials_unref(credentials);
  }
}

/* ---- want of memory ---- */

static char home[] = "/tmp/os-credentials-test-XXXXXX";

static int make_home(void **state) {
  char path[100];
  clear_environment();
  (void)state;
  if (!mkdtemp(home)) return -1;
  snprintf(path, sizeof path, "%s/.aws", home);
  if (mkdir(path, 0700)) return -1;
  snprintf(path, sizeof path, "%s/.aws/config", home);
  FILE *file = fopen(path, "w");
  if (!file) return -1;
  fputs("[profile keys]\naws_access_key_id = A\naws_secret_access_key = S\nregion = eu-west-1\n"
        "[profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = keys\nexternal_id = e\n"
        "[profile chain]\nrole_arn = arn:aws:iam::1:role/y\nsource_profile = role\n"
        "[profile web]\nrole_arn = arn:aws:iam::1:role/x\nweb_identity_token_file = /x\n"
        "[sso-session s]\nsso_start_url = u\nsso_region = eu-west-1\n"
        "[profile sso]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n"
        "[profile login]\nlogin_session = l\n[profile process]\ncredential_process = /bin/x 'a b' c\n"
        "[profile nothing]\nservices = v\n[services v]\ns3 =\n  endpoint_url = http://x\n",
        file);
  fclose(file);
  setenv("HOME", home, 1);
  unsetenv("AWS_EC2_METADATA_DISABLED");
  return 0;
}

static int remove_home(void **state) {
  char path[100];
  (void)state;
  snprintf(path, sizeof path, "%s/.aws/config", home);
  unlink(path);
  snprintf(path, sizeof path, "%s/.aws", home);
  rmdir(path);
  return rmdir(home);
}

/* Every allocation of a search fails once: an error, and nothing is left behind. */
static void search_without_memory(const struct os_credentials_choice *choice) {
  struct os_settings *settings;
  assert_int_equal(os_settings_new(&settings, &error), OS_OK);
  for (int n = 0;; n++) {
    struct os_credentials *credentials;
    os_alloc_fail_after(n, 1);
    int code = os_credentials_new(&credentials, settings, choice, NULL, &error);
    os_alloc_fail_after(-1, 0);
    os_credentials_unref(credentials);
    if (code == OS_OK) break;
    if (code != OS_ERR_NOMEM) fail_msg("%d: %s", code, error.text);
    assert_true(n < 500);
  }
  os_settings_free(settings);
}

static void searching_without_memory(void **state) {
  (void)state;
  static const char *const profiles[] = {"keys", "role",  "chain",   "web",
                                         "sso",  "login", "process", "nothing"};
  for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++) {
    struct os_credentials_choice choice = {.profile = profiles[i], .region = "eu-west-2"};
    search_without_memory(&choice);
    choice.role_arn = "arn:aws:iam::1:role/top";
    search_without_memory(&choice);
  }
  setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
  setenv("AWS_SECRET_ACCESS_KEY", "S", 1);
  search_without_memory(NULL);
  unsetenv("AWS_ACCESS_KEY_ID");
  unsetenv("AWS_SECRET_ACCESS_KEY");
  setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/x", 1);
  setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "t", 1);
  search_without_memory(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(command_lines),
      cmocka_unit_test(times),
      cmocka_unit_test(what_a_process_prints),
      cmocka_unit_test(answers_of_the_token_service),
      cmocka_unit_test_setup_teardown(keys_are_fetched_once, start_agent, stop_agent),
      cmocka_unit_test_setup_teardown(keys_are_renewed_before_they_end, start_agent, stop_agent),
      cmocka_unit_test_setup_teardown(old_keys_hold_while_no_new_ones_come, start_agent, stop_agent),
      cmocka_unit_test_setup_teardown(a_failure_is_told_and_tried_again_later, start_agent, stop_agent),
      cmocka_unit_test_setup_teardown(keys_that_a_server_calls_expired, start_agent, stop_agent),
      cmocka_unit_test_setup_teardown(the_same_expired_keys_again_are_a_failure, start_agent, stop_agent),
      cmocka_unit_test_setup_teardown(many_ask_at_once, start_agent, stop_agent),
      cmocka_unit_test_setup_teardown(keys_that_come_expired, start_agent, stop_agent),
      cmocka_unit_test_setup(keys_in_variables, only_clear),
      cmocka_unit_test_setup(nothing_anywhere, only_clear),
      cmocka_unit_test_setup(addresses_for_keys, only_clear),
      cmocka_unit_test_setup_teardown(searching_without_memory, make_home, remove_home),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
