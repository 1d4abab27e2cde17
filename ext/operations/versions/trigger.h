/* trigger.h - what a versioned re-indexing is asked to do: a JSON object, checked to the last name
** before anything is touched. Pure.
**
**   {"opensearch_endpoint": "https://host:9200",       a cluster that is connected
**    "index_pattern": "^(.+)_v(\\d+)$",                pattern.h
**    "index_replacement": "\\1_v{{next_version}}",     the name of an index's next version
**    "alias_name": "{{index_base}}_current",           the alias that serves it
**    "indices": ["products_v1", …]}                    1 to 1,000, done one after another
**
*/
#ifndef OS_OPERATIONS_VERSIONS_TRIGGER_H
#define OS_OPERATIONS_VERSIONS_TRIGGER_H
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

enum { OS_TRIGGER_INDICES = 1000, OS_TRIGGER_BYTES = 1 << 20 };

struct os_trigger_index {
  char *name, *next, *alias; /* owned by the trigger */
};
struct os_trigger {
  char *endpoint;
  struct os_trigger_index *indices;
  size_t count;
  char *key; /* equal for triggers that ask for the same, however they are written */
};

/* Fills *out, to be os_trigger_free()d also after a failure. Every key is needed and no other is known.
** No name comes twice, be it of an index, its next version or an alias. */
int os_trigger_parse(const char *text, size_t len, struct os_trigger *out, struct os_error *error);
void os_trigger_free(struct os_trigger *trigger);

/* Do two URLs mean the same server? Letters' case, the scheme's own port and a slash at the end do not
** count. */
bool os_trigger_same_endpoint(const char *a, const char *b);
#endif
