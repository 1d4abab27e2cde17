/* aws_profiles_test.c - the grammar of AWS's profile files, two files as one, regions and addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "aws/chain/addresses.h"
#include "aws/chain/ini.h"
#include "aws/chain/profile.h"
#include "base/alloc.h"

static struct os_error error;
static char folder[] = "/tmp/os-profiles-test-XXXXXX";
static char credentials_path[64], config_path[64];

static const char *const variables[] = {"AWS_REGION",
                                        "AWS_DEFAULT_REGION",
                                        "AWS_PROFILE",
                                        "AWS_DEFAULT_PROFILE",
                                        "AWS_ENDPOINT_URL",
                                        "AWS_USE_FIPS_ENDPOINT",
                                        "AWS_USE_DUALSTACK_ENDPOINT",
                                        "AWS_ENDPOINT_URL_S3",
                                        "AWS_ENDPOINT_URL_SQS",
                                        "AWS_ENDPOINT_URL_STS",
                                        "AWS_ENDPOINT_URL_SSO",
                                        "AWS_ENDPOINT_URL_SSO_OIDC",
                                        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
                                        "AWS_CA_BUNDLE"};

static int make_folder(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  snprintf(credentials_path, sizeof credentials_path, "%s/credentials", folder);
  snprintf(config_path, sizeof config_path, "%s/config", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  return rmdir(folder);
}

static int fresh(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
    unsetenv(variables[i]);
  setenv("OS_ENV_FILE", "", 1);
  return 0;
}

static int clean(void **state) {
  (void)state;
  unlink(credentials_path);
  unlink(config_path);
  return 0;
}

static void put(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

/* ---- grammar ---- */

static struct os_ini *parse(const char *text) {
  struct os_ini *ini = NULL;
  int code = os_ini_parse(&ini, text, strlen(text), "the.file", &error);
  if (code) fail_msg("%s", error.text);
  return ini;
}

static void check_value(const char *text, const char *section, const char *key, const char *inner,
                        const char *value) {
  struct os_ini *ini = parse(text);
  const char *found = os_ini_get(ini, section, key, inner);
  if (!value)
    assert_null(found);
  else
    assert_non_null(found);
  if (value) assert_string_equal(found, value);
  os_ini_free(ini);
}

static void values(void **state) {
  (void)state;
  static const struct {
    const char *text, *section, *key, *inner, *value;
  } cases[] = {
      {"[a]\nk = v\n", "a", "k", NULL, "v"},
      {"[a]\r\nk=v\r\n", "a", "k", NULL, "v"},
      {"\xef\xbb\xbf[a]\nk = v", "a", "k", NULL, "v"},
      {"[a]\nKEY = v\n", "a", "key", NULL, "v"},
      {"[a]\nk: v\n", "a", "k", NULL, "v"},
      {"[a]\nk = https://h:1/x=y\n", "a", "k", NULL, "https://h:1/x=y"},
      {"[a]\nk = wJalr/K7MDENG+bPx==\n", "a", "k", NULL, "wJalr/K7MDENG+bPx=="},
      {"[a]\nk = v # said\n", "a", "k", NULL, "v"},
      {"[a]\nk = v#w\n", "a", "k", NULL, "v#w"},
      {"[a]\nk = # said\n", "a", "k", NULL, NULL},
      {"[a]\n# k = no\n; k = no\n  # k = no\nk = v\n", "a", "k", NULL, "v"},
      {"[a]\nk = 1\nk = 2\n", "a", "k", NULL, "2"},
      {"[a]\nk = 1\n[b]\nk = 2\n[a]\nk = 3\n", "a", "k", NULL, "3"},
      {"[a] # said\nk = v\n", "a", "k", NULL, "v"},
      {"[ profile  x ]\nk = v\n", "profile x", "k", NULL, "v"},
      {"[profile \"a b\"]\nk = v\n", "profile a b", "k", NULL, "v"},
      {"[a]\nk =\n", "a", "k", NULL, NULL},
      {"[a]\nk = v\n", "A", "k", NULL, NULL},
      {"[a]\nk = one\n  two\n\tthree\n", "a", "k", NULL, "one\ntwo\nthree"},
      {"[a]\ns3 =\n  endpoint_url = http://x\n  more = 1\n", "a", "s3", "endpoint_url", "http://x"},
      {"[a]\ns3 =\n  endpoint_url = http://x\n  more = 1\n", "a", "s3", "more", "1"},
      {"[a]\ns3 =\n  endpoint_url = http://x\nk = v\n", "a", "k", NULL, "v"},
      {"[a]\ns3 =\n  k = v\n", "a", "k", NULL, NULL},
      {"[a]\n  k = v\n  l = w\n", "a", "l", NULL, "w"},
      {"", "a", "k", NULL, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    check_value(cases[i].text, cases[i].section, cases[i].key, cases[i].inner, cases[i].value);
}

static void malformed_lines_have_a_number(void **state) {
  (void)state;
  static const struct {
    const char *text, *line;
  } cases[] = {
      {"[a]\nSECRET\n", "line 2: "},        {"SECRET = 1\n", "line 1: "}, {"[a\nk = 1\n", "line 1: "},
      {"[a] SECRET\n", "line 1: "},         {"\n\n[]\n", "line 3: "},     {"[a]\n= SECRET\n", "line 2: "},
      {"[a]\nk =\n  SECRET\n", "line 3: "}, {"[\"\"]\n", "line 1: "}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_ini *ini;
    assert_int_equal(os_ini_parse(&ini, cases[i].text, strlen(cases[i].text), "the.file", &error),
                     OS_ERR_FORMAT);
    assert_null(ini);
    assert_non_null(strstr(error.text, "the.file"));
    assert_non_null(strstr(error.text, cases[i].line));
    assert_null(strstr(error.text, "SECRET"));
  }
  struct os_ini *ini;
  assert_int_equal(os_ini_parse(&ini, "[a]\nk=\0v", 8, "the.file", &error), OS_ERR_FORMAT);
}

static void parsing_without_memory(void **state) {
  (void)state;
  static const char text[] = "[a]\nk = v\n[b]\nl = w\n";
  for (int n = 0;; n++) {
    struct os_ini *ini;
    os_alloc_fail_after(n, 1);
    int code = os_ini_parse(&ini, text, strlen(text), "f", &error);
    os_alloc_fail_after(-1, 0);
    os_ini_free(ini);
    if (code == OS_OK) break;
    assert_int_equal(code, OS_ERR_NOMEM);
    assert_true(n < 20);
  }
}

/* ---- two files ---- */

static struct os_profiles *read_both(void) {
  struct os_profiles *profiles = NULL;
  int code = os_profiles_read(&profiles, credentials_path, config_path, &error);
  if (code) fail_msg("%s", error.text);
  return profiles;
}

static void files_are_merged(void **state) {
  (void)state;
  put(credentials_path, "[default]\nregion = from-credentials\n[x]\naws_access_key_id = A\n");
  put(config_path,
      "[default]\nregion = plain\noutput = json\n[profile x]\nregion = r\naws_access_key_id = B\n"
      "[y]\nregion = ignored\n[sso-session s]\nsso_region = sr\n[services v]\ns3 =\n  endpoint_url = u\n");
  struct os_profiles *profiles = read_both();
  assert_string_equal(os_profiles_get(profiles, "default", "region"), "from-credentials");
  assert_string_equal(os_profiles_get(profiles, "default", "output"), "json");
  assert_string_equal(os_profiles_get(profiles, "x", "aws_access_key_id"), "A");
  assert_string_equal(os_profiles_in(profiles, OS_PROFILE_CONFIG, "x", "aws_access_key_id"), "B");
  assert_string_equal(os_profiles_get(profiles, "x", "region"), "r");
  assert_null(os_profiles_get(profiles, "x", "output")); /* nothing is inherited from default */
  assert_true(os_profiles_has(profiles, "x"));
  assert_false(os_profiles_has(profiles, "y")); /* in the config file it would be [profile y] */
  assert_true(os_profiles_has_session(profiles, "s"));
  assert_string_equal(os_profiles_session(profiles, "s", "sso_region"), "sr");
  assert_string_equal(os_profiles_service(profiles, "v", "s3", "endpoint_url"), "u");
  assert_null(os_profiles_service(profiles, "v", "sqs", "endpoint_url"));
  os_profiles_free(profiles);
  put(config_path, "[default]\nregion = plain\noutput = json\n[profile default]\nregion = wins\n");
  put(credentials_path, "");
  profiles = read_both();
  assert_string_equal(os_profiles_get(profiles, "default", "region"), "wins");
  assert_null(os_profiles_get(profiles, "default", "output"));
  os_profiles_free(profiles);
}

static void no_files(void **state) {
  (void)state;
  struct os_profiles *profiles = read_both();
  assert_false(os_profiles_has(profiles, "default"));
  assert_null(os_profiles_get(profiles, "default", "region"));
  os_profiles_free(profiles);
  assert_int_equal(os_profiles_read(&profiles, "/dev/null", NULL, &error), OS_OK);
  assert_false(os_profiles_has(profiles, "default"));
  os_profiles_free(profiles);
}

/* ---- addresses ---- */

static struct os_addresses find(const char *profile, struct os_settings **settings) {
  struct os_addresses addresses;
  struct os_profiles *profiles = read_both();
  assert_int_equal(os_settings_new(settings, &error), OS_OK);
  int code = os_addresses_find(&addresses, *settings, profiles, profile, NULL, &error);
  os_profiles_free(profiles);
  if (code) fail_msg("%s", error.text);
  return addresses;
}

static void check_address(const char *profile, enum os_address which, const char *wanted) {
  struct os_settings *settings;
  struct os_addresses addresses = find(profile, &settings);
  if (!wanted)
    assert_null(addresses.configured[which]);
  else
    assert_string_equal(addresses.configured[which], wanted);
  os_addresses_clear(&addresses);
  os_settings_free(settings);
}

static void the_nearest_address_holds(void **state) {
  (void)state;
  put(config_path, "[profile p]\nendpoint_url = http://profile\nservices = v\nregion = eu-west-1\n"
                   "[services v]\ns3 =\n  endpoint_url = http://section/\n"
                   "[profile off]\nendpoint_url = http://profile\nignore_configured_endpoint_urls = true\n");
  check_address("p", OS_ADDRESS_S3, "http://section");
  check_address("p", OS_ADDRESS_SQS, "http://profile");
  check_address("off", OS_ADDRESS_SQS, NULL);
  check_address("none", OS_ADDRESS_S3, NULL);
  setenv("AWS_ENDPOINT_URL", "http://all", 1);
  check_address("p", OS_ADDRESS_S3, "http://all");
  check_address("p", OS_ADDRESS_OIDC, "http://all");
  setenv("AWS_ENDPOINT_URL_S3", "http://s3", 1);
  setenv("AWS_ENDPOINT_URL_SSO_OIDC", "http://oidc", 1);
  check_address("p", OS_ADDRESS_S3, "http://s3");
  check_address("p", OS_ADDRESS_OIDC, "http://oidc");
  setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
  check_address("p", OS_ADDRESS_S3, NULL);
}

static void what_is_given_to_the_session_is_never_ignored(void **state) {
  (void)state;
  struct os_settings *settings;
  struct os_addresses addresses;
  setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
  struct os_profiles *profiles = read_both();
  assert_int_equal(os_settings_new(&settings, &error), OS_OK);
  assert_int_equal(os_settings_set(settings, OS_SET_AWS_ENDPOINT_URL_S3, "http://given", &error), OS_OK);
  assert_int_equal(os_addresses_find(&addresses, settings, profiles, "p", "us-east-2", &error), OS_OK);
  assert_string_equal(addresses.configured[OS_ADDRESS_S3], "http://given");
  assert_string_equal(addresses.region, "us-east-2");
  os_addresses_clear(&addresses);
  os_settings_free(settings);
  os_profiles_free(profiles);
}

static void regions(void **state) {
  (void)state;
  struct os_settings *settings;
  put(config_path, "[profile p]\nregion = eu-west-1\nca_bundle = /a.pem\n[profile bad]\nregion = eu/../x\n");
  struct os_addresses addresses = find("p", &settings);
  assert_string_equal(addresses.region, "eu-west-1");
  assert_string_equal(addresses.ca_bundle, "/a.pem");
  os_addresses_clear(&addresses);
  os_settings_free(settings);
  setenv("AWS_DEFAULT_REGION", "eu-west-2", 1);
  addresses = find("p", &settings);
  assert_string_equal(addresses.region, "eu-west-2");
  os_addresses_clear(&addresses);
  os_settings_free(settings);
  setenv("AWS_REGION", "eu-west-3", 1);
  addresses = find("p", &settings);
  assert_string_equal(addresses.region, "eu-west-3");
  os_addresses_clear(&addresses);
  unsetenv("AWS_REGION");
  unsetenv("AWS_DEFAULT_REGION");
  os_settings_free(settings);
  struct os_profiles *profiles = read_both();
  assert_int_equal(os_settings_new(&settings, &error), OS_OK);
  assert_int_equal(os_addresses_find(&addresses, settings, profiles, "bad", NULL, &error), OS_ERR_ARGUMENT);
  assert_non_null(strstr(error.text, "not the name of a region"));
  os_settings_free(settings);
  os_profiles_free(profiles);
}

/* What botocore 1.44's rule sets give for the same. */
static void addresses_of_every_partition(void **state) {
  (void)state;
  static const struct {
    const char *label, *region;
    bool fips, dual;
    const char *host; /* NULL: there is none */
  } cases[] = {{"s3", "eu-west-1", false, false, "s3.eu-west-1.amazonaws.com"},
               {"s3", "us-east-1", true, false, "s3-fips.us-east-1.amazonaws.com"},
               {"s3", "us-east-1", false, true, "s3.dualstack.us-east-1.amazonaws.com"},
               {"s3", "us-east-1", true, true, "s3-fips.dualstack.us-east-1.amazonaws.com"},
               {"s3", "us-gov-west-1", true, false, "s3-fips.us-gov-west-1.amazonaws.com"},
               {"s3", "cn-north-1", false, true, "s3.dualstack.cn-north-1.amazonaws.com.cn"},
               {"s3", "cn-north-1", true, false, NULL},
               {"s3", "us-iso-east-1", false, false, "s3.us-iso-east-1.c2s.ic.gov"},
               {"s3", "us-isob-east-1", false, false, "s3.us-isob-east-1.sc2s.sgov.gov"},
               {"s3", "eu-isoe-west-1", true, true, "s3-fips.dualstack.eu-isoe-west-1.cloud.adc-e.uk"},
               {"s3", "us-isof-south-1", false, false, "s3.us-isof-south-1.csp.hci.ic.gov"},
               {"s3", "eusc-de-east-1", false, false, "s3.eusc-de-east-1.amazonaws.eu"},
               {"sqs", "eu-west-1", false, true, "sqs.eu-west-1.api.aws"},
               {"sqs", "eu-west-1", true, true, "sqs-fips.eu-west-1.api.aws"},
               {"sqs", "us-gov-west-1", true, false, "sqs.us-gov-west-1.amazonaws.com"},
               {"sqs", "us-gov-west-1", true, true, "sqs-fips.us-gov-west-1.api.aws"},
               {"sqs", "cn-north-1", false, true, "sqs.cn-north-1.api.amazonwebservices.com.cn"},
               {"sqs", "us-iso-east-1", false, true, "sqs.us-iso-east-1.api.aws.ic.gov"},
               {"sqs", "us-isob-east-1", false, true, "sqs.us-isob-east-1.api.aws.scloud"},
               {"sqs", "eu-isoe-west-1", false, true, "sqs.eu-isoe-west-1.api.cloud-aws.adc-e.uk"},
               {"sts", "us-isof-south-1", true, true, "sts-fips.us-isof-south-1.api.aws.hci.ic.gov"},
               {"sts", "eusc-de-east-1", false, true, "sts.eusc-de-east-1.api.amazonwebservices.eu"},
               {"sts", "us-gov-east-1", true, false, "sts.us-gov-east-1.amazonaws.com"},
               {"portal.sso", "eu-west-1", true, false, "portal.sso-fips.eu-west-1.amazonaws.com"},
               {"oidc", "us-gov-west-1", false, true, "oidc.us-gov-west-1.api.aws"},
               {"oidc", "xx-new-1", false, false, "oidc.xx-new-1.amazonaws.com"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_aws_variant variant = {cases[i].fips, cases[i].dual};
    char *url = NULL;
    int rc = os_aws_url(cases[i].label, cases[i].region, &variant, &url, &error);
    assert_int_equal(rc, cases[i].host ? OS_OK : OS_ERR_ARGUMENT);
    if (cases[i].host) assert_string_equal(url + strlen("https://"), cases[i].host);
    os_free(url);
  }
}

static void find_variant(const char *profile, int code, bool fips, bool dual) {
  struct os_settings *settings;
  struct os_addresses addresses;
  struct os_profiles *profiles = read_both();
  assert_int_equal(os_settings_new(&settings, &error), OS_OK);
  assert_int_equal(os_addresses_find(&addresses, settings, profiles, profile, NULL, &error), code);
  if (!code) {
    assert_int_equal(addresses.variant.fips, fips);
    assert_int_equal(addresses.variant.dual_stack, dual);
    os_addresses_clear(&addresses);
  }
  os_settings_free(settings);
  os_profiles_free(profiles);
}

static void which_of_its_addresses(void **state) {
  (void)state;
  put(config_path, "[profile both]\nuse_fips_endpoint = true\nuse_dualstack_endpoint = TRUE\n"
                   "[profile odd]\nuse_fips_endpoint = perhaps\n");
  find_variant(NULL, OS_OK, false, false);
  find_variant("both", OS_OK, true, true);
  find_variant("odd", OS_ERR_ARGUMENT, false, false);
  assert_non_null(strstr(error.text, "use_fips_endpoint: 'perhaps'"));
  setenv("AWS_USE_FIPS_ENDPOINT", "false", 1);
  setenv("AWS_USE_DUALSTACK_ENDPOINT", "true", 1);
  find_variant("both", OS_OK, false, true); /* a variable before the profile */
  find_variant("odd", OS_OK, false, true);
  find_variant(NULL, OS_OK, false, true);
  unsetenv("AWS_USE_FIPS_ENDPOINT");
  unsetenv("AWS_USE_DUALSTACK_ENDPOINT");
}

static void check_sts(const char *region, const char *configured, bool legacy, bool fips, const char *url,
                      const char *signed_for) {
  struct os_addresses addresses = {.region = (char *)(uintptr_t)region, .variant.fips = fips};
  char *found, *found_region;
  addresses.configured[OS_ADDRESS_STS] = (char *)(uintptr_t)configured;
  assert_int_equal(os_addresses_sts(&addresses, legacy, &found, &found_region, &error), OS_OK);
  assert_string_equal(found, url);
  assert_string_equal(found_region, signed_for);
  os_free(found);
  os_free(found_region);
}

static void the_token_service(void **state) {
  (void)state;
  check_sts("eu-west-1", NULL, false, false, "https://sts.eu-west-1.amazonaws.com", "eu-west-1");
  check_sts("cn-north-1", NULL, false, false, "https://sts.cn-north-1.amazonaws.com.cn", "cn-north-1");
  check_sts("eu-west-1", NULL, true, false, "https://sts.amazonaws.com", "us-east-1");
  check_sts("cn-north-1", NULL, true, false, "https://sts.cn-north-1.amazonaws.com.cn", "cn-north-1");
  check_sts(NULL, NULL, false, false, "https://sts.amazonaws.com", "us-east-1");
  check_sts(NULL, NULL, false, true, "https://sts-fips.us-east-1.amazonaws.com", "us-east-1");
  check_sts("us-west-2", NULL, true, true, "https://sts-fips.us-west-2.amazonaws.com", "us-west-2");
  check_sts("eu-west-1", "http://x", true, false, "http://x", "eu-west-1");
  check_sts(NULL, "http://x", false, false, "http://x", "us-east-1");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values),
      cmocka_unit_test(malformed_lines_have_a_number),
      cmocka_unit_test(parsing_without_memory),
      cmocka_unit_test_setup_teardown(files_are_merged, fresh, clean),
      cmocka_unit_test_setup_teardown(no_files, fresh, clean),
      cmocka_unit_test_setup_teardown(the_nearest_address_holds, fresh, clean),
      cmocka_unit_test_setup_teardown(what_is_given_to_the_session_is_never_ignored, fresh, clean),
      cmocka_unit_test_setup_teardown(regions, fresh, clean),
      cmocka_unit_test_setup_teardown(which_of_its_addresses, fresh, clean),
      cmocka_unit_test(addresses_of_every_partition),
      cmocka_unit_test(the_token_service),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
