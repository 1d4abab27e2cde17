/* job_lock.c - one byte a running job, locked in the file <ledger>-jobs.
**
** The kernel drops the lock with the process, however it dies, so whoever cannot get it knows that the job
** lives. Open-file-description locks (fcntl(2), F_OFD_SETLK): unlike classic POSIX locks they also hold
** between two connections of one process, and closing another descriptor of the file does not drop them. The
** file is apart from the ledger, whose own locks are SQLite's. The byte's content says 1 once the job has
** ended in order, for a reader that has seen the row a moment before. Owns lock_fd and the list of held
** jobs.
*/
#define _GNU_SOURCE /* F_OFD_SETLK */
#include "ledger/ledger_int.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/clock.h"

static const char running_byte = 0, ended_byte = 1;

int os_job_lock_make_file(struct os_ledger *ledger, struct os_error *error) {
  struct stat like;
  bool known = ledger->like != NULL && stat(ledger->like, &like) == 0;
  mode_t mode = known ? like.st_mode & 0777 : 0600;
  int fd = open(ledger->lock_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0 && errno == EEXIST) return OS_OK;
  int failed = fd < 0 ? errno : 0;
  if (fd >= 0) {
    /* exactly that mode, whatever the umask: who may use the database may use its ledger */
    if (fchmod(fd, mode) != 0 || (known && geteuid() == 0 && fchown(fd, like.st_uid, like.st_gid) != 0))
      failed = errno;
    /* it is ours alone so far; the next process must not take it as it is */
    if (failed != 0) unlink(ledger->lock_path);
    close(fd);
  }
  if (failed == 0) return OS_OK;
  if (access(ledger->path, F_OK) == 0) {
    os_fail(error, OS_ERR_LEDGER, "the ledger '%s' cannot be written: its lock file '%s' cannot be made: %s",
            ledger->path, ledger->lock_path, os_errno_text(failed));
    return os_advise(error, "change the rights of its folder, or name another ledger with OS_LEDGER");
  }
  os_fail(error, OS_ERR_LEDGER, "the ledger '%s' cannot be made: %s", ledger->path, os_errno_text(failed));
  return os_ledger_advise_open(failed, error);
}

/* For reading alone where writing is not allowed: enough to ask who holds a lock. */
static bool open_file(struct os_ledger *ledger) {
  if (ledger->lock_fd < 0 && ledger->lock_path != NULL) {
    ledger->lock_fd = open(ledger->lock_path, O_RDWR | O_CLOEXEC);
    if (ledger->lock_fd < 0) ledger->lock_fd = open(ledger->lock_path, O_RDONLY | O_CLOEXEC);
  }
  return ledger->lock_fd >= 0;
}

void os_job_lock_close(struct os_ledger *ledger) {
  if (ledger->lock_fd >= 0) close(ledger->lock_fd);
  ledger->lock_fd = -1;
  ledger->held_count = 0;
}

static struct flock byte_of(int64_t job, short type) {
  return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)job, .l_len = 1};
}

static bool remember(struct os_ledger *ledger, int64_t job) {
  if (ledger->held_count == ledger->held_cap) {
    size_t cap = ledger->held_cap == 0 ? 8 : ledger->held_cap * 2;
    struct os_held_job *grown = os_realloc(ledger->held, cap * sizeof *grown);
    if (grown == NULL) return false;
    ledger->held = grown;
    ledger->held_cap = cap;
  }
  ledger->held[ledger->held_count++] =
      (struct os_held_job){.job = job, .began = os_clock_monotonic(), .tick = -1, .step = 1};
  return true;
}

struct os_held_job *os_job_lock_held(const struct os_ledger *ledger, int64_t job) {
  for (size_t i = 0; i < ledger->held_count; i++)
    if (ledger->held[i].job == job) return &ledger->held[i];
  return NULL;
}

bool os_job_lock_is_ours(const struct os_ledger *ledger, int64_t job) {
  return os_job_lock_held(ledger, job) != NULL;
}

/* A job is remembered as ours also when its byte could not be locked. */
enum os_lock_result os_job_lock_take(struct os_ledger *ledger, int64_t job) {
  if (!remember(ledger, job)) return OS_LOCK_NOMEM;
  if (!open_file(ledger)) return OS_LOCK_NOT_POSSIBLE;
  struct flock byte = byte_of(job, F_WRLCK);
  if (fcntl(ledger->lock_fd, F_OFD_SETLK, &byte) != 0) {
    if (errno != EAGAIN && errno != EACCES)
      return OS_LOCK_NOT_POSSIBLE; /* ENOLCK, EINVAL: the file system has no locks */
    ledger->held_count--;
    return OS_LOCK_HELD_ELSEWHERE;
  }
  /* a byte left by an earlier ledger of the same name must not say "ended" */
  if (pwrite(ledger->lock_fd, &running_byte, 1, (off_t)job) != 1) {
    byte.l_type = F_UNLCK;
    fcntl(ledger->lock_fd, F_OFD_SETLK, &byte);
    return OS_LOCK_NOT_POSSIBLE;
  }
  return OS_LOCK_TAKEN;
}

void os_job_lock_release(struct os_ledger *ledger, int64_t job, bool finished) {
  for (size_t i = 0; i < ledger->held_count; i++)
    if (ledger->held[i].job == job) ledger->held[i] = ledger->held[--ledger->held_count];
  if (ledger->lock_fd < 0) return;
  struct flock byte = byte_of(job, F_UNLCK);
  /* failing (disk full) costs a reader no more than one glance at an old row: the row itself says how it
  ** ended */
  ssize_t written = finished ? pwrite(ledger->lock_fd, &ended_byte, 1, (off_t)job) : 0;
  (void)written;
  fcntl(ledger->lock_fd, F_OFD_SETLK, &byte);
}

enum os_life os_job_lock_probe(struct os_ledger *ledger, int64_t job) {
  if (os_job_lock_is_ours(ledger, job)) return OS_LIFE_RUNNING;
  if (!open_file(ledger))
    return ledger->lock_path == NULL || errno == ENOENT ? OS_LIFE_DEAD : OS_LIFE_UNKNOWN;
  struct flock byte = byte_of(job, F_WRLCK);
  if (fcntl(ledger->lock_fd, F_OFD_GETLK, &byte) != 0) return OS_LIFE_UNKNOWN;
  if (byte.l_type != F_UNLCK) return OS_LIFE_RUNNING;
  char content = running_byte;
  if (pread(ledger->lock_fd, &content, 1, (off_t)job) == 1 && content == ended_byte) return OS_LIFE_ENDED;
  return OS_LIFE_DEAD;
}
