/* signer.h - what signs the requests to an endpoint. An interface: aws/ has the signature, net/ asks for it, and
** an endpoint carries it from one to the other. Reference-counted, because requests under way keep it.
*/
#ifndef OS_CONFIG_SIGNER_H
#define OS_CONFIG_SIGNER_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/buffer.h"
#include "base/error.h"

struct os_sign_input {
  const char *method;
  const char *url; /* whole, as libcurl is given it: scheme://host[:port]/path[?query] */
  const char *body;
  size_t body_len;
  const char *const *headers; /* further lines "Name: value" of the request, ending with NULL; or NULL */
  unsigned *serial;           /* set to what `refused` is asked with: which keys and clock it was signed by */
};

enum os_sign_state {
  OS_SIGN_READY,
  OS_SIGN_WAIT, /* credentials are on their way: ask again in a moment */
  OS_SIGN_FAILED,
};

struct os_signer;
struct os_signer_class {
  /* Network thread, anew for each attempt; never blocks. READY: `lines` got the headers to add, each "Name: value"
  ** with '\n' at its end. FAILED: the error says why. */
  enum os_sign_state (*sign)(struct os_signer *signer, const struct os_sign_input *input,
                             struct os_buf *lines, struct os_error *error);
  /* Network thread: an answer of 400 to 403 came. `date` is the server's clock (seconds since 1970), or -1. True:
  ** the reason was the age of the signature or of its keys, which is mended now; the request was not carried out
  ** and may go again, signed anew. */
  bool (*refused)(struct os_signer *signer, unsigned serial, const char *answer, size_t len, double date);
  void (*free)(struct os_signer *signer);
  /* Hide what is secret in foreign text, in place; any thread. */
  void (*redact)(struct os_signer *signer, char *text);
  /* Where the keys come from, for people; "" before the first request. Any thread. NULL: nobody knows. */
  void (*origin)(struct os_signer *signer, char *out, size_t size);
};

struct os_signer { /* the first member of whatever implements it */
  atomic_int references;
  const struct os_signer_class *does;
};

static inline struct os_signer *os_signer_ref(struct os_signer *signer) {
  if (signer) atomic_fetch_add(&signer->references, 1);
  return signer;
}

static inline void os_signer_unref(struct os_signer *signer) {
  if (signer && atomic_fetch_sub(&signer->references, 1) == 1) signer->does->free(signer);
}
#endif
