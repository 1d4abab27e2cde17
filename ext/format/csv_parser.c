/* csv_parser.c - the parser of CSV and TSV behind parser.h: rows to records, faults to rejects.
**
** May call: csv_columns (names, types), csv_reader (rows), csv_document (JSON), base. Owns the columns,
** the layout and the buffers of the record at hand.
*/
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/text.h"
#include "base/utf8.h"
#include "format/csv_columns.h"
#include "format/parser_impl.h"

enum { META_ID, META_ROUTING, META_VERSION, METAS };

struct csv_parser_state {
  struct os_parser base; /* must be first */
  enum os_format format;
  struct os_csv_dialect dialect;
  struct os_csv_nulls nulls;
  bool prepared; /* columns, layout and reader are there */
  bool begun;    /* mark and header, if they are in the windows, were passed */
  struct os_csv_columns columns;
  struct os_csv_layout layout;
  struct os_csv_reader reader;
  struct os_json_scan *scan; /* NULL: no column is sent as JSON */
  struct os_buf doc, meta[METAS];
};

/* ---- rejects ---- */

static int reject(struct csv_parser_state *parser, const struct os_csv_row *row, const char *type,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

static int reject(struct csv_parser_state *parser, const struct os_csv_row *row, const char *type,
                  const char *format, ...) {
  struct os_reject out = {
      .type = type,
      .raw = row->raw,
      .raw_len = row->raw_len < OS_REJECT_RAW_MAX ? row->raw_len : OS_REJECT_RAW_MAX,
      .offset = row->offset,
      .end = row->end,
      .line = row->line,
      .end_line = row->end_line,
  };
  va_list args;
  va_start(args, format);
  vsnprintf(out.reason, sizeof out.reason, format, args);
  va_end(args);
  parser->base.records++;
  return parser->base.sink.reject(parser->base.sink.ctx, &out);
}

#define LINE(number) ((unsigned long long)(number))

static const char *column_name(const struct csv_parser_state *parser, size_t column, char out[OS_CSV_SHOWN]) {
  if (column >= parser->columns.count) return "behind the last one";
  return os_csv_show_name(out, parser->columns.column[column].name);
}

static int reject_fault(struct csv_parser_state *parser, const struct os_csv_row *row) {
  size_t column = row->fault_cell;
  char name[OS_CSV_SHOWN];
  switch (row->fault) {
  case OS_CSV_BAD_QUOTE:
    return reject(
        parser, row, "csv_bad_quote",
        "line %llu, byte %zu, column %zu (%s): a quote inside a cell without quotes, or text behind a "
        "closing quote; enclose the cell in quotes and double those inside it",
        LINE(row->fault_line), row->fault_byte, column + 1, column_name(parser, column, name));
  case OS_CSV_OPEN_QUOTE:
    return reject(
        parser, row, "csv_unterminated_quote",
        "the quote opened in line %llu, column %zu (%s), is not closed before the end of the file; close "
        "it, or double it if it belongs to the text (reading went on in the next line)",
        LINE(row->fault_line), column + 1, column_name(parser, column, name));
  case OS_CSV_OPEN_LONG:
    return reject(
        parser, row, "csv_unterminated_quote",
        "the quote opened in line %llu, column %zu (%s), is not closed within %zu bytes; close it, or "
        "double it if it belongs to the text (reading went on in the next line)",
        LINE(row->fault_line), column + 1, column_name(parser, column, name), parser->dialect.max_record);
  case OS_CSV_TOO_LONG:
  case OS_CSV_NO_FAULT: break;
  }
  return reject(parser, row, "record_too_long", "line %llu is longer than %zu bytes", LINE(row->line),
                parser->dialect.max_record);
}

static int reject_count(struct csv_parser_state *parser, const struct os_csv_row *row) {
  const char *who = parser->base.options->column_count ? "option columns" : "header";
  bool few = row->cells < parser->columns.count;
  return reject(parser, row, few ? "csv_too_few_cells" : "csv_too_many_cells",
                "line %llu has %zu cell%s, the %s has %zu: %s", LINE(row->line), row->cells,
                row->cells == 1 ? "" : "s", who, parser->columns.count,
                few ? "a cell is missing, or a line break inside a cell stands without quotes"
                    : "a cell too many, or a delimiter inside a cell stands without quotes");
}

/* Name line, column and byte of the raw byte at `bad`. */
static int reject_byte(struct csv_parser_state *parser, const struct os_csv_row *row, size_t bad,
                       const char *type, const char *what) {
  uint64_t line = row->line;
  size_t line_start = 0;
  for (size_t i = 0; i < bad; i++)
    if (row->raw[i] == '\n' || (row->raw[i] == '\r' && row->raw[i + 1] != '\n')) {
      line++;
      line_start = i + 1;
    }
  char name[OS_CSV_SHOWN];
  struct os_csv_walk walk = {0};
  while (os_csv_walk_next(&parser->dialect, row, &walk) && walk.end <= bad) {
  }
  return reject(parser, row, type, "line %llu, byte %zu, column %zu (%s): 0x%02X %s", LINE(line),
                bad - line_start + 1, walk.cell, column_name(parser, walk.cell - 1, name),
                (unsigned)(unsigned char)row->raw[bad], what);
}

/* ---- records ---- */

/* The cell as record.h wants metadata: the content of a JSON string; absent when null or empty. */
static struct os_record_meta metadata(struct csv_parser_state *parser, const struct os_csv_row *row,
                                      long column, bool null, struct os_buf *buf) {
  struct os_record_meta meta = {0};
  os_buf_clear(buf);
  if (column == OS_CSV_NO_COLUMN || null || !row->cell[column].len) return meta;
  os_csv_put_escaped(buf, row->text + row->cell[column].at, row->cell[column].len);
  if (buf->failed) parser->doc.failed = true;
  meta.text = buf->data;
  meta.len = buf->len;
  return meta;
}

static void build(struct csv_parser_state *parser, const struct os_csv_row *row) {
  const struct os_csv_layout *layout = &parser->layout;
  struct os_buf *doc = &parser->doc;
  struct os_csv_walk walk = {0};
  os_buf_clear(doc);
  for (size_t i = 0; i < layout->steps; i++) {
    const struct os_csv_step *step = &layout->step[i];
    const struct os_csv_cell *cell = &row->cell[step->column];
    os_csv_put_fragment(doc, layout, step->at, step->len);
    if (os_csv_cell_is_null(&parser->nulls, &parser->dialect, row, step->column, &walk))
      os_buf_append(doc, "null", 4);
    else
      os_csv_put_value(doc, parser->scan, parser->columns.column[step->column].type, row->text + cell->at,
                       cell->len);
  }
  os_csv_end_document(doc, layout);
}

static bool cell_is_null(const struct csv_parser_state *parser, const struct os_csv_row *row, long column) {
  struct os_csv_walk walk = {0};
  return column != OS_CSV_NO_COLUMN &&
         os_csv_cell_is_null(&parser->nulls, &parser->dialect, row, (size_t)column, &walk);
}

static int hand_out(struct csv_parser_state *parser, const struct os_csv_row *row, struct os_error *error) {
  const struct os_csv_columns *columns = &parser->columns;
  const long at[METAS] = {columns->id, columns->routing, columns->version};
  struct os_record_meta meta[METAS];
  build(parser, row);
  for (int i = 0; i < METAS; i++)
    meta[i] = metadata(parser, row, at[i], cell_is_null(parser, row, at[i]), &parser->meta[i]);
  if (parser->doc.failed) return os_fail_nomem(error);
  struct os_record record = {
      .doc = parser->doc.data,
      .doc_len = parser->doc.len,
      .id = meta[META_ID],
      .routing = meta[META_ROUTING],
      .version = meta[META_VERSION],
      .raw = row->raw,
      .raw_len = row->raw_len,
      .offset = row->offset,
      .end = row->end,
      .line = row->line,
      .end_line = row->end_line,
  };
  parser->base.records++;
  return parser->base.sink.record(parser->base.sink.ctx, &record);
}

static int take_row(struct csv_parser_state *parser, const struct os_csv_row *row, struct os_error *error) {
  if (row->fault) return reject_fault(parser, row);
  const char *nul = memchr(row->raw, 0, row->raw_len);
  if (nul)
    return reject_byte(parser, row, (size_t)(nul - row->raw), "csv_nul_byte",
                       "is a NUL byte, which no text holds; remove it, or convert the file if it is UTF-16");
  size_t bad = os_utf8_check(row->raw, row->raw_len);
  if (bad < row->raw_len)
    return reject_byte(parser, row, bad, "invalid_utf8",
                       "is not valid UTF-8 here; convert the file to UTF-8 (iconv), or mend this record");
  if (row->cells != parser->columns.count) return reject_count(parser, row);
  long id = parser->columns.id;
  char name[OS_CSV_SHOWN];
  if (id != OS_CSV_NO_COLUMN && row->cell[id].len > OS_ID_MAX)
    return reject(parser, row, "id_too_long",
                  "line %llu: the id in column %ld (%s) has %zu bytes, OpenSearch takes at most %d",
                  LINE(row->line), id + 1, column_name(parser, (size_t)id, name), row->cell[id].len,
                  OS_ID_MAX);
  return hand_out(parser, row, error);
}

/* ---- the parser ---- */

/* Columns, layout and reader from the file's first bytes. *incomplete: the header does not end in them. */
static int prepare(struct csv_parser_state *parser, const char *head, size_t len, bool is_all,
                   bool *incomplete, struct os_error *error) {
  const struct os_parse_options *options = parser->base.options;
  int code =
      os_csv_columns_read(&parser->columns, parser->format, options, head, len, is_all, incomplete, error);
  if (code || *incomplete) return code;
  code = os_csv_layout_make(&parser->layout, parser->columns.column, parser->columns.count,
                            options->nested_columns, options->source_field, parser->base.source_name, error);
  if (code) return code;
  code = os_csv_reader_init(&parser->reader, &parser->dialect, parser->columns.count, error);
  if (code) return code;
  if (parser->columns.any_json) {
    parser->scan = os_malloc(sizeof *parser->scan);
    if (!parser->scan) return os_fail_nomem(error);
    os_json_scan_init(parser->scan);
  }
  parser->prepared = true;
  return OS_OK;
}

/* How many of the window's first bytes belong to mark and header. */
static size_t pass_header(struct csv_parser_state *parser, size_t len) {
  uint64_t to = parser->columns.data_offset, from = parser->base.offset;
  parser->begun = from + len >= to;
  if (from >= to) return 0;
  if (!parser->begun) return len;
  parser->base.line = parser->columns.data_line;
  return (size_t)(to - from);
}

static int run(struct os_parser *base, const char *window, size_t len, bool at_end, size_t *consumed,
               struct os_error *error) {
  struct csv_parser_state *parser = (struct csv_parser_state *)base;
  size_t skip = 0;
  int code = OS_OK;
  *consumed = 0;
  if (!parser->prepared) {
    bool incomplete = false;
    code = prepare(parser, window, len, at_end, &incomplete, error);
    if (code || incomplete) return code;
  }
  if (!parser->begun) skip = pass_header(parser, len);
  if (!parser->begun || !parser->columns.count) { /* still the header, or an empty file */
    *consumed = len;
    base->offset += len;
    return OS_OK;
  }
  struct os_csv_reader *reader = &parser->reader;
  os_csv_reader_window(reader, window + skip, len - skip, at_end, base->offset + skip, base->line);
  struct os_csv_row row;
  enum os_csv_event event = OS_CSV_MORE;
  while (!code && (event = os_csv_reader_next(reader, &row)) < OS_CSV_MORE)
    code = take_row(parser, &row, error);
  if (event == OS_CSV_NOMEM) code = os_fail_nomem(error);
  *consumed = skip + reader->pos;
  base->offset += *consumed;
  base->line = reader->line;
  return code;
}

static void destroy(struct os_parser *base) {
  struct csv_parser_state *parser = (struct csv_parser_state *)base;
  os_csv_layout_free(&parser->layout);
  os_csv_columns_free(&parser->columns);
  os_csv_reader_free(&parser->reader);
  if (parser->scan) os_json_scan_free(parser->scan);
  os_free(parser->scan);
  os_buf_free(&parser->doc);
  for (int i = 0; i < METAS; i++)
    os_buf_free(&parser->meta[i]);
  os_parser_base_free(base);
  os_free(parser);
}

static const struct os_parser_methods methods = {run, destroy};

int os_csv_parser_open(struct os_parser **out, enum os_format format, const struct os_parse_options *options,
                       const struct os_parser_start *start, const struct os_record_sink *sink,
                       struct os_error *error) {
  *out = NULL;
  struct csv_parser_state *parser = os_calloc(1, sizeof *parser);
  if (!parser) return os_fail_nomem(error);
  parser->format = format;
  parser->dialect = os_csv_dialect_of(format, options);
  parser->nulls = os_csv_nulls_of(options);
  os_buf_init(&parser->doc, 0);
  for (int i = 0; i < METAS; i++)
    os_buf_init(&parser->meta[i], 0);
  int code = os_parser_base_init(&parser->base, &methods, options, start, sink, error);
  bool incomplete = !start->head;
  if (!code && start->head)
    code = prepare(parser, start->head, start->head_len, start->head_is_all, &incomplete, error);
  if (!code && incomplete && start->offset) {
    os_fail(error, OS_ERR_FORMAT, "the header does not end within the file's first %zu bytes",
            start->head_len);
    code = os_advise(
        error, "is this a CSV file with line breaks? Option columns names the columns of one without header");
  }
  if (code)
    destroy(&parser->base);
  else
    *out = &parser->base;
  return code;
}

/* ---- the head ---- */

static int facts_fill(struct os_head_facts *facts, const struct os_csv_columns *columns,
                      struct os_error *error) {
  facts->carries_id = columns->id != OS_CSV_NO_COLUMN;
  facts->empty = columns->blank;
  facts->columns = json_array();
  facts->types = json_object();
  for (size_t i = 0; i < columns->count; i++) {
    const struct os_csv_column *column = &columns->column[i];
    if (json_array_append_new(facts->columns, json_string(column->name)) ||
        json_object_set_new(facts->types, column->name, json_string(os_csv_type_name(column->type))))
      return os_fail_nomem(error);
  }
  return facts->columns && facts->types ? OS_OK : os_fail_nomem(error);
}

int os_csv_head_examine(enum os_format format, const struct os_parse_options *options, const char *head,
                        size_t len, bool is_all, struct os_head_facts *facts, struct os_error *error) {
  struct os_csv_columns columns;
  struct os_csv_layout layout = {0};
  bool incomplete = false;
  memset(facts, 0, sizeof *facts);
  facts->format = format;
  int code = os_csv_columns_read(&columns, format, options, head, len, is_all, &incomplete, error);
  if (!code && incomplete) {
    os_fail(error, OS_ERR_FORMAT, "the header does not end within the file's first %zu bytes", len);
    code = os_advise(error, "is this a CSV file with line breaks?");
  }
  if (!code) /* names that cannot be nested together are found here, not when the load runs */
    code = os_csv_layout_make(&layout, columns.column, columns.count, options->nested_columns,
                              options->source_field, NULL, error);
  if (!code) code = facts_fill(facts, &columns, error);
  os_csv_layout_free(&layout);
  os_csv_columns_free(&columns);
  if (code) {
    json_decref(facts->columns);
    json_decref(facts->types);
    facts->columns = facts->types = NULL;
  }
  return code;
}
