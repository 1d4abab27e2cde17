/* json_fuzz.c - the JSON splitter and parser against any bytes at all.
**
** Of an input the first byte chooses options, the second the size of the windows; the rest is the file.
** Checked are:
** - the verdict on the text as one value is jansson's (but for limits that jansson alone has);
** - a value is read behind another one as it is read alone;
** - records, rejects and error are the same in one window and in many;
** - ranges partition the file and raw is the file's bytes;
** - a document is its raw text without the id, as jansson understands both; scanned again it stays as it is.
**
** With clang it is a libFuzzer target. With -DOS_FUZZ_MAIN it brings its own loop, with changes from a fixed
** seed: json_fuzz SECONDS [CORPUS…], or json_fuzz n200000 for a number of rounds.
*/
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include "base/buffer.h"
#include "format/json_scan.h"
#include "format/parser.h"

static const uint8_t *current;
static size_t current_len;

static void broken(const char *rule) {
  fprintf(stderr, "json_fuzz: %s; input:", rule);
  for (size_t i = 0; i < current_len; i++)
    fprintf(stderr, " %02x", current[i]);
  fprintf(stderr, "\n");
  __builtin_trap();
}
#define MUST(condition, rule)                                                                                \
  do {                                                                                                       \
    if (!(condition)) broken(rule);                                                                          \
  } while (0)

static char *padded(const char *text, size_t len, char pad) {
  char *copy = malloc(len + OS_PAD);
  memcpy(copy, text, len);
  memset(copy + len, pad, OS_PAD);
  return copy;
}

/* ---- one value, against jansson ---- */

static void check_verdict(struct os_json_scan *scan, const char *text, size_t len) {
  while (len && os_json_blank(text[len - 1]))
    len--;
  while (len && os_json_blank(*text)) {
    text++;
    len--;
  }
  char *copy = padded(text, len, '"');
  bool ours = os_json_scan(scan, copy, copy + len) && scan->end == copy + len;
  free(copy);
  json_error_t error;
  json_t *tree = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
  if (ours && !tree) {
    enum json_error_code code = json_error_code(&error);
    bool limit = code == json_error_numeric_overflow || code == json_error_stack_overflow ||
                 strstr(error.text, "Unicode");
    MUST(limit, "accepted what jansson refuses");
  }
  bool cut = memchr(text, '\0', len); /* jansson takes a NUL behind a number for the end of the text */
  MUST(ours || !tree || cut, "refused what jansson accepts");
  json_decref(tree);
}

/* ---- a value behind another one, whose names are remembered ---- */

static void check_behind_another(struct os_json_scan *scan, const char *text, size_t len) {
  const char *feed = memchr(text, '\n', len), *start = feed ? feed + 1 : text;
  if (start == text + len) return;
  struct os_json_scan *first = malloc(sizeof *first);
  os_json_scan_init(first);
  char *before = padded(text, (size_t)(start - text), '0'),
       *value = padded(start, len - (size_t)(start - text), '}');
  const char *end = value + (len - (size_t)(start - text));
  os_json_scan(scan, before, before + (start - text));
  bool here = os_json_scan(scan, value, end), there = os_json_scan(first, value, end);
  MUST(here == there && scan->fault == first->fault && scan->breaks == first->breaks,
       "verdict behind another value");
  if (here)
    MUST(scan->end == first->end && scan->doc_len == first->doc_len &&
             !memcmp(scan->doc, first->doc, scan->doc_len),
         "document behind another value");
  else
    MUST(scan->at == first->at && !strcmp(scan->expected, first->expected), "fault behind another value");
  os_json_scan_free(first);
  free(first);
  free(before);
  free(value);
}

/* ---- the whole file ---- */

struct walk {
  const char *data;
  size_t len;
  const char *id_field;
  uint64_t hash, count, last_end;
  bool deep_checks;
  struct os_json_scan *scan;
};

static void add(struct walk *w, const void *bytes, size_t len) { /* FNV-1a */
  for (size_t i = 0; i < len; i++)
    w->hash = (w->hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(1099511628211);
  w->hash = (w->hash ^ len) * UINT64_C(1099511628211);
}

static void check_range(struct walk *w, const char *raw, size_t raw_len, uint64_t offset, uint64_t end,
                        uint64_t line, uint64_t end_line) {
  uint64_t numbers[] = {offset, end, line, end_line};
  MUST(offset >= w->last_end && end >= offset + raw_len && end <= w->len, "ranges");
  MUST(!memcmp(raw, w->data + offset, raw_len), "raw is not the file's bytes");
  add(w, numbers, sizeof numbers);
  w->last_end = end;
  w->count++;
}

static json_t *parse(const char *text, size_t len) {
  return json_loadb(text, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
}

static void check_document(struct walk *w, const struct os_record *r) {
  char *copy = padded(r->doc, r->doc_len, '0');
  MUST(!memchr(copy, '\n', r->doc_len), "line break in a document");
  MUST(os_json_scan(w->scan, copy, copy + r->doc_len) && w->scan->end == copy + r->doc_len,
       "document is not JSON");
  MUST(w->scan->doc == copy, "document has blanks left");
  free(copy);
  json_t *raw = parse(r->raw, r->raw_len), *doc = parse(r->doc, r->doc_len);
  if (raw && doc) {
    if (w->id_field) json_object_del(raw, w->id_field);
    MUST(json_equal(raw, doc), "document is not its raw text without the id");
  }
  json_decref(raw);
  json_decref(doc);
}

static void add_meta(struct walk *w, const struct os_record_meta *meta) {
  add(w, meta->text ? meta->text : "-", meta->text ? meta->len : 1);
}

static int take_record(void *ctx, const struct os_record *r) {
  struct walk *w = ctx;
  check_range(w, r->raw, r->raw_len, r->offset, r->end, r->line, r->end_line);
  add(w, r->doc, r->doc_len);
  add_meta(w, &r->id);
  add_meta(w, &r->routing);
  add_meta(w, &r->version);
  if (w->deep_checks) check_document(w, r);
  return OS_OK;
}

static int take_reject(void *ctx, const struct os_reject *r) {
  struct walk *w = ctx;
  check_range(w, r->raw, r->raw_len, r->offset, r->end, r->line, r->end_line);
  add(w, r->type, strlen(r->type));
  add(w, r->reason, strlen(r->reason));
  return OS_OK;
}

static int walk(struct walk *w, enum os_format format, const struct os_parse_options *options, size_t step) {
  struct os_record_sink sink = {take_record, take_reject, w};
  struct os_parser_start start = {.source_name = "fuzz", .line = 1};
  struct os_parser *parser;
  struct os_error error;
  size_t at = 0, seen = 0, consumed;
  os_error_clear(&error);
  w->hash = UINT64_C(14695981039346656037);
  w->count = w->last_end = 0;
  int code = os_parser_open(&parser, format, options, &start, &sink, &error);
  do {
    seen = step && w->len - seen > step ? seen + step : w->len;
    char *window = padded(w->data + at, seen - at, step & 1 ? '}' : '"');
    code = os_parser_run(parser, window, seen - at, seen == w->len, &consumed, &error);
    free(window);
    MUST(consumed <= seen - at, "consumed too much");
    at += consumed;
  } while (!code && seen < w->len);
  if (!code) MUST(at == w->len, "not all was consumed");
  MUST(os_parser_records(parser) == w->count, "count of records");
  add(w, error.text, strlen(error.text));
  os_parser_free(parser);
  return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const ids[] = {"_id", NULL, "a", "@key"};
  static const size_t limits[] = {0, 0, 0, 12};
  current = data;
  current_len = size;
  if (size < 2) return 0;
  struct os_parse_options options = {.id_field = ids[data[0] & 3],
                                     .json_root = (enum os_json_root)(data[0] >> 2 & 3),
                                     .max_record = limits[data[0] >> 4 & 3]};
  if (data[0] >> 7) options.routing_field = "r";
  enum os_format format = data[0] & 64 ? OS_FORMAT_JSON : OS_FORMAT_NDJSON;
  struct walk w = {.data = (const char *)data + 2, .len = size - 2};
  w.scan = malloc(sizeof *w.scan);
  os_json_scan_init(w.scan);
  if (w.len <= 4096) check_verdict(w.scan, w.data, w.len);
  if (w.len <= 4096) check_behind_another(w.scan, w.data, w.len);
  w.deep_checks = w.len <= 4096;
  w.id_field = options.id_field && strcmp(options.id_field, "@key") ? options.id_field : NULL;
  int code = walk(&w, format, &options, 0);
  uint64_t hash = w.hash, count = w.count;
  w.deep_checks = false;
  int again = walk(&w, format, &options, (size_t)data[1] % 37 + 1);
  MUST(code == again && hash == w.hash && count == w.count, "the result depends on the windows");
  os_json_scan_free(w.scan);
  free(w.scan);
  return 0;
}

#ifdef OS_FUZZ_MAIN
#include <dirent.h>
#include <time.h>

enum { INPUT_MAX = 600, SEEDS_MAX = 512 };
static struct {
  size_t len;
  uint8_t data[INPUT_MAX];
} seeds[SEEDS_MAX];
static size_t seed_count;

static void add_seed(const void *data, size_t len) {
  if (seed_count == SEEDS_MAX || len > INPUT_MAX) return;
  memcpy(seeds[seed_count].data, data, len);
  seeds[seed_count++].len = len;
}

static const char *const texts[] = {
    "{\"_id\":\"x\",\"a\":[1,-2.5e+3,true,false,null,{\"b\":\"\\\"\\u00e9\\ud83d\\ude00\"}],\"r\":\"k\"}\n{"
    "\"a\":1}\n",
    "[{\"_id\":1},\n {\"a\" : { \"c\" : [ ] } , \"_id\" : null },3,\"x\"]\n",
    "{\"k1\":{\"_id\":\"\",\"a\":1},\n\"k2\" : { } ,\"k3\":{\"r\":7}}",
    "{\n  \"a\" : tru,\n  \"l\" : [\n    {\"x\":1}\n  "
    "]\n}\n{\"b\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"}\n",
    "\xef\xbb\xbf{\"a\":\"one two three four five six seven\"}\r\n\r\n{\"a\":0.10}{\"a\":1e5} [1] 2 "
    "null\n{\"a\":\"",
    "{\"a\":{\"a\":{\"a\":[[[[{\"_id\":[]}]]]]}},\"_id\":{\"_id\":1}}",
};

static void read_corpus(const char *folder) {
  DIR *dir = opendir(folder);
  uint8_t data[INPUT_MAX];
  char path[4096];
  if (!dir) return;
  for (struct dirent *entry; (entry = readdir(dir));) {
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    FILE *file = fopen(path, "rb");
    if (!file) continue;
    size_t len = fread(data, 1, sizeof data, file);
    if (len) add_seed(data, len);
    fclose(file);
  }
  closedir(dir);
}

static uint64_t state = UINT64_C(0x9E3779B97F4A7C15);
static size_t below(size_t n) { /* xorshift: the same numbers in every run */
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (size_t)(state >> 11) % n;
}

static size_t mutate(uint8_t *data, size_t len) {
  static const char *const words[] = {
      "{",    "}",       "[",        "]",       ",",       ":",    "\"",       "\\",
      "\n",   " ",       "\"_id\":", "\\u005f", "1",       "-",    "e+",       "null",
      "true", "{\"a\":", "[1]",      "\t",      "\r",      "\x80", "\xf0\x9f", "\xed\xa0\x80",
      "0.",   "\\",      "{}\n",     "\n{\"",   "},\n{\"", "\x1f", "\\ud8",    "                        "};
  for (size_t changes = 1 + below(4); changes; changes--) {
    size_t at = below(len + 1);
    switch (below(6)) {
    case 0:
      if (at < len) data[at] = (uint8_t)below(256);
      break;
    case 1: /* take out */
      if (at < len) {
        size_t n = 1 + below(len - at < 9 ? len - at : 9);
        memmove(data + at, data + at + n, len - at - n);
        len -= n;
      }
      break;
    case 2: /* end early */
      if (below(3) == 0) len = at;
      break;
    case 3: { /* double a piece */
      size_t n = 1 + below(40);
      if (at + n > len || len + n > INPUT_MAX) break;
      memmove(data + at + n, data + at, len - at);
      len += n;
      break;
    }
    default: { /* put in a word */
      const char *word = words[below(sizeof words / sizeof *words)];
      size_t n = strlen(word);
      if (len + n > INPUT_MAX) break;
      memmove(data + at + n, data + at, len - at);
      memcpy(data + at, word, n);
      len += n;
    }
    }
  }
  return len;
}

int main(int argc, char **argv) {
  const char *limit = argc > 1 ? argv[1] : "20";
  uint64_t rounds = *limit == 'n' ? strtoull(limit + 1, NULL, 10) : UINT64_MAX, done = 0;
  time_t end = time(NULL) + (*limit == 'n' ? 86400 : atol(limit));
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    for (int options = 0; options < 256; options += 4 * 13 + 1) {
      uint8_t seed[INPUT_MAX] = {(uint8_t)options, (uint8_t)(i * 7)};
      memcpy(seed + 2, texts[i], strlen(texts[i]));
      add_seed(seed, strlen(texts[i]) + 2);
    }
  }
  for (int i = 2; i < argc; i++)
    read_corpus(argv[i]);
  for (size_t i = 0; i < seed_count; i++)
    LLVMFuzzerTestOneInput(seeds[i].data, seeds[i].len);
  for (; done < rounds && time(NULL) < end; done++) {
    uint8_t data[INPUT_MAX];
    size_t pick = below(seed_count), len = seeds[pick].len;
    memcpy(data, seeds[pick].data, len);
    if (len > 1 && below(4) == 0) data[0] = (uint8_t)below(256), data[1] = (uint8_t)below(256);
    len = mutate(data, len);
    LLVMFuzzerTestOneInput(data, len);
    if (below(50) == 0) { /* let what survived breed */
      seeds[below(seed_count)].len = 0;
      for (size_t i = 0; i < seed_count; i++) {
        if (seeds[i].len) continue;
        memcpy(seeds[i].data, data, len);
        seeds[i].len = len;
      }
      if (below(3) == 0) {
        size_t i = below(sizeof texts / sizeof *texts);
        size_t slot = below(seed_count);
        seeds[slot].data[0] = (uint8_t)below(256);
        memcpy(seeds[slot].data + 2, texts[i], strlen(texts[i]));
        seeds[slot].len = strlen(texts[i]) + 2;
      }
    }
  }
  printf("Done %llu runs\n", (unsigned long long)done);
  return 0;
}
#endif
