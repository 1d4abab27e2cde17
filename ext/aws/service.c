/* service.c - see service.h. Calls net/, config/ and the other files of aws/; owns what os_aws_open() made. */
#include "aws/service.h"
#include <stdio.h>
#include <string.h>
#include "aws/xml.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "net/retry.h"

int os_aws_open(struct os_aws **out, struct os_settings *settings, struct os_log *log,
                struct os_error *error) {
  struct os_aws *aws = os_calloc(1, sizeof *aws);
  *out = NULL;
  if (!aws) return os_fail_nomem(error);
  aws->settings = settings;
  aws->log = log ? os_log_ref(log) : NULL;
  int rc = os_credentials_new(&aws->credentials, settings, NULL, log, error);
  if (rc)
    os_aws_close(aws);
  else
    *out = aws;
  return rc;
}

void os_aws_close(struct os_aws *aws) {
  if (!aws) return;
  os_credentials_unref(aws->credentials);
  os_log_unref(aws->log);
  os_free(aws);
}

/* ---- where a service is ---- */

/* What gave a service's address, for messages. */
static const char *address_name(const struct os_aws *aws, enum os_aws_service service) {
  enum os_setting_id own = service == OS_AWS_S3    ? OS_SET_AWS_ENDPOINT_URL_S3
                           : service == OS_AWS_SQS ? OS_SET_AWS_ENDPOINT_URL_SQS
                                                   : OS_SET_AWS_ENDPOINT_URL_STS;
  if (os_settings_get(aws->settings, own)) return os_setting_info(own)->name;
  if (os_settings_get(aws->settings, OS_SET_AWS_ENDPOINT_URL))
    return os_setting_info(OS_SET_AWS_ENDPOINT_URL)->name;
  return "endpoint_url of the profile";
}

static int make_endpoint(const struct os_aws *aws, enum os_aws_service service, const char *region,
                         struct os_endpoint **out, bool *custom, struct os_error *error) {
  const char *name = os_aws_service_name(service);
  char *url = NULL;
  int rc = os_credentials_address(aws->credentials, name, region, &url, custom, error);
  if (rc) return rc;
  struct os_endpoint *endpoint = *out = os_endpoint_new(name, url);
  os_free(url);
  if (!endpoint) return os_fail_nomem(error);
  endpoint->setting = *custom ? address_name(aws, service) : "AWS_REGION";
  return OS_OK;
}

static int fill_transport(const struct os_aws *aws, struct os_endpoint *endpoint) {
  const char *bundle = os_credentials_ca_bundle(aws->credentials);
  endpoint->auth = OS_AUTH_NONE;
  endpoint->verify_ssl = os_settings_bool(aws->settings, OS_SET_VERIFY_SSL);
  endpoint->verify_hostname = os_settings_bool(aws->settings, OS_SET_VERIFY_HOSTNAME);
  endpoint->compress = OS_COMPRESS_NEVER;
  endpoint->timeout = os_settings_real(aws->settings, OS_SET_REQUEST_TIMEOUT);
  endpoint->max_retries = (int)os_settings_int(aws->settings, OS_SET_MAX_RETRIES);
  endpoint->ca_bundle = bundle ? os_strdup(bundle) : NULL;
  return bundle && !endpoint->ca_bundle ? OS_ERR_NOMEM : OS_OK;
}

static int no_region(const char *name, struct os_error *error) {
  os_fail(error, OS_ERR_ARGUMENT, "the region of AWS is not known, and %s is reached by it", name);
  return os_advise(
      error, "SELECT os_config('AWS_REGION', 'eu-west-1'), or set AWS_REGION in the environment, in .env, "
             "or `region` in the profile");
}

int os_aws_endpoint(struct os_aws *aws, enum os_aws_service service, const char *region, bool sign,
                    struct os_endpoint **out, bool *custom, struct os_error *error) {
  *out = NULL;
  if (!region) region = os_credentials_region(aws->credentials);
  if (!region) return no_region(os_aws_service_name(service), error);
  struct os_endpoint *endpoint = NULL;
  int rc = make_endpoint(aws, service, region, &endpoint, custom, error);
  if (rc) return rc;
  rc = fill_transport(aws, endpoint);
  if (rc) os_fail_nomem(error);
  if (!rc && sign) rc = os_aws_signer_new(&endpoint->signer, service, region, aws->credentials, error);
  if (rc)
    os_endpoint_unref(endpoint);
  else
    *out = endpoint;
  return rc;
}

/* ---- faults ---- */

static void put(char *to, size_t size, const char *text, size_t len) {
  if (len >= size) len = size - 1;
  memcpy(to, text, len);
  to[len] = '\0';
}

/* S3 has its fault at the root, STS and the query protocol of SQS below one more element. */
static int take_element(void *ctx, const char *path, const char *text, size_t len) {
  struct os_aws_fault *fault = ctx;
  if (os_has_suffix(path, "/Error/Code", false))
    put(fault->code, sizeof fault->code, text, len);
  else if (os_has_suffix(path, "/Error/Message", false))
    put(fault->message, sizeof fault->message, text, len);
  else if (os_has_suffix(path, "/Error/Region", false))
    put(fault->region, sizeof fault->region, text, len);
  return OS_OK;
}

/* "__type" is "com.amazonaws.sqs#QueueDoesNotExist", or the part behind '#' alone. */
static void take_json(const struct os_http_call *call, struct os_aws_fault *fault) {
  struct os_error ignored;
  json_t *answer = os_json_parse(call->answer.data, call->answer.len, 0, "the answer", &ignored);
  const char *type = json_string_value(json_object_get(answer, "__type"));
  const char *message = json_string_value(json_object_get(answer, "message"));
  if (!message) message = json_string_value(json_object_get(answer, "Message"));
  const char *hash = type ? strrchr(type, '#') : NULL;
  if (hash) type = hash + 1;
  if (type) put(fault->code, sizeof fault->code, type, strlen(type));
  if (message) put(fault->message, sizeof fault->message, message, strlen(message));
  json_decref(answer);
}

void os_aws_fault_read(const struct os_http_call *call, struct os_aws_fault *fault) {
  struct os_error ignored;
  size_t len = 0;
  memset(fault, 0, sizeof *fault);
  const char *region = os_http_header(call, "x-amz-bucket-region", &len);
  if (region) put(fault->region, sizeof fault->region, region, len);
  if (!call->answer.len) return;
  if (call->answer.data[0] == '{')
    take_json(call, fault);
  else
    os_xml_read(call->answer.data, call->answer.len, take_element, fault, &ignored);
}

static bool is_one_of(const char *code, const char *const *codes) {
  while (*codes && strcmp(*codes, code) != 0)
    codes++;
  return *codes != NULL;
}

static const char clock_advice[] =
    "this machine's clock and the service's differ too much: set this one (date -u shows it)";

/* S3 has a code for it, the other services only words. */
static bool is_clock(const struct os_aws_fault *fault) {
  static const char *const codes[] = {"RequestTimeTooSkewed", "RequestInTheFuture", NULL};
  return is_one_of(fault->code, codes) || os_has_prefix(fault->message, "Signature expired") ||
         os_has_prefix(fault->message, "Signature not yet current");
}

/* "Error retries", AWS SDKs and Tools Reference Guide: what the standard mode calls transient or throttling. */
bool os_aws_fault_passes(int status, const struct os_aws_fault *fault) {
  static const char *const codes[] = {"SlowDown",
                                      "Throttling",
                                      "ThrottlingException",
                                      "ThrottledException",
                                      "RequestThrottled",
                                      "RequestThrottledException",
                                      "RequestLimitExceeded",
                                      "TooManyRequestsException",
                                      "ProvisionedThroughputExceededException",
                                      "BandwidthLimitExceeded",
                                      "PriorRequestNotComplete",
                                      "RequestTimeout",
                                      "RequestTimeoutException",
                                      "InternalError",
                                      "IDPCommunicationError",
                                      NULL};
  return status >= 500 || status == 429 || is_one_of(fault->code, codes);
}

/* False: it is not the keys. origin: where they come from. */
static bool advise_keys(const struct os_aws_fault *fault, const char *origin, struct os_error *error) {
  static const char *const unknown[] = {"InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken",
                                        "UnrecognizedClientException", NULL};
  static const char *const wrong[] = {"SignatureDoesNotMatch", "InvalidSignatureException", NULL};
  static const char *const old[] = {"ExpiredToken", "ExpiredTokenException", "RequestExpired",
                                    "TokenRefreshRequired", NULL};
  if (is_one_of(fault->code, unknown)) {
    os_advise(error,
              "this service does not know the access key: look at AWS_ACCESS_KEY_ID, AWS_SESSION_TOKEN and "
              "AWS_PROFILE, and at the address of the service%s",
              origin);
  } else if (is_one_of(fault->code, old)) {
    os_advise(error, "the keys have expired, and where they come from gave no newer ones: log in again%s",
              origin);
  } else if (is_one_of(fault->code, wrong)) {
    const char *advice = "the secret does not belong to the access key: look at AWS_SECRET_ACCESS_KEY";
    if (strstr(fault->message, "valid region"))
      advice = "what is at this address is in another region than the request was signed for: look at "
               "AWS_REGION or the region in the ARN, and at the address of the service";
    else if (is_clock(fault))
      advice = clock_advice;
    else if (strstr(fault->message, "correct service"))
      advice = "what is at this address is another service: look at AWS_ENDPOINT_URL and its kind for each "
               "service, and at `endpoint_url` in the profile";
    os_advise(error, "%s%s", advice, origin);
  } else {
    return false;
  }
  return true;
}

/* What is refused without a known reason: the name that was asked for, or who was asked. */
static void advise_refused(const struct os_http_call *call, const struct os_aws_action *action,
                           const struct os_aws_fault *fault, struct os_error *error) {
  const struct os_endpoint *endpoint = call->endpoint;
  bool known = fault->code[0] && call->status != 405;
  bool custom = endpoint->setting && strcmp(endpoint->setting, "AWS_REGION") != 0;
  if (call->status >= 500 || os_aws_fault_passes(call->status, fault)) return;
  if (strcmp(fault->code, "InvalidBucketName") == 0)
    os_advise(error, "look at the name: a bucket's has 3 to 63 lower-case letters, digits, dots and hyphens");
  else if (!known && custom)
    os_advise(error, "is %s the address of this service? %s says so", endpoint->url, endpoint->setting);
  else if (call->status == 400)
    os_advise(error, "look at the name %s", action->resource);
}

static enum os_code code_of(int status) {
  switch (status) {
  case 401: return OS_ERR_AUTH;
  case 403: return OS_ERR_FORBIDDEN;
  case 404: return OS_ERR_NOT_FOUND;
  case 409:
  case 412: return OS_ERR_CONFLICT;
  case 413: return OS_ERR_TOO_LARGE;
  default:
    return status >= 500 || status == 429 ? OS_ERR_BUSY : status < 400 ? OS_ERR_ANSWER : OS_ERR_REFUSED;
  }
}

int os_aws_fail(const struct os_http_call *call, const struct os_aws_action *action,
                const struct os_aws_fault *fault, struct os_error *error) {
  const char *code = fault->code[0] ? fault->code : "no code";
  int rc = os_fail(error, code_of(call->status), "%s on %s was answered with %d (%s)%s%s", action->name,
                   action->resource, call->status, code, fault->message[0] ? ": " : "", fault->message);
  if (error) error->http_status = call->status;
  char origin[256];
  os_endpoint_keys_origin(call->endpoint, origin, sizeof origin);
  if (advise_keys(fault, origin, error)) {
    /* said */
  } else if (is_clock(fault)) {
    os_advise(error, "%s", clock_advice);
  } else if (rc == OS_ERR_FORBIDDEN) {
    os_advise(error, "the policies of whoever asks, and the resource's own, must allow %s on %s%s",
              action->name, action->resource, origin);
  } else if (fault->region[0]) {
    os_advise(error, "it is in region %s: SELECT os_config('AWS_REGION', '%s')", fault->region,
              fault->region);
  } else {
    advise_refused(call, action, fault, error);
  }
  if (error) {
    os_endpoint_redact(call->endpoint, error->text);
    os_endpoint_redact(call->endpoint, error->advice);
  }
  return rc;
}

/* ---- a request ---- */

bool os_aws_pause(int attempt, double retry_after, const struct os_probe *probe) {
  double until = os_clock_monotonic() + os_retry_delay(attempt, 0.1, 10, retry_after, os_random_unit());
  for (;;) {
    double left = until - os_clock_monotonic();
    if (left <= 0) return true;
    if (probe && probe->interrupted && probe->interrupted(probe->ctx)) return false;
    os_clock_sleep_ms(left < 0.05 ? (unsigned)(left * 1000) + 1 : 50);
  }
}

int os_aws_roundtrip(struct os_net *net, struct os_http_call *call, const struct os_aws_action *action,
                     const struct os_probe *probe, struct os_aws_fault *fault, struct os_error *error) {
  struct os_aws_fault own;
  if (!fault) fault = &own;
  call->keep_headers = true;
  for (int attempt = 1;; attempt++) {
    int rc = os_http_roundtrip(net, call, probe, error);
    memset(fault, 0, sizeof *fault);
    if (!rc && call->status < 300) return OS_OK;
    if (!rc) os_aws_fault_read(call, fault);
    bool passes =
        rc ? rc == OS_ERR_NETWORK || rc == OS_ERR_TIMEOUT : os_aws_fault_passes(call->status, fault);
    if (!passes || attempt > call->endpoint->max_retries)
      return rc ? os_error_prefix(error, "%s on %s", action->name, action->resource)
                : os_aws_fail(call, action, fault, error);
    if (!os_aws_pause(attempt, call->retry_after, probe))
      return os_fail(error, OS_ERR_INTERRUPTED, "interrupted");
  }
}
