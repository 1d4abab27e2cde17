/* json_scan_bench.c - how fast the JSON parser goes through a file: best thread CPU time of several runs.
**
** Build, from the top of the tree, and run with files as generated for a measurement:
**   make unit-objects && cc -O2 -std=gnu11 -Iext -o build/json_scan_bench tests/perf/json_scan_bench.c \
**     build/unit-obj/rooms.a -ljansson -lcsv -lisal -lzstd -lm -pthread
**   build/json_scan_bench file.ndjson …
** For each file: records, MB/s in one pass over windows of 1 MiB, with the id member cut, and MB/s with a
** copy of each document, which is what filling a batch costs on top.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/buffer.h"
#include "format/parser.h"

enum { RUNS = 5, WINDOW = 1 << 20, BATCH = 8 << 20 };

struct tally {
  uint64_t records, rejects, bytes;
  char *batch; /* NULL: documents are only counted */
  size_t filled;
};

static int take_record(void *ctx, const struct os_record *record) {
  struct tally *t = ctx;
  t->records++;
  t->bytes += record->doc_len;
  if (!t->batch || record->doc_len + 1 > BATCH) return OS_OK;
  if (t->filled + record->doc_len + 1 > BATCH) t->filled = 0;
  memcpy(t->batch + t->filled, record->doc, record->doc_len);
  t->filled += record->doc_len;
  t->batch[t->filled++] = '\n';
  return OS_OK;
}

static int take_reject(void *ctx, const struct os_reject *reject) {
  struct tally *t = ctx;
  if (!t->rejects++) fprintf(stderr, "%s: %s\n", reject->type, reject->reason);
  return OS_OK;
}

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static char *read_file(const char *name, size_t *len) {
  FILE *file = fopen(name, "rb");
  if (!file) return NULL;
  fseek(file, 0, SEEK_END);
  *len = (size_t)ftell(file);
  rewind(file);
  char *data = malloc(*len + OS_PAD);
  if (data) {
    *len = fread(data, 1, *len, file);
    memset(data + *len, 0, OS_PAD);
  }
  fclose(file);
  return data;
}

static double pass(const char *name, const char *data, size_t len, struct tally *tally) {
  struct os_parse_options options = {.id_field = "_id"};
  struct os_parser_start start = {
      .source_name = name, .line = 1, .head = data, .head_len = len, .head_is_all = true};
  struct os_record_sink sink = {take_record, take_reject, tally};
  struct os_parser *parser;
  struct os_error error;
  size_t at = 0, seen = 0, consumed;
  enum os_format format = os_format_by_name(name);
  double begun = cpu_seconds();
  int code = os_parser_open(&parser, format, &options, &start, &sink, &error);
  while (!code && seen < len) {
    seen = len - at > WINDOW && len - seen > WINDOW ? seen + WINDOW : len;
    code = os_parser_run(parser, data + at, seen - at, seen == len, &consumed, &error);
    at += consumed;
  }
  double seconds = cpu_seconds() - begun;
  if (code) fprintf(stderr, "%s: %s\n", name, error.text);
  os_parser_free(parser);
  return seconds;
}

static double best(const char *name, const char *data, size_t len, bool copy, struct tally *tally) {
  double least = 1e9;
  for (int i = 0; i < RUNS; i++) {
    *tally = (struct tally){.batch = copy ? malloc(BATCH) : NULL};
    double seconds = pass(name, data, len, tally);
    free(tally->batch);
    if (seconds < least) least = seconds;
  }
  return least;
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    size_t len;
    struct tally tally;
    char *data = read_file(argv[i], &len);
    if (!data) return perror(argv[i]), 1;
    double scan = best(argv[i], data, len, false, &tally), copy = best(argv[i], data, len, true, &tally);
    const char *slash = strrchr(argv[i], '/');
    printf("%-18s %9llu records %6.1f B  scan %6.0f MB/s  scan+copy %6.0f MB/s  %5.1f M documents/s\n",
           slash ? slash + 1 : argv[i], (unsigned long long)tally.records,
           (double)tally.bytes / (double)(tally.records ? tally.records : 1), (double)len / 1e6 / scan,
           (double)len / 1e6 / copy, (double)tally.records / 1e6 / scan);
    free(data);
  }
  return 0;
}
