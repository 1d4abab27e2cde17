/* page.c - the frame of a report's page: head, headline, the order of its parts, and the small
** pieces of markup that the parts share. See page.h. Owns nothing.
**
** The page needs nothing but itself: no script, no font, no picture from elsewhere. Its content security
** policy says so to the browser too, should text from somewhere ever get through as markup.
*/
#include "operations/report/page.h"
#include <stdbool.h>
#include <string.h>
#include "base/json.h"
#include "operations/report/html.h"

/* ---- shared pieces --------------------------------------------------------------------------------- */

void os_page_section(struct os_buf *out, const char *id, const char *title) {
  os_buf_printf(out, "<section aria-labelledby=\"%s\">\n<h2 id=\"%s\">%s</h2>\n", id, id, title);
}

void os_page_table(struct os_buf *out, const char *label, const char *const *heads) {
  os_buf_printf(out,
                "<div class=\"scroll\" role=\"region\" aria-label=\"%s\" tabindex=\"0\"><table>\n<thead><tr>",
                label);
  for (; *heads != NULL; heads++) {
    bool number = **heads == '#';
    os_buf_printf(out, "<th scope=\"col\"%s>%s</th>", number ? " class=\"n\"" : "", *heads + number);
  }
  os_buf_puts(out, "</tr></thead>\n<tbody>\n");
}

void os_page_table_end(struct os_buf *out) {
  os_buf_puts(out, "</tbody></table></div>\n");
}

void os_page_word(struct os_buf *out, const json_t *value) {
  os_buf_puts(out, "<td class=\"w\">");
  os_html_json(out, value);
  os_buf_puts(out, "</td>");
}

void os_page_cell_count(struct os_buf *out, const json_t *value) {
  os_buf_puts(out, "<td class=\"n\">");
  if (json_is_integer(value)) os_html_count(out, json_integer_value(value));
  os_buf_puts(out, "</td>");
}

void os_page_time(struct os_buf *out, const char *iso) {
  if (iso == NULL) return;
  bool usual = strlen(iso) > 19 && iso[10] == 'T';
  if (!usual) {
    os_html_string(out, iso);
    return;
  }
  os_html_text(out, iso, 10);
  os_buf_putc(out, ' ');
  os_html_text(out, iso + 11, 8);
  os_buf_puts(out, " UTC");
}

/* Words of ours get their colour; anything else is text. */
void os_page_badge(struct os_buf *out, const char *word) {
  static const struct {
    const char *word, *tone;
  } tones[] = {{"success", "good"}, {"pass", "good"},    {"did", "good"},         {"partial", "warn"},
               {"unknown", "warn"}, {"running", "warn"}, {"interrupted", "warn"}, {"cancelled", "warn"},
               {"failed", "bad"},   {"fail", "bad"}};
  const char *tone = "plain";
  for (size_t i = 0; i < sizeof tones / sizeof tones[0]; i++)
    if (word != NULL && strcmp(word, tones[i].word) == 0) tone = tones[i].tone;
  os_buf_printf(out, "<span class=\"badge %s\">", tone);
  os_html_string(out, word);
  os_buf_puts(out, "</span>");
}

void os_page_shown(struct os_buf *out, size_t shown, int64_t all, const char *what) {
  if (all <= (int64_t)shown) return;
  os_buf_printf(out, "<p class=\"note\">Shown are %zu of ", shown);
  os_html_count(out, all);
  os_buf_printf(out, " %s.</p>\n", what);
}

/* ---- head ------------------------------------------------------------------------------------------ */

static const char *index_of(const json_t *job) {
  const char *name = os_json_string(job, "index_name", NULL);
  return name != NULL ? name : os_json_string(job, "target_name", NULL);
}

/* "Job 12: bulk_load into tour-sales" */
static void put_title(struct os_buf *out, const json_t *job) {
  const char *index = index_of(job), *kind = os_json_string(job, "kind", "");
  os_buf_printf(out, "Job %lld: ", (long long)os_json_int(job, "job", 0));
  os_html_string(out, kind);
  if (index == NULL) return;
  os_buf_puts(out, strcmp(kind, "bulk_load") == 0 ? " into " : " of ");
  os_html_string(out, index);
}

static void put_head(struct os_buf *out, const json_t *job) {
  os_buf_puts(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" OS_REPORT_MARK
                   " " OS_VERSION "\">\n"
                   "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
                   "'unsafe-inline'\">\n"
                   "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                   "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
  put_title(out, job);
  os_buf_puts(out, "</title>\n<style>\n");
  os_buf_puts(out, os_report_style);
  os_buf_puts(out, "</style>\n</head>\n<body>\n");
}

/* ---- headline -------------------------------------------------------------------------------------- */

static void put_sentence(struct os_buf *out, const json_t *job, const char *status) {
  const char *error = os_json_string(job, "error", NULL);
  int64_t failed = os_json_int(job, "documents_failed", 0);
  os_buf_puts(out, "<p class=\"lead\">");
  if (strcmp(status, "running") == 0) {
    bool paused = strcmp(os_json_string(job, "control", ""), "pause") == 0;
    os_buf_puts(out, paused ? "It is paused, as it was at " : "It runs; this is how far it was at ");
    os_page_time(out, os_json_string(job, "updated_at", NULL));
    os_buf_putc(out, '.');
  } else if (strcmp(status, "success") == 0) {
    os_buf_puts(out, os_json_int(job, "dry", 0) ? "A rehearsal: nothing was sent." : "It ended well.");
  } else if (strcmp(status, "partial") == 0) {
    os_html_count(out, failed);
    os_buf_printf(out, " record%s refused; all else was done.", failed == 1 ? " was" : "s were");
  } else if (error == NULL) {
    os_buf_puts(out, "It did not come to its end.");
  }
  os_buf_puts(out, "</p>\n");
  if (error == NULL) return;
  os_buf_puts(out, "<p class=\"error\">");
  os_html_json(out, json_object_get(job, "error"));
  os_buf_puts(out, "</p>\n");
}

static void open_tile(struct os_buf *out, const char *name) {
  os_buf_printf(out, "<div><dt>%s</dt><dd>", name);
}

static void close_tile(struct os_buf *out, const char *small) {
  if (small != NULL) os_buf_printf(out, "<small>%s</small>", small);
  os_buf_puts(out, "</dd></div>\n");
}

static void count_tile(struct os_buf *out, const char *name, int64_t value, const char *small) {
  if (value == 0) return;
  open_tile(out, name);
  os_html_count(out, value);
  close_tile(out, small);
}

static void put_documents(struct os_buf *out, const json_t *job) {
  int64_t created = os_json_int(job, "documents_created", 0),
          updated = os_json_int(job, "documents_updated", 0);
  int64_t noop = os_json_int(job, "documents_noop", 0), already = os_json_int(job, "documents_already", 0);
  int64_t failed = os_json_int(job, "documents_failed", 0), read = os_json_int(job, "documents_read", 0);
  double done = (double)created + (double)updated + (double)noop + (double)already + (double)failed;
  double seconds = os_json_real(job, "seconds", 0);
  count_tile(out, "Records read", read, NULL);
  count_tile(out, "Documents created", created, NULL);
  count_tile(out, "Documents updated", updated, NULL);
  count_tile(out, "Unchanged", noop, NULL);
  count_tile(out, "There already", already, NULL);
  count_tile(out, "Left out", os_json_int(job, "documents_skipped", 0), NULL);
  count_tile(out, "Refused", failed, NULL);
  if (done <= 0) done = (double)read; /* a rehearsal sends nothing */
  if (done <= 0 || seconds <= 0) return;
  open_tile(out, "Rate");
  os_html_count(out, os_html_whole(done / seconds));
  close_tile(out, " records/s");
}

static void put_tiles(struct os_buf *out, const json_t *job) {
  int64_t files = os_json_int(job, "files", 0), bytes = os_json_int(job, "bytes_read", 0);
  os_buf_puts(out, "<dl class=\"tiles\">\n");
  if (index_of(job) != NULL) {
    open_tile(out, "Index");
    os_html_string(out, index_of(job));
    close_tile(out, NULL);
  }
  open_tile(out, "Duration");
  os_html_duration(out, os_json_real(job, "seconds", 0));
  close_tile(out, NULL);
  put_documents(out, job);
  if (files > 0) {
    open_tile(out, "Files done");
    os_html_count(out, os_json_int(job, "files_done", 0));
    os_buf_puts(out, "<small> of ");
    os_html_count(out, files);
    os_buf_puts(out, "</small>");
    close_tile(out, NULL);
  }
  if (bytes > 0) {
    open_tile(out, "Read");
    os_html_bytes(out, bytes);
    close_tile(out, NULL);
  }
  count_tile(out, "Requests", os_json_int(job, "requests", 0), NULL);
  count_tile(out, "Retries", os_json_int(job, "retries", 0), NULL);
  os_buf_puts(out, "</dl>\n");
}

static void put_headline(struct os_buf *out, const json_t *job) {
  const char *status = os_json_string(job, "status", "");
  os_buf_puts(out, "<header>\n<h1>");
  put_title(out, job);
  os_buf_puts(out, " ");
  os_page_badge(out, status);
  os_buf_puts(out, "</h1>\n");
  put_sentence(out, job, status);
  put_tiles(out, job);
  os_buf_puts(out, "</header>\n");
}

/* ---- the page -------------------------------------------------------------------------------------- */

void os_report_page(struct os_buf *out, const json_t *facts, const char *now_iso) {
  const json_t *job = json_object_get(facts, "job");
  put_head(out, job);
  put_headline(out, job);
  os_buf_puts(out, "<main>\n");
  os_report_course(out, facts);
  os_report_refused(out, facts);
  os_report_files(out, facts);
  os_report_checks(out, facts);
  os_report_settings(out, facts);
  os_report_result(out, facts);
  os_buf_puts(out, "</main>\n<footer><p>Made by sqlite-opensearch " OS_VERSION " at ");
  os_page_time(out, now_iso);
  os_buf_puts(out,
              ". Refused records stand here as they were read: pass the page on with care.</p></footer>\n"
              "</body>\n</html>\n");
}
