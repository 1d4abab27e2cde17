/* connections.h - the named clusters of one SQLite connection. `main` is the one that the settings
** describe; os_connect() adds others. Keeper's thread only. */
#ifndef OS_CONFIG_CONNECTIONS_H
#define OS_CONFIG_CONNECTIONS_H
#include <stddef.h>
#include <jansson.h>
#include "base/log.h"
#include "config/endpoint.h"
#include "config/settings.h"

struct os_connections;

int os_connections_new(struct os_connections **out, struct os_settings *settings, struct os_error *error);
void os_connections_free(struct os_connections *connections);
/* Where warnings go, each once for a connection: a certificate that is not checked, a password that travels
** unencrypted, a secret's file that others may read. Held by reference; NULL: nowhere. */
void os_connections_set_log(struct os_connections *connections, struct os_log *log);
/* A connection that logs in with IAM. What is NULL is for the chain of AWS's tools to find. */
struct os_iam_login {
  const char *url, *region, *profile, *role_arn;
  bool serverless;
};
typedef int os_signer_maker(void *ctx, const struct os_iam_login *login, struct os_signer **out,
                            struct os_error *error);
/* Who makes the signers of such connections. Kept as long as no setting changes. */
void os_connections_set_signer_maker(struct os_connections *connections, os_signer_maker *make, void *ctx);
/* Define or replace `name` from an options object: endpoint, auth, username, password, serverless, aws_region,
** aws_profile, aws_role_arn, verify_ssl, verify_hostname, ca_bundle, http_compress, request_timeout, max_retries.
** Unknown keys are refused, and so is the name main. Whether and as whom to log in is never taken over from
** main; the rest is, where the options are silent. */
int os_connections_set(struct os_connections *connections, const char *name, const json_t *options,
                       struct os_error *error);
/* A new reference to the endpoint of `name` (NULL: "main"), made from the settings in force when it is
** main. The same endpoint as before as long as nothing changed (so what it learned is kept); a secret's
** file is read again each time, so that a rotated one is noticed. A malformed setting
** (os_settings_check), no endpoint set, an unknown name, a secret that cannot be read: an error that
** says what to do. */
int os_connections_endpoint(struct os_connections *connections, const char *name, struct os_endpoint **out,
                            struct os_error *error);
/* For os_connections: the number, and the i-th as JSON with secrets masked (new reference). */
size_t os_connections_count(const struct os_connections *connections);
json_t *os_connections_describe(struct os_connections *connections, size_t i);
#endif
