/* connection_options.h - the options of one named cluster, as text checked by the rules of the settings
** they correspond to. Private to config/. */
#ifndef OS_CONFIG_CONNECTION_OPTIONS_H
#define OS_CONFIG_CONNECTION_OPTIONS_H
#include <jansson.h>
#include <stdbool.h>
#include "base/error.h"
#include "config/settings.h"

enum os_connection_option {
  OS_CONNECT_ENDPOINT,
  OS_CONNECT_AUTH,
  OS_CONNECT_USERNAME,
  OS_CONNECT_PASSWORD,
  OS_CONNECT_SERVERLESS,
  OS_CONNECT_AWS_REGION,
  OS_CONNECT_AWS_PROFILE,
  OS_CONNECT_AWS_ROLE_ARN,
  OS_CONNECT_VERIFY_SSL,
  OS_CONNECT_VERIFY_HOSTNAME,
  OS_CONNECT_CA_BUNDLE,
  OS_CONNECT_HTTP_COMPRESS,
  OS_CONNECT_REQUEST_TIMEOUT,
  OS_CONNECT_MAX_RETRIES,
  OS_CONNECT_COUNT
};

struct os_connection_option_info {
  const char *name;
  enum os_setting_id setting; /* whose rule it obeys, and whose value holds for main */
  bool inherited;             /* a named cluster that is silent takes over main's */
  const char *types;          /* the JSON types it may have: s(tring) b(oolean) n(umber) */
};

extern const struct os_connection_option_info os_connection_options[OS_CONNECT_COUNT];

/* Take an object apart. Fills values[] (NULL: not given, or null); each one: os_secret_free(). On an
** error nothing is left in values[]. `name` is the connection's, for messages. */
int os_connection_options_read(const char *name, const json_t *options, char *values[OS_CONNECT_COUNT],
                               struct os_error *error);
void os_connection_options_free(char *values[OS_CONNECT_COUNT]);
#endif
