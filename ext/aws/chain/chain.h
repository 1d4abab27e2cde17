/* chain.h - where keys, region and addresses of AWS come from, by the order that AWS's own tools share.
**
** Inside aws/ only. Keeper's thread: settings, variables and files are read here.
*/
#ifndef OS_AWS_CHAIN_CHAIN_H
#define OS_AWS_CHAIN_CHAIN_H
#include "aws/chain/addresses.h"
#include "aws/chain/instance.h"
#include "aws/chain/source.h"

struct os_chain {
  struct os_source *source;
  struct os_addresses addresses;
  struct os_instance instance; /* asked for its region when nothing names one; url NULL: switched off */
};

/* Fills *out, which os_chain_free() empties. An error is one of configuration; nothing is fetched. */
int os_chain_find(struct os_chain *out, struct os_settings *settings,
                  const struct os_credentials_choice *choice, struct os_error *error);
void os_chain_free(struct os_chain *chain);
#endif
