/* command_job.c - a command's row in the ledger, its audit, and the JSON object it gives back.
**
** May call: operations/session, ledger/, base/. Owns: nothing; texts go into struct os_command, which the
** frame frees. */
#include "surface/command_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/json.h"
#include "base/text.h"
#include "surface/ledger_tables.h"

enum { ARGUMENT_LIMIT = 16384 }; /* bytes of one argument that are worth keeping in a job's row */

/* ---- arguments as JSON -------------------------------------------------------------------------- */

/* The i-th name in a usage such as "(path [, index [, options]])". */
static size_t usage_name(const char *usage, int i, const char **name) {
  const char *at = usage;
  for (;;) {
    at += strspn(at, "([], )");
    size_t len = strcspn(at, "([], )");
    if (len == 0 || i-- == 0) {
      *name = at;
      return len;
    }
    at += len;
  }
}

static void put_value(struct os_buf *out, sqlite3_value *value) {
  const char *text;
  size_t len;
  switch (sqlite3_value_type(value)) {
  case SQLITE_INTEGER:
  case SQLITE_FLOAT: /* SQLite's own text of a number is valid JSON, but for infinities, which go as text */
    text = (const char *)sqlite3_value_text(value);
    len = (size_t)sqlite3_value_bytes(value);
    if (text != NULL && (os_is_digit(text[len - 1])))
      os_buf_append(out, text, len);
    else
      os_buf_put_json(out, text != NULL ? text : "", text != NULL ? len : 0);
    break;
  case SQLITE_TEXT:
    text = (const char *)sqlite3_value_text(value);
    len = (size_t)sqlite3_value_bytes(value);
    os_buf_put_json(out, text != NULL ? text : "",
                    text == NULL           ? 0
                    : len > ARGUMENT_LIMIT ? ARGUMENT_LIMIT
                                           : len);
    break;
  case SQLITE_BLOB: os_buf_puts(out, "\"(blob)\""); break;
  default: os_buf_puts(out, "null");
  }
}

/* {"path":"…","index":"…","options":{…}} */
static char *arguments_json(const struct os_command *command) {
  const struct os_command_info *info = command->info;
  struct os_buf out;
  os_buf_init(&out, 0);
  os_buf_putc(&out, '{');
  for (int i = 0; i < command->argc; i++) {
    const char *name;
    size_t len = usage_name(info->usage, i, &name);
    if (i > 0) os_buf_putc(&out, ',');
    os_buf_put_json(&out, name, len);
    os_buf_putc(&out, ':');
    if (info->secret_args & (1u << i)) {
      os_buf_puts(&out, "\"********\"");
    } else if (info->options != NULL && i == info->max_args - 1) {
      char *options = os_json_text(command->options.given);
      if (options == NULL)
        out.failed = true;
      else
        os_buf_puts(&out, options);
      os_free(options);
    } else {
      put_value(&out, command->argv[i]);
    }
  }
  os_buf_putc(&out, '}');
  return os_buf_take(&out);
}

/* What is in force and not the default: a job's row keeps it, for settings change and the environment is
** gone. */
static char *settings_json(const struct os_settings *settings) {
  json_t *list = json_array();
  bool whole = list != NULL;
  for (int i = 0; i < OS_SET_COUNT && whole; i++) {
    enum os_setting_id id = (enum os_setting_id)i;
    const char *value = os_settings_get(settings, id), *source = os_settings_source(settings, id);
    if (value == NULL || os_setting_info(id)->secret || strcmp(source, "default") == 0) continue;
    json_t *row =
        json_pack("{s:s, s:s, s:s}", "name", os_setting_info(id)->name, "value", value, "source", source);
    /* a value that is no UTF-8 cannot be told */
    whole = row == NULL || json_array_append_new(list, row) == 0;
  }
  char *text = whole ? os_json_text(list) : NULL;
  json_decref(list);
  return text;
}

/* ---- begin, audit, end -------------------------------------------------------------------------- */

/* "A user's own table of the same name is reported, not fought": once a connection, when history begins. */
static void tell_clash(struct os_session *session) {
  char name[64];
  if (session->clash_told || os_ledger_name_clash(session->db, name) != 1) return;
  session->clash_told = true;
  os_log_write(session->log, OS_LOG_WARNING,
               "%s is a table of this database and hides the ledger's of that name; rename it to see job "
               "history there",
               name);
}

int os_command_job_begin(struct os_command *command, const char *kind, const char *index_name) {
  const char *correlation_id =
      command->options.values != NULL ? os_options_text(&command->options, "correlation_id", NULL) : NULL;
  command->job.correlation_id = correlation_id;
  int rc = os_session_ledger(command->session, true, &command->job.ledger, &command->error);
  if (rc != OS_OK) return rc;
  char *arguments = arguments_json(command);
  char *settings = settings_json(command->session->settings);
  struct os_job_begin begin = {.kind = kind,
                               .index_name = index_name,
                               .arguments = arguments,
                               .settings = settings,
                               .correlation_id = correlation_id};
  if (arguments == NULL || settings == NULL)
    rc = os_fail_nomem(&command->error);
  else
    rc = os_ledger_job_begin(command->job.ledger, &begin, &command->job.number, &command->error);
  os_free(arguments);
  os_free(settings);
  if (rc == OS_OK) {
    os_log_set_job(command->session->log, command->job.number, correlation_id);
    tell_clash(command->session);
  }
  return rc;
}

/* A ledger that an older version made cannot be read before it is brought up to date, which needs a
** command. */
int os_command_ledger(struct os_command *command, struct os_ledger **ledger) {
  int rc = os_session_ledger(command->session, false, ledger, &command->error);
  if (rc == OS_ERR_LEDGER) {
    os_error_clear(&command->error);
    rc = os_session_ledger(command->session, true, ledger, &command->error);
  }
  return rc;
}

int os_command_no_ledger(struct os_command *command, int64_t job) {
  os_fail(&command->error, OS_ERR_NOT_FOUND, "there is no job %lld, because there is no ledger yet (%s)",
          (long long)job, os_ledger_path(command->session->ledger));
  return os_advise(&command->error, "open the database that the job was started from, or set OS_LEDGER");
}

int os_command_audit(struct os_command *command, const char *step, const char *check, const char *verdict,
                     bool durable, const char *format, ...) {
  char detail[OS_ERROR_TEXT];
  va_list list;
  va_start(list, format);
  vsnprintf(detail, sizeof detail, format, list);
  va_end(list);
  return os_job_audit(&command->job, step, check, verdict, durable, &command->error, "%s", detail);
}

int os_command_guard_failed(struct os_command *command, const char *step, const char *check) {
  return os_job_guard_failed(&command->job, step, check, &command->error);
}

/* A load that ended partial stays so, even where option on_partial made it an error. */
static const char *status_of(const struct os_command *command, int rc) {
  bool partial = command->status != NULL && strcmp(command->status, "partial") == 0;
  return os_job_status(command->session, partial ? OS_OK : rc, partial);
}

/* On a terminal the host shows the result or the error itself: saying it twice helps nobody. */
static void log_end(struct os_command *command, int rc, const char *text) {
  struct os_log *log = command->session->log;
  if (os_log_is_terminal(log)) return;
  os_log_write(log, rc != OS_OK ? OS_LOG_ERROR : OS_LOG_INFO, "%s: %s", command->name, text);
}

int os_command_job_end(struct os_command *command, int rc) {
  struct os_error fault = {0};
  char sentence[OS_ERROR_TEXT + OS_ERROR_ADVICE + 4] = "";
  if (command->job.number == 0) return rc;
  const char *status = status_of(command, rc);
  if (rc != OS_OK) os_error_sentence(&command->error, sentence, sizeof sentence);
  int end = os_ledger_job_finish(command->job.ledger, command->job.number, status, &command->job.figures,
                                 rc != OS_OK ? sentence : NULL, command->response, &fault);
  log_end(command, rc, rc != OS_OK ? sentence : command->message != NULL ? command->message : status);
  if (end == OS_OK) return rc;
  os_log_write(command->session->log, OS_LOG_ERROR, "%s: job %lld could not be finished: %s", command->name,
               (long long)command->job.number, fault.text);
  if (rc != OS_OK) return rc;
  command->error = fault;
  os_error_prefix(&command->error, "the work was done, but the ledger could not record it");
  return (int)command->error.code;
}

/* ---- results ------------------------------------------------------------------------------------ */

static int take_text(struct os_command *command, enum os_result_kind kind, char *text, size_t len) {
  if (text == NULL) return os_fail_nomem(&command->error);
  os_free(command->result.text);
  command->result.kind = kind;
  command->result.text = text;
  command->result.text_len = len;
  return OS_OK;
}

static char *result_json(const struct os_command *command) {
  struct os_buf out;
  os_buf_init(&out, 0);
  os_buf_puts(&out, "{\"status\":");
  os_buf_put_json(&out, command->status, strlen(command->status));
  os_buf_puts(&out, ",\"message\":");
  os_buf_put_json(&out, command->message, strlen(command->message));
  os_buf_puts(&out, ",\"job\":");
  if (command->job.number != 0)
    os_buf_put_u64(&out, (uint64_t)command->job.number);
  else
    os_buf_puts(&out, "null");
  os_buf_puts(&out, ",\"response\":");
  os_buf_puts(&out, command->response);
  if (command->job.checks != NULL && os_command_dry_run(command)) {
    char *checks = os_json_text(command->job.checks);
    os_buf_puts(&out, ",\"checks\":");
    os_buf_puts(&out, checks != NULL ? checks : "");
    if (checks == NULL) out.failed = true;
    os_free(checks);
  }
  os_buf_putc(&out, '}');
  return os_buf_take(&out);
}

int os_command_result(struct os_command *command, const char *status, json_t *response, const char *format,
                      ...) {
  char message[OS_ERROR_TEXT];
  va_list list;
  va_start(list, format);
  vsnprintf(message, sizeof message, format, list);
  va_end(list);
  os_free(command->message);
  os_free(command->response);
  command->status = status;
  command->message = os_strdup(message);
  command->response = response != NULL ? os_json_text(response) : os_strdup("{}");
  json_decref(response);
  if (command->message == NULL || command->response == NULL) return os_fail_nomem(&command->error);
  char *text = result_json(command);
  return take_text(command, OS_RESULT_JSON, text, text != NULL ? strlen(text) : 0);
}

int os_command_result_text_take(struct os_command *command, char *text, size_t len, bool is_json) {
  return take_text(command, is_json ? OS_RESULT_JSON : OS_RESULT_TEXT, text, len);
}

int os_command_result_integer(struct os_command *command, int64_t value) {
  command->result.kind = OS_RESULT_INTEGER;
  command->result.integer = value;
  return OS_OK;
}

int os_command_result_real(struct os_command *command, double value) {
  command->result.kind = OS_RESULT_REAL;
  command->result.real = value;
  return OS_OK;
}
