/* addresses.c - region and addresses, each from the first place that names it.
**
** Calls base, config, profile and partition.
*/
#include "aws/chain/addresses.h"
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/text.h"
#include "config/setting_check.h"

static const struct {
  const char *variable;   /* of its own */
  const char *in_profile; /* in a section [services …] */
  const char *label;      /* what AWS's own hosts begin with */
  int setting;            /* which stands for the variable; -1: none */
} known[OS_ADDRESS_COUNT] = {
    [OS_ADDRESS_S3] = {"AWS_ENDPOINT_URL_S3", "s3", "s3", OS_SET_AWS_ENDPOINT_URL_S3},
    [OS_ADDRESS_SQS] = {"AWS_ENDPOINT_URL_SQS", "sqs", "sqs", OS_SET_AWS_ENDPOINT_URL_SQS},
    [OS_ADDRESS_STS] = {"AWS_ENDPOINT_URL_STS", "sts", "sts", OS_SET_AWS_ENDPOINT_URL_STS},
    [OS_ADDRESS_SSO] = {"AWS_ENDPOINT_URL_SSO", "sso", "portal.sso", -1},
    [OS_ADDRESS_OIDC] = {"AWS_ENDPOINT_URL_SSO_OIDC", "sso_oidc", "oidc", -1},
};

static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

static bool is_true(const char *text) {
  bool value = false;
  return text && os_parse_bool(text, &value) && value;
}

bool os_aws_is_region(const char *text) {
  size_t len = 0;
  for (; text[len]; len++)
    if (!os_is_alpha(text[len]) && !os_is_digit(text[len]) && text[len] != '-') return false;
  return len > 0 && len < 64 && *text != '-' && text[len - 1] != '-';
}

enum os_address os_address_of(const char *service) {
  int i = 0;
  while (i < OS_ADDRESS_COUNT && strcmp(known[i].in_profile, service) != 0)
    i++;
  return (enum os_address)i;
}

/* A value, and what to call it in a message. */
struct found {
  const char *value;
  const char *from;
  bool is_option; /* given to this session: nothing switches it off */
};

static bool take_setting(struct found *found, const struct os_settings *settings, int id) {
  found->value = id < 0 ? NULL : os_settings_get(settings, (enum os_setting_id)id);
  if (!found->value) return false;
  found->from = os_setting_info((enum os_setting_id)id)->name;
  found->is_option = strcmp(os_settings_source(settings, (enum os_setting_id)id), "session") == 0;
  return true;
}

static bool take(struct found *found, const char *value, const char *from) {
  found->value = value;
  found->from = from;
  return value != NULL;
}

/* The first that names an address, the nearer before the farther. */
static struct found find_address(enum os_address which, const struct os_settings *settings,
                                 const struct os_profiles *profiles, const char *profile) {
  struct found found = {.value = NULL};
  const char *services = profile ? os_profiles_get(profiles, profile, "services") : NULL;
  if (take_setting(&found, settings, known[which].setting)) return found;
  if (known[which].setting < 0 && take(&found, variable(known[which].variable), known[which].variable))
    return found;
  if (take_setting(&found, settings, OS_SET_AWS_ENDPOINT_URL)) return found;
  if (services &&
      take(&found, os_profiles_service(profiles, services, known[which].in_profile, "endpoint_url"),
           "endpoint_url of the profile's services"))
    return found;
  if (profile)
    take(&found, os_profiles_get(profiles, profile, "endpoint_url"), "endpoint_url of the profile");
  return found;
}

static int copy_address(char **out, const struct found *found, struct os_error *error) {
  if (!found->value) return OS_OK;
  int code = os_url_check(found->from, found->value, error);
  if (code) return code;
  size_t len = strlen(found->value);
  while (len && found->value[len - 1] == '/')
    len--;
  *out = os_strndup(found->value, len);
  return *out ? OS_OK : os_fail_nomem(error);
}

static int find_region(struct os_addresses *out, const struct os_settings *settings,
                       const struct os_profiles *profiles, const char *profile, const char *region,
                       struct os_error *error) {
  const char *from = "AWS_REGION";
  if (!region) region = os_settings_get(settings, OS_SET_AWS_REGION);
  if (!region && profile) {
    region = os_profiles_get(profiles, profile, "region");
    from = "region of the profile";
  }
  if (!region) return OS_OK;
  if (!os_aws_is_region(region)) {
    os_fail(error, OS_ERR_ARGUMENT, "%s: '%.60s' is not the name of a region", from, region);
    return os_advise(error, "write it as eu-west-1");
  }
  out->region = os_strdup(region);
  return out->region ? OS_OK : os_fail_nomem(error);
}

static int find_ca_bundle(struct os_addresses *out, const struct os_settings *settings,
                          const struct os_profiles *profiles, const char *profile, struct os_error *error) {
  const char *bundle = variable("AWS_CA_BUNDLE");
  if (!bundle && profile) bundle = os_profiles_get(profiles, profile, "ca_bundle");
  if (!bundle) bundle = os_settings_get(settings, OS_SET_CA_BUNDLE);
  out->ca_bundle = os_strdup(bundle);
  return bundle && !out->ca_bundle ? os_fail_nomem(error) : OS_OK;
}

/* The variable, else the profile ("Dual-stack and FIPS endpoints", AWS SDKs and Tools Reference Guide).
** What cannot be read is an error: who asks for FIPS must not be served without. */
static int find_switch(bool *out, const char *name, const char *key, const struct os_profiles *profiles,
                       const char *profile, struct os_error *error) {
  const char *text = variable(name), *from = name;
  *out = false;
  if (!text && profile) {
    text = os_profiles_get(profiles, profile, key);
    from = key;
  }
  if (!text || os_parse_bool(text, out)) return OS_OK;
  os_fail(error, OS_ERR_ARGUMENT, "%s: '%.60s' is neither true nor false", from, text);
  return os_advise(error, "write true, or leave it out");
}

static int find_variant(struct os_addresses *out, const struct os_profiles *profiles, const char *profile,
                        struct os_error *error) {
  int code =
      find_switch(&out->variant.fips, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", profiles, profile, error);
  if (code) return code;
  return find_switch(&out->variant.dual_stack, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint",
                     profiles, profile, error);
}

int os_addresses_find(struct os_addresses *out, const struct os_settings *settings,
                      const struct os_profiles *profiles, const char *profile, const char *region,
                      struct os_error *error) {
  static const char ignore[] = "ignore_configured_endpoint_urls";
  bool ignored = is_true(variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) ||
                 (profile && is_true(os_profiles_get(profiles, profile, ignore)));
  memset(out, 0, sizeof *out);
  int code = find_region(out, settings, profiles, profile, region, error);
  if (!code) code = find_ca_bundle(out, settings, profiles, profile, error);
  if (!code) code = find_variant(out, profiles, profile, error);
  for (int i = 0; !code && i < OS_ADDRESS_COUNT; i++) {
    struct found found = find_address((enum os_address)i, settings, profiles, profile);
    if (!ignored || found.is_option) code = copy_address(&out->configured[i], &found, error);
  }
  if (code) os_addresses_clear(out);
  return code;
}

void os_addresses_clear(struct os_addresses *addresses) {
  for (int i = 0; i < OS_ADDRESS_COUNT; i++)
    os_free(addresses->configured[i]);
  os_free(addresses->region);
  os_free(addresses->ca_bundle);
  memset(addresses, 0, sizeof *addresses);
}

int os_addresses_url(const struct os_addresses *addresses, enum os_address which, const char *region,
                     char **out, struct os_error *error) {
  const char *configured = addresses->configured[which];
  if (!configured) return os_aws_url(known[which].label, region, &addresses->variant, out, error);
  *out = os_strdup(configured);
  return *out ? OS_OK : os_fail_nomem(error);
}

/* One address for the whole world, signed for as if it were in us-east-1; it has no variants. */
static bool is_global(const struct os_addresses *addresses, bool legacy) {
  const char *region = addresses->region;
  if (addresses->variant.fips || addresses->variant.dual_stack) return false;
  return !region || (legacy && os_aws_is_standard(region));
}

int os_addresses_sts(const struct os_addresses *addresses, bool legacy, char **url, char **region,
                     struct os_error *error) {
  const char *configured = addresses->configured[OS_ADDRESS_STS], *named = addresses->region;
  bool global = is_global(addresses, legacy);
  const char *signed_for = !named || (global && !configured) ? "us-east-1" : named;
  *url = NULL;
  *region = os_strdup(signed_for);
  if (!*region) return os_fail_nomem(error);
  int rc = OS_OK;
  if (global && !configured)
    rc = (*url = os_strdup("https://sts.amazonaws.com")) ? OS_OK : os_fail_nomem(error);
  else
    rc = os_addresses_url(addresses, OS_ADDRESS_STS, signed_for, url, error);
  if (!rc) return OS_OK;
  os_free(*region);
  *region = NULL;
  return rc;
}
