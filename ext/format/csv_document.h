/* csv_document.h - a row of cells becomes one JSON object.
**
** What does not depend on the row - names, nesting, commas - is put together once (os_csv_layout_make),
** so that the hot path only copies: fragment, value, fragment, value, tail.
*/
#ifndef OS_FORMAT_CSV_DOCUMENT_H
#define OS_FORMAT_CSV_DOCUMENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buffer.h"
#include "base/error.h"
#include "format/csv_types.h"

struct os_csv_column {
  char *name; /* owned by csv_columns */
  size_t name_len;
  enum os_csv_type type;
  bool cut; /* not part of the document: it became the id, the routing or the version */
};

enum { OS_CSV_SHOWN = 104 };
/* A column's name for a message: not too long, on one line, valid UTF-8. Returns out. */
const char *os_csv_show_name(char out[OS_CSV_SHOWN], const char *name);

struct os_csv_step { /* write fragment, then the cell of `column` */
  size_t column;
  size_t at, len; /* the fragment, in os_csv_layout.text */
};

struct os_csv_layout {
  struct os_csv_step *step;
  size_t steps;
  struct os_buf text;
  size_t tail_at, tail_len; /* what closes the object, source_field included */
};

/* `nested`: the column a.b becomes member b of the object a, wherever in the header it stands. Errors
** (OS_ERR_FORMAT): a column that is also the beginning of another one's name, a column named like
** source_field. Names are unique and valid UTF-8. Free the layout also after an error. */
int os_csv_layout_make(struct os_csv_layout *layout, const struct os_csv_column *column, size_t count,
                       bool nested, const char *source_field, const char *source_name,
                       struct os_error *error);
void os_csv_layout_free(struct os_csv_layout *layout);

/* Append the text before a cell, and what closes the object. Between the first fragment and the end,
** out->data is not NUL-terminated. */
void os_csv_put_fragment(struct os_buf *out, const struct os_csv_layout *layout, size_t at, size_t len);
void os_csv_end_document(struct os_buf *out, const struct os_csv_layout *layout);
/* Append the content of a JSON string (no quotes): escapes as RFC 8259 section 7 demands. At least
** OS_SIMD_WIDTH bytes behind text[len) must be readable. */
void os_csv_put_escaped(struct os_buf *out, const char *text, size_t len);
/* Append one cell as the value its column's type says, as a string when it does not fit. OS_PAD bytes
** behind text must be readable. `scan` is needed for the types of JSON only. */
void os_csv_put_value(struct os_buf *out, struct os_json_scan *scan, enum os_csv_type type, const char *text,
                      size_t len);
#endif
