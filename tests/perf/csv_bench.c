/* csv_bench.c - speed of the CSV parser alone: file in memory, windows of 1 MiB, documents thrown away.
** Use: csv_bench FILE [ROUNDS]. Prints the best round, in MB of CSV per second of CPU time.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/buffer.h"
#include "format/parser_impl.h"

enum { WINDOW = 1 << 20 };

struct totals {
  unsigned long long records, rejects, bytes;
};

static int on_record(void *ctx, const struct os_record *record) {
  struct totals *totals = ctx;
  totals->records++;
  totals->bytes += record->doc_len;
  return OS_OK;
}

static int on_reject(void *ctx, const struct os_reject *reject) {
  (void)reject;
  ((struct totals *)ctx)->rejects++;
  return OS_OK;
}

static double cpu_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static char *read_all(const char *path, size_t *len) {
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  fseek(file, 0, SEEK_END);
  *len = (size_t)ftell(file);
  rewind(file);
  char *data = calloc(*len + OS_PAD, 1);
  if (!data || fread(data, 1, *len, file) != *len) *len = 0;
  fclose(file);
  return data;
}

static int parse(const char *data, size_t len, struct totals *totals, struct os_error *error) {
  static const char *const nulls[] = {""};
  struct os_parse_options options = {
      .header = true, .nested_columns = true, .null_values = nulls, .null_value_count = 1, .id_field = "id"};
  size_t head = len < WINDOW ? len : WINDOW;
  struct os_parser_start start = {
      .source_name = "bench.csv", .line = 1, .head = data, .head_len = head, .head_is_all = head == len};
  struct os_record_sink sink = {on_record, on_reject, totals};
  struct os_parser *parser;
  int code = os_csv_parser_open(&parser, OS_FORMAT_CSV, &options, &start, &sink, error);
  for (size_t at = 0, window = WINDOW; !code && at < len;) {
    size_t used = 0, size = len - at < window ? len - at : window;
    code = parser->methods->run(parser, data + at, size, at + size == len, &used, error);
    window = used ? WINDOW : window * 2;
    at += used;
    if (!used && at + size == len) break;
  }
  if (parser) parser->methods->free(parser);
  return code;
}

int main(int argc, char **argv) {
  size_t len = 0;
  char *data = argc > 1 ? read_all(argv[1], &len) : NULL;
  if (!data || !len) {
    fprintf(stderr, "usage: csv_bench FILE [ROUNDS]\n");
    return 1;
  }
  double best = 1e9;
  struct totals totals = {0};
  for (int round = argc > 2 ? atoi(argv[2]) : 3; round > 0; round--) {
    struct os_error error;
    totals = (struct totals){0};
    double begin = cpu_seconds();
    if (parse(data, len, &totals, &error)) {
      fprintf(stderr, "%s\n", error.text);
      return 1;
    }
    double seconds = cpu_seconds() - begin;
    if (seconds < best) best = seconds;
  }
  printf("%s: %.0f MB/s, %llu records, %llu rejects, %.0f MB of documents\n", argv[1],
         (double)len / best / 1e6, totals.records, totals.rejects, (double)totals.bytes / 1e6);
  free(data);
  return 0;
}
