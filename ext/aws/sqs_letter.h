/* sqs_letter.h - refused records as messages of a queue: written, split by size, and read again. Pure; any thread.
**
** A set is what one sending makes of the refused records of one file. It goes as messages of
**   {error_message, file_key, source, message_part, total_parts, total_records, timestamp, failed_records}
** all alike but for message_part and failed_records; source, timestamp, file_key and total_parts together tell which
** messages belong together. What SQS takes as characters is in its API reference, SendMessage: everything else is
** escaped, bytes that are no text travel as base64.
*/
#ifndef OS_AWS_SQS_LETTER_H
#define OS_AWS_SQS_LETTER_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buffer.h"
#include "base/error.h"

enum {
  OS_LETTER_BYTES = 230000,     /* of a message, when nothing else is asked for */
  OS_LETTER_BYTES_LEAST = 16384 /* room for the longest names and one reason */
};

struct os_letter { /* one refused record; texts may be NULL where a record may lack them */
  int64_t id;      /* of the row it comes from */
  const char *index_name;
  int64_t line, byte_offset; /* -1: not known */
  const char *doc_id, *op;
  int64_t status;
  const char *error_type, *error_reason;
  const char *document;
  size_t document_len;
  const char *raw;
  size_t raw_len;
  bool raw_is_text; /* valid UTF-8 without NUL */
  int64_t attempts;
  const char *failed_at;
  const char *context;   /* JSON */
  const char *truncated; /* reading: the note of a record that was too large; NULL: it is whole */
};

/* ---- writing ---- */

struct os_letter_set {
  const char *error_message, *file_key, *source, *timestamp;
};

struct os_letters { /* a set being written; zero it before the first begin */
  size_t room;      /* bytes of failed_records in one message */
  struct os_buf head, tail, records;
  size_t *ends; /* where each record ends in `records` */
  size_t count, ends_cap;
  size_t *parts; /* the first record of each message, and count at the end */
  size_t part_count;
  size_t truncated; /* records that were cut */
};

/* A new set of messages of at most max_bytes each. OS_ERR_TOO_LARGE, and no room: nothing would fit beside these
** names. */
int os_letters_begin(struct os_letters *letters, const struct os_letter_set *set, size_t max_bytes,
                     struct os_error *error);
int os_letters_add(struct os_letters *letters, const struct os_letter *letter, struct os_error *error);
/* Enough for one set: so few messages that one ReceiveMessage can bring all of them. */
bool os_letters_full(const struct os_letters *letters);
/* No more will be added: decide which record goes into which of part_count messages. */
int os_letters_split(struct os_letters *letters, struct os_error *error);
/* Message `part` (from 0) into *out, which is cleared first. */
void os_letters_message(const struct os_letters *letters, size_t part, struct os_buf *out);
void os_letters_free(struct os_letters *letters);

/* ---- reading ---- */

struct os_letter_message {
  json_t *root; /* holds the rest; os_letter_message_free() */
  const char *file_key, *source, *timestamp;
  int64_t part, total_parts, total_records;
  const json_t *records;
};

/* OS_ERR_FORMAT: it is no such message; the error says in what. */
int os_letter_message_read(const char *body, size_t len, struct os_letter_message *out,
                           struct os_error *error);
void os_letter_message_free(struct os_letter_message *message);
/* Record i of a message. Texts are the message's; bytes that travelled as base64 are put into *bytes. */
int os_letter_read(const struct os_letter_message *message, size_t i, struct os_letter *out,
                   struct os_buf *bytes, struct os_error *error);
#endif
