/* right.c - see right.h. */
#include "cluster/right.h"
#include <stdio.h>
#include <string.h>
#include "base/text.h"
#include "cluster/reason.h"

enum { RIGHT_SIZE = 256 };

/* The text between two marks, or "". */
static void between(const char *text, const char *before, const char *after, char *out, size_t size) {
  out[0] = '\0';
  const char *start = strstr(text, before);
  if (!start) return;
  start += strlen(before);
  const char *end = strstr(start, after);
  if (end && end > start) os_copy_bytes(out, size, start, (size_t)(end - start));
}

/* The right that was missing, in the words of the OpenSearch security plugin, of Elasticsearch, and of AWS
 * IAM. */
static void missing_right(const char *reason, char *right, size_t size) {
  between(reason, "no permissions for [", "] and ", right, size);
  if (!*right) between(reason, "no permissions for [", "]", right, size);
  if (!*right) between(reason, "action [", "] is unauthorized", right, size);
  if (!*right) between(reason, "not authorized to perform: ", " ", right, size);
  if (!*right) {
    const char *last = strstr(reason, "not authorized to perform: ");
    if (last) os_copy_text(right, size, last + strlen("not authorized to perform: "));
  }
}

void os_advise_forbidden(const char *type, const char *reason, struct os_error *error) {
  char right[RIGHT_SIZE];
  missing_right(reason, right, sizeof right);
  if (*right)
    os_advise(error, "missing right: %s", right);
  else if (!strcmp(type, "cluster_block_exception"))
    os_advise(error,
              "the index or the cluster is blocked: free disk space, or remove the block from its settings");
  else
    os_advise(error, "the user lacks a right that this request needs");
}

/* What a data access policy has to name for a request ("Supported operations and permissions", Amazon OpenSearch
** Service Developer Guide). */
static const char *collection_right(const char *what) {
  static const struct {
    const char *method, *part, *right;
  } known[] = {
      {"POST", "/_aliases", "aoss:UpdateCollectionItems"},
      {"PUT", "/_alias/", "aoss:CreateCollectionItems"},
      {"", "/_alias", "aoss:DescribeCollectionItems"},
      {"", "/_ingest/", "aoss:UpdateCollectionItems"},
      {"", "/_bulk", "aoss:WriteDocument"},
      {"PUT", "/_doc", "aoss:WriteDocument"},
      {"POST", "/_doc", "aoss:WriteDocument"},
      {"DELETE", "/_doc", "aoss:WriteDocument"},
      {"", "/_create/", "aoss:WriteDocument"},
      {"", "/_update/", "aoss:WriteDocument"},
      {"", "/_search", "aoss:ReadDocument"},
      {"", "/_count", "aoss:ReadDocument"},
      {"", "/_mget", "aoss:ReadDocument"},
      {"GET", "/_doc", "aoss:ReadDocument"},
      {"PUT", "/_mapping", "aoss:UpdateIndex"},
      {"PUT", "/_settings", "aoss:UpdateIndex"},
      {"PUT", "/", "aoss:CreateIndex"},
      {"DELETE", "/", "aoss:DeleteIndex"},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (os_has_prefix(what, known[i].method) && strstr(what, known[i].part)) return known[i].right;
  return "aoss:DescribeIndex";
}

/* What AWS finds wrong with a signed request, by its words: OpenSearch Service sends no code ("Signing HTTP requests to
** Amazon OpenSearch Service", and the errors common to all services). A collection says "Forbidden" and no more. */
void os_advise_signed(const struct os_endpoint *endpoint, const char *what, struct os_error *error) {
  char origin[256], before[OS_ERROR_ADVICE];
  static const struct {
    const char *words, *advice;
    bool keys; /* where they come from is worth saying */
  } known[] = {
      {"does not match the signature",
       "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID, or a proxy on the way changes requests",
       true},
      {"token included in the request is invalid",
       "AWS does not know the access key: look at AWS_ACCESS_KEY_ID, AWS_SESSION_TOKEN, AWS_PROFILE", true},
      {"token included in the request is expired",
       "the keys have expired, and where they come from gave no newer ones: log in again", true},
      {"scoped to a valid region", "the domain is in another region: set AWS_REGION", false},
      {"scoped to correct service",
       "the endpoint is of another kind: OPENSEARCH_SERVERLESS says whether it is a collection", false},
      {"Signature expired", "the clock of this machine is wrong", false},
      {"Signature not yet current", "the clock of this machine is wrong", false},
  };
  os_endpoint_keys_origin(endpoint, origin, sizeof origin);
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strstr(error->text, known[i].words)) {
      error->code = OS_ERR_AUTH; /* not a right that is missing: nobody knows who asks */
      os_advise(error, "%s%s", known[i].advice, known[i].keys ? origin : "");
      return;
    }
  if (strstr(error->text, "cluster_block_exception")) return; /* no matter of rights */
  if (endpoint->serverless) {
    os_advise(error,
              "a collection lets in whom its data access policy names for %s, if its network policy lets the "
              "request through, IAM allows aoss:APIAccessAll, and clock, keys and region are right; it says "
              "no more than this to all others%s",
              collection_right(what), origin);
    return;
  }
  snprintf(before, sizeof before, "%s", strstr(error->advice, "missing right") ? error->advice : "");
  os_advise(error,
            "%s%s%s%sthe domain's access policy, and the role that fine-grained access control maps the keys "
            "to, must allow it%s",
            before, *before ? " on " : "", *before ? endpoint->url : "", *before ? ": " : "", origin);
}
