/* sso.h - keys for who has logged in with `aws sso login` (IAM Identity Center; "SSO token provider
** configuration", AWS SDKs and Tools Reference Guide). Inside aws/ only.
*/
#ifndef OS_AWS_CHAIN_SSO_H
#define OS_AWS_CHAIN_SSO_H
#include "aws/chain/source.h"

struct os_sso { /* all borrowed */
  const char *account_id, *role_name;
  const char *token_path; /* ~/.aws/sso/cache/….json */
  bool can_renew;         /* of an sso-session: its token may be renewed */
  const char *portal_url; /* where keys are given, https://portal.sso.REGION.amazonaws.com */
  const char *oidc_url;   /* where tokens are, https://oidc.REGION.amazonaws.com */
  const char *ca_bundle;  /* or NULL */
  const char *login;      /* what logs in, "aws sso login --profile x" */
  const char *origin;     /* for people */
};

int os_sso_source(struct os_source **out, const struct os_sso *it, struct os_error *error);
#endif
