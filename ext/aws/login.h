/* login.h - logging in to OpenSearch with IAM. Keeper's thread. */
#ifndef OS_AWS_LOGIN_H
#define OS_AWS_LOGIN_H
#include "base/error.h"
#include "base/log.h"
#include "config/connections.h"
#include "config/settings.h"

/* The signer of a connection: service es or aoss; the region of its host's name, else the one of the login, else what
** the chain says. An error says which of the two is missing, keys' origin or region. */
int os_aws_login(struct os_settings *settings, struct os_log *log, const struct os_iam_login *login,
                 struct os_signer **out, struct os_error *error);
#endif
