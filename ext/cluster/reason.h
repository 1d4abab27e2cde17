/* reason.h - inside cluster/ only: what a server says about a failure, as text of bounded length. Pure. */
#ifndef OS_CLUSTER_REASON_H
#define OS_CLUSTER_REASON_H
#include <jansson.h>
#include <stddef.h>

/* Room for 200 bytes of foreign text on one line, with its quotes and dots. */
enum { OS_ONE_LINE = 216 };

/* The first 200 bytes in quotes, white space runs and control bytes as one blank, cut at a UTF-8
** boundary; bytes that are not UTF-8 become '?'. */
void os_one_line(const char *text, size_t len, char out[OS_ONE_LINE]);

/* Copy and cut at a UTF-8 boundary. */
void os_copy_text(char *out, size_t size, const char *text); /* NULL: empty */
void os_copy_bytes(char *out, size_t size, const char *text, size_t len);

/* `error` is the object {"type", "reason", "root_cause", "caused_by"} or a plain string. The root cause
** is taken where the outer error is a mere wrapper; reasons of causes are appended when they add
** something. */
void os_reason_read(const json_t *error, char *type, size_t type_size, char *reason, size_t reason_size);
#endif
