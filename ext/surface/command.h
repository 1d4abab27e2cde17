/* command.h - the frame every SQL function of this extension runs in: who may call it, its arguments and
** options, its job in the ledger, its result or its error.
**
** A function file gives a table of `struct os_command_info`; opensearch.c registers it;
** os_command_dispatch() is what SQLite calls. `run` does the work, returns an os_code and fills
** command->error, or returns OS_OK after one of the os_command_result*() functions. It frees what it made;
** the frame frees what stands in struct os_command.
**
** Keeper's thread. Rules 1-5, 7 and 10-12 of the SQL surface are kept here and nowhere else. */
#ifndef OS_SURFACE_COMMAND_H
#define OS_SURFACE_COMMAND_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "ledger/ledger.h"
#include "ledger/sqlite_api.h"
#include "operations/job.h"
#include "operations/session.h"
#include "surface/options.h"

struct os_command;

enum os_command_flag {
  OS_COMMAND_REPEATABLE =
      1, /* each evaluation runs anew: a read, or a setting. Without it the same call with the
            same arguments within one statement execution gives its first result (rule 10) */
  OS_COMMAND_INNOCUOUS = 2, /* touches nothing outside this process's memory: allowed in schemas */
  OS_COMMAND_SHORT = 4 /* a few requests: option `timeout` limits them together. Without it `timeout` is the
                          limit of each request, and run() passes it on */
};

struct os_command_info {
  const char *name;
  int min_args, max_args;
  const char *usage; /* "(index [, query [, options]])" */
  unsigned flags;
  const struct os_option_schema
      *options;         /* argument max_args is a JSON object of options; NULL: it takes none */
  unsigned secret_args; /* bit i: argument i is not written into the job's row */
  int (*run)(struct os_command *command);
};

/* What a function returns. */
enum os_result_kind { OS_RESULT_NULL, OS_RESULT_JSON, OS_RESULT_TEXT, OS_RESULT_INTEGER, OS_RESULT_REAL };
struct os_result {
  enum os_result_kind kind;
  char *text; /* owned; JSON and TEXT */
  size_t text_len;
  int64_t integer;
  double real;
};

struct os_command {
  const struct os_command_info *info;
  const char *name; /* info->name */
  struct os_session *session;
  sqlite3_context *context;
  int argc;
  sqlite3_value **argv;
  struct os_options options; /* checked and with defaults; empty when the command takes none */
  struct os_error error;
  bool repeatable; /* run() may set it: this very call was a read, forget that it was made */
  /* job.number is 0 before os_command_job_begin(). The frame finishes the job with the figures that stand
  ** here (counts begin as "not known") and gives job.checks back after a dry run. */
  struct os_job job;
  /* the result */
  struct os_result result;
  const char *status; /* "success" or "partial"; set by os_command_result() */
  char *message;      /* owned; the sentence */
  char *response;     /* owned; JSON text of `response`, for the job's row */
};

/* What sqlite3_create_function_v2() is given: SQLite's user data is a struct os_binding. */
struct os_binding {
  struct os_session *session;
  const struct os_command_info *info;
};
void os_command_dispatch(sqlite3_context *context, int argc, sqlite3_value **argv);

/* ---- arguments. i counts from 0; `what` names it in messages ("index"). Return OS_OK or OS_ERR_ARGUMENT. */
/* Valid UTF-8 without NUL, not empty; a number is refused. Borrowed until the command returns. */
int os_command_text(struct os_command *command, int i, const char *what, const char **out);
/* The same, but NULL and a missing argument give NULL. */
int os_command_optional_text(struct os_command *command, int i, const char *what, const char **out);
int os_command_int(struct os_command *command, int i, const char *what, int64_t min, int64_t max,
                   int64_t *out);
int os_command_real(struct os_command *command, int i, const char *what, double min, double max, double *out);
/* Text that must be a JSON object (checked, with the place of a fault); the text itself is given, so that
** long numbers stay as they are. Missing or NULL gives NULL. *parsed (may be NULL) gets a new reference. */
int os_command_object_text(struct os_command *command, int i, const char *what, const char **out,
                           json_t **parsed);
/* A name that can only mean one index: refuses lists, patterns and what OpenSearch does not take as an index
** name. Pure; used for names that are made or deleted. */
int os_command_check_index_name(const char *name, struct os_error *error);

/* ---- the cluster of the option `connection` ----------------------------------------------------- */
/* Release with os_session_cluster_release(). */
int os_command_cluster(struct os_command *command, struct os_cluster *out);

/* ---- options ------------------------------------------------------------------------------------ */
/* Option `progress`; not given: a terminal gets one, nobody else. */
enum os_progress_kind os_command_progress(const struct os_command *command);
static inline bool os_command_dry_run(const struct os_command *command) {
  return os_options_bool(&command->options, "dry_run", false);
}

/* ---- the job ------------------------------------------------------------------------------------ */
/* Open the ledger (made now when there is none) and begin a job; its row has the arguments as JSON without
** secrets. The frame finishes it: with command->status and the response, or with the error. */
int os_command_job_begin(struct os_command *command, const char *kind, const char *index_name);
/* The ledger as it is, brought up to date; NULL while there is none: for commands that make no job. */
int os_command_ledger(struct os_command *command, struct os_ledger **ledger);
/* OS_ERR_NOT_FOUND, for want of a ledger. */
int os_command_no_ledger(struct os_command *command, int64_t job);
/* One row of os_audit (when there is a job) and one entry of `checks`. verdict: pass, fail, unknown, skip,
** did. durable: committed to the disk before it returns, for an intent before a change (architecture, rule
** 4). */
int os_command_audit(struct os_command *command, const char *step, const char *check, const char *verdict,
                     bool durable, const char *format, ...) __attribute__((format(printf, 6, 7)));
/* A guard that said no: the audit row "fail" with the text of command->error; returns its code. */
int os_command_guard_failed(struct os_command *command, const char *step, const char *check);

/* ---- results. Each returns OS_OK, or OS_ERR_NOMEM with command->error set. ---------------------- */
/* {"status":…,"message":…,"job":…,"response":…} and, after a dry run, "checks". Takes the reference
** `response` (NULL: {}). status: "success" or "partial". */
int os_command_result(struct os_command *command, const char *status, json_t *response, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));
int os_command_result_text_take(struct os_command *command, char *text, size_t len, bool is_json);
int os_command_result_integer(struct os_command *command, int64_t value);
int os_command_result_real(struct os_command *command, double value);

/* ---- errors, also for code outside the frame (virtual tables) ----------------------------------- */
/* "name: text; advice" as the SQL error of `context`, with SQLITE_INTERRUPT or SQLITE_NOMEM where that is
** what it is. */
void os_command_error(sqlite3_context *context, const char *name, const struct os_error *error);
#endif
