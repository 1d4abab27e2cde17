/* answer.c - keys out of the JSON in which processes, services and caches give them.
**
** Calls base and keys.c; pure. jansson's own words about a fault may repeat a piece of the text, and
** with it of a secret: they are left out.
*/
#include <string.h>
#include "aws/chain/fetch.h"
#include "base/clock.h"
#include "base/text.h"

json_t *os_fetch_json(const char *text, size_t len, const char *origin, struct os_error *error) {
  json_t *root = os_json_parse(text, len, OS_JSON_BIG_INTEGERS, "", NULL);
  if (json_is_object(root)) return root;
  json_decref(root);
  os_fail(error, OS_ERR_ANSWER, "%s gave something that is no JSON object", origin);
  return NULL;
}

bool os_aws_time(const char *text, double *unix_seconds) {
  char copy[48];
  size_t len = strlen(text);
  if (len >= sizeof copy) return false;
  memcpy(copy, text, len + 1);
  if (os_has_suffix(copy, "UTC", false)) memcpy(copy + len - 3, "Z", 2);
  return os_clock_parse_iso(copy, unix_seconds);
}

static bool read_expiration(const json_t *value, double *out) {
  if (!value || json_is_null(value)) return true;
  if (json_is_string(value)) return os_aws_time(json_string_value(value), out);
  if (json_is_integer(value)) *out = (double)json_integer_value(value) / 1000;
  return json_is_integer(value);
}

int os_keys_from_json(struct os_aws_keys **out, const json_t *root, const struct os_key_names *names,
                      const char *origin, struct os_error *error) {
  const char *id = os_json_string(root, names->id, NULL), *secret = os_json_string(root, names->secret, NULL);
  const char *token = os_json_string(root, names->token, NULL);
  struct os_aws_keys what = {.access_key_id = (char *)id,
                             .secret_access_key = (char *)secret,
                             .session_token = token && *token ? (char *)token : NULL,
                             .origin = (char *)origin};
  *out = NULL;
  if (!id || !*id || !secret || !*secret)
    return os_fail(error, OS_ERR_ANSWER, "%s gave no keys: '%s' is missing", origin,
                   id && *id ? names->secret : names->id);
  if (!read_expiration(os_json_at(root, names->expiration), &what.expires))
    return os_fail(error, OS_ERR_ANSWER, "%s gave keys whose '%s' is no time", origin, names->expiration);
  return os_aws_keys_new(out, &what, error);
}
