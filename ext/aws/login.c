/* login.c - see login.h. */
#include "aws/login.h"
#include <string.h>
#include "aws/service.h"
#include "base/text.h"
#include "config/endpoint.h"

enum { REGION = 40 };

/* "name.REGION.es.amazonaws.com", also of aoss and of China: the label before the service's. */
static bool region_of_host(const char *url, char out[REGION]) {
  static const char *const services[] = {".es.amazonaws.com", ".aoss.amazonaws.com"};
  char host[256];
  if (!os_url_host(url, host, sizeof host)) return false;
  for (size_t i = 0; i < 2; i++) {
    char *end = strstr(host, services[i]);
    if (!end) continue;
    *end = '\0';
    const char *label = strrchr(host, '.');
    if (!label || !label[1] || strlen(label + 1) >= REGION) return false;
    memcpy(out, label + 1, strlen(label + 1) + 1);
    return true;
  }
  return false;
}

int os_aws_login(struct os_settings *settings, struct os_log *log, const struct os_iam_login *login,
                 struct os_signer **out, struct os_error *error) {
  struct os_credentials_choice choice = {
      .profile = login->profile, .role_arn = login->role_arn, .region = login->region};
  struct os_credentials *credentials = NULL;
  char of_host[REGION];
  const char *region = NULL;
  *out = NULL;
  int rc = os_credentials_new(&credentials, settings, &choice, log, error);
  if (rc) return rc;
  if (region_of_host(login->url, of_host))
    region = of_host;
  else if (login->region)
    region = login->region;
  else
    region = os_credentials_region(credentials);
  if (region) {
    rc = os_aws_signer_new(out, login->serverless ? OS_AWS_AOSS : OS_AWS_ES, region, credentials, error);
  } else {
    os_fail(error, OS_ERR_ARGUMENT,
            "the region of AWS is not known, and the name of the host does not tell it");
    rc = os_advise(
        error, "SELECT os_config('AWS_REGION', 'eu-west-1'), or set AWS_REGION in the environment, in .env, "
               "or `region` in the profile");
  }
  os_credentials_unref(credentials);
  return rc;
}
