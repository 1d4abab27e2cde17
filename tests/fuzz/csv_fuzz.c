/* csv_fuzz.c - any bytes as CSV, under any dialect: documents are valid JSON on one line, offsets go
** forward, raw bytes are those of the file, and windows of any size give the same. Byte 0 and 1 of the
** input choose the options, byte 2 the window.
*/
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buffer.h"
#include "base/text.h"
#include "base/utf8.h"
#include "format/json_scan.h"
#include "format/parser_impl.h"

static void demand(int truth, const char *what) {
  if (truth) return;
  fprintf(stderr, "broken: %s\n", what);
  abort();
}

struct seen {
  const char *text;
  size_t len;
  struct os_buf log;
  struct os_json_scan *scan;
  uint64_t end, records;
  size_t max_record;
};

static void place(struct seen *seen, const char *raw, size_t raw_len, uint64_t offset, uint64_t end,
                  uint64_t line, uint64_t end_line) {
  demand(offset >= seen->end && end > offset && end <= seen->len, "records follow one another");
  demand(raw_len <= end - offset && !memcmp(raw, seen->text + offset, raw_len), "raw bytes");
  demand(end_line > line, "lines");
  seen->end = end;
  seen->records++;
  os_buf_printf(&seen->log, "[%llu,%llu) %llu-%llu %zu\n", (unsigned long long)offset,
                (unsigned long long)end, (unsigned long long)line, (unsigned long long)end_line, raw_len);
}

static int on_record(void *ctx, const struct os_record *r) {
  struct seen *seen = ctx;
  place(seen, r->raw, r->raw_len, r->offset, r->end, r->line, r->end_line);
  demand(r->raw_len <= seen->max_record, "length");
  demand(r->doc[0] == '{' && !memchr(r->doc, '\n', r->doc_len), "one line");
  demand(os_utf8_check(r->doc, r->doc_len) == r->doc_len, "UTF-8");
  demand(os_json_scan(seen->scan, r->doc, r->doc + r->doc_len), "valid JSON");
  demand(seen->scan->end == r->doc + r->doc_len && !seen->scan->too_deep, "one object");
  os_buf_append(&seen->log, r->doc, r->doc_len);
  if (r->id.text) os_buf_append(&seen->log, r->id.text, r->id.len);
  if (r->routing.text) os_buf_append(&seen->log, r->routing.text, r->routing.len);
  return OS_OK;
}

static int on_reject(void *ctx, const struct os_reject *r) {
  struct seen *seen = ctx;
  place(seen, r->raw, r->raw_len, r->offset, r->end, r->line, r->end_line);
  demand(os_utf8_check(r->reason, strlen(r->reason)) == strlen(r->reason), "the reason is UTF-8");
  os_buf_puts(&seen->log, r->reason);
  return OS_OK;
}

static char *padded(const char *text, size_t len) {
  char *copy = malloc(len + OS_PAD);
  demand(copy != NULL, "memory");
  if (len) memcpy(copy, text, len);
  memset(copy + len, '"', OS_PAD);
  return copy;
}

static void run_all(struct os_parser *parser, struct seen *seen, size_t step, struct os_error *error) {
  size_t at = 0, size = step;
  for (;;) {
    size_t now = seen->len - at < size ? seen->len - at : size, used = 0;
    char *window = padded(seen->text + at, now);
    int code = parser->methods->run(parser, window, now, at + now == seen->len, &used, error);
    free(window);
    demand(!code && used <= now, "no error behind the header");
    if (at + now == seen->len) {
      demand(used == now, "all is used at the end");
      return;
    }
    at += used;
    size = used ? step : size * 2;
  }
}

static int parse(const struct os_parse_options *options, enum os_format format, size_t step,
                 struct seen *seen) {
  char *head = padded(seen->text, seen->len);
  struct os_parser_start start = {
      .source_name = "fuzz.csv", .line = 1, .head = head, .head_len = seen->len, .head_is_all = true};
  struct os_record_sink sink = {on_record, on_reject, seen};
  struct os_parser *parser = NULL;
  struct os_error error;
  os_error_clear(&error);
  int code = os_csv_parser_open(&parser, format, options, &start, &sink, &error);
  free(head);
  demand(!code == !!parser, "a parser or an error");
  if (code) {
    demand(error.text[0] && os_utf8_check(error.text, strlen(error.text)) == strlen(error.text),
           "error text");
    return code;
  }
  run_all(parser, seen, step, &error);
  demand(parser->records == seen->records, "records are counted");
  parser->methods->free(parser);
  return OS_OK;
}

static struct os_parse_options choose(uint8_t a, uint8_t b, const json_t *types, const json_t *mapping) {
  static const char *const nulls[] = {"", "NULL", "-"}, *const names[] = {"a", "b.c", "_id"};
  struct os_parse_options options = {.header = true, .null_values = nulls, .null_value_count = a % 4};
  options.trim = a & 4;
  options.nested_columns = a & 8;
  options.no_quote = (a & 0x30) == 0x30;
  options.delimiter = (a & 0xC0) == 0x40 ? ';' : 0;
  options.quote = (a & 0xC0) == 0x80 ? '\'' : 0;
  options.id_field = b & 1 ? "_id" : NULL;
  options.routing_field = b & 2 ? "b" : NULL;
  options.source_field = b & 4 ? "source" : NULL;
  options.max_record = b & 8 ? 24 : 0;
  options.types = b & 16 ? types : NULL;
  options.mapping = b & 32 ? mapping : NULL;
  if (b & 64) {
    options.columns = names;
    options.column_count = 3;
    options.header = b & 128;
  }
  options.sample_rows = b & 128 ? 1 : 0;
  return options;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len < 3) return 0;
  json_t *types = json_pack("{ssss}", "a", "json", "b", "number");
  json_t *mapping =
      json_pack("{s{s{ss}s{ss}}}", "properties", "a", "type", "geo_point", "b", "type", "boolean");
  struct os_parse_options options = choose(data[0], data[1], types, mapping);
  struct os_json_scan *scan = malloc(sizeof *scan);
  demand(scan && types && mapping, "memory");
  os_json_scan_init(scan);
  struct seen whole = {.text = (const char *)data + 3, .len = len - 3, .scan = scan};
  whole.max_record = options.max_record ? options.max_record : SIZE_MAX;
  os_buf_init(&whole.log, 0);
  struct seen parts = whole;
  enum os_format format = data[2] & 128 ? OS_FORMAT_TSV : OS_FORMAT_CSV;
  int code = parse(&options, format, len, &whole);
  demand(parse(&options, format, 1 + data[2] % 128, &parts) == code, "the same end");
  demand(whole.log.len == parts.log.len && !memcmp(whole.log.data, parts.log.data, whole.log.len),
         "the same records");
  os_buf_free(&whole.log);
  os_buf_free(&parts.log);
  os_json_scan_free(scan);
  free(scan);
  json_decref(types);
  json_decref(mapping);
  return 0;
}

#include "mutations.h"

__attribute__((unused)) static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\x09\x01\x07"
              "a,b,_id\n1,x,k\n2,\"y \"\"z\"\"\",\n"),
    FUZZ_SEED("\x0d\x11\x05"
              "a,b\r\n\"[1,\r\n2]\",3\r\n{},x\r\n"),
    FUZZ_SEED("\x0b\x29\x03"
              "\xEF\xBB\xBF"
              "a.b,a.c,b\n\"open,1\n2,3,4\n- , NULL ,true\n"),
    FUZZ_SEED("\x49\x06\x10"
              "a;b;c\n1;2;3\n\n;;\n4;5\r6;7;8;9\n"),
    FUZZ_SEED("\x89\x40\x20"
              "'it''s',2,3\n'a\nb','c',d\n"),
    FUZZ_SEED("\x39\xc4\x81"
              "a\tb\tc\n\"\t1\t2\n\xC3\xA9\t\xE9\tx\n"),
    FUZZ_SEED("\x09\x00\x40"
              "a,b\nfirst,\"second, and a long tail\",0123456789012345678901234567890123456789,,,\n"),
};

FUZZ_MAIN(seeds)
