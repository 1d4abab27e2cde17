/* container.h - keys of a task of ECS, of a pod of EKS, and of whatever else offers them by URL
** ("Container credential provider", AWS SDKs and Tools Reference Guide). Inside aws/ only. Keeper's
** thread.
*/
#ifndef OS_AWS_CHAIN_CONTAINER_H
#define OS_AWS_CHAIN_CONTAINER_H
#include "aws/chain/source.h"

/* By AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and its kin in the process environment; *out is NULL when
** they are not set. An address to which keys may not be asked over http is an error. */
int os_container_source(struct os_source **out, const char *ca_bundle, struct os_error *error);
#endif
