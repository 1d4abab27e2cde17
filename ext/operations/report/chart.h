/* chart.h - how something went over time, as a drawing in an HTML page (inline SVG). Pure.
*/
#ifndef OS_OPERATIONS_REPORT_CHART_H
#define OS_OPERATIONS_REPORT_CHART_H
#include <stdbool.h>
#include <stddef.h>
#include "base/buffer.h"

enum { OS_CHART_BARS = 48 /* drawn at most: narrower ones cannot be told apart on a telephone */ };

struct os_chart_point {
  double at;    /* seconds, ascending */
  double total; /* a figure that only grows */
};

/* Cuts the time from 0 to the last point into `bars` equal parts, and gives how much the figure grew in
** each: between two points evenly, before the first from 0. What goes down (it never should) counts as
** nothing. */
void os_chart_cut(const struct os_chart_point *points, size_t count, double *grown, size_t bars);
/* The distance of the lines of a scale from 0 to `most`, of which there are at most `lines`: 1, 2 or 5
** times a power of ten. most <= 0 counts as 1. */
double os_chart_step(double most, int lines);
/* The same for a scale of seconds: 1, 2, 5, 10, 15, 30 s, 1 min …; below a second as above. */
double os_chart_time_step(double seconds, int lines);

struct os_chart {
  const char *id; /* unique in the page; letters, digits */
  const char
      *title; /* "Documents a second"; shown above, and the name of the drawing. Plain ASCII, no markup */
  const char *says;     /* one sentence that says what is to be seen. Likewise */
  const char *tone;     /* the class that colours it: "rate", "bad", "warn" */
  const double *values; /* finite, from 0 */
  size_t count;         /* bars; at least 1 */
  double seconds;       /* the time they span together; > 0 */
};
/* <figure> with caption and drawing. */
void os_chart_draw(struct os_buf *out, const struct os_chart *chart);
#endif
