/* tables.c - a report's tables: files, checks and changes, options and settings, the result. See
** page.h. Pure.
*/
#include <string.h>
#include "base/json.h"
#include "operations/report/html.h"
#include "operations/report/page.h"

/* ---- files ----------------------------------------------------------------------------------------- */

/* Gives how many files there are. */
static int64_t put_states(struct os_buf *out, const json_t *states) {
  static const char *const heads[] = {"State", "#Files", "#Records", "#Refused", "#Size", NULL};
  size_t i;
  json_t *state;
  double files = 0;
  os_page_table(out, "Files by their state", heads);
  json_array_foreach(states, i, state) {
    files += (double)os_json_int(state, "files", 0);
    os_buf_puts(out, "<tr><th scope=\"row\">");
    os_page_badge(out, os_json_string(state, "status", ""));
    os_buf_puts(out, "</th>");
    os_page_cell_count(out, json_object_get(state, "files"));
    os_page_cell_count(out, json_object_get(state, "documents"));
    os_page_cell_count(out, json_object_get(state, "failed"));
    os_buf_puts(out, "<td class=\"n\">");
    if (json_is_integer(json_object_get(state, "size"))) os_html_bytes(out, os_json_int(state, "size", 0));
    os_buf_puts(out, "</td></tr>\n");
  }
  os_page_table_end(out);
  return os_html_whole(files);
}

static void put_file(struct os_buf *out, const json_t *file) {
  os_buf_puts(out, "<tr><th scope=\"row\">");
  os_html_json(out, json_object_get(file, "file"));
  os_buf_puts(out, "</th><td>");
  os_page_badge(out, os_json_string(file, "status", ""));
  os_buf_puts(out, "</td>");
  os_page_cell_count(out, json_object_get(file, "documents"));
  os_page_cell_count(out, json_object_get(file, "failed"));
  os_buf_puts(out, "<td class=\"n\">");
  if (json_is_integer(json_object_get(file, "size"))) os_html_bytes(out, os_json_int(file, "size", 0));
  os_buf_puts(out, "</td><td class=\"n\">");
  if (json_is_number(json_object_get(file, "seconds")))
    os_html_duration(out, os_json_real(file, "seconds", 0));
  os_buf_puts(out, "</td>");
  os_page_word(out, json_object_get(file, "format"));
  os_buf_puts(out, "</tr>\n");
  if (!json_is_string(json_object_get(file, "error"))) return;
  os_buf_puts(out, "<tr><td class=\"long\" colspan=\"7\">");
  os_html_json(out, json_object_get(file, "error"));
  os_buf_puts(out, "</td></tr>\n");
}

void os_report_files(struct os_buf *out, const json_t *facts) {
  static const char *const heads[] = {"File",  "State", "#Records", "#Refused",
                                      "#Size", "#Time", "Format",   NULL};
  const json_t *files = json_object_get(facts, "files");
  size_t i;
  json_t *file;
  if (json_array_size(files) == 0) return;
  os_page_section(out, "files", "Files");
  int64_t all = put_states(out, json_object_get(facts, "states"));
  os_page_table(out, "Files", heads);
  json_array_foreach(files, i, file) put_file(out, file);
  os_page_table_end(out);
  os_page_shown(out, json_array_size(files), all, "files; those that need attention come first");
  os_buf_puts(out, "</section>\n");
}

/* ---- checks and changes ---------------------------------------------------------------------------- */

void os_report_checks(struct os_buf *out, const json_t *facts) {
  static const char *const heads[] = {"Time", "Step", "Check", "Verdict", "Detail", NULL};
  const json_t *checks = json_object_get(facts, "checks");
  size_t i;
  json_t *check;
  if (json_array_size(checks) == 0) return;
  os_page_section(out, "checks", "Checks and changes");
  os_page_table(out, "Checks and changes, in their order", heads);
  json_array_foreach(checks, i, check) {
    const char *at = os_json_string(check, "at", "");
    os_buf_puts(out, "<tr><td class=\"w\">");
    os_html_string(out, strlen(at) > 11 ? at + 11 : at); /* the day stands above */
    os_buf_puts(out, "</td>");
    os_page_word(out, json_object_get(check, "step"));
    os_page_word(out, json_object_get(check, "check_name"));
    os_buf_puts(out, "<td>");
    os_page_badge(out, os_json_string(check, "verdict", ""));
    os_buf_puts(out, "</td><td class=\"long\">");
    os_html_json(out, json_object_get(check, "detail"));
    os_buf_puts(out, "</td></tr>\n");
  }
  os_page_table_end(out);
  os_page_shown(out, json_array_size(checks), os_json_int(facts, "check_count", 0), "checks and changes");
  os_buf_puts(out, "</section>\n");
}

/* ---- options, settings, result --------------------------------------------------------------------- */

static void put_pair(struct os_buf *out, const char *name, const json_t *value, const char *source) {
  os_buf_puts(out, "<tr><th scope=\"row\">");
  os_html_string(out, name);
  os_buf_puts(out, "</th><td class=\"long\">");
  if (json_is_null(value))
    os_buf_puts(out, "null");
  else
    os_html_json(out, value);
  os_buf_puts(out, "</td>");
  if (source != NULL) {
    os_buf_puts(out, "<td>");
    os_html_string(out, source);
    os_buf_puts(out, "</td>");
  }
  os_buf_puts(out, "</tr>\n");
}

/* The text of a member as JSON; NULL when it is none (cut short by its bound, for instance). */
static json_t *parsed(const json_t *job, const char *member) {
  const char *text = os_json_string(job, member, NULL);
  return text != NULL ? os_json_parse(text, strlen(text), OS_JSON_BIG_INTEGERS, member, NULL) : NULL;
}

static void put_arguments(struct os_buf *out, const json_t *job, json_t *arguments) {
  const char *key;
  json_t *value, *option;
  if (arguments == NULL && json_is_string(json_object_get(job, "arguments")))
    put_pair(out, "arguments", json_object_get(job, "arguments"), "the call");
  json_object_foreach(arguments, key, value) {
    if (strcmp(key, "options") != 0 || !json_is_object(value)) {
      put_pair(out, key, value, "the call");
      continue;
    }
    const char *name;
    json_object_foreach(value, name, option) put_pair(out, name, option, "an option of the call");
  }
}

static const char *source_words(const char *source) {
  if (strcmp(source, "session") == 0) return "os_config";
  return strcmp(source, "env") == 0 ? "the environment" : source;
}

void os_report_settings(struct os_buf *out, const json_t *facts) {
  static const char *const heads[] = {"Name", "Value", "Given by", NULL};
  static const char *const places[] = {"started_at", "finished_at", "correlation_id",
                                       "host",       "pid",         "version"};
  const json_t *job = json_object_get(facts, "job");
  json_t *arguments = parsed(job, "arguments"), *settings = parsed(job, "settings"), *setting;
  size_t i;
  os_page_section(out, "settings", "Options and settings");
  os_page_table(out, "Options and settings", heads);
  put_arguments(out, job, arguments);
  json_array_foreach(settings, i, setting)
      put_pair(out, os_json_string(setting, "name", ""), json_object_get(setting, "value"),
               source_words(os_json_string(setting, "source", "")));
  for (i = 0; i < sizeof places / sizeof places[0]; i++)
    if (!json_is_null(json_object_get(job, places[i])))
      put_pair(out, places[i], json_object_get(job, places[i]), "the job");
  os_page_table_end(out);
  os_buf_puts(out,
              settings != NULL
                  ? "<p class=\"note\">All other options and settings had their defaults.</p>\n</section>\n"
                  : "<p class=\"note\">Its settings were not recorded.</p>\n</section>\n");
  json_decref(arguments);
  json_decref(settings);
}

void os_report_result(struct os_buf *out, const json_t *facts) {
  static const char *const heads[] = {"Name", "Value", NULL};
  json_t *response = parsed(json_object_get(facts, "job"), "response"), *value;
  const char *key;
  if (json_is_object(response) && json_object_size(response) > 0) {
    os_page_section(out, "result", "Result");
    os_page_table(out, "Result, as the command returned it", heads);
    json_object_foreach(response, key, value) put_pair(out, key, value, NULL);
    os_page_table_end(out);
    os_buf_puts(out, "</section>\n");
  }
  json_decref(response);
}
