/* sigv4.c - see sigv4.h. Owns nothing. */
#include "aws/sigv4.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "aws/sigv4_canonical.h"
#include "base/alloc.h"

static const char ALGORITHM[] = "AWS4-HMAC-SHA256";

static void hex(const unsigned char digest[OS_SIGV4_DIGEST], char out[OS_SIGV4_HASH]) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < OS_SIGV4_DIGEST; i++) {
    *out++ = digits[digest[i] >> 4];
    *out++ = digits[digest[i] & 15];
  }
  *out = '\0';
}

bool os_sigv4_hash(const void *data, size_t len, char out[OS_SIGV4_HASH]) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  if (!EVP_Digest(data, len, digest, NULL, EVP_sha256(), NULL)) return false;
  hex(digest, out);
  return true;
}

static int no_digest(struct os_error *error) {
  return os_fail(error, OS_ERR_INTERNAL,
                 "OpenSSL cannot compute SHA-256 (out of memory?), so the request cannot be signed");
}

/* "20150830/us-east-1/es/aws4_request" */
static void put_scope(const struct os_sigv4_request *request, struct os_buf *out) {
  os_buf_append(out, request->date, strcspn(request->date, "T"));
  os_buf_printf(out, "/%s/%s/aws4_request", request->region, request->service);
}

int os_sigv4_string_to_sign(const struct os_sigv4_request *request, const char *canonical_hash,
                            struct os_buf *out, struct os_error *error) {
  os_buf_printf(out, "%s\n%s\n", ALGORITHM, request->date);
  put_scope(request, out);
  os_buf_printf(out, "\n%s", canonical_hash);
  return out->failed ? os_fail_nomem(error) : OS_OK;
}

static bool mac(const void *key, size_t key_len, const char *text, size_t len,
                unsigned char out[OS_SIGV4_DIGEST]) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned digest_len = 0;
  if (!HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, len, digest, &digest_len) ||
      digest_len != OS_SIGV4_DIGEST)
    return false;
  memcpy(out, digest, OS_SIGV4_DIGEST);
  OPENSSL_cleanse(digest, sizeof digest);
  return true;
}

static int make_key(const struct os_sigv4_request *request, struct os_sigv4_key *key,
                    struct os_error *error) {
  static const char last[] = "aws4_request";
  unsigned char *bytes = key->bytes;
  key->day[0] = '\0';
  char *secret = os_mprintf("AWS4%s", request->secret_access_key);
  if (!secret) return os_fail_nomem(error);
  size_t len = strlen(secret);
  bool ok = mac(secret, len, request->date, strcspn(request->date, "T"), bytes) &&
            mac(bytes, OS_SIGV4_DIGEST, request->region, strlen(request->region), bytes) &&
            mac(bytes, OS_SIGV4_DIGEST, request->service, strlen(request->service), bytes) &&
            mac(bytes, OS_SIGV4_DIGEST, last, sizeof last - 1, bytes);
  OPENSSL_cleanse(secret, len);
  os_free(secret);
  if (!ok) return no_digest(error);
  snprintf(key->day, sizeof key->day, "%s", request->date); /* without the time of day */
  return OS_OK;
}

static int compute(const struct os_sigv4_request *request, const struct os_buf *text, char out[OS_SIGV4_HASH],
                   struct os_error *error) {
  struct os_sigv4_key own = {.day = ""}, *key = request->key ? request->key : &own;
  unsigned char digest[OS_SIGV4_DIGEST];
  int rc = OS_OK;
  if (strncmp(key->day, request->date, sizeof key->day - 1) != 0) rc = make_key(request, key, error);
  bool ok = !rc && mac(key->bytes, OS_SIGV4_DIGEST, text->data, text->len, digest);
  if (ok)
    hex(digest, out);
  else if (!rc)
    rc = no_digest(error);
  OPENSSL_cleanse(&own, sizeof own);
  return rc;
}

int os_sigv4_sign(const struct os_sigv4_request *request, struct os_buf *out, struct os_error *error) {
  struct os_buf canonical, text;
  char hash[OS_SIGV4_HASH], signature[OS_SIGV4_HASH];
  os_buf_init(&canonical, 0);
  os_buf_init(&text, 0);
  int rc = os_sigv4_canonical(request, &canonical, error);
  if (!rc && !os_sigv4_hash(canonical.data, canonical.len, hash)) rc = no_digest(error);
  if (!rc) rc = os_sigv4_string_to_sign(request, hash, &text, error);
  if (!rc) rc = compute(request, &text, signature, error);
  if (!rc) {
    os_buf_printf(out, "%s Credential=%s/", ALGORITHM, request->access_key_id);
    put_scope(request, out);
    os_buf_puts(out, ", SignedHeaders=");
    rc = os_sigv4_signed_headers(request, out, error);
  }
  if (!rc) {
    os_buf_printf(out, ", Signature=%s", signature);
    if (out->failed) rc = os_fail_nomem(error);
  }
  os_buf_free(&canonical);
  os_buf_free(&text);
  return rc;
}
