/* given.c - keys that stand where they were found: in variables, or with whoever calls.
**
** Calls base and keys.c. Owns a reference to the keys.
*/
#include "aws/chain/source.h"
#include "base/alloc.h"
#include "base/clock.h"

struct given {
  struct os_source base;
  struct os_aws_keys *keys;
};

static int take_given(struct os_source *source, struct os_fetch *fetch, struct os_aws_keys **out,
                      struct os_error *error) {
  struct os_aws_keys *keys = ((struct given *)source)->keys;
  (void)fetch;
  *out = NULL;
  if (keys->expires > 0 && keys->expires <= os_clock_unix()) {
    char when[OS_TIME_TEXT];
    os_clock_iso(keys->expires, when);
    os_fail(error, OS_ERR_AUTH, "the AWS keys from %s expired at %s", keys->origin, when);
    return os_advise(error, "get new ones, and set them where these stand");
  }
  *out = os_aws_keys_ref(keys);
  return OS_OK;
}

static void free_given(struct os_source *source) {
  os_aws_keys_unref(((struct given *)source)->keys);
  os_free(source);
}

static const struct os_source_class given_class = {.fetch = take_given, .free = free_given, .given = true};

int os_source_keys_new(struct os_source **out, struct os_aws_keys *keys, struct os_error *error) {
  struct given *given = os_calloc(1, sizeof *given);
  *out = NULL;
  if (!given) return os_fail_nomem(error);
  given->base.does = &given_class;
  given->keys = os_aws_keys_ref(keys);
  *out = &given->base;
  return OS_OK;
}
