/* endpoint.h - one cluster that can be reached: address, credentials, TLS, time-outs. Immutable once
** made, reference-counted, because requests under way keep it when a setting changes meanwhile. */
#ifndef OS_CONFIG_ENDPOINT_H
#define OS_CONFIG_ENDPOINT_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "config/signer.h"

enum os_auth {
  OS_AUTH_NONE,
  OS_AUTH_BASIC,
  OS_AUTH_NETRC, /* basic, looked up by libcurl */
  OS_AUTH_IAM    /* by the signer */
};
enum os_compress { OS_COMPRESS_NEVER, OS_COMPRESS_ALWAYS, OS_COMPRESS_AUTO /* not on loopback */ };

struct os_endpoint {
  atomic_int references;
  char *name; /* "main", or what os_connect() called it */
  const char *
      setting; /* of the address, for messages; NULL: OPENSEARCH_ENDPOINT or os_connect()'s. Lives for ever */
  char *url;   /* scheme://host[:port][/prefix], no trailing slash, no user information */
  enum os_auth auth;
  char *username;
  char *password;           /* resolved; wiped when the endpoint is freed */
  struct os_signer *signer; /* a reference; NULL: requests are not signed */
  bool serverless;          /* told, or by its name: a collection of OpenSearch Serverless */
  bool verify_ssl, verify_hostname;
  char *ca_bundle; /* NULL: CURL_CA_BUNDLE, SSL_CERT_FILE, then the system's */
  enum os_compress compress;
  double timeout;          /* seconds for one request */
  double serverless_delay; /* seconds until a search of a collection finds what was written */
  int max_retries;
  atomic_uint_fast64_t learned_max_body; /* largest uncompressed body accepted after a 413; 0: not known */
};

/* With copies of both, one reference, and nothing else yet; NULL: no memory. */
struct os_endpoint *os_endpoint_new(const char *name, const char *url);
struct os_endpoint *os_endpoint_ref(struct os_endpoint *endpoint);
void os_endpoint_unref(struct os_endpoint *endpoint);
/* Is the host this machine: localhost, a name under it (RFC 6761), 127.0.0.0/8, ::1? */
bool os_endpoint_is_loopback(const struct os_endpoint *endpoint);
const char *os_auth_name(enum os_auth auth); /* "none", "basic", "netrc", "iam" */
/* Host name of a URL, in small letters, without brackets and port. False: longer than out. */
bool os_url_host(const char *url, char *out, size_t size);
/* Hide this endpoint's password and keys wherever foreign text repeats it, in place. */
void os_endpoint_redact(const struct os_endpoint *endpoint, char *text);
/* "; the keys come from …", for the end of an advice; "" where requests are not signed, or none was yet. */
void os_endpoint_keys_origin(const struct os_endpoint *endpoint, char *out, size_t size);
#endif
