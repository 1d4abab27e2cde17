/* refresh_int.h - a refresh under way; private to this folder. */
#ifndef OS_OPERATIONS_REFRESH_INT_H
#define OS_OPERATIONS_REFRESH_INT_H
#include "operations/refresh/refresh.h"

struct os_refresh {
  struct os_job *job;
  struct os_cluster *cluster;
  struct os_refresh_request *request;
  struct os_refresh_result *result;
  int64_t continued; /* the job this one goes on for; 0: none */
};

/* ---- guards.c: before anything changes ---- */
/* The alias stands on the index it must stand on at this point; both indices are concrete and others;
** files are there. */
int os_refresh_guards(struct os_refresh *refresh, struct os_error *error);

/* ---- writers.c: does anybody else write to the two indices? ---- */
/* Remember the counters of an index under `name`. */
int os_refresh_watch(struct os_refresh *refresh, const char *name, const char *index, struct os_error *error);
/* Beforehand: in a collection of Serverless that cannot be seen, which has to be allowed. */
int os_refresh_guard_collection(struct os_refresh *refresh, struct os_error *error);
/* OS_ERR_GUARD when they moved since; audit either way. */
int os_refresh_check_writers(struct os_refresh *refresh, const char *name, const char *index,
                             struct os_error *error);

/* ---- steps.c: each step as a job of its own, written down before and after ---- */
int os_refresh_reindex(struct os_refresh *refresh, struct os_error *error);
int os_refresh_to_secondary(struct os_refresh *refresh, struct os_error *error);
int os_refresh_load(struct os_refresh *refresh, struct os_error *error);
int os_refresh_to_primary(struct os_refresh *refresh, struct os_error *error);
#endif
