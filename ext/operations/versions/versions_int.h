/* versions_int.h - private to this folder: one index on its way to the next version, and who does what
** with it. */
#ifndef OS_OPERATIONS_VERSIONS_VERSIONS_INT_H
#define OS_OPERATIONS_VERSIONS_VERSIONS_INT_H
#include "operations/versions/versions.h"

enum { OS_VERSION_ID = 24 };

struct os_version {
  struct os_job *job;
  struct os_cluster *cluster;
  const struct os_versions_request *request;
  const char *operation; /* what the _meta of the indices made for this trigger says; survives the job */
  int64_t finished_by;   /* a job that did the same trigger to its end; 0: none */
  const char *old, *next, *alias;
  /* what the guards found */
  char old_uuid[64];
  char next_uuid[64];  /* empty: there is none yet */
  json_t *definition;  /* what the next version is created from; NULL: nothing is left to do */
  bool lost;           /* the next version was there and is gone, the old one is whole: it is begun anew */
  bool served;         /* the old index has aliases */
  bool final_pipeline; /* documents pass it once more, and may change */
  /* how far it is */
  bool created, aliased, copied, swapped, finished;
  int64_t documents, copied_documents; /* -1: not known */
};
void os_version_free(struct os_version *version);

/* ---- steps of the ledger; item: the old index ---- */
int os_version_put(struct os_version *version, const char *step, const char *state, json_t *data_take,
                   struct os_error *error);
int os_version_mark(struct os_version *version, const char *step, const char *state, struct os_error *error);
/* *data (may be NULL): new reference or NULL. */
int os_version_get(struct os_version *version, const char *step, char state[16], json_t **data,
                   struct os_error *error);

/* ---- guards.c: may it be done, and how far is it? Changes nothing. ---- */
int os_version_guard(struct os_version *version, struct os_error *error);
/* *ours: the index that stands there was made for this operation. */
int os_version_is_ours(struct os_version *version, bool *ours, struct os_error *error);

/* ---- create.c, alias.c, copy.c, remove.c: each leaves its step done, and is harmless when it is ---- */
int os_version_create(struct os_version *version, struct os_error *error);
int os_version_alias(struct os_version *version, struct os_error *error);
int os_version_copy(struct os_version *version, struct os_error *error);
/* Did nobody write to the old index since the copy began? A row of os_audit, and OS_ERR_GUARD when
** somebody did. */
int os_version_guard_writers(struct os_version *version, struct os_error *error);
/* live.c: the same as a live copy, verified behind a write block; was this index begun with the method
** asked for; and the block lifted again after a failure (advice in *error when that is not possible). */
int os_version_copy_live(struct os_version *version, struct os_error *error);
int os_version_check_method(struct os_version *version, struct os_error *error);
void os_version_unblock(struct os_version *version, struct os_error *error);
int os_version_verify(struct os_version *version, struct os_error *error);
int os_version_swap(struct os_version *version, struct os_error *error);
int os_version_remove(struct os_version *version, struct os_error *error);

/* A change of aliases: sent until what is read back says that it is done, or until it is refused.
** `is_done` reads. */
struct os_version_change {
  char *body;
  const char *what; /* for messages */
  int (*is_done)(struct os_version *version, void *ctx, bool *done, struct os_error *error);
  void *ctx;
};
int os_version_change_aliases(struct os_version *version, const struct os_version_change *change,
                              struct os_error *error);
#endif
