/* index_functions.c - os_count, os_create_index, os_delete_index, os_refresh_index.
**
** The three that change something are jobs: each guard and each change is a row of os_audit, an intent is on
** the disk before its request, and an answer that never came is settled by reading the state again
** (architecture, rules 3, 4). May call: operations/session, cluster/, base/. Owns nothing. */
#include "surface/functions.h"

#include <string.h>
#include "base/json.h"

enum {
  INDEX_COMMON = OS_COMMON_CONNECTION | OS_COMMON_DRY_RUN | OS_COMMON_TIMEOUT | OS_COMMON_CORRELATION_ID
};

static const struct os_option delete_options[] = {
    {"allow_unverified", OS_OPT_BOOL, 0, 0, NULL, "false"},
    {NULL, 0, 0, 0, NULL, NULL},
};
const struct os_option_schema os_schema_count = {
    OS_COMMON_CONNECTION | OS_COMMON_TIMEOUT | OS_COMMON_CORRELATION_ID, NULL};
const struct os_option_schema os_schema_index = {INDEX_COMMON, NULL};
const struct os_option_schema os_schema_delete_index = {INDEX_COMMON | OS_COMMON_ALLOW_LIVE, delete_options};

/* After these nobody knows whether the server did it (rule 3). */
static bool outcome_unknown(int rc) {
  return rc == OS_ERR_TIMEOUT || rc == OS_ERR_NETWORK || rc == OS_ERR_ANSWER || rc == OS_ERR_BUSY;
}

/* ---- os_count ----------------------------------------------------------------------------------- */

/* Counts what a search can see now: no refresh is made, so documents written a moment ago may be missing. */
int os_run_count(struct os_command *command) {
  const char *index, *query;
  struct os_cluster cluster;
  int64_t count;
  int rc = os_command_text(command, 0, "index", &index);
  if (rc == OS_OK) rc = os_command_object_text(command, 1, "query", &query, NULL);
  if (rc == OS_OK) rc = os_command_cluster(command, &cluster);
  if (rc != OS_OK) return rc;
  rc = os_cluster_count(&cluster, index, query, &count, &command->error);
  os_session_cluster_release(&cluster);
  return rc == OS_OK ? os_command_result_integer(command, count) : rc;
}

/* ---- os_create_index ---------------------------------------------------------------------------- */

static int guard_name_free(struct os_command *command, struct os_cluster *cluster, const char *name) {
  bool exists;
  int rc = os_cluster_index_exists(cluster, name, &exists, &command->error);
  if (rc == OS_ERR_FORBIDDEN) /* creating it tells; the server refuses a second one of a name */
    return os_command_audit(command, "guards", "name is free", "unknown", false, "%s", command->error.text);
  if (rc != OS_OK) return rc;
  if (!exists)
    return os_command_audit(command, "guards", "name is free", "pass", false, "nothing is called '%s'", name);
  os_fail(&command->error, OS_ERR_CONFLICT, "'%s' exists already", name);
  os_advise(&command->error, "take another name, or delete it first with os_delete_index('%s', '%s')", name,
            name);
  return os_command_guard_failed(command, "guards", "name is free");
}

static int create_index(struct os_command *command, struct os_cluster *cluster, const char *name,
                        const char *body) {
  int rc = os_command_audit(command, "create", "index", "did", true, "asking for '%s'", name);
  if (rc != OS_OK) return rc;
  rc = os_cluster_index_create(cluster, name, body, &command->error);
  if (rc == OS_ERR_INTERRUPTED)
    os_advise(&command->error, "whether '%s' was created is not known: look before you run it again", name);
  if (!outcome_unknown(rc)) return rc;
  struct os_error fault = command->error, later = {0};
  bool exists;
  if (os_cluster_index_exists(cluster, name, &exists, &later) != OS_OK || !exists) {
    command->error = fault;
    return rc;
  }
  return os_command_audit(command, "create", "index", "pass", false,
                          "no answer came (%s), but '%s' exists now", fault.text, name);
}

int os_run_create_index(struct os_command *command) {
  const char *name, *body;
  struct os_cluster cluster;
  int rc = os_command_text(command, 0, "name", &name);
  if (rc == OS_OK) rc = os_command_check_index_name(name, &command->error);
  if (rc == OS_OK) rc = os_command_object_text(command, 1, "body", &body, NULL);
  if (rc == OS_OK) rc = os_command_cluster(command, &cluster);
  if (rc != OS_OK) return rc;
  rc = os_command_job_begin(command, "create_index", name);
  if (rc == OS_OK) rc = guard_name_free(command, &cluster, name);
  if (rc == OS_OK && !os_command_dry_run(command)) rc = create_index(command, &cluster, name, body);
  if (rc == OS_OK)
    rc = os_command_result(
        command, "success", json_pack("{s:s}", "index", name),
        os_command_dry_run(command) ? "Index '%s' would be created." : "Created index '%s'.", name);
  os_session_cluster_release(&cluster);
  return rc;
}

/* ---- os_delete_index ---------------------------------------------------------------------------- */

static int read_both_names(struct os_command *command, const char **name) {
  const char *again = NULL;
  int rc = os_command_text(command, 0, "name", name);
  if (rc == OS_OK) rc = os_command_text(command, 1, "name_again", &again);
  if (rc == OS_OK) rc = os_command_check_index_name(*name, &command->error);
  if (rc == OS_OK && strcmp(*name, again) != 0) {
    os_fail(&command->error, OS_ERR_ARGUMENT, "the two names differ: '%.255s' and '%.255s'", *name, again);
    os_advise(&command->error, "give the index's name twice, to be sure of what you delete");
    rc = OS_ERR_ARGUMENT;
  }
  return rc;
}

static int guard_concrete(struct os_command *command, const struct os_resolved *resolved, const char *name) {
  static const char check[] = "is one index";
  if (resolved->kind == OS_NAME_INDEX)
    return os_command_audit(command, "guards", check, "pass", false, "'%s' is a concrete index%s%s", name,
                            resolved->uuid[0] != '\0' ? ", UUID " : "", resolved->uuid);
  if (resolved->kind == OS_NAME_MISSING) {
    os_fail(&command->error, OS_ERR_NOT_FOUND, "there is no index '%s'", name);
  } else {
    os_fail(&command->error, OS_ERR_GUARD, "'%s' is %s, not an index", name,
            resolved->kind == OS_NAME_ALIAS ? "an alias" : "a data stream");
    const json_t *first = json_array_get(resolved->indices, 0);
    if (json_is_string(first))
      os_advise(&command->error, "name the index behind it, such as '%s'", json_string_value(first));
  }
  return os_command_guard_failed(command, "guards", check);
}

/* Who may not ask what a name stands for has to say that it is to be deleted unseen; the server itself
** refuses to delete an alias by its name. */
static int guard_name(struct os_command *command, struct os_cluster *cluster, const char *name,
                      struct os_resolved *resolved) {
  int rc = os_cluster_resolve(cluster, name, resolved, &command->error);
  if (rc == OS_OK) return guard_concrete(command, resolved, name);
  if (rc != OS_ERR_FORBIDDEN) return rc;
  if (!os_options_bool(&command->options, "allow_unverified", false)) {
    os_advise(&command->error, "ask for that right, or pass {\"allow_unverified\":true}");
    return os_command_guard_failed(command, "guards", "is one index");
  }
  resolved->kind = OS_NAME_INDEX;
  return os_command_audit(command, "guards", "is one index", "unknown", false,
                          "%s; went on because of allow_unverified", command->error.text);
}

static int guard_not_live(struct os_command *command, const struct os_resolved *resolved, const char *name) {
  static const char check[] = "no alias serves it";
  if (resolved->aliases == NULL) {
    if (os_options_bool(&command->options, "allow_unverified", false))
      return os_command_audit(command, "guards", check, "unknown", false,
                              "aliases cannot be read; went on because of allow_unverified");
    os_fail(&command->error, OS_ERR_GUARD, "whether an alias serves '%s' cannot be found out", name);
    os_advise(&command->error,
              "ask for the right indices:admin/aliases/get, or pass {\"allow_unverified\":true}");
    return os_command_guard_failed(command, "guards", check);
  }
  if (json_object_size(resolved->aliases) == 0)
    return os_command_audit(command, "guards", check, "pass", false, "'%s' has no alias", name);
  const char *alias = json_object_iter_key(json_object_iter(resolved->aliases));
  if (os_options_bool(&command->options, "allow_live", false))
    return os_command_audit(command, "guards", check, "skip", false,
                            "alias '%s' serves it; went on because of allow_live", alias);
  os_fail(&command->error, OS_ERR_GUARD, "alias '%s' serves index '%s'", alias, name);
  os_advise(&command->error, "move the alias first, or pass {\"allow_live\":true}");
  return os_command_guard_failed(command, "guards", check);
}

/* How much is about to go: for the record only, so that not knowing it stops nothing. */
static int count_before(struct os_command *command, struct os_cluster *cluster, const char *name) {
  struct os_error fault = {0};
  int rc = os_cluster_count(cluster, name, NULL, &command->job.figures.count_before, &fault);
  if (rc == OS_ERR_INTERRUPTED) {
    command->error = fault;
    return rc;
  }
  if (rc == OS_OK)
    return os_command_audit(command, "guards", "documents", "pass", false, "%lld documents",
                            (long long)command->job.figures.count_before);
  command->job.figures.count_before = -1;
  return os_command_audit(command, "guards", "documents", "unknown", false, "%s", fault.text);
}

static int delete_index(struct os_command *command, struct os_cluster *cluster, const char *name) {
  int rc = os_command_audit(command, "delete", "index", "did", true, "asking to delete '%s'", name);
  if (rc != OS_OK) return rc;
  rc = os_cluster_index_delete(cluster, name, &command->error);
  if (rc == OS_ERR_INTERRUPTED)
    os_advise(&command->error, "whether '%s' was deleted is not known: look before you run it again", name);
  if (!outcome_unknown(rc)) return rc;
  struct os_error fault = command->error, later = {0};
  bool exists;
  if (os_cluster_index_exists(cluster, name, &exists, &later) != OS_OK || exists) {
    command->error = fault;
    return rc;
  }
  return os_command_audit(command, "delete", "index", "pass", false, "no answer came (%s), but '%s' is gone",
                          fault.text, name);
}

static int give_deleted(struct os_command *command, const struct os_resolved *resolved, const char *name) {
  int64_t documents = command->job.figures.count_before;
  json_t *response =
      json_pack("{s:s, s:s?, s:o}", "index", name, "uuid", resolved->uuid[0] != '\0' ? resolved->uuid : NULL,
                "documents", documents >= 0 ? json_integer(documents) : json_null());
  const char *did = os_command_dry_run(command) ? "would be deleted" : "is deleted";
  if (documents < 0) return os_command_result(command, "success", response, "Index '%s' %s.", name, did);
  return os_command_result(command, "success", response, "Index '%s' (%lld document%s) %s.", name,
                           (long long)documents, documents == 1 ? "" : "s", did);
}

int os_run_delete_index(struct os_command *command) {
  const char *name;
  struct os_cluster cluster;
  struct os_resolved resolved = {0};
  int rc = read_both_names(command, &name);
  if (rc == OS_OK) rc = os_command_cluster(command, &cluster);
  if (rc != OS_OK) return rc;
  rc = os_command_job_begin(command, "delete_index", name);
  if (rc == OS_OK) rc = guard_name(command, &cluster, name, &resolved);
  if (rc == OS_OK) rc = guard_not_live(command, &resolved, name);
  if (rc == OS_OK) rc = count_before(command, &cluster, name);
  if (rc == OS_OK && !os_command_dry_run(command)) rc = delete_index(command, &cluster, name);
  if (rc == OS_OK) rc = give_deleted(command, &resolved, name);
  os_resolved_free(&resolved);
  os_session_cluster_release(&cluster);
  return rc;
}

/* ---- os_refresh_index --------------------------------------------------------------------------- */

int os_run_refresh_index(struct os_command *command) {
  const char *name;
  struct os_cluster cluster;
  int rc = os_command_text(command, 0, "name", &name);
  if (rc == OS_OK) rc = os_command_cluster(command, &cluster);
  if (rc != OS_OK) return rc;
  rc = os_command_job_begin(command, "refresh_index", name);
  if (rc == OS_OK && !os_command_dry_run(command)) rc = os_cluster_refresh(&cluster, name, &command->error);
  if (rc == OS_OK && !os_command_dry_run(command))
    rc = os_command_audit(command, "refresh", "index", "did", false, "'%s' was refreshed", name);
  if (rc == OS_OK)
    rc =
        os_command_result(command, "success", json_pack("{s:s}", "index", name),
                          os_command_dry_run(command) ? "'%s' would be refreshed."
                                                      : "'%s' was refreshed: what was written is searchable.",
                          name);
  os_session_cluster_release(&cluster);
  return rc;
}
