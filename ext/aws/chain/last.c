/* last.c - the end of the chain: the instance that this runs on, perhaps; else nothing, with all that
** was tried.
**
** Calls base and the instance's source, which it owns.
*/
#include "aws/chain/search.h"
#include "base/alloc.h"

struct last {
  struct os_source base;
  struct os_source *instance; /* NULL: switched off */
  bool worked;                /* it has given keys: this is where they come from */
  char *tried;
};

static int fetch_keys(struct os_source *base, struct os_fetch *fetch, struct os_aws_keys **out,
                      struct os_error *error) {
  struct last *last = (struct last *)(void *)base;
  struct os_error fault;
  os_error_clear(&fault);
  os_fail(&fault, OS_ERR_AUTH, "switched off by AWS_EC2_METADATA_DISABLED");
  *out = NULL;
  int code = last->instance ? last->instance->does->fetch(last->instance, fetch, out, &fault) : OS_ERR_AUTH;
  last->worked = last->worked || code == OS_OK;
  if (last->worked || code == OS_ERR_NOMEM) {
    if (code && error) *error = fault;
    return code ? os_error_prefix(error, "AWS keys from the instance") : OS_OK;
  }
  os_fail(error, OS_ERR_AUTH, "there are no AWS keys. Tried: %s, the instance (%s)", last->tried, fault.text);
  return os_advise(
      error, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give this machine a role");
}

static void free_last(struct os_source *base) {
  struct last *last = (struct last *)(void *)base;
  os_source_free(last->instance);
  os_free(last->tried);
  os_free(last);
}

int os_search_last(const struct os_search *search, struct os_source *instance, struct os_source **out,
                   struct os_error *error) {
  static const struct os_source_class class = {.fetch = fetch_keys, .free = free_last, .steady = true};
  struct last *last = os_calloc(1, sizeof *last);
  *out = NULL;
  if (last) last->tried = os_strdup(search->tried.data ? search->tried.data : "");
  if (!last || !last->tried) {
    os_source_free(instance);
    os_free(last);
    return os_fail_nomem(error);
  }
  last->base.does = &class;
  last->instance = instance;
  *out = &last->base;
  return OS_OK;
}
