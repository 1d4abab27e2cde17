/* chart.c - see chart.h.
**
** The drawing is 400 units wide and scales with its box, so that its letters stay legible from a
** telephone (about one unit a pixel) to a wide window, where charts stand side by side. Colours come from
** the page's style.
*/
#include "operations/report/chart.h"
#include "operations/report/html.h"

enum { WIDTH = 400, HEIGHT = 190, LEFT = 44, RIGHT = 392, TOP = 10, BOTTOM = 164 };

/* ---- scales ---------------------------------------------------------------------------------------- */

/* Read between the points: what the figure was at that time. */
static double total_at(const struct os_chart_point *points, size_t count, double at) {
  struct os_chart_point before = {0, 0};
  for (size_t i = 0; i < count; i++) {
    double total = points[i].total > before.total ? points[i].total : before.total;
    if (at <= points[i].at) {
      double span = points[i].at - before.at;
      return span > 0 ? before.total + (total - before.total) * (at - before.at) / span : total;
    }
    before = (struct os_chart_point){points[i].at, total};
  }
  return before.total;
}

void os_chart_cut(const struct os_chart_point *points, size_t count, double *grown, size_t bars) {
  double end = count > 0 ? points[count - 1].at : 0, before = 0;
  for (size_t i = 0; i < bars; i++) {
    double total = total_at(points, count, end * (double)(i + 1) / (double)bars);
    grown[i] = total - before;
    before = total;
  }
}

double os_chart_step(double most, int lines) {
  static const double steps[] = {1, 2, 5};
  double power = 1;
  if (!(most > 0)) most = 1;
  if (most > 1e300) most = 1e300; /* beyond there is nothing but infinity, which no step reaches */
  while (power * 10 <= most)
    power *= 10;
  while (power > most)
    power /= 10;
  power /= 10; /* from a tenth of it upwards one is wide enough */
  for (size_t i = 0;; i++) {
    if (steps[i % 3] * power * lines >= most) return steps[i % 3] * power;
    if (i % 3 == 2) power *= 10;
  }
}

double os_chart_time_step(double seconds, int lines) {
  static const double steps[] = {1,   2,   5,    10,   15,   30,    60,    120,   300,
                                 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400};
  if (seconds < lines) return os_chart_step(seconds, lines);
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
    if (steps[i] * lines >= seconds) return steps[i];
  return 86400 * os_chart_step(seconds / 86400, lines);
}

/* ---- the drawing ----------------------------------------------------------------------------------- */

static void put_number(struct os_buf *out, double value) {
  os_buf_put_double(out, value, 1);
}

static double x_of(const struct os_chart *chart, double seconds) {
  return LEFT + (RIGHT - LEFT) * seconds / chart->seconds;
}

static double y_of(double value, double top_value) {
  return BOTTOM - (BOTTOM - TOP) * value / top_value;
}

static void draw_scale(struct os_buf *out, double step, double top_value) {
  for (int i = 0; (double)i * step <= top_value * 1.0001; i++) {
    double y = y_of((double)i * step, top_value);
    os_buf_printf(out, "<path class=\"%s\" d=\"M%d ", i == 0 ? "axis" : "line", (int)LEFT);
    put_number(out, y);
    os_buf_printf(out, "H%d\"/><text x=\"%d\" y=\"", (int)RIGHT, LEFT - 5);
    put_number(out, y + 4);
    os_buf_puts(out, "\" text-anchor=\"end\">");
    os_html_short(out, (double)i * step);
    os_buf_puts(out, "</text>");
  }
}

static void draw_time(struct os_buf *out, const struct os_chart *chart) {
  double step = os_chart_time_step(chart->seconds, 5);
  for (int i = 0; (double)i * step <= chart->seconds * 1.0001; i++) {
    double x = x_of(chart, (double)i * step);
    os_buf_puts(out, "<text x=\"");
    put_number(out, x);
    os_buf_printf(out, "\" y=\"%d\" text-anchor=\"%s\">", BOTTOM + 17, x > RIGHT - 12 ? "end" : "middle");
    if (step < 0.1) { /* a job of less than half a second */
      os_buf_put_double(out, (double)i * step, 2);
      os_buf_puts(out, " s");
    } else {
      os_html_clock(out, (double)i * step);
    }
    os_buf_puts(out, "</text>");
  }
}

static void draw_bars(struct os_buf *out, const struct os_chart *chart, double top_value) {
  os_buf_printf(out, "<path class=\"%s\" d=\"M%d %d", chart->tone, (int)LEFT, (int)BOTTOM);
  for (size_t i = 0; i < chart->count; i++) {
    os_buf_putc(out, 'V');
    put_number(out, y_of(chart->values[i], top_value));
    os_buf_putc(out, 'H');
    put_number(out, LEFT + (double)(RIGHT - LEFT) * (double)(i + 1) / (double)chart->count);
  }
  os_buf_printf(out, "V%dZ\"/>", (int)BOTTOM);
}

void os_chart_draw(struct os_buf *out, const struct os_chart *chart) {
  double most = 0;
  for (size_t i = 0; i < chart->count; i++)
    if (chart->values[i] > most) most = chart->values[i];
  double step = os_chart_step(most, 4), top_value = step;
  while (top_value < most)
    top_value += step;
  os_buf_printf(
      out,
      "<figure><figcaption>%s</figcaption><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"%s-t "
      "%s-d\"><title id=\"%s-t\">%s</title><desc id=\"%s-d\">%s</desc>",
      chart->title, (int)WIDTH, (int)HEIGHT, chart->id, chart->id, chart->id, chart->title, chart->id,
      chart->says);
  draw_bars(out, chart, top_value);
  draw_scale(out, step, top_value);
  draw_time(out, chart);
  os_buf_printf(out, "</svg><p class=\"says\">%s</p></figure>\n", chart->says);
}
