/* from_profile.c - what a profile says about where its keys come from.
**
** Calls base, profile and the sources beside it. A role needs keys to be assumed with, which may be
** those of another profile, which may have a role itself: the profiles on the way are remembered, so
** that a loop is an error.
*/
#include "aws/chain/container.h"
#include "aws/chain/environment.h"
#include "aws/chain/process.h"
#include "aws/chain/search.h"
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/text.h"

enum { NAME = 300 };

struct visit {
  const char *profile;
  const struct visit *before;
};

static const char *get(const struct os_search *search, const char *profile, const char *key) {
  return os_profiles_get(search->profiles, profile, key);
}

/* ---- the parts of a role ---- */

struct os_role os_search_role(const struct os_search *search, const char *arn, const char *where) {
  return (struct os_role){.arn = arn,
                          .session_name = search->session_name,
                          .url = search->sts_url,
                          .region = search->sts_region,
                          .ca_bundle = search->addresses.ca_bundle,
                          .where = where};
}

/* What STS takes for one (its API reference, RoleSessionName). */
static bool is_session_name(const char *name) {
  size_t len = strlen(name);
  for (const char *at = name; *at; at++)
    if (!os_is_alpha(*at) && !os_is_digit(*at) && !strchr("_+=,.@-", *at)) return false;
  return len >= 2 && len <= 64;
}

static bool is_duration(const char *text, int64_t *seconds) {
  return !text || (os_parse_int(text, seconds) && *seconds >= 900 && *seconds <= 43200);
}

static int fail_value(const char *profile, const char *wrong, struct os_error *error) {
  os_fail(error, OS_ERR_ARGUMENT, "profile '%s': %s", profile, wrong);
  return os_advise(error, "correct it in the profile");
}

/* The profile's own name for the session; *out stays as it is where there is none. */
static int read_session_name(const struct os_search *search, const char *profile, const char **out,
                             struct os_error *error) {
  const char *name = get(search, profile, "role_session_name");
  if (name && !is_session_name(name))
    return fail_value(profile, "role_session_name is not 2 to 64 letters, digits or _+=,.@-", error);
  if (name) *out = name;
  return OS_OK;
}

/* Fills all but arn and session_name. */
static int read_role(const struct os_search *search, const char *profile, struct os_role *out,
                     struct os_error *error) {
  const char *duration = get(search, profile, "duration_seconds");
  int64_t seconds = 0;
  if (!os_has_prefix(out->arn, "arn:")) return fail_value(profile, "role_arn is not an ARN", error);
  if (!is_duration(duration, &seconds))
    return fail_value(profile, "duration_seconds is not a whole number from 900 to 43200", error);
  out->duration = (int)seconds;
  out->external_id = get(search, profile, "external_id");
  return OS_OK;
}

/* ---- the keys that a role is assumed with ---- */

static int fail_loop(const struct visit *visit, const char *again, struct os_error *error) {
  char way[NAME] = "";
  size_t len = 0;
  for (; visit && len < sizeof way - 80; visit = visit->before)
    len += (size_t)snprintf(way + len, sizeof way - len, "'%.30s', ", visit->profile);
  os_fail(error, OS_ERR_ARGUMENT,
          "the profiles that source_profile names go round in a circle: %sback at '%s'", way, again);
  return os_advise(error,
                   "one of them must have keys, or another way to get them, instead of a source_profile");
}

static bool has_file_keys(const struct os_search *search, const char *profile) {
  static const enum os_profile_file files[] = {OS_PROFILE_CREDENTIALS, OS_PROFILE_CONFIG};
  for (int i = 0; i < 2; i++)
    if (os_profiles_in(search->profiles, files[i], profile, "aws_access_key_id")) return true;
  return false;
}

static int role_of(const struct os_search *search, const struct visit *visit, struct os_source **out,
                   struct os_error *error);

static int from_file(const struct os_search *search, const char *profile, struct os_source **out,
                     struct os_error *error) {
  int code = os_search_file_keys(search, profile, OS_PROFILE_CREDENTIALS, out, error);
  return code || *out ? code : os_search_file_keys(search, profile, OS_PROFILE_CONFIG, out, error);
}

static bool is_on_the_way(const struct visit *visit, const char *profile) {
  for (; visit; visit = visit->before)
    if (strcmp(visit->profile, profile) == 0) return true;
  return false;
}

bool os_search_advise_bare(const struct os_search *search, const char *profile, struct os_error *error) {
  if (!os_profiles_has_bare(search->profiles, profile)) return false;
  os_advise(error,
            "write [profile %.100s] instead of [%.100s] in %s: bare names are for the file of credentials",
            profile, profile, os_profiles_shown(search->profiles, OS_PROFILE_CONFIG));
  return true;
}

static int fail_absent(const struct os_search *search, const char *profile, const char *source,
                       struct os_error *error) {
  os_fail(error, OS_ERR_ARGUMENT, "profile '%s' names '%s' as its source_profile, which does not exist",
          profile, source);
  if (os_search_advise_bare(search, source, error)) return OS_ERR_ARGUMENT;
  return os_advise(error, "correct source_profile, or make that profile: aws configure --profile %s", source);
}

static int fail_empty(const struct os_search *search, const char *profile, const char *source,
                      struct os_error *error) {
  os_fail(error, OS_ERR_ARGUMENT, "profile '%s' names '%s' as its source_profile, which has no keys%s",
          profile, source,
          os_search_sso_lacks(search, source) ? "; its login lacks sso_account_id and sso_role_name" : "");
  return os_advise(error, "put keys, a login or a credential_process into profile '%s'", source);
}

/* A profile may name itself when it has keys. */
static int base_from_profile(const struct os_search *search, const struct visit *visit, const char *source,
                             struct os_source **out, struct os_error *error) {
  bool has_role = get(search, source, "role_arn") && !get(search, source, "web_identity_token_file");
  bool has_keys = has_file_keys(search, source);
  if (!os_profiles_has(search->profiles, source)) return fail_absent(search, visit->profile, source, error);
  if (strcmp(source, visit->profile) == 0 && has_keys) return from_file(search, source, out, error);
  if (is_on_the_way(visit, source)) return fail_loop(visit, source, error);
  if (has_role && !has_keys) {
    struct visit further = {.profile = source, .before = visit};
    return role_of(search, &further, out, error);
  }
  int code = os_search_profile(search, source, out, error);
  return code || *out ? code : fail_empty(search, visit->profile, source, error);
}

static int base_from_place(const struct os_search *search, const char *profile, const char *place,
                           struct os_source **out, struct os_error *error) {
  struct os_instance instance = {.url = NULL};
  int code;
  if (strcmp(place, "Environment") == 0) {
    code = os_environment_source(out, search->settings, error);
  } else if (strcmp(place, "EcsContainer") == 0) {
    code = os_container_source(out, search->addresses.ca_bundle, error);
  } else if (strcmp(place, "Ec2InstanceMetadata") == 0) {
    code = os_search_instance(search, &instance, error);
    if (!code && instance.url) code = os_instance_source(out, &instance, error);
  } else {
    os_fail(error, OS_ERR_ARGUMENT, "profile '%s': credential_source is '%.60s'", profile, place);
    return os_advise(error, "it is one of Environment, Ec2InstanceMetadata, EcsContainer");
  }
  if (code || *out) return code;
  os_fail(error, OS_ERR_ARGUMENT,
          "profile '%s' takes its keys from credential_source = %s, where there are none", profile, place);
  return os_advise(error, "set the variables it reads, or use source_profile");
}

static int find_base(const struct os_search *search, const struct visit *visit, struct os_source **out,
                     struct os_error *error) {
  const char *profile = visit->profile;
  const char *source = get(search, profile, "source_profile"),
             *place = get(search, profile, "credential_source");
  if (!source == !place) {
    os_fail(error, OS_ERR_ARGUMENT, "profile '%s' has role_arn and %s", profile,
            source ? "both source_profile and credential_source"
                   : "neither source_profile nor credential_source");
    return os_advise(error, "one of the two says which keys the role is assumed with");
  }
  if (get(search, profile, "mfa_serial")) {
    os_fail(error, OS_ERR_ARGUMENT, "profile '%s' has mfa_serial: its role needs a code typed in by hand",
            profile);
    return os_advise(error,
                     "get keys with a tool that asks for it, and put them into the environment or a profile");
  }
  return source ? base_from_profile(search, visit, source, out, error)
                : base_from_place(search, profile, place, out, error);
}

static int role_of(const struct os_search *search, const struct visit *visit, struct os_source **out,
                   struct os_error *error) {
  char where[NAME];
  struct os_role role;
  struct os_source *base = NULL;
  snprintf(where, sizeof where, "profile '%s'", visit->profile);
  *out = NULL;
  role = os_search_role(search, get(search, visit->profile, "role_arn"), where);
  int code = read_session_name(search, visit->profile, &role.session_name, error);
  if (!code) code = read_role(search, visit->profile, &role, error);
  if (!code) code = find_base(search, visit, &base, error);
  return code ? code : os_role_source(out, &role, base, error);
}

int os_search_profile_role(const struct os_search *search, struct os_source **out, struct os_error *error) {
  struct visit visit = {.profile = search->profile};
  *out = NULL;
  if (!get(search, search->profile, "role_arn") || get(search, search->profile, "web_identity_token_file"))
    return OS_OK;
  return role_of(search, &visit, out, error);
}

/* ---- the rest ---- */

/* Do variables go with it? Not with a profile that was given, nor with one that another names. */
static bool has_variables(const struct os_search *search, const char *profile) {
  return !search->profile_given && strcmp(profile, search->profile) == 0;
}

const char *os_search_token_role(const struct os_search *search, const char *profile) {
  const char *own = get(search, profile, "role_arn");
  if (has_variables(search, profile) && search->env_role) return search->env_role;
  if (own || strcmp(profile, search->profile) != 0) return own;
  return search->given_role;
}

int os_search_token_session(const struct os_search *search, const char *profile, const char **out,
                            struct os_error *error) {
  if (has_variables(search, profile) && search->session_named) return OS_OK;
  return read_session_name(search, profile, out, error);
}

static int fail_no_role(const char *profile, struct os_error *error) {
  os_fail(error, OS_ERR_ARGUMENT, "profile '%s' has web_identity_token_file, but no role_arn", profile);
  return os_advise(error, "write the role's ARN into it: role_arn = arn:aws:iam::123456789012:role/name");
}

static int from_web_identity(const struct os_search *search, const char *profile, struct os_source **out,
                             struct os_error *error) {
  const char *file = get(search, profile, "web_identity_token_file");
  char where[NAME];
  struct os_role role;
  if (!file) return OS_OK;
  snprintf(where, sizeof where, "profile '%s'", profile);
  role = os_search_role(search, os_search_token_role(search, profile), where);
  if (!role.arn) return fail_no_role(profile, error);
  int code = os_search_token_session(search, profile, &role.session_name, error);
  if (!code) code = read_role(search, profile, &role, error);
  return code ? code : os_web_identity_source(out, &role, file, error);
}

static int from_process(const struct os_search *search, const char *profile, struct os_source **out,
                        struct os_error *error) {
  const char *command = get(search, profile, "credential_process");
  char origin[NAME];
  if (!command) return OS_OK;
  snprintf(origin, sizeof origin, "the process of profile '%s'", profile);
  return os_process_source(out, command, origin, error);
}

int os_search_profile(const struct os_search *search, const char *profile, struct os_source **out,
                      struct os_error *error) {
  *out = NULL;
  int code = from_web_identity(search, profile, out, error);
  if (!code && !*out) code = os_search_sso(search, profile, out, error);
  if (!code && !*out) code = os_search_file_keys(search, profile, OS_PROFILE_CREDENTIALS, out, error);
  if (!code && !*out) code = os_search_login(search, profile, out, error);
  if (!code && !*out) code = from_process(search, profile, out, error);
  if (!code && !*out) code = os_search_file_keys(search, profile, OS_PROFILE_CONFIG, out, error);
  return code;
}
