/* container.c - keys by URL, from the agent beside a container.
**
** Calls base, config, net and fetch. The variables are read when the source is made; the token's file at
** each fetch, because it is rotated.
*/
#include "aws/chain/container.h"
#include <stdlib.h>
#include <string.h>
#include "aws/chain/fetch.h"
#include "base/alloc.h"
#include "base/text.h"
#include "config/secret.h"
#include "config/small_file.h"

#define RELATIVE "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
#define FULL "AWS_CONTAINER_CREDENTIALS_FULL_URI"
#define TOKEN_TEXT "AWS_CONTAINER_AUTHORIZATION_TOKEN"
#define TOKEN_FILE "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"

enum { LARGEST_TOKEN = 64 * 1024, TRIES = 3 };
static const double TIMEOUT_S = 2;

struct container {
  struct os_source base;
  char *url, *path;         /* scheme://host[:port], and the rest */
  char *token, *token_file; /* either may be NULL */
  char *ca_bundle;
  const char *setting;
};

static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

static void cut_line_end(struct os_small_file *file) {
  while (file->len && (file->text[file->len - 1] == '\n' || file->text[file->len - 1] == '\r'))
    file->text[--file->len] = '\0';
}

/* "Authorization: …" for the request, or "" when there is no token. */
static int make_header(const struct container *container, struct os_buf *out, struct os_error *error) {
  struct os_small_file file = {.text = NULL};
  const char *token = container->token;
  int code = OS_OK;
  if (container->token_file) {
    code = os_small_file_read(container->token_file, LARGEST_TOKEN, TOKEN_FILE, &file, error);
    if (file.text) {
      cut_line_end(&file);
    } else if (!code) {
      code = os_fail(error, OS_ERR_IO, TOKEN_FILE ": there is no file '%s'", container->token_file);
      os_advise(error, "the container's agent should have put it there");
    }
    token = file.text;
  }
  if (!code && token && strpbrk(token, "\r\n"))
    code = os_fail(error, OS_ERR_ARGUMENT, "%s has a line break in it",
                   container->token_file ? "the file of " TOKEN_FILE : TOKEN_TEXT);
  if (!code && token) {
    os_buf_reserve(out, strlen(token) + 32); /* at once, so that no copy is left behind unwiped */
    os_buf_puts(out, "Authorization: ");
    os_buf_puts(out, token);
    if (out->failed) code = os_fail_nomem(error);
  }
  os_small_file_free(&file);
  return code;
}

static int read_answer(const struct container *container, const struct os_http_call *call,
                       struct os_aws_keys **out, struct os_error *error) {
  static const struct os_key_names names = {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"};
  static const char origin[] = "the container's agent";
  int code;
  json_t *root =
      os_fetch_json(call->answer.data, call->answer.len, origin, call->status == 200 ? error : NULL);
  if (call->status == 200) {
    code = root ? os_keys_from_json(out, root, &names, origin, error) : OS_ERR_ANSWER;
  } else {
    code = os_fail(error, call->status >= 500 ? OS_ERR_NETWORK : OS_ERR_AUTH, "%s at %s answered %d: %.200s",
                   origin, container->url, call->status, os_json_string(root, "message", "nothing more"));
    os_advise(error, "check %s and " TOKEN_TEXT, container->setting);
  }
  json_decref(root);
  return code;
}

static int fetch_keys(struct os_source *base, struct os_fetch *fetch, struct os_aws_keys **out,
                      struct os_error *error) {
  struct container *container = (struct container *)(void *)base;
  const char *headers[] = {"Accept: application/json", NULL, NULL};
  struct os_buf header;
  struct os_http_call call;
  *out = NULL;
  os_buf_init(&header, 0);
  int code = make_header(container, &header, error);
  if (!code) {
    headers[1] = header.len ? header.data : NULL;
    struct os_fetch_request request = {.method = "GET",
                                       .url = container->url,
                                       .path = container->path,
                                       .headers = headers,
                                       .setting = container->setting,
                                       .ca_bundle = container->ca_bundle,
                                       .timeout = TIMEOUT_S,
                                       .tries = TRIES,
                                       .direct = true};
    code = os_fetch_http(fetch, &request, &call, error);
    if (code)
      os_error_prefix(error, "AWS keys from the container's agent");
    else
      code = read_answer(container, &call, out, error);
    os_fetch_done(&call);
  }
  if (header.data) explicit_bzero(header.data, header.len);
  os_buf_free(&header);
  return code;
}

static void free_container(struct os_source *base) {
  struct container *container = (struct container *)(void *)base;
  os_secret_free(container->token);
  os_free(container->url);
  os_free(container->path);
  os_free(container->token_file);
  os_free(container->ca_bundle);
  os_free(container);
}

/* Over http keys are asked for on this machine alone, and at the agents' own addresses. */
static bool may_be_asked(const char *url) {
  static const char *const agents[] = {"http://169.254.170.2", "http://169.254.170.23",
                                       "http://[fd00:ec2::23]"};
  if (os_has_prefix(url, "https://")) return true;
  struct os_endpoint endpoint = {.url = (char *)url};
  if (!os_has_prefix(url, "http://")) return false;
  for (size_t i = 0; i < sizeof agents / sizeof *agents; i++) {
    size_t len = strlen(agents[i]);
    if (strncmp(url, agents[i], len) == 0 && (!url[len] || url[len] == ':')) return true;
  }
  return os_endpoint_is_loopback(&endpoint);
}

/* One of the two is given; the first holds. */
static int set_address(struct container *container, const char *relative, const char *full,
                       struct os_error *error) {
  if (relative) {
    container->setting = RELATIVE;
    container->url = os_strdup("http://169.254.170.2");
    container->path = os_mprintf("%s%s", *relative == '/' ? "" : "/", relative);
  } else {
    const char *host = strstr(full, "://"), *rest = host ? host + 3 + strcspn(host + 3, "/?") : full;
    container->setting = FULL;
    container->url = os_strndup(full, (size_t)(rest - full));
    container->path = os_mprintf("%s%s", *rest == '/' ? "" : "/", rest);
  }
  if (!container->url || !container->path) return os_fail_nomem(error);
  if (!strchr(container->url, '@') && may_be_asked(container->url)) return OS_OK;
  os_fail(error, OS_ERR_ARGUMENT, FULL ": keys are not asked for at this address");
  return os_advise(error, "it may be https, or http on this machine or at the agents of ECS and EKS "
                          "(169.254.170.2, 169.254.170.23, [fd00:ec2::23]); without user and password");
}

int os_container_source(struct os_source **out, const char *ca_bundle, struct os_error *error) {
  static const struct os_source_class class = {.fetch = fetch_keys, .free = free_container};
  *out = NULL;
  const char *relative = variable(RELATIVE), *full = variable(FULL);
  if (!relative && !full) return OS_OK;
  struct container *container = os_calloc(1, sizeof *container);
  if (!container) return os_fail_nomem(error);
  const char *file = variable(TOKEN_FILE), *token = file ? NULL : variable(TOKEN_TEXT);
  container->base.does = &class;
  container->token_file = os_strdup(file);
  container->token = os_strdup(token);
  container->ca_bundle = os_strdup(ca_bundle);
  bool kept = (container->token_file || !file) && (container->token || !token) &&
              (container->ca_bundle || !ca_bundle);
  int code = kept ? set_address(container, relative, full, error) : os_fail_nomem(error);
  if (code)
    free_container(&container->base);
  else
    *out = &container->base;
  return code;
}
