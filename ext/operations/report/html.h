/* html.h - text that comes from anywhere, made fit for an HTML page; numbers as people read them.
** Pure.
*/
#ifndef OS_OPERATIONS_REPORT_HTML_H
#define OS_OPERATIONS_REPORT_HTML_H
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buffer.h"

/* Any bytes as text of an element or of a quoted attribute: markup is escaped, control characters and
** those that change the direction of writing are shown (line feed and tab stay), invalid UTF-8 becomes
** U+FFFD. */
void os_html_text(struct os_buf *out, const char *text, size_t len);
void os_html_string(struct os_buf *out, const char *text); /* the same to the NUL; NULL: nothing */
/* A JSON value as text: strings as they are, null as nothing, all else as compact JSON. */
void os_html_json(struct os_buf *out, const json_t *value);
/* The same for bytes of which only the first `len` are at hand: a character cut in two at the end is left
** out, and how much is missing is said. */
void os_html_excerpt(struct os_buf *out, const char *text, size_t len, int64_t whole);

/* A whole number from any: a ledger may come with somebody else's database, and its figures be absurd. */
int64_t os_html_whole(double value);
void os_html_count(struct os_buf *out, int64_t value);     /* 1,234,567 */
void os_html_short(struct os_buf *out, double value);      /* 950, 1.5k, 12k, 3.4M */
void os_html_bytes(struct os_buf *out, int64_t bytes);     /* 950 B, 1.5 MB */
void os_html_duration(struct os_buf *out, double seconds); /* 0.42 s, 12.3 s, 2 min 5 s, 3 h 7 min */
void os_html_clock(struct os_buf *out,
                   double seconds); /* 0:07, 2:05, 3:07:00; with tenths below 10 s: 0:07.5 */
#endif
