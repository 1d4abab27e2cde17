/* session.c - the environment of one SQLite connection: made once, shared by its functions and tables.
**
** May call: ledger/, cluster/, net/, config/, base/. Owns: everything in struct os_session but `db`.
** Interruption is noticed in three ways, because no single one works in every host: sqlite3_is_interrupted()
** from SQLite 3.41 on, a small statement on the caller's connection before that (it also runs the
** application's progress handler), and the chained SIGINT handler of sigint.c. */
#include "operations/session.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include "aws/login.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "ledger/sqlite_api.h"
#include "operations/sigint.h"

/* Enough virtual-machine steps (about 1000) that a progress handler set to as many is called; 0.1 ms. */
static const char probe_sql[] =
    "WITH RECURSIVE step(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM step WHERE n < 200) "
    "SELECT count(*) FROM step";
enum { PROBES_PER_SECOND = 20 };

struct os_session_caps {
  struct os_session_caps *next;
  char *url, *username; /* username NULL: none */
  struct os_capabilities known;
};

/* The network threads that were given up are joined when the last connection of the process closes. */
static atomic_int sessions;

static void end_session(void) {
  if (atomic_fetch_sub(&sessions, 1) == 1) os_net_reap_all();
}

static int make_signer(void *ctx, const struct os_iam_login *login, struct os_signer **out,
                       struct os_error *error) {
  const struct os_session *session = ctx;
  return os_aws_login(session->settings, session->log, login, out, error);
}

/* ---- making and freeing ------------------------------------------------------------------------- */

int os_session_new(struct os_session **out, sqlite3 *db, struct os_error *error) {
  *out = NULL;
  struct os_session *session = os_calloc(1, sizeof *session);
  if (session == NULL) return os_fail_nomem(error);
  atomic_fetch_add(&sessions, 1);
  session->db = db;
  session->pid = getpid();
  int rc = OS_ERR_NOMEM;
  session->log = os_log_new();
  if (session->log == NULL)
    rc = os_fail_nomem(error);
  else
    rc = os_settings_new(&session->settings, error);
  if (rc == OS_OK) rc = os_connections_new(&session->connections, session->settings, error);
  if (rc != OS_OK) {
    os_session_free(session);
    return rc;
  }
  os_connections_set_log(session->connections, session->log);
  os_connections_set_signer_maker(session->connections, make_signer, session);
  *out = session;
  return OS_OK;
}

static void free_caps(struct os_session *session) {
  while (session->caps != NULL) {
    struct os_session_caps *caps = session->caps;
    session->caps = caps->next;
    os_free(caps->url);
    os_free(caps->username);
    os_free(caps);
  }
}

/* After fork() the child's copies of the network thread and of the ledger's connection belong to the parent:
** closing either would harm it (SQLite, "How To Corrupt", section 2.6), so they are left as they are. */
static void abandon_inherited(struct os_session *session) {
  session->net = NULL;
  session->aws = NULL;
  if (session->ledger != NULL)
    os_ledger_abandon(session->ledger); /* else our parent's jobs seem to live with us */
  session->ledger = NULL;
  session->probe_stmt = NULL;
  session->depth = 0;
  session->swept = false;
  session->pid = getpid();
}

void os_session_free(struct os_session *session) {
  if (session == NULL) return;
  bool inherited = session->pid != getpid();
  if (inherited) abandon_inherited(session);
  sqlite3_finalize(session->probe_stmt);
  if (session->net != NULL) os_net_free(session->net);
  os_aws_close(session->aws);
  if (session->ledger != NULL) os_ledger_free(session->ledger);
  os_free(session->ledger_setting);
  free_caps(session);
  os_connections_free(session->connections);
  os_settings_free(session->settings);
  os_log_unref(session->log);
  os_free(session);
  if (!inherited) end_session();
}

/* ---- interruption ------------------------------------------------------------------------------- */

static bool sqlite_interrupted(struct os_session *session) {
#if SQLITE_VERSION_NUMBER >= 3041000
  /* The slot in the table of pointers exists from 3.41 on only. */
  if (sqlite3_libversion_number() >= 3041000 && sqlite3_is_interrupted(session->db)) return true;
#endif
  if (session->probe_stmt == NULL) return false;
  sqlite3_step(session->probe_stmt);
  return sqlite3_reset(session->probe_stmt) == SQLITE_INTERRUPT;
}

bool os_session_interrupted(struct os_session *session) {
  if (session->interrupted) return true;
  double now = os_clock_monotonic();
  if (os_sigint_count() != session->sigint_seen) {
    session->interrupted = true;
  } else if (session->deadline > 0 && now >= session->deadline) {
    session->interrupted = session->timed_out = true;
  } else if (now - session->probed_at >= 1.0 / PROBES_PER_SECOND) {
    session->probed_at = now;
    session->interrupted = sqlite_interrupted(session);
  }
  return session->interrupted;
}

static bool probe_interrupted(void *session) {
  return os_session_interrupted(session);
}

struct os_probe os_session_probe(struct os_session *session) {
  return (struct os_probe){.interrupted = probe_interrupted, .ctx = session};
}

void os_session_deadline(struct os_session *session, double seconds) {
  if (!(seconds > 0)) return;
  double deadline = os_clock_monotonic() + seconds;
  if (session->deadline <= 0 || deadline < session->deadline) session->deadline = deadline;
}

bool os_session_timed_out(const struct os_session *session) {
  return session->timed_out;
}

bool os_session_stopped(const struct os_session *session) {
  return session->interrupted;
}

/* ---- around a command --------------------------------------------------------------------------- */

static int configure_log(struct os_session *session, struct os_error *error) {
  const struct os_settings *settings = session->settings;
  unsigned generation = os_settings_generation(settings) + 1; /* so that 0 can mean "not yet" */
  if (session->log_generation == generation) return OS_OK;
  int rc = os_log_configure(session->log, os_settings_get(settings, OS_SET_LOG_LEVEL),
                            os_settings_get(settings, OS_SET_LOG_FORMAT),
                            os_settings_get(settings, OS_SET_LOG_FILE), error);
  if (rc == OS_OK) session->log_generation = generation;
  return rc;
}

int os_session_enter(struct os_session *session, struct os_error *error) {
  if (session->pid != getpid()) abandon_inherited(session);
  if (session->depth == 0) {
    int rc = configure_log(session, error);
    if (rc != OS_OK) return rc;
    session->interrupted = session->timed_out = false;
    session->deadline = 0;
    session->probed_at = 0;
    session->sigint_seen = os_sigint_count();
    /* Prepared for each command and finalized after it: a statement left open would make sqlite3_close()
    ** refuse. An authorizer may forbid it; then the other two ways must do. */
    if (sqlite3_prepare_v2(session->db, probe_sql, -1, &session->probe_stmt, NULL) != SQLITE_OK)
      session->probe_stmt = NULL;
  }
  os_sigint_enter();
  session->depth++;
  return OS_OK;
}

void os_session_leave(struct os_session *session) {
  if (session->depth > 0 && --session->depth == 0) {
    sqlite3_finalize(session->probe_stmt);
    session->probe_stmt = NULL;
    session->deadline = 0;
  }
  os_sigint_leave();
}

/* ---- clusters ----------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b) {
  return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* What one user may see of a cluster is not what another may, so both are the key. */
static struct os_session_caps *find_caps(struct os_session *session, const struct os_endpoint *endpoint) {
  for (struct os_session_caps *caps = session->caps; caps != NULL; caps = caps->next)
    if (same_text(caps->url, endpoint->url) && same_text(caps->username, endpoint->username)) return caps;
  return NULL;
}

static void remember_caps(struct os_session *session, const struct os_cluster *cluster) {
  struct os_session_caps *caps = find_caps(session, cluster->endpoint);
  if (caps == NULL) {
    caps = os_calloc(1, sizeof *caps);
    if (caps == NULL) return; /* asked again next time */
    caps->url = os_strdup(cluster->endpoint->url);
    caps->username = os_strdup(cluster->endpoint->username);
    caps->next = session->caps;
    session->caps = caps;
  }
  caps->known = cluster->caps;
}

int os_session_net(struct os_session *session, struct os_net **out, struct os_error *error) {
  int rc = OS_OK;
  if (session->net == NULL) rc = os_net_new(&session->net, session->log, error);
  if (rc != OS_OK) session->net = NULL;
  *out = session->net;
  return rc;
}

int os_session_cluster(struct os_session *session, const char *connection, struct os_cluster *out,
                       struct os_error *error) {
  memset(out, 0, sizeof *out);
  int rc = os_connections_endpoint(session->connections, connection, &out->endpoint, error);
  if (rc != OS_OK) return rc;
  rc = os_session_net(session, &out->net, error);
  if (rc != OS_OK) {
    os_session_cluster_release(out);
    return rc;
  }
  out->log = session->log;
  out->probe = os_session_probe(session);
  const struct os_session_caps *caps = find_caps(session, out->endpoint);
  if (caps != NULL) out->caps = caps->known;
  return OS_OK;
}

void os_session_cluster_release(struct os_cluster *cluster) {
  if (cluster->endpoint != NULL) os_endpoint_unref(cluster->endpoint);
  cluster->endpoint = NULL;
  cluster->net = NULL;
}

int os_session_cluster_probe(struct os_session *session, struct os_cluster *cluster, bool again,
                             struct os_error *error) {
  int rc = os_cluster_probe(cluster, again, error);
  if (rc == OS_OK) remember_caps(session, cluster);
  return rc;
}

void os_session_abandon_net(struct os_session *session) {
  if (session->net != NULL) os_net_abandon(session->net);
  session->net = NULL;
}

/* ---- AWS --------------------------------------------------------------------------------------- */

int os_session_aws(struct os_session *session, struct os_aws **out, struct os_error *error) {
  unsigned generation = os_settings_generation(session->settings);
  *out = NULL;
  if (session->pid != getpid()) abandon_inherited(session);
  if (session->aws != NULL && session->aws_generation != generation) {
    os_aws_close(session->aws);
    session->aws = NULL;
  }
  int rc = os_settings_check(session->settings, error);
  if (rc == OS_OK && session->aws == NULL)
    rc = os_aws_open(&session->aws, session->settings, session->log, error);
  if (rc != OS_OK) return rc;
  session->aws_generation = generation;
  *out = session->aws;
  return OS_OK;
}

int os_session_queue(struct os_session *session, const char *arn, struct os_sqs_queue *queue,
                     struct os_error *error) {
  struct os_probe probe = os_session_probe(session);
  struct os_aws *aws;
  struct os_net *net;
  memset(queue, 0, sizeof *queue);
  int rc = os_session_aws(session, &aws, error);
  if (rc == OS_OK) rc = os_session_net(session, &net, error);
  return rc == OS_OK ? os_sqs_open(queue, aws, net, &probe, arn, error) : rc;
}

/* ---- the ledger --------------------------------------------------------------------------------- */

/* OS_LEDGER may be set after the first look at the ledger; between commands another file is then taken. */
static int make_ledger(struct os_session *session, struct os_error *error) {
  const char *setting = os_settings_get(session->settings, OS_SET_LEDGER);
  if (session->ledger != NULL && (session->depth > 1 || same_text(setting, session->ledger_setting)))
    return OS_OK;
  struct os_ledger *ledger;
  char *copy = os_strdup(setting);
  if (setting != NULL && copy == NULL) return os_fail_nomem(error);
  int rc = os_ledger_new(&ledger, sqlite3_db_filename(session->db, "main"),
                         sqlite3_db_readonly(session->db, "main") == 1, setting, error);
  if (rc != OS_OK) {
    os_free(copy);
    return rc;
  }
  if (session->ledger != NULL) os_ledger_free(session->ledger);
  os_free(session->ledger_setting);
  session->ledger = ledger;
  session->ledger_setting = copy;
  session->swept = false;
  return OS_OK;
}

int os_session_ledger(struct os_session *session, bool create, struct os_ledger **out,
                      struct os_error *error) {
  *out = NULL;
  if (session->pid != getpid()) abandon_inherited(session);
  int rc = make_ledger(session, error);
  if (rc == OS_OK) rc = os_ledger_open(session->ledger, create, error);
  if (rc != OS_OK) return rc;
  if (os_ledger_db(session->ledger) == NULL) return OS_OK; /* there is none yet, and none was wanted */
  if (create && !session->swept) {
    rc = os_ledger_sweep(session->ledger, error);
    session->swept = rc == OS_OK;
  }
  if (rc == OS_OK) *out = session->ledger;
  return rc;
}
