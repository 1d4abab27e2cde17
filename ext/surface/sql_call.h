/* sql_call.h - does the text of an SQL statement call a function by name? Pure.
**
** Why: SQLite 3.40 lets a function marked SQLITE_DIRECTONLY run inside a CHECK constraint, so a hostile
** database file could start a command. A command therefore refuses unless a statement that runs names it
** itself. */
#ifndef OS_SURFACE_SQL_CALL_H
#define OS_SURFACE_SQL_CALL_H
#include <stdbool.h>

/* True when `sql` has the function name `name` (ASCII case ignored; also quoted as an identifier) followed
** by an opening parenthesis, outside comments and string literals. */
bool os_sql_calls(const char *sql, const char *name);
#endif
