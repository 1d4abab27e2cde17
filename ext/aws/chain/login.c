/* login.c - keys that `aws login` has left in its cache, as long as they are good; it renews them itself.
**
** Calls base, answer and token_file.
*/
#include "aws/chain/login.h"
#include "aws/chain/fetch.h"
#include "aws/chain/token_file.h"
#include "base/alloc.h"
#include "base/clock.h"

struct login {
  struct os_source base;
  char *path, *login, *origin;
};

static int fetch_keys(struct os_source *base, struct os_fetch *fetch, struct os_aws_keys **out,
                      struct os_error *error) {
  static const struct os_key_names names = {"accessToken/accessKeyId", "accessToken/secretAccessKey",
                                            "accessToken/sessionToken", "accessToken/expiresAt"};
  const struct login *login = (struct login *)(void *)base;
  json_t *root = NULL;
  const char *lacks = NULL;
  (void)fetch;
  *out = NULL;
  int code = os_token_file_read(login->path, &root, error);
  if (!code && root) code = os_keys_from_json(out, root, &names, login->origin, error);
  if (!code && !root) lacks = "nobody has logged in";
  if (!code && root && (*out)->expires > 0 && (*out)->expires <= os_clock_unix()) {
    lacks = "the login has expired";
    os_aws_keys_unref(*out);
    *out = NULL;
  }
  if (lacks) code = os_fail(error, OS_ERR_AUTH, "%s: %s", login->origin, lacks);
  if (code && code != OS_ERR_NOMEM) os_advise(error, "log in: %s", login->login);
  json_decref(root);
  return code;
}

static void free_login(struct os_source *base) {
  struct login *login = (struct login *)(void *)base;
  os_free(login->path);
  os_free(login->login);
  os_free(login->origin);
  os_free(login);
}

int os_login_source(struct os_source **out, const char *path, const char *login, const char *origin,
                    struct os_error *error) {
  static const struct os_source_class class = {.fetch = fetch_keys, .free = free_login};
  struct login *source = os_calloc(1, sizeof *source);
  *out = NULL;
  if (!source) return os_fail_nomem(error);
  source->base.does = &class;
  source->path = os_strdup(path);
  source->login = os_strdup(login);
  source->origin = os_strdup(origin);
  if (!source->path || !source->login || !source->origin) {
    free_login(&source->base);
    return os_fail_nomem(error);
  }
  *out = &source->base;
  return OS_OK;
}
