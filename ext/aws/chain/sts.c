/* sts.c - roles, assumed with keys or with the token of a web identity.
**
** Calls base, config, net, fetch, the signer and the reader of XML. Owns copies of what it was told, and
** the source of the keys that sign.
*/
#include "aws/chain/sts.h"
#include <string.h>
#include "aws/chain/fetch.h"
#include "aws/service.h"
#include "aws/xml.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "config/secret.h"
#include "config/small_file.h"

static const double TIMEOUT_S = 20, NOTED_SKEW_S = 60;
enum { TRIES = 3, COPIES = 7, LARGEST_TOKEN = 64 * 1024 };

struct role {
  struct os_source base;
  struct os_role it;
  struct os_source *with; /* NULL: the token of a web identity */
  char *token_file;
  char *copies[COPIES];
  char *origin;
};

/* ---- the answer ---- */

struct reply {
  char *id, *secret, *token, *expiration;
  bool no_memory;
};

static int take_element(void *ctx, const char *path, const char *text, size_t len) {
  struct reply *reply = ctx;
  const struct {
    const char *end;
    char **to;
  } wanted[] = {
      {"/Credentials/AccessKeyId", &reply->id},
      {"/Credentials/SecretAccessKey", &reply->secret},
      {"/Credentials/SessionToken", &reply->token},
      {"/Credentials/Expiration", &reply->expiration},
  };
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    if (!os_has_suffix(path, wanted[i].end, false) || *wanted[i].to) continue;
    *wanted[i].to = os_strndup(text, len);
    reply->no_memory = reply->no_memory || !*wanted[i].to;
  }
  return reply->no_memory ? OS_ERR_NOMEM : OS_OK;
}

static void free_reply(struct reply *reply) {
  os_secret_free(reply->secret);
  os_secret_free(reply->token);
  os_free(reply->id);
  os_free(reply->expiration);
}

int os_sts_read(struct os_aws_keys **out, const char *xml, size_t len, double ahead, const char *origin,
                struct os_error *error) {
  struct reply reply = {.id = NULL};
  *out = NULL;
  int code = os_xml_read(xml, len, take_element, &reply, error);
  struct os_aws_keys what = {.access_key_id = reply.id,
                             .secret_access_key = reply.secret,
                             .session_token = reply.token,
                             .origin = (char *)origin};
  if (reply.no_memory) {
    code = os_fail_nomem(error);
  } else if (code || !reply.id || !reply.secret || !reply.token || !reply.expiration ||
             !os_aws_time(reply.expiration, &what.expires)) {
    code = os_fail(error, OS_ERR_ANSWER, "%s: STS gave an answer without keys in it", origin);
    os_advise(error, "check AWS_ENDPOINT_URL_STS: is it the Security Token Service?");
  } else {
    what.expires -= ahead;
    code = os_aws_keys_new(out, &what, error);
  }
  free_reply(&reply);
  return code;
}

static int fail_refused(const struct role *role, const struct os_http_call *call, struct os_error *error) {
  struct os_aws_fault fault;
  os_aws_fault_read(call, &fault);
  const char *code = fault.code[0] ? fault.code : "no reason that can be read";
  enum os_code kind = call->status >= 500   ? OS_ERR_NETWORK
                      : call->status == 403 ? OS_ERR_FORBIDDEN
                                            : OS_ERR_AUTH;
  os_fail(error, kind, "%s: STS answered %d (%s): %s", role->origin, call->status, code,
          fault.message[0] ? fault.message : "nothing more");
  if (error) error->http_status = call->status;
  if (strcmp(code, "SignatureDoesNotMatch") == 0 || strcmp(code, "InvalidClientTokenId") == 0)
    os_advise(error, "the keys that ask are wrong: check access key id, secret access key and session token");
  else if (call->status >= 500)
    os_advise(error,
              "it is busy or out of order: try again later, and check AWS_ENDPOINT_URL_STS where it is set");
  else if (role->token_file)
    os_advise(error, "the role must trust the issuer of the token in '%s', and the token must be of now",
              role->token_file);
  else if (kind == OS_ERR_FORBIDDEN)
    os_advise(error, "the keys that ask need sts:AssumeRole on it, and its trust policy must name them");
  return (int)kind;
}

/* ---- the request ---- */

static void put_parameter(struct os_buf *body, const char *name, const char *value) {
  if (!value) return;
  os_buf_printf(body, "&%s=", name);
  os_url_encode(body, value, strlen(value));
}

static void compose(const struct role *role, const char *token, struct os_buf *body) {
  os_buf_printf(body, "Action=%s&Version=2011-06-15", token ? "AssumeRoleWithWebIdentity" : "AssumeRole");
  put_parameter(body, "RoleArn", role->it.arn);
  put_parameter(body, "RoleSessionName", role->it.session_name);
  put_parameter(body, "ExternalId", token ? NULL : role->it.external_id);
  if (role->it.duration) os_buf_printf(body, "&DurationSeconds=%d", role->it.duration);
  put_parameter(body, "WebIdentityToken", token);
}

static double seconds_ahead(const struct os_http_call *call) {
  double ahead = call->date > 0 ? call->date - os_clock_unix() : 0;
  return ahead > NOTED_SKEW_S || ahead < -NOTED_SKEW_S ? ahead : 0;
}

static int post(const struct role *role, struct os_fetch *fetch, const char *body, struct os_signer *signer,
                struct os_aws_keys **out, struct os_error *error) {
  struct os_http_call call;
  struct os_fetch_request request = {.method = "POST",
                                     .url = role->it.url,
                                     .path = "/",
                                     .body = body,
                                     .content_type = "application/x-www-form-urlencoded; charset=utf-8",
                                     .setting = "AWS_ENDPOINT_URL_STS",
                                     .ca_bundle = role->it.ca_bundle,
                                     .signer = signer,
                                     .timeout = TIMEOUT_S,
                                     .tries = TRIES};
  int code = os_fetch_http(fetch, &request, &call, error);
  if (code)
    os_error_prefix(error, "%s: asking STS", role->origin);
  else if (call.status != 200)
    code = fail_refused(role, &call, error);
  else
    code = os_sts_read(out, call.answer.data, call.answer.len, seconds_ahead(&call), role->origin, error);
  os_fetch_done(&call);
  if (code && error && signer) signer->does->redact(signer, error->text);
  return code;
}

/* ---- with keys ---- */

static int sign_with(const struct role *role, const struct os_aws_keys *keys, struct os_signer **out,
                     struct os_error *error) {
  struct os_credentials *fixed = NULL;
  int code =
      os_credentials_fixed(&fixed, keys->access_key_id, keys->secret_access_key, keys->session_token, error);
  if (!code) code = os_aws_signer_new(out, OS_AWS_STS, role->it.region, fixed, error);
  os_credentials_unref(fixed);
  return code;
}

static int fetch_with_keys(struct os_source *base, struct os_fetch *fetch, struct os_aws_keys **out,
                           struct os_error *error) {
  const struct role *role = (struct role *)(void *)base;
  struct os_aws_keys *keys = NULL;
  struct os_signer *signer = NULL;
  struct os_buf body;
  *out = NULL;
  os_buf_init(&body, 0);
  int code = role->with->does->fetch(role->with, fetch, &keys, error);
  if (code) return os_error_prefix(error, "%s: the keys to assume it with", role->origin);
  compose(role, NULL, &body);
  code = body.failed ? os_fail_nomem(error) : sign_with(role, keys, &signer, error);
  if (!code) code = post(role, fetch, body.data, signer, out, error);
  os_signer_unref(signer);
  os_aws_keys_unref(keys);
  os_buf_free(&body);
  return code;
}

/* ---- with a token ---- */

static int read_token(const struct role *role, struct os_small_file *file, struct os_error *error) {
  int code = os_small_file_read(role->token_file, LARGEST_TOKEN, role->origin, file, error);
  if (code) return code;
  while (file->len && (file->text[file->len - 1] == '\n' || file->text[file->len - 1] == '\r'))
    file->text[--file->len] = '\0';
  if (file->len) return OS_OK;
  os_fail(error, OS_ERR_IO, "%s: the token's file '%s' %s", role->origin, role->token_file,
          file->text ? "is empty" : "is not there");
  return os_advise(error, "AWS_WEB_IDENTITY_TOKEN_FILE, or web_identity_token_file of the profile, names it");
}

static int fetch_with_token(struct os_source *base, struct os_fetch *fetch, struct os_aws_keys **out,
                            struct os_error *error) {
  const struct role *role = (struct role *)(void *)base;
  struct os_small_file file = {.text = NULL};
  struct os_buf body;
  *out = NULL;
  os_buf_init(&body, 0);
  int code = read_token(role, &file, error);
  if (!code) {
    os_buf_reserve(&body, 3 * file.len + 4096); /* at once, so that no copy is left behind unwiped */
    compose(role, file.text, &body);
    code = body.failed ? os_fail_nomem(error) : post(role, fetch, body.data, NULL, out, error);
    if (code && error) os_redact(error->text, file.text);
  }
  if (body.data) explicit_bzero(body.data, body.len);
  os_buf_free(&body);
  os_small_file_free(&file);
  return code;
}

/* ---- life ---- */

static void free_role(struct os_source *base) {
  struct role *role = (struct role *)(void *)base;
  os_source_free(role->with);
  for (int i = 0; i < COPIES; i++)
    os_free(role->copies[i]);
  os_free(role->token_file);
  os_free(role->origin);
  os_free(role);
}

/* NULL: no memory. */
static struct role *make(const struct os_role *it, const struct os_source_class *does) {
  struct role *role = os_calloc(1, sizeof *role);
  if (!role) return NULL;
  role->base.does = does;
  role->it = *it;
  const char **texts[COPIES] = {&role->it.arn,  &role->it.session_name, &role->it.external_id,
                                &role->it.url,  &role->it.region,       &role->it.ca_bundle,
                                &role->it.where};
  bool kept = true;
  for (int i = 0; i < COPIES; i++) {
    role->copies[i] = os_strdup(*texts[i]);
    kept = kept && (role->copies[i] || !*texts[i]);
    *texts[i] = role->copies[i];
  }
  role->origin = os_mprintf("role %s (%s)", it->arn, it->where);
  if (kept && role->origin) return role;
  free_role(&role->base);
  return NULL;
}

int os_role_source(struct os_source **out, const struct os_role *it, struct os_source *base,
                   struct os_error *error) {
  static const struct os_source_class class = {.fetch = fetch_with_keys, .free = free_role};
  struct role *role = make(it, &class);
  *out = NULL;
  if (!role) {
    os_source_free(base);
    return os_fail_nomem(error);
  }
  role->with = base;
  *out = &role->base;
  return OS_OK;
}

int os_web_identity_source(struct os_source **out, const struct os_role *it, const char *token_file,
                           struct os_error *error) {
  static const struct os_source_class class = {.fetch = fetch_with_token, .free = free_role};
  struct role *role = make(it, &class);
  *out = NULL;
  if (!role) return os_fail_nomem(error);
  role->token_file = os_strdup(token_file);
  if (!role->token_file) {
    free_role(&role->base);
    return os_fail_nomem(error);
  }
  *out = &role->base;
  return OS_OK;
}
