/* log.c - the log of one connection: level, notation, destination, and the writing of a line.
**
** Calls alloc, buffer, clock, error, text. Owns its file descriptor; standard error is borrowed. The
** lock guards everything but the level, which is atomic so that a line nobody wants costs one load.
*/
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/text.h"

enum { LEVEL_CRITICAL = OS_LOG_ERROR + 1, LEVEL_OFF, LONGEST_LINE = 1 << 20, CORRELATION_ID = 128 };

static const char log_name[] = "sqlite-opensearch"; /* what %(name)s says */

struct os_log {
  atomic_int references;
  atomic_int level; /* least level written */
  atomic_bool over_line;
  pthread_mutex_t lock;
  char *format; /* "text", "json" or a template */
  char *path;   /* NULL: standard error */
  int fd;       /* -1: path not opened yet */
  int64_t job;
  char correlation_id[CORRELATION_ID];
};

struct log_line { /* what a line can tell */
  const char *time, *level, *message, *correlation_id;
  int64_t job;
};

struct os_log *os_log_new(void) {
  struct os_log *log = os_calloc(1, sizeof *log);
  if (!log) return NULL;
  log->format = os_strdup("text");
  if (!log->format || pthread_mutex_init(&log->lock, NULL)) {
    os_free(log->format);
    os_free(log);
    return NULL;
  }
  atomic_init(&log->references, 1);
  atomic_init(&log->level, OS_LOG_INFO);
  atomic_init(&log->over_line, false);
  log->fd = -1;
  return log;
}

struct os_log *os_log_ref(struct os_log *log) {
  if (log) atomic_fetch_add(&log->references, 1);
  return log;
}

void os_log_unref(struct os_log *log) {
  if (!log || atomic_fetch_sub(&log->references, 1) > 1) return;
  if (log->fd >= 0) close(log->fd);
  pthread_mutex_destroy(&log->lock);
  os_free(log->format);
  os_free(log->path);
  os_free(log);
}

bool os_log_level_parse(const char *name, int *level) {
  static const struct {
    const char *name;
    int level;
  } names[] = {
      {"DEBUG", OS_LOG_DEBUG},  {"INFO", OS_LOG_INFO},   {"WARNING", OS_LOG_WARNING},
      {"WARN", OS_LOG_WARNING}, {"ERROR", OS_LOG_ERROR}, {"CRITICAL", LEVEL_CRITICAL},
      {"OFF", LEVEL_OFF},
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (os_strcasecmp(names[i].name, name) == 0) {
      *level = names[i].level;
      return true;
    }
  return false;
}

/* One %(field)s of a template; the notation is that of Python's logging. */
struct template_field {
  const char *name;
  size_t len;
  int width; /* negative: pad on the right */
};

/* Read the field at p ("%(name)-8s"). Returns what follows it, or NULL when it is not well formed. */
static const char *read_field(const char *p, struct template_field *field) {
  const char *close = strchr(p, ')');
  if (p[1] != '(' || !close) return NULL;
  *field = (struct template_field){.name = p + 2, .len = (size_t)(close - p - 2)};
  p = close + 1;
  bool left = *p == '-';
  p += left;
  for (; os_is_digit(*p) && field->width < 100; p++)
    field->width = field->width * 10 + (*p - '0');
  if (left) field->width = -field->width;
  return *p == 's' || *p == 'd' ? p + 1 : NULL;
}

/* The field's text; NULL when no field has that name. */
static const char *field_text(const struct template_field *field, const struct log_line *line,
                              char number[24]) {
  snprintf(number, 24, "%lld", (long long)line->job);
  const struct {
    const char *name, *text;
  } fields[] = {
      {"asctime", line->time},          {"name", log_name},
      {"levelname", line->level},       {"message", line->message},
      {"job", line->job ? number : ""}, {"correlation_id", line->correlation_id},
  };
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
    if (strlen(fields[i].name) == field->len && memcmp(fields[i].name, field->name, field->len) == 0)
      return fields[i].text;
  return NULL;
}

int os_log_format_check(const char *format, struct os_error *error) {
  static const char advice[] =
      "LOG_FORMAT is text, json, or a template with %(message)s and any of %(asctime)s "
      "%(name)s %(levelname)s %(job)s %(correlation_id)s";
  static const struct log_line sample = {"", "", "", "", 0};
  struct template_field field;
  char number[24];
  bool has_message = strcmp(format, "text") == 0 || strcmp(format, "json") == 0;
  for (const char *p = strchr(format, '%'); p; p = strchr(p, '%')) {
    if (p[1] == '%') {
      p += 2;
      continue;
    }
    const char *next = read_field(p, &field);
    if (!next || !field_text(&field, &sample, number)) {
      os_fail(error, OS_ERR_ARGUMENT, "LOG_FORMAT has an unknown field at '%.32s'", p);
      return os_advise(error, "%s", advice);
    }
    has_message = has_message || (field.len == 7 && memcmp(field.name, "message", 7) == 0);
    p = next;
  }
  if (has_message) return OS_OK;
  os_fail(error, OS_ERR_ARGUMENT, "LOG_FORMAT '%.64s' would not show the message", format);
  return os_advise(error, "%s", advice);
}

static int fail_open(struct os_error *error, const char *path, int number) {
  os_fail(error, OS_ERR_IO, "cannot write the log file '%s': %s", path, os_errno_text(number));
  return os_advise(error, "set LOG_FILE to a file that can be written, or to nothing for standard error");
}

static int open_log(const char *path, int create) {
  return open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | create, 0600);
}

/* The folder that a file to be made would be in must be there and let us write. */
static int check_folder(const char *path, struct os_error *error) {
  const char *slash = strrchr(path, '/');
  char *folder = slash ? os_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : os_strdup(".");
  if (!folder) return os_fail_nomem(error);
  bool named = !slash || slash[1];
  int number = !named ? EISDIR : access(folder, W_OK | X_OK) ? errno : 0;
  os_free(folder);
  return number ? fail_open(error, path, number) : OS_OK;
}

/* A file that exists is opened at once, so that a fault shows now; a new one is made by its first line. */
static int prepare_file(const char *path, int *fd, struct os_error *error) {
  *fd = open_log(path, 0);
  if (*fd >= 0) return OS_OK;
  return errno == ENOENT ? check_folder(path, error) : fail_open(error, path, errno);
}

int os_log_configure(struct os_log *log, const char *level, const char *format, const char *file,
                     struct os_error *error) {
  int least = OS_LOG_INFO, fd = -1, code;
  if (level && !os_log_level_parse(level, &least)) {
    os_fail(error, OS_ERR_ARGUMENT, "LOG_LEVEL '%.64s' is not a level", level);
    return os_advise(error, "use DEBUG, INFO, WARNING, ERROR, CRITICAL or OFF");
  }
  if (!format || !*format) format = "text";
  if ((code = os_log_format_check(format, error))) return code;
  bool has_file = file && *file;
  if (has_file && (code = prepare_file(file, &fd, error))) return code;
  char *new_format = os_strdup(format), *new_path = has_file ? os_strdup(file) : NULL;
  if (!new_format || (has_file && !new_path)) {
    os_free(new_format);
    os_free(new_path);
    if (fd >= 0) close(fd);
    return os_fail_nomem(error);
  }
  pthread_mutex_lock(&log->lock);
  char *old_format = log->format, *old_path = log->path;
  int old_fd = log->fd;
  log->format = new_format;
  log->path = new_path;
  log->fd = fd;
  atomic_store(&log->level, least);
  pthread_mutex_unlock(&log->lock);
  if (old_fd >= 0) close(old_fd);
  os_free(old_format);
  os_free(old_path);
  return OS_OK;
}

void os_log_set_job(struct os_log *log, int64_t job, const char *correlation_id) {
  if (!log) return;
  pthread_mutex_lock(&log->lock);
  log->job = job;
  snprintf(log->correlation_id, sizeof log->correlation_id, "%s", correlation_id ? correlation_id : "");
  os_text_clean(log->correlation_id);
  pthread_mutex_unlock(&log->lock);
}

void os_log_over_line(struct os_log *log, bool stands) {
  if (log) atomic_store(&log->over_line, stands);
}

bool os_log_wants(struct os_log *log, enum os_log_level level) {
  return log && (int)level >= atomic_load(&log->level);
}

static void put_text(struct os_buf *out, const struct log_line *line) {
  os_buf_printf(out, "%s %s ", line->time, line->level);
  if (line->job) os_buf_printf(out, "job=%lld ", (long long)line->job);
  if (*line->correlation_id) os_buf_printf(out, "correlation_id=%s ", line->correlation_id);
  os_buf_puts(out, line->message);
}

static void put_json(struct os_buf *out, const struct log_line *line) {
  os_buf_printf(out, "{\"time\":\"%s\",\"level\":\"%s\",\"job\":", line->time, line->level);
  if (line->job)
    os_buf_printf(out, "%lld", (long long)line->job);
  else
    os_buf_puts(out, "null");
  os_buf_puts(out, ",\"correlation_id\":");
  if (*line->correlation_id)
    os_buf_put_json(out, line->correlation_id, strlen(line->correlation_id));
  else
    os_buf_puts(out, "null");
  os_buf_puts(out, ",\"message\":");
  os_buf_put_json(out, line->message, strlen(line->message));
  os_buf_putc(out, '}');
}

static bool template_has(const char *format, const char *name) {
  struct template_field field;
  for (const char *p = strchr(format, '%'); p && *p; p = strchr(p, '%')) {
    const char *next = p[1] == '%' ? p + 2 : read_field(p, &field);
    if (!next) return false;
    if (p[1] != '%' && strlen(name) == field.len && !memcmp(name, field.name, field.len)) return true;
    p = next;
  }
  return false;
}

/* Every line says which job it is about, also under a template that has no field for that (such as the one
** that Python's logging made common): then it stands before the message, as in the text form. */
static void put_job_unless_shown(struct os_buf *out, const char *format, const struct log_line *line) {
  if (line->job && !template_has(format, "job")) os_buf_printf(out, "job=%lld ", (long long)line->job);
  if (*line->correlation_id && !template_has(format, "correlation_id"))
    os_buf_printf(out, "correlation_id=%s ", line->correlation_id);
}

static void put_template(struct os_buf *out, const char *const whole, const struct log_line *line) {
  struct template_field field;
  const char *format = whole;
  char number[24];
  while (*format) {
    size_t plain = strcspn(format, "%");
    os_buf_append(out, format, plain);
    format += plain;
    if (!*format) break;
    if (format[1] == '%') {
      os_buf_putc(out, '%');
      format += 2;
      continue;
    }
    format = read_field(format, &field);
    if (!format) return; /* cannot be: os_log_format_check() let it in */
    if (field.len == 7 && !memcmp(field.name, "message", 7)) put_job_unless_shown(out, whole, line);
    os_buf_printf(out, "%*s", field.width, field_text(&field, line, number));
  }
}

/* With the lock held: where to write. A file that cannot be made after all leaves standard error. */
static int destination(struct os_log *log) {
  if (log->path && log->fd < 0) log->fd = open_log(log->path, O_CREAT);
  return log->fd >= 0 ? log->fd : STDERR_FILENO;
}

bool os_log_is_terminal(struct os_log *log) {
  if (!log) return false;
  pthread_mutex_lock(&log->lock);
  bool terminal = !log->path && isatty(STDERR_FILENO);
  pthread_mutex_unlock(&log->lock);
  return terminal;
}

static const char erase[] = "\r\033[K"; /* to the line's begin, and erase it (ECMA-48 EL) */

static void write_line(struct os_log *log, const struct log_line *line) {
  struct os_buf out;
  os_buf_init(&out, LONGEST_LINE);
  int fd = destination(log);
  if (fd == STDERR_FILENO && atomic_load(&log->over_line)) os_buf_puts(&out, erase);
  size_t begin = out.len;
  if (strcmp(log->format, "text") == 0)
    put_text(&out, line);
  else if (strcmp(log->format, "json") == 0)
    put_json(&out, line);
  else
    put_template(&out, log->format, line);
  if (!out.failed && out.len) os_text_clean(out.data + begin);
  os_buf_putc(&out, '\n');
  /* one write, so that lines of several processes do not mix; a log that cannot be written stops nothing */
  while (!out.failed && write(fd, out.data, out.len) < 0 && errno == EINTR) {
  }
  os_buf_free(&out);
}

void os_log_write(struct os_log *log, enum os_log_level level, const char *format, ...) {
  static const char *const names[] = {"DEBUG", "INFO", "WARNING", "ERROR"};
  if (!os_log_wants(log, level)) return;
  int saved = errno;
  char time[OS_TIME_TEXT], small[512];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(small, sizeof small, format, args);
  va_end(args);
  char *large = len >= (int)sizeof small ? os_malloc((size_t)len + 1) : NULL;
  if (large) {
    va_start(args, format);
    vsnprintf(large, (size_t)len + 1, format, args);
    va_end(args);
  }
  os_clock_now(time);
  pthread_mutex_lock(&log->lock);
  struct log_line line = {time, names[level], large ? large : small, log->correlation_id, log->job};
  write_line(log, &line);
  pthread_mutex_unlock(&log->lock);
  os_free(large);
  errno = saved;
}
