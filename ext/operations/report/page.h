/* page.h - the page of a report, from the facts that the ledger gave (ledger/facts.h). Pure: facts
** in, HTML out; a page that did not get its memory has out->failed set.
*/
#ifndef OS_OPERATIONS_REPORT_PAGE_H
#define OS_OPERATIONS_REPORT_PAGE_H
#include <jansson.h>
#include "base/buffer.h"

/* Stands among the first bytes of every page: by it a report is told from a file that must not be
** overwritten. */
#define OS_REPORT_MARK "<meta name=\"generator\" content=\"sqlite-opensearch"
enum { OS_REPORT_MARK_WITHIN = 512 };

/* now_iso: when the page is made. */
void os_report_page(struct os_buf *out, const json_t *facts, const char *now_iso);

/* ---- its parts, in the order in which they stand ---- */
/* course.c: the charts, and their figures as a table */
void os_report_course(struct os_buf *out, const json_t *facts);
/* refused.c: refused records by reason, with examples */
void os_report_refused(struct os_buf *out, const json_t *facts);
/* tables.c */
void os_report_files(struct os_buf *out, const json_t *facts);
void os_report_checks(struct os_buf *out, const json_t *facts);
void os_report_settings(struct os_buf *out, const json_t *facts);
void os_report_result(struct os_buf *out, const json_t *facts);

/* ---- what they share (page.c) ---- */
void os_page_section(struct os_buf *out, const char *id, const char *title); /* opens; ends with </section> */
/* Opens a table in a box of its own that scrolls; `heads` are the columns, a leading '#' sets numbers to
** the right. Close it with os_page_table_end(). */
void os_page_table(struct os_buf *out, const char *label, const char *const *heads);
void os_page_table_end(struct os_buf *out);
void os_page_word(struct os_buf *out, const json_t *value); /* a cell of a word or two */
void os_page_cell_count(struct os_buf *out, const json_t *value);
void os_page_time(struct os_buf *out, const char *iso);   /* 2026-11-20 23:59:59 UTC */
void os_page_badge(struct os_buf *out, const char *word); /* a status or verdict */
/* "Shown are 200 of 1,000 files." when not all are. */
void os_page_shown(struct os_buf *out, size_t shown, int64_t all, const char *what);

extern const char os_report_style[]; /* style.c */
#endif
