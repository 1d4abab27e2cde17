/* bulk_action.h - the two lines of one bulk action: what to do with which document, and the document
** (OpenSearch docs, "Bulk API"). Pure; any thread.
*/
#ifndef OS_PIPELINE_BULK_ACTION_H
#define OS_PIPELINE_BULK_ACTION_H
#include "pipeline/pipeline.h"

/* Append the computed id of the record at `offset`, without quotes. prefix: OS_ID_PREFIX characters. */
void os_put_computed_id(struct os_buf *out, const char *prefix, uint64_t offset);

/* Append the action line of a record, with its line break. computed_prefix: the source's id_prefix when the
** id is to be computed, else NULL. */
void os_put_action(struct os_buf *out, const struct os_pipeline_options *options, enum os_op op,
                   const char *computed_prefix, const struct os_record *record);

/* Append such an action line and the document as the line behind it, an update's wrapped; and how many bytes that
** adds. */
void os_put_lines(struct os_buf *out, const struct os_buf *action, enum os_op op, const char *document,
                  size_t len);
size_t os_lines_size(const struct os_buf *action, enum os_op op, size_t len);
#endif
