/* format_search_hits_test.c - hits as they are: numbers to the last digit, documents over several lines, routing; and
** answers that lack something are never taken for whole.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "format/search_hits.h"

static struct os_error test_error;

/* "id/routing/seq_no/source;…", or the error. */
static const char *read_all(const char *answer) {
  static struct os_buf out;
  struct os_search_hits *hits = NULL;
  struct os_search_hit hit;
  bool found = true;
  os_buf_free(&out);
  os_buf_init(&out, 0);
  os_buf_puts(&out, "");
  char *copy = os_strdup(answer); /* no byte more: the sanitizer would see a look behind it */
  os_error_clear(&test_error);
  int rc = os_search_hits_open(&hits, copy, strlen(copy), &test_error);
  while (!rc && !(rc = os_search_hits_next(hits, &hit, &found, &test_error)) && found)
    os_buf_printf(&out, "%.*s/%.*s/%lld/%.*s;", (int)hit.id_len, hit.id, (int)hit.routing_len,
                  hit.routing ? hit.routing : "", (long long)hit.seq_no, (int)hit.source_len,
                  hit.source ? hit.source : "");
  os_search_hits_close(hits);
  if (rc) {
    os_buf_clear(&out);
    os_buf_printf(&out, "! %s", test_error.text);
  }
  os_free(copy);
  return out.data;
}

static void test_hits(void **state) {
  (void)state;
  assert_string_equal(
      read_all(
          "{\"took\":1,\"timed_out\":false,\"_shards\":{\"total\":1,\"failed\":0},\"hits\":{\"total\":{"
          "\"value\":2},"
          "\"hits\":[{\"_index\":\"i\",\"_id\":\"a\\\"b\",\"_seq_no\":9007199254740993,\"_source\":{\"n\": "
          "12345678901234567890.10,\n \"hits\":[1]},\"sort\":[3]} , "
          "{\"_source\":{},\"_id\":\"\xC3\xBC\",\"_routing\":\"r\"}]}}"),
      "a\\\"b//9007199254740993/{\"n\":12345678901234567890.10,\"hits\":[1]};\xC3\xBC/r/-1/{};");
  assert_string_equal(read_all("{\"hits\":{\"hits\":[]}}"), "");
  assert_string_equal(read_all("{\"timed_out\":false,\"_shards\":{\"failed\":0},\"hits\":{}}"), "");
  assert_string_equal(read_all("{\"timed_out\":false,\"_shards\":{\"failed\":0}}"), "");
  assert_string_equal(read_all("{\"_shards\":{},\"hits\":{\"hits\":[{\"_id\":\"1\"}]}}"), "1//-1/;");
  assert_string_equal(read_all(" {\"hits\" : {\"hits\" : [ {\"_id\":\"1\"} ] } }"), "1//-1/;");
}

static void expect_error(const char *answer, const char *part) {
  const char *found = read_all(answer);
  if (found[0] != '!' || !strstr(found, part)) fail_msg("%s: %s", answer, found);
}

static void test_what_is_not_whole(void **state) {
  (void)state;
  expect_error("{\"timed_out\":true,\"hits\":{\"hits\":[]}}", "ran out of time");
  expect_error("{\"_shards\":{\"failed\":2},\"hits\":{\"hits\":[]}}", "failed on 2 shards");
  expect_error("{\"_shards\":{\"failed\":12},\"hits\":{\"hits\":[]}}", "failed on 12 shards");
  expect_error("{\"error\":{}}", "no hits");
  expect_error("<html>", "an object is missing");
  expect_error("", "an object is missing");
  expect_error("{\"hits\":{\"hits\":[{\"_id\":\"1\"}", "cut short");
  expect_error("{\"hits\":{\"hits\":[{\"_id\":\"1\"} {\"_id\":\"2\"}]}}", "',' or ']'");
  expect_error("{\"hits\":{\"hits\":[{\"_id\":\"1\"},]}}", "a value");
  expect_error("{\"hits\":{\"hits\":[{\"_id\":1}]}}", "no _id");
  expect_error("{\"hits\":{\"hits\":[{\"_id\":\"1\",\"_seq_no\":1.5}]}}", "_seq_no");
  expect_error("{\"hits\":{\"hits\":[{\"_id\":\"1\",\"_seq_no\":100000000000000000000000000000}]}}",
               "a _seq_no is no number");
  expect_error("{\"hits\":{\"hits\":[7]}}", "an object is missing");
  expect_error("{\"hits\":{\"hits\":{}}}", "no array");
}

static void test_no_memory(void **state) {
  (void)state;
  int failures = 0;
  for (int n = 0;; n++) {
    os_alloc_fail_after(n, 0);
    struct os_search_hits *hits = NULL;
    static const char answer[128] = "{\"hits\":{\"hits\":[]}}";
    int rc = os_search_hits_open(&hits, answer, strlen(answer), &test_error);
    os_alloc_fail_after(-1, 0);
    os_search_hits_close(hits);
    if (!rc) break;
    assert_int_equal(rc, OS_ERR_NOMEM);
    failures++;
  }
  assert_true(failures >= 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hits),
      cmocka_unit_test(test_what_is_not_whole),
      cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests_name("format/search_hits", tests, NULL, NULL);
}
