/* sqs_letter_read.c - reading messages of refused records; see sqs_letter.h.
**
** A queue may hold anything: what is not exactly such a message is refused with the reason, and nothing of it is used.
*/
#include "aws/sqs_letter.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

enum { PARTS_MOST = 10000 };

static int malformed(struct os_error *error, const char *why) {
  return os_fail(error, OS_ERR_FORMAT, "it is no message of failed records: %s", why);
}

int os_letter_message_read(const char *body, size_t len, struct os_letter_message *out,
                           struct os_error *error) {
  double ignored;
  memset(out, 0, sizeof *out);
  json_t *root = os_json_parse(body, len, OS_JSON_BIG_INTEGERS, "the message", error);
  if (!root) {
    error->code = error->code == OS_ERR_NOMEM ? OS_ERR_NOMEM : OS_ERR_FORMAT;
    return (int)error->code;
  }
  out->root = root;
  out->file_key = json_string_value(json_object_get(root, "file_key"));
  out->source = json_string_value(json_object_get(root, "source"));
  out->timestamp = json_string_value(json_object_get(root, "timestamp"));
  out->part = json_integer_value(json_object_get(root, "message_part"));
  out->total_parts = json_integer_value(json_object_get(root, "total_parts"));
  out->total_records = json_integer_value(json_object_get(root, "total_records"));
  out->records = json_object_get(root, "failed_records");
  const char *why = NULL;
  if (!json_is_object(root) || !out->records)
    why = "it has no failed_records";
  else if (!out->file_key || !out->source || !out->timestamp)
    why = "file_key, source or timestamp is missing";
  else if (!os_clock_parse_iso(out->timestamp, &ignored))
    why = "timestamp is no time";
  else if (out->total_parts < 1 || out->total_parts > PARTS_MOST || out->part < 1 ||
           out->part > out->total_parts)
    why = "message_part and total_parts do not fit together";
  else if (!json_is_array(out->records) || !json_array_size(out->records) ||
           (json_int_t)json_array_size(out->records) > out->total_records)
    why = "failed_records and total_records do not fit together";
  if (!why) return OS_OK;
  os_letter_message_free(out);
  return malformed(error, why);
}

void os_letter_message_free(struct os_letter_message *message) {
  json_decref(message->root);
  memset(message, 0, sizeof *message);
}

/* A text member; absent and null are NULL, anything else than a text is a fault. */
static const char *text_of(const json_t *record, const char *name, const char **fault) {
  const json_t *value = json_object_get(record, name);
  if (!value || json_is_null(value)) return NULL;
  if (!json_is_string(value)) *fault = name;
  return json_string_value(value);
}

static int64_t number_of(const json_t *record, const char *name, int64_t absent, const char **fault) {
  const json_t *value = json_object_get(record, name);
  if (!value || json_is_null(value)) return absent;
  if (!json_is_integer(value) || json_integer_value(value) < 0) *fault = name;
  return json_integer_value(value);
}

/* RFC 4648 section 4. OpenSSL counts the padding as bytes, and takes blanks and line ends at the edges. */
static bool decode(const char *text, struct os_buf *out) {
  size_t len = strlen(text), pad = 0;
  os_buf_clear(out);
  for (size_t i = 0; i < len; i++)
    if (os_is_space(text[i])) return false;
  if (len % 4 || len > INT32_MAX || !os_buf_reserve(out, len)) return false;
  while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
    pad++;
  int got = EVP_DecodeBlock((unsigned char *)out->data, (const unsigned char *)text, (int)len);
  if (got < (int)pad) return false;
  out->len = (size_t)got - pad;
  return true;
}

int os_letter_read(const struct os_letter_message *message, size_t i, struct os_letter *out,
                   struct os_buf *bytes, struct os_error *error) {
  const json_t *record = json_array_get(message->records, i);
  const char *fault = json_is_object(record) ? NULL : "one of failed_records";
  double ignored;
  memset(out, 0, sizeof *out);
  if (!fault) {
    out->id = number_of(record, "id", 0, &fault);
    out->index_name = text_of(record, "index_name", &fault);
    out->line = number_of(record, "line", -1, &fault);
    out->byte_offset = number_of(record, "byte_offset", -1, &fault);
    out->doc_id = text_of(record, "doc_id", &fault);
    out->op = text_of(record, "op", &fault);
    out->status = number_of(record, "status", 0, &fault);
    out->error_type = text_of(record, "error_type", &fault);
    out->error_reason = text_of(record, "error_reason", &fault);
    out->document = text_of(record, "document", &fault);
    out->raw = text_of(record, "raw", &fault);
    out->attempts = number_of(record, "attempts", 1, &fault);
    out->failed_at = text_of(record, "failed_at", &fault);
    out->context = text_of(record, "context", &fault);
    out->truncated = text_of(record, "truncated", &fault);
  }
  const char *encoded = fault ? NULL : text_of(record, "raw_base64", &fault);
  if (!fault && (!out->index_name || !*out->index_name)) fault = "index_name";
  if (!fault && (!out->failed_at || !os_clock_parse_iso(out->failed_at, &ignored))) fault = "failed_at";
  if (!fault && encoded && !decode(encoded, bytes)) fault = "raw_base64";
  if (fault) {
    char why[128];
    snprintf(why, sizeof why, "record %zu: %.60s is missing or not what it should be", i + 1, fault);
    return malformed(error, why);
  }
  out->document_len = out->document ? strlen(out->document) : 0;
  out->raw_is_text = !encoded;
  if (encoded) out->raw = bytes->data;
  out->raw_len = encoded ? bytes->len : out->raw ? strlen(out->raw) : 0;
  return OS_OK;
}
