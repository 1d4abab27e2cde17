/* load.h - os_bulk_load: files into an index, exactly once, every refused record kept.
**
** The load is one procedure in numbered steps (load.c), each in a file of its own:
**   1 guards    guards.c   the target: reachable, ours to write, not live, healthy, how many documents
**   2 plan      plan.c     which files, what they are, whether each can be read
**   3 mode      mode.c     what is to happen with each file, and why
**   4 prepare   prepare.c  index created, emptied (fresh), tuned; earlier documents replaced; rows
**                               of the files
**   5 run       run.c      the pipeline; every settled batch goes into the ledger before it counts
**   6 finish    finish.c   settings restored, refresh, counts reconciled, expunge
** While 5 runs, more objects of S3 may come from a list that goes on (more.c): they go through what 2 to 4 do with a
** file. A dry run does 1 to 3, reads and parses everything in 5, and sends nothing.
**
** Keeper's thread. Texts of a request are borrowed from the caller for the whole call.
*/
#ifndef OS_OPERATIONS_LOAD_H
#define OS_OPERATIONS_LOAD_H
#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "cluster/cluster.h"
#include "format/parser.h"
#include "operations/job.h"
#include "pipeline/batch.h"
#include "pipeline/source_build.h"

enum os_load_mode { OS_MODE_AUTO, OS_MODE_FRESH, OS_MODE_APPEND, OS_MODE_UPSERT, OS_MODE_RESUME };
enum os_on_changed { OS_CHANGED_ERROR, OS_CHANGED_REPLACE, OS_CHANGED_APPEND };
enum os_validate { OS_VALIDATE_COUNTS, OS_VALIDATE_IDS, OS_VALIDATE_NONE };
enum os_unknown_fields { OS_FIELDS_ALLOW, OS_FIELDS_REPORT, OS_FIELDS_REFUSE };
enum os_merge { OS_MERGE_AUTO, OS_MERGE_YES, OS_MERGE_NO };

const char *os_mode_name(enum os_load_mode mode);

struct os_load_request {
  const char *path, *index;
  enum os_load_mode mode;
  enum os_on_changed on_changed;
  enum os_op op;
  bool exactly_once;
  json_t *options; /* what the texts below point into: held by the load while threads read them */
  struct os_parse_options parse;       /* mapping, columns and null_values are filled in by the load */
  const json_t *columns, *null_values; /* arrays of texts; NULL: not given */
  enum os_format format;               /* OS_FORMAT_UNKNOWN: by name, then by content */
  uint64_t batch_size, batch_bytes;
  int max_workers;
  const json_t *create; /* NULL or null: the index must exist; true or an object: settings and mappings */
  enum os_unknown_fields unknown_fields;
  const char *version_type; /* external, external_gte */
  int retry_on_conflict;
  const char *pipeline; /* ingest pipeline; NULL */
  bool require_alias;
  const char *refresh; /* "true", "false", "wait_for"; NULL */
  enum os_validate validate;
  enum os_merge force_merge;
  bool tune_index;
  int64_t max_failed_count; /* -1: see share */
  double max_failed_share;  /* -1: see count; both -1: never stop */
  bool allow_live, allow_again, allow_unverified, dry_run;
  struct os_s3_options s3;    /* how objects are asked for */
  double timeout;             /* seconds a request; 0: the setting */
  size_t sqs_max_bytes;       /* of a message with refused records */
  int64_t recreate_threshold; /* fresh: from so many documents on the index is made anew */
};

/* Counted references to what reader threads look at. */
struct os_load_shared;
void os_load_shared_unref(struct os_load_shared *shared);

/* What the load decided about one source. */
enum os_file_action { OS_FILE_LOAD, OS_FILE_CONTINUE, OS_FILE_SKIP, OS_FILE_REPLACE, OS_FILE_REFUSE };

/* What the mapping says about the columns of a file, the worst of them last. */
enum os_load_fit { OS_FIT, OS_FIT_NOT, OS_FIT_UNKNOWN };

enum { OS_LOAD_FEW_FILES = 1000 /* of so many at the most columns and types are kept */ };

struct os_load_replaced { /* on_changed replace: the content whose documents must go */
  int64_t generation;
  char fingerprint[OS_FINGERPRINT_TEXT];
};

struct os_load_file { /* beside sources[i]; there may be very many */
  enum os_file_action action;
  unsigned char fit; /* enum os_load_fit */
  bool empty : 1, carries_id : 1;
  bool why_made : 1;                 /* why was made for this file, and is owned */
  bool ended : 1;                    /* its row says how it ended */
  const char *why;                   /* one sentence */
  json_t *columns, *types;           /* for the plan, dry runs and refused records. Owned */
  int64_t generation;                /* how often this content had been loaded before (allow_again) */
  struct os_load_replaced *replaced; /* owned */
};

struct os_load_target { /* what the guards found out */
  struct os_resolved resolved;
  bool resolved_known; /* false: no right to ask */
  bool to_create;      /* does not exist yet */
  bool data_stream, write_alias;
  char concrete[256];   /* index to count and to refresh: the index itself, or the write index */
  char uuid[64];        /* "" when not known */
  int64_t count_before; /* -1: not known */
  bool stats_known;
  struct os_index_stats stats_before;
};

/* What reader threads look at. Counted: a thread that hangs in a dead file system may outlive the call. */
struct os_load_shared {
  atomic_int references;
  struct os_source_list list;
  struct os_parse_options parse;       /* of the request, with the mapping */
  json_t *options, *mapping;           /* keep alive what parse points into; owned */
  const char **columns, **null_values; /* owned arrays, texts inside options */
};

struct os_load_letters { /* what went to the queue for dead letters */
  bool tried;
  int64_t records, messages, truncated;
  int64_t refused; /* so many there were when it was tried last */
  char why[1024];  /* some were not sent; "" when all were */
};

struct os_load { /* one load under way; parts are filled step by step */
  const struct os_load_request *request;
  struct os_job *job;
  struct os_session *session;
  struct os_cluster *cluster;
  struct os_ledger *ledger;
  struct os_load_shared *shared;
  struct os_load_file *files;      /* beside the sources of shared->list; owned */
  size_t file_cap;                 /* room for so many; what is not used is zero */
  struct os_source_lister *lister; /* of objects that are still to come; NULL: the list is whole. Owned */
  struct os_load_target target;
  enum os_load_mode mode; /* decided */
  char mode_why[512];
  bool insert_only; /* append, or resume of an append that did not finish: no document is overwritten */
  size_t to_load;   /* files that are not skipped */
  int64_t unknown;  /* documents sent without an answer that says what became of them */
  size_t objects;   /* of the files */
  uint64_t bytes;   /* of the files, as stored */
  size_t unseen;    /* objects that are looked at only when they are read: there are very many */
  size_t unfit_files[OS_FIT_UNKNOWN + 1]; /* by the worst about their columns */
  bool no_past;    /* the ledger knew no load of this index: nothing is looked up for a file */
  bool no_ids;     /* the collection takes none */
  bool server_ids; /* exactly_once was declined, or the collection takes no ids */
  bool tuned;
  char nonce[40];                 /* stands for the content of a stream in computed ids */
  bool deleted_some;              /* by fresh or replace: worth an expunge */
  int64_t deleted;                /* documents deleted by this load after count_before was taken */
  char unverified[512];           /* why counts could not be verified; "" when they were */
  struct os_job_figures *figures; /* job->figures */
  struct os_load_letters letters;
  /* result */
  int64_t unfit; /* dry run: documents that the mapping would refuse */
  bool partial;
  json_t *response; /* object; owned */
  char message[1024];
};

static inline struct os_source *os_load_source(const struct os_load *load, size_t i) {
  return os_source_at(&load->shared->list, i);
}

/* The whole load. On OS_OK load->response, message and partial say what was done. Call os_load_free() in any
 * case. */
int os_load_run(struct os_load *load, const struct os_load_request *request, struct os_job *job,
                struct os_cluster *cluster, struct os_error *error);
void os_load_free(struct os_load *load);
void os_load_forget_columns(struct os_load_file *file);

/* Prepare *load for the steps. */
int os_load_begin(struct os_load *load, const struct os_load_request *request, struct os_job *job,
                  struct os_cluster *cluster, struct os_error *error);

/* The steps; used by os_load_run() and, up to 3, by os_load_plan (which has no job: job->number is 0). */
int os_load_step_plan(struct os_load *load, struct os_error *error);
int os_load_step_guards(struct os_load *load, struct os_error *error);
int os_load_step_mode(struct os_load *load, struct os_error *error);
int os_load_step_prepare(struct os_load *load, struct os_error *error);
int os_load_step_run(struct os_load *load, struct os_error *error);
int os_load_step_finish(struct os_load *load, struct os_error *error);
/* What the steps do with files, for those from `from` to the end of the list. */
int os_load_plan_files(struct os_load *load, size_t from, struct os_error *error);
int os_load_decide_files(struct os_load *load, size_t from, struct os_error *error);
int os_load_prepare_files(struct os_load *load, size_t from, struct os_error *error);

/* more.c: a page of those that were listed meanwhile to the end of the list, through plan, mode and preparation. Does
** not wait. load->lister NULL afterwards: there are no more. */
int os_load_take_more(struct os_load *load, struct os_error *error);
void os_load_end_list(struct os_load *load); /* more.c: nothing more is listed */
/* plan.c: wait for the rest of the list, and look at it, before anything is decided about a file. */
int os_load_list_whole(struct os_load *load, struct os_error *error);
/* plan.c: the row of os_audit that says how many files there are. */
int os_load_audit_files(struct os_load *load, struct os_error *error);

/* After a failure: give back what was changed for the time of the load (tuned settings). Keeps *error. */
void os_load_undo(struct os_load *load);
#endif
