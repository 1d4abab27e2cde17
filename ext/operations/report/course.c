/* course.c - a report's part on how the job went over time: charts from the samples that the
** ledger kept, and the same figures as a table for who cannot see a drawing. See page.h. Pure.
*/
#include <string.h>
#include "base/json.h"
#include "ledger/facts.h"
#include "operations/report/chart.h"
#include "operations/report/html.h"
#include "operations/report/page.h"

enum { MOST_POINTS = 512 };

struct course {
  size_t points, bars;
  double seconds; /* until the last sample */
};

/* What is drawn: a figure of the samples, and how it is called. */
static const struct series {
  const char *member, *id, *title, *tone, *unit;
  bool per_second; /* else how many fell into each bar */
  bool always;     /* drawn also when there were none */
} all_series[] = {
    {"documents", "docs", "Records a second", "rate", "records a second", true, true},
    {"bytes_sent", "bytes", "Bytes sent a second", "rate", "bytes a second", true, false},
    {"failed", "failed", "Refused records", "bad", "refused", false, false},
    {"retries", "retries", "Retries", "warn", "retries", false, false},
};
enum { SERIES = sizeof all_series / sizeof all_series[0] };

static void cut_series(const json_t *samples, const char *member, const struct course *course,
                       double *grown) {
  struct os_chart_point points[MOST_POINTS];
  for (size_t i = 0; i < course->points; i++) {
    const json_t *sample = json_array_get(samples, i);
    points[i] =
        (struct os_chart_point){os_json_real(sample, "seconds", 0), (double)os_json_int(sample, member, 0)};
  }
  os_chart_cut(points, course->points, grown, course->bars);
}

/* "On average 45k records a second, at most 61k, over 2 min 5 s."; "12 retries in all, over …" */
static void put_words(struct os_buf *out, const struct series *series, const struct course *course,
                      const double *values, double sum) {
  double most = 0;
  for (size_t i = 0; i < course->bars; i++)
    if (values[i] > most) most = values[i];
  if (series->per_second) {
    os_buf_puts(out, "On average ");
    os_html_short(out, sum / course->seconds);
    os_buf_printf(out, " %s, at most ", series->unit);
    os_html_short(out, most);
  } else {
    os_html_count(out, os_html_whole(sum + 0.5));
    os_buf_printf(out, " %s in all", series->unit);
  }
  os_buf_puts(out, ", over ");
  os_html_duration(out, course->seconds);
  os_buf_putc(out, '.');
}

static void put_chart(struct os_buf *out, const struct series *series, const struct course *course,
                      const double *grown) {
  double values[OS_CHART_BARS], sum = 0, bar = course->seconds / (double)course->bars;
  for (size_t i = 0; i < course->bars; i++) {
    sum += grown[i];
    values[i] = series->per_second ? grown[i] / bar : grown[i];
    if (!(values[i] > 0)) values[i] = 0;
    if (values[i] > 1e18) values[i] = 1e18; /* absurd, but finite */
  }
  if (sum <= 0 && !series->always) return;
  struct os_buf says;
  os_buf_init(&says, 0);
  put_words(&says, series, course, values, sum);
  if (says.failed) out->failed = true;
  struct os_chart chart = {.id = series->id,
                           .title = series->title,
                           .says = says.data,
                           .tone = series->tone,
                           .values = values,
                           .count = course->bars,
                           .seconds = course->seconds};
  os_chart_draw(out, &chart);
  os_buf_free(&says);
}

static void put_figures(struct os_buf *out, const struct course *course,
                        double grown[SERIES][OS_CHART_BARS]) {
  static const char *const heads[] = {"From",     "#Records", "#Records/s", "#Bytes sent",
                                      "#Refused", "#Retries", NULL};
  double bar = course->seconds / (double)course->bars;
  os_buf_puts(out, "<details><summary>The figures of the charts</summary>\n");
  os_page_table(out, "Figures of the charts", heads);
  for (size_t i = 0; i < course->bars; i++) {
    os_buf_puts(out, "<tr><th scope=\"row\">");
    os_html_clock(out, bar * (double)i);
    os_buf_puts(out, "</th>");
    for (size_t k = 0; k < SERIES; k++) {
      os_buf_puts(out, "<td class=\"n\">");
      if (k == 1)
        os_html_bytes(out, os_html_whole(grown[k][i]));
      else
        os_html_count(out, os_html_whole(grown[k][i] + 0.5));
      os_buf_puts(out, "</td>");
      if (k > 0) continue;
      os_buf_puts(out, "<td class=\"n\">");
      os_html_short(out, grown[k][i] / bar);
      os_buf_puts(out, "</td>");
    }
    os_buf_puts(out, "</tr>\n");
  }
  os_page_table_end(out);
  os_buf_puts(out, "</details>\n");
}

/* At least two samples make a course; a job that was over at once has but one, and others have none. */
void os_report_course(struct os_buf *out, const json_t *facts) {
  const json_t *samples = json_object_get(facts, "samples");
  size_t count = json_array_size(samples);
  if (count == 0) return;
  struct course course = {.points = count < MOST_POINTS ? count : MOST_POINTS};
  course.seconds = os_json_real(json_array_get(samples, course.points - 1), "seconds", 0);
  course.bars = course.points - 1 < OS_CHART_BARS ? course.points - 1 : OS_CHART_BARS;
  os_page_section(out, "course", "Over time");
  if (course.bars == 0 || course.seconds <= 0) {
    os_buf_puts(out, "<p class=\"note\">Too short to be drawn.</p>\n</section>\n");
    return;
  }
  double grown[SERIES][OS_CHART_BARS];
  os_buf_puts(out, "<div class=\"charts\">\n");
  for (size_t k = 0; k < SERIES; k++) {
    cut_series(samples, all_series[k].member, &course, grown[k]);
    put_chart(out, &all_series[k], &course, grown[k]);
  }
  os_buf_puts(out, "</div>\n");
  put_figures(out, &course, grown);
  os_buf_puts(out, "</section>\n");
}
