/* aws_s3_test.c - what is pure about S3: URLs, paths, pages of a list, dates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "aws/s3/address.h"
#include "aws/s3/listing.h"
#include "base/alloc.h"

static struct os_error test_error;

#define assert_ok(call)                                                                                      \
  do {                                                                                                       \
    os_error_clear(&test_error);                                                                             \
    int assert_rc = (call);                                                                                  \
    if (assert_rc) fail_msg("%d: %s", assert_rc, test_error.text);                                           \
  } while (0)

/* ---- URLs ---- */

static void urls_are_taken_byte_for_byte(void **state) {
  (void)state;
  static const struct {
    const char *url, *bucket, *key;
  } cases[] = {
      {"s3://bucket/", "bucket", ""},
      {"s3://bucket/a/b.csv", "bucket", "a/b.csv"},
      {"s3://my.bucket-1/p/", "my.bucket-1", "p/"},
      {"s3://bucket//a//b", "bucket", "/a//b"},
      {"s3://bucket/a b+c%41?d#e", "bucket", "a b+c%41?d#e"},
      {"s3://bucket/\xc3\xa4.csv", "bucket", "\xc3\xa4.csv"},
      {"s3://Old_Bucket/x", "Old_Bucket", "x"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char bucket[OS_S3_BUCKET_NAME];
    const char *key = NULL;
    assert_ok(os_s3_url_parse(cases[i].url, bucket, &key, &test_error));
    assert_string_equal(bucket, cases[i].bucket);
    assert_string_equal(key, cases[i].key);
  }
}

static void wrong_urls_are_explained(void **state) {
  (void)state;
  char long_key[1100] = "s3://bucket/";
  memset(long_key + 12, 'k', 1025);
  static const char *const cases[][2] = {
      {"s3://", "names no bucket"},
      {"s3:///key", "names no bucket"},
      {"s3://bucket", "is a bucket, not a prefix"},
      {"s3://ab/x", "2 characters"},
      {"s3://arn:aws:s3:eu-west-1:1:accesspoint/x", "an ARN"},
      {"s3://a bucket/x", "no name of a bucket"},
      {"s3://b\xc3\xbc"
       "cket/x",
       "no name of a bucket"},
      {NULL, "1025 bytes"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char bucket[OS_S3_BUCKET_NAME];
    const char *key = NULL, *url = cases[i][0] ? cases[i][0] : long_key;
    assert_int_equal(os_s3_url_parse(url, bucket, &key, &test_error), OS_ERR_ARGUMENT);
    if (!strstr(test_error.text, cases[i][1])) fail_msg("%s: %s", url, test_error.text);
  }
}

static void paths_are_encoded_once(void **state) {
  (void)state;
  static const struct {
    bool in_host;
    const char *key, *path;
  } cases[] = {
      {false, NULL, "/bucket"},
      {false, "", "/bucket/"},
      {true, NULL, "/"},
      {true, "a b", "/a%20b"},
      {false, "p//q/./../r", "/bucket/p//q/./../r"},
      {false, "+%41~_-.!'()*", "/bucket/%2B%2541~_-.%21%27%28%29%2A"},
      {false, "\xf0\x9f\x98\x80/", "/bucket/%F0%9F%98%80/"},
      {true, "/x", "//x"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_buf out;
    os_buf_init(&out, 0);
    os_s3_put_path(&out, "bucket", cases[i].in_host, cases[i].key);
    assert_string_equal(out.data, cases[i].path);
    os_buf_free(&out);
  }
}

static void some_buckets_fit_into_host_names(void **state) {
  (void)state;
  static const char *const fits[] = {"bucket", "my-bucket-1", "123", NULL};
  static const char *const others[] = {"my.bucket", "Bucket", "a_b", "-abc", "abc-", NULL};
  for (int i = 0; fits[i]; i++)
    assert_true(os_s3_fits_host(fits[i]));
  for (int i = 0; others[i]; i++)
    assert_false(os_s3_fits_host(others[i]));
  struct os_buf url;
  os_buf_init(&url, 0);
  os_s3_put_host_url(&url, "https://s3.eu-west-1.amazonaws.com", "my-bucket");
  assert_string_equal(url.data, "https://my-bucket.s3.eu-west-1.amazonaws.com");
  os_buf_free(&url);
}

/* ---- pages ---- */

static const char page_head[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<ListBucketResult "
    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>bucket</Name><Prefix>a/</Prefix>";
#define OBJECT(key, size, time)                                                                              \
  "<Contents><Key>" key "</Key><LastModified>" time                                                          \
  "</LastModified><ETag>&quot;0123456789abcdef&quot;</ETag><Size>" size                                      \
  "</Size><StorageClass>STANDARD</StorageClass><Owner><ID>x</ID></Owner></Contents>"

static int read_page(const char *body, struct os_s3_page *page) {
  char *text = os_mprintf("%s%s</ListBucketResult>", page_head, body);
  os_error_clear(&test_error);
  int rc = os_s3_page_read(text, strlen(text), page, &test_error);
  os_free(text);
  return rc;
}

static void a_page_is_read(void **state) {
  (void)state;
  struct os_s3_page page;
  assert_ok(
      read_page("<IsTruncated>true</IsTruncated><NextContinuationToken>1/+=a b&amp;"
                "</NextContinuationToken>" OBJECT("a/x &amp; y.csv", "12", "2026-11-21T10:00:00.000Z")
                    OBJECT("a/%41+z", "5368709120",
                           "2026-11-21T10:00:00Z") "<CommonPrefixes><Prefix>a/b/</Prefix></CommonPrefixes>",
                &page));
  assert_int_equal(page.count, 2);
  assert_string_equal(page.objects[0].key, "a/x & y.csv");
  assert_string_equal(page.objects[0].etag, "0123456789abcdef");
  assert_int_equal(page.objects[0].size, 12);
  assert_true(page.objects[0].modified_ns == 1795255200000000000);
  assert_string_equal(page.objects[1].key, "a/%41+z"); /* not said to be encoded */
  assert_true(page.objects[1].size == 5368709120u);
  assert_true(page.objects[1].modified_ns == page.objects[0].modified_ns);
  assert_true(page.truncated);
  assert_string_equal(page.token, "1/+=a b&");
  assert_int_equal(page.prefix_count, 1);
  assert_string_equal(page.prefixes[0], "a/b/");
  os_s3_page_free(&page);
}

static void keys_are_decoded_when_the_answer_says_so(void **state) {
  (void)state;
  struct os_s3_page page;
  /* also when the word comes last */
  assert_ok(read_page(
      OBJECT("a/b+c%2Bd%20e%25f%C3%A4%0a%zz%", "1",
             "2026-11-21T10:00:00Z") "<CommonPrefixes><Prefix>a+b/</Prefix></CommonPrefixes>"
                                     "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>",
      &page));
  assert_string_equal(page.objects[0].key, "a/b c+d e%f\xc3\xa4\n%zz%");
  assert_string_equal(page.prefixes[0], "a b/");
  assert_false(page.truncated);
  assert_null(page.token);
  os_s3_page_free(&page);
}

static void odd_pages_are_refused(void **state) {
  (void)state;
  struct os_s3_page page;
  static const char *const cases[][2] = {
      {OBJECT("k", "-1", "2026-11-21T10:00:00Z"), "size '-1'"},
      {OBJECT("k", "1", "yesterday"), "time 'yesterday'"},
      {"<Contents><Key>k</Key><Size>1</Size></Contents>", "without a key or an ETag"},
      {"<IsTruncated>true</IsTruncated>", "said to go on"},
      {"<Contents>", "XML"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(read_page(cases[i][0], &page), OS_ERR_ANSWER);
    if (!strstr(test_error.text, cases[i][1])) fail_msg("%s: %s", cases[i][0], test_error.text);
    assert_int_equal(page.count, 0);
  }
}

static void queries_are_encoded(void **state) {
  (void)state;
  struct os_buf out;
  os_buf_init(&out, 0);
  struct os_s3_list_query query = {.prefix = "a/ +", .after = "a/\xc3\xa4"};
  os_s3_put_list_query(&out, &query);
  assert_string_equal(out.data, "list-type=2&encoding-type=url&prefix=a%2F%20%2B&start-after=a%2F%C3%A4");
  os_buf_clear(&out);
  query = (struct os_s3_list_query){.prefix = "", .delimiter = "/", .token = "1/+=", .after = "x"};
  os_s3_put_list_query(&out, &query);
  assert_string_equal(out.data,
                      "list-type=2&encoding-type=url&prefix=&delimiter=%2F&continuation-token=1%2F%2B%3D");
  os_buf_free(&out);
}

static void dates_of_headers_are_read(void **state) {
  (void)state;
  double seconds = 0;
  const char date[] = "Sat, 21 Nov 2026 10:00:00 GMT";
  assert_true(os_s3_parse_date(date, strlen(date), &seconds));
  assert_true(seconds == 1795255200);
  static const char *const wrong[] = {"", "Sat, 21 Nov 2026 10:00:00 CET", "Sat, 21 Nob 2026 10:00:00 GMT",
                                      "Saturday, 21-Nov-26 10:00:00 GMT", "Sat, 99 Nov 2026 10:00:00 GMT"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_false(os_s3_parse_date(wrong[i], strlen(wrong[i]), &seconds));
}

/* Each allocation may fail, and nothing is left behind (the sanitizer looks). */
static void no_memory_is_said(void **state) {
  (void)state;
  struct os_s3_page page;
  for (long n = 0;; n++) {
    char *text = os_mprintf("%s%s<CommonPrefixes><Prefix>p</Prefix></CommonPrefixes><NextContinuationToken>t"
                            "</NextContinuationToken></ListBucketResult>",
                            page_head, OBJECT("k", "1", "2026-11-21T10:00:00Z"));
    os_alloc_fail_after(n, 0);
    int rc = os_s3_page_read(text, strlen(text), &page, &test_error);
    os_alloc_fail_after(-1, 0);
    os_free(text);
    os_s3_page_free(&page);
    if (!rc) break;
    assert_int_equal(rc, OS_ERR_NOMEM);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(urls_are_taken_byte_for_byte),
      cmocka_unit_test(wrong_urls_are_explained),
      cmocka_unit_test(paths_are_encoded_once),
      cmocka_unit_test(some_buckets_fit_into_host_names),
      cmocka_unit_test(a_page_is_read),
      cmocka_unit_test(keys_are_decoded_when_the_answer_says_so),
      cmocka_unit_test(odd_pages_are_refused),
      cmocka_unit_test(queries_are_encoded),
      cmocka_unit_test(dates_of_headers_are_read),
      cmocka_unit_test(no_memory_is_said),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
