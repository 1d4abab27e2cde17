/* report.h - the report of a job: what the ledger knows of it, as a page in a file.
**
** Keeper's thread. Nothing is asked of any cluster.
*/
#ifndef OS_OPERATIONS_REPORT_H
#define OS_OPERATIONS_REPORT_H
#include <limits.h>
#include <stdint.h>
#include "base/error.h"
#include "ledger/ledger.h"

struct os_report {
  char path[PATH_MAX]; /* absolute */
  int64_t bytes;
  char kind[64], status[32];
};

/* path: the file to write; NULL: os-report-<job>.html in the working directory. A file that is there is
** replaced only when it is an earlier report (or empty), whole or not at all. */
int os_report_write(struct os_ledger *ledger, int64_t job, const char *path, struct os_report *out,
                    struct os_error *error);
#endif
