/* worker.c - see worker.h. A message is held while its triggers run, one after another; one that fails
** does not keep the next from being run. Only when each is done, now or before, is the message removed.
**
** A message that is left comes again after a pause, and the queue counts: its redrive policy, not this
** code, decides when it has failed often enough. The pause is there so that a cluster that is down for
** some minutes does not use up the tries.
*/
#include "operations/worker/worker.h"
#include <stdio.h>
#include <string.h>
#include "aws/sqs_hold.h"
#include "base/alloc.h"
#include "base/json.h"
#include "operations/child_job.h"
#include "operations/step.h"
#include "operations/versions/origin.h"
#include "operations/worker/event.h"

static const char kind[] = "trigger_run", step[] = "trigger";

struct worker {
  struct os_job *job;
  struct os_sqs_queue *queue;
  const struct os_worker_request *request;
  struct os_worker_result *result;
  struct os_error *error;
};

/* ---- what is told ---- */

static int report(struct worker *w, const char *url, const char *state, int64_t job, const char *why) {
  json_t *row = json_pack("{s:s, s:s, s:o, s:o}", "object", url, "state", state, "job",
                          job ? json_integer(job) : json_null(), "why", why ? json_string(why) : json_null());
  return json_array_append_new(w->result->triggers, row) ? os_fail_nomem(w->error) : OS_OK;
}

/* The message is left, and this is why. */
static void leave(struct worker *w, const char *why) {
  w->result->left++;
  if (!w->result->why[0]) snprintf(w->result->why, sizeof w->result->why, "%s", why);
}

/* Does this end the worker's call, not only this trigger? */
static bool is_fatal(const struct worker *w, int rc) {
  return rc == OS_ERR_INTERRUPTED || rc == OS_ERR_CANCELLED || rc == OS_ERR_NOMEM || rc == OS_ERR_LEDGER ||
         os_session_stopped(w->job->session);
}

/* What *w->error says of a trigger becomes a row; the next may go on. */
static int trigger_failed(struct worker *w, const char *url, int64_t job) {
  char sentence[OS_ERROR_TEXT + OS_ERROR_ADVICE];
  os_error_sentence(w->error, sentence, sizeof sentence);
  os_error_clear(w->error);
  leave(w, sentence);
  int rc = report(w, url, "failed", job, sentence);
  return rc ? rc : os_job_audit(w->job, step, url, "fail", false, w->error, "%s", sentence);
}

/* ---- each trigger once ---- */

/* The name under which the ledger knows it. NULL: no memory. */
static char *name_of(const char *url, const char *etag, const char *version) {
  return os_mprintf("%s %s %s", etag, version ? version : "-", url);
}

enum verdict { TO_RUN, DONE, BUSY };

static int look_up(struct worker *w, const char *item, enum verdict *verdict, int64_t *by) {
  char status[16], state[16];
  int rc = os_ledger_step_last(w->job->ledger, kind, item, step, w->job->number, by, status, state, w->error);
  *verdict = rc || !*by ? TO_RUN : !strcmp(state, "done") ? DONE : !strcmp(status, "running") ? BUSY : TO_RUN;
  if (rc || *verdict != TO_RUN) return rc;
  rc = os_step_get(w->job->ledger, w->job->number, item, step, state, NULL, w->error);
  if (!strcmp(state, "done")) { /* an object can be told of twice in one message */
    *verdict = DONE;
    *by = w->job->number;
  }
  return rc;
}

/* Looking and beginning are one transaction, so that of several workers one begins. */
static int claim(struct worker *w, const char *item, enum verdict *verdict, int64_t *by) {
  int rc = os_ledger_begin(w->job->ledger, w->error);
  if (rc) return rc;
  rc = look_up(w, item, verdict, by);
  if (!rc && *verdict == TO_RUN) rc = os_step_mark(w->job, item, step, "begun", w->error);
  if (!rc) return os_ledger_commit(w->job->ledger, w->error);
  os_ledger_rollback(w->job->ledger);
  return rc;
}

/* It is done already, or being done. */
static int pass_over(struct worker *w, const char *url, enum verdict verdict, int64_t by) {
  char why[128];
  if (verdict == DONE) {
    w->result->already++;
    snprintf(why, sizeof why, "job %lld has run it", (long long)by);
  } else {
    snprintf(why, sizeof why, "job %lld runs it right now", (long long)by);
    leave(w, why);
  }
  int rc = report(w, url, verdict == DONE ? "already" : "busy", by, why);
  return rc ? rc : os_job_audit(w->job, step, url, "skip", false, w->error, "%s", why);
}

/* ---- one trigger ---- */

/* It counts as done before its job has ended: killed in between, the other order would have the trigger run
** again, and fail because its indices are gone. */
static int run_child(struct worker *w, const char *url, const char *item, const struct os_trigger *trigger,
                     struct os_cluster *cluster, int64_t *number) {
  struct os_job child;
  struct os_versions_result done = {0};
  struct os_versions_request request = w->request->versions;
  request.trigger = trigger;
  int rc = os_child_job_begin(&child, w->job, "reindex_versions",
                              trigger->count == 1 ? trigger->indices[0].name : NULL,
                              json_pack("{s:s}", "trigger", url), w->error);
  if (rc) return rc;
  *number = child.number;
  rc = os_versions_run(&child, cluster, &request, &done, w->error);
  json_t *response =
      rc ? NULL : json_pack("{s:O, s:I}", "indices", done.indices, "done", (json_int_t)done.done);
  if (!rc && !response) rc = os_fail_nomem(w->error);
  if (!rc) rc = os_step_mark(w->job, item, step, "done", w->error);
  rc = os_child_job_end(&child, w->job, rc, false, response, w->error);
  json_decref(response);
  json_decref(done.indices);
  return rc;
}

/* The one that was read, which may be a newer one than the event tells of: then its own event finds it
** done. */
static int run_read(struct worker *w, const char *url, const char *item, const struct os_trigger *trigger) {
  struct os_cluster cluster;
  enum verdict verdict;
  int64_t job = 0;
  int rc = os_trigger_cluster(w->job->session, trigger, w->request->connection, &cluster, w->error);
  if (rc) return is_fatal(w, rc) ? rc : trigger_failed(w, url, 0);
  rc = claim(w, item, &verdict, &job);
  if (!rc && verdict != TO_RUN) {
    rc = pass_over(w, url, verdict, job);
  } else if (!rc) {
    job = 0;
    rc = run_child(w, url, item, trigger, &cluster, &job);
    if (!rc) {
      w->result->run++;
      rc = report(w, url, "run", job, NULL);
      if (!rc)
        rc = os_job_audit(w->job, step, url, "did", false, w->error, "run by job %lld", (long long)job);
    } else if (!is_fatal(w, rc)) {
      rc = trigger_failed(w, url, job);
    }
  }
  os_session_cluster_release(&cluster);
  return rc;
}

/* Without a look at the object, which may be gone since: has what the event tells of been run? */
static int told_is_done(struct worker *w, const struct os_event_object *told, bool *done) {
  enum verdict verdict = TO_RUN;
  int64_t by = 0;
  *done = false;
  if (!told->etag) return OS_OK;
  char *item = name_of(told->url, told->etag, told->version);
  int rc = item ? look_up(w, item, &verdict, &by) : os_fail_nomem(w->error);
  os_free(item);
  *done = !rc && verdict == DONE;
  return *done ? pass_over(w, told->url, verdict, by) : rc;
}

static int run_object(struct worker *w, const struct os_event_object *told) {
  struct os_s3_object object;
  struct os_trigger trigger;
  bool done = false;
  int rc = os_job_listen(w->job, "between two triggers", w->error);
  if (!rc) rc = told_is_done(w, told, &done);
  if (rc || done) return rc;
  rc = os_trigger_read_object(w->job->session, told->url, &object, &trigger, w->error);
  if (!rc) {
    bool same = told->etag && !strcmp(told->etag, object.etag);
    char *item = name_of(told->url, object.etag, object.version || !same ? object.version : told->version);
    rc = item ? run_read(w, told->url, item, &trigger) : os_fail_nomem(w->error);
    os_free(item);
  } else if (!is_fatal(w, rc)) {
    rc = trigger_failed(w, told->url, 0);
  }
  os_trigger_free(&trigger);
  os_s3_object_free(&object);
  return rc;
}

/* ---- the message ---- */

static int run_objects(struct worker *w, const struct os_event *event, const char *receipt) {
  struct os_sqs_hold *hold = NULL;
  struct os_sqs_held held;
  int rc = os_sqs_hold_begin(&hold, w->queue, receipt, w->request->visibility, w->error);
  for (size_t i = 0; i < event->count && !rc; i++)
    rc = run_object(w, &event->objects[i]);
  os_sqs_hold_end(hold, &held);
  w->result->lapsed = held.lapsed;
  if (rc || !held.lapsed) return rc;
  char sentence[OS_ERROR_TEXT + OS_ERROR_ADVICE];
  os_error_sentence(&held.error, sentence, sizeof sentence);
  return os_job_audit(w->job, "queue", "hold", "unknown", false, w->error,
                      "the message could be seen by others while it was worked on: %s",
                      held.failed ? sentence : "renewals came too late");
}

/* Removed, or left for a while. Failing is one more reason why it is left. */
static int settle(struct worker *w, const json_t *receipt) {
  struct os_worker_result *result = w->result;
  json_t *receipts = json_pack("[O]", receipt);
  if (!receipts) return os_fail_nomem(w->error);
  int rc = result->why[0] ? os_sqs_release(w->queue, receipts, w->request->retry_after, w->error)
                          : os_sqs_delete(w->queue, receipts, w->error);
  json_decref(receipts);
  result->removed = !rc && !result->why[0];
  if (!rc || is_fatal(w, rc)) return rc;
  char sentence[OS_ERROR_TEXT + OS_ERROR_ADVICE];
  os_error_sentence(w->error, sentence, sizeof sentence);
  os_error_clear(w->error);
  if (!result->why[0]) snprintf(result->why, sizeof result->why, "it could not be removed: %s", sentence);
  return os_job_audit(w->job, "queue", "message", "fail", false, w->error, "%s", sentence);
}

static int run_message(struct worker *w, const json_t *message) {
  const json_t *body = json_object_get(message, "Body");
  json_t *receipt = json_object_get(message, "ReceiptHandle");
  struct os_event event;
  if (!json_is_string(receipt) || !json_is_string(body))
    return os_fail(w->error, OS_ERR_ANSWER, "sqs:ReceiveMessage on %s: message %.100s has no body or receipt",
                   w->queue->arn, w->result->message_id);
  int rc = os_event_parse(json_string_value(body), json_string_length(body), &event, w->error);
  w->result->ignored = event.ignored;
  w->result->test = event.test;
  if (rc == OS_ERR_FORMAT) {
    snprintf(w->result->why, sizeof w->result->why, "%s", w->error->text);
    os_error_clear(w->error);
    rc = os_job_audit(w->job, "queue", "message", "fail", false, w->error, "%s", w->result->why);
  } else if (!rc && event.count) {
    rc = run_objects(w, &event, json_string_value(receipt));
  }
  os_event_free(&event);
  return rc ? rc : settle(w, receipt);
}

/* ---- the two steps ---- */

int os_worker_receive(struct os_session *session, struct os_sqs_queue *queue,
                      const struct os_worker_request *request, json_t **message, struct os_error *error) {
  json_t *messages;
  *message = NULL;
  if (os_session_interrupted(session)) return os_fail(error, OS_ERR_INTERRUPTED, "interrupted");
  int rc = os_sqs_receive(queue, 1, request->wait, request->visibility, &messages, error);
  if (!rc) *message = json_incref(json_array_get(messages, 0));
  json_decref(messages);
  return rc;
}

int os_worker_run(struct os_job *job, struct os_sqs_queue *queue, const json_t *message,
                  const struct os_worker_request *request, struct os_worker_result *result,
                  struct os_error *error) {
  struct worker w = {.job = job, .queue = queue, .request = request, .result = result, .error = error};
  memset(result, 0, sizeof *result);
  result->message_id = os_json_string(message, "MessageId", "?");
  result->triggers = json_array();
  int rc = result->triggers ? run_message(&w, message) : os_fail_nomem(error);
  if (rc)
    os_error_prefix(error, "message %.100s stays on queue %s and comes again", result->message_id,
                    queue->name);
  return rc;
}

void os_worker_result_free(struct os_worker_result *result) {
  json_decref(result->triggers);
  result->triggers = NULL;
}
