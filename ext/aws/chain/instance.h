/* instance.h - the metadata service of an EC2 instance, version 2 ("Use the Instance Metadata Service to
** access instance metadata", EC2 User Guide). Inside aws/ only.
*/
#ifndef OS_AWS_CHAIN_INSTANCE_H
#define OS_AWS_CHAIN_INSTANCE_H
#include "aws/chain/source.h"

struct os_instance {
  char *url;      /* http://169.254.169.254, or what was configured */
  double timeout; /* seconds for one request */
  int tries;
};

/* Takes the content of *instance over; also when it fails. */
int os_instance_source(struct os_source **out, struct os_instance *instance, struct os_error *error);
void os_instance_clear(struct os_instance *instance);
/* The region the instance is in; os_free() it. */
int os_instance_region(const struct os_instance *instance, struct os_fetch *fetch, char **out,
                       struct os_error *error);
#endif
