/* alloc.c - the allocation seam: thin covers over the C library, and the fault that a test can inject.
**
** Calls nothing of this extension and owns only the two counters of a test build.
*/
#include "base/alloc.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef OS_TEST_ALLOC
#include <pthread.h>

static pthread_mutex_t seam_lock = PTHREAD_MUTEX_INITIALIZER;
static long seam_left = -1;
static bool seam_once;
static long seam_made;

void os_alloc_fail_after(long n, int once) {
  pthread_mutex_lock(&seam_lock);
  seam_left = n;
  seam_once = once != 0;
  seam_made = 0;
  pthread_mutex_unlock(&seam_lock);
}

long os_alloc_count(void) {
  pthread_mutex_lock(&seam_lock);
  long made = seam_made;
  pthread_mutex_unlock(&seam_lock);
  return made;
}

static bool seam_refuses(void) {
  bool refuse = false;
  pthread_mutex_lock(&seam_lock);
  seam_made++;
  if (seam_left == 0) {
    refuse = true;
    if (seam_once) seam_left = -1;
  } else if (seam_left > 0) {
    seam_left--;
  }
  pthread_mutex_unlock(&seam_lock);
  return refuse;
}
#else
static inline bool seam_refuses(void) {
  return false;
}
#endif

/* A size of 0 is asked for as 1, so that NULL always means "no memory". */
static size_t at_least_one(size_t size) {
  return size ? size : 1;
}

void *os_malloc(size_t size) {
  return seam_refuses() ? NULL : malloc(at_least_one(size));
}

void *os_calloc(size_t count, size_t size) {
  if (size && count > SIZE_MAX / size) return NULL;
  return seam_refuses() ? NULL : calloc(at_least_one(count), at_least_one(size));
}

void *os_realloc(void *old, size_t size) {
  return seam_refuses() ? NULL : realloc(old, at_least_one(size));
}

void os_free(void *memory) {
  free(memory);
}

char *os_strdup(const char *text) {
  return text ? os_strndup(text, strlen(text)) : NULL;
}

char *os_strndup(const char *text, size_t len) {
  char *copy = len < SIZE_MAX ? os_malloc(len + 1) : NULL;
  if (!copy) return NULL;
  if (len) memcpy(copy, text, len);
  copy[len] = '\0';
  return copy;
}

char *os_mprintf(const char *format, ...) {
  va_list args;
  va_start(args, format);
  int len = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (len < 0) return NULL;
  char *text = os_malloc((size_t)len + 1);
  if (!text) return NULL;
  va_start(args, format);
  vsnprintf(text, (size_t)len + 1, format, args);
  va_end(args);
  return text;
}
