/* csv_reader.h - rows out of the bytes of a CSV file: cells, lines, offsets, and what is wrong with a
** row.
**
** RFC 4180 with LF, CR and CRLF. A row without quotes, or whose quotes are where they belong, is cut at its
** delimiters and quotes. Any other goes through libcsv in strict mode, a line at a time, so that each row knows
** its lines: libcsv says what is right and where the fault is. Works on a window that its caller owns; see
** parser.h for how windows follow one another. OS_PAD bytes behind it must be readable.
*/
#ifndef OS_FORMAT_CSV_READER_H
#define OS_FORMAT_CSV_READER_H
#include <csv.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buffer.h"
#include "format/parser.h"

struct os_csv_dialect {
  char delimiter, quote;
  bool no_quote; /* a quote is a byte like any other */
  bool trim;     /* cut blanks and tabs around unquoted cells */
  size_t max_record;
};

struct os_csv_cell {
  size_t at, len; /* in os_csv_row.text */
  bool bare;      /* empty and not quoted */
};

enum os_csv_event {
  OS_CSV_ROW,
  OS_CSV_FAULT, /* a row that cannot be read; os_csv_row.fault says why */
  OS_CSV_MORE,  /* the window ends inside a row (or after the last one): the caller brings more bytes */
  OS_CSV_NOMEM
};

enum os_csv_fault {
  OS_CSV_NO_FAULT,
  OS_CSV_BAD_QUOTE,  /* a quote inside an unquoted cell, or text behind a closing quote */
  OS_CSV_OPEN_QUOTE, /* opened on fault_line and not closed before the end of the file */
  OS_CSV_OPEN_LONG,  /* ... not closed within max_record bytes */
  OS_CSV_TOO_LONG    /* one line of more than max_record bytes */
};

struct os_csv_row {
  const char *raw; /* without its line break */
  size_t raw_len;  /* of OS_CSV_TOO_LONG at most OS_REJECT_RAW_MAX */
  uint64_t offset, end, line, end_line;
  const char *text;               /* the cells' bytes */
  const struct os_csv_cell *cell; /* min(cells, limit) of them */
  size_t cells;
  bool quotes; /* raw has a quote */
  enum os_csv_fault fault;
  uint64_t fault_line; /* OPEN: where the quote opened; BAD_QUOTE: where the faulty byte stands */
  size_t fault_byte;   /* BAD_QUOTE: its place in that line, from 1 */
  size_t fault_cell;   /* from 0 */
};

struct os_csv_reader {
  struct os_csv_dialect dialect;
  struct csv_parser csv; /* libcsv; between two rows always in its first state */
  struct os_buf text;    /* cells of rows with quotes */
  struct os_csv_cell *cell;
  size_t cell_cap, limit; /* cells beyond limit are counted, not kept */
  size_t cells;           /* seen in the row at hand */
  bool row_done, no_memory;
  const char *window;
  size_t len, pos;
  bool at_end;
  uint64_t base, line;     /* file offset of window[0]; line at pos */
  size_t next_lf, next_cr; /* in the window, at or behind pos; len: none */
  bool skipping;           /* inside a line that is too long */
  uint64_t skip_offset;
  struct os_buf skip_raw;
};

struct os_csv_dialect os_csv_dialect_of(enum os_format format, const struct os_parse_options *options);
int os_csv_reader_init(struct os_csv_reader *reader, const struct os_csv_dialect *dialect, size_t limit,
                       struct os_error *error);
void os_csv_reader_free(struct os_csv_reader *reader);
/* The bytes to read next; `offset` and `line` are those of window[0]. */
void os_csv_reader_window(struct os_csv_reader *reader, const char *window, size_t len, bool at_end,
                          uint64_t offset, uint64_t line);
/* The next row. Afterwards reader->pos and reader->line say where it ended; after OS_CSV_MORE, what is
** done with. */
enum os_csv_event os_csv_reader_next(struct os_csv_reader *reader, struct os_csv_row *row);

/* Going through a row's raw bytes once more, cell by cell: for what libcsv does not tell. Begin with {0}. */
struct os_csv_walk {
  size_t cell;       /* number of the cell just read, from 1 */
  size_t begin, end; /* its raw bytes, quotes and blanks included */
  size_t next;
  bool quoted;
};
bool os_csv_walk_next(const struct os_csv_dialect *dialect, const struct os_csv_row *row,
                      struct os_csv_walk *walk);
#endif
