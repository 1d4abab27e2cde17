/* profile.h - the profiles of AWS's shared config and credentials files. Inside aws/ only. Pure but for
** the reading; any thread.
*/
#ifndef OS_AWS_CHAIN_PROFILE_H
#define OS_AWS_CHAIN_PROFILE_H
#include <stdbool.h>
#include "base/error.h"

enum os_profile_file { OS_PROFILE_CREDENTIALS, OS_PROFILE_CONFIG };

struct os_profiles;

/* Paths are used as they are; NULL or no such file: nothing stands there. */
int os_profiles_read(struct os_profiles **out, const char *credentials_path, const char *config_path,
                     struct os_error *error);
void os_profiles_free(struct os_profiles *profiles); /* wipes; NULL is harmless */
const char *os_profiles_path(const struct os_profiles *profiles, enum os_profile_file file); /* or NULL */
/* The same for messages: where there is no path, the usual one; and whether it is a folder. */
const char *os_profiles_shown(const struct os_profiles *profiles, enum os_profile_file file);

bool os_profiles_has(const struct os_profiles *profiles, const char *profile);
/* Does [NAME] stand in the config file, where only [profile NAME] counts? */
bool os_profiles_has_bare(const struct os_profiles *profiles, const char *profile);
/* The value of a key, in the credentials file if it is there, else in the config file; or of one file
** alone. NULL: not given, or empty. Borrowed, like all below. */
const char *os_profiles_get(const struct os_profiles *profiles, const char *profile, const char *key);
const char *os_profiles_in(const struct os_profiles *profiles, enum os_profile_file file, const char *profile,
                           const char *key);
/* Of a section [sso-session NAME], and of a service in a section [services NAME]. */
bool os_profiles_has_session(const struct os_profiles *profiles, const char *session);
const char *os_profiles_session(const struct os_profiles *profiles, const char *session, const char *key);
const char *os_profiles_service(const struct os_profiles *profiles, const char *services, const char *service,
                                const char *key);
#endif
