/* source.h - one place that keys come from, as the chain found it, and what fetching from it needs.
**
** Inside aws/ only. A source is made on the keeper's thread, where everything it must know of settings,
** variables and profiles is copied into it; afterwards one thread at a time fetches from it.
*/
#ifndef OS_AWS_CHAIN_SOURCE_H
#define OS_AWS_CHAIN_SOURCE_H
#include <stdbool.h>
#include "aws/credentials.h"
#include "base/error.h"
#include "base/log.h"
#include "net/http.h"

struct os_source;

/* What a fetch has at hand. */
struct os_fetch {
  struct os_net *net; /* made when the first request is, by os_fetch_http() */
  struct os_log *log; /* borrowed; may be NULL */
  struct os_probe probe;
  const struct os_error *silent; /* what a moment ago came of asking the instance for its region; or NULL */
  bool hung;                     /* a request got no answer: the network thread may take long to end */
};

struct os_source_class {
  /* Keys, or an error that says where was looked, why that gave nothing and what to do. OS_ERR_NETWORK:
  ** a fault that may pass, for which a load tries again. */
  int (*fetch)(struct os_source *source, struct os_fetch *fetch, struct os_aws_keys **out,
               struct os_error *error);
  void (*free)(struct os_source *source);
  bool given;  /* fetching is reading what is here already: it is done at once, and expiry cannot be helped */
  bool steady; /* keys that have expired are the best there is: go on with them, ask again later */
};

struct os_source { /* the first member of whatever implements it */
  const struct os_source_class *does;
};

static inline void os_source_free(struct os_source *source) {
  if (source) source->does->free(source);
}

/* A copy of *what, whose counter is not looked at. */
int os_aws_keys_new(struct os_aws_keys **out, const struct os_aws_keys *what, struct os_error *error);

/* Keys that were given; takes a reference. */
int os_source_keys_new(struct os_source **out, struct os_aws_keys *keys, struct os_error *error);
#endif
