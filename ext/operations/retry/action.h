/* action.h - from a row of dlq_failures to the bulk actions that send its record again. Pure.
**
** What is sent depends on what stood under the record's id when it was refused, so that nothing that came
** later is overwritten: see os_retry_build(). */
#ifndef OS_OPERATIONS_RETRY_ACTION_H
#define OS_OPERATIONS_RETRY_ACTION_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "pipeline/pipeline.h"

struct os_failed_row { /* a row as it stands now: the user may have repaired it */
  int64_t id;
  int64_t line, byte_offset; /* -1: not known */
  char *doc_id;              /* every text may be NULL */
  char *op;
  char *document;
  size_t document_len;
  char *raw;
  size_t raw_len;
  char *context; /* JSON written by load/refusals.c */
};

struct os_retry_sink { /* gets each record of the row; both return OS_OK, or a code that ends the building */
  /* *push is borrowed for the call; its tag is the receiver's to set. */
  int (*send)(void *ctx, const struct os_push *push);
  /* The record cannot be sent: a stable word and a sentence. */
  int (*refuse)(void *ctx, const char *type, const char *reason);
  void *ctx;
};

struct os_retry_builder;                             /* scratch memory, used for one row after another */
struct os_retry_builder *os_retry_builder_new(void); /* NULL: no memory */
void os_retry_builder_free(struct os_retry_builder *builder);

/* Hand every record of the row to the sink, at least once in all. The document is sent if the row has
** one, else raw is parsed in the dialect of its file. `doc_id`, when the user changed it, is the record's
** id. How it is sent:
**   a computed id: create                        no id: index
**   an explicit id, with external version or op create: as it was
**   an explicit id, something stood there: index or update with if_seq_no and if_primary_term
**   an explicit id, nothing stood there or it is not known: create
** With `overwrite` an explicit id goes as it was. Sources: bulk API page, optimistic concurrency control;
** UpdateRequest refuses if_seq_no beside retry_on_conflict and doc_as_upsert.
** Errors: OS_ERR_NOMEM, and what the sink returned; everything else is a refusal. */
int os_retry_build(struct os_retry_builder *builder, const struct os_failed_row *row, bool overwrite,
                   const struct os_retry_sink *sink, struct os_error *error);
#endif
