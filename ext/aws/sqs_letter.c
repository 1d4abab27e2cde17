/* sqs_letter.c - writing refused records as messages; see sqs_letter.h. Owns nothing between two sets but buffers.
**
** Records are rendered once, one behind another; where messages begin is decided afterwards, because each says how
** many there are. A record that fits into no message is cut: its document and its bytes to what there is room for, the
** context left out, and a note says so.
*/
#include "aws/sqs_letter.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/text.h"
#include "base/utf8.h"

enum {
  NUMBERS = 3 * 19,   /* digits of message_part, total_parts, total_records */
  REASON_MOST = 2000, /* bytes of a reason in a record that is cut */
  SET_MESSAGES = 4,   /* a set is closed when it would fill so many messages: it is at most twice as many */
  BASE64_LINE = 48 * 1024, /* bytes at a time; a multiple of 3 */
};

/* ---- text, as SQS takes it ---- */

/* U+FFFE and U+FFFF, which JSON allows and SQS does not. */
static bool is_refused(const char *text, size_t len) {
  return len >= 3 && !memcmp(text, "\xef\xbf", 2) && (text[2] == '\xbe' || text[2] == '\xbf');
}

/* Behind a text that was put before: without its opening quote. */
static void go_on_with(struct os_buf *out, const char *text, size_t len) {
  size_t at = out->len;
  os_buf_put_json(out, text, len);
  if (out->failed) return;
  memmove(out->data + at, out->data + at + 1, out->len - at); /* with the NUL */
  out->len--;
}

static void put_text(struct os_buf *out, const char *text, size_t len) {
  size_t start = 0;
  bool first = true;
  for (size_t i = 0; i + 2 < len; i++) {
    const char *found = memchr(text + i, 0xef, len - i);
    if (!found) break;
    i = (size_t)(found - text);
    if (!is_refused(found, len - i)) continue;
    if (first)
      os_buf_put_json(out, text + start, i - start);
    else
      go_on_with(out, text + start, i - start);
    if (!out->failed) out->len--; /* the closing quote */
    os_buf_puts(out, text[i + 2] == '\xbe' ? "\\ufffe" : "\\uffff");
    first = false;
    start = i + 3;
    i += 2;
  }
  if (first)
    os_buf_put_json(out, text, len);
  else
    go_on_with(out, text + start, len - start);
}

/* How many bytes of the text fit into `room` bytes once they are escaped, whole characters only. *escaped: what they
** take there, without quotes. */
static size_t cut_text(const char *text, size_t len, size_t room, size_t *escaped) {
  size_t i = 0;
  *escaped = 0;
  while (i < len) {
    unsigned char c = (unsigned char)text[i];
    size_t width = os_utf8_sequence(text + i, len - i);
    size_t takes = width ? width : 3; /* U+FFFD in its place */
    if (c < 0x20 || is_refused(text + i, len - i))
      takes = 6;
    else if (c == '"' || c == '\\')
      takes = 2;
    if (*escaped + takes > room) break;
    *escaped += takes;
    i += width ? width : 1;
  }
  return i;
}

static void put_base64(struct os_buf *out, const char *bytes, size_t len) {
  os_buf_putc(out, '"');
  while (len && os_buf_reserve(out, len / 3 * 4 + 8)) {
    int now = len > BASE64_LINE ? BASE64_LINE : (int)len;
    int put = EVP_EncodeBlock((unsigned char *)out->data + out->len, (const unsigned char *)bytes, now);
    out->len += (size_t)put;
    bytes += now;
    len -= (size_t)now;
  }
  os_buf_putc(out, '"');
}

/* ---- a record ---- */

static void put_member(struct os_buf *out, const char *name, const char *text, size_t len) {
  os_buf_printf(out, ",\"%s\":", name);
  if (text)
    put_text(out, text, len);
  else
    os_buf_puts(out, "null");
}

static void put_short(struct os_buf *out, const char *name, const char *text) {
  put_member(out, name, text, text ? strlen(text) : 0);
}

static void put_number(struct os_buf *out, const char *name, int64_t value) {
  if (value < 0)
    os_buf_printf(out, ",\"%s\":null", name);
  else
    os_buf_printf(out, ",\"%s\":%lld", name, (long long)value);
}

static void put_bytes(struct os_buf *out, const struct os_letter *letter, size_t len) {
  if (letter->raw && !letter->raw_is_text) {
    os_buf_puts(out, ",\"raw_base64\":");
    put_base64(out, letter->raw, len);
  } else {
    put_member(out, "raw", letter->raw, len);
  }
}

struct cut { /* how much of a record goes */
  size_t reason, document, raw;
  bool whole;
};

static void put_record(struct os_buf *out, const struct os_letter *letter, const struct cut *cut) {
  os_buf_printf(out, "{\"id\":%lld", (long long)letter->id);
  put_short(out, "index_name", letter->index_name);
  put_number(out, "line", letter->line);
  put_number(out, "byte_offset", letter->byte_offset);
  put_short(out, "doc_id", letter->doc_id);
  put_short(out, "op", letter->op);
  put_number(out, "status", letter->status);
  put_short(out, "error_type", letter->error_type);
  put_member(out, "error_reason", letter->error_reason, cut->reason);
  put_number(out, "attempts", letter->attempts);
  put_short(out, "failed_at", letter->failed_at);
  if (!cut->whole)
    os_buf_printf(out,
                  ",\"truncated\":\"too large for a message: the document of %zu bytes and the record of %zu "
                  "bytes were cut; row %lld of dlq_failures at the sender has all of it\"",
                  letter->document_len, letter->raw_len, (long long)letter->id);
  put_member(out, "document", letter->document, cut->document);
  put_bytes(out, letter, cut->raw);
  if (cut->whole) put_short(out, "context", letter->context);
  os_buf_putc(out, '}');
}

/* Shares the room that is left between the document and the bytes. */
static void share(const struct os_letter *letter, size_t room, struct cut *cut) {
  size_t used = 0;
  if (letter->document) cut->document = cut_text(letter->document, letter->document_len, room / 2, &used);
  room -= used;
  if (!letter->raw_is_text)
    cut->raw = room / 4 * 3 < letter->raw_len ? room / 4 * 3 : letter->raw_len;
  else if (letter->raw)
    cut->raw = cut_text(letter->raw, letter->raw_len, room, &used);
}

static int put_cut_record(struct os_letters *letters, const struct os_letter *letter,
                          struct os_error *error) {
  size_t ignored, begin = letters->records.len;
  struct cut cut = {0};
  if (letter->error_reason)
    cut.reason = cut_text(letter->error_reason, strlen(letter->error_reason), REASON_MOST, &ignored);
  put_record(&letters->records, letter, &cut);
  size_t bare = letters->records.len - begin;
  if (letters->records.failed) return os_fail_nomem(error);
  letters->records.len = begin;
  if (bare > letters->room) {
    os_fail(error, OS_ERR_TOO_LARGE,
            "failed record %lld cannot go to the queue: its names and its reason alone take %zu bytes where "
            "a message has room for %zu",
            (long long)letter->id, bare, letters->room);
    return os_advise(error, "pass a larger sqs_max_bytes; the record is whole in dlq_failures");
  }
  share(letter, letters->room - bare, &cut);
  put_record(&letters->records, letter, &cut);
  letters->truncated++;
  return OS_OK;
}

/* ---- a set ---- */

int os_letters_begin(struct os_letters *letters, const struct os_letter_set *set, size_t max_bytes,
                     struct os_error *error) {
  os_buf_clear(&letters->head);
  os_buf_clear(&letters->tail);
  os_buf_clear(&letters->records);
  letters->count = letters->part_count = letters->truncated = letters->room = 0;
  os_buf_puts(&letters->head, "{\"error_message\":");
  put_text(&letters->head, set->error_message, strlen(set->error_message));
  put_short(&letters->head, "file_key", set->file_key);
  put_short(&letters->head, "source", set->source);
  put_short(&letters->tail, "timestamp", set->timestamp);
  os_buf_puts(&letters->tail, ",\"failed_records\":[");
  if (letters->head.failed || letters->tail.failed) return os_fail_nomem(error);
  size_t around = letters->head.len + letters->tail.len + NUMBERS +
                  strlen(",\"message_part\":,\"total_parts\":,\"total_records\":]}");
  if (around < max_bytes) {
    letters->room = max_bytes - around;
    return OS_OK;
  }
  os_fail(error, OS_ERR_TOO_LARGE,
          "the failed records of %s cannot go to the queue: %zu bytes a message are too few even for its "
          "name",
          set->file_key, max_bytes);
  return os_advise(error, "pass a larger sqs_max_bytes");
}

int os_letters_add(struct os_letters *letters, const struct os_letter *letter, struct os_error *error) {
  size_t begin = letters->records.len;
  struct cut cut = {.reason = letter->error_reason ? strlen(letter->error_reason) : 0,
                    .document = letter->document_len,
                    .raw = letter->raw_len,
                    .whole = true};
  if (letters->count == letters->ends_cap) {
    size_t cap = letters->ends_cap ? letters->ends_cap * 2 : 64;
    size_t *ends = os_realloc(letters->ends, cap * sizeof *ends);
    if (!ends) return os_fail_nomem(error);
    letters->ends = ends;
    letters->ends_cap = cap;
  }
  put_record(&letters->records, letter, &cut);
  if (letters->records.failed) return os_fail_nomem(error);
  if (letters->records.len - begin > letters->room) {
    letters->records.len = begin;
    int rc = put_cut_record(letters, letter, error);
    if (rc) return rc;
  }
  if (letters->records.failed) return os_fail_nomem(error);
  letters->ends[letters->count++] = letters->records.len;
  return OS_OK;
}

bool os_letters_full(const struct os_letters *letters) {
  return letters->records.len >= SET_MESSAGES * letters->room;
}

int os_letters_split(struct os_letters *letters, struct os_error *error) {
  os_free(letters->parts);
  letters->parts = os_malloc((letters->count + 1) * sizeof *letters->parts);
  letters->part_count = 0;
  if (!letters->parts) return os_fail_nomem(error);
  size_t begin = 0; /* of the message, in `records` */
  for (size_t i = 0; i < letters->count; i++) {
    size_t first = letters->part_count ? letters->parts[letters->part_count - 1] : 0;
    size_t commas = i - first;
    bool fits = letters->part_count && letters->ends[i] - begin + commas <= letters->room;
    if (fits) continue;
    begin = i ? letters->ends[i - 1] : 0;
    letters->parts[letters->part_count++] = i;
  }
  letters->parts[letters->part_count] = letters->count;
  return OS_OK;
}

void os_letters_message(const struct os_letters *letters, size_t part, struct os_buf *out) {
  size_t first = letters->parts[part], end = letters->parts[part + 1];
  size_t at = first ? letters->ends[first - 1] : 0;
  os_buf_clear(out);
  os_buf_append(out, letters->head.data, letters->head.len);
  os_buf_printf(out, ",\"message_part\":%zu,\"total_parts\":%zu,\"total_records\":%zu", part + 1,
                letters->part_count, letters->count);
  os_buf_append(out, letters->tail.data, letters->tail.len);
  for (size_t i = first; i < end; i++) {
    if (i > first) os_buf_putc(out, ',');
    os_buf_append(out, letters->records.data + at, letters->ends[i] - at);
    at = letters->ends[i];
  }
  os_buf_puts(out, "]}");
}

void os_letters_free(struct os_letters *letters) {
  os_buf_free(&letters->head);
  os_buf_free(&letters->tail);
  os_buf_free(&letters->records);
  os_free(letters->ends);
  os_free(letters->parts);
  memset(letters, 0, sizeof *letters);
}
