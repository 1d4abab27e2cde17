/* file_keys.c - keys that stand in a file of profiles.
**
** Calls base and profile. The file is read anew at each fetch: when a server calls the keys expired,
** whoever put them there may have put others since.
*/
#include "aws/chain/search.h"
#include "base/alloc.h"

struct file_keys {
  struct os_source base;
  char *profile, *path, *origin;
  enum os_profile_file file;
};

static const char *const key_names[] = {"aws_access_key_id", "aws_secret_access_key"};

static int fail_half(const char *profile, const char *path, bool has_id, struct os_error *error) {
  os_fail(error, OS_ERR_ARGUMENT, "profile '%s' in %s has %s, but no %s", profile, path, key_names[!has_id],
          key_names[has_id]);
  return os_advise(error, "write both into the profile, or neither");
}

/* *out is NULL when neither key is there. */
static int read_keys(const struct os_profiles *profiles, const char *profile, enum os_profile_file file,
                     const char *origin, struct os_aws_keys **out, struct os_error *error) {
  const char *id = os_profiles_in(profiles, file, profile, key_names[0]);
  const char *secret = os_profiles_in(profiles, file, profile, key_names[1]);
  const char *token = os_profiles_in(profiles, file, profile, "aws_session_token");
  if (!token) token = os_profiles_in(profiles, file, profile, "aws_security_token");
  *out = NULL;
  if (!id && !secret) return OS_OK;
  if (!id || !secret) return fail_half(profile, os_profiles_path(profiles, file), id != NULL, error);
  struct os_aws_keys what = {.access_key_id = (char *)id,
                             .secret_access_key = (char *)secret,
                             .session_token = (char *)token,
                             .origin = (char *)origin};
  return os_aws_keys_new(out, &what, error);
}

static int fetch_keys(struct os_source *base, struct os_fetch *fetch, struct os_aws_keys **out,
                      struct os_error *error) {
  const struct file_keys *it = (struct file_keys *)(void *)base;
  const char *paths[2] = {NULL, NULL};
  struct os_profiles *profiles;
  (void)fetch;
  *out = NULL;
  paths[it->file] = it->path;
  int code = os_profiles_read(&profiles, paths[OS_PROFILE_CREDENTIALS], paths[OS_PROFILE_CONFIG], error);
  if (code) return code;
  code = read_keys(profiles, it->profile, it->file, it->origin, out, error);
  if (!code && !*out) {
    code = os_fail(error, OS_ERR_AUTH, "%s has no keys any more", it->origin);
    os_advise(error, "put them there again, or SELECT os_config('AWS_PROFILE', …) with another");
  }
  os_profiles_free(profiles);
  return code;
}

static void free_it(struct os_source *base) {
  struct file_keys *it = (struct file_keys *)(void *)base;
  os_free(it->profile);
  os_free(it->path);
  os_free(it->origin);
  os_free(it);
}

int os_search_file_keys(const struct os_search *search, const char *profile, enum os_profile_file file,
                        struct os_source **out, struct os_error *error) {
  static const struct os_source_class class = {.fetch = fetch_keys, .free = free_it};
  const char *path = os_profiles_path(search->profiles, file);
  struct os_aws_keys *now = NULL;
  char *origin = os_mprintf("profile '%s' in %s", profile, path ? path : "no file");
  *out = NULL;
  int code = origin ? read_keys(search->profiles, profile, file, origin, &now, error) : os_fail_nomem(error);
  if (code || !now) {
    os_free(origin);
    return code;
  }
  os_aws_keys_unref(now);
  struct file_keys *it = os_calloc(1, sizeof *it);
  if (!it) {
    os_free(origin);
    return os_fail_nomem(error);
  }
  it->base.does = &class;
  it->file = file;
  it->origin = origin;
  it->profile = os_strdup(profile);
  it->path = os_strdup(path);
  if (!it->profile || !it->path) {
    free_it(&it->base);
    return os_fail_nomem(error);
  }
  *out = &it->base;
  return OS_OK;
}
