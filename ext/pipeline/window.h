/* window.h - how many requests may be in flight: additive increase, multiplicative decrease. Pure.
**
** A refusal for load (429, 503, also of single items) halves the window, at most once per round of
** requests; each undisturbed round lets it grow by one, up to the maximum. RFC 5681 has the idea.
*/
#ifndef OS_PIPELINE_WINDOW_H
#define OS_PIPELINE_WINDOW_H
#include <stdbool.h>

struct os_window {
  double size, max;
  double calm_until; /* no further cut before this time (monotonic seconds) */
};

void os_window_init(struct os_window *window, int max);
int os_window_size(const struct os_window *window); /* >= 1 */
void os_window_success(struct os_window *window);
/* now: monotonic seconds; round: seconds that a request takes at present. True when it was cut. */
bool os_window_overload(struct os_window *window, double now, double round);
#endif
