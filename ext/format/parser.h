/* parser.h - one interface over the parsers of CSV, JSON and NDJSON. Pure: no I/O, no threads.
**
** The caller owns a window of the decompressed stream and calls os_parser_run() with it. The parser hands
** every complete record in it to the sink and says how many bytes it is done with; the caller moves the
** rest to the front, reads more behind it, and calls again. When nothing was consumed and more bytes
** exist, the caller makes the window larger. The parser keeps no pointer into a window across calls. At
** least OS_PAD bytes behind window[len] must be readable.
*/
#ifndef OS_FORMAT_PARSER_H
#define OS_FORMAT_PARSER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "base/error.h"
#include "format/record.h"

enum os_format { OS_FORMAT_UNKNOWN, OS_FORMAT_CSV, OS_FORMAT_TSV, OS_FORMAT_JSON, OS_FORMAT_NDJSON };
enum os_json_root { OS_ROOT_AUTO, OS_ROOT_RECORDS /* array */, OS_ROOT_DOCUMENT, OS_ROOT_MEMBERS };

/* How files are to be read: the options of a load that concern parsing. All its parsers share them; they do
** not change. */
struct os_parse_options {
  enum os_json_root json_root;
  const char *id_field;      /* NULL: none; "@key": the member name in an object of objects */
  const char *routing_field; /* NULL: none. Stays in the document unless it is `_routing` */
  const char *version_field; /* NULL: none. Stays in the document unless it is `_version` */
  const char *source_field; /* NULL: none; member that gets source_name, also in place of one that is there */
  char delimiter;           /* CSV; 0: ',' (TSV: tab) */
  char quote;               /* CSV; 0: '"' */
  bool no_quote;            /* CSV: option quote is null */
  bool header;              /* CSV: the first row names the columns */
  bool trim;                /* CSV: cut blanks around unquoted cells */
  bool nested_columns;      /* CSV: a.b becomes {"a":{"b":…}} */
  const char *const *columns;
  size_t column_count; /* CSV: names given by the user; header rows are data then, unless `header` is true, in
                       ** which case the names replace it */
  const char *const *null_values;
  size_t null_value_count; /* CSV: an unquoted cell equal to one is null */
  const json_t *types;     /* CSV: {"column":"string|number|boolean|json|date"}; NULL: none */
  const json_t *mapping;   /* CSV: the index's mappings ({"properties":…}); NULL: not known */
  uint64_t
      sample_rows;   /* CSV: rows from which types are taken when neither types nor mapping decide; 10000 */
  size_t max_record; /* bytes; a longer record is rejected; 0: 100 MiB */
};

struct os_parser;

/* `source_name` is copied. `start` is the decompressed offset at which the first window begins and
** `start_line` its line: 0 and 1, or a record boundary of an earlier run (resume). A CSV parser that
** starts inside a file needs `head`: the file's first bytes, up to the header's end at least, from which
** it also samples types, exactly as a parser from the start would. For a start at 0, head may be the
** first window (types are sampled from it). A JSON parser that starts inside a file tells the file's
** layout from `head`, too: its first 64 KiB at least. */
struct os_parser_start {
  const char *source_name;
  uint64_t offset, line;
  const char *head;
  size_t head_len;
  bool head_is_all; /* OS_PAD readable bytes behind it */
};
int os_parser_open(struct os_parser **out, enum os_format format, const struct os_parse_options *options,
                   const struct os_parser_start *start, const struct os_record_sink *sink,
                   struct os_error *error);
/* at_end: no byte follows window[len). Errors (OS_ERR_FORMAT) end the file: what follows cannot be read
** safely (a JSON array cut short, trailing text …); the text names line and byte. */
int os_parser_run(struct os_parser *parser, const char *window, size_t len, bool at_end, size_t *consumed,
                  struct os_error *error);
uint64_t os_parser_records(const struct os_parser *parser); /* records and rejects handed out so far */
void os_parser_free(struct os_parser *parser);

/* From the name (.csv .tsv .json .ndjson .jsonl, before .gz or .zst); OS_FORMAT_UNKNOWN when it does not
** tell. */
enum os_format os_format_by_name(const char *name);
/* From the first bytes (BOM skipped): '[' or '{' is JSON or NDJSON, else CSV or TSV by its separators. */
enum os_format os_format_by_content(const char *head, size_t len);
const char *os_format_name(enum os_format format);
bool os_format_from_word(const char *word, enum os_format *out); /* csv, tsv, json, ndjson */

/* What can be said of a file from its head alone: used by the plan, the guards and os_preview. */
struct os_head_facts {
  enum os_format format;
  enum os_json_root root; /* JSON */
  bool carries_id;        /* CSV: the header has id_field; JSON: the first record has it */
  bool empty;             /* no record (blank file, header only is not empty but has no rows) */
  json_t *columns;        /* CSV: names; JSON: the first record's members. New reference */
  json_t *types; /* CSV: {"column":"string|number|boolean|json|date"} as they will be sent. New reference */
};
/* Errors: a header with an empty, double (after trimming) or non-UTF-8 name, NUL bytes or UTF-16 in the head:
** OS_ERR_FORMAT, naming the column and what to do. */
int os_head_examine(enum os_format format, const struct os_parse_options *options, const char *head,
                    size_t len, bool is_all, struct os_head_facts *facts, struct os_error *error);
void os_head_facts_free(struct os_head_facts *facts);
#endif
