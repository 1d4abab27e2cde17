/* cluster_calls_test.c - the typed calls against a server that answers from a table, rightly and wrongly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "cluster/cluster.h"
#include "scripted_server.h"

struct route {
  const char *asks; /* "GET /x", without the query */
  int status;
  const char *body;
  int busy_first; /* so many 503 before */
};

static struct os_net *net;
static struct os_endpoint endpoint;
static struct os_cluster cluster;
static struct os_error error;
static struct scripted_server server;
static char url[64];
static const struct route *routes;
static atomic_int busy_left;
static char last_body[4096], last_head[4096];

static void serve(struct visit *visit) {
  while (visit_read(visit)) {
    const struct route *route = routes;
    snprintf(last_body, sizeof last_body, "%.4000s", visit->body);
    snprintf(last_head, sizeof last_head, "%.4000s", visit->head);
    while (route->asks && !visit_asks(visit, route->asks))
      route++;
    if (!route->asks)
      visit_answer(visit, 404, "", "text/html", "<h1>not here</h1>");
    else if (route->busy_first && atomic_fetch_sub(&busy_left, 1) > 0)
      visit_answer(visit, 503, "", "application/json",
                   "{\"error\":{\"type\":\"busy\",\"reason\":\"later\"}}");
    else
      visit_answer(visit, route->status, "", route->body[0] == '<' ? "text/html" : "application/json",
                   route->body);
  }
}

static void open_cluster(const struct route *table) {
  routes = table;
  atomic_store(&busy_left, 0);
  for (const struct route *r = table; r->asks; r++)
    if (r->busy_first) atomic_store(&busy_left, r->busy_first);
  server_start(&server, serve, NULL);
  snprintf(url, sizeof url, "http://127.0.0.1:%d", server.port);
  memset(&endpoint, 0, sizeof endpoint);
  atomic_init(&endpoint.references, 1);
  endpoint.name = "main";
  endpoint.url = url;
  endpoint.verify_ssl = endpoint.verify_hostname = true;
  endpoint.compress = OS_COMPRESS_NEVER;
  endpoint.timeout = 10;
  endpoint.max_retries = 3;
  memset(&cluster, 0, sizeof cluster);
  cluster.endpoint = &endpoint;
  cluster.net = net;
  cluster.caps.probed = true;
  os_error_clear(&error);
}

/* The network thread lets go of the endpoint a moment after the answer. */
static void wait_for_endpoint(void) {
  double until = os_clock_monotonic() + 5;
  while (atomic_load(&endpoint.references) != 1 && os_clock_monotonic() < until)
    os_clock_sleep_ms(2);
  assert_int_equal(atomic_load(&endpoint.references), 1);
}

static void close_cluster(void) {
  server_stop(&server);
  wait_for_endpoint();
}

static void says(const char *words) {
  if (!strstr(error.text, words) && !strstr(error.advice, words))
    fail_msg("'%s' is not in '%s; %s'", words, error.text, error.advice);
}

static int make_net(void **state) {
  (void)state;
  unsetenv("http_proxy");
  unsetenv("all_proxy");
  unsetenv("ALL_PROXY");
  return os_net_new(&net, NULL, NULL);
}

static int free_net(void **state) {
  (void)state;
  os_net_free(net);
  return 0;
}

/* ---- requests ---- */

static void requests(void **state) {
  (void)state;
  static const struct route table[] = {{"GET /good", 200, "{\"a\":12345678901234567890}", 0},
                                       {"GET /empty", 200, "", 0},
                                       {"GET /busy", 200, "{}", 2},
                                       {"GET /page", 200, "<html>login</html>", 0},
                                       {"GET /cut", 200, "{\"a\":", 0},
                                       {"GET /away", 302, "", 0},
                                       {"POST /busy", 503, "<p>", 0},
                                       {NULL, 0, NULL, 0}};
  json_t *answer = NULL;
  char *text = NULL;
  int status = 0;
  open_cluster(table);
  struct os_cluster_call call = {.method = "GET", .path = "/good", .idempotent = true};
  assert_int_equal(os_cluster_request(&cluster, &call, &status, &answer, &error), OS_OK);
  assert_int_equal(status, 200);
  assert_non_null(json_object_get(answer, "a"));
  json_decref(answer);
  assert_int_equal(os_cluster_request(&cluster, &call, NULL, NULL, NULL), OS_OK);
  assert_int_equal(os_cluster_request_text(&cluster, &call, &status, &text, &error), OS_OK);
  assert_string_equal(text, "{\"a\":12345678901234567890}");
  os_free(text);
  call.path = "/empty";
  assert_int_equal(os_cluster_request(&cluster, &call, NULL, &answer, &error), OS_OK);
  assert_null(answer);
  assert_int_equal(os_cluster_request_text(&cluster, &call, NULL, &text, &error), OS_OK);
  assert_string_equal(text, "");
  os_free(text);
  call.path = "/busy";
  int before = atomic_load(&server.requests);
  assert_int_equal(os_cluster_request(&cluster, &call, &status, NULL, &error), OS_OK);
  assert_int_equal(atomic_load(&server.requests) - before, 3);
  call.path = "/page";
  assert_int_equal(os_cluster_request(&cluster, &call, NULL, &answer, &error), OS_ERR_ANSWER);
  says("'<html>login</html>'");
  says("GET /page");
  says("proxy");
  call.path = "/cut";
  assert_int_equal(os_cluster_request(&cluster, &call, NULL, &answer, &error), OS_ERR_ANSWER);
  call.path = "/away";
  assert_int_equal(os_cluster_request(&cluster, &call, NULL, &answer, &error), OS_ERR_ANSWER);
  says("302");
  call.path = "/missing";
  assert_int_equal(os_cluster_request(&cluster, &call, &status, &answer, &error), OS_ERR_NOT_FOUND);
  assert_int_equal(status, 404);
  assert_int_equal(error.http_status, 404);
  static const int allowed[] = {404, 0};
  call.allowed = allowed;
  assert_int_equal(os_cluster_request(&cluster, &call, &status, &answer, &error), OS_OK);
  assert_int_equal(status, 404);
  assert_null(answer);
  struct os_cluster_call post = {.method = "POST", .path = "/busy", .body = "{}", .what = "a change"};
  before = atomic_load(&server.requests);
  assert_int_equal(os_cluster_request(&cluster, &post, NULL, NULL, &error), OS_ERR_BUSY);
  assert_int_equal(atomic_load(&server.requests) - before, 1); /* not idempotent: once */
  says("a change: 503");
  close_cluster();
}

static bool after_some(void *ctx) {
  int *left = ctx;
  return (*left)-- <= 0;
}

static void interrupted_between_attempts(void **state) {
  (void)state;
  static const struct route table[] = {{"GET /busy", 200, "{}", 100}, {NULL, 0, NULL, 0}};
  open_cluster(table);
  endpoint.max_retries = 50;
  int left = 4;
  cluster.probe = (struct os_probe){after_some, &left};
  struct os_cluster_call call = {.method = "GET", .path = "/busy", .idempotent = true};
  double start = os_clock_monotonic();
  assert_int_equal(os_cluster_request(&cluster, &call, NULL, NULL, &error), OS_ERR_INTERRUPTED);
  assert_true(os_clock_monotonic() - start < 5);
  close_cluster();
}

static void first_contact_fails_soon(void **state) {
  (void)state;
  static const struct route table[] = {{NULL, 0, NULL, 0}};
  open_cluster(table);
  close_cluster();
  endpoint.max_retries = 20;
  cluster.caps.probed = false;
  double start = os_clock_monotonic();
  assert_int_equal(os_cluster_probe(&cluster, false, &error), OS_ERR_NETWORK);
  assert_true(os_clock_monotonic() - start < 5);
  says("GET /: cannot reach");
  says("connection refused");
  wait_for_endpoint();
}

/* ---- probe ---- */

static int probe_with(const struct route *table) {
  open_cluster(table);
  cluster.caps.probed = false;
  int rc = os_cluster_probe(&cluster, false, &error);
  assert_int_equal(cluster.caps.probed, rc == OS_OK);
  close_cluster();
  return rc;
}

#define END                                                                                                  \
  { NULL, 0, NULL, 0 }

static void probes(void **state) {
  (void)state;
  static const struct route opensearch[] = {{"GET /", 200,
                                             "{\"cluster_name\":\"c\",\"cluster_uuid\":\"u\",\"version\":{"
                                             "\"distribution\":\"opensearch\",\"number\":"
                                             "\"3.10.2-SNAPSHOT\"}}",
                                             0},
                                            END};
  assert_int_equal(probe_with(opensearch), OS_OK);
  assert_string_equal(cluster.caps.distribution, "opensearch");
  assert_string_equal(cluster.caps.cluster_name, "c");
  assert_string_equal(cluster.caps.cluster_uuid, "u");
  assert_int_equal(cluster.caps.major, 3);
  assert_int_equal(cluster.caps.minor, 10);
  static const struct route elastic[] = {
      {"GET /", 200, "{\"version\":{\"number\":\"7.10.2\",\"build_flavor\":\"oss\"}}", 0}, END};
  assert_int_equal(probe_with(elastic), OS_OK);
  assert_string_equal(cluster.caps.distribution, "elasticsearch");
  assert_int_equal(cluster.caps.major, 7);
  static const struct route serverless[] = {{"GET /_cat/indices", 200, "[]", 0}, END};
  assert_int_equal(probe_with(serverless), OS_OK);
  assert_true(cluster.caps.serverless);
  assert_string_equal(cluster.caps.distribution, "serverless");
  static const struct route narrow[] = {{"GET /", 403,
                                         "{\"error\":{\"type\":\"security_exception\",\"reason\":\"no "
                                         "permissions for [cluster:monitor/main]\"}}",
                                         0},
                                        END};
  assert_int_equal(probe_with(narrow), OS_OK);
  assert_string_equal(cluster.caps.distribution, "unknown");
  static const struct route web[] = {END};
  assert_int_equal(probe_with(web), OS_ERR_ANSWER);
  says("not as OpenSearch does");
  static const struct route page[] = {{"GET /", 200, "<html>Welcome to nginx!</html>", 0}, END};
  assert_int_equal(probe_with(page), OS_ERR_ANSWER);
  says("Welcome to nginx!");
  static const struct route other[] = {{"GET /", 200, "{\"couchdb\":\"Welcome\"}", 0}, END};
  assert_int_equal(probe_with(other), OS_ERR_ANSWER);
  says("couchdb");
  static const struct route denied[] = {{"GET /", 403, "<html>Forbidden by policy</html>", 0}, END};
  assert_int_equal(probe_with(denied), OS_ERR_FORBIDDEN);
  static const struct route wrong[] = {{"GET /", 401, "Unauthorized", 0}, END};
  assert_int_equal(probe_with(wrong), OS_ERR_AUTH);
  says("wants a user and a password");
}

/* ---- names ---- */

static void resolves(void **state) {
  (void)state;
  static const struct route table[] = {
      {"GET /idx/_alias", 200, "{\"idx\":{\"aliases\":{\"al\":{\"filter\":{}}}}}", 0},
      {"GET /idx/_settings", 200, "{\"idx\":{\"settings\":{\"index\":{\"uuid\":\"U1\"}}}}", 0},
      {"GET /al/_alias", 200,
       "{\"a1\":{\"aliases\":{\"al\":{},\"o\":{}}},\"a2\":{\"aliases\":{\"al\":{\"is_write_index\":true}}}}",
       0},
      {"GET /a2/_settings", 403, "{\"error\":{\"type\":\"security_exception\",\"reason\":\"no\"}}", 0},
      {"GET /two/_alias", 200, "{\"a1\":{\"aliases\":{\"two\":{}}},\"a2\":{\"aliases\":{\"two\":{}}}}", 0},
      {"GET /none/_alias", 404, "{\"error\":{\"type\":\"index_not_found_exception\",\"reason\":\"no\"}}", 0},
      {"GET /_resolve/index/none", 200, "{\"indices\":[],\"aliases\":[],\"data_streams\":[]}", 0},
      {"GET /ds/_alias", 404, "{\"error\":{\"type\":\"index_not_found_exception\",\"reason\":\"no\"}}", 0},
      {"GET /_resolve/index/ds", 200,
       "{\"indices\":[],\"aliases\":[],\"data_streams\":[{\"name\":\"ds\",\"backing_indices\":[\".ds-1\",\"."
       "ds-2\"]}]}",
       0},
      {"GET /.ds-2/_settings", 200, "{\".ds-2\":{\"settings\":{\"index\":{\"uuid\":\"U2\"}}}}", 0},
      {"GET /narrow/_alias", 403,
       "{\"error\":{\"type\":\"security_exception\",\"reason\":\"no permissions for "
       "[indices:admin/aliases/get]\"}}",
       0},
      {"GET /_resolve/index/narrow", 403,
       "{\"error\":{\"type\":\"security_exception\",\"reason\":\"no permissions for "
       "[indices:admin/resolve/index]\"}}",
       0},
      {"HEAD /narrow", 200, "", 0},
      {"GET /narrow/_settings", 403, "{}", 0},
      {"GET /shut/_alias", 403,
       "{\"error\":{\"type\":\"security_exception\",\"reason\":\"no permissions for "
       "[indices:admin/aliases/get]\"}}",
       0},
      {"GET /_resolve/index/shut", 403, "{}", 0},
      {"HEAD /shut", 403, "", 0},
      END};
  struct os_resolved out;
  open_cluster(table);
  assert_int_equal(os_cluster_resolve(&cluster, "idx", &out, &error), OS_OK);
  assert_int_equal(out.kind, OS_NAME_INDEX);
  assert_non_null(json_object_get(json_object_get(out.aliases, "al"), "filter"));
  assert_string_equal(out.uuid, "U1");
  os_resolved_free(&out);
  assert_int_equal(os_cluster_resolve(&cluster, "al", &out, &error), OS_OK);
  assert_int_equal(out.kind, OS_NAME_ALIAS);
  assert_int_equal(json_array_size(out.indices), 2);
  assert_string_equal(out.write_index, "a2");
  assert_string_equal(out.uuid, "");
  os_resolved_free(&out);
  assert_int_equal(os_cluster_resolve(&cluster, "two", &out, &error), OS_OK);
  assert_string_equal(out.write_index, "");
  os_resolved_free(&out);
  assert_int_equal(os_cluster_resolve(&cluster, "none", &out, &error), OS_OK);
  assert_int_equal(out.kind, OS_NAME_MISSING);
  os_resolved_free(&out);
  assert_int_equal(os_cluster_resolve(&cluster, "ds", &out, &error), OS_OK);
  assert_int_equal(out.kind, OS_NAME_DATA_STREAM);
  assert_string_equal(out.write_index, ".ds-2");
  assert_string_equal(out.uuid, "U2");
  os_resolved_free(&out);
  assert_int_equal(os_cluster_resolve(&cluster, "narrow", &out, &error), OS_OK);
  assert_int_equal(out.kind, OS_NAME_INDEX);
  assert_null(out.aliases);
  os_resolved_free(&out);
  assert_int_equal(os_cluster_resolve(&cluster, "shut", &out, &error), OS_ERR_FORBIDDEN);
  says("missing right: indices:admin/aliases/get");
  int before = atomic_load(&server.requests);
  assert_int_equal(os_cluster_resolve(&cluster, "a,b", &out, &error), OS_ERR_ARGUMENT);
  assert_int_equal(atomic_load(&server.requests), before);
  close_cluster();
}

static void index_calls(void **state) {
  (void)state;
  static const struct route table[] = {
      {"HEAD /idx", 200, "", 0},
      {"HEAD /none", 404, "", 0},
      {"PUT /idx", 200, "{\"acknowledged\":true,\"shards_acknowledged\":true,\"index\":\"idx\"}", 0},
      {"PUT /slow", 200, "{\"acknowledged\":false}", 0},
      {"DELETE /idx", 200, "{}", 0},
      {"GET /idx", 200, "{\"idx\":{\"settings\":{},\"mappings\":{},\"aliases\":{}}}", 0},
      {"GET /al", 200, "{\"a1\":{}}", 0},
      {"GET /al/_mapping", 200, "{\"a1\":{\"mappings\":{}},\"a2\":{\"mappings\":{\"x\":1}}}", 0},
      {"GET /al/_alias", 200,
       "{\"a1\":{\"aliases\":{\"al\":{}}},\"a2\":{\"aliases\":{\"al\":{\"is_write_index\":true}}}}", 0},
      {"GET /a2/_settings", 200, "{}", 0},
      {"POST /idx/_refresh", 200, "{\"_shards\":{\"total\":2,\"failed\":0}}", 0},
      {"POST /bad/_refresh", 200,
       "{\"_shards\":{\"total\":2,\"failed\":1,\"failures\":[{\"reason\":{\"type\":\"t\",\"reason\":\"disk "
       "on fire\"}}]}}",
       0},
      {"GET /idx/_count", 200, "{\"count\":5000000000,\"_shards\":{\"total\":1,\"failed\":0}}", 0},
      {"POST /idx/_count", 200, "{\"count\":7,\"_shards\":{\"total\":1,\"failed\":0}}", 0},
      {"GET /odd/_count", 200, "{\"_shards\":{\"failed\":0}}", 0},
      {"GET /_cluster/health/idx", 200, "{\"status\":\"yellow\"}", 0},
      {"GET /_cluster/health/none", 408, "{\"status\":\"red\",\"timed_out\":true}", 0},
      {"GET /idx/_stats/docs,indexing,store,segments", 200,
       "{\"_shards\":{\"failed\":0},\"_all\":{\"primaries\":{\"docs\":{\"count\":1,\"deleted\":2},"
       "\"indexing\":{"
       "\"index_total\":3,\"delete_total\":4},\"store\":{\"size_in_bytes\":5}}}}",
       0},
      {"POST /idx/_forcemerge", 200, "{\"_shards\":{\"failed\":0}}", 0},
      {"POST /lb/_forcemerge", 504, "<html>gateway</html>", 0},
      END};
  bool yes = false;
  json_t *answer = NULL;
  int64_t count = 0;
  char health[16];
  struct os_index_stats stats;
  open_cluster(table);
  assert_int_equal(os_cluster_index_exists(&cluster, "idx", &yes, &error), OS_OK);
  assert_true(yes);
  assert_int_equal(os_cluster_index_exists(&cluster, "none", &yes, &error), OS_OK);
  assert_false(yes);
  assert_int_equal(os_cluster_index_create(&cluster, "idx", "{\"settings\":{}}", &error), OS_OK);
  assert_string_equal(last_body, "{\"settings\":{}}");
  assert_int_equal(os_cluster_index_create(&cluster, "slow", NULL, &error), OS_ERR_TIMEOUT);
  assert_int_equal(os_cluster_index_delete(&cluster, "idx", &error), OS_ERR_ANSWER); /* {} promises nothing */
  assert_int_equal(os_cluster_index_delete(&cluster, "_all", &error), OS_ERR_ARGUMENT);
  assert_int_equal(os_cluster_index_get(&cluster, "idx", &answer, &error), OS_OK);
  assert_non_null(json_object_get(answer, "mappings"));
  json_decref(answer);
  assert_int_equal(os_cluster_index_get(&cluster, "al", &answer, &error), OS_ERR_ARGUMENT);
  says("'a1'");
  assert_int_equal(os_cluster_mapping(&cluster, "al", &answer, &error), OS_OK);
  assert_int_equal(os_json_int(answer, "x", 0), 1);
  json_decref(answer);
  assert_int_equal(os_cluster_refresh(&cluster, "idx", &error), OS_OK);
  assert_int_equal(os_cluster_refresh(&cluster, "bad", &error), OS_ERR_BUSY);
  says("1 of 2 shards failed: disk on fire");
  assert_int_equal(os_cluster_count(&cluster, "idx", NULL, &count, &error), OS_OK);
  assert_int_equal(count, 5000000000);
  assert_int_equal(os_cluster_count(&cluster, "idx", "{\"match_all\":{}}", &count, &error), OS_OK);
  assert_int_equal(count, 7);
  assert_string_equal(last_body, "{\"query\":{\"match_all\":{}}}");
  assert_int_equal(os_cluster_count(&cluster, "odd", NULL, &count, &error), OS_ERR_ANSWER);
  assert_int_equal(os_cluster_health(&cluster, "idx", health, &error), OS_OK);
  assert_string_equal(health, "yellow");
  assert_int_equal(os_cluster_health(&cluster, "none", health, &error), OS_ERR_NOT_FOUND);
  assert_int_equal(os_cluster_stats(&cluster, "idx", &stats, &error), OS_OK);
  assert_int_equal(stats.docs, 1);
  assert_int_equal(stats.deleted, 2);
  assert_int_equal(stats.index_total, 3);
  assert_int_equal(stats.delete_total, 4);
  assert_int_equal(stats.size_bytes, 5);
  assert_int_equal(os_cluster_force_merge(&cluster, "idx", true, 5, &yes, &error), OS_OK);
  assert_false(yes);
  assert_non_null(strstr(last_head, "only_expunge_deletes=true"));
  assert_int_equal(os_cluster_force_merge(&cluster, "lb", false, 5, &yes, &error), OS_OK);
  assert_true(yes);
  close_cluster();
}

static void tasks(void **state) {
  (void)state;
  static const struct route table[] = {
      {"POST /x/_reindex", 200, "{\"task\":\"n:1\"}", 0},
      {"POST /x/_odd", 200, "{}", 0},
      {"GET /_tasks/run%3A1", 200, "{\"completed\":false,\"task\":{\"status\":{\"total\":9,\"created\":4}}}",
       0},
      {"GET /_tasks/sliced%3A1", 200,
       "{\"completed\":false,\"task\":{\"status\":{\"total\":0,\"created\":0}}}", 0},
      {"GET /_tasks", 200,
       "{\"nodes\":{\"a\":{\"tasks\":{\"a:1\":{\"status\":{\"total\":5,\"created\":2}}}},\"b\":{\"tasks\":{"
       "\"b:1\":{\"status\":{\"total\":6,\"created\":3}}}}}}",
       0},
      {"GET /_tasks/good%3A1", 200,
       "{\"completed\":true,\"task\":{\"cancelled\":false},\"response\":{\"total\":9,\"created\":4,"
       "\"updated\":1,"
       "\"deleted\":1,\"noops\":1,\"version_conflicts\":2,\"failures\":[]}}",
       0},
      {"GET /_tasks/short%3A1", 200,
       "{\"completed\":true,\"response\":{\"total\":9,\"created\":8,\"failures\":[]}}", 0},
      {"GET /_tasks/stop%3A1", 200,
       "{\"completed\":true,\"response\":{\"total\":9,\"created\":1,\"canceled\":\"by user "
       "request\",\"failures\":[]}}",
       0},
      {"GET /_tasks/fail%3A1", 200,
       "{\"completed\":true,\"response\":{\"total\":1,\"created\":1,\"failures\":[{\"index\":\"i\",\"id\":"
       "\"7\","
       "\"cause\":{\"type\":\"mapper_parsing_exception\",\"reason\":\"no number\"},\"status\":400}]}}",
       0},
      {"GET /_tasks/err%3A1", 200, "{\"completed\":true,\"error\":{\"type\":\"boom\",\"reason\":\"bang\"}}",
       0},
      {"GET /_tasks/mute%3A1", 200, "{\"completed\":true}", 0},
      {"GET /_tasks/gone%3A1", 404,
       "{\"error\":{\"type\":\"resource_not_found_exception\",\"reason\":\"no\"}}", 0},
      {"GET /_tasks/merge%3A1", 200,
       "{\"completed\":true,\"response\":{\"_shards\":{\"total\":2,\"failed\":0}}}", 0},
      {"POST /_tasks/run%3A1/_cancel", 200, "{\"nodes\":{}}", 0},
      END};
  char task[128];
  bool completed = false;
  json_t *status = NULL;
  open_cluster(table);
  assert_int_equal(
      os_cluster_task_start(&cluster, "POST", "/x/_reindex?wait_for_completion=false", "{}", task, &error),
      OS_OK);
  assert_string_equal(task, "n:1");
  assert_int_equal(os_cluster_task_start(&cluster, "POST", "/x/_odd", "{}", task, &error), OS_ERR_ANSWER);
  assert_int_equal(os_cluster_task_poll(&cluster, "run:1", &completed, &status, &error), OS_OK);
  assert_false(completed);
  assert_int_equal(os_json_int(status, "created", 0), 4);
  json_decref(status);
  assert_int_equal(os_cluster_task_poll(&cluster, "sliced:1", &completed, &status, &error), OS_OK);
  assert_int_equal(os_json_int(status, "total", 0), 11);
  assert_int_equal(os_json_int(status, "created", 0), 5);
  json_decref(status);
  assert_int_equal(os_cluster_task_poll(&cluster, "good:1", &completed, &status, &error), OS_OK);
  assert_true(completed);
  assert_int_equal(os_json_int(status, "total", 0), 9);
  json_decref(status);
  static const struct {
    const char *id;
    int code;
    const char *words;
  } bad[] = {
      {"short:1", OS_ERR_REFUSED, "8 of 9 documents"},
      {"stop:1", OS_ERR_CANCELLED, "by user request"},
      {"fail:1", OS_ERR_REFUSED, "1 failure, the first of document '7': mapper_parsing_exception: no number"},
      {"err:1", OS_ERR_REFUSED, "boom: bang"},
      {"mute:1", OS_ERR_ANSWER, "promises"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(os_cluster_task_poll(&cluster, bad[i].id, &completed, &status, &error), bad[i].code);
    assert_true(completed);
    says(bad[i].words);
    json_decref(status);
  }
  assert_int_equal(os_cluster_task_poll(&cluster, "gone:1", &completed, &status, &error), OS_ERR_NOT_FOUND);
  says("no longer knows");
  assert_int_equal(os_cluster_task_poll(&cluster, "merge:1", &completed, NULL, &error), OS_OK);
  assert_int_equal(os_cluster_task_cancel(&cluster, "run:1", &error), OS_OK);
  close_cluster();
}

#ifdef OS_TEST_ALLOC
static void every_allocation_fails_once(void **state) {
  (void)state;
  static const struct route table[] = {
      {"GET /al/_alias", 200, "{\"a1\":{\"aliases\":{\"al\":{}}}}", 0},
      {"GET /a1/_settings", 200, "{\"a1\":{\"settings\":{\"index\":{\"uuid\":\"U\"}}}}", 0},
      {"POST /al/_count", 200, "{\"count\":1,\"_shards\":{\"failed\":0}}", 0},
      {"GET /odd/_count", 200, "{}", 0},
      END};
  int good = 0;
  open_cluster(table);
  for (long n = 0; n < 200 && good < 3; n++) {
    struct os_resolved out;
    int64_t count = 0;
    os_alloc_fail_after(n, 1);
    int rc = os_cluster_resolve(&cluster, "al", &out, &error);
    if (rc == OS_OK) os_resolved_free(&out);
    int rc2 = rc ? OS_OK : os_cluster_count(&cluster, "al", "{}", &count, &error);
    int rc3 = rc || rc2 ? OS_ERR_ANSWER : os_cluster_count(&cluster, "odd", NULL, &count, &error);
    os_alloc_fail_after(-1, 0);
    assert_true(rc == OS_OK || rc == OS_ERR_NOMEM);
    assert_true(rc2 == OS_OK || rc2 == OS_ERR_NOMEM);
    assert_true(rc3 == OS_ERR_ANSWER || rc3 == OS_ERR_NOMEM);
    good += rc == OS_OK && rc2 == OS_OK && rc3 == OS_ERR_ANSWER;
  }
  assert_int_equal(good, 3);
  close_cluster();
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(requests),
      cmocka_unit_test(interrupted_between_attempts),
      cmocka_unit_test(first_contact_fails_soon),
      cmocka_unit_test(probes),
      cmocka_unit_test(resolves),
      cmocka_unit_test(index_calls),
      cmocka_unit_test(tasks),
#ifdef OS_TEST_ALLOC
      cmocka_unit_test(every_allocation_fails_once),
#endif
  };
  return cmocka_run_group_tests_name("cluster_calls", tests, make_net, free_net);
}
