/* fingerprint.c - see fingerprint.h. SHA-256 is OpenSSL's (EVP_Digest pages). */
#define _GNU_SOURCE /* strerrordesc_np() */
#include "pipeline/fingerprint.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/fork.h"

enum { SAMPLES = 16 };
static const size_t EDGE = 1 << 20, SAMPLE = 1 << 16;

static int digest_failed(struct os_error *error) {
  return os_fail(error, OS_ERR_INTERNAL, "OpenSSL could not compute a SHA-256 digest");
}

/* Looking an algorithm up takes locks inside OpenSSL. */
static bool start_digest(EVP_MD_CTX *digest) {
  os_fork_hold();
  bool ok = EVP_DigestInit_ex(digest, EVP_sha256(), NULL);
  os_fork_let_go();
  return ok;
}

/* Add [at, at+len) of the file; a file that got shorter meanwhile adds less and is noticed when it is
** read. */
static int add_range(EVP_MD_CTX *digest, int fd, const char *path, uint64_t at, size_t len, char *buffer,
                     struct os_error *error) {
  while (len) {
    ssize_t n = pread(fd, buffer, len < EDGE ? len : EDGE, (off_t)at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_fail(error, OS_ERR_IO, "cannot read %s: %s", path, strerrordesc_np(errno));
    if (n == 0) return OS_OK;
    if (!EVP_DigestUpdate(digest, buffer, (size_t)n)) return digest_failed(error);
    at += (uint64_t)n;
    len -= (size_t)n;
  }
  return OS_OK;
}

static int add_content(EVP_MD_CTX *digest, int fd, const struct os_source *source, char *buffer,
                       struct os_error *error) {
  uint64_t size = source->size;
  if (size <= 2 * EDGE) return add_range(digest, fd, source->path, 0, (size_t)size, buffer, error);
  int rc = add_range(digest, fd, source->path, 0, EDGE, buffer, error);
  uint64_t middle = size - 2 * EDGE, sampled = SAMPLES * SAMPLE;
  if (!rc && middle <= sampled) /* the samples would cover it */
    rc = add_range(digest, fd, source->path, EDGE, (size_t)middle, buffer, error);
  for (unsigned i = 0; i < SAMPLES && !rc && middle > sampled; i++) {
    uint64_t at = EDGE + (middle - SAMPLE) / (SAMPLES - 1) * i;
    rc = add_range(digest, fd, source->path, at, SAMPLE, buffer, error);
  }
  return rc ? rc : add_range(digest, fd, source->path, size - EDGE, EDGE, buffer, error);
}

static bool fits_text(const char *etag) {
  return strlen("etag:") + strlen(etag) < OS_FINGERPRINT_TEXT;
}

/* An ETag says nothing but whether the content is the same (RFC 9110 section 8.8.3); most have 32 digits, a
** very long one is digested. */
static int take_etag(struct os_source *source, struct os_error *error) {
  os_fork_hold();
  bool ok = fits_text(source->etag) ||
            EVP_Digest(source->etag, strlen(source->etag), source->digest, NULL, EVP_sha256(), NULL);
  os_fork_let_go();
  source->has_digest = ok;
  return ok ? OS_OK : digest_failed(error);
}

int os_fingerprint_read(struct os_source *source, struct os_error *error) {
  if (source->is_stream) return OS_OK;
  if (os_source_is_object(source)) return take_etag(source, error);
  int rc = OS_OK;
  unsigned len = 0;
  char *buffer = os_malloc(EDGE);
  EVP_MD_CTX *digest = EVP_MD_CTX_new();
  int fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0)
    rc = os_fail(error, OS_ERR_IO, "cannot open %s: %s", source->path, strerrordesc_np(errno));
  else if (!buffer || !digest)
    rc = os_fail_nomem(error);
  else if (!start_digest(digest))
    rc = digest_failed(error);
  else
    rc = add_content(digest, fd, source, buffer, error);
  if (!rc && !EVP_DigestFinal_ex(digest, source->digest, &len)) rc = digest_failed(error);
  if (!rc) source->has_digest = true;
  if (fd >= 0) close(fd);
  EVP_MD_CTX_free(digest);
  os_free(buffer);
  return rc;
}

static void put_hex(const unsigned char *bytes, size_t len, char *out) {
  static const char hex[] = "0123456789abcdef";
  for (size_t i = 0; i < len; i++) {
    *out++ = hex[bytes[i] >> 4];
    *out++ = hex[bytes[i] & 15];
  }
  *out = 0;
}

void os_fingerprint_text(const struct os_source *source, char out[OS_FINGERPRINT_TEXT]) {
  out[0] = 0;
  if (!source->has_digest) return;
  if (os_source_is_object(source)) {
    bool fits = fits_text(source->etag);
    size_t len = (size_t)snprintf(out, OS_FINGERPRINT_TEXT, "etag:%s", fits ? source->etag : "");
    if (!fits) put_hex(source->digest, sizeof source->digest, out + len);
    return;
  }
  size_t len = (size_t)snprintf(out, OS_FINGERPRINT_TEXT, "%llu:", (unsigned long long)source->size);
  put_hex(source->digest, sizeof source->digest, out + len);
}

static void base64url(const unsigned char *bytes, size_t groups, char *out) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (size_t i = 0; i < groups; i++, bytes += 3) {
    unsigned v = (unsigned)bytes[0] << 16 | (unsigned)bytes[1] << 8 | bytes[2];
    for (int shift = 18; shift >= 0; shift -= 6)
      *out++ = letters[v >> shift & 63];
  }
  *out = 0;
}

int os_id_prefix_compute(const char *name, const char *content, int64_t generation,
                         char out[OS_ID_PREFIX + 1], struct os_error *error) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  char *text = generation ? os_mprintf("%s\n%s\n%lld", name, content, (long long)generation)
                          : os_mprintf("%s\n%s", name, content);
  if (!text) return os_fail_nomem(error);
  os_fork_hold();
  int ok = EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL);
  os_fork_let_go();
  os_free(text);
  if (!ok) return digest_failed(error);
  base64url(digest, OS_ID_PREFIX / 4, out);
  return OS_OK;
}
