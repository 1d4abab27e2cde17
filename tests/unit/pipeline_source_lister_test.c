/* pipeline_source_lister_test.c - objects that are listed by a thread of its own: which URLs are left to it, what it
** hands over, how it ends. The server has PAGES pages of two objects for any prefix of bucket "many", and one page
** for others; page numbers are tokens.
*/
#include "folder.h"
#include "aws/service.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "pipeline/source_build.h"
#include "scripted_server.h"

enum { PAGES = 5, OF_A_PAGE = 2 };

static struct os_net *net;
static struct os_aws *aws;
static struct os_settings *settings;
static struct scripted_server server;
static struct os_source_list list;
static struct os_source_lister *rest;
static atomic_int fails_at, held_at, asked; /* pages; -1: none */
static bool tell_interrupted;

/* ---- the server ---- */

static void put_page(struct visit *visit, const char *prefix, int prefix_len, int page, bool more) {
  char body[2000], token[80] = "";
  if (more) snprintf(token, sizeof token, "<NextContinuationToken>%d</NextContinuationToken>", page + 1);
  int at = snprintf(body, sizeof body, "<ListBucketResult><IsTruncated>%s</IsTruncated>%s",
                    more ? "true" : "false", token);
  for (int i = 0; i < OF_A_PAGE; i++)
    at += snprintf(body + at, sizeof body - (size_t)at,
                   "<Contents><Key>%.*s%d%d.csv</Key><LastModified>2026-11-22T00:00:00.000Z</LastModified>"
                   "<ETag>\"e\"</ETag><Size>9</Size></Contents>",
                   prefix_len, prefix, page, i);
  snprintf(body + at, sizeof body - (size_t)at, "</ListBucketResult>");
  visit_answer(visit, 200, "", "application/xml", body);
}

static void serve(struct visit *visit) {
  while (visit_read(visit)) {
    const char *prefix = strstr(visit->head, "prefix="), *token = strstr(visit->head, "continuation-token=");
    if (!prefix) {
      visit_answer(visit, 404, "", "application/xml", "<Error><Code>NoSuchKey</Code></Error>");
      continue;
    }
    int page = token ? atoi(token + strlen("continuation-token=")) : 0;
    char name[32];
    snprintf(name, sizeof name, "%.*s/", (int)strcspn(prefix + 7, "%& "), prefix + 7); /* p%2F */
    atomic_fetch_add(&asked, 1);
    while (page == atomic_load(&held_at))
      os_clock_sleep_ms(5);
    if (page == atomic_load(&fails_at))
      visit_answer(visit, 403, "", "application/xml", "<Error><Code>AccessDenied</Code></Error>");
    else
      put_page(visit, name, (int)strlen(name), page, visit_asks(visit, "GET /many") && page + 1 < PAGES);
  }
}

/* ---- around each test ---- */

static int give_aws(void *ctx, struct os_aws **out_aws, struct os_net **out_net, struct os_error *error) {
  (void)ctx, (void)error;
  *out_aws = aws;
  *out_net = net;
  return OS_OK;
}

static const struct os_source_s3 access_to = {.open = give_aws, .options = {.anonymous = true}};

static int set_up(void **state) {
  (void)state;
  char url[64];
  memset(&list, 0, sizeof list);
  rest = NULL;
  tell_interrupted = false;
  atomic_store(&fails_at, -1);
  atomic_store(&held_at, -1);
  atomic_store(&asked, 0);
  server_start(&server, serve, NULL);
  snprintf(url, sizeof url, "http://127.0.0.1:%d", server.port);
  setenv("AWS_ENDPOINT_URL_S3", url, 1);
  setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
  setenv("AWS_REGION", "us-east-1", 1);
  os_error_clear(&test_error);
  int rc = os_settings_new(&settings, &test_error);
  if (!rc) rc = os_aws_open(&aws, settings, NULL, &test_error);
  return rc ? rc : os_net_new(&net, NULL, &test_error);
}

static int tear_down(void **state) {
  (void)state;
  atomic_store(&held_at, -1);
  os_source_lister_free(rest);
  os_source_list_free(&list);
  os_net_free(net);
  os_aws_close(aws);
  os_settings_free(settings);
  server_stop(&server);
  return 0;
}

static bool interrupted(void *ctx) {
  (void)ctx;
  return tell_interrupted;
}
static const struct os_probe probe = {interrupted, NULL};

static int build(const char *argument) {
  os_error_clear(&test_error);
  return os_source_list_build(&list, argument, &access_to, &probe, &rest, &test_error);
}

/* Everything that comes, a few at a time. */
static int take_all(size_t most) {
  bool ended = false;
  int rc = OS_OK;
  while (!rc && !ended) {
    size_t before = list.count;
    rc = os_source_lister_take(rest, &list, most, &probe, &ended, &test_error);
    assert_true(list.count <= before + most);
  }
  return rc;
}

static void assert_names(const char *prefix, size_t from, int pages) {
  for (int page = 0; page < pages; page++)
    for (int i = 0; i < OF_A_PAGE; i++, from++) {
      char name[64];
      assert_true(from < list.count);
      snprintf(name, sizeof name, "%s%d%d.csv", prefix, page, i);
      assert_string_equal(os_source_at(&list, from)->name, name);
    }
}

/* ---- the tests ---- */

static void a_page_needs_no_lister(void **state) {
  (void)state;
  assert_ok(build("s3://few/p/"));
  assert_null(rest);
  assert_names("p/", 0, 1);
  assert_int_equal(list.count, OF_A_PAGE);
  assert_int_equal(atomic_load(&asked), 1);
}

static void more_than_a_page(void **state) {
  (void)state;
  for (size_t most = 1; most <= 4; most += 3) {
    assert_ok(build("s3://many/p/"));
    assert_non_null(rest);
    assert_int_equal(list.count, 0);
    assert_ok(take_all(most));
    assert_int_equal(list.count, PAGES * OF_A_PAGE);
    assert_names("p/", 0, PAGES);
    os_source_lister_free(rest);
    os_source_list_free(&list);
    rest = NULL;
  }
}

static void several_urls(void **state) {
  (void)state;
  assert_ok(build("[\"s3://few/a/\", \"s3://many/p/\", \"s3://few/b/\", \"s3://many/q/\"]"));
  assert_non_null(rest);
  assert_int_equal(list.count, OF_A_PAGE); /* of the first; the others come in their order */
  assert_ok(take_all(3));
  assert_int_equal(list.count, (2 + 2 * PAGES) * OF_A_PAGE);
  assert_names("a/", 0, 1);
  assert_names("p/", OF_A_PAGE, PAGES);
  assert_names("b/", (1 + PAGES) * OF_A_PAGE, 1);
  assert_names("q/", (2 + PAGES) * OF_A_PAGE, PAGES);
}

static void what_is_listed_at_once(void **state) {
  (void)state;
  static const char *const whole[] = {"[\"s3://many/p/\", \"s3://many/p/\"]",
                                      "[\"s3://many/p/\", \"s3://many/p/0*\"]",
                                      "[\"s3://many/p*\", \"s3://many/p/\"]"};
  write_text(in_folder("x.csv"), "a\n1\n");
  for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
    build(whole[i]);
    assert_null(rest);
    os_source_list_free(&list);
  }
  char *argument = os_mprintf("[\"s3://many/p/\", \"%s\"]", in_folder("x.csv"));
  assert_ok(build(argument));
  assert_null(rest); /* a local file stands behind */
  assert_int_equal(list.count, PAGES * OF_A_PAGE + 1);
  os_source_list_free(&list);
  os_free(argument);
  argument = os_mprintf("[\"%s\", \"s3://many/p/\"]", in_folder("x.csv"));
  assert_ok(build(argument));
  assert_non_null(rest);
  assert_int_equal(list.count, 1);
  os_free(argument);
}

static void a_url_that_names_nothing(void **state) {
  (void)state;
  atomic_store(&fails_at, 0);
  assert_fails(build("[\"s3://many/p/\", \"s3://few/b/\"]"), OS_ERR_FORBIDDEN, "s3:ListBucket");
  assert_null(rest);
  assert_int_equal(list.count, 0);
}

static void a_list_that_breaks_off(void **state) {
  (void)state;
  bool ended = false;
  atomic_store(&fails_at, 3); /* before the list begins: it goes on by itself */
  assert_ok(build("s3://many/p/"));
  assert_fails(take_all(100), OS_ERR_FORBIDDEN, "s3:ListBucket");
  assert_int_equal(list.count, 3 * OF_A_PAGE); /* what came before it */
  assert_fails(os_source_lister_take(rest, &list, 1, NULL, &ended, &test_error), OS_ERR_FORBIDDEN, "List");
  assert_true(ended);
}

/* The URLs behind it are not listed any more; without memory nothing of what was found is lost. */
static void the_first_that_breaks_off_ends_it(void **state) {
  (void)state;
  bool ended = false;
  atomic_store(&held_at, 3);
  assert_ok(build("[\"s3://many/p/\", \"s3://many/q/\"]"));
  while (list.count < OF_A_PAGE)
    assert_ok(os_source_lister_take(rest, &list, OF_A_PAGE, &probe, &ended, &test_error));
  os_source_list_free(&list);
  double until = os_clock_monotonic() + 10;
  while (atomic_load(&asked) < 2 + 4 && os_clock_monotonic() < until) /* a page of each, and four */
    os_clock_sleep_ms(2);
  os_clock_sleep_ms(20);
  os_alloc_fail_after(0, 0);
  int rc = os_source_lister_take(rest, &list, 100, NULL, &ended, &test_error);
  os_alloc_fail_after(-1, 0);
  assert_int_equal(rc, OS_ERR_NOMEM);
  assert_false(ended);
  atomic_store(&fails_at, 3);
  atomic_store(&held_at, -1);
  assert_fails(take_all(100), OS_ERR_FORBIDDEN, "s3:ListBucket");
  assert_int_equal(list.count, 2 * OF_A_PAGE); /* of three pages, the first was taken before */
  for (size_t i = 0; i < list.count; i++)
    assert_memory_equal(os_source_at(&list, i)->name, "p/", 2);
}

static void waiting_ends(void **state) {
  (void)state;
  bool ended = false;
  atomic_store(&held_at, 2); /* before the list begins: it goes on by itself */
  assert_ok(build("s3://many/p/"));
  while (list.count < 2 * OF_A_PAGE)
    assert_ok(os_source_lister_take(rest, &list, 100, &probe, &ended, &test_error));
  assert_ok(os_source_lister_take(rest, &list, 100, NULL, &ended, &test_error)); /* does not wait */
  assert_false(ended);
  tell_interrupted = true;
  assert_fails(os_source_lister_take(rest, &list, 100, &probe, &ended, &test_error), OS_ERR_INTERRUPTED, "");
  double began = os_clock_monotonic();
  os_source_lister_free(rest); /* while a page is waited for */
  rest = NULL;
  assert_true(os_clock_monotonic() - began < 1);
  assert_int_equal(list.count, 2 * OF_A_PAGE);
}

/* Each allocation of a list failing in turn: an error, or nothing is missing. */
static void no_memory(void **state) {
  (void)state;
  int worked = 0;
  for (long n = 0; worked < 3 && n < 5000; n++) {
    os_alloc_fail_after(n, 1);
    int rc = build("[\"s3://few/a/\", \"s3://many/p/\"]");
    if (!rc && rest) rc = take_all(3);
    bool failed = os_alloc_count() > n;
    os_alloc_fail_after(-1, 0);
    if (rc && rc != OS_ERR_NOMEM) fail_msg("allocation %ld: %s", n, test_error.text);
    if (!rc && list.count != (1 + PAGES) * OF_A_PAGE) fail_msg("allocation %ld: %zu objects", n, list.count);
    worked += !failed;
    os_source_lister_free(rest);
    os_source_list_free(&list);
    rest = NULL;
  }
  assert_int_equal(worked, 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_page_needs_no_lister, set_up, tear_down),
      cmocka_unit_test_setup_teardown(more_than_a_page, set_up, tear_down),
      cmocka_unit_test_setup_teardown(several_urls, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_is_listed_at_once, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_url_that_names_nothing, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_list_that_breaks_off, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_first_that_breaks_off_ends_it, set_up, tear_down),
      cmocka_unit_test_setup_teardown(waiting_ends, set_up, tear_down),
      cmocka_unit_test_setup_teardown(no_memory, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
