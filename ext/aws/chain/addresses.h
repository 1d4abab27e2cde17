/* addresses.h - where AWS's services are: what settings, variables and the profile say, and AWS's own
** addresses ("Service-specific endpoints", AWS SDKs and Tools Reference Guide). Inside aws/ only.
** Keeper's thread.
*/
#ifndef OS_AWS_CHAIN_ADDRESSES_H
#define OS_AWS_CHAIN_ADDRESSES_H
#include "aws/chain/partition.h"
#include "aws/chain/profile.h"
#include "config/settings.h"

enum os_address {
  OS_ADDRESS_S3,
  OS_ADDRESS_SQS,
  OS_ADDRESS_STS,
  OS_ADDRESS_SSO,
  OS_ADDRESS_OIDC,
  OS_ADDRESS_COUNT
};

struct os_addresses {
  char *region;                       /* NULL: none is named */
  char *configured[OS_ADDRESS_COUNT]; /* without '/' at the end; NULL: AWS's own */
  struct os_aws_variant variant;      /* which of AWS's own */
  char *ca_bundle;                    /* of AWS_CA_BUNDLE, the profile, CA_BUNDLE; or NULL */
};

/* profile: NULL or one that is not there: none. region: in place of the settings', or NULL. */
int os_addresses_find(struct os_addresses *out, const struct os_settings *settings,
                      const struct os_profiles *profiles, const char *profile, const char *region,
                      struct os_error *error);
void os_addresses_clear(struct os_addresses *addresses);

/* Which address serves "s3", "sqs", "sts"; OS_ADDRESS_COUNT: none. */
enum os_address os_address_of(const char *service);
/* A region's name has letters, digits and '-' only: it becomes a part of host names. */
bool os_aws_is_region(const char *text);
/* Where a service is: as configured, or AWS's own in the region. os_free() *out. */
int os_addresses_url(const struct os_addresses *addresses, enum os_address which, const char *region,
                     char **out, struct os_error *error);
/* STS as it is to be called, and the region to sign for; os_free() both. */
int os_addresses_sts(const struct os_addresses *addresses, bool legacy, char **url, char **region,
                     struct os_error *error);
#endif
