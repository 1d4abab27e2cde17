/* instance.c - keys of the role that an EC2 instance has, from its metadata service.
**
** Calls base, net and fetch. A token first, without which nothing is asked: version 1 of the service,
** which anybody could be made to ask, is not used. Never through a proxy; no redirect is followed.
*/
#include "aws/chain/instance.h"
#include <stdio.h>
#include <string.h>
#include "aws/chain/fetch.h"
#include "base/alloc.h"
#include "base/text.h"
#include "config/secret.h"

#define ROLES "/latest/meta-data/iam/security-credentials/"

enum { TOKEN = 512, PATH = 400 };

struct instance_source {
  struct os_source base;
  struct os_instance instance;
  bool worked; /* it has given keys: this machine is an instance */
};

static int ask(const struct os_instance *instance, struct os_fetch *fetch, const char *method,
               const char *path, const char *header, struct os_http_call *call, struct os_error *error) {
  const char *headers[] = {header, NULL};
  struct os_fetch_request request = {.method = method,
                                     .url = instance->url,
                                     .path = path,
                                     .headers = headers,
                                     .setting = "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                                     .timeout = instance->timeout,
                                     .tries = instance->tries,
                                     .direct = true};
  return os_fetch_http(fetch, &request, call, error);
}

static int fail_status(const struct os_http_call *call, const char *what, struct os_error *error) {
  return os_fail(error, call->status >= 500 ? OS_ERR_NETWORK : OS_ERR_AUTH,
                 "it answered %d when asked for %s", call->status, what);
}

/* Text of one line, as it goes into the next request. */
static bool take_line(const struct os_http_call *call, char *out, size_t size) {
  size_t len = call->answer.len;
  while (len && os_is_space(call->answer.data[len - 1]))
    len--;
  if (!len || len >= size) return false;
  for (size_t i = 0; i < len; i++)
    if (call->answer.data[i] <= 0x20 || call->answer.data[i] >= 0x7f) return false;
  memcpy(out, call->answer.data, len);
  out[len] = '\0';
  return true;
}

/* header: becomes the one that goes with all other requests. */
static int get_token(const struct os_instance *instance, struct os_fetch *fetch, char header[TOKEN],
                     struct os_error *error) {
  static const char name[] = "X-aws-ec2-metadata-token: ";
  struct os_http_call call;
  int code = ask(instance, fetch, "PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21600",
                 &call, error);
  memcpy(header, name, sizeof name);
  if (!code && call.status != 200) {
    code = fail_status(&call, "a token", error);
    os_advise(error,
              "the metadata service may be switched off for this instance, or too many hops away from a "
              "container (hop limit)");
  } else if (!code && !take_line(&call, header + sizeof name - 1, TOKEN - sizeof name)) {
    code = os_fail(error, OS_ERR_ANSWER, "it gave something else when asked for a token");
  }
  os_fetch_done(&call);
  return code;
}

static int get_role(const struct os_instance *instance, struct os_fetch *fetch, const char *header,
                    char path[PATH], struct os_error *error) {
  struct os_http_call call;
  char role[100];
  struct os_buf encoded;
  int code = ask(instance, fetch, "GET", ROLES, header, &call, error);
  os_buf_init(&encoded, 0);
  if (!code && call.status == 404) {
    code = os_fail(error, OS_ERR_AUTH, "it has no role");
  } else if (!code && call.status != 200) {
    code = fail_status(&call, "its role", error);
  } else if (!code && !take_line(&call, role, sizeof role)) {
    code = os_fail(error, OS_ERR_ANSWER, "it gave something else when asked for its role");
  } else if (!code) {
    os_url_encode(&encoded, role, strlen(role));
    if (encoded.failed)
      code = os_fail_nomem(error);
    else
      snprintf(path, PATH, ROLES "%s", encoded.data);
  }
  os_buf_free(&encoded);
  os_fetch_done(&call);
  return code;
}

/* An answer of 200 may say all the same that there are no keys. */
static int read_keys(const struct os_http_call *call, struct os_aws_keys **out, struct os_error *error) {
  static const struct os_key_names names = {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"};
  static const char origin[] = "the instance";
  json_t *root = os_fetch_json(call->answer.data, call->answer.len, "it", error);
  if (!root) return OS_ERR_ANSWER;
  const char *said = os_json_string(root, "Code", "Success");
  int code = strcmp(said, "Success") == 0 ? os_keys_from_json(out, root, &names, origin, error)
                                          : os_fail(error, OS_ERR_AUTH, "it said %.60s: %.300s", said,
                                                    os_json_string(root, "Message", "nothing more"));
  json_decref(root);
  return code;
}

static int get_keys(const struct os_instance *instance, struct os_fetch *fetch, struct os_aws_keys **out,
                    int *status, struct os_error *error) {
  char header[TOKEN], path[PATH];
  struct os_http_call call;
  *status = 0;
  int code = get_token(instance, fetch, header, error);
  if (!code) code = get_role(instance, fetch, header, path, error);
  if (!code) {
    code = ask(instance, fetch, "GET", path, header, &call, error);
    *status = call.status;
    if (!code && call.status != 200)
      code = fail_status(&call, "its keys", error);
    else if (!code)
      code = read_keys(&call, out, error);
    os_fetch_done(&call);
  }
  explicit_bzero(header, sizeof header);
  return code;
}

/* Where no service has ever answered there is none: asking again, as after a fault that may pass, would
** only make everybody wait. */
static int fail_for_good(int code, struct os_error *error) {
  if (code != OS_ERR_NETWORK) return code;
  if (error) error->code = OS_ERR_AUTH;
  return OS_ERR_AUTH;
}

static int fetch_keys(struct os_source *base, struct os_fetch *fetch, struct os_aws_keys **out,
                      struct os_error *error) {
  struct instance_source *source = (struct instance_source *)(void *)base;
  int status;
  *out = NULL;
  if (fetch->silent && fetch->silent->code && !source->worked) {
    if (error) *error = *fetch->silent;
    return fail_for_good(OS_ERR_NETWORK, error);
  }
  int code = get_keys(&source->instance, fetch, out, &status, error);
  if (code && status == 401) /* the token is stale */
    code = get_keys(&source->instance, fetch, out, &status, error);
  source->worked = source->worked || code == OS_OK;
  return source->worked ? code : fail_for_good(code, error);
}

static void free_instance(struct os_source *base) {
  os_instance_clear(&((struct instance_source *)(void *)base)->instance);
  os_free(base);
}

void os_instance_clear(struct os_instance *instance) {
  os_free(instance->url);
  instance->url = NULL;
}

int os_instance_source(struct os_source **out, struct os_instance *instance, struct os_error *error) {
  static const struct os_source_class class = {.fetch = fetch_keys, .free = free_instance, .steady = true};
  struct instance_source *source = os_calloc(1, sizeof *source);
  *out = NULL;
  if (!source) {
    os_instance_clear(instance);
    return os_fail_nomem(error);
  }
  source->base.does = &class;
  source->instance = *instance;
  instance->url = NULL;
  *out = &source->base;
  return OS_OK;
}

int os_instance_region(const struct os_instance *instance, struct os_fetch *fetch, char **out,
                       struct os_error *error) {
  char header[TOKEN], region[64];
  struct os_http_call call;
  *out = NULL;
  int code = get_token(instance, fetch, header, error);
  if (code) return code;
  code = ask(instance, fetch, "GET", "/latest/meta-data/placement/region", header, &call, error);
  if (!code && (call.status != 200 || !take_line(&call, region, sizeof region)))
    code = fail_status(&call, "its region", error);
  if (!code && !(*out = os_strdup(region))) code = os_fail_nomem(error);
  os_fetch_done(&call);
  explicit_bzero(header, sizeof header);
  return code;
}
