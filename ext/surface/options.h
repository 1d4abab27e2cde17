/* options.h - the last argument of a command: one JSON object, checked against a table before the command
** starts.
**
** A command lists the keys it takes, with their types and ranges; the options that mean the same everywhere
** (rule 12 of the SQL surface) are one shared table of which it chooses by bits. Whatever is not listed, has
** another type or is out of range is an error that names the key and what is legal. Pure: no SQLite, no I/O.
** */
#ifndef OS_SURFACE_OPTIONS_H
#define OS_SURFACE_OPTIONS_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

/* What a value may be; several bits may be set ("true, false or 'json'" is OS_OPT_BOOL | OS_OPT_WORD). */
enum os_option_type {
  OS_OPT_BOOL =
      1, /* true, false; also 1 and 0, because SQLite has no boolean (unless OS_OPT_INT is set too) */
  OS_OPT_INT = 2,     /* a whole number within min..max */
  OS_OPT_REAL = 4,    /* a number within min..max */
  OS_OPT_SECONDS = 8, /* the same, a duration */
  OS_OPT_SIZE = 16,   /* bytes: a whole number, or text with a unit ("8MiB"), within min..max */
  OS_OPT_SHARE = 32,  /* a count (whole number) or a share of the whole ("10%") */
  OS_OPT_TEXT = 64,   /* any text without NUL; of min..max bytes when max > 0 */
  OS_OPT_WORD = 128,  /* one of `words` */
  OS_OPT_TIME = 256,  /* ISO-8601 UTC text */
  OS_OPT_OBJECT = 512,
  OS_OPT_ARRAY = 1024,
  OS_OPT_NULL = 2048 /* null, meaning "none" */
};

struct os_option {
  const char *key;
  unsigned types;           /* bits of enum os_option_type */
  double min, max;          /* min == max: no bounds */
  const char *const *words; /* ends with NULL; only with OS_OPT_WORD */
  const char *fallback;     /* JSON text of the default; NULL: none (a getter's own fallback counts) */
};

/* The shared options, as bits to choose from. */
enum os_common_option {
  OS_COMMON_CONNECTION = 1,
  OS_COMMON_PROGRESS = 2,
  OS_COMMON_DRY_RUN = 4,
  OS_COMMON_ALLOW_LIVE = 8,
  OS_COMMON_ON_PARTIAL = 16,
  OS_COMMON_TIMEOUT = 32,
  OS_COMMON_CORRELATION_ID = 64
};

struct os_option_schema {
  unsigned common;             /* bits of enum os_common_option */
  const struct os_option *own; /* ends with a NULL key; may be NULL */
};

struct os_options {
  json_t *given;  /* what the user wrote; never NULL after os_options_parse() succeeded */
  json_t *values; /* that and the defaults of the schema */
};

/* Parse `text` (NULL: no options were given) and check it. On success both members hold references that
** os_options_free() drops. */
int os_options_parse(struct os_options *options, const struct os_option_schema *schema, const char *text,
                     size_t len, struct os_error *error);
void os_options_free(struct os_options *options); /* harmless when zeroed */

/* Getters: the user's value, else the schema's default, else `fallback` (also where null was given). */
bool os_options_given(const struct os_options *options, const char *key); /* the user wrote it (even null) */
bool os_options_is_null(const struct os_options *options, const char *key); /* null was given */
bool os_options_bool(const struct os_options *options, const char *key, bool fallback);
int64_t os_options_int(const struct os_options *options, const char *key, int64_t fallback);
double os_options_real(const struct os_options *options, const char *key, double fallback); /* seconds, too */
uint64_t os_options_size(const struct os_options *options, const char *key, uint64_t fallback);
/* Unix seconds of an OS_OPT_TIME. */
double os_options_time(const struct os_options *options, const char *key, double fallback);
/* Borrowed until os_options_free(). Also for OS_OPT_WORD. */
const char *os_options_text(const struct os_options *options, const char *key, const char *fallback);
/* Borrowed; NULL when absent. An explicit null comes as a JSON null. */
const json_t *os_options_json(const struct os_options *options, const char *key);

/* An OS_OPT_SHARE. Neither: *count = -1 and *share = -1. A share is a fraction (0.1 for "10%"). */
void os_options_share(const struct os_options *options, const char *key, int64_t *count, double *share);
/* "10%" or a count, for other places that take such values. */
bool os_parse_share(const char *text, int64_t *count, double *share);
#endif
