/* environment.h - keys in variables. Inside aws/ only. Keeper's thread. */
#ifndef OS_AWS_CHAIN_ENVIRONMENT_H
#define OS_AWS_CHAIN_ENVIRONMENT_H
#include "aws/chain/source.h"

/* The keys of AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_CREDENTIAL_EXPIRATION;
** *out is NULL when neither key is set. One without the other is an error. */
int os_environment_source(struct os_source **out, struct os_settings *settings, struct os_error *error);
#endif
