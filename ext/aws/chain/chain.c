/* chain.c - the order in which keys are looked for ("Standardized credential providers", AWS SDKs and
** Tools Reference Guide; where the tools differ, botocore's).
**
** Calls base, config and the sources beside it. Keys, region, profile and role may stand in .env too;
** everything that names a file, a program or an address to get keys from is taken from the environment
** of the process alone, because a .env in a folder may be somebody else's.
*/
#include "aws/chain/chain.h"
#include <stdlib.h>
#include <string.h>
#include "aws/chain/container.h"
#include "aws/chain/environment.h"
#include "aws/chain/search.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"

#define TOKEN_FILE "AWS_WEB_IDENTITY_TOKEN_FILE"

static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

/* ---- what is known before the search ---- */

/* A connection that is silent hands on the setting: the very same text, which is no choice of its own. */
static struct os_credentials_choice own_choice(const struct os_settings *settings,
                                               const struct os_credentials_choice *choice) {
  struct os_credentials_choice own = {.profile = NULL};
  if (choice) own = *choice;
  if (own.profile == os_settings_get(settings, OS_SET_AWS_PROFILE)) own.profile = NULL;
  if (own.role_arn == os_settings_get(settings, OS_SET_AWS_ROLE_ARN)) own.role_arn = NULL;
  return own;
}

static void choose_profile(struct os_search *search, const struct os_credentials_choice *choice) {
  const char *setting = os_settings_get(search->settings, OS_SET_AWS_PROFILE);
  bool session = strcmp(os_settings_source(search->settings, OS_SET_AWS_PROFILE), "session") == 0;
  const char *chosen = choice->profile ? choice->profile : setting;
  search->profile = chosen ? chosen : "default";
  search->profile_given = choice->profile || (setting && session);
}

static void choose_role(struct os_search *search, const struct os_credentials_choice *choice) {
  const char *setting = os_settings_get(search->settings, OS_SET_AWS_ROLE_ARN);
  bool session = strcmp(os_settings_source(search->settings, OS_SET_AWS_ROLE_ARN), "session") == 0;
  search->env_role = variable("AWS_ROLE_ARN");
  if (!search->env_role && !session) search->env_role = setting;
  search->given_role = session ? setting : choice->role_arn;
}

/* A path out of a variable, "~" being the user's folder, or the usual one below it. */
static char *file_path(const struct os_search *search, const char *name, const char *usual) {
  const char *given = variable(name);
  if (given && (given[0] != '~' || given[1] != '/' || !search->home)) return os_strdup(given);
  if (!given && !search->home) return NULL;
  return given ? os_mprintf("%s%s", search->home, given + 1) : os_mprintf("%s/.aws/%s", search->home, usual);
}

static int fail_no_profile(const struct os_search *search, struct os_error *error) {
  os_fail(error, OS_ERR_ARGUMENT, "there is no profile '%.100s' in %s or %s", search->profile,
          os_profiles_shown(search->profiles, OS_PROFILE_CONFIG),
          os_profiles_shown(search->profiles, OS_PROFILE_CREDENTIALS));
  if (os_search_advise_bare(search, search->profile, error)) return OS_ERR_ARGUMENT;
  return os_advise(error, "correct AWS_PROFILE, or make the profile: aws configure --profile %.100s",
                   search->profile);
}

static int read_profiles(struct os_search *search, struct os_error *error) {
  char *credentials = file_path(search, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
  char *config = file_path(search, "AWS_CONFIG_FILE", "config");
  bool complete = (credentials && config) || !search->home;
  int code =
      complete ? os_profiles_read(&search->profiles, credentials, config, error) : os_fail_nomem(error);
  os_free(credentials);
  os_free(config);
  if (code || strcmp(search->profile, "default") == 0 || os_profiles_has(search->profiles, search->profile))
    return code;
  return fail_no_profile(search, error);
}

static int name_session(struct os_search *search, struct os_error *error) {
  const char *given = variable("AWS_ROLE_SESSION_NAME");
  search->session_name =
      given ? os_strdup(given) : os_mprintf("sqlite-opensearch-%ld", (long)os_clock_unix());
  search->session_named = given != NULL;
  return search->session_name ? OS_OK : os_fail_nomem(error);
}

static int find_sts(struct os_search *search, struct os_error *error) {
  const char *kind = variable("AWS_STS_REGIONAL_ENDPOINTS");
  if (!kind) kind = os_profiles_get(search->profiles, search->profile, "sts_regional_endpoints");
  bool legacy = kind && os_strcasecmp(kind, "legacy") == 0;
  return os_addresses_sts(&search->addresses, legacy, &search->sts_url, &search->sts_region, error);
}

static int begin(struct os_search *search, const struct os_credentials_choice *choice,
                 struct os_error *error) {
  choose_profile(search, choice);
  choose_role(search, choice);
  search->home = variable("HOME");
  os_buf_init(&search->tried, 0);
  int code = read_profiles(search, error);
  if (!code)
    code = os_addresses_find(&search->addresses, search->settings, search->profiles, search->profile,
                             choice->region, error);
  if (!code) code = find_sts(search, error);
  if (!code) code = name_session(search, error);
  return code;
}

static void end(struct os_search *search) {
  os_profiles_free(search->profiles);
  os_addresses_clear(&search->addresses);
  os_free(search->sts_url);
  os_free(search->sts_region);
  os_free(search->session_name);
  os_buf_free(&search->tried);
}

/* ---- the places, in their order ---- */

static int from_environment(struct os_search *search, struct os_source **out, struct os_error *error) {
  if (search->profile_given) {
    os_buf_puts(&search->tried, "the environment (passed over, because a profile was given)");
    return OS_OK;
  }
  os_buf_puts(&search->tried, "the environment (AWS_ACCESS_KEY_ID is not set)");
  return os_environment_source(out, search->settings, error);
}

static int from_web_identity(struct os_search *search, struct os_source **out, struct os_error *error) {
  const char *file = variable(TOKEN_FILE);
  if (!file || search->profile_given) {
    os_buf_printf(&search->tried, ", a web identity (" TOKEN_FILE " is %s)",
                  file ? "passed over too" : "not set");
    return OS_OK;
  }
  search->token_role = os_search_token_role(search, search->profile);
  struct os_role role = os_search_role(search, search->token_role, TOKEN_FILE);
  int code = os_search_token_session(search, search->profile, &role.session_name, error);
  if (code) return code;
  if (role.arn) return os_web_identity_source(out, &role, file, error);
  os_fail(error, OS_ERR_ARGUMENT, TOKEN_FILE " is set, but AWS_ROLE_ARN is not");
  return os_advise(error, "set it to the role that the token is for, or unset " TOKEN_FILE);
}

static int from_profile(struct os_search *search, struct os_source **out, struct os_error *error) {
  int code = os_search_profile(search, search->profile, out, error);
  if (os_profiles_get(search->profiles, search->profile, "web_identity_token_file"))
    search->token_role = os_search_token_role(search, search->profile);
  bool there = os_profiles_has(search->profiles, search->profile);
  bool lacks = os_search_sso_lacks(search, search->profile);
  os_buf_printf(&search->tried, ", profile '%s' (%s %s or %s%s)", search->profile,
                there ? "no keys, role or login in" : "not in",
                os_profiles_shown(search->profiles, OS_PROFILE_CREDENTIALS),
                os_profiles_shown(search->profiles, OS_PROFILE_CONFIG),
                lacks ? "; its login lacks sso_account_id and sso_role_name" : "");
  return code;
}

static int from_container(struct os_search *search, struct os_source **out, struct os_error *error) {
  os_buf_puts(&search->tried, ", the container (AWS_CONTAINER_CREDENTIALS_… is not set)");
  return os_container_source(out, search->addresses.ca_bundle, error);
}

static int from_instance(struct os_search *search, struct os_source **out, struct os_error *error) {
  struct os_instance instance;
  struct os_source *source = NULL;
  int code = os_search_instance(search, &instance, error);
  if (!code && instance.url) code = os_instance_source(&source, &instance, error);
  if (!code && search->tried.failed) {
    os_source_free(source);
    code = os_fail_nomem(error);
  }
  return code ? code : os_search_last(search, source, out, error);
}

static int find_source(struct os_search *search, struct os_source **out, struct os_error *error) {
  *out = NULL;
  int code = from_environment(search, out, error);
  if (!code && !*out) code = os_search_profile_role(search, out, error);
  if (!code && !*out) code = from_web_identity(search, out, error);
  if (!code && !*out) code = from_profile(search, out, error);
  if (!code && !*out) code = from_container(search, out, error);
  if (!code && !*out) code = from_instance(search, out, error);
  return code;
}

/* AWS_ROLE_ARN is assumed on top of whatever was found. Beside a token's file it says what that token is
** for, unless it was given to this session. */
static int put_role_on_top(struct os_search *search, const struct os_credentials_choice *choice,
                           struct os_source **source, struct os_error *error) {
  const char *setting = os_settings_get(search->settings, OS_SET_AWS_ROLE_ARN);
  bool session = strcmp(os_settings_source(search->settings, OS_SET_AWS_ROLE_ARN), "session") == 0;
  bool chosen = choice->role_arn != NULL;
  const char *arn = chosen ? choice->role_arn : setting;
  bool token = variable(TOKEN_FILE) || (search->token_role && !search->profile_given);
  if (!arn || (token && !chosen && !session)) return OS_OK;
  if (search->token_role && strcmp(arn, search->token_role) == 0) return OS_OK;
  struct os_role role = os_search_role(search, arn, chosen ? "the connection's role" : "AWS_ROLE_ARN");
  struct os_source *base = *source;
  *source = NULL;
  return os_role_source(source, &role, base, error);
}

int os_chain_find(struct os_chain *out, struct os_settings *settings,
                  const struct os_credentials_choice *choice, struct os_error *error) {
  struct os_search search = {.settings = settings};
  const struct os_credentials_choice own = own_choice(settings, choice);
  memset(out, 0, sizeof *out);
  int code = begin(&search, &own, error);
  if (!code) code = find_source(&search, &out->source, error);
  if (!code) code = put_role_on_top(&search, &own, &out->source, error);
  if (!code) code = os_search_instance(&search, &out->instance, error);
  if (!code) {
    out->addresses = search.addresses;
    memset(&search.addresses, 0, sizeof search.addresses);
  }
  end(&search);
  if (code) os_chain_free(out);
  return code;
}

void os_chain_free(struct os_chain *chain) {
  os_source_free(chain->source);
  os_addresses_clear(&chain->addresses);
  os_instance_clear(&chain->instance);
  memset(chain, 0, sizeof *chain);
}
