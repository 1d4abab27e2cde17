/* settings.h - the settings of one connection: what they are, where each value came from, and how to
** set one.
**
** Order: session (os_config) > process environment > .env in the working directory (or OS_ENV_FILE) >
** default. The environment and .env are read when the connection is made ready and again by
** os_settings_reload(). Keeper's thread only.
**
** Loading the extension must not fail because some other program's LOG_LEVEL is in the environment: a
** malformed value that came from the environment or .env is left out (the next layer holds instead) and
** remembered, and os_settings_check() refuses it. os_connections_endpoint() asks that first, so no
** command reaches a cluster with settings that were not understood. os_config() on the same name mends
** it for the session. An empty value in the environment, .env or a session means "none"; where there is
** a default, it holds.
*/
#ifndef OS_CONFIG_SETTINGS_H
#define OS_CONFIG_SETTINGS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

enum os_setting_id {
  OS_SET_ENDPOINT,
  OS_SET_USERNAME,
  OS_SET_PASSWORD,
  OS_SET_AUTH,
  OS_SET_SERVERLESS,
  OS_SET_SERVERLESS_DELAY,
  OS_SET_AWS_REGION,
  OS_SET_AWS_PROFILE,
  OS_SET_AWS_ROLE_ARN,
  OS_SET_AWS_ENDPOINT_URL,
  OS_SET_AWS_ENDPOINT_URL_S3,
  OS_SET_AWS_ENDPOINT_URL_SQS,
  OS_SET_AWS_ENDPOINT_URL_STS,
  OS_SET_INDEX,
  OS_SET_LOAD_MODE,
  OS_SET_BATCH_SIZE,
  OS_SET_BATCH_BYTES,
  OS_SET_MAX_WORKERS,
  OS_SET_INDEX_RECREATE_THRESHOLD,
  OS_SET_DOCUMENT_COUNT_THRESHOLD,
  OS_SET_LOG_LEVEL,
  OS_SET_LOG_FORMAT,
  OS_SET_LOG_FILE,
  OS_SET_VERIFY_SSL,
  OS_SET_VERIFY_HOSTNAME,
  OS_SET_CA_BUNDLE,
  OS_SET_HTTP_COMPRESS,
  OS_SET_REQUEST_TIMEOUT,
  OS_SET_MAX_RETRIES,
  OS_SET_MAX_RATE,
  OS_SET_DLQ,
  OS_SET_SQS_DLQ_ARN,
  OS_SET_OUTPUT_BUCKET,
  OS_SET_LEDGER,
  OS_SET_COUNT
};

struct os_setting_info {
  const char *name;          /* as shown and set, e.g. "OPENSEARCH_ENDPOINT" */
  const char *aliases[2];    /* further names accepted, e.g. "OPENSEARCH_URL" */
  const char *default_value; /* NULL: none */
  const char *description;   /* one sentence, with the unit and the legal values */
  bool secret;               /* shown as ******** */
};

struct os_settings;

int os_settings_new(struct os_settings **out, struct os_error *error);
void os_settings_free(struct os_settings *settings); /* wipes secrets */
/* Read both again, and then os_settings_check(). */
int os_settings_reload(struct os_settings *settings, struct os_error *error);

/* OS_OK, or the first fault of .env or of a value from the environment or .env that nothing of the
** session hides, with file and line, or variable. */
int os_settings_check(const struct os_settings *settings, struct os_error *error);

/* A variable of the process environment or, when it is not there, of .env: any name, for `env:NAME`.
** *out is NULL when it is in neither or empty; wipe and free it with os_secret_free(). .env is read for
** the purpose. */
int os_settings_variable(const struct os_settings *settings, const char *name, char **out,
                         struct os_error *error);

/* The .env file that is read, whether it is there or not; NULL when OS_ENV_FILE is set to nothing. For
** os_debug(). */
const char *os_settings_env_file(const struct os_settings *settings);

const struct os_setting_info *os_setting_info(enum os_setting_id id);
/* -1 when no setting has that name (ASCII case is ignored). */
int os_setting_find(const char *name);

/* The value in force, borrowed until the next set or reload; NULL when none. Secrets are as given
** (`env:NAME` unresolved). */
const char *os_settings_get(const struct os_settings *settings, enum os_setting_id id);
/* default, env, .env, session */
const char *os_settings_source(const struct os_settings *settings, enum os_setting_id id);
/* Check and set for this session (words are stored in small letters); value NULL goes back to env /
** .env / default. A malformed value is refused with the name and what is legal. */
int os_settings_set(struct os_settings *settings, enum os_setting_id id, const char *value,
                    struct os_error *error);

/* Typed readers; the values were checked when they came in. */
int64_t os_settings_int(const struct os_settings *settings, enum os_setting_id id);
double os_settings_real(const struct os_settings *settings, enum os_setting_id id);
bool os_settings_bool(const struct os_settings *settings, enum os_setting_id id);
uint64_t os_settings_bytes(const struct os_settings *settings, enum os_setting_id id);

/* A counter that grows with each change, so that what was derived from settings can be made anew. */
unsigned os_settings_generation(const struct os_settings *settings);
#endif
