/* window.c - see window.h. */
#include "pipeline/window.h"

void os_window_init(struct os_window *window, int max) {
  window->max = max < 1 ? 1 : max;
  window->size = window->max;
  window->calm_until = 0;
}

int os_window_size(const struct os_window *window) {
  return window->size < 1 ? 1 : (int)window->size;
}

void os_window_success(struct os_window *window) {
  window->size += 1.0 / window->size;
  if (window->size > window->max) window->size = window->max;
}

bool os_window_overload(struct os_window *window, double now, double round) {
  if (now < window->calm_until) return false;
  window->size /= 2;
  if (window->size < 1) window->size = 1;
  window->calm_until = now + (round > 0.05 ? round : 0.05);
  return true;
}
