/* keys.c - one set of keys: immutable, counted, wiped with its last reference.
**
** Calls base and config/secret.h. Any thread.
*/
#include "aws/chain/source.h"
#include <stdbool.h>
#include "base/alloc.h"
#include "config/secret.h"

/* Keys go into headers: a blank, as one comes along when a key is pasted, a line break or anything else
** that no key has would make a request that is not the one meant. */
static bool is_plain(const char *text) {
  for (; text && *text; text++)
    if (*text <= 0x20 || *text >= 0x7f) return false;
  return true;
}

static int check(const struct os_aws_keys *what, struct os_error *error) {
  const char *which = !is_plain(what->access_key_id)       ? "access key id"
                      : !is_plain(what->secret_access_key) ? "secret access key"
                      : !is_plain(what->session_token)     ? "session token"
                                                           : NULL;
  if (!which) return OS_OK;
  os_fail(error, OS_ERR_ARGUMENT,
          "the %s from %s has a blank, a line break or another character in it that no key has", which,
          what->origin);
  return os_advise(error, "give it again, without anything around it");
}

int os_aws_keys_new(struct os_aws_keys **out, const struct os_aws_keys *what, struct os_error *error) {
  *out = NULL;
  int code = check(what, error);
  if (code) return code;
  struct os_aws_keys *keys = os_calloc(1, sizeof *keys);
  if (!keys) return os_fail_nomem(error);
  atomic_init(&keys->references, 1);
  keys->access_key_id = os_strdup(what->access_key_id);
  keys->secret_access_key = os_strdup(what->secret_access_key);
  keys->session_token = os_strdup(what->session_token);
  keys->origin = os_strdup(what->origin);
  keys->expires = what->expires;
  if (!keys->access_key_id || !keys->secret_access_key || !keys->origin ||
      (what->session_token && !keys->session_token)) {
    os_aws_keys_unref(keys);
    return os_fail_nomem(error);
  }
  *out = keys;
  return OS_OK;
}

struct os_aws_keys *os_aws_keys_ref(struct os_aws_keys *keys) {
  if (keys) atomic_fetch_add(&keys->references, 1);
  return keys;
}

void os_aws_keys_unref(struct os_aws_keys *keys) {
  if (!keys || atomic_fetch_sub(&keys->references, 1) > 1) return;
  os_secret_free(keys->secret_access_key);
  os_secret_free(keys->session_token);
  os_free(keys->access_key_id);
  os_free(keys->origin);
  os_free(keys);
}
