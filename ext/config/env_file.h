/* env_file.h - the grammar of a .env file.
**
** A line is NAME=VALUE, with `export ` allowed in front and blanks allowed around '='. Empty lines and
** lines that begin with '#' say nothing. A bare value ends at the line's end or at a blank followed by
** '#', without blanks at its ends. In 'single quotes' everything stands for itself; in "double quotes"
** \n \r \t \" \\ \$ are characters. A quoted value may go over several lines. Nothing is expanded: '$'
** and '`' are ordinary. Names are letters, digits, '_', '-' and '.', and do not begin with a digit.
** CRLF and a BOM are accepted.
*/
#ifndef OS_CONFIG_ENV_FILE_H
#define OS_CONFIG_ENV_FILE_H
#include <stddef.h>
#include "base/error.h"

/* Gets each assignment in order; `value` is borrowed and wiped afterwards. Anything but OS_OK stops. */
typedef int (*os_env_assign)(void *ctx, const char *name, const char *value, int line,
                             struct os_error *error);

/* Pure. A malformed line is OS_ERR_ARGUMENT with the file's name and the line, never with its content. */
int os_env_parse(const char *text, size_t len, const char *file, os_env_assign assign, void *ctx,
                 struct os_error *error);
#endif
