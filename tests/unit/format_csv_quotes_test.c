/* format_csv_quotes_test.c - rows with quotes against libcsv: most are cut without it, and must come to what
** it makes of the text as a whole, in windows of every size.
*/
#include <csv.h>
#include "format_csv_collect.h"

static const char *const no_text[] = {""};
static struct os_parse_options usual = {
    .header = true, .null_values = no_text, .null_value_count = 1, .sample_rows = 10000};
static const char header[] = "h,i\n";
static uint32_t seed;

static unsigned dice(unsigned sides) {
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 16) % sides;
}

/* What libcsv makes of a whole text at once; false: it finds a fault. */
struct plain {
  struct os_buf *out;
  size_t cells;
  struct os_buf cell[2];
};

static void reference_cell(void *text, size_t len, void *ctx) {
  struct plain *plain = ctx;
  if (plain->cells++ > 1) return;
  struct os_buf *value = &plain->cell[plain->cells - 1];
  os_buf_clear(value);
  if (text)
    os_buf_put_json(value, text, len);
  else
    os_buf_puts(value, "null");
}

static void reference_row(int terminator, void *ctx) {
  (void)terminator;
  struct plain *plain = ctx;
  if (plain->cells == 2) {
    os_buf_puts(plain->out, "{\"h\":");
    os_buf_append(plain->out, plain->cell[0].data, plain->cell[0].len);
    os_buf_puts(plain->out, ",\"i\":");
    os_buf_append(plain->out, plain->cell[1].data, plain->cell[1].len);
    os_buf_puts(plain->out, "}\n");
  } else {
    os_buf_puts(plain->out, plain->cells < 2 ? "!csv_too_few_cells\n" : "!csv_too_many_cells\n");
  }
  plain->cells = 0;
}

static int never_space(unsigned char c) {
  (void)c;
  return 0;
}

static bool plain_libcsv(const char *text, size_t len, bool trim, struct os_buf *out) {
  struct csv_parser csv;
  struct plain plain = {.out = out};
  os_buf_init(&plain.cell[0], 0);
  os_buf_init(&plain.cell[1], 0);
  csv_init(&csv, CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL);
  if (!trim) csv_set_space_func(&csv, never_space);
  bool fine = csv_parse(&csv, text, len, reference_cell, reference_row, &plain) == len &&
              !csv_fini(&csv, reference_cell, reference_row, &plain);
  csv_free(&csv);
  os_buf_free(&plain.cell[0]);
  os_buf_free(&plain.cell[1]);
  return fine;
}

/* In windows of `step` bytes, growing, and at once: the same. 1 when libcsv, which found no fault, says so, too. */
static int compare(const struct os_parse_options *options, const char *text, size_t len, size_t step) {
  struct collected whole;
  struct os_error error;
  struct os_buf plain;
  int compared = 0;
  collected_init(&whole);
  assert_int_equal(collect_from(options, OS_FORMAT_CSV, text, len, 0, 1, len, &whole, &error), OS_OK);
  os_buf_init(&plain, 0);
  if (!options->max_record &&
      plain_libcsv(text + sizeof header - 1, len - sizeof header + 1, options->trim, &plain)) {
    assert_string_equal(whole.brief.data, plain.data);
    compared = 1;
  }
  os_buf_free(&plain);
  for (; step < len; step += 1 + step / 4) {
    struct collected parts;
    collected_init(&parts);
    assert_int_equal(collect_from(options, OS_FORMAT_CSV, text, len, 0, 1, step, &parts, &error), OS_OK);
    assert_string_equal(parts.full.data, whole.full.data);
    collected_free(&parts);
  }
  collected_free(&whole);
  return compared;
}

/* Random texts of the characters that matter. */
static void any_text(void **state) {
  (void)state;
  static const char alphabet[] = "aab1,,\"\"\n\n\r x";
  int compared = 0;
  seed = 7;
  for (int round = 0; round < 3000; round++) {
    char text[140];
    size_t len = sizeof header - 1;
    memcpy(text, header, len);
    for (int n = 1 + round % 120; n; n--) {
      char c = alphabet[dice(sizeof alphabet - 1)];
      if (round % 3 && c == '"' && dice(8)) c = 'q'; /* few quotes: long stretches without */
      if (round % 3 == 2 && c == '\n' && dice(4)) c = ',';
      text[len++] = c;
    }
    struct os_parse_options options = usual;
    options.trim = round & 1;
    options.max_record = round % 5 ? 0 : 12;
    compared += compare(&options, text, len, 1);
  }
  assert_true(compared > 100);
}

static void put_cell(struct os_buf *out, const char *line_break) {
  static const char *const inside[] = {
      "a", "1", ",", "\"\"", "\n", "\r", "\r\n", " ", "long enough to be more than a vector"};
  bool quoted = dice(2) != 0;
  if (quoted) os_buf_putc(out, '"');
  for (unsigned n = dice(4); n; n--) {
    const char *piece = inside[dice(sizeof inside / sizeof *inside)];
    if (quoted || !strpbrk(piece, ",\"\r\n")) os_buf_puts(out, piece);
  }
  if (quoted) os_buf_putc(out, '"');
  if (!dice(60)) os_buf_puts(out, line_break); /* sometimes a fault, or a row too few */
  if (!dice(60)) os_buf_putc(out, "\" x"[dice(3)]);
}

/* Rows as programs write them, now and then with something wrong. */
static void rows_as_they_are_written(void **state) {
  (void)state;
  static const char *const line_breaks[] = {"\n", "\r\n", "\r"};
  int compared = 0;
  seed = 11;
  for (int round = 0; round < 3000; round++) {
    const char *line_break = line_breaks[dice(3)];
    struct os_buf text;
    os_buf_init(&text, 0);
    os_buf_puts(&text, header);
    for (unsigned rows = 1 + dice(5); rows; rows--) {
      put_cell(&text, line_break);
      for (unsigned cells = dice(12) ? 1 : dice(4); cells; cells--) {
        os_buf_putc(&text, ',');
        put_cell(&text, line_break);
      }
      if (rows > 1 || dice(2)) os_buf_puts(&text, line_break);
    }
    struct os_parse_options options = usual;
    options.trim = round & 1;
    options.max_record = round % 7 ? 0 : 20;
    compared += compare(&options, text.data, text.len, 1);
    os_buf_free(&text);
  }
  assert_in_range(compared, 1500, 3000);
}

/* About the length from which libcsv has the say; a pair of quotes may lie across it. */
static void long_rows(void **state) {
  (void)state;
  int compared = 0;
  for (size_t len = 65526; len < 65546; len++)
    for (size_t quotes = 0; quotes < 4; quotes++) {
      struct os_buf text;
      os_buf_init(&text, 0);
      os_buf_puts(&text, header);
      os_buf_puts(&text, "x,\"");
      while (text.len < len - 2 * quotes)
        os_buf_putc(&text, text.len % 1000 ? 'y' : '\n');
      for (size_t i = 0; i < quotes; i++)
        os_buf_puts(&text, "\"\"");
      os_buf_puts(&text, "\"\n1,2\n\"3\",\"4\"\n");
      compared += compare(&usual, text.data, text.len, 65536);
      os_buf_free(&text);
    }
  assert_int_equal(compared, 80);
}

static int setup(void **state) {
  (void)state;
  usual.types = json_pack("{ssss}", "h", "string", "i", "string");
  return usual.types == NULL;
}

static int teardown(void **state) {
  (void)state;
  json_decref((json_t *)(uintptr_t)usual.types);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(any_text),
      cmocka_unit_test(rows_as_they_are_written),
      cmocka_unit_test(long_rows),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
