/* connection_options.c - reads the options object of os_connect(). Pure but for memory. */
#include "config/connection_options.h"
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/text.h"
#include "config/secret.h"
#include "config/setting_check.h"

const struct os_connection_option_info os_connection_options[OS_CONNECT_COUNT] = {
    [OS_CONNECT_ENDPOINT] = {"endpoint", OS_SET_ENDPOINT, false, "s"},
    [OS_CONNECT_AUTH] = {"auth", OS_SET_AUTH, false, "s"},
    [OS_CONNECT_USERNAME] = {"username", OS_SET_USERNAME, false, "s"},
    [OS_CONNECT_PASSWORD] = {"password", OS_SET_PASSWORD, false, "s"},
    [OS_CONNECT_SERVERLESS] = {"serverless", OS_SET_SERVERLESS, false, "sb"},
    [OS_CONNECT_AWS_REGION] = {"aws_region", OS_SET_AWS_REGION, true, "s"},
    [OS_CONNECT_AWS_PROFILE] = {"aws_profile", OS_SET_AWS_PROFILE, true, "s"},
    [OS_CONNECT_AWS_ROLE_ARN] = {"aws_role_arn", OS_SET_AWS_ROLE_ARN, true, "s"},
    [OS_CONNECT_VERIFY_SSL] = {"verify_ssl", OS_SET_VERIFY_SSL, true, "b"},
    [OS_CONNECT_VERIFY_HOSTNAME] = {"verify_hostname", OS_SET_VERIFY_HOSTNAME, true, "b"},
    [OS_CONNECT_CA_BUNDLE] = {"ca_bundle", OS_SET_CA_BUNDLE, true, "s"},
    [OS_CONNECT_HTTP_COMPRESS] = {"http_compress", OS_SET_HTTP_COMPRESS, true, "sb"},
    [OS_CONNECT_REQUEST_TIMEOUT] = {"request_timeout", OS_SET_REQUEST_TIMEOUT, true, "n"},
    [OS_CONNECT_MAX_RETRIES] = {"max_retries", OS_SET_MAX_RETRIES, true, "n"},
};

static int fail_unknown(const char *connection, const char *key, struct os_error *error) {
  const char *names[OS_CONNECT_COUNT];
  char legal[200] = "";
  for (int i = 0; i < OS_CONNECT_COUNT; i++) {
    names[i] = os_connection_options[i].name;
    size_t len = strlen(legal);
    snprintf(legal + len, sizeof legal - len, "%s%s", i ? ", " : "", names[i]);
  }
  const char *near = os_text_nearest(key, names, OS_CONNECT_COUNT);
  os_fail(error, OS_ERR_ARGUMENT, "connection '%s': unknown option '%.64s'", connection, key);
  if (near) return os_advise(error, "did you mean '%s'? The options are %s", near, legal);
  return os_advise(error, "the options are %s", legal);
}

static char type_letter(const json_t *value) {
  return json_is_string(value) ? 's' : json_is_boolean(value) ? 'b' : json_is_number(value) ? 'n' : '?';
}

/* The value as a setting would be written. */
static char *value_text(const json_t *value) {
  char number[40];
  if (json_is_string(value)) return os_strndup(json_string_value(value), json_string_length(value));
  if (json_is_boolean(value)) return os_strdup(json_is_true(value) ? "true" : "false");
  if (json_is_integer(value))
    snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
  else
    os_format_real(json_real_value(value), number, sizeof number);
  return os_strdup(number);
}

static const char *types_in_words(const char *types) {
  return strcmp(types, "s") == 0   ? "text"
         : strcmp(types, "b") == 0 ? "true or false"
         : strcmp(types, "n") == 0 ? "a number"
                                   : "text, true or false";
}

static int read_option(const char *connection, enum os_connection_option option, const json_t *value,
                       char **out, struct os_error *error) {
  const struct os_connection_option_info *info = &os_connection_options[option];
  if (json_is_null(value)) return OS_OK;
  if (!strchr(info->types, type_letter(value)))
    return os_fail(error, OS_ERR_ARGUMENT, "connection '%s': option '%s' must be %s", connection, info->name,
                   types_in_words(info->types));
  char *text = value_text(value);
  if (!text) return os_fail_nomem(error);
  if (!*text) { /* an empty text says as much as null */
    os_free(text);
    return OS_OK;
  }
  int code = os_setting_check(info->setting, info->name, text, error);
  if (code) {
    os_secret_free(text);
    return code == OS_ERR_NOMEM ? code : os_error_prefix(error, "connection '%s'", connection);
  }
  os_setting_normalize(info->setting, text);
  *out = text;
  return OS_OK;
}

static int find_option(const char *key) {
  for (int i = 0; i < OS_CONNECT_COUNT; i++)
    if (strcmp(os_connection_options[i].name, key) == 0) return i;
  return -1;
}

int os_connection_options_read(const char *name, const json_t *options, char *values[OS_CONNECT_COUNT],
                               struct os_error *error) {
  int code = OS_OK;
  memset(values, 0, OS_CONNECT_COUNT * sizeof *values);
  if (!json_is_object(options)) {
    os_fail(error, OS_ERR_ARGUMENT, "connection '%s': the options must be a JSON object", name);
    return os_advise(error, "write '{\"endpoint\":\"https://host:9200\"}'");
  }
  json_t *object = (json_t *)options; /* iterating changes nothing, but jansson's iterators are not const */
  for (void *at = json_object_iter(object); at && !code; at = json_object_iter_next(object, at)) {
    const char *key = json_object_iter_key(at);
    int option = find_option(key);
    code = option < 0 ? fail_unknown(name, key, error)
                      : read_option(name, option, json_object_iter_value(at), &values[option], error);
  }
  if (!code && !values[OS_CONNECT_ENDPOINT]) {
    code = os_fail(error, OS_ERR_ARGUMENT, "connection '%s': option 'endpoint' is missing", name);
    os_advise(error, "write '{\"endpoint\":\"https://host:9200\"}'");
  }
  if (code) os_connection_options_free(values);
  return code;
}

void os_connection_options_free(char *values[OS_CONNECT_COUNT]) {
  for (int i = 0; i < OS_CONNECT_COUNT; i++) {
    os_secret_free(values[i]);
    values[i] = NULL;
  }
}
