/* operations_health_words_test.c - allocation explanations, as servers gave them, in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/json.h"
#include "operations/health/health.h"

#define NODE(decider, explanation)                                                                           \
  "{\"node_decision\":\"no\",\"deciders\":[{\"decider\":\"" decider "\",\"decision\":\"NO\","                \
  "\"explanation\":\"" explanation "\"}]}"

static const struct {
  const char *explanation, *why, *fix; /* why and fix: what they must contain */
} cases[] = {
    {"{\"index\":\"a\",\"shard\":3,\"primary\":false,\"unassigned_info\":{\"reason\":\"INDEX_CREATED\"},"
     "\"can_allocate\":\"no\",\"node_allocation_decisions\":[" NODE(
         "same_shard", "a copy of this shard is already allocated to this node [[a][3], node[x]]") "]}",
     "the replica of shard 3 is not assigned (since the index was created): every node that may hold it has "
     "a "
     "copy already",
     "'/a/_settings', '{\"index\":{\"number_of_replicas\":0}}'"},
    /* the node without a copy is the one that matters */
    {"{\"index\":\"it's\",\"shard\":0,\"primary\":false,\"unassigned_info\":{\"reason\":\"REPLICA_ADDED\"},"
     "\"can_allocate\":\"no\",\"node_allocation_decisions\":[" NODE("same_shard", "here already") "," NODE(
         "disk_threshold", "the node is above the low watermark") "]}",
     "(since the replica was added): on 1 of 2 nodes the node is above the low watermark", "free disk space"},
    {"{\"index\":\"it's %\",\"shard\":0,\"primary\":false,\"can_allocate\":\"no\","
     "\"node_allocation_decisions\":[" NODE("same_shard", "x") "," NODE("same_shard", "x") "]}",
     "shard 0 is not assigned: every node",
     "'/it%27s%20%25/_settings', '{\"index\":{\"number_of_replicas\":1}}'"},
    {"{\"index\":\"a\",\"shard\":0,\"primary\":true,\"unassigned_info\":{\"reason\":\"NODE_LEFT\","
     "\"details\":"
     "\"node_left [abc]\"},\"can_allocate\":\"no_valid_shard_copy\",\"allocate_explanation\":\"cannot "
     "allocate "
     "because a previous copy of the primary shard existed but can no longer be found on the nodes\"}",
     "the primary of shard 0 is not assigned (its node left the cluster: node_left [abc]): cannot allocate "
     "because a previous copy",
     "start the node again that held the shard"},
    {"{\"index\":\"a\",\"shard\":0,\"primary\":true,\"unassigned_info\":{\"reason\":\"ALLOCATION_FAILED\"},"
     "\"can_allocate\":\"no\",\"node_allocation_decisions\":[" NODE(
         "max_retry", "shard has exceeded the maximum number of retries [5]") "]}",
     "(starting it failed): shard has exceeded", "retry_failed=true"},
    {"{\"index\":\"a\",\"shard\":0,\"primary\":true,\"can_allocate\":\"no\",\"node_allocation_decisions\":"
     "[" NODE("enable",
              "no allocations are allowed due to index setting [index.routing.allocation.enable=none]") "]}",
     "index.routing.allocation.enable=none", "'/a/_settings'"},
    {"{\"index\":\"a\",\"shard\":0,\"primary\":true,\"can_allocate\":\"no\",\"node_allocation_decisions\":"
     "[" NODE(
         "enable",
         "no allocations are allowed due to cluster setting [cluster.routing.allocation.enable=none]") "]}",
     "cluster.routing.allocation.enable=none", "'/_cluster/settings'"},
    {"{\"index\":\"a\",\"shard\":0,\"primary\":false,\"can_allocate\":\"allocation_delayed\","
     "\"allocate_explanation\":\"the node may return\"}",
     ": the node may return", "delayed_timeout"},
    {"{\"index\":\"a\",\"shard\":0,\"primary\":false,\"can_allocate\":\"no\",\"node_allocation_decisions\":"
     "[" NODE("brand_new", "a rule of a later version") "]}",
     "a rule of a later version", "(decider brand_new)"},
    {"{\"index\":\"a\",\"shard\":0,\"primary\":true,\"can_allocate\":\"no\",\"allocate_explanation\":"
     "\"none\"}",
     ": none", "start a node that may hold data"},
    {"{}", "the cluster gives no reason", "start a node"},
};

static void each_explanation(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_error error = {0};
    struct os_buf why, fix;
    json_t *explanation =
        os_json_parse(cases[i].explanation, strlen(cases[i].explanation), 0, "case", &error);
    assert_non_null(explanation);
    os_buf_init(&why, 0);
    os_buf_init(&fix, 0);
    os_health_words(explanation, &why, &fix);
    if (strstr(why.data, cases[i].why) == NULL || strstr(fix.data, cases[i].fix) == NULL)
      fail_msg("case %zu: why '%s', fix '%s'", i, why.data, fix.data);
    os_buf_free(&why);
    os_buf_free(&fix);
    json_decref(explanation);
  }
}

/* A server may say a lot; the words stay a text for one row, whole characters, one line. */
static void long_explanations(void **state) {
  (void)state;
  char text[4000];
  struct os_buf why, fix;
  size_t len = 0;
  while (len < sizeof text - 4)
    len += (size_t)(stpcpy(text + len, "ä\n") - (text + len));
  json_t *explanation = json_pack("{s:s, s:s}", "index", "a", "allocate_explanation", text);
  assert_non_null(explanation);
  os_buf_init(&why, 0);
  os_buf_init(&fix, 0);
  os_health_words(explanation, &why, &fix);
  assert_in_range(why.len, 300, 500);
  assert_null(strchr(why.data, '\n'));
  assert_non_null(strstr(why.data, "…"));
  json_t *valid = json_string(why.data); /* refuses what is not UTF-8 */
  assert_non_null(valid);
  json_decref(valid);
  os_buf_free(&why);
  os_buf_free(&fix);
  json_decref(explanation);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_explanation), cmocka_unit_test(long_explanations)};
  return cmocka_run_group_tests_name("operations/health/words", tests, NULL, NULL);
}
