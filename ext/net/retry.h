/* retry.h - when to try again and how long to wait. Pure. */
#ifndef OS_NET_RETRY_H
#define OS_NET_RETRY_H
#include <stdbool.h>

/* Is an HTTP status (whole request or bulk item) worth another try? 429, 502, 503, 504. */
bool os_retry_status(int status);
/* Seconds before attempt number `attempt` (1 = first repetition): full jitter over
** min(cap, base * 2^(attempt-1)), never less than the server's Retry-After (retry_after < 0: none said).
** `unit` in [0,1) is the random draw. */
double os_retry_delay(int attempt, double base, double cap, double retry_after, double unit);
#endif
