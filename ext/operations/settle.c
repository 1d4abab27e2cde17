/* settle.c - see settle.h. */
#include "operations/settle.h"
#include "base/clock.h"
#include "operations/sigint.h"

static bool is_over(void *ctx) {
  struct os_settle *settle = ctx;
  if (settle->until == 0) {
    if (!settle->before.interrupted || !settle->before.interrupted(settle->before.ctx)) return false;
    settle->until = os_clock_monotonic() + settle->seconds;
    settle->sigints = os_sigint_count();
  }
  return os_sigint_count() != settle->sigints || os_clock_monotonic() > settle->until;
}

static void begin(struct os_settle *settle, const struct os_cluster *cluster, double seconds) {
  settle->cluster = *cluster;
  settle->before = cluster->probe;
  settle->cluster.probe = (struct os_probe){.interrupted = is_over, .ctx = settle};
  settle->seconds = seconds;
  settle->until = 0;
  settle->sigints = 0;
}

void os_settle_late(struct os_settle *settle, const struct os_cluster *cluster, double seconds) {
  begin(settle, cluster, seconds);
}

void os_settle_all(struct os_settle *settle, const struct os_cluster *cluster, double seconds) {
  begin(settle, cluster, seconds);
  settle->until = os_clock_monotonic() + seconds;
  settle->sigints = os_sigint_count();
}

int os_settle_remove(struct os_cluster *cluster, const char *name, struct os_error *error) {
  int rc = os_cluster_index_delete(cluster, name, error);
  if (rc && rc != OS_ERR_INTERRUPTED && rc != OS_ERR_NOT_FOUND) {
    os_error_clear(error);
    rc = os_cluster_index_delete(cluster, name, error);
  }
  if (rc == OS_ERR_NOT_FOUND) {
    os_error_clear(error);
    rc = OS_OK;
  }
  return rc;
}
