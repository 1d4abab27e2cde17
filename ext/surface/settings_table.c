/* settings_table.c - os_settings (every setting; UPDATE changes one) and os_connections (the named clusters).
**
** Rationale for DIRECTONLY on os_settings: a database file must not be able to point the extension at another
** cluster through a trigger. os_connections is read only and usable in views; secrets are masked in both.
** May call: config/, base/. Owns nothing.
*/
#include "surface/functions.h"

#include <string.h>
#include "base/json.h"
#include "base/text.h"
#include "config/connections.h"
#include "config/settings.h"

/* ---- os_settings -------------------------------------------------------------------------------- */

static const char *const setting_columns[] = {"name",   "value",       "default_value",
                                              "source", "description", NULL};
static const char *const setting_types[] = {"TEXT", "TEXT", "TEXT", "TEXT", "TEXT"};
enum { COLUMN_NAME, COLUMN_VALUE, COLUMN_DEFAULT, COLUMN_SOURCE, COLUMN_DESCRIPTION };

static bool put_text(json_t *row, const char *key, const char *text) {
  return os_json_put(row, key, text != NULL ? json_string(text) : json_null());
}

static const char *shown_value(const struct os_settings *settings, enum os_setting_id id) {
  const char *value = os_settings_get(settings, id);
  return value != NULL && os_setting_info(id)->secret ? "********" : value;
}

static json_t *describe_setting(const struct os_settings *settings, enum os_setting_id id) {
  const struct os_setting_info *info = os_setting_info(id);
  json_t *row = json_object();
  if (row != NULL && put_text(row, "name", info->name) && put_text(row, "value", shown_value(settings, id)) &&
      put_text(row, "default_value", info->default_value) &&
      put_text(row, "source", os_settings_source(settings, id)) &&
      put_text(row, "description", info->description))
    return row;
  json_decref(row);
  return NULL;
}

static int fill_settings(struct os_rows_call *call) {
  for (int id = 0; id < OS_SET_COUNT; id++) {
    json_t *row = describe_setting(call->session->settings, (enum os_setting_id)id);
    if (row == NULL || json_array_append_new(call->rows, row) != 0) return os_fail_nomem(call->error);
  }
  return OS_OK;
}

static bool same_value(sqlite3_value *value, const char *text) {
  const char *given = (const char *)sqlite3_value_text(value);
  return given == NULL || text == NULL ? given == NULL && text == NULL : strcmp(given, text) == 0;
}

static int update_setting(struct os_session *session, sqlite3_int64 row, sqlite3_value **value,
                          struct os_error *error) {
  if (row < 0 || row >= OS_SET_COUNT) return os_fail(error, OS_ERR_ARGUMENT, "there is no such row");
  enum os_setting_id id = (enum os_setting_id)row;
  const struct os_setting_info *info = os_setting_info(id);
  if (!same_value(value[COLUMN_NAME], info->name) ||
      !same_value(value[COLUMN_DEFAULT], info->default_value) ||
      !same_value(value[COLUMN_SOURCE], os_settings_source(session->settings, id)) ||
      !same_value(value[COLUMN_DESCRIPTION], info->description))
    return os_fail(error, OS_ERR_ARGUMENT, "only the column 'value' can be changed (setting %s)", info->name);
  if (same_value(value[COLUMN_VALUE], shown_value(session->settings, id)))
    return OS_OK; /* also a secret that was read masked and is written back */
  const char *text = (const char *)sqlite3_value_text(value[COLUMN_VALUE]);
  if (text == NULL && sqlite3_value_type(value[COLUMN_VALUE]) != SQLITE_NULL) return os_fail_nomem(error);
  if (text != NULL && strlen(text) != (size_t)sqlite3_value_bytes(value[COLUMN_VALUE]))
    return os_fail(error, OS_ERR_ARGUMENT, "%s: the value has a NUL character inside", info->name);
  return os_settings_set(session->settings, id, text, error);
}

const struct os_rows_table os_table_settings = {
    .name = "os_settings",
    .columns = setting_columns,
    .types = setting_types,
    .direct_only = true,
    .fill = fill_settings,
    .update = update_setting,
};

/* ---- os_connections ----------------------------------------------------------------------------- */

/* The members that os_connections_describe() gives. */
static const char *const connection_columns[] = {"name",
                                                 "endpoint",
                                                 "auth",
                                                 "username",
                                                 "password",
                                                 "verify_ssl",
                                                 "verify_hostname",
                                                 "ca_bundle",
                                                 "http_compress",
                                                 "request_timeout",
                                                 "max_retries",
                                                 NULL};
static const char *const connection_types[] = {"TEXT",    "TEXT", "TEXT", "TEXT", "TEXT",   "INTEGER",
                                               "INTEGER", "TEXT", "TEXT", "REAL", "INTEGER"};

static int fill_connections(struct os_rows_call *call) {
  struct os_connections *connections = call->session->connections;
  for (size_t i = 0; i < os_connections_count(connections); i++) {
    json_t *row = os_connections_describe(connections, i);
    if (row == NULL || json_array_append_new(call->rows, row) != 0) return os_fail_nomem(call->error);
  }
  return OS_OK;
}

const struct os_rows_table os_table_connections = {
    .name = "os_connections",
    .columns = connection_columns,
    .types = connection_types,
    .fill = fill_connections,
};
