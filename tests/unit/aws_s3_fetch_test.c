/* aws_s3_fetch_test.c - an object read in ranges, from a server that gives them whole, cut, late or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/resource.h>
#include "aws/s3/fetch.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "scripted_server.h"

enum { SIZE = 20 << 20 }; /* 256 KiB, four ranges of 4 MiB, and a rest */

enum fault { NONE, CUT, SHORT, BUSY, GONE, OTHER, IGNORES_MATCH, WRONG_RANGE, SILENT };
struct plan {
  _Atomic(enum fault) fault;
  atomic_int left;         /* requests that it still happens to */
  atomic_bool spare_first; /* but never to the first range */
};

static struct os_net *net;
static struct os_endpoint endpoint;
static struct os_s3_bucket bucket;
static struct os_error error;
static struct scripted_server server;
static struct plan plan;
static char url[64], *content;

/* ---- the server ---- */

static void give_range(struct visit *visit, size_t from, size_t len, size_t given, const char *etag) {
  char head[512];
  snprintf(head, sizeof head,
           "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %zu-%zu/%d\r\nETag: \"%s\"\r\n"
           "Content-Length: %zu\r\n\r\n",
           from, from + len - 1, SIZE, etag, given);
  visit_puts(visit, head);
}

static bool happens(size_t from) {
  if (!from && atomic_load(&plan.spare_first)) return false;
  return atomic_load(&plan.left) > 0 && atomic_fetch_sub(&plan.left, 1) > 0;
}

/* False: the connection ends. */
static bool answer(struct visit *visit) {
  const char *range = strstr(visit->head, "Range: bytes=");
  assert_non_null(strstr(visit->head, "GET /bucket/a%20key HTTP"));
  assert_non_null(strstr(visit->head, "If-Match: \"tag\""));
  assert_non_null(range);
  char *end;
  size_t from = strtoul(range + 13, &end, 10), to = strtoul(end + 1, NULL, 10), len = to - from + 1;
  assert_true(from <= to && to < SIZE);
  switch (happens(from) ? plan.fault : NONE) {
  case NONE: give_range(visit, from, len, len, "tag"); return visit_write(visit, content + from, len);
  case CUT: /* the end of the connection comes behind half of it */
    give_range(visit, from, len, len, "tag");
    visit_write(visit, content + from, len / 2);
    return false;
  case SHORT:
    give_range(visit, from, len, len / 2, "tag");
    return visit_write(visit, content + from, len / 2);
  case BUSY:
    visit_answer(visit, 503, "", "application/xml", "<Error><Code>SlowDown</Code></Error>");
    return true;
  case GONE:
    visit_answer(visit, 404, "", "application/xml", "<Error><Code>NoSuchKey</Code></Error>");
    return true;
  case OTHER:
    visit_answer(visit, 412, "", "application/xml", "<Error><Code>PreconditionFailed</Code></Error>");
    return true;
  case IGNORES_MATCH: give_range(visit, from, len, len, "new"); return visit_write(visit, content, len);
  case WRONG_RANGE: give_range(visit, from + 1, len, len, "tag"); return visit_write(visit, content, len);
  case SILENT: os_clock_sleep_ms(3000); return false;
  }
  return false;
}

static void serve(struct visit *visit) {
  while (visit_read(visit) && answer(visit)) {
  }
}

/* ---- around each test ---- */

static int set_up(void **state) {
  (void)state;
  content = os_malloc(SIZE);
  for (size_t i = 0; i < SIZE; i++)
    content[i] = (char)(i * 2654435761u >> 11);
  server_start(&server, serve, NULL);
  snprintf(url, sizeof url, "http://127.0.0.1:%d", server.port);
  endpoint = (struct os_endpoint){.name = "s3", .url = url, .timeout = 10, .max_retries = 3};
  atomic_init(&endpoint.references, 1);
  bucket = (struct os_s3_bucket){.name = "bucket", .endpoint = &endpoint};
  atomic_init(&bucket.references, 1);
  memset(&plan, 0, sizeof plan);
  int rc = os_net_new(&net, NULL, NULL);
  bucket.net = net;
  return rc;
}

static int tear_down(void **state) {
  (void)state;
  os_net_free(net); /* whoever was given up is gone now */
  int left = atomic_load(&bucket.references);
  server_stop(&server);
  os_free(content);
  return left != 1;
}

static int open_fetch(struct os_s3_fetch **fetch, uint64_t from) {
  struct os_s3_want want = {.bucket = &bucket,
                            .key = "a key",
                            .etag = "tag",
                            .from = from,
                            .end = SIZE,
                            .first = OS_S3_FIRST_RANGE};
  os_error_clear(&error);
  return os_s3_fetch_open(fetch, &want, &error);
}

/* Read to the end or a fault; *len: what came, all of it as it should be. */
static int read_all(uint64_t from, size_t *len) {
  struct os_s3_fetch *fetch = NULL;
  char *chunk = os_malloc(300000);
  size_t got = 1;
  *len = 0;
  int rc = chunk ? open_fetch(&fetch, from) : OS_ERR_NOMEM;
  while (!rc && got) {
    rc = os_s3_fetch_read(fetch, chunk, 300000, &got, NULL, NULL, &error);
    assert_true(from + *len + got <= SIZE);
    if (memcmp(chunk, content + from + *len, got)) fail_msg("other bytes behind %zu", *len);
    *len += got;
  }
  os_s3_fetch_close(fetch);
  os_free(chunk);
  return rc;
}

/* ---- tests ---- */

static void an_object_is_read_whole(void **state) {
  (void)state;
  size_t len;
  static const uint64_t starts[] = {0, 1, 262143, 262144, 5000000, SIZE - 1};
  for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
    if (read_all(starts[i], &len)) fail_msg("%s", error.text);
    assert_int_equal(len, SIZE - starts[i]);
  }
}

static void what_passes_is_waited_out(void **state) {
  (void)state;
  static const enum fault faults[] = {CUT, SHORT, BUSY};
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    size_t len;
    plan.fault = faults[i];
    atomic_store(&plan.spare_first, true);
    atomic_store(&plan.left, 3);
    if (read_all(0, &len)) fail_msg("%s", error.text);
    assert_int_equal(len, SIZE);
    assert_true(atomic_load(&plan.left) <= 0);
  }
}

static void what_stays_is_explained(void **state) {
  (void)state;
  static const struct {
    enum fault fault;
    int code;
    const char *words;
  } cases[] = {{BUSY, OS_ERR_BUSY, "SlowDown"},
               {GONE, OS_ERR_NOT_FOUND, "s3://bucket/a key was deleted"},
               {OTHER, OS_ERR_CONFLICT, "s3://bucket/a key was replaced"},
               {IGNORES_MATCH, OS_ERR_CONFLICT, "s3://bucket/a key was replaced"},
               {WRONG_RANGE, OS_ERR_ANSWER, "not what was asked for"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t len;
    plan.fault = cases[i].fault;
    atomic_store(&plan.spare_first, true); /* the first range is whole, and is handed out before the fault */
    atomic_store(&plan.left, 1000);
    int rc = read_all(0, &len);
    if (rc != cases[i].code || !strstr(error.text, cases[i].words)) fail_msg("%d: %s", rc, error.text);
    assert_true(len >= OS_S3_FIRST_RANGE && len < SIZE);
    atomic_store(&plan.left, 0);
  }
}

static bool has_had_enough(void *until) {
  return os_clock_monotonic() > *(double *)until;
}

static void a_wait_ends_when_it_should(void **state) {
  (void)state;
  struct os_s3_fetch *fetch;
  char byte;
  size_t got;
  plan.fault = SILENT;
  atomic_store(&plan.left, 1000);
  double began = os_clock_monotonic(), until = began + 0.2;
  struct os_probe probe = {has_had_enough, &until};
  assert_int_equal(open_fetch(&fetch, 0), OS_OK);
  assert_int_equal(os_s3_fetch_read(fetch, &byte, 1, &got, NULL, &probe, &error), OS_ERR_INTERRUPTED);
  atomic_bool stop;
  atomic_init(&stop, true);
  assert_int_equal(os_s3_fetch_read(fetch, &byte, 1, &got, &stop, NULL, &error), OS_ERR_CANCELLED);
  os_s3_fetch_close(fetch);
  assert_true(os_clock_monotonic() - began < 1);
  /* given up in a pause between two tries */
  plan.fault = BUSY;
  endpoint.max_retries = 100;
  until = os_clock_monotonic() + 0.5;
  assert_int_equal(open_fetch(&fetch, 0), OS_OK);
  assert_int_equal(os_s3_fetch_read(fetch, &byte, 1, &got, NULL, &probe, &error), OS_ERR_INTERRUPTED);
  os_s3_fetch_close(fetch);
}

static void nobody_needs_to_read(void **state) {
  (void)state;
  struct os_s3_fetch *fetches[40];
  for (size_t i = 0; i < 40; i++)
    assert_int_equal(open_fetch(&fetches[i], i), OS_OK);
  for (size_t i = 0; i < 40; i += 2)
    os_s3_fetch_close(fetches[i]);
  os_clock_sleep_ms(50);
  for (size_t i = 1; i < 40; i += 2)
    os_s3_fetch_close(fetches[i]);
}

static void without_a_network_thread(void **state) {
  (void)state;
  struct os_s3_fetch *fetch, *late;
  size_t got;
  char byte;
  plan.fault = SILENT;
  atomic_store(&plan.left, 1000);
  assert_int_equal(open_fetch(&fetch, 0), OS_OK);
  assert_int_equal(open_fetch(&late, 0), OS_OK);
  os_net_abandon(net);
  assert_int_equal(os_s3_fetch_read(fetch, &byte, 1, &got, NULL, NULL, &error), OS_ERR_CANCELLED);
  os_s3_fetch_close(fetch);
  os_s3_fetch_close(late);
  os_net_reap_all();
  net = NULL;
}

/* Whichever allocation fails: an error, or a try that goes well; nothing hangs and nothing is left. */
static void files_that_may_be_open_limit_it(void **state) {
  (void)state;
  static const struct {
    rlim_t files;
    size_t most;
  } cases[] = {{1024, 128}, {1023, 127}, {256, 32}, {60, 7}};
  struct rlimit before, limit;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  limit = before;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    limit.rlim_cur = cases[i].files;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) continue; /* the hard limit is lower */
    assert_int_equal(os_s3_fetch_most(), cases[i].most);
  }
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  for (long n = 0; n < 400; n += 1 + n / 20) {
    size_t len;
    os_alloc_fail_after(n, 1);
    int rc = read_all(SIZE - 5000000, &len);
    os_alloc_fail_after(-1, 0);
    if (rc && rc != OS_ERR_NOMEM) fail_msg("allocation %ld: %d: %s", n, rc, error.text);
    if (!rc) assert_int_equal(len, 5000000);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(an_object_is_read_whole, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_passes_is_waited_out, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_stays_is_explained, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_wait_ends_when_it_should, set_up, tear_down),
      cmocka_unit_test_setup_teardown(nobody_needs_to_read, set_up, tear_down),
      cmocka_unit_test_setup_teardown(without_a_network_thread, set_up, tear_down),
      cmocka_unit_test(files_that_may_be_open_limit_it),
      cmocka_unit_test_setup_teardown(every_allocation_may_fail, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
