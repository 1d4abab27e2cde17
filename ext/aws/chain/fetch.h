/* fetch.h - HTTP as the sources of keys need it, and keys out of JSON. Inside aws/ only; the fetching
** thread.
*/
#ifndef OS_AWS_CHAIN_FETCH_H
#define OS_AWS_CHAIN_FETCH_H
#include "aws/chain/source.h"
#include "base/json.h"
#include "config/signer.h"

struct os_fetch_request {
  const char *method, *url, *path; /* url: scheme://host[:port][/prefix]; path: from '/', with the query */
  const char *const *headers;      /* "Name: value", ending with NULL; or NULL */
  const char *body, *content_type; /* NULL: none */
  const char *setting;             /* what says where it is, for messages */
  const char *ca_bundle;           /* NULL: as elsewhere */
  struct os_signer *signer;        /* borrowed; NULL: not signed */
  double timeout;                  /* seconds for one try */
  int tries;                       /* in all, a second apart; after no answer, 429, 5xx */
  bool direct;                     /* through no proxy */
};

/* OS_OK: there is an answer, of whatever status. OS_ERR_NETWORK, also for none in time: worth another
** try later. *call is initialised in any case: os_fetch_done() it. */
int os_fetch_http(struct os_fetch *fetch, const struct os_fetch_request *request, struct os_http_call *call,
                  struct os_error *error);
void os_fetch_done(struct os_http_call *call); /* wipes the answer */
bool os_fetch_stopped(const struct os_fetch *fetch);
/* False: it is to stop. */
bool os_fetch_sleep(const struct os_fetch *fetch, double seconds);

/* Members of a JSON object; paths as in base/json.h. */
struct os_key_names {
  const char *id, *secret, *token, *expiration; /* expiration: ISO 8601, or milliseconds since 1970 */
};
/* id and secret must be there. */
int os_keys_from_json(struct os_aws_keys **out, const json_t *root, const struct os_key_names *names,
                      const char *origin, struct os_error *error);
/* A new reference, or NULL with an error that repeats nothing of the text. */
json_t *os_fetch_json(const char *text, size_t len, const char *origin, struct os_error *error);
/* ISO 8601 as AWS's tools write it, also with "UTC" at its end. */
bool os_aws_time(const char *text, double *unix_seconds);
#endif
