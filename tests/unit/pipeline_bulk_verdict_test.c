/* pipeline_bulk_verdict_test.c - what the items of real `_bulk` answers mean for the records that were
** sent. The answers have the words of OpenSearch 1.3 to 3.x and Elasticsearch 7.10.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "cluster/bulk_answer.h"
#include "pipeline/bulk_verdict.h"

#define INDEX .op = OS_OP_INDEX, .attempts = 1
#define CREATE .op = OS_OP_CREATE, .attempts = 1
#define UPDATE .op = OS_OP_UPDATE, .attempts = 1
#define CONFLICT                                                                                             \
  "\"status\":409,\"error\":{\"type\":\"version_conflict_engine_exception\",\"reason\":\"[7]: version "      \
  "conflict, document already exists (current version [1])\",\"index\":\"i\",\"shard\":\"0\"}"
#define ERROR(status, type, reason)                                                                          \
  "\"status\":" #status ",\"error\":{\"type\":\"" type "\",\"reason\":\"" reason "\"}"

static const struct {
  const char *answer; /* members of the item */
  struct os_item item;
  bool external;
  enum os_verdict verdict;
} cases[] = {
    {"\"status\":201,\"result\":\"created\"", {INDEX}, false, OS_VERDICT_CREATED},
    {"\"status\":201", {INDEX}, false, OS_VERDICT_CREATED},
    {"\"status\":200,\"result\":\"updated\"", {INDEX}, false, OS_VERDICT_UPDATED},
    {"\"status\":200", {INDEX}, false, OS_VERDICT_UPDATED},
    {"\"status\":200,\"result\":\"created\"", {INDEX}, false, OS_VERDICT_CREATED},
    {"\"status\":100",
     {INDEX},
     false,
     OS_VERDICT_REFUSED}, /* no server says so: not a success, in any case */
    {"\"status\":200,\"result\":\"noop\"", {UPDATE}, false, OS_VERDICT_NOOP},
    {"\"status\":201,\"result\":\"created\"", {UPDATE}, false, OS_VERDICT_CREATED},

    /* 409 */
    {CONFLICT, {CREATE}, false, OS_VERDICT_REFUSED},
    {CONFLICT, {CREATE, .computed = true}, false, OS_VERDICT_REFUSED},
    {CONFLICT, {CREATE, .computed = true, .maybe_sent = true}, false, OS_VERDICT_ALREADY},
    {CONFLICT, {CREATE, .maybe_sent = true}, false, OS_VERDICT_ALREADY},
    {CONFLICT, {.op = OS_OP_CREATE, .attempts = 2, .computed = true}, false, OS_VERDICT_ALREADY},
    /* an explicit id that only was turned away before (429) stands there for another reason */
    {CONFLICT, {.op = OS_OP_CREATE, .attempts = 2}, false, OS_VERDICT_REFUSED},
    {CONFLICT, {INDEX}, true, OS_VERDICT_OLDER},
    {CONFLICT, {INDEX}, false, OS_VERDICT_REFUSED},
    {CONFLICT, {CREATE}, true, OS_VERDICT_REFUSED},
    {CONFLICT, {UPDATE}, false, OS_VERDICT_RETRY},
    {CONFLICT, {.op = OS_OP_UPDATE, .attempts = 5}, false, OS_VERDICT_RETRY},
    {CONFLICT, {.op = OS_OP_UPDATE, .attempts = 6}, false, OS_VERDICT_REFUSED},
    {CONFLICT,
     {UPDATE, .conditional = true},
     false,
     OS_VERDICT_REFUSED}, /* if_seq_no: it has gone on since */

    /* the record's own fault */
    {"\"status\":400,\"error\":{\"type\":\"mapper_parsing_exception\",\"reason\":\"failed to parse field [n] "
     "of "
     "type [long] in document with id '1'. Preview of field's value: "
     "'abc'\",\"caused_by\":{\"type\":\"illegal_argument_exception\",\"reason\":\"For input string: "
     "\\\"abc\\\"\"}}",
     {INDEX},
     false,
     OS_VERDICT_REFUSED},
    {ERROR(400, "strict_dynamic_mapping_exception",
           "mapping set to strict, dynamic introduction of [b] within [_doc] is not allowed"),
     {INDEX},
     false,
     OS_VERDICT_REFUSED},
    {ERROR(400, "illegal_argument_exception", "Limit of total fields [1000] has been exceeded"),
     {INDEX},
     false,
     OS_VERDICT_REFUSED},
    {ERROR(400, "illegal_argument_exception",
           "id is too long, must be no longer than 512 bytes but was: 600"),
     {INDEX},
     false,
     OS_VERDICT_REFUSED},
    {ERROR(404, "document_missing_exception", "[1]: document missing"), {UPDATE}, false, OS_VERDICT_REFUSED},
    {ERROR(400, "illegal_argument_exception",
           "pipeline with id [p] cannot take the field [a]"), /* it is there */
     {INDEX},
     false,
     OS_VERDICT_REFUSED},

    /* passing, and a sign of overload */
    {ERROR(429, "rejected_execution_exception",
           "rejected execution of primary operation [shard_detail=[i][0][P]]"),
     {INDEX},
     false,
     OS_VERDICT_LOAD},
    {ERROR(
         429, "es_rejected_execution_exception",
         "rejected execution of org.elasticsearch.action.support.replication.TransportWriteAction$1/Writ on "
         "EsThreadPoolExecutor[name = n/write, queue capacity = 1]"),
     {CREATE},
     false,
     OS_VERDICT_LOAD},
    {ERROR(429, "open_search_rejected_execution_exception", "queue capacity = 1"),
     {UPDATE},
     false,
     OS_VERDICT_LOAD},
    {ERROR(429, "circuit_breaking_exception", "[parent] Data too large"), {INDEX}, false, OS_VERDICT_LOAD},
    {ERROR(503, "circuit_breaking_exception", "[parent] Data too large"), {INDEX}, false, OS_VERDICT_LOAD},

    /* passing */
    {ERROR(503, "unavailable_shards_exception", "[i][0] primary shard is not active Timeout: [1m]"),
     {INDEX},
     false,
     OS_VERDICT_RETRY},
    {ERROR(503, "process_cluster_event_timeout_exception", "failed to process cluster event (put-mapping)"),
     {INDEX},
     false,
     OS_VERDICT_RETRY},
    {ERROR(503, "something_new_exception", "later"), {INDEX}, false, OS_VERDICT_RETRY},
    {ERROR(500, "node_not_connected_exception", "[n][127.0.0.1:9300] Node not connected"),
     {INDEX},
     false,
     OS_VERDICT_RETRY},

    /* not the record's fault */
    {ERROR(403, "cluster_block_exception", "index [i] blocked by: [FORBIDDEN/8/index write (api)];"),
     {INDEX},
     false,
     OS_VERDICT_BLOCKED},
    {ERROR(429, "cluster_block_exception",
           "index [i] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has "
           "read-only-allow-delete block];"),
     {INDEX},
     false,
     OS_VERDICT_BLOCKED},
    {ERROR(403, "security_exception", "no permissions for [indices:data/write/bulk[s]] and User [name=u]"),
     {INDEX},
     false,
     OS_VERDICT_FAULT},
    {ERROR(401, "unknown", "no"), {INDEX}, false, OS_VERDICT_FAULT},
    {ERROR(404, "index_not_found_exception", "no such index [i]"), {INDEX}, false, OS_VERDICT_FAULT},
    {ERROR(400, "index_closed_exception", "closed"), {INDEX}, false, OS_VERDICT_FAULT},
    {ERROR(400, "illegal_argument_exception", "pipeline with id [p] does not exist"),
     {INDEX},
     false,
     OS_VERDICT_FAULT},
    {ERROR(400, "illegal_argument_exception",
           "no write index is defined for alias [a]. The write index may be explicitly disabled using "
           "is_write_index=false or the alias points to multiple indices without one being designated as a "
           "write "
           "index"),
     {INDEX},
     false,
     OS_VERDICT_FAULT},
    {ERROR(400, "illegal_argument_exception",
           "alias [a] has more than one index associated with it [b, c], can't execute a single index op"),
     {INDEX},
     false,
     OS_VERDICT_FAULT},
    {ERROR(403, "unknown", "no"), {INDEX}, false, OS_VERDICT_FAULT},
    {ERROR(400, "illegal_argument_exception",
           "only write ops with an op_type of create are allowed in data streams"),
     {INDEX},
     false,
     OS_VERDICT_FAULT},
};

static void real_answers(void **state) {
  (void)state;
  static const char *const names[] = {"index", "create", "update"};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char body[2048], type[OS_BULK_ERROR_TYPE] = "", reason[OS_BULK_ERROR_REASON] = "";
    struct os_bulk_item answer;
    struct os_error error;
    snprintf(body, sizeof body, "{\"took\":1,\"errors\":%s,\"items\":[{\"%s\":{%s}}]}",
             strstr(cases[i].answer, "error") ? "true" : "false", names[cases[i].item.op], cases[i].answer);
    if (os_bulk_answer_parse(body, strlen(body), 1, &answer, NULL, NULL, &error))
      fail_msg("case %zu: %s", i, error.text);
    if (answer.error) os_bulk_item_error(&answer, type, reason);
    enum os_verdict verdict =
        os_bulk_verdict(answer.status, answer.result, type, reason, &cases[i].item, cases[i].external);
    if (verdict != cases[i].verdict)
      fail_msg("case %zu: verdict %d instead of %d for %s (attempts %d)", i, (int)verdict,
               (int)cases[i].verdict, body, cases[i].item.attempts);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(real_answers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
