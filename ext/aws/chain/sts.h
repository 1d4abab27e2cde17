/* sts.h - keys of a role from the Security Token Service: AssumeRole, signed with other keys, and
** AssumeRoleWithWebIdentity, with a token from a file (AWS STS API Reference). Inside aws/ only.
*/
#ifndef OS_AWS_CHAIN_STS_H
#define OS_AWS_CHAIN_STS_H
#include "aws/chain/source.h"

struct os_role { /* all borrowed */
  const char *arn, *session_name;
  const char *external_id;  /* or NULL */
  int duration;             /* seconds; 0: the service's default, an hour */
  const char *url, *region; /* of the service */
  const char *ca_bundle;    /* or NULL */
  const char *where;        /* what names the role, for messages: "AWS_ROLE_ARN", "profile 'x'" */
};

/* Takes `base`, whose keys sign, over; also when it fails. */
int os_role_source(struct os_source **out, const struct os_role *it, struct os_source *base,
                   struct os_error *error);
/* The token's file is read anew at each fetch. */
int os_web_identity_source(struct os_source **out, const struct os_role *it, const char *token_file,
                           struct os_error *error);

/* The keys in an answer of the service; pure. ahead: seconds that its clock is ahead of ours. */
int os_sts_read(struct os_aws_keys **out, const char *xml, size_t len, double ahead, const char *origin,
                struct os_error *error);
#endif
