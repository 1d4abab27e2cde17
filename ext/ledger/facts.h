/* facts.h - everything the ledger knows of one job, as one JSON object, for a report.
**
** Keeper's thread. Read in one transaction, so that the figures of a job that runs fit together.
*/
#ifndef OS_LEDGER_FACTS_H
#define OS_LEDGER_FACTS_H
#include <jansson.h>
#include <stdint.h>
#include "base/error.h"
#include "ledger/ledger.h"

enum {
  OS_FACTS_FILES = 200,    /* files listed; what needs attention comes first */
  OS_FACTS_CHECKS = 500,   /* audit rows listed */
  OS_FACTS_REASONS = 50,   /* kinds of refusals, the most frequent first */
  OS_FACTS_EXAMPLES = 3,   /* of each kind */
  OS_FACTS_EXCERPT = 2000, /* bytes of a refused record or its document */
  OS_FACTS_TEXT = 32768    /* bytes of any other text */
};

/* A new reference in *out:
**   job       {job, kind, status, index_name, …}: its row; status as in os_jobs, seconds until its end or now
**   samples   [{seconds, documents, failed, bytes_read, bytes_sent, requests, retries}]
**   states    [{status, files, documents, failed, size}]: its files, counted by their state
**   files     [{file, status, documents, failed, byte_offset, size, seconds, format, error}]
**   checks    [{at, step, check_name, verdict, detail}], and how many there are in all: check_count
**   reasons   [{status, error_type, records, resolved}], and how many kinds there are in all: reason_count
**   examples  [{status, error_type, file, line, doc_id, error_reason, raw, raw_len, …}]
** Texts may hold any bytes (json_string_length() counts them). OS_ERR_NOT_FOUND: there is no such job. */
int os_ledger_job_facts(struct os_ledger *ledger, int64_t job, json_t **out, struct os_error *error);
#endif
