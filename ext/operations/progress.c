/* progress.c - see progress.h.
**
** The line is made of fields. Each has a rank, and as many are shown as the terminal has columns for, by
** rank: no field is ever cut, and on a narrow terminal the refused records are still there when the
** megabytes are gone.
*/
#include "operations/progress.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/buffer.h"
#include "base/clock.h"
#include "base/text.h"

static const double DRAW_EVERY = 0.2, JSON_EVERY = 1.0, PLAIN_EVERY = 5.0;
enum {
  LINE_MAX_BYTES = 2048 /* a JSON object with the longest index name */,
  USUAL_COLUMNS = 80,
  BAR = 30,
  FIELD = 64 /* bytes of one field */
};

/* One line can be drawn over another on a terminal that understands a little of ECMA-48. */
static bool can_redraw(void) {
  const char *term = getenv("TERM");
  return isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
}

void os_progress_begin(struct os_progress_meter *meter, enum os_progress_kind kind, struct os_log *log) {
  memset(meter, 0, sizeof *meter);
  meter->kind = kind;
  meter->log = log;
  meter->plain = kind == OS_PROGRESS_LINE && !can_redraw();
  meter->started = meter->last_drawn = os_clock_monotonic();
}

static double share_done(const struct os_progress_state *state) {
  double share;
  if (state->bytes_total)
    share = (double)state->bytes_read / (double)state->bytes_total;
  else if (state->documents_total)
    share = (double)state->documents / (double)state->documents_total;
  else
    return -1;
  return share > 1 ? 1 : share;
}

/* Seconds to go at the present rate; -1: not known. */
static double eta(const struct os_progress_meter *meter, const struct os_progress_state *state) {
  if (!state->bytes_total && state->documents_total && state->documents <= state->documents_total &&
      meter->documents_rate > 0)
    return (double)(state->documents_total - state->documents) / meter->documents_rate;
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

/* ---- the line ---- */

enum field {
  FILES,
  DOCUMENTS,
  RATE,
  SPEED,
  BYTES,
  BAR_FIELD,
  SHARE,
  ELAPSED,
  ETA,
  REFUSED,
  RETRIES,
  PAUSED,
  FIELDS
};

/* The most important first. */
static const enum field by_rank[FIELDS] = {DOCUMENTS, SHARE,   RATE,    REFUSED, PAUSED, ETA,
                                           FILES,     ELAPSED, RETRIES, SPEED,   BYTES,  BAR_FIELD};

static void put_bar(struct os_buf *out, double share) {
  os_buf_putc(out, '[');
  for (int i = 0; i < BAR; i++)
    os_buf_putc(out, share * BAR >= i + 1 ? '#' : '.');
  os_buf_putc(out, ']');
}

static void put_named(struct os_buf *out, uint64_t count, const char *one, const char *many) {
  put_count(out, count);
  os_buf_puts(out, count == 1 ? one : many);
}

static void put_megabytes(struct os_buf *out, double bytes, const char *after) {
  os_buf_put_double(out, bytes / 1e6, 1);
  os_buf_puts(out, after);
}

/* What there is to say about the progress towards a known end. */
static void put_course(struct os_buf *out, enum field field, const struct os_progress_meter *meter,
                       const struct os_progress_state *state, double seconds) {
  double share = share_done(state), left = eta(meter, state);
  switch (field) {
  case SHARE:
    if (share >= 0 && !(meter->ended && share == 1)) os_buf_printf(out, "%d %%", (int)(share * 100));
    break;
  case BAR_FIELD:
    if (share >= 0 && !meter->ended) put_bar(out, share);
    break;
  case BYTES:
    if (state->bytes_total && !meter->ended) {
      put_megabytes(out, (double)state->bytes_read, " of ");
      put_megabytes(out, (double)state->bytes_total, " MB");
    }
    break;
  case ETA:
    if (left >= 0 && !meter->ended) {
      os_buf_puts(out, "ETA ");
      put_duration(out, left);
    }
    break;
  default: /* ELAPSED */
    put_duration(out, seconds);
    os_buf_puts(out, meter->ended ? " in all" : " so far");
    break;
  }
}

/* Nothing, when there is nothing to say. */
static void put_field(struct os_buf *out, enum field field, const struct os_progress_meter *meter,
                      const struct os_progress_state *state, double seconds) {
  switch (field) {
  case FILES:
    if (state->files) {
      os_buf_puts(out, "files ");
      put_count(out, (uint64_t)state->files_done);
      os_buf_putc(out, '/');
      put_count(out, (uint64_t)state->files);
    }
    break;
  case DOCUMENTS: put_named(out, state->documents, " doc", " docs"); break;
  case RATE:
    put_count(out, (uint64_t)meter->documents_rate);
    os_buf_puts(out, " docs/s");
    break;
  case SPEED:
    if (state->bytes_read) put_megabytes(out, meter->bytes_rate, " MB/s");
    break;
  case REFUSED:
    if (state->refused) put_named(out, state->refused, " refused", " refused");
    break;
  case RETRIES:
    if (state->retries) put_named(out, state->retries, " retry", " retries");
    break;
  case PAUSED:
    if (state->paused && !meter->ended) os_buf_puts(out, "paused");
    break;
  default: put_course(out, field, meter, state, seconds); break;
  }
}

void os_progress_text(const struct os_progress_meter *meter, const struct os_progress_state *state,
                      double now, char *out, size_t out_size, int columns) {
  char fields[FIELDS][FIELD] = {{0}};
  bool shown[FIELDS] = {false};
  size_t width = 0, room = out_size - 1, at = 0;
  if (columns > 0 && (size_t)columns < room) room = (size_t)columns;
  for (int i = 0; i < FIELDS; i++) {
    enum field field = by_rank[i];
    struct os_buf text;
    os_buf_init(&text, FIELD - 1);
    put_field(&text, field, meter, state, now - meter->started);
    size_t more = text.len + (width ? 2 : 0);
    bool wanted = text.len && !text.failed && width + more <= room;
    /* a bar is for a terminal that has plenty of room */
    if (wanted && (field != BAR_FIELD || columns > 0)) {
      memcpy(fields[field], text.data, text.len);
      shown[field] = true;
      width += more;
    }
    os_buf_free(&text);
  }
  for (int field = 0; field < FIELDS; field++)
    if (shown[field]) at += (size_t)snprintf(out + at, out_size - at, "%s%s", at ? "  " : "", fields[field]);
  out[at] = 0;
}

/* ---- the object ---- */

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
  snprintf(out, out_size, "%s", line.data);
  os_buf_free(&line);
}

/* ---- drawing ---- */

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
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) return USUAL_COLUMNS;
  return size.ws_col - 1;
}

static void draw(struct os_progress_meter *meter, const struct os_progress_state *state, double now) {
  char line[LINE_MAX_BYTES], text[LINE_MAX_BYTES + 16];
  int len;
  if (meter->kind == OS_PROGRESS_JSON_LINES) {
    os_progress_json(meter, state, now, line, sizeof line);
    len = snprintf(text, sizeof text, "%s\n", line);
  } else if (meter->plain) {
    os_progress_text(meter, state, now, line, sizeof line, 0);
    len = snprintf(text, sizeof text, "%s\n", line);
  } else {
    os_progress_text(meter, state, now, line, sizeof line, terminal_columns());
    len = snprintf(text, sizeof text, "\r\033[K%s", line); /* erase the line, ECMA-48 EL */
    meter->drawn = true;
    os_log_over_line(meter->log, true);
  }
  write_stderr(text, (size_t)len);
}

/* Rates over the whole time so far: batches settle by the ten thousand, and a shorter average would jump.
*/
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
  double every = meter->kind == OS_PROGRESS_JSON_LINES ? JSON_EVERY : meter->plain ? PLAIN_EVERY : DRAW_EVERY;
  if (now - meter->last_drawn < every) return;
  measure(meter, state, now);
  draw(meter, state, now);
}

void os_progress_end(struct os_progress_meter *meter, const struct os_progress_state *state) {
  if (meter->kind == OS_PROGRESS_SILENT) return;
  double now = os_clock_monotonic();
  meter->ended = true;
  measure(meter, state, now);
  draw(meter, state, now);
  if (meter->drawn) write_stderr("\n", 1);
  os_log_over_line(meter->log, false);
}
