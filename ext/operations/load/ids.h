/* ids.h - validate ids: every id of the load is looked up in the index. */
#ifndef OS_OPERATIONS_LOAD_IDS_H
#define OS_OPERATIONS_LOAD_IDS_H
#include "operations/load/load.h"

/* Read the files again, compute or take each record's id as the load did, and ask _mget for them. A missing
** one is an error that names the file, line and id of the first and how many there are. Records refused by
** this load are not missed. With server-chosen ids nothing can be looked up: unknown. */
int os_load_check_ids(struct os_load *load, struct os_error *error);
#endif
