/* retry.c - when to try again and how long to wait: exponential backoff with full jitter, so that many
** clients refused at one moment do not come back at one moment. Pure: no clock, no random source of its
** own.
*/
#include "net/retry.h"

bool os_retry_status(int status) {
  return status == 429 || status == 502 || status == 503 || status == 504;
}

double os_retry_delay(int attempt, double base, double cap, double retry_after, double unit) {
  double ceiling = base;
  /* Doubling stops at the cap, so that a large attempt number can neither overflow nor take long. */
  for (int i = 1; i < attempt && ceiling < cap; i++)
    ceiling *= 2;
  if (ceiling > cap) ceiling = cap;
  double delay = ceiling * unit;
  if (delay < 0) delay = 0;
  /* RFC 9110 section 10.2.3: the server named the earliest moment that makes sense. */
  return delay < retry_after ? retry_after : delay;
}
