/* source_lister.c - see source_lister.h. */
#include "pipeline/source_lister.h"
#include <pthread.h>
#include <string.h>
#include "base/alloc.h"
#include "base/cond.h"
#include "base/thread.h"
#include "pipeline/source_build.h"

static const double PROBE_SECONDS = 0.05;

struct os_source_lister {
  pthread_t thread;
  atomic_bool stop;
  /* the thread's */
  struct os_s3 *s3;
  struct os_probe probe;
  char **urls;
  size_t url_count;
  struct os_source_list found; /* of the page in hand */
  /* under lock */
  pthread_mutex_t lock;
  pthread_cond_t more;
  struct os_source_list ready;
  size_t taken; /* of those that are ready */
  bool ended;
  struct os_error error;
};

/* ---- the thread ---- */

static bool is_stopped(void *ctx) {
  return atomic_load((atomic_bool *)ctx);
}

static int hand_over(void *ctx, struct os_source_list *found, struct os_error *error) {
  struct os_source_lister *lister = ctx;
  bool moved = true;
  pthread_mutex_lock(&lister->lock);
  for (size_t i = 0; i < found->count && moved; i++)
    moved = os_source_list_move(&lister->ready, os_source_at(found, i));
  pthread_cond_signal(&lister->more);
  pthread_mutex_unlock(&lister->lock);
  os_source_list_cut(found, 0); /* what was moved is zero */
  return moved ? OS_OK : os_fail_nomem(error);
}

static void *list_all(void *arg) {
  struct os_source_lister *lister = arg;
  const struct os_source_pages pages = {hand_over, lister};
  struct os_error error;
  int rc = OS_OK;
  os_error_clear(&error);
  for (size_t i = 0; i < lister->url_count && !rc; i++) {
    rc = os_source_add_objects(&lister->found, lister->s3, lister->urls[i], &pages, &error);
    if (!rc) rc = hand_over(lister, &lister->found, &error);
  }
  if (!rc) os_error_clear(&error); /* of what was tried again */
  pthread_mutex_lock(&lister->lock);
  lister->ended = true;
  lister->error = error;
  pthread_cond_signal(&lister->more);
  pthread_mutex_unlock(&lister->lock);
  return NULL;
}

/* ---- the keeper ---- */

static void destroy(struct os_source_lister *lister) {
  os_s3_close(lister->s3);
  for (size_t i = 0; lister->urls && i < lister->url_count; i++)
    os_free(lister->urls[i]);
  os_free(lister->urls);
  os_source_list_free(&lister->found);
  os_source_list_free(&lister->ready);
  pthread_cond_destroy(&lister->more);
  pthread_mutex_destroy(&lister->lock);
  os_free(lister);
}

static int copy_urls(struct os_source_lister *lister, const char *const *urls, size_t count,
                     struct os_error *error) {
  lister->urls = os_calloc(count, sizeof *lister->urls);
  if (!lister->urls) return os_fail_nomem(error);
  for (; lister->url_count < count; lister->url_count++)
    if (!(lister->urls[lister->url_count] = os_strdup(urls[lister->url_count]))) return os_fail_nomem(error);
  return OS_OK;
}

static int start_thread(struct os_source_lister *lister, struct os_error *error) {
  int failed = os_thread_start(&lister->thread, list_all, lister);
  if (!failed) return OS_OK;
  os_fail(error, OS_ERR_INTERNAL, "a thread that lists objects cannot be started: %s", strerror(failed));
  return os_advise(error, "the limit on threads or memory may be reached: see ulimit -u and -v");
}

int os_source_lister_start(struct os_source_lister **out, struct os_s3 *s3, const char *const *urls,
                           size_t count, struct os_error *error) {
  *out = NULL;
  struct os_source_lister *lister = os_calloc(1, sizeof *lister);
  if (!lister) {
    os_s3_close(s3);
    return os_fail_nomem(error);
  }
  atomic_init(&lister->stop, false);
  lister->s3 = s3;
  lister->probe = (struct os_probe){is_stopped, &lister->stop};
  os_s3_watch(s3, &lister->probe);
  pthread_mutex_init(&lister->lock, NULL);
  os_cond_init(&lister->more);
  int rc = copy_urls(lister, urls, count, error);
  if (!rc) rc = start_thread(lister, error);
  if (rc)
    destroy(lister);
  else
    *out = lister;
  return rc;
}

/* Under lock. */
static int wait_for_some(struct os_source_lister *lister, const struct os_probe *probe,
                         struct os_error *error) {
  while (lister->taken == lister->ready.count && !lister->ended) {
    struct timespec until = os_cond_deadline(PROBE_SECONDS);
    pthread_cond_timedwait(&lister->more, &lister->lock, &until);
    if (probe->interrupted(probe->ctx))
      return os_fail(error, OS_ERR_INTERRUPTED, "interrupted while objects were listed");
  }
  return OS_OK;
}

int os_source_lister_take(struct os_source_lister *lister, struct os_source_list *list, size_t most,
                          const struct os_probe *wait, bool *ended, struct os_error *error) {
  pthread_mutex_lock(&lister->lock);
  int rc = wait ? wait_for_some(lister, wait, error) : OS_OK;
  for (; !rc && most && lister->taken < lister->ready.count; most--)
    if (os_source_list_move(list, os_source_at(&lister->ready, lister->taken)))
      lister->taken++;
    else
      rc = os_fail_nomem(error);
  if (lister->taken == lister->ready.count) {
    os_source_list_cut(&lister->ready, 0);
    lister->taken = 0;
  }
  *ended = lister->ended && !lister->ready.count;
  if (!rc && *ended && lister->error.code) {
    *error = lister->error;
    rc = (int)error->code;
  }
  pthread_mutex_unlock(&lister->lock);
  return rc;
}

void os_source_lister_free(struct os_source_lister *lister) {
  if (!lister) return;
  atomic_store(&lister->stop, true);
  pthread_join(lister->thread, NULL);
  destroy(lister);
}
