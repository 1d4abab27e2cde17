/* permissions_table.c - os_permissions(index [, connection]): what this user may do with an index.
**
** Tries, rather than reads roles: role definitions are for administrators, and an answer to "may I" is the
** server's own only when the question is asked. Each probe is one request that changes nothing even when it
** is allowed: reads; writes that are conditions which cannot hold (a sequence number no document has); and
** changes that the server refuses as invalid after it has checked the right (the Security plugin filters
** actions before they are executed, docs.opensearch.org, "Permissions"). So: 403 is "fail", what got past
** the filter is "pass", anything else "unknown". May call: operations/session, cluster/, base/. Owns
** nothing. */
#include "surface/functions.h"

#include <string.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/json.h"

/* One right and the request that shows it. %s in path stands for the encoded name, in body for the bare one.
 */
struct probe {
  const char *right;
  const char *method, *path, *body;
  bool refused;    /* success (2xx) would be a surprise: then nothing is concluded */
  const char *use; /* what it is good for */
};

static const struct probe probes[] = {
    {"cluster:monitor/main", "GET", "/", NULL, false, "version and distribution are found out"},
    {"cluster:monitor/health", "GET", "/_cluster/health/%s?timeout=1s", NULL, 0,
     "health is checked before a load"},
    {"indices:admin/get", "HEAD", "/%s", NULL, false, "whether the index exists"},
    {"indices:admin/mappings/get", "GET", "/%s/_mapping", NULL, false,
     "types of columns come from the mapping"},
    {"indices:monitor/settings/get", "GET", "/%s/_settings", NULL, false, "UUID and settings"},
    {"indices:admin/aliases/get", "GET", "/%s/_alias", NULL, false, "whether an alias serves the index"},
    {"indices:monitor/stats", "GET", "/%s/_stats/docs", NULL, false, "whether others write meanwhile"},
    {"indices:data/read/search", "GET", "/%s/_count", NULL, false, "counts before and after a load"},
    {"indices:admin/refresh", "POST", "/%s/_refresh", NULL, false, "exact counts, os_refresh_index"},
    {"indices:admin/create", "PUT", "/%s", "{\"settings\":{\"index\":{\"number_of_shards\":0}}}", true,
     "os_create_index, option create"},
    {"indices:admin/settings/update", "PUT", "/%s/_settings", "{\"index\":{\"number_of_shards\":0}}", true,
     "option tune_index"},
    {"indices:admin/aliases", "POST", "/_aliases",
     "{\"actions\":[{\"remove\":{\"index\":\"%s\",\"alias\":\"os-permission-probe\",\"must_exist\":true}}]}",
     true, "os_switch_alias"},
    {"indices:data/write/delete/byquery", "POST", "/%s/_delete_by_query", "{\"query\":{\"match_none\":{}}}",
     false, "os_cleanup, mode fresh"},
};

static int add_row(struct os_rows_call *call, const char *right, const char *verdict, const char *detail) {
  json_t *row = json_pack("{s:s, s:s, s:s}", "right", right, "verdict", verdict, "detail", detail);
  if (row == NULL || json_array_append_new(call->rows, row) != 0) return os_fail_nomem(call->error);
  return OS_OK;
}

/* `format` with its one %s (if any) replaced. */
static void put_format(struct os_buf *out, const char *format, const char *name, bool encode) {
  const char *place = strstr(format, "%s");
  if (place == NULL) {
    os_buf_puts(out, format);
    return;
  }
  os_buf_append(out, format, (size_t)(place - format));
  if (encode)
    os_url_encode(out, name, strlen(name));
  else
    os_buf_puts(out, name);
  os_buf_puts(out, place + 2);
}

/* Faults that say nothing about one right but end the whole enquiry. */
static bool ends_enquiry(int rc) {
  switch (rc) {
  case OS_ERR_NOMEM:
  case OS_ERR_NETWORK:
  case OS_ERR_TLS:
  case OS_ERR_AUTH:
  case OS_ERR_INTERRUPTED: return true;
  default: return false;
  }
}

/* A block on the index (read-only, flood stage) is a 403, too, but no lack of rights. */
static bool is_block(const struct os_error *fault) {
  return strstr(fault->text, "cluster_block_exception") != NULL;
}

static int judge(struct os_rows_call *call, const struct probe *probe, int rc, int status,
                 const struct os_error *fault) {
  char detail[OS_ERROR_TEXT + 128];
  const char *verdict = "pass";
  if (rc == OS_ERR_FORBIDDEN && !is_block(fault)) {
    verdict = "fail";
    sqlite3_snprintf((int)sizeof detail, detail, "%s (for: %s)", fault->text, probe->use);
  } else if (rc != OS_OK && rc != OS_ERR_FORBIDDEN) {
    verdict = "unknown";
    sqlite3_snprintf((int)sizeof detail, detail, "%s (for: %s)", fault->text, probe->use);
  } else if (rc == OS_ERR_FORBIDDEN) {
    sqlite3_snprintf((int)sizeof detail, detail, "%s, but the index is blocked: %s", probe->use, fault->text);
  } else if (probe->refused && status < 400) {
    verdict = "unknown";
    sqlite3_snprintf((int)sizeof detail, detail, "a request that should have been refused was answered %d",
                     status);
  } else {
    sqlite3_snprintf((int)sizeof detail, detail, "%s", probe->use);
  }
  return add_row(call, probe->right, verdict, detail);
}

static int try_probe(struct os_rows_call *call, struct os_cluster *cluster, const struct probe *probe,
                     const char *index, bool *exists) {
  static const int allowed[] = {400, 404, 405, 408, 409, 0}; /* past the filter; 408: health timed out */
  struct os_buf path, body;
  struct os_error fault = {0};
  int status = 0, rc;
  os_buf_init(&path, 0);
  os_buf_init(&body, 0);
  put_format(&path, probe->path, index, true);
  if (probe->body != NULL) put_format(&body, probe->body, index, false);
  if (path.failed || body.failed) {
    rc = os_fail_nomem(call->error);
    goto done;
  }
  struct os_cluster_call request = {.method = probe->method,
                                    .path = path.data,
                                    .body = probe->body != NULL ? body.data : NULL,
                                    .idempotent = true,
                                    .allowed = allowed};
  rc = os_cluster_request(cluster, &request, &status, NULL, &fault);
  if (ends_enquiry(rc)) {
    *call->error = fault;
    goto done;
  }
  /* Whoever may not ask for the index may still be let to search it. */
  if (strcmp(probe->method, "HEAD") == 0 || strcmp(probe->right, "indices:data/read/search") == 0)
    *exists = *exists || (rc == OS_OK && status == 200);
  rc = judge(call, probe, rc, status, &fault);
done:
  os_buf_free(&path);
  os_buf_free(&body);
  return rc;
}

/* ---- writing: bulk requests whose one item cannot take effect ----------------------------------- */

/* No document has this sequence number, so index and delete conflict (409); the update misses its document
** (404). Nothing is written in any case. One item a request, because the rights are checked for all items of
** a shard together, and the refusal then stands in each of them. */
static const struct bulk_probe {
  const char *right, *member, *body, *use;
} bulk_probes[] = {
    {"indices:data/write/index", "index",
     "{\"index\":{\"_id\":\"os-permission-probe\",\"if_seq_no\":9007199254740991,\"if_primary_term\":1}}\n{}"
     "\n",
     "os_bulk_load"},
    {"indices:data/write/update", "update", "{\"update\":{\"_id\":\"os-permission-probe\"}}\n{\"doc\":{}}\n",
     "os_bulk_load with op update"},
    {"indices:data/write/delete", "delete",
     "{\"delete\":{\"_id\":\"os-permission-probe\",\"if_seq_no\":9007199254740991,\"if_primary_term\":1}}\n",
     "on_changed replace"},
};
static const char bulk_right[] = "indices:data/write/bulk";

static int judge_item(struct os_rows_call *call, const struct bulk_probe *probe, const json_t *answer) {
  const json_t *item = json_object_get(json_array_get(json_object_get(answer, "items"), 0), probe->member);
  int64_t status = os_json_int(item, "status", 0);
  const char *type = os_json_string(item, "error/type", "");
  const char *reason = os_json_string(item, "error/reason", "no reason given");
  if (status == 403 && strcmp(type, "cluster_block_exception") != 0)
    return add_row(call, probe->right, "fail", reason);
  if (status == 404 || status == 409 || status == 403)
    return add_row(call, probe->right, "pass", status == 403 ? reason : probe->use);
  return add_row(call, probe->right, "unknown", reason);
}

static int send_bulk(struct os_rows_call *call, struct os_cluster *cluster, const char *index, bool exists,
                     const char *body, json_t **answer, struct os_error *fault) {
  struct os_buf path;
  os_buf_init(&path, 0);
  put_format(&path, exists ? "/%s/_bulk" : "/%s/_bulk?require_alias=true", index, true);
  if (path.failed) return os_fail_nomem(call->error);
  struct os_cluster_call request = {.method = "POST",
                                    .path = path.data,
                                    .body = body,
                                    .content_type = "application/x-ndjson",
                                    .idempotent = true};
  int rc = os_cluster_request(cluster, &request, NULL, answer, fault);
  if (ends_enquiry(rc)) *call->error = *fault;
  os_buf_free(&path);
  return rc;
}

/* An index that is not known to exist could be made by a bulk request. With require_alias the server refuses
** the item instead, after it has let the request as such pass, so then only that is told. */
static int try_bulk(struct os_rows_call *call, struct os_cluster *cluster, const char *index, bool exists) {
  int rc = OS_OK;
  for (size_t i = 0; i < sizeof bulk_probes / sizeof *bulk_probes && rc == OS_OK; i++) {
    struct os_error fault = {0};
    json_t *answer = NULL;
    rc = send_bulk(call, cluster, index, exists, bulk_probes[i].body, &answer, &fault);
    if (ends_enquiry(rc)) return rc;
    bool done = rc != OS_OK || !exists;
    if (rc != OS_OK)
      rc = add_row(call, bulk_right, rc == OS_ERR_FORBIDDEN && !is_block(&fault) ? "fail" : "unknown",
                   fault.text);
    else if (!exists)
      rc = add_row(
          call, bulk_right, "pass",
          "bulk requests are let in; what they may do to this index shows only when it is seen to exist");
    else if (i == 0)
      rc = add_row(call, bulk_right, "pass", "os_bulk_load");
    if (rc == OS_OK && !done) rc = judge_item(call, &bulk_probes[i], answer);
    json_decref(answer);
    if (done) break;
  }
  return rc;
}

/* ---- who asks ----------------------------------------------------------------------------------- */

/* GET _plugins/_security/authinfo is open to every user; without the plugin the path does not exist. */
static int add_identity(struct os_rows_call *call, struct os_cluster *cluster, bool *secured) {
  static const int allowed[] = {400, 403, 404, 405, 0};
  struct os_cluster_call request = {
      .method = "GET", .path = "/_plugins/_security/authinfo", .idempotent = true, .allowed = allowed};
  struct os_error fault = {0};
  json_t *answer = NULL;
  int status = 0;
  int rc = os_cluster_request(cluster, &request, &status, &answer, &fault);
  *secured = true;
  if (ends_enquiry(rc)) {
    *call->error = fault;
    return rc;
  }
  if (rc == OS_OK && status == 200) {
    char *roles = os_json_text(json_object_get(answer, "roles"));
    char detail[1024];
    sqlite3_snprintf((int)sizeof detail, detail, "user '%s', roles %s",
                     os_json_string(answer, "user_name", "?"), roles != NULL ? roles : "?");
    os_free(roles);
    rc = add_row(call, "identity", "pass", detail);
  } else if (rc == OS_OK && (status == 400 || status == 404 || status == 405)) {
    *secured = false;
    rc = add_row(call, "identity", "pass",
                 "no Security plugin answers here: every request is allowed to everybody");
  } else {
    rc = add_row(call, "identity", "unknown", rc != OS_OK ? fault.text : "the user may not ask who it is");
  }
  json_decref(answer);
  return rc;
}

static int add_delete(struct os_rows_call *call, bool secured) {
  return secured ? add_row(call, "indices:admin/delete", "unknown",
                           "cannot be tried without deleting (for: os_delete_index)")
                 : add_row(call, "indices:admin/delete", "pass", "os_delete_index");
}

static int enquire(struct os_rows_call *call, struct os_cluster *cluster, const char *index) {
  bool exists = false, secured;
  int rc = add_identity(call, cluster, &secured);
  for (size_t i = 0; i < sizeof probes / sizeof *probes && rc == OS_OK; i++)
    rc = try_probe(call, cluster, &probes[i], index, &exists);
  if (rc == OS_OK) rc = try_bulk(call, cluster, index, exists);
  return rc == OS_OK ? add_delete(call, secured) : rc;
}

static int fill_permissions(struct os_rows_call *call) {
  const char *index, *connection;
  struct os_cluster cluster;
  int rc = os_rows_text(call, 0, "index_name", &index);
  if (rc == OS_OK) rc = os_rows_text(call, 1, "connection", &connection);
  if (rc == OS_OK) rc = os_command_check_index_name(index, call->error);
  if (rc == OS_OK) rc = os_session_cluster(call->session, connection, &cluster, call->error);
  if (rc != OS_OK) return rc;
  rc = enquire(call, &cluster, index);
  os_session_cluster_release(&cluster);
  return rc;
}

static const char *const permission_columns[] = {"right", "verdict", "detail", NULL};
static const char *const permission_types[] = {"TEXT", "TEXT", "TEXT"};
static const char *const permission_parameters[] = {"index_name", "connection", NULL};

const struct os_rows_table os_table_permissions = {
    .name = "os_permissions",
    .columns = permission_columns,
    .types = permission_types,
    .parameters = permission_parameters,
    .required = 1,
    .direct_only =
        true, /* it asks the cluster, in part by POST: not for a view of somebody else's database */
    .is_command = true,
    .fill = fill_permissions,
};
