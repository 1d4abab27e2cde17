/* login.h - keys for who has logged in with `aws login`. Inside aws/ only. */
#ifndef OS_AWS_CHAIN_LOGIN_H
#define OS_AWS_CHAIN_LOGIN_H
#include "aws/chain/source.h"

/* path: ~/.aws/login/cache/….json; login: what logs in; origin: for people. */
int os_login_source(struct os_source **out, const char *path, const char *login, const char *origin,
                    struct os_error *error);
#endif
