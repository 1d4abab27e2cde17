/* clock.h - time. Seconds as double; civil times as ISO-8601 UTC text with milliseconds. */
#ifndef OS_BASE_CLOCK_H
#define OS_BASE_CLOCK_H
#include <stdbool.h>
#include <stddef.h>

enum { OS_TIME_TEXT = 32 };

double os_clock_monotonic(void); /* never goes backwards; for durations and time-outs */
double os_clock_unix(void);      /* seconds since 1970 */
void os_clock_iso(double unix_seconds, char out[OS_TIME_TEXT]); /* 2026-11-20T23:59:59.123Z */
void os_clock_now(char out[OS_TIME_TEXT]);
bool os_clock_parse_iso(const char *text, double *unix_seconds); /* date, or date and time, UTC */
void os_clock_sleep_ms(unsigned milliseconds);
/* a random number in [0, 1), per thread, for jitter (not for secrets) */
double os_random_unit(void);
#endif
