/* child.h - what a test does in a child process: as nobody, and with its lines counted although it ends by _exit(). */
#ifndef CHILD_H
#define CHILD_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* setresuid() */
#endif
#include <unistd.h>

/* Of libgcov, when the lines that run are counted (gcc's manual, "Profiling and Test Coverage in Freestanding
** Environments"). */
#ifdef OS_COVERAGE
void __gcov_dump(void);
#endif

/* Real and effective ids, for access(2) looks at the real ones; the saved one stays, to write the counters with. */
static inline void become(uid_t id) {
  if (geteuid() == 0 && (setresgid(id, id, 0) != 0 || setresuid(id, id, 0) != 0)) _exit(99);
}

static inline void become_nobody(void) {
  become(65534);
}

static inline void end_child(int status) {
#ifdef OS_COVERAGE
  if (geteuid() != 0 && (setresuid((uid_t)-1, 0, (uid_t)-1) != 0 || setegid(0) != 0)) _exit(status);
  __gcov_dump();
#endif
  _exit(status);
}
#endif
