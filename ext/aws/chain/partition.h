/* partition.h - AWS's own addresses: the host of a service in a region of any partition (the commercial
** regions, China, GovCloud, the European Sovereign Cloud, the isolated ones), as FIPS and dual-stack
** settings want it. Pure. Inside aws/ only.
**
** "AWS service endpoints", AWS General Reference; "Dual-stack and FIPS endpoints", AWS SDKs and Tools
** Reference Guide; botocore's rule sets, against which the table was compared.
*/
#ifndef OS_AWS_CHAIN_PARTITION_H
#define OS_AWS_CHAIN_PARTITION_H
#include <stdbool.h>
#include "base/error.h"

struct os_aws_variant {
  bool fips;       /* validated by FIPS 140 */
  bool dual_stack; /* IPv6 as well */
};

/* label: what the host's name begins with: "s3", "sqs", "sts", "oidc", "portal.sso". os_free() *out. */
int os_aws_url(const char *label, const char *region, const struct os_aws_variant *variant, char **out,
               struct os_error *error);
/* Is it one of the commercial regions, which STS's global address serves? */
bool os_aws_is_standard(const char *region);
#endif
