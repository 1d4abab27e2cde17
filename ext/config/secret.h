/* secret.h - secrets: where they are read from, how they leave memory, how they stay out of messages. */
#ifndef OS_CONFIG_SECRET_H
#define OS_CONFIG_SECRET_H
#include "base/error.h"
#include "base/log.h"
#include "config/settings.h"

/* What a secret shows as, everywhere. */
#define OS_SECRET_MASK "********"

/* The secret that `given` names: "env:NAME" (the process environment, then .env), "file:PATH" (one
** trailing line end is cut; a file that others may read is told to the log, which may be NULL),
** anything else is the secret itself. `what` names the setting or option in messages. *out:
** os_secret_free(). Keeper's thread. */
int os_secret_resolve(const char *given, const char *what, const struct os_settings *settings,
                      struct os_log *log, char **out, struct os_error *error);
void os_secret_free(char *secret); /* wipes; NULL is harmless */

/* Replace every occurrence of secret in text, in place. A secret of less than 3 bytes is left alone: it
** would be found in any text. NULL is harmless. */
void os_redact(char *text, const char *secret);
#endif
