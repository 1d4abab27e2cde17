/* ledger_tables.h - os_jobs, os_job_files, os_audit, dlq_failures: the ledger as tables of every connection.
**
** Eponymous modules for sqlite3_create_module_v2(); pAux is the connection's struct os_session. A ledger
** that does not exist yet gives no rows, and looking makes none.
*/
#ifndef OS_SURFACE_LEDGER_TABLES_H
#define OS_SURFACE_LEDGER_TABLES_H
#include "ledger/sqlite_api.h"
#include "operations/session.h"

extern const sqlite3_module os_jobs_module;
extern const sqlite3_module os_job_files_module;
extern const sqlite3_module os_audit_module;
extern const sqlite3_module
    os_dlq_failures_module; /* "dlq_failures": UPDATE and DELETE as well, DIRECTONLY */

/* All four at once, for whoever does not list them in a table of his own. SQLite's code. */
int os_ledger_tables_register(sqlite3 *db, struct os_session *session);

/* A table or view of the user's own that hides one of ours (SQLite looks in the schemas first): its name
** (main.dlq_failures) goes to `out` and the result is 1; 0: none; -1: not to be found out. `db` is the
** caller's connection, keeper's thread. */
int os_ledger_name_clash(sqlite3 *db, char out[64]);
#endif
