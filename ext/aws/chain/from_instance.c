/* from_instance.c - where the metadata service of the instance is, and how long it is waited for.
**
** Calls base, config and profile.
*/
#include "aws/chain/search.h"
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/text.h"
#include "config/setting_check.h"

static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

static const char *either(const struct os_search *search, const char *name, const char *key) {
  const char *value = variable(name);
  return value ? value : os_profiles_get(search->profiles, search->profile, key);
}

static int read_number(const struct os_search *search, const char *name, const char *key, double least,
                       double most, double *out, struct os_error *error) {
  const char *value = either(search, name, key);
  double number = 0;
  if (!value) return OS_OK;
  if (os_parse_double(value, &number) && number >= least && number <= most) {
    *out = number;
    return OS_OK;
  }
  if (variable(name))
    os_fail(error, OS_ERR_ARGUMENT, "%s: '%.40s' is not a number from %d to %d", name, value, (int)least,
            (int)most);
  else
    os_fail(error, OS_ERR_ARGUMENT, "%s of profile '%s': '%.40s' is not a number from %d to %d", key,
            search->profile, value, (int)least, (int)most);
  return os_advise(error, "write such a number, or unset it: 1 holds then");
}

static const char *default_url(const struct os_search *search) {
  const char *mode =
      either(search, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode");
  bool six = mode && os_strcasecmp(mode, "IPv6") == 0;
  return six ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
}

int os_search_instance(const struct os_search *search, struct os_instance *out, struct os_error *error) {
  static const char name[] = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
  const char *disabled = variable("AWS_EC2_METADATA_DISABLED");
  const char *url = either(search, name, "ec2_metadata_service_endpoint");
  double tries = 1;
  *out = (struct os_instance){.timeout = 1, .tries = 1};
  bool off = false;
  if (disabled && os_parse_bool(disabled, &off) && off) return OS_OK;
  int code = url ? os_url_check(name, url, error) : OS_OK;
  if (!code)
    code = read_number(search, "AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout", 0, 60,
                       &out->timeout, error);
  if (!code)
    code = read_number(search, "AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts", 1, 10,
                       &tries, error);
  if (code) return code;
  if (!url) url = default_url(search);
  if (out->timeout <= 0) out->timeout = 1;
  out->tries = (int)tries;
  size_t len = strlen(url);
  while (len && url[len - 1] == '/')
    len--;
  out->url = os_strndup(url, len);
  return out->url ? OS_OK : os_fail_nomem(error);
}
