/* cluster_answer_test.c - error answers told in words, and names that are refused before anything is sent.
 * Pure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "cluster/cluster.h"

static struct os_error error;

static void told(int status, const char *type, const char *body, int code, const char *text,
                 const char *advice) {
  os_error_clear(&error);
  assert_int_equal(os_cluster_answer_error(status, type, body, strlen(body), "PUT /x", &error), code);
  assert_int_equal(error.code, code);
  assert_int_equal(error.http_status, status);
  assert_string_equal(error.text, text);
  assert_string_equal(error.advice, advice);
}

#define JSON "application/json; charset=UTF-8"

static void json_answers(void **state) {
  (void)state;
  told(
      400, JSON,
      "{\"error\":{\"root_cause\":[{\"type\":\"parsing_exception\",\"reason\":\"unknown query "
      "[zzz]\"}],\"type\":\"parsing_exception\",\"reason\":\"unknown query [zzz]\",\"line\":1,\"caused_by\":{"
      "\"type\":\"n\",\"reason\":\"[1:17] unknown field [zzz]\"}},\"status\":400}",
      OS_ERR_REFUSED, "PUT /x: 400 parsing_exception: unknown query [zzz]: [1:17] unknown field [zzz]", "");
  told(503, JSON,
       "{\"error\":{\"root_cause\":[{\"type\":\"no_shard_available\",\"reason\":\"shard 0\"}],"
       "\"type\":\"search_phase_execution_exception\",\"reason\":\"all shards failed\"}}",
       OS_ERR_BUSY, "PUT /x: 503 no_shard_available: shard 0", "");
  told(405, JSON, "{\"error\":\"Incorrect HTTP method\"}", OS_ERR_REFUSED,
       "PUT /x: 405: Incorrect HTTP method", "");
  told(404, JSON, "{\"error\":{\"type\":\"index_not_found_exception\",\"reason\":\"no such index [x]\"}}",
       OS_ERR_NOT_FOUND, "PUT /x: 404 index_not_found_exception: no such index [x]", "");
  told(409, JSON, "{\"error\":{\"type\":\"t\",\"reason\":null}}", OS_ERR_CONFLICT, "PUT /x: 409 t", "");
  told(429, JSON,
       "{\"error\":{\"type\":\"cluster_block_exception\",\"reason\":\"index [x] blocked by: "
       "[TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark]\"}}",
       OS_ERR_BUSY,
       "PUT /x: 429 cluster_block_exception: index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded "
       "flood-stage watermark]",
       "a disk is nearly full: free space on the nodes");
}

static void rights(void **state) {
  (void)state;
  told(403, JSON,
       "{\"error\":{\"type\":\"security_exception\",\"reason\":\"no permissions for "
       "[indices:data/write/bulk] and "
       "User [name=joe, backend_roles=[], requestedTenant=null]\"},\"status\":403}",
       OS_ERR_FORBIDDEN,
       "PUT /x: 403 security_exception: no permissions for [indices:data/write/bulk] and User [name=joe, "
       "backend_roles=[], requestedTenant=null]",
       "missing right: indices:data/write/bulk");
  told(403, JSON,
       "{\"error\":{\"type\":\"security_exception\",\"reason\":\"no permissions for "
       "[indices:data/write/bulk[s]] and "
       "User [name=joe]\"}}",
       OS_ERR_FORBIDDEN,
       "PUT /x: 403 security_exception: no permissions for [indices:data/write/bulk[s]] and User [name=joe]",
       "missing right: indices:data/write/bulk[s]");
  told(403, JSON,
       "{\"error\":{\"type\":\"security_exception\",\"reason\":\"action [indices:admin/get] is "
       "unauthorized for user [joe]\"}}",
       OS_ERR_FORBIDDEN,
       "PUT /x: 403 security_exception: action [indices:admin/get] is unauthorized for user [joe]",
       "missing right: indices:admin/get");
  told(403, JSON, "{\"Message\":\"User: arn:aws:iam::1:user/j is not authorized to perform: es:ESHttpPut\"}",
       OS_ERR_FORBIDDEN,
       "PUT /x: 403: User: arn:aws:iam::1:user/j is not authorized to perform: es:ESHttpPut",
       "missing right: es:ESHttpPut");
  told(403, JSON,
       "{\"error\":{\"type\":\"cluster_block_exception\",\"reason\":\"blocked by: [FORBIDDEN/8/index write "
       "(api)]\"}}",
       OS_ERR_FORBIDDEN, "PUT /x: 403 cluster_block_exception: blocked by: [FORBIDDEN/8/index write (api)]",
       "the index or the cluster is blocked: free disk space, or remove the block from its settings");
}

static void other_answers(void **state) {
  (void)state;
  told(502, "text/html", "<html>\r\n<h1>502 Bad\tGateway</h1>\r\n</html>\r\n", OS_ERR_BUSY,
       "PUT /x: 502 with an HTML page: '<html> <h1>502 Bad Gateway</h1> </html>'",
       "the page is not OpenSearch's: does a proxy answer in its place?");
  told(401, "text/plain", "Unauthorized", OS_ERR_AUTH, "PUT /x: 401 with text: 'Unauthorized'",
       "check OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD");
  told(413, NULL, "", OS_ERR_TOO_LARGE, "PUT /x: 413 with an empty answer",
       "send smaller batches (BATCH_BYTES)");
  told(400, "text/plain", "a\x01\xff\xc3\xa9\xc3", OS_ERR_REFUSED, "PUT /x: 400 with text: 'a ?\xc3\xa9?'",
       "");
  told(500, JSON, "[1]", OS_ERR_REFUSED, "PUT /x: 500 with JSON: '[1]'", "");
  char wide[1200], wanted[300] = "PUT /x: 500 with text: '";
  for (size_t i = 0; i < sizeof wide - 1; i += 2)
    memcpy(wide + i, "\xc3\xa9", 2);
  wide[sizeof wide - 1] = '\0';
  for (int i = 0; i < 100; i++)
    strcat(wanted, "\xc3\xa9");
  strcat(wanted, "\xe2\x80\xa6'");
  told(500, "text/plain", wide, OS_ERR_REFUSED, wanted, "");
}

static void with_endpoint(void **state) {
  (void)state;
  struct os_endpoint endpoint = {.name = "main",
                                 .url = "http://h:1",
                                 .auth = OS_AUTH_BASIC,
                                 .username = "joe",
                                 .password = "open-sesame"};
  assert_int_equal(
      os_cluster_answer_error_for(&endpoint, 401, "text/plain", "Unauthorized", 12, "GET /", &error),
      OS_ERR_AUTH);
  assert_string_equal(error.text, "GET /: the cluster refused user \"joe\"");
  assert_string_equal(error.advice, "check OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD");
  const char *echo = "you sent open-sesame";
  os_cluster_answer_error_for(&endpoint, 400, "text/plain", echo, strlen(echo), "GET /", &error);
  assert_null(strstr(error.text, "open-sesame"));
  endpoint.auth = OS_AUTH_NONE;
  endpoint.name = "old";
  os_cluster_answer_error_for(&endpoint, 401, NULL, "", 0, "GET /", &error);
  assert_non_null(strstr(error.text, "wants a user and a password"));
  assert_non_null(strstr(error.advice, "os_connect('old'"));
  assert_int_equal(os_cluster_answer_error(401, NULL, "", 0, "x", NULL), OS_ERR_AUTH);
}

static void tell_origin(struct os_signer *signer, char *out, size_t size) {
  (void)signer;
  snprintf(out, size, "the instance");
}

static void keep(struct os_signer *signer, char *text) {
  (void)signer;
  (void)text;
}

static void signed_code(int code, const char *what, bool serverless, const char *body, const char *text,
                        const char *advice) {
  static const struct os_signer_class class = {.origin = tell_origin, .redact = keep};
  struct os_signer signer = {.references = 1, .does = &class};
  struct os_endpoint endpoint = {.name = "main",
                                 .url = "https://d.es.amazonaws.com",
                                 .auth = OS_AUTH_IAM,
                                 .serverless = serverless,
                                 .signer = &signer};
  os_error_clear(&error);
  assert_int_equal(os_cluster_answer_error_for(&endpoint, 403, JSON, body, strlen(body), what, &error), code);
  assert_int_equal(error.code, code);
  assert_string_equal(error.text, text);
  if (!strstr(error.advice, advice)) print_error("'%s' is not in '%s'\n", advice, error.advice);
  assert_non_null(strstr(error.advice, advice));
}

static void signed_for(const char *what, bool serverless, const char *body, const char *text,
                       const char *advice) {
  signed_code(OS_ERR_FORBIDDEN, what, serverless, body, text, advice);
}

static void signatures_at_fault(void **state) {
  (void)state;
  static const char body[] = "{\"message\":\"The security token included in the request is invalid.\"}";
  signed_code(OS_ERR_AUTH, "GET /", false, body,
              "GET /: 403: The security token included in the request is invalid.",
              "AWS does not know the access key");
}

static void rights_of_aws(void **state) {
  (void)state;
  static const char forbidden[] =
      "{\"status\":403,\"error\":{\"reason\":\"403 Forbidden\",\"type\":\"Forbidden\"}}";
  static const char denied[] =
      "{\"Message\":\"User: u is not authorized to perform: es:ESHttpPut because no policy allows it\"}";
  static const char blocked[] = "{\"error\":{\"type\":\"cluster_block_exception\",\"reason\":\"blocked\"}}";
  signed_for("PUT /x", false, denied,
             "PUT /x: 403: User: u is not authorized to perform: es:ESHttpPut because no policy allows it",
             "missing right: es:ESHttpPut on https://d.es.amazonaws.com: the domain's access policy");
  signed_for("PUT /x", false, denied,
             "PUT /x: 403: User: u is not authorized to perform: es:ESHttpPut because no policy allows it",
             "; the keys come from the instance");
  signed_for("POST /x/_bulk", false, blocked, "POST /x/_bulk: 403 cluster_block_exception: blocked",
             "the index or the cluster is blocked");
  signed_for("POST /x/_bulk", true, forbidden, "POST /x/_bulk: 403 Forbidden",
             "names for aoss:WriteDocument,");
  signed_for("POST /x/_search?size=5", true, forbidden, "POST /x/_search?size=5: 403 Forbidden",
             "names for aoss:ReadDocument,");
  signed_for("GET /x/_alias", true, forbidden, "GET /x/_alias: 403 Forbidden",
             "names for aoss:DescribeCollectionItems,");
  signed_for("POST /_aliases", true, forbidden, "POST /_aliases: 403 Forbidden",
             "names for aoss:UpdateCollectionItems,");
  signed_for("PUT /x", true, forbidden, "PUT /x: 403 Forbidden", "names for aoss:CreateIndex,");
  signed_for("GET /x", true, forbidden, "GET /x: 403 Forbidden", "names for aoss:DescribeIndex,");
}

static void unsigned_for_a_domain(void **state) {
  (void)state;
  static const char body[] = "{\"Message\":\"User: anonymous is not authorized to perform: es:ESHttpGet\"}";
  struct os_endpoint endpoint = {.name = "main", .url = "https://d.example", .auth = OS_AUTH_NONE};
  os_cluster_answer_error_for(&endpoint, 403, JSON, body, strlen(body), "GET /", &error);
  assert_non_null(strstr(error.advice, "OPENSEARCH_AUTH=iam"));
  endpoint.name = "far";
  os_cluster_answer_error_for(&endpoint, 403, JSON, body, strlen(body), "GET /", &error);
  assert_non_null(strstr(error.advice, "os_connect('far'"));
}

static void names(void **state) {
  (void)state;
  static const char *const good[] = {"products", "p_v2", ".ds-x-000001", "caf\xc3\xa9",
                                     "a%b",      "A",    "x-y.z+1"};
  static const char *const bad[] = {"",    ".",   "..",  "a/b", "a*",   "a,b", "a b", "a\"b", "a\\b", "a?",
                                    "<a>", "a|b", "a#b", "r:a", "_all", "-a",  "+a",  "a\nb", "\x7f"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    assert_int_equal(os_cluster_check_name(good[i], &error), OS_OK);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(os_cluster_check_name(bad[i], &error), OS_ERR_ARGUMENT);
  assert_int_equal(os_cluster_check_name(NULL, &error), OS_ERR_ARGUMENT);
  char name[257];
  memset(name, 'x', 256);
  name[256] = '\0';
  assert_int_equal(os_cluster_check_name(name, &error), OS_ERR_ARGUMENT);
  name[255] = '\0';
  assert_int_equal(os_cluster_check_name(name, &error), OS_OK);
  os_cluster_check_name("a/b", &error);
  assert_non_null(strstr(error.text, "'a/b'"));
  assert_non_null(strstr(error.text, "the character '/'"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(json_answers),          cmocka_unit_test(rights),
      cmocka_unit_test(other_answers),         cmocka_unit_test(with_endpoint),
      cmocka_unit_test(rights_of_aws),         cmocka_unit_test(signatures_at_fault),
      cmocka_unit_test(unsigned_for_a_domain), cmocka_unit_test(names)};
  return cmocka_run_group_tests_name("cluster_answer", tests, NULL, NULL);
}
