/* health.c - see health.h. May call: cluster/, base/. Owns nothing. */
#include "operations/health/health.h"

#include <string.h>
#include "base/json.h"
#include "base/text.h"
#include "cluster/listing.h"

/* Each costs two requests. More indices in trouble than this mostly have one cause. */
enum { MOST_REASONS = 20 };

struct reading {
  struct os_cluster *cluster;
  json_t *rows;
  struct os_error *error;
  bool reasons;
  int asked;
};

static bool put_text(json_t *row, const char *name, const struct os_buf *text) {
  return !text->failed && (text->len == 0 || os_json_put(row, name, json_string(text->data)));
}

/* Takes why and fix. */
static int add_row(struct reading *r, json_t *row, struct os_buf *why, struct os_buf *fix) {
  bool made = row != NULL && put_text(row, "why", why) && put_text(row, "fix", fix);
  os_buf_free(why);
  os_buf_free(fix);
  if (made) return json_array_append_new(r->rows, row) == 0 ? OS_OK : os_fail_nomem(r->error);
  json_decref(row);
  return os_fail_nomem(r->error);
}

static json_t *base_row(const char *scope, const char *name, const json_t *health) {
  return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "scope", scope, "name", name, "health",
                   os_json_string(health, "status", "unknown"), "active",
                   (json_int_t)os_json_int(health, "active_shards", 0), "relocating",
                   (json_int_t)os_json_int(health, "relocating_shards", 0), "initializing",
                   (json_int_t)os_json_int(health, "initializing_shards", 0), "unassigned",
                   (json_int_t)os_json_int(health, "unassigned_shards", 0));
}

/* ---- one index ---------------------------------------------------------------------------------- */

/* The copy to ask about: a primary before a replica, because the replicas wait for it. */
static bool choose_shard(const json_t *shards, int64_t *number, bool *primary) {
  const char *key = NULL;
  json_t *shard = NULL;
  bool found = false;
  *primary = false;
  json_object_foreach((json_t *)(uintptr_t)shards, key, shard) {
    const bool lost = !os_json_bool(shard, "primary_active", true);
    if (os_json_int(shard, "unassigned_shards", 0) == 0 || (found && (!lost || *primary))) continue;
    int64_t value;
    if (!os_parse_int(key, &value)) continue;
    *number = value;
    *primary = lost;
    found = true;
  }
  return found;
}

/* Who may see the health need not be let to ask for reasons: that is said where the reason would stand. */
static int put_refusal(struct reading *r, const struct os_error *refusal, struct os_buf *why,
                       struct os_buf *fix) {
  if (refusal->code != OS_ERR_FORBIDDEN) {
    *r->error = *refusal;
    return (int)refusal->code;
  }
  os_buf_printf(why, "; the reason cannot be read: %s", refusal->text);
  os_buf_puts(fix, refusal->advice);
  return OS_OK;
}

static int ask_reason(struct reading *r, const char *index, struct os_buf *why, struct os_buf *fix) {
  json_t *health = NULL, *explanation = NULL;
  struct os_error refusal = {0};
  int64_t shard = 0;
  bool primary = false;
  int rc = os_cluster_health_of(r->cluster, index, "shards", &health, &refusal);
  const json_t *shards =
      json_object_get(json_object_get(json_object_get(health, "indices"), index), "shards");
  const bool found = choose_shard(shards, &shard, &primary);
  if (rc == OS_OK && found)
    rc = os_cluster_allocation_explain(r->cluster, index, shard, primary, &explanation, &refusal);
  if (rc != OS_OK) {
    rc = put_refusal(r, &refusal, why, fix);
  } else if (explanation != NULL) {
    os_buf_puts(why, "; ");
    os_health_words(explanation, why, fix);
  } else {
    os_buf_puts(fix, "look again: it is being assigned");
  }
  json_decref(health);
  json_decref(explanation);
  return rc;
}

static int tell_unassigned(struct reading *r, const char *index, const json_t *health, struct os_buf *why,
                           struct os_buf *fix) {
  const long long unassigned = (long long)os_json_int(health, "unassigned_shards", 0);
  const long long missing = (long long)(os_json_int(health, "number_of_shards", 0) -
                                        os_json_int(health, "active_primary_shards", 0));
  os_buf_printf(why, "%lld shard%s not assigned", unassigned, unassigned == 1 ? " is" : "s are");
  if (missing > 0) os_buf_printf(why, ", %lld of them %s", missing, missing == 1 ? "a primary" : "primaries");
  if (!r->reasons) return OS_OK;
  if (r->asked++ < MOST_REASONS) return ask_reason(r, index, why, fix);
  os_buf_puts(fix, "SELECT why, fix FROM os_health WHERE name = '");
  for (const char *p = index; *p != '\0'; p++) {
    if (*p == '\'') os_buf_putc(fix, '\'');
    os_buf_putc(fix, *p);
  }
  os_buf_putc(fix, '\'');
  return OS_OK;
}

static int add_index(struct reading *r, const char *index, const json_t *health) {
  struct os_buf why, fix;
  int rc = OS_OK;
  os_buf_init(&why, 0);
  os_buf_init(&fix, 0);
  if (os_json_int(health, "unassigned_shards", 0) > 0) {
    rc = tell_unassigned(r, index, health, &why, &fix);
  } else if (strcmp(os_json_string(health, "status", ""), "green") != 0) {
    os_buf_printf(&why, "%lld shards are being started",
                  (long long)os_json_int(health, "initializing_shards", 0));
    os_buf_puts(&fix, "wait");
  }
  if (rc == OS_OK) return add_row(r, base_row("index", index, health), &why, &fix);
  os_buf_free(&why);
  os_buf_free(&fix);
  return rc;
}

/* ---- the cluster -------------------------------------------------------------------------------- */

static void count_colours(const json_t *indices, long long *yellow, long long *red) {
  const char *name = NULL;
  json_t *health = NULL;
  *yellow = *red = 0;
  json_object_foreach((json_t *)(uintptr_t)indices, name, health) {
    const char *colour = os_json_string(health, "status", "");
    *yellow += strcmp(colour, "yellow") == 0;
    *red += strcmp(colour, "red") == 0;
  }
}

static int add_cluster(struct reading *r, const json_t *health) {
  const char *name = os_json_string(health, "cluster_name", "");
  json_t *row = base_row("cluster", name, health);
  long long yellow, red;
  struct os_buf why, fix;
  os_buf_init(&why, 0);
  os_buf_init(&fix, 0);
  count_colours(json_object_get(health, "indices"), &yellow, &red);
  if (strcmp(os_json_string(health, "status", ""), "green") != 0) {
    os_buf_printf(&why,
                  "%lld ind%s red, %lld %s yellow: %lld shards are not assigned, %lld are being started", red,
                  red == 1 ? "ex is" : "ices are", yellow, yellow == 1 ? "is" : "are",
                  (long long)os_json_int(health, "unassigned_shards", 0),
                  (long long)os_json_int(health, "initializing_shards", 0));
    os_buf_puts(&fix, "SELECT name, why, fix FROM os_health WHERE scope = 'index' AND health <> 'green'");
  }
  static const char *const counts[][2] = {{"nodes", "number_of_nodes"},
                                          {"data_nodes", "number_of_data_nodes"},
                                          {"pending_tasks", "number_of_pending_tasks"}};
  for (size_t i = 0; row != NULL && i < sizeof counts / sizeof *counts; i++)
    if (!os_json_put(row, counts[i][0], json_integer(os_json_int(health, counts[i][1], 0)))) {
      json_decref(row);
      row = NULL;
    }
  return add_row(r, row, &why, &fix);
}

/* The figures of an answer about some indices are theirs alone: those of the cluster are asked for apart,
** and only where its name can be meant. */
static int add_whole(struct reading *r, const char *pattern, const json_t *health) {
  json_t *whole = NULL;
  if (pattern == NULL) return add_cluster(r, health);
  if (strpbrk(pattern, "*,") == NULL && strcmp(pattern, os_json_string(health, "cluster_name", "")) != 0)
    return OS_OK;
  int rc = os_cluster_health_of(r->cluster, NULL, "indices", &whole, r->error);
  if (rc == OS_OK) rc = add_cluster(r, whole);
  json_decref(whole);
  return rc;
}

int os_health_rows(struct os_cluster *cluster, const char *pattern, bool reasons, json_t *rows,
                   struct os_error *error) {
  struct reading r = {.cluster = cluster, .rows = rows, .error = error, .reasons = reasons};
  const char *name = NULL;
  json_t *health = NULL, *index = NULL;
  int rc = os_cluster_health_of(cluster, pattern, "indices", &health, error);
  if (rc == OS_OK) rc = add_whole(&r, pattern, health);
  json_object_foreach(json_object_get(health, "indices"), name, index) {
    if (rc == OS_OK) rc = add_index(&r, name, index);
  }
  json_decref(health);
  return rc;
}

/* ---- a red index, refused ----------------------------------------------------------------------- */

int os_health_refuse_red(struct os_cluster *cluster, const char *what, const char *index,
                         struct os_error *error) {
  struct os_error ignored;
  const char *why = NULL, *fix = NULL;
  json_t *rows = json_array();
  os_error_clear(&ignored);
  if (rows != NULL) os_health_rows(cluster, index, true, rows, &ignored);
  for (size_t i = 0; i < json_array_size(rows) && why == NULL; i++) {
    const json_t *row = json_array_get(rows, i);
    if (strcmp(os_json_string(row, "name", ""), index) != 0) continue;
    why = os_json_string(row, "why", NULL);
    fix = os_json_string(row, "fix", NULL);
  }
  os_fail(error, OS_ERR_GUARD, "%s %s is red: %.800s", what, index,
          why != NULL ? why : "a primary shard is not assigned");
  os_advise(error, "%.800s", fix != NULL ? fix : "SELECT why, fix FROM os_health tells more");
  json_decref(rows);
  return OS_ERR_GUARD;
}
