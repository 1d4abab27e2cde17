/* progress.c - see progress.h. */
#include "operations/progress.h"
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/buffer.h"
#include "base/clock.h"
#include "base/text.h"

static const double DRAW_EVERY = 0.2, JSON_EVERY = 1.0;
enum { LINE_MAX_BYTES = 2048 /* a JSON object with the longest index name */, USUAL_COLUMNS = 80 };

void os_progress_begin(struct os_progress_meter *meter, enum os_progress_kind kind) {
  memset(meter, 0, sizeof *meter);
  meter->kind = kind;
  meter->started = meter->last_drawn = os_clock_monotonic();
}

static double share_done(const struct os_progress_state *state) {
  if (!state->bytes_total) return -1;
  double share = (double)state->bytes_read / (double)state->bytes_total;
  return share > 1 ? 1 : share;
}

/* Seconds to go at the present rate; -1: not known. */
static double eta(const struct os_progress_meter *meter, const struct os_progress_state *state) {
  if (!state->bytes_total || meter->bytes_rate <= 0 || state->bytes_read > state->bytes_total) return -1;
  return (double)(state->bytes_total - state->bytes_read) / meter->bytes_rate;
}

static void put_duration(struct os_buf *out, double seconds) {
  unsigned long whole = (unsigned long)(seconds + 0.5);
  if (whole >= 3600)
    os_buf_printf(out, "%lu:%02lu:%02lu", whole / 3600, whole / 60 % 60, whole % 60);
  else
    os_buf_printf(out, "%lu:%02lu", whole / 60, whole % 60);
}

static void put_count(struct os_buf *out, uint64_t value) {
  char text[32];
  os_format_count(value, text, sizeof text);
  os_buf_puts(out, text);
}

static void copy_cut(const struct os_buf *from, char *out, size_t out_size, size_t limit) {
  size_t len = from->len < out_size - 1 ? from->len : out_size - 1;
  if (limit && len > limit) len = limit;
  memcpy(out, from->data ? from->data : "", len);
  out[len] = 0;
}

void os_progress_text(const struct os_progress_meter *meter, const struct os_progress_state *state,
                      double now, char *out, size_t out_size, int columns) {
  struct os_buf line;
  os_buf_init(&line, 0);
  double share = share_done(state), left = eta(meter, state);
  if (state->files)
    os_buf_printf(&line, "files %lld/%lld  ", (long long)state->files_done, (long long)state->files);
  put_count(&line, state->documents);
  os_buf_puts(&line, " docs  ");
  put_count(&line, (uint64_t)meter->documents_rate);
  os_buf_puts(&line, " docs/s  ");
  os_buf_put_double(&line, meter->bytes_rate / 1e6, 1);
  os_buf_puts(&line, " MB/s");
  if (share >= 0) os_buf_printf(&line, "  %d %%", (int)(share * 100));
  os_buf_puts(&line, left >= 0 ? "  ETA " : "  ");
  put_duration(&line, left >= 0 ? left : now - meter->started);
  if (state->refused) os_buf_printf(&line, "  %llu refused", (unsigned long long)state->refused);
  if (state->retries) os_buf_printf(&line, "  %llu retries", (unsigned long long)state->retries);
  if (state->paused) os_buf_puts(&line, "  paused");
  copy_cut(&line, out, out_size, columns > 0 ? (size_t)columns : 0);
  os_buf_free(&line);
}

void os_progress_json(const struct os_progress_meter *meter, const struct os_progress_state *state,
                      double now, char *out, size_t out_size) {
  struct os_buf line;
  os_buf_init(&line, 0);
  double share = share_done(state), left = eta(meter, state);
  os_buf_printf(&line, "{\"job\":%lld,\"index\":", (long long)state->job);
  os_buf_put_json(&line, state->index ? state->index : "", state->index ? strlen(state->index) : 0);
  os_buf_puts(&line, ",\"elapsed\":");
  os_buf_put_double(&line, now - meter->started, 3);
  os_buf_printf(&line, ",\"files\":%lld,\"files_done\":%lld,\"documents\":%llu,\"bytes_read\":%llu",
                (long long)state->files, (long long)state->files_done, (unsigned long long)state->documents,
                (unsigned long long)state->bytes_read);
  if (state->bytes_total)
    os_buf_printf(&line, ",\"bytes_total\":%llu", (unsigned long long)state->bytes_total);
  os_buf_puts(&line, ",\"documents_per_second\":");
  os_buf_put_double(&line, meter->documents_rate, 1);
  os_buf_puts(&line, ",\"bytes_per_second\":");
  os_buf_put_double(&line, meter->bytes_rate, 1);
  if (share >= 0) {
    os_buf_puts(&line, ",\"done\":");
    os_buf_put_double(&line, share, 4);
  }
  if (left >= 0) {
    os_buf_puts(&line, ",\"eta\":");
    os_buf_put_double(&line, left, 1);
  }
  os_buf_printf(&line, ",\"refused\":%llu,\"retries\":%llu,\"in_flight\":%d,\"window\":%d,\"paused\":%s}",
                (unsigned long long)state->refused, (unsigned long long)state->retries, state->in_flight,
                state->window, state->paused ? "true" : "false");
  copy_cut(&line, out, out_size, 0);
  os_buf_free(&line);
}

static void write_stderr(const char *text, size_t len) {
  while (len) {
    ssize_t n = write(STDERR_FILENO, text, len);
    if (n <= 0) return; /* progress that cannot be shown is not worth an error */
    text += n;
    len -= (size_t)n;
  }
}

static int terminal_columns(void) {
  struct winsize size;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return USUAL_COLUMNS;
  return size.ws_col - 1;
}

static void draw(struct os_progress_meter *meter, const struct os_progress_state *state, double now) {
  char line[LINE_MAX_BYTES], text[LINE_MAX_BYTES + 16];
  int len;
  if (meter->kind == OS_PROGRESS_JSON_LINES) {
    os_progress_json(meter, state, now, line, sizeof line);
    len = snprintf(text, sizeof text, "%s\n", line);
  } else {
    os_progress_text(meter, state, now, line, sizeof line, terminal_columns());
    len = snprintf(text, sizeof text, "\r\033[K%s", line); /* erase the line, ECMA-48 EL */
    meter->drawn = true;
  }
  write_stderr(text, (size_t)len);
}

/* Rates over the whole time so far: batches settle by the ten thousand, and a shorter average would jump. */
static void measure(struct os_progress_meter *meter, const struct os_progress_state *state, double now) {
  double seconds = now - meter->started;
  meter->last_drawn = now;
  if (seconds <= 0) return;
  meter->documents_rate = (double)state->documents / seconds;
  meter->bytes_rate = (double)state->bytes_read / seconds;
}

void os_progress_update(struct os_progress_meter *meter, const struct os_progress_state *state) {
  if (meter->kind == OS_PROGRESS_SILENT) return;
  double now = os_clock_monotonic();
  if (now - meter->last_drawn < (meter->kind == OS_PROGRESS_LINE ? DRAW_EVERY : JSON_EVERY)) return;
  measure(meter, state, now);
  draw(meter, state, now);
}

void os_progress_end(struct os_progress_meter *meter, const struct os_progress_state *state) {
  if (meter->kind == OS_PROGRESS_SILENT) return;
  double now = os_clock_monotonic();
  measure(meter, state, now);
  draw(meter, state, now);
  if (meter->drawn) write_stderr("\n", 1);
}
