/* counts.c - may the alias move, as far as the numbers of documents tell?
**
** Both indices are refreshed, and counted by their own names: the alias may have a filter, and what the
** statistics call documents are also nested ones, and only those that were refreshed.
*/
#include <string.h>
#include "base/text.h"
#include "operations/alias/alias_int.h"

enum { NUMBER = 32 };

/* "12.5", "100": at most two decimals, without zeros at the end. */
static const char *number(double value, char out[NUMBER]) {
  os_format_double(value, 2, out, NUMBER);
  size_t len = 0;
  bool point = false;
  for (; out[len]; len++)
    point |= out[len] == '.';
  while (point && len && (out[len - 1] == '0' || out[len - 1] == '.')) {
    point = out[len - 1] == '0';
    out[--len] = '\0';
  }
  return out;
}

static int refuse_empty(const struct os_alias_switch_request *request, struct os_error *error) {
  os_fail(error, OS_ERR_GUARD, "target index '%s' has 0 documents", request->target);
  return os_advise(error, "load it first, or pass {\"allow_empty\":true}");
}

static int refuse_difference(const struct os_alias_switch_request *request, int64_t source, int64_t target,
                             double percent, double limit, bool own, struct os_error *error) {
  char by[NUMBER], most[NUMBER];
  const char *side = target < source ? "max_shrink" : "max_growth";
  os_fail(error, OS_ERR_GUARD,
          "target index '%s' has %lld documents, %s %% %s than source index '%s' with %lld; allowed are %s %%"
          " (%s)",
          request->target, (long long)target, number(percent < 0 ? -percent : percent, by),
          target < source ? "fewer" : "more", request->source, (long long)source, number(limit, most),
          own ? side : "threshold");
  return os_advise(error, "complete it, or pass a larger %s", own ? side : "threshold");
}

int os_alias_judge_counts(const struct os_alias_switch_request *request, int64_t source, int64_t target,
                          double *percent, struct os_error *error) {
  *percent = 0;
  if (target == 0 && !request->allow_empty) return refuse_empty(request, error);
  if (source == 0 || source == target)
    return OS_OK; /* there is nothing to compare with, or nothing differs */
  double side = target < source ? request->max_shrink : request->max_growth;
  double limit = side >= 0 ? side : request->threshold;
  *percent = ((double)target - (double)source) * 100 / (double)source;
  double size = *percent < 0 ? -*percent : *percent;
  if (size <= limit) return OS_OK;
  return refuse_difference(request, source, target, *percent, limit, side >= 0, error);
}

/* A refresh waits a minute for a primary that is not there. */
static int check_not_red(struct os_cluster *cluster, const char *index, struct os_error *error) {
  char health[16];
  int rc = os_cluster_health(cluster, index, health, error);
  if (rc == OS_ERR_FORBIDDEN) { /* counting will tell */
    os_error_clear(error);
    return OS_OK;
  }
  if (rc || strcmp(health, "red") != 0) return rc;
  return os_fail(error, OS_ERR_BUSY, "index '%s' is red: its documents cannot be counted", index);
}

static int count(struct os_cluster *cluster, const char *index, int64_t *documents, struct os_error *error) {
  *documents = -1;
  int rc = os_cluster_count_all(cluster, index, documents, error);
  if (rc) *documents = -1;
  return rc;
}

/* A source whose shards are missing is one that an alias may have to leave: its count is not to be had,
** but that may be allowed. Of the target every shard must answer. */
static bool may_be_unverified(int rc, bool target) {
  return rc == OS_ERR_FORBIDDEN || (!target && rc == OS_ERR_BUSY);
}

static int count_one(struct os_job *job, struct os_cluster *cluster,
                     const struct os_alias_switch_request *request, bool target, int64_t *documents,
                     struct os_error *error) {
  const char *check = target ? "target documents" : "source documents";
  const char *index = target ? request->target : request->source;
  int rc = target ? OS_OK : check_not_red(cluster, index, error); /* the target's is a guard of its own */
  if (!rc) rc = count(cluster, index, documents, error);
  if (may_be_unverified(rc, target))
    return os_job_unknown(job, "guards", check, request->allow_unverified, error);
  if (rc) return os_alias_refuse(job, check, error);
  return os_job_audit(job, "guards", check, "pass", false, error, "'%s' was refreshed and has %lld documents",
                      index, (long long)*documents);
}

int os_alias_guard_counts(struct os_job *job, struct os_cluster *cluster,
                          const struct os_alias_switch_request *request,
                          struct os_alias_switch_result *result, struct os_error *error) {
  static const char check[] = "documents";
  char by[NUMBER];
  double percent = 0;
  int rc = count_one(job, cluster, request, false, &result->source_documents, error);
  if (!rc) rc = count_one(job, cluster, request, true, &result->target_documents, error);
  int64_t source = result->source_documents, target = result->target_documents;
  job->figures.count_before = source;
  job->figures.count_after = target;
  if (rc) return rc;
  if (target < 0)
    return os_job_audit(job, "guards", check, "unknown", false, error, "'%s' could not be counted",
                        request->target);
  rc = os_alias_judge_counts(request, source < 0 ? 0 : source, target, &percent, error);
  if (rc) return os_alias_refuse(job, check, error);
  if (source < 0)
    return os_job_audit(job, "guards", check, "unknown", false, error, "'%s' could not be counted",
                        request->source);
  if (source == 0)
    return os_job_audit(job, "guards", check, "pass", false, error,
                        "the source is empty: nothing to compare the %lld documents of the target with",
                        (long long)target);
  return os_job_audit(job, "guards", check, "pass", false, error, "%lld and %lld documents: %s %% %s",
                      (long long)source, (long long)target, number(percent < 0 ? -percent : percent, by),
                      percent < 0 ? "fewer" : "more");
}
