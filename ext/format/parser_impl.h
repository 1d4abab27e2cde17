/* parser_impl.h - between parser.c (which dispatches) and the parsers of one format each. Private to
** format/. */
#ifndef OS_FORMAT_PARSER_IMPL_H
#define OS_FORMAT_PARSER_IMPL_H
#include "format/parser.h"

struct os_parser_methods {
  int (*run)(struct os_parser *parser, const char *window, size_t len, bool at_end, size_t *consumed,
             struct os_error *error);
  void (*free)(struct os_parser *parser); /* frees the whole, base class included */
};

struct os_parser { /* base class, must be first */
  const struct os_parser_methods *methods;
  const struct os_parse_options *options; /* borrowed; outlives the parser */
  struct os_record_sink sink;
  char *source_name; /* owned */
  uint64_t offset;   /* of the next window's first byte */
  uint64_t line;     /* of that byte */
  uint64_t records;
};

/* In csv_parser.c and json_parser.c; same contracts as os_parser_open() and os_head_examine(). */
int os_csv_parser_open(struct os_parser **out, enum os_format format, const struct os_parse_options *options,
                       const struct os_parser_start *start, const struct os_record_sink *sink,
                       struct os_error *error);
int os_json_parser_open(struct os_parser **out, enum os_format format, const struct os_parse_options *options,
                        const struct os_parser_start *start, const struct os_record_sink *sink,
                        struct os_error *error);
int os_csv_head_examine(enum os_format format, const struct os_parse_options *options, const char *head,
                        size_t len, bool is_all, struct os_head_facts *facts, struct os_error *error);
int os_json_head_examine(enum os_format format, const struct os_parse_options *options, const char *head,
                         size_t len, struct os_head_facts *facts, struct os_error *error);
/* Initialise the base class (copies source_name). */
int os_parser_base_init(struct os_parser *parser, const struct os_parser_methods *methods,
                        const struct os_parse_options *options, const struct os_parser_start *start,
                        const struct os_record_sink *sink, struct os_error *error);
void os_parser_base_free(struct os_parser *parser);
#endif
