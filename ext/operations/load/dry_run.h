/* dry_run.h - what the mapping says about the columns of the files, before anything is sent. */
#ifndef OS_OPERATIONS_LOAD_DRY_RUN_H
#define OS_OPERATIONS_LOAD_DRY_RUN_H
#include "operations/load/load.h"

/* unknown_fields: columns that the mapping does not know are allowed, reported (a row of os_audit each)
** or refused; a dynamic:strict mapping refuses them in any case. Also: columns whose type from the
** content cannot be indexed as the mapping wants (a row each; a dry run shows them in checks). Nothing to
** do where the mapping is not known.
*/
int os_load_check_fields(struct os_load *load, struct os_error *error);
#endif
