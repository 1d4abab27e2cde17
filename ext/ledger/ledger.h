/* ledger.h - the project's memory: jobs, their files, the audit, refused records, saved settings. The only
** code that writes SQLite, on a private connection to an ordinary file (WAL; rollback journal on network
** file systems).
**
** Keeper's thread only; one struct os_ledger per SQLite connection. Several processes share one file: every
** write waits up to 10 s for the others. Times are ISO-8601 UTC text. Durability: acknowledgements run at
** synchronous=NORMAL; intents, saved settings and inverses at FULL.
*/
#ifndef OS_LEDGER_LEDGER_H
#define OS_LEDGER_LEDGER_H
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

struct os_ledger;

/* Where it lives: `setting` (OS_LEDGER, may be NULL) or beside the main database file (`main_path`, NULL or
** "" when the main database is in memory, temporary or read-only), or in the user's state folder. Makes
** nothing yet. */
int os_ledger_new(struct os_ledger **out, const char *main_path, bool main_readonly, const char *setting,
                  struct os_error *error);
void os_ledger_free(struct os_ledger *ledger); /* running jobs of ours become interrupted */
/* In a forked child, for what was inherited: closes the descriptor of the lock file (else the parent's jobs
** would seem to live as long as the child). The connection is closed by the next os_ledger_open() of the
** child (fork.c). The struct is not used afterwards. */
void os_ledger_abandon(struct os_ledger *ledger);
const char *os_ledger_path(const struct os_ledger *ledger);

/* Open, creating or upgrading when `create`; without create and without a file: OS_OK and os_ledger_db() is
** NULL. A ledger made by a newer version is refused; a file that is no ledger (a user's table of the same
** name) is reported. */
int os_ledger_open(struct os_ledger *ledger, bool create, struct os_error *error);
/* The private connection for read statements of the tables (surface/), or NULL while there is none. From the
** first step of a statement to its reset os_fork_hold() is in force, so that a child finds it at rest; the
** functions below see to that themselves. */
sqlite3 *os_ledger_db(struct os_ledger *ledger);
/* A fork of this process leaves neither the ledger nor SQLite's own locks half taken (fork.c). Any thread;
** again is harmless. */
void os_ledger_watch_forks(void);

/* ---- jobs ---------------------------------------------------------------------------------------------- */
struct os_job_begin {
  const char *kind;       /* bulk_load, cleanup, retry_failures … */
  const char *index_name; /* may be NULL */
  const char *arguments;  /* JSON, without secrets */
  const char *settings;   /* JSON: what differs from the defaults, without secrets; may be NULL */
  const char *correlation_id;
  int64_t parent; /* 0: none */
};
/* Inserts the row (status running), takes the job's lock byte, and gives its number. */
int os_ledger_job_begin(struct os_ledger *ledger, const struct os_job_begin *begin, int64_t *job,
                        struct os_error *error);

struct os_job_figures {
  int64_t files, files_done;
  int64_t documents_read, documents_created, documents_updated, documents_noop, documents_already,
      documents_failed, documents_skipped;
  int64_t bytes_read, bytes_sent, requests, retries;
  int64_t count_before, count_after; /* -1: not known (NULL) */
};
/* Also the heartbeat: call it at least every 20 s, with unchanged figures while paused. For jobs of this
** ledger only. */
int os_ledger_job_progress(struct os_ledger *ledger, int64_t job, const struct os_job_figures *figures,
                           struct os_error *error);
/* status: success, partial, failed, interrupted, cancelled. Releases the lock byte; response: JSON
** or NULL. */
int os_ledger_job_finish(struct os_ledger *ledger, int64_t job, const char *status,
                         const struct os_job_figures *figures, const char *error_text, const char *response,
                         struct os_error *error);
/* What another process asks of a running job: "", "cancel", "pause". Cheap enough for four times a second. */
int os_ledger_job_control(struct os_ledger *ledger, int64_t job, char out[16], struct os_error *error);
/* os_cancel / os_pause / os_continue: word "cancel", "pause", "". An unknown or finished job is an error. */
int os_ledger_job_ask(struct os_ledger *ledger, int64_t job, const char *word, struct os_error *error);
/* Does the process that runs `job` still live? (lock byte on this host, heartbeat elsewhere) */
bool os_ledger_job_alive(struct os_ledger *ledger, int64_t job);
/* Mark every running job whose process died as interrupted. Called by the first command of a connection. */
int os_ledger_sweep(struct os_ledger *ledger, struct os_error *error);
int os_ledger_prune(struct os_ledger *ledger, const char *before_iso, int64_t *jobs_removed,
                    struct os_error *error);

/* ---- audit --------------------------------------------------------------------------------------------- */
/* verdict: pass, fail, unknown, skip, did. durable: commit at FULL (an intent before a change). */
int os_ledger_audit(struct os_ledger *ledger, int64_t job, const char *step, const char *check_name,
                    const char *verdict, const char *detail, bool durable, struct os_error *error);
/* Was this check passed, or this change made, by the job? A later job that goes on with it asks. */
int os_ledger_audit_has(struct os_ledger *ledger, int64_t job, const char *check_name, bool *has,
                        struct os_error *error);

/* The next job after `after` that began to make the index anew (audit "trial"), did not end well, lives no
** more, and whose leftovers nobody has looked at (audit "leftovers"); 0 when there is none. */
int os_ledger_cleanup_broken(struct os_ledger *ledger, const char *index_name, int64_t after, int64_t *job,
                             struct os_error *error);
/* The last job that was deleting the documents of the index when it ended, none having emptied it since;
** 0: none. */
int os_ledger_emptying_broken(struct os_ledger *ledger, const char *index_name, int64_t *job,
                              struct os_error *error);

/* ---- steps of an operation on the cluster: reindex, alias switch, refresh …
** ----------------------------- */
/* state: begun (an intent: before its request), done, undone. item: what the step is about, "" when there
** is only one. data: JSON that going on or undoing needs, without secrets; NULL keeps what was written
** last. FULL. */
int os_ledger_step_put(struct os_ledger *ledger, int64_t job, const char *item, const char *name,
                       const char *state, const char *data, struct os_error *error);
/* state: "" when the step was never begun. *data (may be NULL) is os_free()d by the caller. */
int os_ledger_step_get(struct os_ledger *ledger, int64_t job, const char *item, const char *name,
                       char state[16], char **data, struct os_error *error);

/* An operation that can be continued names itself by a step "operation" (item "") whose data is a key made
** of what it was asked for. The newest job of `kind` with this key, below number `before`; 0: none. status
** as os_jobs shows it. */
int os_ledger_operation_last(struct os_ledger *ledger, const char *kind, const char *key, int64_t before,
                             int64_t *job, char status[16], struct os_error *error);
/* The newest job of `kind` but `self` that has this step, and how far the step is; 0: none. status as os_jobs
** shows it. For work that is to be done once: ask and put the step in one transaction (os_ledger_begin()). */
int os_ledger_step_last(struct os_ledger *ledger, const char *kind, const char *item, const char *name,
                        int64_t self, int64_t *job, char status[16], char state[16], struct os_error *error);
/* The step of this name (item: an index) is "begun" while a search may not find yet what its job changed there. No
** other job adopts it. */
#define OS_STEP_UNSEEN "unseen"
/* When the last job ended that left it begun; now, when `job` itself has begun it. Others that run do not count.
** Seconds since 1970, 0: none. */
int os_ledger_unseen_at(struct os_ledger *ledger, int64_t job, const char *index_name, double *when,
                        struct os_error *error);
/* `job` goes on where `from` stopped: the steps of that one become its own, too. */
int os_ledger_steps_adopt(struct os_ledger *ledger, int64_t from, int64_t job, struct os_error *error);

/* ---- files of a load ----------------------------------------------------------------------------------- */
struct os_job_file {
  int64_t job;
  const char *file;        /* path as given or found */
  const char *name;        /* relative to the given source: identity together with fingerprint */
  const char *fingerprint; /* "size:sha256hex" */
  int64_t size;
  const char *mtime;
  const char *format;        /* "csv", "ndjson.gz" … */
  const char *status;        /* waiting, running, success, partial, failed, skipped */
  int64_t byte_offset, line; /* acknowledged up to (decompressed) */
  int64_t documents, failed;
  int64_t generation; /* 0, or how often this content had been loaded before (allow_again): part of computed
                         ids */
  double seconds;
  const char *error;
};
/* Insert rows; *id numbers them for updates. */
int os_ledger_file_add(struct os_ledger *ledger, const struct os_job_file *file, int64_t *id,
                       struct os_error *error);
/* The newest row of an earlier job that loaded `name` (any content) into the index with this name and UUID
** ("" matches any), from a load that is not dry. found=false when there is none. Text members are os_free()d
** by os_ledger_file_past_free(). "forgotten" jobs (before a fresh) do not count. */
struct os_file_past {
  bool found;
  int64_t job;
  bool job_alive; /* a load of it runs right now */
  char status[16];
  char fingerprint[96];
  int64_t byte_offset, line, documents, failed, generation, size;
};
int os_ledger_file_past(struct os_ledger *ledger, const char *index_name, const char *index_uuid,
                        const char *name, struct os_file_past *out, struct os_error *error);
/* The newest row for `name`, when it says that its job meant to load this very content and died, or was
** stopped, before it came to it (status "waiting"). What it says of byte_offset, line and generation still
** holds; earlier loads of the same content have not done its work. found=false otherwise. */
int os_ledger_file_planned(struct os_ledger *ledger, const char *index_name, const char *index_uuid,
                           const char *name, const char *fingerprint, struct os_file_past *out,
                           struct os_error *error);
/* Has this very content (fingerprint, under any name) been loaded to its end into the index? How often. */
int os_ledger_content_loads(struct os_ledger *ledger, const char *index_name, const char *index_uuid,
                            const char *fingerprint, int64_t *times, struct os_error *error);
/* Does any earlier load of this index count: would the look-ups above and below find something? */
int os_ledger_index_known(struct os_ledger *ledger, const char *index_name, const char *index_uuid,
                          bool *known, struct os_error *error);
/* An unfinished load of the same path argument and index (the newest), 0 when none. */
int os_ledger_unfinished(struct os_ledger *ledger, const char *index_name, const char *index_uuid,
                         const char *path, int64_t *job, struct os_error *error);
/* fresh: earlier loads of this index no longer count as loaded. */
int os_ledger_forget_index(struct os_ledger *ledger, const char *index_name, struct os_error *error);
/* Remember which index (UUID) a job loads, for the look-ups above. */
int os_ledger_job_target(struct os_ledger *ledger, int64_t job, const char *index_name,
                         const char *index_uuid, const char *path, struct os_error *error);

/* ---- acknowledging a batch: one transaction ------------------------------------------------------------ */
int os_ledger_begin(struct os_ledger *ledger, struct os_error *error);
int os_ledger_commit(struct os_ledger *ledger, struct os_error *error); /* rolls back on failure */
void os_ledger_rollback(struct os_ledger *ledger);
int os_ledger_file_progress(struct os_ledger *ledger, int64_t file_id, const struct os_job_file *state,
                            struct os_error *error);

struct os_failure {
  int64_t job;
  const char *index_name, *file; /* file may be NULL */
  int64_t line, byte_offset;     /* -1: not known */
  const char *doc_id, *op;
  int64_t status; /* HTTP status of the item; 0: refused by the parser */
  const char *error_type, *error_reason;
  const char *document;
  int64_t document_len; /* NULL: none could be built */
  const char *raw;
  int64_t raw_len; /* bytes (BLOB when not valid UTF-8) */
  int64_t attempts;
  const char *context; /* JSON that os_retry_failures needs: op, routing, version, format, dialect, columns,
                          sequence of the record (file order, offset) */
};
/* Insert, or update the row that has the same index, file identity and offset (unique by file and offset). */
int os_ledger_failure_put(struct os_ledger *ledger, const struct os_failure *failure, struct os_error *error);
/* The bytes [from, to) of the file were acknowledged by `job`: what earlier jobs had to refuse of this very
** content there, and this one did not, is resolved. */
int os_ledger_failure_accepted(struct os_ledger *ledger, int64_t job, const char *index_name,
                               const char *file, const char *fingerprint, int64_t from, int64_t to,
                               struct os_error *error);
int os_ledger_failure_update(struct os_ledger *ledger, int64_t id, const char *column, sqlite3_value *value,
                             struct os_error *error);
int os_ledger_failure_delete(struct os_ledger *ledger, int64_t id, struct os_error *error);
/* resolved_by: the job that sent it; superseded: something newer was there. attempts is raised by one. */
int os_ledger_failure_resolve(struct os_ledger *ledger, int64_t id, int64_t resolved_by, bool superseded,
                              struct os_error *error);
int os_ledger_failure_again(struct os_ledger *ledger, int64_t id, int64_t status, const char *error_type,
                            const char *error_reason, struct os_error *error);

/* ---- settings of an index that a job changed and owes back (tune_index) -------------------------------- */
/* Save `original` (JSON) for the index UUID unless it is saved already, and register the job as a holder.
** FULL. */
int os_ledger_tune_hold(struct os_ledger *ledger, const char *endpoint, const char *index_name,
                        const char *uuid, const char *original, const char *ours, int64_t job,
                        struct os_error *error);
/* Drop the job's hold. *last: it was the last holder that lives; then *original and *ours (os_free) are what
** to restore. */
int os_ledger_tune_release(struct os_ledger *ledger, const char *uuid, int64_t job, bool *last,
                           char **original, char **ours, struct os_error *error);
int os_ledger_tune_restored(struct os_ledger *ledger, const char *uuid, struct os_error *error);
/* Saved settings whose holders are all dead (after a crash): calls `restore` for each. A restore that does
** not return OS_OK leaves them for the next time, and the others are still tried. */
int os_ledger_tune_orphans(struct os_ledger *ledger, const char *endpoint,
                           int (*restore)(void *ctx, const char *index_name, const char *uuid,
                                          const char *original, const char *ours),
                           void *ctx, struct os_error *error);
#endif
