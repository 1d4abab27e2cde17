/* parser.c - the front of format/: which parser reads what, and what all of them have in common.
** Pure; calls the parsers of one format each (parser_impl.h) and base/.
*/
#include "format/parser_impl.h"
#include <string.h>
#include "base/alloc.h"
#include "base/text.h"

/* ---- formats by name and by content ---- */

static const struct {
  const char *word;
  enum os_format format;
} format_words[] = {
    {"csv", OS_FORMAT_CSV}, {"tsv", OS_FORMAT_TSV}, {"json", OS_FORMAT_JSON}, {"ndjson", OS_FORMAT_NDJSON}};

static const struct {
  const char *suffix;
  enum os_format format;
} format_suffixes[] = {{".csv", OS_FORMAT_CSV},
                       {".tsv", OS_FORMAT_TSV},
                       {".json", OS_FORMAT_JSON},
                       {".ndjson", OS_FORMAT_NDJSON},
                       {".jsonl", OS_FORMAT_NDJSON}};

const char *os_format_name(enum os_format format) {
  for (size_t i = 0; i < sizeof format_words / sizeof *format_words; i++) {
    if (format_words[i].format == format) return format_words[i].word;
  }
  return "unknown";
}

bool os_format_from_word(const char *word, enum os_format *out) {
  for (size_t i = 0; i < sizeof format_words / sizeof *format_words; i++) {
    if (strcmp(format_words[i].word, word)) continue;
    *out = format_words[i].format;
    return true;
  }
  return false;
}

static bool ends_with(const char *name, size_t len, const char *suffix) {
  size_t n = strlen(suffix);
  if (len <= n) return false; /* a suffix alone (".csv") is a hidden file's name */
  for (size_t i = 0; i < n; i++) {
    if (os_to_lower(name[len - n + i]) != suffix[i]) return false;
  }
  return true;
}

enum os_format os_format_by_name(const char *name) {
  size_t len = strlen(name);
  if (ends_with(name, len, ".gz"))
    len -= 3;
  else if (ends_with(name, len, ".zst"))
    len -= 4;
  for (size_t i = 0; i < sizeof format_suffixes / sizeof *format_suffixes; i++) {
    if (ends_with(name, len, format_suffixes[i].suffix)) return format_suffixes[i].format;
  }
  return OS_FORMAT_UNKNOWN;
}

/* Does another object follow the first one? Brackets are counted, not checked: that is the parser's work. */
static bool objects_in_a_row(const char *p, const char *end) {
  size_t depth = 0;
  bool quoted = false;
  for (; p < end; p++) {
    if (quoted) {
      if (*p == '\\')
        p++;
      else if (*p == '"')
        quoted = false;
    } else if (*p == '"') {
      quoted = true;
    } else if (*p == '{' || *p == '[') {
      depth++;
    } else if ((*p == '}' || *p == ']') && --depth == 0) {
      break;
    }
  }
  if (p < end) p++;
  while (p < end && os_is_space(*p))
    p++;
  return p < end && *p == '{';
}

static bool more_tabs_than_commas(const char *p, const char *end) { /* in the first line, outside quotes */
  size_t tabs = 0, commas = 0;
  bool quoted = false;
  for (; p < end && (quoted || (*p != '\n' && *p != '\r')); p++) {
    if (*p == '"') quoted = !quoted;
    tabs += !quoted && *p == '\t';
    commas += !quoted && *p == ',';
  }
  return tabs > commas;
}

enum os_format os_format_by_content(const char *head, size_t len) {
  if (!len) return OS_FORMAT_CSV; /* no records, whoever reads it */
  const char *p = head, *end = head + len;
  if (len >= 3 && !memcmp(p, "\xEF\xBB\xBF", 3)) p += 3;
  while (p < end && (*p == ' ' || *p == '\n' || *p == '\r'))
    p++;
  const char *first = p;
  while (first < end && os_is_space(*first))
    first++;
  if (first < end && *first == '[') return OS_FORMAT_JSON;
  if (first < end && *first == '{') return objects_in_a_row(first, end) ? OS_FORMAT_NDJSON : OS_FORMAT_JSON;
  return more_tabs_than_commas(p, end) ? OS_FORMAT_TSV : OS_FORMAT_CSV;
}

/* ---- dispatch ---- */

static bool is_json(enum os_format format) {
  return format == OS_FORMAT_JSON || format == OS_FORMAT_NDJSON;
}

static int no_format(struct os_error *error) {
  os_fail(error, OS_ERR_ARGUMENT, "the file's format is not known");
  return os_advise(error, "pass option format: csv, tsv, json or ndjson");
}

int os_parser_open(struct os_parser **out, enum os_format format, const struct os_parse_options *options,
                   const struct os_parser_start *start, const struct os_record_sink *sink,
                   struct os_error *error) {
  *out = NULL;
  if (format == OS_FORMAT_UNKNOWN) return no_format(error);
  return is_json(format) ? os_json_parser_open(out, format, options, start, sink, error)
                         : os_csv_parser_open(out, format, options, start, sink, error);
}

int os_parser_run(struct os_parser *parser, const char *window, size_t len, bool at_end, size_t *consumed,
                  struct os_error *error) {
  *consumed = 0;
  return parser->methods->run(parser, window, len, at_end, consumed, error);
}

uint64_t os_parser_records(const struct os_parser *parser) {
  return parser->records;
}

void os_parser_free(struct os_parser *parser) {
  if (parser) parser->methods->free(parser);
}

int os_parser_base_init(struct os_parser *parser, const struct os_parser_methods *methods,
                        const struct os_parse_options *options, const struct os_parser_start *start,
                        const struct os_record_sink *sink, struct os_error *error) {
  parser->methods = methods;
  parser->options = options;
  parser->sink = *sink;
  parser->source_name = os_strdup(start->source_name ? start->source_name : "");
  parser->offset = start->offset;
  parser->line = start->line ? start->line : 1;
  parser->records = 0;
  return parser->source_name ? OS_OK : os_fail_nomem(error);
}

void os_parser_base_free(struct os_parser *parser) {
  os_free(parser->source_name);
  parser->source_name = NULL;
}

/* ---- a file's head ---- */

int os_head_examine(enum os_format format, const struct os_parse_options *options, const char *head,
                    size_t len, bool is_all, struct os_head_facts *facts, struct os_error *error) {
  memset(facts, 0, sizeof *facts);
  if (format == OS_FORMAT_UNKNOWN) return no_format(error);
  int code = is_json(format) ? os_json_head_examine(format, options, head, len, facts, error)
                             : os_csv_head_examine(format, options, head, len, is_all, facts, error);
  if (code) os_head_facts_free(facts);
  return code;
}

void os_head_facts_free(struct os_head_facts *facts) {
  json_decref(facts->columns);
  json_decref(facts->types);
  facts->columns = NULL;
  facts->types = NULL;
}
