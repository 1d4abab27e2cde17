/* report.c - see report.h: facts, page, file. */
#include "operations/report/report.h"
#include <stdio.h>
#include <string.h>
#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "ledger/facts.h"
#include "operations/report/file.h"
#include "operations/report/page.h"

int os_report_write(struct os_ledger *ledger, int64_t job, const char *path, struct os_report *out,
                    struct os_error *error) {
  char name[64], now[OS_TIME_TEXT];
  struct os_buf page;
  json_t *facts = NULL;
  int rc = os_ledger_job_facts(ledger, job, &facts, error);
  if (rc != OS_OK) return rc;
  os_clock_now(now);
  os_buf_init(&page, 0);
  os_report_page(&page, facts, now);
  snprintf(name, sizeof name, "os-report-%lld.html", (long long)job);
  snprintf(out->kind, sizeof out->kind, "%.60s", os_json_string(facts, "job/kind", ""));
  snprintf(out->status, sizeof out->status, "%.30s", os_json_string(facts, "job/status", ""));
  out->bytes = (int64_t)page.len;
  rc = page.failed ? os_fail_nomem(error)
                   : os_report_file(path != NULL ? path : name, page.data, page.len, out->path, error);
  os_buf_free(&page);
  json_decref(facts);
  return rc;
}
