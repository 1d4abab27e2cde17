/* session_functions.c - os_config, os_connect, os_ping, os_version, os_debug, os_sleep: the connection
** itself.
**
** May call: operations/session, cluster/ (probe only), config/, base/. Owns nothing. */
#include "surface/functions.h"

#include <csv.h>
#include <curl/curl.h>
#include <isa-l.h>
#include <math.h>
#include <openssl/crypto.h>
#include <string.h>
#include <zstd.h>
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "surface/ledger_tables.h"

#ifndef OS_VERSION
#define OS_VERSION "dev"
#endif

static const char masked[] = "********";

/* ---- os_config ---------------------------------------------------------------------------------- */

static int find_setting(struct os_command *command, enum os_setting_id *id) {
  const char *name;
  const char *known[OS_SET_COUNT];
  int rc = os_command_text(command, 0, "name", &name);
  if (rc != OS_OK) return rc;
  int found = os_setting_find(name);
  if (found >= 0) {
    *id = (enum os_setting_id)found;
    return OS_OK;
  }
  for (int i = 0; i < OS_SET_COUNT; i++)
    known[i] = os_setting_info((enum os_setting_id)i)->name;
  const char *near = os_text_nearest(name, known, OS_SET_COUNT);
  os_fail(&command->error, OS_ERR_ARGUMENT, "there is no setting '%.80s'", name);
  if (near != NULL)
    os_advise(&command->error, "did you mean %s? SELECT name FROM os_settings lists all", near);
  else
    os_advise(&command->error, "SELECT name FROM os_settings lists all");
  return OS_ERR_ARGUMENT;
}

static const char *shown(const struct os_settings *settings, enum os_setting_id id) {
  const char *value = os_settings_get(settings, id);
  return value != NULL && os_setting_info(id)->secret ? masked : value;
}

static int read_setting(struct os_command *command, enum os_setting_id id) {
  const char *value = shown(command->session->settings, id);
  if (value == NULL) return OS_OK; /* NULL: not set */
  return os_command_result_text_take(command, os_strdup(value), strlen(value), false);
}

/* Numbers are taken as SQLite writes them; a NULL goes back to environment, .env or default. */
static int write_setting(struct os_command *command, enum os_setting_id id) {
  struct os_settings *settings = command->session->settings;
  const char *name = os_setting_info(id)->name;
  sqlite3_value *given = command->argv[1];
  const char *value = NULL;
  int rc = OS_OK;
  switch (sqlite3_value_type(given)) {
  case SQLITE_NULL: break;
  case SQLITE_BLOB:
    return os_fail(&command->error, OS_ERR_ARGUMENT, "%s: the value is a blob, not text", name);
  case SQLITE_TEXT:
    if (sqlite3_value_bytes(given) == 0)
      value = ""; /* what an empty text means is the setting's own business */
    else
      rc = os_command_text(command, 1, name, &value);
    break;
  default:
    value = (const char *)sqlite3_value_text(given);
    if (value == NULL) rc = os_fail_nomem(&command->error);
  }
  if (rc == OS_OK) rc = os_settings_set(settings, id, value, &command->error);
  if (rc != OS_OK) return rc;
  const char *now = shown(settings, id);
  const char *source = os_settings_source(settings, id);
  json_t *response = json_pack("{s:s, s:s?, s:s}", "name", name, "value", now, "source", source);
  if (now == NULL) return os_command_result(command, "success", response, "%s is not set.", name);
  return os_command_result(command, "success", response, "%s is now %s (%s).", name, now, source);
}

int os_run_config(struct os_command *command) {
  enum os_setting_id id;
  int rc = find_setting(command, &id);
  if (rc != OS_OK) return rc;
  return command->argc == 1 ? read_setting(command, id) : write_setting(command, id);
}

/* ---- os_connect --------------------------------------------------------------------------------- */

int os_run_connect(struct os_command *command) {
  const char *name, *text;
  json_t *options = NULL;
  int rc = os_command_text(command, 0, "name", &name);
  if (rc == OS_OK) rc = os_command_text(command, 1, "options", &text);
  if (rc == OS_OK) rc = os_command_object_text(command, 1, "options", &text, &options);
  if (rc == OS_OK) rc = os_connections_set(command->session->connections, name, options, &command->error);
  if (rc == OS_OK)
    rc = os_command_result(
        command, "success",
        json_pack("{s:s, s:s}", "name", name, "endpoint", os_json_string(options, "endpoint", "")),
        "Connection '%s' is defined; os_ping('%s') tries it.", name, name);
  json_decref(options);
  return rc;
}

/* ---- os_ping ------------------------------------------------------------------------------------ */

static json_t *describe_cluster(const struct os_cluster *cluster, double seconds) {
  const struct os_capabilities *caps = &cluster->caps;
  return json_pack("{s:s, s:s, s:s, s:s?, s:s, s:s, s:b, s:s, s:s, s:f}", "connection",
                   cluster->endpoint->name, "endpoint", cluster->endpoint->url, "auth",
                   os_auth_name(cluster->endpoint->auth), "username", cluster->endpoint->username,
                   "distribution", caps->distribution, "version", caps->version, "serverless",
                   caps->serverless, "cluster_name", caps->cluster_name, "cluster_uuid", caps->cluster_uuid,
                   "milliseconds", floor(seconds * 10000 + 0.5) / 10);
}

int os_run_ping(struct os_command *command) {
  const char *connection;
  struct os_cluster cluster;
  int rc = os_command_optional_text(command, 0, "connection", &connection);
  if (rc == OS_OK) rc = os_session_cluster(command->session, connection, &cluster, &command->error);
  if (rc != OS_OK) return rc;
  double start = os_clock_monotonic();
  rc = os_session_cluster_probe(command->session, &cluster, true, &command->error);
  if (rc == OS_OK) {
    json_t *response = describe_cluster(&cluster, os_clock_monotonic() - start);
    const char *version = cluster.caps.version;
    if (response == NULL)
      rc = os_fail_nomem(&command->error);
    else if (version[0] == '\0')
      rc = os_command_result(command, "success", response, "%s answers%s.", cluster.endpoint->url,
                             cluster.caps.serverless
                                 ? " as a serverless collection"
                                 : "; what it is may be read with the right cluster:monitor/main");
    else
      rc = os_command_result(command, "success", response, "%s answers: %s %s.", cluster.endpoint->url,
                             cluster.caps.distribution, version);
  }
  os_session_cluster_release(&cluster);
  return rc;
}

/* ---- os_version, os_debug ----------------------------------------------------------------------- */

int os_run_version(struct os_command *command) {
  return os_command_result_text_take(command, os_strdup(OS_VERSION), strlen(OS_VERSION), false);
}

static json_t *describe_libraries(void) {
  char csv[32], isal[32], curl[256];
  const char *running = curl_version(); /* with the libraries that libcurl itself uses */
  sqlite3_snprintf((int)sizeof csv, csv, "%d.%d.%d", CSV_MAJOR, CSV_MINOR, CSV_RELEASE);
  sqlite3_snprintf((int)sizeof isal, isal, "%d.%d.%d", ISAL_MAJOR_VERSION, ISAL_MINOR_VERSION,
                   ISAL_PATCH_VERSION);
  sqlite3_snprintf((int)sizeof curl, curl, "%s", running);
  return json_pack("{s:{s:s, s:s}, s:s, s:s, s:s, s:s, s:s, s:s}", "sqlite", "built_with", SQLITE_VERSION,
                   "running", sqlite3_libversion(), "libcurl", curl, "openssl",
                   OpenSSL_version(OPENSSL_VERSION), "jansson", jansson_version_str(), "zstd",
                   ZSTD_versionString(), "isa-l", isal, "libcsv", csv);
}

static json_t *describe_settings(const struct os_settings *settings) {
  json_t *list = json_array();
  for (int i = 0; i < OS_SET_COUNT && list != NULL; i++) {
    enum os_setting_id id = (enum os_setting_id)i;
    json_t *entry = json_pack("{s:s, s:s?, s:s}", "name", os_setting_info(id)->name, "value",
                              shown(settings, id), "source", os_settings_source(settings, id));
    if (entry == NULL || json_array_append_new(list, entry) != 0) {
      json_decref(list);
      return NULL;
    }
  }
  return list;
}

static json_t *describe_build(void) {
#ifdef SQLITE_CORE
  const char *linked = "static";
#else
  const char *linked = "loadable";
#endif
#ifdef __OPTIMIZE__
  const char *optimized = "yes";
#else
  const char *optimized = "no";
#endif
  return json_pack("{s:s, s:s, s:s, s:i}", "compiler", __VERSION__, "linked", linked, "optimized", optimized,
                   "pointer_bits", (int)sizeof(void *) * 8);
}

/* Where the ledger is, without making it; a ledger that cannot be found out about is told as such. */
static json_t *describe_ledger(struct os_command *command) {
  struct os_ledger *ledger;
  struct os_error fault = {0};
  int rc = os_session_ledger(command->session, false, &ledger, &fault);
  const char *path = command->session->ledger != NULL ? os_ledger_path(command->session->ledger) : NULL;
  char clash[64] = "";
  bool hidden = os_ledger_name_clash(command->session->db, clash) == 1;
  return json_pack("{s:s?, s:b, s:s?, s:s?}", "path", path, "exists", rc == OS_OK && ledger != NULL, "error",
                   rc != OS_OK ? fault.text : NULL, "hidden_by", hidden ? clash : NULL);
}

int os_run_debug(struct os_command *command) {
  json_t *facts = json_pack("{s:s, s:o, s:o, s:o, s:o}", "version", OS_VERSION, "build", describe_build(),
                            "libraries", describe_libraries(), "ledger", describe_ledger(command), "settings",
                            describe_settings(command->session->settings));
  char *text = facts != NULL ? os_json_text(facts) : NULL;
  json_decref(facts);
  return os_command_result_text_take(command, text, text != NULL ? strlen(text) : 0, true);
}

/* ---- os_sleep ----------------------------------------------------------------------------------- */

int os_run_sleep(struct os_command *command) {
  double seconds;
  int rc = os_command_real(command, 0, "seconds", 0, 31536000, &seconds);
  if (rc != OS_OK) return rc;
  double start = os_clock_monotonic(), end = start + seconds;
  double left = seconds;
  while (left > 0) {
    if (os_session_interrupted(command->session)) {
      char slept[32];
      os_format_double(os_clock_monotonic() - start, 1, slept, sizeof slept);
      return os_fail(&command->error, OS_ERR_INTERRUPTED, "interrupted after %s seconds", slept);
    }
    os_clock_sleep_ms(left < 0.05 ? (unsigned)(left * 1000) + 1 : 50);
    left = end - os_clock_monotonic();
  }
  return os_command_result_real(command, seconds);
}
