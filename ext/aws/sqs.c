/* sqs.c - see sqs.h. Calls service.h for everything that goes over the wire.
*/
#include "aws/sqs.h"
#include <stdio.h>
#include <string.h>
#include "aws/sigv4.h"
#include "base/alloc.h"
#include "base/json.h"
#include "base/text.h"

enum { GROUP_MOST = 128 /* characters of a MessageGroupId */ };

/* ---- an action ---- */

void os_sqs_call_init(struct os_http_call *call, struct os_endpoint *endpoint, const char *const *headers,
                      const char *body, size_t len) {
  os_http_call_init(call, endpoint, "POST", "/");
  call->body = body;
  call->body_len = len;
  call->content_type = "application/x-amz-json-1.0";
  call->headers = headers;
}

static int no_queue(const struct os_sqs_queue *queue, struct os_error *error) {
  os_fail(error, OS_ERR_NOT_FOUND, "there is no queue %s in region %s of account %s (%s)", queue->name,
          queue->region, queue->account, queue->endpoint->url);
  return os_advise(error, "look at the region, the account and the name in its ARN");
}

static bool is_missing(const struct os_aws_fault *fault) {
  return !strcmp(fault->code, "QueueDoesNotExist") ||
         !strcmp(fault->code, "AWS.SimpleQueueService.NonExistentQueue");
}

/* `body` is the request; it is cleared. *answer may be NULL. extra: seconds beyond the endpoint's limit. */
static int act(struct os_sqs_queue *queue, const char *action, struct os_buf *body, double extra,
               json_t **answer, struct os_error *error) {
  char target[64], name[64];
  const char *headers[] = {target, NULL};
  struct os_http_call call;
  struct os_aws_fault fault;
  struct os_aws_action what = {.name = name, .resource = queue->arn};
  snprintf(target, sizeof target, "X-Amz-Target: AmazonSQS.%s", action);
  /* a batch needs the right of the single action ("Amazon SQS API permissions", Developer Guide) */
  const char *batch = strstr(action, "Batch");
  snprintf(name, sizeof name, "sqs:%.*s", batch ? (int)(batch - action) : 40, action);
  if (body->failed) return os_fail_nomem(error);
  os_sqs_call_init(&call, queue->endpoint, headers, body->data, body->len);
  if (extra > 0) call.timeout = queue->endpoint->timeout + extra;
  int rc = os_aws_roundtrip(queue->net, &call, &what, &queue->probe, &fault, error);
  if (rc && is_missing(&fault)) rc = no_queue(queue, error);
  if (!rc && answer) {
    *answer = os_json_parse(call.answer.data, call.answer.len, OS_JSON_BIG_INTEGERS, name, error);
    if (!json_is_object(*answer)) {
      json_decref(*answer);
      *answer = NULL;
      rc = os_fail(error, OS_ERR_ANSWER, "%s on %s: the answer is no JSON object", name, queue->arn);
      os_advise(error, "is %s really an address of SQS?", queue->endpoint->url);
    }
  }
  os_http_call_free(&call);
  os_buf_clear(body);
  return rc;
}

static void begin(const struct os_sqs_queue *queue, struct os_buf *body) {
  os_buf_clear(body);
  os_buf_puts(body, "{\"QueueUrl\":");
  os_buf_put_json(body, queue->url, strlen(queue->url));
}

/* ---- which queue ---- */

/* arn:partition:sqs:region:account:name ("Amazon Resource Names", AWS IAM User Guide). */
static int take_apart(struct os_sqs_queue *queue, const char *arn, struct os_error *error) {
  const char *part[6] = {arn};
  size_t len[6] = {0}, count = 1;
  for (const char *p = arn; *p && count <= 6; p++)
    if (*p == ':' && count++ < 6) part[count - 1] = p + 1;
  bool good = count == 6;
  for (size_t i = 0; good && i < 6; i++) {
    len[i] = i < 5 ? (size_t)(part[i + 1] - part[i]) - 1 : strlen(part[i]);
    good = len[i] > 0;
  }
  good = good && !strncmp(arn, "arn:", 4) && len[2] == 3 && !memcmp(part[2], "sqs", 3) && len[5] <= 80;
  for (const char *p = arn; good && *p; p++)
    good = os_is_alpha(*p) || os_is_digit(*p) || strchr(":-_.", *p);
  if (!good) {
    os_fail(error, OS_ERR_ARGUMENT, "'%.200s' is not the ARN of a queue", arn);
    return os_advise(error, "it looks like arn:aws:sqs:eu-west-1:123456789012:queue");
  }
  queue->arn = os_strdup(arn);
  queue->region = os_strndup(part[3], len[3]);
  queue->account = os_strndup(part[4], len[4]);
  queue->name = os_strndup(part[5], len[5]);
  queue->fifo = os_has_suffix(arn, ".fifo", false);
  queue->body_most = OS_SQS_BODY_MOST;
  bool complete = queue->arn && queue->region && queue->account && queue->name;
  return complete ? OS_OK : os_fail_nomem(error);
}

static int ask_url(struct os_sqs_queue *queue, struct os_error *error) {
  struct os_buf body;
  json_t *answer = NULL;
  os_buf_init(&body, 0);
  os_buf_printf(&body, "{\"QueueName\":\"%s\",\"QueueOwnerAWSAccountId\":\"%s\"}", queue->name,
                queue->account);
  int rc = act(queue, "GetQueueUrl", &body, 0, &answer, error);
  const char *url = os_json_string(answer, "QueueUrl", NULL);
  if (rc == OS_ERR_FORBIDDEN) { /* this action alone may be what is not allowed */
    os_error_clear(error);
    rc = OS_OK;
  } else if (!rc && !url) {
    rc = os_fail(error, OS_ERR_ANSWER, "sqs:GetQueueUrl on %s: the answer has no QueueUrl", queue->arn);
  }
  if (!rc)
    queue->url =
        url ? os_strdup(url) : os_mprintf("%s/%s/%s", queue->endpoint->url, queue->account, queue->name);
  if (!rc && !queue->url) rc = os_fail_nomem(error);
  json_decref(answer);
  os_buf_free(&body);
  return rc;
}

int os_sqs_open(struct os_sqs_queue *queue, struct os_aws *aws, struct os_net *net,
                const struct os_probe *probe, const char *arn, struct os_error *error) {
  bool custom;
  memset(queue, 0, sizeof *queue);
  queue->net = net;
  queue->probe = *probe;
  int rc = take_apart(queue, arn, error);
  if (!rc) rc = os_aws_endpoint(aws, OS_AWS_SQS, queue->region, true, &queue->endpoint, &custom, error);
  if (rc) return rc;
  if (custom) return ask_url(queue, error);
  queue->url = os_mprintf("%s/%s/%s", queue->endpoint->url, queue->account, queue->name);
  return queue->url ? OS_OK : os_fail_nomem(error);
}

void os_sqs_close(struct os_sqs_queue *queue) {
  os_endpoint_unref(queue->endpoint);
  os_free(queue->arn);
  os_free(queue->region);
  os_free(queue->account);
  os_free(queue->name);
  os_free(queue->url);
  memset(queue, 0, sizeof *queue);
}

int os_sqs_check(struct os_sqs_queue *queue, struct os_error *error) {
  struct os_buf body;
  json_t *answer = NULL;
  os_buf_init(&body, 0);
  begin(queue, &body);
  os_buf_puts(&body, ",\"AttributeNames\":[\"All\"]}");
  int rc = act(queue, "GetQueueAttributes", &body, 0, &answer, error);
  int64_t most = os_json_int(answer, "Attributes/MaximumMessageSize", 0);
  if (!rc && most > 0 && most < OS_SQS_BODY_MOST) queue->body_most = (size_t)most;
  json_decref(answer);
  os_buf_free(&body);
  return rc;
}

/* ---- batches ---- */

/* What became of the entries of a batch: done[i] is set for each that succeeded. *again: others failed for reasons of
** the service. OS_OK, or the first failure that another try will not mend. */
static int read_outcomes(const struct os_sqs_queue *queue, const char *action, const json_t *answer,
                         size_t count, bool *done, bool *again, struct os_error *error) {
  const json_t *entry;
  size_t i;
  int64_t id;
  *again = false;
  json_array_foreach(json_object_get(answer, "Successful"), i, entry) {
    if (os_parse_int(os_json_string(entry, "Id", ""), &id) && id >= 0 && (size_t)id < count) done[id] = true;
  }
  json_array_foreach(json_object_get(answer, "Failed"), i, entry) {
    struct os_aws_fault fault = {0};
    snprintf(fault.code, sizeof fault.code, "%s", os_json_string(entry, "Code", ""));
    if (os_json_bool(entry, "SenderFault", false) && !os_aws_fault_passes(400, &fault))
      return os_fail(error, OS_ERR_REFUSED, "sqs:%s on %s was refused (%s): %.400s", action, queue->arn,
                     fault.code, os_json_string(entry, "Message", ""));
  }
  for (i = 0; i < count; i++)
    if (!done[i]) *again = true;
  return OS_OK;
}

static int gave_up(const struct os_sqs_queue *queue, const char *action, struct os_error *error) {
  os_fail(error, OS_ERR_BUSY, "sqs:%s on %s: some messages of a batch failed again and again", action,
          queue->arn);
  return os_advise(error, "the queue is throttled or the service has trouble; try again later");
}

/* A MessageGroupId takes letters, digits and punctuation; any other name goes as its hash. */
static bool group_id(const char *group, char out[GROUP_MOST + 1]) {
  size_t len = strlen(group);
  bool plain = len > 0 && len <= GROUP_MOST;
  for (size_t i = 0; plain && i < len; i++)
    plain = group[i] > 0x20 && group[i] < 0x7f;
  if (!plain) return os_sigv4_hash(group, len, out);
  memcpy(out, group, len + 1);
  return true;
}

static int put_entry(const struct os_sqs_queue *queue, const struct os_sqs_entry *entry, size_t id,
                     const char *group, struct os_buf *body, struct os_error *error) {
  char group_text[GROUP_MOST + 1], hash[OS_SIGV4_HASH];
  os_buf_printf(body, "{\"Id\":\"%zu\",\"MessageBody\":", id);
  os_buf_put_json(body, entry->body, entry->len);
  if (queue->fifo) {
    if (!group_id(group, group_text) || !os_sigv4_hash(entry->body, entry->len, hash))
      return os_fail(error, OS_ERR_INTERNAL, "OpenSSL could not compute a hash");
    os_buf_puts(body, ",\"MessageGroupId\":");
    os_buf_put_json(body, group_text, strlen(group_text));
    os_buf_printf(body, ",\"MessageDeduplicationId\":\"%s\"", hash);
  }
  os_buf_putc(body, '}');
  return OS_OK;
}

int os_sqs_send(struct os_sqs_queue *queue, const char *group, struct os_sqs_entry *entries, size_t count,
                struct os_error *error) {
  bool done[OS_SQS_BATCH] = {false}, again = count > 0;
  struct os_buf body;
  int rc = OS_OK;
  os_buf_init(&body, 0);
  for (int attempt = 1; again && !rc; attempt++) {
    json_t *answer = NULL;
    const char *comma = "";
    if (attempt > queue->endpoint->max_retries + 1)
      rc = gave_up(queue, "SendMessage", error);
    else if (attempt > 1 && !os_aws_pause(attempt - 1, -1, &queue->probe))
      rc = os_fail(error, OS_ERR_INTERRUPTED, "interrupted");
    if (rc) break;
    begin(queue, &body);
    os_buf_puts(&body, ",\"Entries\":[");
    for (size_t i = 0; i < count && !rc; i++) {
      if (done[i]) continue;
      os_buf_puts(&body, comma);
      rc = put_entry(queue, &entries[i], i, group, &body, error);
      comma = ",";
    }
    os_buf_puts(&body, "]}");
    if (!rc) rc = act(queue, "SendMessageBatch", &body, 0, &answer, error);
    if (!rc) rc = read_outcomes(queue, "SendMessage", answer, count, done, &again, error);
    json_decref(answer);
  }
  for (size_t i = 0; i < count; i++)
    entries[i].sent = done[i];
  os_buf_free(&body);
  return rc;
}

/* ---- reading ---- */

int os_sqs_receive(struct os_sqs_queue *queue, int most, int wait, int visibility, json_t **out,
                   struct os_error *error) {
  struct os_buf body;
  json_t *answer = NULL;
  *out = NULL;
  os_buf_init(&body, 0);
  begin(queue, &body);
  os_buf_printf(&body, ",\"MaxNumberOfMessages\":%d,\"WaitTimeSeconds\":%d,\"VisibilityTimeout\":%d}", most,
                wait, visibility);
  int rc = act(queue, "ReceiveMessage", &body, wait, &answer, error);
  if (!rc) {
    json_t *messages = json_object_get(answer, "Messages");
    *out = json_is_array(messages) ? json_incref(messages) : json_array();
    if (!*out) rc = os_fail_nomem(error);
  }
  json_decref(answer);
  os_buf_free(&body);
  return rc;
}

/* The same small thing for many receipts. A receipt that has expired is a failure that stays one. */
static int for_receipts(struct os_sqs_queue *queue, const char *action, const char *right,
                        const char *further, const json_t *receipts, struct os_error *error) {
  size_t count = json_array_size(receipts);
  struct os_buf body;
  int rc = OS_OK;
  os_buf_init(&body, 0);
  for (size_t first = 0; first < count && !rc; first += OS_SQS_BATCH) {
    size_t here = count - first < OS_SQS_BATCH ? count - first : OS_SQS_BATCH;
    bool done[OS_SQS_BATCH] = {false}, again = true;
    for (int attempt = 1; again && !rc; attempt++) {
      json_t *answer = NULL;
      const char *comma = "";
      if (attempt > queue->endpoint->max_retries + 1)
        rc = gave_up(queue, right, error);
      else if (attempt > 1 && !os_aws_pause(attempt - 1, -1, &queue->probe))
        rc = os_fail(error, OS_ERR_INTERRUPTED, "interrupted");
      if (rc) break;
      begin(queue, &body);
      os_buf_puts(&body, ",\"Entries\":[");
      for (size_t i = 0; i < here; i++) {
        const char *receipt = json_string_value(json_array_get(receipts, first + i));
        if (done[i] || !receipt) continue;
        os_buf_printf(&body, "%s{\"Id\":\"%zu\",\"ReceiptHandle\":", comma, i);
        os_buf_put_json(&body, receipt, strlen(receipt));
        os_buf_printf(&body, "%s}", further);
        comma = ",";
      }
      os_buf_puts(&body, "]}");
      rc = act(queue, action, &body, 0, &answer, error);
      if (!rc) rc = read_outcomes(queue, right, answer, here, done, &again, error);
      json_decref(answer);
    }
  }
  os_buf_free(&body);
  return rc;
}

int os_sqs_delete(struct os_sqs_queue *queue, const json_t *receipts, struct os_error *error) {
  return for_receipts(queue, "DeleteMessageBatch", "DeleteMessage", "", receipts, error);
}

int os_sqs_release(struct os_sqs_queue *queue, const json_t *receipts, int seconds, struct os_error *error) {
  char further[48];
  snprintf(further, sizeof further, ",\"VisibilityTimeout\":%d", seconds);
  return for_receipts(queue, "ChangeMessageVisibilityBatch", "ChangeMessageVisibility", further, receipts,
                      error);
}
