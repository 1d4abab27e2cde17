/* log.h - one log per connection: to stderr or LOG_FILE, as text, JSON or a template, each line with
** the job number and the correlation id. Safe from any thread; a line is one write(). Nothing secret is
** passed in. */
#ifndef OS_BASE_LOG_H
#define OS_BASE_LOG_H
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

enum os_log_level { OS_LOG_DEBUG, OS_LOG_INFO, OS_LOG_WARNING, OS_LOG_ERROR };

struct os_log; /* opaque, reference-counted: a reaped thread may outlive its connection */

struct os_log *os_log_new(void); /* NULL: no memory */
struct os_log *os_log_ref(struct os_log *log);
void os_log_unref(struct os_log *log);
/* level: a name (DEBUG INFO WARNING ERROR CRITICAL OFF), format: "text", "json" or a template with
** %(asctime)s %(name)s %(levelname)s %(message)s %(job)s %(correlation_id)s; file: NULL or "" is
** stderr. A file is made by its first line; one that cannot be opened is refused here, and nothing
** changes. A field may have a width as in Python (%(levelname)-8s). A line is made one line: control
** characters become blanks. */
int os_log_configure(struct os_log *log, const char *level, const char *format, const char *file,
                     struct os_error *error);
/* The checks of os_log_configure() alone, for whoever takes a setting: a name of a level, a format. */
bool os_log_level_parse(const char *name, int *level);
int os_log_format_check(const char *format, struct os_error *error);
void os_log_set_job(struct os_log *log, int64_t job, const char *correlation_id); /* 0, NULL: none */
/* Do the lines go to a terminal, where somebody sees results and errors of statements anyway? */
bool os_log_is_terminal(struct os_log *log);
/* A line that is being redrawn stands on the terminal of standard error: a log line that goes there takes
** its place, instead of running on from its end. */
void os_log_over_line(struct os_log *log, bool stands);
bool os_log_wants(struct os_log *log, enum os_log_level level);
void os_log_write(struct os_log *log, enum os_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#endif
