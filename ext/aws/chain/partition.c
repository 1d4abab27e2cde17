/* partition.c - see partition.h. Calls base. Owns nothing. */
#include "aws/chain/partition.h"
#include <string.h>
#include "base/alloc.h"
#include "base/text.h"

struct partition {
  const char *prefix; /* what its regions begin with */
  const char *domain, *dual_domain;
  bool fips_is_usual; /* the usual hosts of a region are FIPS ones, but for S3's */
  bool no_s3_fips;
};

/* The last has all other regions, those to come as well. */
static const struct partition partitions[] = {
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn", false, true},
    {"us-gov-", "amazonaws.com", "api.aws", true, false},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu", false, false},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov", false, false},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud", false, false},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", false, false},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov", false, false},
    {"", "amazonaws.com", "api.aws", false, false},
};

static const struct partition *partition_of(const char *region) {
  const struct partition *partition = partitions;
  while (!os_has_prefix(region, partition->prefix))
    partition++;
  return partition;
}

bool os_aws_is_standard(const char *region) {
  return !partition_of(region)->prefix[0];
}

/* S3 has a label of its own for both stacks where the others have another domain ("Using Amazon S3
** dual-stack endpoints", Amazon S3 User Guide). */
static char *s3_url(const struct partition *partition, const char *region,
                    const struct os_aws_variant *variant) {
  return os_mprintf("https://s3%s.%s%s.%s", variant->fips ? "-fips" : "",
                    variant->dual_stack ? "dualstack." : "", region, partition->domain);
}

int os_aws_url(const char *label, const char *region, const struct os_aws_variant *variant, char **out,
               struct os_error *error) {
  const struct partition *partition = partition_of(region);
  bool is_s3 = !strcmp(label, "s3");
  *out = NULL;
  if (is_s3 && variant->fips && partition->no_s3_fips) {
    os_fail(error, OS_ERR_ARGUMENT, "S3 has no FIPS endpoints where the region %s is", region);
    return os_advise(error, "AWS_USE_FIPS_ENDPOINT=false, or give its address in AWS_ENDPOINT_URL_S3");
  }
  bool plain_name = !variant->fips || (partition->fips_is_usual && !variant->dual_stack);
  *out = is_s3 ? s3_url(partition, region, variant)
               : os_mprintf("https://%s%s.%s.%s", label, plain_name ? "" : "-fips", region,
                            variant->dual_stack ? partition->dual_domain : partition->domain);
  return *out ? OS_OK : os_fail_nomem(error);
}
