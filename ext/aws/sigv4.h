/* sigv4.h - Signature Version 4, in headers ("Create a signed AWS API request", AWS IAM User Guide; for S3
** "Authenticating Requests: Using the Authorization Header", Amazon S3 API Reference).
**
** Pure: no clock, no network, no settings; any thread. OpenSSL computes the digests.
*/
#ifndef OS_AWS_SIGV4_H
#define OS_AWS_SIGV4_H
#include <stdbool.h>
#include <stddef.h>
#include "base/buffer.h"
#include "base/error.h"

enum {
  OS_SIGV4_DIGEST = 32, /* bytes of a SHA-256 */
  OS_SIGV4_HASH = 65    /* the same in lower-case hexadecimal digits, and a NUL */
};

struct os_sigv4_header {
  const char *name, *value; /* any case; values may have blanks around and runs of them inside */
};

/* What a secret becomes for one day, region and service: kept between requests, it saves four of five HMACs.
** A secret itself. */
struct os_sigv4_key {
  char day[9]; /* "20150830"; empty: nothing is kept */
  unsigned char bytes[OS_SIGV4_DIGEST];
};

struct os_sigv4_request {
  const char *method;
  const char *path;                      /* as on the wire, from the first '/', without the query */
  const char *query;                     /* as on the wire, without '?'; NULL: none */
  const struct os_sigv4_header *headers; /* all of them are signed; must hold host and x-amz-date */
  size_t header_count;
  const char *payload_hash; /* of the body, or UNSIGNED-PAYLOAD */
  const char *date;         /* "20150830T123600Z", as in x-amz-date */
  const char *region, *service;
  const char *access_key_id, *secret_access_key;
  struct os_sigv4_key *key; /* of this secret, region and service; made anew on another day; NULL: not kept */
  bool is_s3;               /* the path is taken as it is; elsewhere it is normalised and encoded once more */
};

/* SHA-256 of bytes as the protocol writes it. False: OpenSSL could not. */
bool os_sigv4_hash(const void *data, size_t len, char out[OS_SIGV4_HASH]);

/* Appends the value of the header Authorization. OS_ERR_NOMEM, or OS_ERR_INTERNAL when OpenSSL could not. */
int os_sigv4_sign(const struct os_sigv4_request *request, struct os_buf *out, struct os_error *error);

/* The two texts on the way to it, for tests and for comparing with what a server says it computed. */
int os_sigv4_canonical(const struct os_sigv4_request *request, struct os_buf *out, struct os_error *error);
int os_sigv4_string_to_sign(const struct os_sigv4_request *request, const char *canonical_hash,
                            struct os_buf *out, struct os_error *error);

/* A query in the one form that every server decodes alike: each byte but the unreserved ones of RFC 3986 as
** %XX in upper case, '+' as the blank that servers take it for, every name with its '='. Order is kept. */
void os_sigv4_clean_query(const char *query, struct os_buf *out);
#endif
