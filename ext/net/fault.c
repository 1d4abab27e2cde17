/* fault.c - a libcurl failure in words: what happened, with which address, and what to check.
**
** Network thread only. libcurl's own text is quoted where it adds a name, a port or a reason; never for
** faults of a proxy setting or of the URL, whose text may repeat credentials.
*/
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "net/transfer.h"

enum phase { RESOLVING, CONNECTING, HANDSHAKE, SENDING, WAITING, RECEIVING };

static const char *const phase_words[] = {"looking up its name",    "connecting",
                                          "the TLS handshake",      "sending the request",
                                          "waiting for the answer", "receiving the answer"};

/* How far the transfer came, from the moments libcurl recorded (CURLINFO times stay 0 until they are
 * reached). */
static enum phase reached(const struct os_http_transfer *transfer, bool sent) {
  curl_off_t resolved = 0, connected = 0, first_byte = 0;
  CURL *easy = transfer->easy;
  curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &resolved);
  curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connected);
  curl_easy_getinfo(easy, CURLINFO_STARTTRANSFER_TIME_T, &first_byte);
  const struct os_http_call *call = transfer->call;
  if (sent && transfer->body_at < call->body_len) return SENDING;
  if (sent) return call->answer.len || call->bytes_received ? RECEIVING : WAITING;
  (void)first_byte;
  if (!resolved) return RESOLVING;
  return connected ? HANDSHAKE : CONNECTING;
}

/* Not a cluster but what a command or its keys need beside it: a service of AWS. */
static bool is_service(const struct os_endpoint *endpoint) {
  return endpoint->setting != NULL;
}

/* The setting as its user knows it: by environment name for main, by option for a connection of
** os_connect(). */
static const char *setting(const struct os_endpoint *endpoint, const char *name, const char *option) {
  return endpoint->name && strcmp(endpoint->name, "main") ? option : name;
}

static const char *bundle_setting(const struct os_endpoint *endpoint) {
  return is_service(endpoint) ? "AWS_CA_BUNDLE" : setting(endpoint, "CA_BUNDLE", "ca_bundle");
}

static const char *endpoint_setting(const struct os_endpoint *endpoint) {
  if (is_service(endpoint)) return endpoint->setting;
  return setting(endpoint, "OPENSEARCH_ENDPOINT", "the endpoint given to os_connect()");
}

static bool says(const struct os_http_transfer *transfer, const char *words) {
  return strstr(transfer->detail, words) != NULL;
}

static void put_detail(const struct os_http_transfer *transfer, struct os_error *error) {
  size_t len = strlen(error->text);
  size_t extra = strlen(transfer->detail);
  if (strchr(transfer->detail, '@')) return; /* a URL with user and password of a proxy */
  if (!extra || len + extra + 4 > sizeof error->text) return;
  memcpy(error->text + len, " (", 2);
  memcpy(error->text + len + 2, transfer->detail, extra);
  memcpy(error->text + len + 2 + extra, ")", 2);
}

/* libcurl says "couldn't connect" also when socket() had no descriptor to give, and keeps the reason to
** itself. */
static bool no_handle_left(void) {
  int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) close(fd);
  return fd < 0 && (errno == EMFILE || errno == ENFILE);
}

static void refused_connection(const struct os_http_transfer *transfer, struct os_error *error) {
  const struct os_endpoint *endpoint = transfer->call->endpoint;
  long number = 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &number);
  if (number == 0 && no_handle_left()) {
    os_fail(error, OS_ERR_NETWORK, "cannot reach %s: this process has too many files open", endpoint->url);
    os_advise(error, "close some, or raise the limit (ulimit -n)");
    return;
  }
  const char *why = number == ECONNREFUSED                            ? "connection refused"
                    : number == EHOSTUNREACH || number == ENETUNREACH ? "no route to it"
                    : number == ETIMEDOUT                             ? "it does not answer"
                                                                      : "no connection";
  os_fail(error, OS_ERR_NETWORK, "cannot reach %s: %s", endpoint->url, why);
  put_detail(transfer, error);
  os_advise(
      error,
      is_service(endpoint)
          ? "may this machine reach it (network, firewall, VPC endpoint), and is the address right? check "
            "%s (and http_proxy, https_proxy, NO_PROXY if a proxy is set)"
          : "is the cluster running, and are host and port right? check %s (and http_proxy, https_proxy, "
            "NO_PROXY if a proxy is set)",
      endpoint_setting(endpoint));
}

static void timed_out(const struct os_http_transfer *transfer, bool sent, struct os_error *error) {
  const struct os_http_call *call = transfer->call;
  const struct os_endpoint *endpoint = call->endpoint;
  const char *during = phase_words[reached(transfer, sent)];
  long ms = (long)(call->seconds * 1000);
  if (!sent) {
    os_fail(error, OS_ERR_NETWORK, "cannot reach %s: no connection after %ld.%01ld s (%s took too long)",
            endpoint->url, ms / 1000, ms % 1000 / 100, during);
    os_advise(error, "check %s, the network and firewalls between", endpoint_setting(endpoint));
    return;
  }
  os_fail(error, OS_ERR_TIMEOUT,
          "%s did not finish within %ld.%01ld s (%s); whether the request was carried out is not known",
          endpoint->url, ms / 1000, ms % 1000 / 100, during);
  if (is_service(endpoint))
    os_advise(error, "try again; when it stays so look at the network between, and at %s", endpoint->setting);
  else
    os_advise(error, "raise %s, or look at the load of the cluster",
              setting(endpoint, "REQUEST_TIMEOUT", "request_timeout"));
}

static void lost_connection(const struct os_http_transfer *transfer, CURLcode code, bool sent,
                            struct os_error *error) {
  const struct os_endpoint *endpoint = transfer->call->endpoint;
  if (says(transfer, "CONNECT") || says(transfer, "roxy")) {
    os_fail(error, OS_ERR_NETWORK, "the proxy did not let us through to %s", endpoint->url);
    put_detail(transfer, error);
    os_advise(error, "check https_proxy and NO_PROXY");
    return;
  }
  if (code == CURLE_GOT_NOTHING) {
    os_fail(error, OS_ERR_NETWORK, "%s closed the connection without an answer", endpoint->url);
    if (!strncmp(endpoint->url, "http:", 5))
      os_advise(error, "if the server speaks TLS, use https:// in %s", endpoint_setting(endpoint));
    return;
  }
  os_fail(error, OS_ERR_NETWORK, "the connection to %s was lost while %s", endpoint->url,
          phase_words[reached(transfer, sent)]);
  if (code != CURLE_SEND_FAIL_REWIND) put_detail(transfer, error);
}

static void no_http(const struct os_http_transfer *transfer, struct os_error *error) {
  const struct os_endpoint *endpoint = transfer->call->endpoint;
  os_fail(error, OS_ERR_ANSWER, "%s sent no HTTP answer", endpoint->url);
  if (!strncmp(endpoint->url, "http:", 5))
    os_advise(error, "is it https? then use https:// in %s; else check the port", endpoint_setting(endpoint));
  else
    os_advise(error, "check the port in %s", endpoint_setting(endpoint));
}

/* X509_V_ERR numbers of OpenSSL (openssl-verify(1)); with another TLS library the number is 0 and libcurl's
** words decide. */
static void bad_certificate(const struct os_http_transfer *transfer, struct os_error *error) {
  const struct os_endpoint *endpoint = transfer->call->endpoint;
  const char *bundle = bundle_setting(endpoint);
  long verify = 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_SSL_VERIFYRESULT, &verify);
  if (verify == 10 || says(transfer, "expired")) {
    os_fail(error, OS_ERR_TLS, "the certificate of %s has expired", endpoint->url);
    put_detail(transfer, error);
    os_advise(error, "renew it on the server (and check this machine's clock)");
  } else if (verify == 9 || says(transfer, "not yet valid")) {
    os_fail(error, OS_ERR_TLS, "the certificate of %s is not valid yet", endpoint->url);
    put_detail(transfer, error);
    os_advise(error, "check the clocks of both machines");
  } else if (says(transfer, "match") || verify == 62 || verify == 64) {
    os_fail(error, OS_ERR_TLS, "the certificate of %s was made for another host name", endpoint->url);
    put_detail(transfer, error);
    if (is_service(endpoint))
      os_advise(error, "is the address right? check %s", endpoint->setting);
    else
      os_advise(error,
                "use a name of the certificate in %s, or set %s to false, which still checks who signed it",
                endpoint_setting(endpoint), setting(endpoint, "VERIFY_HOSTNAME", "verify_hostname"));
  } else if ((verify >= 18 && verify <= 21) || verify == 2 || says(transfer, "issuer") ||
             says(transfer, "self")) {
    os_fail(error, OS_ERR_TLS, "the certificate of %s is not signed by a CA known here", endpoint->url);
    put_detail(transfer, error);
    os_advise(error, "set %s to the PEM file of the CA that signed it", bundle);
  } else {
    os_fail(error, OS_ERR_TLS, "the certificate of %s was not accepted", endpoint->url);
    put_detail(transfer, error);
    os_advise(error, "check the certificate and %s", bundle);
  }
}

static void failed_handshake(const struct os_http_transfer *transfer, struct os_error *error) {
  const struct os_endpoint *endpoint = transfer->call->endpoint;
  if (says(transfer, "wrong version number") || says(transfer, "packet length too long") ||
      says(transfer, "unknown protocol") || says(transfer, "http request") ||
      says(transfer, "record layer failure")) {
    os_fail(error, OS_ERR_TLS, "%s does not speak TLS on this port", endpoint->url);
    os_advise(error, "use http:// in %s, or the port of https", endpoint_setting(endpoint));
    return;
  }
  os_fail(error, OS_ERR_TLS, "the TLS handshake with %s failed", endpoint->url);
  put_detail(transfer, error);
  os_advise(error, "TLS 1.2 or newer is needed; check %s", endpoint_setting(endpoint));
}

static void bad_bundle(const struct os_http_transfer *transfer, struct os_error *error) {
  const struct os_endpoint *endpoint = transfer->call->endpoint;
  if (endpoint->ca_bundle && *endpoint->ca_bundle)
    os_fail(error, OS_ERR_TLS, "the CA bundle '%s' cannot be used", endpoint->ca_bundle);
  else
    os_fail(error, OS_ERR_TLS, "the CA bundle cannot be used");
  put_detail(transfer, error);
  os_advise(error, "%s (else CURL_CA_BUNDLE, SSL_CERT_FILE) must name a readable PEM file",
            bundle_setting(endpoint));
}

void os_transfer_fault(const struct os_http_transfer *transfer, CURLcode code, bool sent) {
  struct os_http_call *call = transfer->call;
  struct os_error *error = &call->error;
  const struct os_endpoint *endpoint = call->endpoint;
  const char *url = endpoint->url;
  switch (code) {
  case CURLE_OUT_OF_MEMORY: os_fail_nomem(error); break;
  case CURLE_URL_MALFORMAT:
    os_fail(error, OS_ERR_ARGUMENT, "'%s%s' is not a URL", url, call->path);
    os_advise(error, "check %s", endpoint_setting(endpoint));
    break;
  case CURLE_UNSUPPORTED_PROTOCOL: /* also "Received HTTP/0.9 when not allowed" */
    if (sent || says(transfer, "HTTP/0.9")) {
      no_http(transfer, error);
    } else {
      os_fail(error, OS_ERR_ARGUMENT, "'%s' is neither http:// nor https://", url);
      os_advise(error, "check %s", endpoint_setting(endpoint));
    }
    break;
  case CURLE_WEIRD_SERVER_REPLY: no_http(transfer, error); break;
  case CURLE_COULDNT_RESOLVE_HOST:
    os_fail(error, OS_ERR_NETWORK, "cannot reach %s: its host name is not known", url);
    os_advise(error, "check the name in %s", endpoint_setting(endpoint));
    break;
  case CURLE_COULDNT_RESOLVE_PROXY:
    os_fail(error, OS_ERR_NETWORK, "cannot reach %s: the name of the proxy is not known", url);
    os_advise(error, "check http_proxy, https_proxy, all_proxy and NO_PROXY");
    break;
  case CURLE_PROXY:
    os_fail(error, OS_ERR_NETWORK, "cannot reach %s: the proxy refused", url);
    os_advise(error, "check http_proxy, https_proxy, all_proxy and NO_PROXY");
    break;
  case CURLE_COULDNT_CONNECT: /* newer libcurls report a refused tunnel here */
    if (says(transfer, "CONNECT tunnel"))
      lost_connection(transfer, code, sent, error);
    else
      refused_connection(transfer, error);
    break;
  case CURLE_OPERATION_TIMEDOUT: timed_out(transfer, sent, error); break;
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR:
  case CURLE_PARTIAL_FILE:
  case CURLE_SEND_FAIL_REWIND: lost_connection(transfer, code, sent, error); break;
  case CURLE_PEER_FAILED_VERIFICATION: bad_certificate(transfer, error); break;
  case CURLE_SSL_CACERT_BADFILE: bad_bundle(transfer, error); break;
  case CURLE_SSL_CONNECT_ERROR: failed_handshake(transfer, error); break;
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CIPHER:
  case CURLE_SSL_ISSUER_ERROR:
  case CURLE_USE_SSL_FAILED:
  case CURLE_SSL_ENGINE_INITFAILED:
    os_fail(error, OS_ERR_TLS, "TLS with %s failed", url);
    put_detail(transfer, error);
    break;
  case CURLE_BAD_CONTENT_ENCODING:
    os_fail(error, OS_ERR_ANSWER, "the compressed answer of %s is damaged", url);
    break;
  case CURLE_WRITE_ERROR: /* our own callback said stop */
    if (transfer->no_memory)
      os_fail_nomem(error);
    else if (transfer->call->answer_too_large)
      os_fail(error, OS_ERR_ANSWER, "the answer of %s is larger than the %zu bytes accepted", url,
              transfer->max_answer);
    else if (transfer->foreign_answer)
      os_fail(error, OS_ERR_ANSWER, "%s, or what stands before it, gave the answer to another request", url);
    else /* a decoder of libcurl refused what it was given */
      os_fail(error, OS_ERR_ANSWER, "the answer of %s is damaged", url);
    break;
  default:
    os_fail(error, OS_ERR_NETWORK, "the request to %s failed: %s", url, curl_easy_strerror(code));
    put_detail(transfer, error);
    break;
  }
}
