/* opensearch.c - the entry points of the extension, and the two tables that are its whole surface.
**
** Lives here: version gate, registration, and the environment that belongs to one SQLite connection (a
** struct os_session, counted by the registrations that use it and freed with the last of them, which is when
** the connection closes). No other logic. May call everything below. */
#include "ledger/sqlite_api.h"

#include <stdatomic.h>
#include <string.h>
#include "base/alloc.h"
#include "ledger/ledger.h"
#include "operations/session.h"
#include "surface/command.h"
#include "surface/functions.h"
#include "surface/ledger_tables.h"
#include "surface/rows_table.h"

#ifndef SQLITE_CORE
SQLITE_EXTENSION_INIT1
#endif

#define ENTRY_POINT __attribute__((visibility("default")))

enum { OLDEST_SQLITE = 3038000 }; /* sqlite3_vtab_in(), _rhs_value(), LIMIT in xBestIndex */

/* ---- the functions ------------------------------------------------------------------------------ */

enum {
  READ = OS_COMMAND_REPEATABLE,
  PURE = OS_COMMAND_REPEATABLE | OS_COMMAND_INNOCUOUS,
  SHORT = OS_COMMAND_SHORT
};

/* Name, least and most arguments, usage, flags, options, [arguments that are secret,] what runs. */
static const struct os_command_info aFunc[] = {
    /* session */
    {"os_config", 1, 2, "(name [, value])", READ, NULL, 2, os_run_config},
    {"os_connect", 2, 2, "(name, options)", READ, NULL, 2, os_run_connect},
    {"os_ping", 0, 1, "([connection])", READ, NULL, 0, os_run_ping},
    {"os_version", 0, 0, "()", PURE, NULL, 0, os_run_version},
    {"os_debug", 0, 0, "()", READ, NULL, 0, os_run_debug},
    {"os_sleep", 1, 1, "(seconds)", READ, NULL, 0, os_run_sleep},
    {"os_request", 2, 4, "(method, path [, body [, options]])", 0, &os_schema_request, 4, os_run_request},
    /* indices */
    {"os_count", 1, 3, "(index [, query [, options]])", READ | SHORT, &os_schema_count, 0, os_run_count},
    {"os_create_index", 1, 3, "(name [, body [, options]])", SHORT, &os_schema_index, 0, os_run_create_index},
    {"os_delete_index", 2, 3, "(name, name_again [, options])", SHORT, &os_schema_delete_index, 0,
     os_run_delete_index},
    {"os_refresh_index", 1, 2, "(name [, options])", SHORT, &os_schema_index, 0, os_run_refresh_index},
    {"os_dlq_send", 0, 2, "([job [, options]])", 0, &os_schema_dlq_send, 0, os_run_dlq_send},
    {"os_dlq_receive", 0, 2, "([queue [, options]])", 0, &os_schema_dlq_receive, 0, os_run_dlq_receive},
    {"os_force_merge", 1, 2, "(index [, options])", 0, &os_schema_force_merge, 0, os_run_force_merge},
    /* aliases */
    {"os_switch_alias", 3, 4, "(alias, source, target [, options])", SHORT, &os_schema_switch_alias, 0,
     os_run_switch_alias},
    {"os_undo_alias", 1, 2, "(job [, options])", SHORT, &os_schema_undo_alias, 0, os_run_undo_alias},
    {"os_refresh_data", 4, 5, "(alias, primary, secondary, path [, options])", SHORT, &os_schema_refresh_data,
     0, os_run_refresh_data},
    {"os_reindex_versions", 1, 2, "(trigger [, options])", 0, &os_schema_reindex_versions, 0,
     os_run_reindex_versions},
    {"os_trigger_run", 1, 2, "(queue [, options])", 0, &os_schema_trigger_run, 0, os_run_trigger_run},
    /* loading */
    {"os_bulk_load", 1, 3, "(path [, index [, options]])", 0, &os_schema_bulk_load, 0, os_run_bulk_load},
    {"os_cleanup", 1, 2, "(index [, options])", OS_COMMAND_SHORT, &os_schema_cleanup, 0, os_run_cleanup},
    {"os_retry_failures", 0, 2, "([job [, options]])", 0, &os_schema_retry_failures, 0,
     os_run_retry_failures},
    {"os_reindex", 2, 3, "(source, target [, options])", SHORT, &os_schema_reindex, 0, os_run_reindex},
    /* jobs */
    {"os_cancel", 1, 1, "(job)", 0, NULL, 0, os_run_cancel},
    {"os_pause", 1, 1, "(job)", 0, NULL, 0, os_run_pause},
    {"os_continue", 1, 1, "(job)", 0, NULL, 0, os_run_continue},
    {"os_report", 1, 2, "(job [, path])", 0, NULL, 0, os_run_report},
    {"os_ledger_prune", 1, 1, "(before)", 0, NULL, 0, os_run_ledger_prune},
};

/* ---- the tables --------------------------------------------------------------------------------- */

/* Rows made all at once (rows_table.h), or a module of its own, whose client data is the struct os_session.
 */
static const struct {
  const struct os_rows_table *rows;
  const char *name;
  const sqlite3_module *module;
} aMod[] = {
    {&os_table_settings, "os_settings", NULL},
    {&os_table_connections, "os_connections", NULL},
    {&os_table_permissions, "os_permissions", NULL},
    {NULL, "os_jobs", &os_jobs_module},
    {NULL, "os_job_files", &os_job_files_module},
    {NULL, "os_audit", &os_audit_module},
    {NULL, "dlq_failures", &os_dlq_failures_module},
    {&os_table_load_plan, "os_load_plan", NULL},
    {&os_table_preview, "os_preview", NULL},
    {&os_table_index, "os_index", NULL},
    {&os_table_aliases, "os_aliases", NULL},
    {&os_table_mapping, "os_mapping", NULL},
    {&os_table_shards, "os_shards", NULL},
    {&os_table_nodes, "os_nodes", NULL},
    {&os_table_tasks, "os_tasks", NULL},
    {&os_table_health, "os_health", NULL},
};

/* ---- the environment of a connection ------------------------------------------------------------ */

struct environment {
  int references; /* registrations that live; SQLite calls destructors one at a time */
  struct os_session *session;
};

/* What one registration owns: its reference, and what the callbacks get. */
struct registration {
  union {
    struct os_binding function;
    struct os_rows_binding rows;
  } binding; /* must be first */
  struct environment *environment;
};

static void release(struct environment *environment) {
  if (--environment->references > 0) return;
  os_session_free(environment->session);
  os_free(environment);
}

static void destroy_registration(void *data) {
  struct registration *registration = data;
  struct environment *environment = registration->environment;
  os_free(registration);
  release(environment);
}

static struct registration *new_registration(struct environment *environment) {
  struct registration *registration = os_calloc(1, sizeof *registration);
  if (registration == NULL) return NULL;
  registration->environment = environment;
  environment->references++;
  return registration;
}

/* SELECT os__session(?1): gives the session to the one who binds a pointer of this type to receive it;
** nothing an SQL text can do reaches it (sqlite.org/bindptr.html). Tells a second load that there was a
** first. */
static const char session_pointer[] = "os_session";

static void session_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  (void)argc;
  struct os_session **out = sqlite3_value_pointer(argv[0], session_pointer);
  const struct os_binding *binding = sqlite3_user_data(context);
  if (out != NULL) *out = binding->session;
}

static struct os_session *find_session(sqlite3 *db) {
  sqlite3_stmt *stmt = NULL;
  struct os_session *session = NULL;
  if (sqlite3_prepare_v2(db, "SELECT os__session(?1)", -1, &stmt, NULL) == SQLITE_OK) {
    sqlite3_bind_pointer(stmt, 1, &session, session_pointer, NULL);
    sqlite3_step(stmt);
  } else {
    /* sqlite3_open() would take "no such function" for a failure of an automatic extension: something that
    ** succeeds clears it. */
    sqlite3_prepare_v2(db, "SELECT 1", -1, &stmt, NULL);
  }
  sqlite3_finalize(stmt);
  return session;
}

/* ---- registration ------------------------------------------------------------------------------- */

static int function_flags(const struct os_command_info *info) {
  int flags = SQLITE_UTF8 | SQLITE_SUBTYPE;
  flags |= info->flags & OS_COMMAND_INNOCUOUS ? SQLITE_INNOCUOUS : SQLITE_DIRECTONLY;
  if (sqlite3_libversion_number() >= 3045000)
    flags |= 0x001000000; /* SQLITE_RESULT_SUBTYPE: results carry the subtype of JSON */
  return flags;
}

static int register_function(sqlite3 *db, struct environment *environment,
                             const struct os_command_info *info) {
  struct registration *registration = new_registration(environment);
  if (registration == NULL) return SQLITE_NOMEM;
  registration->binding.function = (struct os_binding){.session = environment->session, .info = info};
  /* -1: any number of arguments, because the frame's message about a wrong number tells the usage. On
  ** failure SQLite calls the destructor itself. */
  return sqlite3_create_function_v2(db, info->name, -1, function_flags(info), registration,
                                    os_command_dispatch, NULL, NULL, destroy_registration);
}

static int register_session_function(sqlite3 *db, struct environment *environment) {
  struct registration *registration = new_registration(environment);
  if (registration == NULL) return SQLITE_NOMEM;
  registration->binding.function = (struct os_binding){.session = environment->session};
  return sqlite3_create_function_v2(db, "os__session", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY, registration,
                                    session_function, NULL, NULL, destroy_registration);
}

/* A module of its own gets the session itself and needs no destructor: SQLite disconnects every virtual
** table before it destroys the functions, which hold the session. */
static int register_module(sqlite3 *db, struct environment *environment, size_t i) {
  if (aMod[i].rows == NULL)
    return sqlite3_create_module_v2(db, aMod[i].name, aMod[i].module, environment->session, NULL);
  struct registration *registration = new_registration(environment);
  if (registration == NULL) return SQLITE_NOMEM;
  registration->binding.rows =
      (struct os_rows_binding){.session = environment->session, .table = aMod[i].rows};
  return sqlite3_create_module_v2(db, aMod[i].name, &os_rows_module, registration, destroy_registration);
}

static int register_all(sqlite3 *db, struct environment *environment) {
  int rc = register_session_function(db, environment);
  for (size_t i = 0; i < sizeof aFunc / sizeof *aFunc && rc == SQLITE_OK; i++)
    rc = register_function(db, environment, &aFunc[i]);
  for (size_t i = 0; i < sizeof aMod / sizeof *aMod && rc == SQLITE_OK; i++)
    rc = register_module(db, environment, i);
  return rc;
}

static int set_up(sqlite3 *db, char **message) {
  struct os_error error;
  if (sqlite3_libversion_number() < OLDEST_SQLITE) {
    *message =
        sqlite3_mprintf("opensearch: this is SQLite %s, but 3.38 is the oldest that works; use a newer one",
                        sqlite3_libversion());
    return SQLITE_ERROR;
  }
  if (find_session(db) != NULL) return SQLITE_OK; /* loaded already: the first stays */
  struct environment *environment = os_calloc(1, sizeof *environment);
  if (environment == NULL) return SQLITE_NOMEM;
  environment->references = 1; /* ours, while we register */
  os_ledger_watch_forks();
  os_error_clear(&error);
  int rc = SQLITE_OK;
  if (os_session_new(&environment->session, db, &error) != OS_OK) {
    char sentence[OS_ERROR_TEXT + OS_ERROR_ADVICE + 4];
    os_error_sentence(&error, sentence, sizeof sentence);
    *message = sqlite3_mprintf("opensearch: %s", sentence);
    rc = error.code == OS_ERR_NOMEM ? SQLITE_NOMEM : SQLITE_ERROR;
  } else {
    rc = register_all(db, environment);
  }
  release(environment);
  return rc;
}

/* ---- entry points ------------------------------------------------------------------------------- */

ENTRY_POINT int sqlite3_opensearch_static_init(sqlite3 *db, char **message, const sqlite3_api_routines *api);
ENTRY_POINT int sqlite3_opensearch_init(sqlite3 *db, char **message, const sqlite3_api_routines *api);
ENTRY_POINT int sqlite3_extension_init(sqlite3 *db, char **message, const sqlite3_api_routines *api);

#ifndef SQLITE_CORE
/* One table of SQLite's functions serves the whole process (SQLITE_EXTENSION_INIT2 stores it). A second
** SQLite in it, a wheel's own beside the system's for instance, would replace that table, and the
** connections of the first would be handed to functions of the second. So the first SQLite keeps us. */
static bool take_api(const sqlite3_api_routines *api, char **message) {
  static _Atomic(const sqlite3_api_routines *) owner;
  const sqlite3_api_routines *first = NULL;
  if (!atomic_compare_exchange_strong(&owner, &first, api) && first != api) {
    *message =
        api->mprintf("opensearch: another SQLite of this process (%s) has loaded this file, so this one "
                     "(%s) cannot; give it a copy of the file, or use one SQLite for both",
                     first->libversion(), api->libversion());
    return false;
  }
  SQLITE_EXTENSION_INIT2(api);
  return true;
}
#endif

/* The entry points call this and not one another: SQLite opens libraries with RTLD_GLOBAL, so a call of an
** exported name in a second copy of the file would end in the first. */
static int initialize(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
#ifndef SQLITE_CORE
  if (!take_api(api, message)) return SQLITE_ERROR;
#else
  (void)api;
#endif
  return set_up(db, message);
}

/* The library stays in memory after the connection closes: libcurl and OpenSSL keep state of each thread and
** run code at exit (sqlite.org/loadext.html, "persistent loadable extensions"). */
static int initialize_for_good(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
  int rc = initialize(db, message, api);
  return rc == SQLITE_OK ? SQLITE_OK_LOAD_PERMANENTLY : rc;
}

/* For sqlite3_auto_extension() and programs that link the extension in: those take anything but SQLITE_OK
** for a failure. */
int sqlite3_opensearch_static_init(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
  return initialize(db, message, api);
}

int sqlite3_opensearch_init(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
  return initialize_for_good(db, message, api);
}

/* Found under any file name. */
int sqlite3_extension_init(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
  return initialize_for_good(db, message, api);
}
