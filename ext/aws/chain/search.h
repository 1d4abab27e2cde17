/* search.h - what a search for keys knows while it goes along the chain. Inside aws/ only. Keeper's thread.
*/
#ifndef OS_AWS_CHAIN_SEARCH_H
#define OS_AWS_CHAIN_SEARCH_H
#include "aws/chain/addresses.h"
#include "aws/chain/instance.h"
#include "aws/chain/profile.h"
#include "aws/chain/source.h"
#include "aws/chain/sts.h"
#include "base/buffer.h"

struct os_search {
  struct os_settings *settings;
  const char *profile; /* its name; it need not be there */
  bool profile_given;  /* by an option or os_config(): variables with keys are passed over */
  const char *home;    /* the user's folder, or NULL */
  struct os_profiles *profiles;
  struct os_addresses addresses;
  char *sts_url, *sts_region, *session_name;
  bool session_named;     /* by AWS_ROLE_SESSION_NAME */
  const char *env_role;   /* AWS_ROLE_ARN of the environment or .env, or NULL */
  const char *given_role; /* of an option or os_config(), or NULL */
  const char *token_role; /* what the token that was found is for; NULL: none was */
  struct os_buf tried;    /* what gave nothing and why, for people: ", "-separated */
};

/* from_profile.c: the role that a profile assumes; *out is NULL when it has none. Loops, and whatever is
** missing, are errors. */
int os_search_profile_role(const struct os_search *search, struct os_source **out, struct os_error *error);
/* The role that the token of a web identity is for, and the name of its session: per key the environment
** before the profile, unless that was given. NULL: no role is named. */
const char *os_search_token_role(const struct os_search *search, const char *profile);
int os_search_token_session(const struct os_search *search, const char *profile, const char **out,
                            struct os_error *error);
/* The config file has [NAME], where only [profile NAME] counts: say so. False: it has not. */
bool os_search_advise_bare(const struct os_search *search, const char *profile, struct os_error *error);
/* Everything else a profile can have; *out is NULL when it has nothing. */
int os_search_profile(const struct os_search *search, const char *profile, struct os_source **out,
                      struct os_error *error);
/* A role as this search assumes it; session_name NULL: the search's. */
struct os_role os_search_role(const struct os_search *search, const char *arn, const char *where);
/* from_instance.c: where the instance's service is; url NULL: switched off. */
int os_search_instance(const struct os_search *search, struct os_instance *out, struct os_error *error);
/* file_keys.c: keys that stand in a file of profiles; *out is NULL when there are none. */
int os_search_file_keys(const struct os_search *search, const char *profile, enum os_profile_file file,
                        struct os_source **out, struct os_error *error);
/* from_sso.c: of a login; *out is NULL when the profile has none. */
int os_search_sso(const struct os_search *search, const char *profile, struct os_source **out,
                  struct os_error *error);
bool os_search_sso_lacks(const struct os_search *search, const char *profile);
int os_search_login(const struct os_search *search, const char *profile, struct os_source **out,
                    struct os_error *error);
/* last.c: the end of the chain: the instance (NULL: switched off; taken over), and an error that names
** all that was tried. */
int os_search_last(const struct os_search *search, struct os_source *instance, struct os_source **out,
                   struct os_error *error);
#endif
