/* csv_columns.h - the columns of one CSV file: names from the header or the options, types, and which of them
*is the
** id, the routing and the version.
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

/* From the file's first bytes. *incomplete: the header does not end within head[0..len); nothing was made.
*Errors:
** OS_ERR_FORMAT (UTF-16, NUL bytes, names that are empty, double or not UTF-8, quoting in the header),
** OS_ERR_ARGUMENT (neither header nor columns, an unknown type, delimiter and quote that are the same). */
int os_csv_columns_read(struct os_csv_columns *columns, enum os_format format,
                        const struct os_parse_options *options, const char *head, size_t len, bool is_all,
                        bool *incomplete, struct os_error *error);
void os_csv_columns_free(struct os_csv_columns *columns);

/* Is this cell null: not quoted, and one of options->null_values? `walk` goes along with the cells of one
 * row. */
bool os_csv_cell_is_null(const struct os_parse_options *options, const struct os_csv_dialect *dialect,
                         const struct os_csv_row *row, size_t cell, struct os_csv_walk *walk);
#endif
