/* watch.c - reasons for a live copy to stop or to wait; see live_int.h. */
#include <string.h>
#include "base/clock.h"
#include "operations/live/live_int.h"

static const double LOOK_EVERY = 0.25;

static int obey(struct os_live *live, struct os_error *error) {
  struct os_job *job = live->job;
  char asked[16] = "";
  int rc = os_ledger_job_control(job->ledger, job->number, asked, error);
  if (!rc && !strcmp(asked, "cancel"))
    rc = os_fail(error, OS_ERR_CANCELLED, "cancelled by os_cancel(%lld)", (long long)job->number);
  live->paused = !rc && !strcmp(asked, "pause") && live->block_ends <= 0; /* nobody may wait behind a block */
  if (!rc) rc = os_ledger_job_progress(job->ledger, job->number, &job->figures, error);
  return rc;
}

int os_live_look(struct os_live *live, struct os_error *error) {
  for (;;) {
    if (os_session_interrupted(live->job->session))
      return os_fail(error, OS_ERR_INTERRUPTED, "interrupted while %s was copied; %lld documents are done",
                     live->request->source, (long long)live->result->copied);
    double now = os_clock_monotonic();
    if (live->block_ends > 0 && now > live->block_ends) {
      os_fail(error, OS_ERR_TIMEOUT, "%s has refused writes for %.0f seconds, and the copy is not yet equal",
              live->request->source, live->request->max_block);
      return os_advise(error, "it takes writes again; try at a quieter time, or raise max_block");
    }
    int rc = now < live->next_look ? OS_OK : obey(live, error);
    if (now >= live->next_look) live->next_look = now + LOOK_EVERY;
    struct os_progress_state state = {.job = live->job->number,
                                      .index = live->request->target,
                                      .documents = (uint64_t)live->result->copied,
                                      .retries = (uint64_t)live->job->figures.retries,
                                      .paused = live->paused};
    os_progress_update(&live->meter, &state);
    if (rc || !live->paused) return rc;
    os_clock_sleep_ms(50);
  }
}
