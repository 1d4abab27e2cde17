/* from_sso.c - logins, as profiles name them: `aws sso login` (IAM Identity Center) and `aws login`.
**
** Calls base, profile, sso, login.
*/
#include "aws/chain/login.h"
#include "aws/chain/search.h"
#include "aws/chain/sso.h"
#include "aws/chain/token_file.h"
#include "base/alloc.h"
#include <stdio.h>
#include <string.h>

enum { SSO_KEYS = 2, NAME = 300 };

/* What stands for a login: in the session that the profile names, and in the profile itself. Both must
** agree. */
static int read_both(const struct os_search *search, const char *profile, const char *session,
                     const char *key, const char **out, struct os_error *error) {
  const char *own = os_profiles_get(search->profiles, profile, key);
  const char *shared = session ? os_profiles_session(search->profiles, session, key) : NULL;
  *out = shared ? shared : own;
  if (own && shared && strcmp(own, shared) != 0) {
    os_fail(error, OS_ERR_ARGUMENT, "profile '%s' and its sso-session '%s' have different values for %s",
            profile, session, key);
    return os_advise(error, "take it out of the profile");
  }
  if (*out) return OS_OK;
  if (session)
    os_fail(error, OS_ERR_ARGUMENT, "the sso-session '%s' of profile '%s' has no %s", session, profile, key);
  else
    os_fail(error, OS_ERR_ARGUMENT, "profile '%s' has no %s", profile, key);
  return os_advise(error, "run: aws configure sso --profile %s", profile);
}

static int check_session(const struct os_search *search, const char *profile, const char *session,
                         struct os_error *error) {
  if (!session || os_profiles_has_session(search->profiles, session)) return OS_OK;
  os_fail(error, OS_ERR_ARGUMENT, "profile '%s' names the sso-session '%s', which is not in %s", profile,
          session, os_profiles_path(search->profiles, OS_PROFILE_CONFIG));
  return os_advise(error, "run: aws configure sso-session");
}

static int check_region(const char *profile, const char *region, struct os_error *error) {
  if (os_aws_is_region(region)) return OS_OK;
  os_fail(error, OS_ERR_ARGUMENT, "profile '%s': sso_region '%.60s' is not the name of a region", profile,
          region);
  return os_advise(error, "write the region of IAM Identity Center, for example sso_region = eu-west-1");
}

/* ~/.aws/FOLDER/cache/DIGEST.json */
static int make_cache_path(const struct os_search *search, const char *folder, const char *digest,
                           const char *name, char **out, struct os_error *error) {
  *out = NULL;
  if (!search->home) {
    os_fail(error, OS_ERR_ARGUMENT, "HOME is not set, and what a login left is in the folder .aws there");
    return os_advise(error, "set HOME");
  }
  char *path = os_mprintf("%s/.aws/%s/cache", search->home, folder);
  if (path) *out = os_token_file_path(path, digest, name);
  os_free(path);
  return *out ? OS_OK : os_fail_nomem(error);
}

/* A login is named, but not whose keys: perhaps meant for another tool, so no error by itself. */
bool os_search_sso_lacks(const struct os_search *search, const char *profile) {
  static const char *const login[] = {"sso_session", "sso_start_url"};
  static const char *const whose[] = {"sso_account_id", "sso_role_name"};
  bool named = false, complete = false;
  for (int i = 0; i < 2; i++) {
    named = named || os_profiles_get(search->profiles, profile, login[i]);
    complete = complete || os_profiles_get(search->profiles, profile, whose[i]);
  }
  return named && !complete;
}

int os_search_sso(const struct os_search *search, const char *profile, struct os_source **out,
                  struct os_error *error) {
  static const char *const keys[SSO_KEYS] = {"sso_account_id", "sso_role_name"};
  const char *values[SSO_KEYS], *start_url = NULL, *region = NULL, *session;
  char *token_path = NULL, *portal = NULL, *oidc = NULL, login[NAME], origin[NAME];
  *out = NULL;
  if (!os_profiles_get(search->profiles, profile, keys[0]) &&
      !os_profiles_get(search->profiles, profile, keys[1]))
    return OS_OK;
  session = os_profiles_get(search->profiles, profile, "sso_session");
  int code = check_session(search, profile, session, error);
  for (int i = 0; !code && i < SSO_KEYS; i++)
    code = read_both(search, profile, NULL, keys[i], &values[i], error);
  if (!code) code = read_both(search, profile, session, "sso_start_url", &start_url, error);
  if (!code) code = read_both(search, profile, session, "sso_region", &region, error);
  if (!code) code = check_region(profile, region, error);
  if (!code) code = make_cache_path(search, "sso", "SHA1", session ? session : start_url, &token_path, error);
  if (code) return code;
  code = os_addresses_url(&search->addresses, OS_ADDRESS_SSO, region, &portal, error);
  if (!code) code = os_addresses_url(&search->addresses, OS_ADDRESS_OIDC, region, &oidc, error);
  snprintf(login, sizeof login, "aws sso login --profile %s", profile);
  snprintf(origin, sizeof origin, "the login of profile '%s'", profile);
  struct os_sso sso = {.account_id = values[0],
                       .role_name = values[1],
                       .token_path = token_path,
                       .can_renew = session != NULL,
                       .portal_url = portal,
                       .oidc_url = oidc,
                       .ca_bundle = search->addresses.ca_bundle,
                       .login = login,
                       .origin = origin};
  if (!code) code = os_sso_source(out, &sso, error);
  os_free(token_path);
  os_free(portal);
  os_free(oidc);
  return code;
}

int os_search_login(const struct os_search *search, const char *profile, struct os_source **out,
                    struct os_error *error) {
  const char *name = os_profiles_get(search->profiles, profile, "login_session");
  char *path, login[NAME], origin[NAME];
  *out = NULL;
  if (!name) return OS_OK;
  int code = make_cache_path(search, "login", "SHA256", name, &path, error);
  if (code) return code;
  snprintf(login, sizeof login, "aws login --profile %s", profile);
  snprintf(origin, sizeof origin, "the login of profile '%s'", profile);
  code = os_login_source(out, path, login, origin, error);
  os_free(path);
  return code;
}
