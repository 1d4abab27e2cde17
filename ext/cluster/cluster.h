/* cluster.h - typed calls of the OpenSearch REST API. Decides nothing: each function makes one request
** (or a fixed short sequence), checks that the answer is what the API promises, and gives it back typed.
**
** Keeper's thread; every call waits, and ends within 100 ms of an interruption (struct os_probe). `name`
** is always a concrete index name or alias; it is percent-encoded here. Errors: transport faults as they
** come; an HTTP status >= 400 becomes the fitting os_code with the server's own reason in the text ("PUT
** /x: 400 illegal_argument_exception: …") and advice on 401, 403 and TLS; an answer that is not JSON
** ("HTML from a proxy?") is OS_ERR_ANSWER with its first line.
*/
#ifndef OS_CLUSTER_CLUSTER_H
#define OS_CLUSTER_CLUSTER_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "config/endpoint.h"
#include "net/http.h"

struct os_capabilities {
  bool probed;
  char distribution[32]; /* opensearch, elasticsearch, serverless, unknown */
  char version[32];      /* "2.19.4"; empty when unknown */
  int major, minor;
  bool serverless;
  char cluster_name[128];
  char cluster_uuid[64];
};

struct os_cluster { /* one connection to one cluster; cheap to make; not owned by threads */
  struct os_endpoint *endpoint;
  struct os_net *net;
  struct os_probe probe;
  struct os_log *log;
  struct os_capabilities caps;
};

/* Any request. *answer (may be NULL) gets the parsed JSON body (new reference; NULL when the body is
** empty), *status (may be NULL) the HTTP status. A status >= 400 is an error unless it is listed in the
** 0-terminated `allowed` (may be NULL). body is JSON text or NULL. timeout 0: the endpoint's. Retries
** 429/502/503/504 and refused connections with backoff, up to endpoint->max_retries, only when
** `idempotent`. */
struct os_cluster_call {
  const char *method, *path, *body;
  size_t body_len;          /* 0 with a body: strlen */
  const char *content_type; /* NULL: application/json */
  double timeout;
  size_t max_answer; /* bytes; 0: 64 MiB. A longer one is OS_ERR_TOO_LARGE */
  bool idempotent;
  const int *allowed;
  const char *what; /* for messages; NULL: "METHOD path" */
};
int os_cluster_request(struct os_cluster *cluster, const struct os_cluster_call *call, int *status,
                       json_t **answer, struct os_error *error);
/* Nobody knows whether a request with this outcome was carried out, or will be (architecture, rule 3). Pure. */
bool os_cluster_unknown(int rc);
bool os_cluster_interrupted(const struct os_cluster *cluster); /* asks the probe */
/* Do nothing for so long; OS_ERR_INTERRUPTED as soon as the probe says so. */
int os_cluster_wait(struct os_cluster *cluster, double seconds, struct os_error *error);
/* The same, but the body of the answer as text (os_free it): os_request() and anything not JSON. */
int os_cluster_request_text(struct os_cluster *cluster, const struct os_cluster_call *call, int *status,
                            char **text, struct os_error *error);

/* Is it the name of one index, alias or data stream? Empty names, patterns, lists, paths, and what
** OpenSearch forbids are OS_ERR_ARGUMENT; the message names the character. Every function below that
** takes a name checks it so before anything is sent. Pure. */
int os_cluster_check_name(const char *name, struct os_error *error);

/* "/name/after" with the name percent-encoded, for calls that have no typed form here: os_free() it. NULL: no
** memory. */
char *os_cluster_path(const char *name, const char *after);

/* Turn a finished bulk or plain HTTP answer with status >= 400 into an error as described above. Pure. */
int os_cluster_answer_error(int status, const char *content_type, const char *body, size_t len,
                            const char *what, struct os_error *error);

/* The same for who knows the endpoint: 401 names the user, and its password never shows. */
int os_cluster_answer_error_for(const struct os_endpoint *endpoint, int status, const char *content_type,
                                const char *body, size_t len, const char *what, struct os_error *error);

/* GET /: fills cluster->caps; a 404 there is Serverless. Once per connection unless `again`. A user who
** may not read it (403) gets distribution "unknown" and no error: much works without. A server that is no
** OpenSearch is OS_ERR_ANSWER. */
int os_cluster_probe(struct os_cluster *cluster, bool again, struct os_error *error);

/* What a name stands for. */
enum os_name_kind { OS_NAME_MISSING, OS_NAME_INDEX, OS_NAME_ALIAS, OS_NAME_DATA_STREAM };
struct os_resolved {
  enum os_name_kind kind;
  /* of a concrete index: {alias: {filter?, is_write_index?, …}}, {} when none; NULL: unknown */
  json_t *aliases;
  json_t *indices;       /* of an alias or data stream: array of concrete names */
  char write_index[256]; /* of an alias or data stream: where writes go; empty when there is none */
  char uuid[64];         /* of a concrete index (or the write index), when it could be read */
};
void os_resolved_free(struct os_resolved *resolved);
/* GET /name/_alias + _settings (falls back to HEAD /name and _resolve where rights are narrow). */
int os_cluster_resolve(struct os_cluster *cluster, const char *name, struct os_resolved *out,
                       struct os_error *error);

int os_cluster_index_exists(struct os_cluster *cluster, const char *name, bool *exists,
                            struct os_error *error);
int os_cluster_index_create(struct os_cluster *cluster, const char *name, const char *body,
                            struct os_error *error);
int os_cluster_index_delete(struct os_cluster *cluster, const char *name, struct os_error *error);
/* {"settings":{…},"mappings":{…},"aliases":{…}} of one concrete index; new reference. */
int os_cluster_index_get(struct os_cluster *cluster, const char *name, json_t **out, struct os_error *error);
/* The mappings object alone (of the write index, for an alias or data stream). */
int os_cluster_mapping(struct os_cluster *cluster, const char *name, json_t **out, struct os_error *error);
int os_cluster_settings_put(struct os_cluster *cluster, const char *name, const char *body,
                            struct os_error *error);
int os_cluster_refresh(struct os_cluster *cluster, const char *name, struct os_error *error);
/* Ask for a refresh and go on: a later one has less left to do. Whether it works is not told. */
void os_cluster_refresh_ahead(struct os_cluster *cluster, const char *name);
/* GET _count; query NULL or a JSON query object text. */
int os_cluster_count(struct os_cluster *cluster, const char *name, const char *query, int64_t *count,
                     struct os_error *error);
/* The same after a refresh: every document that was acknowledged counts. A collection cannot be refreshed: there it is
** what a search finds by now. */
int os_cluster_count_all(struct os_cluster *cluster, const char *name, int64_t *count,
                         struct os_error *error);
/* The same; a collection is asked again until it answers from least to most, for as long as its delay
** (OPENSEARCH_SERVERLESS_DELAY) at most. may_fall false: nothing was deleted that it may still count, so that more than
** most is an answer, too. */
int os_cluster_count_between(struct os_cluster *cluster, const char *name, int64_t least, int64_t most,
                             bool may_fall, int64_t *count, struct os_error *error);
/* Seconds until a search of a collection finds all that was written up to then (seconds since 1970); 0 elsewhere. */
double os_cluster_visible_in(const struct os_cluster *cluster, double written_at);
/* Told, by its name, or as the probe found. */
bool os_cluster_is_serverless(const struct os_cluster *cluster);
/* Does it take documents with ids of ours? Collections of time series and of vectors do not. Writes nothing. `name`: an
** index, or one that is not there yet; no alias. */
int os_cluster_takes_ids(struct os_cluster *cluster, const char *name, bool *takes, struct os_error *error);
/* Health of one index: "green", "yellow", "red". A collection has none to ask for: "green". */
int os_cluster_health(struct os_cluster *cluster, const char *name, char out[16], struct os_error *error);
/* Does the index refuse writes (index.blocks.write, read_only)? */
int os_cluster_writes_blocked(struct os_cluster *cluster, const char *name, bool *blocked,
                              struct os_error *error);
/* PUT _block/write: answered when every write under way has ended, on every shard (OpenSearch docs, "Blocks"). And
** the block lifted again. */
int os_cluster_block_writes(struct os_cluster *cluster, const char *name, double timeout,
                            struct os_error *error);
int os_cluster_allow_writes(struct os_cluster *cluster, const char *name, struct os_error *error);
/* Wait until the changes that the cluster has accepted are made: a request of a process that died may
** still be on its way through. */
int os_cluster_drain(struct os_cluster *cluster, struct os_error *error);
/* Adds bulk actions that delete the documents whose ids follow *after ("" or NULL: all) and begin with prefix (""),
** in the order of their ids, some thousands at most; *after becomes the last one's (os_free it), *count how many. */
int os_cluster_deletions_after(struct os_cluster *cluster, const char *name, char **after, const char *prefix,
                               struct os_buf *lines, int64_t *count, struct os_error *error);
/* Carries them out; busy ones again. *deleted grows by those that were there. */
int os_cluster_delete_documents(struct os_cluster *cluster, const char *name, const char *lines,
                                int64_t *deleted, struct os_error *error);
/* Primaries' counters from _stats: documents, deleted documents, operations ever indexed and deleted
** (to tell whether others write too). */
struct os_index_stats {
  int64_t docs, deleted, index_total, delete_total, size_bytes, segments;
};
int os_cluster_stats(struct os_cluster *cluster, const char *name, struct os_index_stats *out,
                     struct os_error *error);

/* ---- aliases (alias.c) ---- */
/* Does this server know must_exist in the action "remove" of _aliases? Pure. */
bool os_cluster_must_exist(const struct os_capabilities *caps);
/* Where an alias is and how: {index: {filter?, index_routing?, search_routing?, is_write_index?, …}}, {}
** when there is no such alias; new reference. A filter with a number that would be rounded is
** OS_ERR_ANSWER. */
int os_cluster_alias_get(struct os_cluster *cluster, const char *alias, json_t **out, struct os_error *error);
/* POST /_aliases, {"actions":[…]}: one change of the cluster's state, all of it or nothing. Never repeated
** here. */
int os_cluster_aliases_change(struct os_cluster *cluster, const char *body, struct os_error *error);

/* How many operations (writes, deletes, repeated ones, too) the primaries of an index ever took: the sum
** of their sequence numbers. It survives restarts; two readings that are equal mean that nobody wrote in
** between. */
int os_cluster_operations(struct os_cluster *cluster, const char *name, int64_t *operations,
                          struct os_error *error);

/* The global checkpoint of each primary: every operation up to this _seq_no is on all copies; -1: none yet.
** *checkpoints is os_free()d by the caller. */
int os_cluster_checkpoints(struct os_cluster *cluster, const char *name, int64_t **checkpoints,
                           size_t *shards, struct os_error *error);

/* Start as a task and give its id ("node:number"), e.g. POST /x/_delete_by_query?wait_for_completion=false */
int os_cluster_task_start(struct os_cluster *cluster, const char *method, const char *path, const char *body,
                          char task[128], struct os_error *error);
/* GET _tasks/id. completed false: *status is {total, created, deleted, …} so far. completed true:
** succeeded only as rule 6 of the architecture says; else an error with the first failure. status: new
** reference. */
int os_cluster_task_poll(struct os_cluster *cluster, const char *task, bool *completed, json_t **status,
                         struct os_error *error);
int os_cluster_task_cancel(struct os_cluster *cluster, const char *task, struct os_error *error);
/* GET _tasks: the first task of `actions` ("*reindex") whose description contains `described`, not
** counting the slices of others; task is empty when none runs. A node that did not answer is OS_ERR_BUSY. */
int os_cluster_task_find(struct os_cluster *cluster, const char *actions, const char *described,
                         char task[128], struct os_error *error);
/* POST _forcemerge; only_expunge: only_expunge_deletes=true. A time-out counts as started (*started_only). */
int os_cluster_force_merge(struct os_cluster *cluster, const char *name, bool only_expunge, double timeout,
                           bool *started_only, struct os_error *error);
#endif
