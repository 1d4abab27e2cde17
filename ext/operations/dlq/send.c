/* send.c - refused records as messages; see dlq.h.
**
** One set after the other, each of the records of one file that one job refused: read from the ledger, rendered, sent,
** noted. Between two sets nothing is open on the ledger, and what came meanwhile is seen.
*/
#include "operations/dlq/dlq.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "aws/sqs_letter.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/utf8.h"
#include "ledger/letters.h"

struct sender {
  struct os_job *job;
  struct os_sqs_queue *queue;
  size_t max_bytes;
  struct os_dlq_send_result *result;
  char host[256];
  /* the set in hand */
  struct os_letter_place place;
  struct os_letters letters;
  struct os_letter_mark *marks; /* beside the letters */
  size_t marks_cap;
  bool begun;
  bool first_too_large;
  struct os_error *error;
  int rc;
};

/* ---- gathering a set ---- */

static int begin_set(struct sender *sender, const struct os_letter *first) {
  char message[600], source[320], now[OS_TIME_TEXT];
  snprintf(message, sizeof message, "%.100s: %.480s", first->error_type ? first->error_type : "refused",
           first->error_reason ? first->error_reason : "");
  message[os_utf8_check(message, strlen(message))] = '\0'; /* a cut may fall inside a character */
  snprintf(source, sizeof source, "sqlite-opensearch job %lld on %s", (long long)sender->place.job,
           sender->host);
  os_clock_now(now);
  struct os_letter_set set = {
      .error_message = message, .file_key = sender->place.file, .source = source, .timestamp = now};
  sender->begun = true;
  return os_letters_begin(&sender->letters, &set, sender->max_bytes, sender->error);
}

static int room_for_mark(struct sender *sender) {
  if (sender->letters.count < sender->marks_cap) return OS_OK;
  size_t cap = sender->marks_cap ? sender->marks_cap * 2 : 64;
  struct os_letter_mark *marks = os_realloc(sender->marks, cap * sizeof *marks);
  if (!marks) return os_fail_nomem(sender->error);
  sender->marks = marks;
  sender->marks_cap = cap;
  return OS_OK;
}

/* A record for which no message is large enough is passed over; it is counted when it is the first that waits. */
static bool pass_over(struct sender *sender, const struct os_letter *letter) {
  if (letter->id == sender->place.first) {
    sender->first_too_large = true;
    sender->result->too_large++;
    os_log_write(sender->job->session->log, OS_LOG_WARNING, "%s; %s", sender->error->text,
                 sender->error->advice);
  }
  os_error_clear(sender->error);
  return true;
}

static bool take(void *ctx, const struct os_letter *letter) {
  struct sender *sender = ctx;
  int rc = sender->begun ? OS_OK : begin_set(sender, letter);
  if (!rc) rc = room_for_mark(sender);
  if (!rc) rc = os_letters_add(&sender->letters, letter, sender->error);
  if (rc == OS_ERR_TOO_LARGE) return pass_over(sender, letter) && sender->letters.room > 0;
  sender->rc = rc;
  if (rc) return false;
  sender->marks[sender->letters.count - 1] =
      (struct os_letter_mark){.id = letter->id, .attempts = letter->attempts};
  return !os_letters_full(&sender->letters);
}

/* ---- sending it ---- */

/* Messages [first, end) of the set as one request. */
static int send_batch(struct sender *sender, struct os_buf *bodies, size_t count) {
  struct os_sqs_entry entries[OS_SQS_BATCH];
  for (size_t i = 0; i < count; i++)
    entries[i] = (struct os_sqs_entry){.body = bodies[i].data, .len = bodies[i].len};
  int rc = os_sqs_send(sender->queue, sender->place.file, entries, count, sender->error);
  for (size_t i = 0; i < count; i++)
    if (entries[i].sent) sender->result->messages++;
  return rc;
}

static int send_set(struct sender *sender) {
  struct os_buf bodies[OS_SQS_BATCH];
  size_t count = 0, bytes = 0;
  int rc = os_letters_split(&sender->letters, sender->error);
  for (size_t i = 0; i < OS_SQS_BATCH; i++)
    os_buf_init(&bodies[i], 0);
  for (size_t part = 0; part < sender->letters.part_count && !rc; part++) {
    struct os_buf *body = &bodies[count];
    os_letters_message(&sender->letters, part, body);
    if (body->failed) {
      rc = os_fail_nomem(sender->error);
    } else if (count && bytes + body->len > OS_SQS_BATCH_BYTES) {
      rc = send_batch(sender, bodies, count);
      struct os_buf swap = bodies[0]; /* this one begins the next batch */
      bodies[0] = *body;
      *body = swap;
      count = bytes = 0;
    }
    bytes += bodies[count++].len;
    if (!rc && count == OS_SQS_BATCH) {
      rc = send_batch(sender, bodies, count);
      count = bytes = 0;
    }
  }
  if (!rc && count) rc = send_batch(sender, bodies, count);
  for (size_t i = 0; i < OS_SQS_BATCH; i++)
    os_buf_free(&bodies[i]);
  return rc;
}

static int note_set(struct sender *sender) {
  struct os_letters *letters = &sender->letters;
  int rc = os_ledger_letters_sent(sender->job->ledger, sender->marks, letters->count, sender->error);
  sender->result->records += (int64_t)letters->count;
  sender->result->truncated += (int64_t)letters->truncated;
  return rc;
}

/* ---- all of them ---- */

/* One set: of the file whose record waits longest. *more false: none waits behind *after. */
static int next_set(struct sender *sender, int64_t job, int64_t *after, bool *more) {
  struct os_ledger *ledger = sender->job->ledger;
  int rc = os_ledger_letters_next(ledger, job, *after, &sender->place, sender->error);
  *more = !rc && sender->place.first;
  if (!*more) return rc;
  sender->begun = sender->first_too_large = false;
  sender->letters.count = 0;
  sender->rc = OS_OK;
  rc = os_ledger_letters_each(ledger, &sender->place, take, sender, sender->error);
  if (!rc) rc = sender->rc;
  /* what waits before this one has been sent; this one too, unless it cannot be */
  *after = sender->place.first - !sender->first_too_large;
  if (!rc && sender->letters.count && !sender->first_too_large) {
    rc = send_set(sender);
    if (!rc) rc = note_set(sender);
  }
  return rc;
}

int os_dlq_count(struct os_job *job, int64_t of, int64_t *waiting, struct os_error *error) {
  return os_ledger_letters_waiting(job->ledger, of, waiting, error);
}

int os_dlq_send_run(struct os_job *job, struct os_sqs_queue *queue, const struct os_dlq_send_request *request,
                    struct os_dlq_send_result *result, struct os_error *error) {
  struct sender sender = {.job = job, .queue = queue, .result = result, .error = error};
  struct os_error ignored;
  int64_t after = 0;
  bool more = true;
  int rc = OS_OK;
  memset(result, 0, sizeof *result);
  sender.max_bytes = request->max_bytes < queue->body_most ? request->max_bytes : queue->body_most;
  if (gethostname(sender.host, sizeof sender.host - 1) || !sender.host[0])
    snprintf(sender.host, sizeof sender.host, "localhost");
  while (!rc && more) {
    rc = os_job_listen(job, "while refused records were sent to the queue", error);
    if (!rc) rc = next_set(&sender, request->job, &after, &more);
    os_free(sender.place.file);
    sender.place.file = NULL;
  }
  os_letters_free(&sender.letters);
  os_free(sender.marks);
  int counted = os_ledger_letters_waiting(job->ledger, request->job, &result->waiting, rc ? &ignored : error);
  return rc ? rc : counted;
}
