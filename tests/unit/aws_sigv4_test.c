/* aws_sigv4_test.c - signatures: AWS's published vectors, read from OS_TEST_VECTORS or the folder beside this
** tree, and the worked examples of the Amazon S3 API Reference ("Examples: Signature Calculations").
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "aws/sigv4.h"
#include "base/alloc.h"
#include "net/http.h"

static struct os_error test_error;

static void assert_ok(int rc) {
  if (rc) fail_msg("%d: %s", rc, test_error.text);
}

/* ---- a vector ---- */

static char *read_text(const char *folder, const char *name) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  char *text = os_calloc(1, 65536);
  size_t len = fread(text, 1, 65535, file);
  fclose(file);
  text[len] = '\0';
  return text;
}

enum { HEADERS = 16 };
struct vector {
  struct os_sigv4_request request;
  struct os_sigv4_header headers[HEADERS];
  struct os_buf path, query;
  char hash[OS_SIGV4_HASH], date[32];
  char *text; /* of request.txt; names and values point into it */
  json_t *context;
};

/* What a client does to a raw character before it sends the path or query. */
static void encode_raw(const char *text, size_t len, bool blank_too, struct os_buf *out) {
  for (size_t i = 0; i < len; i++) {
    if ((unsigned char)text[i] >= 0x80 || (blank_too && text[i] == ' '))
      os_url_encode(out, text + i, 1);
    else
      os_buf_putc(out, text[i]);
  }
}

static void add_header(struct vector *v, const char *name, const char *value) {
  assert_true(v->request.header_count < HEADERS);
  v->headers[v->request.header_count++] = (struct os_sigv4_header){name, value};
}

/* "GET /path?query HTTP/1.1"; the path itself may hold blanks. */
static char *parse_first_line(struct vector *v) {
  char *end = strchr(v->text, '\n'), *target = strchr(v->text, ' ');
  assert_non_null(end);
  *end = '\0';
  char *protocol = strstr(target, " HTTP/1.1");
  *target++ = '\0';
  *protocol = '\0';
  v->request.method = v->text;
  char *query = strchr(target, '?');
  if (query) {
    encode_raw(query + 1, strlen(query + 1), true, &v->query);
    v->request.query = v->query.data;
    *query = '\0';
  }
  encode_raw(target, strlen(target), v->request.is_s3, &v->path);
  if (!v->request.is_s3) { /* encoded once by the signature itself */
    os_buf_clear(&v->path);
    os_buf_puts(&v->path, target);
  }
  v->request.path = v->path.data;
  return end + 1;
}

/* Lines up to the empty one; a line that begins with a blank goes on with the one before. Returns the body. */
static char *parse_headers(struct vector *v, char *line) {
  while (*line && *line != '\n') {
    char *end = line, *colon = strchr(line, ':');
    do
      end += strcspn(end, "\n") + (end != line);
    while (*end && end[1] == ' ');
    bool last = !*end;
    *end = '\0';
    *colon = '\0';
    add_header(v, line, colon + 1);
    line = last ? end : end + 1;
  }
  return *line ? line + 1 : line;
}

static const char *of_context(const struct vector *v, const char *key) {
  return json_string_value(json_object_get(v->context, key));
}

static bool open_vector(struct vector *v, const char *folder) {
  memset(v, 0, sizeof *v);
  os_buf_init(&v->path, 0);
  os_buf_init(&v->query, 0);
  char *context = read_text(folder, "context.json");
  v->text = read_text(folder, "request.txt");
  if (!context || !v->text) return false;
  v->context = json_loads(context, 0, NULL);
  os_free(context);
  const json_t *credentials = json_object_get(v->context, "credentials");
  v->request.headers = v->headers;
  v->request.is_s3 = json_is_false(json_object_get(v->context, "normalize"));
  v->request.region = of_context(v, "region");
  v->request.service = of_context(v, "service");
  v->request.access_key_id = json_string_value(json_object_get(credentials, "access_key_id"));
  v->request.secret_access_key = json_string_value(json_object_get(credentials, "secret_access_key"));
  char *body = parse_headers(v, parse_first_line(v));
  size_t n = 0;
  for (const char *c = of_context(v, "timestamp"); *c; c++)
    if (*c != '-' && *c != ':') v->date[n++] = *c;
  v->request.date = v->date;
  add_header(v, "X-Amz-Date", v->date);
  const char *token = json_string_value(json_object_get(credentials, "token"));
  if (token && !json_is_true(json_object_get(v->context, "omit_session_token")))
    add_header(v, "X-Amz-Security-Token", token);
  assert_true(os_sigv4_hash(body, strlen(body), v->hash));
  v->request.payload_hash = v->hash;
  if (json_is_true(json_object_get(v->context, "sign_body"))) add_header(v, "x-amz-content-sha256", v->hash);
  return true;
}

static void close_vector(struct vector *v) {
  os_buf_free(&v->path);
  os_buf_free(&v->query);
  os_free(v->text);
  json_decref(v->context);
}

static void expect_file(const char *folder, const char *name, const char *found) {
  char *wanted = read_text(folder, name);
  assert_non_null(wanted);
  wanted[strcspn(wanted, "\r") == strlen(wanted) ? strlen(wanted) : strcspn(wanted, "\r")] = '\0';
  if (strcmp(wanted, found)) fail_msg("%s/%s:\n%s\n---- found\n%s", folder, name, wanted, found);
  os_free(wanted);
}

static void check_vector(const char *folder) {
  struct vector v;
  struct os_buf canonical, text, authorization;
  char hash[OS_SIGV4_HASH];
  os_buf_init(&canonical, 0);
  os_buf_init(&text, 0);
  os_buf_init(&authorization, 0);
  assert_true(open_vector(&v, folder));
  assert_ok(os_sigv4_canonical(&v.request, &canonical, &test_error));
  expect_file(folder, "header-canonical-request.txt", canonical.data);
  assert_true(os_sigv4_hash(canonical.data, canonical.len, hash));
  assert_ok(os_sigv4_string_to_sign(&v.request, hash, &text, &test_error));
  expect_file(folder, "header-string-to-sign.txt", text.data);
  assert_ok(os_sigv4_sign(&v.request, &authorization, &test_error));
  expect_file(folder, "header-signature.txt", strstr(authorization.data, "Signature=") + 10);
  char *signed_request = read_text(folder, "header-signed-request.txt");
  assert_non_null(strstr(signed_request, authorization.data));
  os_free(signed_request);
  os_buf_free(&canonical);
  os_buf_free(&text);
  os_buf_free(&authorization);
  close_vector(&v);
}

static void test_published_vectors(void **state) {
  (void)state;
  const char *given = getenv("OS_TEST_VECTORS");
  char folder[1024];
  snprintf(folder, sizeof folder, "%s/aws-c-auth/tests/aws-signing-test-suite/v4",
           given ? given : "../shared/vectors");
  DIR *all = opendir(folder);
  if (!all) {
    print_message("  skipped: AWS's vectors are not in %s (OS_TEST_VECTORS)\n", folder);
    skip();
  }
  int count = 0;
  for (struct dirent *entry; (entry = readdir(all));) {
    if (entry->d_name[0] == '.') continue;
    char one[2048];
    snprintf(one, sizeof one, "%s/%s", folder, entry->d_name);
    check_vector(one);
    count++;
  }
  closedir(all);
  assert_int_equal(count, 38);
}

/* ---- Amazon's worked examples ---- */

static const char NOTHING[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void expect_s3(const char *method, const char *path, const char *query, const char *payload_hash,
                      const struct os_sigv4_header *more, const char *signature) {
  struct os_sigv4_header headers[8] = {{"Host", "examplebucket.s3.amazonaws.com"},
                                       {"x-amz-content-sha256", payload_hash},
                                       {"x-amz-date", "20130524T000000Z"}};
  size_t count = 3;
  for (; more && more->name; more++)
    headers[count++] = *more;
  struct os_sigv4_request request = {.method = method,
                                     .path = path,
                                     .query = query,
                                     .headers = headers,
                                     .header_count = count,
                                     .payload_hash = payload_hash,
                                     .date = "20130524T000000Z",
                                     .region = "us-east-1",
                                     .service = "s3",
                                     .access_key_id = "AKIAIOSFODNN7EXAMPLE",
                                     .secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                     .is_s3 = true};
  struct os_buf out;
  os_buf_init(&out, 0);
  assert_ok(os_sigv4_sign(&request, &out, &test_error));
  assert_string_equal(strstr(out.data, "Signature=") + 10, signature);
  os_buf_free(&out);
}

static void test_worked_examples(void **state) {
  (void)state;
  static const struct os_sigv4_header range[] = {{"Range", "bytes=0-9"}, {NULL, NULL}};
  static const struct os_sigv4_header put[] = {
      {"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}, {NULL, NULL}};
  char hash[OS_SIGV4_HASH];
  expect_s3("GET", "/test.txt", NULL, NOTHING, range,
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  assert_true(os_sigv4_hash("Welcome to Amazon S3.", 21, hash));
  expect_s3("PUT", "/test%24file.text", NULL, hash, put,
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  expect_s3("GET", "/", "lifecycle", NOTHING, NULL,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  expect_s3("GET", "/", "max-keys=2&prefix=J", NOTHING, NULL,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/* ---- what the vectors do not ask ---- */

static void sign_of_day(const char *date, const char *path, struct os_sigv4_key *key, struct os_buf *out) {
  struct os_sigv4_header headers[2] = {{"host", "h"}, {"x-amz-date", date}};
  struct os_sigv4_request request = {.method = "GET",
                                     .path = path,
                                     .headers = headers,
                                     .header_count = 2,
                                     .payload_hash = NOTHING,
                                     .date = date,
                                     .region = "r",
                                     .service = "s3",
                                     .access_key_id = "A",
                                     .secret_access_key = "S",
                                     .key = key};
  os_buf_init(out, 0);
  assert_ok(os_sigv4_sign(&request, out, &test_error));
}

/* A key that is kept changes no signature, and is not used on another day. */
static void test_kept_key(void **state) {
  (void)state;
  static const char *const dates[] = {"20130524T000000Z", "20130524T235959Z", "20130525T000000Z",
                                      "20130524T120000Z"};
  struct os_sigv4_key key = {.day = ""};
  for (size_t i = 0; i < 8; i++) {
    struct os_buf with, without;
    sign_of_day(dates[i / 2], i % 2 ? "/a" : "/b", &key, &with);
    sign_of_day(dates[i / 2], i % 2 ? "/a" : "/b", NULL, &without);
    assert_string_equal(with.data, without.data);
    assert_memory_equal(key.day, dates[i / 2], 8);
    os_buf_free(&with);
    os_buf_free(&without);
  }
  struct os_buf spoilt;
  char right[200];
  sign_of_day(dates[0], "/a", &key, &spoilt);
  snprintf(right, sizeof right, "%s", spoilt.data);
  os_buf_free(&spoilt);
  key.bytes[0] ^= 1; /* it is what signs */
  sign_of_day(dates[0], "/a", &key, &spoilt);
  assert_string_not_equal(spoilt.data, right);
  os_buf_free(&spoilt);
}

static void expect_canonical(const char *path, const char *query, bool is_s3, const char *wanted) {
  struct os_sigv4_header host = {"host", "h"};
  struct os_sigv4_request request = {.method = "GET",
                                     .path = path,
                                     .query = query,
                                     .headers = &host,
                                     .header_count = 1,
                                     .payload_hash = "x",
                                     .is_s3 = is_s3};
  struct os_buf out;
  os_buf_init(&out, 0);
  assert_ok(os_sigv4_canonical(&request, &out, &test_error));
  char *end = strstr(out.data, "\nhost:h\n");
  assert_non_null(end);
  *end = '\0';
  assert_string_equal(out.data + 4, wanted);
  os_buf_free(&out);
}

static void test_paths_and_queries(void **state) {
  (void)state;
  expect_canonical("/i/_doc/a%2Fb", NULL, false, "/i/_doc/a%252Fb\n");
  expect_canonical("/b/a//b/../c%20d", NULL, true, "/b/a//b/../c%20d\n");
  expect_canonical("/a/./b/..", NULL, false, "/a/\n");
  expect_canonical("/../..", "", false, "/\n");
  expect_canonical("/a/", "b&a=2&a=1&&a-=0&c=%2f~", false, "/a/\na=1&a=2&a-=0&b=&c=%2F~");
  expect_canonical("/", "q=100%&r=%4", false, "/\nq=100%25&r=%254");
}

static void expect_clean(const char *query, const char *wanted) {
  struct os_buf out;
  os_buf_init(&out, 0);
  os_buf_puts(&out, "");
  os_sigv4_clean_query(query, &out);
  assert_string_equal(out.data, wanted);
  os_buf_free(&out);
}

static void test_clean_queries(void **state) {
  (void)state;
  expect_clean("pretty", "pretty=");
  expect_clean("q=a+b:c&x=%7e%2f&y=%C3%bc", "q=a%20b%3Ac&x=~%2F&y=%C3%BC");
  expect_clean("b=2&a=1=1", "b=2&a=1%3D1");
  expect_clean("", "");
  expect_clean(NULL, "");
}

static void test_no_memory(void **state) {
  (void)state;
  struct os_sigv4_header headers[2] = {{"host", "h"}, {"x-amz-date", "20130524T000000Z"}};
  struct os_sigv4_request request = {.method = "GET",
                                     .path = "/a/b",
                                     .query = "a=1&b=2",
                                     .headers = headers,
                                     .header_count = 2,
                                     .payload_hash = NOTHING,
                                     .date = "20130524T000000Z",
                                     .region = "r",
                                     .service = "es",
                                     .access_key_id = "A",
                                     .secret_access_key = "S"};
  int rc = OS_ERR_NOMEM, tries = 0;
  for (; rc == OS_ERR_NOMEM && tries < 100; tries++) {
    struct os_buf out;
    os_buf_init(&out, 0);
    os_alloc_fail_after(tries, 0);
    rc = os_sigv4_sign(&request, &out, &test_error);
    os_alloc_fail_after(-1, 0);
    os_buf_free(&out);
  }
  assert_ok(rc);
  assert_true(tries > 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_published_vectors), cmocka_unit_test(test_worked_examples),
      cmocka_unit_test(test_paths_and_queries), cmocka_unit_test(test_clean_queries),
      cmocka_unit_test(test_no_memory),         cmocka_unit_test(test_kept_key),
  };
  return cmocka_run_group_tests_name("aws/sigv4", tests, NULL, NULL);
}
