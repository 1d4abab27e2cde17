/* session.h - what belongs to one SQLite connection: settings, named clusters, ledger, network thread, log,
** and the way to notice an interruption. Made by opensearch.c when the extension is loaded, shared by every
** function and table of that connection, freed when the connection closes.
**
** Keeper's thread (the caller's) only; the network thread and readers get counted references to what they
** need. */
#ifndef OS_OPERATIONS_SESSION_H
#define OS_OPERATIONS_SESSION_H
#include <sqlite3.h>
#include <stdbool.h>
#include <sys/types.h>
#include "aws/service.h"
#include "aws/sqs.h"
#include "base/error.h"
#include "base/log.h"
#include "cluster/cluster.h"
#include "config/connections.h"
#include "config/settings.h"
#include "ledger/ledger.h"
#include "net/http.h"

struct os_session {
  sqlite3 *db; /* the caller's; used for interruption and its file name alone */
  struct os_settings *settings;
  struct os_connections *connections;
  struct os_log *log;
  struct os_net *net;           /* made by the first request; NULL before */
  struct os_aws *aws;           /* made by the first request to AWS; NULL before */
  unsigned aws_generation;      /* settings that aws was made from */
  struct os_ledger *ledger;     /* made by the first command or look-up; NULL before */
  pid_t pid;                    /* the process that made net and ledger */
  sqlite3_stmt *probe_stmt;     /* notices sqlite3_interrupt() before SQLite 3.41 */
  int depth;                    /* commands running, one inside another */
  unsigned log_generation;      /* settings the log was configured from; 0: not yet */
  char *ledger_setting;         /* OS_LEDGER as it was when the ledger was made; NULL: not set */
  bool swept;                   /* jobs of dead processes were marked by this connection */
  bool clash_told;              /* a table of the user's that hides one of the ledger's was reported */
  struct os_session_caps *caps; /* what is known of the clusters talked to (private) */
  /* the command that runs */
  bool interrupted;     /* noticed; stays until the outermost command has ended */
  bool timed_out;       /* it was the deadline that stopped it */
  double deadline;      /* monotonic; 0: none */
  double probed_at;     /* when SQLite was last asked */
  unsigned sigint_seen; /* the process's count of SIGINTs when the command began */
};

int os_session_new(struct os_session **out, sqlite3 *db, struct os_error *error);
void os_session_free(struct os_session *session);

/* The probe for anything that waits: sqlite3_interrupt(), the application's progress handler, or SIGINT
** noticed by the handler that os_session_enter() chains. */
struct os_probe os_session_probe(struct os_session *session);
bool os_session_interrupted(struct os_session *session);
/* The command that runs shall not take longer than `seconds` (<= 0: no limit); a shorter limit in force
** stays. When it is reached the probe says "interrupted", and os_session_timed_out() tells that this is why.
** */
void os_session_deadline(struct os_session *session, double seconds);
bool os_session_timed_out(const struct os_session *session);
/* Has the probe said "interrupted" to the command that runs? Asks nobody. */
bool os_session_stopped(const struct os_session *session);

/* Around every command: chains the SIGINT handler, applies changed log settings, notices a fork (then
** inherited handles are left unclosed and made anew). Leave restores the handler. */
int os_session_enter(struct os_session *session, struct os_error *error);
void os_session_leave(struct os_session *session);

/* A cluster to talk to: connection NULL is main. Starts the network thread when needed. Release with
** os_session_cluster_release(). Capabilities that os_session_cluster_probe() found are filled in. */
int os_session_cluster(struct os_session *session, const char *connection, struct os_cluster *out,
                       struct os_error *error);
void os_session_cluster_release(struct os_cluster *cluster);
/* os_cluster_probe(), remembered: later clusters of the same endpoint come with their capabilities. */
int os_session_cluster_probe(struct os_session *session, struct os_cluster *cluster, bool again,
                             struct os_error *error);

/* The ledger, opened; create: for commands. Without create and without a file *out is NULL. */
int os_session_ledger(struct os_session *session, bool create, struct os_ledger **out,
                      struct os_error *error);

/* What signs requests to AWS, by the settings in force; borrowed until settings change. An error says what is wrong
** with them. */
int os_session_aws(struct os_session *session, struct os_aws **out, struct os_error *error);

/* os_sqs_open() with what the session has; os_sqs_close() it in any case. */
int os_session_queue(struct os_session *session, const char *arn, struct os_sqs_queue *queue,
                     struct os_error *error);

/* The network thread hangs (resolver): give it up; the next request starts another. */
/* The network thread in use, started when there is none (after one was given up). */
int os_session_net(struct os_session *session, struct os_net **out, struct os_error *error);
void os_session_abandon_net(struct os_session *session);
#endif
