/* source_heads.h - the heads of objects, asked for ahead of the look at them, because each takes a round trip. Keeper's
** thread.
*/
#ifndef OS_PIPELINE_SOURCE_HEADS_H
#define OS_PIPELINE_SOURCE_HEADS_H
#include "pipeline/source_list.h"

/* Before source i is looked at: ask for the heads of the objects that follow. */
void os_source_look_ahead(struct os_source_list *list, size_t i);
/* Source i has been looked at: keep a small object's bytes for the reader, let go of others. */
void os_source_looked_at(struct os_source_list *list, size_t i);
#endif
