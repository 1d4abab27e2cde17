/* Which objects a message of a queue tells of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "operations/worker/event.h"

#define RECORD(name, bucket, object)                                                                         \
  "{\"eventSource\":\"aws:s3\",\"eventName\":\"" name "\",\"s3\":{\"bucket\":{\"name\":" bucket              \
  "},\"object\":" object "}}"
#define RECORDS(list) "{\"Records\":[" list "]}"
#define CREATED(object) RECORDS(RECORD("ObjectCreated:Put", "\"bkt\"", object))
#define BRIDGE(type, object)                                                                                 \
  "{\"detail-type\":\"" type                                                                                 \
  "\",\"source\":\"aws.s3\",\"detail\":{\"bucket\":{\"name\":\"bkt\"},\"object\":"                           \
  "" object "}}"

static struct os_error error;

static int parse(const char *text, struct os_event *event) {
  os_error_clear(&error);
  return os_event_parse(text, strlen(text), event, &error);
}

static void check_same(const char *is, const char *want) {
  if (!want)
    assert_null(is);
  else
    assert_string_equal(is, want);
}

static void test_objects(void **state) {
  (void)state;
  static const struct {
    const char *text, *url, *etag, *version;
  } cases[] = {
      {CREATED("{\"key\":\"t/a.json\",\"eTag\":\"e1\",\"sequencer\":\"00\"}"), "s3://bkt/t/a.json", "e1",
       NULL},
      {CREATED("{\"key\":\"a+b%2Bc%C3%BC%25.json\",\"eTag\":\"\\\"e2\\\"\",\"versionId\":\"v1\"}"),
       "s3://bkt/a b+c\xc3\xbc%.json", "e2", "v1"},
      {CREATED("{\"key\":\"%zz%00\"}"), "s3://bkt/%zz%00", NULL, NULL}, /* no encoding stands for itself */
      {RECORDS(
           RECORD("s3:ObjectCreated:CompleteMultipartUpload", "\"bkt\"", "{\"key\":\"k\",\"eTag\":\"e-2\"}")),
       "s3://bkt/k", "e-2", NULL},
      {BRIDGE("Object Created", "{\"key\":\"a+b%2Bc \xc3\xbc\",\"etag\":\"e\",\"version-id\":\"v\"}"),
       "s3://bkt/a+b%2Bc \xc3\xbc", "e", "v"},
      {"{\"Type\":\"Notification\",\"TopicArn\":\"t\",\"Message\":\"{\\\"Records\\\":[{\\\"eventName\\\":"
       "\\\"ObjectCreated:Put\\\",\\\"s3\\\":{\\\"bucket\\\":{\\\"name\\\":\\\"bkt\\\"},\\\"object\\\":{"
       "\\\"key\\\":\\\"k\\\"}}}]}\"}",
       "s3://bkt/k", NULL, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_event event;
    if (parse(cases[i].text, &event)) fail_msg("%s: %s", cases[i].text, error.text);
    assert_int_equal(event.count, 1);
    assert_false(event.test);
    check_same(event.objects[0].url, cases[i].url);
    check_same(event.objects[0].etag, cases[i].etag);
    check_same(event.objects[0].version, cases[i].version);
    os_event_free(&event);
  }
}

static void test_what_is_ignored(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t count, ignored;
    bool test;
  } cases[] = {
      {"{\"Service\":\"Amazon S3\",\"Event\":\"s3:TestEvent\",\"Bucket\":\"bkt\"}", 0, 0, true},
      {RECORDS(RECORD("ObjectRemoved:Delete", "\"bkt\"", "{\"key\":\"k\"}")), 0, 1, false},
      {CREATED("{\"key\":\"folder/\"}"), 0, 1, false},
      {CREATED("{\"key\":\"folder%2F\"}"), 0, 1, false},
      {BRIDGE("Object Deleted", "{\"key\":\"k\"}"), 0, 1, false},
      {BRIDGE("Object Created", "{\"key\":\"f/\"}"), 0, 1, false},
      {RECORDS(RECORD("ObjectCreated:Put", "\"bkt\"", "{\"key\":\"k\"}") "," RECORD(
           "ObjectRemoved:Delete", "\"bkt\"", "{\"key\":\"k\"}") "," RECORD("ObjectCreated:Copy", "\"bkt\"",
                                                                            "{\"key\":\"l\"}")),
       2, 1, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_event event;
    if (parse(cases[i].text, &event)) fail_msg("%s: %s", cases[i].text, error.text);
    assert_int_equal(event.count, cases[i].count);
    assert_int_equal(event.ignored, cases[i].ignored);
    assert_int_equal(event.test, cases[i].test);
    os_event_free(&event);
  }
}

static void test_no_events(void **state) {
  (void)state;
  static const struct {
    const char *text, *words;
  } cases[] = {
      {"", "the message"},
      {"hello", "the message"},
      {"[1]", "is no event of S3"},
      {"{}", "is no event of S3"},
      {"{\"Records\":[]}", "is no event of S3"},
      {"{\"Records\":{}}", "is no event of S3"},
      {"{\"Records\":[1]}", "'Records' that are no events of S3"},
      {"{\"Records\":[{\"eventName\":1}]}", "'Records' that are no events of S3"},
      {CREATED("{}"), "without its bucket or key"},
      {CREATED("{\"key\":\"\"}"), "without its bucket or key"},
      {CREATED("1"), "without its bucket or key"},
      {CREATED("{\"key\":\"%ff\"}"), "no UTF-8"},
      {RECORDS(RECORD("ObjectCreated:Put", "\"a/b\"", "{\"key\":\"k\"}")), "without its bucket or key"},
      {RECORDS(RECORD("ObjectCreated:Put", "1", "{\"key\":\"k\"}")), "without its bucket or key"},
      {BRIDGE("Object Created", "{}"), "without its bucket or key"},
      {"{\"Type\":\"Notification\",\"Message\":\"hello\"}", "the message"},
      {"{\"Type\":\"Notification\",\"Message\":\"{}\"}", "is no event of S3"},
      {"{\"Type\":\"SubscriptionConfirmation\",\"Message\":\"x\"}", "is no event of S3"},
      {"{\"source\":\"aws.ec2\",\"detail-type\":\"Object Created\"}", "is no event of S3"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_event event;
    assert_int_equal(parse(cases[i].text, &event), OS_ERR_FORMAT);
    assert_non_null(strstr(error.text, cases[i].words));
    os_event_free(&event);
  }
}

/* SNS inside SNS is nobody's message: one wrapping is taken off. */
static void test_wrapped_once(void **state) {
  (void)state;
  struct os_event event;
  assert_int_equal(parse("{\"Type\":\"Notification\",\"Message\":\"{\\\"Type\\\":\\\"Notification\\\","
                         "\\\"Message\\\":\\\"{}\\\"}\"}",
                         &event),
                   OS_ERR_FORMAT);
  os_event_free(&event);
}

static void test_without_memory(void **state) {
  (void)state;
  const char *text = CREATED("{\"key\":\"k\",\"eTag\":\"e\",\"versionId\":\"v\"}");
  int rc = OS_ERR_NOMEM;
  for (long n = 0; rc != OS_OK; n++) {
    struct os_event event;
    os_alloc_fail_after(n, 1);
    rc = parse(text, &event);
    os_alloc_fail_after(-1, 0);
    assert_true(rc == OS_OK || rc == OS_ERR_NOMEM);
    os_event_free(&event);
    assert_true(n < 100);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_objects),        cmocka_unit_test(test_what_is_ignored),
      cmocka_unit_test(test_no_events),      cmocka_unit_test(test_wrapped_once),
      cmocka_unit_test(test_without_memory),
  };
  return cmocka_run_group_tests_name("operations/worker/event", tests, NULL, NULL);
}
