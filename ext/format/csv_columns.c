/* csv_columns.c - see csv_columns.h. May call: csv_reader, csv_types, base. Owns the names. */
#include "format/csv_columns.h"
#include <string.h>
#include "base/alloc.h"
#include "base/text.h"
#include "base/utf8.h"

enum { DEFAULT_SAMPLE_ROWS = 10000 };

static const char *const utf8_advice =
    "save the file as UTF-8, for instance with: iconv -f WINDOWS-1252 -t UTF-8 old.csv > new.csv";

/* ---- what cannot be a CSV file ---- */

static int not_text(struct os_error *error, const char *seen) {
  os_fail(error, OS_ERR_FORMAT, "%s: this looks like UTF-16 or a binary file, not like CSV in UTF-8", seen);
  return os_advise(error, "convert it, for instance with: iconv -f UTF-16 -t UTF-8 old.csv > new.csv");
}

/* Length of a byte order mark that can be skipped: that of UTF-8. UTF-16 and UTF-32 begin with FF FE or
** FE FF. */
static int check_mark(const char *head, size_t len, size_t *skip, struct os_error *error) {
  *skip = len >= 3 && !memcmp(head, "\xEF\xBB\xBF", 3) ? 3 : 0;
  if (len >= 2 && (!memcmp(head, "\xFF\xFE", 2) || !memcmp(head, "\xFE\xFF", 2)))
    return not_text(error, "the file begins with the byte order mark of UTF-16");
  return OS_OK;
}

static int check_options(const struct os_parse_options *options, const struct os_csv_dialect *dialect,
                         struct os_error *error) {
  if (!options->header && !options->column_count) {
    os_fail(error, OS_ERR_ARGUMENT, "header is false and no column has a name");
    return os_advise(error,
                     "name them with the option columns: {\"header\": false, \"columns\": [\"a\", \"b\"]}");
  }
  const char *breaks = "\r\n";
  if (strchr(breaks, dialect->delimiter) || (!dialect->no_quote && strchr(breaks, dialect->quote)))
    return os_fail(error, OS_ERR_ARGUMENT, "a line break can be neither delimiter nor quote");
  if (!dialect->no_quote && dialect->delimiter == dialect->quote)
    return os_fail(error, OS_ERR_ARGUMENT, "delimiter and quote are the same character");
  return OS_OK;
}

/* ---- names ---- */

static void trim_name(const char **name, size_t *len) {
  while (*len && os_is_space(**name)) {
    (*name)++;
    (*len)--;
  }
  while (*len && os_is_space((*name)[*len - 1]))
    (*len)--;
}

static int name_fault(struct os_error *error, size_t column, const char *what) {
  os_fail(error, OS_ERR_FORMAT, "the header's column %zu %s", column + 1, what);
  return os_advise(error, "mend the header, or name the columns with the option columns");
}

/* Names as they stand in the row or the option: trimmed, non-empty, UTF-8. */
static int add_name(struct os_csv_columns *columns, const char *name, size_t len, struct os_error *error) {
  size_t column = columns->count;
  trim_name(&name, &len);
  if (!len) return name_fault(error, column, "has no name");
  size_t bad = os_utf8_check(name, len);
  if (bad < len) {
    os_fail(error, OS_ERR_FORMAT,
            "the name of the header's column %zu is not valid UTF-8 (its byte %zu is 0x%02X)", column + 1,
            bad + 1, (unsigned)(unsigned char)name[bad]);
    return os_advise(error, "%s", utf8_advice);
  }
  columns->column[column] = (struct os_csv_column){.name = os_strndup(name, len), .name_len = len};
  if (!columns->column[column].name) return os_fail_nomem(error);
  columns->count++;
  return OS_OK;
}

static int check_double(const struct os_csv_columns *columns, struct os_error *error) {
  json_t *seen = json_object();
  int code = seen ? OS_OK : os_fail_nomem(error);
  for (size_t i = 0; !code && i < columns->count; i++) {
    const char *name = columns->column[i].name;
    char shown[OS_CSV_SHOWN];
    const json_t *first = json_object_get(seen, name);
    if (first) {
      code = os_fail(error, OS_ERR_FORMAT, "the header's columns %d and %zu are both named '%s'",
                     (int)json_integer_value(first), i + 1, os_csv_show_name(shown, name));
      os_advise(error, "give each column its own name, in the header or with the option columns");
    } else if (json_object_set_new(seen, name, json_integer((json_int_t)i + 1)))
      code = os_fail_nomem(error);
  }
  json_decref(seen);
  return code;
}

static int header_fault(const struct os_csv_row *row, struct os_error *error) {
  switch (row->fault) {
  case OS_CSV_BAD_QUOTE:
    os_fail(error, OS_ERR_FORMAT,
            "the header cannot be read: line %llu, byte %zu: a quote in the wrong place",
            (unsigned long long)row->fault_line, row->fault_byte);
    break;
  case OS_CSV_TOO_LONG:
    os_fail(error, OS_ERR_FORMAT, "the header line is longer than the longest record allowed");
    return os_advise(error, "is this a CSV file with line breaks?");
  default:
    os_fail(error, OS_ERR_FORMAT, "the header cannot be read: the quote opened in line %llu is not closed",
            (unsigned long long)row->fault_line);
  }
  return os_advise(error, "mend the header, or set the option quote");
}

static int names_from_row(struct os_csv_columns *columns, const struct os_csv_row *row,
                          struct os_error *error) {
  if (memchr(row->raw, 0, row->raw_len)) return not_text(error, "the header contains NUL bytes");
  columns->column = os_calloc(row->cells, sizeof *columns->column);
  if (!columns->column) return os_fail_nomem(error);
  for (size_t i = 0; i < row->cells; i++) {
    int code = add_name(columns, row->text + row->cell[i].at, row->cell[i].len, error);
    if (code) return code;
  }
  return check_double(columns, error);
}

static int names_from_options(struct os_csv_columns *columns, const struct os_parse_options *options,
                              struct os_error *error) {
  columns->column = os_calloc(options->column_count, sizeof *columns->column);
  if (!columns->column) return os_fail_nomem(error);
  for (size_t i = 0; i < options->column_count; i++) {
    int code = add_name(columns, options->columns[i], strlen(options->columns[i]), error);
    if (code) return code;
  }
  return check_double(columns, error);
}

/* ---- roles ---- */

static long find_column(const struct os_csv_columns *columns, const char *name) {
  for (size_t i = 0; name && i < columns->count; i++)
    if (!strcmp(columns->column[i].name, name)) return (long)i;
  return OS_CSV_NO_COLUMN;
}

/* OpenSearch refuses `_routing` and `_version` inside a document ("Field [_routing] is a metadata
** field"), so they leave it; a column of another name serves as both. */
static long find_role(struct os_csv_columns *columns, const char *field, const char *metadata) {
  long at = find_column(columns, field);
  if (at != OS_CSV_NO_COLUMN && !strcmp(field, metadata)) columns->column[at].cut = true;
  return at;
}

static void assign_roles(struct os_csv_columns *columns, const struct os_parse_options *options) {
  columns->id = find_column(columns, options->id_field);
  if (columns->id != OS_CSV_NO_COLUMN) columns->column[columns->id].cut = true;
  columns->routing = find_role(columns, options->routing_field, "_routing");
  columns->version = find_role(columns, options->version_field, "_version");
}

/* ---- types ---- */

struct os_csv_nulls os_csv_nulls_of(const struct os_parse_options *options) {
  struct os_csv_nulls nulls = {.options = options};
  for (size_t i = 0; i < options->null_value_count; i++) {
    size_t len = strlen(options->null_values[i]);
    if (len)
      nulls.others = true;
    else
      nulls.empty = true;
    nulls.lengths |= (uint64_t)1 << (len < 63 ? len : 63);
  }
  return nulls;
}

bool os_csv_is_other_null(const struct os_csv_nulls *nulls, const struct os_csv_dialect *dialect,
                          const struct os_csv_row *row, size_t cell, struct os_csv_walk *walk) {
  const struct os_csv_cell *at = &row->cell[cell];
  for (size_t i = 0; i < nulls->options->null_value_count; i++) {
    const char *null = nulls->options->null_values[i];
    if (strlen(null) != at->len || memcmp(null, row->text + at->at, at->len)) continue;
    if (!row->quotes) return true;
    if (walk->cell > cell + 1) *walk = (struct os_csv_walk){0};
    while (walk->cell <= cell && os_csv_walk_next(dialect, row, walk)) {
    }
    return !walk->quoted;
  }
  return false;
}

static int begin_guesses(const struct os_csv_columns *columns, const struct os_parse_options *options,
                         struct os_csv_guess *guess, bool *all_decided, struct os_error *error) {
  *all_decided = true;
  for (size_t i = 0; i < columns->count; i++) {
    const char *name = columns->column[i].name;
    const json_t *wanted = json_object_get(options->types, name);
    enum os_csv_type type = OS_CSV_STRING;
    os_csv_guess_begin(&guess[i], options->mapping, name);
    if (wanted && !os_csv_type_from_word(json_string_value(wanted), &type)) {
      char shown[OS_CSV_SHOWN];
      os_fail(error, OS_ERR_ARGUMENT, "types: the type of column '%s' is not known",
              os_csv_show_name(shown, name));
      return os_advise(error, "choose one of string, number, boolean, json, date");
    }
    if (wanted) os_csv_guess_force(&guess[i], type);
    if (!guess[i].decided) *all_decided = false;
  }
  return OS_OK;
}

static int sample_row(const struct os_csv_columns *columns, const struct os_csv_dialect *dialect,
                      const struct os_csv_nulls *nulls, const struct os_csv_row *row,
                      struct os_csv_guess *guess, struct os_json_scan *scan) {
  struct os_csv_walk walk = {0};
  for (size_t i = 0; i < columns->count; i++)
    if (!guess[i].decided && !os_csv_cell_is_null(nulls, dialect, row, i, &walk) &&
        !os_csv_guess_cell(&guess[i], scan, row->text + row->cell[i].at, row->cell[i].len))
      return OS_ERR_NOMEM;
  return OS_OK;
}

/* Look at the rows in the head. Rows that will be refused do not count. */
static int sample(struct os_csv_columns *columns, struct os_csv_reader *reader,
                  const struct os_parse_options *options, struct os_csv_guess *guess,
                  struct os_json_scan *scan, struct os_error *error) {
  const struct os_csv_nulls nulls = os_csv_nulls_of(options);
  uint64_t left = options->sample_rows ? options->sample_rows : DEFAULT_SAMPLE_ROWS;
  struct os_csv_row row;
  enum os_csv_event event = OS_CSV_MORE;
  while (left && (event = os_csv_reader_next(reader, &row)) < OS_CSV_MORE) {
    if (event != OS_CSV_ROW || row.cells != columns->count) continue;
    if (sample_row(columns, &reader->dialect, &nulls, &row, guess, scan)) return os_fail_nomem(error);
    left--;
  }
  return event == OS_CSV_NOMEM ? os_fail_nomem(error) : OS_OK;
}

static int decide_types(struct os_csv_columns *columns, struct os_csv_reader *reader,
                        const struct os_parse_options *options, struct os_error *error) {
  bool all_decided = false;
  struct os_csv_guess *guess = os_calloc(columns->count, sizeof *guess);
  struct os_json_scan *scan = os_malloc(sizeof *scan);
  int code = OS_ERR_NOMEM;
  if (!guess || !scan) {
    os_fail_nomem(error);
    goto done;
  }
  os_json_scan_init(scan);
  code = begin_guesses(columns, options, guess, &all_decided, error);
  if (!code && !all_decided) code = sample(columns, reader, options, guess, scan, error);
  for (size_t i = 0; !code && i < columns->count; i++) {
    enum os_csv_type type = os_csv_guess_end(&guess[i]);
    columns->column[i].type = type;
    if (type == OS_CSV_JSON || type == OS_CSV_CONTAINER) columns->any_json = true;
  }
  os_json_scan_free(scan);
done:
  os_free(scan);
  os_free(guess);
  return code;
}

/* ---- all of it ---- */

static bool nothing_but_breaks(const char *text, size_t len) {
  while (len && os_is_space(text[len - 1]))
    len--;
  return !len;
}

/* The header row, if there is one: columns->column from it unless the option names them. */
static int read_header(struct os_csv_columns *columns, struct os_csv_reader *reader,
                       const struct os_parse_options *options, bool is_all, bool *incomplete,
                       struct os_error *error) {
  if (options->header) {
    struct os_csv_row row;
    switch (os_csv_reader_next(reader, &row)) {
    case OS_CSV_NOMEM: return os_fail_nomem(error);
    case OS_CSV_FAULT: return header_fault(&row, error);
    case OS_CSV_MORE:
      *incomplete = !is_all;
      if (!is_all) return OS_OK;
      columns->blank = true;
      break;
    case OS_CSV_ROW:
      if (!options->column_count) {
        int code = names_from_row(columns, &row, error);
        if (code) return code;
      }
    }
  }
  if (!options->header && is_all) columns->blank = nothing_but_breaks(reader->window, reader->len);
  columns->data_offset = reader->base + reader->pos;
  columns->data_line = reader->line;
  return options->column_count ? names_from_options(columns, options, error) : OS_OK;
}

int os_csv_columns_read(struct os_csv_columns *columns, enum os_format format,
                        const struct os_parse_options *options, const char *head, size_t len, bool is_all,
                        bool *incomplete, struct os_error *error) {
  struct os_csv_dialect dialect = os_csv_dialect_of(format, options);
  struct os_csv_reader reader = {0};
  size_t mark = 0;
  memset(columns, 0, sizeof *columns);
  columns->id = columns->routing = columns->version = OS_CSV_NO_COLUMN;
  *incomplete = len < 3 && !is_all; /* a byte order mark cannot be told yet */
  int code = check_options(options, &dialect, error);
  if (!code && !*incomplete) code = check_mark(head, len, &mark, error);
  if (code || *incomplete) return code;
  code = os_csv_reader_init(&reader, &dialect, SIZE_MAX, error);
  if (code) goto done;
  os_csv_reader_window(&reader, head + mark, len - mark, is_all, mark, 1);
  code = read_header(columns, &reader, options, is_all, incomplete, error);
  if (code || *incomplete || !columns->count) goto done;
  assign_roles(columns, options);
  code = decide_types(columns, &reader, options, error);
done:
  os_csv_reader_free(&reader);
  if (code) os_csv_columns_free(columns);
  return code;
}

void os_csv_columns_free(struct os_csv_columns *columns) {
  for (size_t i = 0; i < columns->count; i++)
    os_free(columns->column[i].name);
  os_free(columns->column);
  columns->column = NULL;
  columns->count = 0;
}
