/* csv_types.h - which JSON type the cells of a CSV column are sent as. Decided once per column, never
** cell by cell: by the option `types`, else by the index's mapping, else by the file's first rows. Pure.
*/
#ifndef OS_FORMAT_CSV_TYPES_H
#define OS_FORMAT_CSV_TYPES_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "format/json_scan.h"

enum os_csv_type {
  OS_CSV_STRING,
  OS_CSV_NUMBER,
  OS_CSV_BOOLEAN,
  OS_CSV_JSON,      /* any JSON value (the user said so) */
  OS_CSV_CONTAINER, /* a JSON object or array (the mapping said so; a scalar there stays a string) */
  OS_CSV_DATE       /* a string on the wire; kept apart to be told to the user */
};

/* What is known of one column while its type is being decided. */
struct os_csv_guess {
  enum os_csv_type type; /* when decided */
  bool decided;
  bool container_or_string; /* the mapping asks for an object, an array or text such as a point "lat,lon" */
  bool seen;                /* at least one cell that is not null */
  bool number, boolean, container; /* true of all cells so far */
};

const char *os_csv_type_name(enum os_csv_type type); /* string, number, boolean, json, date */
bool os_csv_type_from_word(const char *word, enum os_csv_type *out);

/* Begin with what `mapping` ({"properties":…}, may be NULL) says of the column; a dotted name leads through
** objects. Leaves guess->decided false when cells have to be looked at. */
void os_csv_guess_begin(struct os_csv_guess *guess, const json_t *mapping, const char *name);
void os_csv_guess_force(struct os_csv_guess *guess, enum os_csv_type type); /* the option `types` */
/* One more cell, not for nulls. `scan` is what os_csv_scan_json() needs. False: no memory. */
bool os_csv_guess_cell(struct os_csv_guess *guess, struct os_json_scan *scan, const char *text, size_t len);
enum os_csv_type os_csv_guess_end(const struct os_csv_guess *guess);

/* The number grammar of RFC 8259 section 6, whole text. */
bool os_csv_is_number(const char *text, size_t len);
/* A number that every reader keeps to the last digit: no exponent, at most 18 digits for an integer and
** 15 for a decimal (what a double holds), not "-0". Only such cells make a column of text a column of
** numbers. */
bool os_csv_is_plain_number(const char *text, size_t len);
bool os_csv_is_boolean(const char *text, size_t len);
/* Is the whole text one JSON value? container: only an object or array counts. When true, scan->doc is
** the value on one line, valid until the next scan. When false, look at scan->fault for OS_JSON_NOMEM.
** OS_PAD bytes behind text must be readable. */
bool os_csv_scan_json(struct os_json_scan *scan, const char *text, size_t len, bool container);
#endif
