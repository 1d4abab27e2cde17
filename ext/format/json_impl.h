/* json_impl.h - what the JSON parser's files offer each other. Private to format/.
**
** json_layout.c   which of the four layouts a file has
** json_words.c    sentences about faults
** json_record.c   from a scanned value to a record or a reject
** json_resync.c   setting a broken record aside and finding where the next one begins
** json_head.c     what the first bytes tell
** json_parser.c   the walk through the file that calls them
*/
#ifndef OS_FORMAT_JSON_IMPL_H
#define OS_FORMAT_JSON_IMPL_H
#include "format/json_scan.h"
#include "format/parser_impl.h"

enum {
  OS_JSON_LOOK = 64 * 1024, /* bytes that decide whether an object is a document or an object of documents */
  OS_JSON_GAP = 4096,       /* blanks searched for the comma that belongs to a record */
  OS_JSON_TAIL = 64         /* blanks searched for the line break that belongs to it */
};

enum os_json_layout {
  OS_JSON_UNDECIDED,
  OS_JSON_LINES,   /* documents one after another */
  OS_JSON_ONE,     /* a document; more may follow, which makes it OS_JSON_LINES */
  OS_JSON_RECORDS, /* an array of documents */
  OS_JSON_MEMBERS  /* an object of documents */
};

/* json_layout.c: from the first bytes without blanks. OS_JSON_UNDECIDED: more bytes are needed (never when
** at_end). The answer depends on the bytes alone, not on how many of them happened to be in the window. */
int os_json_layout(struct os_json_scan *scan, enum os_format format, const struct os_parse_options *options,
                   const char *p, const char *end, bool at_end, enum os_json_layout *out,
                   struct os_error *error);
/* Bytes of the byte order mark at the beginning of a file: 3 or 0. -1: more bytes are needed. UTF-16 and
** UTF-32 are OS_ERR_FORMAT. */
int os_json_mark(const char *head, size_t len, bool at_end, int *bytes, struct os_error *error);

/* Where something stands, as people count: lines and columns (in bytes) from 1, bytes from 0. */
struct os_json_place {
  uint64_t line, column, byte;
};
enum { OS_JSON_WORDS = 512 };
/* json_words.c: "line 3 column 7 (byte 52): found 'x' where ',' or '}' should stand". */
void os_json_fault_words(const struct os_json_scan *scan, const struct os_json_place *place,
                         char out[OS_JSON_WORDS]);
void os_json_too_long_words(const struct os_json_place *place, size_t max_record, char out[OS_JSON_WORDS]);
void os_json_found_words(char c, char out[32]); /* "'x'", "the byte 0x00" */
const char *os_json_fault_type(const struct os_json_scan *scan);
int os_json_shown_len(const char *text,
                      size_t len); /* at most 60 bytes of a foreign name, whole characters */

enum os_json_stage {
  OS_JSON_AT_MARK,     /* before the byte order mark */
  OS_JSON_AT_ROOT,     /* before the first byte that decides */
  OS_JSON_AT_LINE,     /* LINES: a document or the end */
  OS_JSON_AT_DOCUMENT, /* ONE: the document */
  OS_JSON_AFTER_ONE,   /* ONE: the end, or another document */
  OS_JSON_AT_OPEN,     /* RECORDS, MEMBERS: the opening bracket */
  OS_JSON_AT_FIRST,    /* … a record or the closing bracket */
  OS_JSON_AT_NEXT,     /* … a record, after a comma */
  OS_JSON_AFTER,       /* … a comma or the closing bracket */
  OS_JSON_RESUMED,     /* … any of these */
  OS_JSON_CLOSED,      /* … nothing but blanks */
  OS_JSON_RESYNC       /* LINES: inside a broken record */
};
enum os_json_step {
  OS_JSON_GO,
  OS_JSON_WAIT /* for more bytes, or at the end */,
  OS_JSON_STOP /* code is set */
};

struct os_json_parser {
  struct os_parser base; /* must be first */
  enum os_format format;
  enum os_json_stage stage;
  enum os_json_layout layout;
  size_t max_record;
  bool key_is_id;                          /* id_field "@key" */
  int id_pick, routing_pick, version_pick; /* indices into scan.pick, -1: none */
  struct os_buf tail;                      /* `"source":"file.json"}`, empty: no source_field */
  uint64_t line_start;                     /* offset of the current line's first byte */
  uint64_t indent_line;                    /* line_start of the line that `indent` describes */
  uint64_t indent;                         /* blanks before the first document that begins on it */

  /* one call of run: cleared when it returns */
  const char *window, *at, *end;
  bool at_end;
  struct os_error *error;
  int code;

  /* OS_JSON_RESYNC */
  struct os_reject broken;
  struct os_buf broken_raw;
  int64_t broken_open;              /* brackets opened in it and not closed */
  bool broken_quote, broken_escape; /* inside a string of it, behind a backslash */
  bool broken_multi;                /* it covers several lines: only a '{' begins the next record */
  bool fresh;                       /* at a line's beginning, `fresh_start`, after fresh_indent blanks */
  uint64_t fresh_start, fresh_line, fresh_indent;

  struct os_json_scan scan;
};

/* A value in the window, after it was scanned. */
struct os_json_value {
  const char *start;
  uint64_t line;   /* of start */
  const char *key; /* MEMBERS: its name, escapes untouched; else NULL */
  size_t key_len;
  uint64_t end, end_line; /* offset and line behind the comma or line break that belong to it */
};

static inline uint64_t os_json_offset(const struct os_json_parser *j, const char *p) {
  return j->base.offset + (uint64_t)(p - j->window);
}
/* json_parser.c: move on to `to`, counting the lines on the way. */
void os_json_advance(struct os_json_parser *j, const char *to);

/* json_record.c: hand scan's value to the sink. OS_OK or the sink's code, or OS_ERR_NOMEM. */
int os_json_deliver(struct os_json_parser *j, const struct os_json_value *value);
int os_json_tail_make(struct os_json_parser *j, const char *member, const char *source_name,
                      struct os_error *error);

/* json_resync.c: the record at `start` is broken at `at` for the reason given; from now on the stage is
** OS_JSON_RESYNC. Then os_json_resync() until it changes. */
int os_json_set_aside(struct os_json_parser *j, const char *start, const char *at, const char *type,
                      const char *reason);
enum os_json_step os_json_resync(struct os_json_parser *j);
#endif
