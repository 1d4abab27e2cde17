/* profile.c - two files of profiles as one.
**
** Calls base, config/small_file.h and ini. Owns both files' content. In the config file a profile is a
** section [profile NAME], or [default]; in the credentials file it is [NAME] ("Shared config and
** credentials files", AWS SDKs and Tools Reference Guide).
*/
#include "aws/chain/profile.h"
#include <stdio.h>
#include <string.h>
#include "aws/chain/ini.h"
#include "base/alloc.h"
#include "config/small_file.h"

enum { LARGEST_FILE = 1 << 20, TITLE = 300 };

struct os_profiles {
  struct os_ini *files[2]; /* NULL: there is none */
  char *paths[2];
  char *folders[2]; /* for messages; NULL: it is none */
};

static int read_file(struct os_profiles *profiles, enum os_profile_file which, const char *path,
                     struct os_error *error) {
  struct os_small_file file;
  profiles->paths[which] = os_strdup(path);
  if (!profiles->paths[which]) return os_fail_nomem(error);
  if (strcmp(path, "/dev/null") == 0) return OS_OK; /* how people say "none" */
  int code = os_small_file_read(path, LARGEST_FILE, "the profiles of AWS", &file, error);
  if (code) {
    if (!error->advice[0])
      os_advise(error, "correct its rights or name another with %s",
                which == OS_PROFILE_CONFIG ? "AWS_CONFIG_FILE" : "AWS_SHARED_CREDENTIALS_FILE");
    return code;
  }
  if (file.is_folder) profiles->folders[which] = os_mprintf("%s (which is a folder)", path);
  if (file.is_folder && !profiles->folders[which]) return os_fail_nomem(error);
  if (file.text) code = os_ini_parse(&profiles->files[which], file.text, file.len, path, error);
  os_small_file_free(&file);
  return code;
}

int os_profiles_read(struct os_profiles **out, const char *credentials_path, const char *config_path,
                     struct os_error *error) {
  *out = NULL;
  struct os_profiles *profiles = os_calloc(1, sizeof *profiles);
  if (!profiles) return os_fail_nomem(error);
  int code = OS_OK;
  if (credentials_path) code = read_file(profiles, OS_PROFILE_CREDENTIALS, credentials_path, error);
  if (!code && config_path) code = read_file(profiles, OS_PROFILE_CONFIG, config_path, error);
  if (code)
    os_profiles_free(profiles);
  else
    *out = profiles;
  return code;
}

void os_profiles_free(struct os_profiles *profiles) {
  if (!profiles) return;
  for (int i = 0; i < 2; i++) {
    os_ini_free(profiles->files[i]);
    os_free(profiles->paths[i]);
    os_free(profiles->folders[i]);
  }
  os_free(profiles);
}

const char *os_profiles_path(const struct os_profiles *profiles, enum os_profile_file file) {
  return profiles->paths[file];
}

const char *os_profiles_shown(const struct os_profiles *profiles, enum os_profile_file file) {
  const char *usual = file == OS_PROFILE_CONFIG ? "~/.aws/config" : "~/.aws/credentials";
  if (profiles->folders[file]) return profiles->folders[file];
  return profiles->paths[file] ? profiles->paths[file] : usual;
}

/* "kind name" as a section's title; false: no section can have so long a one. */
static bool make_title(char out[TITLE], const char *kind, const char *name) {
  int len = snprintf(out, TITLE, "%s %s", kind, name);
  return len > 0 && len < TITLE;
}

static const char *config_key(const struct os_profiles *profiles, const char *kind, const char *name,
                              const char *key, const char *inner) {
  char title[TITLE];
  return make_title(title, kind, name) ? os_ini_get(profiles->files[OS_PROFILE_CONFIG], title, key, inner)
                                       : NULL;
}

static bool config_has(const struct os_profiles *profiles, const char *kind, const char *name) {
  char title[TITLE];
  return make_title(title, kind, name) && os_ini_has(profiles->files[OS_PROFILE_CONFIG], title);
}

/* [profile default] hides [default] as a whole. */
static bool is_plain_default(const struct os_profiles *profiles, const char *profile) {
  return strcmp(profile, "default") == 0 && !config_has(profiles, "profile", profile);
}

bool os_profiles_has(const struct os_profiles *profiles, const char *profile) {
  if (os_ini_has(profiles->files[OS_PROFILE_CREDENTIALS], profile)) return true;
  if (is_plain_default(profiles, profile)) return os_ini_has(profiles->files[OS_PROFILE_CONFIG], profile);
  return config_has(profiles, "profile", profile);
}

bool os_profiles_has_bare(const struct os_profiles *profiles, const char *profile) {
  return os_ini_has(profiles->files[OS_PROFILE_CONFIG], profile);
}

const char *os_profiles_in(const struct os_profiles *profiles, enum os_profile_file file, const char *profile,
                           const char *key) {
  if (file == OS_PROFILE_CREDENTIALS || is_plain_default(profiles, profile))
    return os_ini_get(profiles->files[file], profile, key, NULL);
  return config_key(profiles, "profile", profile, key, NULL);
}

const char *os_profiles_get(const struct os_profiles *profiles, const char *profile, const char *key) {
  const char *value = os_profiles_in(profiles, OS_PROFILE_CREDENTIALS, profile, key);
  return value ? value : os_profiles_in(profiles, OS_PROFILE_CONFIG, profile, key);
}

bool os_profiles_has_session(const struct os_profiles *profiles, const char *session) {
  return config_has(profiles, "sso-session", session);
}

const char *os_profiles_session(const struct os_profiles *profiles, const char *session, const char *key) {
  return config_key(profiles, "sso-session", session, key, NULL);
}

const char *os_profiles_service(const struct os_profiles *profiles, const char *services, const char *service,
                                const char *key) {
  return config_key(profiles, "services", services, service, key);
}
