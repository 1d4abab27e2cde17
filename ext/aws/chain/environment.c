/* environment.c - keys in variables: of the process environment or, when that has none of the two, of .env.
**
** Calls base and config. What it reads is wiped.
*/
#include "aws/chain/environment.h"
#include <stdlib.h>
#include "base/clock.h"
#include "config/secret.h"

enum { ID, SECRET, TOKEN, OLD_TOKEN, EXPIRATION, VARIABLES };

static const char *const names[VARIABLES] = {
    "AWS_ACCESS_KEY_ID",  "AWS_SECRET_ACCESS_KEY",     "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION",
};

static bool is_set(const char *name) {
  const char *value = getenv(name);
  return value && *value;
}

/* All from one place: the token of one set of keys does not go with another. */
static int read_variables(char *values[VARIABLES], struct os_settings *settings, struct os_error *error) {
  bool in_process = is_set(names[ID]) || is_set(names[SECRET]);
  for (int i = 0; i < VARIABLES; i++) {
    if (in_process && !is_set(names[i])) continue;
    int code = os_settings_variable(settings, names[i], &values[i], error);
    if (code) return code;
  }
  return OS_OK;
}

static int fail_half(bool has_id, struct os_error *error) {
  const char *set = names[has_id ? ID : SECRET], *missing = names[has_id ? SECRET : ID];
  os_fail(error, OS_ERR_ARGUMENT, "%s is set, but %s is not", set, missing);
  return os_advise(error,
                   "set both, in the environment or both in .env, or neither to use a profile or a role");
}

static int make_source(struct os_source **out, char *values[VARIABLES], struct os_error *error) {
  struct os_aws_keys what = {.access_key_id = values[ID],
                             .secret_access_key = values[SECRET],
                             .session_token = values[TOKEN] ? values[TOKEN] : values[OLD_TOKEN],
                             .origin = (char *)"the environment"};
  struct os_aws_keys *keys = NULL;
  if (values[EXPIRATION] && !os_clock_parse_iso(values[EXPIRATION], &what.expires)) {
    os_fail(error, OS_ERR_ARGUMENT, "AWS_CREDENTIAL_EXPIRATION: '%.60s' is not a time", values[EXPIRATION]);
    return os_advise(error, "write it as 2030-01-31T12:00:00Z, or unset it");
  }
  int code = os_aws_keys_new(&keys, &what, error);
  if (!code) code = os_source_keys_new(out, keys, error);
  os_aws_keys_unref(keys);
  return code;
}

int os_environment_source(struct os_source **out, struct os_settings *settings, struct os_error *error) {
  char *values[VARIABLES] = {NULL};
  *out = NULL;
  int code = read_variables(values, settings, error);
  if (!code && !values[ID] != !values[SECRET]) code = fail_half(values[ID] != NULL, error);
  if (!code && values[ID]) code = make_source(out, values, error);
  for (int i = 0; i < VARIABLES; i++)
    os_secret_free(values[i]);
  return code;
}
