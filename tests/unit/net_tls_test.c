/* net_tls_test.c - certificates good and bad, TLS to a plain port and plain text to a TLS port. The
** server and its certificates are made here with OpenSSL.
*/
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include "base/clock.h"
#include "net/http.h"
#include "scripted_server.h"

static struct os_net *net;
static struct os_endpoint endpoint;
static struct os_error error;
static struct scripted_server server;
static char url[64], ca_file[64];
static EVP_PKEY *ca_key;
static X509 *ca;

/* Signed by ca (or by itself while there is none); valid from `from` to `to` seconds from now. */
static X509 *make_certificate(EVP_PKEY *key, const char *name, const char *alternative, long from, long to) {
  static long serial = 1;
  X509 *certificate = X509_new();
  X509V3_CTX ctx;
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), from);
  X509_gmtime_adj(X509_getm_notAfter(certificate), to);
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             (const unsigned char *)name, -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(ca ? ca : certificate));
  X509V3_set_ctx(&ctx, ca ? ca : certificate, certificate, NULL, NULL, 0);
  X509_EXTENSION *extension =
      alternative ? X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, alternative)
                  : X509V3_EXT_conf_nid(NULL, &ctx, NID_basic_constraints, "critical,CA:TRUE");
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  X509_sign(certificate, ca ? ca_key : key, EVP_sha256());
  return certificate;
}

static void serve_tls(struct visit *visit) {
  SSL *ssl = SSL_new(visit->server->ctx);
  SSL_set_fd(ssl, visit->fd);
  if (SSL_accept(ssl) == 1) {
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    char request[4096];
    while (SSL_read(ssl, request, sizeof request) > 0)
      SSL_write(ssl, answer, sizeof answer - 1);
  }
  SSL_free(ssl);
  ERR_clear_error();
}

static void point_at(const char *scheme, int port) {
  snprintf(url, sizeof url, "%s://127.0.0.1:%d", scheme, port);
  memset(&endpoint, 0, sizeof endpoint);
  atomic_init(&endpoint.references, 1);
  endpoint.name = "main";
  endpoint.url = url;
  endpoint.verify_ssl = endpoint.verify_hostname = true;
  endpoint.timeout = 10;
  endpoint.ca_bundle = ca_file;
}

/* One GET; whatever fails before the request must say that nothing was sent. */
static int ask(void) {
  struct os_http_call call;
  os_http_call_init(&call, &endpoint, "GET", "/");
  os_error_clear(&error);
  int rc = os_http_roundtrip(net, &call, NULL, &error);
  assert_int_equal(call.maybe_sent, rc == OS_OK);
  os_http_call_free(&call);
  double until = os_clock_monotonic() + 5; /* the network thread lets go a moment after the answer */
  while (atomic_load(&endpoint.references) != 1 && os_clock_monotonic() < until)
    os_clock_sleep_ms(1);
  assert_int_equal(atomic_load(&endpoint.references), 1);
  return rc;
}

static void says(const char *words) {
  if (!strstr(error.text, words) && !strstr(error.advice, words))
    fail_msg("'%s' is not in '%s; %s'", words, error.text, error.advice);
}

static void open_server(const char *alternative, long from, long to) {
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *certificate = make_certificate(key, "node", alternative, from, to);
  SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
  SSL_CTX_use_certificate(ctx, certificate);
  SSL_CTX_use_PrivateKey(ctx, key);
  X509_free(certificate);
  EVP_PKEY_free(key);
  server_start(&server, serve_tls, ctx);
  point_at("https", server.port);
}

static void close_server(void) {
  server_stop(&server);
  SSL_CTX_free(server.ctx);
}

enum { DAY = 86400 };

static void good_certificate(void **state) {
  (void)state;
  open_server("IP:127.0.0.1", -DAY, DAY);
  assert_int_equal(ask(), OS_OK);
  endpoint.ca_bundle = NULL; /* then the environment, in this order */
  setenv("SSL_CERT_FILE", ca_file, 1);
  assert_int_equal(ask(), OS_OK);
  setenv("CURL_CA_BUNDLE", "/nonexistent/bundle.pem", 1);
  close_server();
  open_server("IP:127.0.0.1", -DAY, DAY);
  endpoint.ca_bundle = NULL;
  assert_int_equal(ask(), OS_ERR_TLS);
  setenv("CURL_CA_BUNDLE", ca_file, 1);
  unsetenv("SSL_CERT_FILE");
  assert_int_equal(ask(), OS_OK);
  unsetenv("CURL_CA_BUNDLE");
  close_server();
}

static void unknown_authority(void **state) {
  (void)state;
  open_server("IP:127.0.0.1", -DAY, DAY);
  endpoint.ca_bundle = NULL;
  assert_int_equal(ask(), OS_ERR_TLS);
  says("not signed by a CA known here");
  says("CA_BUNDLE");
  endpoint.name = "old";
  assert_int_equal(ask(), OS_ERR_TLS);
  says("set ca_bundle");
  endpoint.verify_hostname = false; /* that alone still checks the chain */
  assert_int_equal(ask(), OS_ERR_TLS);
  endpoint.verify_ssl = false;
  assert_int_equal(ask(), OS_OK);
  close_server();
}

static void expired(void **state) {
  (void)state;
  open_server("IP:127.0.0.1", -2 * DAY, -DAY);
  assert_int_equal(ask(), OS_ERR_TLS);
  says("has expired");
  close_server();
  open_server("IP:127.0.0.1", DAY, 2 * DAY);
  assert_int_equal(ask(), OS_ERR_TLS);
  says("not valid yet");
  close_server();
}

static void another_name(void **state) {
  (void)state;
  open_server("DNS:elsewhere.example", -DAY, DAY);
  assert_int_equal(ask(), OS_ERR_TLS);
  says("made for another host name");
  says("VERIFY_HOSTNAME");
  endpoint.verify_hostname = false;
  assert_int_equal(ask(), OS_OK);
  close_server();
}

static void bad_bundle(void **state) {
  (void)state;
  open_server("IP:127.0.0.1", -DAY, DAY);
  endpoint.ca_bundle = "/nonexistent/ca.pem";
  assert_int_equal(ask(), OS_ERR_TLS);
  says("/nonexistent/ca.pem");
  says("readable PEM file");
  close_server();
}

static void speak_plainly(struct visit *visit) {
  char hello[64];
  if (read(visit->fd, hello, sizeof hello) > 0) visit_puts(visit, "HTTP/1.1 400 Bad Request\r\n\r\n");
}

static void wrong_scheme(void **state) {
  (void)state;
  server_start(&server, speak_plainly, NULL);
  point_at("https", server.port);
  assert_int_equal(ask(), OS_ERR_TLS);
  says("does not speak TLS");
  says("use http://");
  server_stop(&server);

  open_server("IP:127.0.0.1", -DAY, DAY);
  point_at("http", server.port);
  struct os_http_call call;
  os_http_call_init(&call, &endpoint, "GET", "/");
  int rc = os_http_roundtrip(net, &call, NULL, &error);
  assert_true(rc == OS_ERR_ANSWER || rc == OS_ERR_NETWORK);
  says("https");
  os_http_call_free(&call);
  close_server();
}

static int prepare(void **state) {
  (void)state;
  static const char *const names[] = {"http_proxy", "https_proxy",    "HTTPS_PROXY",  "all_proxy",
                                      "ALL_PROXY",  "CURL_CA_BUNDLE", "SSL_CERT_FILE"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    unsetenv(names[i]);
  signal(SIGPIPE, SIG_IGN); /* for the server of this test: the network thread blocks signals itself */
  ca_key = EVP_EC_gen("P-256");
  ca = NULL;
  ca = make_certificate(ca_key, "test CA", NULL, -DAY, DAY);
  snprintf(ca_file, sizeof ca_file, "/tmp/net_tls_test.XXXXXX");
  int fd = mkstemp(ca_file);
  FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
  if (!file || !PEM_write_X509(file, ca) || fclose(file)) return -1;
  return os_net_new(&net, NULL, NULL);
}

static int clean(void **state) {
  (void)state;
  os_net_free(net);
  unlink(ca_file);
  X509_free(ca);
  EVP_PKEY_free(ca_key);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(good_certificate), cmocka_unit_test(unknown_authority),
                                     cmocka_unit_test(expired),          cmocka_unit_test(another_name),
                                     cmocka_unit_test(bad_bundle),       cmocka_unit_test(wrong_scheme)};
  return cmocka_run_group_tests_name("net_tls", tests, prepare, clean);
}
