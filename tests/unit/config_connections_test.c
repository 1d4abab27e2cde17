/* config_connections_test.c - secrets, the choice of a login, endpoints of main and of named clusters. */
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
#include "base/alloc.h"
#include "base/json.h"
#include "config/connections.h"
#include "config/secret.h"

static char folder[] = "/tmp/os-connections-test-XXXXXX";
static char secret_path[80], netrc_path[80], log_path[80];

struct fixture {
  struct os_settings *settings;
  struct os_connections *connections;
  struct os_log *log;
  struct os_error error;
};

static void clear_environment(void) {
  for (int id = 0; id < OS_SET_COUNT; id++) {
    const struct os_setting_info *info = os_setting_info(id);
    unsetenv(info->name);
    for (int a = 0; a < 2 && info->aliases[a]; a++)
      unsetenv(info->aliases[a]);
  }
  setenv("OS_ENV_FILE", "", 1);
  setenv("HOME", folder, 1);
}

static int make_folder(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  snprintf(secret_path, sizeof secret_path, "%s/secret", folder);
  snprintf(netrc_path, sizeof netrc_path, "%s/.netrc", folder);
  snprintf(log_path, sizeof log_path, "%s/log", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  unlink(secret_path);
  unlink(netrc_path);
  unlink(log_path);
  return rmdir(folder);
}

static int set_up(void **state) {
  static struct fixture f;
  clear_environment();
  unlink(secret_path);
  unlink(netrc_path);
  unlink(log_path);
  if (os_settings_new(&f.settings, &f.error) || os_connections_new(&f.connections, f.settings, &f.error))
    return -1;
  f.log = os_log_new();
  if (!f.log || os_log_configure(f.log, "DEBUG", "%(levelname)s %(message)s", log_path, &f.error)) return -1;
  os_connections_set_log(f.connections, f.log);
  *state = &f;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *f = *state;
  os_connections_free(f->connections);
  os_settings_free(f->settings);
  os_log_unref(f->log);
  return 0;
}

static void write_file(const char *path, const char *text, mode_t mode) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
  assert_int_equal(chmod(path, mode), 0);
}

static int count_in_log(const char *what) {
  static char content[16384];
  int count = 0;
  FILE *file = fopen(log_path, "r");
  size_t len = file ? fread(content, 1, sizeof content - 1, file) : 0;
  if (file) fclose(file);
  content[len] = '\0';
  for (char *p = strstr(content, what); p; p = strstr(p + 1, what))
    count++;
  return count;
}

static void set(struct fixture *f, enum os_setting_id id, const char *value) {
  assert_int_equal(os_settings_set(f->settings, id, value, &f->error), OS_OK);
}

static int connect_to(struct fixture *f, const char *name, const char *options) {
  json_t *json = os_json_parse(options, strlen(options), 0, "options", &f->error);
  assert_non_null(json);
  int code = os_connections_set(f->connections, name, json, &f->error);
  json_decref(json);
  return code;
}

static void expect_fault(struct fixture *f, const char *name, const char *text) {
  struct os_endpoint *endpoint;
  assert_int_not_equal(os_connections_endpoint(f->connections, name, &endpoint, &f->error), OS_OK);
  assert_null(endpoint);
  if (!strstr(f->error.text, text)) fail_msg("'%s' is not in '%s'", text, f->error.text);
}

static struct os_endpoint *get(struct fixture *f, const char *name) {
  struct os_endpoint *endpoint;
  if (os_connections_endpoint(f->connections, name, &endpoint, &f->error)) fail_msg("%s", f->error.text);
  return endpoint;
}

static void main_from_settings(void **state) {
  struct fixture *f = *state;
  expect_fault(f, NULL, "OPENSEARCH_ENDPOINT is not set");
  expect_fault(f, "nope", "there is no connection 'nope'");
  set(f, OS_SET_ENDPOINT, "HTTPS://Host:9200/pre//");
  struct os_endpoint *first = get(f, NULL), *second = get(f, "main");
  assert_ptr_equal(first, second);
  assert_string_equal(first->name, "main");
  assert_string_equal(first->url, "https://Host:9200/pre");
  assert_int_equal(first->auth, OS_AUTH_NONE);
  assert_true(first->verify_ssl && first->verify_hostname);
  assert_null(first->ca_bundle);
  assert_int_equal(first->compress, OS_COMPRESS_AUTO);
  assert_true(first->timeout == 60);
  assert_int_equal(first->max_retries, 8);
  assert_true(first->serverless_delay == 90);
  os_endpoint_unref(second);
  atomic_store(&first->learned_max_body, 4711);
  set(f, OS_SET_MAX_RETRIES, "3");
  set(f, OS_SET_HTTP_COMPRESS, "true");
  set(f, OS_SET_SERVERLESS_DELAY, "12.5");
  second = get(f, NULL);
  assert_ptr_not_equal(first, second); /* requests under way keep the old one */
  assert_int_equal(first->max_retries, 8);
  assert_int_equal(second->max_retries, 3);
  assert_true(first->serverless_delay == 90 && second->serverless_delay == 12.5);
  assert_int_equal(second->compress, OS_COMPRESS_ALWAYS);
  assert_int_equal(atomic_load(&second->learned_max_body), 4711);
  os_endpoint_unref(first);
  os_endpoint_unref(second);
  set(f, OS_SET_ENDPOINT, "https://other");
  second = get(f, NULL);
  assert_int_equal(atomic_load(&second->learned_max_body), 0);
  os_endpoint_unref(second);
}

static void malformed_settings_stop_here(void **state) {
  struct fixture *f = *state;
  set(f, OS_SET_ENDPOINT, "http://localhost");
  setenv("MAX_WORKERS", "lots", 1);
  assert_int_equal(os_settings_reload(f->settings, &f->error), OS_ERR_ARGUMENT);
  expect_fault(f, NULL, "environment: MAX_WORKERS: 'lots'");
}

static void logins(void **state) {
  struct fixture *f = *state;
  set(f, OS_SET_ENDPOINT, "http://localhost:9200");
  set(f, OS_SET_PASSWORD, "hunter2");
  expect_fault(f, NULL, "OPENSEARCH_USERNAME is not set, although there is a password");
  set(f, OS_SET_USERNAME, "admin");
  struct os_endpoint *endpoint = get(f, NULL);
  assert_int_equal(endpoint->auth, OS_AUTH_BASIC);
  assert_string_equal(endpoint->username, "admin");
  assert_string_equal(endpoint->password, "hunter2");
  char text[] = "401: hunter2 is wrong, hunter2!";
  os_endpoint_redact(endpoint, text);
  assert_null(strstr(text, "hunter2"));
  os_endpoint_unref(endpoint);
  set(f, OS_SET_PASSWORD, NULL);
  expect_fault(f, NULL, "OPENSEARCH_PASSWORD is not set, although there is a user name");
  set(f, OS_SET_AUTH, "none");
  endpoint = get(f, NULL);
  assert_int_equal(endpoint->auth, OS_AUTH_NONE);
  assert_null(endpoint->username);
  os_endpoint_unref(endpoint);
  set(f, OS_SET_AUTH, "basic");
  set(f, OS_SET_USERNAME, NULL);
  expect_fault(f, NULL, "basic authentication needs it");
  write_file(netrc_path, "machine localhost login a password b\n", 0600);
  endpoint = get(f, NULL);
  assert_int_equal(endpoint->auth, OS_AUTH_NETRC);
  os_endpoint_unref(endpoint);
  set(f, OS_SET_AUTH, NULL);
  endpoint = get(f, NULL);
  assert_int_equal(endpoint->auth, OS_AUTH_NETRC);
  os_endpoint_unref(endpoint);
}

/* ---- IAM ---- */

static int signers_made, signers_freed;
static struct os_iam_login last_login;

static void free_fake(struct os_signer *signer) {
  signers_freed++;
  os_free(signer);
}

static int make_fake(void *ctx, const struct os_iam_login *login, struct os_signer **out,
                     struct os_error *error) {
  static const struct os_signer_class class = {.free = free_fake};
  if (ctx) return os_fail(error, OS_ERR_AUTH, "no keys");
  *out = os_calloc(1, sizeof **out);
  if (!*out) return os_fail_nomem(error);
  atomic_init(&(*out)->references, 1);
  (*out)->does = &class;
  signers_made++;
  last_login = *login;
  return OS_OK;
}

static void expect_login(struct fixture *f, const char *url, enum os_auth auth, bool serverless) {
  set(f, OS_SET_ENDPOINT, url);
  struct os_endpoint *endpoint = get(f, NULL);
  assert_int_equal(endpoint->auth, auth);
  assert_int_equal(endpoint->serverless, serverless);
  assert_int_equal(endpoint->signer != NULL, auth == OS_AUTH_IAM);
  os_endpoint_unref(endpoint);
}

static void who_logs_in_with_iam(void **state) {
  struct fixture *f = *state;
  os_connections_set_signer_maker(f->connections, make_fake, NULL);
  expect_login(f, "https://search-x.eu-west-1.es.amazonaws.com", OS_AUTH_IAM, false);
  expect_login(f, "https://Search-x.EU-west-1.ES.amazonaws.com:443/", OS_AUTH_IAM, false);
  expect_login(f, "https://search-x.cn-north-1.es.amazonaws.com.cn", OS_AUTH_IAM, false);
  expect_login(f, "https://abc.us-east-1.aoss.amazonaws.com", OS_AUTH_IAM, true);
  expect_login(f, "https://es.amazonaws.com.evil.example", OS_AUTH_NONE, false);
  expect_login(f, "https://notes.amazonaws.com", OS_AUTH_NONE, false);
  expect_login(f, "http://localhost:9200", OS_AUTH_NONE, false);
  set(f, OS_SET_SERVERLESS, "true");
  expect_login(f, "http://localhost:9200", OS_AUTH_IAM, true);
  set(f, OS_SET_SERVERLESS, NULL);
  set(f, OS_SET_AUTH, "iam");
  expect_login(f, "http://localhost:9200", OS_AUTH_IAM, false);
  set(f, OS_SET_AUTH, NULL);
  set(f, OS_SET_USERNAME, "a");
  set(f, OS_SET_PASSWORD, "b");
  expect_login(f, "https://search-x.eu-west-1.es.amazonaws.com", OS_AUTH_BASIC, false);
  os_connections_set_signer_maker(f->connections, make_fake, f);
  set(f, OS_SET_AUTH, "iam");
  expect_fault(f, NULL, "logging in to https://search-x.eu-west-1.es.amazonaws.com with IAM: no keys");
}

static void a_signer_is_kept(void **state) {
  struct fixture *f = *state;
  signers_made = signers_freed = 0;
  os_connections_set_signer_maker(f->connections, make_fake, NULL);
  set(f, OS_SET_ENDPOINT, "http://localhost:9200");
  set(f, OS_SET_AUTH, "iam");
  set(f, OS_SET_AWS_REGION, "eu-west-1");
  struct os_endpoint *first = get(f, NULL), *second = get(f, NULL);
  assert_ptr_equal(first, second);
  assert_int_equal(signers_made, 1);
  assert_string_equal(last_login.region, "eu-west-1");
  os_endpoint_unref(second);
  set(f, OS_SET_AWS_PROFILE, "other");
  second = get(f, NULL);
  assert_int_equal(signers_made, 2);
  assert_string_equal(last_login.profile, "other");
  assert_int_equal(signers_freed, 0); /* a request under way may still sign with the first */
  os_endpoint_unref(first);
  assert_int_equal(signers_freed, 1);
  os_endpoint_unref(second);
}

static void secrets(void **state) {
  struct fixture *f = *state;
  char given[160], *secret;
  set(f, OS_SET_ENDPOINT, "http://localhost:9200");
  set(f, OS_SET_USERNAME, "admin");
  set(f, OS_SET_PASSWORD, "env:OS_TEST_SECRET");
  unsetenv("OS_TEST_SECRET");
  expect_fault(f, NULL, "OPENSEARCH_PASSWORD: environment variable 'OS_TEST_SECRET' is not set");
  setenv("OS_TEST_SECRET", "from env", 1);
  struct os_endpoint *endpoint = get(f, NULL);
  assert_string_equal(endpoint->password, "from env");
  os_endpoint_unref(endpoint);
  set(f, OS_SET_PASSWORD, "env:hunter2!");
  expect_fault(f, NULL, "is not the name of an environment variable");
  assert_null(strstr(f->error.text, "hunter2"));
  snprintf(given, sizeof given, "file:%s", secret_path);
  set(f, OS_SET_PASSWORD, given);
  expect_fault(f, NULL, "there is no file");
  write_file(secret_path, "\n", 0600);
  expect_fault(f, NULL, "is empty");
  write_file(secret_path, "one\r\n", 0600);
  endpoint = get(f, NULL);
  assert_string_equal(endpoint->password, "one");
  os_endpoint_unref(endpoint);
  write_file(secret_path, "two\n\n", 0600); /* rotated: read again; one line end is cut, no more */
  endpoint = get(f, NULL);
  assert_string_equal(endpoint->password, "two\n");
  os_endpoint_unref(endpoint);
  assert_int_equal(os_secret_resolve("file:~/secret", "p", f->settings, NULL, &secret, &f->error), OS_OK);
  assert_string_equal(secret, "two\n");
  os_secret_free(secret);
  assert_int_equal(os_secret_resolve("file:/dev/zero", "p", f->settings, NULL, &secret, &f->error),
                   OS_ERR_IO);
  assert_int_equal(os_secret_resolve("file:/tmp", "p", f->settings, NULL, &secret, &f->error), OS_ERR_IO);
  assert_null(secret);
  os_secret_free(NULL);
}

static void redaction(void **state) {
  (void)state;
  char text[] = "abc abcabc";
  os_redact(text, "abc");
  assert_string_equal(text, "*** ******");
  char longer[] = "x a-very-long-password y a-very-long-password";
  os_redact(longer, "a-very-long-password");
  assert_string_equal(longer, "x ******** y ********");
  char same[] = "ab";
  os_redact(same, "a");
  os_redact(same, "");
  os_redact(same, NULL);
  assert_string_equal(same, "ab");
}

static void risks_are_told_once(void **state) {
  struct fixture *f = *state;
  write_file(secret_path, "pw\n", 0644);
  char given[160];
  snprintf(given, sizeof given, "file:%s", secret_path);
  set(f, OS_SET_ENDPOINT, "https://host");
  set(f, OS_SET_USERNAME, "u");
  set(f, OS_SET_PASSWORD, given);
  set(f, OS_SET_VERIFY_SSL, "false");
  for (int i = 0; i < 3; i++)
    os_endpoint_unref(get(f, NULL));
  assert_int_equal(count_in_log("WARNING VERIFY_SSL is false"), 1);
  assert_int_equal(count_in_log("can be read by other users"), 1);
  assert_int_equal(
      connect_to(f, "plain", "{\"endpoint\":\"http://host\",\"username\":\"u\",\"password\":\"pw-secret\"}"),
      OS_OK);
  for (int i = 0; i < 3; i++)
    os_endpoint_unref(get(f, "plain"));
  assert_int_equal(count_in_log("travels unencrypted"), 1);
  assert_int_equal(count_in_log("pw-secret"), 0);
}

static void named_clusters(void **state) {
  struct fixture *f = *state;
  char options[400];
  set(f, OS_SET_ENDPOINT, "http://localhost:9200");
  set(f, OS_SET_USERNAME, "mainuser");
  set(f, OS_SET_PASSWORD, "mainpassword");
  set(f, OS_SET_REQUEST_TIMEOUT, "7.5");
  assert_int_equal(connect_to(f, "old",
                              "{\"endpoint\":\"http://127.0.0.1:9201/\",\"max_retries\":2,\"ca_bundle\":null,"
                              "\"verify_hostname\":false,\"http_compress\":false}"),
                   OS_OK);
  struct os_endpoint *endpoint = get(f, "old");
  assert_int_equal(endpoint->auth, OS_AUTH_NONE); /* main's password is not sent elsewhere */
  assert_null(endpoint->password);
  assert_string_equal(endpoint->url, "http://127.0.0.1:9201");
  assert_true(endpoint->timeout == 7.5);
  assert_int_equal(endpoint->max_retries, 2);
  assert_false(endpoint->verify_hostname);
  assert_int_equal(endpoint->compress, OS_COMPRESS_NEVER);
  assert_int_equal(os_connections_count(f->connections), 2);
  snprintf(options, sizeof options, "{\"endpoint\":\"https://x\",\"username\":\"u\",\"ca_bundle\":\"%s\"}",
           "/nonexistent.pem");
  assert_int_equal(connect_to(f, "old", options), OS_OK);
  assert_int_equal(os_connections_count(f->connections), 2);   /* replaced */
  assert_string_equal(endpoint->url, "http://127.0.0.1:9201"); /* and the old one is still ours */
  os_endpoint_unref(endpoint);
  expect_fault(f, "old", "connection 'old': password is not set");
  assert_int_equal(connect_to(f, "old", "{\"endpoint\":\"https://x\",\"ca_bundle\":\"/nonexistent.pem\"}"),
                   OS_OK);
  expect_fault(f, "old", "connection 'old': ca_bundle: cannot read '/nonexistent.pem': No such file");
}

static void refused_options(void **state) {
  struct fixture *f = *state;
  static const struct {
    const char *name, *options, *text;
  } cases[] = {
      {"a", "{}", "connection 'a': option 'endpoint' is missing"},
      {"a", "[]", "must be a JSON object"},
      {"a", "{\"endpoint\":1}", "option 'endpoint' must be text"},
      {"a", "{\"endpoint\":\"http://h\",\"verify_ssl\":\"yes\"}",
       "option 'verify_ssl' must be true or false"},
      {"a", "{\"endpoint\":\"http://h\",\"max_retries\":\"2\"}", "option 'max_retries' must be a number"},
      {"a", "{\"endpoint\":\"http://h\",\"max_retries\":2.5}", "max_retries: '2.5' is not a whole number"},
      {"a", "{\"endpoint\":\"http://h\",\"request_timeout\":-1}", "request_timeout: '-1' is not a number"},
      {"a", "{\"endpoint\":\"http://h\",\"user\":\"x\"}", "unknown option 'user'"},
      {"a", "{\"endpoint\":\"http://me:hunter2@h\"}", "a URL with a user name or password"},
      {"a b", "{\"endpoint\":\"http://h\"}", "'a b' is not a name"},
      {"", "{\"endpoint\":\"http://h\"}", "'' is not a name"},
      {"main", "{\"endpoint\":\"http://h\"}", "the one that the settings describe"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_int_equal(connect_to(f, cases[i].name, cases[i].options), OS_ERR_ARGUMENT);
    if (!strstr(f->error.text, cases[i].text)) fail_msg("'%s' is not in '%s'", cases[i].text, f->error.text);
    assert_null(strstr(f->error.text, "hunter2"));
  }
  assert_int_equal(connect_to(f, "a", "{\"endpont\":\"http://h\"}"), OS_ERR_ARGUMENT);
  assert_non_null(strstr(f->error.advice, "did you mean 'endpoint'?"));
  assert_non_null(strstr(f->error.advice, "max_retries"));
  assert_int_equal(os_connections_count(f->connections), 1);
}

static void descriptions(void **state) {
  struct fixture *f = *state;
  json_t *about = os_connections_describe(f->connections, 0);
  char *text = os_json_text(about);
  assert_string_equal(
      text, "{\"name\":\"main\",\"endpoint\":null,\"auth\":\"none\",\"username\":null,\"password\":null,"
            "\"verify_ssl\":true,\"verify_hostname\":true,\"ca_bundle\":null,\"http_compress\":\"auto\","
            "\"request_timeout\":60.0,\"max_retries\":8}");
  os_free(text);
  json_decref(about);
  connect_to(f, "two", "{\"endpoint\":\"https://h\",\"username\":\"u\",\"password\":\"hunter2\"}");
  about = os_connections_describe(f->connections, 1);
  assert_string_equal(os_json_string(about, "auth", ""), "basic");
  assert_string_equal(os_json_string(about, "password", ""), "********");
  json_decref(about);
}

static void loopback(void **state) {
  (void)state;
  static const struct {
    const char *url;
    bool is;
  } cases[] = {
      {"http://localhost:9200", true}, {"http://LOCALHOST/x", true},     {"http://a.localhost", true},
      {"http://127.0.0.1:9200", true}, {"http://127.9.9.9", true},       {"http://[::1]:9200", true},
      {"http://[::2]", false},         {"http://127.0.0.1.evil", false}, {"http://localhost.evil", false},
      {"http://10.0.0.1", false},      {"https://notlocalhost", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct os_endpoint endpoint = {.url = (char *)cases[i].url};
    assert_int_equal(os_endpoint_is_loopback(&endpoint), cases[i].is);
  }
  os_endpoint_unref(os_endpoint_ref(NULL));
}

#ifdef OS_TEST_ALLOC
static void each_failing_allocation(void **state) {
  struct fixture *f = *state;
  json_t *options = json_pack("{s:s,s:s,s:s,s:s}", "endpoint", "https://h", "username", "u", "password", "p",
                              "ca_bundle", "/dev/null");
  write_file(secret_path, "pw\n", 0600);
  set(f, OS_SET_ENDPOINT, "http://localhost");
  set(f, OS_SET_USERNAME, "u");
  set(f, OS_SET_PASSWORD, "file:~/secret");
  for (long n = 0; n < 60; n++) {
    struct os_connections *connections = NULL;
    struct os_endpoint *one = NULL, *two = NULL;
    os_alloc_fail_after(n, 1);
    int code = os_connections_new(&connections, f->settings, &f->error);
    if (!code) code = os_connections_set(connections, "two", options, &f->error);
    if (!code) code = os_connections_endpoint(connections, NULL, &one, &f->error);
    if (!code) code = os_connections_endpoint(connections, "two", &two, &f->error);
    bool injected = os_alloc_count() > n;
    os_alloc_fail_after(-1, 0);
    os_endpoint_unref(one);
    os_endpoint_unref(two);
    os_connections_free(connections);
    assert_int_equal(code, injected ? OS_ERR_NOMEM : OS_OK);
    if (!injected) {
      json_decref(options);
      return;
    }
  }
  fail_msg("connections took more than 60 allocations");
}
#endif

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(main_from_settings),
      TEST(malformed_settings_stop_here),
      TEST(logins),
      TEST(who_logs_in_with_iam),
      TEST(a_signer_is_kept),
      TEST(secrets),
      TEST(redaction),
      TEST(risks_are_told_once),
      TEST(named_clusters),
      TEST(refused_options),
      TEST(descriptions),
      TEST(loopback),
#ifdef OS_TEST_ALLOC
      TEST(each_failing_allocation),
#endif
  };
  return cmocka_run_group_tests_name("config/connections", tests, make_folder, remove_folder);
}
