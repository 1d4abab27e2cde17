/* sqlite_api.h - how every file that calls SQLite reaches it.
**
** In the loadable extension each sqlite3_*() goes through the table of pointers that SQLite hands to the
** entry point (https://www.sqlite.org/loadext.html): the pointer is defined once, by SQLITE_EXTENSION_INIT1
** in opensearch.c, and only declared here. Built with -DSQLITE_CORE (static builds, unit tests) the library
** is called directly.
*/
#ifndef OS_LEDGER_SQLITE_API_H
#define OS_LEDGER_SQLITE_API_H
#ifdef SQLITE_CORE
#include <sqlite3.h>
#else
#include <sqlite3ext.h>
extern const sqlite3_api_routines *sqlite3_api;
#endif
#endif
