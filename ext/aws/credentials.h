/* credentials.h - the keys that requests to AWS are signed with: where they come from, and their
** renewal.
**
** Made on the keeper's thread, which reads settings, variables and files' names; afterwards any thread
** may ask. Nobody who asks is ever held up: what must be fetched (a role, a token, the instance's own
** keys) is fetched by a thread of its own, which os_credentials_free() waits for.
*/
#ifndef OS_AWS_CREDENTIALS_H
#define OS_AWS_CREDENTIALS_H
#include <stdatomic.h>
#include <stdbool.h>
#include "base/error.h"
#include "base/log.h"
#include "config/settings.h"
#include "config/signer.h"
#include "net/http.h"

/* One set of keys, immutable, counted. */
struct os_aws_keys {
  atomic_int references;
  char *access_key_id, *secret_access_key; /* the secret is wiped when the last reference goes */
  char *session_token;                     /* NULL: long-term keys */
  double expires;                          /* seconds since 1970; 0: never */
  char *origin;                            /* for people: "the environment", "profile 'x' of …" */
};
struct os_aws_keys *os_aws_keys_ref(struct os_aws_keys *keys);
void os_aws_keys_unref(struct os_aws_keys *keys);

struct os_credentials; /* counted */
struct os_credentials *os_credentials_ref(struct os_credentials *credentials);
void os_credentials_unref(struct os_credentials *credentials);

/* Find out where keys will come from, by the chain that AWS's own tools share. Keeper's thread. An error
** is one of configuration (a half-set pair, a missing profile, a loop of profiles); nothing is fetched
** yet. */
/* Of a named connection, in place of the settings; NULL, or the very text that os_settings_get() gives: the settings'.
** A profile of its own makes keys in variables be passed over. */
struct os_credentials_choice {
  const char *profile, *role_arn, *region;
};
int os_credentials_new(struct os_credentials **out, struct os_settings *settings,
                       const struct os_credentials_choice *choice, struct os_log *log,
                       struct os_error *error);
/* Keys that are given and never change. session_token may be NULL. */
int os_credentials_fixed(struct os_credentials **out, const char *access_key_id,
                         const char *secret_access_key, const char *session_token, struct os_error *error);

/* The keys in force, with a reference. WAIT: they are being fetched. FAILED: the error says where was
** looked and what to do. Starts a renewal where it is due. */
enum os_sign_state os_credentials_get(struct os_credentials *credentials, struct os_aws_keys **out,
                                      struct os_error *error);
/* The same, waiting; keeper's thread. */
int os_credentials_wait(struct os_credentials *credentials, const struct os_probe *probe,
                        struct os_aws_keys **out, struct os_error *error);
/* A server called these keys expired. True: others are being fetched, or are there; false: these never
** change. */
bool os_credentials_expired(struct os_credentials *credentials, const struct os_aws_keys *keys);
/* The region the chain names (setting, variables, profile, the instance), or NULL; borrowed. Keeper's
** thread: when nothing else names one, the instance is asked, once, which takes a second where there is
** none. */
const char *os_credentials_region(struct os_credentials *credentials);
/* The address of a service ("s3", "sqs", "sts") in a region, without '/' at its end: what settings,
** variables or the profile name (*given), or AWS's own. os_free() *out. Any thread. */
int os_credentials_address(const struct os_credentials *credentials, const char *service, const char *region,
                           char **out, bool *given, struct os_error *error);
/* The file of authorities to trust for AWS (AWS_CA_BUNDLE, ca_bundle of the profile), or NULL. Borrowed; any
** thread. */
const char *os_credentials_ca_bundle(struct os_credentials *credentials);
#endif
