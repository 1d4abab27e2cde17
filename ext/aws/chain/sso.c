/* sso.c - a token from the cache of `aws sso login`, renewed when it is about to end, against keys of a
** role.
**
** Calls base, config, net, fetch and token_file. Owns copies of what it was told.
*/
#include "aws/chain/sso.h"
#include <string.h>
#include "aws/chain/fetch.h"
#include "aws/chain/token_file.h"
#include "base/alloc.h"
#include "base/clock.h"

static const double TIMEOUT_S = 10, RENEW_S = 900;
enum { TRIES = 3, COPIES = 8 };

struct sso {
  struct os_source base;
  struct os_sso it;
  char *copies[COPIES];
};

static double time_of(const json_t *token, const char *member) {
  double when = 0;
  os_aws_time(os_json_string(token, member, ""), &when);
  return when;
}

static int fail_login(const struct sso *sso, const char *why, struct os_error *error) {
  os_fail(error, OS_ERR_AUTH, "%s: %s", sso->it.origin, why);
  return os_advise(error, "log in: %s", sso->it.login);
}

/* {"grantType":"refresh_token",…} as text; os_free() it. */
static char *renewal_body(const json_t *token) {
  json_t *body = json_object();
  bool made = body && os_json_put(body, "grantType", json_string("refresh_token"));
  static const char *const members[] = {"clientId", "clientSecret", "refreshToken"};
  for (size_t i = 0; made && i < 3; i++)
    made = os_json_put(body, members[i], json_string(os_json_string(token, members[i], "")));
  char *text = made ? os_json_text(body) : NULL;
  json_decref(body);
  return text;
}

/* The members that an answer changes; the others stay as `aws sso login` wrote them. */
static bool take_renewal(json_t *token, const json_t *answer) {
  char when[OS_TIME_TEXT];
  const char *access = os_json_string(answer, "accessToken", NULL),
             *refresh = os_json_string(answer, "refreshToken", NULL);
  double life = os_json_real(answer, "expiresIn", 0);
  if (!access || life <= 0) return false;
  os_clock_iso(os_clock_unix() + life, when);
  memcpy(strchr(when, '.'), "Z", 2); /* whole seconds, as others write it */
  bool taken = os_json_put(token, "accessToken", json_string(access)) &&
               os_json_put(token, "expiresAt", json_string(when));
  if (refresh) taken = taken && os_json_put(token, "refreshToken", json_string(refresh));
  return taken;
}

/* A new token, also into the file. That fails without harm as long as the old one is good. */
static int renew(const struct sso *sso, struct os_fetch *fetch, json_t *token, struct os_error *error) {
  struct os_http_call call;
  char *body = renewal_body(token);
  if (!body) return os_fail_nomem(error);
  struct os_fetch_request request = {.method = "POST",
                                     .url = sso->it.oidc_url,
                                     .path = "/token",
                                     .body = body,
                                     .content_type = "application/json",
                                     .setting = "AWS_ENDPOINT_URL_SSO_OIDC",
                                     .ca_bundle = sso->it.ca_bundle,
                                     .timeout = TIMEOUT_S,
                                     .tries = 1};
  int code = os_fetch_http(fetch, &request, &call, error);
  if (!code && call.status != 200)
    code = os_fail(error, OS_ERR_AUTH, "the token was not renewed (%d)", call.status);
  json_t *answer = code ? NULL : os_fetch_json(call.answer.data, call.answer.len, "the renewal", error);
  if (!code && (!answer || !take_renewal(token, answer)))
    code = os_fail(error, OS_ERR_ANSWER, "the renewal of the token gave none");
  if (!code && os_token_file_write(sso->it.token_path, token, error) != OS_OK) {
    if (fetch->log) os_log_write(fetch->log, OS_LOG_WARNING, "%s: %s", sso->it.origin, error->text);
  }
  json_decref(answer);
  os_fetch_done(&call);
  explicit_bzero(body, strlen(body));
  os_free(body);
  return code;
}

static bool is_renewable(const struct sso *sso, const json_t *token, double now) {
  return sso->it.can_renew && os_json_string(token, "refreshToken", NULL) &&
         os_json_string(token, "clientId", NULL) && time_of(token, "registrationExpiresAt") > now;
}

/* The token that is good now; *out: a new reference. */
static int get_token(const struct sso *sso, struct os_fetch *fetch, json_t **out, struct os_error *error) {
  json_t *token = NULL;
  int code = os_token_file_read(sso->it.token_path, &token, error);
  *out = NULL;
  if (code) {
    if (code != OS_ERR_NOMEM) os_advise(error, "log in: %s", sso->it.login);
    return os_error_prefix(error, "%s", sso->it.origin);
  }
  if (!token || !os_json_string(token, "accessToken", NULL)) {
    json_decref(token);
    return fail_login(sso, "nobody has logged in", error);
  }
  double now = os_clock_unix(), ends = time_of(token, "expiresAt");
  if (ends - now < RENEW_S && is_renewable(sso, token, now))
    code = renew(sso, fetch, token, error);
  else if (ends <= now)
    code = fail_login(sso, "the login has expired", error);
  if (code && ends > now) code = OS_OK; /* not renewed, but still good */
  if (code) {
    json_decref(token);
    if (code != OS_ERR_NOMEM) os_advise(error, "log in: %s", sso->it.login);
    return os_error_prefix(error, "%s", sso->it.origin);
  }
  *out = token;
  return OS_OK;
}

static int read_keys(const struct sso *sso, const struct os_http_call *call, struct os_aws_keys **out,
                     struct os_error *error) {
  static const struct os_key_names names = {"roleCredentials/accessKeyId", "roleCredentials/secretAccessKey",
                                            "roleCredentials/sessionToken", "roleCredentials/expiration"};
  if (call->status == 401) return fail_login(sso, "the login is not valid any more", error);
  json_t *root =
      os_fetch_json(call->answer.data, call->answer.len, sso->it.origin, call->status == 200 ? error : NULL);
  int code;
  if (call->status == 200) {
    code = root ? os_keys_from_json(out, root, &names, sso->it.origin, error) : OS_ERR_ANSWER;
  } else {
    code = os_fail(error, call->status >= 500 ? OS_ERR_NETWORK : OS_ERR_FORBIDDEN,
                   "%s: the portal answered %d for role '%s' of account %s: %.200s", sso->it.origin,
                   call->status, sso->it.role_name, sso->it.account_id,
                   os_json_string(root, "message", "nothing more"));
    os_advise(error, "check sso_account_id and sso_role_name, and that this role was given to you");
  }
  json_decref(root);
  return code;
}

static char *make_path(const struct sso *sso) {
  struct os_buf path;
  os_buf_init(&path, 0);
  os_buf_puts(&path, "/federation/credentials?role_name=");
  os_url_encode(&path, sso->it.role_name, strlen(sso->it.role_name));
  os_buf_puts(&path, "&account_id=");
  os_url_encode(&path, sso->it.account_id, strlen(sso->it.account_id));
  return os_buf_take(&path);
}

static bool is_header_safe(const char *text) {
  for (; *text; text++)
    if (*text <= 0x20 || *text >= 0x7f) return false;
  return true;
}

static int fetch_keys(struct os_source *base, struct os_fetch *fetch, struct os_aws_keys **out,
                      struct os_error *error) {
  const struct sso *sso = (struct sso *)(void *)base;
  struct os_http_call call;
  json_t *token = NULL;
  *out = NULL;
  int code = get_token(sso, fetch, &token, error);
  if (code) return code;
  const char *access = os_json_string(token, "accessToken", "");
  char *header = os_mprintf("x-amz-sso_bearer_token: %s", access), *path = make_path(sso);
  const char *headers[] = {header, NULL};
  struct os_fetch_request request = {.method = "GET",
                                     .url = sso->it.portal_url,
                                     .path = path,
                                     .headers = headers,
                                     .setting = "AWS_ENDPOINT_URL_SSO",
                                     .ca_bundle = sso->it.ca_bundle,
                                     .timeout = TIMEOUT_S,
                                     .tries = TRIES};
  if (!header || !path) {
    code = os_fail_nomem(error);
  } else if (!is_header_safe(access)) {
    code = fail_login(sso, "the token in the cache is damaged", error);
  } else {
    code = os_fetch_http(fetch, &request, &call, error);
    if (code)
      os_error_prefix(error, "%s", sso->it.origin);
    else
      code = read_keys(sso, &call, out, error);
    os_fetch_done(&call);
  }
  if (header) explicit_bzero(header, strlen(header));
  os_free(header);
  os_free(path);
  json_decref(token);
  return code;
}

static void free_sso(struct os_source *base) {
  struct sso *sso = (struct sso *)(void *)base;
  for (int i = 0; i < COPIES; i++)
    os_free(sso->copies[i]);
  os_free(sso);
}

int os_sso_source(struct os_source **out, const struct os_sso *it, struct os_error *error) {
  static const struct os_source_class class = {.fetch = fetch_keys, .free = free_sso};
  struct sso *sso = os_calloc(1, sizeof *sso);
  *out = NULL;
  if (!sso) return os_fail_nomem(error);
  sso->base.does = &class;
  sso->it = *it;
  const char **texts[COPIES] = {&sso->it.account_id, &sso->it.role_name, &sso->it.token_path,
                                &sso->it.portal_url, &sso->it.oidc_url,  &sso->it.ca_bundle,
                                &sso->it.login,      &sso->it.origin};
  bool kept = true;
  for (int i = 0; i < COPIES; i++) {
    sso->copies[i] = os_strdup(*texts[i]);
    kept = kept && (sso->copies[i] || !*texts[i]);
    *texts[i] = sso->copies[i];
  }
  if (!kept) {
    free_sso(&sso->base);
    return os_fail_nomem(error);
  }
  *out = &sso->base;
  return OS_OK;
}
