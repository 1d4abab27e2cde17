/* alias_int.h - private to this folder: who offers what, in the order of the course of a switch. */
#ifndef OS_OPERATIONS_ALIAS_ALIAS_INT_H
#define OS_OPERATIONS_ALIAS_ALIAS_INT_H
#include <jansson.h>
#include "base/buffer.h"
#include "operations/alias/alias.h"

/* ---- guards.c ---- */
struct os_alias_index { /* one of the two indices */
  const char *role;     /* "source" or "target" */
  const char *name;
  char uuid[64];    /* empty: not known */
  json_t *settings; /* the object "index" of its settings; NULL: may not be read */
  json_t *mappings;
};
void os_alias_index_free(struct os_alias_index *index);
/* The row "fail" (or "unknown") for *error, whose code is returned: how every guard here ends. */
int os_alias_refuse(struct os_job *job, const char *check, const struct os_error *error);
/* Concrete, open, no part of a data stream; fills *index. */
int os_alias_guard_index(struct os_job *job, struct os_cluster *cluster, bool allow_unverified,
                         struct os_alias_index *index, struct os_error *error);
/* No block, refresh not switched off. */
int os_alias_guard_settings(struct os_job *job, const struct os_alias_index *index, struct os_error *error);
int os_alias_guard_health(struct os_job *job, struct os_cluster *cluster, const char *index,
                          bool allow_unverified, char health[16], struct os_error *error);

/* ---- counts.c ---- */
/* May an alias move from an index of `source` documents to one of `target`? Fills the error; *percent:
** how much `target` differs (negative: smaller), 0 when source is empty. Pure. */
int os_alias_judge_counts(const struct os_alias_switch_request *request, int64_t source, int64_t target,
                          double *percent, struct os_error *error);
int os_alias_guard_counts(struct os_job *job, struct os_cluster *cluster,
                          const struct os_alias_switch_request *request,
                          struct os_alias_switch_result *result, struct os_error *error);

/* ---- fields.c: pure ---- */
/* What `target` lacks of `source`, or has with another type, as one sentence in `out`; nothing: "". Both
** are mappings objects. False: no memory. */
bool os_alias_compare_fields(const json_t *source, const json_t *target, char *out, size_t out_size);

/* ---- actions.c: pure ---- */
/* {"actions":[…]}: the alias leaves `from` (NULL: none) and comes to `to` (NULL: none) with
** `properties`. os_free() it; NULL: no memory. */
char *os_alias_actions(const char *alias, const char *from, const char *to, const json_t *properties,
                       bool must_exist);
/* Where an alias is, compared with where it was to go. */
enum os_alias_place {
  OS_ALIAS_MOVED,   /* exactly `to`, with the right properties */
  OS_ALIAS_UNMOVED, /* exactly `from` */
  OS_ALIAS_ON_BOTH, /* exactly these two */
  OS_ALIAS_ON_NONE,
  OS_ALIAS_ELSEWHERE,  /* on others, and not on `to` */
  OS_ALIAS_AND_OTHERS, /* on `to` and on others that are not `from` alone */
  OS_ALIAS_CHANGED     /* exactly `to`, but with other properties */
};
enum os_alias_place os_alias_place(const json_t *now, const char *from, const char *to,
                                   const json_t *properties);
/* "'a'", "'a' and 'b'", "'a', 'b' and 3 others", "no index". */
void os_alias_where(const json_t *now, char *out, size_t out_size);

/* ---- move.c ---- */
struct os_alias_move {
  const char *alias, *from, *to;
  const char *from_uuid, *to_uuid; /* empty: not known */
  const json_t *before;            /* {from: properties}: how the guards found it */
};
/* One change of the cluster's state, written down as the job's step "switch" before it, judged by what
** is read afterwards. On OS_OK the alias is on exactly `to`. */
int os_alias_move(struct os_job *job, struct os_cluster *cluster, const struct os_alias_move *move,
                  struct os_error *error);
/* The data of the step "switch"; new reference, NULL: no memory. */
json_t *os_alias_record(const struct os_cluster *cluster, const struct os_alias_move *move);
extern const char os_alias_step[]; /* "switch" */
#endif
