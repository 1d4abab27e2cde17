/* endpoint.c - the life of an endpoint, and what can be told from its address.
**
** Calls base and secret. Reference counts are atomic: any thread may hold and drop one.
*/
#include "config/endpoint.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/text.h"
#include "config/secret.h"

struct os_endpoint *os_endpoint_new(const char *name, const char *url) {
  struct os_endpoint *endpoint = os_calloc(1, sizeof *endpoint);
  if (!endpoint) return NULL;
  atomic_init(&endpoint->references, 1);
  atomic_init(&endpoint->learned_max_body, 0);
  endpoint->name = os_strdup(name);
  endpoint->url = os_strdup(url);
  if (endpoint->name && endpoint->url) return endpoint;
  os_endpoint_unref(endpoint);
  return NULL;
}

struct os_endpoint *os_endpoint_ref(struct os_endpoint *endpoint) {
  if (endpoint) atomic_fetch_add(&endpoint->references, 1);
  return endpoint;
}

void os_endpoint_unref(struct os_endpoint *endpoint) {
  if (!endpoint || atomic_fetch_sub(&endpoint->references, 1) > 1) return;
  os_secret_free(endpoint->password);
  os_signer_unref(endpoint->signer);
  os_free(endpoint->name);
  os_free(endpoint->url);
  os_free(endpoint->username);
  os_free(endpoint->ca_bundle);
  os_free(endpoint);
}

static bool is_ipv4_loopback(const char *host) {
  if (!os_has_prefix(host, "127.")) return false;
  return strspn(host, "0123456789.") == strlen(host);
}

const char *os_auth_name(enum os_auth auth) {
  static const char *const names[] = {"none", "basic", "netrc", "iam"};
  return names[auth];
}

bool os_url_host(const char *url, char *out, size_t size) {
  const char *start = strstr(url, "://");
  start = start ? start + 3 : url;
  bool bracketed = *start == '[';
  start += bracketed;
  size_t len = strcspn(start, bracketed ? "]" : ":/");
  if (len >= size) return false;
  for (size_t i = 0; i < len; i++)
    out[i] = os_to_lower(start[i]);
  out[len] = '\0';
  return true;
}

bool os_endpoint_is_loopback(const struct os_endpoint *endpoint) {
  char host[256];
  if (!os_url_host(endpoint->url, host, sizeof host)) return false;
  return strcmp(host, "::1") == 0 || strcmp(host, "localhost") == 0 ||
         os_has_suffix(host, ".localhost", false) || is_ipv4_loopback(host);
}

void os_endpoint_redact(const struct os_endpoint *endpoint, char *text) {
  os_redact(text, endpoint->password);
  if (endpoint->signer) endpoint->signer->does->redact(endpoint->signer, text);
}

void os_endpoint_keys_origin(const struct os_endpoint *endpoint, char *out, size_t size) {
  char origin[200] = "";
  struct os_signer *signer = endpoint->signer;
  if (signer && signer->does->origin) signer->does->origin(signer, origin, sizeof origin);
  snprintf(out, size, "%s%s", *origin ? "; the keys come from " : "", origin);
}
