/* json.h - jansson for small JSON (options, settings, answers): strict parsing and short ways to
** members.
**
** Documents on the hot path never become a tree; format/ handles those as bytes. Parsing: duplicate
** keys are refused, trailing text is refused, big integers become reals only where OS_JSON_BIG_INTEGERS
** is passed (server answers), depth is bounded by jansson (2048). `path` is a list of member names
** separated by '/', e.g. "version/number".
*/
#ifndef OS_BASE_JSON_H
#define OS_BASE_JSON_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

enum { OS_JSON_BIG_INTEGERS = 1 };

/* json_loadb(3), but for one thing: NULL, with errno ENOMEM, when memory ran out on the way. jansson 2.14 goes
** on then, and drops the letter for which its text could not grow (strbuffer_append_byte() in lex_save()). */
json_t *os_json_load(const char *text, size_t len, size_t flags, json_error_t *fault);
/* A new reference, or NULL with the error set: "what: line 1 column 7: …". */
json_t *os_json_parse(const char *text, size_t len, int flags, const char *what, struct os_error *error);
const json_t *os_json_at(const json_t *root, const char *path); /* borrowed; NULL when absent */
const char *os_json_string(const json_t *root, const char *path, const char *fallback); /* borrowed */
int64_t os_json_int(const json_t *root, const char *path, int64_t fallback); /* also from numeric text */
double os_json_real(const json_t *root, const char *path, double fallback);
bool os_json_bool(const json_t *root, const char *path, bool fallback); /* also from "true"/"false" */
/* Compact text, os_free() it; NULL: no memory. Keeps the order of members. */
char *os_json_text(const json_t *value);
/* Set object[key] = value, taking the reference. False: no memory (value is released). */
bool os_json_put(json_t *object, const char *key, json_t *value);
#endif
