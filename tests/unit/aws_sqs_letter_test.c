/* Refused records as messages: their form, their size, what is cut, what comes back, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "aws/sqs_letter.h"
#include "base/alloc.h"
#include "base/json.h"

static struct os_error error;
static const struct os_letter_set set = {"mapper_parsing_exception: no number", "/data/sales.csv",
                                         "sqlite-opensearch job 12 on web1", "2026-11-20T23:59:59.123Z"};

static struct os_letter letter_of(const char *document, const char *raw, size_t raw_len, bool text) {
  return (struct os_letter){.id = 17,
                            .index_name = "sales",
                            .line = 3,
                            .byte_offset = 120,
                            .doc_id = "id \"7\"",
                            .op = "index",
                            .status = 400,
                            .error_type = "mapper_parsing_exception",
                            .error_reason = "no number",
                            .document = document,
                            .document_len = document ? strlen(document) : 0,
                            .raw = raw,
                            .raw_len = raw_len,
                            .raw_is_text = text,
                            .attempts = 2,
                            .failed_at = "2026-11-20T23:59:58.001Z",
                            .context = "{\"format\":\"csv\"}"};
}

static void add(struct os_letters *letters, const struct os_letter *letter) {
  assert_int_equal(os_letters_add(letters, letter, &error), OS_OK);
}

/* What SQS takes: tab, line feed, carriage return, U+0020 to U+D7FF, U+E000 to U+FFFD, and above U+FFFF. */
static void assert_sendable(const struct os_buf *body) {
  assert_false(body->failed);
  for (size_t i = 0; i < body->len; i++) {
    unsigned char c = (unsigned char)body->data[i];
    assert_true(c >= 0x20 || c == '\t' || c == '\n' || c == '\r');
    if (i + 2 < body->len && !memcmp(body->data + i, "\xef\xbf", 2))
      assert_true((unsigned char)body->data[i + 2] < 0xbe);
  }
}

static void test_form(void **state) {
  (void)state;
  struct os_letters letters = {0};
  struct os_letter letter = letter_of("{\"a\":1}", "1,2", 3, true);
  struct os_buf body;
  os_buf_init(&body, 0);
  assert_int_equal(os_letters_begin(&letters, &set, OS_LETTER_BYTES, &error), OS_OK);
  add(&letters, &letter);
  assert_int_equal(os_letters_split(&letters, &error), OS_OK);
  assert_int_equal(letters.part_count, 1);
  os_letters_message(&letters, 0, &body);
  assert_string_equal(
      body.data,
      "{\"error_message\":\"mapper_parsing_exception: no number\",\"file_key\":\"/data/sales.csv\","
      "\"source\":\"sqlite-opensearch job 12 on web1\",\"message_part\":1,\"total_parts\":1,"
      "\"total_records\":1,\"timestamp\":\"2026-11-20T23:59:59.123Z\",\"failed_records\":[{\"id\":17,"
      "\"index_name\":\"sales\",\"line\":3,\"byte_offset\":120,\"doc_id\":\"id \\\"7\\\"\",\"op\":\"index\","
      "\"status\":400,\"error_type\":\"mapper_parsing_exception\",\"error_reason\":\"no number\","
      "\"attempts\":2,\"failed_at\":\"2026-11-20T23:59:58.001Z\",\"document\":\"{\\\"a\\\":1}\",\"raw\":\"1,"
      "2\",\"context\":\"{\\\"format\\\":\\\"csv\\\"}\"}]}");
  os_buf_free(&body);
  os_letters_free(&letters);
}

/* Every message within the limit, all records once and in order, no message emptier than it must be. */
static void test_split(void **state) {
  (void)state;
  static char filler[9000];
  struct os_letters letters = {0};
  struct os_buf body;
  os_buf_init(&body, 0);
  memset(filler, 'x', sizeof filler);
  size_t records = 0, seen = 0, before = 0;
  assert_int_equal(os_letters_begin(&letters, &set, 20000, &error), OS_OK);
  while (!os_letters_full(&letters)) {
    struct os_letter letter = letter_of(NULL, filler, (records * 7919) % sizeof filler, true);
    letter.id = (int64_t)++records;
    add(&letters, &letter);
  }
  assert_int_equal(os_letters_split(&letters, &error), OS_OK);
  assert_in_range(letters.part_count, 4, 9); /* one ReceiveMessage brings ten */
  for (size_t part = 0; part < letters.part_count; part++) {
    struct os_letter_message message;
    os_letters_message(&letters, part, &body);
    assert_in_range(body.len, 1, 20000);
    assert_int_equal(os_letter_message_read(body.data, body.len, &message, &error), OS_OK);
    assert_int_equal(message.part, part + 1);
    assert_int_equal(message.total_parts, letters.part_count);
    assert_int_equal(message.total_records, records);
    size_t here = json_array_size(message.records);
    for (size_t i = 0; i < here; i++)
      assert_int_equal(os_json_int(json_array_get(message.records, i), "id", 0), ++seen);
    /* the first record of this message had no room in the one before */
    if (part)
      assert_true(before + letters.ends[letters.parts[part]] - letters.ends[letters.parts[part] - 1] + 1 >
                  20000 - 57);
    before = body.len;
    os_letter_message_free(&message);
  }
  assert_int_equal(seen, records);
  assert_int_equal(letters.truncated, 0);
  os_buf_free(&body);
  os_letters_free(&letters);
}

/* A document or bytes that no message holds: cut, and the note says so. */
static void test_truncated(void **state) {
  (void)state;
  static char large[300001];
  struct os_letters letters = {0};
  struct os_buf body, bytes;
  os_buf_init(&body, 0);
  os_buf_init(&bytes, 0);
  static const struct {
    const char *unit;
    bool text;
  } cases[] = {{"x", true},    {"\"", true}, {"\x01", true}, {"\xef\xbf\xbf", true}, {"\xe2\x82\xac", true},
               {"\xff", false}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    size_t unit = strlen(cases[i].unit), len = 0;
    while (len + unit < sizeof large)
      memcpy(large + len, cases[i].unit, unit), len += unit;
    large[len] = '\0';
    struct os_letter whole = letter_of(cases[i].text ? large : NULL, large, len, cases[i].text), back;
    struct os_letter_message message;
    assert_int_equal(os_letters_begin(&letters, &set, OS_LETTER_BYTES, &error), OS_OK);
    add(&letters, &whole);
    assert_int_equal(letters.truncated, 1);
    assert_int_equal(os_letters_split(&letters, &error), OS_OK);
    os_letters_message(&letters, 0, &body);
    assert_in_range(body.len, OS_LETTER_BYTES - 200, OS_LETTER_BYTES);
    assert_sendable(&body);
    assert_int_equal(os_letter_message_read(body.data, body.len, &message, &error), OS_OK);
    assert_int_equal(os_letter_read(&message, 0, &back, &bytes, &error), OS_OK);
    assert_non_null(strstr(back.truncated, "row 17 of dlq_failures"));
    assert_null(back.context);
    assert_memory_equal(back.raw, large, back.raw_len);
    assert_in_range(back.raw_len, 10000, len - 1);
    os_letter_message_free(&message);
  }
  os_buf_free(&body);
  os_buf_free(&bytes);
  os_letters_free(&letters);
}

static void test_too_small(void **state) {
  (void)state;
  struct os_letters letters = {0};
  struct os_letter letter = letter_of("{}", "1", 1, true);
  assert_int_equal(os_letters_begin(&letters, &set, 200, &error), OS_ERR_TOO_LARGE);
  assert_int_equal(os_letters_begin(&letters, &set, 500, &error), OS_OK);
  assert_int_equal(os_letters_add(&letters, &letter, &error), OS_ERR_TOO_LARGE);
  assert_non_null(strstr(error.text, "failed record 17"));
  os_letters_free(&letters);
}

/* What went is what comes back, byte by byte. */
static void test_round_trip(void **state) {
  (void)state;
  static const struct {
    const char *raw;
    size_t len;
    bool text;
  } cases[] = {{"plain", 5, true},
               {"", 0, true},
               {"\x01\x02\x1f\x7f tab\t lf\n cr\r", 17, true},
               {"\xef\xbf\xbf", 3, true},
               {"a\xef\xbf\xbe\xef\xbf\xbf"
                "b",
                8, true},
               {"\xef\xbf\xbd\xef\xbb\xbf", 6, true},
               {"\xf0\x9f\xbf\xbf \xed\x9f\xbf \xee\x80\x80", 12, true},
               {"nul\0inside", 10, false},
               {"\xff\xfe", 2, false},
               {"\xed\xa0\x80", 3, false},
               {"\0", 1, false}};
  struct os_letters letters = {0};
  struct os_buf body, bytes;
  os_buf_init(&body, 0);
  os_buf_init(&bytes, 0);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct os_letter letter = letter_of("{\"a\":1.10,\"b\":12345678901234567890}", cases[i].raw, cases[i].len,
                                        cases[i].text),
                     back;
    struct os_letter_message message;
    letter.line = -1;
    letter.doc_id = NULL;
    assert_int_equal(os_letters_begin(&letters, &set, OS_LETTER_BYTES, &error), OS_OK);
    add(&letters, &letter);
    assert_int_equal(os_letters_split(&letters, &error), OS_OK);
    os_letters_message(&letters, 0, &body);
    assert_sendable(&body);
    assert_int_equal(os_letter_message_read(body.data, body.len, &message, &error), OS_OK);
    assert_string_equal(message.file_key, set.file_key);
    assert_string_equal(message.source, set.source);
    assert_string_equal(message.timestamp, set.timestamp);
    assert_int_equal(os_letter_read(&message, 0, &back, &bytes, &error), OS_OK);
    assert_int_equal(back.raw_len, cases[i].len);
    assert_memory_equal(back.raw, cases[i].raw, cases[i].len);
    assert_int_equal(back.raw_is_text, cases[i].text);
    assert_string_equal(back.document, letter.document);
    assert_string_equal(back.context, letter.context);
    assert_string_equal(back.failed_at, letter.failed_at);
    assert_null(back.doc_id);
    assert_null(back.truncated);
    assert_int_equal(back.line, -1);
    assert_int_equal(back.byte_offset, 120);
    assert_int_equal(back.attempts, 2);
    os_letter_message_free(&message);
  }
  os_buf_free(&body);
  os_buf_free(&bytes);
  os_letters_free(&letters);
}

#define HEAD                                                                                                 \
  "{\"error_message\":\"e\",\"file_key\":\"f\",\"source\":\"s\",\"message_part\":1,\"total_parts\":1,"
#define REST "\"total_records\":1,\"timestamp\":\"2026-11-20T23:59:59Z\",\"failed_records\":"

static void test_foreign(void **state) {
  (void)state;
  static const char *const bodies[] = {
      "",
      "hello",
      "[]",
      "{}",
      "{\"Records\":[]}",
      HEAD REST "[]}",
      HEAD REST "{}}",
      HEAD REST "3}",
      "{\"failed_records\":[{}]}",
      "{\"file_key\":\"f\",\"source\":\"s\",\"message_part\":2,\"total_parts\":1," REST "[{}]}",
      "{\"file_key\":\"f\",\"source\":\"s\",\"message_part\":1,\"total_parts\":99999," REST "[{}]}",
      "{\"file_key\":\"f\",\"source\":\"s\",\"message_part\":0,\"total_parts\":1," REST "[{}]}",
      "{\"file_key\":1,\"source\":\"s\",\"message_part\":1,\"total_parts\":1," REST "[{}]}",
      HEAD "\"total_records\":1,\"timestamp\":\"yesterday\",\"failed_records\":[{}]}",
      HEAD "\"total_records\":1,\"timestamp\":\"2026-11-20T23:59:59Z\",\"failed_records\":[{},{}]}"};
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    struct os_letter_message message;
    os_error_clear(&error);
    assert_int_equal(os_letter_message_read(bodies[i], strlen(bodies[i]), &message, &error), OS_ERR_FORMAT);
    assert_null(message.root);
    assert_true(error.text[0] != '\0');
  }
}

static void test_bad_records(void **state) {
  (void)state;
  static const char *const records[] = {
      "3",
      "{}",
      "{\"index_name\":\"\",\"failed_at\":\"2026-11-20\"}",
      "{\"index_name\":\"i\"}",
      "{\"index_name\":\"i\",\"failed_at\":\"soon\"}",
      "{\"index_name\":7,\"failed_at\":\"2026-11-20\"}",
      "{\"index_name\":\"i\",\"failed_at\":\"2026-11-20\",\"raw_base64\":\"abc\"}",
      "{\"index_name\":\"i\",\"failed_at\":\"2026-11-20\",\"raw_base64\":\"ab!=\"}",
      "{\"index_name\":\"i\",\"failed_at\":\"2026-11-20\",\"raw_base64\":\" YQ==\"}",
      "{\"index_name\":\"i\",\"failed_at\":\"2026-11-20\",\"line\":\"3\"}",
      "{\"index_name\":\"i\",\"failed_at\":\"2026-11-20\",\"line\":-3}",
      "{\"index_name\":\"i\",\"failed_at\":\"2026-11-20\",\"document\":{}}"};
  struct os_buf bytes;
  os_buf_init(&bytes, 0);
  for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
    struct os_letter_message message;
    struct os_letter letter;
    char body[512];
    int len = snprintf(body, sizeof body, "%s[%s]}", HEAD REST, records[i]);
    assert_int_equal(os_letter_message_read(body, (size_t)len, &message, &error), OS_OK);
    assert_int_equal(os_letter_read(&message, 0, &letter, &bytes, &error), OS_ERR_FORMAT);
    os_letter_message_free(&message);
  }
  os_buf_free(&bytes);
}

/* Each allocation in turn fails: an error or the same messages, nothing leaks. */
static void test_no_memory(void **state) {
  (void)state;
  int rc = OS_ERR_NOMEM;
  for (long n = 0; rc != OS_OK && n < 100; n++) {
    struct os_letters letters = {0};
    struct os_letter letter = letter_of("{\"a\":1}", "\xff", 1, false);
    struct os_buf body;
    os_buf_init(&body, 0);
    os_alloc_fail_after(n, 1);
    rc = os_letters_begin(&letters, &set, OS_LETTER_BYTES, &error);
    if (rc == OS_OK) rc = os_letters_add(&letters, &letter, &error);
    if (rc == OS_OK) rc = os_letters_split(&letters, &error);
    if (rc == OS_OK) os_letters_message(&letters, 0, &body);
    if (rc == OS_OK && body.failed) rc = OS_ERR_NOMEM;
    os_alloc_fail_after(-1, 0);
    assert_true(rc == OS_OK || rc == OS_ERR_NOMEM);
    os_buf_free(&body);
    os_letters_free(&letters);
  }
  assert_int_equal(rc, OS_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_form),        cmocka_unit_test(test_split),      cmocka_unit_test(test_truncated),
      cmocka_unit_test(test_too_small),   cmocka_unit_test(test_round_trip), cmocka_unit_test(test_foreign),
      cmocka_unit_test(test_bad_records), cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
