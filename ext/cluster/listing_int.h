/* listing_int.h - inside cluster/ only: what the files that make lists share. */
#ifndef OS_CLUSTER_LISTING_INT_H
#define OS_CLUSTER_LISTING_INT_H
#include "cluster/listing.h"

/* GET before + encoded pattern (NULL: nothing) + after. *answer is NULL when no such name exists (404). */
int os_list_request(struct os_cluster *cluster, const char *before, const char *pattern, const char *after,
                    json_t **answer, struct os_error *error);
/* Appends the row, taking it; NULL is want of memory. */
int os_list_add(json_t *rows, json_t *row, struct os_error *error);

/* Members of a row; what `from` does not have stays absent. false: no memory. */
bool os_list_text(json_t *row, const char *name, const json_t *from, const char *path);
bool os_list_int(json_t *row, const char *name, const json_t *from, const char *path);
bool os_list_real(json_t *row, const char *name, const json_t *from, const char *path);
bool os_list_time(json_t *row, const char *name, const json_t *from, const char *path); /* of milliseconds */
bool os_list_json(json_t *row, const char *name, const json_t *from, const char *path);
bool os_list_flag(json_t *row, const char *name, const json_t *from, const char *path); /* 1 or 0 */
#endif
