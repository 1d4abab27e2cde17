/* sqs_letter_fuzz.c - any bytes as a message of failed records, and any records as messages: what is read is what it
** says, what is written is within its limit, of characters that SQS takes, and comes back as it went.
**
** The first byte says which; the second, when writing, how large a message may be.
*/
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "aws/sqs_letter.h"
#include "base/text.h"
#include "base/utf8.h"

enum { RECORDS = 12 };

static void demand(int truth, const char *what) {
  if (truth) return;
  fprintf(stderr, "broken: %s\n", what);
  abort();
}

static void read_any(const char *body, size_t len) {
  struct os_letter_message message;
  struct os_letter letter;
  struct os_error error;
  struct os_buf bytes;
  os_error_clear(&error);
  int rc = os_letter_message_read(body, len, &message, &error);
  demand(!rc || (rc == OS_ERR_FORMAT && error.text[0]), "errors say what");
  if (rc) return;
  demand(message.part >= 1 && message.part <= message.total_parts, "a part of the whole");
  demand(json_array_size(message.records) >= 1, "with records");
  os_buf_init(&bytes, 0);
  for (size_t i = 0; i < json_array_size(message.records); i++) {
    rc = os_letter_read(&message, i, &letter, &bytes, &error);
    demand(!rc || rc == OS_ERR_FORMAT, "a record or the reason");
    demand(rc || (letter.index_name[0] && letter.line >= -1 && letter.byte_offset >= -1),
           "which is complete");
    demand(rc || !letter.raw_is_text || !letter.raw || strlen(letter.raw) == letter.raw_len, "its length");
  }
  os_buf_free(&bytes);
  os_letter_message_free(&message);
}

static void check_sendable(const struct os_buf *body) {
  for (size_t i = 0; i < body->len; i++) {
    unsigned char c = (unsigned char)body->data[i];
    demand(c >= 0x20, "no control characters");
    demand(i + 2 >= body->len || memcmp(body->data + i, "\xef\xbf", 2) ||
               (unsigned char)body->data[i + 2] < 0xbe,
           "no U+FFFE, no U+FFFF");
  }
  demand(os_utf8_check(body->data, body->len) == body->len, "UTF-8");
}

/* The bytes become the records' own: cut at 0xfe, text where they may be. */
static size_t make(char *data, size_t len, struct os_letter letters[RECORDS]) {
  size_t count = 0, at = 0;
  while (at < len && count < RECORDS) {
    const char *cut = memchr(data + at, 0xfe, len - at);
    size_t size = cut ? (size_t)(cut - data) - at : len - at;
    bool text = os_utf8_check(data + at, size) == size && !memchr(data + at, 0, size);
    letters[count] = (struct os_letter){.id = (int64_t)count + 1,
                                        .index_name = "i",
                                        .line = -1,
                                        .byte_offset = (int64_t)at,
                                        .failed_at = "2026-11-20T12:00:00.000Z",
                                        .error_reason = "r",
                                        .raw = data + at,
                                        .raw_len = size,
                                        .raw_is_text = text};
    if (text && count % 2) {
      letters[count].document = data + at;
      letters[count].document_len = size;
    }
    count++;
    at += size + 1;
  }
  return count;
}

static void compare(const struct os_letter *went, const struct os_letter *came) {
  demand(went->byte_offset == came->byte_offset && came->line == -1, "its place");
  demand(came->raw_len <= went->raw_len && (came->truncated || came->raw_len == went->raw_len), "as long");
  demand(!came->raw_len || !memcmp(went->raw, came->raw, came->raw_len), "the same bytes");
  demand(!came->document_len || !memcmp(went->document, came->document, came->document_len), "and document");
}

static void write_any(char *data, size_t len, size_t most) {
  struct os_letter_set set = {"e", "f", "s", "2026-11-20T12:00:00.000Z"};
  struct os_letters letters = {0};
  struct os_letter letter[RECORDS], back;
  struct os_buf body, bytes;
  struct os_error error;
  size_t count = make(data, len, letter), seen = 0;
  os_buf_init(&body, 0);
  os_buf_init(&bytes, 0);
  demand(!os_letters_begin(&letters, &set, most, &error), "begun");
  for (size_t i = 0; i < count; i++)
    demand(!os_letters_add(&letters, &letter[i], &error), "added");
  demand(!os_letters_split(&letters, &error), "split");
  for (size_t part = 0; part < letters.part_count; part++) {
    struct os_letter_message message;
    os_letters_message(&letters, part, &body);
    demand(body.len <= most, "within the limit");
    check_sendable(&body);
    demand(!os_letter_message_read(body.data, body.len, &message, &error), "read back");
    for (size_t i = 0; i < json_array_size(message.records); i++) {
      demand(!os_letter_read(&message, i, &back, &bytes, &error), "each record");
      compare(&letter[seen++], &back);
    }
    os_letter_message_free(&message);
  }
  demand(seen == count, "all of them");
  os_letters_free(&letters);
  os_buf_free(&body);
  os_buf_free(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len < 2) return 0;
  char *text = malloc(len - 1);
  memcpy(text, data + 2, len - 2);
  text[len - 2] = '\0';
  if (data[0] & 1)
    write_any(text, len - 2, 1024 + (size_t)data[1] * 16);
  else
    read_any(text, len - 2);
  free(text);
  return 0;
}

#include "mutations.h"

__attribute__((unused)) static const struct fuzz_seed seeds[] = {
    FUZZ_SEED(
        "00{\"error_message\":\"e\",\"file_key\":\"f\",\"source\":\"s\",\"message_part\":1,\"total_parts\":1,"
        "\"total_records\":1,\"timestamp\":\"2026-11-20T23:59:59Z\",\"failed_records\":[{\"id\":1,"
        "\"index_name\":\"i\",\"line\":3,\"byte_offset\":9,\"failed_at\":\"2026-11-20T23:59:59Z\","
        "\"raw_base64\":\"/wA=\",\"document\":\"{}\",\"context\":\"{}\"}]}"),
    FUZZ_SEED("11plain\xfe\"quoted\"\\\xfe\x01\x02\x1f\xfe\xef\xbf\xbe\xef\xbf\xbf\xfe\xff\xff"),
    FUZZ_SEED("1\x01\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xfe\xf0\x9f\x98\x80\n\t\r"),
};

FUZZ_MAIN(seeds)
