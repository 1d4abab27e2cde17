/* nomem.c - an allocator that fails when it is told to: loaded with LD_PRELOAD, it stands before the one of
** libc for the whole process, so that SQLite, libcurl, jansson, OpenSSL and libc itself are met, too.
**
**   faults_arm(n, forever)   the n-th allocation from now on fails, and with `forever` all after it
**   faults_disarm()          no more; gives how many were asked for meanwhile
**   faults_live()            allocations that were not freed yet
**
** Test code for glibc, whose own allocator it calls by its second names.
*/
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);
void faults_arm(long n, int forever);
long faults_disarm(void);
long faults_live(void);

static atomic_long asked, fails_at, live;
static atomic_int fails_on;

void faults_arm(long n, int forever) {
  atomic_store(&asked, 0);
  atomic_store(&fails_on, forever);
  atomic_store(&fails_at, n);
}

long faults_disarm(void) {
  atomic_store(&fails_at, 0);
  return atomic_load(&asked);
}

long faults_live(void) {
  return atomic_load(&live);
}

static int refused(void) {
  long at = atomic_load(&fails_at);
  if (!at) return 0;
  long n = atomic_fetch_add(&asked, 1) + 1;
  if (n != at && !(n > at && atomic_load(&fails_on))) return 0;
  errno = ENOMEM;
  return 1;
}

static void *counted(void *memory) {
  if (memory) atomic_fetch_add(&live, 1);
  return memory;
}

void *malloc(size_t size) {
  return refused() ? NULL : counted(__libc_malloc(size));
}
void *calloc(size_t count, size_t size) {
  return refused() ? NULL : counted(__libc_calloc(count, size));
}
void *memalign(size_t alignment, size_t size) {
  return refused() ? NULL : counted(__libc_memalign(alignment, size));
}
void *aligned_alloc(size_t alignment, size_t size) {
  return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
  *out = memalign(alignment, size);
  return *out ? 0 : ENOMEM;
}

void free(void *memory) {
  if (memory) atomic_fetch_sub(&live, 1);
  __libc_free(memory);
}

void *realloc(void *old, size_t size) {
  if (!old) return malloc(size);
  if (!size) {
    free(old);
    return NULL;
  }
  return refused() ? NULL : __libc_realloc(old, size);
}
