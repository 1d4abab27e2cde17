/* csv_columns.h - the columns of one CSV file: names from the header or the options, types, and which of
** them is the id, the routing and the version.
*/
#ifndef OS_FORMAT_CSV_COLUMNS_H
#define OS_FORMAT_CSV_COLUMNS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "format/csv_document.h"
#include "format/csv_reader.h"

enum { OS_CSV_NO_COLUMN = -1 };

struct os_csv_columns {
  struct os_csv_column *column;
  size_t count;                    /* 0: the file has no row at all */
  long id, routing, version;       /* OS_CSV_NO_COLUMN */
  uint64_t data_offset, data_line; /* where the first row behind the header begins */
  bool blank;                      /* the file holds nothing at all, or nothing but blank lines */
  bool any_json;                   /* a column is sent as JSON */
};

/* From the file's first bytes. *incomplete: the header does not end within head[0..len); nothing was
** made. Errors: OS_ERR_FORMAT (UTF-16, NUL bytes, names that are empty, double or not UTF-8, quoting in
** the header), OS_ERR_ARGUMENT (neither header nor columns, an unknown type, delimiter and quote that are
** the same). */
int os_csv_columns_read(struct os_csv_columns *columns, enum os_format format,
                        const struct os_parse_options *options, const char *head, size_t len, bool is_all,
                        bool *incomplete, struct os_error *error);
void os_csv_columns_free(struct os_csv_columns *columns);

/* The texts that stand for null, looked at once so that most cells cost a comparison. */
struct os_csv_nulls {
  const struct os_parse_options *options;
  bool empty;       /* "" is one */
  bool others;      /* there are more */
  uint64_t lengths; /* bit n: one of the others has n bytes; bit 63: 63 or more */
};
struct os_csv_nulls os_csv_nulls_of(const struct os_parse_options *options);

bool os_csv_is_other_null(const struct os_csv_nulls *nulls, const struct os_csv_dialect *dialect,
                          const struct os_csv_row *row, size_t cell, struct os_csv_walk *walk);
/* Is this cell null: not quoted, and one of the null values? `walk` goes along with the cells of a row. */
static inline bool os_csv_cell_is_null(const struct os_csv_nulls *nulls, const struct os_csv_dialect *dialect,
                                       const struct os_csv_row *row, size_t cell, struct os_csv_walk *walk) {
  const struct os_csv_cell *at = &row->cell[cell];
  if (!at->len) return at->bare && nulls->empty;
  if (!nulls->others || !(nulls->lengths >> (at->len < 63 ? at->len : 63) & 1)) return false;
  return os_csv_is_other_null(nulls, dialect, row, cell, walk);
}
#endif
