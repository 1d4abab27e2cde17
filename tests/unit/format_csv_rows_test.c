/* format_csv_rows_test.c - CSV rows to records and rejects. Every case runs in windows of every size and
** is resumed behind each of its records; the outcome must be the same to the byte.
*/
#include "format_csv_collect.h"

#define TEXT(literal) literal, sizeof(literal) - 1 /* NUL bytes included */

static const char *const no_text[] = {""};
static const struct os_parse_options usual = {.header = true,
                                              .nested_columns = true,
                                              .null_values = no_text,
                                              .null_value_count = 1,
                                              .sample_rows = 10000};

static void check_len(const struct os_parse_options *options, enum os_format format, const char *text,
                      size_t len, const char *expected) {
  struct collected whole;
  struct os_error error;
  collected_init(&whole);
  int code = collect_from(options, format, text, len, 0, 1, len + 1, &whole, &error);
  if (code) print_error("%s\n", error.text);
  assert_int_equal(code, OS_OK);
  if (strcmp(whole.brief.data, expected)) print_error("%s", whole.full.data);
  assert_string_equal(whole.brief.data, expected);
  for (size_t step = 1; step <= len; step++) {
    struct collected parts;
    collected_init(&parts);
    assert_int_equal(collect_from(options, format, text, len, 0, 1, step, &parts, &error), OS_OK);
    assert_string_equal(parts.full.data, whole.full.data);
    collected_free(&parts);
  }
  for (size_t i = 0; i < whole.marks; i++) {
    struct collected rest;
    collected_init(&rest);
    assert_int_equal(
        collect_from(options, format, text, len, whole.mark[i].offset, whole.mark[i].line, 7, &rest, &error),
        OS_OK);
    assert_string_equal(rest.full.data, whole.full.data + whole.mark[i].full_at);
    collected_free(&rest);
  }
  collected_free(&whole);
}

static void check(const struct os_parse_options *options, const char *text, const char *expected) {
  check_len(options, OS_FORMAT_CSV, text, strlen(text), expected);
}

/* The last reject's reason. */
static void check_reason(const struct os_parse_options *options, const char *text, size_t len,
                         const char *type, const char *reason) {
  struct collected c;
  struct os_error error;
  collected_init(&c);
  assert_int_equal(collect_from(options, OS_FORMAT_CSV, text, len, 0, 1, len, &c, &error), OS_OK);
  assert_string_equal(c.type, type);
  if (!strstr(c.reason, reason)) print_error("%s\n", c.reason);
  assert_non_null(strstr(c.reason, reason));
  collected_free(&c);
}

static void refuses(const struct os_parse_options *options, const char *text, size_t len, int code,
                    const char *message) {
  struct collected c;
  struct os_error error;
  collected_init(&c);
  assert_int_equal(collect_from(options, OS_FORMAT_CSV, text, len, 0, 1, len + 1, &c, &error), code);
  if (!strstr(error.text, message)) print_error("%s\n", error.text);
  assert_non_null(strstr(error.text, message));
  assert_true(error.advice[0] != 0 || code == OS_ERR_ARGUMENT);
  collected_free(&c);
  char *head = window_of(text, len);
  struct os_head_facts facts;
  assert_int_equal(os_csv_head_examine(OS_FORMAT_CSV, options, head, len, true, &facts, &error), code);
  assert_null(facts.columns);
  free(head);
}

static void line_breaks(void **state) {
  (void)state;
  const char *expected = "{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":\"y\"}\n";
  check(&usual, "a,b\n1,x\n2,y\n", expected);
  check(&usual, "a,b\n1,x\n2,y", expected);
  check(&usual, "a,b\r\n1,x\r\n2,y\r\n", expected);
  check(&usual, "a,b\r\n1,x\r\n2,y", expected);
  check(&usual, "a,b\r1,x\r2,y\r", expected);
  check(&usual, "a,b\r1,x\r2,y", expected);
  check(&usual, "\n\na,b\n\n1,x\r\n\r\n\n2,y\n\n\n", expected); /* blank rows, also before the header */
  check(&usual,
        "\xEF\xBB\xBF"
        "a,b\n1,x\n2,y\n",
        expected);
  check(&usual, "\xEF\xBB\xBF\"a\",\"b\"\r\n\"1\",\"x\"\r\n\"2\",\"y\"", expected);
}

static void lines_and_offsets(void **state) {
  (void)state;
  struct collected c;
  struct os_error error;
  const char *text = "a,b\r\n1,\"x\r\ny\nz\"\r\n\r\n2,w\n";
  collected_init(&c);
  assert_int_equal(collect_from(&usual, OS_FORMAT_CSV, text, strlen(text), 0, 1, 99, &c, &error), OS_OK);
  assert_string_equal(c.full.data, "{\"a\":1,\"b\":\"x\\r\\ny\\nz\"} id= [5,17) 2-5 raw=1,\"x\r\ny\nz\"\n"
                                   "{\"a\":2,\"b\":\"w\"} id= [19,23) 6-7 raw=2,w\n");
  collected_free(&c);
}

static void quotes(void **state) {
  (void)state;
  check(&usual, "a,b\n\"x,y\",\"say \"\"hi\"\"\"\n", "{\"a\":\"x,y\",\"b\":\"say \\\"hi\\\"\"}\n");
  check(&usual, "a,b\n\"\",\n,\"\"\n", "{\"a\":\"\",\"b\":null}\n{\"a\":null,\"b\":\"\"}\n");
  check(&usual, "a\n\"\"\n", "{\"a\":\"\"}\n");
  check(&usual, "a,b\n\"1\n2\n3\",\"4\r5\r\n6\"\n7,8\n",
        "{\"a\":\"1\\n2\\n3\",\"b\":\"4\\r5\\r\\n6\"}\n{\"a\":\"7\",\"b\":\"8\"}\n");
  /* long enough that libcsv gets only the part between the quotes */
  check(&usual,
        "a,b,c,d,e\nfirst,\"q,\"\"1\",mid,\"q2\",\"q3\"\nfirst,\"q\",0123456789,"
        "0123456789012345678901234567890123456789,\n",
        "{\"a\":\"first\",\"b\":\"q,\\\"1\",\"c\":\"mid\",\"d\":\"q2\",\"e\":\"q3\"}\n"
        "{\"a\":\"first\",\"b\":\"q\",\"c\":\"0123456789\",\"d\":"
        "\"0123456789012345678901234567890123456789\",\"e\":null}\n");
  check(&usual,
        "a,b\nx,\"open, 0123456789012345678901234567890123456789012345678901234567890,\n,\"\", closed\"\n",
        "{\"a\":\"x\",\"b\":\"open, 0123456789012345678901234567890123456789012345678901234567890,\\n,\\\", "
        "closed\"}\n");
  struct os_parse_options single = usual;
  single.quote = '\'';
  check(&single, "a,b\n'x,y','it''s'\n\"z\",w\n",
        "{\"a\":\"x,y\",\"b\":\"it's\"}\n{\"a\":\"\\\"z\\\"\",\"b\":\"w\"}\n");
  struct os_parse_options none = usual;
  none.no_quote = true;
  check(&none, "a,b\n\"x,y\"\n\"\",\n",
        "{\"a\":\"\\\"x\",\"b\":\"y\\\"\"}\n{\"a\":\"\\\"\\\"\",\"b\":null}\n");
}

static void dialect(void **state) {
  (void)state;
  struct os_parse_options semicolon = usual;
  semicolon.delimiter = ';';
  check(&semicolon, "a;b\n1,5;\"x;y\"\n", "{\"a\":\"1,5\",\"b\":\"x;y\"}\n");
  check_len(&usual, OS_FORMAT_TSV, TEXT("a\tb\n 1 \t\"x\ty\"\n\t\n"),
            "{\"a\":\" 1 \",\"b\":\"x\\ty\"}\n{\"a\":null,\"b\":null}\n");
  check(&usual, "a,b\n x , y \n \"z\",1\n", "{\"a\":\" x \",\"b\":\" y \"}\n!csv_bad_quote\n");
  struct os_parse_options trim = usual;
  trim.trim = true;
  check(&trim, "a,b\n x\t, y \n \"z \" , \" w\"\t\n  ,  \n   \n", /* the last line is blank */
        "{\"a\":\"x\",\"b\":\"y\"}\n{\"a\":\"z \",\"b\":\" w\"}\n{\"a\":null,\"b\":null}\n");
  check_len(&trim, OS_FORMAT_TSV, TEXT("a\tb\n x \t\" y\" \n\t \n"),
            "{\"a\":\"x\",\"b\":\" y\"}\n{\"a\":null,\"b\":null}\n");
}

static void header_names(void **state) {
  (void)state;
  check(&usual, " a ,\tb\t,\" c \"\n1,2,3\n", "{\"a\":1,\"b\":2,\"c\":3}\n");
}

static void columns_given(void **state) {
  (void)state;
  static const char *const names[] = {"x", "y"};
  struct os_parse_options given = usual;
  given.columns = names;
  given.column_count = 2;
  check(&given, "a,b\n1,2\n", "{\"x\":1,\"y\":2}\n"); /* replaces the header */
  given.header = false;
  check(&given, "a,b\n1,2\n", "{\"x\":\"a\",\"y\":\"b\"}\n{\"x\":\"1\",\"y\":\"2\"}\n");
  check(&given,
        "\xEF\xBB\xBF"
        "1,2\n",
        "{\"x\":1,\"y\":2}\n");
  check_reason(&given, TEXT("1,2\n3\n"), "csv_too_few_cells", "line 2 has 1 cell, the option columns has 2");
  struct os_parse_options neither = usual;
  neither.header = false;
  refuses(&neither, TEXT("1,2\n"), OS_ERR_ARGUMENT, "header is false and no column has a name");
}

static void empty_files(void **state) {
  (void)state;
  check(&usual, "", "");
  check(&usual, "\n\r\n\r", "");
  check(&usual, "\xEF\xBB\xBF", "");
  check(&usual, "a,b", "");
  check(&usual, "a,b\n", "");
}

static void wrong_number_of_cells(void **state) {
  (void)state;
  check(&usual, "a,b,c\n1,2,3\n1,2\n1,2,3,4\n1\n4,5,6\n",
        "{\"a\":1,\"b\":2,\"c\":3}\n!csv_too_few_cells\n!csv_too_many_cells\n!csv_too_few_cells\n"
        "{\"a\":4,\"b\":5,\"c\":6}\n");
  check_reason(&usual, TEXT("a,b,c\n\n\"1\n\",2\n"), "csv_too_few_cells",
               "line 3 has 2 cells, the header has 3: ");
  check_reason(&usual, TEXT("a,b\n1,2,3,4,5\n"), "csv_too_many_cells",
               "line 2 has 5 cells, the header has 2: ");
}

static void bad_quotes(void **state) {
  (void)state;
  check(&usual, "a,b\n1,x\"y\n2,\"x\"y\n3,z\n", "!csv_bad_quote\n!csv_bad_quote\n{\"a\":3,\"b\":\"z\"}\n");
  check_reason(&usual, TEXT("a,b\n1,x\"y\n"), "csv_bad_quote", "line 2, byte 4, column 2 (b)");
  /* a stray quote costs its own line, not those it swallows: line 2 */
  check(&usual, "a,b\n1,\"x\n2,y\n3,\"z\"\n4,w\n",
        "!csv_bad_quote\n{\"a\":2,\"b\":\"y\"}\n{\"a\":3,\"b\":\"z\"}\n{\"a\":4,\"b\":\"w\"}\n");
  check_reason(&usual, TEXT("a,b\n1,\"x\n2,y\n3,\"z\"\n"), "csv_bad_quote", "line 4, byte 4, column 2 (b)");
  /* lines before the faulty cell belong to the refused row */
  check(&usual, "a,b\n\"1\n2\",\"x\n3,\"4\"\n", "!csv_bad_quote\n{\"a\":3,\"b\":4}\n");
}

static void open_quotes(void **state) {
  (void)state;
  check(&usual, "a,b\n1,\"x\n2,y\n3,z",
        "!csv_unterminated_quote\n{\"a\":2,\"b\":\"y\"}\n{\"a\":3,\"b\":\"z\"}\n");
  check_reason(&usual, TEXT("a,b\n1,\"x\n2,y\n"), "csv_unterminated_quote",
               "the quote opened in line 2, column 2 (b)");
  check_reason(&usual, TEXT("a,b\n\"1\n2\",\"x"), "csv_unterminated_quote",
               "the quote opened in line 3, column 2 (b)");
  check(&usual, "a,b\n1,\"x\"\"", "!csv_unterminated_quote\n");
  check(&usual, "a,b\n1,\"", "!csv_unterminated_quote\n");
}

static void bad_bytes(void **state) {
  (void)state;
  check(&usual, "a,b\n1,caf\xE9\n2,\xC3\xA9\n\"\xED\xA0\x80\",3\n",
        "!invalid_utf8\n{\"a\":\"2\",\"b\":\"\xC3\xA9\"}\n!invalid_utf8\n");
  check_reason(&usual, TEXT("a,b\n1,\"x\ncaf\xE9\"\n"), "invalid_utf8", "line 3, byte 4, column 2 (b): 0xE9");
  check_len(&usual, OS_FORMAT_CSV, TEXT("a,b\n1,x\0y\n2,z\n"), "!csv_nul_byte\n{\"a\":2,\"b\":\"z\"}\n");
  check_reason(&usual, TEXT("a,b\n1,x\0y\n"), "csv_nul_byte", "line 2, byte 4, column 2 (b): 0x00");
  check(&usual, "a\nx\x01\x1f\t\b\f\x7f\\/\"\n", "!csv_bad_quote\n");
  check(&usual, "a\nx\x01\x1f\t\b\f\x7f\\/\n", "{\"a\":\"x\\u0001\\u001f\\t\\b\\f\x7f\\\\/\"}\n");
}

static void bad_headers(void **state) {
  (void)state;
  refuses(&usual, TEXT("a,,c\n"), OS_ERR_FORMAT, "column 2 has no name");
  refuses(&usual, TEXT("a,  ,c\n"), OS_ERR_FORMAT, "column 2 has no name");
  refuses(&usual, TEXT("a,b, a\n"), OS_ERR_FORMAT, "columns 1 and 3 are both named 'a'");
  refuses(&usual, TEXT("\"a\nb\",x,\"a\nb\"\n"), OS_ERR_FORMAT, "columns 1 and 3 are both named 'a b'");
  refuses(&usual, TEXT("a,b\xE9\n"), OS_ERR_FORMAT, "column 2 is not valid UTF-8 (its byte 2 is 0xE9)");
  refuses(&usual,
          TEXT("\xFF\xFE"
               "a\0,\0"),
          OS_ERR_FORMAT, "looks like UTF-16 or a binary file");
  refuses(&usual, TEXT("\xFE\xFF\0a"), OS_ERR_FORMAT, "looks like UTF-16 or a binary file");
  refuses(&usual, TEXT("a\0,\0b\0\n\0"), OS_ERR_FORMAT, "looks like UTF-16 or a binary file");
  refuses(&usual, TEXT("a,b\"c\n1,2\n"), OS_ERR_FORMAT, "line 1, byte 4: a quote in the wrong place");
  refuses(&usual, TEXT("a,\"b\n1,2\n"), OS_ERR_FORMAT, "the quote opened in line 1 is not closed");
  refuses(&usual, TEXT("a,a.b\n1,2\n"), OS_ERR_FORMAT,
          "columns 1 'a' and 2 'a.b' cannot both be in one document");
  refuses(&usual, TEXT("a.b.c,x,a.b\n"), OS_ERR_FORMAT,
          "columns 1 'a.b.c' and 3 'a.b' cannot both be in one document");
  struct os_parse_options same = usual;
  same.delimiter = '"';
  refuses(&same, TEXT("a,b\n"), OS_ERR_ARGUMENT, "delimiter and quote are the same");
  same.delimiter = '\n';
  refuses(&same, TEXT("a,b\n"), OS_ERR_ARGUMENT, "a line break can be neither");
  struct os_parse_options source = usual;
  source.source_field = "b";
  refuses(&source, TEXT("a,b.c\n1,2\n"), OS_ERR_FORMAT,
          "column 2 'b.c' has the name that source_field asks for");
}

/* A message holds the beginning of a long name, and never half a character. */
static void long_names(void **state) {
  (void)state;
  char text[2][300], header[2000];
  for (size_t shift = 0; shift < 2; shift++) {
    memset(text[shift], 'x', shift);
    for (size_t i = shift; i < 280; i += 2)
      memcpy(text[shift] + i, "\xC3\xA9", 3);
    snprintf(header, sizeof header, "%s,%s\n", text[shift], text[shift]);
    refuses(&usual, header, strlen(header), OS_ERR_FORMAT,
            shift ? "named 'x\xC3\xA9\xC3" : "named '\xC3\xA9\xC3");
    refuses(&usual, header, strlen(header), OS_ERR_FORMAT, "\xC3\xA9…'");
  }
}

static void nulls(void **state) {
  (void)state;
  static const char *const words[] = {"NULL", "n/a", ""};
  struct os_parse_options options = usual;
  options.null_values = words;
  options.null_value_count = 3;
  check(&options, "a,b\nNULL,n/a\n\"NULL\",n/a\nnull,\nx,\"n/a\"\nNULL,\"\"\n",
        "{\"a\":null,\"b\":null}\n{\"a\":\"NULL\",\"b\":null}\n{\"a\":\"null\",\"b\":null}\n{\"a\":\"x\","
        "\"b\":\"n/a\"}\n"
        "{\"a\":null,\"b\":\"\"}\n");
  options.null_value_count = 2;
  check(&options, "a,b\nNULL,\n1,n/a\n", "{\"a\":null,\"b\":\"\"}\n{\"a\":1,\"b\":null}\n");
  options.null_values = NULL;
  options.null_value_count = 0;
  check(&options, "a,b\n,\"\"\n", "{\"a\":\"\",\"b\":\"\"}\n");
  options.null_values = words;
  options.null_value_count = 1;
  options.trim = true;
  check(&options, "a,b\n NULL , \"NULL\" \n", "{\"a\":null,\"b\":\"NULL\"}\n");
  /* columns that are nested apart are asked out of order */
  options.trim = false;
  check(&options, "n.a,x,n.b\nNULL,\"NULL\",NULL\n", "{\"n\":{\"a\":null,\"b\":null},\"x\":\"NULL\"}\n");
}

static void nesting(void **state) {
  (void)state;
  char deep[2 * OS_JSON_DEPTH_MAX + 20];
  memset(deep, '.', sizeof deep);
  for (size_t i = 0; i < 2 * OS_JSON_DEPTH_MAX + 1; i += 2)
    deep[i] = 'a';
  memcpy(deep + 2 * OS_JSON_DEPTH_MAX + 1, "\n1\n", 4);
  refuses(&usual, deep, strlen(deep), OS_ERR_FORMAT, "the name of column 1 is nested more than");
  check(&usual, "a.b,x,a.c.d,a.c.e,y\n1,2,3,4,5\n",
        "{\"a\":{\"b\":1,\"c\":{\"d\":3,\"e\":4}},\"x\":2,\"y\":5}\n");
  check(&usual, "a.b.c\n1\n", "{\"a\":{\"b\":{\"c\":1}}}\n");
  check(&usual, "No.,.x,a..b\n1,2,3\n", "{\"No.\":1,\".x\":2,\"a..b\":3}\n");
  check(&usual, "\"a\"\"q.b\\\",c\n1,2\n", "{\"a\\\"q\":{\"b\\\\\":1},\"c\":2}\n");
  struct os_parse_options flat = usual;
  flat.nested_columns = false;
  check(&flat, "a,a.b\n1,2\n", "{\"a\":1,\"a.b\":2}\n");
}

static void metadata(void **state) {
  (void)state;
  struct os_parse_options options = usual;
  options.id_field = "_id";
  options.routing_field = "_routing";
  options.version_field = "_version";
  check(&options, "_id,a,_routing,_version\n7,x,r\"\n", "!csv_bad_quote\n");
  check(&options, "_id,a,_routing,_version\n007,x,\"r\"\"\",12\n,y,,\n\"\",z,s,1\n",
        "{\"a\":\"x\"} id=007 routing=r\\\" version=12\n{\"a\":\"y\"}\n{\"a\":\"z\"} routing=s version=1\n");
  options.routing_field = "r";
  options.version_field = "v";
  check(&options, "r,a,v\nx,1,2\n,3,\n",
        "{\"r\":\"x\",\"a\":1,\"v\":2} routing=x version=2\n{\"r\":null,\"a\":3,\"v\":null}\n");
  check(&options, "_id\n1\n2\n", "{} id=1\n{} id=2\n");
  check(&options, "_id,a\n\"x\\y\",1\n", "{\"a\":1} id=x\\\\y\n");
  options.id_field = "k.id";
  check(&options, "k,k.id\n1,2\n", "{\"k\":1} id=2\n"); /* the id is out of the way of nesting */
  options.source_field = "src";
  check(&options, "k.id,a\n1,2\n", "{\"a\":2,\"src\":\"dir/file.csv\"} id=1\n");
  check(&options, "k.id\n1\n", "{\"src\":\"dir/file.csv\"} id=1\n");
}

static void long_ids(void **state) {
  (void)state;
  struct os_parse_options options = usual;
  options.id_field = "_id";
  char text[600] = "_id,a\n";
  memset(text + 6, 'i', 512);
  strcpy(text + 6 + 512, ",1\n");
  char expected[600] = "{\"a\":1} id=";
  memset(expected + 11, 'i', 512);
  strcpy(expected + 11 + 512, "\n");
  check(&options, text, expected);
  strcpy(text + 6 + 512, "i,1\n");
  check(&options, text, "!id_too_long\n");
  check_reason(&options, text, strlen(text), "id_too_long",
               "column 1 (_id) has 513 bytes, OpenSearch takes at most 512");
}

static void long_records(void **state) {
  (void)state;
  struct os_parse_options options = usual;
  options.max_record = 10;
  check(&options, "a,b\n12345,1234\n", "{\"a\":12345,\"b\":1234}\n");
  check(&options, "a,b\n12345,12345\n1,2\n", "!record_too_long\n{\"a\":1,\"b\":2}\n");
  check(&options, "a,b\r\n12345,12345\r\n1,2\r\n", "!record_too_long\n{\"a\":1,\"b\":2}\n");
  check(&options, "a,b\n1,2\n12345,\"1234567890\"", "{\"a\":1,\"b\":2}\n!record_too_long\n");
  check(&options, "a,b\n1,\"x\n2,3\n3,4\n5,6\n",
        "!csv_unterminated_quote\n{\"a\":2,\"b\":3}\n{\"a\":3,\"b\":4}\n{\"a\":5,\"b\":6}\n");
  check_reason(&options, TEXT("a,b\n1,2\n123456,123456\n"), "record_too_long",
               "line 3 is longer than 10 bytes");
  check_reason(&options, TEXT("a,b\n1,\"x\n2,3\n3,4\n5,6\n"), "csv_unterminated_quote",
               "not closed within 10 bytes");
  options.header = true;
  refuses(&options, TEXT("aaaaaaaa,bbbbbbb\n1,2\n"), OS_ERR_FORMAT, "header line is longer");
}

static void many_columns(void **state) {
  (void)state;
  enum { COLUMNS = 10000 };
  struct os_buf text;
  os_buf_init(&text, 0);
  for (int row = 0; row < 3; row++)
    for (int i = 0; i < COLUMNS; i++)
      os_buf_printf(&text, row ? "%s%d" : "%scolumn.%d", i ? "," : row ? "\n" : "", i);
  struct collected c;
  struct os_error error;
  collected_init(&c);
  assert_int_equal(collect_from(&usual, OS_FORMAT_CSV, text.data, text.len, 0, 1, text.len, &c, &error),
                   OS_OK);
  assert_int_equal(c.marks, 2);
  assert_non_null(strstr(c.brief.data, "{\"column\":{\"0\":0,\"1\":1,"));
  assert_non_null(strstr(c.brief.data, ",\"9999\":9999}}\n"));
  collected_free(&c);
  os_buf_free(&text);
}

static void large_cells(void **state) {
  (void)state;
  enum { SIZE = 300000 };
  struct os_buf text, expected;
  os_buf_init(&text, 0);
  os_buf_init(&expected, 0);
  os_buf_puts(&text, "a,b\n");
  os_buf_puts(&expected, "{\"a\":");
  for (int cell = 0; cell < 2; cell++) {
    os_buf_puts(&text, cell ? ",\"" : "\"");
    os_buf_puts(&expected, cell ? ",\"b\":\"" : "\"");
    for (int i = 0; i < SIZE; i++) {
      os_buf_puts(&text, i % 50 == 49 ? "\n" : i % 7 ? "x" : "\"\"");
      os_buf_puts(&expected, i % 50 == 49 ? "\\n" : i % 7 ? "x" : "\\\"");
    }
    os_buf_putc(&text, '"');
    os_buf_putc(&expected, '"');
  }
  os_buf_puts(&expected, "}\n");
  struct collected c;
  struct os_error error;
  collected_init(&c);
  assert_int_equal(collect_from(&usual, OS_FORMAT_CSV, text.data, text.len, 0, 1, 100000, &c, &error), OS_OK);
  assert_string_equal(c.brief.data, expected.data);
  collected_free(&c);
  os_buf_free(&text);
  os_buf_free(&expected);
}

/* Without a head the first windows serve; a header that is longer than the first window waits for more. */
static void without_head(void **state) {
  (void)state;
  const char *text = "\xEF\xBB\xBFname,size\nx,1\ny,2\n";
  struct os_parser_start start = {.source_name = "f", .line = 1};
  for (size_t step = 1; step < 30; step++) {
    struct collected c;
    struct os_error error;
    struct os_parser *parser;
    collected_init(&c);
    struct os_record_sink sink = {collect_record, collect_reject, &c};
    assert_int_equal(os_csv_parser_open(&parser, OS_FORMAT_CSV, &usual, &start, &sink, &error), OS_OK);
    assert_int_equal(run_windows(parser, text, strlen(text), 0, step, &error), OS_OK);
    assert_int_equal(parser->records, 2);
    parser->methods->free(parser);
    assert_non_null(strstr(c.full.data, "[13,17) 2-3 raw=x,1\n"));
    collected_free(&c);
  }
  struct os_parser *parser;
  struct os_error error;
  struct collected c;
  collected_init(&c);
  struct os_record_sink sink = {collect_record, collect_reject, &c};
  start.offset = 13;
  assert_int_equal(os_csv_parser_open(&parser, OS_FORMAT_CSV, &usual, &start, &sink, &error), OS_ERR_FORMAT);
  char *head = window_of(text, 8);
  start.head = head;
  start.head_len = 8;
  assert_int_equal(os_csv_parser_open(&parser, OS_FORMAT_CSV, &usual, &start, &sink, &error), OS_ERR_FORMAT);
  assert_non_null(strstr(error.text, "does not end within the file's first 8 bytes"));
  free(head);
  collected_free(&c);
}

static int stop(void *ctx, const struct os_record *record) {
  (void)record;
  return ++*(int *)ctx == 2 ? OS_ERR_CANCELLED : OS_OK;
}

static void sink_stops(void **state) {
  (void)state;
  int calls = 0;
  struct os_error error;
  char *text = window_of("a\n1\n2\n3\n", 8);
  struct os_parser_start start = {
      .source_name = "f", .line = 1, .head = text, .head_len = 8, .head_is_all = true};
  struct os_record_sink sink = {stop, NULL, &calls};
  struct os_parser *parser;
  size_t used;
  assert_int_equal(os_csv_parser_open(&parser, OS_FORMAT_CSV, &usual, &start, &sink, &error), OS_OK);
  assert_int_equal(parser->methods->run(parser, text, 8, true, &used, &error), OS_ERR_CANCELLED);
  assert_int_equal(calls, 2);
  parser->methods->free(parser);
  free(text);
}

/* The n-th allocation fails, for every n: a clean error, and no leak (run under the sanitizer). */
static void no_memory(void **state) {
  (void)state;
#ifdef OS_TEST_ALLOC
  const char *text = "_id,a.b,a.c,j\n1,\"x\ny\",3,\"{\"\"k\"\": \n1}\"\n2,\"a\"b,,\n";
  struct os_parse_options options = usual;
  options.id_field = "_id";
  options.types = json_pack("{ss}", "j", "json");
  for (int once = 0; once < 2; once++)
    for (long n = 0;; n++) {
      struct os_error error;
      struct collected c;
      collected_init(&c);
      os_buf_reserve(&c.brief, 4096);
      os_buf_reserve(&c.full, 4096);
      os_alloc_fail_after(n, once);
      int code = collect_from(&options, OS_FORMAT_CSV, text, strlen(text), 0, 1, 5, &c, &error);
      os_alloc_fail_after(-1, 0);
      if (code)
        assert_int_equal(code, OS_ERR_NOMEM);
      else
        assert_string_equal(c.brief.data,
                            "{\"a\":{\"b\":\"x\\ny\",\"c\":3},\"j\":{\"k\":1}} id=1\n!csv_bad_quote\n");
      collected_free(&c);
      assert_true(n < 1000);
      if (!code && n > 100) break;
    }
  json_decref((json_t *)(uintptr_t)options.types);
#else
  skip();
#endif
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(line_breaks),  cmocka_unit_test(lines_and_offsets),
      cmocka_unit_test(quotes),       cmocka_unit_test(dialect),
      cmocka_unit_test(header_names), cmocka_unit_test(columns_given),
      cmocka_unit_test(empty_files),  cmocka_unit_test(wrong_number_of_cells),
      cmocka_unit_test(bad_quotes),   cmocka_unit_test(open_quotes),
      cmocka_unit_test(bad_bytes),    cmocka_unit_test(bad_headers),
      cmocka_unit_test(nulls),        cmocka_unit_test(long_names),
      cmocka_unit_test(nesting),      cmocka_unit_test(metadata),
      cmocka_unit_test(long_ids),     cmocka_unit_test(long_records),
      cmocka_unit_test(many_columns), cmocka_unit_test(large_cells),
      cmocka_unit_test(without_head), cmocka_unit_test(sink_stops),
      cmocka_unit_test(no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
