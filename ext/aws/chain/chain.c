/* chain.c - the order in which keys are looked for.
**
** Calls base, config and the sources beside it.
*/
#include "aws/chain/chain.h"
#include <string.h>
#include "aws/chain/environment.h"
#include "base/alloc.h"

static int find_region(struct os_chain *out, struct os_settings *settings,
                       const struct os_credentials_choice *choice, struct os_error *error) {
  const char *region =
      choice && choice->region ? choice->region : os_settings_get(settings, OS_SET_AWS_REGION);
  out->region = os_strdup(region);
  return region && !out->region ? os_fail_nomem(error) : OS_OK;
}

int os_chain_find(struct os_chain *out, struct os_settings *settings,
                  const struct os_credentials_choice *choice, struct os_error *error) {
  memset(out, 0, sizeof *out);
  int code = os_environment_source(&out->source, settings, error);
  if (!code && !out->source) {
    code = os_fail(error, OS_ERR_AUTH, "there are no AWS keys: tried the environment (not set)");
    os_advise(error, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  }
  if (!code) code = find_region(out, settings, choice, error);
  if (code) os_chain_free(out);
  return code;
}

void os_chain_free(struct os_chain *chain) {
  os_source_free(chain->source);
  os_free(chain->region);
  memset(chain, 0, sizeof *chain);
}
