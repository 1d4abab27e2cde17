/* aws_service_test.c - XML answers, the faults of services, and the signer that requests go by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "aws/service.h"
#include "aws/xml.h"
#include "base/alloc.h"
#include "base/clock.h"

static struct os_error error;

/* ---- XML ---- */

static int note(void *ctx, const char *path, const char *text, size_t len) {
  struct os_buf *seen = ctx;
  os_buf_printf(seen, "%s=%.*s;", path, (int)len, text);
  return strstr(path, "Stop") ? OS_ERR_CANCELLED : OS_OK;
}

static int read_xml(const char *xml, struct os_buf *seen) {
  os_buf_init(seen, 0);
  os_error_clear(&error);
  return os_xml_read(xml, strlen(xml), note, seen, &error);
}

static void elements(void **state) {
  (void)state;
  struct os_buf seen;
  assert_int_equal(read_xml("<?xml version=\"1.0\"?>\n<a xmlns=\"x\" xmlns:n=\"y\"><n:b>1 &lt; "
                            "&#x41;</n:b><b/>t<c><d>2</d></c></a>",
                            &seen),
                   OS_OK);
  assert_string_equal(seen.data, "/a/b=1 < A;/a/b=;/a/c/d=2;/a/c=;/a=t;");
  os_buf_free(&seen);
  assert_int_equal(read_xml("<a><Stop>x</Stop><b/></a>", &seen), OS_ERR_CANCELLED);
  assert_string_equal(seen.data, "/a/Stop=x;");
  os_buf_free(&seen);
}

static void bad_xml(void **state) {
  (void)state;
  static const char *const bad[] = {
      "",           "no",           "<a>",
      "<a></b>",    "<a>&lol;</a>", "<!DOCTYPE a [<!ENTITY lol \"lol\">]><a>&lol;</a>",
      "<a>\xff</a>"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct os_buf seen;
    assert_int_equal(read_xml(bad[i], &seen), OS_ERR_ANSWER);
    assert_non_null(strstr(error.text, "XML"));
    os_buf_free(&seen);
  }
  struct os_buf deep, seen;
  os_buf_init(&deep, 0);
  for (int i = 0; i < 100; i++)
    os_buf_puts(&deep, "<a>");
  assert_int_equal(read_xml(deep.data, &seen), OS_ERR_ANSWER);
  os_buf_free(&deep);
  os_buf_free(&seen);
}

/* ---- faults ---- */

static struct os_endpoint endpoint = {
    .url = (char *)(uintptr_t) "http://127.0.0.1:1", .name = NULL, .setting = "AWS_ENDPOINT_URL_S3"};

static void read_fault(int status, const char *answer, struct os_aws_fault *fault) {
  static const struct os_aws_action action = {"s3:GetObject", "s3://b/k"};
  struct os_http_call call;
  os_http_call_init(&call, &endpoint, "GET", "/");
  call.status = status;
  os_buf_puts(&call.answer, answer);
  os_aws_fault_read(&call, fault);
  os_aws_fail(&call, &action, fault, &error);
  os_http_call_free(&call);
}

static void faults(void **state) {
  (void)state;
  static const struct {
    int status;
    const char *answer, *code, *message;
    enum os_code error;
    bool passes;
    const char *text, *advice;
  } cases[] = {
      {404, "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>gone</Message></Error>",
       "NoSuchKey", "gone", OS_ERR_NOT_FOUND, false,
       "s3:GetObject on s3://b/k was answered with 404 (NoSuchKey): gone", ""},
      {403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", "AccessDenied",
       "Access Denied", OS_ERR_FORBIDDEN, false, "403 (AccessDenied)", "must allow s3:GetObject on s3://b/k"},
      {403, "<Error><Code>InvalidAccessKeyId</Code></Error>", "InvalidAccessKeyId", "", OS_ERR_FORBIDDEN,
       false, "403 (InvalidAccessKeyId)", "does not know the access key"},
      {403,
       "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>m</Message></Error></ErrorResponse>",
       "SignatureDoesNotMatch", "m", OS_ERR_FORBIDDEN, false, "SignatureDoesNotMatch",
       "AWS_SECRET_ACCESS_KEY"},
      {403, "<Error><Code>RequestTimeTooSkewed</Code><Message>m</Message></Error>", "RequestTimeTooSkewed",
       "m", OS_ERR_FORBIDDEN, false, "RequestTimeTooSkewed", "this machine's clock"},
      {403, "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired: 1 is now earlier\"}",
       "InvalidSignatureException", "Signature expired: 1 is now earlier", OS_ERR_FORBIDDEN, false, "expired",
       "this machine's clock"},
      {403,
       "{\"__type\":\"SignatureDoesNotMatch\",\"message\":\"Credential should be scoped to correct service: "
       "'sqs'.\"}",
       "SignatureDoesNotMatch", "Credential should be scoped to correct service: 'sqs'.", OS_ERR_FORBIDDEN,
       false, "correct service", "is another service"},
      {400, "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"no queue\"}",
       "QueueDoesNotExist", "no queue", OS_ERR_REFUSED, false, "400 (QueueDoesNotExist): no queue", ""},
      {400, "{\"__type\":\"ThrottlingException\",\"Message\":\"slow\"}", "ThrottlingException", "slow",
       OS_ERR_REFUSED, true, "slow", ""},
      {503, "<Error><Code>SlowDown</Code></Error>", "SlowDown", "", OS_ERR_BUSY, true, "503 (SlowDown)", ""},
      {500, "<html>", "", "", OS_ERR_BUSY, true, "500 (no code)", ""},
      {403, "", "", "", OS_ERR_FORBIDDEN, false, "403 (no code)", "must allow"},
      {400, "<Error><Code>InvalidToken</Code></Error>", "InvalidToken", "", OS_ERR_REFUSED, false,
       "400 (InvalidToken)", "look at AWS_ACCESS_KEY_ID, AWS_SESSION_TOKEN"},
      {400, "<Error><Code>InvalidBucketName</Code><Message>not valid</Message></Error>", "InvalidBucketName",
       "not valid", OS_ERR_REFUSED, false, "400 (InvalidBucketName)", "3 to 63 lower-case letters, digits"},
      {405, "<Error><Code>MethodNotAllowed</Code></Error>", "MethodNotAllowed", "", OS_ERR_REFUSED, false,
       "405 (MethodNotAllowed)", "is http://127.0.0.1:1 the address of this service? AWS_ENDPOINT_URL_S3"},
      {404, "<html>", "", "", OS_ERR_NOT_FOUND, false, "404 (no code)",
       "is http://127.0.0.1:1 the address of this service?"},
      {400, "<Error><Code>Odd</Code></Error>", "Odd", "", OS_ERR_REFUSED, false, "400 (Odd)",
       "look at the name s3://b/k"},
      {301, "<Error><Code>PermanentRedirect</Code><Region>eu-west-1</Region></Error>", "PermanentRedirect",
       "", OS_ERR_ANSWER, false, "301", "region eu-west-1"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct os_aws_fault fault;
    read_fault(cases[i].status, cases[i].answer, &fault);
    assert_string_equal(fault.code, cases[i].code);
    assert_string_equal(fault.message, cases[i].message);
    assert_int_equal(error.code, cases[i].error);
    assert_int_equal(os_aws_fault_passes(cases[i].status, &fault), cases[i].passes);
    if (!strstr(error.text, cases[i].text)) fail_msg("'%s' is not in '%s'", cases[i].text, error.text);
    if (!strstr(error.advice, cases[i].advice))
      fail_msg("'%s' is not in '%s'", cases[i].advice, error.advice);
  }
}

static void long_faults_are_cut(void **state) {
  (void)state;
  struct os_aws_fault fault;
  struct os_buf answer;
  os_buf_init(&answer, 0);
  os_buf_puts(&answer, "<Error><Code>");
  for (int i = 0; i < 1000; i++)
    os_buf_puts(&answer, "code");
  os_buf_puts(&answer, "</Code></Error>");
  read_fault(400, answer.data, &fault);
  assert_int_equal(strlen(fault.code), sizeof fault.code - 1);
  os_buf_free(&answer);
}

/* ---- the signer ---- */

static struct os_credentials *credentials;
static struct os_signer *signer;

static void make_signer(enum os_aws_service service, const char *token) {
  assert_int_equal(os_credentials_fixed(&credentials, "AKID", "a-secret", token, &error), OS_OK);
  assert_int_equal(os_aws_signer_new(&signer, service, "eu-west-1", credentials, &error), OS_OK);
}

static void drop_signer(void) {
  os_signer_unref(signer);
  os_credentials_unref(credentials);
}

static unsigned sign(const char *url, const char *const *headers, struct os_buf *lines) {
  unsigned serial = 0;
  struct os_sign_input input = {"POST", url, "{}", 2, headers, &serial};
  os_buf_init(lines, 0);
  assert_int_equal(signer->does->sign(signer, &input, lines, &error), OS_SIGN_READY);
  return serial;
}

static void which_headers(void **state) {
  (void)state;
  static const char *const own[] = {"X-Amz-Target: AmazonSQS.SendMessage", "Accept: */*", NULL};
  struct os_buf lines;
  make_signer(OS_AWS_ES, NULL);
  sign("http://Host:80/a", NULL, &lines);
  assert_non_null(strstr(lines.data, "SignedHeaders=host;x-amz-date, "));
  assert_non_null(strstr(lines.data, "/eu-west-1/es/aws4_request"));
  assert_null(strstr(lines.data, "a-secret"));
  os_buf_free(&lines);
  drop_signer();
  make_signer(OS_AWS_S3, "a-token");
  sign("http://host:9000/a", own, &lines);
  assert_non_null(strstr(
      lines.data, "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-target, "));
  assert_non_null(strstr(lines.data, "X-Amz-Security-Token: a-token\n"));
  /* sha256 of "{}" */
  assert_non_null(
      strstr(lines.data,
             "X-Amz-Content-Sha256: 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\n"));
  os_buf_free(&lines);
  char text[] = "a-secret and a-token";
  signer->does->redact(signer, text);
  assert_null(strstr(text, "a-secret"));
  assert_null(strstr(text, "a-token"));
  drop_signer();
}

static bool refused(unsigned serial, const char *answer, double date) {
  return signer->does->refused(signer, serial, answer, strlen(answer), date);
}

/* The stamp of a signature, as seconds of its day. */
static int stamp(const struct os_buf *lines) {
  const char *at = strstr(lines->data, "X-Amz-Date: ") + 12 + 9;
  return ((at[0] - '0') * 10 + at[1] - '0') * 3600 + ((at[2] - '0') * 10 + at[3] - '0') * 60;
}

static void the_clock_is_corrected_once(void **state) {
  (void)state;
  static const char expired[] = "{\"message\":\"Signature expired: 2026 is now earlier than 2027\"}";
  struct os_buf lines;
  make_signer(OS_AWS_ES, NULL);
  unsigned serial = sign("http://host/", NULL, &lines);
  int before = stamp(&lines);
  os_buf_free(&lines);
  assert_false(refused(serial, "{\"message\":\"not authorized\"}", os_clock_unix() + 7200));
  assert_false(refused(serial, expired, -1)); /* a server without a clock */
  assert_false(refused(serial, expired, os_clock_unix() + 5));
  assert_true(refused(serial, expired, os_clock_unix() + 7200));
  assert_true(
      refused(serial, expired, os_clock_unix() + 7200)); /* another request, signed before the correction */
  unsigned later = sign("http://host/", NULL, &lines);
  assert_int_not_equal(later, serial);
  int ahead = (stamp(&lines) - before + 86400) % 86400;
  assert_true(ahead >= 7200 && ahead <= 7260);
  os_buf_free(&lines);
  assert_false(refused(later, expired, os_clock_unix() + 7200)); /* it was not the clock */
  drop_signer();
}

static void fixed_keys_cannot_be_renewed(void **state) {
  (void)state;
  struct os_buf lines;
  make_signer(OS_AWS_S3, "a-token");
  unsigned serial = sign("http://host/", NULL, &lines);
  assert_false(refused(serial, "<Error><Code>ExpiredToken</Code></Error>", -1));
  os_buf_free(&lines);
  drop_signer();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(elements),
      cmocka_unit_test(bad_xml),
      cmocka_unit_test(faults),
      cmocka_unit_test(long_faults_are_cut),
      cmocka_unit_test(which_headers),
      cmocka_unit_test(the_clock_is_corrected_once),
      cmocka_unit_test(fixed_keys_cannot_be_renewed),
  };
  return cmocka_run_group_tests_name("aws/service", tests, NULL, NULL);
}
