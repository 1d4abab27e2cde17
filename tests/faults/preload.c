/* preload.c - what a machine does to a process: names that do not resolve, a clock that is set, a disk
** that is full or that forgets at a power cut what was not synced, threads that cannot be started. Loaded
** with LD_PRELOAD; each fault is asked for by an environment variable and absent without it:
**
**   FAULTS_DNS=NAME:PERCENT:SEED   NAME is 127.0.0.1; so many lookups of it in a hundred fail
**   FAULTS_CLOCK=MS:SECONDS,...    MS after the start the wall clock is SECONDS ahead (or behind) from then on
**   FAULTS_OPLOG=FILE:MATCH        writes, syncs, truncations and removals of files whose path has MATCH are
**                                  noted in FILE, from which powercut.py makes what a disk would still have
**   FAULTS_NOSPACE=BYTES:MATCH     ENOSPC for those files when BYTES were written to them
**   FAULTS_THREADS=N               the N-th pthread_create() and all later ones fail
**
** Test code; it calls libc alone.
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* ---- names ---- */

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out) {
  static atomic_uint drawn;
  const char *text = getenv("FAULTS_DNS");
  char name[64];
  unsigned percent, seed;
  if (!text || !node || sscanf(text, "%63[^:]:%u:%u", name, &percent, &seed) != 3 || strcmp(node, name))
    return REAL(getaddrinfo)(node, service, hints, out);
  unsigned dice = seed + 977 * atomic_fetch_add(&drawn, 1);
  dice = dice * 2654435761u;
  dice ^= dice >> 15;
  if (dice % 100 < percent) return dice & 1024 ? EAI_AGAIN : EAI_NONAME;
  return REAL(getaddrinfo)("127.0.0.1", service, hints, out);
}

/* ---- the wall clock ---- */

static int64_t monotonic_ms(void) {
  struct timespec now;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static time_t jump(void) {
  static const char *text;
  static atomic_int asked;
  static int64_t started;
  time_t ahead = 0;
  if (!atomic_exchange(&asked, 1)) {
    text = getenv("FAULTS_CLOCK");
    started = monotonic_ms();
  }
  for (const char *at = text; at && *at;) {
    char *end;
    long after = strtol(at, &end, 10);
    if (*end != ':') break;
    long seconds = strtol(end + 1, &end, 10);
    if (monotonic_ms() - started >= after) ahead = seconds;
    at = *end == ',' ? end + 1 : NULL;
  }
  return ahead;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int rc = (int)syscall(SYS_clock_gettime, clock, now);
  if (!rc && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += jump();
  return rc;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  int rc = (int)syscall(SYS_gettimeofday, now, zone);
  if (!rc) now->tv_sec += jump(); /* declared nonnull */
  return rc;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}

/* ---- the disk ---- */

enum { OP_WRITE = 1, OP_SYNC, OP_TRUNCATE, OP_UNLINK };
struct head {
  uint32_t op, name_len;
  uint64_t offset, len;
};

/* The text behind the first ':' of a variable must be in the path. */
static int is_meant(const char *variable, const char *path) {
  const char *text = getenv(variable);
  const char *colon = text ? strchr(text, ':') : NULL;
  return colon && strstr(path, colon + 1) && !strstr(path, "-shm");
}

static int path_of(int fd, char *path, size_t room) {
  char link[40];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t len = readlink(link, path, room - 1);
  path[len > 0 ? len : 0] = '\0';
  return len > 0;
}

static void note(uint32_t op, const char *path, const void *data, uint64_t offset, uint64_t len) {
  static atomic_int log_fd = -1;
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  if (!is_meant("FAULTS_OPLOG", path)) return;
  pthread_mutex_lock(&lock);
  if (log_fd < 0) {
    char file[400];
    snprintf(file, sizeof file, "%.*s", (int)strcspn(getenv("FAULTS_OPLOG"), ":"), getenv("FAULTS_OPLOG"));
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }
  pthread_mutex_unlock(&lock);
  struct head head = {op, (uint32_t)strlen(path), offset, len};
  struct iovec parts[3] = {
      {&head, sizeof head}, {(void *)path, head.name_len}, {(void *)data, data ? len : 0}};
  if (syscall(SYS_writev, log_fd, parts, 3) < 0) _exit(99); /* a log with a hole would make a false image */
}

/* What is written is noted first: a process killed in between has a log that is ahead, never one behind. */
static ssize_t full_disk(int fd, const void *data, size_t len, uint64_t offset) {
  static atomic_llong written;
  char path[1000];
  if ((!getenv("FAULTS_OPLOG") && !getenv("FAULTS_NOSPACE")) || !path_of(fd, path, sizeof path)) return 0;
  long long more = (long long)len, room = getenv("FAULTS_NOSPACE") ? atoll(getenv("FAULTS_NOSPACE")) : 0;
  if (is_meant("FAULTS_NOSPACE", path) && atomic_fetch_add(&written, more) + more > room) {
    errno = ENOSPC;
    return -1;
  }
  note(OP_WRITE, path, data, offset, len);
  return 0;
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset) {
  return full_disk(fd, data, len, (uint64_t)offset) ? -1 : syscall(SYS_pwrite64, fd, data, len, offset);
}
ssize_t pwrite(int fd, const void *data, size_t len, off_t offset) {
  return pwrite64(fd, data, len, offset);
}

ssize_t write(int fd, const void *data, size_t len) {
  if (getenv("FAULTS_OPLOG") || getenv("FAULTS_NOSPACE")) {
    off_t at = lseek(fd, 0, SEEK_CUR);
    if (at >= 0 && full_disk(fd, data, len, (uint64_t)at)) return -1;
  }
  ssize_t done = syscall(SYS_write, fd, data, len);
  return done;
}

static void note_fd(uint32_t op, int fd, uint64_t len) {
  char path[1000];
  if (getenv("FAULTS_OPLOG") && path_of(fd, path, sizeof path)) note(op, path, NULL, 0, len);
}

/* A sync is noted when it is through. */
int fsync(int fd) {
  int rc = (int)syscall(SYS_fsync, fd);
  if (!rc) note_fd(OP_SYNC, fd, 0);
  return rc;
}
int fdatasync(int fd) {
  int rc = (int)syscall(SYS_fdatasync, fd);
  if (!rc) note_fd(OP_SYNC, fd, 0);
  return rc;
}
int ftruncate64(int fd, off64_t len) {
  note_fd(OP_TRUNCATE, fd, (uint64_t)len);
  return (int)syscall(SYS_ftruncate, fd, len);
}
int ftruncate(int fd, off_t len) {
  return ftruncate64(fd, len);
}
int unlink(const char *path) {
  note(OP_UNLINK, path, NULL, 0, 0);
  return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

/* ---- threads ---- */

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*start)(void *), void *arg) {
  static atomic_int made;
  const char *text = getenv("FAULTS_THREADS");
  if (text && atomic_fetch_add(&made, 1) + 1 >= atoi(text)) return EAGAIN;
  return REAL(pthread_create)(thread, how, start, arg);
}
