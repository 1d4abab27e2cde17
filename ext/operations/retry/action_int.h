/* action_int.h - what the files that build actions share. Private to them; pure.
**
** action.c   from a row to its records, by either of two ways item.c     from a record to what
** is pushed */
#ifndef OS_OPERATIONS_RETRY_ACTION_INT_H
#define OS_OPERATIONS_RETRY_ACTION_INT_H
#include <jansson.h>
#include "base/buffer.h"
#include "format/json_scan.h"
#include "operations/retry/action.h"

enum { OS_RETRY_DOC, OS_RETRY_UPSERT };                     /* picks of builder->update */
enum { OS_RETRY_ID, OS_RETRY_CONFLICTS, OS_RETRY_VERSION }; /* picks of builder->action */
enum { OS_RETRY_OPS = 3 };                                  /* of builder->ops: as enum os_op */

struct os_retry_builder {
  struct os_json_scan plain, update, action, ops; /* one for each set of members that are looked for */
  struct os_buf input, document, line, id, out;
  const char **columns, **null_values; /* of the row in hand; texts inside its context; owned arrays */
};

struct os_retry_work { /* one row being built */
  struct os_retry_builder *builder;
  const struct os_failed_row *row;
  const struct os_retry_sink *sink;
  json_t *context;
  bool overwrite;
  const char *new_id;  /* doc_id as the user set it; NULL: unchanged */
  uint64_t old_hash;   /* of the explicit id that the refused action carried; 0: none */
  uint64_t handed_out; /* records so far, sent or refused */
  struct os_error *error;
};

struct os_retry_item { /* one record on its way to an action */
  enum os_op op;
  const char *id; /* content of a JSON string; NULL: none */
  size_t id_len;
  bool explicit_id, versioned;
  const char *members; /* of the action beside `_id` and retry_on_conflict: "routing":…; without braces */
  size_t members_len;
  int64_t retry_on_conflict;
  const char *document; /* one line */
  size_t document_len;
  bool wrapped; /* an update as it is sent: {"doc":…} */
};

/* Tell the sink; returns what it said. */
int os_retry_refuse(struct os_retry_work *work, const char *type, const char *reason);
/* The row's document on one line into builder->document. False: it was refused, and *rc is what the sink
** said; or there is no memory. */
bool os_retry_minify(struct os_retry_work *work, int *rc);
/* Decide how the record goes, put action and document together, and hand them to the sink. */
int os_retry_send(struct os_retry_work *work, const struct os_retry_item *item);
#endif
