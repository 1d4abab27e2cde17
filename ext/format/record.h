/* record.h - what a parser makes of a file's bytes: records and rejects, handed one at a time to a sink.
**
** All pointers are borrowed and valid only during the call. Offsets count bytes of the decompressed stream,
** from 0; lines count from 1. `end` is one past the record's last byte, including the line break or comma
** that belongs to it, so that [previous end, end) of all records and rejects partitions the file.
*/
#ifndef OS_FORMAT_RECORD_H
#define OS_FORMAT_RECORD_H
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct os_record_meta { /* a value cut from, or read in, the record: id, routing, version */
  const char *text;     /* content of a JSON string, escapes as in the input, without its quotes; or the
                                digits of a number. NULL: absent or null */
  size_t len;
};

struct os_record {
  const char *doc; /* one JSON object: valid RFC 8259 and UTF-8, on one line, the id member cut out */
  size_t doc_len;
  struct os_record_meta id, routing, version;
  const char *raw; /* the record's exact bytes */
  size_t raw_len;
  uint64_t offset, end; /* raw starts at offset */
  uint64_t line;        /* where it begins */
  uint64_t end_line;    /* the line at which the next record begins */
};

struct os_reject {  /* a record that the parser refuses; becomes a row of dlq_failures */
  const char *type; /* stable word: csv_too_few_cells, csv_too_many_cells, csv_unterminated_quote,
                    ** invalid_utf8, invalid_json, json_too_deep, not_an_object, id_too_long, id_empty,
                    ** id_not_scalar, record_too_long … */
  char reason[512]; /* a sentence with line and column or byte, and what would be right */
  const char *raw;  /* exact bytes, cut to OS_REJECT_RAW_MAX */
  size_t raw_len;
  uint64_t offset, end, line, end_line;
};

enum { OS_REJECT_RAW_MAX = 1 << 20, OS_ID_MAX = 512, OS_JSON_DEPTH_MAX = 1000 };

struct os_record_sink {
  /* Return OS_OK to go on; anything else stops the parser, which returns that code. */
  int (*record)(void *ctx, const struct os_record *record);
  int (*reject)(void *ctx, const struct os_reject *reject);
  void *ctx;
};
#endif
