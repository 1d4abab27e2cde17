/* alloc.h - the one seam through which this extension allocates memory.
**
** Every room calls these and never malloc() itself, so that a test can make the n-th allocation fail
** (build with -DOS_TEST_ALLOC). All functions are safe from any thread. A NULL result means "no memory"
** and is passed up as OS_ERR_NOMEM; nothing here ends the process.
*/
#ifndef OS_BASE_ALLOC_H
#define OS_BASE_ALLOC_H
#include <stddef.h>

void *os_malloc(size_t size);
void *os_calloc(size_t count, size_t size);     /* zeroed; NULL also when count*size overflows */
void *os_realloc(void *old, size_t size);       /* on failure `old` is untouched and still the caller's */
void os_free(void *memory);                     /* NULL is harmless */
char *os_strdup(const char *text);              /* NULL in, NULL out */
char *os_strndup(const char *text, size_t len); /* copies exactly len bytes and adds a NUL */
char *os_mprintf(const char *format, ...) __attribute__((format(printf, 1, 2))); /* no %f: locale */

#ifdef OS_TEST_ALLOC
/* Let `n` further allocations succeed and then fail one (once=1) or all that follow. n < 0: never fail.
** os_alloc_count() tells how many were made since. Process-wide. */
void os_alloc_fail_after(long n, int once);
long os_alloc_count(void);
#endif
#endif
