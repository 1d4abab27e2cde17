/* words.c - an allocation explanation of the cluster, put into words; see health.h. Pure.
**
** The explanation lists for each node the rules ("deciders") that forbid the shard there; their names are
** those of OpenSearch's classes in cluster/routing/allocation/decider. May call: base/, net/ (encoding). */
#include <string.h>
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"
#include "net/http.h"
#include "operations/health/health.h"

enum { LONGEST_QUOTE = 400 };

/* Why a shard came to be without a node (UnassignedInfo.Reason); the others are shown as they are. */
static const struct {
  const char *reason, *words;
} reasons[] = {
    {"INDEX_CREATED", "since the index was created"},
    {"CLUSTER_RECOVERED", "since the cluster was started"},
    {"INDEX_REOPENED", "since the index was opened"},
    {"REPLICA_ADDED", "since the replica was added"},
    {"NODE_LEFT", "its node left the cluster"},
    {"ALLOCATION_FAILED", "starting it failed"},
    {"PRIMARY_FAILED", "its primary failed"},
    {"NEW_INDEX_RESTORED", "since a restore from a snapshot began"},
    {"EXISTING_INDEX_RESTORED", "since a restore from a snapshot began"},
    {"DANGLING_INDEX_IMPORTED", "since the index was imported"},
};

/* What helps when a rule forbids every node. Of several rules the one that stands first is told about:
** those at the end are on the way to any assignment and say least. fix NULL: it depends on the index. words: in
** place of the server's own explanation, where that names shards by their inner ids. */
static const struct {
  const char *decider, *fix, *words;
} rules[] = {
    {"max_retry",
     "mend what made it fail, then: SELECT os_request('POST', "
     "'/_cluster/reroute?retry_failed=true')",
     NULL},
    {"enable", NULL, NULL}, /* of the index or of the cluster: put_enable() */
    {"disk_threshold",
     "free disk space on the nodes or add one; the limits are the settings "
     "cluster.routing.allocation.disk.watermark.*",
     NULL},
    {"filter", "change the setting that the reason names, or give a node the attribute that it asks for",
     NULL},
    {"shards_limit", "add a data node, or raise the limit on shards of a node that the reason names", NULL},
    {"awareness",
     "add a data node in the zone that lacks one, or change "
     "cluster.routing.allocation.awareness.*",
     NULL},
    {"node_version", "finish the upgrade: a copy cannot go to a node with an older version", NULL},
    {"snapshot_in_progress", "wait until the snapshot is done", NULL},
    {"restore_in_progress", "restore the index again: the restore from its snapshot failed", NULL},
    {"throttling", "wait: other shards are being started first", NULL},
    {"same_shard", NULL, "every node that may hold it has a copy already"}, /* put_same_shard() */
    {"replica_after_primary_active", "get the primary assigned first", NULL},
};
enum { RULES = sizeof rules / sizeof *rules };

/* Outcomes that are no rule's doing (AllocationDecision). */
static const struct {
  const char *outcome, *fix;
} outcomes[] = {
    {"yes", "wait: it is about to be assigned"},
    {"throttled", "wait: other shards are being started first"},
    {"awaiting_info", "wait: the nodes are being asked which copies they have"},
    {"allocation_delayed", "start the node again that left; without it a new copy is made after "
                           "index.unassigned.node_left.delayed_timeout"},
    {"no_valid_shard_copy",
     "start the node again that held the shard; if it is lost, restore the index from a "
     "snapshot, or delete it and load it again"},
};

struct finding {
  int rule; /* in rules[]; RULES: another */
  const char *decider, *explanation;
  int nodes, refused; /* how many there are, how many this rule refuses */
};

static int rule_of(const char *decider) {
  int i = 0;
  while (i < RULES && strcmp(rules[i].decider, decider) != 0)
    i++;
  return i;
}

/* The rule to tell about: the first of rules[] that any node refuses for. */
static struct finding find_rule(const json_t *explanation) {
  const json_t *nodes = json_object_get(explanation, "node_allocation_decisions");
  struct finding found = {.rule = RULES + 1, .nodes = (int)json_array_size(nodes)};
  for (size_t i = 0; i < json_array_size(nodes); i++) {
    const json_t *deciders = json_object_get(json_array_get(nodes, i), "deciders");
    for (size_t j = 0; j < json_array_size(deciders); j++) {
      const json_t *decider = json_array_get(deciders, j);
      const char *name = os_json_string(decider, "decider", "");
      const int rule = rule_of(name);
      if (strcmp(os_json_string(decider, "decision", ""), "NO") != 0) continue;
      if (rule < found.rule) {
        found.rule = rule;
        found.decider = name;
        found.explanation = os_json_string(decider, "explanation", "");
        found.refused = 0;
      }
      if (rule == found.rule) found.refused++;
    }
  }
  return found;
}

static void put_quote(struct os_buf *out, const char *text) {
  char quote[LONGEST_QUOTE + 1];
  size_t len = strlen(text);
  const bool cut = len > LONGEST_QUOTE;
  if (cut) len = LONGEST_QUOTE;
  memcpy(quote, text, len);
  quote[len] = '\0';
  quote[os_utf8_check(quote, len)] = '\0'; /* the cut may fall inside a character */
  os_text_clean(quote);
  os_buf_printf(out, "%s%s", quote, cut ? "…" : "");
}

static void put_reason(struct os_buf *why, const json_t *info) {
  const char *reason = os_json_string(info, "reason", NULL);
  const char *details = os_json_string(info, "details", NULL);
  if (reason == NULL) return;
  for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
    if (strcmp(reason, reasons[i].reason) == 0) reason = reasons[i].words;
  os_buf_printf(why, " (%s", reason);
  if (details != NULL) {
    os_buf_puts(why, ": ");
    put_quote(why, details);
  }
  os_buf_putc(why, ')');
}

static void put_why(struct os_buf *why, const json_t *explanation, const struct finding *found) {
  os_buf_printf(why, "the %s of shard %lld is not assigned",
                os_json_bool(explanation, "primary", false) ? "primary" : "replica",
                (long long)os_json_int(explanation, "shard", 0));
  put_reason(why, json_object_get(explanation, "unassigned_info"));
  os_buf_puts(why, ": ");
  if (found->rule < RULES && rules[found->rule].words != NULL) {
    os_buf_puts(why, rules[found->rule].words);
  } else if (found->decider != NULL) {
    if (found->nodes > 1) os_buf_printf(why, "on %d of %d nodes ", found->refused, found->nodes);
    put_quote(why, found->explanation);
  } else {
    put_quote(why, os_json_string(explanation, "allocate_explanation", "the cluster gives no reason"));
  }
}

static void put_enable(struct os_buf *fix, const char *explanation, const char *index) {
  if (strstr(explanation, "index setting") != NULL)
    os_buf_printf(fix,
                  "SELECT os_request('PUT', '/%s/_settings', '{\"index.routing.allocation.enable\":null}')",
                  index);
  else
    os_buf_puts(fix, "SELECT os_request('PUT', '/_cluster/settings', '{\"persistent\":{"
                     "\"cluster.routing.allocation.enable\":null},\"transient\":{"
                     "\"cluster.routing.allocation.enable\":null}}')");
}

static void put_same_shard(struct os_buf *fix, int nodes, const char *index) {
  os_buf_printf(fix,
                "add a data node, or have as many copies as there are nodes: SELECT os_request('PUT', "
                "'/%s/_settings', '{\"index\":{\"number_of_replicas\":%d}}')",
                index, nodes > 0 ? nodes - 1 : 0);
}

static void put_rule(struct os_buf *fix, const struct finding *found, const char *index) {
  if (found->rule >= RULES)
    os_buf_printf(fix, "the reason names the rule that forbids it (decider %s)", found->decider);
  else if (rules[found->rule].fix != NULL)
    os_buf_puts(fix, rules[found->rule].fix);
  else if (strcmp(found->decider, "same_shard") == 0)
    put_same_shard(fix, found->nodes, index);
  else
    put_enable(fix, found->explanation, index);
}

static void put_fix(struct os_buf *fix, const json_t *explanation, const struct finding *found) {
  const char *outcome = os_json_string(explanation, "can_allocate", "");
  struct os_buf index;
  for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++)
    if (strcmp(outcome, outcomes[i].outcome) == 0) {
      os_buf_puts(fix, outcomes[i].fix);
      return;
    }
  if (found->decider == NULL) {
    os_buf_puts(fix, "start a node that may hold data");
    return;
  }
  const char *name = os_json_string(explanation, "index", "");
  os_buf_init(&index, 0);
  os_url_encode(&index, name, strlen(name)); /* also makes it fit into SQL's quotes */
  put_rule(fix, found, index.failed || index.data == NULL ? "…" : index.data);
  os_buf_free(&index);
}

void os_health_words(const json_t *explanation, struct os_buf *why, struct os_buf *fix) {
  const struct finding found = find_rule(explanation);
  put_why(why, explanation, &found);
  put_fix(fix, explanation, &found);
}
