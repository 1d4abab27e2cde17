/* pattern.h - how the name of an index becomes the name of its next version, and that of its alias.
** Pure.
**
** A pattern is a regular expression (PCRE2) that has to match the whole name; a template is text with
** references to its groups as Python's re writes them (\1, \g<1>, \g<name>, \\) and with
** {{next_version}} and {{index_base}}. The version is the group called "version", else the last group
** that matched digits alone; the base is the group called "base", else the first. What a group matched
** is never read as a template again.
*/
#ifndef OS_OPERATIONS_VERSIONS_PATTERN_H
#define OS_OPERATIONS_VERSIONS_PATTERN_H
#include "base/error.h"

struct os_pattern;

/* what: for messages ("index_pattern"). OS_ERR_ARGUMENT tells where the expression is wrong. */
int os_pattern_new(struct os_pattern **out, const char *what, const char *expression, struct os_error *error);
void os_pattern_free(struct os_pattern *pattern);

/* Is every reference of the template one that the pattern has? `what` names the template in messages. */
int os_pattern_check_template(const struct os_pattern *pattern, const char *what, const char *text,
                              struct os_error *error);

/* Match `name` and fill in `count` templates, each into a text of its own in out[i], to be os_free()d;
** on failure none is given. A version is counted up in the width it has: 9 becomes 10, 007 becomes 008.
** OS_ERR_ARGUMENT: the name does not match, or has no version. */
int os_pattern_expand(const struct os_pattern *pattern, const char *name, const char *const *templates,
                      int count, char **out, struct os_error *error);
#endif
