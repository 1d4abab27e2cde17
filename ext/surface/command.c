/* command.c - the frame of every SQL function: may it run, with what, and what comes of it.
**
** Steps of a call: (1) a running statement names the command; (2) the number of arguments; (3) the same call
** was not made already by this execution; (4) the session is entered (SIGINT, log, fork); (5) options; (6)
** the command's own run(); (7) its job is finished; (8) the session is left; (9) result or error. May call:
** operations/session, ledger/, base/. Owns: everything in struct os_command that says "owned". */
#include "surface/command_int.h"

#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "surface/sql_call.h"

/* ---- errors and results ------------------------------------------------------------------------- */

void os_command_error(sqlite3_context *context, const char *name, const struct os_error *error) {
  char sentence[OS_ERROR_TEXT + OS_ERROR_ADVICE + 4];
  char whole[sizeof sentence + 64];
  if (error->code == OS_ERR_NOMEM) {
    sqlite3_result_error_nomem(context);
    return;
  }
  os_error_sentence(error, sentence, sizeof sentence);
  sqlite3_snprintf((int)sizeof whole, whole, "%s: %s", name, sentence);
  sqlite3_result_error(context, whole, -1);
  /* Afterwards, because setting the text sets the code: text and code then both arrive. */
  if (error->code == OS_ERR_INTERRUPTED) sqlite3_result_error_code(context, SQLITE_INTERRUPT);
}

static void give_result(sqlite3_context *context, const struct os_result *result) {
  switch (result->kind) {
  case OS_RESULT_NULL: sqlite3_result_null(context); break;
  case OS_RESULT_INTEGER: sqlite3_result_int64(context, result->integer); break;
  case OS_RESULT_REAL: sqlite3_result_double(context, result->real); break;
  case OS_RESULT_TEXT:
  case OS_RESULT_JSON:
    sqlite3_result_text64(context, result->text, result->text_len, SQLITE_TRANSIENT, SQLITE_UTF8);
    if (result->kind == OS_RESULT_JSON) sqlite3_result_subtype(context, 'J');
    break;
  }
}

/* ---- may it run? -------------------------------------------------------------------------------- */

/* Rule 5: a statement that runs on this connection must name the command. */
static bool named_by_statement(sqlite3 *db, const char *name) {
  for (sqlite3_stmt *stmt = sqlite3_next_stmt(db, NULL); stmt != NULL; stmt = sqlite3_next_stmt(db, stmt)) {
    const char *sql = sqlite3_stmt_busy(stmt) ? sqlite3_sql(stmt) : NULL;
    if (sql != NULL && os_sql_calls(sql, name)) return true;
  }
  return false;
}

static int check_caller(struct os_command *command) {
  if (command->info->flags & OS_COMMAND_INNOCUOUS) return OS_OK;
  if (named_by_statement(sqlite3_context_db_handle(command->context), command->name)) return OS_OK;
  os_fail(&command->error, OS_ERR_GUARD,
          "refused, because no running statement names it: a view, trigger or constraint of a database "
          "called it");
  os_advise(&command->error, "call it in a statement of your own");
  return OS_ERR_GUARD;
}

static int check_argument_count(struct os_command *command) {
  const struct os_command_info *info = command->info;
  if (command->argc >= info->min_args && command->argc <= info->max_args) return OS_OK;
  if (info->min_args == info->max_args)
    os_fail(&command->error, OS_ERR_ARGUMENT, "takes %d argument%s, not %d", info->min_args,
            info->min_args == 1 ? "" : "s", command->argc);
  else
    os_fail(&command->error, OS_ERR_ARGUMENT, "takes %d %s %d arguments, not %d", info->min_args,
            info->max_args == info->min_args + 1 ? "or" : "to", info->max_args, command->argc);
  os_advise(&command->error, "call %s%s", info->name, info->usage);
  return OS_ERR_ARGUMENT;
}

/* ---- options ------------------------------------------------------------------------------------ */

static int parse_options(struct os_command *command) {
  const struct os_command_info *info = command->info;
  const char *text = NULL;
  size_t len = 0;
  if (info->options == NULL) return OS_OK;
  if (command->argc == info->max_args) {
    sqlite3_value *value = command->argv[info->max_args - 1];
    if (sqlite3_value_type(value) != SQLITE_TEXT) {
      /* Not even NULL: a NULL by mistake would silently drop a {"dry_run":true}. */
      os_fail(&command->error, OS_ERR_ARGUMENT, "options is %s, not the text of a JSON object",
              sqlite3_value_type(value) == SQLITE_NULL ? "NULL" : "not text");
      os_advise(&command->error, "write it as '{\"key\": value}', or leave the argument out");
      return OS_ERR_ARGUMENT;
    }
    text = (const char *)sqlite3_value_text(value);
    if (text == NULL) return os_fail_nomem(&command->error);
    len = (size_t)sqlite3_value_bytes(value);
  }
  return os_options_parse(&command->options, info->options, text, len, &command->error);
}

enum os_progress_kind os_command_progress(const struct os_command *command) {
  const char *word = os_options_text(&command->options, "progress", NULL);
  if (word != NULL) return OS_PROGRESS_JSON_LINES;
  return os_options_bool(&command->options, "progress", isatty(STDERR_FILENO) == 1) ? OS_PROGRESS_LINE
                                                                                    : OS_PROGRESS_SILENT;
}

int os_command_cluster(struct os_command *command, struct os_cluster *out) {
  const char *connection =
      command->options.values != NULL ? os_options_text(&command->options, "connection", NULL) : NULL;
  return os_session_cluster(command->session, connection, out, &command->error);
}

/* ---- one call ----------------------------------------------------------------------------------- */

/* Rule 11: what was refused is kept in dlq_failures, but the caller asked for an error (cron). */
static int check_partial(struct os_command *command) {
  if (command->status == NULL || strcmp(command->status, "partial") != 0 || command->options.values == NULL)
    return OS_OK;
  if (strcmp(os_options_text(&command->options, "on_partial", "ok"), "error") != 0) return OS_OK;
  os_fail(&command->error, OS_ERR_REFUSED, "only a part was done: %s",
          command->message != NULL ? command->message : "some records were refused");
  os_advise(&command->error, "it is an error because of {\"on_partial\":\"error\"}; see dlq_failures");
  return OS_ERR_REFUSED;
}

/* The deadline of option `timeout` is seen by the same probe as Ctrl-C; say which of the two it was, and how
** to go on. */
static int phrase_interruption(struct os_command *command, int rc) {
  struct os_error *error = &command->error;
  if (rc != OS_ERR_INTERRUPTED) return rc;
  if (os_session_timed_out(command->session)) {
    char seconds[32];
    os_format_double(os_options_real(&command->options, "timeout", 0), 3, seconds, sizeof seconds);
    os_error_prefix(error, "option 'timeout' (%s s) ran out", seconds);
    error->code = OS_ERR_TIMEOUT;
  }
  if (error->advice[0] == '\0')
    os_advise(error, command->job.number != 0
                         ? "what was acknowledged stays recorded (os_jobs); run it again to go on"
                         : "run it again");
  return (int)error->code;
}

/* run() between options and the end of the job. */
static int run_command(struct os_command *command) {
  int rc = parse_options(command);
  if (rc != OS_OK) return rc;
  const char *correlation_id = NULL;
  if (command->options.values != NULL) {
    if (command->info->flags & OS_COMMAND_SHORT)
      os_session_deadline(command->session, os_options_real(&command->options, "timeout", 0));
    correlation_id = os_options_text(&command->options, "correlation_id", NULL);
  }
  if (correlation_id != NULL) os_log_set_job(command->session->log, 0, correlation_id);
  rc = command->info->run(command);
  if (rc != OS_OK && command->error.code == OS_OK)
    os_fail(&command->error, (enum os_code)rc, "failed (%s) without saying why", os_code_name(rc));
  rc = phrase_interruption(command, rc);
  if (rc == OS_OK) rc = check_partial(command);
  return os_command_job_end(command, rc);
}

static int run_in_session(struct os_command *command) {
  struct os_session *session = command->session;
  int rc = os_session_enter(session, &command->error);
  if (rc != OS_OK) return rc;
  double outer_deadline = session->deadline;
  rc = run_command(command);
  /* An interrupted request may hang in a resolver for half a minute: its thread is left to the reaper. */
  if (os_session_stopped(session) && session->depth == 1) os_session_abandon_net(session);
  session->deadline = outer_deadline;
  os_log_set_job(session->log, 0, NULL);
  os_session_leave(session);
  return rc;
}

static void free_command(struct os_command *command) {
  os_options_free(&command->options);
  os_free(command->result.text);
  os_free(command->message);
  os_free(command->response);
  json_decref(command->job.checks);
}

void os_command_dispatch(sqlite3_context *context, int argc, sqlite3_value **argv) {
  const struct os_binding *binding = sqlite3_user_data(context);
  struct os_call *call = NULL;
  const struct os_result *earlier = NULL;
  struct os_command command = {.info = binding->info,
                               .name = binding->info->name,
                               .session = binding->session,
                               .context = context,
                               .argc = argc,
                               .argv = argv};
  command.job.session = command.session;
  command.job.figures.count_before = command.job.figures.count_after = -1;
  int rc = check_caller(&command);
  if (rc == OS_OK) rc = check_argument_count(&command);
  if (rc == OS_OK && !(command.info->flags & OS_COMMAND_REPEATABLE))
    rc = os_call_remember(&command, &call, &earlier);
  if (rc == OS_OK && earlier == NULL) rc = run_in_session(&command);
  if (rc != OS_OK) {
    os_command_error(context, command.name, &command.error);
  } else if (earlier != NULL) {
    give_result(context, earlier);
  } else if (call == NULL || command.repeatable) {
    give_result(context, &command.result);
  } else {
    give_result(context, os_call_keep(call, &command.result));
  }
  free_command(&command);
}
