/* refused.c - a report's part on refused records: how many for which reason, and some of each as
** they were read. See page.h. Pure.
*/
#include "base/json.h"
#include "operations/report/html.h"
#include "operations/report/page.h"

static void put_reasons(struct os_buf *out, const json_t *reasons) {
  static const char *const heads[] = {"Reason", "Refused by", "#Records", "#Resolved", NULL};
  size_t i;
  json_t *reason;
  os_page_table(out, "Refused records by reason", heads);
  json_array_foreach(reasons, i, reason) {
    int64_t status = os_json_int(reason, "status", 0);
    os_buf_puts(out, "<tr><th scope=\"row\">");
    os_html_json(out, json_object_get(reason, "error_type"));
    os_buf_puts(out, "</th><td>");
    if (status == 0)
      os_buf_puts(out, "the parser");
    else
      os_buf_printf(out, "the cluster (HTTP %lld)", (long long)status);
    os_buf_puts(out, "</td>");
    os_page_cell_count(out, json_object_get(reason, "records"));
    os_page_cell_count(out, json_object_get(reason, "resolved"));
    os_buf_puts(out, "</tr>\n");
  }
  os_page_table_end(out);
}

static void put_bytes(struct os_buf *out, const char *name, const json_t *example, const char *member,
                      const char *len_member) {
  const json_t *value = json_object_get(example, member);
  if (!json_is_string(value)) return;
  os_buf_printf(out, "<pre><b>%s</b>\n", name);
  os_html_excerpt(out, json_string_value(value), json_string_length(value),
                  os_json_int(example, len_member, 0));
  os_buf_puts(out, "</pre>\n");
}

static void put_place(struct os_buf *out, const json_t *example) {
  const json_t *line = json_object_get(example, "line"), *id = json_object_get(example, "doc_id");
  os_buf_puts(out, "<p><strong>");
  if (json_is_string(json_object_get(example, "file")))
    os_html_json(out, json_object_get(example, "file"));
  else
    os_buf_puts(out, "(no file)");
  if (json_is_integer(line)) {
    os_buf_puts(out, ", line ");
    os_html_count(out, json_integer_value(line));
  }
  os_buf_puts(out, "</strong>");
  if (json_is_string(id)) {
    os_buf_puts(out, ", id ");
    os_html_json(out, id);
  }
  if (json_is_string(json_object_get(example, "resolved_at"))) os_buf_puts(out, ", resolved since");
  os_buf_puts(out, "</p>\n");
}

static void put_example(struct os_buf *out, const json_t *example) {
  os_buf_puts(out, "<div class=\"example\">\n");
  put_place(out, example);
  os_buf_puts(out, "<p>");
  os_html_json(out, json_object_get(example, "error_reason"));
  os_buf_puts(out, "</p>\n");
  put_bytes(out, "as it was read", example, "raw", "raw_len");
  put_bytes(out, "as a document", example, "document", "document_len");
  os_buf_puts(out, "</div>\n");
}

static void put_examples(struct os_buf *out, const json_t *examples, const json_t *reason) {
  const json_t *status = json_object_get(reason, "status"), *type = json_object_get(reason, "error_type");
  size_t i;
  json_t *example;
  os_buf_puts(out, "<h3>");
  os_html_json(out, type);
  os_buf_puts(out, "</h3>\n");
  json_array_foreach(examples, i, example) {
    if (json_equal(json_object_get(example, "status"), status) &&
        json_equal(json_object_get(example, "error_type"), type))
      put_example(out, example);
  }
}

void os_report_refused(struct os_buf *out, const json_t *facts) {
  const json_t *reasons = json_object_get(facts, "reasons"), *job = json_object_get(facts, "job");
  int64_t failed = os_json_int(job, "documents_failed", 0), kinds = os_json_int(facts, "reason_count", 0);
  size_t i;
  json_t *reason;
  if (failed == 0 && json_array_size(reasons) == 0) return;
  os_page_section(out, "refused", "Refused records");
  if (json_array_size(reasons) == 0) {
    os_buf_puts(
        out,
        os_json_int(job, "dry", 0)
            ? "<p>A rehearsal keeps none.</p>\n</section>\n"
            : "<p>None is kept under this job any more: they were dismissed, or refused again by a later "
              "job, which has them now.</p>\n</section>\n");
    return;
  }
  os_buf_puts(
      out, "<p class=\"note\">They are kept in the table dlq_failures until somebody deals with them.</p>\n");
  put_reasons(out, reasons);
  os_page_shown(out, json_array_size(reasons), kinds, "reasons");
  json_array_foreach(reasons, i, reason) put_examples(out, json_object_get(facts, "examples"), reason);
  os_buf_puts(out, "</section>\n");
}
