/* receive.c - refused records from a queue back into the ledger; see dlq.h.
**
** Messages are held until all parts of their set have come; then its records are put into the ledger in one
** transaction, and only when that is on the disk are the messages removed. What stays incomplete, and what is no such
** message, is shown to others again at the end. A FIFO queue gives nothing more of a group while some of it is held, so
** there incomplete sets are shown again after every request.
*/
#include "operations/dlq/dlq.h"
#include <string.h>
#include "aws/sqs_letter.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "ledger/letters.h"

enum { REPORTED = 20 /* incomplete sets and foreign messages that become rows of os_audit */ };
static const double HELD_SHARE = 0.8; /* of the visibility: afterwards no more is fetched */

struct set {
  struct set *next;
  struct os_letter_message *parts; /* in the order in which they came; each part once */
  size_t count, cap;
  json_t *receipts; /* of all its messages */
};

struct receiver {
  struct os_job *job;
  struct os_sqs_queue *queue;
  const struct os_dlq_receive_request *request;
  struct os_dlq_receive_result *result;
  struct set *sets;
  json_t *foreign; /* receipts */
  bool progress;   /* this request brought something that will not come again */
  struct os_error *error;
};

/* ---- sets ---- */

static void free_set(struct set *set) {
  for (size_t i = 0; i < set->count; i++)
    os_letter_message_free(&set->parts[i]);
  os_free(set->parts);
  json_decref(set->receipts);
  os_free(set);
}

static bool same_set(const struct os_letter_message *a, const struct os_letter_message *b) {
  return a->total_parts == b->total_parts && a->total_records == b->total_records &&
         !strcmp(a->file_key, b->file_key) && !strcmp(a->source, b->source) &&
         !strcmp(a->timestamp, b->timestamp);
}

static struct set *find_set(struct receiver *receiver, const struct os_letter_message *message) {
  struct set *set = receiver->sets;
  while (set && !same_set(&set->parts[0], message))
    set = set->next;
  if (set) return set;
  set = os_calloc(1, sizeof *set);
  if (!set || !(set->receipts = json_array())) {
    os_free(set);
    return NULL;
  }
  set->next = receiver->sets;
  receiver->sets = set;
  return set;
}

static void unlink_set(struct receiver *receiver, const struct set *set) {
  struct set **link = &receiver->sets;
  while (*link != set)
    link = &(*link)->next;
  *link = set->next;
}

/* Takes the message. SQS may bring one twice; both must be removed. */
static int add_part(struct set *set, struct os_letter_message *message, json_t *receipt,
                    struct os_error *error) {
  size_t i = 0;
  while (i < set->count && set->parts[i].part != message->part)
    i++;
  if (i == set->cap) {
    size_t cap = set->cap ? set->cap * 2 : 4;
    struct os_letter_message *parts = os_realloc(set->parts, cap * sizeof *parts);
    if (!parts) return os_fail_nomem(error);
    set->parts = parts;
    set->cap = cap;
  }
  if (i == set->count) {
    set->parts[set->count++] = *message;
    memset(message, 0, sizeof *message);
  }
  return json_array_append(set->receipts, receipt) ? os_fail_nomem(error) : OS_OK;
}

/* ---- what cannot be taken ---- */

static int report_foreign(struct receiver *receiver, const char *id, json_t *receipt, const char *why) {
  struct os_error *error = receiver->error;
  json_t *entry = json_pack("{s:s, s:s}", "message_id", id, "why", why);
  if (json_array_append_new(receiver->result->foreign, entry) ||
      json_array_append(receiver->foreign, receipt))
    return os_fail_nomem(error);
  receiver->progress = true;
  if (json_array_size(receiver->foreign) > REPORTED) return OS_OK;
  return os_job_audit(receiver->job, "receive", "message", "skip", false, error,
                      "message %s was left on the queue: %s", id, why);
}

/* A whole set whose records are not what they should be. */
static int refuse_set(struct receiver *receiver, struct set *set, const char *why) {
  int rc = OS_OK;
  json_t *receipt;
  size_t i;
  json_array_foreach(set->receipts, i, receipt) {
    if (!rc) rc = report_foreign(receiver, set->parts[0].file_key, receipt, why);
  }
  return rc;
}

/* ---- a complete set ---- */

static int keep_part(struct receiver *receiver, const struct os_letter_message *message, int64_t *added,
                     int64_t *truncated) {
  struct os_letter_origin origin = {.job = receiver->job->number,
                                    .file = message->file_key,
                                    .source = message->source,
                                    .timestamp = message->timestamp};
  struct os_buf bytes;
  int rc = OS_OK;
  os_buf_init(&bytes, 0);
  for (size_t i = 0; i < json_array_size(message->records) && !rc; i++) {
    struct os_letter letter;
    bool is_new = false;
    rc = os_letter_read(message, i, &letter, &bytes, receiver->error);
    if (!rc && !receiver->request->dry_run)
      rc = os_ledger_letter_keep(receiver->job->ledger, &origin, &letter, &is_new, receiver->error);
    if (!rc && is_new) ++*added;
    if (!rc && letter.truncated) ++*truncated;
  }
  os_buf_free(&bytes);
  return rc;
}

static int keep_set(struct receiver *receiver, const struct set *set, int64_t *added, int64_t *truncated) {
  struct os_ledger *ledger = receiver->job->ledger;
  bool write = !receiver->request->dry_run;
  int rc = write ? os_ledger_begin(ledger, receiver->error) : OS_OK;
  if (rc) return rc;
  for (size_t i = 0; i < set->count && !rc; i++)
    rc = keep_part(receiver, &set->parts[i], added, truncated);
  if (write && !rc)
    rc = os_ledger_commit(ledger, receiver->error);
  else if (write)
    os_ledger_rollback(ledger);
  return rc;
}

static int take_set(struct receiver *receiver, struct set *set) {
  struct os_dlq_receive_result *result = receiver->result;
  struct os_error *error = receiver->error;
  const struct os_letter_message *first = &set->parts[0];
  int64_t records = 0, added = 0, truncated = 0;
  for (size_t i = 0; i < set->count; i++)
    records += (int64_t)json_array_size(set->parts[i].records);
  if (records != first->total_records)
    return refuse_set(receiver, set, "its parts do not hold as many records as they say");
  int rc = keep_set(receiver, set, &added, &truncated);
  if (rc == OS_ERR_FORMAT) {
    char why[OS_ERROR_TEXT];
    memcpy(why, error->text, sizeof why);
    os_error_clear(error);
    return refuse_set(receiver, set, why);
  }
  if (rc) return rc;
  receiver->progress = true;
  result->sets++;
  result->records += records;
  result->added += added;
  result->already += receiver->request->dry_run ? 0 : records - added;
  result->truncated += truncated;
  if (receiver->request->dry_run)
    return json_array_extend(receiver->foreign, set->receipts) ? os_fail_nomem(error) : OS_OK;
  rc = os_job_audit(receiver->job, "receive", "set", "did", false, error,
                    "%lld records of %s (%s, %s): %lld put into dlq_failures, the others were there",
                    (long long)records, first->file_key, first->source, first->timestamp, (long long)added);
  if (!rc && (rc = os_sqs_delete(receiver->queue, set->receipts, error)) != OS_OK && rc != OS_ERR_INTERRUPTED)
    os_error_prefix(error,
                    "the records of %.300s are in dlq_failures, but their messages are still on the queue",
                    first->file_key);
  return rc;
}

/* ---- requests ---- */

static int take_message(struct receiver *receiver, const json_t *entry) {
  const char *id = os_json_string(entry, "MessageId", "?");
  const json_t *body = json_object_get(entry, "Body");
  json_t *receipt = json_object_get(entry, "ReceiptHandle");
  struct os_letter_message message;
  struct os_error why;
  receiver->result->messages++;
  if (!json_is_string(receipt) || !json_is_string(body))
    return os_fail(receiver->error, OS_ERR_ANSWER,
                   "sqs:ReceiveMessage on %s: message %.100s has no body or receipt", receiver->queue->arn,
                   id);
  int rc = os_letter_message_read(json_string_value(body), json_string_length(body), &message, &why);
  if (rc == OS_ERR_NOMEM) return os_fail_nomem(receiver->error);
  if (rc) return report_foreign(receiver, id, receipt, why.text);
  struct set *set = find_set(receiver, &message);
  if (!set) {
    os_letter_message_free(&message);
    return os_fail_nomem(receiver->error);
  }
  rc = add_part(set, &message, receipt, receiver->error);
  os_letter_message_free(&message);
  if (!set->count) { /* nothing to compare others with */
    unlink_set(receiver, set);
    free_set(set);
  } else if (!rc && set->count == (size_t)set->parts[0].total_parts) {
    unlink_set(receiver, set);
    rc = take_set(receiver, set);
    free_set(set);
  }
  return rc;
}

/* Shown to others again; when that fails they are after their time. */
static void release(struct receiver *receiver, const json_t *receipts) {
  struct os_error ignored;
  os_error_clear(&ignored);
  if (json_array_size(receipts) && !os_session_stopped(receiver->job->session))
    os_sqs_release(receiver->queue, receipts, 0, &ignored);
}

static int report_incomplete(struct receiver *receiver, const struct set *set) {
  const struct os_letter_message *first = &set->parts[0];
  json_t *list = receiver->result->incomplete;
  json_t *entry = json_pack("{s:s, s:s, s:s, s:I, s:I}", "file_key", first->file_key, "source", first->source,
                            "timestamp", first->timestamp, "parts", (json_int_t)set->count, "total_parts",
                            (json_int_t)first->total_parts);
  if (json_array_append_new(list, entry)) return os_fail_nomem(receiver->error);
  if (json_array_size(list) > REPORTED) return OS_OK;
  return os_job_audit(
      receiver->job, "receive", "set", "skip", false, receiver->error,
      "%zu of %lld messages with records of %s (%s, %s) have come: they were left on the queue", set->count,
      (long long)first->total_parts, first->file_key, first->source, first->timestamp);
}

/* Lets go of all sets that are not complete. */
static int give_back(struct receiver *receiver, bool report) {
  int rc = OS_OK;
  while (receiver->sets) {
    struct set *set = receiver->sets;
    receiver->sets = set->next;
    if (report && !rc) rc = report_incomplete(receiver, set);
    release(receiver, set->receipts);
    free_set(set);
  }
  return rc;
}

static int receive_once(struct receiver *receiver, size_t *count) {
  const struct os_dlq_receive_request *request = receiver->request;
  json_t *messages, *entry;
  size_t i;
  int rc = os_sqs_receive(receiver->queue, OS_SQS_BATCH, request->wait, request->visibility, &messages,
                          receiver->error);
  *count = json_array_size(messages);
  receiver->progress = false;
  json_array_foreach(messages, i, entry) {
    if (!rc) rc = take_message(receiver, entry);
  }
  json_decref(messages);
  return rc;
}

int os_dlq_receive_run(struct os_job *job, struct os_sqs_queue *queue,
                       const struct os_dlq_receive_request *request, struct os_dlq_receive_result *result,
                       struct os_error *error) {
  double until = os_clock_monotonic() + request->visibility * HELD_SHARE;
  size_t count = 1;
  memset(result, 0, sizeof *result);
  result->incomplete = json_array();
  result->foreign = json_array();
  struct receiver receiver = {.job = job,
                              .queue = queue,
                              .request = request,
                              .result = result,
                              .foreign = json_array(),
                              .error = error};
  int rc = result->incomplete && result->foreign && receiver.foreign ? OS_OK : os_fail_nomem(error);
  while (!rc && count && result->messages < request->max_messages && os_clock_monotonic() < until) {
    rc = os_job_listen(job, "while messages were received", error);
    if (!rc) rc = receive_once(&receiver, &count);
    if (!rc && queue->fifo && count) {
      if (!receiver.progress) break;
      rc = give_back(&receiver, false);
    }
  }
  int reported = give_back(&receiver, !rc);
  release(&receiver, receiver.foreign);
  json_decref(receiver.foreign);
  return rc ? rc : reported;
}

void os_dlq_receive_result_free(struct os_dlq_receive_result *result) {
  json_decref(result->incomplete);
  json_decref(result->foreign);
  result->incomplete = result->foreign = NULL;
}
