/* csv_reader.c - see csv_reader.h. May call: base, libcsv. Owns the cells of the row at hand.
**
** What libcsv 3.0.3 does and how it is met here:
** - it trims blanks unless it has a space function: one that knows none is set, unless `trim`;
** - it tells neither lines nor offsets: it gets one line at a time, CRLF with it;
** - it drops blank rows: so does this reader, also for one-column files;
** - it takes an open quote at the end for a cell: the reader sees that the row did not end;
** - after an error its state is spoilt: csv_fini() without callbacks puts it back;
** - its cell buffer grows by a fixed step: the step is raised for long lines, else a large cell costs
** quadratic time.
*/
#include "format/csv_reader.h"
#include <string.h>
#include "base/alloc.h"
#include "base/simd.h"

enum {
  FIRST_CELLS = 32,
  CELL_STEP = 64 * 1024,
  QUICK_ROW = 64 * 1024,
  DEFAULT_MAX_RECORD = 100 * 1024 * 1024
};

static int no_space(unsigned char c) {
  (void)c;
  return 0;
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

struct os_csv_dialect os_csv_dialect_of(enum os_format format, const struct os_parse_options *options) {
  struct os_csv_dialect dialect = {
      .delimiter = options->delimiter ? options->delimiter : (char)(format == OS_FORMAT_TSV ? '\t' : ','),
      .quote = options->quote ? options->quote : '"',
      .no_quote = options->no_quote,
      .trim = options->trim,
      .max_record = options->max_record ? options->max_record : DEFAULT_MAX_RECORD,
  };
  return dialect;
}

int os_csv_reader_init(struct os_csv_reader *reader, const struct os_csv_dialect *dialect, size_t limit,
                       struct os_error *error) {
  memset(reader, 0, sizeof *reader);
  reader->dialect = *dialect;
  reader->limit = limit;
  os_buf_init(&reader->text, 0);
  os_buf_init(&reader->skip_raw, 0);
  csv_init(&reader->csv, CSV_STRICT | CSV_EMPTY_IS_NULL);
  csv_set_realloc_func(&reader->csv, os_realloc);
  csv_set_free_func(&reader->csv, os_free);
  csv_set_delim(&reader->csv, (unsigned char)dialect->delimiter);
  csv_set_quote(&reader->csv, (unsigned char)dialect->quote);
  if (!dialect->trim) csv_set_space_func(&reader->csv, no_space);
  reader->cell_cap = limit < FIRST_CELLS ? limit + 1 : FIRST_CELLS;
  reader->cell = os_calloc(reader->cell_cap, sizeof *reader->cell);
  if (!reader->cell) return os_fail_nomem(error);
  return OS_OK;
}

void os_csv_reader_free(struct os_csv_reader *reader) {
  csv_free(&reader->csv);
  os_buf_free(&reader->text);
  os_buf_free(&reader->skip_raw);
  os_free(reader->cell);
  reader->cell = NULL;
}

void os_csv_reader_window(struct os_csv_reader *reader, const char *window, size_t len, bool at_end,
                          uint64_t offset, uint64_t line) {
  reader->window = window;
  reader->len = len;
  reader->pos = 0;
  reader->at_end = at_end;
  reader->base = offset;
  reader->line = line;
  reader->next_lf = reader->next_cr = 0;
  const char *lf = len ? memchr(window, '\n', len) : NULL, *cr = len ? memchr(window, '\r', len) : NULL;
  reader->next_lf = lf ? (size_t)(lf - window) : len;
  reader->next_cr = cr ? (size_t)(cr - window) : len;
}

/* ---- lines ---- */

struct piece {
  size_t begin, end, next; /* the line, and where the one behind it begins */
  bool broken;             /* it has a line break */
  bool known;              /* false: more bytes are needed to tell where the next line begins */
};

/* Each kind of break is searched for once over the window, so that a file without one of them costs nothing.
 */
static size_t next_byte(const struct os_csv_reader *reader, char byte, size_t known, size_t from) {
  if (known >= from) return known;
  const char *hit = memchr(reader->window + from, byte, reader->len - from);
  return hit ? (size_t)(hit - reader->window) : reader->len;
}

static struct piece next_piece(struct os_csv_reader *reader, size_t from) {
  struct piece piece = {.begin = from};
  reader->next_lf = next_byte(reader, '\n', reader->next_lf, from);
  reader->next_cr = next_byte(reader, '\r', reader->next_cr, from);
  piece.end = reader->next_lf < reader->next_cr ? reader->next_lf : reader->next_cr;
  piece.next = piece.end;
  if (piece.end == reader->len) {
    piece.known = reader->at_end;
    return piece;
  }
  piece.broken = true;
  piece.next++;
  if (piece.end == reader->next_cr) {
    piece.known = piece.next < reader->len || reader->at_end; /* else a LF may follow */
    if (piece.next < reader->len && reader->window[piece.next] == '\n') piece.next++;
  } else
    piece.known = true;
  return piece;
}

static bool only_blanks(const char *text, size_t len) {
  while (len && is_blank(text[len - 1]))
    len--;
  return !len;
}

/* ---- cells ---- */

/* new_cell() where there is no room: beyond the limit cells are only counted. */
static struct os_csv_cell *make_room(struct os_csv_reader *reader) {
  if (reader->cells >= reader->limit) {
    reader->cells++;
    return NULL;
  }
  struct os_csv_cell *larger = os_realloc(reader->cell, reader->cell_cap * 2 * sizeof *larger);
  if (!larger) {
    reader->no_memory = true;
    return NULL;
  }
  reader->cell = larger;
  reader->cell_cap *= 2;
  return &reader->cell[reader->cells++];
}

static inline struct os_csv_cell *new_cell(struct os_csv_reader *reader) {
  if (reader->cells < reader->cell_cap && reader->cells < reader->limit)
    return &reader->cell[reader->cells++];
  return make_room(reader);
}

/* libcsv's callbacks. There is room in `text`: see feed(). */
static void take_cell(void *bytes, size_t len, void *ctx) {
  struct os_csv_reader *reader = ctx;
  struct os_csv_cell *cell = new_cell(reader);
  if (!cell) return;
  cell->at = reader->text.len;
  cell->len = len;
  cell->bare = !bytes;
  if (bytes) memcpy(reader->text.data + reader->text.len, bytes, len);
  reader->text.len += len;
}

static void take_row(int terminator, void *ctx) {
  (void)terminator;
  ((struct os_csv_reader *)ctx)->row_done = true;
}

static inline void plain_cell(struct os_csv_reader *reader, const char *line, size_t from, size_t to) {
  struct os_csv_cell *cell = new_cell(reader);
  if (!cell) return;
  if (reader->dialect.trim) {
    while (from < to && is_blank(line[from]))
      from++;
    while (from < to && is_blank(line[to - 1]))
      to--;
  }
  cell->at = from;
  cell->len = to - from;
  cell->bare = from == to;
}

/* Text without quotes: nothing but delimiters means anything in it. Cells that a delimiter ends are
** taken; returns where the one behind the last delimiter begins. */
static size_t cut_plain(struct os_csv_reader *reader, const char *text, size_t from, size_t to) {
  for (size_t at = from; at < to; at += OS_SIMD_WIDTH) {
    uint32_t mask = os_simd_mask_eq(os_simd_load(text + at), (unsigned char)reader->dialect.delimiter);
    if (to - at < OS_SIMD_WIDTH) mask &= (1u << (to - at)) - 1;
    for (; mask; mask &= mask - 1) {
      size_t delimiter = at + os_simd_first(mask);
      plain_cell(reader, text, from, delimiter);
      from = delimiter + 1;
    }
  }
  return from;
}

static void cut_line(struct os_csv_reader *reader, const char *text, size_t from, size_t to) {
  from = cut_plain(reader, text, from, to);
  plain_cell(reader, text, from, to);
}

/* ---- rows ---- */

/* Where the quote that is open stands: the row is given up behind that line. */
struct opening {
  size_t lf, cr; /* reader->next_lf and next_cr at the row's start, for going back */
  size_t next;
  size_t line_end;
  uint64_t line;
};

static void reset(struct os_csv_reader *reader) {
  csv_fini(&reader->csv, NULL, NULL, NULL);
}

static enum os_csv_event finish(struct os_csv_reader *reader, struct os_csv_row *row, size_t start,
                                size_t raw_end, size_t next, uint64_t end_line) {
  row->raw = reader->window + start;
  row->raw_len = raw_end - start;
  row->offset = reader->base + start;
  row->end = reader->base + next;
  row->line = reader->line;
  row->end_line = end_line;
  row->cell = reader->cell;
  row->cells = reader->cells;
  reader->pos = next;
  reader->line = end_line;
  return row->fault ? OS_CSV_FAULT : OS_CSV_ROW;
}

/* The row from `start` is refused; reading goes on behind the line in which the faulty cell begins,
** because a stray quote must not swallow the good rows after it. */
static enum os_csv_event refuse(struct os_csv_reader *reader, struct os_csv_row *row, enum os_csv_fault fault,
                                size_t start, const struct opening *open) {
  reset(reader);
  reader->next_lf = open->lf;
  reader->next_cr = open->cr;
  row->fault = fault;
  row->fault_cell = reader->cells;
  if (fault != OS_CSV_BAD_QUOTE) row->fault_line = open->line;
  return finish(reader, row, start, open->line_end, open->next, open->line + 1);
}

/* Keep the raw bytes [from, to) of the window in `text`; returns where they are. */
static size_t keep_raw(struct os_csv_reader *reader, size_t from, size_t to) {
  size_t at = reader->text.len;
  memcpy(reader->text.data + at, reader->window + from, to - from);
  reader->text.len += to - from;
  return at;
}

static bool give(struct os_csv_reader *reader, const char *bytes, size_t len, size_t *used) {
  size_t taken = csv_parse(&reader->csv, bytes, len, take_cell, take_row, reader);
  *used += taken;
  if (taken != len && csv_error(&reader->csv) != CSV_EPARSE) reader->no_memory = true;
  return taken == len && !reader->no_memory;
}

/* Take one line of the row that begins at `start` apart; false: a fault at *fault_at (or no memory). All cells of a
** row together are never longer than its raw bytes, so `text` gets its room here. */
static bool feed(struct os_csv_reader *reader, const struct piece *piece, size_t start, size_t *fault_at) {
  size_t row_len = piece->next - start;
  if (!os_buf_reserve(&reader->text, row_len + 1 - reader->text.len)) {
    reader->no_memory = true;
    return false;
  }
  csv_set_blk_size(&reader->csv, row_len > CELL_STEP ? row_len : CELL_STEP);
  *fault_at = piece->begin;
  if (!give(reader, reader->window + piece->begin, piece->next - piece->begin, fault_at)) return false;
  /* the end of the file ends its last row */
  return piece->broken || give(reader, "\n", 1, fault_at);
}

/* A row with quotes, of one line or several, by libcsv. */
static enum os_csv_event quoted_row(struct os_csv_reader *reader, struct os_csv_row *row,
                                    struct piece piece) {
  size_t start = piece.begin;
  struct opening open = {.lf = reader->next_lf, .cr = reader->next_cr};
  for (uint64_t line = reader->line;; line++) {
    size_t before = reader->cells, fault_at = 0;
    bool first = piece.begin == start;
    bool fine = feed(reader, &piece, start, &fault_at);
    if (reader->no_memory) break;
    if (first || reader->cells != before)
      open = (struct opening){open.lf, open.cr, piece.next, piece.end, line};
    if (!fine) {
      row->fault_line = line;
      row->fault_byte = fault_at - piece.begin + 1;
      return refuse(reader, row, OS_CSV_BAD_QUOTE, start, &open);
    }
    if (reader->row_done) {
      os_buf_zero_pad(&reader->text);
      row->text = reader->text.data;
      return finish(reader, row, start, piece.end, piece.next, line + 1);
    }
    if (!piece.broken) return refuse(reader, row, OS_CSV_OPEN_QUOTE, start, &open);
    piece = next_piece(reader, piece.next);
    if (piece.end - start > reader->dialect.max_record)
      return refuse(reader, row, OS_CSV_OPEN_LONG, start, &open);
    if (!piece.known) {
      reset(reader);
      return OS_CSV_MORE;
    }
    if (piece.begin == reader->len) return refuse(reader, row, OS_CSV_OPEN_QUOTE, start, &open);
  }
  reset(reader);
  return OS_CSV_NOMEM;
}

/* ---- rows whose quotes are where they belong ---- */

/* Copy the cell whose opening quote is at `at`, without its quotes, doubled ones once. *end: behind its closing quote.
** False: that is not to be found near `start`. */
static bool copy_quoted(struct os_csv_reader *reader, size_t start, size_t at, size_t *end) {
  const char *window = reader->window;
  char quote = reader->dialect.quote;
  size_t limit = reader->len - start < QUICK_ROW ? reader->len : start + QUICK_ROW, from = at + 1;
  for (;;) {
    const char *hit = memchr(window + from, quote, limit - from);
    if (!hit) return false;
    size_t closing = (size_t)(hit - window);
    bool doubled = closing + 1 < limit && window[closing + 1] == quote;
    keep_raw(reader, from, closing + doubled);
    *end = closing + 1;
    if (!doubled) return true;
    from = closing + 2;
  }
}

/* The quoted cell at `at`. *end: the delimiter or the end of the row behind it; *piece and *line: the line
** in which that stands. */
static bool cut_quoted(struct os_csv_reader *reader, size_t start, size_t at, struct piece *piece,
                       uint64_t *line, size_t *end) {
  size_t begin = reader->text.len;
  if (!copy_quoted(reader, start, at, end)) return false;
  for (; piece->end < *end; ++*line) {
    *piece = next_piece(reader, piece->next);
    if (piece->end - start > reader->dialect.max_record) return false;
  }
  if (!piece->known || (*end < piece->end && reader->window[*end] != reader->dialect.delimiter)) return false;
  struct os_csv_cell *cell = new_cell(reader);
  if (cell) *cell = (struct os_csv_cell){begin, reader->text.len - begin, false};
  return !reader->no_memory;
}

/* The cells from `at` on, up to one that begins with a quote or the end of the line. *next: where that is. */
static bool cut_unquoted(struct os_csv_reader *reader, size_t at, size_t line_end, size_t *next) {
  const char *quote = memchr(reader->window + at, reader->dialect.quote, line_end - at);
  *next = quote ? (size_t)(quote - reader->window) : line_end;
  if (quote && quote[-1] != reader->dialect.delimiter) return false;
  size_t begin = keep_raw(reader, at, quote ? *next - 1 : line_end);
  cut_line(reader, reader->text.data, begin, reader->text.len);
  return !reader->no_memory;
}

/* Cut a row at its delimiters and quotes, which is far faster than looking at each byte. False: it is not as simple, or
** very long, and libcsv has the say; then nothing has changed but `text` and `cells`. */
static bool quick_row(struct os_csv_reader *reader, struct os_csv_row *row, struct piece piece) {
  size_t start = piece.begin, at = start;
  uint64_t line = reader->line;
  if (!os_buf_reserve(&reader->text, QUICK_ROW)) return false;
  for (;;) {
    if (piece.end - start > QUICK_ROW) return false;
    if (at < piece.end && reader->window[at] == reader->dialect.quote) {
      if (!cut_quoted(reader, start, at, &piece, &line, &at)) return false;
      if (at++ == piece.end) break;
    } else {
      if (!cut_unquoted(reader, at, piece.end, &at)) return false;
      if (at == piece.end) break;
    }
  }
  os_buf_zero_pad(&reader->text);
  row->text = reader->text.data;
  finish(reader, row, start, piece.end, piece.next, line + 1);
  return true;
}

static enum os_csv_event row_with_quotes(struct os_csv_reader *reader, struct os_csv_row *row,
                                         struct piece piece) {
  size_t lf = reader->next_lf, cr = reader->next_cr;
  os_buf_clear(&reader->text);
  if (quick_row(reader, row, piece)) return OS_CSV_ROW;
  if (reader->no_memory || reader->text.failed) return OS_CSV_NOMEM;
  os_buf_clear(&reader->text);
  reader->cells = 0;
  reader->next_lf = lf;
  reader->next_cr = cr;
  return quoted_row(reader, row, piece);
}

/* ---- lines that are too long to be held ---- */

static void skip_keep(struct os_csv_reader *reader, size_t from, size_t to) {
  size_t room = OS_REJECT_RAW_MAX - reader->skip_raw.len;
  os_buf_append(&reader->skip_raw, reader->window + from, to - from < room ? to - from : room);
}

/* Go on to the end of a line that is too long; its first bytes are kept for the reject. */
static enum os_csv_event skip(struct os_csv_reader *reader, struct os_csv_row *row,
                              const struct piece *piece) {
  skip_keep(reader, piece->begin, piece->end);
  if (reader->skip_raw.failed) return OS_CSV_NOMEM;
  reader->pos = piece->end;
  if (!piece->known) return OS_CSV_MORE;
  row->fault = OS_CSV_TOO_LONG;
  finish(reader, row, piece->begin, piece->end, piece->next, reader->line + 1);
  row->raw = reader->skip_raw.data;
  row->raw_len = reader->skip_raw.len;
  row->offset = reader->skip_offset;
  reader->skipping = false;
  return OS_CSV_FAULT;
}

enum os_csv_event os_csv_reader_next(struct os_csv_reader *reader, struct os_csv_row *row) {
  for (;;) {
    *row = (struct os_csv_row){0};
    reader->cells = 0;
    reader->row_done = false;
    struct piece piece = next_piece(reader, reader->pos);
    if (!reader->skipping && piece.end - piece.begin > reader->dialect.max_record) {
      reader->skipping = true;
      reader->skip_offset = reader->base + piece.begin;
      os_buf_clear(&reader->skip_raw);
    }
    if (reader->skipping) return skip(reader, row, &piece);
    if (!piece.known || piece.begin == reader->len) return OS_CSV_MORE;
    const char *line = reader->window + piece.begin;
    size_t len = piece.end - piece.begin;
    if (!len ||
        (reader->dialect.trim && only_blanks(line, len) && !memchr(line, reader->dialect.delimiter, len))) {
      reader->pos = piece.next; /* a blank row */
      reader->line++;
      continue;
    }
    row->quotes = !reader->dialect.no_quote && memchr(line, reader->dialect.quote, len);
    if (row->quotes) return row_with_quotes(reader, row, piece);
    cut_line(reader, line, 0, len);
    if (reader->no_memory) return OS_CSV_NOMEM;
    row->text = line;
    return finish(reader, row, piece.begin, piece.end, piece.next, reader->line + 1);
  }
}

/* ---- a second look ---- */

/* The end of a quoted cell whose content begins at `at`: behind its closing quote (RFC 4180 section 2.7). */
static size_t closing_quote(const struct os_csv_row *row, char quote, size_t at) {
  while (at < row->raw_len) {
    const char *hit = memchr(row->raw + at, quote, row->raw_len - at);
    if (!hit) return row->raw_len;
    at = (size_t)(hit - row->raw) + 1;
    if (at >= row->raw_len || row->raw[at] != quote) return at;
    at++;
  }
  return at;
}

bool os_csv_walk_next(const struct os_csv_dialect *dialect, const struct os_csv_row *row,
                      struct os_csv_walk *walk) {
  size_t at = walk->next;
  if (at > row->raw_len) return false;
  walk->begin = at;
  walk->cell++;
  while (dialect->trim && at < row->raw_len && is_blank(row->raw[at]) && row->raw[at] != dialect->delimiter)
    at++;
  walk->quoted = !dialect->no_quote && at < row->raw_len && row->raw[at] == dialect->quote;
  if (walk->quoted) at = closing_quote(row, dialect->quote, at + 1);
  const char *hit = at < row->raw_len ? memchr(row->raw + at, dialect->delimiter, row->raw_len - at) : NULL;
  walk->end = hit ? (size_t)(hit - row->raw) : row->raw_len;
  walk->next = walk->end + 1;
  return true;
}
