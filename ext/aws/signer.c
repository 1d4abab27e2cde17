/* signer.c - signs the requests to one service in one region with the keys in force (config/signer.h): which headers,
** which clock, and what a refusal says about either.
**
** The network thread signs and is told of refusals; the keeper makes and drops it. The lock guards what changes: the
** keys last used and what was derived from them, the difference of clocks, and their serial.
*/
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "aws/service.h"
#include "aws/sigv4.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "config/secret.h"

enum { MOST_HEADERS = 16, HOST = 300 };
static const char hash_of_nothing[OS_SIGV4_HASH] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"; /* SHA-256 of no bytes */
static const double NOTED_SKEW = 60; /* seconds; services allow five minutes and more */

struct aws_signer {
  struct os_signer base;
  struct os_credentials *credentials;
  char *region;
  enum os_aws_service service;
  pthread_mutex_t lock;
  struct os_aws_keys *keys;    /* last used; NULL before the first request */
  double ahead;                /* seconds that the server's clock is ahead of ours */
  unsigned serial;             /* of keys and clock */
  struct os_sigv4_key derived; /* from `keys` */
};

const char *os_aws_service_name(enum os_aws_service service) {
  static const char *const names[] = {"es", "aoss", "s3", "sqs", "sts"};
  return names[service];
}

/* ---- what is signed ---- */

struct target {
  char host[HOST]; /* as libcurl sends it: without the port that the scheme implies */
  char *path, *query;
};

static bool read_url(const char *url, struct target *target) {
  const char *scheme_end = strstr(url, "://");
  if (!scheme_end) return false;
  const char *host = scheme_end + 3;
  size_t len = strcspn(host, "/?");
  const char *path = host + len, *query = strchr(path, '?');
  const char *implied = os_has_prefix(url, "https:") ? ":443" : ":80";
  size_t implied_len = strlen(implied);
  if (len > implied_len && memcmp(host + len - implied_len, implied, implied_len) == 0) len -= implied_len;
  if (len >= sizeof target->host) return false;
  for (size_t i = 0; i < len; i++)
    target->host[i] = os_to_lower(host[i]);
  target->host[len] = '\0';
  target->path = os_strndup(path, query ? (size_t)(query - path) : strlen(path));
  target->query = query ? os_strdup(query + 1) : NULL;
  return target->path && (!query || target->query);
}

struct signed_headers {
  struct os_sigv4_header list[MOST_HEADERS];
  size_t count;
  char names[MOST_HEADERS][64];
};

static bool add(struct signed_headers *headers, const char *name, size_t name_len, const char *value) {
  if (headers->count == MOST_HEADERS || name_len >= sizeof headers->names[0]) return false;
  char *kept = headers->names[headers->count];
  memcpy(kept, name, name_len);
  kept[name_len] = '\0';
  headers->list[headers->count++] = (struct os_sigv4_header){kept, value};
  return true;
}

/* Those of the request that AWS wants signed: its own, "x-amz-…". */
static bool add_own(struct signed_headers *headers, const char *const *lines) {
  for (; lines && *lines; lines++) {
    size_t len = strcspn(*lines, ":");
    char start[7] = "";
    for (size_t i = 0; i < 6 && i < len; i++)
      start[i] = os_to_lower((*lines)[i]);
    if (strcmp(start, "x-amz-") == 0 && (!(*lines)[len] || !add(headers, *lines, len, *lines + len + 1)))
      return false;
  }
  return true;
}

/* "2026-11-20T23:59:59.123Z" without its punctuation and thousandths */
static void amz_date(double now, char out[OS_TIME_TEXT]) {
  char iso[OS_TIME_TEXT];
  os_clock_iso(now, iso);
  for (const char *from = iso; *from && *from != '.'; from++)
    if (*from != '-' && *from != ':') *out++ = *from;
  *out++ = 'Z';
  *out = '\0';
}

static int compose(const struct aws_signer *signer, const struct os_aws_keys *keys,
                   struct os_sigv4_key *derived, double now, const struct os_sign_input *input,
                   struct os_buf *lines, struct os_error *error) {
  struct target target = {.path = NULL};
  struct signed_headers headers = {.count = 0};
  struct os_buf authorization;
  char date[OS_TIME_TEXT], hash[OS_SIGV4_HASH];
  bool hash_told = signer->service == OS_AWS_S3 || signer->service == OS_AWS_AOSS;
  int rc = OS_OK;
  os_buf_init(&authorization, 0);
  amz_date(now, date);
  if (!read_url(input->url, &target)) {
    rc = os_fail(error, OS_ERR_ARGUMENT, "the address '%.200s' cannot be signed for", input->url);
    goto done;
  }
  if (!input->body_len) {
    memcpy(hash, hash_of_nothing, sizeof hash);
  } else if (!os_sigv4_hash(input->body, input->body_len, hash)) {
    rc = os_fail(error, OS_ERR_INTERNAL,
                 "OpenSSL cannot compute SHA-256 (out of memory?), so the request cannot be signed");
    goto done;
  }
  bool fits = add(&headers, "host", 4, target.host) && add(&headers, "x-amz-date", 10, date);
  if (hash_told) fits = fits && add(&headers, "x-amz-content-sha256", 20, hash);
  if (keys->session_token) fits = fits && add(&headers, "x-amz-security-token", 20, keys->session_token);
  if (!fits || !add_own(&headers, input->headers)) {
    rc = os_fail(error, OS_ERR_INTERNAL, "a request to AWS has more headers than can be signed");
    goto done;
  }
  struct os_sigv4_request request = {.method = input->method,
                                     .path = target.path,
                                     .query = target.query,
                                     .headers = headers.list,
                                     .header_count = headers.count,
                                     .payload_hash = hash,
                                     .date = date,
                                     .region = signer->region,
                                     .service = os_aws_service_name(signer->service),
                                     .access_key_id = keys->access_key_id,
                                     .secret_access_key = keys->secret_access_key,
                                     .key = derived,
                                     .is_s3 = signer->service == OS_AWS_S3};
  rc = os_sigv4_sign(&request, &authorization, error);
  if (rc) goto done;
  os_buf_printf(lines, "X-Amz-Date: %s\n", date);
  if (hash_told) os_buf_printf(lines, "X-Amz-Content-Sha256: %s\n", hash);
  if (keys->session_token) {
    os_buf_puts(lines, "X-Amz-Security-Token: ");
    os_buf_puts(lines, keys->session_token);
    os_buf_putc(lines, '\n');
  }
  os_buf_puts(lines, "Authorization: ");
  os_buf_append(lines, authorization.data, authorization.len);
  os_buf_putc(lines, '\n');
  if (lines->failed) rc = os_fail_nomem(error);
done:
  os_buf_free(&authorization);
  os_free(target.path);
  os_free(target.query);
  return rc;
}

static enum os_sign_state sign(struct os_signer *base, const struct os_sign_input *input,
                               struct os_buf *lines, struct os_error *error) {
  struct aws_signer *signer = (struct aws_signer *)(void *)base;
  struct os_aws_keys *keys = NULL;
  enum os_sign_state state = os_credentials_get(signer->credentials, &keys, error);
  if (state != OS_SIGN_READY) return state;
  pthread_mutex_lock(&signer->lock);
  double ahead = signer->ahead;
  if (signer->keys != keys) {
    os_aws_keys_unref(signer->keys);
    signer->keys = os_aws_keys_ref(keys);
    signer->serial++;
    OPENSSL_cleanse(&signer->derived, sizeof signer->derived);
  }
  *input->serial = signer->serial;
  struct os_sigv4_key derived = signer->derived;
  pthread_mutex_unlock(&signer->lock);
  int rc = compose(signer, keys, &derived, os_clock_unix() + ahead, input, lines, error);
  pthread_mutex_lock(&signer->lock);
  if (!rc && signer->keys == keys) signer->derived = derived;
  pthread_mutex_unlock(&signer->lock);
  OPENSSL_cleanse(&derived, sizeof derived);
  os_aws_keys_unref(keys);
  return rc ? OS_SIGN_FAILED : OS_SIGN_READY;
}

/* ---- what a refusal says ---- */

static bool says(const char *answer, size_t len, const char *const *words) {
  for (; *words; words++) {
    size_t word = strlen(*words);
    for (size_t i = 0; i + word <= len; i++)
      if (answer[i] == **words && memcmp(answer + i, *words, word) == 0) return true;
  }
  return false;
}

/* Codes and words: "Common Error Types" of each service's API reference; S3's "Error responses". OpenSearch Service
** has no code in its answers. */
static bool says_expired(const char *answer, size_t len) {
  static const char *const words[] = {"ExpiredToken", "RequestExpired", "TokenRefreshRequired",
                                      "security token included in the request is expired", NULL};
  return says(answer, len, words);
}

static bool says_clock(const char *answer, size_t len) {
  static const char *const words[] = {"RequestTimeTooSkewed", "Signature expired",
                                      "Signature not yet current", "RequestInTheFuture", NULL};
  return says(answer, len, words);
}

/* A collection says "Forbidden" and no more, whatever it is: a clock that is wrong can be seen all the same. */
static bool says_nothing(const struct aws_signer *signer, const char *answer, size_t len) {
  static const char *const words[] = {"Forbidden", NULL};
  return signer->service == OS_AWS_AOSS && says(answer, len, words);
}

/* Signed by keys or a clock that were mended meanwhile? */
static bool is_outdated(struct aws_signer *signer, unsigned serial) {
  return serial != signer->serial;
}

static bool mend_clock(struct aws_signer *signer, double date) {
  double ahead = date - os_clock_unix(), change = ahead - signer->ahead;
  if (date < 0 || (change < NOTED_SKEW && change > -NOTED_SKEW)) return false;
  signer->ahead = ahead;
  signer->serial++;
  return true;
}

static bool refused(struct os_signer *base, unsigned serial, const char *answer, size_t len, double date) {
  struct aws_signer *signer = (struct aws_signer *)(void *)base;
  bool expired = says_expired(answer, len);
  bool clock = says_clock(answer, len) || says_nothing(signer, answer, len);
  if (!clock && !expired) return false;
  pthread_mutex_lock(&signer->lock);
  bool again = is_outdated(signer, serial) || (clock && mend_clock(signer, date));
  struct os_aws_keys *keys = !again && expired ? os_aws_keys_ref(signer->keys) : NULL;
  pthread_mutex_unlock(&signer->lock);
  if (keys) again = os_credentials_expired(signer->credentials, keys);
  os_aws_keys_unref(keys);
  return again;
}

/* ---- life ---- */

static void free_signer(struct os_signer *base) {
  struct aws_signer *signer = (struct aws_signer *)(void *)base;
  os_aws_keys_unref(signer->keys);
  os_credentials_unref(signer->credentials);
  pthread_mutex_destroy(&signer->lock);
  OPENSSL_cleanse(&signer->derived, sizeof signer->derived);
  os_free(signer->region);
  os_free(signer);
}

static void redact(struct os_signer *base, char *text) {
  struct aws_signer *signer = (struct aws_signer *)(void *)base;
  pthread_mutex_lock(&signer->lock);
  if (signer->keys) {
    os_redact(text, signer->keys->secret_access_key);
    os_redact(text, signer->keys->session_token);
  }
  pthread_mutex_unlock(&signer->lock);
}

static void tell_origin(struct os_signer *base, char *out, size_t size) {
  struct aws_signer *signer = (struct aws_signer *)(void *)base;
  pthread_mutex_lock(&signer->lock);
  snprintf(out, size, "%s", signer->keys && signer->keys->origin ? signer->keys->origin : "");
  pthread_mutex_unlock(&signer->lock);
}

int os_aws_signer_new(struct os_signer **out, enum os_aws_service service, const char *region,
                      struct os_credentials *credentials, struct os_error *error) {
  static const struct os_signer_class class = {sign, refused, free_signer, redact, tell_origin};
  struct aws_signer *signer = os_calloc(1, sizeof *signer);
  *out = NULL;
  if (signer && !(signer->region = os_strdup(region))) {
    os_free(signer);
    signer = NULL;
  }
  if (!signer) return os_fail_nomem(error);
  atomic_init(&signer->base.references, 1);
  signer->base.does = &class;
  signer->service = service;
  signer->credentials = os_credentials_ref(credentials);
  pthread_mutex_init(&signer->lock, NULL);
  *out = &signer->base;
  return OS_OK;
}
