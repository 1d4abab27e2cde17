/* fields.h - what the mapping says about the columns of the files, before anything is sent. Keeper's thread. */
#ifndef OS_OPERATIONS_LOAD_FIELDS_H
#define OS_OPERATIONS_LOAD_FIELDS_H
#include "operations/load/load.h"

/* The worst about columns (array of texts) whose types the content tells (object: name to text). Fits where the mapping
** is not known. */
enum os_load_fit os_load_fit(const struct os_load *load, const json_t *columns, const json_t *types);

/* unknown_fields: columns that the mapping does not know are allowed, reported (a row of os_audit each)
** or refused; a dynamic:strict mapping refuses them in any case. Also: columns whose type from the
** content cannot be indexed as the mapping wants (a row each; a dry run shows them in checks). Of files that
** were not looked at it says that. Nothing to do where the mapping is not known.
*/
int os_load_check_fields(struct os_load *load, struct os_error *error);
#endif
