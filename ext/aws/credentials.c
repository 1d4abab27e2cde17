/* credentials.c - the keys in force, and their renewal by a thread of its own before they expire.
**
** Calls base, config, net and aws/chain. Owns the source that the chain found, the keys in force, and at
** most one thread, which fetches once and ends. Everything that changes stands behind one lock, which is
** never held over anything slow; os_fork_hold() goes around it, so that a child of fork() finds it open.
*/
#include "aws/credentials.h"
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include "aws/chain/chain.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fork.h"
#include "base/thread.h"

/* How long before their end keys are renewed: 15 minutes before, in the background, and from 10 minutes
** before, the new ones are waited for. These are botocore's figures. Keys that live for an hour or less
** at their arrival leave a quarter and a sixth of their life instead. */
#define ADVISORY_S 900.0
#define MANDATORY_S 600.0
#define ADVISORY_SHARE 0.25
#define MANDATORY_SHARE (1.0 / 6)
/* After keys that had expired at their arrival from a place that is to be trusted all the same, and how
** much more at random (the static stability of AWS's own tools: 15 minutes, and 2 to 10). */
#define STEADY_S 1020.0
#define STEADY_JITTER_S 480.0
#define FAILED_PAUSE_S 1.0
#define LONGEST_PAUSE_S 60.0
#define SILENT_S 2.0
enum { WAIT_MS = 10 };

struct os_credentials {
  atomic_int references;
  struct os_chain chain; /* the source, and what was found beside it */
  struct os_log *log;
  char *asked_region; /* of the instance */
  bool region_asked;
  atomic_bool stopping;
  pthread_mutex_t lock; /* all below */
  pid_t pid;            /* whose thread it is */
  pthread_t thread;
  bool has_thread; /* to be joined */
  bool fetching;
  struct os_aws_keys *keys;          /* in force; NULL: none */
  struct os_aws_keys *rejected;      /* what a server called expired */
  double renew_at, wait_at, dead_at; /* seconds since 1970 */
  double next_try;                   /* monotonic */
  struct os_error fault;             /* of the last fetch; code OS_OK: it worked */
  bool told;                         /* somebody was given the fault */
  struct os_error silence;           /* of the instance, asked for its region; code OS_OK: none */
  double silent_until;               /* monotonic: so long it is not asked for keys either */
};

static void enter(struct os_credentials *credentials) {
  os_fork_hold();
  pthread_mutex_lock(&credentials->lock);
  if (credentials->pid == getpid()) return;
  credentials->pid = getpid(); /* the thread stayed with the parent */
  credentials->has_thread = credentials->fetching = false;
}

static void leave(struct os_credentials *credentials) {
  pthread_mutex_unlock(&credentials->lock);
  os_fork_let_go();
}

/* ---- what came of a fetch; inside the lock ---- */

static double smaller(double a, double b) {
  return a < b ? a : b;
}

static void take_keys(struct os_credentials *credentials, struct os_aws_keys *keys) {
  const double never = 1e18;
  double now = os_clock_unix(), life = keys->expires - now;
  os_aws_keys_unref(credentials->keys);
  credentials->keys = keys;
  os_error_clear(&credentials->fault);
  credentials->renew_at = credentials->wait_at = credentials->dead_at = never;
  if (keys->expires <= 0) return;
  if (credentials->chain.source->does->given) {
    credentials->dead_at = keys->expires;
  } else if (life <= 0 && credentials->chain.source->does->steady) {
    credentials->renew_at = now + STEADY_S + STEADY_JITTER_S * os_random_unit();
  } else {
    credentials->dead_at = keys->expires;
    credentials->renew_at = keys->expires - smaller(ADVISORY_S, life * ADVISORY_SHARE);
    credentials->wait_at = keys->expires - smaller(MANDATORY_S, life * MANDATORY_SHARE);
  }
}

/* The next try: soon when there are no keys, else so that some are left before the keys end. */
static void take_fault(struct os_credentials *credentials, const struct os_error *fault) {
  double left = credentials->keys ? credentials->dead_at - os_clock_unix() : 0;
  double pause = smaller(left / 10, LONGEST_PAUSE_S);
  credentials->fault = *fault;
  credentials->told = false;
  credentials->next_try = os_clock_monotonic() + (pause > FAILED_PAUSE_S ? pause : FAILED_PAUSE_S);
}

static bool same_keys(const struct os_aws_keys *a, const struct os_aws_keys *b) {
  if (!a || !b || strcmp(a->access_key_id, b->access_key_id) != 0) return false;
  if (!a->session_token || !b->session_token) return a->session_token == b->session_token;
  return strcmp(a->session_token, b->session_token) == 0;
}

/* ---- the fetch ---- */

static bool is_stopping(void *ctx) {
  return atomic_load(&((struct os_credentials *)ctx)->stopping);
}

static struct os_error recent_silence(struct os_credentials *credentials) {
  struct os_error silence;
  enter(credentials);
  silence = credentials->silence;
  if (os_clock_monotonic() >= credentials->silent_until) os_error_clear(&silence);
  leave(credentials);
  return silence;
}

static int fetch_once(struct os_credentials *credentials, struct os_aws_keys **out, struct os_error *error) {
  const struct os_error silence = recent_silence(credentials);
  struct os_fetch fetch = {
      .log = credentials->log, .silent = &silence, .probe = {.interrupted = is_stopping, .ctx = credentials}};
  struct os_source *source = credentials->chain.source;
  *out = NULL;
  int code = source->does->fetch(source, &fetch, out, error);
  if (fetch.hung)
    os_net_abandon(fetch.net);
  else
    os_net_free(fetch.net);
  return code;
}

static void log_outcome(struct os_credentials *credentials, const struct os_aws_keys *keys,
                        const struct os_error *fault) {
  char when[OS_TIME_TEXT];
  if (!credentials->log) return;
  if (!keys) {
    os_log_write(credentials->log, OS_LOG_WARNING, "AWS keys are not renewed yet: %s", fault->text);
  } else if (keys->expires > 0) {
    os_clock_iso(keys->expires, when);
    os_log_write(credentials->log, OS_LOG_DEBUG, "AWS keys from %s, good until %s", keys->origin, when);
  } else {
    os_log_write(credentials->log, OS_LOG_DEBUG, "AWS keys from %s", keys->origin);
  }
}

/* Keys that have expired, or that a server has called so, are no use. */
static int check_new(const struct os_credentials *credentials, const struct os_aws_keys *keys,
                     struct os_error *error) {
  if (keys->expires > 0 && keys->expires <= os_clock_unix() && !credentials->chain.source->does->steady) {
    char when[OS_TIME_TEXT];
    os_clock_iso(keys->expires, when);
    os_fail(error, OS_ERR_AUTH, "the AWS keys from %s had expired when they came, at %s", keys->origin, when);
    return os_advise(error, "renew them where they come from, and check this machine's clock");
  }
  if (!same_keys(keys, credentials->rejected)) return OS_OK;
  os_fail(error, OS_ERR_AUTH, "AWS called the keys from %s expired, and there are no others there yet",
          keys->origin);
  return os_advise(error, "renew them where they come from; the next request looks again");
}

static void *fetch_thread(void *arg) {
  struct os_credentials *credentials = arg;
  struct os_aws_keys *keys;
  struct os_error fault;
  os_error_clear(&fault);
  int code = fetch_once(credentials, &keys, &fault);
  enter(credentials);
  if (!code && check_new(credentials, keys, &fault)) {
    os_aws_keys_unref(keys);
    keys = NULL;
  }
  bool tell =
      !is_stopping(credentials) && (keys || credentials->keys); /* else the fault is somebody's answer */
  if (keys)
    take_keys(credentials, os_aws_keys_ref(keys));
  else
    take_fault(credentials, &fault);
  leave(credentials);
  if (tell) log_outcome(credentials, keys, &fault);
  os_aws_keys_unref(keys);
  enter(credentials);
  credentials->fetching = false; /* from here on this thread is joined in no time */
  leave(credentials);
  return NULL;
}

/* Inside the lock. */
static void start_fetch(struct os_credentials *credentials) {
  struct os_error fault;
  if (credentials->has_thread) pthread_join(credentials->thread, NULL); /* it has ended */
  int failed = os_thread_start(&credentials->thread, fetch_thread, credentials);
  credentials->has_thread = credentials->fetching = !failed;
  if (!failed) return;
  os_fail(&fault, OS_ERR_INTERNAL, "a thread to fetch AWS keys cannot be started (error %d of the system)",
          failed);
  os_advise(&fault, "the limit on threads or memory may be reached: see ulimit -u and -v");
  take_fault(credentials, &fault);
}

/* ---- made and freed ---- */

/* NULL: no memory. */
static struct os_credentials *make(void) {
  struct os_credentials *credentials = os_calloc(1, sizeof *credentials);
  if (!credentials) return NULL;
  atomic_init(&credentials->references, 1);
  atomic_init(&credentials->stopping, false);
  credentials->pid = getpid();
  pthread_mutex_init(&credentials->lock, NULL);
  return credentials;
}

static int take_given_keys(struct os_credentials *credentials, struct os_error *error) {
  struct os_aws_keys *keys;
  if (!credentials->chain.source->does->given) return OS_OK;
  int code = fetch_once(credentials, &keys, error);
  if (!code) take_keys(credentials, keys);
  return code;
}

int os_credentials_new(struct os_credentials **out, struct os_settings *settings,
                       const struct os_credentials_choice *choice, struct os_log *log,
                       struct os_error *error) {
  struct os_chain chain;
  *out = NULL;
  int code = os_chain_find(&chain, settings, choice, error);
  if (code) return code;
  struct os_credentials *credentials = make();
  if (!credentials) {
    os_chain_free(&chain);
    return os_fail_nomem(error);
  }
  credentials->log = log ? os_log_ref(log) : NULL;
  credentials->chain = chain;
  code = take_given_keys(credentials, error);
  if (code)
    os_credentials_unref(credentials);
  else
    *out = credentials;
  return code;
}

int os_credentials_fixed(struct os_credentials **out, const char *access_key_id,
                         const char *secret_access_key, const char *session_token, struct os_error *error) {
  struct os_aws_keys what = {.access_key_id = (char *)access_key_id,
                             .secret_access_key = (char *)secret_access_key,
                             .session_token = (char *)session_token,
                             .origin = (char *)"the caller"};
  struct os_aws_keys *keys = NULL;
  *out = NULL;
  struct os_credentials *credentials = make();
  if (!credentials) return os_fail_nomem(error);
  int code = os_aws_keys_new(&keys, &what, error);
  if (!code) code = os_source_keys_new(&credentials->chain.source, keys, error);
  if (!code) code = take_given_keys(credentials, error);
  os_aws_keys_unref(keys);
  if (code)
    os_credentials_unref(credentials);
  else
    *out = credentials;
  return code;
}

struct os_credentials *os_credentials_ref(struct os_credentials *credentials) {
  if (credentials) atomic_fetch_add(&credentials->references, 1);
  return credentials;
}

void os_credentials_unref(struct os_credentials *credentials) {
  if (!credentials || atomic_fetch_sub(&credentials->references, 1) > 1) return;
  atomic_store(&credentials->stopping, true); /* a fetch under way ends within a moment */
  enter(credentials);
  bool join = credentials->has_thread;
  leave(credentials);
  if (join) pthread_join(credentials->thread, NULL);
  pthread_mutex_destroy(&credentials->lock);
  os_aws_keys_unref(credentials->keys);
  os_aws_keys_unref(credentials->rejected);
  os_chain_free(&credentials->chain);
  os_log_unref(credentials->log);
  os_free(credentials->asked_region);
  os_free(credentials);
}

/* ---- asked ---- */

static void start_if_due(struct os_credentials *credentials) {
  if (!credentials->fetching && os_clock_monotonic() >= credentials->next_try) start_fetch(credentials);
}

/* Keys are in force: renew them in time, and hand them out unless new ones are on their way and worth
** waiting for. When those could not be had, the old ones go on being used as long as they are good. */
static enum os_sign_state with_keys(struct os_credentials *credentials, double now) {
  if (now >= credentials->renew_at) start_if_due(credentials);
  bool wait = now >= credentials->wait_at && credentials->fetching && !credentials->fault.code;
  return wait ? OS_SIGN_WAIT : OS_SIGN_READY;
}

/* None are in force. A fault is told at least once, and for a second whoever asks is told the same. */
static enum os_sign_state without_keys(struct os_credentials *credentials, struct os_error *error) {
  if (credentials->fetching) return OS_SIGN_WAIT;
  bool failed = credentials->fault.code != OS_OK;
  if (!failed || (credentials->told && os_clock_monotonic() >= credentials->next_try))
    start_fetch(credentials);
  if (credentials->fetching) return OS_SIGN_WAIT;
  credentials->told = true;
  if (error) *error = credentials->fault;
  return OS_SIGN_FAILED;
}

enum os_sign_state os_credentials_get(struct os_credentials *credentials, struct os_aws_keys **out,
                                      struct os_error *error) {
  enum os_sign_state state;
  double now = os_clock_unix();
  *out = NULL;
  enter(credentials);
  if (credentials->keys && now >= credentials->dead_at) {
    os_aws_keys_unref(credentials->keys);
    credentials->keys = NULL;
  }
  state = credentials->keys ? with_keys(credentials, now) : without_keys(credentials, error);
  if (state == OS_SIGN_READY) *out = os_aws_keys_ref(credentials->keys);
  leave(credentials);
  return state;
}

int os_credentials_wait(struct os_credentials *credentials, const struct os_probe *probe,
                        struct os_aws_keys **out, struct os_error *error) {
  for (;;) {
    enum os_sign_state state = os_credentials_get(credentials, out, error);
    if (state == OS_SIGN_READY) return OS_OK;
    if (state == OS_SIGN_FAILED) return error ? (int)error->code : OS_ERR_AUTH;
    if (probe && probe->interrupted && probe->interrupted(probe->ctx))
      return os_fail(error, OS_ERR_INTERRUPTED, "interrupted");
    os_clock_sleep_ms(WAIT_MS);
  }
}

bool os_credentials_expired(struct os_credentials *credentials, const struct os_aws_keys *keys) {
  if (credentials->chain.source->does->given) return false;
  enter(credentials);
  if (same_keys(keys, credentials->keys)) {
    os_aws_keys_unref(credentials->rejected);
    credentials->rejected = credentials->keys;
    credentials->keys = NULL;
    os_error_clear(&credentials->fault);
    start_if_due(credentials);
  }
  leave(credentials);
  return true;
}

static void note_silence(struct os_credentials *credentials, const struct os_error *silence) {
  enter(credentials);
  credentials->silence = *silence;
  credentials->silent_until = os_clock_monotonic() + SILENT_S;
  leave(credentials);
}

/* Once: the instance answers within a second, or never; then it has no keys for the same call either. */
static void ask_region(struct os_credentials *credentials) {
  struct os_fetch fetch = {.log = credentials->log};
  struct os_error fault;
  if (credentials->region_asked || !credentials->chain.instance.url) return;
  credentials->region_asked = true;
  os_instance_region(&credentials->chain.instance, &fetch, &credentials->asked_region, &fault);
  if (!credentials->asked_region && fault.code == OS_ERR_NETWORK) note_silence(credentials, &fault);
  if (credentials->asked_region && !os_aws_is_region(credentials->asked_region)) {
    os_free(credentials->asked_region);
    credentials->asked_region = NULL;
  }
  if (fetch.hung)
    os_net_abandon(fetch.net);
  else
    os_net_free(fetch.net);
}

const char *os_credentials_region(struct os_credentials *credentials) {
  if (credentials->chain.addresses.region) return credentials->chain.addresses.region;
  ask_region(credentials);
  return credentials->asked_region;
}

int os_credentials_address(const struct os_credentials *credentials, const char *service, const char *region,
                           char **out, bool *given, struct os_error *error) {
  const struct os_addresses *addresses = &credentials->chain.addresses;
  enum os_address which = os_address_of(service);
  *out = NULL;
  if (which == OS_ADDRESS_COUNT)
    return os_fail(error, OS_ERR_INTERNAL, "nothing is known of the addresses of %s", service);
  *given = addresses->configured[which] != NULL;
  return os_addresses_url(addresses, which, region, out, error);
}

const char *os_credentials_ca_bundle(struct os_credentials *credentials) {
  return credentials->chain.addresses.ca_bundle;
}
